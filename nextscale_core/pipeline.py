"""`MotionPipeline`: the one object a user holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from nextscale_core.editing.methods import CompletionMethods
from nextscale_core.exceptions import (
    ConfigError,
    InvalidMotionError,
    ModelLoadError,
    NextscaleError,
)
from nextscale_core.model.checkpoint import (
    MAX_JSON,
    check_checksums,
    load_part,
    model_name,
    write_checksums,
)
from nextscale_core.model.moscale import MoScale
from nextscale_core.model.sampling import (
    NextScaleSampler,
    Progress,
    SamplingConfig,
    default_sampling,
)
from nextscale_core.model.seeds import check_seed
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.durations import Seconds, for_each, settle
from nextscale_core.motion.features import clip_to_features, features_to_clip
from nextscale_core.resources import resource
from nextscale_core.stopwatch import Stopwatch
from nextscale_core.text.encoder import TextEncoder
from nextscale_core.text.validation import validate_sentence

DEFAULT_MODEL = "moscale-cmu"
_SAMPLING_FILE = "sampling.json"


class MotionPipeline(CompletionMethods):
    """Text to human motion: text encoder, generator and tokenizer in one object.

    Example:
        >>> pipeline = MotionPipeline.from_pretrained("moscale-cmu")
        >>> clip = pipeline.generate("a person waves with the right hand", seed=1)

    Args:
        tokenizer: Trained tokenizer.
        generator: Trained transformer.
        encoder: Text encoder; None loads the one that the generator was trained with.
        sampling: Default passes, guidance and temperature.
        name: Name shown in reports.
    """

    def __init__(
        self,
        tokenizer: TemporalTokenizer,
        generator: MoScale,
        encoder: TextEncoder | None = None,
        sampling: SamplingConfig | None = None,
        name: str = DEFAULT_MODEL,
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer.eval().requires_grad_(False)
        self.generator = generator.eval().requires_grad_(False)
        self.device = generator.null_token.device
        self.encoder = encoder or TextEncoder(generator.config.text_encoder, self.device)
        self.sampling = sampling or default_sampling(generator.config.num_scales)
        self.sampler = NextScaleSampler(self.generator, self.tokenizer.quantizer)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path = DEFAULT_MODEL, device: str = "cpu"
    ) -> MotionPipeline:
        """Load a model by name (of those that come with the package) or from a folder.

        Args:
            name_or_path: 'moscale-cmu', or a folder with `tokenizer/`, `generator/` and
                optionally `sampling.json`.
            device: 'cpu' or 'cuda'.

        Raises:
            ModelLoadError: no such model, or files that are missing, altered or do not fit.
        """
        folder = _model_folder(name_or_path)
        try:
            where = torch.device(device)
            check_checksums(folder)
            tokenizer = load_part(TemporalTokenizer, folder / "tokenizer").to(where)
            generator = load_part(MoScale, folder / "generator").to(where)
        except NextscaleError as error:
            raise ModelLoadError(f"the model in {folder} cannot be loaded: {error}") from error
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelLoadError(f"the model in {folder} cannot be loaded: {reason}") from error
        sampling = _read_sampling(folder / _SAMPLING_FILE, generator.config.num_scales)
        name = str(name_or_path) if not Path(name_or_path).is_dir() else folder.name
        return cls(tokenizer, generator, sampling=sampling, name=name)

    def save_pretrained(self, folder: str | Path, half: bool = True) -> None:
        """Write tokenizer, generator, sampling settings and checksums to a folder.

        Args:
            folder: Made if missing.
            half: Keep the weights in fp16, which halves the files; they are loaded as fp32.
        """
        folder = Path(folder)
        for part, module in (("tokenizer", self.tokenizer), ("generator", self.generator)):
            state = {k: v.clone() for k, v in module.state_dict().items()}
            (module.half() if half else module).save_pretrained(folder / part)
            module.float().load_state_dict(state)
        text = json.dumps(asdict(self.sampling), indent=2)
        (folder / _SAMPLING_FILE).write_text(text + "\n")
        write_checksums(folder)

    def generate(
        self,
        text: str,
        *,
        seconds: float | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: Sequence[int] | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> MotionClip:
        """One motion for one sentence.

        Args:
            text: What the person does, in English.
            seconds: Duration, 1 to 9.8 s; None lets the model choose from the sentence.
            seed: The same seed gives the same motion on the same machine.
            guidance: Strength of the text; None for the model's default.
            steps: Passes per scale, for example (6, 5, 4, 2, 1); None for the model's own.
            stopwatch: Takes the stages 'text', 'generate' and 'decode'.
            progress: Called with (passes done, passes in all); may raise to stop.

        Returns:
            A canonical clip at 20 fps: starts above the origin, faces +x, floor at z = 0.

        Raises:
            InvalidTextError: the sentence cannot be used.
            ConfigError: seconds, guidance, steps or seed out of range.
        """
        return self.generate_batch(
            [text],
            seeds=[seed],
            seconds=seconds,
            guidance=guidance,
            steps=steps,
            stopwatch=stopwatch,
            progress=progress,
        )[0]

    def generate_batch(
        self,
        texts: Sequence[str],
        *,
        seeds: Sequence[int],
        seconds: Seconds = None,
        guidance: float | None = None,
        steps: Sequence[int] | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> list[MotionClip]:
        """Several motions at once; see `generate`.

        Args:
            texts: B sentences.
            seeds: B seeds.
            seconds: One duration for all, or one for each; None lets the model choose.
            guidance: See `generate`.
            steps: See `generate`.
            stopwatch: See `generate`.
            progress: See `generate`.

        Returns:
            B clips.
        """
        watch = stopwatch or Stopwatch()
        sentences = [validate_sentence(text) for text in texts]
        if len(seeds) != len(sentences):
            raise ConfigError(f"{len(sentences)} sentences need as many seeds, got {len(seeds)}")
        numbers = [check_seed(seed) for seed in seeds]
        if not sentences:
            return []
        sampling = self.sampling.with_overrides(steps, guidance)
        with watch.stage("text"):
            features = self.encoder(sentences).to(self.device)
        wanted = self._seconds(features.pooled, sentences, seconds)
        latents = [self.tokenizer.latents_for(value) for value in wanted]
        with watch.stage("generate"):
            tokens = self.sampler.sample(features, latents, numbers, sampling, None, progress)
        with watch.stage("decode"):
            clips = [
                decode_clip(self.tokenizer, own, length, sentence, seed)
                for own, length, sentence, seed in zip(
                    tokens, latents, sentences, numbers, strict=True
                )
            ]
        return clips

    def choose_seconds(self, text: str) -> float:
        """Duration that the model would choose for a sentence [s]."""
        features = self.encoder([validate_sentence(text)]).to(self.device)
        return self._seconds(features.pooled, [text], None)[0]

    def encode(self, clip: MotionClip) -> tuple[Tensor, ...]:
        """Tokens of a clip, coarse to fine; see `TemporalTokenizer.encode`."""
        features = torch.from_numpy(clip_to_features(clip))[None].to(self.device)
        if features.shape[1] < self.tokenizer.frames_per_latent:
            raise InvalidMotionError(
                f"a clip needs {self.tokenizer.frames_per_latent + 1} frames, got {len(clip)}"
            )
        return tuple(tokens[0] for tokens in self.tokenizer.encode(features))

    def _seconds(
        self,
        pooled: Tensor,
        sentences: Sequence[str],
        seconds: Seconds,
    ) -> list[float]:
        given = for_each(seconds, len(sentences))
        if len(given) != len(sentences):
            raise ConfigError(f"{len(sentences)} sentences, but {len(given)} durations")
        chosen = self.generator.seconds_of(pooled).tolist()
        return settle(given, chosen)


def decode_clip(
    tokenizer: TemporalTokenizer, tokens: tuple[Tensor, ...], latents: int, text: str, seed: int
) -> MotionClip:
    """What users get of tokens: decoded and cleaned up.

    Args:
        tokenizer: The tokenizer of these tokens.
        tokens: One (n_k,) tensor per scale.
        latents: Number of latents of the motion.
        text: Kept in the clip.
        seed: Kept in the clip.
    """
    features = tokenizer.decode([t[None] for t in tokens], latents)[0]
    return clean_up(features_to_clip(features.float().cpu().numpy(), text=text, seed=seed))


def _model_folder(name_or_path: str | Path) -> Path:
    try:
        if Path(name_or_path).is_dir():
            return Path(name_or_path)
    except OSError as error:
        raise ModelLoadError(f"no model {str(name_or_path)[:200]!r}: {error.strerror}") from error
    try:
        folder = resource(f"weights/{model_name(str(name_or_path))}")
    except ConfigError as error:
        raise ModelLoadError(f"no model {str(name_or_path)!r}: {error}") from error
    return folder


def _read_sampling(path: Path, scales: int) -> SamplingConfig:
    if not path.is_file():
        return default_sampling(scales)
    try:
        if path.stat().st_size > MAX_JSON:
            raise ModelLoadError(f"{path} is larger than {MAX_JSON} bytes")
        return SamplingConfig(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelLoadError(f"{path} does not hold sampling settings: {error}") from error

"""`MotionPipeline`: text to human motion."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nextscale_core.editing.complete import complete
from nextscale_core.editing.constraints.generate import (
    complete_constrained,
    generate_constrained,
)
from nextscale_core.editing.edit import edit
from nextscale_core.editing.frame_mask import KnownFrames
from nextscale_core.editing.sequence import Script, joined, stream
from nextscale_core.editing.stopping import come_to_rest
from nextscale_core.editing.travel import covered, is_as_far, travel
from nextscale_core.exceptions import (
    ConfigError,
    InvalidMotionError,
    ModelLoadError,
    NextscaleError,
)
from nextscale_core.model.checkpoint import (
    check_checksums,
    existing_device,
    model_name,
    read_json,
    write_checksums,
)
from nextscale_core.model.judge import (
    DisagreementWarning,
    best_motions,
    disagreement,
    worth_sampling,
)
from nextscale_core.model.kinds import check_fit, load_generator, load_tokenizer
from nextscale_core.model.next_scale import NextScaleTransformer
from nextscale_core.model.options import GenerationOptions, candidate_seeds, merge_options
from nextscale_core.model.sampling import NextScaleSampler, SamplingConfig, default_sampling
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.constraints import Constraint
from nextscale_core.motion.durations import Seconds, for_each, settle
from nextscale_core.motion.features import clip_to_features, features_to_clip
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.motion.skeleton import MAX_SECONDS, MIN_SECONDS
from nextscale_core.resources import packaged_model
from nextscale_core.stopwatch import Run
from nextscale_core.text.clauses import clauses
from nextscale_core.text.domain import OutOfDomainWarning, TextDomain
from nextscale_core.text.encoder import DEFAULT_ENCODER, TextEncoder, TextFeatures
from nextscale_core.text.intents import IntentClassifier
from nextscale_core.text.journeys import Leg, Travel, journey, unkept
from nextscale_core.text.language import shortened
from nextscale_core.text.plain_words import Wording, wordings
from nextscale_core.text.quantities import stated_angle, stated_length
from nextscale_core.text.stated_seconds import DurationWarning, duration_remark, stated_seconds
from nextscale_core.text.validation import validate_sentence

DEFAULT_MODEL = "moscale-cmu"
_SAMPLING_FILE = "sampling.json"
_LATE = 1.25
"""Ratio of a motion's duration to the stated one above which a remark is made."""


class MotionPipeline:
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
        domain: Training captions, by which sentences out of reach are noticed.
    """

    def __init__(
        self,
        tokenizer: MotionTokenizer,
        generator: NextScaleTransformer,
        encoder: TextEncoder | None = None,
        sampling: SamplingConfig | None = None,
        name: str = DEFAULT_MODEL,
        domain: TextDomain | None = None,
    ) -> None:
        self.name, self.domain = name, domain
        self.tokenizer = tokenizer.eval().requires_grad_(False)
        self.generator = generator.eval().requires_grad_(False)
        self.device = generator.null_token.device
        self.encoder = encoder or TextEncoder(generator.config.text_encoder, self.device)
        self.sampling = sampling or default_sampling(
            tokenizer.quantizer.schedule, generator.own_tokens
        )
        self.sampler = NextScaleSampler(self.generator, self.tokenizer.quantizer)
        self.intents = IntentClassifier.load() if self.encoder.name == DEFAULT_ENCODER else None

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path = DEFAULT_MODEL, device: str = "cpu"
    ) -> MotionPipeline:
        """Load a model that comes with the package, or one from a folder.

        Args:
            name_or_path: Name of a model, such as 'moscale-cmu', or a folder with `tokenizer/`,
                `generator/` and optionally `sampling.json`.
            device: 'cpu' or 'cuda'.

        Raises:
            ModelLoadError: no such model, or its files are missing, altered or inconsistent.
            ConfigError: no such device; the message lists those of this machine.
        """
        folder, where = _model_folder(name_or_path), existing_device(device)
        try:
            check_checksums(folder)
            tokenizer = load_tokenizer(folder / "tokenizer").to(where)
            generator = load_generator(folder / "generator").to(where)
            check_fit(tokenizer, generator)
        except NextscaleError as error:
            raise ModelLoadError(f"the model in {folder} cannot be loaded: {error}") from error
        except (OSError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelLoadError(f"the model in {folder} cannot be loaded: {reason}") from error
        sampling = _read_sampling(folder / _SAMPLING_FILE)
        name = str(name_or_path) if not Path(name_or_path).is_dir() else folder.name
        domain = TextDomain.load(folder)
        return cls(tokenizer, generator, sampling=sampling, name=name, domain=domain)

    def save_pretrained(self, folder: str | Path, half: bool = True) -> None:
        """Write tokenizer, generator, sampling settings and checksums to a folder.

        Args:
            folder: Created if missing.
            half: Store the weights in fp16, which halves the files; they are loaded as fp32.
        """
        folder = Path(folder)
        for part, module in (("tokenizer", self.tokenizer), ("generator", self.generator)):
            state = {k: v.clone() for k, v in module.state_dict().items()}
            (module.half() if half else module).save_pretrained(folder / part)
            module.float().load_state_dict(state)
        text = json.dumps(asdict(self.sampling), indent=2)
        (folder / _SAMPLING_FILE).write_text(text + "\n")
        if self.domain is not None:
            self.domain.save(folder)
        write_checksums(folder)

    def generate(
        self,
        text: str,
        options: GenerationOptions | None = None,
        *,
        constraints: Sequence[Constraint] = (),
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """One motion for one sentence.

        Args:
            text: What the person does, in English.
            options: Seed, length, guidance and passes; None for the defaults.
            constraints: Keyframes, waypoints and targets to pass through. Without `seconds`, the
                motion lasts at least until the last of them.
            run: Takes the times of the stages 'text', 'generate' and 'decode', and the progress.
            **changes: Fields of `GenerationOptions` that replace those of `options`, for example
                `seed=1, seconds=4.0`.

        Returns:
            A canonical clip at 20 fps: starts above the origin, faces +x, floor at z = 0. Its
            `residuals` state how well each constraint is met.

        Raises:
            InvalidTextError: the sentence cannot be used.
            ConfigError: an option is unknown or out of range, or a constraint is outside of the
                motion or contradicts another.

        Warns:
            OutOfDomainWarning: the sentence resembles nothing that the model was trained on.
            DurationWarning: the sentence states a longer motion than can be made.
            DisagreementWarning: the motion does not show what the sentence asks for.
        """
        options = merge_options(options, changes)
        if constraints:
            return generate_constrained(self, text, constraints, options, run or Run())
        clip = self.generate_batch([text], options, run=run)[0]
        if remark := self.motion_remark(text, clip, options.scale):
            warnings.warn(remark, DisagreementWarning, stacklevel=2)
        return clip

    def generate_batch(
        self,
        texts: Sequence[str],
        options: GenerationOptions | None = None,
        *,
        seeds: Sequence[int] | None = None,
        seconds: Seconds = None,
        run: Run | None = None,
        **changes: Any,
    ) -> list[MotionClip]:
        """Several motions at once; each is the one that `generate` returns.

        Args:
            texts: B sentences.
            options: See `generate`.
            seeds: B seeds; None counts up from that of the options.
            seconds: One duration for all, or B of them [s]; None for that of the options.
            run: See `generate`.
            **changes: See `generate`.

        Returns:
            B clips.
        """
        options, run = merge_options(options, changes), run or Run()
        sentences = [validate_sentence(text) for text in texts]
        count = len(sentences)
        if seeds is None:
            seeds = range(options.seed, options.seed + count)
        durations = for_each(options.seconds if seconds is None else seconds, count)
        if len(seeds) != count:
            raise ConfigError(f"{count} sentences need as many seeds, got {len(seeds)}")
        if len(durations) != count:
            raise ConfigError(f"{count} sentences, but {len(durations)} durations")
        each = [
            replace(options, seed=seed, seconds=value)
            for seed, value in zip(seeds, durations, strict=True)
        ]
        clips = {
            row: clip
            for row, (one, own) in enumerate(zip(sentences, each, strict=True))
            if (clip := self._travelled(None, one, own, run)) is not None
        }
        rows = [row for row in range(count) if row not in clips]
        sampled = self._sample([sentences[row] for row in rows], [each[row] for row in rows], run)
        clips |= dict(zip(rows, sampled, strict=True))
        return [clips[row] for row in range(count)]

    def _travelled(
        self, known: MotionClip | None, sentence: str, options: GenerationOptions, run: Run
    ) -> MotionClip | None:
        """A motion that goes as far and takes as long as its sentence states, after the known one.

        None where nothing is stated that can be kept. `seconds` are those of the new part.
        """
        legs = self._legs(sentence, options.seconds)
        if not legs:
            return None
        clip = travel(self, legs, options, run, known)
        return replace(clip, text=sentence, seed=options.seed)

    def sampled(self, text: str, options: GenerationOptions, run: Run) -> MotionClip:
        """A motion for a validated sentence, whatever lengths of ways it states."""
        return self._sample([text], [options], run)[0]

    def _legs(self, sentence: str, seconds: float | None) -> tuple[Leg, ...]:
        """The parts of a sentence whose lengths or times can be kept."""
        legs = journey(sentence)
        if not legs and (stated_length(sentence.lower()) or stated_angle(sentence.lower())):
            legs = journey(sentence, self.meaning(sentence))
        if seconds is None:
            return legs
        # In a given time steps are as long as they get.
        way = legs[0].travel if len(legs) == 1 else None
        return legs if way and not way.steps else ()

    def _sample(
        self, sentences: Sequence[str], each: Sequence[GenerationOptions], run: Run
    ) -> list[MotionClip]:
        """The best of the candidates of each of B sentences, with B options of one sampling."""
        if not sentences:
            return []
        options = each[0]
        sampling = self.sampling.with_overrides(options)
        with run.stopwatch.stage("text"):
            pooled = self.encoder(sentences).pooled
            meanings = list(map(self._meaning, sentences, pooled))
            counts = [worth_sampling(meaning, options.candidates) for meaning in meanings]
            # Each sentence and its plain words; one candidate needs no other words.
            said = [
                wordings(sentence, meaning) if many > 1 else [Wording(sentence)]
                for sentence, meaning, many in zip(sentences, meanings, counts, strict=True)
            ]
            starts = list(itertools.accumulate((len(own) for own in said[:-1]), initial=0))
            features = self.text_features([way.words for own in said for way in own])
        # Where no duration is asked for, each way of saying it has its own.
        owners = [row for row, own in enumerate(said) for _ in own]
        lengths = self._lengths(
            [sentences[row] for row in owners],
            [each[row].seconds for row in owners],
            features.pooled,
        )
        latents = [self.tokenizer.latents_for(value) for value in lengths]
        numbers = [candidate_seeds(own.seed, many) for own, many in zip(each, counts, strict=True)]
        at_once = self.device.type != "cpu"
        rounds = 1 if at_once or max(counts) == 1 else 2
        finished = rounds * sum(sampling.steps)
        reached = 0

        def make(wanted: list[tuple[int, int]], first: int) -> list[list[MotionClip]]:
            # The candidates of a sentence follow one another.
            rows = [row for row, many in wanted for _ in range(many)]
            turns = [turn for _, many in wanted for turn in range(first, first + many)]
            own = [seed for row, many in wanted for seed in numbers[row][first : first + many]]
            before = finished // 2 if first else 0

            def progress(done: int, _: int) -> None:
                nonlocal reached
                reached = before + done
                run.progress(reached, finished)

            with run.stopwatch.stage("generate"):
                ways = [turn % len(said[row]) for row, turn in zip(rows, turns, strict=True)]
                texts = [starts[row] + way for row, way in zip(rows, ways, strict=True)]
                sizes = [latents[text] for text in texts]
                tokens = self.sampler.sample(
                    features.rows(texts), sizes, own, sampling, run=Run(progress=progress)
                )
            with run.stopwatch.stage("decode"):
                # Motions of one sentence and one length are decoded together.
                alike: dict[tuple[int, int], list[int]] = {}
                for place, key in enumerate(zip(rows, sizes, strict=True)):
                    alike.setdefault(key, []).append(place)
                made: dict[int, MotionClip] = {}
                for (row, size), places in alike.items():
                    drawn = [tokens[place] for place in places]
                    clips = decode_clips(
                        self.tokenizer, drawn, size, sentences[row], each[row].seed
                    )
                    for place, clip in zip(places, clips, strict=True):
                        mirrored = said[row][ways[place]].mirrored
                        made[place] = mirror_clip(clip) if mirrored else clip
            left = (made[place] for place in range(len(rows)))
            return [list(itertools.islice(left, many)) for _, many in wanted]

        motions = best_motions(meanings, counts, make, at_once)
        if reached < finished:
            run.progress(finished, finished)
        return motions

    def complete(
        self,
        known: MotionClip,
        known_frames: KnownFrames,
        text: str,
        options: GenerationOptions | None = None,
        *,
        constraints: Sequence[Constraint] = (),
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """Continue, lead up to, or fill in a motion of which some frames are given.

        Known frames are returned unchanged, where they were in the world; new frames join them
        without a jump, with the bone lengths of the known body.

        Args:
            known: Motion at 20 fps, anywhere on the floor z = 0: the start (prefix) or the end
                (suffix) of the new motion, or any parts of it.
            known_frames: Which frames of the result are known. None: all of the clip, from the
                start. A (T,) mask as long as the clip selects its known frames, the others are
                ignored; a longer mask with as many True as the clip has frames gives their places
                in the result. Or a list of half-open spans (start, stop) of the clip [s].
            text: What the person does, in English.
            options: See `generate`. `seconds` is the length of the result with the known part;
                frames beyond the mask are new. None for the length of the mask or, without a mask,
                for the clip and the usual duration of the sentence, at most 9.8 s in total.
            constraints: Keyframes, waypoints and targets of the new part, in the world of `known`,
                with times from the start of the result; only with `known_frames` None.
            run: Takes the times of the stages 'text', 'encode', 'generate' and 'decode', and the
                progress.
            **changes: See `generate`.

        Returns:
            A clip at 20 fps in the world of `known`. With no known frame, that of `generate`.

        Raises:
            InvalidTextError: the sentence cannot be used.
            InvalidMotionError: the known clip does not have 20 fps.
            ConfigError: a mask, span or constraint does not fit, or an option is unknown or out of
                range.
        """
        options = merge_options(options, changes)
        if constraints:
            if known_frames is not None:
                raise ConfigError("constraints need a known start of the motion, not known_frames")
            return complete_constrained(self, known, text, constraints, options, run or Run())
        if known_frames is None:
            seconds = None if options.seconds is None else options.seconds - known.seconds
            if seconds is None or seconds >= MIN_SECONDS:
                own, sentence = replace(options, seconds=seconds), validate_sentence(text)
                clip = self._travelled(known, sentence, own, run or Run())
                if clip is not None:
                    return clip
        return complete(self, known, known_frames, text, options, run or Run())

    def edit(
        self,
        clip: MotionClip,
        text: str,
        options: GenerationOptions | None = None,
        *,
        span: tuple[float, float] | None = None,
        parts: Sequence[str] | None = None,
        source: str | None = None,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """Change a part of a motion to what a sentence says, and keep the rest.

        Args:
            clip: Motion at 20 fps, at least 1 s long.
            text: What the person does in the changed part.
            options: See `generate`; `seconds` must be None.
            span: (start, stop) of the part to change [s], at most 9.8 s; None for all of it.
            parts: Names from `BODY_PARTS` that change, such as ['left_arm']; None for the whole
                body. The rotations of these parts are taken from a new motion: with MoScale of
                the whole body, with tokens of body parts one in which the other parts are given.
            source: What the person does in the clip, for a ScaleMoGen: whatever the two sentences
                differ in changes, in the whole span and body; `parts` follow the new sentence
                wholly. See `edit_from_source`.
            run: See `complete`.
            **changes: See `generate`.

        Returns:
            A clip as long as the given one, in its world; frames outside the span are unchanged.

        Raises:
            InvalidTextError: the sentence cannot be used.
            InvalidMotionError: the clip does not have 20 fps.
            ConfigError: neither span, parts nor source, a span outside the clip, an unknown part,
                a source with a model of other tokens than bits, or an option unknown or out of
                range.
        """
        options, run = merge_options(options, changes), run or Run()
        return edit(self, clip, text, options, run, span=span, parts=parts, source=source)

    def sequence(
        self,
        script: Script,
        options: GenerationOptions | None = None,
        *,
        overlap: float = 1.0,
        start: MotionClip | None = None,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """One motion for sentence after sentence, of any total length; see `stream`."""
        options = merge_options(options, changes)
        pieces = self.stream(script, options, overlap=overlap, start=start, run=run)
        return joined(list(pieces), options.seed)

    def stream(
        self,
        script: Script,
        options: GenerationOptions | None = None,
        *,
        overlap: float = 1.0,
        start: MotionClip | None = None,
        run: Run | None = None,
        **changes: Any,
    ) -> Iterator[MotionClip]:
        """Motion for sentence after sentence, each piece yielded as soon as it is generated.

        A piece continues the last `overlap` seconds before it, which the model sees as the start
        of a clip; nothing older is kept, so memory does not grow.

        Args:
            script: (sentence, seconds) pairs; None for the `seconds` of the options. A piece lasts
                1 s to 9.8 s less the overlap.
            options: See `generate`; the seed is that of the first piece, the next count up.
            overlap: Motion that a piece continues, 0.2 to 4 s.
            start: Motion at 20 fps to continue, not yielded again; None begins above the origin,
                facing +x.
            run: See `complete`; the progress counts the passes of each piece.
            **changes: See `generate`.

        Returns:
            Pieces at 20 fps in one world, each without the motion before it.

        Raises:
            InvalidTextError: a sentence cannot be used.
            ConfigError: no sentence, a length or an overlap out of range, or an option unknown or
                out of range.
        """
        options = merge_options(options, changes)
        run = run or Run()
        return stream(
            self, script, options, run, overlap=overlap, start=start, whole=self._travelled
        )

    def come_to_rest(
        self,
        clip: MotionClip,
        options: GenerationOptions | None = None,
        *,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """A motion that ends in movement, continued for 1.5 s until the person stands still.

        Args:
            clip: Motion at 20 fps.
            options: See `generate`; `seconds` and `candidates` do not matter.
            run: Takes the time of the stage 'stop'.
            **changes: See `generate`.

        Returns:
            The motion with what follows it; the same clip where its end is a pose that is held, the
            person is not on the feet, or the sentence states how long the motion lasts.

        Raises:
            InvalidMotionError: the clip does not have 20 fps.
            ConfigError: an option is unknown or out of range.
        """
        return come_to_rest(self, clip, merge_options(options, changes), run or Run())

    def text_features(self, sentences: Sequence[str]) -> TextFeatures:
        """Features of validated sentences, on the model's device.

        Warns:
            OutOfDomainWarning: a sentence resembles nothing that the model was trained on.
        """
        features = self.encoder(sentences)
        for sentence, pooled in dict(zip(sentences, features.pooled, strict=True)).items():
            if remark := self._domain_remark(sentence, pooled):
                warnings.warn(remark, OutOfDomainWarning, stacklevel=2)
        return features.to(self.device)

    def domain_remark(self, text: str) -> str | None:
        """Why a sentence is out of the model's reach; None for one that is not, or not known."""
        return self._domain_remark(text, self.encoder([text]).pooled[0])

    def _domain_remark(self, sentence: str, pooled: Tensor) -> str | None:
        if self.domain is None:
            return None
        # What the rules know needs no other words.
        meaning = sentence if clauses(sentence) else self._meaning(sentence, pooled)
        return self.domain.remark(sentence, pooled, meaning)

    def meaning(self, sentence: str) -> str:
        """A validated sentence in words whose actions are known; itself where it has none."""
        return self._meaning(sentence, self.encoder([sentence]).pooled[0])

    def _meaning(self, sentence: str, pooled: Tensor) -> str:
        return sentence if self.intents is None else self.intents.meaning(sentence, pooled)

    def motion_remark(self, text: str, clip: MotionClip, scale: float = 1.0) -> str | None:
        """Why a motion does not show what its sentence asks for; None where it may.

        Args:
            text: The sentence.
            clip: The motion.
            scale: See `GenerationOptions`.
        """
        sentence = validate_sentence(text)
        legs = self._legs(sentence, None)
        way = legs[0].travel if len(legs) == 1 else None
        if way and not is_as_far(clip, way, scale):
            return _off(sentence, covered(clip, way), way, scale)
        if way and legs[0].seconds and clip.seconds > _LATE * max(legs[0].seconds, MIN_SECONDS):
            return (
                f"the motion takes {clip.seconds:.3g} s where {shortened(sentence)!r} says "
                f"{legs[0].seconds:.3g} s"
            )
        if len(legs) > 1 or (way and way.is_alone):
            return unkept(sentence, legs)
        return unkept(sentence, legs) or disagreement(sentence, clip, self.meaning(sentence))

    def choose_seconds(self, text: str) -> float:
        """Duration that a sentence states, otherwise the one that the model chooses [s]."""
        sentence = validate_sentence(text)
        features = self.text_features([sentence])
        return self._lengths([sentence], [None], features.pooled)[0]

    def _lengths(
        self, sentences: Sequence[str], given: Sequence[float | None], pooled: Tensor
    ) -> list[float]:
        """Durations: given, else stated by the sentence, else predicted [s]."""
        guesses = self.generator.seconds_of(pooled).tolist()
        free = [one for one, seconds in zip(sentences, given, strict=True) if seconds is None]
        for sentence in dict.fromkeys(free):
            if remark := duration_remark(sentence, MAX_SECONDS):
                warnings.warn(remark, DurationWarning, stacklevel=3)
        return settle(given, list(map(stated_seconds, sentences, guesses)))

    def encode(self, clip: MotionClip) -> tuple[Tensor, ...]:
        """Tokens of a clip, coarse to fine; see `MotionTokenizer.encode`."""
        features = torch.from_numpy(clip_to_features(clip))[None].to(self.device)
        if features.shape[1] < self.tokenizer.frames_per_latent:
            raise InvalidMotionError(
                f"a clip needs {self.tokenizer.frames_per_latent + 1} frames, got {len(clip)}"
            )
        return tuple(tokens[0] for tokens in self.tokenizer.encode(features))


def decode_clips(
    tokenizer: MotionTokenizer,
    drawn: Sequence[Sequence[Tensor]],
    latents: int,
    text: str,
    seed: int,
) -> list[MotionClip]:
    """Decode the tokens of motions of one length into cleaned-up clips.

    Args:
        tokenizer: The tokenizer of these tokens.
        drawn: For each motion one (N_k,) tensor per scale.
        latents: Number of latents of each motion.
        text: Kept in the clips.
        seed: Kept in the clips.
    """
    scales = [torch.stack(own) for own in zip(*drawn, strict=True)]
    features = tokenizer.decode(scales, latents).float().cpu().numpy()
    return [clean_up(features_to_clip(own, text=text, seed=seed)) for own in features]


def _off(sentence: str, done: float, way: Travel, scale: float) -> str:
    """Why a way is not as long as its sentence states."""
    verb, unit, size = ("turns", "degrees", math.degrees(1.0)) if way.turn else ("goes", "m", scale)
    return (
        f"the motion {verb} {done * size:.3g} {unit} where {shortened(sentence)!r} says "
        f"{way.goal(scale) * size:.3g} {unit}"
    )


def _model_folder(name_or_path: str | Path) -> Path:
    try:
        if Path(name_or_path).is_dir():
            return Path(name_or_path)
    except OSError as error:
        raise ModelLoadError(f"no model {str(name_or_path)[:200]!r}: {error.strerror}") from error
    try:
        return packaged_model(model_name(str(name_or_path)))
    except ConfigError as error:
        raise ModelLoadError(str(error)) from error


def _read_sampling(path: Path) -> SamplingConfig | None:
    if not path.is_file():
        return None
    try:
        return SamplingConfig(**read_json(path))
    except (ValueError, TypeError) as error:
        raise ModelLoadError(f"{path} does not hold sampling settings: {error}") from error

"""Training and loading of the models of the rows, each trained once."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.checkpoint import load_part
from nextscale_core.model.kinds import load_generator, load_tokenizer
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.next_scale import NextScaleConfig, NextScaleTransformer
from nextscale_core.model.sampling import SamplingConfig
from nextscale_core.model.scalemogen import ScaleMoGen, ScaleMoGenConfig
from nextscale_core.model.scales import ScaleSchedule
from nextscale_core.model.skeletal_tokenizer import (
    SCHEDULES,
    SkeletalConfig,
    SkeletalTokenizer,
)
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.evaluate.retrieval import RetrievalBaseline
from nextscale_lab.experiments.next_token import NextToken, NextTokenConfig, NextTokenSampling
from nextscale_lab.experiments.pipelines import NextTokenPipeline
from nextscale_lab.experiments.settings import Row, SingleScale, Skeletal, Training
from nextscale_lab.experiments.study import Study
from nextscale_lab.experiments.train_next_token import NextTokenObjective, train_next_token
from nextscale_lab.files import write_json
from nextscale_lab.train.decoder import train_decoder
from nextscale_lab.train.generator import train_generator
from nextscale_lab.train.loop import RunConfig
from nextscale_lab.train.objective import SCALEMOGEN_OBJECTIVE, ObjectiveConfig
from nextscale_lab.train.tokenizer import train_tokenizer

M = TypeVar("M", bound=PyTorchModelHubMixin)
AnyPipeline = MotionPipeline | NextTokenPipeline | RetrievalBaseline
DONE = "done.json"


@dataclass(frozen=True)
class Trained:
    """A finished training run.

    Attributes:
        folder: Folder of its last weights.
        budget: Cost of the run: steps, seconds, parameters, ...
    """

    folder: Path
    budget: dict[str, Any]


class Models:
    """The trained models of a study.

    The name of a run's folder has a hash of its settings, so that rows with equal settings share
    it. A finished run is not repeated; an interrupted one resumes from its checkpoint.

    Args:
        study: The declared rows.
        data: CMU or HumanML3D folder.
        tokenizer: Folder of the trained tokenizer of several scales.
        runs: Folder for all runs.
        cache: Folder of encoded training libraries; None for one in `runs`.
    """

    def __init__(
        self, study: Study, data: Path, tokenizer: Path, runs: Path, cache: Path | None = None
    ) -> None:
        self.study, self.data, self.tokenizer_path, self.runs = study, data, tokenizer, runs
        self.cache = cache or runs / "libraries"
        if not (tokenizer / "model.safetensors").is_file():
            raise ConfigError(f"{tokenizer} is not a tokenizer: model.safetensors is missing")
        self.tokenizer = load(TemporalTokenizer, tokenizer).eval()
        self.sources = {"data": folder_digest(data), "tokenizer": file_digest(tokenizer)}

    @cached_property
    def encoder(self) -> TextEncoder:
        """The text encoder of all models."""
        return TextEncoder()

    @cached_property
    def retrieval(self) -> RetrievalBaseline:
        """The retrieval baseline."""
        return RetrievalBaseline.from_data(self.data, self.encoder)

    def prepare(self, row: Row, seed: int) -> dict[str, Any]:
        """Train the models of a row unless done; returns the budget."""
        if row.kind == "retrieval":
            return {"parameters": 0, "steps": 0, "train_seconds": 0.0}
        return self._generator(row, seed).budget

    def pipeline(self, row: Row, seed: int, guidance: float = 1.0) -> AnyPipeline:
        """The trained model of a row and seed, with a factor on the row's guidance."""
        if row.kind == "retrieval":
            return self.retrieval
        folder = self._generator(row, seed).folder
        drawing = row.sampling
        if row.kind == "next-token":
            if len(drawing.guidance) != 1:
                raise ConfigError(f"row {row.name!r} has no scales: give one guidance")
            sampling = NextTokenSampling(
                guidance * drawing.guidance[0], drawing.temperature, drawing.top_p
            )
            single = load(TemporalTokenizer, self.single_scale().folder)
            model = load(NextToken, folder)
            return NextTokenPipeline(single, model, self.encoder, sampling, row.name)
        return MotionPipeline(
            load_tokenizer(self.tokenizer_folder(row)),
            load_generator(folder),
            self.encoder,
            self.sampling(row, guidance),
            row.name,
        )

    def sampling(self, row: Row, guidance: float = 1.0) -> SamplingConfig:
        """Sampling settings of a MoScale or ScaleMoGen row for the scales of its tokenizer.

        Raises:
            ConfigError: the row has another number of scales.
        """
        parts = row.kind == "scalemogen"
        schedule = skeletal_schedule(row.skeletal) if parts else self.tokenizer.quantizer.schedule
        scales = schedule.num_scales
        values: dict[str, tuple] = {}
        for name in ("passes", "guidance"):
            own = getattr(row.sampling, name)
            if len(own) not in (1, scales):
                raise ConfigError(
                    f"row {row.name!r}: {name} has {len(own)} values, the tokenizer {scales} scales"
                )
            values[name] = own * scales if len(own) == 1 else own
        return SamplingConfig(
            values["passes"],
            tuple(guidance * value for value in values["guidance"]),
            (row.sampling.temperature,) * scales,
            row.sampling.top_p,
        )

    def tokenizer_folder(self, row: Row) -> Path:
        """The tokenizer of a row, trained if the row has its own."""
        if row.kind == "scalemogen":
            return self.skeletal(row.skeletal).folder
        return self.tokenizer_path if row.kind == "moscale" else self.single_scale().folder

    def skeletal(self, own: Skeletal) -> Trained:
        """The tokenizer of ScaleMoGen rows, one for all seeds and for both forms."""
        schedule = skeletal_schedule(own)
        config = SkeletalConfig(bits=own.bits, divisors=schedule.divisors, groups=schedule.groups)

        def train(out: Path) -> dict[str, float]:
            return train_tokenizer(
                self.data, _tokenizer_run(own, own.steps, out), config, own.frames
            )

        settings = {"kind": "skeletal", **asdict(own)}
        del settings["one_pass"]
        label = f"tokenizer-{own.schedule}-{own.bits}-bits"
        return self._once(label, settings, train, SkeletalTokenizer)

    def single_scale(self) -> Trained:
        """The tokenizer of the next-token rows, one for all seeds."""
        own = self.study.single_scale

        def train(out: Path) -> dict[str, float]:
            run = _tokenizer_run(own, own.steps, out)
            return train_tokenizer(
                self.data,
                run,
                TokenizerConfig(divisors=(1,)),
                own.frames,
                initial=self.tokenizer_path,
            )

        settings = {"kind": "single-scale", **asdict(own), "decoder_steps": 0}
        trained = self._once("tokenizer-single-scale", settings, train, TemporalTokenizer)
        if not own.decoder_steps:
            return trained

        def tune(out: Path) -> dict[str, float]:
            return train_decoder(
                self.data, trained.folder, _tokenizer_run(own, own.decoder_steps, out)
            )

        settings["decoder_steps"] = own.decoder_steps
        return self._once("tokenizer-single-scale-decoder", settings, tune, TemporalTokenizer)

    def _generator(self, row: Row, seed: int) -> Trained:
        training = row.training
        settings = {"kind": row.kind, **asdict(training), "seed": seed}
        label = f"{row.kind}-d{training.depth}-c{training.corruption:g}-seed{seed}"
        width, depth, heads = training.width, training.depth, training.heads
        if row.has_scales:
            sizes: NextScaleConfig = MoScaleConfig(width, depth, heads)
            objective = ObjectiveConfig()
            kind: type[NextScaleTransformer] = MoScale
            tokens = self.tokenizer_folder(row)
            if row.kind == "scalemogen":
                sizes = ScaleMoGenConfig(
                    width, depth, heads, num_scales=1, own_tokens=not row.skeletal.one_pass
                )
                objective, kind = SCALEMOGEN_OBJECTIVE, ScaleMoGen
                settings |= {"skeletal": asdict(row.skeletal), "weights": file_digest(tokens)}

            def train(out: Path) -> dict[str, float]:
                return train_generator(
                    self.data,
                    tokens,
                    _generator_run(training, seed, out),
                    sizes,
                    replace(objective, corruption=training.corruption),
                    cache=self.cache,
                )

            return self._once(label, settings, train, kind)
        single = self.single_scale()
        settings["single_scale"] = file_digest(single.folder)

        def train_baseline(out: Path) -> dict[str, float]:
            return train_next_token(
                self.data,
                single.folder,
                _generator_run(training, seed, out),
                NextTokenConfig(width, depth, heads),
                NextTokenObjective(corruption=training.corruption),
                cache=self.cache,
            )

        trained = self._once(label, settings, train_baseline, NextToken)
        return Trained(trained.folder, {**trained.budget, "single_scale": single.budget})

    def _once(
        self,
        label: str,
        settings: dict[str, Any],
        train: Callable[[Path], dict[str, float]],
        kind: type[PyTorchModelHubMixin],
    ) -> Trained:
        identity = json.dumps({**settings, **self.sources}, sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
        out = self.runs / "models" / f"{label}-{digest}"
        record = out / DONE
        if not record.is_file():
            metrics = train(out)
            budget = {
                "steps": settings["steps"],
                "parameters": count_parameters(load(kind, out / "last")),
                "train_seconds": round(spent_seconds(out), 1),
                "threads": torch.get_num_threads(),
                "device": "cuda" if torch.cuda.is_available() else "cpu",
                "settings": settings,
                "val": {name: round(v, 5) for name, v in metrics.items() if math.isfinite(v)},
            }
            write_json(record, budget)
        return Trained(out / "last", json.loads(record.read_text(encoding="utf-8")))


def skeletal_schedule(own: Skeletal) -> ScaleSchedule:
    """The schedule of a ScaleMoGen row."""
    schedule = SCHEDULES[own.schedule]
    if own.groups:
        return schedule
    return ScaleSchedule(schedule.divisors, (schedule.groups[-1],) * schedule.num_scales)


def load(kind: type[M], folder: Path) -> M:
    """A model from its folder."""
    return load_part(kind, folder)  # type: ignore[type-var]


def count_parameters(model: object) -> int:
    """Number of parameters of a model."""
    assert isinstance(model, nn.Module)
    return sum(parameter.numel() for parameter in model.parameters())


def spent_seconds(out: Path) -> float:
    """Training time of a run without interruptions, from its metrics.jsonl [s]."""
    rows = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return float(json.loads(rows[-1])["minutes"]) * 60


def file_digest(folder: Path) -> str:
    """Digest of the weights in a model folder."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]


def folder_digest(folder: Path) -> str:
    """Digest of the names and sizes of a data folder's files."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a data folder")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    text = "\n".join(f"{path.name} {path.stat().st_size}" for path in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _generator_run(training: Training, seed: int, out: Path) -> RunConfig:
    shared = {field.name for field in fields(RunConfig)}
    settings = {name: value for name, value in asdict(training).items() if name in shared}
    return RunConfig(out=out, seed=seed, **settings)


def _tokenizer_run(own: SingleScale | Skeletal, steps: int, out: Path) -> RunConfig:
    return RunConfig(
        out=out,
        steps=steps,
        learning_rate=own.learning_rate,
        warmup=min(50, steps),
        weight_decay=0.01,
        ema=0.99,
        precision="no",
        eval_every=max(steps // 2, 1),
    )

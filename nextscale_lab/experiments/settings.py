"""Settings of the experiments: records that the study's YAML file fills."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt
from pydantic.dataclasses import dataclass

from nextscale_core.exceptions import ConfigError
from nextscale_lab.files import CLOSED


def _several(value: Any) -> Any:
    """One number as a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


Kind = Literal["moscale", "scalemogen", "next-token", "retrieval"]
Several = Annotated[tuple[StrictFloat, ...], BeforeValidator(_several)]


@dataclass(frozen=True, config=CLOSED)
class Training:
    """Training of a row's generator.

    Attributes:
        steps: Optimiser steps.
        batch_size: Motions in a batch.
        learning_rate: Peak learning rate.
        warmup: Steps of linear warm-up.
        ema: Decay of the averaged weights.
        precision: 'no', 'bf16' or 'fp16'.
        eval_every: Steps between validations.
        width: Channels.
        depth: Blocks.
        heads: Attention heads.
        corruption: Maximum share of corrupted coarser tokens of MoScale (HR, 0 for none) or of
            flipped bits of ScaleMoGen, or share of corrupted input tokens of the next-token model
            (T2M-GPT's tau).
    """

    steps: StrictInt = 800
    batch_size: StrictInt = 64
    learning_rate: StrictFloat = 6e-4
    warmup: StrictInt = 80
    ema: StrictFloat = 0.99
    precision: str = "no"
    eval_every: StrictInt = 400
    width: StrictInt = 128
    depth: StrictInt = 4
    heads: StrictInt = 4
    corruption: StrictFloat = 0.0


@dataclass(frozen=True, config=CLOSED)
class Sampling:
    """Sampling of a row's tokens.

    Attributes:
        passes: Passes at each scale, coarse to fine (TR: more than one), or one number for all.
        guidance: Guidance strength at each scale, or one number for all.
        temperature: Temperature of the logits.
        top_p: Probability mass kept by nucleus sampling.
    """

    passes: Annotated[tuple[StrictInt, ...], BeforeValidator(_several)] = (1,)
    guidance: Several = (4.0,)
    temperature: StrictFloat = 1.0
    top_p: StrictFloat = 0.9


@dataclass(frozen=True, config=CLOSED)
class SingleScale:
    """Training of the next-token model's tokenizer from the main one's weights.

    Attributes:
        steps: Optimiser steps of encoder, codebook and decoder.
        decoder_steps: Further steps of the decoder alone.
        frames: Frames in a batch.
        learning_rate: Peak learning rate.
    """

    steps: StrictInt = 600
    decoder_steps: StrictInt = 0
    frames: StrictInt = 3072
    learning_rate: StrictFloat = 4e-4


@dataclass(frozen=True, config=CLOSED)
class Skeletal:
    """Tokenizer of a ScaleMoGen row, and form of its generator.

    Attributes:
        bits: Bits of a token.
        schedule: Name in `SCHEDULES`: 'product' or 'published'.
        groups: Whether coarse scales share tokens between parts of the body; else each scale has
            tokens of single parts.
        one_pass: The published form: no own tokens, one pass a scale.
        steps: Optimiser steps of the tokenizer.
        frames: Frames in a batch.
        learning_rate: Peak learning rate.
    """

    bits: StrictInt = 16
    schedule: Literal["product", "published"] = "product"
    groups: StrictBool = True
    one_pass: StrictBool = False
    steps: StrictInt = 600
    frames: StrictInt = 2048
    learning_rate: StrictFloat = 1.5e-3


@dataclass(frozen=True, config=CLOSED)
class Measuring:
    """Measurement of a row.

    Attributes:
        repeats: See `evaluate.repeats.EvaluationPlan`, as for the following fields.
        generations: Generated motions per clip.
        captions: Captions for MultiModality.
        motions: Motions per such caption.
        batch: Motions generated at once.
        guidance_choices: Factors on the row's guidance, chosen on val for each trained model.
        choose_by: Criterion on val: 'mm_dist', 'fid' or 'r_precision' (top 3).
        battery_seeds: Samples per sentence of the prompt suite; 0 to skip it.
        battery_core: Only the core sentences.
    """

    repeats: StrictInt = 20
    generations: StrictInt = 2
    captions: StrictInt = 10
    motions: StrictInt = 10
    batch: StrictInt = 32
    guidance_choices: Annotated[Several, Field(min_length=1)] = (1.0,)
    choose_by: Literal["mm_dist", "fid", "r_precision"] = "mm_dist"
    battery_seeds: StrictInt = 2
    battery_core: StrictBool = True

    def __post_init__(self) -> None:
        if min(self.guidance_choices) < 0:
            raise ConfigError(f"guidance_choices must not be negative, got {self.guidance_choices}")


@dataclass(frozen=True, config=CLOSED)
class Row:
    """One row: a generator with its training, sampling and captions.

    Attributes:
        name: Name on the command line.
        label: Name in the table.
        kind: 'moscale', 'scalemogen', 'next-token' or 'retrieval'.
        training: Settings of the training; rows with equal ones share trained models.
        sampling: Settings of the sampling.
        skeletal: Tokenizer of a ScaleMoGen row.
        verbs: Least and greatest number of verbs of the captions; None for all captions.
    """

    name: str
    label: str
    kind: Kind
    training: Training = Training()
    sampling: Sampling = Sampling()
    skeletal: Skeletal = Skeletal()
    verbs: tuple[StrictInt, StrictInt] | None = None

    def __post_init__(self) -> None:
        if self.verbs is not None and not 0 <= self.verbs[0] <= self.verbs[1]:
            raise ConfigError(f"verbs must be [least, most], got {list(self.verbs)}")

    @property
    def has_scales(self) -> bool:
        """Whether tokens of several scales are sampled, in passes."""
        return self.kind in ("moscale", "scalemogen")


@dataclass(frozen=True, config=CLOSED)
class Table:
    """A table of the document.

    Attributes:
        name: Name of its markers in the document.
        rows: Names of its rows, in their order.
    """

    name: str
    rows: tuple[str, ...]

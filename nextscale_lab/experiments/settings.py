"""Settings of the experiments, as dataclasses that a YAML file fills."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar

from nextscale_core.exceptions import ConfigError

T = TypeVar("T")

KINDS = ("moscale", "next-token", "retrieval")
CHOICES = ("mm_dist", "fid", "r_precision")


@dataclass(frozen=True)
class Training:
    """How a row's generator is trained; the same numbers for all rows that are compared.

    Attributes:
        steps: Optimiser steps.
        batch_size: Motions in a batch.
        learning_rate: Peak learning rate.
        warmup: Steps of linear warm-up.
        ema: Decay of the averaged weights, which are the ones measured.
        precision: 'no', 'bf16' or 'fp16'.
        eval_every: Steps between validations.
        width: Channels.
        depth: Blocks.
        heads: Attention heads.
        corruption: For MoScale the largest share of corrupted coarser tokens (HR, 0 for none);
            for the next-token model the share of corrupted input tokens (T2M-GPT's tau).
    """

    steps: int = 800
    batch_size: int = 64
    learning_rate: float = 6e-4
    warmup: int = 80
    ema: float = 0.99
    precision: str = "no"
    eval_every: int = 400
    width: int = 128
    depth: int = 4
    heads: int = 4
    corruption: float = 0.0


@dataclass(frozen=True)
class Sampling:
    """How a row's tokens are drawn.

    Attributes:
        passes: Passes at each scale, coarse to fine (TR: more than one); one number for all
            scales alike, one value for a model without scales.
        guidance: Strength of the text at each scale; one number for all scales alike.
        temperature: Temperature of the logits.
        top_p: Probability mass kept by nucleus sampling.
    """

    passes: tuple[int, ...] = (1,)
    guidance: tuple[float, ...] = (4.0,)
    temperature: float = 1.0
    top_p: float = 0.9


@dataclass(frozen=True)
class SingleScale:
    """How the next-token model's tokenizer is trained, from the main one's weights.

    Attributes:
        steps: Optimiser steps of encoder, codebook and decoder.
        decoder_steps: Then of the decoder alone, as after the main one; 0 for none.
        frames: Frames in a batch.
        learning_rate: Peak learning rate.
    """

    steps: int = 600
    decoder_steps: int = 0
    frames: int = 3072
    learning_rate: float = 4e-4


@dataclass(frozen=True)
class Measuring:
    """How a row is measured; see `evaluation.benchmark` for the first four.

    Attributes:
        repeats: Repeats of every figure, of which the mean is taken.
        generations: Motions made for each clip of the split.
        captions: Captions for MultiModality.
        motions: Motions of each of those captions.
        batch: Motions generated at once.
        guidance_choices: Factors on the row's guidance among which val decides for each
            trained model; test never takes part.
        choose_by: The figure on val that decides: 'mm_dist', 'fid' or 'r_precision' (top 3).
        battery_seeds: Samples of each sentence of the battery; 0 leaves the battery out.
        battery_core: Only the battery's core sentences.
    """

    repeats: int = 20
    generations: int = 2
    captions: int = 10
    motions: int = 10
    batch: int = 32
    guidance_choices: tuple[float, ...] = (1.0,)
    choose_by: str = "mm_dist"
    battery_seeds: int = 2
    battery_core: bool = True

    def __post_init__(self) -> None:
        if self.choose_by not in CHOICES:
            raise ConfigError(
                f"choose_by must be one of {', '.join(CHOICES)}, got {self.choose_by!r}"
            )
        if not self.guidance_choices or min(self.guidance_choices) < 0:
            raise ConfigError(
                f"guidance_choices must be factors from 0 up, got {self.guidance_choices}"
            )


@dataclass(frozen=True)
class Row:
    """One row: a generator, how it draws, and what it is asked.

    Attributes:
        name: Name on the command line.
        label: Name in the table.
        kind: 'moscale', 'next-token' or 'retrieval'.
        training: Settings of the training; rows with equal ones share their trained models.
        sampling: Settings of the drawing.
        verbs: Only captions with (least, most) so many verbs; None for all captions.
    """

    name: str
    label: str
    kind: str
    training: Training = Training()
    sampling: Sampling = Sampling()
    verbs: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.verbs is not None and not 0 <= self.verbs[0] <= self.verbs[1]:
            raise ConfigError(f"verbs must be [least, most], got {list(self.verbs)}")


@dataclass(frozen=True)
class Table:
    """A table of the document.

    Attributes:
        name: Name of its markers in the document.
        rows: Names of its rows, in their order.
    """

    name: str
    rows: tuple[str, ...]


def fill(kind: type[T], values: object, where: str, base: T | None = None) -> T:
    """A dataclass from a mapping, with every key and type checked.

    Args:
        kind: The dataclass.
        values: What the YAML holds; None for nothing.
        where: What to call it in errors, for example "row 'base', training".
        base: Values of the keys that are not given; the dataclass's own when None.

    Raises:
        ConfigError: no mapping, an unknown key, a missing one, or a value of another type.
    """
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a mapping, got {values!r}")
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {key!r}; there are: {', '.join(hints)}")
    given = {key: _typed(value, hints[key], f"{where}: {key}") for key, value in values.items()}
    try:
        if base is not None:
            return dataclasses.replace(base, **given)  # type: ignore[type-var]
        return kind(**given)
    except TypeError as error:
        missing = [
            field.name
            for field in dataclasses.fields(kind)  # type: ignore[arg-type]
            if field.default is dataclasses.MISSING and field.name not in given
        ]
        raise ConfigError(f"{where}: {', '.join(missing)} is missing") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _typed(value: object, hint: Any, where: str) -> Any:
    if isinstance(hint, UnionType):
        if value is None:
            return None
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        items = list(value) if isinstance(value, list | tuple) else [value]
        if inner[-1] is not Ellipsis and len(items) != len(inner):
            raise ConfigError(f"{where} must be a list of {len(inner)}, got {value!r}")
        return tuple(_typed(item, inner[0], where) for item in items)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else fill(hint, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} must be {_WORDS[hint]}, got {value!r}")
    return value


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}

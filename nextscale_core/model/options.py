"""`GenerationOptions`: seed, length, guidance and passes of one motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.skeleton import MAX_SECONDS, MIN_SECONDS

_MAX_SEED = 2**63 - 1

MAX_GUIDANCE = 20.0
"""Maximum strength of the text."""

MAX_STEPS = 50
"""Maximum number of passes for one scale."""

MAX_CANDIDATES = 64
"""Maximum number of motions that are sampled for one sentence."""


DEFAULT_CANDIDATES = 4
"""Motions sampled at once unless the caller chooses; see docs/training.md."""


@dataclass(frozen=True)
class GenerationOptions:
    """What a caller may choose for one motion.

    Attributes:
        seed: 0 to 2^63 - 1; the same seed gives the same motion on the same machine.
        seconds: Duration, 1 to 9.8 s; None lets the model choose from the sentence.
        guidance: Strength of the text, 0 to 20; None for the model's default.
        steps: Passes per scale, for example (4, 4, 3, 1, 1, 1, 1); None for the model's default.
        candidates: Motions sampled at once, 1 to 64, of which the one that agrees best with the
            sentence is returned, see `agreement`. The first candidate is the motion of the same
            seed without further ones, and the only one where the sentence names no known action;
            of a sentence that says how often, twice as many are sampled.
        scale: Size of the robot relative to a person that the motion is made for, 0.05 to 20: "two
            meters" of a sentence are two meters of the robot.

    Raises:
        ConfigError: a value is out of range.
    """

    seed: int = 0
    seconds: float | None = None
    guidance: float | None = None
    steps: tuple[int, ...] | None = None
    candidates: int = DEFAULT_CANDIDATES
    scale: float = 1.0

    def __post_init__(self) -> None:
        seconds, guidance = self.seconds, self.guidance
        if seconds is not None and not _within(seconds, MIN_SECONDS, MAX_SECONDS):
            raise ConfigError(
                f"seconds must be from {MIN_SECONDS:g} to {MAX_SECONDS:g}, got {seconds}"
            )
        if guidance is not None and not _within(guidance, 0.0, MAX_GUIDANCE):
            raise ConfigError(f"guidance must be from 0 to {MAX_GUIDANCE:g}, got {guidance}")
        if not _within(self.scale, 0.05, 20.0):
            raise ConfigError(f"scale must be from 0.05 to 20, got {self.scale}")
        object.__setattr__(self, "seed", checked_seed(self.seed))
        if not isinstance(self.candidates, int) or not 1 <= self.candidates <= MAX_CANDIDATES:
            raise ConfigError(
                f"candidates must be a whole number from 1 to {MAX_CANDIDATES}, got "
                f"{self.candidates!r}"
            )
        if self.steps is not None:
            object.__setattr__(self, "steps", checked_steps(self.steps))


def candidate_seeds(seed: int, count: int) -> list[int]:
    """The seed and `count - 1` more that no other seed's candidates share."""
    more = np.random.SeedSequence(seed).generate_state(count - 1) if count > 1 else ()
    return [seed, *map(int, more)]


def merge_options(
    options: GenerationOptions | None, changes: Mapping[str, Any]
) -> GenerationOptions:
    """The options, or the defaults, with some fields changed.

    Raises:
        ConfigError: an unknown field (the message lists the known ones), or a value out of range.
    """
    if options is not None and not isinstance(options, GenerationOptions):
        raise ConfigError(
            f"options must be GenerationOptions, got {options!r}; give single options by name, "
            "such as seed=1"
        )
    known = [field.name for field in fields(GenerationOptions)]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise ConfigError(
            f"unknown generation option {', '.join(map(repr, unknown))}; there are: "
            f"{', '.join(known)}; a stopwatch and progress go into run=Run(...)"
        )
    return replace(options or GenerationOptions(), **changes)


def checked_seed(seed: Any) -> int:
    """The seed as an int.

    Raises:
        ConfigError: not a whole number from 0 to 2^63 - 1.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= _MAX_SEED:
        raise ConfigError(f"seed must be a whole number from 0 to 2^63 - 1, got {seed!r}")
    return int(seed)


def checked_steps(steps: Any) -> tuple[int, ...]:
    """Passes per scale as a tuple.

    Raises:
        ConfigError: not whole numbers from 1 to 100.
    """
    values = tuple(steps) if hasattr(steps, "__iter__") else (steps,)
    if any(not isinstance(s, int | np.integer) or not 1 <= s <= MAX_STEPS for s in values):
        raise ConfigError(f"steps must be whole numbers from 1 to {MAX_STEPS}, got {steps}")
    return values


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float | np.number) and bool(low <= value <= high)

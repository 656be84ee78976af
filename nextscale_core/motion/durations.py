"""Durations of generated motions: given by the user, otherwise chosen by the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.skeleton import MAX_SECONDS, MIN_SECONDS

Seconds = float | Sequence[float | None] | None
"""One duration for all motions, or one for each; None where the model chooses [s]."""


def for_each(seconds: Seconds, count: int) -> list[float | None]:
    """One duration for each of `count` motions; a given list keeps its length [s]."""
    if seconds is None or isinstance(seconds, int | float):
        return [seconds] * count
    return list(seconds)


def settle(given: Sequence[float | None], guesses: Sequence[float]) -> list[float]:
    """The given durations, and the model's guesses, clipped to 1 to 9.8 s, for the others [s].

    Raises:
        ConfigError: a given duration is outside 1 to 9.8 s.
    """
    out = []
    for value, guess in zip(given, guesses, strict=True):
        if value is None:
            value = float(np.clip(guess, MIN_SECONDS, MAX_SECONDS))
        elif not MIN_SECONDS <= value <= MAX_SECONDS:
            raise ConfigError(
                f"seconds must be from {MIN_SECONDS:g} to {MAX_SECONDS:g}, got {value:g}"
            )
        out.append(float(value))
    return out

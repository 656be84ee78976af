"""How well a model guesses from the sentence alone how long a motion lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class ChoosesSeconds(Protocol):
    """A model that chooses a duration where the user gives none, as `MotionPipeline` does."""

    def choose_seconds(self, text: str) -> float:
        """Duration for a sentence [s]."""
        ...


def duration_errors(
    model: ChoosesSeconds, recordings: Iterable[tuple[Sequence[str], float]]
) -> np.ndarray:
    """Absolute error for every caption.

    Args:
        model: Chooses durations.
        recordings: Captions and real duration [s] of each recorded clip.

    Returns:
        (N,) absolute differences [s], one a caption.
    """
    return np.array(
        [
            abs(model.choose_seconds(caption) - seconds)
            for captions, seconds in recordings
            for caption in captions
        ]
    )


def constant_error(seconds: Sequence[float]) -> float:
    """Mean error of the best constant, the recordings' own median [s]: what is to be beaten."""
    values = np.asarray(seconds, dtype=np.float64)
    return float(np.abs(values - np.median(values)).mean())

"""Which moment of the human clip a sample was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Source:
    """Which part of the human clip was solved.

    Attributes:
        first: Frame of the targets that the solved frames begin with.
        fps: Rate of the frames [Hz].
        period: Frames of a round, where the motion goes round.
    """

    first: int
    fps: float
    period: int | None = None

    def time(self, frames: np.ndarray, seconds: float) -> np.ndarray:
        """Times in a clip that lasts so long [s], from (N,) places among the solved frames."""
        place = frames if self.period is None else frames % self.period
        # A clip of few frames was held at its last one.
        return np.asarray(np.minimum((self.first + place) / self.fps, seconds))

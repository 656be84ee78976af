"""`Figure`: a moving body, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nextscale_core.viz.mesh import Mesh

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Figure:
    """What a picture needs to know of a motion.

    Attributes:
        title: The sentence, or a name.
        fps: Frames per second [Hz].
        root: (N, 3) path of pelvis or root link [m], z up.
        forward: (N, 2) horizontal unit vector that the body faces.
        footprints: (K, 2, 2) horizontal segments, heel to toe, where a foot stood [m].
        legend: Name -> colour of the parts.
        mesh: The body in frame n, in the world.
        width: Page width that an animation needs [m]; None for what a single body needs.
    """

    title: str
    fps: float
    root: np.ndarray
    forward: np.ndarray
    footprints: np.ndarray
    legend: dict[str, Color]
    mesh: Callable[[int], Mesh]
    width: float | None = None

    def __len__(self) -> int:
        return len(self.root)

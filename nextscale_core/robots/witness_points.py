"""How near two bodies are, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SHALLOW = 0.012
"""Nearest points of bodies that are deeper inside each other do not tell the way out [m]."""


@dataclass(frozen=True)
class WitnessPoints:
    """Two bodies of a pair in one frame, and how near they are.

    Attributes:
        frame: Which frame.
        distance: Between the bodies; negative inside each other [m].
        normal: (3,) from the first to the second, in the first body's frame.
        points: Nearest points, each in its body's frame [m].
        turn: World orientations of both bodies.
        origin: World positions of both bodies [m].
    """

    frame: int
    distance: float
    normal: np.ndarray
    points: tuple[np.ndarray, np.ndarray]
    turn: tuple[np.ndarray, np.ndarray]
    origin: tuple[np.ndarray, np.ndarray]


def steady(nears: list[WitnessPoints]) -> list[WitnessPoints]:
    """Give deep frames of each unbroken run the direction of the shallow ones beside them."""
    frames = np.array([near.frame for near in nears])
    result: list[WitnessPoints] = []
    for run in np.split(np.arange(len(nears)), np.flatnonzero(np.diff(frames) > 3) + 1):
        depth = np.array([-nears[i].distance for i in run])
        sure = depth < SHALLOW
        if not sure.any():
            sure[depth.argmin()] = True
        known = np.stack([nears[i].normal for i in run[sure]])
        at = frames[run[sure]]
        for i, trusted in zip(run, sure, strict=True):
            if trusted:
                result.append(nears[i])
                continue
            normal = np.array([np.interp(frames[i], at, known[:, axis]) for axis in range(3)])
            length = float(np.linalg.norm(normal))
            if length < 0.3:
                nearest = int(np.abs(at - frames[i]).argmin())
                normal, length = known[nearest], 1.0
            result.append(replace(nears[i], normal=normal / length))
    return result

"""The path of the body over the floor, bent so that it passes through given places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

from nextscale_core.editing.ground_transform import turned

_KNOTS = 5
"""Frames between the knots of the change of path and heading."""

_SLOW = 0.3
"""Speed that is added to the body's own before a change of speed is compared with it [m/s]."""
_TURN = 0.3
"""Cost of turning by 1 rad/s against that of doubling the speed, of a body that walks at 1.2 m/s;
slower bodies turn less easily."""
_ACCELERATION, _TURN_ACCELERATION = 6.0, 12.0
"""Changes of acceleration that cost as much as doubling the speed [m/s2], [rad/s2]."""

_STEPS = 12
"""Steps in which the path is moved to its goals."""


@dataclass(frozen=True)
class RootGoal:
    """Where the body is to be in a frame.

    Attributes:
        frame: The frame.
        place: (2,) place of the pelvis [m]; None for any.
        yaw: Heading [rad]; None for any.
    """

    frame: int
    place: np.ndarray | None = None
    yaw: float | None = None


@dataclass(frozen=True)
class Bend:
    """A change of a path: in each frame a turn about the pelvis and a new place.

    Attributes:
        turn: (T,) change of the heading [rad].
        place: (T, 2) new places of the pelvis [m].
        cost: Integral of the squared relative changes [s]; 0 for an unchanged path.
    """

    turn: np.ndarray
    place: np.ndarray
    cost: float

    def __call__(self, joints: np.ndarray) -> np.ndarray:
        """Joints (T, 22, 3) moved along [m]."""
        pelvis = joints[:, :1] * [1.0, 1.0, 0.0]
        out = turned(joints - pelvis, np.repeat(self.turn[:, None], joints.shape[1], axis=1))
        out[..., :2] += self.place[:, None]
        return out


def bend_path(
    place: np.ndarray, yaw: np.ndarray, goals: Sequence[RootGoal], fixed: np.ndarray, fps: float
) -> Bend:
    """Bend a path through goals with the least change of its shape.

    The body turns with its path, as if it steered; what remains is a smooth offset that is the
    cheaper the faster the body moves. Both are splines, found by sequential quadratic programming
    while the goals move from the old path to where they are wanted.

    Args:
        place: (T, 2) places of the pelvis [m].
        yaw: (T,) headings [rad].
        goals: Goals in free frames.
        fixed: (T,) bool, frames that do not change; at least the first one.
        fps: Frames per second [Hz].

    Returns:
        The change; it meets the goals unless they exclude each other.
    """
    total = len(place)
    basis = _basis(total)
    basis = basis[:, np.abs(basis[fixed]).max(axis=0) < 1e-12]
    if not goals or not basis.shape[1]:
        return Bend(np.zeros(total), place.copy(), 0.0)
    steps = np.diff(place, axis=0)
    speed = np.linalg.norm(steps, axis=1) * fps
    inverse = _inverse_costs(basis, speed, fps)
    size = basis.shape[1]

    def path(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        turn, offset = basis @ values[:size], basis @ values[size:].reshape(2, size).T
        led = turned(np.c_[steps, np.zeros(total - 1)], 0.5 * (turn[1:] + turn[:-1]))[:, :2]
        way = place[0] + np.concatenate([np.zeros((1, 2)), led.cumsum(axis=0)])
        return turn, way + offset, led

    values = np.zeros(3 * size)
    begin, wanted = _ends(place, yaw, goals)
    for step in range(1, _STEPS + 6):
        share = min(step / _STEPS, 1.0)
        turn, way, led = path(values)
        now, slopes = _state_of(goals, turn, way, led, basis)
        aim = (1 - share) * begin + share * wanted - now + slopes @ values
        across = inverse @ slopes.T
        values = across @ np.linalg.lstsq(slopes @ across, aim, rcond=1e-9)[0]
    turn, way, _ = path(values)
    cost = float(values @ np.linalg.solve(inverse, values))
    return Bend(turn, way, cost)


def _basis(total: int) -> np.ndarray:
    """(T, n) cubic B-splines over the frames."""
    spans = max(total // _KNOTS, 1)
    inner = np.linspace(0.0, total - 1.0, spans + 1)
    knots = np.r_[[0.0] * 3, inner, [total - 1.0] * 3]
    at = np.arange(total, dtype=float)
    return np.asarray(BSpline.design_matrix(at, knots, 3).toarray())


def _inverse_costs(basis: np.ndarray, speed: np.ndarray, fps: float) -> np.ndarray:
    """(3n, 3n) inverse of the costs of turn, x and y."""
    rate, curve = np.diff(basis, axis=0) * fps, np.diff(basis, 2, axis=0) * fps**2
    ease = 1.0 / (speed + _SLOW)
    offset = (rate * ease[:, None]).T @ (rate * ease[:, None])
    offset += curve.T @ curve / _ACCELERATION**2
    wheel = _TURN * 1.5 * ease
    turn = (rate * wheel[:, None]).T @ (rate * wheel[:, None])
    turn += curve.T @ curve / _TURN_ACCELERATION**2
    size = basis.shape[1]
    out = np.zeros((3 * size, 3 * size))
    little = 1e-6 * np.eye(size)
    for n, block in enumerate((turn, offset, offset)):
        part = slice(n * size, (n + 1) * size)
        out[part, part] = np.linalg.inv(block / fps + little)
    return out


def _ends(
    place: np.ndarray, yaw: np.ndarray, goals: Sequence[RootGoal]
) -> tuple[np.ndarray, np.ndarray]:
    """Values of all goals on the old path, and as they are wanted."""
    begin: list[float] = []
    wanted: list[float] = []
    for goal in goals:
        if goal.place is not None:
            begin += place[goal.frame].tolist()
            wanted += np.asarray(goal.place).tolist()
        if goal.yaw is not None:
            begin.append(0.0)
            wanted.append(float((goal.yaw - yaw[goal.frame] + np.pi) % (2 * np.pi) - np.pi))
    return np.array(begin), np.array(wanted)


def _state_of(
    goals: Sequence[RootGoal],
    turn: np.ndarray,
    way: np.ndarray,
    led: np.ndarray,
    basis: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Values of all goals (G,) on a path, and their derivatives (G, 3n)."""
    size = basis.shape[1]
    middle = 0.5 * (basis[1:] + basis[:-1])
    values: list[float] = []
    slopes: list[np.ndarray] = []
    for goal in goals:
        at = basis[goal.frame]
        if goal.place is not None:
            done = led[: goal.frame]
            side = np.c_[-done[:, 1], done[:, 0]].T @ middle[: goal.frame]
            for axis in range(2):
                row = np.zeros(3 * size)
                row[:size] = side[axis]
                row[(axis + 1) * size : (axis + 2) * size] = at
                values.append(float(way[goal.frame, axis]))
                slopes.append(row)
        if goal.yaw is not None:
            values.append(float(turn[goal.frame]))
            slopes.append(np.r_[at, np.zeros(2 * size)])
    return np.array(values), np.array(slopes)

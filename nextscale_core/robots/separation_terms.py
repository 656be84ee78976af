"""Bodies that must move apart, as rows of the equations of a whole clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.robots.forward import Frames
from nextscale_core.robots.kinematics import Kinematics


@dataclass(frozen=True)
class SeparationTerm:
    """Two bodies that must move apart in one frame.

    Attributes:
        frame: Which frame.
        first: The first body, -1 for the base.
        second: The second body.
        at_first: (3,) witness point on the first body, in its frame [m].
        at_second: (3,) witness point on the second body [m].
        normal: (3,) world direction from the first body to the second.
        separation: Wanted distance from the first point to the second along the normal [m].
    """

    frame: int
    first: int
    second: int
    at_first: np.ndarray
    at_second: np.ndarray
    normal: np.ndarray
    separation: float


class SeparationRows:
    """Hinges of a clip, stacked.

    Args:
        kinematics: The robot's.
        hinges: At least one, in any order.
        frames: (F,) ascending frames that the equations are about; others' hinges are left out.
    """

    def __init__(
        self, kinematics: Kinematics, hinges: Sequence[SeparationTerm], frames: np.ndarray
    ):
        known = set(frames.tolist())
        kept = sorted((h for h in hinges if h.frame in known), key=lambda hinge: hinge.frame)
        self._frame = np.searchsorted(frames, np.array([hinge.frame for hinge in kept], dtype=int))
        self._body = np.array([[h.first + 1, h.second + 1] for h in kept], dtype=int).reshape(-1, 2)
        at = np.array([[h.at_first, h.at_second] for h in kept]).reshape(-1, 2, 3)
        self._at = np.stack(
            [kinematics.tree.local(self._body[:, n], at[:, n]) for n in (0, 1)], axis=1
        )
        self._normal = np.array([hinge.normal for hinge in kept]).reshape(-1, 3)
        self._separation = np.array([hinge.separation for hinge in kept])
        self._kinematics = kinematics
        moves = [kinematics.ancestors(body) for body in range(-1, kinematics.bodies)]
        first, second = (np.stack(moves)[self._body[:, n]].astype(float) for n in (0, 1))
        self._moved = np.stack([-first, second], axis=1)

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def joints(self) -> np.ndarray:
        """(J,) True for the joints that move the bodies of a hinge relative to each other."""
        return self._kinematics.commanded(np.asarray((self._moved.sum(1) != 0).any(0)))

    def add_to(
        self,
        frames: Frames,
        joints: np.ndarray,
        weight: float,
        blocks: np.ndarray,
        gradient: np.ndarray,
    ) -> None:
        """Add weighted squares of (distance - wanted) to the equations.

        Moving the whole robot separates nothing, so the base has no part in it.

        Args:
            frames: Where base and joints are.
            joints: (A,) joints that are solved for.
            weight: Of the squares [1/m^2].
            blocks: (T, 6 + A, 6 + A) view of a band, see `Band`.
            gradient: (T, 6 + A).
        """
        t, normal, fold = self._frame, self._normal, self._kinematics.fold
        moving = joints if fold is None else np.flatnonzero(fold[:, joints].any(1))
        axes = frames.columns[moving + 1, 2][:, :, t]
        origins = frames.origin[moving + 1][:, :, t]
        row = np.zeros((len(moving), len(t)))
        value = -self._separation
        for n, sign in ((0, -1.0), (1, 1.0)):
            body = self._body[:, n]
            turned = (frames.columns[body, :, :, t] * self._at[:, n, :, None]).sum(1)
            point = turned + frames.origin[body, :, t]
            value = value + sign * (point * normal).sum(1)
            arm = point.T - origins
            bx, by, bz = arm[:, 0], arm[:, 1], arm[:, 2]
            nx, ny, nz = normal.T
            lever = (
                axes[:, 0] * (by * nz - bz * ny)
                + axes[:, 1] * (bz * nx - bx * nz)
                + axes[:, 2] * (bx * ny - by * nx)
            )
            row += lever * self._moved[:, n, moving].T
        if fold is not None:
            row = fold[np.ix_(moving, joints)].T @ row
        unique, begin, count = np.unique(t, return_index=True, return_counts=True)
        padded = np.zeros((len(unique), int(count.max()), len(joints) + 1))
        group = np.repeat(np.arange(len(unique)), count)
        place = np.arange(len(t)) - begin[group]
        padded[group, place, :-1] = row.T
        padded[group, place, -1] = value
        product = weight * (padded.transpose(0, 2, 1) @ padded)
        gradient[unique, 6:] += product[:, :-1, -1]
        blocks[unique, 6:, 6:] += product[:, :-1, :-1] * np.tri(len(joints)).T

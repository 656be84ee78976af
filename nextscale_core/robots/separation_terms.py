"""Terms of a whole-clip solve that move colliding bodies apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pinocchio as pin

from nextscale_core.robots.kinematics import Frames, Kinematics

SHALLOW = 0.012
"""Maximum penetration at which witness points give the direction out of a collision [m]."""


class WitnessPoints(NamedTuple):
    """Distance and nearest points of a pair of bodies in one frame of a clip.

    Attributes:
        frame: Row of the frame.
        distance: Between the bodies; negative where they overlap [m].
        normal: (3,) unit vector from the first to the second, in the world.
        points: Nearest points, each (3,) in the world [m].
        placements: World frames of both bodies.
    """

    frame: int
    distance: float
    normal: np.ndarray
    points: tuple[np.ndarray, np.ndarray]
    placements: tuple[pin.SE3, pin.SE3]


def steady(nears: list[WitnessPoints]) -> list[WitnessPoints]:
    """Give deep frames of each unbroken run the normals interpolated from its shallow frames.

    They are interpolated in the frame of the first body.
    """
    if all(near.distance > -SHALLOW for near in nears):
        return nears
    frames = np.array([near.frame for near in nears])
    result: list[WitnessPoints] = []
    for run in np.split(np.arange(len(nears)), np.flatnonzero(np.diff(frames) > 3) + 1):
        depth = np.array([-nears[i].distance for i in run])
        sure = depth < SHALLOW
        if not sure.any():
            sure[depth.argmin()] = True
        turns = [near.placements[0].rotation for near in nears]
        known = np.stack([nears[i].normal @ turns[i] for i in run[sure]])
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
            result.append(nears[i]._replace(normal=turns[i] @ normal / length))
    return result


class SeparationTerm(NamedTuple):
    """Two bodies to move apart in one frame.

    Attributes:
        frame: Row of the frame.
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
    """The separation terms of a clip, stacked.

    Args:
        kinematics: The robot's.
        terms: At least one, in any order.
        frames: (F,) ascending frames of the equations; terms of other frames are left out.
    """

    def __init__(self, kinematics: Kinematics, terms: Sequence[SeparationTerm], frames: np.ndarray):
        known = set(frames.tolist())
        kept = sorted((t for t in terms if t.frame in known), key=lambda term: term.frame)
        self._frame = np.searchsorted(frames, np.array([term.frame for term in kept], dtype=int))
        self._body = np.array([[t.first + 1, t.second + 1] for t in kept], dtype=int).reshape(-1, 2)
        at = np.array([[t.at_first, t.at_second] for t in kept]).reshape(-1, 2, 3)
        self._at = np.stack(
            [kinematics.tree.local(self._body[:, n], at[:, n]) for n in (0, 1)], axis=1
        )
        self._normal = np.array([term.normal for term in kept]).reshape(-1, 3)
        self._separation = np.array([term.separation for term in kept])
        self._kinematics = kinematics
        moves = [kinematics.ancestors(body) for body in range(-1, kinematics.bodies)]
        first, second = (np.stack(moves)[self._body[:, n]].astype(float) for n in (0, 1))
        self._moved = np.stack([-first, second], axis=1)

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Frame (S,), rows of both bodies in `Frames` (S, 2), points, normals and distances."""
        return self._frame, self._body, self._at, self._normal, self._separation

    @property
    def joints(self) -> np.ndarray:
        """(J,) True for joints that move the two bodies of a term relative to each other."""
        return self._kinematics.commanded(np.asarray((self._moved.sum(1) != 0).any(0)))

    def add_to(
        self,
        frames: Frames,
        joints: np.ndarray,
        weight: float,
        blocks: np.ndarray,
        gradient: np.ndarray,
    ) -> None:
        """Add the weighted squares of (distance - wanted distance) to the normal equations.

        The base is left out: moving the whole robot does not separate its bodies.

        Args:
            frames: World frames of base and joints.
            joints: (A,) joints that are solved for.
            weight: Of the squares [1/m^2].
            blocks: (T, 6 + A, 6 + A) diagonal blocks of the banded system, changed in place.
            gradient: (T, 6 + A), changed in place.
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

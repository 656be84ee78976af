"""Terms of a whole-clip solve that move colliding bodies apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.robots.kinematics import Frames, Kinematics

SHALLOW = 0.012
"""Maximum penetration at which witness points give the direction out of a collision [m]."""

_SIGNS = np.array([[-1.0], [1.0]])

_GAP = 3
"""Longest step between frames of one run of a collision [frames]."""


@dataclass(frozen=True)
class WitnessPoints:
    """Distances and nearest points of K pairs of bodies, each in one frame of a clip.

    Attributes:
        where: (K, 2) frame, and number of the pair.
        distance: (K,) between the bodies; negative where they overlap [m].
        normal: (K, 3) unit vectors from the first body to the second, in the turned frame of the
            first (see `Frames`).
        points: (K, 2, 3) nearest points, each in the turned frame of its body [m].
    """

    where: np.ndarray
    distance: np.ndarray
    normal: np.ndarray
    points: np.ndarray

    @classmethod
    def none(cls) -> WitnessPoints:
        """No pairs."""
        return cls(np.zeros((0, 2), int), np.zeros(0), np.zeros((0, 3)), np.zeros((0, 2, 3)))

    def __len__(self) -> int:
        return len(self.distance)

    def __getitem__(self, rows: np.ndarray) -> WitnessPoints:
        return WitnessPoints(*(part[rows] for part in vars(self).values()))

    def __add__(self, other: WitnessPoints) -> WitnessPoints:
        both = zip(vars(self).values(), vars(other).values(), strict=True)
        return WitnessPoints(*(np.concatenate(parts) for parts in both))

    def steady(self) -> np.ndarray:
        """(K, 3) normals, those of deep frames interpolated from the shallow ones of their run.

        Pairs are in order, and the frames of each ascend. The shortest way out of a deep collision
        may change sides from frame to frame; so each pair leaves on the side where it entered.
        """
        shallow = self.distance > -SHALLOW
        if shallow.all():
            return self.normal
        normals = self.normal.copy()
        frames, pairs = self.where.T
        begins = (np.diff(pairs) != 0) | (np.diff(frames) > _GAP)
        runs = np.cumsum(np.append(False, begins))
        for number in np.unique(runs[~shallow]):
            run = np.flatnonzero(runs == number)
            sure = shallow[run]
            if not sure.any():
                sure[self.distance[run].argmax()] = True
            known, deep = run[sure], run[~sure]
            mixed = np.stack(
                [np.interp(frames[deep], frames[known], track) for track in self.normal[known].T], 1
            )
            length = np.linalg.norm(mixed, axis=1)
            nearest = known[np.abs(frames[known] - frames[deep, None]).argmin(1)]
            clear = (length >= 0.3)[:, None]
            normals[deep] = np.where(
                clear, mixed / np.maximum(length, 0.3)[:, None], self.normal[nearest]
            )
        return normals


@dataclass(frozen=True)
class SeparationTerms:
    """S pairs of bodies to move apart, each in one frame.

    Attributes:
        frame: (S,) rows of the frames.
        body: (S, 2) rows of both bodies in `Frames`; 0 is the base.
        at: (S, 2, 3) a point on each body, in its turned frame [m].
        normal: (S, 3) world direction from the first body to the second.
        separation: (S,) wanted distance from the first point to the second along it [m].
    """

    frame: np.ndarray
    body: np.ndarray
    at: np.ndarray
    normal: np.ndarray
    separation: np.ndarray

    @classmethod
    def none(cls) -> SeparationTerms:
        """No pairs."""
        shapes = ((0, 2, 3), (0, 3), (0,))
        return cls(np.zeros(0, int), np.zeros((0, 2), int), *map(np.zeros, shapes))

    def __len__(self) -> int:
        return len(self.frame)


class SeparationRows:
    """The separation terms of a clip, stacked.

    Args:
        kinematics: The robot's.
        terms: In any order.
        frames: (F,) ascending frames of the equations; terms of other frames are left out.
    """

    def __init__(self, kinematics: Kinematics, terms: SeparationTerms, frames: np.ndarray):
        place = np.minimum(np.searchsorted(frames, terms.frame), len(frames) - 1)
        kept = np.flatnonzero(frames[place] == terms.frame)
        kept = kept[np.argsort(place[kept], kind="stable")]
        self._frame = place[kept]
        parts = (terms.body, terms.at, terms.normal, terms.separation)
        self._body, self._at, self._normal, self._separation = (part[kept] for part in parts)
        self._kinematics = kinematics
        self._moved = kinematics.moved[self._body] * _SIGNS

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

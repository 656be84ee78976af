"""Broad phase of collision checks: pairs of bodies that may touch, over all samples of a motion.

Almost all pairs are apart in almost all samples, and two cheap tests prove it: bounding spheres
that do not overlap, and separating planes. A plane that separates two bodies in one sample and is
fixed to the first of them separates them in most other samples too. No touching pair is missed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.kernels import kernels
from nextscale_core.robots.compiled_collisions import CompiledCollisions
from nextscale_core.robots.kinematics import Frames, Kinematics
from nextscale_core.robots.separation_terms import WitnessPoints

_FEW = 256
"""Maximum number of samples whose spheres are tested one by one."""

_GROUP = 4
"""Number of samples whose spheres are tested together in longer motions."""

_PLANES = 6
"""Number of planes of a pair that are kept for the next motion."""

_AT_ONCE = 1024
"""Number of samples in which the planes of all pairs are tested at once."""

_LOOKS = 500
"""Maximum number of plane tests per sample, over all pairs; the hardest motion needed 71."""

_FEW_LOOKS = 100_000
"""Number of plane tests that are allowed in addition, for motions with few samples."""

_SLACK = 1e-9
"""Rounding error of distances [m]."""

_ROUGHLY = 1e-5
"""Rounding error of squared distances in single precision [m^2]."""

Normal = Callable[[int, int], np.ndarray]
"""(sample, pair) -> (3,) direction from the first body of the pair to the second, in the world."""


@dataclass(frozen=True)
class _Plane:
    """A plane fixed to the first body of a pair.

    Attributes:
        normal: (3,) in that body's turned frame, towards the second body.
        beyond: Points further along the normal are apart from the first body [m].
    """

    normal: np.ndarray
    beyond: float


class BroadPhase:
    """Hulls and pairs, prepared for whole motions.

    Args:
        bodies: (L,) row in `Frames` of the body that carries each hull.
        vertices: (V, 3) of each hull, in the turned frame of its body (`ForwardKinematics.local`)
            [m].
        pairs: (P, 2) hulls.
        distance: (P,) distance below which the bodies of a pair touch [m].
    """

    def __init__(
        self,
        bodies: np.ndarray,
        vertices: Sequence[np.ndarray],
        pairs: np.ndarray,
        distance: np.ndarray,
    ):
        self._bodies, self._vertices, self._pairs = bodies, list(vertices), pairs
        self._distance = distance + _SLACK
        self._farthest = float(self._distance.max(initial=_SLACK))
        self._centre = np.stack([(v.min(0) + v.max(0)) / 2 for v in self._vertices])
        self._half = np.stack([(v.max(0) - v.min(0)) / 2 for v in self._vertices])
        self._radius = np.array(
            [
                np.linalg.norm(v - c, axis=1).max()
                for v, c in zip(self._vertices, self._centre, strict=True)
            ]
        )
        self._planes: dict[int, list[_Plane]] = {}
        self._compiled: CompiledCollisions | None = None

    def among(
        self, kinematics: Kinematics, positions: np.ndarray, normal: Normal, known: np.ndarray
    ) -> np.ndarray:
        """`suspects` of joint positions (N, J) [rad], by a compiled kernel where there is one."""
        count, compiled = len(positions), self._in_library(kinematics)
        if compiled is not None:
            return compiled.suspects(positions, known, _FEW_LOOKS + _LOOKS * count)
        upright = np.broadcast_to(np.eye(3), (count, 3, 3))
        frames = kinematics.tree(np.zeros((count, 3)), upright, positions)
        found = self.suspects(frames, normal, map(tuple, known.tolist()))
        return np.array(found, dtype=int).reshape(-1, 2)

    def nearest(
        self, kinematics: Kinematics, positions: np.ndarray, where: np.ndarray
    ) -> WitnessPoints | None:
        """Distances and nearest points by a compiled kernel, NaN where it finds none.

        Args:
            kinematics: The robot's.
            positions: (N, J) [rad].
            where: (K, 2) sample and pair.

        Returns:
            None where there is no kernel.
        """
        compiled = self._in_library(kinematics)
        return None if compiled is None else compiled.nearest(positions, where)

    def _in_library(self, kinematics: Kinematics) -> CompiledCollisions | None:
        library = kernels()
        if library is None or not len(self._pairs):
            return None
        if self._compiled is None:
            parts = (self._bodies, self._vertices, self._pairs, self._distance)
            self._compiled = CompiledCollisions(library, kinematics, *parts, _PLANES)
        return self._compiled

    def copy(self) -> BroadPhase:
        """The same hulls and pairs, without planes of earlier motions."""
        other = copy.copy(self)
        other._planes, other._compiled = {}, None
        return other

    def forget(self) -> None:
        """Forget the planes of earlier motions."""
        self._planes.clear()
        self._compiled = None

    def suspects(
        self, frames: Frames, normal: Normal, known: Iterable[tuple[int, int]] = ()
    ) -> list[tuple[int, int]]:
        """(sample, pair) of everything that may touch, in the order of the samples.

        Where bodies overlap almost everywhere, as in noise, the search ends early: every pair that
        is left is then returned with one sample.

        Args:
            frames: The motion.
            normal: Direction in which a pair is furthest apart in a sample.
            known: (sample, pair) to leave out.
        """
        centre = frames.place(self._bodies, self._centre)
        found: list[tuple[int, int]] = []
        looks = _FEW_LOOKS + _LOOKS * centre.shape[-1]
        for pair, samples in self._unboxed(frames, self._near(centre), known):
            left = samples if looks < 0 else self._apart(frames, pair, samples)
            while len(left):
                looks -= len(left)
                if looks < 0:
                    found.append((int(left[0]), pair))
                    break
                middle = int(left[len(left) // 2])
                first = self._bodies[self._pairs[pair, 0]]
                own = frames.columns[first, :, :, middle] @ normal(middle, pair)
                plane = self._plane(pair, own)
                if not self._parted(frames, pair, plane, np.array([middle]))[0]:
                    found.append((middle, pair))
                    left = left[left != middle]
                    continue
                self._planes[pair] = [plane, *self._planes.get(pair, [])][:_PLANES]
                left = left[~self._parted(frames, pair, plane, left) & (left != middle)]
        return sorted(found)

    def _near(self, centre: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Pairs whose spheres overlap anywhere, and the samples in which they do."""
        count = centre.shape[-1]
        if count <= _FEW:
            meet = self._meet(centre, self._radius[:, None] + np.zeros(count))
            return [
                (int(pair), np.flatnonzero(meet[:, one, other]))
                for pair, (one, other) in self._overlapping(meet)
            ]
        begins = np.arange(0, count, _GROUP)
        middle = centre[:, :, np.minimum(begins + _GROUP // 2, count - 1)]
        way = centre - np.repeat(middle, _GROUP, axis=2)[:, :, :count]
        moved = np.maximum.reduceat((way * way).sum(1), begins, axis=1)
        meet = self._meet(middle, self._radius[:, None] + np.sqrt(moved))
        result = []
        for pair, (one, other) in self._overlapping(meet):
            samples = np.flatnonzero(np.repeat(meet[:, one, other], _GROUP)[:count])
            gap = centre[one][:, samples] - centre[other][:, samples]
            limit = self._radius[one] + self._radius[other] + self._distance[pair]
            samples = samples[(gap * gap).sum(0) < limit * limit]
            if len(samples):
                result.append((int(pair), samples))
        return result

    def _meet(self, centre: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """(S, L, L) whether spheres (L, 3, S) of radii (L, S) are nearer than the distance."""
        # |a|^2 + |b|^2 - 2 a b - (r_a + r_b)^2, as one product of matrices.
        c = centre.transpose(2, 0, 1).astype(np.float32)
        r = reach.T[..., None].astype(np.float32) + np.float32(self._farthest / 2)
        square, one = (c * c).sum(-1, keepdims=True) - r * r, np.ones_like(r)
        left = np.concatenate([-2 * c, -2 * r, square, one], axis=-1)
        right = np.concatenate([c, r, one, square], axis=-1)
        return np.asarray(left @ right.transpose(0, 2, 1) < _ROUGHLY)

    def _overlapping(self, meet: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Number and hulls of the pairs whose spheres overlap in any sample."""
        ever = np.logical_or.reduce(meet, axis=0)
        numbers = np.flatnonzero(ever[self._pairs[:, 0], self._pairs[:, 1]])
        return [(int(number), self._pairs[number]) for number in numbers]

    def _unboxed(
        self,
        frames: Frames,
        near: list[tuple[int, np.ndarray]],
        known: Iterable[tuple[int, int]],
    ) -> list[tuple[int, np.ndarray]]:
        """The pairs and samples that no kept plane separates from the bounding box."""
        alive = np.zeros((len(near), frames.origin.shape[-1]), dtype=bool)
        for row, (_, samples) in enumerate(near):
            alive[row, samples] = True
        row_of = {pair: row for row, (pair, _) in enumerate(near)}
        for sample, pair in known:
            if pair in row_of:
                alive[row_of[pair], sample] = False
        for number in range(_PLANES):
            rows = np.array(
                [
                    row
                    for row in np.flatnonzero(alive.any(1))
                    if len(self._planes.get(near[row][0], [])) > number
                ],
                dtype=int,
            )
            if not len(rows):
                break
            pairs = np.array([near[row][0] for row in rows])
            planes = [self._planes[pair][number] for pair in pairs]
            for begin in range(0, alive.shape[1], _AT_ONCE):
                part = slice(begin, begin + _AT_ONCE)
                alive[rows, part] &= ~self._boxed(frames, pairs, planes, part)
            if number:
                for row, pair in zip(rows, pairs, strict=True):
                    if not alive[row].any():  # the most useful plane first
                        self._planes[pair].insert(0, self._planes[pair].pop(number))
        return [
            (pair, np.flatnonzero(left))
            for (pair, _), left in zip(near, alive, strict=True)
            if left.any()
        ]

    def _boxed(
        self, frames: Frames, pairs: np.ndarray, planes: list[_Plane], part: slice
    ) -> np.ndarray:
        """(P, S) True where a plane of each pair separates the bounding box of the second body."""
        one, other = self._pairs[pairs].T
        first, second = self._bodies[one], self._bodies[other]
        normal = np.array([plane.normal for plane in planes])[:, None]
        beyond = np.array([plane.beyond for plane in planes])[:, None]
        columns = frames.columns[..., part]
        count = columns.shape[-1]
        direction = (normal @ columns[first].reshape(len(pairs), 3, -1)).reshape(-1, 3, count)
        turned = (columns[second] * direction[:, None]).sum(2)
        shift = frames.origin[second, :, part] - frames.origin[first, :, part]
        room = (shift * direction).sum(1) - beyond
        room += (self._centre[other][:, None] @ turned)[:, 0]
        room -= (self._half[other][:, None] @ np.abs(turned))[:, 0]
        return np.asarray(room > 0)

    def _apart(self, frames: Frames, pair: int, samples: np.ndarray) -> np.ndarray:
        """The samples in which no kept plane separates the pair."""
        planes = self._planes.get(pair, [])
        for number, plane in enumerate(planes):
            if not len(samples):
                break
            parted = self._parted(frames, pair, plane, samples)
            if number and parted.any():  # the most useful plane first
                planes.insert(0, planes.pop(number))
            samples = samples[~parted]
        return samples

    def _plane(self, pair: int, own: np.ndarray) -> _Plane:
        """The plane that bounds the first body in a direction of its own frame."""
        farthest = float((self._vertices[self._pairs[pair, 0]] @ own).max())
        return _Plane(own, farthest + float(self._distance[pair]) * float(np.linalg.norm(own)))

    def _parted(self, frames: Frames, pair: int, plane: _Plane, samples: np.ndarray) -> np.ndarray:
        """(S,) True where a plane fixed to the first body separates the pair."""
        one, other = self._pairs[pair]
        first, second = self._bodies[one], self._bodies[other]
        at = slice(None) if len(samples) == frames.origin.shape[-1] else samples
        columns = frames.columns[first][:, :, at]
        direction = (plane.normal @ columns.reshape(3, -1)).reshape(3, -1)
        turned = (frames.columns[second][:, :, at] * direction).sum(1)
        shift = frames.origin[second][:, at] - frames.origin[first][:, at]
        room = (shift * direction).sum(0) - plane.beyond
        # The bounding box mostly suffices, and has fewer corners.
        parted = room + self._centre[other] @ turned - self._half[other] @ np.abs(turned) > 0
        unsure = np.flatnonzero(~parted)
        if len(unsure):
            nearest = (self._vertices[other] @ turned[:, unsure]).min(0)
            parted[unsure] = room[unsure] + nearest > 0
        return np.asarray(parted)

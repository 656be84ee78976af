"""The normal equations of all frames of a clip, written straight into LAPACK's band.

A keypoint is moved by the few joints of its limb only, so most of a dense Jacobian would be zeros.
Residuals are gathered by limb; each limb gives a small dense Jacobian, and its products go into
the band block by block. Three levers of one body that share a weight w are one rotation: they pull
like 2 L^2 w on the turn of the body, which takes 3 rows instead of 9.

Everything here has time as its last axis until a limb's Jacobian is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nextscale_core.robots.kinematics import Frames, Kinematics, lever_triples

_NEXT, _AFTER = (1, 2, 0), (2, 0, 1)


@dataclass(frozen=True)
class _Limb:
    """Rows and columns of one limb's Jacobian.

    Attributes:
        start: First line of the limb in the common buffer.
        lines: Rows of the Jacobian.
        width: Its columns in the buffer; the last one holds the residual.
        runs: (columns of the limb, columns of the equations) of each unbroken run.
        fold: (width, columns) from the joints of bodies to the commanded ones, where some joints
            mimic others.
    """

    start: int
    lines: int
    width: int
    runs: tuple[tuple[slice, slice], ...]
    fold: np.ndarray | None


@dataclass(frozen=True)
class _Pairs:
    """Derivatives of points by the joints of bodies: axis x (point[first] - point[second]).

    Attributes:
        row: Residual of each pair.
        body: Body row of the joint.
        first: Where the arm ends, among keypoints and then origins.
        second: Where it begins.
        to: (P, 3) or (P,) lines of the buffer.
    """

    row: np.ndarray
    body: np.ndarray
    first: np.ndarray
    second: np.ndarray
    to: np.ndarray


class Equations:
    """Structure of the equations for one choice of residuals.

    Args:
        kinematics: The robot's keypoints.
        first: (M,) keypoint rows, as in `Goals`.
        second: (M,) keypoint rows, -1 for a residual in the world.
        joints: (A,) joints that are solved for, ascending; all that move a keypoint of the goals.
        turns: Whether the weights of levers that belong together are equal.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        first: np.ndarray,
        second: np.ndarray,
        joints: np.ndarray,
        turns: bool,
    ):
        self._kinematics = kinematics
        self.joints = joints
        self.size = 6 + len(joints)
        self._first, self._second = first, second
        triples = lever_triples(kinematics, first, second) if turns else np.empty((0, 3), int)
        self._triples = triples
        self._points = np.setdiff1d(np.arange(len(first)), triples)
        self._arrange()

    def _arrange(self) -> None:
        k, keypoints = self._kinematics, len(self._kinematics.owner)
        # One unit is a point (3 lines), a turn (3 lines) or the height of a sole corner (1 line).
        units = [("point", int(row)) for row in self._points]
        units += [("turn", number) for number in range(len(self._triples))]
        units += [("height", number) for number in range(len(k.soles))]
        moved = np.stack([self._moved(kind, number) for kind, number in units])
        groups = _by_limb(moved)
        buffer = 0
        self._limbs: list[_Limb] = []
        place: dict[tuple[str, int], tuple[int, int]] = {}
        columns_of: dict[tuple[str, int], np.ndarray] = {}
        for members in groups:
            used = np.flatnonzero(moved[members].any(0))
            asked = np.flatnonzero(k.commanded(moved[members].any(0)))
            columns = np.concatenate([np.arange(6), 6 + np.searchsorted(self.joints, asked)])
            width = 6 + len(used) + 1
            height = 0
            for member in members:
                kind, _ = units[member]
                place[units[member]] = (buffer + height * width, width)
                columns_of[units[member]] = used
                height += 1 if kind == "height" else 3
            fold = None if k.fold is None else _fold(k.fold[np.ix_(used, asked)])
            self._limbs.append(_Limb(buffer, height, width, _runs(columns), fold))
            buffer += height * width
        self._buffer = buffer

        def lines(unit: tuple[str, int], column: int) -> list[int]:
            start, width = place[unit]
            return [start + width * line + column for line in range(3)]

        def pairs(kind: str) -> _Pairs:
            """Where `Frames` has the bodies; their origins follow the keypoints."""
            found: list[tuple[int, int, int, int, list[int]]] = []
            for unit in units:
                if unit[0] != kind:
                    continue
                one, other = self._ends(unit)
                for body in map(int, np.flatnonzero(self._moved(*unit))):
                    column = 6 + int(np.searchsorted(columns_of[unit], body))
                    a = one if k.carried[one, body] else keypoints + 1 + body
                    b = other if other >= 0 and k.carried[other, body] else keypoints + 1 + body
                    found.append((unit[1], body + 1, a, b, lines(unit, column)))
            if not found:
                none = np.empty(0, int)
                return _Pairs(none, none, none, none, np.empty((0, 3), int))
            parts = [np.array(part) for part in zip(*found, strict=True)]
            return _Pairs(*parts)

        def table(kind: str, column: int) -> np.ndarray:
            rows = [lines(unit, column) for unit in units if unit[0] == kind]
            return np.array(rows, dtype=int).reshape(-1, 3)

        def last(kind: str) -> np.ndarray:
            rows = [lines(unit, place[unit][1] - 1) for unit in units if unit[0] == kind]
            return np.array(rows, dtype=int).reshape(-1, 3)

        self._at = {
            kind: [*(table(kind, column) for column in range(6)), last(kind)]
            for kind in ("point", "turn", "height")
        }
        self._pairs = {kind: pairs(kind) for kind in ("point", "turn", "height")}
        self._one = self._first[self._points]
        other = self._second[self._points]
        self._in_world = np.flatnonzero(other < 0)
        self._other = np.where(other >= 0, other, keypoints)

    def _ends(self, unit: tuple[str, int]) -> tuple[int, int]:
        """Keypoints of a unit; -1 where it is in the world."""
        kind, number = unit
        if kind == "height":
            return int(self._kinematics.soles[number]), -1
        row = number if kind == "point" else int(self._triples[number, 0])
        return int(self._first[row]), int(self._second[row])

    def _moved(self, kind: str, number: int) -> np.ndarray:
        """(B,) bodies whose joints move a unit."""
        one, other = self._ends((kind, number))
        carried = self._kinematics.carried
        return carried[one] | carried[other] if other >= 0 else carried[one]

    def jacobian(
        self,
        frames: Frames,
        goal: np.ndarray,
        root: np.ndarray,
        ground: float,
    ) -> np.ndarray:
        """The weighted Jacobians and residuals of all limbs.

        Args:
            frames: Where base and joints are.
            goal: (M, 3, T) as in `Goals`, time last [m].
            root: (M, T) square roots of the weights.
            ground: Square root of the weight of sole corners below the floor.

        Returns:
            The buffer (lines, T) for `add_to`.
        """
        k = self._kinematics
        count = frames.origin.shape[-1]
        points = np.concatenate([frames.place(k.body, k.local), frames.origin])
        buffer = np.zeros((self._buffer, count))
        weight = root[self._points][:, None]
        arm = points[self._one] - points[self._other]
        residual = arm - goal[self._points]
        if len(self._in_world):
            residual[self._in_world] += frames.origin[0]
        at = self._at["point"]
        buffer[at[6]] = residual * weight
        arm *= weight
        for axis, (after, before) in enumerate(zip(_NEXT, _AFTER, strict=True)):
            # -skew(arm): turning about `axis` moves the point along the two others.
            buffer[at[3 + axis][:, after]] = -arm[:, before]
            buffer[at[3 + axis][:, before]] = arm[:, after]
            buffer[at[axis][self._in_world, axis]] = weight[self._in_world, 0]
        pairs = self._pairs["point"]
        if len(pairs.row):
            axes = frames.columns[pairs.body, 2]
            moved = _cross(axes, points[pairs.first] - points[pairs.second])
            moved *= root[pairs.row][:, None]
            buffer[pairs.to] = moved
        self._turns(frames, points, goal, root, buffer)
        self._heights(frames, points, ground, buffer)
        return buffer

    def _turns(
        self,
        frames: Frames,
        points: np.ndarray,
        goal: np.ndarray,
        root: np.ndarray,
        buffer: np.ndarray,
    ) -> None:
        if not len(self._triples):
            return
        lead = self._triples[:, 0]
        levers = points[self._first[self._triples]] - points[self._second[lead]][:, None]
        length = np.sqrt((levers[:, 0] ** 2).sum(1).mean(-1))[:, None, None]
        pull = -_cross(levers, goal[self._triples]).sum(1)
        weight = root[lead][:, None]
        strength = np.sqrt(2) * length * weight
        at = self._at["turn"]
        buffer[at[6]] = pull * weight / (np.sqrt(2) * length)
        for axis in range(3):
            buffer[at[3 + axis][:, axis]] = strength[:, 0]
        pairs = self._pairs["turn"]
        if len(pairs.row):
            buffer[pairs.to] = frames.columns[pairs.body, 2] * strength[pairs.row]

    def _heights(
        self,
        frames: Frames,
        points: np.ndarray,
        ground: float,
        buffer: np.ndarray,
    ) -> None:
        corners = points[self._kinematics.soles]
        sunk = corners[:, 2] < 0
        if not sunk.any():
            return
        weight = ground * sunk
        at = [lines[:, 0] for lines in self._at["height"]]
        buffer[at[6]] = corners[:, 2] * weight
        buffer[at[2]] = weight
        buffer[at[3]] = (corners[:, 1] - frames.origin[0, 1]) * weight
        buffer[at[4]] = -(corners[:, 0] - frames.origin[0, 0]) * weight
        pairs = self._pairs["height"]
        if len(pairs.row):
            axes = frames.columns[pairs.body, 2]
            arm = points[pairs.first] - points[pairs.second]
            rise = axes[:, 0] * arm[:, 1] - axes[:, 1] * arm[:, 0]
            buffer[pairs.to[:, 0]] = rise * weight[pairs.row]

    def add_to(self, blocks: np.ndarray, gradient: np.ndarray, buffer: np.ndarray) -> None:
        """Add the limbs' products to the blocks (T, m, m) of a band and the gradient (T, m)."""
        count = buffer.shape[1]
        for limb in self._limbs:
            lines = buffer[limb.start : limb.start + limb.lines * limb.width]
            rows = np.ascontiguousarray(lines.T).reshape(count, limb.lines, limb.width)
            if limb.fold is not None:
                rows = rows @ limb.fold
            # A copy: for a matrix and its own transpose NumPy takes a slower way.
            product = rows.transpose(0, 2, 1).copy() @ rows
            for here, there in limb.runs:
                gradient[:, there] += product[:, here, -1]
                triangle = np.tri(here.stop - here.start).T
                blocks[:, there, there] += product[:, here, here] * triangle
                for below, lower in limb.runs:
                    if below.start > here.start:
                        blocks[:, there, lower] += product[:, here, below]


def _fold(joints: np.ndarray) -> np.ndarray:
    """A limb's fold from that of its joints: base and residual stay."""
    count, columns = joints.shape
    fold = np.zeros((6 + count + 1, 6 + columns + 1))
    fold[:6, :6], fold[6:-1, 6:-1], fold[-1, -1] = np.eye(6), joints, 1.0
    return fold


def _by_limb(moved: np.ndarray) -> list[np.ndarray]:
    """Rows of (U, B) gathered so that few joints move each group."""
    order = np.argsort(-moved.sum(1), kind="stable")
    leaders: list[int] = []
    members: dict[int, list[int]] = {}
    for unit in order:
        inside = [leader for leader in leaders if not (moved[unit] & ~moved[leader]).any()]
        if inside:
            members[min(inside, key=lambda leader: moved[leader].sum())].append(int(unit))
        else:
            leaders.append(int(unit))
            members[int(unit)] = [int(unit)]
    return [np.array(sorted(members[leader])) for leader in leaders]


def _runs(columns: np.ndarray) -> tuple[tuple[slice, slice], ...]:
    """Unbroken runs of ascending columns: where they are in the limb, and in the equations."""
    cuts = np.flatnonzero(np.diff(columns) > 1) + 1
    bounds: Sequence[int] = [0, *map(int, cuts), len(columns)]
    return tuple(
        (slice(a, b), slice(int(columns[a]), int(columns[b - 1]) + 1)) for a, b in pairwise(bounds)
    )


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product over the last axis but one, time being the last."""
    result = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for axis, (after, before) in enumerate(zip(_NEXT, _AFTER, strict=True)):
        np.multiply(a[..., after, :], b[..., before, :], out=result[..., axis, :])
        result[..., axis, :] -= a[..., before, :] * b[..., after, :]
    return result

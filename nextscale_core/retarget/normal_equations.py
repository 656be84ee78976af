"""The normal equations of all frames of a clip, written straight into LAPACK's band.

A Gauss-Newton step d of a frame minimises sum_i w_i |r_i + J_i d|^2: it solves H d = -g with
H = sum_i w_i J_i^T J_i and g = sum_i w_i J_i^T r_i. Its unknowns are the velocity v and the rate
of turn w of the base in the world, and the rates q'_j of the joints. With the base at b, and axis
a_j and origin o_j of every joint j that carries a point p, the point moves by

    p' = v + w x (p - b) + sum_j a_j x (p - o_j) q'_j.

From this follow the rows of each kind of residual:

- `PointRows`: r = p_1 - p_2 - goal. Where joint j carries both points, its part of J is
  a_j x (p_1 - p_2). A residual in the world has no p_2.
- `TurnRows`: three levers l_k of one body, at right angles and of length L, with goals g_k and one
  weight u. A small turn t makes them l_k + t x l_k. Their cost sum_k u |l_k + t x l_k - g_k|^2 is
  2 u L^2 |t|^2 + 2 u t . sum_k (g_k x l_k), but for a constant, which is the cost of the residual
  sqrt(2 u) L t + sqrt(u / 2) / L sum_k (g_k x l_k): 3 rows instead of 9. The turn of the body is
  t = w + sum_j a_j q'_j.
- `HeightRows`: r = p_z of a sole corner below the floor, the z row of p'.

A keypoint is moved by the few joints of its limb only, so most of a dense Jacobian would be zeros.
Residuals are gathered by limb; each limb gives a small dense Jacobian, and its products go into
the band block by block. Everything has time as its last axis until a Jacobian is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nextscale_core.robots.kinematics import Frames, Kinematics, lever_triples

_NEXT, _AFTER = (1, 2, 0), (2, 0, 1)


@dataclass(frozen=True)
class _Clip:
    """Frames of a clip; goals and square roots of weights as in `NormalEquations.jacobian`."""

    frames: Frames
    points: np.ndarray
    goal: np.ndarray
    root: np.ndarray
    ground: float


class _Rows:
    """Residuals of one kind: which bodies move them, and where and how they are written.

    Args:
        kinematics: The robot's keypoints.
        first: (U,) keypoints.
        second: (U,) keypoints that these are relative to, -1 for the world.

    Attributes:
        height: Rows of each residual.
        moved: (U, B) True for the bodies whose joints move a residual.
    """

    height = 3

    def __init__(self, kinematics: Kinematics, first: np.ndarray, second: np.ndarray):
        self._kinematics, self._first, self._second = kinematics, first, second
        carried = kinematics.carried
        self._carries_second = carried[second] & (second >= 0)[:, None]
        self.moved = carried[first] | self._carries_second

    def write(self, buffer: np.ndarray, clip: _Clip) -> None:
        """Write residuals and derivatives into the buffer (lines, T) of all Jacobians."""
        raise NotImplementedError

    def residuals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First keypoints (U, 3), second ones (U,) and rows of the goals (U, 3)."""
        first, rows = self._keypoints()
        return (
            np.broadcast_to(first, (len(first), 3)),
            self._second,
            np.broadcast_to(rows, (len(first), 3)),
        )

    def _keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        """First keypoints and rows of the goals, each (U, 1) or (U, 3)."""
        return self._first[:, None], np.full((len(self._first), 1), -1)

    def arrange(self, start: np.ndarray, width: np.ndarray, column: np.ndarray) -> None:
        """Find the lines of the buffer that the derivatives go to.

        Args:
            start: (U,) first line of each residual.
            width: (U,) lines of one of its rows; the last one holds the residual itself.
            column: (U, B) place of a body's joint among the lines of a row.
        """
        lines = start[:, None] + width[:, None] * np.arange(self.height)
        self._base = [lines + axis for axis in range(6)]
        self._last = lines + width[:, None] - 1
        # One pair for each residual and joint. Its arm goes from the origin of the joint to the
        # first point, or to the second one from there, or between both where it carries both.
        self._row, body = np.nonzero(self.moved)
        origin = len(self._kinematics.owner) + 1 + body
        carries_first = self._kinematics.carried[self._first[self._row], body]
        self._to = np.where(carries_first, self._first[self._row], origin)
        carries_second = self._carries_second[self._row, body]
        self._from = np.where(carries_second, self._second[self._row], origin)
        self._axis = body + 1
        self._joint = lines[self._row] + column[self._row, body][:, None]


class PointRows(_Rows):
    """Points, or differences of points; `rows` (U,) are their rows of the goals."""

    def __init__(
        self, kinematics: Kinematics, first: np.ndarray, second: np.ndarray, rows: np.ndarray
    ):
        super().__init__(kinematics, first, second)
        self._rows = rows
        self._in_world = np.flatnonzero(second < 0)
        # The base, which follows the keypoints, stands for the world.
        self._other = np.where(second >= 0, second, len(kinematics.owner))

    def _keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        return self._first[:, None], self._rows[:, None]

    def write(self, buffer: np.ndarray, clip: _Clip) -> None:
        """Write residuals and derivatives."""
        frames, points, root = clip.frames, clip.points, clip.root
        weight, world = root[self._rows][:, None], self._in_world
        arm = points[self._first] - points[self._other]
        residual = arm - clip.goal[self._rows]
        if len(world):
            residual[world] += frames.origin[0]
        buffer[self._last] = residual * weight
        arm *= weight
        for axis, (after, before) in enumerate(zip(_NEXT, _AFTER, strict=True)):
            # Turning about `axis` moves the point along the two others.
            buffer[self._base[3 + axis][:, after]] = -arm[:, before]
            buffer[self._base[3 + axis][:, before]] = arm[:, after]
            buffer[self._base[axis][world, axis]] = weight[world, 0]
        if len(self._row):
            axes = frames.columns[self._axis, 2]
            moved = _cross(axes, points[self._to] - points[self._from])
            moved *= root[self._rows[self._row]][:, None]
            buffer[self._joint] = moved


class TurnRows(_Rows):
    """Orientations of bodies, each from three levers: keypoints (U, 3) and rows of the goals."""

    def __init__(
        self,
        kinematics: Kinematics,
        levers: np.ndarray,
        second: np.ndarray,
        triples: np.ndarray,
    ):
        super().__init__(kinematics, levers[:, 0], second)
        self._levers, self._triples = levers, triples

    def _keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        return self._levers, self._triples

    def write(self, buffer: np.ndarray, clip: _Clip) -> None:
        """Write residuals and derivatives."""
        points = clip.points
        if not len(self._triples):
            return
        levers = points[self._levers] - points[self._second][:, None]
        length = np.sqrt((levers[:, 0] ** 2).sum(1).mean(-1))[:, None, None]
        pull = -_cross(levers, clip.goal[self._triples]).sum(1)
        weight = clip.root[self._triples[:, 0]][:, None]
        strength = np.sqrt(2) * length * weight
        buffer[self._last] = pull * weight / (np.sqrt(2) * length)
        for axis in range(3):
            buffer[self._base[3 + axis][:, axis]] = strength[:, 0]
        if len(self._row):
            buffer[self._joint] = clip.frames.columns[self._axis, 2] * strength[self._row]


class HeightRows(_Rows):
    """Heights of the sole corners that are below the floor."""

    height = 1

    def __init__(self, kinematics: Kinematics):
        super().__init__(kinematics, kinematics.soles, np.full(len(kinematics.soles), -1))

    def write(self, buffer: np.ndarray, clip: _Clip) -> None:
        """Write residuals and derivatives."""
        frames, points = clip.frames, clip.points
        corners = points[self._first]
        sunk = corners[:, 2] < 0
        if not sunk.any():
            return
        weight = clip.ground * sunk
        at = [lines[:, 0] for lines in self._base]
        buffer[self._last[:, 0]] = corners[:, 2] * weight
        buffer[at[2]] = weight
        buffer[at[3]] = (corners[:, 1] - frames.origin[0, 1]) * weight
        buffer[at[4]] = -(corners[:, 0] - frames.origin[0, 0]) * weight
        axes = frames.columns[self._axis, 2]
        arm = points[self._to] - points[self._from]
        rise = axes[:, 0] * arm[:, 1] - axes[:, 1] * arm[:, 0]
        buffer[self._joint[:, 0]] = rise * weight[self._row]


@dataclass(frozen=True)
class _Limb:
    """Rows and columns of one limb's Jacobian.

    Attributes:
        start: First line of the limb in the common buffer.
        height: Rows of the Jacobian.
        width: Its columns in the buffer; the last one holds the residual.
        runs: (columns of the limb, columns of the equations) of each unbroken run.
        fold: (width, columns) from the joints of bodies to the commanded ones, where some joints
            mimic others.
    """

    start: int
    height: int
    width: int
    runs: tuple[tuple[slice, slice], ...]
    fold: np.ndarray | None


class NormalEquations:
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
        k = self._kinematics = kinematics
        self.joints, self.size = joints, 6 + len(joints)
        triples = lever_triples(k, first, second) if turns else np.empty((0, 3), int)
        rows = np.setdiff1d(np.arange(len(first)), triples)
        points = PointRows(k, first[rows], second[rows], rows)
        turned = TurnRows(k, first[triples], second[triples[:, 0]], triples)
        self._limbs: list[_Limb] = []
        self._kinds = kinds = (points, turned, HeightRows(k))
        moved = np.concatenate([kind.moved for kind in kinds])
        height = np.repeat([kind.height for kind in kinds], [len(kind.moved) for kind in kinds])
        start, width = np.empty(len(moved), int), np.empty(len(moved), int)
        column = np.zeros(moved.shape, int)
        self._lines, self._limb_of = 0, np.empty(len(moved), int)
        for number, members in enumerate(_by_limb(moved)):
            self._limb_of[members] = number
            used = np.flatnonzero(moved[members].any(0))
            asked = np.flatnonzero(k.commanded(moved[members].any(0)))
            wide, heights = 6 + len(used) + 1, height[members]
            start[members] = self._lines + wide * (np.cumsum(heights) - heights)
            width[members] = wide
            column[np.ix_(members, used)] = 6 + np.arange(len(used))
            columns = np.concatenate([np.arange(6), 6 + np.searchsorted(joints, asked)])
            fold = None if k.fold is None else _fold(k.fold[np.ix_(used, asked)])
            self._limbs.append(_Limb(self._lines, heights.sum(), wide, _runs(columns), fold))
            self._lines += wide * heights.sum()
        end = 0
        for kind in kinds:
            part, end = slice(end, end + len(kind.moved)), end + len(kind.moved)
            kind.arrange(start[part], width[part], column[part])

    def units(self) -> list[np.ndarray]:
        """The residuals for the compiled kernels: integers of kind, keypoints, goals and limb.

        Returns:
            (U,) kind in the order of this module's description, (U, 3) first keypoints, (U,)
            second keypoint or -1, (U, 3) rows of the goals, (U,) limb.
        """
        found = [kind.residuals() for kind in self._kinds]
        kind = np.repeat(np.arange(len(found)), [len(second) for _, second, _ in found])
        first, second, rows = (np.concatenate(part) for part in zip(*found, strict=True))
        parts = (kind, first, second, rows, self._limb_of)
        return [np.ascontiguousarray(part, np.int64) for part in parts]

    def jacobian(
        self, frames: Frames, goal: np.ndarray, root: np.ndarray, ground: float
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
        # Keypoints, then the origins of base and bodies.
        points = np.concatenate([frames.place(k.body, k.local), frames.origin])
        buffer = np.zeros((self._lines, points.shape[-1]))
        for kind in self._kinds:
            kind.write(buffer, _Clip(frames, points, goal, root, ground))
        return buffer

    def add_to(self, blocks: np.ndarray, gradient: np.ndarray, buffer: np.ndarray) -> None:
        """Add the limbs' products to the blocks (T, m, m) of a band and the gradient (T, m)."""
        count = buffer.shape[1]
        for limb in self._limbs:
            lines = buffer[limb.start : limb.start + limb.height * limb.width]
            rows = np.ascontiguousarray(lines.T).reshape(count, limb.height, limb.width)
            if limb.fold is not None:
                rows = rows @ limb.fold
            # A copy: NumPy is slower for a matrix and its own transpose.
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
    members: dict[int, list[int]] = {}
    for unit in np.argsort(-moved.sum(1), kind="stable"):
        inside = [leader for leader in members if not (moved[unit] & ~moved[leader]).any()]
        leader = min(inside, key=lambda leader: moved[leader].sum()) if inside else int(unit)
        members.setdefault(leader, []).append(int(unit))
    return [np.array(sorted(group)) for group in members.values()]


def _runs(columns: np.ndarray) -> tuple[tuple[slice, slice], ...]:
    """Unbroken runs of ascending columns: where they are in the limb, and in the equations."""
    bounds = [0, *(np.flatnonzero(np.diff(columns) > 1) + 1).tolist(), len(columns)]
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

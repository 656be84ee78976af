"""Shapes of the bodies of a model, and the sole of a foot: the lowest points of its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pinocchio as pin
from scipy.spatial import ConvexHull, QhullError

from nextscale_core.robots.description import at_zero, joint_places
from nextscale_core.robots.hulls import link_points
from nextscale_core.robots.profile import Sole
from nextscale_core.robots.shapes import Kind

_LAYER = 0.006
"""Height above the lowest point up to which points belong to the sole [m]."""

_INSET = 0.05
"""Share of a foot's length and width left out at each rounded edge."""

_LONGER, _STEEPEST = 1.5, 0.8
"""How much longer than a level sole a tilted one is, and its largest tilt [rad]."""


class Footprint(NamedTuple):
    """The sole of a left foot relative to the ankle, in the directions of the sole [m].

    Attributes:
        front: x of the front edge.
        back: x of the rear edge.
        low: z of the sole.
        middle: y of the middle.
        half_width: Half of the width.
        tilt: Height of the toe over the heel at the zero posture, as an angle [rad].
    """

    front: float
    back: float
    low: float
    middle: float
    half_width: float
    tilt: float

    def sole(self) -> Sole:
        """The sole at the zero posture, rounded."""
        turn = _about_y(self.tilt)
        middle = 0.0 if abs(self.middle) < 0.005 else self.middle
        ends = [turn @ (end, middle, self.low) for end in (self.front, self.back)]
        toe, heel = ((round(x, 4), round(y, 4), round(z, 4)) for x, y, z in np.array(ends).tolist())
        return Sole(toe=toe, heel=heel, half_width=round(self.half_width, 4))


def footprint(
    model: pin.Model, ankle: str, side: str, points: Mapping[str, np.ndarray]
) -> Footprint | None:
    """The sole of a foot with its toes, a right one mirrored; None without shapes.

    Args:
        model: Base with x forward and z up.
        ankle: Joint that carries the foot.
        side: 'left' or 'right'.
        points: From `body_points`.
    """
    names = [model.names[joint] for joint in model.subtrees[model.getJointId(ankle)]]
    parts = [points[name] for name in names if name in points]
    if not parts:
        return None
    foot = np.concatenate(parts) - joint_places(model)[ankle]
    foot = foot * [1.0, 1.0 if side == "left" else -1.0, 1.0]
    tilt = _tilt(foot[:, [0, 2]])
    foot = foot @ _about_y(tilt)
    low = float(foot[:, 2].min())
    sole = foot[foot[:, 2] < low + _LAYER]
    (back, right), (front, left) = sole[:, :2].min(0), sole[:, :2].max(0)
    length, width = float(front - back), float(left - right)
    return Footprint(
        front=float(front) - _INSET * length,
        back=float(back) + _INSET * length,
        low=low,
        middle=float(left + right) / 2,
        half_width=max(0.5 * width * (1 - 2 * _INSET), 0.01),
        tilt=tilt,
    )


def _about_y(tilt: float) -> np.ndarray:
    c, s = np.cos(tilt), np.sin(tilt)
    return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])


def _tilt(points: np.ndarray) -> float:
    """Tilt of a sole that does not lie level at zero, 0 for one that does [rad].

    Args:
        points: (P, 2) x and z of the foot [m].
    """
    try:
        points = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return 0.0
    tilts = np.arange(-_STEEPEST, _STEEPEST + 0.01, 0.02)

    def ends(tilt: float) -> tuple[float, float]:
        """Where the layer of the sole begins and ends along it [m]."""
        along, height = (points @ _about_y(tilt)[::2, ::2]).T
        layer = along[height < height.min() + _LAYER]
        return float(layer.min()), float(layer.max())

    lengths = np.array([np.ptp(ends(tilt)) for tilt in tilts])
    if lengths.max() < _LONGER * np.ptp(ends(0.0)):
        return 0.0
    near = float(tilts[lengths > 0.98 * lengths.max()].mean())
    along, height = (points @ _about_y(near)[::2, ::2]).T
    middle = np.mean(ends(near))
    # The edge of the hull below the middle of the sole.
    edges = [
        (height[a] + (middle - along[a]) * slope, slope)
        for a, b in combinations(range(len(points)), 2)
        if along[a] < middle < along[b] or along[b] < middle < along[a]
        for slope in [(height[b] - height[a]) / (along[b] - along[a])]
    ]
    return near + float(np.arctan(min(edges)[1])) if edges else near


def body_points(
    model: pin.Model,
    urdf: Path,
    mesh_dirs: Sequence[Path],
    mesh_up: str,
    problems: list[str],
) -> tuple[dict[str, np.ndarray], frozenset[str]]:
    """Points of the body of each joint, from collision shapes where there are any.

    A joint has the points of its visual shapes if neither it nor any joint behind it has collision
    shapes, such as feet and hands without any.

    Args:
        model: Base with x forward and z up.
        urdf: The description.
        mesh_dirs: Folders that `package://` is resolved in.
        mesh_up: See `UrdfSource`.
        problems: What is wrong with a shape is added here, and the shape left out.

    Returns:
        (P, 3) points by joint name, at zero in the base frame [m]; names of the joints whose
        points are visual.
    """
    points = _joint_points(model, urdf, mesh_dirs, mesh_up, problems)
    bare = {
        model.names[joint]
        for joint in range(2, model.njoints)
        if not any(model.names[behind] in points for behind in model.subtrees[joint])
    }
    if not bare:
        return points, frozenset()
    seen = seen_points(model, urdf, mesh_dirs, mesh_up)
    visual = bare & set(seen)
    return points | {joint: seen[joint] for joint in visual}, frozenset(visual)


def seen_points(
    model: pin.Model, urdf: Path, mesh_dirs: Sequence[Path], mesh_up: str
) -> dict[str, np.ndarray]:
    """(P, 3) points of the visual shapes of each joint, at zero in the base frame [m].

    Meshes that are missing or cannot be read are left out.
    """
    return _joint_points(model, urdf, mesh_dirs, mesh_up, [], ("visual",))


def _joint_points(
    model: pin.Model,
    urdf: Path,
    mesh_dirs: Sequence[Path],
    mesh_up: str,
    problems: list[str],
    kinds: Sequence[Kind] = ("collision", "visual"),
) -> dict[str, np.ndarray]:
    """(P, 3) points of the body of each joint, at zero in the base frame [m]."""
    data = at_zero(model)
    points: dict[str, list[np.ndarray]] = {}
    for link, shape in link_points(urdf, mesh_dirs, mesh_up, kinds, problems).items():
        number = model.getFrameId(link, pin.FrameType.BODY)
        place = data.oMf[number]
        carrier = model.names[model.frames[number].parentJoint]
        points.setdefault(carrier, []).append(shape @ place.rotation.T + place.translation)
    return {joint: np.concatenate(shapes) for joint, shapes in points.items()}


def mesh_up_of(model: pin.Model, urdf: Path, mesh_dirs: Sequence[Path]) -> Literal["z", "y"]:
    """'y' if COLLADA meshes that state Y_UP are nearer to their joints when turned, or 'z'.

    A body extends from its own joint to the next one; turned wrongly, it lies across.
    """
    if ".dae" not in urdf.read_text(encoding="utf-8", errors="replace").lower():
        return "z"
    gaps = {up: _gap(model, urdf, mesh_dirs, up) for up in ("z", "y")}
    return "y" if gaps["y"] < 0.7 * gaps["z"] else "z"


def _gap(model: pin.Model, urdf: Path, mesh_dirs: Sequence[Path], mesh_up: str) -> float:
    """Sum of the distances from bodies to the joints that they connect [m]."""
    place, names = joint_places(model), model.names
    total = 0.0
    for name, points in _joint_points(model, urdf, mesh_dirs, mesh_up, []).items():
        children = [one for n, one in enumerate(names) if n > 1 and names[model.parents[n]] == name]
        for end in (name, *children):
            total += float(np.linalg.norm(points - place[end], axis=1).min())
    return total

"""Visual geometry of a URDF for RViz: upright COLLADA meshes; shapes for a URDF without any."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pinocchio as pin

from nextscale_core.robots import Robot
from nextscale_core.robots.profile import SIDES
from nextscale_core.viz.links import SOLE_RADIUS, STICK_RADIUS

_Y_UP_TO_Z_UP = pin.rpy.rpyToMatrix(np.pi / 2, 0.0, 0.0)

_COLOR = "0.70 0.72 0.75 1"
"""Red, green, blue, alpha."""


def add_visual_geometry(root: Element, robot: Robot) -> None:
    """Add visual geometry to a URDF that has none.

    This is its collision geometry if at least half of the moving links have some, otherwise sticks
    from joint to joint, as in the viewer.

    Args:
        root: The URDF, changed in place; unchanged if it has visual geometry.
        robot: The robot that it describes.
    """
    if root.find("./link/visual/geometry/*") is not None:
        return
    solid = [
        link for link in root.iterfind("link") if link.find("collision/geometry/*") is not None
    ]
    if 2 * len(solid) >= robot.num_joints:
        for link in solid:
            for collision in link.findall("collision"):
                parts = [*collision.iterfind("origin"), *collision.iterfind("geometry")]
                _add_visual(link, copy.deepcopy(parts))
    else:
        _add_sticks(root, robot)


def turn_visual_meshes(root: Element, robot: Robot) -> None:
    """Rotate COLLADA meshes with y up if the profile demands it (`mesh_up: y`).

    RViz ignores their `<up_axis>`. Collision geometry stays unchanged: it is read by the profile.

    Args:
        root: The URDF, changed in place.
        robot: The robot that it describes.
    """
    if robot.profile.urdf.mesh_up != "y":
        return
    for visual in root.iterfind("link/visual"):
        mesh = visual.find("geometry/mesh")
        if mesh is None or not mesh.get("filename", "").lower().endswith(".dae"):
            continue
        rpy = np.array(_attribute(visual, "origin", "rpy", "0 0 0").split(), dtype=float)
        origin = visual.find("origin")
        if origin is None:
            origin = SubElement(visual, "origin")
        turned = pin.rpy.rpyToMatrix(rpy) @ _Y_UP_TO_Z_UP
        origin.set("rpy", _numbers(pin.rpy.matrixToRpy(turned)))


def _add_sticks(root: Element, robot: Robot) -> None:
    links = {link.get("name"): link for link in root.iterfind("link")}
    moved = {}
    for joint in root.iterfind("joint"):
        parent, child = (links[_attribute(joint, tag, "link")] for tag in ("parent", "child"))
        away = np.array(_attribute(joint, "origin", "xyz", "0 0 0").split(), dtype=float)
        _add_stick(parent, np.zeros(3), away, STICK_RADIUS)
        moved[joint.get("name")] = child
    sole = robot.profile.sole
    for side, mirror in zip(SIDES, ([1.0, 1.0, 1.0], [1.0, -1.0, 1.0]), strict=True):
        # Above the sole, because the stick has a radius.
        ends = 0.7 * np.array([sole.heel, sole.toe]) * mirror @ robot.upright[f"{side}_ankle"]
        _add_stick(moved[robot.profile.limb(side)["ankle"]], ends[0], ends[1], SOLE_RADIUS)


def _attribute(element: Element, tag: str, key: str, default: str = "") -> str:
    part = element.find(tag)
    return default if part is None else part.get(key, default)


def _add_stick(link: Element, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    """A cylinder between two points of a link [m], with a sphere at its end."""
    length = float(np.linalg.norm(end - start))
    _add_shape(link, end, np.zeros(3), "sphere", radius=radius)
    if length > 0:
        x, y, z = (end - start) / length
        angles = np.array([0.0, np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)])
        _add_shape(link, (start + end) / 2, angles, "cylinder", radius=radius, length=length)


def _add_shape(link: Element, xyz: np.ndarray, rpy: np.ndarray, kind: str, **sizes: float) -> None:
    origin = Element("origin", xyz=_numbers(xyz), rpy=_numbers(rpy))
    geometry = Element("geometry")
    SubElement(geometry, kind, {name: repr(size) for name, size in sizes.items()})
    _add_visual(link, [origin, geometry])


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _add_visual(link: Element, parts: Sequence[Element]) -> None:
    visual = SubElement(link, "visual")
    visual.extend(parts)
    material = SubElement(visual, "material", name="no_visual_geometry")
    SubElement(material, "color", rgba=_COLOR)

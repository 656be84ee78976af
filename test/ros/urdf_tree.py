"""Where robot_state_publisher places the links of a URDF, given /joint_states."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

Pose = tuple[np.ndarray, Rotation]


def link_poses(urdf: str, positions: Mapping[str, float]) -> dict[str, Pose]:
    """Pose of each link in the root link; links without a transform are left out.

    Args:
        urdf: The text of a description.
        positions: Of joints, as `/joint_states` has them [rad or m].
    """
    joints = ElementTree.fromstring(urdf).findall("joint")
    children = {child_of(joint) for joint in joints}
    roots = {joint.find("parent").get("link") for joint in joints} - children  # type: ignore[union-attr]
    poses: dict[str, Pose] = {str(roots.pop()): (np.zeros(3), Rotation.identity())}
    waiting = joints
    while waiting:
        later = []
        for joint in waiting:
            parent = joint.find("parent").get("link")  # type: ignore[union-attr]
            moved = _moved(joint, positions)
            if parent not in poses:
                later.append(joint)
            elif moved is not None:
                place, turn = poses[str(parent)]
                poses[child_of(joint)] = (place + turn.apply(moved[0]), turn * moved[1])
        if len(later) == len(waiting):
            break  # what hangs behind a joint without a position
        waiting = later
    return poses


def child_of(joint: ElementTree.Element) -> str:
    """Name of the link that a joint carries."""
    return str(joint.find("child").get("link"))  # type: ignore[union-attr]


def _moved(joint: ElementTree.Element, positions: Mapping[str, float]) -> Pose | None:
    """The child link in the parent link; None where the position is unknown."""
    place = _triple(joint.find("origin"), "xyz", "0 0 0")
    turn = Rotation.from_euler("xyz", _triple(joint.find("origin"), "rpy", "0 0 0"))
    if joint.get("type") == "fixed":
        return place, turn
    mimic = joint.find("mimic")
    if mimic is None:
        value = positions.get(str(joint.get("name")))
    else:
        leader = positions.get(str(mimic.get("joint")))
        factor, offset = (float(mimic.get(k, d)) for k, d in (("multiplier", 1), ("offset", 0)))
        value = None if leader is None else factor * leader + offset
    if value is None:
        return None
    axis = _triple(joint.find("axis"), "xyz", "1 0 0")
    axis = axis / np.linalg.norm(axis)
    if joint.get("type") == "prismatic":
        return place + turn.apply(value * axis), turn
    return place, turn * Rotation.from_rotvec(value * axis)


def _triple(element: ElementTree.Element | None, key: str, default: str) -> np.ndarray:
    text = default if element is None else element.get(key, default)
    return np.array(text.split(), dtype=float)

"""Orders of joints and bodies in files: depth first as in MuJoCo, breadth first as in Isaac Lab."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nextscale_core.robots.robot import Robot

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_ARM = (
    "shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow",
    "wrist_roll", "wrist_pitch", "wrist_yaw",
)  # fmt: skip
G1_JOINTS = tuple(
    f"{name}_joint"
    for name in (
        *(f"left_{part}" for part in _LEG),
        *(f"right_{part}" for part in _LEG),
        *("waist_yaw", "waist_roll", "waist_pitch"),
        *(f"left_{part}" for part in _ARM),
        *(f"right_{part}" for part in _ARM),
    )
)
"""The 29 joints of a Unitree G1 in MuJoCo's order."""


@dataclass(frozen=True)
class JointTree:
    """Joints that move, depth first in the order of the URDF file.

    Attributes:
        root: Root link.
        joints: Names of the joints.
        links: Link that each joint moves.
        depth: Number of joints that move between the root and each of them.
    """

    root: str
    joints: tuple[str, ...]
    links: tuple[str, ...]
    depth: tuple[int, ...]

    def breadth_first(self) -> tuple[int, ...]:
        """Index of the joints level by level, as PhysX and Isaac Lab sort them."""
        return tuple(sorted(range(len(self.joints)), key=self.depth.__getitem__))


def joint_tree(robot: Robot) -> JointTree:
    """The joints of the robot's model, including those that mimic others."""
    return _tree(robot.urdf_path, tuple(robot.model.names[2:]))


def commanded(robot: Robot) -> tuple[str, ...]:
    """The joints of `Robot.joint_names`, depth first in the order of the URDF file."""
    own = set(robot.joint_names)
    return tuple(name for name in joint_tree(robot).joints if name in own)


@lru_cache(maxsize=8)
def _tree(urdf: Path, moving: tuple[str, ...]) -> JointTree:
    joints = ElementTree.parse(urdf).getroot().findall("joint")
    ends = [
        (_end(joint, "parent"), _end(joint, "child"), joint.get("name", "")) for joint in joints
    ]
    children = {child for _, child, _ in ends}
    root = next(parent for parent, _, _ in ends if parent not in children)
    found: list[tuple[str, str, int]] = []

    def walk(link: str, depth: int) -> None:
        for parent, child, name in ends:
            if parent == link:
                if name in moving:
                    found.append((name, child, depth))
                walk(child, depth + (name in moving))

    walk(root, 0)
    names, links, depth = zip(*found, strict=True)
    return JointTree(root, names, links, depth)


def _end(joint: ElementTree.Element, end: str) -> str:
    element = joint.find(end)
    return "" if element is None else element.get("link", "")


def columns(wanted: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Index in `names` of each of the `wanted` names."""
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[name] for name in wanted], dtype=int)

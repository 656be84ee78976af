"""A small humanoid of boxes, written as a URDF: every part of it can be made wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_Triple = tuple[float, float, float]

# joint: (parent joint or '', place from it, axis, lower, upper) of the left side and the middle.
_MIDDLE: dict[str, tuple[str, _Triple, _Triple, float, float]] = {
    "waist_yaw": ("", (0.0, 0.0, 0.10), (0, 0, 1), -1.0, 1.0),
    "neck_yaw": ("waist_yaw", (0.0, 0.0, 0.40), (0, 0, 1), -1.0, 1.0),
}
_SIDE: dict[str, tuple[str, _Triple, _Triple, float, float]] = {
    "hip_yaw": ("", (0.0, 0.09, -0.05), (0, 0, 1), -0.8, 0.8),
    "hip_roll": ("hip_yaw", (0.0, 0.0, 0.0), (1, 0, 0), -0.6, 0.6),
    "hip_pitch": ("hip_roll", (0.0, 0.0, 0.0), (0, 1, 0), -2.0, 0.8),
    "knee": ("hip_pitch", (0.0, 0.0, -0.40), (0, 1, 0), -0.05, 2.3),
    "ankle_pitch": ("knee", (0.0, 0.0, -0.40), (0, 1, 0), -1.0, 0.8),
    "ankle_roll": ("ankle_pitch", (0.0, 0.0, 0.0), (1, 0, 0), -0.5, 0.5),
    "shoulder_pitch": ("waist_yaw", (0.0, 0.20, 0.32), (0, 1, 0), -3.0, 1.5),
    "shoulder_roll": ("shoulder_pitch", (0.0, 0.0, 0.0), (1, 0, 0), -0.3, 2.5),
    "shoulder_yaw": ("shoulder_roll", (0.0, 0.0, 0.0), (0, 0, 1), -1.5, 1.5),
    "elbow": ("shoulder_yaw", (0.0, 0.0, -0.28), (0, 1, 0), -2.3, 0.05),
    "wrist": ("elbow", (0.0, 0.0, -0.25), (1, 0, 0), -0.8, 0.8),
    "finger": ("wrist", (0.0, 0.0, -0.12), (1, 0, 0), -0.5, 0.5),
}
# joint: size and centre of the box it carries.
_BOXES: dict[str, tuple[_Triple, _Triple]] = {
    "": ((0.12, 0.20, 0.12), (0.0, 0.0, 0.0)),
    "waist_yaw": ((0.12, 0.26, 0.30), (0.0, 0.0, 0.18)),
    "neck_yaw": ((0.14, 0.14, 0.20), (0.0, 0.0, 0.14)),
    "hip_pitch": ((0.10, 0.10, 0.30), (0.0, 0.0, -0.20)),
    "knee": ((0.08, 0.08, 0.30), (0.0, 0.0, -0.20)),
    "ankle_roll": ((0.22, 0.08, 0.04), (0.04, 0.0, -0.05)),
    "shoulder_yaw": ((0.06, 0.06, 0.20), (0.0, 0.0, -0.14)),
    "elbow": ((0.05, 0.05, 0.18), (0.0, 0.0, -0.13)),
    "wrist": ((0.04, 0.06, 0.10), (0.0, 0.0, -0.06)),
    "finger": ((0.02, 0.02, 0.04), (0.0, 0.0, -0.02)),
}

PROFILE = """\
name: doll
parts:
  pelvis: base
  torso: waist_yaw_link
  left:
    hip: left_hip_pitch
    knee: left_knee
    ankle: left_ankle_roll
    shoulder: left_shoulder_roll
    elbow: left_elbow
    wrist: left_wrist
  right:
    hip: right_hip_pitch
    knee: right_knee
    ankle: right_ankle_roll
    shoulder: right_shoulder_roll
    elbow: right_elbow
    wrist: right_wrist
sole:
  toe: [0.14, 0.0, -0.07]
  heel: [-0.06, 0.0, -0.07]
  half_width: 0.035
min_stance_width: 0.14
nominal:
  "*_hip_pitch": -0.15
  "*_knee": 0.30
  "*_ankle_pitch": -0.15
  left_shoulder_roll: 0.2
  right_shoulder_roll: -0.2
  "*_elbow": -0.3
locked:
  "*_finger": 0.0
  neck_yaw: 0.0
"""


def toy_humanoid(
    folder: Path,
    *,
    turn: np.ndarray | None = None,
    names: Mapping[str, str] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    velocity: Mapping[str, float] | None = None,
    mass: float = 1.0,
    boxes: bool = True,
    floor: float | None = None,
    low: float = 0.0,
) -> Path:
    """Write the URDF.

    Args:
        folder: Where.
        turn: (3, 3) orientation of the standing doll in its root link.
        names: Other names of joints.
        limits: Other position limits, by the joint's first name.
        velocity: Other velocity limits, by the joint's first name.
        mass: Of every link.
        boxes: Whether links have shapes.
        floor: Height of the base above another root link, 'world'; None for no such link [m].
        low: How far the frame of the link 'base' is below the pelvis [m].
    """
    turn, middle = np.eye(3) if turn is None else turn, np.array([0.0, 0.0, low])
    joints: list[tuple[str, str, str, _Triple, _Triple, float, float]]
    joints = [("", "base", "", (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 0.0, 0.0)]
    joints += [(name, name, *rest) for name, rest in _MIDDLE.items()]
    for side, sign in (("left", 1), ("right", -1)):
        for name, (parent, place, axis, lower, upper) in _SIDE.items():
            low, high = (lower, upper) if sign > 0 or axis == (0, 1, 0) else (-upper, -lower)
            owner = f"{side}_{parent}" if parent in _SIDE else parent
            spot = (place[0], sign * place[1], place[2])
            joints.append((f"{side}_{name}", name, owner, spot, axis, low, high))
    parts = ['<robot name="doll">']
    if floor is not None:
        parts.append(
            '<link name="world"/><joint name="to_world" type="fixed"><parent link="world"/>'
            f'<child link="base"/><origin xyz="0 0 {floor:g}"/></joint>'
        )
    for name, kind, parent, place, axis, lower, upper in joints:
        called, above_base = (names or {}).get(name, name), np.zeros(3) if name else middle
        link = f"{called}_link" if name else "base"
        shape, body = "", kind if name else ""
        if body in _BOXES and boxes:
            size, centre = _BOXES[body]
            turned = np.abs(turn @ np.array(size))
            box = f'<origin xyz="{_xyz(turn @ (above_base + centre))}"/><geometry><box size="'
            shape = f'<collision>{box}{_xyz(turned)}"/></geometry></collision>'
        inertia = "".join(f'{k}="{0.01 * (k[1] == k[2])}" ' for k in _TENSOR)
        parts.append(
            f'<link name="{link}">{shape}<inertial><mass value="{mass}"/>'
            f'<origin xyz="{_xyz(turn @ above_base)}"/>'
            f"<inertia {inertia}/></inertial></link>"
        )
        if not name:
            continue
        above = f"{(names or {}).get(parent, parent)}_link" if parent else "base"
        origin = np.array(place) if parent else middle + place
        lower, upper = (limits or {}).get(name, (lower, upper))
        speed = (velocity or {}).get(name, 8.0)
        parts.append(
            f'<joint name="{called}" type="revolute"><parent link="{above}"/>'
            f'<child link="{link}"/><origin xyz="{_xyz(turn @ origin)}"/>'
            f'<axis xyz="{_xyz(turn @ np.array(axis))}"/>'
            f'<limit lower="{lower}" upper="{upper}" velocity="{speed}" effort="80"/></joint>'
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "doll.urdf"
    path.write_text("\n".join([*parts, "</robot>"]))
    return path


_TENSOR = ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")


def _xyz(values: np.ndarray) -> str:
    return " ".join(f"{value:g}" for value in values)


def toy_profile(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the doll's profile, with some of its text replaced."""
    text = PROFILE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "doll.yaml"
    path.write_text(text)
    return path

"""Humanoids of boxes with other body plans than the doll's, written as URDFs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

_Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """A joint and the box it carries.

    Attributes:
        parent: Joint before it, '' for the root link.
        at: Where it is in the robot that stands at zero, x forward, z up [m].
        axis: What it turns about there.
        lower: Position limit [rad].
        upper: Position limit [rad].
        to: Far end of the box it carries, None for no box [m].
        visual: Whether the box is only seen.
    """

    parent: str
    at: _Triple
    axis: _Triple
    lower: float
    upper: float
    to: _Triple | None = None
    visual: bool = False


X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_LEG = {
    "hip_yaw": Part("", (0.0, 0.1, 0.86), Z, -0.8, 0.8),
    "hip_roll": Part("hip_yaw", (0.0, 0.1, 0.86), X, -0.6, 0.6),
    "hip_pitch": Part("hip_roll", (0.0, 0.1, 0.86), Y, -2.0, 0.8, (0.0, 0.1, 0.5)),
    "knee": Part("hip_pitch", (0.0, 0.1, 0.46), Y, -0.05, 2.3, (0.0, 0.1, 0.12)),
    "ankle_pitch": Part("knee", (0.0, 0.1, 0.07), Y, -1.0, 0.8),
    "ankle_roll": Part("ankle_pitch", (0.0, 0.1, 0.07), X, -0.5, 0.5, (0.16, 0.1, 0.01)),
}
_SHOULDER = {
    "shoulder_pitch": Part("waist", (0.0, 0.2, 1.35), Y, -3.0, 1.5),
    "shoulder_roll": Part("shoulder_pitch", (0.0, 0.2, 1.35), X, -0.3, 2.5),
}
ARMS = {
    "wrist": _SHOULDER
    | {
        "shoulder_yaw": Part("shoulder_roll", (0.0, 0.2, 1.35), Z, -1.5, 1.5, (0.0, 0.2, 1.1)),
        "elbow": Part("shoulder_yaw", (0.0, 0.2, 1.07), Y, -2.3, 0.05, (0.0, 0.2, 0.86)),
        "wrist": Part("elbow", (0.0, 0.2, 0.82), X, -0.8, 0.8, (0.0, 0.2, 0.7)),
    },
    "elbow": _SHOULDER
    | {
        "shoulder_yaw": Part("shoulder_roll", (0.0, 0.2, 1.35), Z, -1.5, 1.5, (0.0, 0.2, 1.1)),
        "elbow": Part("shoulder_yaw", (0.0, 0.2, 1.07), Y, -2.3, 0.05, (0.0, 0.2, 0.77)),
    },
    "t_pose": {
        "shoulder_pitch": Part("waist", (0.0, 0.2, 1.35), Y, -3.0, 1.5),
        "shoulder_roll": Part("shoulder_pitch", (0.0, 0.24, 1.35), X, -1.7, 1.5),
        "arm_twist": Part("shoulder_roll", (0.0, 0.3, 1.35), Y, -2.2, 2.2, (0.0, 0.46, 1.35)),
        "elbow_turn": Part("arm_twist", (0.0, 0.5, 1.35), Z, -2.3, 0.05, (0.0, 0.76, 1.35)),
    },
    "clavicle": {
        "clavicle": Part("waist", (0.0, 0.05, 1.35), Z, -0.3, 0.3),
        "arm_1": Part("clavicle", (0.0, 0.22, 1.35), Y, -3.0, 1.5),
        "arm_2": Part("arm_1", (0.0, 0.22, 1.35), X, -0.3, 2.5),
        "arm_3": Part("arm_2", (0.0, 0.22, 1.28), Z, -1.5, 1.5, (0.0, 0.22, 1.1)),
        "arm_4": Part("arm_3", (0.0, 0.22, 1.08), Y, -2.3, 0.05, (0.0, 0.22, 0.9)),
        "arm_5": Part("arm_4", (0.0, 0.22, 0.95), Z, -1.5, 1.5),
        "arm_6": Part("arm_5", (0.0, 0.22, 0.84), X, -0.8, 0.8, (0.0, 0.22, 0.72)),
    },
}


def body(arms: str = "wrist", root: str = "pelvis") -> dict[str, Part]:
    """The joints of a humanoid, 'left_' and 'right_' before those of its limbs.

    Args:
        arms: A key of `ARMS`.
        root: 'pelvis' or 'chest', where legs hang behind the waist.
    """
    below, above = ("", "waist") if root == "pelvis" else ("waist", "")
    parts = {
        "waist": Part("", (0.0, 0.0, 1.0), Z, -1.0, 1.0),
        "neck": Part(above, (0.0, 0.0, 1.45), Z, -1.0, 1.0, (0.0, 0.0, 1.65)),
    }
    trunk = replace(parts["waist"], to=(0.0, 0.0, 1.4 if root == "pelvis" else 0.82))
    parts["waist"] = trunk
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, part in (_LEG | ARMS[arms]).items():
            parent = {"": below, "waist": above}.get(part.parent, f"{side}_{part.parent}")
            parts[f"{side}_{name}"] = _mirrored(replace(part, parent=parent), sign)
    return parts


def _mirrored(part: Part, sign: float) -> Part:
    def point(at: _Triple) -> _Triple:
        return at[0], sign * at[1], at[2]

    turned = sign < 0 and not part.axis[1]
    return replace(
        part,
        at=point(part.at),
        to=None if part.to is None else point(part.to),
        lower=-part.upper if turned else part.lower,
        upper=-part.lower if turned else part.upper,
    )


def write(
    folder: Path,
    parts: dict[str, Part],
    *,
    turn: np.ndarray | None = None,
    named: Callable[[str], str] = lambda name: name,
    before: str = "",
) -> Path:
    """Write the URDF.

    Args:
        folder: Where.
        parts: Joints, each after its parent.
        turn: (3, 3) orientation of the standing robot in its root link.
        named: What a joint is called; its link too, with '_link'.
        before: Type of a joint between an empty root link and the pelvis: 'fixed', 'floating'.
    """
    turn = np.eye(3) if turn is None else turn
    legs_on_root = any("hip" in name and not part.parent for name, part in parts.items())
    origin = np.array([0.0, 0.0, 0.93 if legs_on_root else 1.2])
    size = np.abs(turn @ [0.1, 0.16, 0.1])
    trunk = f'<geometry><box size="{_xyz(size)}"/></geometry>'
    text = ['<robot name="plan">', _link("base", trunk, "collision")]
    if before:
        text.append(
            f'<link name="world"/><joint name="to_world" type="{before}">'
            '<parent link="world"/><child link="base"/></joint>'
        )
    for name, part in parts.items():
        start = np.array(parts[part.parent].at) if part.parent else origin
        parent = f"{named(part.parent)}_link" if part.parent else "base"
        box = "" if part.to is None else _box(turn, np.subtract(part.to, part.at), "ankle" in name)
        text += [
            _link(f"{named(name)}_link", box, "visual" if part.visual else "collision"),
            f'<joint name="{named(name)}" type="revolute"><parent link="{parent}"/>'
            f'<child link="{named(name)}_link"/><axis xyz="{_xyz(turn @ part.axis)}"/>'
            f'<origin xyz="{_xyz(turn @ (np.array(part.at) - start))}"/>'
            f'<limit lower="{part.lower}" upper="{part.upper}" velocity="8" effort="80"/></joint>',
        ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.urdf"
    path.write_text("\n".join([*text, "</robot>"]))
    return path


def _link(name: str, shape: str, kind: str) -> str:
    shape = f"<{kind}>{shape}</{kind}>" if shape else ""
    return (
        f'<link name="{name}">{shape}<inertial><mass value="1"/><inertia ixx="0.01" ixy="0" '
        'ixz="0" iyy="0.01" iyz="0" izz="0.01"/></inertial></link>'
    )


def _box(turn: np.ndarray, to: np.ndarray, foot: bool) -> str:
    """A box from a joint to a point; a foot reaches a little backward too."""
    if foot:
        size, centre = np.array([0.22, 0.08, 0.04]), np.array([0.05, 0.0, to[2] + 0.02])
    else:
        size, centre = np.abs(to) + 0.05, np.array(to) / 2
        size -= 0.04 * (np.abs(to) > 0.1)
    return (
        f'<origin xyz="{_xyz(turn @ centre)}"/><geometry><box size="{_xyz(np.abs(turn @ size))}"/>'
        "</geometry>"
    )


def _xyz(values: np.ndarray) -> str:
    return " ".join(f"{value:g}" for value in values)

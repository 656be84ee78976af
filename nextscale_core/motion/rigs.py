"""Joint names of the rigs that BVH files come with, mapped onto the 22 joints.

The same word means different joints in different rigs: 'LeftShoulder' is the collar bone for
Mixamo and the shoulder for SMPL, 'LeftFoot' is the ankle for one and the ball of the foot for the
other. So a file is matched against whole rigs, and the one that explains most joints is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nextscale_core.exceptions import MotionFileError

_SIDES = {
    "left": ("left{}", "l{}", "{}left", "{}l"),
    "right": ("right{}", "r{}", "{}right", "{}r"),
}


@dataclass(frozen=True)
class _Rig:
    name: str
    limbs: dict[str, tuple[str, ...]]  # slot on each side -> names, without the side
    spine: tuple[str, ...]  # from the pelvis up; those that a file lacks are passed over
    pelvis: tuple[str, ...] = ("hips", "pelvis", "hip", "root")
    neck: tuple[str, ...] = ("neck", "neck1", "neck01", "lowerneck")
    head: tuple[str, ...] = ("head",)


_RIGS = (
    _Rig(
        "SMPL, HumanML3D or Xsens",
        {
            "hip": ("hip",), "knee": ("knee",), "ankle": ("ankle",), "foot": ("foot", "toe"),
            "collar": ("collar", "clavicle"), "shoulder": ("shoulder",), "elbow": ("elbow",),
            "wrist": ("wrist",),
        },
        ("spine", "spine1", "spine2", "spine3", "chest", "chest2", "chest3", "chest4"),
    ),
    _Rig(
        "Mixamo, LAFAN1 or CMU",
        {
            "hip": ("upleg",), "knee": ("leg",), "ankle": ("foot",), "foot": ("toebase", "toe"),
            "collar": ("shoulder",), "shoulder": ("arm",), "elbow": ("forearm",),
            "wrist": ("hand",),
        },
        ("lowerback", "spine", "spine1", "spine2", "spine3", "spine4", "chest"),
    ),
    _Rig(
        "Unity, VRM or Bandai-Namco",
        {
            "hip": ("upperleg",), "knee": ("lowerleg",), "ankle": ("foot",),
            "foot": ("toes", "toebase", "toe"), "collar": ("shoulder",),
            "shoulder": ("upperarm",), "elbow": ("lowerarm",), "wrist": ("hand",),
        },
        ("spine", "spine1", "spine2", "chest", "upperchest"),
    ),
    _Rig(
        "Blender or Unreal",
        {
            "hip": ("thigh",), "knee": ("shin", "calf"), "ankle": ("foot",),
            "foot": ("toe", "ball"), "collar": ("shoulder", "clavicle"),
            "shoulder": ("upperarm",), "elbow": ("forearm", "lowerarm"), "wrist": ("hand",),
        },
        (
            "spine", "spine1", "spine2", "spine3", "spine01", "spine02", "spine03", "spine04",
            "spine05", "chest",
        ),
    ),
    _Rig(
        "CMU's own bone names",
        {
            "hip": ("femur",), "knee": ("tibia",), "ankle": ("foot",), "foot": ("toes",),
            "collar": ("clavicle",), "shoulder": ("humerus",), "elbow": ("radius",),
            "wrist": ("wrist", "hand"),
        },
        ("lowerback", "upperback", "thorax"),
        head=("head", "upperneck"),
    ),
)  # fmt: skip

_REQUIRED_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class RigMatch:
    """Which joints of a file play which part.

    Attributes:
        rig: Name of the rig, for messages.
        joints: Our joint name ('pelvis', 'left_hip', ..., without the spine) -> index in the file.
        spine: Indices of the spine joints between pelvis and neck, from below.
    """

    rig: str
    joints: dict[str, int]
    spine: tuple[int, ...]


def match_rig(names: Sequence[str]) -> RigMatch:
    """Find the rig that explains a file's joint names best.

    Name spaces ('mixamorig:'), prefixes ('joint_', 'mixamorig_'), case and separators do not
    matter.

    Args:
        names: Joint names of the file.

    Raises:
        MotionFileError: no rig has its hips, knees, ankles, shoulders, elbows, wrists and a head
            or neck in the file; the message says what the nearest rig misses.
    """
    index: dict[str, int] = {}
    for number, name in enumerate(names):
        index.setdefault(_normalise(name), number)
    matches = [_match(rig, index) for rig in _RIGS]
    fewest_missing, match = min(
        ((_missing(match), match) for match in matches),
        key=lambda pair: (len(pair[0]), -len(pair[1].joints)),
    )
    if fewest_missing:
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise MotionFileError(
            f"the joint names fit no known rig ({'; '.join(rig.name for rig in _RIGS)}); nearest "
            f"is {match.rig}, which lacks {', '.join(fewest_missing)}; the file has: {shown}"
        )
    return match


def _normalise(name: str) -> str:
    bare = re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower())
    return re.sub(r"^(mixamorig\d*|joint|bip0?1|character\d*)(?=.)", "", bare)


def _match(rig: _Rig, index: dict[str, int]) -> RigMatch:
    joints: dict[str, int] = {}
    for part, alternatives in (("pelvis", rig.pelvis), ("neck", rig.neck), ("head", rig.head)):
        _take(joints, part, alternatives, index)
    for side, patterns in _SIDES.items():
        for part, alternatives in rig.limbs.items():
            spellings = [pattern.format(name) for name in alternatives for pattern in patterns]
            _take(joints, f"{side}_{part}", spellings, index)
    spine = tuple(index[name] for name in rig.spine if name in index)
    return RigMatch(rig.name, joints, spine)


def _take(
    joints: dict[str, int], part: str, spellings: Sequence[str], index: dict[str, int]
) -> None:
    found = next((index[name] for name in spellings if name in index), None)
    if found is not None:
        joints[part] = found


def _missing(match: RigMatch) -> list[str]:
    wanted = ["pelvis", *(f"{side}_{part}" for side in _SIDES for part in _REQUIRED_LIMBS)]
    missing = [part for part in wanted if part not in match.joints]
    if "head" not in match.joints and "neck" not in match.joints:
        missing.append("head or neck")
    return missing

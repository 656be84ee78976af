"""The SOMA skeleton: joint positions of Kimodo, and npz files of rotations of py-soma-x.

Kimodo stores positions without names. Files of py-soma-x have no bone lengths: those of the neutral
SOMA skeleton are used, whose joints have their x axis along the bone (against it on the right
side), and in the trunk x up, y forward and z left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.rig_clip import RigFile, RigJoints, rig_clip
from nextscale_core.motion.formats.smpl import checked_parameters
from nextscale_core.motion.formats.world_frame import FileFrame
from nextscale_core.motion.reading import ReadNote, ReadOptions
from nextscale_core.npz import number_in, numbers_in, text_in
from nextscale_core.rotations import exp

_TRUNK = (
    ("Hips", ""), ("Spine1", "Hips"), ("Spine2", "Spine1"), ("Chest", "Spine2"),
    ("Neck1", "Chest"), ("Neck2", "Neck1"), ("Head", "Neck2"), ("HeadEnd", "Head"),
    ("Jaw", "Head"), ("LeftEye", "Head"), ("RightEye", "Head"),
)  # fmt: skip
_FINGERS = ("Index", "Middle", "Ring", "Pinky")
_ENDS_OF_SHORT_HANDS = ("HandThumbEnd", "HandMiddleEnd")


def _chain(side: str, names: tuple[str, ...], base: str) -> Iterator[tuple[str, str]]:
    parents = (base, *(side + name for name in names[:-1]))
    return zip((side + name for name in names), parents, strict=True)


def _hand(side: str) -> Iterator[tuple[str, str]]:
    for finger, bones in (("Thumb", 3), *((finger, 4) for finger in _FINGERS)):
        chain = (*(f"Hand{finger}{bone + 1}" for bone in range(bones)), f"Hand{finger}End")
        yield from _chain(side, chain, f"{side}Hand")


def _joints(*, full: bool) -> RigJoints:
    joints = [pair for pair in _TRUNK if full or pair[0] != "HeadEnd"]
    for side in ("Left", "Right"):
        joints += _chain(side, ("Shoulder", "Arm", "ForeArm", "Hand"), "Chest")
        ends = ((f"{side}{name}", f"{side}Hand") for name in _ENDS_OF_SHORT_HANDS)
        joints += _hand(side) if full else ends
    leg = ("Leg", "Shin", "Foot", "ToeBase", *(("ToeEnd",) if full else ()))
    for side in ("Left", "Right"):
        joints += _chain(side, leg, "Hips")
    names = [name for name, _ in joints]
    parents = [names.index(parent) if parent else -1 for _, parent in joints]
    return RigJoints(names, parents, [False] * len(names))


SKELETONS = {77: _joints(full=True), 30: _joints(full=False)}
"""Number of joints -> hierarchy, in the order of the positions."""

SOMA_KEYS = ("poses", "transl", "joint_names")

_METRES = {"meters": 1.0, "centimeters": 0.01, "millimeters": 0.001}


def _limb(side: str, sign: float) -> dict[str, tuple[str, tuple[float, float, float]]]:
    chains = (
        ("Chest", ("Shoulder", "Arm", "ForeArm", "Hand"), (0.157, 0.289, 0.270)),
        ("Hips", ("Leg", "Shin", "Foot", "ToeBase", "ToeEnd"), (0.433, 0.424, 0.141, 0.068)),
    )
    roots = {"Shoulder": (0.234, 0.050, 0.016 * sign), "Leg": (-0.083, 0.022, 0.100 * sign)}
    bones: dict[str, tuple[str, tuple[float, float, float]]] = {}
    for trunk, names, lengths in chains:
        bones[side + names[0]] = (trunk, roots[names[0]])
        for parent, name, length in zip(names, names[1:], lengths, strict=False):
            bones[side + name] = (side + parent, (sign * length, 0.0, 0.0))
    return bones


_BONES: dict[str, tuple[str, tuple[float, float, float]]] = {
    "Hips": ("", (0.0, 0.0, 0.0)),
    "Spine1": ("Hips", (0.051, 0.0, 0.0)),
    "Spine2": ("Spine1", (0.072, 0.0, 0.0)),
    "Chest": ("Spine2", (0.073, 0.0, 0.0)),
    "Neck1": ("Chest", (0.264, 0.0, 0.0)),
    "Neck2": ("Neck1", (0.079, 0.0, 0.0)),
    "Head": ("Neck2", (0.067, 0.0, 0.0)),
    "HeadEnd": ("Head", (0.162, 0.0, 0.0)),
    **_limb("Left", 1.0),
    **_limb("Right", -1.0),
}
"""Joint -> its parent, and its place in the frame of the parent [m]."""

SOMA_JOINTS = tuple(dict.fromkeys(parent for parent, _ in _BONES.values() if parent))
"""Joints whose rotations a file must have."""


def soma_clip(path: Path, arrays: dict[str, np.ndarray], options: ReadOptions) -> MotionClip:
    """Motion of the arrays that `soma.io.save_soma_npz` writes.

    Args:
        path: The file, for messages.
        arrays: `poses` (T, J, 3) or (T, J, 3, 3), local rotations, absolute or, with
            `joint_orient` (J, 3, 3), relative to the T-pose; `transl` (T, 3) of the hips;
            `joint_names`, `unit`, and, where given, `fps`.
        options: The file's known properties.

    Raises:
        MotionFileError: missing or malformed arrays, or no rate in the file and in the options.
        InvalidMotionError: a body whose vertical is unclear.
    """
    if arrays["joint_names"].dtype.kind != "U" or arrays["joint_names"].ndim != 1:
        raise MotionFileError(f"{path}: 'joint_names' must be a list of texts")
    names = [str(name) for name in arrays["joint_names"]]
    missing = sorted(set(SOMA_JOINTS) - set(names))
    if missing:
        raise MotionFileError(
            f"{path}: 'joint_names' lacks joints of the SOMA body: {', '.join(missing[:6])}"
        )
    if options.fps is None and "fps" not in arrays:
        raise MotionFileError(f"{path} has no rate; give it (--fps)")
    rate = options.fps or number_in(path, arrays, "fps")
    if rate <= 0.0:
        raise MotionFileError(f"{path}: 'fps' must be a positive number, got {rate:g}")
    unit = text_in(path, arrays, "unit") or "meters"
    if unit not in _METRES:
        raise MotionFileError(f"{path}: 'unit' must be {', '.join(_METRES)}, got {unit!r}")
    local = _local(path, arrays, len(names))
    place = numbers_in(path, arrays, "transl")
    if place.shape != (len(local), 3):
        raise MotionFileError(
            f"{path}: 'transl' has shape {place.shape}; right is ({len(local)}, 3)"
        )
    place = checked_parameters(path, "transl", place) * _METRES[unit]
    positions = _positions(names, local, _orientations(path, arrays, names), place)
    note = ReadNote("joints", "rotations of SOMA on its neutral skeleton")
    file = RigFile(
        FileFrame("z", certain=False, floor_at_zero=False, has_forward=False), rate, notes=(note,)
    )
    order = list(_BONES)
    parents = [order.index(parent) if parent else -1 for parent, _ in _BONES.values()]
    ends = [name.endswith("End") for name in order]
    return rig_clip(RigJoints(order, parents, ends), positions, lambda _: None, file, options)


def _local(path: Path, arrays: dict[str, np.ndarray], count: int) -> np.ndarray:
    """(T, J, 3, 3) local rotations."""
    poses = numbers_in(path, arrays, "poses")
    if poses.ndim not in (3, 4) or poses.shape[1:] not in ((count, 3), (count, 3, 3)):
        raise MotionFileError(
            f"{path}: 'poses' has shape {poses.shape}; right is (T, {count}, 3) or "
            f"(T, {count}, 3, 3) for {count} joints"
        )
    if not len(poses):
        raise MotionFileError(f"{path}: 'poses' has no frame")
    poses = checked_parameters(path, "poses", poses)
    return exp(poses) if poses.ndim == 3 else poses


def _orientations(path: Path, arrays: dict[str, np.ndarray], names: list[str]) -> np.ndarray | None:
    """(J, 3, 3) orientation of each joint in T-pose, or None for absolute rotations."""
    if "joint_orient" not in arrays:
        if "absolute_pose" in arrays and not arrays["absolute_pose"].all():
            raise MotionFileError(
                f"{path}: rotations relative to the T-pose need the array 'joint_orient'"
            )
        return None
    orient = checked_parameters(path, "joint_orient", arrays["joint_orient"])
    # The root is dropped from the poses, not from this array.
    extra = len(orient) - len(names) if orient.ndim else -1
    if orient.shape[1:] != (3, 3) or extra not in (0, 1):
        raise MotionFileError(
            f"{path}: 'joint_orient' has shape {orient.shape}; right is ({len(names)}, 3, 3)"
        )
    return orient[extra:]


def _positions(
    names: list[str], local: np.ndarray, orient: np.ndarray | None, hips: np.ndarray
) -> np.ndarray:
    """(T, len(_BONES), 3) places of the joints [m]."""
    turned: dict[str, np.ndarray] = {}
    axes: dict[str, np.ndarray] = {}
    at: dict[str, np.ndarray] = {"Hips": hips}
    column = {name: index for index, name in enumerate(names)}
    root = local[:, column["Root"]] if "Root" in column else np.eye(3)
    for name, (parent, offset) in _BONES.items():
        if parent:
            at[name] = at[parent] + axes[parent] @ np.array(offset)
        if name not in SOMA_JOINTS:
            continue
        turned[name] = (turned[parent] if parent else root) @ local[:, column[name]]
        axes[name] = turned[name] if orient is None else turned[name] @ orient[column[name]]
    return np.stack([at[name] for name in _BONES], axis=1)

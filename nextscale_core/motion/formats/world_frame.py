"""Transformation of joint positions of any file to nextscale's frame: metres, z up, floor at z = 0.

Files rarely state their axes and units, and some are wrong. The body shows them: a human has a
known size, stands with the head above the feet most of the time, on a floor, with the toes in
front. Clear errors are corrected and reported; in doubt the file is believed, so that a body that
lies, crawls or stands on the hands stays as recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.formats.reference_poses import without_reference_pose
from nextscale_core.motion.reading import UNITS, ReadNote, ReadOptions
from nextscale_core.motion.skeleton import JOINT_INDEX, STANDARD_BONES, bone_lengths
from nextscale_core.rotations import yaw

_USUAL_BODY = 1.45  # ankle to head joint along the bones [m]
_BODY_RANGE = (0.7, 2.6)  # [m]
_BONE_VARIATION = 0.5  # maximum median change of a bone's length, as a share of it
_BONE_SHAPE = 1.6  # maximum median factor between a bone and its standard proportion
_BODY_CHAIN = ("left_ankle", "left_knee", "left_hip", "pelvis", "spine2", "neck", "head")
_MAX_FRAMES = 600  # evaluated frames

# Rotations from a file's axes to x forward, y left, z up, by the axis that points up.
_TURNS = {
    "z": np.eye(3),
    "-z": np.diag([1.0, -1.0, -1.0]),
    "y": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]),
}
_QUARTER = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # clockwise
_CANDIDATES = ("y", "z", "-y", "-z")  # no known tool writes files with x up

_UPRIGHT = 0.5  # minimum cosine between an upright spine and the vertical
_SOMETIMES, _MOSTLY, _NEARLY_ALWAYS = 0.2, 0.8, 0.95  # shares of the frames
_SUPPORT = 0.5  # maximum height above the floor of the lowest joint of a supported body [m]
# Heights of the lowest joints [m]:
_ON_FLOOR = 0.08  # maximum, above or below zero, of a body written with the floor at zero
_LYING_FLOOR = (-0.01, 0.1)  # of a body that lies on the floor
_FLOOR_RANGE = (-0.03, 0.5)  # of a body that lies on a bed or sinks into the floor
_FLOOR_SHIFT = (-0.15, 0.3)  # bodies beyond it in most frames are put on the floor
_NEVER_FLOOR = (-0.5, 1.2)  # bodies beyond it are in another axis
_PELVIS_THICKNESS = 0.04  # minimum height of the pelvis of a lying body [m]
_TURN_REPORTED = np.radians(5.0)  # minimum turn that is noted [rad]


@dataclass(frozen=True)
class FileFrame:
    """Conventions of a file format for positions.

    Attributes:
        up: Axis that points up, out of `UP_AXES`.
        certain: Whether files of the format keep to `up`; otherwise a standing body overrules it.
        unit: Length of the unit [m]; None if the format does not define it.
        floor_at_zero: Whether the format's floor is at a height of zero.
        has_forward: Whether the format defines the forward axis; otherwise the rest pose does, or
            quarter turns make the motion begin facing x.
    """

    up: str
    certain: bool = True
    unit: float | None = 1.0
    floor_at_zero: bool = True
    has_forward: bool = True


def to_world(
    joints: np.ndarray, frame: FileFrame, options: ReadOptions, rest: np.ndarray | None = None
) -> tuple[np.ndarray, list[ReadNote]]:
    """Bring positions to metres, x forward, y left, z up; heights stay as they are.

    Args:
        joints: (T, 22, 3) positions in the file's unit and axes, T >= 1.
        frame: Conventions of the format.
        options: Known properties of the file; they override the format.
        rest: (22, 3) rest pose of the file, in the same unit and axes. If it stands upright, it
            defines up and forward.

    Returns:
        (T', 22, 3) positions and notes; T' < T if frames of a reference pose were cut off.

    Raises:
        InvalidMotionError: not a human body, or one that shows neither the unit nor the vertical.
    """
    joints = np.asarray(joints, dtype=np.float64)
    notes: list[ReadNote] = []
    scale = _unit(joints, frame, options, notes)
    joints, rest = joints * scale, None if rest is None else rest * scale
    joints = without_reference_pose(joints, rest, notes)
    up = _up(joints, frame, options, rest, notes)
    if _is_mirrored(joints):
        left = _TURNS[up][1]
        mirror = np.eye(3) - 2.0 * np.outer(left, left)
        joints, rest = joints @ mirror, None if rest is None else rest @ mirror
        notes.append(
            ReadNote("mirrored", "knees and toes pointed backwards: axes taken as left-handed")
        )
    return joints @ _turn(joints, up, frame, rest, notes).T, notes


def in_world(clip: MotionClip, frame: FileFrame, options: ReadOptions) -> MotionClip:
    """A clip with a file's positions, brought to nextscale's frame and floor.

    Raises:
        InvalidMotionError: as `to_world`.
    """
    joints, notes = to_world(clip.joints, frame, options)
    if options.floor:
        joints = _on_floor(joints, notes)
    # After a cut at the start, contact labels would belong to other frames.
    contacts = clip.contacts if len(joints) == len(clip) else None
    return replace(clip, joints=joints, contacts=contacts, notes=(*clip.notes, *notes))


def _on_floor(joints: np.ndarray, notes: list[ReadNote]) -> np.ndarray:
    """Positions with the floor at z = 0; a floor near zero is left as it is."""
    lowest = joints[..., 2].min(axis=1)
    floor = float(np.percentile(lowest, 3.0))
    is_sunk = float(np.percentile(lowest, 70.0)) < _FLOOR_SHIFT[0]
    if not is_sunk and floor <= _FLOOR_SHIFT[1]:
        return joints
    notes.append(ReadNote("floor", f"the floor was at {floor:.2f} m: put to 0"))
    return joints - np.array([0.0, 0.0, floor])


def _rest_frame(rest: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Vertical axis and orientation of a rest pose of (22, 3) positions in any unit.

    Returns:
        The axis, out of `UP_AXES`, and the (3, 3) rotation to z up and facing x; None if the pose
        does not stand upright along an axis.
    """

    def at(name: str) -> np.ndarray:
        return np.asarray(rest[JOINT_INDEX[name]], dtype=np.float64)

    hips = 0.5 * (at("left_hip") + at("right_hip"))
    spine = _unit_vector(at("neck") - hips)
    legs = _unit_vector(hips - 0.5 * (at("left_ankle") + at("right_ankle")))
    up = _unit_vector(spine + legs)
    axis = int(np.abs(up).argmax())
    vertical = np.sign(up[axis]) * np.eye(3)[axis]
    left = at("left_hip") - at("right_hip")
    size = float(np.linalg.norm(left))
    left = left - (left @ vertical) * vertical
    if spine @ legs < 0.9 or up @ vertical < 0.95 or np.linalg.norm(left) < 0.9 * size or size <= 0:
        return None
    left = _unit_vector(left)
    name = ("-" if vertical[axis] < 0 else "") + "xyz"[axis]
    return name, np.stack([np.cross(left, vertical), left, vertical])


def _unit(
    joints: np.ndarray, frame: FileFrame, options: ReadOptions, notes: list[ReadNote]
) -> float:
    """Length of the file's unit, from the length of the body along its bones [m]."""
    body = _body_length(_sample(joints))
    given = options.metres_per_unit
    if given is not None:
        return given
    if frame.unit is not None and _BODY_RANGE[0] <= body * frame.unit <= _BODY_RANGE[1]:
        return frame.unit
    name, scale = min(
        UNITS.items(), key=lambda unit: abs(np.log(max(body, 1e-12) * unit[1] / _USUAL_BODY))
    )
    if not _BODY_RANGE[0] <= body * scale <= _BODY_RANGE[1]:
        raise InvalidMotionError(
            f"the body measures {body:.4g} units from ankle to head, which is not a human's size "
            f"in {', '.join(UNITS)}; give the unit (--unit NAME, or metres in a unit)"
        )
    notes.append(ReadNote("unit", f"unit taken as {name}: {body * scale:.2f} m from ankle to head"))
    return scale


def _body_length(joints: np.ndarray) -> float:
    """Distance from ankle to head joint along the bones.

    Raises:
        InvalidMotionError: the bones are not those of the 22 joints.
    """
    points = joints[:, [JOINT_INDEX[name] for name in _BODY_CHAIN]]
    body = float(np.median(np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(axis=-1)))
    bones = bone_lengths(joints)
    middle = np.maximum(np.median(bones, axis=0), 1e-12)
    spread = np.percentile(bones, 90, axis=0) - np.percentile(bones, 10, axis=0)
    shape = middle / max(body, 1e-12) / (STANDARD_BONES / _USUAL_BODY)
    off = float(np.exp(np.median(np.abs(np.log(shape)))))
    variation = float(np.median(spread / middle))
    if body > 0.0 and (variation > _BONE_VARIATION or off > _BONE_SHAPE):
        raise InvalidMotionError(
            f"the bones are not a human's: half of them change their length by {variation:.0%} or "
            f"more, or are off by a factor of {off:.1f}; the joints must be positions of the 22 of "
            "HumanML3D (SMPL) in their order"
        )
    return body


def _up(
    joints: np.ndarray,
    frame: FileFrame,
    options: ReadOptions,
    rest: np.ndarray | None,
    notes: list[ReadNote],
) -> str:
    """The axis that is up: given by the user, or from rest pose, format and motion."""
    if options.up != "auto":
        return options.up
    standing = None if rest is None else _rest_frame(rest)
    if standing is not None:
        frame = replace(frame, up=standing[0], certain=True)
    up = _vertical(joints, frame)
    if up != frame.up:
        notes.append(ReadNote("up", f"the body stands along {up}: {up} taken as up"))
    elif _view(_sample(joints), up).upright < _SOMETIMES:
        message = f"the body never stands with {up} up; if it does along another axis, give --up"
        notes.append(ReadNote("lying", message))
    return up


def _turn(
    joints: np.ndarray, up: str, frame: FileFrame, rest: np.ndarray | None, notes: list[ReadNote]
) -> np.ndarray:
    """(3, 3) rotation to z up, and to x forward if that is known."""
    standing = None if rest is None else _rest_frame(rest)
    if standing is not None and standing[0] == up:
        turn = standing[1]
        facing = float(yaw(turn @ _TURNS[up].T))
        if abs(facing) > _TURN_REPORTED:
            message = f"turned by {np.degrees(facing):.0f} degrees: the rest pose now faces x"
            notes.append(ReadNote("facing", message))
        return turn
    if frame.has_forward:
        return _TURNS[up]
    quarters = int(np.round(heading_yaw(joints[:1] @ _TURNS[up].T)[0] / (np.pi / 2)))
    if quarters:
        message = f"turned by {-90 * quarters} degrees: the motion now begins facing x"
        notes.append(ReadNote("facing", message))
    return np.linalg.matrix_power(_QUARTER, quarters % 4) @ _TURNS[up]


@dataclass(frozen=True)
class _View:
    """A motion with one of its axes up."""

    upright: float  # share of the frames with the spine upright and the head above the feet
    floor: float  # height of the lowest joints [m]
    pelvis: float  # median height [m]
    support: float  # share of the frames with a joint near that floor


def _view(joints: np.ndarray, up: str) -> _View:
    heights = joints @ _TURNS[up][2]
    lowest = heights.min(axis=1)
    floor = float(np.percentile(lowest, 3.0))
    spine = joints[:, JOINT_INDEX["neck"]] - joints[:, JOINT_INDEX["pelvis"]]
    cosine = (spine @ _TURNS[up][2]) / np.maximum(np.linalg.norm(spine, axis=-1), 1e-12)
    feet = heights[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]].max(axis=1)
    upright = (cosine > _UPRIGHT) & (heights[:, JOINT_INDEX["head"]] > feet)
    support = float((lowest < floor + _SUPPORT).mean())
    return _View(float(upright.mean()), floor, float(np.median(heights[:, 0])), support)


def _vertical(joints: np.ndarray, frame: FileFrame) -> str:
    """The axis that is up.

    The format's, if the body is sometimes upright along it. Otherwise the body lies, or the file
    violates the format: it does if the body is upright along another axis in nearly every frame,
    and has the floor at zero there but not along the format's axis, or hangs in the air along it.
    """
    seen = _sample(joints)
    own = _view(seen, frame.up)
    if own.upright >= _SOMETIMES:
        return frame.up
    views = {up: _view(seen, up) for up in _CANDIDATES if up != frame.up}
    up, other = max(views.items(), key=lambda view: view[1].upright)
    if other.upright < (_MOSTLY if frame.certain else 0.5):
        return frame.up
    if not frame.certain:
        return up
    is_on_floor = abs(other.floor) < _ON_FLOOR and other.support > _MOSTLY
    lies_on_floor = own.support > _MOSTLY and _LYING_FLOOR[0] < own.floor < _LYING_FLOOR[1]
    if lies_on_floor and own.pelvis > _PELVIS_THICKNESS:
        return frame.up
    in_range = not frame.floor_at_zero or _NEVER_FLOOR[0] < own.floor < _NEVER_FLOOR[1]
    if is_on_floor or own.support < 0.5 or not in_range:
        return up
    if not frame.floor_at_zero or _FLOOR_RANGE[0] < own.floor < _FLOOR_RANGE[1]:
        return frame.up
    raise InvalidMotionError(
        f"the body lies with its lowest joint at {own.floor:.2f} m if {frame.up} is up, and stands "
        f"if {up} is; give the axis (--up {frame.up} or --up {up})"
    )


def _is_mirrored(joints: np.ndarray) -> bool:
    """Whether knees and toes point backwards with respect to left and right hip.

    Without toes, which then lie at the ankles, the knees alone decide.
    """
    seen = _sample(joints)

    def at(name: str) -> np.ndarray:
        return seen[:, [JOINT_INDEX[f"{side}_{name}"] for side in ("left", "right")]]

    hips, knees, ankles, toes = at("hip"), at("knee"), at("ankle"), at("foot")
    # Forward is taken from the legs, as a body may bend over.
    forward = np.cross((hips[:, 0] - hips[:, 1])[:, None], hips - ankles)
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-12)
    toe = ((toes - ankles) * forward).sum(-1).ravel()
    bend = ((knees - 0.5 * (hips + ankles)) * forward).sum(-1).ravel()
    toe, bend = toe[np.abs(toe) > 0.03], bend[np.abs(bend) > 0.015]
    back = [float((values < 0).mean()) if len(values) >= 10 else 0.0 for values in (toe, bend)]
    if not len(toe):
        return back[1] > _NEARLY_ALWAYS
    return min(back) > _MOSTLY


def _sample(joints: np.ndarray) -> np.ndarray:
    """At most `_MAX_FRAMES` frames, evenly spaced."""
    return joints[:: -(-len(joints) // _MAX_FRAMES)]


def _unit_vector(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)

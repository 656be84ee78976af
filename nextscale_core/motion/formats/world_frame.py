"""Joint positions of any file, brought to nextscale's frame: metres, z up, floor at z = 0.

Files say little about their axes and units, and some are wrong. The body shows them: a human has a
size, stands with the head above the feet for most of the time, on a floor, and has the toes in
front. What it shows beyond doubt is put right and reported; where it leaves a doubt the file is
believed, so that somebody who lies, crawls or stands on the hands stays as recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.cleanup import STANDARD_BONES
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.formats.reference_poses import without_reference_pose
from nextscale_core.motion.reading import UNITS, ReadOptions, Remark
from nextscale_core.motion.skeleton import JOINT_INDEX, bone_lengths
from nextscale_core.rotations import yaw

_USUAL_BODY = 1.45  # ankle to head joint along the bones [m]
_BODY_RANGE = (0.7, 2.6)
_BONE_VARIATION = 0.5  # of its length, from frame to frame; bones of other joints vary more
_BONE_SHAPE = 1.6  # factor by which half of the bones may be off in a body's proportions
_BODY_CHAIN = ("left_ankle", "left_knee", "left_hip", "pelvis", "spine2", "neck", "head")
_MAX_FRAMES = 600  # that are looked at

# Rows of the rotation from the file's axes to x forward, y left, z up.
_TURNS = {
    "z": np.eye(3),
    "-z": np.diag([1.0, -1.0, -1.0]),
    "y": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "-y": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    "-x": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]),
}
_QUARTER = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # clockwise
_CANDIDATES = ("y", "z", "-y", "-z")  # nothing is known to be written with x up

_UPRIGHT = 0.5  # cosine of spine and vertical
_SOMETIMES, _MOSTLY, _NEARLY_ALWAYS = 0.2, 0.8, 0.95  # shares of the frames
_SUPPORT = 0.5  # a person on the floor has a joint that low, whatever the limbs do [m]
_ON_FLOOR = 0.08  # floor at zero as written by tools that put it there [m]
_LYING_FLOOR = (-0.01, 0.1)  # where the joints of somebody who lies on it are [m]
_PELVIS_THICKNESS = 0.04  # a pelvis that lies is not nearer to the floor [m]
_FLOOR_RANGE = (-0.03, 0.5)  # the same for beds, and for bodies that sink in [m]
_FLOOR_SHIFT = (-0.15, 0.3)  # a body that is beyond in most frames is put on the floor [m]
_NEVER_FLOOR = (-0.5, 1.2)
_TURN_REPORTED = np.radians(5.0)


@dataclass(frozen=True)
class FileFrame:
    """What a file format says of its positions.

    Attributes:
        up: Axis that points up, out of `UP_AXES`.
        certain: Whether the format's files keep to that; otherwise a body that stands says more.
        unit: Metres in a unit; None if the format does not say.
        floor_at_zero: Whether the format's floor is at a height of zero.
        has_forward: Whether the format says what is forward; otherwise the rest pose does, or the
            motion begins facing x as nearly as quarter turns allow.
    """

    up: str
    certain: bool = True
    unit: float | None = 1.0
    floor_at_zero: bool = True
    has_forward: bool = True


def to_world(
    joints: np.ndarray, frame: FileFrame, options: ReadOptions, rest: np.ndarray | None = None
) -> tuple[np.ndarray, list[Remark]]:
    """Bring positions to metres, x forward, y left, z up; heights stay as they are.

    Args:
        joints: (T, 22, 3) positions in the file's unit and axes, T >= 1.
        frame: What the format says.
        options: What the user says.
        rest: (22, 3) rest pose of the file, in the same unit and axes. If it stands upright, it
            says what is up and forward.

    Returns:
        (T', 22, 3) positions and what was assumed or changed; T' < T where frames of a reference
        pose were cut off.

    Raises:
        InvalidMotionError: no human body, or one that shows neither the unit nor the vertical.
    """
    joints = np.asarray(joints, dtype=np.float64)
    remarks: list[Remark] = []
    scale = _unit(joints, frame, options, remarks)
    joints, rest = joints * scale, None if rest is None else rest * scale
    joints = without_reference_pose(joints, rest, remarks)
    up = _up(joints, frame, options, rest, remarks)
    if _is_mirrored(joints):
        left = _TURNS[up][1]
        mirror = np.eye(3) - 2.0 * np.outer(left, left)
        joints, rest = joints @ mirror, None if rest is None else rest @ mirror
        remarks.append(
            Remark("mirrored", "knees and toes pointed backwards: axes taken as left-handed")
        )
    return joints @ _turn(joints, up, frame, rest, remarks).T, remarks


def in_world(clip: MotionClip, frame: FileFrame, options: ReadOptions) -> MotionClip:
    """A clip of a file's positions, brought to nextscale's frame.

    Raises:
        InvalidMotionError: as `to_world`.
    """
    joints, remarks = to_world(clip.joints, frame, options)
    if options.floor:
        joints = on_floor(joints, remarks)
    # Labels of a clip of which frames were cut off belong to other frames.
    contacts = clip.contacts if len(joints) == len(clip) else None
    return replace(clip, joints=joints, contacts=contacts, remarks=(*clip.remarks, *remarks))


def on_floor(joints: np.ndarray, remarks: list[Remark]) -> np.ndarray:
    """Positions with the floor at z = 0; a floor that is about there is left as it is."""
    lowest = joints[..., 2].min(axis=1)
    floor = float(np.percentile(lowest, 3.0))
    is_sunk = float(np.percentile(lowest, 70.0)) < _FLOOR_SHIFT[0]
    if not is_sunk and floor <= _FLOOR_SHIFT[1]:
        return joints
    remarks.append(Remark("floor", f"the floor was at {floor:.2f} m: put to 0"))
    return joints - np.array([0.0, 0.0, floor])


def _rest_frame(rest: np.ndarray) -> tuple[str, np.ndarray] | None:
    """The axis that is up in a rest pose, and the rotation that makes it face x.

    Args:
        rest: (22, 3) positions in any unit.

    Returns:
        A name in `UP_AXES` and a (3, 3) rotation; None if the pose is not that of a person who
        stands upright along one of the axes.
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
    joints: np.ndarray, frame: FileFrame, options: ReadOptions, remarks: list[Remark]
) -> float:
    """Metres in the file's unit, by the length of the body along its bones."""
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
            f"the body measures {body:.4g} units from ankle to head, which no human does in "
            f"{', '.join(UNITS)}; give the unit (--unit NAME, or metres in a unit)"
        )
    remarks.append(Remark("unit", f"unit taken as {name}: {body * scale:.2f} m from ankle to head"))
    return scale


def _body_length(joints: np.ndarray) -> float:
    """Ankle to head joint along the bones.

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
            f"the bones are no human's: half of them change their length by {variation:.0%} or "
            f"more, or are off by a factor of {off:.1f}; the joints must be positions of the 22 of "
            "HumanML3D (SMPL) in their order"
        )
    return body


def _up(
    joints: np.ndarray,
    frame: FileFrame,
    options: ReadOptions,
    rest: np.ndarray | None,
    remarks: list[Remark],
) -> str:
    """The axis that is up: given, or as rest pose, format and motion show it."""
    if options.up != "auto":
        return options.up
    standing = None if rest is None else _rest_frame(rest)
    if standing is not None:
        frame = replace(frame, up=standing[0], certain=True)
    up = _vertical(joints, frame)
    if up != frame.up:
        remarks.append(Remark("up", f"the body stands along {up}: {up} taken as up"))
    elif _view(_sample(joints), up).upright < _SOMETIMES:
        message = f"the body never stands with {up} up; if it does along another axis, give --up"
        remarks.append(Remark("lying", message))
    return up


def _turn(
    joints: np.ndarray,
    up: str,
    frame: FileFrame,
    rest: np.ndarray | None,
    remarks: list[Remark],
) -> np.ndarray:
    """(3, 3) rotation to z up, and to x forward as far as that is known."""
    standing = None if rest is None else _rest_frame(rest)
    if standing is not None and standing[0] == up:
        turn = standing[1]
        facing = float(yaw(turn @ _TURNS[up].T))
        if abs(facing) > _TURN_REPORTED:
            message = f"turned by {np.degrees(facing):.0f} degrees: the rest pose now faces x"
            remarks.append(Remark("facing", message))
        return turn
    if frame.has_forward:
        return _TURNS[up]
    quarters = int(np.round(heading_yaw(joints[:1] @ _TURNS[up].T)[0] / (np.pi / 2)))
    if quarters:
        message = f"turned by {-90 * quarters} degrees: the motion now begins facing x"
        remarks.append(Remark("facing", message))
    return np.linalg.matrix_power(_QUARTER, quarters % 4) @ _TURNS[up]


@dataclass(frozen=True)
class _View:
    """A motion seen with one of its axes up."""

    upright: float  # share of the frames with the spine upright and the head above the feet
    floor: float  # height of the lowest joints [m]
    pelvis: float  # median height [m]
    support: float  # share of the frames with a joint near that floor

    @property
    def is_on_floor(self) -> bool:
        return abs(self.floor) < _ON_FLOOR and self.support > _MOSTLY


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

    The format's, if the body is ever upright along it. Otherwise the body lies, or the format's
    rule was not kept. It was not if the body is upright along another axis in nearly every frame,
    and has the floor at zero there but not here, or hangs in the air here.
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
    lies_on_floor = own.support > _MOSTLY and _LYING_FLOOR[0] < own.floor < _LYING_FLOOR[1]
    if lies_on_floor and own.pelvis > _PELVIS_THICKNESS:
        return frame.up
    in_range = not frame.floor_at_zero or _NEVER_FLOOR[0] < own.floor < _NEVER_FLOOR[1]
    if other.is_on_floor or own.support < 0.5 or not in_range:
        return up
    if not frame.floor_at_zero or _FLOOR_RANGE[0] < own.floor < _FLOOR_RANGE[1]:
        return frame.up
    raise InvalidMotionError(
        f"the body lies with its lowest joint at {own.floor:.2f} m if {frame.up} is up, and stands "
        f"if {up} is; give the axis (--up {frame.up} or --up {up})"
    )


def _is_mirrored(joints: np.ndarray) -> bool:
    """Whether knees and toes point to the back, as left and right hip say where that is.

    Where the file has no toes, they lie at the ankles and the knees alone decide.
    """
    seen = _sample(joints)

    def at(name: str) -> np.ndarray:
        return seen[:, [JOINT_INDEX[f"{side}_{name}"] for side in ("left", "right")]]

    hips, knees, ankles, toes = at("hip"), at("knee"), at("ankle"), at("foot")
    # The legs' own frame: a body that bends over still has its toes in front of its legs.
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

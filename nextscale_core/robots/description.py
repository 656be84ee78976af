"""Pinocchio models of URDFs, and whether a profile fits them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.mimic import Mimic, with_followers
from nextscale_core.robots.profile import ALL_JOINTS, SIDES, UPPER_BODY, Axes, RobotProfile
from nextscale_core.robots.urdf import Urdf, read_urdf
from nextscale_core.yaml_files import nearest

REVOLUTE = ("JointModelRX", "JointModelRY", "JointModelRZ", "JointModelRevoluteUnaligned")
CONTINUOUS = ("JointModelRUBX", "JointModelRUBY", "JointModelRUBZ", "JointModelRUBUnaligned")
PRISMATIC = ("JointModelPX", "JointModelPY", "JointModelPZ", "JointModelPrismaticUnaligned")

_MAX_LENGTH = 100.0
"""Maximum distance of a joint from its parent; a longer one is in another unit [m]."""

_MIN_OFFSET = 0.005
"""Minimum distance between the origin of a joint and its limb that is corrected [m]."""

_Value = TypeVar("_Value")


def some(names: Sequence[str], shown: int = 6) -> str:
    """The first `shown` names, and the number of those left out."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def read_model(urdf: Path | Urdf) -> pin.Model:
    """The model of a URDF file with a floating base, without couplings of mimic joints.

    Raises:
        RobotError: the file cannot be read as a URDF.
    """
    if not isinstance(urdf, Urdf):
        urdf = read_urdf(urdf)
    model = urdf.model()
    for joint in range(2, model.njoints):
        far = np.abs(model.jointPlacements[joint].homogeneous).max()
        if not far < _MAX_LENGTH:
            raise RobotError(
                f"{urdf.path}: joint {model.names[joint]!r} is {far:g} m from its parent; a URDF "
                "is in metres, is this one in millimetres?"
            )
        if (
            model.joints[joint].nv == 1
            and not abs(np.linalg.norm(_motion(model, joint)) - 1) < 1e-6
        ):
            raise RobotError(
                f"{urdf.path}: the axis of joint {model.names[joint]!r} has no direction"
            )
    return model


def _motion(model: pin.Model, joint: int) -> np.ndarray:
    """(6,) linear and angular velocity of a joint with one degree of freedom at unit speed."""
    data = model.joints[joint].createData()
    model.joints[joint].calc(data, pin.neutral(model), np.zeros(model.nv))
    return np.asarray(data.S).reshape(-1)


def joint_axis(model: pin.Model, joint: int) -> np.ndarray:
    """(3,) axis of a revolute joint in its own frame."""
    return _motion(model, joint)[3:]


def at_zero(model: pin.Model) -> pin.Data:
    """Placements of joints and frames, and joint Jacobians, at the zero posture."""
    data = model.createData()
    pin.computeJointJacobians(model, data, pin.neutral(model))
    pin.updateFramePlacements(model, data)
    return data


def joint_places(model: pin.Model) -> dict[str, np.ndarray]:
    """(3,) origin of each joint at zero, from the base [m]."""
    data = at_zero(model)
    return {name: np.array(data.oMi[n].translation) for n, name in enumerate(model.names)}


def joint_names(model: pin.Model) -> list[str]:
    """Names of the joints behind the floating base, in pinocchio's order.

    That is each joint before those it carries, and the joints that one link carries by name,
    whatever their order in the file.
    """
    return list(model.names)[2:]


def link_names(model: pin.Model) -> set[str]:
    """Names of all links."""
    return {frame.name for frame in model.frames if frame.type == pin.FrameType.BODY}


def link_frame(model: pin.Model, link: str) -> pin.Frame:
    """The frame of a link, which may have the name of a joint."""
    return model.frames[model.getFrameId(link, pin.FrameType.BODY)]


def expand(table: Mapping[str, _Value], names: Collection[str]) -> dict[str, _Value]:
    """Value per joint of one of a profile's pattern tables; a later pattern takes precedence."""
    values: dict[str, _Value] = {}
    for pattern, value in table.items():
        values.update({name: value for name in names if fnmatchcase(name, pattern)})
    return values


def stand_up(model: pin.Model, axes: Axes) -> None:
    """Turn the base frame of a model so that x points forward and z up at the zero posture.

    The base frame keeps the origin of the root link; everything fixed to the root link is turned.

    Args:
        model: Changed in place.
        axes: Orientation of the root link at the zero posture.
    """
    turn = pin.SE3(axes.rotation(), np.zeros(3))
    if turn.isIdentity():
        return
    for joint in range(2, model.njoints):
        if model.parents[joint] == 1:
            model.jointPlacements[joint] = turn * model.jointPlacements[joint]
    for frame in model.frames:
        # The frame of the floating joint itself is the base.
        if frame.parentJoint == 1 and frame.type != pin.FrameType.JOINT:
            frame.placement = turn * frame.placement
    model.inertias[1] = turn.act(model.inertias[1])


def reduced(model: pin.Model, positions: Mapping[str, float]) -> pin.Model:
    """The model with some joints fixed at positions [rad].

    Raises:
        RobotError: all joints would be fixed.
    """
    if not positions:
        return model
    if len(positions) >= model.njoints - 2:
        raise RobotError("no joint is left that moves")
    reference = pin.neutral(model)
    for name, value in positions.items():
        joint = model.joints[model.getJointId(name)]
        if joint.shortname() in CONTINUOUS:
            reference[joint.idx_q : joint.idx_q + 2] = np.cos(value), np.sin(value)
        else:
            reference[joint.idx_q] = value
    with _unambiguous(model):
        fixed = [model.getJointId(name) for name in positions]
        smaller = pin.buildReducedModel(model, fixed, reference)
    for frame in smaller.frames:
        frame.name = frame.name.removesuffix(_LINK)
    return smaller


_LINK = " (link)"


@contextmanager
def _unambiguous(model: pin.Model) -> Iterator[None]:
    """Rename links that have the name of a joint, fixed ones too: pinocchio cannot reduce those."""
    joints = {frame.name for frame in model.frames if frame.type != pin.FrameType.BODY}
    renamed = [f for f in model.frames if f.type == pin.FrameType.BODY and f.name in joints]
    for frame in renamed:
        frame.name += _LINK
    try:
        yield
    finally:
        for frame in renamed:
            frame.name = frame.name.removesuffix(_LINK)


def part_frames(model: pin.Model, profile: RobotProfile) -> dict[str, int]:
    """Index of the frame of each body part: 'pelvis', 'torso', 'left_hip', ..."""
    frames = {
        part: model.getFrameId(getattr(profile, part), pin.FrameType.BODY)
        for part in ("pelvis", "torso")
    }
    for side in SIDES:
        for part, joint in profile.limb(side).items():
            kind = pin.FrameType.JOINT
            if not model.existFrame(joint, kind):
                # A joint that is locked or held becomes a fixed frame of its name.
                kind = pin.FrameType.FIXED_JOINT
            frames[f"{side}_{part}"] = model.getFrameId(joint, kind)
    return frames


def orientations(model: pin.Model, profile: RobotProfile) -> dict[str, np.ndarray]:
    """(3, 3) orientation of each body part relative to the base, at the zero posture."""
    data, frames = at_zero(model), part_frames(model, profile)
    return {part: data.oMf[number].rotation.copy() for part, number in frames.items()}


def limb_offsets(
    model: pin.Model,
    limbs: Mapping[str, Mapping[str, str]],
    hand: tuple[float, float, float] | None,
) -> dict[str, np.ndarray]:
    """Knees and elbows that lie beside the origins of their joints.

    The origin of a joint may be anywhere on its axis. Where both neighbours in the limb lie to one
    side along the axis, the limb passes there.

    Args:
        model: Base with x forward and z up, at zero.
        limbs: 'left' and 'right' -> body part -> joint name.
        hand: As in `RobotProfile`.

    Returns:
        (3,) from the joint's origin to the point, by body part ('left_elbow') [m].
    """
    data, place = at_zero(model), joint_places(model)
    found = {}
    for side, limb in limbs.items():
        at = {part: place[joint] for part, joint in limb.items()}
        if "wrist" not in at and hand is not None:
            at["wrist"] = at["elbow"] + np.array(hand) * [1.0, 1.0 if side == "left" else -1.0, 1.0]
        for near, part, far in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            joint = model.joints[model.getJointId(limb[part])]
            axis = data.J[3:, joint.idx_v]
            along = sorted(((at[end] - at[part]) @ axis for end in (near, far)), key=abs)
            if along[0] * along[1] > 0 and abs(along[0]) > _MIN_OFFSET:
                found[f"{side}_{part}"] = along[0] * axis
    return found


def chain(model: pin.Model, joint: str) -> list[str]:
    """Names of the joints from the base to a joint, that joint last."""
    names: list[str] = []
    number = model.getJointId(joint)
    while number > 1:
        names.insert(0, model.names[number])
        number = model.parents[number]
    return names


def sliding_followers(model: pin.Model, mimics: Mapping[str, Mimic]) -> list[str]:
    """Prismatic joints that mimic another one, such as the linear actuators of an ankle."""
    return [
        name
        for name in joint_names(model)
        if name in mimics and model.joints[model.getJointId(name)].shortname() in PRISMATIC
    ]


def body_moved_by(
    model: pin.Model, profile: RobotProfile, mimics: Mapping[str, Mimic], joint: str
) -> list[str]:
    """What moves with a joint: joints of body parts, commanded joints, pelvis and torso."""
    behind = set(model.subtrees[model.getJointId(joint)])
    parts = {name for side in SIDES for name in profile.limb(side).values()}
    names = sorted(model.names[number] for number in behind)
    links = [
        link
        for link in (profile.pelvis, profile.torso)
        if link_frame(model, link).parentJoint in behind
    ]
    return [name for name in names if name in parts or name not in mimics] + links


def locked_joints(
    model: pin.Model, profile: RobotProfile, mimics: Mapping[str, Mimic]
) -> dict[str, float]:
    """Positions of locked joints and of their followers [rad]."""
    names = joint_names(model)
    return with_followers(expand(profile.locked, names), mimics, names)


def held_joints(
    model: pin.Model, profile: RobotProfile, mimics: Mapping[str, Mimic]
) -> tuple[list[str], bool]:
    """Joints that `profile.joints` leaves out of the motion, and whether the base is held too.

    Args:
        model: The model without its locked joints.
        profile: Selects the joints that move.
        mimics: Followers move with their leader; with 'upper_body', the leader of a leg's joint
            is held.

    Returns:
        Names of commanded joints in the order of the model; True where they include a leg joint.
    """
    names = joint_names(model)
    legs = {
        name
        for side in SIDES
        for name in chain(model, profile.limb(side)["ankle"])
        if not _carries_torso(model, profile, name)
    }
    if profile.joints == ALL_JOINTS:
        return [], False
    if profile.joints == UPPER_BODY:
        below = {name for name in names if legs & set(chain(model, name))}
        below |= {mimics[name].leader for name in below if name in mimics}
        held = [name for name in names if name in below]
    else:
        moving = {
            name for name in names for pattern in profile.joints if fnmatchcase(name, pattern)
        }
        held = [name for name in names if name not in moving]
    legs |= {mimics[name].leader for name in legs if name in mimics}
    held = [name for name in held if name not in mimics]
    return held, bool(legs & set(held))


def _carries_torso(model: pin.Model, profile: RobotProfile, name: str) -> bool:
    torso = link_frame(model, profile.torso).parentJoint
    return name in chain(model, model.names[torso])


def name_problems(
    model: pin.Model, profile: RobotProfile, mimics: Mapping[str, Mimic]
) -> list[str]:
    """Messages for every name in a profile that the URDF lacks, with the nearest valid name.

    Also for followers in a place where only a commanded joint is valid.
    """
    links, names = link_names(model), joint_names(model)
    locked = locked_joints(model, profile, mimics)
    named = [(f"parts.{key}", getattr(profile, key)) for key in ("pelvis", "torso")]
    named += [
        ("collision.ignore", link)
        for link in {one for two in profile.collision_ignore for one in two}
    ]
    wrong = [
        f"{key}: no link {link!r}; {nearest(link, links)}"
        for key, link in named
        if link not in links
    ]
    for side in SIDES:
        for part, joint in profile.limb(side).items():
            if joint not in names:
                wrong.append(f"parts.{side}.{part}: no joint {joint!r}; {nearest(joint, names)}")
            elif joint in locked:
                wrong.append(
                    f"parts.{side}.{part}: joint {joint!r} is also locked; to move only a part "
                    "of the robot, name its joints in 'joints'"
                )
    keys = ("nominal", "locked", "armature", "acceleration", "velocity", "position", "joints")
    for key in keys:
        patterns = getattr(profile, key)
        for pattern in () if isinstance(patterns, str) else patterns:
            if key == "acceleration" and pattern == "default":
                continue
            matched = [name for name in names if fnmatchcase(name, pattern)]
            followers = [name for name in matched if name in mimics]
            if not matched:
                wrong.append(f"{key}: no joint matches {pattern!r}; {nearest(pattern, names)}")
            elif key == "joints" and len(followers) == len(matched):
                wrong.append(f"{key}: {_following(followers[0], mimics)}; name that joint")
    wrong += [
        f"locked: {_following(name, mimics)}, which moves; lock that joint"
        for name in expand(profile.locked, names)
        if name not in locked
    ]
    return wrong


def _following(name: str, mimics: Mapping[str, Mimic]) -> str:
    return f"joint {name!r} mimics {mimics[name].leader!r}"

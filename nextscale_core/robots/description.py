"""What a URDF says, and whether a profile fits it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.mimic import Limits, Mimic, narrowed, with_followers
from nextscale_core.robots.profile import ALL_JOINTS, SIDES, UPPER_BODY, Axes, RobotProfile
from nextscale_core.robots.profile_keys import nearest
from nextscale_core.robots.urdf import Urdf, read_urdf

REVOLUTE = ("JointModelRX", "JointModelRY", "JointModelRZ", "JointModelRevoluteUnaligned")
CONTINUOUS = ("JointModelRUBX", "JointModelRUBY", "JointModelRUBZ", "JointModelRUBUnaligned")

_TURNS = 4 * np.pi
"""A continuous joint may turn so far to either side [rad]."""

_FURTHEST = 100.0
"""A joint further from its parent than this is a slip of the pen [m]."""

_Value = TypeVar("_Value")


def read_model(urdf: Path | Urdf) -> pin.Model:
    """The model of a URDF file, floating in space; joints that mimic others are free in it.

    Raises:
        RobotError: the file cannot be read as a URDF.
    """
    if not isinstance(urdf, Urdf):
        urdf = read_urdf(urdf)
    model = urdf.model()
    for joint in range(2, model.njoints):
        if not np.abs(model.jointPlacements[joint].homogeneous).max() < _FURTHEST:
            raise RobotError(
                f"{urdf.path}: joint {model.names[joint]!r} lies nowhere near its parent"
            )
        data = model.joints[joint].createData()
        model.joints[joint].calc(data, pin.neutral(model), np.zeros(model.nv))
        if model.joints[joint].nv == 1 and not abs(np.linalg.norm(data.S) - 1) < 1e-6:
            raise RobotError(
                f"{urdf.path}: the axis of joint {model.names[joint]!r} has no direction"
            )
    return model


def link_masses(urdf: Path) -> dict[str, float]:
    """Mass of each link that states one [kg].

    Raises:
        RobotError: the file is not a URDF, or a mass is not a number.
    """
    return read_urdf(urdf).masses()


def joint_names(model: pin.Model) -> list[str]:
    """Names of the joints behind the floating base, in the order of the model.

    That is pinocchio's: each joint before those it carries, and those that one link carries by
    name. The order in the file does not matter.
    """
    return list(model.names)[2:]


def link_names(model: pin.Model) -> set[str]:
    """Names of all links."""
    return {frame.name for frame in model.frames if frame.type == pin.FrameType.BODY}


def link_frame(model: pin.Model, link: str) -> pin.Frame:
    """The frame of a link; a joint may have the same name."""
    return model.frames[model.getFrameId(link, pin.FrameType.BODY)]


def expand(table: Mapping[str, _Value], names: Collection[str]) -> dict[str, _Value]:
    """Value per joint of one of a profile's pattern tables; a later pattern wins."""
    values: dict[str, _Value] = {}
    for pattern, value in table.items():
        values.update({name: value for name in names if fnmatchcase(name, pattern)})
    return values


def stand_up(model: pin.Model, axes: Axes) -> None:
    """Turn the base frame of a model so that x points forward and z up at the zero posture.

    The floating base then stands for a frame in the origin of the root link whose axes are those
    of the robot, and everything fixed to the root link lies turned in it.

    Args:
        model: Changed in place.
        axes: How the root link lies in the standing robot.
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
    """The model without some joints, which stay at fixed positions [rad].

    Raises:
        RobotError: no joint is left.
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
        still = [model.getJointId(name) for name in positions]
        smaller = pin.buildReducedModel(model, still, reference)
    for frame in smaller.frames:
        frame.name = frame.name.removesuffix(_LINK)
    return smaller


_LINK = " (link)"


@contextmanager
def _unambiguous(model: pin.Model) -> Iterator[None]:
    """Other names for links that are called like a joint, which pinocchio cannot reduce."""
    joints = set(model.names)
    changed = [f for f in model.frames if f.type == pin.FrameType.BODY and f.name in joints]
    for frame in changed:
        frame.name += _LINK
    try:
        yield
    finally:
        for frame in changed:
            frame.name = frame.name.removesuffix(_LINK)


def part_frames(model: pin.Model, profile: RobotProfile) -> dict[str, int]:
    """Number of the frame of each body part: 'pelvis', 'torso', 'left_hip', ...

    A joint that is locked or held has left a fixed frame of its name behind.
    """
    frames = {
        part: model.getFrameId(getattr(profile, part), pin.FrameType.BODY)
        for part in ("pelvis", "torso")
    }
    for side in SIDES:
        for part, joint in profile.limb(side).items():
            kind = pin.FrameType.JOINT
            if not model.existFrame(joint, kind):
                kind = pin.FrameType.FIXED_JOINT
            frames[f"{side}_{part}"] = model.getFrameId(joint, kind)
    return frames


def orientations(model: pin.Model, profile: RobotProfile) -> dict[str, np.ndarray]:
    """(3, 3) orientation of each body part from the base, at the zero posture."""
    data = model.createData()
    pin.framesForwardKinematics(model, data, pin.neutral(model))
    frames = part_frames(model, profile)
    return {part: data.oMf[number].rotation.copy() for part, number in frames.items()}


def chain(model: pin.Model, joint: str) -> list[str]:
    """Names of the joints from the base to one joint, that joint last."""
    names: list[str] = []
    number = model.getJointId(joint)
    while number > 1:
        names.insert(0, model.names[number])
        number = model.parents[number]
    return names


def locked_joints(
    model: pin.Model, profile: RobotProfile, mimics: Mapping[str, Mimic]
) -> dict[str, float]:
    """Where joints are that never move: locked ones and those that mimic them [rad]."""
    names = joint_names(model)
    return with_followers(expand(profile.locked, names), mimics, names)


def held_joints(
    model: pin.Model, profile: RobotProfile, mimics: Mapping[str, Mimic]
) -> tuple[list[str], bool]:
    """Joints that the profile leaves out of the motion, and whether the base stays too.

    Args:
        model: The model without its locked joints.
        profile: Says which joints move.
        mimics: Joints that follow others. They move where their leader does; a leader is held
            where the upper body moves only and one of its followers belongs to the legs.

    Returns:
        Names of commanded joints in the order of the model; True where a joint of a leg is among
        them.
    """
    names = joint_names(model)
    legs = {
        name
        for side in SIDES
        for name in chain(model, profile.limb(side)["ankle"])
        if _bears(model, profile, name)
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


def _bears(model: pin.Model, profile: RobotProfile, name: str) -> bool:
    """Whether a joint carries a leg and not the chest too."""
    torso = link_frame(model, profile.torso).parentJoint
    return name not in chain(model, model.names[torso])


def name_problems(
    model: pin.Model, profile: RobotProfile, mimics: Mapping[str, Mimic]
) -> list[str]:
    """Every name in a profile that the URDF lacks, each with the nearest right one.

    Also joints that mimic another where only a commanded joint can stand.
    """
    links, names = link_names(model), joint_names(model)
    locked = locked_joints(model, profile, mimics)
    wrong = []
    for key in ("pelvis", "torso"):
        link = getattr(profile, key)
        if link not in links:
            wrong.append(f"parts.{key}: no link {link!r}; {nearest(link, links)}")
    for link in {link for pair in profile.collision_ignore for link in pair}:
        if link not in links:
            wrong.append(f"collision.ignore: no link {link!r}; {nearest(link, links)}")
    for side in SIDES:
        for part, joint in profile.limb(side).items():
            if joint not in names:
                wrong.append(f"parts.{side}.{part}: no joint {joint!r}; {nearest(joint, names)}")
            elif joint in locked:
                wrong.append(
                    f"parts.{side}.{part}: joint {joint!r} is also locked; to move only a part "
                    "of the robot, name its joints in 'joints'"
                )
    for key in ("nominal", "locked", "acceleration", "velocity", "position", "joints"):
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


def joint_limits(
    model: pin.Model,
    profile: RobotProfile,
    urdf: Urdf,
    but: Collection[str] = (),
) -> tuple[dict[str, Limits], list[str]]:
    """Limits of every joint, and what is wrong with them.

    Those of a joint that others mimic are so narrow that the others keep theirs too.

    Args:
        model: The model without its locked joints.
        profile: May replace position limits and make velocity limits stricter.
        urdf: Where the model comes from.
        but: Joints whose limits do not matter.

    Returns:
        (lower [rad], upper [rad], velocity [rad/s]) by name; every problem in one line.
    """
    names = joint_names(model)
    stricter, instead = expand(profile.velocity, names), expand(profile.position, names)
    limits: dict[str, Limits] = {}
    wrong, endless = [], []
    for name in names:
        joint = model.joints[model.getJointId(name)]
        kind = joint.shortname()
        rule, missing = urdf.mimics.get(name), urdf.missing.get(name, ())
        lower, upper = -_TURNS, _TURNS
        if kind in REVOLUTE:
            lower = float(model.lowerPositionLimit[joint.idx_q])
            upper = float(model.upperPositionLimit[joint.idx_q])
        elif kind not in CONTINUOUS:
            wrong.append(
                f"joint {name!r} is of type {kind}; only revolute joints can move, "
                f"lock {'it' if rule is None else repr(rule.leader)} in the profile"
            )
            continue
        elif name not in instead:
            endless.append(name)
        lower, upper = instead.get(name, (lower, upper))
        velocity = float(model.velocityLimit[joint.idx_v])
        # Zero is what a URDF says that knows no limit; the profile may know one.
        velocity = min(velocity if velocity > 0 else np.inf, stricter.get(name, np.inf))
        limits[name] = (lower, upper, velocity)
        if name in but or (rule is not None and rule.leader in but):
            continue
        if not upper - lower > 2 * profile.position_margin:
            lacks = [key for key in missing if key in ("lower", "upper")]
            wrong.append(
                f"joint {name!r} may move from {lower:g} to {upper:g} rad only{_lacking(lacks)}; "
                "lock it in the profile, or give its limits in limits.position"
            )
        # What mimics a joint is as fast as that joint allows.
        if not velocity < np.inf and rule is None:
            given = float(model.velocityLimit[joint.idx_v])
            lacks = [key for key in missing if key == "velocity"]
            wrong.append(
                f"joint {name!r} has velocity limit {given:g} rad/s{_lacking(lacks)}; "
                "set a positive one in limits.velocity"
            )
    limits, none_left = narrowed(limits, urdf.mimics, endless)
    return limits, wrong or none_left


def _lacking(attributes: Sequence[str]) -> str:
    """Why a limit is 0: the file does not state it."""
    return f" (its <limit> has no {' and no '.join(attributes)})" if attributes else ""


def acceleration_limits(
    names: Sequence[str], profile: RobotProfile, urdf: Urdf
) -> dict[str, float]:
    """Acceleration limits of the profile, or of the URDF where it states stricter ones [rad/s^2].

    Those of a joint that others mimic are so low that the others keep theirs too.
    """
    table = expand(profile.acceleration, names)
    default = profile.acceleration["default"]
    limits = {
        name: min(table.get(name, default), urdf.acceleration.get(name, np.inf)) for name in names
    }
    for name, rule in urdf.mimics.items():
        if name in limits and rule.leader in limits and rule.multiplier:
            allowed = limits[name] / abs(rule.multiplier)
            limits[rule.leader] = min(limits[rule.leader], allowed)
    return limits

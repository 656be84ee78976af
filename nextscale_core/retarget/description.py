"""What a URDF says, and whether a profile fits it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.retarget.profile import (
    ALL_JOINTS,
    SIDES,
    UPPER_BODY,
    Axes,
    RobotProfile,
)
from nextscale_core.retarget.profile_keys import nearest

REVOLUTE = ("JointModelRX", "JointModelRY", "JointModelRZ", "JointModelRevoluteUnaligned")
CONTINUOUS = ("JointModelRUBX", "JointModelRUBY", "JointModelRUBZ", "JointModelRUBUnaligned")

_TURNS = 4 * np.pi
"""A continuous joint may turn so far to either side [rad]."""

_FURTHEST = 100.0
"""A joint further from its parent than this is a slip of the pen [m]."""

_Value = TypeVar("_Value")


def read_model(urdf: Path) -> pin.Model:
    """The model of a URDF file, floating in space.

    Raises:
        RobotError: the file cannot be read as a URDF.
    """
    _read_xml(urdf)
    try:
        model = pin.buildModelFromUrdf(str(urdf), pin.JointModelFreeFlyer())
    except (ValueError, RuntimeError) as error:
        raise RobotError(f"{urdf} cannot be read as a URDF: {error}") from error
    for joint in range(2, model.njoints):
        if not np.abs(model.jointPlacements[joint].homogeneous).max() < _FURTHEST:
            raise RobotError(f"{urdf}: joint {model.names[joint]!r} lies nowhere near its parent")
        data = model.joints[joint].createData()
        model.joints[joint].calc(data, pin.neutral(model), np.zeros(model.nv))
        if model.joints[joint].nv == 1 and not abs(np.linalg.norm(data.S) - 1) < 1e-6:
            raise RobotError(f"{urdf}: the axis of joint {model.names[joint]!r} has no direction")
    return model


def _read_xml(urdf: Path) -> ElementTree.Element:
    """The root of a URDF. The parser of the model forgives what the readers of its parts do not.

    Raises:
        RobotError: the file cannot be read, or is no whole XML in a known encoding.
    """
    try:
        return ElementTree.parse(urdf).getroot()
    except (ElementTree.ParseError, LookupError, ValueError, OSError) as error:
        raise RobotError(f"{urdf} cannot be read as a URDF: {error}") from error


def link_masses(urdf: Path) -> dict[str, float]:
    """Mass of each link that states one [kg].

    Raises:
        RobotError: the file is no XML, or a mass no number.
    """
    masses = {}
    for link in _read_xml(urdf).findall("./link"):
        mass = link.find("./inertial/mass")
        if mass is None:
            continue
        name, value = link.get("name", ""), mass.get("value", "0")
        try:
            masses[name] = float(value)
        except ValueError:
            raise RobotError(f"{urdf}: link {name!r} has mass {value!r}, not a number") from None
    return masses


def joint_names(model: pin.Model) -> list[str]:
    """Names of the joints behind the floating base, in the order of the model."""
    return list(model.names)[2:]


def link_names(model: pin.Model) -> set[str]:
    """Names of all links."""
    return {frame.name for frame in model.frames if frame.type == pin.FrameType.BODY}


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
    return pin.buildReducedModel(model, [model.getJointId(name) for name in positions], reference)


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


def held_joints(model: pin.Model, profile: RobotProfile) -> tuple[list[str], bool]:
    """Joints that the profile leaves out of the motion, and whether the base stays too.

    Args:
        model: The model without its locked joints.
        profile: Says which joints move.

    Returns:
        Names in the order of the model; True where a joint of a leg is among them.
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
        held = [name for name in names if name in below]
    else:
        moving = {
            name for name in names for pattern in profile.joints if fnmatchcase(name, pattern)
        }
        held = [name for name in names if name not in moving]
    return held, bool(legs & set(held))


def _bears(model: pin.Model, profile: RobotProfile, name: str) -> bool:
    """Whether a joint carries a leg and not the chest too."""
    torso = model.frames[model.getFrameId(profile.torso)].parentJoint
    return name not in chain(model, model.names[torso])


def name_problems(model: pin.Model, profile: RobotProfile) -> list[str]:
    """Every name in a profile that the URDF lacks, each with the nearest right one."""
    links, names = link_names(model), joint_names(model)
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
            elif any(fnmatchcase(joint, pattern) for pattern in profile.locked):
                wrong.append(
                    f"parts.{side}.{part}: joint {joint!r} is also locked; to move only a part "
                    "of the robot, name its joints in 'joints'"
                )
    for key in ("nominal", "locked", "acceleration", "velocity", "position", "joints"):
        patterns = getattr(profile, key)
        for pattern in () if isinstance(patterns, str) else patterns:
            if key == "acceleration" and pattern == "default":
                continue
            if not any(fnmatchcase(name, pattern) for name in names):
                wrong.append(f"{key}: no joint matches {pattern!r}; {nearest(pattern, names)}")
    return wrong


def joint_limits(
    model: pin.Model, profile: RobotProfile, but: Collection[str] = ()
) -> tuple[dict[str, tuple[float, float, float]], list[str]]:
    """Limits of every joint, and what is wrong with them.

    Args:
        model: The model without its locked joints.
        profile: May replace position limits and make velocity limits stricter.
        but: Joints whose limits do not matter.

    Returns:
        (lower [rad], upper [rad], velocity [rad/s]) by name; every problem in one line.
    """
    names = joint_names(model)
    stricter, instead = expand(profile.velocity, names), expand(profile.position, names)
    limits, wrong = {}, []
    for name in names:
        joint = model.joints[model.getJointId(name)]
        kind = joint.shortname()
        lower, upper = -_TURNS, _TURNS
        if kind in REVOLUTE:
            lower = float(model.lowerPositionLimit[joint.idx_q])
            upper = float(model.upperPositionLimit[joint.idx_q])
        elif kind not in CONTINUOUS:
            wrong.append(
                f"joint {name!r} is of type {kind}; only revolute joints can move, "
                "lock it in the profile"
            )
            continue
        lower, upper = instead.get(name, (lower, upper))
        velocity = float(model.velocityLimit[joint.idx_v])
        # Zero is what a URDF says that knows no limit; the profile may know one.
        velocity = min(velocity if velocity > 0 else np.inf, stricter.get(name, np.inf))
        if name not in but:
            if not upper - lower > 2 * profile.position_margin:
                wrong.append(
                    f"joint {name!r} may move from {lower:g} to {upper:g} rad only; "
                    "lock it in the profile, or give its limits in limits.position"
                )
            if not velocity < np.inf:
                given = float(model.velocityLimit[joint.idx_v])
                wrong.append(
                    f"joint {name!r} has velocity limit {given:g} rad/s; "
                    "set a positive one in limits.velocity"
                )
        limits[name] = (lower, upper, velocity)
    return limits, wrong

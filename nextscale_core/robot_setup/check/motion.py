"""Checks of a generated walk and a generated wave, retargeted to the robot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import NextscaleError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.files import read_motion
from nextscale_core.resources import resource
from nextscale_core.retarget.retargeter import Retargeter
from nextscale_core.retarget.targets import Targets, make_targets
from nextscale_core.robot_setup.check.finding import CheckFinding, error, ok, warning
from nextscale_core.robots.description import chain, link_frame, some
from nextscale_core.robots.hulls import link_hulls
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.rotations import unit
from nextscale_core.safety.gate import SafetyGate

_BONES = {
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}
_HINGES = {"walk": ("knee", "thigh", "shank"), "wave": ("elbow", "upper_arm", "forearm")}
"""The joint that bends in each motion, and the bones on both sides of it."""

_UNUSUAL, _WRONG = np.deg2rad([12.0, 25.0])
"""Mean angles between the bones of robot and human for a warning and for an error [rad]."""

_BEND = 1 / 3
"""Minimum share of the human's change of angle that a knee or an elbow follows."""

_SUNK = 0.03
"""Depth of a link below the floor for an error [m]."""

_FLAT = np.deg2rad(15.0)
"""Mean tilt of a standing sole for a warning [rad]."""

_AT_LIMIT, _OFTEN = 0.03, 0.3
"""Distance to a limit [rad], and the share of frames spent there, that explain a difference."""

_SLOW = 2.5
"""Duration of a motion relative to the human's for a warning."""


@dataclass(frozen=True)
class _Motion:
    """A clip and its retargeted motion.

    Attributes:
        name: 'walk' or 'wave'.
        clip: The human's motion.
        retargeter: Of the robot.
        targets: Targets made from the clip.
        poses: The robot's poses in the same frames.
        points: (T, K, 3) the robot's keypoints [m].
    """

    name: str
    clip: MotionClip
    retargeter: Retargeter
    targets: Targets
    poses: Poses
    points: np.ndarray

    @property
    def robot(self) -> Robot:
        """The robot."""
        return self.retargeter.robot

    def bone(self, side: str, bone: str) -> np.ndarray:
        """(T, 3) direction of a bone of the robot."""
        index = kinematics_of(self.robot).index
        start, end = (self.points[:, index[f"{side}_{part}"]] for part in _BONES[bone])
        return unit(end - start)


def motion_findings(robot: Robot, better: Mapping[str, str]) -> Iterator[CheckFinding]:
    """Differences between a robot's walk and wave and the human's; `better` holds remedies."""
    for name in _HINGES:
        try:
            motion = _retargeted(name, robot)
            found = [*_bones(motion, better), *_bends(motion, better), *_floor(motion)]
            found += _gated(motion)
        except NextscaleError as problem:
            yield error(name, f"cannot be retargeted: {problem}")
            continue
        yield from found
        if not found:
            sides = ((side, bone) for side in SIDES for bone in _BONES)
            worst = np.rad2deg(max(_difference(motion, *bone) for bone in sides))
            yield ok(
                name,
                f"a generated {name} looks like the human's, bones within {worst:.0f} deg on "
                "average",
            )


def _retargeted(name: str, robot: Robot) -> _Motion:
    clip = read_motion(resource(f"config/checkup/{name}.npz"))
    kinematics = kinematics_of(robot)
    targets = make_targets(clip, kinematics)
    retargeter = Retargeter(robot)
    poses = retargeter.solve(targets)
    return _Motion(name, clip, retargeter, targets, poses, kinematics.points(poses))


def _angle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(T,) angles between unit vectors [rad]."""
    return np.asarray(np.arccos(np.clip((first * second).sum(-1), -1.0, 1.0)))


def _difference(motion: _Motion, side: str, bone: str) -> float:
    """Mean angle between a bone of the robot and the human's [rad]."""
    human = motion.targets.body.bones[f"{side}_{bone}"]
    return float(_angle(motion.bone(side, bone), human).mean())


def _bones(motion: _Motion, better: Mapping[str, str]) -> Iterator[CheckFinding]:
    for side in SIDES:
        for bone, parts in _BONES.items():
            off = _difference(motion, side, bone)
            if off > _UNUSUAL:
                report = error if off > _WRONG else warning
                yield report(
                    motion.name,
                    f"the {side} {bone.replace('_', ' ')} is {np.rad2deg(off):.0f} deg from the "
                    "human's on average",
                    _reason(motion, side, parts, better),
                )


def _bends(motion: _Motion, better: Mapping[str, str]) -> Iterator[CheckFinding]:
    part, upper, lower = _HINGES[motion.name]
    for side in SIDES:
        bones = motion.targets.body.bones
        human = np.ptp(_angle(bones[f"{side}_{upper}"], bones[f"{side}_{lower}"]))
        robot = np.ptp(_angle(motion.bone(side, upper), motion.bone(side, lower)))
        if robot < _BEND * human:
            yield error(
                motion.name,
                f"the {side} {part} ({motion.robot.profile.limb(side)[part]}) hardly bends: its "
                f"angle changes by {np.rad2deg(robot):.0f} deg, the human's by "
                f"{np.rad2deg(human):.0f}",
                _reason(motion, side, _BONES[lower], better),
            )


def _reason(motion: _Motion, side: str, parts: tuple[str, str], better: Mapping[str, str]) -> str:
    """A remedy: another joint for a body part, or wider limits."""
    limb = motion.robot.profile.limb(side)
    for part in parts:
        if f"{side}_{part}" in better:
            return f"parts.{side}.{part}: {better[f'{side}_{part}']}?"
    stops = _stopped(motion, side, parts[1])
    if stops:
        return f"{some(stops)}: are the limits right? (limits.position)"
    named = [f"{part} ({limb[part]})" for part in parts if part in limb]
    return f"is parts.{side} right: {', '.join(named)}? Or the limb has too few joints for this"


def _stopped(motion: _Motion, side: str, end: str) -> list[str]:
    """Joints of a limb that are at a limit in many frames, up to the body part `end`."""
    robot, model = motion.robot, motion.robot.model
    limb = robot.profile.limb(side)
    line = chain(model, limb[end])[:-1] if end in limb else chain(model, limb["elbow"])
    room = _AT_LIMIT + robot.profile.position_margin
    found = []
    trunk = _trunk(robot)
    for joint in (joint for joint in line if joint not in trunk):
        row = robot.joint_names.index(joint)
        track = motion.poses.joints[:, row]
        low, high = float(robot.position_lower[row]), float(robot.position_upper[row])
        for limit, stopped in ((low, track < low + room), (high, track > high - room)):
            if stopped.mean() > _OFTEN:
                found.append(f"{joint} is at its limit {limit:.2f} rad")
    return found


def _trunk(robot: Robot) -> set[str]:
    """Joints that move both arms or both legs."""
    lines = {
        (side, part): set(chain(robot.model, robot.profile.limb(side)[part]))
        for side in SIDES
        for part in ("hip", "shoulder")
    }
    return set[str]().union(
        *(lines["left", part] & lines["right", part] for part in ("hip", "shoulder"))
    )


def _floor(motion: _Motion) -> Iterator[CheckFinding]:
    kinematics = kinematics_of(motion.robot)
    flat = motion.targets.contacts.flat
    for number, side in enumerate(SIDES):
        ankle, up = (motion.points[:, kinematics.index[f"{side}_{p}"]] for p in ("ankle", "foot_z"))
        tilt = _angle(unit(up - ankle), np.array([0.0, 0.0, 1.0]))[flat[:, number]]
        if len(tilt) and tilt.mean() > _FLAT:
            yield warning(
                motion.name,
                f"the {side} sole is tilted by {np.rad2deg(tilt.mean()):.0f} deg while it stands",
                _reason(motion, side, ("knee", "ankle"), {}),
            )
    link, depth = _lowest(motion, kinematics)
    if depth > _SUNK:
        yield error(
            motion.name,
            f"{link} reaches {depth * 100:.0f} cm below the floor",
            "are the sole and the legs right? (parts, sole)",
        )


def _lowest(motion: _Motion, kinematics: Kinematics) -> tuple[str, float]:
    """The lowest link of an arm or a leg, and its depth below the floor [m]."""
    model, trunk = motion.robot.model, _trunk(motion.robot)
    rotation, origin = kinematics.forward(motion.poses)
    deepest, depth = "", 0.0
    for hull in link_hulls(motion.robot):
        frame = link_frame(model, hull.link)
        points = hull.vertices @ frame.placement.rotation.T + frame.placement.translation
        joint = int(frame.parentJoint) - 2
        if joint < 0 or model.names[joint + 2] in trunk:
            continue
        low = float((rotation[:, joint, 2] @ points.T + origin[:, joint, 2, None]).min())
        if -low > depth:
            deepest, depth = hull.link, -low
    return deepest, depth


def _gated(motion: _Motion) -> Iterator[CheckFinding]:
    """Whether the safety gate rejects the motion or slows it down."""
    clip = motion.clip
    trajectory = motion.retargeter.retarget(clip)
    result = SafetyGate(motion.robot).review(trajectory)
    if result.trajectory is None:
        yield warning(
            motion.name,
            f"the safety gate rejects it: {result.report.line()}",
            "see collision.ignore, nominal and limits.position",
        )
        return
    stretch = result.trajectory.seconds / clip.seconds
    if stretch > _SLOW:
        speed = np.abs(np.diff(motion.poses.joints, axis=0)).max(0) * motion.targets.fps
        row = int((speed / motion.robot.velocity_limit).argmax())
        yield warning(
            motion.name,
            f"it takes {stretch:.1f} times as long as the human's: "
            f"{motion.robot.joint_names[row]} would have to turn at {speed[row]:.1f} rad/s, its "
            f"limit is {motion.robot.velocity_limit[row]:.2f}",
            "is the limit right? If so, consider locking the joint",
        )

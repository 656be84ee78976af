"""Conversion between all motion formats, from human to robot and from robot to robot included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.robot_to_human import robot_to_human
from nextscale_core.estimation.samples import BaseTrack
from nextscale_core.exceptions import (
    MotionFileError,
    NextscaleError,
    RetargetError,
    UnsafeTrajectoryError,
)
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.formats.files import HUMAN_FORMATS
from nextscale_core.motion.formats.registry import MotionFormat, candidates
from nextscale_core.motion.reading import DEFAULT_OPTIONS, ReadOptions
from nextscale_core.planning import MotionPlanner
from nextscale_core.robots.kinematics import Poses
from nextscale_core.robots.robot import Robot
from nextscale_core.safety.gate import SafetyGate
from nextscale_core.safety.repair import braked, stopped
from nextscale_core.safety.report import SafetyReport
from nextscale_core.trajectory.formats.files import ROBOT_FORMATS
from nextscale_core.trajectory.formats.robot_motion import RobotMotion, RobotReadOptions
from nextscale_core.trajectory.time_parameterization import sample

FORMATS = (*HUMAN_FORMATS, *ROBOT_FORMATS)
"""All formats, in the order of `nextscale formats`."""

RATE = 50.0
"""Rate of robot motion made from human motion, where the format has none of its own [Hz]."""

_DEFAULT_ROBOT_OPTIONS = RobotReadOptions()


@dataclass(frozen=True)
class Read:
    """A motion that was read.

    Attributes:
        motion: The motion.
        format: Its format.
    """

    motion: MotionClip | RobotMotion
    format: MotionFormat


def read_any(
    path: str | Path,
    source: MotionFormat | None = None,
    human: ReadOptions = DEFAULT_OPTIONS,
    robot: RobotReadOptions = _DEFAULT_ROBOT_OPTIONS,
) -> Read:
    """Read a motion of a human or a robot.

    Args:
        path: The file or folder.
        source: Its format; None: it is found from the suffix, the names inside and the motion.
        human: Known properties of a file of human motion.
        robot: Known properties of a file of robot motion.

    Raises:
        MotionFileError: unknown or malformed file, or one that several formats fit.
    """
    path = Path(path)
    formats = [source] if source is not None else candidates(path, FORMATS)
    read, faults = [], []
    for one in formats:
        if one.read is None:
            raise MotionFileError(f"{one.name} can be written, not read")
        try:
            motion = one.read(path, human if one.subject == "human" else robot)
            read.append(Read(motion, one))
        except NextscaleError as error:
            if len(formats) == 1:
                raise
            faults.append(f"{one.name}: {error}")
    if not read:
        raise MotionFileError("; ".join(faults))
    if len(read) > 1:
        names = [one.format for one in read]
        orders = " and ".join(f"{one.name} ({one.quaternion}, {one.order} order)" for one in names)
        raise MotionFileError(
            f"{path} may be {orders}, and the motion does not decide; give --from, or --quaternion "
            "where the formats differ in it"
        )
    return read[0]


def to_human(motion: RobotMotion) -> MotionClip:
    """The human motion that a robot's motion shows, with the robot's rate.

    Raises:
        InvalidMotionError: too short or too long.
        RobotError: joints are missing that move the body.
    """
    trajectory = motion.trajectory
    track = BaseTrack(
        trajectory.time_from_start, trajectory.base_position, trajectory.base_quaternion
    )
    return robot_to_human(
        motion.robot,
        trajectory.time_from_start,
        trajectory.positions,
        base=track,
        fps=trajectory.fps,
        missing="nominal",
    ).clip


def to_robot(
    motion: MotionClip | RobotMotion, robot: Robot, rate: float | None = None
) -> tuple[RobotMotion, SafetyReport]:
    """A motion on a robot, reviewed by the safety gate.

    Motion of the same robot is written as it is where the gate passes it, with its end led to rest
    if need be. Otherwise it is timed anew, from rest to rest within the limits, and reviewed again.
    Motion of a human or another robot is retargeted.

    Args:
        motion: A human's or a robot's motion.
        robot: The robot.
        rate: Samples per second [Hz]; None for the motion's, or `RATE` for human motion.

    Raises:
        UnsafeTrajectoryError: the gate refused it.
        RetargetError: the motion cannot be mapped onto the robot.
    """
    if isinstance(motion, RobotMotion) and motion.robot.name == robot.name:
        return _same_robot(motion if rate is None else motion.at_rate(rate))
    if isinstance(motion, RobotMotion):
        rate = rate or motion.trajectory.fps
        motion = to_human(motion)
    trajectory, report = MotionPlanner(robot, rate or RATE).plan(motion)
    return RobotMotion(robot, trajectory), report


def _same_robot(motion: RobotMotion) -> tuple[RobotMotion, SafetyReport]:
    gate = SafetyGate(motion.robot)
    checked = gate.review(motion.trajectory)
    if checked.trajectory is not None:
        return replace(motion, trajectory=checked.trajectory), checked.report
    if any(finding.check == "end" for finding in checked.report.findings):
        ended = _ended(motion, gate)
        if ended is not None:
            return ended
    reasons = "; ".join(finding.message for finding in checked.report.findings)
    try:
        timed = _timed_anew(motion)
    except RetargetError as error:
        raise UnsafeTrajectoryError(
            f"the safety gate refused the trajectory for {motion.robot.name}: {reasons}; {error}",
            checked.report,
        ) from error
    again = gate.review(timed.trajectory)
    if again.trajectory is None:
        reasons = "; ".join(finding.message for finding in again.report.findings)
        raise UnsafeTrajectoryError(
            f"the safety gate refused the trajectory for {motion.robot.name}: {reasons}",
            again.report,
        )
    before, after = motion.trajectory.seconds, again.trajectory.seconds
    note = f"timed anew, {before:.2f} s became {after:.2f} s: as in the file, {reasons}"
    return replace(timed.noted(note), trajectory=again.trajectory), again.report


def _ended(motion: RobotMotion, gate: SafetyGate) -> tuple[RobotMotion, SafetyReport] | None:
    """The same motion, led to rest at its end only; None where the gate refuses that too.

    A recording ends anywhere in a movement. A small velocity is lost in the last interval, a larger
    one is braked behind it.
    """
    trajectory = motion.trajectory
    speed = float(np.abs(trajectory.velocities[-1]).max())
    there = trajectory.seconds
    for led in (stopped(trajectory), braked(motion.robot, trajectory)):
        again = gate.review(led)
        # A stop that is too sudden would be played slower, and much before it too.
        if again.trajectory is not None and (len(led) > len(trajectory) or again.trajectory is led):
            more = led.seconds - there
            how = f"{more:.2f} s added in which it comes to rest" if more else "set to zero"
            note = f"the last velocity of {speed:.3f} rad/s: {how}"
            return replace(motion.noted(note), trajectory=again.trajectory), again.report
    return None


def _timed_anew(motion: RobotMotion) -> RobotMotion:
    """The same poses from rest to rest, within the limits of the robot."""
    trajectory, robot = motion.trajectory, motion.robot
    margin = robot.profile.position_margin
    even = motion.at_rate(trajectory.fps)
    poses = Poses(
        even.trajectory.base_position,
        Rotation.from_quat(even.trajectory.base_quaternion).as_matrix(),
        np.clip(
            even.trajectory.positions, robot.position_lower + margin, robot.position_upper - margin
        ),
    )
    samples = sample(robot, poses, trajectory.fps, trajectory.fps)
    return replace(
        motion,
        trajectory=replace(
            trajectory,
            positions=samples.positions,
            velocities=samples.velocities,
            time_from_start=samples.times,
            base_position=samples.base,
            base_quaternion=samples.quaternion,
            source_time=None,
        ),
    )

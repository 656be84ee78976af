"""Coming to stand: at the end of a motion, and from any moment of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import about_z, continuous_quaternions, heading_of
from nextscale_core.trajectory.blend_in import blend_in
from nextscale_core.trajectory.curves import quintic_fade
from nextscale_core.trajectory.reference import REFERENCE_RATE, Reference, standing_reference
from nextscale_core.trajectory.spline_limits import limit_use

STAND_SECONDS = 0.5
"""Duration of standing at the end of a transition [s]."""

BLEND_SECONDS = 1.0
"""Minimum duration of a transition to standing [s]."""

_BRAKES = (0.5, 0.7, 1.0, 1.5, 2.0)
"""Durations in which a motion may stop, in the order of preference [s]."""

STANDS = 1e-3
"""Maximum distance of a joint [rad] and of the root's height [m] from those of standing."""


def standing_pose(
    robot: Robot, position: np.ndarray | None = None, quaternion: np.ndarray | None = None
) -> Reference:
    """The robot in its nominal posture, upright, its soles on the floor z = 0.

    Args:
        robot: The robot.
        position: (3,) root link whose place on the floor it has; None for the origin [m].
        quaternion: (4,) orientation whose heading it has, x y z w; None for 0.
    """
    heading = 0.0 if quaternion is None else heading_of(quaternion)
    base = np.zeros(3) if position is None else np.array([*position[:2], 0.0])
    rotation = about_z(heading)
    poses = Poses(base[None], rotation[None], robot.nominal[None])
    base[2] = -float(kinematics_of(robot).lowest_sole(poses)[0])
    return standing_reference(robot.nominal, base, Rotation.from_matrix(rotation).as_quat())


def standing_over_feet(robot: Robot, reference: Reference) -> Reference:
    """The standing pose with the heading of a reference and the centre of its soles."""
    stand = standing_pose(robot, reference.base_position, reference.base_quaternion)
    away = _centre_of_soles(robot, reference) - _centre_of_soles(robot, stand)
    return replace(stand, base_position=stand.base_position + away * [1.0, 1.0, 0.0])


def transition(
    robot: Robot,
    start: Reference,
    goal: Reference,
    *,
    seconds: float = BLEND_SECONDS,
    hold: float = STAND_SECONDS,
    rate: float = REFERENCE_RATE,
) -> RobotTrajectory:
    """Move from a reference to a pose at rest with minimum jerk, inside the robot's limits.

    Joints and root come to rest with their own velocity while they blend into the goal. Velocities
    of height, roll and pitch begin at 0.

    Args:
        robot: The robot.
        start: A reference inside the limits, at rest or moving.
        goal: Where to come to rest.
        seconds: Minimum duration [s].
        hold: Duration of standing at the goal, after it [s].
        rate: Samples per second [Hz].

    Returns:
        The trajectory. Self-collisions are not checked.

    Raises:
        RetargetError: the robot is too fast to stop inside its limits.
    """
    state = RobotState(
        start.positions, start.velocities, start.base_position, start.base_quaternion
    )
    rotation = Rotation.from_quat(goal.base_quaternion).as_matrix()
    blend, poses = blend_in(
        robot, Poses(goal.base_position[None], rotation[None], goal.positions[None]), state
    )
    blend = replace(blend, seconds=max(blend.seconds, seconds))
    for _ in range(10):
        times = np.arange(np.ceil((blend.seconds + hold) * rate) + 1) / rate
        still = np.repeat(goal.positions[None], len(times), axis=0)
        positions, velocities = blend.blend(times, still, np.zeros_like(still))
        if np.max(limit_use(robot, positions, velocities, times)) <= 1.0:
            break
        blend = blend.longer(1.2)
    turned = np.repeat(Rotation.from_matrix(poses.rotation).as_quat(), len(times), axis=0)
    base, quaternion = blend.blend_base(
        times, still, np.repeat(poses.base, len(times), axis=0), turned
    )
    # The blend keeps place and heading of the start; those of the goal are reached beside it.
    done = 1.0 - quintic_fade(times, blend.seconds)[0]
    u = np.clip(times / blend.seconds, 0.0, 1.0)
    coast = blend.seconds * (u - u**3 + u**4 / 2)
    here = Rotation.from_quat(start.base_quaternion)
    speed = here.apply(start.linear_velocity)[:2]
    turning = float(here.apply(start.angular_velocity)[2])
    way = (goal.base_position - start.base_position)[:2] - coast[-1] * speed
    turn = (
        heading_of(goal.base_quaternion) - heading_of(start.base_quaternion) - coast[-1] * turning
    )
    base[:, :2] += coast[:, None] * speed + done[:, None] * way
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    about = Rotation.from_matrix(about_z(coast * turning + done * turn))
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=positions,
        velocities=velocities,
        time_from_start=times,
        base_position=base,
        base_quaternion=continuous_quaternions((about * Rotation.from_quat(quaternion)).as_quat()),
        fps=rate,
    )


def to_standing(robot: Robot, start: Reference, *, rate: float = REFERENCE_RATE) -> RobotTrajectory:
    """Come to stand over the feet from a pose at rest; see `transition`."""
    return transition(robot, start, standing_over_feet(robot, start), rate=rate)


def braked(
    robot: Robot,
    sample: Callable[[np.ndarray], Reference],
    at: float,
    *,
    rate: float = REFERENCE_RATE,
) -> RobotTrajectory:
    """Stop along a motion, inside the robot's limits: each pose is one of the motion.

    Args:
        robot: The robot.
        sample: References of the motion at times (N,) [s].
        at: Time from which on it is braked [s].
        rate: Samples per second [Hz].

    Raises:
        RetargetError: the motion is too fast to stop along it within the limits.
    """
    for seconds in _BRAKES:
        times = np.arange(round(seconds * rate) + 1) / rate
        u = times / seconds
        found = sample(at + seconds * (u - u**3 + u**4 / 2))
        velocities = found.velocities * (1 - u * u * (3 - 2 * u))[:, None]
        if np.max(limit_use(robot, found.positions, velocities, times)) <= 1.0:
            break
    else:
        raise RetargetError(f"the motion is too fast to stop along it in {_BRAKES[-1]:g} s")
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=found.positions,
        velocities=velocities,
        time_from_start=times,
        base_position=found.base_position,
        base_quaternion=continuous_quaternions(found.base_quaternion),
        fps=rate,
    )


def with_return(robot: Robot, trajectory: RobotTrajectory) -> RobotTrajectory:
    """Append the transition to standing; a trajectory that ends standing is returned as it is.

    Args:
        robot: The robot.
        trajectory: Ends at rest.
    """
    last = pose_of(trajectory, -1)
    if stands(robot, last):
        return trajectory
    return followed_by(trajectory, to_standing(robot, last, rate=trajectory.fps))


def stands(robot: Robot, reference: Reference) -> bool:
    """Whether a pose at rest is that of standing, up to `STANDS`."""
    goal = standing_over_feet(robot, reference)
    tilt = Rotation.from_quat(goal.base_quaternion)
    tilt = tilt * Rotation.from_quat(reference.base_quaternion).inv()
    height = abs(goal.base_position[2] - reference.base_position[2])
    away = float(np.abs(reference.positions - goal.positions).max())
    return bool(max(away, height, tilt.magnitude()) < STANDS)


def followed_by(first: RobotTrajectory, second: RobotTrajectory) -> RobotTrajectory:
    """Two trajectories as one; the second begins in the last sample of the first."""
    begin = first.time_from_start[-1] - second.time_from_start[0]
    source = first.source_time
    if source is not None:
        later = second.source_time
        later = np.full(len(second), np.nan) if later is None else later
        source = np.concatenate([source, later[1:]])
    quaternions = np.concatenate([first.base_quaternion, second.base_quaternion[1:]])
    return replace(
        first,
        positions=np.concatenate([first.positions, second.positions[1:]]),
        velocities=np.concatenate([first.velocities, second.velocities[1:]]),
        time_from_start=np.concatenate([first.time_from_start, second.time_from_start[1:] + begin]),
        base_position=np.concatenate([first.base_position, second.base_position[1:]]),
        base_quaternion=continuous_quaternions(quaternions),
        source_time=source,
    )


def pose_of(trajectory: RobotTrajectory, sample: int) -> Reference:
    """One pose of a trajectory, at rest."""
    return standing_reference(
        trajectory.positions[sample],
        trajectory.base_position[sample],
        trajectory.base_quaternion[sample],
    )


def _centre_of_soles(robot: Robot, reference: Reference) -> np.ndarray:
    kinematics = kinematics_of(robot)
    rotation = Rotation.from_quat(reference.base_quaternion).as_matrix()
    poses = Poses(reference.base_position[None], rotation[None], reference.positions[None])
    corners: np.ndarray = kinematics.points(poses)[0, kinematics.soles]
    return corners.mean(axis=0)

"""Motions of robots that tests write to files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.robots import load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.trajectory.formats.robot_motion import RobotMotion


def waving_g1(seconds: float = 1.2) -> RobotMotion:
    """A G1 that stands on the floor, facing x, and waves from rest to rest; 50 Hz."""
    robot = load_robot("g1")
    count = round(seconds * 50) + 1
    times = np.arange(count) / 50.0
    rate = 2 * np.pi / times[-1]
    positions = np.tile(robot.nominal, (count, 1))
    velocities = np.zeros_like(positions)
    for name, width in (("right_shoulder_pitch", -0.3), ("right_elbow", -0.2), ("waist_yaw", 0.1)):
        column = robot.joint_names.index(f"{name}_joint")
        positions[:, column] += width * (1 - np.cos(rate * times))
        velocities[:, column] = width * rate * np.sin(rate * times)
    velocities[-1] = 0.0
    kinematics = kinematics_of(robot)
    still = Poses(np.zeros((1, 3)), np.eye(3)[None], robot.nominal[None])
    height = -kinematics.points(still)[0, kinematics.soles, 2].min()
    trajectory = RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=positions,
        velocities=velocities,
        time_from_start=times,
        base_position=np.tile([0.0, 0.0, height], (count, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)),
        fps=50.0,
    )
    return RobotMotion(robot, trajectory)


def swinging_talos() -> RobotMotion:
    """A Talos that moves every joint; its base travels and turns; 30 Hz."""
    robot = load_robot("talos")
    times = np.arange(61) / 30.0
    phase = times[:, None] + np.arange(robot.num_joints)
    trajectory = RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=robot.nominal + 0.1 * np.sin(phase),
        velocities=0.1 * np.cos(phase),
        time_from_start=times,
        base_position=np.stack([0.2 * times, 0.1 * times**2, 1.0 + 0 * times], axis=1),
        base_quaternion=Rotation.from_euler("z", 0.3 * times[:, None]).as_quat(),
        fps=30.0,
    )
    return RobotMotion(robot, trajectory)


def turned(motion: RobotMotion, angle: float) -> RobotMotion:
    """The same motion, begun in another heading [rad]."""
    turn, trajectory = Rotation.from_euler("z", angle), motion.trajectory
    base = (turn * Rotation.from_quat(trajectory.base_quaternion)).as_quat()
    place = turn.apply(trajectory.base_position)
    return replace(
        motion, trajectory=replace(trajectory, base_quaternion=base, base_position=place)
    )

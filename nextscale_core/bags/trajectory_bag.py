"""Export of trajectories as recordings that RViz, Foxglove and PlotJuggler play."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.bags.definitions import (
    JOINT_STATE,
    JOINT_TRAJECTORY,
    ODOMETRY,
    TRANSFORMS,
    message,
)
from nextscale_core.bags.reading import NANOSECONDS
from nextscale_core.bags.writing import BagWriter
from nextscale_core.estimation.base_pose import root_link
from nextscale_core.exceptions import BagError
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory

WORLD = "odom"
"""Frame in which the base moves (REP-105)."""

BEGIN = NANOSECONDS
"""Time of the first message [ns]: a stamp of 0 would mean that there is none."""


def write_bag(
    trajectory: RobotTrajectory,
    path: Path | str,
    robot: Robot | None = None,
    *,
    begin: int = BEGIN,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> int:
    """Write a trajectory, and the joint states, odometry and transforms of its execution.

    Topics: /motion_command once at the begin, then /joint_states, /odom and /tf at the rate of the
    trajectory. The transforms are of the root link; robot_state_publisher publishes those of the
    other links from the joint states.

    Args:
        trajectory: N points.
        path: Folder of the bag, which must not exist; its parent must.
        robot: The robot; None: the root link is called 'base_link', x forward and z up.
        begin: Time of the first point [ns].
        progress: Called with the number of points written and their total.

    Returns:
        Number of messages.

    Raises:
        BagError: the folder exists or cannot be created, or the disk is full.
    """
    if not len(trajectory):
        raise BagError("a trajectory without points cannot be written as a bag")
    with BagWriter(path) as bag:
        bag.put("/motion_command", JOINT_TRAJECTORY, begin, _command(trajectory, begin))
        for count, (time, states) in enumerate(_states(trajectory, robot, begin)):
            for topic, kind, value in states:
                bag.put(topic, kind, time, value)
            if count % 100 == 0:
                progress(count, len(trajectory))
    return bag.count


def _command(trajectory: RobotTrajectory, begin: int) -> Any:
    """The trajectory as a message to a controller."""
    empty = np.empty(0)
    points = [
        message(
            "trajectory_msgs/msg/JointTrajectoryPoint",
            positions=position,
            velocities=velocity,
            accelerations=empty,
            effort=empty,
            time_from_start=_time("Duration", round(at * NANOSECONDS)),
        )
        for at, position, velocity in zip(
            trajectory.time_from_start.tolist(),
            trajectory.positions,
            trajectory.velocities,
            strict=True,
        )
    ]
    names = list(trajectory.joint_names)
    return message(JOINT_TRAJECTORY, header=_header("", begin), joint_names=names, points=points)


def _states(
    trajectory: RobotTrajectory, robot: Robot | None, begin: int
) -> Iterator[tuple[int, list[tuple[str, str, Any]]]]:
    """For each point its time [ns], and the topics, types and messages published then."""
    root = "base_link" if robot is None else root_link(robot)
    turns = trajectory.base_quaternion
    if robot is not None:
        turns = robot.root_quaternion(turns)
    linear, angular = _speeds(trajectory, turns)
    names, times, zeros = list(trajectory.joint_names), trajectory.time_from_start, np.zeros(36)
    for n, at in enumerate((times - times[0]).tolist()):
        time = begin + round(at * NANOSECONDS)
        in_world = {"header": _header(WORLD, time), "child_frame_id": root}
        place, turn = trajectory.base_position[n], _geometry("Quaternion", turns[n])
        state = message(
            JOINT_STATE,
            header=_header("", time),
            name=names,
            position=trajectory.positions[n],
            velocity=trajectory.velocities[n],
            effort=np.empty(0),
        )
        pose = _geometry("Pose", position=_geometry("Point", place), orientation=turn)
        twist = _geometry(
            "Twist",
            linear=_geometry("Vector3", linear[n]),
            angular=_geometry("Vector3", angular[n]),
        )
        odometry = message(
            ODOMETRY,
            **in_world,
            pose=_geometry("PoseWithCovariance", pose=pose, covariance=zeros),
            twist=_geometry("TwistWithCovariance", twist=twist, covariance=zeros),
        )
        moved = _geometry("Transform", translation=_geometry("Vector3", place), rotation=turn)
        transform = _geometry("TransformStamped", **in_world, transform=moved)
        yield (
            time,
            [
                ("/joint_states", JOINT_STATE, state),
                ("/odom", ODOMETRY, odometry),
                ("/tf", TRANSFORMS, message(TRANSFORMS, transforms=[transform])),
            ],
        )


def _speeds(trajectory: RobotTrajectory, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear and angular velocities (N, 3) of the root link in its own frame [m/s, rad/s]."""
    times = trajectory.time_from_start
    if len(times) < 2:
        return np.zeros((1, 3)), np.zeros((1, 3))
    rotation = Rotation.from_quat(turns)
    linear = rotation.inv().apply(np.gradient(trajectory.base_position, times, axis=0))
    step = float(np.diff(times).min()) / 2
    around = Slerp(times, rotation)
    before, after = np.maximum(times - step, times[0]), np.minimum(times + step, times[-1])
    angular = (around(before).inv() * around(after)).as_rotvec() / (after - before)[:, None]
    return linear, angular


def _time(kind: str, nanoseconds: int) -> Any:
    sec, nanosec = divmod(nanoseconds, NANOSECONDS)
    return message(f"builtin_interfaces/msg/{kind}", sec=sec, nanosec=nanosec)


def _header(frame: str, nanoseconds: int) -> Any:
    return message("std_msgs/msg/Header", stamp=_time("Time", nanoseconds), frame_id=frame)


def _geometry(kind: str, values: np.ndarray | None = None, **fields: Any) -> Any:
    """A message of geometry_msgs, with numbers as the fields x, y, z and w."""
    if values is not None:
        fields = dict(zip("xyzw", values.tolist(), strict=False))
    return message(f"geometry_msgs/msg/{kind}", **fields)

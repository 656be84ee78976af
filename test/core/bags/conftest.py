"""Synthetic recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags")

from nextscale_core.bags import BagWriter
from nextscale_core.bags import definitions as kinds
from nextscale_core.bags.reading import NANOSECONDS
from nextscale_core.bags.trajectory_bag import write_bag
from nextscale_core.estimation.skeleton import t_pose
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory, load_robot

BEGIN = 1_700_000_000.0
"""Begin of the synthetic recordings [s]."""


@pytest.fixture(scope="session")
def g1() -> Robot:
    return load_robot("g1")


def stepping(seconds: float) -> MotionClip:
    """A person on the spot who sways from one foot to the other and lifts the arms."""
    times = np.arange(round(seconds * 20)) / 20.0
    joints = np.repeat(t_pose()[None], len(times), axis=0)
    joints[..., 2] -= joints[0, :, 2].min() - 0.02
    joints[..., 1] += (0.05 * np.sin(times))[:, None] * joints[..., 2]
    joints[:, [18, 19, 20, 21], 2] -= 0.2 * (1 - np.cos(times))[:, None] * np.array([1, 1, 2, 2])
    return MotionClip(joints)


@pytest.fixture(scope="session")
def trajectory(g1: Robot) -> RobotTrajectory:
    return Retargeter(g1).retarget(stepping(6.0), rate=100.0)


@pytest.fixture
def bag(trajectory: RobotTrajectory, g1: Robot, tmp_path: Path) -> Path:
    write_bag(trajectory, tmp_path / "walk", g1)
    return tmp_path / "walk"


def joint_state(
    names: Sequence[str],
    positions: Sequence[float],
    stamp: float = 0.0,
    velocities: Sequence[float] = (),
) -> Any:
    sec, nanosec = divmod(round(stamp * NANOSECONDS), NANOSECONDS)
    time = kinds.message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return kinds.message(
        kinds.JOINT_STATE,
        header=kinds.message("std_msgs/msg/Header", stamp=time, frame_id=""),
        name=list(names),
        position=np.array(positions, dtype=np.float64),
        velocity=np.array(velocities, dtype=np.float64),
        effort=np.empty(0),
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Path]:
    """Writes (topic, seconds since the begin, joint state) to a bag."""

    def write(messages: Sequence[tuple[str, float, Any]], name: str = "made_up") -> Path:
        with BagWriter(tmp_path / name) as writer:
            for topic, at, message in messages:
                time = round((BEGIN + at) * NANOSECONDS)
                writer.put(topic, kinds.JOINT_STATE, time, message)
        return tmp_path / name

    return write

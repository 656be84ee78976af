from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.simulation.onnx_file import write_linear
from nextscale_core.robots import Robot, RobotTrajectory, load_robot

pytest.importorskip("mujoco", reason="the extra nextscale[sim] is not installed")


@pytest.fixture(scope="package")
def g1() -> Robot:
    return load_robot("g1")


def nodding(robot: Robot, seconds: float = 2.0) -> RobotTrajectory:
    """Elbows and knees go up and down by 0.3 rad; the base stays where it is."""
    times = np.arange(0.0, seconds + 1e-9, 0.02)
    share = np.sin(np.pi * times / seconds)[:, None] ** 2
    moves = np.array([0.3 * ("elbow" in name or "knee" in name) for name in robot.joint_names])
    rows = np.ones((len(times), 1))
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=robot.nominal + share * moves,
        velocities=np.gradient(share[:, 0], 0.02)[:, None] * moves,
        time_from_start=times,
        base_position=rows * [1.0, 2.0, 0.78],
        base_quaternion=rows * [0.0, 0.0, np.sin(0.25), np.cos(0.25)],
        fps=50.0,
        text="nods",
    )


@pytest.fixture(scope="package")
def motion(g1: Robot) -> RobotTrajectory:
    return nodding(g1)


@pytest.fixture(scope="package")
def mirror_tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with a tracker's inputs whose targets are the commanded joints."""
    weight = np.zeros((1432, 29))
    # Targets are the standing posture + 0.5 action; the observation has both the commanded joints
    # and the measured ones relative to that posture.
    weight[6:35] = 2 * np.eye(29)
    leg, arm = [-0.2, 0, 0, 0.4, -0.2, 0], [0, 0.4, 0, 1.2, 0, 0, 0]
    standing = np.array([*leg, *leg, 0, 0, 0, *arm, *np.multiply(arm, [1, -1, 1, 1, 1, 1, 1])])
    folder = tmp_path_factory.mktemp("policies")
    return write_linear(folder / "mirror.onnx", weight, -2 * standing)


@pytest.fixture(scope="package")
def echo_walker(g1: Robot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with a walking policy's inputs: its first actions repeat the command."""
    weight = np.zeros((100, 29))
    weight[[33, 34, 32], [0, 1, 2]] = 1.0
    metadata = {
        "dof_names": json.dumps(list(g1.joint_names[::-1])),
        "kp": json.dumps([100.0] * 29),
        "kd": json.dumps([5.0] * 29),
        "command_ranges": json.dumps(
            {key: [-1.0, 1.0] for key in ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")}
        ),
    }
    folder = tmp_path_factory.mktemp("policies")
    return write_linear(folder / "echo.onnx", weight, np.zeros(29), metadata)

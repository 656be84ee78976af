"""Robot trajectories as npz files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nextscale_core.exceptions import MotionFileError
from nextscale_core.robots.trajectory import RobotTrajectory, read_trajectory, write_trajectory


@pytest.fixture
def trajectory() -> RobotTrajectory:
    generator = np.random.default_rng(0)
    return RobotTrajectory(
        robot="g1",
        joint_names=("left_knee_joint", "right_knee_joint"),
        positions=generator.normal(size=(5, 2)),
        velocities=generator.normal(size=(5, 2)),
        time_from_start=np.arange(5) / 50.0,
        base_position=generator.normal(size=(5, 3)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (5, 1)),
        fps=50.0,
        text="a person squats",
    )


def test_a_trajectory_comes_back_as_it_was(trajectory: RobotTrajectory, tmp_path: Path) -> None:
    write_trajectory(trajectory, tmp_path / "a.npz", seed=3)
    back = read_trajectory(tmp_path / "a.npz")
    assert (back.robot, back.joint_names, back.fps, back.text) == (
        "g1",
        ("left_knee_joint", "right_knee_joint"),
        50.0,
        "a person squats",
    )
    for name in ("positions", "velocities", "time_from_start", "base_position", "base_quaternion"):
        np.testing.assert_array_equal(getattr(back, name), getattr(trajectory, name))


def test_where_the_samples_come_from_is_kept_where_it_is_known(
    trajectory: RobotTrajectory, tmp_path: Path
) -> None:
    source = np.array([np.nan, 0.0, 0.1, 0.2, 0.3])
    write_trajectory(trajectory, tmp_path / "a.npz")
    assert read_trajectory(tmp_path / "a.npz").source_time is None
    write_trajectory(replace(trajectory, source_time=source), tmp_path / "a.npz")
    back = read_trajectory(tmp_path / "a.npz").source_time
    assert back is not None
    np.testing.assert_array_equal(back, source)


def test_the_file_holds_no_object_array(trajectory: RobotTrajectory, tmp_path: Path) -> None:
    write_trajectory(trajectory, tmp_path / "a.npz", seed=3)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive["joint_names"].dtype.kind == "U"
        assert int(archive["seed"]) == 3
        assert float(archive["fps"]) == 50.0


def test_another_suffix_is_refused(trajectory: RobotTrajectory, tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match=r"\.npz"):
        write_trajectory(trajectory, tmp_path / "a.bvh")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("positions", np.zeros((5, 3)), "positions must have shape"),
        ("velocities", np.full((5, 2), np.nan), "NaN"),
        ("time_from_start", np.zeros(5), "increase"),
        ("time_from_start", np.float64(0.0), "time_from_start|unsized"),
        ("fps", np.float64(0.0), "fps"),
        ("fps", np.array("fast"), "fps"),
        ("joint_names", np.arange(2), "joint_names"),
        ("source_time", np.zeros(4), "source_time must have shape"),
        ("source_time", np.full(5, np.inf), "source_time"),
        ("base_position", np.array([["a", "b", "c"]] * 5), "base_position"),
    ],
)
def test_a_wrong_array_is_named(
    trajectory: RobotTrajectory, tmp_path: Path, name: str, value: np.ndarray, message: str
) -> None:
    path = tmp_path / "a.npz"
    write_trajectory(trajectory, path)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = value
    np.savez(path, **arrays)
    with pytest.raises(MotionFileError, match=message):
        read_trajectory(path)


def test_a_missing_array_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.zeros((2, 22, 3)), fps=20.0)
    with pytest.raises(MotionFileError, match=r"'positions'.*it has: fps, joints"):
        read_trajectory(tmp_path / "a.npz")

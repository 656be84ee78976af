"""`nextscale convert` and `nextscale formats`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from core.robot_motions import waving_g1
from nextscale_core.cli import app as cli
from nextscale_core.conversion import FORMATS
from nextscale_core.motion import read_motion
from nextscale_core.motion.formats.files import HUMAN_FORMATS, WRITTEN_SUFFIXES
from nextscale_core.motion.formats.registry import find_format
from nextscale_core.robots.trajectory import read_trajectory
from nextscale_core.trajectory.formats.robot_motion import RobotMotion


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def run_and_fail(code: int, *arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    (line,) = [one for one in result.output.splitlines() if one.startswith("error: ")]
    return line


@pytest.fixture(scope="module")
def waving() -> RobotMotion:
    return waving_g1()


@pytest.fixture(scope="module")
def wave(waving: RobotMotion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "wave.npz"
    write = find_format("mjlab-npz", FORMATS).write
    assert write is not None
    write(waving, path)
    return path


def test_formats_lists_every_format_with_its_orders_and_rate() -> None:
    result = run("formats")
    lines = result.output.splitlines()
    assert len(lines) == len(FORMATS)
    (mjlab,) = [line for line in lines if line.startswith("mjlab-npz")]
    assert "read and write, G1, wxyz, MuJoCo, 50 Hz (in the file)" in mjlab


def test_what_the_gate_passes_is_converted_unchanged(
    waving: RobotMotion, wave: Path, tmp_path: Path
) -> None:
    out = tmp_path / "wave.csv"
    result = run("convert", wave, out, "--to", "kimodo-csv", "--rate", "50")
    assert result.exit_code == 0, result.output
    assert "read: " in result.output
    assert "mjlab-npz" in result.output
    assert "safety: pass" in result.output
    rows = np.loadtxt(out, delimiter=",")
    assert np.allclose(rows[:, 7:], waving.trajectory.positions, atol=1e-6)
    assert np.allclose(np.abs(rows[:, 3]), 1.0)


def test_a_csv_is_written_at_the_rate_that_its_readers_assume(wave: Path, tmp_path: Path) -> None:
    out = tmp_path / "wave.csv"
    result = run("convert", wave, out, "--to", "lafan1-csv")
    assert result.exit_code == 0, result.output
    assert len(np.loadtxt(out, delimiter=",")) == 1.2 * 30 + 1


def test_motion_beyond_the_limits_is_timed_anew_and_the_command_says_so(
    waving: RobotMotion, tmp_path: Path
) -> None:
    fast = replace(
        waving.trajectory,
        fps=500.0,
        time_from_start=waving.trajectory.time_from_start / 10,
        velocities=waving.trajectory.velocities * 10,
    )
    source, out = tmp_path / "fast.npz", tmp_path / "slow.npz"
    write = find_format("robot-npz", FORMATS).write
    assert write is not None
    write(replace(waving, trajectory=fast), source)
    result = run("convert", source, out, "--to", "robot-npz")
    assert result.exit_code == 0, result.output
    slow = read_trajectory(out)
    assert slow.seconds > 1.3 * fast.seconds
    assert "slower" in result.output or "timed anew" in result.output


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
def test_every_suffix_of_human_motion_has_a_format(suffix: str) -> None:
    (one,) = [one for one in HUMAN_FORMATS if one.write and one.has_suffix(suffix)][:1]
    assert one.read is not None


def cut(motion: RobotMotion, frames: int, pace: float = 1.0) -> RobotMotion:
    """The first frames of a motion at 30 Hz, played at another pace."""
    whole = motion.at_rate(30.0 / pace).trajectory
    return replace(
        motion,
        trajectory=replace(
            whole,
            positions=whole.positions[:frames],
            velocities=whole.velocities[:frames] * pace,
            time_from_start=whole.time_from_start[:frames] / pace,
            base_position=whole.base_position[:frames],
            base_quaternion=whole.base_quaternion[:frames],
            fps=30.0,
        ),
    )


def converted(motion: RobotMotion, folder: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Rows of a CSV file before and after its conversion, and the output of the command."""
    made = find_format("lafan1-csv", FORMATS)
    assert made.write is not None
    made.write(motion, folder / "in.csv")
    words = ("--from", "lafan1-csv", "--to", "lafan1-csv")
    result = run("convert", folder / "in.csv", folder / "out.csv", *words)
    assert result.exit_code == 0, result.output
    before, after = (np.loadtxt(folder / f"{name}.csv", delimiter=",") for name in ("in", "out"))
    return before, after, " ".join(result.output.split())


def test_a_recording_that_ends_in_a_slow_movement_keeps_its_frames(
    waving: RobotMotion, tmp_path: Path
) -> None:
    slow = cut(waving, 35, pace=0.05)
    assert 0.005 < np.abs(slow.trajectory.velocities[-1]).max() < 0.05
    before, after, output = converted(slow, tmp_path)
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert "rad/s: set to zero" in output
    assert "timed anew" not in output


def test_a_recording_that_ends_in_a_fast_movement_is_braked_behind_its_last_frame(
    waving: RobotMotion, tmp_path: Path
) -> None:
    # Faster than the last interval can lose.
    fast = cut(waving, 6, pace=2.5)
    speed = float(np.abs(fast.trajectory.velocities[-1]).max())
    assert speed > 0.5
    before, after, output = converted(fast, tmp_path)
    assert len(before) < len(after) <= len(before) + 10
    np.testing.assert_allclose(after[: len(before)], before, atol=1e-6)
    steps = np.abs(np.diff(after[:, 7:], axis=0)).max(axis=1)
    assert (np.diff(steps[len(before) - 1 :]) < 0).all()
    assert "added in which it comes to rest" in output


def test_what_the_gate_refuses_is_not_written(waving: RobotMotion, tmp_path: Path) -> None:
    column = waving.robot.joint_names.index("left_shoulder_roll_joint")
    positions = waving.trajectory.positions.copy()
    positions[:, column] = -1.5
    column = waving.robot.joint_names.index("left_shoulder_yaw_joint")
    positions[:, column] = 1.5
    source, out = tmp_path / "into_the_chest.npz", tmp_path / "out.csv"
    write = find_format("robot-npz", FORMATS).write
    assert write is not None
    write(replace(waving, trajectory=replace(waving.trajectory, positions=positions)), source)
    assert "the safety gate refused" in run_and_fail(
        3, "convert", source, out, "--to", "lafan1-csv"
    )
    assert not out.exists()


def test_a_robots_motion_becomes_a_human_and_another_robot(wave: Path, tmp_path: Path) -> None:
    human, talos = tmp_path / "wave.bvh", tmp_path / "talos.npz"
    result = run("convert", wave, human, "--to", "bvh")
    assert result.exit_code == 0, result.output
    assert abs(read_motion(human).seconds - 1.2) < 0.1
    result = run("convert", wave, talos, "--to", "mujoco-npz", "--robot", "talos")
    assert result.exit_code == 0, result.output
    assert "safety: " in result.output
    assert "leg_left_1_joint" in np.load(talos)["joint_names"]


def test_a_human_motion_becomes_a_robots(wave: Path, tmp_path: Path) -> None:
    human, out = tmp_path / "wave.npz", tmp_path / "wave_folder"
    assert run("convert", wave, human, "--to", "human-npz").exit_code == 0
    result = run("convert", human, out, "--to", "sonic")
    assert result.exit_code == 0, result.output
    assert (out / "joint_pos.csv").is_file()
    assert "exists" in run_and_fail(2, "convert", human, out, "--to", "sonic")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("out.npz",), "give the format with --to"),
        (("out.fbx",), "'.fbx' is not written; known are .bvh"),
        (("out.npz", "--to", "mjlab"), "did you mean 'mjlab-npz'"),
        (("out.csv", "--to", "mjlab-npz"), "must end in .npz"),
        (("out.npz", "--to", "kimodo-npz"), "can be read, not written"),
        (("out.npz", "--to", "mjlab-npz", "--robot", "talos"), "29 joints of a Unitree G1"),
        (("out.bvh", "--to", "bvh", "--robot", "g1"), "leave out --robot"),
        (("out.npz", "--to", "robot-npz", "--from", "beyondmimic-npz"), "breadth first order"),
    ],
)
def test_a_conversion_that_cannot_be_is_one_line(
    wave: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    out, *options = arguments
    assert message in run_and_fail(2, "convert", wave, tmp_path / out, *options)
    assert not (tmp_path / out).exists()

"""`nextscale view`: pictures, the page and error messages."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from core.human_clips import walking_clip
from core.robot_motions import waving_g1
from nextscale_core.cli import app as cli
from nextscale_core.exceptions import RobotError
from nextscale_core.motion import MotionClip, read_motion, write_motion
from nextscale_core.motion.formats.registry import find_format
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.robots.trajectory import write_trajectory
from nextscale_core.trajectory.formats.files import ROBOT_FORMATS

ROOT = Path(__file__).resolve().parents[3]


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["view", *map(str, words)])


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    path = tmp_path / "walk.npz"
    write_motion(walking_clip(frames=30).with_text("a person walks"), path)
    return path


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


def standing(robot: Robot) -> RobotTrajectory:
    points = 26
    return RobotTrajectory(
        robot="g1",
        joint_names=robot.joint_names,
        positions=np.tile(robot.nominal, (points, 1)),
        velocities=np.zeros((points, robot.num_joints)),
        time_from_start=np.arange(points) / 50.0,
        base_position=np.tile([0.0, 0.0, 0.78], (points, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (points, 1)),
        fps=50.0,
        text="a robot stands",
    )


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        found = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(np.asarray(image.convert("RGB")).astype(int))
    return found


def test_a_human_becomes_a_strip_and_an_animation(walk: Path, tmp_path: Path) -> None:
    png, gif = tmp_path / "made" / "a.png", tmp_path / "made" / "a.gif"
    result = run(walk, "--png", png, "--gif", gif)
    assert result.exit_code == 0, result.output
    assert "motion:" in result.stdout and str(gif) in result.stdout
    (strip,) = frames(png)
    assert strip.shape[1] > 2 * strip.shape[0] > 400
    assert strip.std() > 10
    moving = frames(gif)
    assert len(moving) == 30
    assert moving[0].shape == (440, 440, 3)
    changed = [np.abs(a - b).max(axis=-1) > 40 for a, b in zip(moving, moving[5:], strict=False)]
    assert max(mask.mean() for mask in changed) > 0.01


def test_a_human_on_a_robot_is_wider_than_alone_and_has_a_gate_line(
    robot: Robot, walk: Path, tmp_path: Path
) -> None:
    alone, both = tmp_path / "alone.png", tmp_path / "both.png"
    assert run(walk, "--png", alone).exit_code == 0
    result = run(walk, "--robot", "g1", "--png", both)
    assert result.exit_code == 0, result.output
    assert "robot: g1: 29 joints" in result.stdout
    assert "safety: pass" in result.stdout or "safety: repaired" in result.stdout
    assert frames(both)[0].shape[1] > frames(alone)[0].shape[1] + 100


def test_a_trajectory_is_shown_with_the_human_behind_it(robot: Robot, tmp_path: Path) -> None:
    write_trajectory(standing(robot), tmp_path / "stand.npz")
    result = run(tmp_path / "stand.npz", "--png", tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    assert "human: what the robot's joints show" in result.stdout
    assert "safety: pass" in result.stdout


def test_a_trajectory_that_the_gate_refuses_may_be_looked_at(robot: Robot, tmp_path: Path) -> None:
    bad = standing(robot)
    positions = bad.positions.copy()
    positions[:, 3] = robot.position_upper[3] + 1.0
    write_trajectory(replace(bad, positions=positions), tmp_path / "bad.npz")
    result = run(tmp_path / "bad.npz", "--png", tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    assert "safety: rejected" in result.stdout


def test_a_trajectory_of_some_joints_only_is_shown_on_the_whole_robot(
    robot: Robot, tmp_path: Path
) -> None:
    whole = standing(robot)
    keep = [n for n, name in enumerate(robot.joint_names) if "shoulder" in name or "elbow" in name]
    part = replace(
        whole,
        joint_names=tuple(robot.joint_names[n] for n in keep),
        positions=whole.positions[:, keep],
        velocities=whole.velocities[:, keep],
    )
    write_trajectory(part, tmp_path / "arms.npz")
    result = run(tmp_path / "arms.npz", "--png", tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    assert f"g1: {len(keep)} joints" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.npz", "--png", "a.png"], "does not exist"),
        (["nowhere.xyz", "--png", "a.png"], "does not exist"),
        (["{walk}", "--robot", "r2d2", "--png", "{tmp}/a.png"], "unknown robot 'r2d2'"),
        (["{walk}", "--png", "{tmp}/a.gif"], "must end in .png"),
        (["{walk}", "--gif", "{tmp}/a"], "must end in .gif"),
        (["{walk}", "--profile", "x.yaml", "--png", "{tmp}/a.png"], "--profile needs --robot"),
        (["{walk}", "--port", "99999"], "port"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    words: list[str], said: str, walk: Path, tmp_path: Path
) -> None:
    result = run(*(word.format(walk=walk, tmp=tmp_path) for word in words))
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
    assert not list(tmp_path.glob("a*"))


def test_a_trajectory_on_another_robot_is_refused(robot: Robot, tmp_path: Path) -> None:
    write_trajectory(standing(robot), tmp_path / "stand.npz")
    result = run(tmp_path / "stand.npz", "--robot", "talos", "--png", tmp_path / "a.png")
    assert result.exit_code == 2
    assert "the trajectory moves 29 joints" in result.stderr


def test_without_viser_it_says_so_at_once_and_pictures_work(
    walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    result = run(walk)
    assert result.exit_code == 2
    assert "pip install 'viser>=" in result.stderr and "--png" in result.stderr
    assert run(walk, "--png", tmp_path / "a.png").exit_code == 0


def test_one_frame_is_enough(tmp_path: Path) -> None:
    write_motion(MotionClip(walking_clip().joints[:1]), tmp_path / "one.npz")
    assert run(tmp_path / "one.npz", "--png", tmp_path / "one.png").exit_code == 0


def test_the_page_is_served_until_ctrl_c(walk: Path) -> None:
    pytest.importorskip("viser", reason="the page needs viser, which is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "nextscale_core.cli", "view", str(walk), "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("page: "):
                break
        assert "page: http://localhost:" in said
        url = said.split("page: ")[1].split()[0]
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_every_format_of_a_robots_motion_is_shown_and_its_length_counted_once(
    tmp_path: Path,
) -> None:
    motion = waving_g1()
    for name, suffix in (("lafan1-csv", ".csv"), ("gmr-pkl", ".pkl")):
        write = find_format(name, ROBOT_FORMATS).write
        assert write is not None
        write(motion.at_rate(30.0), tmp_path / f"a{suffix}")
        words = ("--from", "lafan1-csv") if suffix == ".csv" else ()
        result = run(tmp_path / f"a{suffix}", "--png", tmp_path / "a.png", *words)
        assert result.exit_code == 0, result.output
        facts = " ".join(result.stdout.split())
        assert "g1: 29 joints, 37 points, 1.20 s at 30 Hz" in facts
        assert f"a{suffix}: 1.20 s" in facts


def test_a_humans_length_is_its_frames_divided_by_the_rate(walk: Path, tmp_path: Path) -> None:
    clip = read_motion(walk)
    result = run(walk, "--png", tmp_path / "a.png")
    assert f"{walk}: {len(clip) / clip.fps:.2f} s" in " ".join(result.stdout.split())

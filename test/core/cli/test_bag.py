"""`nextscale bag`: motion from recordings, and recordings from motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("rosbags")

from core.bags.conftest import joint_state
from core.robot_motions import waving_g1
from nextscale_core.bags import Bag, BagWriter
from nextscale_core.bags import definitions as kinds
from nextscale_core.cli import app as cli
from nextscale_core.estimation.skeleton import t_pose
from nextscale_core.motion import MotionClip, read_motion, write_motion
from nextscale_core.motion.formats.registry import find_format
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import load_robot
from nextscale_core.robots.trajectory import read_trajectory, write_trajectory
from nextscale_core.trajectory.formats.files import ROBOT_FORMATS


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["bag", *map(str, arguments)])


def bending(seconds: float = 4.0) -> MotionClip:
    """A person stands and lowers the arms."""
    times = np.arange(round(seconds * 20)) / 20.0
    joints = np.repeat(t_pose()[None], len(times), axis=0)
    joints[..., 2] -= joints[0, :, 2].min() - 0.02
    for name in ("left_wrist", "right_wrist"):
        joints[:, JOINT_INDEX[name], 2] -= 0.1 * (1 - np.cos(times))
    return MotionClip(joints, text="lowers the arms")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a human motion, a robot trajectory and a bag of it."""
    folder = tmp_path_factory.mktemp("files")
    write_motion(bending(), folder / "human.npz")
    trajectory = Retargeter(load_robot("g1")).retarget(bending(), rate=50.0)
    write_trajectory(trajectory, folder / "robot.npz")
    done = run("from-motion", folder / "robot.npz", "--out", folder / "bag")
    assert done.exit_code == 0, done.output
    return folder


def test_a_trajectory_becomes_a_bag_and_comes_back(files: Path, tmp_path: Path) -> None:
    done = run("to-trajectory", files / "bag", "--out", tmp_path / "back.npz")
    assert done.exit_code == 0, done.output
    before, back = read_trajectory(files / "robot.npz"), read_trajectory(tmp_path / "back.npz")
    assert back.joint_names == before.joint_names and back.robot == "g1"
    count = min(len(back), len(before))
    assert abs(len(back) - len(before)) <= 1
    np.testing.assert_allclose(back.positions[:count], before.positions[:count], atol=1e-6)


def test_every_format_of_a_robots_motion_becomes_a_bag(tmp_path: Path) -> None:
    write = find_format("gmr-pkl", ROBOT_FORMATS).write
    assert write is not None
    write(waving_g1(), tmp_path / "a.pkl")
    result = run("from-motion", tmp_path / "a.pkl", "--out", tmp_path / "bag")
    assert result.exit_code == 0, result.output
    assert "g1: 29 joints, 61 points, 1.20 s" in " ".join(result.output.split())
    result = run("from-motion", tmp_path / "a.pkl", "--robot", "talos", "--out", tmp_path / "b")
    assert result.exit_code == 2
    assert "'dof_pos' has 29 columns, talos has 28 joints" in " ".join(result.output.split())
    assert not (tmp_path / "b").exists()


def test_a_human_motion_becomes_a_bag_of_its_robot(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "t"
    done = run("from-motion", files / "human.npz", "--robot", "talos", "--out", out)
    assert done.exit_code == 0, done.output
    assert "talos" in done.output
    with Bag(out) as bag:
        _, state = next(bag.decoded(["/joint_states"]))
    assert tuple(state.name) == load_robot("talos").joint_names


@pytest.mark.parametrize("suffix", [".npz", ".bvh"])
def test_a_bag_becomes_a_human_motion(suffix: str, files: Path, tmp_path: Path) -> None:
    out = tmp_path / f"human{suffix}"
    done = run("to-motion", files / "bag", "--out", out, "--text", "lowers the arms")
    assert done.exit_code == 0, done.output
    assert "base from: odometry (100%)" in done.output
    clip = read_motion(out)
    assert clip.fps == 20.0 and abs(clip.seconds - 4.0) < 0.6
    heights = clip.joints[:, JOINT_INDEX["left_wrist"], 2]
    assert np.ptp(heights) > 0.05


def test_the_soles_tell_where_odometry_is_not_wanted(files: Path, tmp_path: Path) -> None:
    done = run("to-motion", files / "bag", "--odometry", "none", "--out", tmp_path / "x.npz")
    assert done.exit_code == 0, done.output
    assert "base from: soles" in done.output


def test_a_part_of_a_bag(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    done = run("to-motion", files / "bag", "--begin", 1, "--end", 2.5, "--out", out)
    assert done.exit_code == 0, done.output
    assert read_motion(out).seconds == pytest.approx(1.5, abs=0.11)


def test_info_shows_topics_and_what_a_motion_would_be_made_of(files: Path) -> None:
    done = run("info", files / "bag")
    assert done.exit_code == 0
    assert "/joint_states: sensor_msgs/msg/JointState, " in done.output
    assert "motion from: /joint_states, /odom" in done.output
    assert "joints: 29: left_hip_pitch_joint" in done.output


def test_info_of_a_bag_without_joint_states(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.put("/chatter", kinds.TEXT, 1, kinds.message(kinds.TEXT, data="hello"))
    done = run("info", tmp_path / "bag")
    assert done.exit_code == 0
    assert (
        "none can be made of it" in done.output and "/chatter: std_msgs/msg/String" in done.output
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--joint-states", "/walk"], "has no topic '/walk'; it has /joint_states"),
        (["--joint-states", "/odom"], "/odom in"),
        (["--odometry", "/joint_states"], "is sensor_msgs/msg/JointState, not nav_msgs"),
        (["--imu", "/imu"], "has no topic '/imu'"),
        (["--robot", "talos"], "none of the joints in the bag is one of talos's"),
        (["--begin", "50"], "--begin 50"),
    ],
)
def test_wrong_options_are_told_and_nothing_is_written(
    options: list[str], reason: str, files: Path, tmp_path: Path
) -> None:
    done = run("to-motion", files / "bag", "--out", tmp_path / "x.npz", *options)
    assert done.exit_code == cli.BAD_INPUT
    assert reason in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["info", "to-motion", "to-trajectory"])
def test_what_is_no_bag_is_told(command: str, files: Path, tmp_path: Path) -> None:
    out = [] if command == "info" else ["--out", tmp_path / "x.npz"]
    for path, reason in (
        (tmp_path / "nowhere", "does not exist"),
        (files / "human.npz", "is not a bag"),
        (files, "is not a bag"),
    ):
        done = run(command, path, *out)
        assert done.exit_code == cli.BAD_INPUT and reason in done.output


@pytest.mark.parametrize("command", ["info", "to-motion", "to-trajectory"])
def test_of_a_bag_cut_short_the_whole_part_is_read(
    command: str, files: Path, tmp_path: Path
) -> None:
    data = (files / "bag" / "bag.mcap").read_bytes()
    (tmp_path / "short.mcap").write_bytes(data[: len(data) // 2])
    out = [] if command == "info" else ["--out", tmp_path / "x.npz"]
    done = run(command, tmp_path / "short.mcap", *out)
    assert done.exit_code == 0, done.output
    assert "short.mcap was cut short, as where a recorder is killed" in done.output
    (tmp_path / "short.mcap").write_bytes(data[:60])
    done = run(command, tmp_path / "short.mcap", *out)
    assert done.exit_code == cli.BAD_INPUT and "no message" in done.output


def two_senders(path: Path, alike: bool) -> Path:
    """A driver and a node that publishes zeros, 50 Hz each."""
    robot = load_robot("g1")
    with BagWriter(path) as bag:
        for n in range(100):
            for sender in range(2):
                positions = (robot.nominal + 0.01 * np.sin(0.1 * n)) * (1 - sender)
                speeds = np.zeros(robot.num_joints if alike or sender == 0 else 0)
                bag.put(
                    "/joint_states",
                    kinds.JOINT_STATE,
                    10**9 + n * 20_000_000 + sender * 3_000_000,
                    joint_state(robot.joint_names, positions, 1.0 + 0.02 * n, speeds),
                )
    return path


def test_senders_that_contradict_each_other_are_refused_and_one_can_be_chosen(
    tmp_path: Path,
) -> None:
    bag = two_senders(tmp_path / "bag", alike=False)
    done = run("to-trajectory", bag, "--out", tmp_path / "x.npz")
    assert done.exit_code == cli.BAD_INPUT and not (tmp_path / "x.npz").exists()
    assert "two senders contradict each other" in done.output
    assert "1: /joint_states, 29 joints from left_hip_pitch_joint, with velocities" in done.output
    assert "2: /joint_states, 29 joints from left_hip_pitch_joint, positions only" in done.output
    done = run("to-trajectory", bag, "--sender", 1, "--out", tmp_path / "x.npz")
    assert done.exit_code == 0, done.output
    assert "other senders were left out: 2: /joint_states" in done.output
    found = read_trajectory(tmp_path / "x.npz")
    np.testing.assert_allclose(found.positions[0], load_robot("g1").nominal, atol=0.011)
    done = run("to-motion", bag, "--sender", 3, "--out", tmp_path / "y.npz")
    assert done.exit_code == cli.BAD_INPUT and "there is no sender 3" in done.output
    done = run("info", bag)
    assert done.exit_code == 0 and "two senders contradict each other" in done.output


def test_senders_that_cannot_be_told_apart_are_said_to_be_so(tmp_path: Path) -> None:
    bag = two_senders(tmp_path / "bag", alike=True)
    for command in ("to-motion", "to-trajectory"):
        done = run(command, bag, "--out", tmp_path / "x.npz")
        assert done.exit_code == cli.BAD_INPUT and not (tmp_path / "x.npz").exists()
        assert "two senders contradict each other" in done.output
        assert "The recording cannot tell them apart" in done.output


def test_what_is_there_is_not_overwritten(files: Path, tmp_path: Path) -> None:
    done = run("from-motion", files / "robot.npz", "--out", files / "bag")
    assert done.exit_code == cli.BAD_INPUT and "exists already" in done.output
    done = run("from-motion", files / "robot.npz")
    assert done.exit_code == cli.BAD_INPUT and "give --out" in done.output
    done = run("from-motion", files / "robot.npz", "--robot", "talos", "--out", tmp_path / "t")
    assert done.exit_code == cli.BAD_INPUT and "is a trajectory of g1" in done.output
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_output_is_told_before_the_work(files: Path, tmp_path: Path) -> None:
    done = run("to-motion", files / "bag", "--out", tmp_path / "x.fbx")
    assert done.exit_code == cli.BAD_INPUT and "unknown format '.fbx'" in done.output

"""The programs in examples/ run; ros_client.py in test/ros/demo/test_ros_client.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.conftest import waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.motion import read_motion, write_motion
from nextscale_core.robots import read_trajectory

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def example(name: str, *arguments: str | Path) -> tuple[int, str]:
    """Exit status and output of an example."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def bvh(tmp_path: Path) -> Path:
    write_motion(waving_clip(), tmp_path / "wave.bvh")
    return tmp_path / "wave.bvh"


def test_a_sentence_becomes_files_and_a_picture(tmp_path: Path, trained_model: Path) -> None:
    status, output = example("generate.py", "a person waves with the right hand", tmp_path / "out")
    assert status == 0, output
    clip = read_motion(tmp_path / "out" / "motion.npz")
    assert f"{len(clip)} frames" in output
    assert len(read_motion(tmp_path / "out" / "motion.bvh")) == len(clip)
    assert (tmp_path / "out" / "motion.png").stat().st_size > 10_000


def test_a_bvh_file_is_retargeted(tmp_path: Path, bvh: Path) -> None:
    status, output = example("retarget_my_bvh.py", bvh, "g1", tmp_path / "g1.npz")
    assert status == 0, output
    assert "pass: 29 joints" in output
    assert np.ptp(read_trajectory(tmp_path / "g1.npz").positions) > 0.5


def test_a_human_is_followed_frame_by_frame(tmp_path: Path) -> None:
    write_motion(waving_clip(frames=30), tmp_path / "wave.npz")
    status, output = example("stream_my_poses.py", tmp_path / "wave.npz", "g1")
    assert status == 0, output
    assert output.count(" s [") == 30


def test_a_robot_of_ones_own_moves(tmp_path: Path, bvh: Path) -> None:
    urdf, profile, picture = toy_humanoid(tmp_path), toy_profile(tmp_path), tmp_path / "doll.png"
    status, output = example("my_robot.py", urdf, profile, bvh, picture)
    assert status == 0, output
    assert "doll moves 23 joints" in output
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("amplitude", "status", "said"),
    [("0.4", 0, "pass: 29 joints"), ("3", 1, "rejected: right_elbow_joint is")],
)
def test_the_gate_reviews_a_trajectory(amplitude: str, status: int, said: str) -> None:
    code, output = example("gate_my_trajectory.py", amplitude)
    assert code == status, output
    assert said in output


def test_every_example_is_short() -> None:
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text().splitlines()) <= 30, file.name

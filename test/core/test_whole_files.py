"""A file is replaced whole or not at all, whatever ends the writing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.full_disk import disk_full_after
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.cli.prompts import INDEX, _write_index
from nextscale_core.cli.robots import draft
from nextscale_core.cli.simulate import _write_json
from nextscale_core.editing.constraints.json_file import write_residuals
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip
from nextscale_core.npz import whole_file, write_npz, write_text
from nextscale_core.robots import RobotTrajectory, load_robot
from nextscale_core.simulation.config import SimulationConfig
from nextscale_core.viz import draw_human
from nextscale_core.viz.session_plot import Spoken, draw_session

CLIP = MotionClip(np.random.default_rng(0).normal(size=(2, 22, 3)))


def _session(path: Path) -> None:
    folder = path.parent.parent
    robot = load_robot(str(folder / "doll.urdf"), folder / "doll.yaml")
    still = np.zeros((2, robot.num_joints))
    base = {"base_position": np.zeros((2, 3)), "base_quaternion": np.tile([0, 0, 0, 1.0], (2, 1))}
    times = np.array([0.0, 1.0])
    executed = RobotTrajectory(robot.name, robot.joint_names, still, still, times, **base, fps=1.0)
    draw_session(robot, executed, [Spoken("a person waves", 0.0, 0.0, 0.0, 0.0)], path)


def _draft(path: Path) -> None:
    draft(path.parent.parent / "doll.urdf", path, force=True)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.npz": lambda path: write_npz(path, {"joints": CLIP.joints}),
    "a.txt": lambda path: write_text(path, "a person walks"),
    "a.png": lambda path: draw_human(CLIP, path),
    "a.gif": lambda path: draw_human(CLIP, path),
    "session.png": _session,
    "draft.yaml": _draft,
    "residuals.json": lambda path: write_residuals([], path),
    "simulation.json": lambda path: _write_json(path, SimulationConfig(), []),
    INDEX: lambda path: _write_index([], path.parent),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_old_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir()
    toy_humanoid(tmp_path)
    toy_profile(tmp_path)
    WRITERS[name](path)
    path.write_text("old")
    with disk_full_after(1), pytest.raises(MotionFileError):
        WRITERS[name](path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "a person walks")
    reader.join()
    assert read == ["a person walks"]
    assert pipe.is_fifo()

"""`Maker`: every format of `nextscale formats`, and motions that a robot falls in."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from core.conftest import waving_clip
from core.robot_motions import waving_g1
from core.simulation.onnx_file import write_linear
from nextscale_core.conversion import FORMATS, Read, read_any
from nextscale_core.motion import MotionClip, write_motion
from nextscale_core.motion.formats.registry import MotionFormat
from nextscale_core.production import make as make_module
from nextscale_core.production.make import Item, Maker
from nextscale_core.production.plan import make_plan
from nextscale_core.production.spec import read_spec
from nextscale_core.robots.trajectory import write_trajectory
from nextscale_core.trajectory.formats.robot_motion import RobotReadOptions

WRITTEN = [
    one
    for one in FORMATS
    if one.write is not None and (one.name != "usd" or importlib.util.find_spec("pxr"))
]


def make(folder: Path, text: str) -> list[list[Item]]:
    """Items of all jobs of a specification."""
    (folder / "spec.yaml").write_text(text)
    plan = make_plan(read_spec(folder / "spec.yaml"), folder, folder / "out")
    maker = Maker(plan.recipe)
    return [maker.make(plan.job(number)) for number in range(len(plan))]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a human capture, for a human and a G1, in every format."""
    folder = tmp_path_factory.mktemp("every")
    (folder / "takes").mkdir()
    write_motion(waving_clip(30), folder / "takes" / "wave.npz")
    names = ", ".join(one.name for one in WRITTEN)
    (human, g1), *_ = make(folder, f"captures: takes\nrobots: [g1]\nformats: [{names}]\n")
    assert human.row["kept"] and g1.row["kept"], (human.row, g1.row)
    for item in (human, g1):
        for name, data in item.files.items():
            (folder / "motions" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "motions" / name).write_bytes(data)
    return folder / "motions"


@pytest.mark.parametrize("one", WRITTEN, ids=lambda one: one.name)
def test_every_format_is_written_and_shows_the_motion(everything: Path, one: MotionFormat) -> None:
    (path,) = (everything / one.name / ("g1" if one.subject == "robot" else "")).iterdir()
    motion = read_any(path, one, robot=RobotReadOptions(fps=None)).motion
    if one.subject == "human":
        assert isinstance(motion, MotionClip)
        wrist = motion.joints[:, 21]
        assert np.ptp(wrist, axis=0).max() > 0.15
        return
    assert not isinstance(motion, MotionClip)
    plain = read_any(next((everything / "robot-npz" / "g1").iterdir())).motion
    assert not isinstance(plain, MotionClip)
    ours, wanted = motion.trajectory, plain.trajectory
    assert ours.fps == pytest.approx(one.fps or wanted.fps)
    assert abs(ours.seconds - wanted.seconds) < 1.5 / ours.fps
    order = [ours.joint_names.index(name) for name in wanted.joint_names]
    for ends in (0, -1):
        assert np.allclose(ours.positions[ends, order], wanted.positions[ends], atol=1e-3)


def test_a_robots_own_motion_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "takes").mkdir()
    motion = waving_g1()
    write_trajectory(motion.trajectory, tmp_path / "takes" / "wave.npz")
    ((item,),) = make(tmp_path, "captures: takes\nrobots: [g1]\nshards: {}\n")
    assert item.row["gate"]["outcome"] == "pass"
    assert np.allclose(item.columns["joint_positions"], motion.trajectory.positions, atol=1e-6)
    turning = item.columns["joint_velocities"]
    assert np.allclose(turning, motion.trajectory.velocities, atol=1e-5)


@pytest.mark.parametrize("keep", ["true", "false"])
def test_a_motion_that_the_robot_falls_in_is_kept_only_on_demand(tmp_path: Path, keep: str) -> None:
    pytest.importorskip("mujoco", reason="the extra nextscale[sim] is not installed")
    (tmp_path / "takes").mkdir()
    write_trajectory(waving_g1().trajectory, tmp_path / "takes" / "wave.npz")
    write_linear(tmp_path / "still.onnx", np.zeros((1432, 29)), np.zeros(29))
    ((item,),) = make(
        tmp_path,
        "captures: takes\nrobots: [g1]\nformats: [robot-npz]\nsimulation: {controller: tracker, "
        f"policy: still.onnx, push: 4, push_interval: 0.5, keep_fallen: {keep}}}\n",
    )
    assert item.row["simulation"]["up"] is False
    assert item.row["kept"] is (keep == "true")
    assert bool(item.files) is (keep == "true")
    if keep == "false":
        assert item.row["stage"] == "simulate" and "g1 falls after" in item.row["reason"]


def test_an_error_of_any_kind_refuses_one_item_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "takes").mkdir()
    for name in ("a", "b"):
        write_motion(waving_clip(12), tmp_path / "takes" / f"{name}.npz")
    real = make_module.read_any

    def broken(path: Path, *options: object) -> Read:
        if path.stem == "a":
            raise ZeroDivisionError("a bug")
        return real(path, *options)

    monkeypatch.setattr(make_module, "read_any", broken)
    (first,), (second,) = make(tmp_path, "captures: takes\nformats: [bvh]\n")
    assert not first.row["kept"] and first.row["stage"] == "read"
    assert first.row["reason"] == "ZeroDivisionError: a bug"
    assert second.row["kept"]

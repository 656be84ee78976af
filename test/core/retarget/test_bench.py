"""The retargeting benchmark: its metrics give known answers, its table comes without a baseline."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.conftest import standing_clip, waving_clip
from nextscale_core.motion.clip import CaptionedClip
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.targets import Targets, make_targets
from nextscale_core.robots import Robot
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.rotations import unit

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture(scope="module", autouse=True)
def _bench_on_the_path() -> Iterator[None]:
    """As when a script of that folder runs."""
    sys.path.insert(0, str(BENCH))
    yield
    sys.path.remove(str(BENCH))
    for name in [path.stem for path in BENCH.glob("*.py")]:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def metrics() -> ModuleType:
    return importlib.import_module("retarget_metrics")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return importlib.import_module("retarget")


@pytest.fixture(scope="module")
def kinematics(g1: Robot) -> Kinematics:
    return kinematics_of(g1)


@pytest.fixture(scope="module")
def targets(kinematics: Kinematics) -> Targets:
    return make_targets(standing_clip(), kinematics)


@pytest.fixture(scope="module")
def still(targets: Targets, retargeter: Retargeter, kinematics: Kinematics) -> Poses:
    """The first solved pose held, both soles exactly level with the lowest at z = 0."""
    solved = retargeter.solve(targets)
    count = len(solved)
    poses = Poses(
        np.repeat(solved.base[:1], count, axis=0),
        np.repeat(solved.rotation[:1], count, axis=0),
        np.repeat(solved.joints[:1], count, axis=0),
    )
    return _moved(poses, [0.0, 0.0, -float(kinematics.lowest_sole(poses).min())])


def _moved(poses: Poses, by: object) -> Poses:
    return replace(poses, base=poses.base + np.asarray(by, dtype=float))


def test_a_robot_that_stands_still_has_no_speed_no_jerk_and_no_penetration(
    metrics, targets, still, kinematics
):
    row = metrics.quality(targets, still, kinematics)
    assert targets.contacts.flat.all()
    assert row["stance foot speed [cm/s]"] == pytest.approx(0, abs=1e-9)
    assert row["stance frames over 1 cm/s [%]"] == 0
    assert row["stance toe speed, largest [cm/s]"] == pytest.approx(0, abs=1e-9)
    assert row["joint jerk, mean [rad/s^3]"] == pytest.approx(0, abs=1e-9)
    assert row["penetration, largest [mm]"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("speed", "sliding"), [(0.02, 100.0), (0.008, 0.0)])
def test_a_foot_that_slides_is_reported(metrics, targets, still, kinematics, speed, sliding):
    along = np.arange(len(still)) / targets.fps * speed
    row = metrics.quality(
        targets, _moved(still, along[:, None] * np.array([0.6, 0.8, 0.0])), kinematics
    )
    assert row["stance foot speed [cm/s]"] == pytest.approx(100 * speed)
    assert row["stance toe speed, largest [cm/s]"] == pytest.approx(100 * speed)
    assert row["stance frames over 1 cm/s [%]"] == sliding


def test_only_frames_in_which_the_human_stands_count_as_sliding(
    metrics, targets, still, kinematics
):
    half = len(still) // 2
    along = np.maximum(np.arange(len(still)) - half, 0) * 0.01
    standing = np.repeat(np.arange(len(still)) <= half, 2).reshape(-1, 2)
    lifted = replace(targets, contacts=replace(targets.contacts, ankle=standing, ball=standing))
    row = metrics.quality(lifted, _moved(still, along[:, None] * np.eye(3)[0]), kinematics)
    assert row["stance foot speed [cm/s]"] == pytest.approx(0, abs=1e-9)


def test_a_robot_below_the_floor_is_that_deep_in_it(metrics, targets, still, kinematics):
    deep = np.zeros((len(still), 3))
    deep[: len(still) // 4, 2] = -0.015
    deep[len(still) // 4 : len(still) // 2, 2] = -0.005
    row = metrics.quality(targets, _moved(still, deep), kinematics)
    assert row["penetration, largest [mm]"] == pytest.approx(15)
    assert row["frames with penetration over 1 cm [%]"] == pytest.approx(25)
    assert row["penetration, mean [mm]"] == pytest.approx((15 + 5) / 4)


def test_bones_that_point_ten_degrees_off_are_ten_degrees_off(metrics, targets, still, kinematics):
    points = kinematics.points(still)

    def turned(name: str) -> np.ndarray:
        side, bone = name.split("_", 1)
        start, end = (points[:, kinematics.index[f"{side}_{p}"]] for p in metrics.BONES[bone])
        direction = unit(end - start)
        across = unit(np.cross(direction, [0.3, 0.5, 0.7]))
        return Rotation.from_rotvec(np.deg2rad(10) * across).apply(direction)

    bones = {name: turned(name) for name in targets.body.bones}
    asked = replace(targets, body=replace(targets.body, bones=bones))
    row = metrics.quality(asked, still, kinematics)
    assert row["bone direction [deg]"] == pytest.approx(10)
    assert row["bone direction, 95 % [deg]"] == pytest.approx(10)


def test_violations_are_counted_by_kind(metrics, g1, targets, still, kinematics):
    clip = standing_clip()
    calm = metrics.as_published(g1, still, targets.fps)
    assert metrics.published(kinematics, calm, clip)["published: limit violations [samples]"] == 0
    outside = replace(calm, positions=calm.positions.copy())
    outside.positions[7:, 0] = g1.position_upper[0] + 0.1
    row = metrics.published(kinematics, outside, clip)
    # The segment that leads out and all after it; only the first one jumps.
    assert row["published: position violations [samples]"] == len(calm) - 7
    assert row["published: velocity violations [samples]"] == 1
    assert row["published: acceleration violations [samples]"] == 1


def test_arms_inside_the_chest_touch_on_the_meshes_too(metrics, g1):
    bodies = metrics.MeshCollisions(g1)
    crossed = g1.nominal.copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        crossed[g1.joint_names.index(f"{side}_shoulder_yaw_joint")] = -1.5 * sign
    crossed = np.clip(crossed, g1.position_lower, g1.position_upper)
    assert bodies.touching(np.stack([g1.nominal, crossed])).tolist() == [False, True]


def test_the_table_comes_without_the_baseline(bench, metrics):
    clips = [
        CaptionedClip("one", "val", ("stands",), standing_clip(20)),
        CaptionedClip("two", "val", ("waves",), waving_clip(30)),
    ]
    measured = bench.measure("g1", clips, baseline=False)
    assert len(measured.rows) == len(measured.times) == 2
    assert sum(measured.outcomes.values()) == 2
    assert not measured.baseline_rows
    assert {"targets", "solve", "gate"} <= set(measured.times[0])
    for row in measured.rows:
        assert row["published: limit violations [samples]"] == 0
        assert row["published: self-collisions [samples]"] == 0
    table = bench.markdown(measured)
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert "GMR" not in table
    mean = np.mean([row["bone direction [deg]"] for row in measured.rows])
    (bone,) = [line for line in lines if line.startswith("| bone direction [deg]")]
    assert f"{mean:.2f}" in bone


def test_the_command_prints_a_table_and_keeps_every_clip(bench, monkeypatch, tmp_path, capsys):
    clips = [CaptionedClip("one", "train", ("waves",), waving_clip(20))]
    monkeypatch.setattr(bench, "draw", lambda *_: clips)
    file = tmp_path / "figures.json"
    options = ["DATA", "--splits", "train", "--robots", "g1", "--baseline", "none"]
    monkeypatch.setattr(sys, "argv", ["retarget.py", *options, "--json", str(file)])
    bench.main()
    assert "| bone direction [deg] |" in capsys.readouterr().out
    document = json.loads(file.read_text())
    assert document["clips"] == ["one"]
    (robot,) = document["robots"]
    assert robot["robot"] == "g1"
    assert sum(robot["outcomes"].values()) == len(robot["rows"]) == 1


def test_without_the_packages_the_command_to_install_them_is_shown(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "mink", None)
    monkeypatch.setitem(sys.modules, "daqp", None)
    assert bench.INSTALL in bench.baseline_missing()


def test_a_clip_of_no_human_is_counted_and_reported(bench):
    giant = replace(standing_clip(20), joints=standing_clip(20).joints * 10)
    measured = bench.measure("g1", [CaptionedClip("giant", "val", (), giant)], baseline=False)
    assert measured.outcomes == {"InvalidMotionError": 1}
    assert "giant" in measured.remarks[0]
    assert "InvalidMotionError" in bench.markdown(measured)


def test_the_baseline_follows_bones_too(bench):
    pytest.importorskip("mink", reason="needs the baseline's packages (mujoco, mink, daqp)")
    clip = CaptionedClip("two", "val", ("waves",), waving_clip(30))
    measured = bench.measure("g1", [clip, clip], baseline=True)
    assert len(measured.rows) == len(measured.baseline_rows) == 2
    first, second = measured.baseline_rows
    assert first == second  # whichever goes first, nothing is carried over
    assert first["bone direction [deg]"] < 12
    assert first["penetration, largest [mm]"] == pytest.approx(0, abs=1e-6)
    assert "GMR-style" in bench.markdown(measured)

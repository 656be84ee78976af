"""The compiled kernels agree with NumPy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from core.conftest import waving_clip
from core.human_clips import squatting_clip, walking_clip
from core.robots.test_kinematics import random_poses
from core.robots.test_mimic import YAW, robot_of
from nextscale_core import kernels as library_of
from nextscale_core.kernels import address, kernels, without_kernels
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.config import Smoothness
from nextscale_core.retarget.targets import CentreGoal, make_targets
from nextscale_core.retarget.trajectory_ik import TrajectorySolver
from nextscale_core.robots import Robot
from nextscale_core.robots.collision import CollisionModel
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.robots.separation_terms import SeparationTerms
from nextscale_core.rotations import exp, log, quaternions
from nextscale_core.safety.dynamics import dynamics_of
from nextscale_core.trajectory.curves import evaluate
from nextscale_core.trajectory.spline_limits import limit_use, segment_extremes
from nextscale_core.trajectory.time_scaling import _gentle, _room_to_change

CLOSE = {"rtol": 0.0, "atol": 1e-9}

pytestmark = pytest.mark.skipif(kernels() is None, reason="the kernels are not compiled here")


@pytest.fixture(scope="module")
def coupled(tmp_path_factory: pytest.TempPathFactory) -> Robot:
    """A robot with mimic joints."""
    rules = (YAW, ("right_elbow", 'joint="left_elbow" multiplier="0.5"'))
    return robot_of(tmp_path_factory.mktemp("coupled"), *rules)


@pytest.fixture(params=["g1", "coupled"])
def robot(request: pytest.FixtureRequest) -> Robot:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("seed", range(6))
def test_a_step_of_the_solver_is_the_same_for_random_clips(robot: Robot, seed: int) -> None:
    generator, k = np.random.default_rng(seed), kinematics_of(robot)
    targets = make_targets(waving_clip(12), k)
    frames, count = len(targets), robot.num_joints
    # Many joints at their limits and beyond, weights that differ within levers, uneven frames.
    poses = random_poses(robot, frames, seed)
    weight = targets.weight * generator.uniform(0.5, 2.0, (frames, 1))
    if seed % 2:
        weight = weight * generator.uniform(0.5, 2.0, weight.shape)
    targets = replace(targets, weight=weight)
    joint = int(generator.integers(1, count))
    bodies = np.array([[0, joint + 1], [1, joint + 1], [1, joint + 1]])
    at, normal = generator.normal(size=(3, 2, 3)), generator.normal(size=(3, 3))
    terms = SeparationTerms(np.array([7, 2, 7]), bodies, at, normal, np.full(3, 0.1))
    free = generator.uniform(size=frames) < 0.7
    options = {
        "separations": terms if seed % 3 else None,
        "reference": generator.uniform(-1, 1, (frames, count)) if seed > 2 else None,
        "relative_to": random_poses(robot, frames, seed + 9) if seed % 2 else None,
        "damping": generator.uniform(0.1, 1.0, frames) if seed % 2 else 0.3,
        "pull": generator.uniform(0, 1, (frames, count)) if seed > 3 else None,
        "frames": free if seed % 3 else None,
        "centre": CentreGoal(generator.normal(size=(frames, 2)), 3.0, np.arange(count) % 2 == 0)
        if seed > 1
        else None,
    }
    smooth = Smoothness(joints=generator.uniform(0.01, 0.1, (frames - 2, count)))
    margin = 0.1 * (robot.position_upper - robot.position_lower)
    limits = robot.position_lower + margin, robot.position_upper - margin
    solver = TrajectorySolver(k, *limits)
    fast = solver.step(targets, poses, smooth, **options)
    with without_kernels():
        slow = solver.step(targets, poses, smooth, **options)
    for one, other in zip(vars(fast).values(), vars(slow).values(), strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


def test_the_same_pairs_of_bodies_touch(robot: Robot) -> None:
    model = CollisionModel(robot, 0.01)
    for seed in range(3):
        generator = np.random.default_rng(seed)
        way = generator.normal(size=(60, robot.num_joints)).cumsum(0) * 0.05
        positions = robot.nominal + way
        known = np.array([[5, 0], [9, 3]])
        fast = model.close_pairs(positions, known)
        with without_kernels():
            slow = model.close_pairs(positions, known)
        assert len(fast) and not (fast[:, None] == known).all(-1).any()
        # coal's directions are not exact: at the very border it may not find the plane.
        here, there = ({tuple(at) for at in found.tolist()} for found in (fast, slow))
        apart = model.nearest(positions, np.array(sorted(here ^ there)).reshape(-1, 2)).distance
        np.testing.assert_allclose(apart, 0.01, rtol=0, atol=1e-4)
        assert len(apart) < 0.1 * len(fast)


def test_bodies_are_as_far_apart(robot: Robot) -> None:
    model, generator = CollisionModel(robot, 0.01), np.random.default_rng(4)
    joints = generator.uniform(robot.position_lower, robot.position_upper, (9, robot.num_joints))
    numbers = np.arange(len(model.pairs))
    where = np.stack([np.repeat(np.arange(9), len(numbers)), np.tile(numbers, 9)], axis=1)
    fast = model.nearest(joints, where)
    with without_kernels():
        slow = model.nearest(joints, where)
    assert np.array_equal(fast.where, slow.where) and (fast.distance < -0.01).any()
    # coal ends its search within 1e-6 m.
    np.testing.assert_allclose(fast.distance, slow.distance, rtol=0, atol=1e-5)


def test_motions_are_judged_the_same_between_samples(g1: Robot) -> None:
    generator, shape = np.random.default_rng(3), (40, g1.num_joints)
    times = generator.uniform(0.01, 0.05, 40).cumsum()
    for scale in (0.0, 1.0, 1e160):  # the squares of the largest overflow
        motion = (scale * generator.normal(size=shape), scale * generator.normal(size=shape), times)
        with np.errstate(all="ignore"):
            fast = (*segment_extremes(*motion), *limit_use(g1, *motion))
            with without_kernels():
                slow = (*segment_extremes(*motion), *limit_use(g1, *motion))
        for one, other in zip(fast, slow, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_rotations_are_the_same_up_to_half_a_turn() -> None:
    vectors = np.random.default_rng(1).normal(size=(200, 3))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    for angle in (0.0, 1e-12, 1e-5, 1.0, 3.0, np.pi - 1e-4, 5.0):
        turned = exp(vectors / length * angle)
        with without_kernels():
            np.testing.assert_allclose(turned, exp(vectors / length * angle), **CLOSE)
            back, four = log(turned), quaternions(turned)
        np.testing.assert_allclose(log(turned), back, **CLOSE)
        np.testing.assert_allclose(quaternions(turned), four, **CLOSE)


@pytest.mark.parametrize("periodic", [False, True])
def test_the_pace_changes_as_gently(periodic: bool) -> None:
    generator = np.random.default_rng(0)
    most, change = generator.uniform(0.1, 1, 50), generator.uniform(0.01, 0.1, 50)
    fast = _gentle(most, change, periodic=periodic)
    with without_kernels():
        np.testing.assert_array_equal(fast, _gentle(most, change, periodic=periodic))


def test_splines_are_evaluated_the_same_beyond_their_ends_too() -> None:
    generator = np.random.default_rng(2)
    spline = CubicSpline(np.sort(generator.uniform(0, 2, 9)), generator.normal(size=(9, 5)))
    # Not in order, at knots, outside, and nowhere.
    at = np.concatenate([generator.uniform(-0.2, 2.2, 50), spline.x, [np.nan]])
    for orders in ((0, 1, 2), (2,), (1, 0)):
        found = evaluate(spline, at, *orders)
        with without_kernels():
            wanted = evaluate(spline, at, *orders)
        for one, other in zip(found, wanted, strict=True):
            scale = 1e-12 * np.nanmax(np.abs(other))
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=scale)


@pytest.mark.parametrize("joints", [3, 8, 29])
def test_the_pace_has_the_same_room(joints: int) -> None:
    generator = np.random.default_rng(joints)
    bend, push = generator.uniform(0.1, 2.0, (2, 40, joints))
    square = generator.uniform(0.0, 1.0, 40)
    bend[3, -1] = np.nan
    found = _room_to_change(bend, push, square, 0.9)
    with without_kernels():
        wanted = _room_to_change(bend, push, square, 0.9)
    assert np.isnan(found[3]) and np.isfinite(np.delete(found, 3)).all()
    np.testing.assert_allclose(found, wanted, **CLOSE)


@pytest.mark.parametrize("seed", range(6))
def test_the_targets_are_the_same(robot: Robot, seed: int) -> None:
    """Of a walk that shuffles and turns, of noise, and of limbs without length."""
    generator, k = np.random.default_rng(seed), kinematics_of(robot)
    clip = walking_clip(80) if seed % 2 else squatting_clip()
    joints = clip.joints + generator.normal(size=clip.joints.shape) * (0.0, 0.003, 0.03)[seed % 3]
    turn = np.linspace(0.0, 2.0 + seed, len(joints))[:, None] * np.array([0.0, 0.0, 1.0])
    joints = (joints[:, :, None] @ exp(turn)[:, None].transpose(0, 1, 3, 2))[:, :, 0]
    joints[5:9, JOINT_INDEX["left_foot"]] = joints[5:9, JOINT_INDEX["left_ankle"]]
    joints[12, JOINT_INDEX["neck"]] = joints[12, JOINT_INDEX["spine1"]]
    clip = replace(clip, joints=joints, contacts=None)
    fast = make_targets(clip, k)
    with without_kernels():
        slow = make_targets(clip, k)
    for part in ("body", "feet"):
        for name, one in vars(getattr(fast, part)).items():
            other = getattr(getattr(slow, part), name)
            if name == "bones":
                one, other = (np.stack(list(bones.values())) for bones in (one, other))
            np.testing.assert_allclose(one, other, **CLOSE, err_msg=name)
    np.testing.assert_allclose(fast.goal, slow.goal, **CLOSE)
    assert fast.feet.stance.any()


@pytest.mark.parametrize("frames", [1, 2, 8, 40])
def test_the_dynamics_are_the_same(robot: Robot, frames: int) -> None:
    """Also of one sample, and of fewer samples than the smoothing reaches over."""
    moved = Retargeter(robot).retarget(squatting_clip())
    rows = slice(20, 20 + frames)
    trajectory = replace(
        moved,
        **{
            name: getattr(moved, name)[rows]
            for name in ("positions", "velocities", "base_position", "base_quaternion")
        },
        time_from_start=moved.time_from_start[rows] ** 1.1,
        source_time=None,
    )
    fast = dynamics_of(robot, trajectory, 0.8)
    with without_kernels():
        slow = dynamics_of(robot, trajectory, 0.8)
    assert not np.isnan(fast.centre_depth).all()
    for name, one in vars(fast).items():
        close = 1e-6 if name == "torque" else 1e-9
        np.testing.assert_allclose(one, getattr(slow, name), rtol=1e-9, atol=close, err_msg=name)


def test_a_motion_becomes_the_same_trajectory_without_kernels(retargeter: Retargeter) -> None:
    fast = retargeter.retarget(waving_clip(40))
    with without_kernels():
        slow = retargeter.retarget(waving_clip(40))
    for name in ("positions", "velocities", "time_from_start", "base_position"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=0, atol=1e-8)


def test_every_level_of_the_instruction_set_gives_the_same_step(
    g1: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    k, poses = kinematics_of(g1), random_poses(g1, 12)
    targets, found = make_targets(waving_clip(12), k), []
    for level in (0, 3, 4):
        if level > library_of._load("_kernels").ns_level():
            continue
        name = f"_kernels_v{level}" if level else "_kernels"
        monkeypatch.setattr(library_of, "_library", lambda name=name: library_of._load(name))
        solver = TrajectorySolver(k, g1.position_lower, g1.position_upper)
        found.append(solver.step(targets, poses, Smoothness()))
    for other in found[1:]:
        np.testing.assert_allclose(found[0].joints, other.joints, **CLOSE)


def test_an_environment_variable_switches_them_off() -> None:
    program = "from nextscale_core.kernels import kernels; print(kernels())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"NEXTSCALE_KERNELS": "0", "PYTHONPATH": str(Path(library_of.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "None"


def test_numpy_serves_where_the_library_is_missing(
    monkeypatch: pytest.MonkeyPatch, retargeter: Retargeter
) -> None:
    monkeypatch.setattr(library_of, "_library", lambda: None)
    assert kernels() is None
    assert len(retargeter.retarget(waving_clip(10)))


def test_a_library_that_cannot_be_loaded_is_reported_and_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library_of, "__file__", str(tmp_path / "__init__.py"))
    assert library_of._load("_kernels") is None and not caplog.text
    (tmp_path / "_kernels.so").write_text("not a library")
    assert library_of._load("_kernels") is None
    assert "_kernels.so cannot be loaded" in caplog.text


def test_a_library_of_another_version_is_reported_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library_of, "_INTERFACE", -1)
    assert library_of._load("_kernels") is None
    assert "are of version" in caplog.text


def test_a_kernel_refuses_other_numbers_and_gaps_in_memory() -> None:
    for array in (np.zeros(4, np.float32), np.zeros((4, 4))[:, 1]):
        with pytest.raises(TypeError, match="contiguous array of float64"):
            address(array)

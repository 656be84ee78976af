from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.retarget import Robot
from nextscale_core.retarget.kinematics import Poses, kinematics_of
from nextscale_core.retarget.perframe import FrameSolver
from nextscale_core.retarget.rotations import exp
from nextscale_core.retarget.targets import Targets, make_targets, start_poses
from nextscale_core.retarget.wholeclip import (
    ClipSolver,
    Smoothness,
    _second_difference_gradient,
    _solve_banded,
)

from .conftest import random_clip, standing_clip, waving_clip
from .test_kinematics import random_poses


def cost(targets: Targets, robot: Robot, poses: Poses) -> float:
    residual = targets.residual(kinematics_of(robot).points(poses))
    return 0.5 * float((targets.weight[..., None] * residual**2).sum())


def moved(poses: Poses, step: np.ndarray) -> Poses:
    return Poses(
        poses.base + step[:, :3],
        exp(step[:, 3:6]) @ poses.rotation,
        poses.joints + step[:, 6:],
    )


def test_the_gradient_agrees_with_finite_differences(g1: Robot) -> None:
    targets = make_targets(waving_clip(8), kinematics_of(g1))
    solver = ClipSolver(kinematics_of(g1), g1.position_lower, g1.position_upper)
    poses = random_poses(g1, len(targets), seed=4)
    _, gradient = solver._match(targets, poses)
    generator = np.random.default_rng(5)
    for _ in range(8):
        direction = generator.normal(size=gradient.shape)
        h = 1e-6
        slope = (
            cost(targets, g1, moved(poses, h * direction))
            - cost(targets, g1, moved(poses, -h * direction))
        ) / (2 * h)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-5)


def test_the_banded_solution_agrees_with_a_dense_one() -> None:
    generator = np.random.default_rng(6)
    frames, size = 7, 4
    root = generator.normal(size=(frames, size, size))
    hessian = root @ root.transpose(0, 2, 1) + np.eye(size)
    gradient = generator.normal(size=(frames, size))
    weight = generator.uniform(0.1, 1.0, (frames - 2, size))
    dense = np.zeros((frames * size, frames * size))
    for t in range(frames):
        rows = slice(t * size, (t + 1) * size)
        dense[rows, rows] = hessian[t]
    second = np.kron(np.diff(np.eye(frames), 2, axis=0), np.eye(size))
    dense += second.T @ (weight.reshape(-1, 1) * second)
    expected = np.linalg.solve(dense, -gradient.reshape(-1))
    assert np.allclose(_solve_banded(hessian, gradient, weight).reshape(-1), expected)


def test_a_clip_of_constant_velocity_has_no_second_differences(g1: Robot) -> None:
    time = np.arange(6.0)[:, None]
    poses = Poses(
        time * [0.1, 0.0, 0.0],
        exp(time * [0.0, 0.0, 0.1]),
        g1.nominal + time * np.full(g1.num_joints, 0.01),
    )
    gradient = _second_difference_gradient(poses, np.ones((4, 6 + g1.num_joints)))
    assert np.abs(gradient).max() < 1e-12


def test_a_step_comes_closer_to_the_targets(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(waving_clip(), kinematics)
    poses = start_poses(targets, g1.nominal)
    solver = ClipSolver(kinematics, g1.position_lower, g1.position_upper)
    costs = [cost(targets, g1, poses)]
    for _ in range(6):
        poses = solver.step(targets, poses, Smoothness())
        costs.append(cost(targets, g1, poses))
    assert costs[-1] < 0.05 * costs[0]


def test_frame_by_frame_comes_close_to_the_targets(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(waving_clip(), kinematics)
    start = start_poses(targets, g1.nominal)
    solver = FrameSolver(kinematics, g1.position_lower, g1.position_upper)
    assert cost(targets, g1, solver.solve(targets, start)) < 0.05 * cost(targets, g1, start)


@pytest.mark.parametrize("seed", range(4))
def test_both_solvers_keep_the_position_limits_whatever_the_motion(g1: Robot, seed: int) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(random_clip(seed), kinematics)
    lower, upper = g1.position_lower, g1.position_upper
    poses = FrameSolver(kinematics, lower, upper).solve(targets, start_poses(targets, g1.nominal))
    assert (poses.joints >= lower).all() and (poses.joints <= upper).all()
    poses = ClipSolver(kinematics, lower, upper).step(targets, poses, Smoothness())
    assert (poses.joints >= lower).all() and (poses.joints <= upper).all()
    assert np.isfinite(poses.base).all()


def test_soles_are_lifted_out_of_the_floor(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(standing_clip(10), kinematics)
    solver = ClipSolver(kinematics, g1.position_lower, g1.position_upper)
    poses = start_poses(targets, g1.nominal)
    poses = Poses(poses.base - [0.0, 0.0, 0.1], poses.rotation, poses.joints)
    for _ in range(4):
        poses = solver.step(targets, poses, Smoothness())
    assert kinematics.lowest_sole(poses).min() > -0.002

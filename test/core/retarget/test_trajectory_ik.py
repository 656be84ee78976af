from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from core.conftest import random_clip, standing_clip, waving_clip
from core.human_clips import squatting_clip
from core.robots.test_kinematics import random_poses
from core.safety.test_gate import crossed_arms
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.banded_system import Band
from nextscale_core.retarget.config import RETARGET, Smoothness
from nextscale_core.retarget.improvement import Improvement
from nextscale_core.retarget.normal_equations import NormalEquations
from nextscale_core.retarget.targets import Goals, Targets, make_targets, start_poses
from nextscale_core.retarget.trajectory_ik import TrajectorySolver, _second_difference_gradient
from nextscale_core.robots import Robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.separation_terms import SeparationRows, SeparationTerms
from nextscale_core.rotations import exp


def cost(targets: Targets, robot: Robot, poses: Poses) -> float:
    residual = targets.residual(kinematics_of(robot).points(poses))
    return 0.5 * float((targets.weight[..., None] * residual**2).sum())


def moved(poses: Poses, step: np.ndarray) -> Poses:
    return Poses(
        poses.base + step[:, :3],
        exp(step[:, 3:6]) @ poses.rotation,
        poses.joints + step[:, 6:],
    )


def equations(
    targets: Targets, robot: Robot, poses: Poses, turns: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices (T, m, m) and gradients (T, m) of the residuals, and the joints they are about."""
    kinematics = kinematics_of(robot)
    joints = np.arange(robot.num_joints)
    structure = NormalEquations(kinematics, targets.first, targets.second, joints, turns)
    buffer = structure.jacobian(
        kinematics.frames(poses),
        targets.goal.transpose(1, 2, 0),
        np.sqrt(targets.weight.T),
        ground=0.0,
    )
    band, gradient = Band(len(poses), structure.size), np.zeros((len(poses), structure.size))
    structure.add_to(band.blocks, gradient, buffer)
    upper = np.triu(band.blocks)
    lower = np.triu(band.blocks, 1).transpose(0, 2, 1)
    return upper + lower, gradient, buffer


@pytest.mark.parametrize("turns", [False, True])
def test_the_gradient_agrees_with_finite_differences(g1: Robot, turns: bool) -> None:
    targets = make_targets(waving_clip(8), kinematics_of(g1))
    poses = random_poses(g1, len(targets), seed=4)
    _, gradient, _ = equations(targets, g1, poses, turns)
    generator = np.random.default_rng(5)
    for _ in range(8):
        direction = generator.normal(size=gradient.shape)
        h = 1e-6
        slope = (
            cost(targets, g1, moved(poses, h * direction))
            - cost(targets, g1, moved(poses, -h * direction))
        ) / (2 * h)
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-5)


def test_the_matrix_is_that_of_the_residuals(g1: Robot) -> None:
    """Gauss-Newton: J^T W J, with J by finite differences of the residuals themselves."""
    kinematics = kinematics_of(g1)
    targets = make_targets(waving_clip(6), kinematics)
    poses = random_poses(g1, len(targets), seed=7)
    root = np.sqrt(targets.weight)[..., None]
    size, h = 6 + g1.num_joints, 1e-6
    columns = []
    for column in range(size):
        step = np.zeros((len(targets), size))
        step[:, column] = h
        ends = [targets.residual(kinematics.points(moved(poses, s * step))) for s in (1, -1)]
        columns.append(((ends[0] - ends[1]) / (2 * h) * root).reshape(len(targets), -1))
    jacobian = np.stack(columns, axis=-1)
    expected = jacobian.transpose(0, 2, 1) @ jacobian
    for turns in (False, True):
        hessian, _, _ = equations(targets, g1, poses, turns)
        assert np.allclose(hessian, expected, atol=1e-7 * np.abs(expected).max())


def test_levers_as_one_rotation_need_fewer_rows(g1: Robot) -> None:
    targets = make_targets(waving_clip(6), kinematics_of(g1))
    poses = random_poses(g1, len(targets), seed=8)
    assert len(equations(targets, g1, poses, True)[2]) < len(
        equations(targets, g1, poses, False)[2]
    )


def test_levers_of_different_weight_stay_single(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(waving_clip(8), kinematics)
    weight = targets.weight.copy()
    weight[:, targets.first == kinematics.index["left_foot_x"]] *= 3.0
    uneven = replace(targets, weight=weight)
    solver = TrajectorySolver(kinematics, g1.position_lower, g1.position_upper)
    poses = start_poses(uneven, g1.nominal)
    for _ in range(8):
        poses = solver.step(uneven, poses, Smoothness(base=0.0, turn=0.0, joints=0.0))
    near = random_poses(g1, len(poses), seed=3)
    step = 1e-4 * (near.joints - poses.joints)
    away = Poses(poses.base, poses.rotation, poses.joints + step)
    assert cost(uneven, g1, poses) <= cost(uneven, g1, away) + 1e-6


def test_only_the_chosen_frames_change(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(waving_clip(40), kinematics)
    solver = TrajectorySolver(kinematics, g1.position_lower, g1.position_upper)
    poses = start_poses(targets, g1.nominal)
    frames = np.zeros(len(targets), dtype=bool)
    frames[5:12] = frames[30:] = True
    some = solver.step(targets, poses, Smoothness(), frames=frames)
    assert np.array_equal(some.joints[~frames], poses.joints[~frames])
    assert np.array_equal(some.base[~frames], poses.base[~frames])
    assert (np.abs(some.joints[frames] - poses.joints[frames]).max(1) > 1e-4).all()
    every = solver.step(targets, poses, Smoothness(), frames=np.ones(len(targets), dtype=bool))
    assert np.array_equal(every.joints, solver.step(targets, poses, Smoothness()).joints)


def test_frames_between_fixed_ones_solve_what_the_whole_clip_would(g1: Robot) -> None:
    """With the frames beside them at the solution, some frames find the solution too."""
    kinematics = kinematics_of(g1)
    targets = make_targets(waving_clip(30), kinematics)
    solver = TrajectorySolver(kinematics, g1.position_lower, g1.position_upper)
    solved = start_poses(targets, g1.nominal)
    for _ in range(25):
        solved = solver.step(targets, solved, Smoothness())
    frames = np.zeros(len(targets), dtype=bool)
    frames[10:18] = True
    joints = solved.joints.copy()
    joints[frames] += 0.02
    poses = Poses(solved.base, solved.rotation, np.clip(joints, *_limits(g1)))
    for _ in range(25):
        poses = solver.step(targets, poses, Smoothness(), frames=frames)
    assert np.abs(poses.joints - solved.joints).max() < 2e-3


def _limits(robot: Robot) -> tuple[np.ndarray, np.ndarray]:
    return robot.position_lower, robot.position_upper


def test_hinges_agree_with_finite_differences(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    poses = random_poses(g1, 5, seed=12)
    generator = np.random.default_rng(13)
    one, other = (g1.joint_names.index(n) for n in ("left_elbow_joint", "right_knee_joint"))
    terms = SeparationTerms(
        frame=np.array([3, 1, 3]),
        body=np.array([[0, one + 1], [one + 1, other + 1], [one + 1, other + 1]]),
        at=generator.normal(size=(3, 2, 3)),
        normal=generator.normal(size=(3, 3)),
        separation=np.full(3, 0.1),
    )
    rows = SeparationRows(kinematics, terms, np.arange(5))
    joints = np.arange(g1.num_joints)
    band, gradient = Band(5, 6 + len(joints)), np.zeros((5, 6 + len(joints)))
    rows.add_to(kinematics.frames(poses), joints, 2.0, band.blocks, gradient)

    def half_squares(there: Poses) -> float:
        frames, total = kinematics.frames(there), 0.0
        for t, body, at, normal, wanted in zip(*vars(terms).values(), strict=True):
            ends = [
                frames.columns[body[n], :, :, t].T @ at[n] + frames.origin[body[n], :, t]
                for n in (0, 1)
            ]
            total += (normal @ (ends[1] - ends[0]) - wanted) ** 2
        return total

    for _ in range(5):
        direction = generator.normal(size=gradient.shape)
        direction[:, :6] = 0.0
        ends = [half_squares(moved(poses, s * 1e-6 * direction)) for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(
            float((gradient * direction).sum()), rel=1e-5
        )
    assert not gradient[[0, 2, 4]].any() and band.blocks[3].any() and not band.blocks[2].any()


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
    band = Band(frames, size)
    band.blocks[:] += np.triu(hessian)
    band.add_second_differences(weight)
    assert np.allclose(band.solve(gradient).reshape(-1), expected)


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
    solver = TrajectorySolver(kinematics, g1.position_lower, g1.position_upper)
    costs = [cost(targets, g1, poses)]
    for _ in range(6):
        poses = solver.step(targets, poses, Smoothness())
        costs.append(cost(targets, g1, poses))
    assert costs[-1] < 0.05 * costs[0]


@pytest.mark.parametrize("seed", range(4))
def test_both_steps_keep_the_position_limits_whatever_the_motion(
    g1: Robot, retargeter: Retargeter, seed: int
) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(random_clip(seed), kinematics)
    lower, upper = g1.position_lower, g1.position_upper
    poses = retargeter._coarse(targets, None)
    assert (poses.joints >= lower).all() and (poses.joints <= upper).all()
    poses = TrajectorySolver(kinematics, lower, upper).step(targets, poses, Smoothness())
    assert (poses.joints >= lower).all() and (poses.joints <= upper).all()
    assert np.isfinite(poses.base).all()


def test_joints_at_their_limits_do_not_drag_standing_feet_along(g1: Robot) -> None:
    """Bent knees that a limit forbids: whole steps, cut off, used to leave the feet anywhere."""
    kinematics = kinematics_of(g1)
    targets = make_targets(squatting_clip(40), kinematics)
    upper = g1.position_upper.copy()
    knees = [g1.joint_names.index(f"{side}_knee_joint") for side in ("left", "right")]
    upper[knees] = 0.35
    solver = TrajectorySolver(kinematics, g1.position_lower, upper)
    poses = start_poses(targets, np.minimum(g1.nominal, upper))
    for _ in range(6):
        poses = solver.step(targets, poses, Smoothness())
    assert (poses.joints[:, knees] > 0.34).any(), "the limit matters"
    points = kinematics.points(poses)
    for n, side in enumerate(("left", "right")):
        away = points[:, kinematics.index[f"{side}_ankle"]] - targets.feet.ankle[:, n]
        assert np.abs(away[targets.feet.stance[:, n] > 0.9]).max() < 2e-3
        assert (targets.feet.stance[:, n] > 0.9).mean() > 0.9


def test_soles_are_lifted_out_of_the_floor(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    targets = make_targets(standing_clip(10), kinematics)
    solver = TrajectorySolver(kinematics, g1.position_lower, g1.position_upper)
    poses = start_poses(targets, g1.nominal)
    poses = Poses(poses.base - [0.0, 0.0, 0.1], poses.rotation, poses.joints)
    for _ in range(4):
        poses = solver.step(targets, poses, Smoothness())
    assert kinematics.lowest_sole(poses).min() > -0.002


def test_a_part_of_the_band_is_what_is_left_when_the_rest_stays() -> None:
    generator = np.random.default_rng(4)
    frames, size = 12, 5
    band = Band(frames, size)
    band.blocks[:] = np.triu(generator.normal(size=(frames, size, size)))
    band.diagonal[:] += 30.0
    band.add_second_differences(generator.uniform(0.5, 1.0, (frames - 2, size)))
    dense = np.zeros((frames * size, frames * size))
    for column in range(frames * size):
        frame, c = divmod(column, size)
        for d in range(min(2 * size + 1, frames * size - column)):
            value = band._by_frame[frame, c, d]
            dense[column + d, column] = dense[column, column + d] = value
    chosen = np.ones(frames, dtype=bool)
    chosen[[0, 4, 8, 9]] = False
    free = np.repeat(chosen, size)
    gradient = generator.normal(size=(int(chosen.sum()), size))
    expected = np.linalg.solve(dense[np.ix_(free, free)], -gradient.reshape(-1))
    np.testing.assert_allclose(band.at(chosen).solve(gradient).reshape(-1), expected, atol=1e-10)


def test_a_first_guess_solves_every_fourth_frame_and_interpolates_the_others(
    g1: Robot, retargeter: Retargeter
) -> None:
    targets = make_targets(waving_clip(), kinematics_of(g1))
    start = start_poses(targets, g1.nominal)
    poses = retargeter._coarse(targets, None)
    assert len(poses) == len(targets)
    np.testing.assert_allclose(poses.joints[2], (poses.joints[0] + poses.joints[4]) / 2)
    np.testing.assert_allclose(poses.base[3], (poses.base[0] + 3 * poses.base[4]) / 4)
    assert cost(targets, g1, poses) < 0.05 * cost(targets, g1, start)


def test_passes_end_where_bodies_come_no_further_apart(g1: Robot) -> None:
    """Other goals hold them, and they do not touch; bodies that touch are parted in every pass."""
    config = RETARGET.inverse_kinematics
    improvement = Improvement(g1, config)
    model, way = improvement._collisions, crossed_arms(g1) - g1.nominal
    numbers = np.arange(len(model.pairs))
    where = np.stack([np.zeros_like(numbers), numbers], axis=1)

    def nearest(share: float) -> float:
        """Distance of the arms, beyond that at which a pair counts as parted."""
        near = model.nearest((g1.nominal + share * way)[None], where)
        return float((near.distance - improvement._apart[near.where[:, 1]]).min())

    low, high = 0.0, 1.0
    while high - low > 1e-9 and not -0.0015 < nearest(low) < -0.0005:
        middle = (low + high) / 2
        low, high = (middle, high) if nearest(middle) > -0.001 else (low, middle)

    def passes(share: float) -> int:
        """Number of passes of a solver that changes nothing."""
        joints, steps = np.tile(g1.nominal + share * way, (8, 1)), []
        poses = Poses(np.zeros((8, 3)), np.tile(np.eye(3), (8, 1, 1)), joints)

        def step(targets: object, poses: Poses, *arguments: object, **options: object) -> Poses:
            steps.append(poses)
            return poses

        improvement.run(SimpleNamespace(fps=20.0), poses, np.zeros(8), step)
        return len(steps)

    assert passes(0.0) == 0
    assert passes(low) == 1
    assert passes(1.0) == len(config.passes)


def test_the_first_guess_ends_where_joints_swing_between_two_poses(
    g1: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    retargeter, calls = Retargeter(g1), 0

    def swinging(goals: Goals, poses: Poses, *_: object) -> Poses:
        nonlocal calls
        calls += 1
        joints = poses.joints.copy()
        joints[2, 3] += 0.5 if calls % 2 else -0.5
        return Poses(poses.base, poses.rotation, joints)

    monkeypatch.setattr(retargeter._coarse_solver, "step", swinging)
    retargeter._coarse(make_targets(waving_clip(24), kinematics_of(g1)), None)
    assert calls == 2

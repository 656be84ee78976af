from __future__ import annotations

from dataclasses import replace

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.robots import Robot
from nextscale_core.robots.description import part_frames
from nextscale_core.robots.kinematics import LEVER, Poses, kinematics_of
from nextscale_core.rotations import exp, frame_from, log, skew


def random_poses(robot: Robot, frames: int, seed: int = 0) -> Poses:
    generator = np.random.default_rng(seed)
    return Poses(
        generator.normal(size=(frames, 3)),
        Rotation.random(frames, rng=generator).as_matrix(),
        generator.uniform(robot.position_lower, robot.position_upper, (frames, robot.num_joints)),
    )


def test_the_whole_clip_agrees_with_pinocchio(g1: Robot) -> None:
    poses = random_poses(g1, 5)
    rotation, origin = kinematics_of(g1).forward(poses)
    quaternion = Rotation.from_matrix(poses.rotation).as_quat()
    data = g1.model.createData()
    for t, q in enumerate(g1.configurations(poses.base, quaternion, poses.joints)):
        pin.forwardKinematics(g1.model, data, q)
        for j in range(g1.num_joints):
            assert np.allclose(data.oMi[j + 2].rotation, rotation[t, j], atol=1e-12)
            assert np.allclose(data.oMi[j + 2].translation, origin[t, j], atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_keypoints_are_where_pinocchio_has_their_frames(g1: Robot, seed: int) -> None:
    kinematics, poses = kinematics_of(g1), random_poses(g1, 1, seed)
    quaternion = Rotation.from_matrix(poses.rotation).as_quat()
    data = g1.model.createData()
    q = g1.configurations(poses.base, quaternion, poses.joints)[0]
    pin.framesForwardKinematics(g1.model, data, q)
    points = kinematics.points(poses)[0]
    for part, frame in part_frames(g1.model, g1.profile).items():
        place = data.oMf[frame].translation
        np.testing.assert_allclose(points[kinematics.index[part]], place, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_keypoints_move_as_axes_and_arms_say(g1: Robot, seed: int) -> None:
    kinematics, poses, step = kinematics_of(g1), random_poses(g1, 1, seed), 1e-6
    rotation, origin = kinematics.forward(poses)
    points, axes = kinematics.points(poses)[0], kinematics.axes(rotation)[0]
    for j in range(g1.num_joints):
        ahead, back = (
            kinematics.points(replace(poses, joints=poses.joints + sign * step * np.eye(29)[j]))[0]
            for sign in (1, -1)
        )
        moved = np.cross(axes[j], points - origin[0, j]) * kinematics.support[:, j, None]
        np.testing.assert_allclose((ahead - back) / (2 * step), moved, atol=1e-7)


def test_levers_span_the_orientation_of_their_part(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    points = kinematics.points(random_poses(g1, 3))
    for part in ("pelvis", "torso", "left_foot"):
        origin = "left_ankle" if part == "left_foot" else part
        frame = np.stack(
            [
                points[:, kinematics.index[f"{part}_{axis}"]] - points[:, kinematics.index[origin]]
                for axis in "xyz"
            ],
            axis=-1,
        )
        assert np.allclose(frame.transpose(0, 2, 1) @ frame, LEVER**2 * np.eye(3), atol=1e-12)


def test_limbs_are_as_long_as_the_robots(g1: Robot) -> None:
    lengths = kinematics_of(g1).lengths
    assert lengths.leg == pytest.approx(0.62, abs=0.02)
    assert lengths.arm == pytest.approx(0.32, abs=0.02)


def test_the_sole_is_on_the_floor_when_the_robot_stands_on_it(g1: Robot) -> None:
    kinematics = kinematics_of(g1)
    upright = np.eye(3)[None]
    low = kinematics.lowest_sole(Poses(np.zeros((1, 3)), upright, g1.nominal[None]))
    base = np.array([[0.0, 0.0, -low[0]]])
    assert kinematics.lowest_sole(Poses(base, upright, g1.nominal[None]))[0] == pytest.approx(0)
    assert 0.6 < base[0, 2] < 0.9


def test_exp_and_log_are_inverse_and_agree_with_scipy() -> None:
    vectors = np.random.default_rng(1).normal(size=(20, 3))
    assert np.allclose(exp(vectors), Rotation.from_rotvec(vectors).as_matrix())
    assert np.allclose(log(exp(0.5 * vectors)), 0.5 * vectors)
    assert np.allclose(exp(np.zeros((1, 3))), np.eye(3))


def test_skew_is_the_cross_product() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 7, 3))
    assert np.allclose((skew(a) @ b[..., None])[..., 0], np.cross(a, b))


@pytest.mark.parametrize("axes", ["xy", "xz", "yx", "yz", "zx", "zy"])
def test_frames_are_right_handed_even_from_parallel_directions(axes: str) -> None:
    generator = np.random.default_rng(3)
    primary, secondary = generator.normal(size=(2, 6, 3))
    secondary[0] = 2 * primary[0]
    secondary[1] = 0.0
    primary[2] = 0.0
    frames = frame_from(primary=primary, secondary=secondary, axes=axes)
    assert np.allclose(frames.transpose(0, 2, 1) @ frames, np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(frames), 1.0)

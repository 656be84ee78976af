"""npz files of joint positions from other projects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.motion.rig_files import joints_of, moving_body, parse_rig
from core.motion.rigs_of_the_field import RIGS
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import ReadOptions, read_motion
from nextscale_core.motion.formats.soma import SKELETONS
from nextscale_core.motion.skeleton import JOINT_INDEX


def _soma_joints(count: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, J, 3) positions of SOMA's joints [m], y up, z forward, and the (T, 22, 3) of the body."""
    body = moving_body(3, bend=0.8)
    world = body.joints()
    places = {}
    for joint in parse_rig(RIGS["SOMA"]):
        if joint.ours != "world":
            index = JOINT_INDEX[joint.ours]
            places[joint.name] = world[:, index] + body.rotations[:, index] @ np.array(joint.offset)
    skeleton = SKELETONS[count]
    soma = np.empty((len(world), count, 3))
    for index, name in enumerate(skeleton.names):
        if name in places:
            soma[:, index] = places[name]
            continue
        # Fingers, eyes and tips that the rig lacks lie a little beyond their parents.
        parent = skeleton.parents[index]
        ours = JOINT_INDEX["head" if "Eye" in name else f"{name[: name.index('H')].lower()}_wrist"]
        step = np.array([0.02, 0.01 * (index % 5), 0.01])
        soma[:, index] = soma[:, parent] + body.rotations[:, ours] @ step
    return soma[..., [1, 2, 0]], world


@pytest.mark.parametrize("count", [77, 30])
def test_kimodo_s_soma_joints_are_read_at_30_frames_per_second(count: int, tmp_path: Path) -> None:
    soma, joints = _soma_joints(count)
    contacts = np.arange(len(soma) * 4).reshape(-1, 4) % 3 == 0
    np.savez(tmp_path / "a.npz", posed_joints=soma, foot_contacts=contacts.astype(float))
    clip = read_motion(tmp_path / "a.npz")
    names = joints_of(RIGS["SOMA"])
    index = [JOINT_INDEX[name] for name in names if not name.startswith("spine")]
    apart = (clip.joints - joints)[:, index]
    apart[..., 2] -= np.median(apart[..., 2])
    assert float(np.linalg.norm(apart, axis=-1).max()) < 0.005
    assert clip.fps == 30.0
    assert "30 frames per second assumed" in str(clip.notes[0])
    np.testing.assert_array_equal(clip.contacts, contacts)
    assert read_motion(tmp_path / "a.npz", ReadOptions(fps=25.0)).fps == 25.0


def test_kimodo_s_g1_joints_are_refused_as_a_robot_s(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", posed_joints=np.zeros((9, 34, 3)))
    with pytest.raises(MotionFileError, match="Kimodo's G1, a robot: read its CSV"):
        read_motion(tmp_path / "a.npz")


@pytest.mark.parametrize("count", [22, 52])
def test_holosoma_s_joints_are_read_with_z_up_and_a_rate_that_is_assumed(
    count: int, tmp_path: Path
) -> None:
    joints = moving_body().joints()
    more = np.repeat(joints[:, -1:], count - 22, axis=1)
    positions = np.concatenate([joints, more], axis=1)
    np.savez(tmp_path / "a.npz", global_joint_positions=positions, height=1.7)
    clip = read_motion(tmp_path / "a.npz")
    np.testing.assert_allclose(clip.joints, joints, atol=1e-5)
    assert clip.fps == 30.0
    assert "30 frames per second assumed" in str(clip.notes[0])
    assert read_motion(tmp_path / "a.npz", ReadOptions(fps=120.0)).fps == 120.0


@pytest.mark.parametrize("count", [22, 24])
def test_an_npy_of_joints_with_z_up_stands(count: int, tmp_path: Path) -> None:
    joints = moving_body().joints()
    np.save(tmp_path / "a.npy", np.concatenate([joints, joints[:, : count - 22]], axis=1))
    clip = read_motion(tmp_path / "a.npy")
    np.testing.assert_allclose(clip.joints, joints, atol=1e-5)
    assert "the body stands along z: z taken as up" in map(str, clip.notes)


def test_a_robot_s_npz_with_rotations_of_a_body_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pose_aa=np.zeros((9, 72)), dof=np.zeros((9, 29)))
    with pytest.raises(MotionFileError, match="a robot's motion"):
        read_motion(tmp_path / "a.npz")

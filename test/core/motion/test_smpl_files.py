"""Rotations of AMASS and SMPL-X: read onto the neutral skeleton, written for other tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.motion.rig_files import moving_body
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_motion
from nextscale_core.motion.bone_rotations import PosedSkeleton
from nextscale_core.motion.formats.smpl import write_smpl_npz
from nextscale_core.motion.skeleton import (
    JOINT_INDEX,
    JOINT_NAMES,
    NUM_JOINTS,
    PARENTS,
    STANDARD_OFFSETS,
    bone_lengths,
)

_FRAMES = 12
_STANDING = (0.0, 1.15, 0.0)  # `trans` of a standing body with y up [m]


def _at_rest(frames: int = _FRAMES) -> dict[str, np.ndarray]:
    """AMASS's arrays of a body that stands in the rest pose, z up, facing -y."""
    poses = np.zeros((frames, 156))
    poses[:, 0] = np.pi / 2  # y up to z up
    trans = np.tile([0.3, 0.2, 0.95], (frames, 1))
    return {
        "poses": poses, "trans": trans, "betas": np.zeros(16), "dmpls": np.zeros((frames, 8)),
        "gender": np.array("neutral"), "mocap_framerate": np.float64(120.0),
    }  # fmt: skip


def _neutral_clip() -> MotionClip:
    """A moving body with the neutral skeleton's bones, standing on the floor."""
    offsets = np.zeros((NUM_JOINTS, 3))
    for joint, name in enumerate(JOINT_NAMES[1:], start=1):
        side, _, part = name.rpartition("_")
        offsets[joint] = np.array(STANDARD_OFFSETS[part]) * (1, -1 if side == "right" else 1, 1)
    body = moving_body(3, bend=0.7)
    positions = body.positions.copy()
    positions[:, 1:] = offsets[1:]
    joints = PosedSkeleton(offsets, positions, body.rotations).joints()
    joints[..., 2] -= joints[..., 2].min(axis=1, keepdims=True)  # a foot stands in every frame
    return MotionClip(joints, 30.0, text="a person dances")


def _turns(clip: MotionClip) -> np.ndarray:
    """Directions (T, 21, 3) of the bones."""
    joints = clip.joints.astype(float)
    bones = joints[:, 1:] - joints[:, list(PARENTS[1:])]
    return np.asarray(bones / np.linalg.norm(bones, axis=-1, keepdims=True))


def test_amass_at_rest_is_a_body_that_stands_and_faces_x_on_the_floor(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **_at_rest())
    clip = read_motion(tmp_path / "a.npz")
    assert clip.fps == 120.0
    joint = {name: clip.joints[0, index] for name, index in JOINT_INDEX.items()}
    assert joint["head"][2] - joint["pelvis"][2] == pytest.approx(0.63, abs=0.05)
    assert joint["left_wrist"][1] > joint["left_shoulder"][1] + 0.45
    assert joint["right_wrist"][1] < joint["right_shoulder"][1] - 0.45
    assert joint["left_foot"][0] > joint["left_ankle"][0] + 0.1
    assert clip.joints[..., 2].min() == pytest.approx(0.0, abs=1e-6)
    # The legs of the models' rest pose are apart: the feet stand wider than the hips.
    assert joint["left_ankle"][1] > joint["left_hip"][1] + 0.015
    assert joint["left_ankle"][0] < joint["left_hip"][0] - 0.02
    assert any("turned by" in str(note) for note in clip.notes)


def test_a_rotation_about_the_hinge_of_the_left_knee_bends_the_left_knee(tmp_path: Path) -> None:
    arrays = _at_rest()
    arrays["poses"][:, 3 * JOINT_INDEX["left_knee"]] = np.linspace(0.0, 1.5, _FRAMES)
    np.savez(tmp_path / "a.npz", **arrays)
    clip = read_motion(tmp_path / "a.npz")
    at = {name: clip.joints[:, index] for name, index in JOINT_INDEX.items()}
    shank = at["left_ankle"] - at["left_knee"]
    bend = np.arctan2(-shank[:, 0], -shank[:, 2])
    np.testing.assert_allclose(bend - bend[0], np.linspace(0.0, 1.5, _FRAMES), atol=0.06)
    right = at["right_ankle"] - at["right_knee"]
    np.testing.assert_allclose(right, right[:1].repeat(_FRAMES, 0), atol=1e-6)


@pytest.mark.parametrize("model", ["smplx", "smplh"])
def test_joints_of_the_neutral_skeleton_come_back(model: str, tmp_path: Path) -> None:
    clip = _neutral_clip()
    write_smpl_npz(clip, tmp_path / "a.npz")
    if model == "smplh":
        _keep(tmp_path / "a.npz", ("poses", "trans", "betas", "gender", "mocap_framerate"))
    back = read_motion(tmp_path / "a.npz")
    assert back.fps == 30.0
    within = 0.02 if model == "smplx" else 0.09  # SMPL-H rests in another pose, on other legs
    apart = (back.joints - back.joints[:, :1]) - (clip.joints - clip.joints[:, :1])
    assert float(np.linalg.norm(apart, axis=-1).max()) < within
    paths = [one.joints[:, 0] - one.joints[0, 0] for one in (back, clip)]
    np.testing.assert_allclose(*paths, atol=within)


def _keep(path: Path, names: tuple[str, ...]) -> None:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in names}
    arrays["poses"] = arrays["poses"][:, :156]
    np.savez(path, **arrays)


def test_bones_of_any_body_keep_their_directions(tmp_path: Path) -> None:
    clip = MotionClip(moving_body(5, bend=0.8).joints(), 30.0)
    write_smpl_npz(clip, tmp_path / "a.npz")
    back = read_motion(tmp_path / "a.npz")
    np.testing.assert_allclose(
        bone_lengths(back.joints)[0], bone_lengths(back.joints)[-1], atol=1e-5
    )
    limbs = [JOINT_INDEX[f"{s}_{p}"] - 1 for s in ("left", "right")
             for p in ("knee", "ankle", "elbow", "wrist")]  # fmt: skip
    cosine = (_turns(back) * _turns(clip)).sum(-1)[:, limbs]
    assert float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max()) < 1.0


def test_stageii_keys_mean_the_same_as_poses(tmp_path: Path) -> None:
    write_smpl_npz(_neutral_clip(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        arrays = dict(archive)
    assert arrays["poses"].shape[1] == 165
    del arrays["poses"], arrays["mocap_framerate"]
    np.savez(tmp_path / "b.npz", **arrays)
    a, b = read_motion(tmp_path / "a.npz"), read_motion(tmp_path / "b.npz")
    np.testing.assert_allclose(a.joints, b.joints, atol=1e-6)
    assert a.fps == b.fps == 30.0


def test_rows_of_joints_and_the_names_of_the_smplx_library_are_read(tmp_path: Path) -> None:
    write_smpl_npz(_neutral_clip(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        arrays = dict(archive)
    np.savez(
        tmp_path / "b.npz",
        global_orient=arrays["root_orient"],
        body_pose=arrays["pose_body"].reshape(-1, 21, 3),
        transl=arrays["trans"],
        surface_model_type="smplx",
    )
    with pytest.raises(MotionFileError, match="--fps"):
        read_motion(tmp_path / "b.npz")
    clip = read_motion(tmp_path / "b.npz", ReadOptions(fps=30.0))
    np.testing.assert_allclose(clip.joints, read_motion(tmp_path / "a.npz").joints, atol=1e-5)


def test_parameters_with_y_up_stand_as_those_with_z_up(tmp_path: Path) -> None:
    arrays = _at_rest()
    np.savez(tmp_path / "a.npz", **arrays)
    arrays["poses"][:, :3] = 0.0
    arrays["trans"] = np.tile(_STANDING, (_FRAMES, 1))
    np.savez(tmp_path / "b.npz", **arrays)
    a, b = read_motion(tmp_path / "a.npz"), read_motion(tmp_path / "b.npz")
    apart = (a.joints - a.joints[:, :1]) - (b.joints - b.joints[:, :1])
    assert float(np.abs(apart).max()) < 1e-5
    assert "the body stands along y: y taken as up" in map(str, b.notes)


@pytest.mark.parametrize("size", [0.9, 1.1])
def test_the_feet_of_a_person_of_any_size_stay_where_they_stand(
    size: float, tmp_path: Path
) -> None:
    """A larger person makes longer steps: on the neutral skeleton the path is shorter."""
    clip = _neutral_clip()
    write_smpl_npz(clip, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        arrays = dict(archive)
    pelvis = np.array([0.0, -0.35, 0.01])
    arrays["trans"] = (arrays["trans"] + pelvis) * size - pelvis
    np.savez(tmp_path / "a.npz", **arrays)
    back = read_motion(tmp_path / "a.npz")
    walked = np.linalg.norm(back.joints[-1, 0, :2] - back.joints[0, 0, :2])
    assert walked == pytest.approx(np.linalg.norm([1.5, 0.3]), rel=0.03)
    assert any("path scaled" in str(note) for note in back.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trans": None}, "no array 'trans'"),
        ({"trans": np.zeros((3, 3))}, r"'trans' has shape \(3, 3\); right is \(12, 3\)"),
        ({"poses": np.zeros((12, 63))}, r"'poses' has shape \(12, 63\); right is \(12, 66 or more"),
        ({"poses": np.zeros((12, 67))}, "three numbers a joint"),
        ({"poses": np.zeros((0, 156))}, r"'poses' has shape \(0, 156\)"),
        ({"poses": np.full((12, 156), np.nan)}, "'poses' holds NaN.*frame 0"),
        ({"poses": np.full((12, 156), "x")}, "'poses' must hold numbers"),
        ({"poses": np.zeros((12, 24, 3, 3))}, "axis-angle rows"),
        ({"mocap_framerate": None}, "mocap_framerate.*--fps"),
        ({"mocap_framerate": np.float64(0.0)}, "mocap_framerate must be a positive number"),
        ({"mocap_framerate": np.float64(np.nan)}, "mocap_framerate"),
        ({"poses": None, "pose_body": np.zeros((12, 63))}, "'root_orient' and 'pose_body'"),
    ],
)
def test_wrong_parameters_are_named(
    change: dict[str, np.ndarray | None], message: str, tmp_path: Path
) -> None:
    arrays = {**_at_rest(), **change}
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(tmp_path / "a.npz", **kept)  # type: ignore[arg-type]
    with pytest.raises(MotionFileError, match=message):
        read_motion(tmp_path / "a.npz")


def test_written_rotations_are_those_of_the_body_in_the_file_s_axes(tmp_path: Path) -> None:
    """The root's rotation takes the model's y up and z forward to z up and x forward."""
    still = moving_body(0, frames=3, bend=0.0)
    write_smpl_npz(MotionClip(still.joints()), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        root = Rotation.from_rotvec(archive["root_orient"][0])
        hands = archive["poses"][:, 66:]
    np.testing.assert_allclose(root.apply([0.0, 0.0, 1.0]), [1, 0, 0], atol=0.3)
    np.testing.assert_allclose(root.apply([1.0, 0.0, 0.0]), [0, 1, 0], atol=0.05)
    assert not hands.any()

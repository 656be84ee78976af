"""Rows of SMPL-X parameters as in Motion-X and PHUMA, and rotations of SOMA as py-soma-x writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.motion.test_smpl_files import _neutral_clip as neutral_clip
from nextscale_core.conversion import read_any
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_motion
from nextscale_core.motion.formats.smpl import PELVIS, write_smpl_npz
from nextscale_core.motion.skeleton import JOINT_INDEX

_Y_UP = Rotation.from_matrix([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
"""From x forward, y left and z up to z forward, x left and y up."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[MotionClip, dict[str, np.ndarray]]:
    """A motion as its npz gives it, and the parameters in the file."""
    path = tmp_path_factory.mktemp("smpl") / "a.npz"
    write_smpl_npz(neutral_clip(), path)
    with np.load(path) as archive:
        return read_motion(path), dict(archive)


def turned(
    arrays: Mapping[str, np.ndarray], turn: Rotation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Root rotation, body and place in turned axes."""
    root = (turn * Rotation.from_rotvec(arrays["root_orient"])).as_rotvec()
    pelvis = np.array(PELVIS["smplx"])
    return root, arrays["pose_body"], turn.apply(arrays["trans"] + pelvis) - pelvis


def motion_x(root: np.ndarray, body: np.ndarray, trans: np.ndarray) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(len(root), 322))
    rows[:, :3], rows[:, 3:66], rows[:, 309:312] = root, body, trans
    return rows.astype(np.float32)


def phuma(root: np.ndarray, body: np.ndarray, trans: np.ndarray) -> np.ndarray:
    return np.concatenate([trans, root, body], axis=1).astype(np.float32)


def apart(one: MotionClip, other: MotionClip) -> float:
    """Largest distance between the joints of two motions, pelvis on pelvis [m]."""
    a, b = (clip.joints - clip.joints[:, :1] for clip in (one, other))
    return float(np.linalg.norm(a - b, axis=-1).max())


@pytest.mark.parametrize(("make", "name"), [(motion_x, "motionx-npy"), (phuma, "phuma-npy")])
def test_rows_with_y_up_are_the_motion_of_the_same_parameters_in_an_npz(
    make: object, name: str, written: tuple[MotionClip, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    clip, arrays = written
    np.save(tmp_path / "a.npy", make(*turned(arrays, _Y_UP)))  # type: ignore[operator]
    found = read_any(tmp_path / "a.npy")
    assert found.format.name == name
    assert isinstance(found.motion, MotionClip)
    assert apart(found.motion, clip) < 1e-4
    assert found.motion.joints[..., 2].min() == pytest.approx(0.0, abs=1e-5)
    assert found.motion.fps == 30.0
    assert "30 frames per second assumed: the file states no rate" in map(str, found.motion.notes)
    assert read_motion(tmp_path / "a.npy", ReadOptions(fps=60.0)).fps == 60.0


def test_rows_of_phuma_with_foot_contacts_are_read_without_them(
    written: tuple[MotionClip, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    rows = phuma(*turned(written[1], _Y_UP))
    np.save(tmp_path / "a.npy", np.concatenate([rows, np.ones((len(rows), 4))], axis=1))
    assert apart(read_motion(tmp_path / "a.npy"), written[0]) < 1e-4


@pytest.mark.parametrize("about", ["x", "z"])
def test_a_body_in_the_tilted_frame_of_a_camera_is_put_upright_and_the_reader_says_so(
    about: str, written: tuple[MotionClip, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    camera = Rotation.from_euler(about, 35.0, degrees=True) * _Y_UP
    np.save(tmp_path / "a.npy", motion_x(*turned(written[1], camera)))
    clip = read_motion(tmp_path / "a.npy")
    spine = clip.joints[:, JOINT_INDEX["neck"]] - clip.joints[:, 0]
    upright = written[0].joints[:, JOINT_INDEX["neck"]] - written[0].joints[:, 0]
    lean = [np.degrees(np.arccos(v[:, 2] / np.linalg.norm(v, axis=1))) for v in (spine, upright)]
    assert np.abs(lean[0] - lean[1]).max() < 15.0
    assert any("as seen by a camera" in str(note) for note in clip.notes)
    kept = read_motion(tmp_path / "a.npy", ReadOptions(up="y"))
    assert not any("camera" in str(note) for note in kept.notes)


def test_a_body_that_lies_is_not_put_upright(
    written: tuple[MotionClip, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    root, body, trans = turned(written[1], _Y_UP)
    # On its back, with the head 30 degrees off the z axis.
    root = np.tile((Rotation.from_euler("yx", [30, -90], degrees=True)).as_rotvec(), (len(root), 1))
    np.save(tmp_path / "a.npy", motion_x(root, body, trans * [1, 0.3, 1]))
    clip = read_motion(tmp_path / "a.npy", ReadOptions(up="auto"))
    assert not any("camera" in str(note) for note in clip.notes)


@pytest.mark.parametrize(
    ("row", "said"),
    [(np.nan, "holds NaN.*first in frame 3"), (1e9, "a number above 1e.06, first in frame 3")],
)
def test_numbers_that_are_no_parameters_are_named_with_their_frame(
    row: float, said: str, written: tuple[MotionClip, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    rows = motion_x(*turned(written[1], _Y_UP))
    rows[3, 5] = row
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(MotionFileError, match=said):
        read_motion(tmp_path / "a.npy")


# -- SOMA

_TRUNK = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Axes of the trunk in T-pose as columns: x up, y forward (z), z left (x), where y is up."""

_ARM = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
_LEGS = {
    "Left": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "Right": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
}


def _t_pose() -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Parent of each joint, and its orientation in T-pose."""
    parents = {"Hips": "Root", "Spine1": "Hips", "Spine2": "Spine1", "Chest": "Spine2"}
    parents |= {"Neck1": "Chest", "Neck2": "Neck1", "Head": "Neck2"}
    axes = {name: _TRUNK @ np.diag([1.0, 1.0, 1.0]) for name in parents}
    for side in ("Left", "Right"):
        arm = [f"{side}{name}" for name in ("Shoulder", "Arm", "ForeArm", "Hand")]
        leg = [f"{side}{name}" for name in ("Leg", "Shin", "Foot", "ToeBase")]
        parents |= dict(zip(arm, ["Chest", *arm], strict=False))
        parents |= dict(zip(leg, ["Hips", *leg], strict=False))
        axes |= dict.fromkeys(arm, _ARM) | dict.fromkeys(leg[:2], _LEGS[side])
        # Feet point forward: x forward on the left, backward on the right.
        sign = 1.0 if side == "Left" else -1.0
        foot = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [sign, 0.0, 0.0]])
        foot[:, 2] = np.cross(foot[:, 0], foot[:, 1])
        axes |= dict.fromkeys(leg[2:], foot)
    return {"Root": "", **parents}, {"Root": np.eye(3), **axes}


def soma(bend: np.ndarray, *, relative: bool, root: bool = False) -> dict[str, np.ndarray]:
    """Arrays of a body in T-pose whose left elbow is bent forward by angles (T,) [rad]."""
    parents, axes = _t_pose()
    names = list(parents)
    hinge = Rotation.from_euler("y", -bend[:, None]).as_matrix()  # about the vertical of a T-pose
    local = np.tile(np.eye(3), (len(bend), len(names), 1, 1))
    for column, name in enumerate(names):
        above = axes[parents[name]] if parents[name] else np.eye(3)
        turn = hinge if name == "LeftForeArm" else np.eye(3)
        local[:, column] = turn if relative else above.T @ turn @ axes[name]
    first = 0 if root else 1
    arrays = {
        "poses": local[:, first:].astype(np.float32),
        "transl": np.tile(np.float32([0.1, 0.97, 0.2]), (len(bend), 1)),
        "joint_names": np.array(names[first:]),
        "identity_model_type": np.array("soma"),
        "identity_coeffs": np.zeros((1, 10)),
        "keep_root": np.bool_(root),
        "absolute_pose": np.bool_(not relative),
        "rotation_repr": np.array("matrix"),
        "unit": np.array("meters"),
        "fps": np.float64(24.0),
    }
    if relative:
        # The writer drops the root from the poses, not from here.
        arrays["joint_orient"] = np.stack([axes[name] for name in names])
    return {name: np.asarray(array) for name, array in arrays.items()}


_BEND = np.linspace(0.0, 1.5, 30)


@pytest.fixture(scope="module")
def bending(tmp_path_factory: pytest.TempPathFactory) -> MotionClip:
    path = tmp_path_factory.mktemp("soma") / "a.npz"
    np.savez(path, **soma(_BEND, relative=False))  # type: ignore[arg-type]
    found = read_any(path, human=ReadOptions(keep_rate=True))
    assert found.format.name == "soma-npz"
    assert isinstance(found.motion, MotionClip)
    return found.motion


def test_a_soma_body_in_t_pose_stands_and_bends_the_joint_that_is_turned(
    bending: MotionClip,
) -> None:
    assert bending.fps == 24.0
    at = {name: bending.joints[:, index] for name, index in JOINT_INDEX.items()}
    assert at["head"][0, 2] > at["pelvis"][0, 2] + 0.5 > at["left_foot"][0, 2] + 1.0
    assert at["left_wrist"][0, 1] > at["left_shoulder"][0, 1] + 0.5
    assert at["right_wrist"][0, 1] < at["right_shoulder"][0, 1] - 0.5
    assert at["left_foot"][0, 0] > at["left_ankle"][0, 0] + 0.1
    upper = at["left_elbow"] - at["left_shoulder"]
    fore = at["left_wrist"] - at["left_elbow"]
    cosine = (upper * fore).sum(1) / np.linalg.norm(upper, axis=1) / np.linalg.norm(fore, axis=1)
    np.testing.assert_allclose(np.arccos(np.clip(cosine, -1, 1)), _BEND, atol=1e-3)
    assert at["left_wrist"][-1, 0] > at["left_elbow"][-1, 0] + 0.2  # forward
    still = at["right_wrist"] - at["right_wrist"][0]
    assert float(np.abs(still).max()) < 1e-5


@pytest.mark.parametrize("root", [False, True])
def test_rotations_relative_to_the_t_pose_are_the_motion_of_the_absolute_ones(
    root: bool, bending: MotionClip, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", **soma(_BEND, relative=True, root=root))  # type: ignore[arg-type]
    clip = read_motion(tmp_path / "a.npz", ReadOptions(keep_rate=True))
    np.testing.assert_allclose(clip.joints, bending.joints, atol=1e-5)


def test_rotation_vectors_and_centimetres_are_the_same_motion(
    bending: MotionClip, tmp_path: Path
) -> None:
    arrays = soma(_BEND, relative=False)
    shape = arrays["poses"].shape
    vectors = Rotation.from_matrix(arrays["poses"].reshape(-1, 3, 3)).as_rotvec()
    arrays |= {"poses": vectors.reshape(*shape[:2], 3), "transl": arrays["transl"] * 100}
    np.savez(tmp_path / "a.npz", **(arrays | {"unit": np.array("centimeters")}))  # type: ignore[arg-type]
    clip = read_motion(tmp_path / "a.npz", ReadOptions(keep_rate=True))
    np.testing.assert_allclose(clip.joints, bending.joints, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fps": None}, "no rate; give it"),
        ({"fps": np.float64(0.0)}, "'fps' must be a positive number, got 0"),
        ({"unit": np.array("furlongs")}, "'unit' must be meters, centimeters, millimeters"),
        ({"joint_names": np.array([f"Finger{n}" for n in range(23)])}, "lacks joints of the SOMA"),
        ({"poses": np.zeros((30, 22, 3))}, r"'poses' has shape \(30, 22, 3\); right is \(T, 23, 3"),
        ({"transl": np.zeros((29, 3))}, r"'transl' has shape \(29, 3\); right is \(30, 3\)"),
        ({"poses": np.full((30, 23, 3), np.nan)}, "'poses' holds NaN"),
        ({"absolute_pose": np.bool_(False)}, "need the array 'joint_orient'"),
        ({"joint_orient": np.zeros((5, 3, 3))}, r"'joint_orient' has shape \(5, 3, 3\)"),
    ],
)
def test_what_is_wrong_with_a_soma_file_is_named(
    change: dict[str, np.ndarray | None], said: str, tmp_path: Path
) -> None:
    arrays = {**soma(_BEND, relative=False), **change}
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(tmp_path / "a.npz", **kept)  # type: ignore[arg-type]
    with pytest.raises(MotionFileError, match=said):
        read_motion(tmp_path / "a.npz")

"""Axes, units, floor and reference poses: corrected where the body shows them, kept otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from core.motion.rig_files import moving_body
from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_bvh, read_motion, write_bvh
from nextscale_core.motion.features import heading_yaw, to_y_up
from nextscale_core.motion.formats.bvh_syntax import BvhJoint, read_bvh_text, write_bvh_text
from nextscale_core.motion.formats.world_frame import FileFrame, to_world
from nextscale_core.motion.reading import UNITS
from nextscale_core.motion.skeleton import JOINT_INDEX

_PROPERTY = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_YAW = st.floats(-180.0, 180.0)
_UNIT = st.sampled_from(["m", "dm", "cm", "mm", "inch"])


def _about(axis: str, degrees: float) -> np.ndarray:
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix()


def _standing(seed: int = 0, frames: int = 40) -> np.ndarray:
    """(T, 22, 3) a body on the floor that walks along x and moves the arms."""
    return moving_body(seed, frames).joints()


def _save(path: Path, joints: np.ndarray) -> Path:
    np.savez(path, joints=joints, fps=20.0)
    return path


def _kinds(clip: MotionClip) -> set[str]:
    return {note.kind for note in clip.notes}


# -- laws


@_PROPERTY
@given(yaw=_YAW, unit=_UNIT, y_up=st.booleans(), seed=st.integers(0, 20))
def test_positions_in_any_unit_and_with_y_or_z_up_are_read_back(
    yaw: float, unit: str, y_up: bool, seed: int, tmp_path: Path
) -> None:
    joints = _standing(seed) @ _about("z", yaw).T
    written = (to_y_up(joints) if y_up else joints) / UNITS[unit]
    clip = read_motion(_save(tmp_path / "a.npz", written))
    np.testing.assert_allclose(clip.joints, joints, atol=1e-4)
    assert _kinds(clip) == ({"unit"} if unit != "m" else set()) | ({"up"} if y_up else set())


@_PROPERTY
@given(
    yaw=_YAW,
    unit=_UNIT,
    up=st.sampled_from("xyz"),
    heading=_YAW,
    seed=st.integers(0, 20),
)
def test_a_bvh_whose_axes_are_turned_and_scaled_is_read_back(
    yaw: float, unit: str, up: str, heading: float, seed: int, tmp_path: Path
) -> None:
    """As Blender turns files: the rest pose along with the motion."""
    joints = _standing(seed) @ _about("z", heading).T
    write_bvh(MotionClip(joints), tmp_path / "a.bvh")
    upright = {"x": _about("z", -90.0), "y": np.eye(3), "z": _about("x", 90.0)}[up]
    _turn_axes(tmp_path / "a.bvh", upright @ _about("y", yaw), 0.01 / UNITS[unit])
    clip = read_bvh(tmp_path / "a.bvh")
    assert float(np.linalg.norm(clip.joints - joints, axis=-1).max()) < 0.01


def _turn_axes(path: Path, turn: np.ndarray, scale: float) -> None:
    """Write a file of ours in other axes and another unit."""
    bvh = read_bvh_text(path)
    frames = len(bvh.values)
    table = bvh.values.reshape(frames, -1, 6)
    table[..., :3] = table[..., :3] @ turn.T * scale
    local = Rotation.from_euler("ZYX", table[..., 3:].reshape(-1, 3), degrees=True).as_matrix()
    angles = Rotation.from_matrix(turn @ local @ turn.T).as_euler("ZYX", degrees=True)
    table[..., 3:] = angles.reshape(frames, -1, 3)
    for joint in bvh.joints:
        x, y, z = (turn @ joint.offset * scale).tolist()
        joint.offset = (x, y, z)
    bvh.values = table.reshape(frames, -1)
    write_bvh_text(bvh, path)


@_PROPERTY
@given(yaw=_YAW, seed=st.integers(0, 20))
def test_a_root_that_turns_the_whole_bvh_changes_nothing(
    yaw: float, seed: int, tmp_path: Path
) -> None:
    joints = _standing(seed)
    write_bvh(MotionClip(joints), tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    for joint in bvh.joints:
        joint.parent += 1
    bvh.joints.insert(0, BvhJoint("world", -1, channels=("Yrotation",)))
    bvh.values = np.concatenate([np.full((len(joints), 1), yaw), bvh.values], axis=1)
    write_bvh_text(bvh, tmp_path / "a.bvh")
    clip = read_bvh(tmp_path / "a.bvh")
    assert float(np.linalg.norm(clip.joints - joints, axis=-1).max()) < 0.01


@pytest.mark.parametrize("heading", [-170.0, -60.0, 10.0, 100.0])
def test_a_bvh_without_a_rest_pose_begins_facing_x_within_an_eighth_of_a_turn(
    heading: float, tmp_path: Path
) -> None:
    """Joints with frames of their own, as LAFAN1's, do not show at rest what is forward."""
    joints = _standing() @ _about("z", heading).T
    write_bvh(MotionClip(joints), tmp_path / "a.bvh")
    _turn_joint_frames(tmp_path / "a.bvh")
    clip = read_bvh(tmp_path / "a.bvh")
    assert abs(np.degrees(heading_yaw(clip.joints[:1])[0])) < 46.0
    quarter = round(heading / 90.0) * -90.0
    assert float(np.abs(clip.joints - joints @ _about("z", quarter).T).max()) < 0.01


def _turn_joint_frames(path: Path) -> None:
    """Write a file of ours with each joint's frame turned at random: the motion is the same."""
    bvh = read_bvh_text(path)
    frames = len(bvh.values)
    table = bvh.values.reshape(frames, -1, 6)
    local = Rotation.from_euler("ZYX", table[..., 3:].reshape(-1, 3), degrees=True)
    rotations = local.as_matrix().reshape(frames, -1, 3, 3)
    turns = Rotation.random(len(bvh.joints), random_state=0).as_matrix()
    column = 0
    for index, joint in enumerate(bvh.joints):
        above = turns[joint.parent] if joint.parent >= 0 else np.eye(3)
        x, y, z = (above.T @ joint.offset).tolist()
        joint.offset = (x, y, z)
        if joint.channels:
            table[:, column, :3] = table[:, column, :3] @ above
            turned = Rotation.from_matrix(above.T @ rotations[:, column] @ turns[index])
            table[:, column, 3:] = turned.as_euler("ZYX", degrees=True)
            column += 1
    bvh.values = table.reshape(frames, -1)
    write_bvh_text(bvh, path)


# -- bodies that are not upright


def _in_place() -> np.ndarray:
    joints = _standing()
    return joints - joints[:, :1] * [1.0, 1.0, 0.0]


def _lying(turn: np.ndarray) -> np.ndarray:
    """A standing body, laid down: the lowest joint is on the floor."""
    joints = _in_place() @ turn.T
    return joints - np.array([0.0, 0.0, joints[..., 2].min()])


def _crawling(yaw: float) -> np.ndarray:
    """On hands and knees, the spine level, two metres along."""
    joints = _standing(frames=80) @ _about("y", 80.0).T
    joints[:, :, 0] += np.linspace(0.0, 2.0, len(joints))[:, None]
    joints[..., 2] -= joints[..., 2].min(axis=1, keepdims=True)
    return joints @ _about("z", yaw).T


def _cartwheel() -> np.ndarray:
    joints = _standing(frames=80)
    joints = joints - joints[:, :1]
    angles = np.linspace(0, 6 * np.pi, len(joints))
    turns = Rotation.from_rotvec(angles[:, None] * [1.0, 0.0, 0.0]).as_matrix()
    joints = np.einsum("tij,tkj->tki", turns, joints)
    joints[:, :, 1] -= np.linspace(0.0, 4.0, len(joints))[:, None]
    joints[..., 2] -= joints[..., 2].min(axis=1, keepdims=True)
    return joints


_NOT_UPRIGHT = {
    "on the back, head to +x": _lying(_about("y", 90.0)),
    "on the belly, head to -x": _lying(_about("y", -90.0)),
    "on the side, head to +y": _lying(_about("x", -90.0)),
    "on the other side, head to -y": _lying(_about("x", 90.0)),
    "askew": _lying(_about("z", 35.0) @ _about("y", 80.0)),
    "on the hands": _lying(_about("x", 180.0)),
    "crawls along x": _crawling(0.0),
    "crawls along y": _crawling(90.0),
    "crawls askew": _crawling(-130.0),
    "cartwheels": _cartwheel(),
}


@pytest.mark.parametrize("name", _NOT_UPRIGHT)
@pytest.mark.parametrize("suffix", [".npz", ".npy", ".bvh"])
def test_a_body_that_is_not_upright_for_a_whole_clip_stays_as_recorded(
    name: str, suffix: str, tmp_path: Path
) -> None:
    joints = _NOT_UPRIGHT[name]
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        _save(path, joints)
    elif suffix == ".npy":
        np.save(path, to_y_up(joints))
    else:
        write_bvh(MotionClip(joints), path)
    clip = read_motion(path)
    assert float(np.linalg.norm(clip.joints - joints, axis=-1).max()) < 0.01
    assert _kinds(clip) <= {"rate", "unit", "lying"}


# -- axes, units and floors that are wrong


@pytest.mark.parametrize("yaw", [0.0, 77.0, 180.0])
@pytest.mark.parametrize("up", ["-z", "y", "-y"])
def test_a_body_that_stands_along_another_axis_is_set_upright(
    up: str, yaw: float, tmp_path: Path
) -> None:
    joints = _standing() @ _about("z", yaw).T
    turn = {"-z": _about("x", 180.0), "y": _about("x", -90.0), "-y": _about("x", 90.0)}[up]
    clip = read_motion(_save(tmp_path / "a.npz", joints @ turn.T))
    heads = clip.joints[:, JOINT_INDEX["head"], 2]
    assert heads.min() > 1.3
    assert clip.joints[..., 2].min() == pytest.approx(0.0, abs=0.01)
    assert f"{up} taken as up" in " ".join(map(str, clip.notes))


@pytest.mark.parametrize("flat", [0.0, 1.0])
def test_a_body_that_stands_still_with_y_up_is_set_upright(flat: float, tmp_path: Path) -> None:
    joints = np.repeat(_standing()[:1], 40, axis=0)
    joints[..., 0] = np.maximum(joints[..., 0], 0.0) if flat else joints[..., 0]
    clip = read_motion(_save(tmp_path / "a.npz", to_y_up(joints)))
    np.testing.assert_allclose(clip.joints, joints, atol=1e-4)


def test_a_body_that_hangs_in_the_air_is_refused_until_the_axis_is_given(tmp_path: Path) -> None:
    joints = to_y_up(np.repeat(_in_place()[:1], 40, axis=0)) - np.array([0.0, 0.9, 0.2])
    path = _save(tmp_path / "a.npz", joints)
    with pytest.raises(MotionFileError, match=r"--up z or --up y"):
        read_motion(path)
    standing = read_motion(path, ReadOptions(up="y"))
    assert standing.joints[:, JOINT_INDEX["head"], 2].min() > 1.3
    lying = read_motion(path, ReadOptions(up="z"))
    assert np.ptp(lying.joints[0, :, 2]) < 0.7


def test_left_handed_axes_are_mirrored(tmp_path: Path) -> None:
    joints = _standing(2)
    clip = read_motion(_save(tmp_path / "a.npz", joints * np.array([1.0, -1.0, 1.0])))
    np.testing.assert_allclose(clip.joints, joints, atol=1e-4)
    assert "mirrored" in _kinds(clip)


def test_a_bvh_with_left_handed_axes_is_mirrored(tmp_path: Path) -> None:
    joints = _standing(2) @ _about("z", 120.0).T
    write_bvh(MotionClip(joints), tmp_path / "a.bvh")
    _turn_axes(tmp_path / "a.bvh", np.diag([-1.0, 1.0, 1.0]), 1.0)
    clip = read_bvh(tmp_path / "a.bvh")
    assert float(np.linalg.norm(clip.joints - joints, axis=-1).max()) < 0.01
    assert "mirrored" in _kinds(clip)


def test_without_toes_the_knees_show_that_axes_are_left_handed() -> None:
    joints = _walking_knees()
    for mirrored in (False, True):
        seen = joints * np.array([1.0, -1.0 if mirrored else 1.0, 1.0])
        read, notes = to_world(seen, FileFrame("z"), ReadOptions())
        np.testing.assert_allclose(read, joints, atol=1e-9)
        assert ("mirrored" in {note.kind for note in notes}) == mirrored


def _walking_knees() -> np.ndarray:
    """(40, 22, 3) a body that stands with bent knees, without toes."""
    joints = np.repeat(_in_place()[:1], 40, axis=0)
    for side in ("left", "right"):
        joints[:, JOINT_INDEX[f"{side}_knee"], 0] += 0.08
        joints[:, JOINT_INDEX[f"{side}_foot"]] = joints[:, JOINT_INDEX[f"{side}_ankle"]]
    return joints


def test_a_body_that_never_stands_is_reported(tmp_path: Path) -> None:
    lying = _in_place() @ np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    clip = read_motion(_save(tmp_path / "a.npz", lying))
    assert any("never stands" in str(note) for note in clip.notes)


def test_a_floor_that_is_elsewhere_is_put_to_zero(tmp_path: Path) -> None:
    joints = _standing()
    path = _save(tmp_path / "a.npz", joints - np.array([0.0, 0.0, 0.9]))
    clip = read_motion(path)
    assert clip.joints[..., 2].min() == pytest.approx(0.0, abs=0.03)
    assert "floor" in _kinds(clip)
    kept = read_motion(path, ReadOptions(floor=False))
    assert kept.joints[..., 2].min() == pytest.approx(-0.9, abs=0.01)


def test_heights_near_the_floor_are_not_touched(tmp_path: Path) -> None:
    joints = (_standing() + np.array([0.0, 0.0, 0.06])).astype(np.float32)
    np.testing.assert_array_equal(read_motion(_save(tmp_path / "a.npz", joints)).joints, joints)


def test_a_child_is_not_read_as_an_adult_in_another_unit(tmp_path: Path) -> None:
    joints = _standing() * 0.6
    clip = read_motion(_save(tmp_path / "a.npz", joints))
    np.testing.assert_allclose(clip.joints, joints, atol=1e-4)


def test_a_body_of_no_human_size_is_refused_with_its_size_and_the_option(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.npz", _standing() * 4.0)
    with pytest.raises(MotionFileError, match=r"the body measures .* \(--unit"):
        read_motion(path)
    clip = read_motion(path, ReadOptions(unit="0.25"))
    np.testing.assert_allclose(clip.joints, _standing(), atol=1e-4)
    assert clip.notes == ()


def test_joints_in_another_order_are_refused(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(22)
    with pytest.raises(MotionFileError, match="not a human's"):
        read_motion(_save(tmp_path / "a.npz", _waving()[:, order]))


@pytest.mark.parametrize(
    "options", [{"up": "w"}, {"unit": "ell"}, {"unit": -1.0}, {"fps": 0.0}, {"fps": float("nan")}]
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ReadOptions(**options)  # type: ignore[arg-type]


# -- reference poses


def _t_pose(joints: np.ndarray) -> np.ndarray:
    """(1, 22, 3) a T-pose at the place of the first frame."""
    pose = moving_body(0, frames=1, bend=0.0).joints()
    return pose - pose[:, :1] * [1, 1, 0] + joints[:1, :1] * [1, 1, 0]


def _waving(frames: int = 60) -> np.ndarray:
    """Arms that hang and move a little."""
    return moving_body(1, frames, bend=0.9).joints()


@pytest.mark.parametrize("suffix", [".npz", ".bvh"])
@pytest.mark.parametrize("fps", [20.0, 120.0])
@pytest.mark.parametrize("count", [1, 3])
def test_a_t_pose_before_the_motion_is_cut_off(
    count: int, fps: float, suffix: str, tmp_path: Path
) -> None:
    motion = _waving(240 if fps > 20.0 else 60)
    joints = np.concatenate([np.repeat(_t_pose(motion), count, axis=0), motion])
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        np.savez(path, joints=joints, fps=fps)
    else:
        write_bvh(MotionClip(joints, fps), path)
    clip = read_motion(path)
    wrists = clip.joints[:, [JOINT_INDEX["left_wrist"], JOINT_INDEX["right_wrist"]]]
    speed = np.linalg.norm(np.diff(wrists, axis=0), axis=-1).max() * clip.fps
    assert speed < 6.0
    assert float(np.linalg.norm(clip.joints[0] - motion[0], axis=-1).max()) < 0.02
    assert any("cut off" in str(note) for note in clip.notes)


def test_a_t_pose_behind_the_motion_is_cut_off(tmp_path: Path) -> None:
    motion = _waving()
    joints = np.concatenate([motion, _t_pose(motion)])
    clip = read_motion(_save(tmp_path / "a.npz", joints))
    np.testing.assert_allclose(clip.joints, motion, atol=1e-4)


def test_the_rest_pose_of_a_rig_is_cut_off_even_if_it_is_not_a_t_pose(tmp_path: Path) -> None:
    """An A-pose: found as it has no rotations."""
    motion = _waving()
    write_bvh(MotionClip(motion), tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    first = bvh.values[:1].reshape(1, -1, 6).copy()
    first[..., 3:] = 0.0
    bvh.values = np.concatenate([first.reshape(1, -1), bvh.values])
    write_bvh_text(bvh, tmp_path / "a.bvh")
    assert len(read_bvh(tmp_path / "a.bvh")) == len(motion)


def test_a_motion_that_begins_in_a_t_pose_and_lowers_the_arms_keeps_every_frame(
    tmp_path: Path,
) -> None:
    motion = _waving()
    pose = _t_pose(motion)
    share = np.linspace(0.0, 1.0, 12)[:, None, None] ** 2
    joints = np.concatenate([(1 - share) * pose + share * motion[:1], motion])
    assert len(read_motion(_save(tmp_path / "a.npz", joints))) == len(joints)


def test_a_fast_start_from_another_pose_keeps_every_frame(tmp_path: Path) -> None:
    motion = _waving()
    joints = np.concatenate([motion[30:31] - motion[30:31, :1] + motion[:1, :1], motion])
    assert len(read_motion(_save(tmp_path / "a.npz", joints))) == len(joints)

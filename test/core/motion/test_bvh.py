"""BVH files: written for other tools, read from other tools."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_bvh, write_bvh
from nextscale_core.motion.bone_rotations import PosedSkeleton, fit_bone_rotations
from nextscale_core.motion.formats.bvh_syntax import Bvh, BvhJoint, read_bvh_text, write_bvh_text
from nextscale_core.motion.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS

_BONES = {
    "left_hip": (-0.02, 0.06, -0.08), "right_hip": (-0.02, -0.06, -0.08),
    "spine1": (0.0, 0.0, 0.13), "left_knee": (0, 0, -0.39), "right_knee": (0, 0, -0.39),
    "spine2": (0, 0, 0.14), "left_ankle": (0, 0, -0.42), "right_ankle": (0, 0, -0.42),
    "spine3": (0, 0, 0.06), "left_foot": (0.13, 0, -0.05), "right_foot": (0.13, 0, -0.05),
    "neck": (0, 0, 0.21), "left_collar": (-0.01, 0.07, 0.12),
    "right_collar": (-0.01, -0.07, 0.12), "head": (0, 0, 0.10), "left_shoulder": (0, 0.12, 0),
    "right_shoulder": (0, -0.12, 0), "left_elbow": (0, 0.26, 0), "right_elbow": (0, -0.26, 0),
    "left_wrist": (0, 0.26, 0), "right_wrist": (0, -0.26, 0),
}  # fmt: skip

_MIXAMO = {
    "pelvis": "mixamorig:Hips", "spine1": "mixamorig:Spine", "spine2": "mixamorig:Spine1",
    "spine3": "mixamorig:Spine2", "neck": "mixamorig:Neck", "head": "mixamorig:Head",
    "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "collar": "Shoulder",
    "shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "side": "mixamorig:{Side}{part}",
}  # fmt: skip
_LAFAN = {**_MIXAMO, "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2",
          "neck": "Neck", "head": "Head", "foot": "Toe", "side": "{Side}{part}"}  # fmt: skip
_SMPL = {
    "pelvis": "Pelvis", "spine1": "Spine1", "spine2": "Spine2", "spine3": "Spine3",
    "neck": "Neck", "head": "Head", "hip": "Hip", "knee": "Knee", "ankle": "Ankle",
    "foot": "Foot", "collar": "Collar", "shoulder": "Shoulder", "elbow": "Elbow",
    "wrist": "Wrist", "side": "{S}_{part}",
}  # fmt: skip
_BANDAI = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Chest", "spine3": "UpperChest",
    "neck": "Neck", "head": "Head", "hip": "UpperLeg", "knee": "LowerLeg", "ankle": "Foot",
    "foot": "Toes", "collar": "Shoulder", "shoulder": "UpperArm", "elbow": "LowerArm",
    "wrist": "Hand", "side": "{part}_{S}",
}  # fmt: skip
_CMU = {
    "pelvis": "root", "spine1": "lowerback", "spine2": "upperback", "spine3": "thorax",
    "neck": "lowerneck", "head": "head", "hip": "femur", "knee": "tibia", "ankle": "foot",
    "foot": "toes", "collar": "clavicle", "shoulder": "humerus", "elbow": "radius",
    "wrist": "wrist", "side": "{s}{part}",
}  # fmt: skip
RIGS = {"mixamo": _MIXAMO, "lafan1": _LAFAN, "smpl": _SMPL, "bandai": _BANDAI, "cmu": _CMU}


def _rename(name: str, rig: dict[str, str]) -> str:
    side, _, part = name.partition("_")
    if part in rig:
        return rig["side"].format(
            Side=side.capitalize(), S=side[0].upper(), s=side[0], part=rig[part]
        )
    return rig.get(name, name)


def _posed(offsets: np.ndarray, root: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    positions = np.tile(offsets, (len(root), 1, 1))
    positions[:, 0] = root
    return PosedSkeleton(offsets, positions, rotations).joints()


def _table(bvh: Bvh) -> np.ndarray:
    """(T, 22, 6) channel values by joint: x, y, z, then angles about z, y, x."""
    return bvh.values.reshape(len(bvh.values), NUM_JOINTS, 6)


def _random_clip(seed: int, frames: int = 40, bend: float = 0.8) -> MotionClip:
    """A body with rigid bones that moves every joint smoothly and lives above the floor."""
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 2 * np.pi, size=(NUM_JOINTS, 3))
    swing = generator.uniform(0, bend, size=(NUM_JOINTS, 3))
    clock = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    turns = swing * np.sin(clock + phase)
    turns[:, 0] *= 0.4
    turns[:, 0, 2] += np.linspace(0, 2.5 * np.pi, frames)  # all headings, more than one turn
    offsets = np.stack([np.zeros(3), *(np.array(_BONES[name]) for name in JOINT_NAMES[1:])])
    local = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(frames, NUM_JOINTS, 3, 3)
    root = np.stack(
        [np.linspace(0, 2, frames), np.linspace(0, -1, frames), np.full(frames, 1.2)], axis=1
    )
    rotations = local.copy()
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        rotations[:, joint] = rotations[:, parent] @ local[:, joint]
    joints = _posed(offsets, root, rotations)
    joints[..., 2] -= joints[..., 2].min()
    return MotionClip(joints, text="a person does a strange dance", seed=seed)


def _worst(a: MotionClip, b: MotionClip) -> float:
    return float(np.linalg.norm(a.joints - b.joints, axis=-1).max())


@pytest.mark.parametrize("seed", range(6))
def test_joint_positions_come_back_within_a_centimetre(seed: int, tmp_path: Path) -> None:
    clip = _random_clip(seed)
    write_bvh(clip, tmp_path / "a.bvh")
    back = read_bvh(tmp_path / "a.bvh")
    assert len(back) == len(clip)
    assert _worst(clip, back) < 0.01


def test_bones_of_changing_length_stay_within_a_centimetre_of_their_targets(tmp_path: Path) -> None:
    clip = _random_clip(0)
    generator = np.random.default_rng(0)
    shaken = MotionClip(clip.joints + generator.uniform(-0.002, 0.002, size=clip.joints.shape))
    write_bvh(shaken, tmp_path / "a.bvh")
    assert _worst(shaken, read_bvh(tmp_path / "a.bvh", ReadOptions(floor=False))) < 0.01


def test_a_t_pose_has_no_rotation_and_faces_the_z_axis_with_y_up(tmp_path: Path) -> None:
    offsets = np.stack([np.zeros(3), *(np.array(_BONES[name]) for name in JOINT_NAMES[1:])])
    upright = np.broadcast_to(np.eye(3), (3, NUM_JOINTS, 3, 3))
    joints = _posed(offsets, np.tile([1.0, 2.0, 0.95], (3, 1)), upright)
    write_bvh(MotionClip(joints), tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    # Position of the root in centimetres: our left is x, our up is y, our forward is z.
    np.testing.assert_allclose(bvh.values[0, :3], (200.0, 95.0, 100.0), atol=1e-3)
    by_name = {joint.name: joint for joint in bvh.joints}
    assert by_name["left_elbow"].offset[0] == pytest.approx(26.0, abs=1e-3)
    assert by_name["left_knee"].offset[1] == pytest.approx(-39.0, abs=1e-3)
    names = [joint.name for joint in bvh.joints if joint.channels]
    angles = dict(zip(names, _table(bvh)[0, :, 3:], strict=True))
    for name in set(JOINT_NAMES) - {"left_ankle", "right_ankle"}:
        np.testing.assert_allclose(angles[name], 0.0, atol=0.01, err_msg=name)


def test_the_hierarchy_has_22_joints_five_end_sites_and_one_root(tmp_path: Path) -> None:
    write_bvh(_random_clip(0), tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text(encoding="utf-8")
    assert text.count("ROOT") == 1
    assert text.count("JOINT") == 21
    assert text.count("End Site") == 5
    assert text.count("{") == text.count("}") == 27
    assert "Frame Time: 0.0500000" in text


def test_written_angles_never_jump_by_half_a_turn(tmp_path: Path) -> None:
    write_bvh(_random_clip(3, frames=400), tmp_path / "a.bvh")
    steps = np.abs(np.diff(_table(read_bvh_text(tmp_path / "a.bvh"))[..., 3:], axis=0))
    assert steps.max() < 90.0


def test_a_bending_knee_turns_about_its_hinge_alone() -> None:
    clip = _random_clip(0, frames=10, bend=0.0)
    joints = clip.joints.astype(np.float64)
    knee, ankle, foot = (
        joints[:, JOINT_INDEX[f"left_{part}"]] for part in ("knee", "ankle", "foot")
    )
    across = joints[:, JOINT_INDEX["left_hip"]] - joints[:, JOINT_INDEX["right_hip"]]
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    bend = Rotation.from_rotvec(across * np.linspace(0.3, 1.5, 10)[:, None])
    ankle[:], foot[:] = knee + bend.apply(ankle - knee), knee + bend.apply(foot - knee)
    for part, value in (("ankle", ankle), ("foot", foot)):
        joints[:, JOINT_INDEX[f"left_{part}"]] = value
    local = fit_bone_rotations(joints).local_rotations()[:, JOINT_INDEX["left_knee"]]
    turns = Rotation.from_matrix(local).as_rotvec()
    np.testing.assert_allclose(turns[:, 1], np.linspace(0.3, 1.5, 10), atol=0.01)
    np.testing.assert_allclose(turns[:, [0, 2]], 0.0, atol=0.01)


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_a_bending_elbow_of_a_t_pose_brings_the_hand_forward_without_twist(
    side: str, sign: float
) -> None:
    offsets = np.stack([np.zeros(3), *(np.array(_BONES[name]) for name in JOINT_NAMES[1:])])
    rotations = np.tile(np.eye(3), (10, NUM_JOINTS, 1, 1))
    bend = np.linspace(0.3, 1.5, 10)
    turn = Rotation.from_rotvec([[0.0, 0.0, -sign * angle] for angle in bend]).as_matrix()
    rotations[:, [JOINT_INDEX[f"{side}_elbow"], JOINT_INDEX[f"{side}_wrist"]]] = turn[:, None]
    joints = _posed(offsets, np.tile([0.0, 0.0, 0.95], (10, 1)), rotations)
    wrist, elbow = (joints[:, JOINT_INDEX[f"{side}_{part}"]] for part in ("wrist", "elbow"))
    assert (wrist[:, 0] > elbow[:, 0] + 0.05).all()  # x is forward
    local = fit_bone_rotations(joints).local_rotations()
    np.testing.assert_allclose(
        Rotation.from_matrix(local[:, JOINT_INDEX[f"{side}_shoulder"]]).magnitude(), 0.0, atol=0.01
    )
    np.testing.assert_allclose(local[:, JOINT_INDEX[f"{side}_elbow"]], turn, atol=0.01)


@pytest.mark.parametrize("rig", sorted(RIGS))
def test_the_joints_of_common_rigs_are_found(rig: str, tmp_path: Path) -> None:
    clip = _random_clip(1)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    for joint in bvh.joints:
        joint.name = _rename(joint.name, RIGS[rig])
    write_bvh_text(bvh, tmp_path / "b.bvh")
    back = read_bvh(tmp_path / "b.bvh")
    assert _worst(clip, back) < 0.01


# Units in a centimetre: metres, decimetres, inches, millimetres, CMU's units.
@pytest.mark.parametrize("unit", [0.01, 0.1, 1 / 2.54, 10.0, 0.45 / 2.54])
def test_the_unit_is_guessed_from_the_height_of_the_body(unit: float, tmp_path: Path) -> None:
    clip = _random_clip(2)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    for joint in bvh.joints:
        x, y, z = joint.offset
        joint.offset = (x * unit, y * unit, z * unit)
    _table(bvh)[..., :3] *= unit
    write_bvh_text(bvh, tmp_path / "b.bvh")
    assert _worst(clip, read_bvh(tmp_path / "b.bvh")) < 0.01


def test_a_body_of_no_human_size_is_refused(tmp_path: Path) -> None:
    write_bvh(MotionClip(_random_clip(2).joints * 0.03), tmp_path / "a.bvh")
    with pytest.raises(MotionFileError, match="--unit"):
        read_bvh(tmp_path / "a.bvh")
    assert len(read_bvh(tmp_path / "a.bvh", ReadOptions(unit=0.33))) == 40


@pytest.mark.parametrize("order", ["XYZ", "YXZ", "ZXY", "XZY", "YZX"])
def test_any_order_of_the_rotation_channels_is_understood(order: str, tmp_path: Path) -> None:
    clip = _random_clip(4)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    angles = _table(bvh)[..., 3:].reshape(-1, 3)
    turned = Rotation.from_euler("ZYX", angles, degrees=True).as_euler(order, degrees=True)
    _table(bvh)[..., 3:] = turned.reshape(len(clip), NUM_JOINTS, 3)
    for joint in bvh.joints:
        if joint.channels:
            joint.channels = (*joint.channels[:-3], *(f"{axis}rotation" for axis in order))
    write_bvh_text(bvh, tmp_path / "b.bvh")
    assert _worst(clip, read_bvh(tmp_path / "b.bvh")) < 0.01


def test_a_position_channel_stands_in_the_place_of_the_offset(tmp_path: Path) -> None:
    clip = _random_clip(5)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    for joint in bvh.joints:
        if joint.channels:
            joint.offset = (1.0, 2.0, 3.0)
    write_bvh_text(bvh, tmp_path / "b.bvh")
    assert _worst(clip, read_bvh(tmp_path / "b.bvh")) < 0.01


def test_the_offset_counts_where_a_joint_has_no_position_channels(tmp_path: Path) -> None:
    clip = _random_clip(5)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    table = _table(bvh)
    bvh.values = np.concatenate([table[:, 0, :3], table[..., 3:].reshape(len(clip), -1)], axis=1)
    for joint in bvh.joints[1:]:
        joint.channels = joint.channels[3:]
    write_bvh_text(bvh, tmp_path / "b.bvh")
    assert _worst(clip, read_bvh(tmp_path / "b.bvh")) < 0.01


def test_a_lumbar_spine_that_bends_in_the_pelvis_is_kept(tmp_path: Path) -> None:
    joints = _random_clip(5).joints.copy()
    joints[:, JOINT_INDEX["spine1"]] += 0.02 * np.sin(np.arange(40) / 5.0)[:, None]
    write_bvh(MotionClip(joints), tmp_path / "a.bvh")
    back = read_bvh(tmp_path / "a.bvh")
    spine1 = JOINT_INDEX["spine1"]
    assert float(np.linalg.norm(back.joints - joints, axis=-1)[:, spine1].max()) < 0.001


def test_a_root_above_the_hips_carries_the_motion(tmp_path: Path) -> None:
    clip = _random_clip(5)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    for joint in bvh.joints:
        joint.name = _rename(joint.name, _BANDAI)
        joint.parent += 1
    bvh.joints.insert(0, BvhJoint("joint_Root", -1))
    write_bvh_text(bvh, tmp_path / "b.bvh")
    assert _worst(clip, read_bvh(tmp_path / "b.bvh")) < 0.01


def test_a_file_with_z_up_is_read_as_it_stands(tmp_path: Path) -> None:
    clip = _random_clip(6)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    for joint in bvh.joints:
        joint.parent += 1
    # One root more that turns y up into z up, and z forward into x forward.
    turn = Rotation.from_matrix([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    angles = turn.as_euler("ZYX", degrees=True)
    bvh.joints.insert(0, BvhJoint("world", -1, channels=("Zrotation", "Yrotation", "Xrotation")))
    bvh.values = np.concatenate([np.tile(angles, (len(clip), 1)), bvh.values], axis=1)
    write_bvh_text(bvh, tmp_path / "b.bvh")
    assert _worst(clip, read_bvh(tmp_path / "b.bvh")) < 0.01


def test_a_fast_recording_is_resampled_to_20_frames_a_second(tmp_path: Path) -> None:
    clip = _random_clip(0, frames=241)
    write_bvh(MotionClip(clip.joints, fps=120.0), tmp_path / "a.bvh")
    back = read_bvh(tmp_path / "a.bvh")
    assert back.fps == 20.0
    assert len(back) == 41
    assert float(np.linalg.norm(back.joints - clip.joints[::6], axis=-1).max()) < 0.01


def test_the_lowest_point_is_put_on_the_floor_unless_the_options_keep_heights(
    tmp_path: Path,
) -> None:
    clip = _random_clip(0)
    write_bvh(MotionClip(clip.joints + np.array([0.0, 0.0, 0.3])), tmp_path / "a.bvh")
    assert read_bvh(tmp_path / "a.bvh").joints[..., 2].min() == pytest.approx(0.0, abs=1e-5)
    kept = read_bvh(tmp_path / "a.bvh", ReadOptions(floor=False))
    assert kept.joints[..., 2].min() == pytest.approx(0.3, abs=0.005)


def test_a_rig_without_collars_toes_and_with_one_spine_joint_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(_SMALL_RIG, encoding="utf-8")
    clip = read_bvh(path)
    joint = {name: clip.joints[0, index] for name, index in JOINT_INDEX.items()}
    assert joint["left_shoulder"][1] > 0.1 > -0.1 > joint["right_shoulder"][1]
    assert joint["pelvis"][2] < joint["spine1"][2] < joint["spine2"][2] < joint["spine3"][2]
    assert joint["spine3"][2] < joint["neck"][2] < joint["head"][2]
    assert 0.02 < joint["left_collar"][1] < joint["left_shoulder"][1]
    assert joint["left_foot"][0] > joint["left_ankle"][0] + 0.1  # from the End Site
    assert joint["right_foot"][0] > joint["right_ankle"][0] + 0.1  # ahead, as nothing is there


_SMALL_RIG = """HIERARCHY
ROOT Hips {
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine {
    OFFSET 0 12 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Neck {
      OFFSET 0 40 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT Head {
        OFFSET 0 12 2
        CHANNELS 3 Zrotation Xrotation Yrotation
        End Site {
          OFFSET 0 15 0
        }
      }
      JOINT LeftArm {
        OFFSET 18 -5 0
        JOINT LeftForeArm {
          OFFSET 27 0 0
          JOINT LeftHand {
            OFFSET 26 0 0
          }
        }
      }
      JOINT RightArm {
        OFFSET -18 -5 0
        JOINT RightForeArm {
          OFFSET -27 0 0
          JOINT RightHand {
            OFFSET -26 0 0
          }
        }
      }
    }
  }
  JOINT LeftUpLeg {
    OFFSET 9 -5 0
    JOINT LeftLeg {
      OFFSET 0 -40 0
      JOINT LeftFoot {
        OFFSET 0 -40 0
        End Site
        {
          OFFSET 0 -6 14
        }
      }
    }
  }
  JOINT RightUpLeg {
    OFFSET -9 -5 0
    JOINT RightLeg {
      OFFSET 0 -40 0
      JOINT RightFoot {
        OFFSET 0 -40 0
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.05
0 92 0 0 0 0 0 0 0 0 0 0 0 0 0
0 92 1 0 0 0 0 0 0 0 0 0 0 0 0
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", 1, "expected HIERARCHY"),
        ("ROOT Hips {", "ROOT Hips [", 3, "expected '{'"),
        ("OFFSET 0 12 0", "OFFSET 0 12", 6, "OFFSET needs 3 numbers"),
        ("OFFSET 0 12 0", "OFFSET 0 twelve 0", 6, "not a number"),
        ("OFFSET 0 12 0", "OFFSET 0 nan 0", 6, "NaN"),
        ("CHANNELS 6 X", "CHANNELS 7 X", 4, "CHANNELS needs"),
        ("CHANNELS 6 Xposition", "CHANNELS 6 Wposition", 4, "unknown channel 'Wposition'"),
        ("Frames: 2", "Frames: two", 62, "Frames"),
        ("Frames: 2", "Frames: 0", 62, "Frames must be 1"),
        ("Frames: 2", "Frames: 99999999999999999999999", 62, "Frames must be 1"),
        ("Frame Time: 0.05", "Frame Time: 0", 63, "Frame Time must be"),
        ("Frame Time: 0.05", "Frame Time: 1e-9", 63, "Frame Time must be"),
        ("0 92 1 0 0", "0 92 1 0", 65, "a frame needs 15 numbers"),
        ("0 92 1 0 0", "0 92 x 0 0", 65, "not a number"),
        ("0 92 1 0 0", "0 92 inf 0 0", 65, "NaN or infinity"),
        ("JOINT Spine {", "ROOT Spine {", 5, "out of place"),
    ],
)
def test_a_malformed_line_is_named(
    old: str, new: str, line: int, message: str, tmp_path: Path
) -> None:
    assert old in _SMALL_RIG
    path = tmp_path / "a.bvh"
    path.write_text(_SMALL_RIG.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(MotionFileError, match=f"line {line}: .*{message}"):
        read_bvh(path)


@pytest.mark.parametrize("count", [1, 3, 50])
def test_all_frames_are_read_whatever_the_header_counts(count: int, tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(_SMALL_RIG.replace("Frames: 2", f"Frames: {count}"), encoding="utf-8")
    clip = read_bvh(path)
    assert len(clip) == 2
    assert f"the header states {count} frames, 2 were read" in map(str, clip.notes)


def test_a_frame_that_the_end_of_the_file_cuts_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(_SMALL_RIG[:-8], encoding="utf-8")
    clip = read_bvh(path)
    assert len(clip) == 1
    assert any("ends within a frame" in str(note) for note in clip.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_passed_over(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(_SMALL_RIG, encoding=encoding)
    assert len(read_bvh(path)) == 2


def test_an_offset_of_six_numbers_gives_way_to_position_channels(tmp_path: Path) -> None:
    clip = _random_clip(5)
    write_bvh(clip, tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text(encoding="utf-8")
    longer = re.sub(r"(OFFSET .*)(?=\n\s*CHANNELS)", r"\1 0 0 0", text)
    (tmp_path / "b.bvh").write_text(longer, encoding="utf-8")
    assert longer.count(" 0 0 0\n") == 22
    assert _worst(clip, read_bvh(tmp_path / "b.bvh")) < 0.01


def test_names_with_spaces_behind_a_tab_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(_SMALL_RIG.replace("JOINT Spine", "JOINT\tBip01 Spine"), encoding="utf-8")
    assert "Bip01 Spine" in [joint.name for joint in read_bvh_text(path).joints]


@pytest.mark.parametrize("stretch", [0.0, 0.05])
def test_position_channels_that_are_small_against_the_offsets_are_added_to_them(
    stretch: float, tmp_path: Path
) -> None:
    clip = _random_clip(5)
    write_bvh(clip, tmp_path / "a.bvh")
    bvh = read_bvh_text(tmp_path / "a.bvh")
    table = _table(bvh)
    joints = [joint for joint in bvh.joints if joint.channels]
    offsets = np.array([joint.offset for joint in joints])
    moved = table[:, 1:, :3] - offsets[1:]
    if stretch == 0.0:
        moved[:] = 0.0  # the lumbar spine's own place in the pelvis is lost
    table[:, 1:, :3] = moved
    write_bvh_text(bvh, tmp_path / "b.bvh")
    error = np.linalg.norm(read_bvh(tmp_path / "b.bvh").joints - clip.joints, axis=-1)
    legs = [
        JOINT_INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("knee", "foot")
    ]
    assert float(error[:, legs].max()) < 0.01


def test_the_rate_is_reported_and_can_be_given(tmp_path: Path) -> None:
    clip = _random_clip(0, frames=48)
    write_bvh(MotionClip(clip.joints, fps=24.0), tmp_path / "a.bvh")
    said = read_bvh(tmp_path / "a.bvh")
    assert said.seconds == pytest.approx(2.0, abs=0.05)
    assert "24 frames per second as the file states" in str(said.notes[0])
    given = read_bvh(tmp_path / "a.bvh", ReadOptions(fps=20.0))
    assert _worst(given, clip) < 0.01
    assert "20 frames per second as given" in str(given.notes[0])


def test_a_hundred_thousand_nested_joints_are_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    nested = "".join(f"JOINT a{i} {{\nOFFSET 0 0 0\n" for i in range(100_000))
    path.write_text(f"HIERARCHY\nROOT a {{\n{nested}", encoding="utf-8")
    begin = time.monotonic()
    with pytest.raises(MotionFileError, match="more than 2000 joints"):
        read_bvh(path)
    assert time.monotonic() - begin < 5.0


def test_numbers_that_overflow_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_text(_SMALL_RIG.replace("OFFSET 0 -40 0", "OFFSET 0 -1e308 0"), encoding="utf-8")
    with pytest.raises(MotionFileError):
        read_bvh(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bvh"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(MotionFileError, match="expected HIERARCHY"):
        read_bvh(path)


@pytest.mark.timeout(120)
@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_cut_or_damaged_bvh_is_refused_or_harmless(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(_SMALL_RIG.encode())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.bvh"
    path.write_bytes(bytes(content))
    try:
        clip = read_bvh(path)
    except MotionFileError as error:
        assert "a.bvh" in str(error)
    else:
        assert np.isfinite(clip.joints).all()

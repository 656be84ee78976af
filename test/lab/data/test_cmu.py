from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.skeleton import JOINT_INDEX, STANDARD_BONES, bone_lengths
from nextscale_lab.data.cmu import CmuFolder, read_cmu


@pytest.fixture(scope="module")
def val_clips(shared):
    return list(read_cmu(shared / "data" / "cmu", "val"))


def test_the_splits_have_their_clips(shared):
    data = CmuFolder(shared / "data" / "cmu")
    counts = {split: sum(1 for _ in data.clips(split)) for split in ("val", "test")}
    assert counts == {"val": 60, "test": 100}


def test_limbs_have_human_lengths_in_every_frame(val_clips):
    for item in val_clips:
        assert np.abs(bone_lengths(item.clip.joints) - STANDARD_BONES).max() < 0.003


def test_feet_are_on_the_floor(val_clips):
    feet = [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]
    lowest = np.array([np.percentile(i.clip.joints[:, feet, 2].min(1), 3) for i in val_clips])
    assert np.abs(lowest).max() < 1e-5


def test_standing_feet_do_not_skate(val_clips):
    speeds = []
    for item in val_clips:
        for ankle, foot in (("left_ankle", "left_foot"), ("right_ankle", "right_foot")):
            points = item.clip.joints[:, [JOINT_INDEX[ankle], JOINT_INDEX[foot]]]
            speed = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1) * 20
            low = (points[:-1, 1, 2] < 0.05) & (points[:-1, 0, 2] < 0.10)
            # A rolling foot turns about heel or ball: the slower of the two stands.
            speeds.append(speed.min(1)[low & (speed.min(1) < 0.3)])
    assert np.median(np.concatenate(speeds)) < 0.04


def test_people_are_upright_at_human_height(val_clips):
    heads = np.array([np.median(item.clip.joints[:, JOINT_INDEX["head"], 2]) for item in val_clips])
    assert 1.45 < np.median(heads) < 1.7


def test_a_folder_without_motion_is_refused(tmp_path):
    with pytest.raises(MotionFileError, match="not a CMU folder"):
        CmuFolder(tmp_path)


@pytest.fixture
def small_folder(tmp_path):
    rows = [{"trial": "01_01", "start": 0, "frames": 30, "description": "stand"}]
    clip = {"id": "a", "trial": "01_01", "first_frame": 0, "end_frame": 30, "split": "train",
            "captions": ["a person stands"]}  # fmt: skip
    (tmp_path / "trials.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "clips.jsonl").write_text(json.dumps(clip))
    quat = np.zeros((30, 14, 4), dtype=np.int16)
    quat[..., 3] = 32767
    root = np.tile(np.array([0, 0, 0.9], np.float32), (30, 1))
    np.savez(tmp_path / "motion.npz", root=root, quat=quat)
    return tmp_path


def test_identity_rotations_give_the_t_pose(small_folder):
    (item,) = read_cmu(small_folder)
    joints = item.clip.joints[0]
    left, right = joints[JOINT_INDEX["left_wrist"]], joints[JOINT_INDEX["right_wrist"]]
    assert left[1] - right[1] > 1.3
    assert abs(left[2] - joints[JOINT_INDEX["left_shoulder"], 2]) < 1e-5
    assert joints[JOINT_INDEX["head"], 2] > 1.4


def test_a_cut_motion_file_is_refused(small_folder):
    path = small_folder / "motion.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(MotionFileError, match=r"motion\.npz"):
        list(read_cmu(small_folder))


def test_a_broken_line_is_named(small_folder):
    with (small_folder / "clips.jsonl").open("a") as stream:
        stream.write('\n{"id": ')
    with pytest.raises(MotionFileError, match="line 2"):
        list(read_cmu(small_folder))


def test_a_clip_outside_its_trial_is_refused(small_folder):
    text = (small_folder / "clips.jsonl").read_text().replace('"end_frame": 30', '"end_frame": 31')
    (small_folder / "clips.jsonl").write_text(text)
    with pytest.raises(MotionFileError, match="clip a"):
        list(read_cmu(small_folder))


def test_missing_clips_file_is_named(small_folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copy(small_folder / "motion.npz", other)
    with pytest.raises(MotionFileError, match=r"trials\.jsonl"):
        CmuFolder(other)

"""The reader for a folder in HumanML3D's layout."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from core.motion.rig_files import moving_body
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import read_humanml3d, read_motion

SHARED = Path(os.environ.get("NEXTSCALE_SHARED", Path(__file__).parents[4] / "shared"))
SAMPLE = SHARED / "data" / "humanml3d_sample"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "new_joints").mkdir()
    (tmp_path / "texts").mkdir()
    for name in ("000001", "000002"):
        joints = moving_body(int(name), frames=60).joints()
        np.save(tmp_path / "new_joints" / f"{name}.npy", joints[..., [1, 2, 0]])
    (tmp_path / "texts" / "000001.txt").write_text(
        "a person walks.#a/DET person/NOUN#0.0#0.0\n"
        "someone strolls#x#nan#nan\n"
        "then he jumps#x#1.0#2.5\n",
        encoding="utf-8",
    )
    (tmp_path / "texts" / "000002.txt").write_text("waves#x#0.0#0.0\n", encoding="utf-8")
    (tmp_path / "train.txt").write_text("000001\n000002\n999999\n", encoding="utf-8")
    (tmp_path / "val.txt").write_text("../000002\n", encoding="utf-8")
    return tmp_path


def test_whole_captions_stay_together_and_a_span_becomes_its_own_clip(folder: Path) -> None:
    records = list(read_humanml3d(folder, "train"))
    assert [record.id for record in records] == ["000001", "000001@1-2.5", "000002"]
    assert records[0].captions == ("a person walks.", "someone strolls")
    assert len(records[0].clip) == 60
    assert records[1].captions == ("then he jumps",)
    assert len(records[1].clip) == 30
    np.testing.assert_array_equal(records[1].clip.joints, records[0].clip.joints[20:50])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names_with_a_suffix_and_behind_a_byte_order_mark_are_found(
    encoding: str, folder: Path
) -> None:
    (folder / "train.txt").write_text("000001.npy\r\n000002.npy\r\n", encoding=encoding)
    (folder / "texts" / "000002.txt").write_text("waves#x#0.0#0.0\n", encoding=encoding)
    records = list(read_humanml3d(folder, "train"))
    assert [record.id for record in records] == ["000001", "000001@1-2.5", "000002"]
    assert records[-1].captions == ("waves",)


def test_what_is_corrected_in_a_data_set_is_reported_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in (folder / "new_joints").iterdir():
        np.save(path, np.load(path) * 100.0)
    heads = [record.clip.joints[..., 2].max() for record in read_humanml3d(folder, "train")]
    assert max(heads) < 2.5
    assert caplog.text.count("unit taken as cm") == 1


def test_heights_of_recorded_clips_stay_as_they_are(folder: Path) -> None:
    path = folder / "new_joints" / "000002.npy"
    np.save(path, np.load(path) - np.array([0.0, 0.6, 0.0]))  # walks down some stairs
    raised = {record.id: record for record in read_humanml3d(folder, "train")}["000002"]
    assert raised.clip.joints[..., 2].min() == pytest.approx(-0.6, abs=1e-4)


def test_a_listed_motion_that_is_not_there_is_passed_over(folder: Path) -> None:
    assert "999999" not in {record.id for record in read_humanml3d(folder, "train")}


def test_a_list_cannot_point_outside_the_folder(folder: Path) -> None:
    assert list(read_humanml3d(folder, "val")) == []


def test_a_span_beyond_the_end_is_passed_over(folder: Path) -> None:
    (folder / "texts" / "000002.txt").write_text("waves#x#50#60\n", encoding="utf-8")
    assert "000002@50-60" not in {record.id for record in read_humanml3d(folder, "train")}


@pytest.mark.parametrize("split", ["test", "training"])
def test_a_missing_or_unknown_split_is_refused(folder: Path, split: str) -> None:
    with pytest.raises(MotionFileError, match=split):
        list(read_humanml3d(folder, split))


@pytest.mark.parametrize("line", ["no hash", "#x#0#0", "a#x#zero#0", "a#x#3#2", "a#x#-1#2", "a#b"])
def test_a_malformed_caption_is_refused_with_its_line(folder: Path, line: str) -> None:
    (folder / "texts" / "000002.txt").write_text(f"waves#x#0#0\n{line}\n", encoding="utf-8")
    with pytest.raises(MotionFileError, match=r"000002\.txt line 2"):
        list(read_humanml3d(folder, "train"))


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the HumanML3D sample is not on this machine")
def test_features_and_joints_of_the_official_clip_agree() -> None:
    from_joints = read_motion(SAMPLE / "new_joints" / "012314.npy")
    from_features = read_motion(SAMPLE / "new_joint_vecs" / "012314.npy")
    frames = min(len(from_joints), len(from_features))
    np.testing.assert_allclose(
        from_joints.joints[:frames], from_features.joints[:frames], atol=1e-4
    )
    assert from_joints.contacts is not None and from_features.contacts is not None
    np.testing.assert_array_equal(from_joints.contacts[:frames], from_features.contacts[:frames])

"""A broken data file names itself, and is refused or left out; it is never half-read."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from typer.testing import CliRunner

from nextscale_core.cli.app import app
from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.motion.formats.bad_data import on_bad_data
from nextscale_lab.data.cmu import CmuFolder
from nextscale_lab.data.samples import captioned_samples, trial_samples


def cut(folder):
    path = folder / "new_joint_vecs" / "000001.npy"
    path.write_bytes(path.read_bytes()[:-100])


def reshape(folder):
    np.save(folder / "new_joint_vecs" / "000001.npy", np.zeros((90, 262), np.float32))


def put_nan(folder, column: int = 200):
    path = folder / "new_joint_vecs" / "000001.npy"
    array = np.load(path)
    array[7, column] = np.nan
    np.save(path, array)


def empty(folder):
    (folder / "new_joint_vecs" / "000001.npy").write_bytes(b"")


def write_objects(folder):
    array = np.array([{"a": 1}], dtype=object)
    np.save(folder / "new_joint_vecs" / "000001.npy", array)


def drop_text(folder):
    (folder / "texts" / "000001.txt").unlink()


def empty_text(folder):
    (folder / "texts" / "000001.txt").write_text("\n")


def spoil_text(folder):
    with (folder / "texts" / "000001.txt").open("a") as stream:
        stream.write("and jumps#x#later#0.0\n")


def spoil_encoding(folder):
    (folder / "texts" / "000001.txt").write_bytes(b"a person\xff waves#x#0.0#0.0\n")


DAMAGES = [
    (cut, r"000001\.npy is not a whole npy"),
    (empty, r"000001\.npy is not a whole npy"),
    (write_objects, r"000001\.npy is not a whole npy"),
    (reshape, r"000001\.npy has shape \(90, 262\)"),
    (put_nan, r"000001\.npy holds NaN or infinity, first in frame 7"),
    (drop_text, r"cannot read .*000001\.txt"),
    (empty_text, r"000001\.txt holds no caption"),
    (spoil_text, r"000001\.txt line 2"),
    (spoil_encoding, r"cannot read .*000001\.txt"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_broken_humanml3d_file_is_refused_or_left_out_whole(humanml3d, caplog, damage, message):
    before = {s.id: s.features for s in captioned_samples(humanml3d, "train")}
    damage(humanml3d)
    with pytest.raises(MotionFileError, match=message):
        captioned_samples(humanml3d, "train")
    with on_bad_data("skip") as told:
        after = {s.id: s.features for s in captioned_samples(humanml3d, "train")}
        captioned_samples(humanml3d, "train", speed=1.1)
    assert set(before) - set(after) == {"000001"}
    for name, features in after.items():
        np.testing.assert_array_equal(features, before[name])
    # Told once, though it was read twice, and counted.
    assert len(told) == 1 and told[0].count("000001") >= 1
    assert caplog.text.count("left out: ") == 1
    assert "1 broken item was left out" in caplog.text


def test_outside_of_the_block_errors_are_errors_again(humanml3d):
    cut(humanml3d)
    with on_bad_data("skip"):
        captioned_samples(humanml3d, "train")
    with pytest.raises(MotionFileError):
        captioned_samples(humanml3d, "train")
    with on_bad_data("refuse"), pytest.raises(MotionFileError):
        captioned_samples(humanml3d, "train")


def test_whole_data_says_nothing(humanml3d, caplog):
    with caplog.at_level(logging.WARNING), on_bad_data("skip") as told:
        captioned_samples(humanml3d, "train")
    assert told == [] and caplog.text == ""


def test_an_unknown_policy_is_refused():
    with pytest.raises(ConfigError, match="skip"), on_bad_data("ignore"):
        pass


def test_the_command_refuses_or_skips_by_choice(humanml3d, tmp_path, caplog):
    spoil_text(humanml3d)
    words = ["train", "tokenizer", "--data", str(humanml3d), "--out", str(tmp_path / "run"),
             "--steps", "2", "--width", "8", "--code-dim", "4", "--codes", "8", "--frames", "128",
             "--precision", "no"]  # fmt: skip
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2 and "000001.txt line 2" in refused.output
    skipped = CliRunner().invoke(app, [*words, "--on-bad-data", "skip"])
    assert skipped.exit_code == 0, skipped.output
    assert "000001.txt line 2" in caplog.text and "1 broken item was left out" in caplog.text
    assert json.loads((tmp_path / "run" / "run.json").read_text())["on_bad_data"] == "skip"


# CMU: three trials of 60 frames. 01_01 is a train clip, 01_02 a val clip, 01_03 both.


@pytest.fixture
def cmu(tmp_path):
    folder = tmp_path / "cmu"
    folder.mkdir()
    trials = [
        {"trial": f"01_0{n + 1}", "start": 60 * n, "frames": 60, "description": "stand"}
        for n in range(3)
    ]
    spans = [("01_01", 0, 60, "train"), ("01_02", 0, 60, "val"), ("01_03", 0, 30, "val"),
             ("01_03", 30, 60, "train")]  # fmt: skip
    clips = [
        {"id": f"c{n}", "trial": trial, "first_frame": first, "end_frame": end, "split": split,
         "captions": ["a person stands"]}
        for n, (trial, first, end, split) in enumerate(spans)
    ]  # fmt: skip
    (folder / "trials.jsonl").write_text("\n".join(map(json.dumps, trials)))
    (folder / "clips.jsonl").write_text("\n".join(map(json.dumps, clips)))
    quat = np.zeros((180, 14, 4), dtype=np.int16)
    quat[..., 3] = 32767
    # Turned differently, so that no trial counts as a copy of another one.
    for n in range(3):
        angle = 0.3 * n
        quat[60 * n : 60 * n + 60, 8] = 32767 * np.array([0, np.sin(angle), 0, np.cos(angle)])
    root = np.tile(np.array([0, 0, 0.9], np.float32), (180, 1))
    np.savez(folder / "motion.npz", root=root, quat=quat)
    return folder


def change_line(folder, name: str, number: int, old: str, new: str) -> None:
    lines = (folder / name).read_text().splitlines()
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    (folder / name).write_text("\n".join(lines))


def ids(folder, split: str) -> set[str]:
    return {clip.id for clip in CmuFolder(folder).clips(split)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{"id"', '{"id', r"clips\.jsonl, line 1: "),
        ('"captions": ["a person stands"]}', "", r"clips\.jsonl, line 1: "),
        ('"captions": ["a person stands"]', '"captions": "stands"', r"line 1, clip c0: captions"),
        ('"end_frame": 60', '"end_frame": 61', r"line 1, clip c0: frames \[0, 61\)"),
        ('"first_frame"', '"begin"', r"line 1, clip c0: 'first_frame' is missing"),
        ('"01_01"', '"77_77"', r"line 1, clip c0: its trial '77_77' is unknown"),
        ('"train"', '"training"', r"line 1, clip c0: split"),
    ],
)
def test_a_broken_line_of_clips_is_refused_or_left_out(cmu, caplog, old, new, message):
    change_line(cmu, "clips.jsonl", 1, old, new)
    with pytest.raises(MotionFileError, match=message):
        ids(cmu, "train")
    with on_bad_data("skip") as told:
        assert ids(cmu, "train") == {"c3"} and ids(cmu, "val") == {"c1", "c2"}
    assert len(told) == 1 and caplog.text.count("left out: ") == 1


def test_a_line_that_is_no_object_is_named(cmu):
    change_line(cmu, "clips.jsonl", 2, (cmu / "clips.jsonl").read_text().splitlines()[1], "7")
    with pytest.raises(MotionFileError, match=r"clips\.jsonl, line 2: expected an object, got 7"):
        ids(cmu, "val")


@pytest.mark.parametrize(
    ("old", "new"), [('"captions": [', '"captions": '), ('"end_frame": 60', '"end_frame": 99')]
)
def test_a_left_out_val_line_does_not_let_its_recording_into_training(cmu, old, new):
    # Without its line nothing says that these frames are held out.
    names = {sample.id for sample in trial_samples(cmu)}
    assert names == {"01_01@0", "01_03@30"}
    change_line(cmu, "clips.jsonl", 2, old, new)
    with on_bad_data("skip"):
        assert {sample.id for sample in trial_samples(cmu)} == names


def test_a_recording_with_broken_numbers_is_refused_or_left_out_with_its_clips(cmu):
    arrays = dict(np.load(cmu / "motion.npz"))
    whole = {c.id: c.clip.joints for c in CmuFolder(cmu).clips()}
    for name, row, value in (("root", 70, np.nan), ("quat", 119, 0)):
        spoilt = {k: v.copy() for k, v in arrays.items()}
        spoilt[name][row] = value
        np.savez(cmu / "motion.npz", **spoilt)
        message = rf"trials\.jsonl, line 2: .*trial 01_02: row {row} holds"
        with pytest.raises(MotionFileError, match=message):
            ids(cmu, "train")
        with on_bad_data("skip") as told:
            left = {c.id: c.clip.joints for c in CmuFolder(cmu).clips()}
        assert set(left) == {"c0", "c2", "c3"}
        # The broken recording has no part in its subject's size either.
        for clip, joints in left.items():
            np.testing.assert_allclose(joints, whole[clip], atol=1e-6)
        assert len(told) == 2 and "clip c1" in told[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{"trial"', '{"trial', r"trials\.jsonl, line 2: "),
        ('"frames": 60', '"frames": "many"', r"trials\.jsonl, line 2: bad trial"),
        ('"frames": 60', '"frames": 0', r"trials\.jsonl, line 2: bad trial"),
        ('"01_02"', '"walk"', r"trials\.jsonl, line 2: bad trial"),
        ('"start": 60', '"start": 160', r"line 2: motion\.npz does not hold trial 01_02"),
    ],
)
def test_a_broken_line_of_trials_is_refused_or_left_out(cmu, old, new, message):
    change_line(cmu, "trials.jsonl", 2, old, new)
    with pytest.raises(MotionFileError, match=message):
        ids(cmu, "train")
    with on_bad_data("skip"):
        assert ids(cmu, "val") == {"c2"} and ids(cmu, "train") == {"c0", "c3"}


def test_a_cut_motion_file_cannot_be_skipped(cmu):
    path = cmu / "motion.npz"
    path.write_bytes(path.read_bytes()[:-400])
    with on_bad_data("skip"), pytest.raises(MotionFileError, match=r"motion\.npz"):
        ids(cmu, "train")

from __future__ import annotations

import json

import numpy as np
import pytest

from lab.train.conftest import write_humanml3d
from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_lab.data.annotations import annotated_clips, annotations_of, read_annotations
from nextscale_lab.data.cmu import CmuFolder
from nextscale_lab.data.samples import (
    captioned_samples,
    feature_statistics,
    folder_names,
    trial_samples,
)


@pytest.fixture(scope="module")
def pieces(shared):
    """What whole recordings give to train on."""
    return list(trial_samples(shared / "data" / "cmu"))


def test_no_frame_of_val_or_test_is_trained_on(shared, pieces):
    held_out = CmuFolder(shared / "data" / "cmu").held_out()
    for sample in pieces:
        trial, begin = sample.id.split("@")
        # Features lack the last frame of their piece.
        first, end = int(begin), int(begin) + len(sample.features) + 1
        for a, b in held_out.get(trial, []):
            assert end <= a or b <= first


def test_recordings_with_held_out_clips_have_no_caption(shared, pieces):
    held_out = CmuFolder(shared / "data" / "cmu").held_out()
    for sample in pieces:
        if sample.id.split("@")[0] in held_out:
            assert sample.captions == ()


def test_our_own_captions_never_touch_held_out_clips(shared):
    folder = shared / "data" / "cmu"
    data = CmuFolder(folder)
    held_out = data.held_out()
    for item in read_annotations():
        assert item.end <= data.trials[item.trial].frames
        for a, b in held_out.get(item.trial, []):
            assert item.end <= a or b <= item.start, item


def test_a_copy_of_a_held_out_recording_is_held_out_too(shared):
    data = CmuFolder(shared / "data" / "cmu")
    # Subjects 91 and 105 are one person's recordings under two names.
    assert "91_05" in data.spans("test", "val") and "105_05" not in data.spans("test", "val")
    assert data.held_out()["105_05"] == data.spans("test", "val")["91_05"]


def test_no_training_clip_shares_frames_with_a_held_out_one(shared):
    data = CmuFolder(shared / "data" / "cmu")
    rows = [json.loads(line) for line in (data.folder / "clips.jsonl").read_text().splitlines()]
    held_out = data.held_out()
    clean = {
        row["id"]
        for row in rows
        if row["split"] == "train"
        and not any(
            row["first_frame"] < b and a < row["end_frame"]
            for a, b in held_out.get(row["trial"], [])
        )
    }
    assert {clip.id for clip in data.training_clips()} == clean
    assert len(clean) < sum(row["split"] == "train" for row in rows)


def test_mirrored_samples_swap_left_and_right_in_words(shared):
    samples = {s.id: s for s in captioned_samples(shared / "data" / "cmu", "val", mirror=True)}
    swapped = 0
    for name, sample in samples.items():
        if name.endswith("/mirror"):
            continue
        mirrored = samples[f"{name}/mirror"]
        for ours, theirs in zip(sample.captions, mirrored.captions, strict=True):
            if "left hand" in ours:
                assert "right hand" in theirs
                swapped += 1
    assert swapped > 0


def test_statistics_share_one_spread_in_a_group(shared):
    mean, std = feature_statistics(captioned_samples(shared / "data" / "cmu", "val"))
    assert mean.shape == std.shape == (263,)
    assert np.unique(std[4:67]).size == 1
    assert (std > 0).all()


def test_several_folders_are_trained_on_together(tmp_path):
    folders = [write_humanml3d(tmp_path / name, clips) for name, clips in (("a", 4), ("b", 5))]
    both = captioned_samples(folders, "train")
    assert len(both) == sum(len(captioned_samples(folder, "train")) for folder in folders) == 5
    assert folder_names(folders) == "a+b" and folder_names(folders[0]) == "a"


def test_a_data_folder_may_bring_captions_of_single_actions(shared):
    folder = shared / "data" / "cmu"
    own = {(item.trial, item.start) for item in read_annotations()}
    brought = [item for path in folder.glob("*.yaml") for item in read_annotations(path)]
    found = {(item.trial, item.start) for item in annotations_of(CmuFolder(folder))}
    assert brought and found & own
    assert {(item.trial, item.start) for item in brought} <= found | own


def test_a_folder_of_nothing_is_refused(tmp_path):
    with pytest.raises(MotionFileError, match="neither"):
        captioned_samples(tmp_path, "train")


def test_a_held_out_span_is_left_out_whatever_the_file_says(shared, tmp_path):
    folder = shared / "data" / "cmu"
    trial, spans = next(iter(CmuFolder(folder).spans("test").items()))
    path = tmp_path / "own.yaml"
    path.write_text(
        f'- {{trial: "{trial}", start: {spans[0][0]}, end: {spans[0][1]}, captions: [a]}}\n'
    )
    assert list(annotated_clips(folder, path)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "must be a list"),
        ("- {trial: a}", "entry 1: 'start' is missing"),
        ("- {trial: a, start: 3, end: 2, captions: [x]}", "entry 1: annotation of a: no frames"),
        ("- {trial: a, start: 3, end: 9, captions: []}", "captions .* at least 1 item"),
        ("- {trial: a, start: 3, end: 9, captions: ['']}", "captions, entry 1: .* at least 1 char"),
        ("- {trial: a, start: 3, ende: 9, captions: [x]}", "unknown key 'ende'.* mean 'end'"),
        ("- [", "is not valid YAML"),
        ("- 7", "entry 1: must be a mapping"),
    ],
)
def test_bad_annotation_files_are_refused(tmp_path, text, words):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_annotations(path)

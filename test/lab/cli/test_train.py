"""The train commands, whole: from a data folder to a model that generates."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from nextscale_core.cli.app import app
from nextscale_core.motion.formats.files import read_motion


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A CMU folder of people who swing their arms, by 8 trials of 80 frames."""
    folder = tmp_path_factory.mktemp("data")
    trials, clips, quats, roots = [], [], [], []
    for number in range(8):
        name, frames = f"{number + 1:02d}_01", 80
        trials.append({"trial": name, "start": 80 * number, "frames": frames,
                       "description": "swing arms"})  # fmt: skip
        split = "val" if number == 7 else "train"
        clips.append({"id": f"{number:06d}", "trial": name, "first_frame": 0, "end_frame": frames,
                      "split": split, "captions": [f"a person swings {number} times"]})  # fmt: skip
        swing = np.sin(np.arange(frames) * 0.1 * (number + 1))
        quat = np.zeros((frames, 14, 4))
        quat[..., 3] = 1
        for body in (8, 11):
            quat[:, body] = Rotation.from_euler("y", swing[:, None]).as_quat()
        quats.append(quat)
        roots.append(np.stack([0.02 * np.arange(frames), 0 * swing, 0.9 + 0 * swing], 1))
    (folder / "trials.jsonl").write_text("\n".join(map(json.dumps, trials)))
    (folder / "clips.jsonl").write_text("\n".join(map(json.dumps, clips)))
    np.savez(
        folder / "motion.npz",
        root=np.concatenate(roots).astype(np.float32),
        quat=(np.concatenate(quats) * 32767).astype(np.int16),
    )
    return folder


def run(*words) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_training_goes_from_data_to_a_model_that_generates(data, tmp_path):
    runs, model = tmp_path / "runs", tmp_path / "model"
    run("train", "tokenizer", "--data", data, "--out", runs / "t", "--steps", 4, "--width", 16,
        "--code-dim", 8, "--codes", 16, "--frames", 256, "--eval-every", 2,
        "--precision", "no")  # fmt: skip
    run("train", "decoder", "--data", data, "--out", runs / "d", "--tokenizer",
        runs / "t" / "best", "--steps", 2, "--eval-every", 2, "--precision", "no")  # fmt: skip
    run("train", "generator", "--data", data, "--out", runs / "g", "--tokenizer",
        runs / "t" / "best", "--steps", 4, "--width", 16, "--depth", 1, "--heads", 2,
        "--batch-size", 4, "--finest-every", 1.0, "--eval-every", 2,
        "--precision", "no")  # fmt: skip
    run("train", "pack", "--tokenizer", runs / "d" / "last", "--generator", runs / "g" / "last",
        "--out", model)  # fmt: skip
    run("generate", "a person swings", "--model", model, "--seconds", 2, "--out",
        tmp_path / "swing.npz")  # fmt: skip
    assert len(read_motion(tmp_path / "swing.npz")) == 40
    rows = [json.loads(line) for line in (runs / "g" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert {"val_ce", "val_ce1", "val_acc4", "train_ce"} <= set(rows[0])
    # And on from there, with a further scale.
    run("train", "tokenizer", "--data", data, "--out", runs / "t6", "--initial",
        runs / "d" / "last",
        "--more-scales", 1, "--frame-depth", 1, "--steps", 2, "--frames", 256, "--eval-every", 2,
        "--precision", "no")  # fmt: skip
    # A generator of five scales leaves out the sixth.
    run("train", "pack", "--tokenizer", runs / "t6" / "last", "--generator",
        runs / "g" / "last", "--out", tmp_path / "five")  # fmt: skip
    for part, scales in ((runs / "t6" / "last", 6), (tmp_path / "five" / "tokenizer", 5)):
        config = json.loads((part / "config.json").read_text())
        assert (len(config["divisors"]), config["frame_depth"]) == (scales, 1)


def test_a_tokenizer_of_body_parts_is_trained_and_its_decoder_after_it(data, tmp_path):
    run("train", "tokenizer", "--kind", "skeletal", "--schedule", "published", "--bits", 8,
        "--data", data, "--out", tmp_path / "t", "--steps", 2, "--width", 16,
        "--frames", 256, "--eval-every", 2, "--precision", "no")  # fmt: skip
    run("train", "decoder", "--data", data, "--out", tmp_path / "d", "--tokenizer",
        tmp_path / "t" / "last", "--steps", 1, "--eval-every", 1, "--precision", "no")  # fmt: skip
    config = json.loads((tmp_path / "d" / "last" / "config.json").read_text())
    assert (config["kind"], config["bits"], len(config["divisors"])) == ("skeletal", 8, 11)


def test_tokens_can_only_be_kept_of_a_trained_tokenizer(tmp_path):
    words = ["train", "tokenizer", "--data", str(tmp_path), "--out", str(tmp_path), "--keep-tokens"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and "--initial" in result.output


def test_a_folder_without_data_is_one_clear_line(tmp_path):
    result = CliRunner().invoke(
        app, ["train", "tokenizer", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    )
    assert result.exit_code == 2
    assert "clips.jsonl" in result.output

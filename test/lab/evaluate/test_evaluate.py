"""`evaluate_models` and `nextscale evaluate`, on a folder in HumanML3D's layout made here."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from nextscale_core.exceptions import ConfigError, ModelLoadError, MotionFileError
from nextscale_core.motion.features import to_y_up
from nextscale_lab.cli.evaluate import evaluate
from nextscale_lab.evaluate.benchmark import evaluate_models
from nextscale_lab.evaluate.evaluator import load_evaluator
from nextscale_lab.evaluate.reference import ReconstructedClip, reference_clips
from nextscale_lab.evaluate.repeats import EvaluationPlan

KEYS = {
    "r_precision", "fid", "mm_dist", "diversity", "multimodality", "foot_skate_ratio",
    "contact_speed_mps", "ground_penetration_mm", "jerk_mps3", "jerk_ratio",
    "bone_deviation_mm", "angle_excess_deg", "mpjpe_mm", "duration_error_s",
}  # fmt: skip
QUICK = {"plan": EvaluationPlan(repeats=3, generations=2, captions=3, motions=2), "progress": False}


class Gauge:
    """Text and motion by one number: the forward speed that a caption names and a clip has."""

    name = "gauge"

    def embed_texts(self, texts):
        speeds = [float(text.split()[-2]) for text in texts]
        return np.stack([speeds, np.zeros(len(texts))], axis=1)

    def embed_motions(self, motions):
        return np.array([[20 * np.median(m[:, 2]), 0.0] for m in motions])


def write_folder(folder, walking, count=10, seconds=2.0, split="val"):
    """`count` walkers of different speeds, two captions each."""
    (folder / "new_joints").mkdir(parents=True)
    (folder / "texts").mkdir()
    names = [f"{number:06d}" for number in range(count)]
    for number, name in enumerate(names):
        speed = 0.5 + 0.25 * number
        clip = walking(speed, seconds=seconds)
        np.save(folder / "new_joints" / f"{name}.npy", to_y_up(clip.joints))
        captions = [f"a person walks at {speed} m/s", f"someone goes with {speed} m/s"]
        lines = [f"{caption}#x#0.0#0.0" for caption in captions]
        (folder / "texts" / f"{name}.txt").write_text("\n".join(lines))
    (folder / f"{split}.txt").write_text("\n".join(names))
    return folder


@pytest.fixture
def data(tmp_path, walking):
    return write_folder(tmp_path / "walkers", walking)


class Walker:
    """A perfect model: walks as fast as it is told."""

    def __init__(self, walking, factor=1.0):
        self.walking, self.factor, self.asked = walking, factor, []

    def generate_batch(self, texts, *, seeds, seconds, candidates=1):
        self.asked += list(zip(texts, seeds, seconds, strict=True))
        speeds = [float(text.split()[-2]) for text in texts]
        return [
            self.walking(self.factor * speed, seconds=wanted)
            for speed, wanted in zip(speeds, seconds, strict=True)
        ]


def test_a_perfect_model_measures_like_the_recordings(data, walking):
    report = evaluate_models(data, "val", {"walker": Walker(walking)}, Gauge(), **QUICK)
    real, made = report.real, report.models["walker"]
    assert real.fid.mean == pytest.approx(0.0, abs=1e-9)
    assert made.fid.mean == pytest.approx(0.0, abs=1e-6)
    assert real.r_precision == made.r_precision
    assert [figure.mean for figure in real.r_precision] == [1.0, 1.0, 1.0]
    assert made.jerk_ratio.mean == pytest.approx(1.0, abs=0.01)
    assert made.diversity == pytest.approx(real.diversity)
    assert made.multimodality.mean == pytest.approx(0.0, abs=1e-6)
    assert real.multimodality is None


def test_a_model_that_walks_too_fast_is_told_from_one_that_does_not(data, walking):
    models = {"right": Walker(walking), "fast": Walker(walking, 1.8)}
    report = evaluate_models(data, "val", models, Gauge(), **QUICK)
    right, fast = report.models["right"], report.models["fast"]
    assert fast.fid.mean > right.fid.mean + 0.5
    assert fast.mm_dist.mean > right.mm_dist.mean + 0.5
    assert fast.r_precision[0].mean < right.r_precision[0].mean
    assert fast.jerk_ratio.mean > 1.1


def test_every_motion_has_a_seed_of_its_own_and_the_length_of_its_clip(data, walking):
    model, other = Walker(walking), Walker(walking)
    evaluate_models(data, "val", {"a": model, "b": other}, Gauge(), **QUICK)
    assert len(model.asked) == 2 * 10 + 3 * 2
    assert len({seed for _, seed, _ in model.asked}) == len(model.asked)
    assert {seconds for _, _, seconds in model.asked} == {2.0}
    assert model.asked == other.asked


def test_lengths_stay_within_what_models_make(tmp_path, walking):
    folder = write_folder(tmp_path / "long", walking, count=8, seconds=11.0)
    assert {len(clip.features) for clip in reference_clips(folder, "val")} == {196}
    model = Walker(walking)
    evaluate_models(folder, "val", {"a": model}, Gauge(), **QUICK)
    assert {seconds for _, _, seconds in model.asked} == {9.8}


def test_the_same_seed_gives_the_same_report_and_another_one_does_not(data, walking):
    def run(seed):
        model = Walker(walking, 1.3)
        options = {**QUICK, "plan": replace(QUICK["plan"], seed=seed)}
        return evaluate_models(data, "val", {"a": model}, Gauge(), **options).to_dict()

    assert run(1) == run(1)
    assert run(1)["real"]["diversity"] != run(2)["real"]["diversity"]


def test_the_reconstruction_is_measured_and_its_error_weighted_by_frames(data):
    errors = iter(range(10))

    def reconstruct(clip):
        number = next(errors)
        return ReconstructedClip(clip.slice(0, 36), float(number), frames=1 if number else 91)

    report = evaluate_models(data, "val", {}, Gauge(), reconstruct=reconstruct, **QUICK)
    assert report.reconstruction.mpjpe_mm.mean == pytest.approx(45 / 100)
    assert report.reconstruction.fid.mean < 0.1
    assert report.models == {}


def test_a_folder_with_few_clips_gets_a_smaller_pool_and_says_so(data, walking):
    report = evaluate_models(data, "val", {"walker": Walker(walking)}, Gauge(), **QUICK)
    assert report.settings["pool_size"] == report.settings["clips"] == 10
    assert report.settings["diversity_pairs"] == 5
    assert "pools of 10, 3 repeats, 2 generations" in report.markdown()


def test_too_few_clips_are_refused(tmp_path, walking):
    folder = write_folder(tmp_path / "few", walking, count=7)
    with pytest.raises(ConfigError, match="7 clips"):
        reference_clips(folder, "val")


def test_clips_that_are_too_short_or_have_no_readable_caption_are_left_out(data, walking):
    joints = to_y_up(walking(1.0, seconds=0.9).joints)
    np.save(data / "new_joints" / "000003.npy", joints)
    (data / "texts" / "000004.txt").write_text("走る#x#0.0#0.0")
    assert {c.id for c in reference_clips(data, "val")} & {"000003", "000004"} == set()


@pytest.mark.parametrize("split", ["train", "dev", ""])
def test_another_split_is_refused(data, split):
    with pytest.raises(ConfigError, match="val or test"):
        evaluate_models(data, split, {}, Gauge())


def test_folders_without_data_are_refused(tmp_path):
    with pytest.raises(MotionFileError, match="no data folder"):
        reference_clips(tmp_path / "none", "val")
    with pytest.raises(MotionFileError, match="neither"):
        reference_clips(tmp_path, "val")


def test_a_model_that_makes_too_few_motions_or_takes_a_rows_name_is_refused(data, walking):
    class Lazy(Walker):
        def generate_batch(self, texts, *, seeds, seconds):
            return super().generate_batch(texts, seeds=seeds, seconds=seconds)[1:]

    with pytest.raises(ConfigError, match="lazy made 15 motions of 16"):
        evaluate_models(data, "val", {"lazy": Lazy(walking)}, Gauge(), **QUICK)
    with pytest.raises(ConfigError, match="'real'"):
        evaluate_models(data, "val", {"real": Walker(walking)}, Gauge(), **QUICK)
    with pytest.raises(ConfigError, match="repeats"):
        evaluate_models(data, "val", {}, Gauge(), plan=EvaluationPlan(repeats=0))


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(evaluate)

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def test_the_command_measures_the_trained_model(command, data, tmp_path, trained_model):
    report, table = tmp_path / "new" / "report.json", tmp_path / "table.md"
    few = ("--repeats", 2, "--generations", 1, "--captions", 2, "--motions", 2)
    result = command(
        "--data", data, "--model", trained_model, *few, "--json", report, "--markdown", table
    )
    assert result.exit_code == 0, result.output
    told = json.loads(report.read_text())
    assert set(told) == {"real", "reconstruction", "models", "settings"}
    assert set(told["models"]) == {"moscale-cmu"}
    for row in (told["real"], told["reconstruction"], told["models"]["moscale-cmu"]):
        assert set(row) == KEYS
        assert len(row["r_precision"]) == 3
        figures = [*row["r_precision"], *(v for k, v in row.items() if k != "r_precision")]
        assert all(f is None or set(f) == {"mean", "ci95"} for f in figures)
    assert told["real"]["mpjpe_mm"] is told["real"]["multimodality"] is None
    assert told["real"]["fid"]["mean"] < 1e-3 < told["models"]["moscale-cmu"]["fid"]["mean"]
    assert told["reconstruction"]["mpjpe_mm"]["mean"] > 1
    assert told["models"]["moscale-cmu"]["multimodality"]["mean"] > 0
    assert told["settings"]["data"] == "walkers"
    assert told["settings"]["evaluator"] == "evaluator-cmu"
    assert str(tmp_path) not in report.read_text()
    lines = table.read_text().splitlines()
    assert [line.split(" |")[0] for line in lines if line.startswith("| ")] == [
        "| motion", "| real", "| reconstruction", "| moscale-cmu",
    ] * 2  # fmt: skip


def test_the_command_refuses_or_skips_bad_data_by_choice(
    command, data, tmp_path, walking, monkeypatch
):
    walker = Walker(walking)
    walker.name = "walker"
    monkeypatch.setattr("nextscale_lab.evaluate.evaluator.load_evaluator", lambda *_: Gauge())
    monkeypatch.setattr(
        "nextscale_core.pipeline.MotionPipeline.from_pretrained", lambda *_, **__: walker
    )
    monkeypatch.setattr("nextscale_lab.evaluate.reference.pipeline_reconstruction", lambda _: None)
    (data / "texts" / "000003.txt").write_text("no caption")
    report = tmp_path / "report.json"
    few = ("--repeats", 2, "--generations", 1, "--captions", 2, "--motions", 2)
    refused = command("--data", data, *few, "--json", report)
    assert isinstance(refused.exception, MotionFileError) and "000003" in str(refused.exception)
    skipped = command("--data", data, *few, "--json", report, "--on-bad-data", "skip")
    assert skipped.exit_code == 0, skipped.output
    assert json.loads(report.read_text())["settings"]["clips"] == 9


def test_the_command_refuses_an_evaluator_that_is_not_there(command, data, tmp_path):
    result = command("--data", data, "--json", tmp_path / "r.json", "--evaluator", "x.py:make")
    assert isinstance(result.exception, ModelLoadError)
    assert not (tmp_path / "r.json").exists()


def test_the_committed_evaluator_tells_a_walk_from_a_wave(person, walking):
    judge = load_evaluator()
    from nextscale_core.motion.features import clip_to_features

    waving = person(right_hand=(0.1, lambda t: -0.2 + 0.2 * np.sin(9 * t), 0.45))
    motions = judge.embed_motions([clip_to_features(c) for c in (walking(1.2), waving)])
    texts = judge.embed_texts(["a person walks forward", "a person waves with the right hand"])
    likeness = texts @ motions.T
    assert likeness[0, 0] > likeness[0, 1]
    assert likeness[1, 1] > likeness[1, 0]

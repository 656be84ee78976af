"""Rows run whole: trained once, measured once, and taken up again where they stopped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_lab.cli.experiments import app
from nextscale_lab.experiments import models as models_module
from nextscale_lab.experiments.measure import Measurer, badness
from nextscale_lab.experiments.models import Models
from nextscale_lab.experiments.results import result_path
from nextscale_lab.experiments.run import run_rows
from nextscale_lab.experiments.settings import Measuring, Row, SingleScale
from nextscale_lab.experiments.study import Study, load_study

SMALL = {
    "training": {
        "steps": 3, "batch_size": 4, "warmup": 1, "eval_every": 3, "width": 16, "depth": 1,
        "heads": 2,
    },
    "sampling": {"guidance": 2.0},
    "single_scale": {"steps": 2, "decoder_steps": 2, "frames": 120},
    "measuring": {
        "repeats": 2, "generations": 1, "captions": 2, "motions": 2, "batch": 8,
        "battery_seeds": 0,
    },
    "rows": {
        "base": {"label": "base", "kind": "moscale", "sampling": {"passes": 1}},
        "tr": {"label": "+ TR", "kind": "moscale", "sampling": {"passes": [1, 2, 2]}},
        "next-token": {"label": "next", "kind": "next-token", "training": {"corruption": 0.5}},
        "parts": {
            "label": "parts", "kind": "scalemogen", "training": {"corruption": 0.3},
            "skeletal": {"bits": 4, "one_pass": True, "groups": False},
        },
        "found": {"label": "found", "kind": "retrieval"},
    },
    "skeletal": {"steps": 2, "frames": 120},
    "tables": {"all": ["base", "tr", "next-token", "parts", "found"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "study.yaml"
    path.write_text(yaml.safe_dump(SMALL, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory, config, study_data, study_tokenizer, projection):
    """All rows of the small study, run with one seed."""
    runs = tmp_path_factory.mktemp("runs")
    said: list[str] = []
    results = run_rows(
        load_study(config), ["all"], data=study_data, tokenizer=study_tokenizer, runs=runs,
        seeds=1, evaluator=projection, say=said.append,
    )  # fmt: skip
    assert [result.row for result in results] == ["base", "tr", "next-token", "parts", "found"]
    assert len(said) == 5
    return runs, results


@pytest.fixture
def again(finished_runs, config, study_data, study_tokenizer, projection):
    """Runs rows in the same folder."""
    runs, _ = finished_runs

    def run(*names: str, **more):
        settings = {"seeds": 1, "evaluator": projection, **more}
        study = load_study(config)
        return run_rows(
            study, names, data=study_data, tokenizer=study_tokenizer, runs=runs, **settings
        )

    return run


def no_training(*arguments, **more):
    raise AssertionError("this was trained before")


def test_every_row_has_figures_on_both_splits_and_its_budget(finished_runs):
    runs, results = finished_runs
    for result in results:
        content = json.loads(result_path(runs, result.row, 0).read_text())
        for split in ("val", "test", "real"):
            assert np.isfinite(list(content[split].values())).all()
            assert {"r_precision_1", "fid", "mm_dist", "diversity", "foot_skate_ratio"} <= set(
                content[split]
            )
        assert "multimodality" in content["test"]
        assert content["about"]["test clips"] == 8
    by_name = {result.row: result.budget for result in results}
    assert by_name["found"]["parameters"] == 0
    assert by_name["base"]["steps"] == by_name["next-token"]["steps"] == 3
    assert by_name["base"]["passes"] == 3 and by_name["tr"]["passes"] == 5
    assert by_name["next-token"]["divisors"] == [1]
    assert by_name["parts"]["divisors"] == [49, 16, 7, 4, 2, 1] and by_name["parts"]["passes"] == 6
    assert by_name["next-token"]["single_scale"]["val"]["mpjpe_mm"] > 0


def test_rows_with_the_same_training_share_their_models(finished_runs):
    runs, results = finished_runs
    trained = sorted(path.name.rsplit("-", 1)[0] for path in (runs / "models").iterdir())
    assert trained == [
        "moscale-d1-c0-seed0",
        "next-token-d1-c0.5-seed0",
        "scalemogen-d1-c0.3-seed0",
        "tokenizer-product-4-bits",
        "tokenizer-single-scale",
        "tokenizer-single-scale-decoder",
    ]
    # The same model, drawn from in another way.
    assert results[0].budget["val"] == results[1].budget["val"]
    assert results[0].test != results[1].test


def test_finished_rows_are_kept(again, finished_runs, monkeypatch):
    monkeypatch.setattr(Measurer, "measure", no_training)
    assert [r.row for r in again("tr", "found")] == ["tr", "found"]


def test_a_row_that_was_not_measured_is_not_trained_again(again, finished_runs, monkeypatch):
    runs, _ = finished_runs
    path = result_path(runs, "next-token", 0)
    before = json.loads(path.read_text())
    path.unlink()
    for name in ("train_generator", "train_next_token", "train_tokenizer", "train_decoder"):
        monkeypatch.setattr(models_module, name, no_training)
    again("next-token")
    after = json.loads(path.read_text())
    assert after["test"] == before["test"] and after["val"] == before["val"]


def test_an_interrupted_training_goes_on_from_its_checkpoint(again, finished_runs, monkeypatch):
    runs, _ = finished_runs
    (folder,) = (runs / "models").glob("moscale-*")
    (folder / "done.json").unlink()
    weights = (folder / "last" / "model.safetensors").read_bytes()
    called = []
    train = models_module.train_generator

    def watched(data, tokenizer, run, *arguments, **more):
        called.append(run.out)
        return train(data, tokenizer, run, *arguments, **more)

    monkeypatch.setattr(models_module, "train_generator", watched)
    again("base", evaluator=None)
    assert called == [folder]
    # All steps had been made: nothing is left to learn.
    assert (folder / "last" / "model.safetensors").read_bytes() == weights
    assert (folder / "done.json").is_file()


def test_another_setting_never_meets_old_weights(config, study_data, study_tokenizer, tmp_path):
    study = load_study(config)
    models = Models(study, study_data, study_tokenizer, tmp_path)
    row = study.row("base")
    folders = set()
    monkey = {"calls": 0}

    def once(label, settings, train, kind):
        monkey["calls"] += 1
        folders.add((label, json.dumps(settings, sort_keys=True)))
        return models_module.Trained(tmp_path, {})

    models._once = once
    for changed in (
        row,
        replace(row, training=replace(row.training, steps=4)),
        replace(row, training=replace(row.training, learning_rate=0.1)),
    ):
        models.prepare(changed, 0)
        models.prepare(changed, 1)
    assert len(folders) == monkey["calls"] == 6


def test_passes_that_do_not_fit_the_tokenizer_are_named_before_any_training(
    config, study_data, study_tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(models_module, "train_generator", no_training)
    study = load_study(config)
    wrong = replace(study.row("tr"), sampling=replace(study.row("tr").sampling, passes=(1, 2)))
    with pytest.raises(ConfigError, match="row 'tr': passes has 2 values, the tokenizer 3 scales"):
        run_rows(
            replace(study, rows=(wrong,)), ["tr"], data=study_data, tokenizer=study_tokenizer,
            runs=tmp_path, seeds=1, evaluator=None,
        )  # fmt: skip


class Echo:
    """Plays the recorded clips with some noise: less of it, better figures."""

    def __init__(self, clips, noise: float) -> None:
        self.clips, self.noise = clips, noise

    def generate_batch(self, texts, *, seeds, seconds=None):
        out = []
        for text, seed in zip(texts, seeds, strict=True):
            joints = next(c.clip for c in self.clips if text in c.captions).joints.copy()
            noise = np.random.default_rng(seed).normal(size=joints.shape)
            out.append(MotionClip(joints + self.noise * noise, text=text, seed=seed))
        return out


def test_val_chooses_the_guidance_and_test_reports_it(
    study_data, study_tokenizer, projection, tmp_path
):
    measuring = Measuring(
        repeats=2, generations=1, captions=2, motions=2, guidance_choices=(0.5, 1.0, 2.0),
        choose_by="fid", battery_seeds=0,
    )  # fmt: skip
    row = Row("echo", "echo", "moscale")
    study = Study((row,), (), SingleScale(), measuring)
    models = Models(study, study_data, study_tokenizer, tmp_path)
    models.prepare = lambda row, seed: {"steps": 0}
    measurer = Measurer(models, projection, study_data)
    noise = {0.5: 0.3, 1.0: 0.02, 2.0: 0.1}
    both = measurer._clips("val", None) + measurer._clips("test", None)
    models.pipeline = lambda row, seed, factor=1.0: Echo(both, noise[factor])
    result = measurer.measure(row, 0)
    assert result.guidance == 1.0
    # The figures of test are those of that choice, and no other.
    other = replace(measuring, guidance_choices=(1.0,))
    models.study = replace(study, measuring=other)
    alone = Measurer(models, projection, study_data)
    assert alone.measure(row, 0).test == result.test


def test_what_is_chosen_by():
    figures = {"fid": 3.0, "mm_dist": 2.0, "r_precision_3": 0.4}
    assert [badness(figures, name) for name in ("fid", "mm_dist", "r_precision")] == [3, 2, -0.4]


def test_only_captions_with_so_many_verbs_are_asked(
    study_data, study_tokenizer, projection, config, tmp_path
):
    models = Models(load_study(config), study_data, study_tokenizer, tmp_path)
    measurer = Measurer(models, projection, study_data)
    ones = measurer._clips("test", (1, 1))
    assert len(ones) == 8
    assert all(caption.startswith("a person swings") for c in ones for caption in c.captions)
    with pytest.raises(ConfigError, match="split test has 4 clips with captions of 2 to 9 verbs"):
        measurer._clips("test", (2, 9))


def test_the_commands_list_and_write_tables(finished_runs, config, tmp_path):
    runs, _ = finished_runs
    listed = CliRunner().invoke(app, ["list", "--config", str(config), "--out", str(runs)])
    assert listed.exit_code == 0 and "next-token" in listed.output
    document = tmp_path / "experiments.md"
    document.write_text("# Rows\n<!-- table all --><!-- end all -->\n")
    words = ["table", "--out", str(runs), "--docs", str(document), "--config", str(config)]
    written = CliRunner().invoke(app, words)
    assert written.exit_code == 0, written.output
    text = document.read_text()
    assert all(f"| {label} |" in text for label in ("base", "+ TR", "next", "found"))


def test_an_unknown_row_is_named_at_once(config, tmp_path):
    words = ["run", "bass", "--data", str(tmp_path), "--tokenizer", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path), "--config", str(config)])
    assert isinstance(result.exception, ConfigError)
    assert "no row 'bass'" in str(result.exception)


def test_a_folder_that_is_no_tokenizer_is_named(config, study_data, tmp_path):
    with pytest.raises(ConfigError, match="is not a tokenizer"):
        Models(load_study(config), study_data, tmp_path, tmp_path)

"""The declared rows: what experiments.yaml may hold, and clear errors for the rest."""

from __future__ import annotations

import pytest
import yaml

from nextscale_core.exceptions import ConfigError
from nextscale_lab.experiments.study import load_study

SMALL = {
    "training": {"steps": 40, "width": 16},
    "rows": {
        "base": {"label": "base", "kind": "moscale"},
        "tr": {"label": "+ TR", "kind": "moscale", "sampling": {"passes": [1, 2, 3]}},
        "deep": {"label": "deep", "kind": "moscale", "training": {"depth": 9}},
        "found": {"label": "found", "kind": "retrieval"},
    },
    "tables": {"all": ["base", "tr", "deep", "found"]},
}


def changed(**more) -> dict:
    return {**SMALL, **more}


@pytest.fixture
def load(tmp_path):
    def write(content: object):
        path = tmp_path / "study.yaml"
        path.write_text(
            content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        )
        return load_study(path)

    return write


def test_the_package_s_study_answers_every_claim():
    study = load_study()
    rows = {row.name: row for row in study.rows}
    base, hr, tr, both = (rows[name] for name in ("base", "hr", "tr", "both"))
    # HR is in the training only, TR in the sampling only; all else is the same.
    assert base.training == tr.training and hr.training == both.training
    assert base.sampling == hr.sampling and tr.sampling == both.sampling
    assert base.training.corruption == 0 and hr.training.corruption == 0.6
    assert set(base.sampling.passes) == {1} and sum(tr.sampling.passes) == 18
    trained = [row for row in study.rows if row.kind != "retrieval"]
    sizes = {(r.training.batch_size, r.training.width, r.training.learning_rate) for r in trained}
    assert len(sizes) == 1
    # Rows that share a model's size share its steps; others have as many as the time allows.
    steps = {(r.kind, r.training.depth, r.skeletal.schedule, r.training.steps) for r in trained}
    assert len(steps) == len({step[:3] for step in steps}) == 4
    assert rows["next-token"].training.depth == both.training.depth
    shown = {name for table in study.tables for name in table.rows}
    assert shown == set(rows)


def test_rows_take_what_they_do_not_say_from_the_shared_settings(load):
    study = load(SMALL)
    deep = study.row("deep").training
    assert (deep.steps, deep.width, deep.depth) == (40, 16, 9)
    assert study.row("base").training.depth == 4
    assert study.row("tr").sampling.passes == (1, 2, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(rowz={}), "unknown key 'rowz'; did you mean 'rows'. there are: rows"),
        (changed(training={"stepz": 3}), "training: unknown key 'stepz'; did you mean 'steps'"),
        (changed(training={"steps": "many"}), "training: steps must be a whole number"),
        (changed(training={"steps": True}), "steps must be a whole number, got True"),
        (changed(training=[1]), "training must be a mapping"),
        (
            changed(rows={"a": {"label": "a", "kind": "moscale", "seed": 1}}),
            "rows, a: unknown key 'seed'",
        ),
        (changed(rows={"a": {"kind": "moscale"}}), "rows, a: 'label' is missing"),
        (changed(rows={"a": {"label": "a", "kind": "gan"}}), "kind must be 'moscale', .*'gan'"),
        (
            changed(rows={"a": {"label": "a", "kind": "moscale", "training": {"width": "x"}}}),
            "rows, a, training: width must be a whole number, got 'x'",
        ),
        (
            changed(rows={"a": {"label": "a", "kind": "moscale", "verbs": [1, 2, 3]}}),
            "rows, a: verbs must have at most 2 items",
        ),
        (
            changed(rows={"a": {"label": "a", "kind": "moscale", "verbs": [3, 1]}}),
            r"verbs must be \[least, most\]",
        ),
        (changed(tables={"all": ["base", "hr"]}), "table 'all': no row 'hr'; there are: base"),
        (changed(rows={}), "rows must have at least 1 item"),
        (changed(rows={"a b": {"label": "a", "kind": "moscale"}}), "rows: a b must match pattern"),
        (changed(measuring={"choose_by": "luck"}), "choose_by must be 'mm_dist', .*'luck'"),
        ("rows: [", "is not valid YAML"),
        ("- 1", "must be a mapping"),
    ],
)
def test_a_mistake_is_named(load, content, words):
    with pytest.raises(ConfigError, match=words):
        load(content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read"):
        load_study(tmp_path / "none.yaml")


def test_rows_are_chosen_by_name(load):
    study = load(SMALL)
    assert [row.name for row in study.choose(["found", "base", "base"])] == ["base", "found"]
    assert len(study.choose(["all"])) == 4
    with pytest.raises(ConfigError, match="no row 'best'; there are: base, tr, deep, found"):
        study.choose(["base", "best"])


def test_other_steps_hold_everywhere(load):
    study = load(SMALL).with_steps(7)
    assert {row.training.steps for row in study.rows} == {7}
    assert all(row.training.warmup <= 7 and row.training.eval_every <= 7 for row in study.rows)
    assert study.single_scale.steps == 7
    with pytest.raises(ConfigError, match="steps must be"):
        study.with_steps(0)

"""Results on disk and the tables made of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nextscale_core.exceptions import ConfigError
from nextscale_lab.experiments.document import mean_and_std, write_tables
from nextscale_lab.experiments.results import (
    RowResult,
    finished,
    read_results,
    result_path,
    write_result,
)
from nextscale_lab.experiments.settings import Measuring, Row, Sampling, SingleScale, Table
from nextscale_lab.experiments.study import Study

STUDY = Study(
    rows=(
        Row("base", "base", "moscale", sampling=Sampling(guidance=(4.0,))),
        Row("found", "retrieval", "retrieval"),
        Row("later", "later", "moscale"),
        Row("short", "1 verb", "moscale", verbs=(0, 1)),
    ),
    tables=(Table("first", ("base", "found", "later")), Table("second", ("base", "short"))),
    single_scale=SingleScale(),
    measuring=Measuring(),
)

DOCUMENT = """# Experiments

Before.

<!-- table first -->
old figures
<!-- end first -->

Between.

<!-- table second --><!-- end second -->
After.
"""


def result(row: str, seed: int, top: float, **more) -> RowResult:
    figures = {"r_precision_1": top, "fid": 2.0 + top, "foot_skate_ratio": 0.051}
    budget = {
        "parameters": 1_780_000, "steps": 800, "train_seconds": 300.0, "motion_seconds": 0.1,
        "passes": 18, "settings": {"batch_size": 32}, "reconstruction_mpjpe_mm": 40.04,
    }  # fmt: skip
    values = {
        "settings": {"steps": 800}, "budget": budget, "guidance": 0.5, "val": {}, "test": figures,
        "real": {"r_precision_1": 0.7, "fid": 0.0}, "battery": 0.25 + top / 2,
        "about": {"data": "cmu", "test clips": 100},
    }  # fmt: skip
    return RowResult(row, seed, **{**values, **more})


@pytest.fixture
def runs(tmp_path):
    for one in (result("base", 0, 0.2), result("base", 1, 0.3), result("base", 2, 0.7)):
        write_result(tmp_path, one)
    write_result(tmp_path, result("found", 0, 0.5, battery=None))
    write_result(tmp_path, result("short", 0, 0.6, real={"r_precision_1": 0.8}, battery=None))
    return tmp_path


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "experiments.md"
    path.write_text(DOCUMENT)
    return path


def line(text: str, start: str) -> str:
    (found,) = [row for row in text.splitlines() if row.startswith(start)]
    return found


def test_mean_and_sample_standard_deviation():
    # 0.2, 0.3, 0.7: mean 0.4, deviations -0.2, -0.1, 0.3, so variance 0.14 / 2.
    assert mean_and_std([0.2, 0.3, 0.7]) == "0.400 ± 0.265"
    assert mean_and_std([0.05], 100, 1) == "5.0"
    assert mean_and_std([0.2, 0.2]) == "0.200 ± 0.000"


def test_what_is_written_is_read_again(runs):
    results = read_results(runs)
    assert [one.seed for one in results["base"]] == [0, 1, 2]
    assert results["base"][2] == result("base", 2, 0.7)


def test_a_result_counts_only_with_its_own_settings(runs):
    assert finished(runs, "base", 1, {"steps": 800}) is not None
    assert finished(runs, "base", 1, {"steps": 900}) is None
    assert finished(runs, "base", 9, {"steps": 800}) is None


def test_tables_replace_what_stood_between_their_markers(runs, document):
    assert write_tables(document, STUDY, read_results(runs)) == ["first", "second"]
    text = document.read_text()
    first = text[text.index("<!-- table first -->") : text.index("<!-- end first -->")]
    assert "old figures" not in text
    assert all(kept in text for kept in ("# Experiments", "Before.", "Between.", "After."))
    base = line(first, "| base | 3 ")
    assert "| 0.400 ± 0.265 |" in base and "| 2.400 ± 0.265 |" in base
    assert base.endswith("| 5.1 ± 0.0 | 45.0 ± 13.2 |")
    assert line(first, "| retrieval | 1 ").endswith("| 5.1 | - |")
    assert "not run yet" in line(first, "| later |")
    assert "| 0.700 ± 0.000 |" in line(first, "| recorded motions |")
    assert "| 1.78 M | 800 x 32 | 5.0 ± 0.0 | 40.0 | 18 | 2, 2, 2 | 0.10 ± 0.00 |" in first
    assert "data cmu; test clips 100" in first


def test_other_captions_have_recorded_motions_of_their_own(runs, document):
    write_tables(document, STUDY, read_results(runs))
    text = document.read_text()
    second = text[text.index("<!-- table second -->") :]
    assert "| 0.700 ± 0.000 |" in line(second, "| recorded motions, base |")
    assert "| 0.800 |" in line(second, "| recorded motions, 1 verb |")


def test_writing_again_changes_nothing(runs, document):
    write_tables(document, STUDY, read_results(runs))
    once = document.read_text()
    write_tables(document, STUDY, read_results(runs))
    assert document.read_text() == once


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<!-- end first -->", "", "must hold <!-- table first --> once"),
        ("<!-- table second -->", "", "must hold <!-- table second --> once"),
        ("Between.", "<!-- table first -->", "must hold <!-- table first --> once"),
        ("Between.", "<!-- table third -->", "marker of table 'third'; there are: first, second"),
    ],
)
def test_wrong_markers_are_named_and_nothing_is_written(runs, document, old, new, words):
    document.write_text(DOCUMENT.replace(old, new))
    before = document.read_text()
    with pytest.raises(ConfigError, match=words):
        write_tables(document, STUDY, read_results(runs))
    assert document.read_text() == before


def test_seeds_that_were_measured_differently_are_refused(runs):
    write_result(runs, replace(result("base", 1, 0.3), settings={"steps": 900}))
    with pytest.raises(ConfigError, match=r"row 'base': seeds 0 and 1 .* different settings"):
        read_results(runs)


@pytest.mark.parametrize("content", ["{", '{"row": "base"}', "[]"])
def test_a_file_that_is_no_result_is_named(runs, content):
    result_path(runs, "base", 0).write_text(content)
    with pytest.raises(ConfigError, match=r"base-seed0\.json is"):
        read_results(runs)

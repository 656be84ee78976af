"""`nextscale battery` from the command line, with a stick figure in place of the model."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from nextscale_core.exceptions import MotionFileError
from nextscale_lab.cli.battery import battery


@pytest.fixture
def command(monkeypatch, person):
    """The command, and the list of (text, seed) that the model was asked for."""
    asked: list[tuple[str, int]] = []

    class Model:
        @classmethod
        def from_pretrained(cls, name, device="cpu"):
            assert (name, device) == ("someone", "cpu")
            return cls()

        def generate_batch(self, texts, *, seeds, seconds, candidates):
            assert candidates == 3
            asked.extend(zip(texts, seeds, strict=True))
            return [person(heading=lambda t: min(t, np.pi)) for _ in texts]

    module = ModuleType("nextscale_core.pipeline")
    module.MotionPipeline = Model
    monkeypatch.setitem(sys.modules, "nextscale_core.pipeline", module)
    app = typer.Typer()
    app.command()(battery)
    return app, asked


def test_the_core_battery_is_run_and_reported(command, tmp_path):
    app, asked = command
    report, table = tmp_path / "new" / "report.json", tmp_path / "table.md"
    arguments = [
        "--model",
        "someone",
        "--candidates",
        "3",
        "--core",
        "--seeds",
        "2",
        "--json",
        str(report),
    ]
    result = CliRunner().invoke(app, [*arguments, "--markdown", str(table)])
    assert result.exit_code == 0, result.output
    assert len(asked) == 32
    assert {seed for _, seed in asked} == {0, 1}
    told = json.loads(report.read_text())
    passed = {row["sentence"] for row in told["sentences"] if row["rate"] == 1.0}
    assert passed == {"a person turns around"}
    assert (told["model"], told["samples"], told["rate"]) == ("someone", 32, 1 / 16)
    assert "| a person turns around | direction | 2/2 (100 %) | none |" in table.read_text()


def test_a_battery_of_ones_own_is_taken(command, tmp_path):
    app, asked = command
    prompts = tmp_path / "mine.yaml"
    prompts.write_text(
        "sentences:\n  - {sentence: turn, kind: k, check: turn, thresholds: {min_degrees: 90}}\n"
    )
    report = tmp_path / "report.json"
    arguments = [
        "--model",
        "someone",
        "--candidates",
        "3",
        "--prompts",
        str(prompts),
        "--seeds",
        "1",
    ]
    result = CliRunner().invoke(app, [*arguments, "--json", str(report)])
    assert result.exit_code == 0, result.output
    assert asked == [("turn", 0)]
    assert json.loads(report.read_text())["rate"] == 1.0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--json", "{file}/report.json"), "cannot make the folder"),
        (
            ("--json", "{tmp}/report.json", "--markdown", "{file}/table.md"),
            "cannot make the folder",
        ),
        (("--json", "{tmp}/a.txt", "--markdown", "{tmp}/a.txt"), "given for two outputs"),
        (("--json", "{tmp}/report.json", "--sheet", "{tmp}/sheet.txt"), "end it in .png"),
        (("--json", "{file}", "--prompts", "{file}"), "is an input"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(command, tmp_path, options, reason):
    app, asked = command
    (tmp_path / "file").write_text("sentences: []")
    words = [word.format(tmp=tmp_path, file=tmp_path / "file") for word in options]
    result = CliRunner().invoke(app, ["--model", "someone", "--core", *words])
    assert isinstance(result.exception, MotionFileError) and reason in str(result.exception)
    assert not asked

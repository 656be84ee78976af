"""`nextscale generate --constraints`: lines, JSON and errors, with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.cli.test_completion_commands import model, run, run_and_fail
from nextscale_core.motion import read_motion

__all__ = ["model"]  # a fixture

TEXT = "a person walks"
WAYPOINT = {"type": "waypoint", "time": 1.5, "x": 0.6, "y": 0.2}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "path.json"
    path.write_text(json.dumps([WAYPOINT]))
    return path


def test_constraints_are_met_and_reported_in_a_line_and_in_json(model, file, tmp_path):
    out, found = tmp_path / "walk.npz", tmp_path / "new" / "found.json"
    result = run("generate", TEXT, "--model", model, "--seconds", 2, "--constraints", file,
                 "--residuals", found, "--out", out)  # fmt: skip
    assert result.exit_code == 0, result.output
    (residual,) = json.loads(found.read_text())
    assert residual["met"] and residual["distance"] < 0.01
    line = f"constraint 1: waypoint at 1.5 s: {100 * residual['distance']:.1f} cm"
    assert line in result.output
    assert read_motion(out).joints[30, 0, :2] == pytest.approx([0.6, 0.2], abs=0.01)


def test_what_does_not_fit_is_refused_before_anything_is_written(model, file, tmp_path):
    out = tmp_path / "walk.npz"
    common = ("generate", TEXT, "--model", model, "--out", out)
    assert "needs --constraints" in run_and_fail(*common, "--residuals", tmp_path / "r.json")
    assert "lasts 1 s only" in run_and_fail(*common, "--seconds", 1, "--constraints", file)
    file.write_text(json.dumps([WAYPOINT, {"type": "target", "time": 1.0}]))
    message = run_and_fail(*common, "--constraints", file)
    assert "entry 2: target lacks body, position" in message
    prompts = tmp_path / "prompts.txt"
    prompts.write_text(TEXT)
    assert "not --prompts" in run_and_fail(
        "generate", "--prompts", prompts, "--out", tmp_path / "many", "--constraints", file
    )
    assert not out.exists()

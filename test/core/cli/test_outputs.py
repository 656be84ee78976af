"""Outputs that would destroy a file are refused before the work, by every command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.conftest import standing_clip
from nextscale_core.cli import app as cli
from nextscale_core.motion.formats.files import write_motion

TEXT = "a person walks"
COMMANDS = {
    "retarget": ["retarget", "a.npz", "--out", "OUT"],
    "a map": ["retarget", "b.bvh", "--map", "a.npz", "--out", "OUT"],
    "a profile": ["retarget", "b.bvh", "--robot", "r.urdf", "--profile", "a.npz", "--out", "OUT"],
    "edit": ["edit", "a.npz", "--span", "1:2", "--text", TEXT, "--out", "OUT"],
    "complete": ["complete", "a.npz", "--text", TEXT, "--out", "OUT"],
    "sequence": ["sequence", "--script", "a.npz", "--out", "OUT"],
    "constraints": ["generate", TEXT, "--constraints", "a.npz", "--out", "OUT"],
    "residuals": [
        *["generate", TEXT, "--constraints", "a.npz", "--residuals", "OUT", "--out", "x.npz"],
    ],
    "convert": ["convert", "a.npz", "OUT", "--to", "robot-npz"],
    "to-motion": ["bag", "to-motion", "a.npz", "--out", "OUT"],
    "to-trajectory": ["bag", "to-trajectory", "a.npz", "--out", "OUT"],
    "draft": ["robots", "draft", "a.npz", "--out", "OUT", "--force"],
    "two outputs": ["generate", TEXT, "--out", "a.npz", "--out", "OUT"],
    "residuals over the motion": [
        *["generate", TEXT, "--constraints", "c.json", "--residuals", "a.npz", "--out", "OUT"],
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a file and two other ways to it."""
    (tmp_path / "a.npz").write_bytes(b"precious")
    (tmp_path / "link.npz").symlink_to("a.npz")
    os.link(tmp_path / "a.npz", tmp_path / "twin.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*arguments: str) -> str:
    """The one line of complaint of a command that is refused as bad input."""
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == cli.BAD_INPUT, result.output
    (line,) = result.output.splitlines()
    return line


@pytest.mark.parametrize("out", ["a.npz", "link.npz", "twin.npz"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_output_replaces_an_input_or_another_output(
    folder: Path, command: str, out: str
) -> None:
    line = refusal(*(out if word == "OUT" else word for word in COMMANDS[command]))
    assert line.startswith("error: ") and line.endswith("name")
    assert "is an input, which it would replace" in line or "is given for two outputs" in line
    assert (folder / "a.npz").read_bytes() == b"precious"


def test_no_output_replaces_the_pose_of_a_constraint(folder: Path) -> None:
    write_motion(standing_clip(), folder / "pose.npz")
    before = (folder / "pose.npz").read_bytes()
    entry = {"type": "keyframe", "time": 1.0, "file": "pose.npz", "at": 0.5}
    (folder / "c.json").write_text(json.dumps([entry]))
    for outputs in (["--out", "pose.npz"], ["--out", "x.npz", "--residuals", "pose.npz"]):
        line = refusal("generate", TEXT, "--constraints", "c.json", *outputs)
        assert "pose.npz is an input" in line
    assert (folder / "pose.npz").read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that takes no files")
def test_a_folder_that_takes_no_files_is_found_before_the_work(folder: Path) -> None:
    assert "/proc/x.npz: /proc is not writable" in refusal("generate", TEXT, "--out", "/proc/x.npz")


def test_outputs_that_do_not_exist_yet_are_compared_by_their_places(folder: Path) -> None:
    line = refusal("generate", TEXT, "--out", "new.npz", "--out", str(folder / "b/../new.npz"))
    assert "is given for two outputs" in line


def test_no_file_of_a_converted_folder_is_replaced(folder: Path) -> None:
    (folder / "sonic").mkdir()
    (folder / "sonic" / "joint_pos.csv").write_text("0.0")
    line = refusal("convert", "sonic", "sonic/joint_pos.csv", "--to", "kimodo-csv")
    assert "sonic/joint_pos.csv is an input" in line


def test_the_index_of_many_sentences_does_not_replace_them(folder: Path) -> None:
    (folder / "index.json").write_text(TEXT)
    assert "index.json is an input" in refusal(
        "generate", "--prompts", "index.json", "--out", str(folder)
    )

"""`nextscale simulate`: figures, animation and error messages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from core.human_clips import walking_clip
from core.simulation.conftest import nodding
from nextscale_core.cli import app as cli
from nextscale_core.motion import write_motion
from nextscale_core.robots import load_robot
from nextscale_core.robots.trajectory import write_trajectory

pytest.importorskip("mujoco", reason="the extra nextscale[sim] is not installed")


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["simulate", *map(str, words)])


@pytest.fixture(scope="module")
def nod(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "nod.npz"
    write_trajectory(nodding(load_robot("g1"), 0.6), path)
    return path


def test_a_trajectory_gives_figures_and_an_animation(nod, tmp_path):
    figures, gif = tmp_path / "out" / "figures.json", tmp_path / "out" / "nod.gif"
    result = run(nod, "--json", figures, "--gif", gif, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "the base is fixed" in result.output and "joints" in result.output
    read = json.loads(figures.read_text())
    assert read["simulation"]["seed"] == 3 and read["simulation"]["fixed_base"]
    (motion,) = read["motions"]
    assert motion["file"] == str(nod) and motion["up"] and 0 < motion["joint_error_deg"] < 2
    with Image.open(gif) as image:
        assert image.n_frames > 5
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    # Two robots: dark ones in both halves of the picture.
    dark = np.flatnonzero((pixels.sum(-1) < 560).any(axis=0))
    assert dark.min() < 0.4 * pixels.shape[1] and dark.max() > 0.6 * pixels.shape[1]


def test_a_human_motion_is_retargeted_and_a_floating_robot_without_policy_falls(tmp_path):
    path = tmp_path / "walk.npz"
    write_motion(walking_clip(frames=30), path)
    result = run(path, "--robot", "g1", "--controller", "pd", "--floating")
    assert result.exit_code == 0, result.output
    assert "falls after" in result.output


def test_one_bad_file_of_several_is_reported_and_the_others_are_simulated(nod, tmp_path):
    figures = tmp_path / "figures.json"
    result = run(tmp_path / "none.npz", nod, "--json", figures)
    assert result.exit_code == 2 and "none.npz" in result.output
    first, second = json.loads(figures.read_text())["motions"]
    assert "none.npz" in first["error"] and second["up"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--json", "figures.txt"), "the name must end in .json"),
        (("--gif", "."), "the name must end in .gif"),
        (("--friction", "0"), "friction must be within"),
        (("--controller", "dance"), "unknown controller 'dance'"),
        (("--controller", "tracker"), "needs the path of a policy"),
        (("--policy", "none.onnx"), "no policy file none.onnx"),
        (("--robot", "talos"), "the trajectory is for g1"),
    ],
)
def test_a_wrong_option_is_named_with_what_would_be_right(nod, options, message):
    result = run(nod, *options)
    assert result.exit_code in (1, 2) and message in result.output


def test_an_animation_of_several_motions_is_refused(nod, tmp_path):
    result = run(nod, nod, "--gif", tmp_path / "both.gif")
    assert result.exit_code == 2 and "--gif shows one motion" in result.output


def test_without_mujoco_the_command_names_what_installs_it(nod, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    result = run(nod)
    assert result.exit_code == 2 and "pip install 'nextscale[sim]'" in result.output

"""`nextscale complete`, `edit` and `sequence`, with a tiny model of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from core.editing.sway import sway
from nextscale_core.cli import app as cli
from nextscale_core.cli.sequence import read_script
from nextscale_core.exceptions import ConfigError, InvalidTextError, MotionFileError
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_core.motion import MotionClip, read_motion, write_motion
from nextscale_core.motion.body_parts import BODY_PARTS
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.pipeline import MotionPipeline

TEXT = "a person waves"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    sizes = {"width": 32, "depth": 1, "code_dim": 16, "num_codes": 32}
    tokenizer = TemporalTokenizer(TokenizerConfig(**sizes, divisors=(8, 4, 2, 1)))
    tokenizer.quantizer.codebook.normal_()
    generator = MoScale(MoScaleConfig(**sizes, heads=2, num_scales=4))
    folder = tmp_path_factory.mktemp("tiny")
    MotionPipeline(tokenizer, generator).save_pretrained(folder)
    return folder


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    write_motion(sway(60), tmp_path / "walk.npz")
    return tmp_path / "walk.npz"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def run_and_fail(*arguments: object) -> str:
    """Run; expect exit code 2 and exactly one line of complaint, which is returned."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    return lines[0]


def test_a_clip_is_gone_on_from_and_written_in_many_formats(walk, model, tmp_path):
    files = [tmp_path / "new" / "a.npz", tmp_path / "a.bvh", tmp_path / "a.png"]
    out = [word for file in files for word in ("--out", file)]
    result = run("complete", walk, "--text", TEXT, "--seconds", 4, "--model", model, *out)
    assert result.exit_code == 0, result.output
    clip = read_motion(files[0])
    assert len(clip) == 80 and clip.text == TEXT and clip.seed == 0
    assert np.abs(clip.joints[:60] - sway(60).joints).max() < 1e-3
    assert all(str(file) in result.output and file.stat().st_size > 500 for file in files)


def test_only_the_kept_spans_stay(walk, model, tmp_path):
    out = tmp_path / "a.npz"
    result = run(
        "complete", walk, "--keep", "0:1.0", "--keep", "2:", "--text", TEXT, "--seed", 3,
        "--model", model, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    made = read_motion(out).joints
    kept = np.r_[0:20, 40:60]
    assert np.abs(made[kept] - sway(60).joints[kept]).max() < 1e-3
    assert np.abs(made[25:35] - sway(60).joints[25:35]).max() > 0.01
    again = MotionPipeline.from_pretrained(model).complete(
        sway(60), [(0.0, 1.0), (2.0, 3.0)], TEXT, seed=3
    )
    assert np.allclose(made, again.joints)


def test_a_lead_in_comes_before_the_clip(walk, model, tmp_path):
    out = tmp_path / "a.npz"
    result = run("complete", walk, "--before", 2, "--text", TEXT, "--model", model, "--out", out)
    assert result.exit_code == 0, result.output
    made = read_motion(out).joints
    assert len(made) == 100
    assert np.abs(made[40:] - sway(60).joints).max() < 1e-3


def test_a_clip_of_another_rate_is_resampled(model, tmp_path):
    write_motion(MotionClip(sway(60).joints, fps=40.0), tmp_path / "fast.npz")
    result = run(
        "complete", tmp_path / "fast.npz", "--text", TEXT, "--seconds", 3, "--model", model,
        "--out", tmp_path / "a.npz",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    made = read_motion(tmp_path / "a.npz")
    assert made.fps == 20.0
    assert np.abs(made.joints[:30] - sway(60).joints[::2]).max() < 1e-3


def test_an_edit_changes_a_span_and_parts(walk, model, tmp_path):
    out = tmp_path / "a.npz"
    result = run(
        "edit", walk, "--span", "1:2.5", "--parts", "left_arm,head", "--text", TEXT,
        "--model", model, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    changed = np.abs(read_motion(out).joints - sway(60).joints).max(axis=2) > 1e-5
    assert not changed[:20].any() and not changed[50:].any() and changed[25:45].any()
    named = {JOINT_INDEX[name] for name in (*BODY_PARTS["left_arm"], *BODY_PARTS["head"])}
    assert set(np.flatnonzero(changed.any(axis=0))) <= named


@pytest.mark.parametrize("suffix", ["txt", "yaml"])
def test_a_script_becomes_one_motion(model, tmp_path, suffix):
    script = tmp_path / f"story.{suffix}"
    script.write_text(
        {
            "txt": "# a story\n\n2 | a person walks forward\n1.5|a person waves\n",
            "yaml": "- {text: a person walks forward, seconds: 2}\n"
            "- {text: a person waves, seconds: 1.5}\n",
        }[suffix]
    )
    out = tmp_path / "a.npz"
    result = run("sequence", "--script", script, "--model", model, "--out", out)
    assert result.exit_code == 0, result.output
    clip = read_motion(out)
    assert len(clip) == 70
    assert clip.text == "a person walks forward; a person waves"


def test_a_script_may_leave_the_lengths_to_the_model(tmp_path):
    script = tmp_path / "story.txt"
    script.write_text("a person walks\n3 | a person jumps\n")
    assert read_script(script) == [("a person walks", None), ("a person jumps", 3.0)]
    script = tmp_path / "story.json"
    script.write_text('["a person walks", {"text": "a person jumps", "seconds": 3}]')
    assert read_script(script) == [("a person walks", None), ("a person jumps", 3.0)]
    script = tmp_path / "story.yml"
    script.write_text("- a person walks\n- {text: a person jumps, seconds: 3}\n")
    assert read_script(script) == [("a person walks", None), ("a person jumps", 3.0)]


@pytest.mark.parametrize(
    ("name", "content", "error", "reason"),
    [
        ("a.txt", "", ConfigError, "no sentence"),
        ("a.txt", "soon | a person waves\n", ConfigError, "line 1.*'soon'"),
        ("a.txt", "a person waves\n2 | 123\n", InvalidTextError, "line 2"),
        ("a.yaml", "text: a person waves\n", ConfigError, "a list"),
        ("a.yaml", "- {say: a person waves}\n", ConfigError, "entry 1"),
        ("a.yaml", "- {text: a person waves, seconds: [1]}\n", ConfigError, "number"),
        ("a.yaml", "- [\n", ConfigError, "not valid YAML"),
    ],
)
def test_a_bad_script_is_refused(tmp_path, name, content, error, reason):
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=reason):
        read_script(tmp_path / name)


def test_a_missing_script_is_one_clear_line(tmp_path):
    with pytest.raises(MotionFileError, match="cannot read"):
        read_script(tmp_path / "none.txt")
    line = run_and_fail("sequence", "--script", tmp_path / "none.txt", "--out", tmp_path / "a.npz")
    assert "none.txt" in line


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["complete", "WALK", "--text", TEXT], "--out"),
        (["complete", "WALK", "--text", "", "--out", "a.npz"], "empty"),
        (["complete", "none.npz", "--text", TEXT, "--out", "OUT"], "none.npz"),
        (["complete", "WALK", "--text", TEXT, "--keep", "1", "--out", "OUT"], "START:STOP"),
        (["complete", "WALK", "--text", TEXT, "--keep", "2:1", "--out", "OUT"], "START:STOP"),
        (["complete", "WALK", "--text", TEXT, "--keep", "0:9", "--out", "OUT"], "0:3"),
        (["complete", "WALK", "--text", TEXT, "--keep", "0:0.01", "--out", "OUT"], "no frame"),
        (["complete", "WALK", "--text", TEXT, "--seconds", "2", "--out", "OUT"], "2 s"),
        (["complete", "WALK", "--text", TEXT, "--before", "8", "--out", "OUT"], "196 frames"),
        (["edit", "WALK", "--text", TEXT, "--out", "OUT"], "--parts"),
        (["edit", "WALK", "--text", TEXT, "--parts", "tail", "--out", "OUT"], "left_arm"),
        (["edit", "WALK", "--text", TEXT, "--span", "2:7", "--out", "OUT"], "START:STOP"),
    ],
)
def test_a_bad_command_is_one_clear_line(walk, model, tmp_path, command, reason):
    places = {"WALK": walk, "OUT": tmp_path / "out.npz"}
    words = [places.get(word, word) for word in command]
    assert reason in run_and_fail(*words, "--model", model)
    assert not (tmp_path / "out.npz").exists()

"""The command `nextscale`, mostly with a stand-in for the model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from core.toy_humanoid import toy_humanoid
from nextscale_core.cli import app as cli
from nextscale_core.exceptions import ConfigError, NextscaleError, RobotError
from nextscale_core.model.options import GenerationOptions
from nextscale_core.motion import MotionClip, read_motion, write_motion
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS
from nextscale_core.resources import resource
from nextscale_core.robots import load_robot
from nextscale_core.robots.trajectory import read_trajectory
from nextscale_core.stopwatch import Run

_STANDING = {
    "pelvis": (0, 0, 0.95), "spine1": (0, 0, 1.08), "spine2": (0, 0, 1.22), "spine3": (0, 0, 1.28),
    "neck": (0, 0, 1.49), "head": (0, 0, 1.58), "hip": (0, 0.08, 0.87), "knee": (0, 0.08, 0.48),
    "ankle": (0, 0.08, 0.08), "foot": (0.13, 0.08, 0.02), "collar": (0, 0.07, 1.40),
    "shoulder": (0, 0.18, 1.42), "elbow": (0, 0.20, 1.16), "wrist": (0, 0.22, 0.90),
}  # fmt: skip


def _sway(seed: int, seconds: float) -> MotionClip:
    """A person stands and sways, each seed by another width."""
    joints = np.zeros((round(seconds * 20), NUM_JOINTS, 3))
    for name, index in JOINT_INDEX.items():
        side, _, part = name.partition("_")
        joints[:, index] = _STANDING[part or name]
        joints[:, index, 1] *= -1.0 if side == "right" else 1.0
    width = 0.02 + 0.002 * (seed % 7)
    height = joints[..., 2] / 1.6
    joints[..., 1] += width * height * np.sin(np.arange(len(joints)) / 8.0)[:, None]
    return MotionClip(joints)


class StandIn:
    """Stands in for the pipeline without a model, and records the calls."""

    name = "stand-in"
    calls: list[dict[str, Any]] = []  # noqa: RUF012

    @classmethod
    def from_pretrained(cls, name_or_path: str = "moscale-cmu", device: str = "cpu") -> StandIn:
        cls.calls.append({"model": name_or_path, "device": device})
        return cls()

    def generate(
        self,
        text: str,
        options: GenerationOptions,
        *,
        constraints: Sequence[object] = (),
        run: Run,
    ) -> MotionClip:
        self.calls.append({"text": text, "guidance": options.guidance, "steps": options.steps})
        run.progress(1, 1)
        clip = _sway(options.seed, options.seconds or 2.0)
        return MotionClip(clip.joints, clip.fps, text, seed=options.seed)

    def come_to_rest(
        self,
        clip: MotionClip,
        options: GenerationOptions | None = None,
        *,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """Who walks stands for another second."""
        if "walks" not in clip.text:
            return clip
        self.calls.append({"stop": changes.get("seed")})
        return replace(clip, joints=np.concatenate([clip.joints, clip.joints[-20:]]))

    def generate_batch(
        self,
        texts: Sequence[str],
        options: GenerationOptions,
        *,
        seeds: Sequence[int],
        run: Run,
    ) -> list[MotionClip]:
        self.calls.append({"batch": len(texts)})
        return [
            self.generate(text, replace(options, seed=seed), run=run)
            for text, seed in zip(texts, seeds, strict=True)
        ]


@pytest.fixture(autouse=True)
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn.calls = []
    if not request.node.name.startswith("test_the_real_model"):
        module = types.ModuleType("nextscale_core.pipeline")
        module.MotionPipeline = StandIn  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "nextscale_core.pipeline", module)


@pytest.fixture(scope="module")
def g1() -> None:
    try:
        load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def run_and_fail(code: int, *arguments: str | Path) -> str:
    """Run; expect the exit code and exactly one line of complaint, which is returned."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    return lines[0]


# ---------------------------------------------------------------------------- one sentence


def test_a_sentence_in_another_language_is_made_with_one_warning(tmp_path: Path) -> None:
    result = run("generate", "eine Frau springt", "--out", tmp_path / "a.npz")
    assert result.exit_code == 0, result.output
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1 and "German" in warnings[0]
    assert "warning" not in run("generate", "a woman jumps", "--out", tmp_path / "b.npz").stderr


def test_a_sentence_becomes_an_npz_with_joints_fps_text_and_seed(tmp_path: Path) -> None:
    result = run("generate", " a person  waves ", "--seed", "7", "--out", tmp_path / "a.npz")
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["joints"].shape == (40, 22, 3)
        assert float(arrays["fps"]) == 20.0
        assert str(arrays["text"]) == "a person waves"
        assert int(arrays["seed"]) == 7


@pytest.mark.parametrize(
    ("options", "frames"),
    [((), 60), (("--no-come-to-rest",), 40), (("--seconds", "3"), 60)],
    ids=["stops", "does not", "length given"],
)
def test_a_motion_without_a_given_length_comes_to_rest(
    tmp_path: Path, options: tuple[str, ...], frames: int
) -> None:
    result = run("generate", "a person walks", *options, "--out", tmp_path / "a.npz")
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert len(arrays["joints"]) == frames
    assert ({"stop": None} in StandIn.calls) == (options == ())


def test_several_outputs_are_written_at_once(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.npz", "a.bvh", "a.png", "new/folder/a.gif")]
    options = [option for file in files for option in ("--out", file)]
    result = run("generate", "a person waves", "--seconds", "1", *options)
    assert result.exit_code == 0, result.output
    for file in files:
        assert file.stat().st_size > 500
        assert str(file) in result.output
    with Image.open(files[3]) as image:
        assert image.n_frames == 20
    joints = read_motion(files[0]).joints
    np.testing.assert_allclose(read_motion(files[1]).joints, joints - [0, 0, 0.02], atol=0.01)


def test_the_options_reach_the_model(tmp_path: Path) -> None:
    result = run(
        "generate", "a person waves", "--model", "other", "--steps", "1,2,3,4",
        "--guidance", "2.5", "--seconds", "3", "--device", "cpu", "--out", tmp_path / "a.npz",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert StandIn.calls == [
        {"model": "other", "device": "cpu"},
        {"text": "a person waves", "guidance": 2.5, "steps": (1, 2, 3, 4)},
    ]
    assert len(read_motion(tmp_path / "a.npz")) == 60


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a" * 501, "501"),
        ("walk\x07", r"U+0007"),
        ("человек идёт", "Cyrillic"),
        ("123 !", "no word"),
    ],
)
def test_a_bad_sentence_is_one_clear_line(text: str, reason: str, tmp_path: Path) -> None:
    line = run_and_fail(2, "generate", text, "--out", tmp_path / "a.npz")
    assert reason in line
    assert StandIn.calls == []  # the model is not loaded for it
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a person waves"], "--out"),
        (["a person waves", "--out", "a.fbx"], ".npz, .bvh, .glb, .usd, .usda, .usdc, .png, .gif"),
        (["a person waves", "--out", "."], "."),
        (["a person waves", "--out", "a.npz", "--steps", "1,2,,3"], "4,4,3,1,1,1,1"),
        (["a person waves", "--out", "a.npz", "--steps", "1,2,3,0"], "4,4,3,1,1,1,1"),
        (["a person waves", "--out", "a.npz", "--steps", "a,b,c,d"], "4,4,3,1,1,1,1"),
        (["a person waves", "--out", "a.npz", "--seconds", "0.5"], "seconds"),
        (["a person waves", "--out", "a.npz", "--seconds", "10"], "nextscale sequence"),
        (["a person waves", "--out", "a.npz", "--seconds", "nan"], "seconds"),
        (["a person waves", "--out", "a.npz", "--guidance", "inf"], "guidance"),
        (["a person waves", "--out", "a.npz", "--seed", "-1"], "seed"),
        (["a person waves", "--out", "a.npz", "--robot", "g1", "--rate", "0"], "rate"),
        (["a person waves", "--out", "a.bvh", "--robot", "g1"], "--robot"),
        (["a person waves", "--out", "a.npz", "--robot", "r2d2"], "r2d2"),
        (["--out", "a.npz"], "--prompts"),
        (["a", "person", "waves", "--out", "a.npz"], "quotation marks"),
        (["a person waves", "--prompts", "a.txt", "--out", "b"], "--prompts"),
        (["--prompts", "nowhere.txt", "--out", "b"], "nowhere.txt"),
        (["--prompts", "nowhere.txt"], "--out"),
    ],
)
def test_a_bad_option_is_one_clear_line(
    arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reason in run_and_fail(2, "generate", *arguments)


def test_an_output_below_a_file_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    line = run_and_fail(2, "generate", "a person waves", "--out", tmp_path / "file" / "a.npz")
    assert "cannot make the folder" in line
    assert StandIn.calls == []


def test_an_error_of_the_model_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> MotionClip:
        raise ConfigError("guidance must be\nat least 0")

    monkeypatch.setattr(StandIn, "generate", fail)
    line = run_and_fail(2, "generate", "a person waves", "--out", tmp_path / "a.npz")
    assert line == "error: guidance must be at least 0"


def test_a_bug_is_one_line_and_with_debug_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> MotionClip:
        raise KeyError("oops")

    monkeypatch.setattr(StandIn, "generate", fail)
    arguments = ["generate", "a person waves", "--out", str(tmp_path / "a.npz")]
    assert "KeyError: 'oops'" in run_and_fail(1, *arguments)
    result = run("--debug", *arguments)
    assert "Traceback" in result.output + capsys.readouterr().err


# ---------------------------------------------------------------------------- with a robot


def test_with_a_robot_the_npz_holds_its_trajectory(g1: None, tmp_path: Path) -> None:
    result = run(
        "generate", "a person sways", "--seconds", "1.5", "--seed", "3",
        "--robot", "g1", "--rate", "100", "--out", tmp_path / "a.npz",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        points = len(arrays["time_from_start"])
        assert arrays["joint_names"].shape == (29,)
        assert arrays["joint_names"].dtype.kind == "U"
        assert arrays["positions"].shape == arrays["velocities"].shape == (points, 29)
        assert arrays["base_position"].shape == (points, 3)
        assert arrays["base_quaternion"].shape == (points, 4)
        assert float(arrays["fps"]) == 100.0
        assert int(arrays["seed"]) == 3
        assert str(arrays["text"]) == "a person sways"
        assert str(arrays["robot"]) == "g1"
    trajectory = read_trajectory(tmp_path / "a.npz")
    np.testing.assert_allclose(trajectory.velocities[-1], 0.0, atol=1e-9)
    assert "safety" in result.output


@pytest.mark.parametrize(("option", "joints"), [("--upper-body", 17), ("--joints=left_elbow_*", 1)])
def test_with_a_robot_only_some_joints_may_move(
    g1: None, tmp_path: Path, option: str, joints: int
) -> None:
    (tmp_path / "two.txt").write_text("a person sways\na person waves\n", encoding="utf-8")
    one = ("generate", "a person sways", "--out", tmp_path / "a.npz")
    many = ("generate", "--prompts", tmp_path / "two.txt", "--out", tmp_path / "many")
    for command in (one, many):
        result = run(*command, "--seconds", "1", "--robot", "g1", option)
        assert result.exit_code == 0, result.output
    files = [tmp_path / "a.npz", *(tmp_path / "many").glob("*.npz")]
    assert [len(read_trajectory(file).joint_names) for file in files] == 3 * [joints]


def test_which_joints_move_needs_a_robot_and_is_said_once(tmp_path: Path) -> None:
    command = ("generate", "a person sways", "--upper-body", "--out", tmp_path / "a.npz")
    assert "--robot" in run_and_fail(2, *command)
    both = run_and_fail(2, *command, "--robot", "g1", "--joints", "waist_*")
    assert "give one of them" in both


def test_with_a_robot_the_picture_shows_the_robot(g1: None, tmp_path: Path) -> None:
    options = ("--seconds", "1", "--out")
    assert run("generate", "a person sways", *options, tmp_path / "human.png").exit_code == 0
    result = run("generate", "a person sways", *options, tmp_path / "g1.png", "--robot", "g1")
    assert result.exit_code == 0, result.output
    colored = []
    for name in ("human.png", "g1.png"):
        with Image.open(tmp_path / name) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)
        width = pixels.shape[1]
        body = pixels[:, : width // 2]
        colored.append(float((np.ptp(body, axis=-1) > 80).mean()))
    # The mannequin is blue and orange, the robot black and grey.
    assert colored[0] > 0.02
    assert colored[1] < 0.01


def _refuse_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    from nextscale_core.safety import Finding, GateResult, SafetyGate, SafetyReport

    original = SafetyGate.review

    def refuse(self: SafetyGate, *arguments: Any, **options: Any) -> GateResult:
        report = original(self, *arguments, **options).report
        finding = Finding("test", "the arm hits the head", 1.0, 0.0)
        values = {**report.__dict__, "outcome": "rejected", "findings": (finding,)}
        return GateResult(trajectory=None, report=SafetyReport(**values))

    monkeypatch.setattr(SafetyGate, "review", refuse)


def test_a_motion_that_the_gate_refuses_exits_3_with_the_reason_and_writes_nothing(
    g1: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_everything(monkeypatch)
    line = run_and_fail(3, "generate", "a person sways", "--robot", "g1", "-o", tmp_path / "a.npz")
    assert "the arm hits the head" in line
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------- many sentences


def _prompts(folder: Path, text: str) -> Path:
    path = folder / "prompts.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_many_sentences_become_one_file_each_and_an_index(tmp_path: Path) -> None:
    prompts = _prompts(tmp_path, "# a list\na person waves\n\n  a person walks, slowly!  \n")
    out = tmp_path / "out"
    result = run(
        "generate", "--prompts", prompts, "--samples", "3", "--seed", "10", "--batch", "4",
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    index = json.loads((out / "index.json").read_text(encoding="utf-8"))
    assert [(entry["text"], entry["seed"]) for entry in index] == [
        (text, seed)
        for text in ("a person waves", "a person walks, slowly!")
        for seed in (10, 11, 12)
    ]
    assert {entry["line"] for entry in index} == {2, 4}
    assert [call["batch"] for call in StandIn.calls if "batch" in call] == [4, 2]
    names = {path.name for path in out.iterdir()} - {"index.json"}
    assert names == {entry["file"] for entry in index}
    for entry in index:
        clip = read_motion(out / entry["file"])
        assert (clip.text, clip.seed) == (entry["text"], entry["seed"])
        assert entry["seconds"] == pytest.approx(clip.seconds)
        assert (entry["frames"], entry["model"]) == (len(clip), "stand-in")


def test_bad_lines_are_named_and_the_others_are_done(tmp_path: Path) -> None:
    prompts = _prompts(tmp_path, "a person waves\n12345\n走る\na person walks\n")
    result = run("generate", "--prompts", prompts, "--out", tmp_path / "out")
    assert result.exit_code == 2
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "prompts.txt line 2: " in errors[0]
    assert "prompts.txt line 3: " in errors[1]
    index = json.loads((tmp_path / "out" / "index.json").read_text(encoding="utf-8"))
    assert [entry["line"] for entry in index] == [1, 4]


def test_the_same_sentence_twice_is_two_files(tmp_path: Path) -> None:
    prompts = _prompts(tmp_path, "a person waves\na person waves\n")
    assert run("generate", "--prompts", prompts, "--out", tmp_path / "out").exit_code == 0
    assert len(list((tmp_path / "out").glob("*.npz"))) == 2


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"\xff\xfe\x00walk"])
def test_prompts_without_a_sentence_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(content)
    run_and_fail(2, "generate", "--prompts", tmp_path / "p.txt", "--out", tmp_path / "out")
    assert StandIn.calls == []


def test_only_bad_lines_make_no_folder(tmp_path: Path) -> None:
    prompts = _prompts(tmp_path, "...\n")
    assert "line 1" in run_and_fail(2, "generate", "--prompts", prompts, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_folder_of_many_cannot_be_a_file(tmp_path: Path) -> None:
    prompts = _prompts(tmp_path, "a person waves\n")
    assert "is a file" in run_and_fail(2, "generate", "--prompts", prompts, "--out", prompts)


def test_many_with_a_robot_are_trajectories_with_a_safety_report(g1: None, tmp_path: Path) -> None:
    prompts = _prompts(tmp_path, "a person sways\n")
    out = tmp_path / "out"
    result = run(
        "generate", "--prompts", prompts, "--samples", "2", "--seconds", "1", "--robot", "g1",
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for entry in json.loads((out / "index.json").read_text(encoding="utf-8")):
        assert len(read_trajectory(out / entry["file"])) == entry["frames"]
        assert entry["robot"] == "g1"
        assert entry["safety"]["outcome"] in ("pass", "repaired")


def test_refused_motions_are_in_the_index_without_a_file(
    g1: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_everything(monkeypatch)
    prompts = _prompts(tmp_path, "a person sways\n")
    out = tmp_path / "out"
    result = run("generate", "--prompts", prompts, "--robot", "g1", "--out", out)
    assert result.exit_code == 3, result.output
    (entry,) = json.loads((out / "index.json").read_text(encoding="utf-8"))
    assert entry["file"] is None
    assert "the arm hits the head" in entry["safety"]["reason"]
    assert list(out.glob("*.npz")) == []


# ---------------------------------------------------------------------------- the other commands


@pytest.mark.parametrize("suffix", [".npz", ".bvh"])
def test_a_motion_file_is_retargeted(g1: None, suffix: str, tmp_path: Path) -> None:
    write_motion(_sway(0, 1.5), tmp_path / f"a{suffix}")
    out = tmp_path / "robot.npz"
    result = run("retarget", tmp_path / f"a{suffix}", "--robot", "g1", "--rate", "25", "--out", out)
    assert result.exit_code == 0, result.output
    trajectory = read_trajectory(out)
    assert trajectory.fps == 25.0
    assert trajectory.seconds >= 1.4


def test_a_broken_motion_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text("HIERARCHY\nROOT", encoding="utf-8")
    line = run_and_fail(2, "retarget", tmp_path / "a.bvh", "--out", tmp_path / "b.npz")
    assert "a.bvh line 2" in line


def test_a_urdf_without_a_profile_says_what_is_needed(tmp_path: Path) -> None:
    write_motion(_sway(0, 1.0), tmp_path / "a.npz")
    (tmp_path / "r.urdf").write_text("<robot name='r'/>", encoding="utf-8")
    line = run_and_fail(
        2, "retarget", tmp_path / "a.npz", "--robot", tmp_path / "r.urdf", "-o", tmp_path / "b.npz"
    )
    assert "profile" in line


def test_the_robots_are_listed_with_their_joints(g1: None) -> None:
    result = run("robots")
    assert result.exit_code == 0, result.output
    line = next(line for line in result.output.splitlines() if " g1 " in line)
    assert " 29 " in line
    assert "Unitree G1" in line
    assert ".urdf" in run("robots", "list", "--paths").output


def test_a_robot_that_is_not_installed_is_listed_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise RobotError(f"the package of {name} is not installed; pip install it")

    monkeypatch.setattr("nextscale_core.robots.robot.load_robot", missing)
    result = run("robots")
    assert result.exit_code == 0
    assert "pip install it" in " ".join(result.output.split())


def test_the_version_is_that_of_the_package() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.startswith("nextscale ")


READERS = [["retarget"], ["complete"], ["edit"], ["view"], ["bag", "from-motion"]]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_every_command_that_reads_a_motion_takes_what_is_known_of_the_file(
    command: list[str],
) -> None:
    words = CliRunner().invoke(cli.app, [*command, "--help"], env={"COLUMNS": "200"}).output.split()
    assert {"--up", "--unit", "--fps", "--map"} <= set(words)


def test_what_the_reader_assumed_is_printed_and_can_be_given(tmp_path: Path) -> None:
    joints = _sway(1, 2.0).joints * 100.0
    np.savez(tmp_path / "a.npz", joints=joints[..., [1, 2, 0]], fps=24.0)
    out = tmp_path / "b.npz"
    printed = run("retarget", tmp_path / "a.npz", "--rate", "25", "--out", out)
    assert "unit taken as cm" in printed.output
    assert "y taken as up" in printed.output
    assert "40 frames at 24 Hz" in printed.output
    given = run(
        "retarget", tmp_path / "a.npz", "--rate", "25", "--out", out,
        "--unit", "cm", "--up", "y", "--fps", "20",
    )  # fmt: skip
    assert "note 1: 20 frames per second, as given" in given.output
    assert "note 2" not in given.output
    assert "40 frames at 20 Hz" in given.output
    line = run_and_fail(2, "retarget", tmp_path / "a.npz", "--up", "w", "--out", out)
    assert "up must be auto" in line


def test_a_map_file_names_the_joints_of_a_rig(tmp_path: Path) -> None:
    write_motion(_sway(1, 2.0), tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text().replace("JOINT left_wrist", "JOINT tentacle")
    (tmp_path / "a.bvh").write_text(text)
    (tmp_path / "map.yaml").write_text("left_wrist: tentacle\n")
    done = run(
        "retarget", tmp_path / "a.bvh", "--map", tmp_path / "map.yaml", "-o", tmp_path / "b.npz"
    )
    assert "found by the bones" not in done.output
    (tmp_path / "map.yaml").write_text("left_wrist: nothing\n")
    line = run_and_fail(
        2, "retarget", tmp_path / "a.bvh", "--map", tmp_path / "map.yaml", "-o", tmp_path / "b.npz"
    )
    assert "no joint 'nothing'" in line


@pytest.mark.parametrize("command", [[], ["generate"], ["retarget"], ["robots"], ["train"]])
def test_every_command_has_help(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def _commands(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield names, command
    for name, part in getattr(command, "commands", {}).items():
        yield from _commands(part, *names, name)


def test_help_shows_the_units_in_brackets_as_they_are_written() -> None:
    raw = dict(_commands(typer.main.get_command(cli.app)))
    units = 0
    for names, command in raw.items():
        written = Counter(
            unit
            for item in (command, *command.params)
            for unit in re.findall(r"(?<=\\)\[[a-zA-Z]+\]", getattr(item, "help", None) or "")
        )
        shown = run(*names, "--help").output
        assert "\\[" not in shown
        assert {unit: shown.count(unit) for unit in written} == written, names
        units += written.total()
    assert units >= 8


def test_an_unknown_command_is_one_clear_line() -> None:
    assert "dance" in run_and_fail(2, "dance")


def test_help_does_not_load_the_heavy_libraries() -> None:
    script = (
        "import sys; from nextscale_core.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'pinocchio', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "generate" in done.stdout


def test_errors_go_to_stderr_and_results_to_stdout(tmp_path: Path) -> None:
    script = "from nextscale_core.cli import main; main()"
    arguments = ["generate", "123", "--debug", "--out", str(tmp_path / "a.npz")]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" in done.stderr  # --debug counts wherever it stands
    assert done.stderr.splitlines()[-1].startswith("error: text '123' holds no word")


def test_a_reader_that_has_read_enough_is_no_error(tmp_path: Path) -> None:
    script = "from nextscale_core.cli import main; main()"
    urdf = toy_humanoid(tmp_path)
    command = [sys.executable, "-c", script, "robots", "draft", str(urdf)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""


@pytest.mark.parametrize("module", ["nextscale_core.cli.bag", "rich.table", "typer"])
def test_ctrl_c_during_the_imports_is_quiet(module: str) -> None:
    script = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from nextscale_core.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "formats"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# ---------------------------------------------------------------------------- the real model


def _weights_missing() -> str:
    try:
        resource("weights/moscale-cmu")
    except NextscaleError as error:
        return str(error)
    return ""


@pytest.mark.skipif(bool(_weights_missing()), reason=f"no weights: {_weights_missing()}")
def test_the_real_model_makes_the_motion_that_the_options_ask_for(tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    for _ in range(2):
        result = run("generate", "a person walks forward", "--seconds", "2", "--out", out)
        assert result.exit_code == 0, result.output
        clip = read_motion(out)
        assert len(clip) == pytest.approx(40, abs=4)
        assert 1.2 < float(np.ptp(clip.joints[0, :, 2])) < 2.0
        out, before = tmp_path / "b.npz", out
    np.testing.assert_array_equal(read_motion(before).joints, clip.joints)


def test_the_numbers_that_help_need_not_import_are_those_of_the_library():
    from nextscale_core.cli import choices
    from nextscale_core.model import options

    assert choices.DEFAULT_CANDIDATES == options.DEFAULT_CANDIDATES

"""`make run`, from inside: sentence, node, trajectory, mock robot, picture."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ros.graph import HERE, START, TRIES

ROOT = HERE.parents[1]
TEXT = "a person raises the right arm"


def demo(out: Path, *arguments: str, text: str | tuple[str, ...] = TEXT) -> subprocess.Popen[str]:
    """The demo in a separate process, with the tests' motion source by default."""
    module = "nextscale_ros.demo" if "--model" in arguments else "ros.fake_demo"
    texts = (text,) if isinstance(text, str) else text
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'test'}", "COLUMNS": "120"}
    return subprocess.Popen(
        [sys.executable, "-m", module, "--out", str(out), *arguments, "--", *texts],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and output."""
    output, _ = process.communicate(timeout=2 * START)
    return process.returncode, output


def served(out: Path, *arguments: str, text: str | tuple[str, ...] = TEXT) -> tuple[int, str]:
    """Exit status and output of the first run of `TRIES` for which the machine is not too busy."""
    for _ in range(TRIES):
        status, output = finish(demo(out, *arguments, text=text))
        if not re.search("too late|raise state_timeout", " ".join(output.split())):
            break
    return status, output


def processes_of(out: Path) -> list[str]:
    """Command lines of running processes that log below `out`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "fd" / "1").readlink().is_relative_to(out):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def assert_shows_something(picture: Path) -> None:
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.size > 100_000
    assert pixels.std() > 5.0


@pytest.mark.parametrize(
    ("robot", "joints"), [("g1", 29), ("talos", 28)], ids=["all joints move", "some are locked"]
)
def test_a_sentence_is_executed_and_drawn(tmp_path: Path, robot: str, joints: int) -> None:
    status, output = served(tmp_path, "--robot", robot)
    assert status == 0, output
    assert f"{joints} joints" in output
    for stage in ("generate", "gate", "message"):
        assert stage in output
    assert_shows_something(tmp_path / "a_person_raises_the_right_arm.png")
    assert processes_of(tmp_path) == []


SEAM = re.compile(r"first point ([0-9.]+) rad and ([0-9.]+) rad/s from the measured state")


@pytest.mark.parametrize("arguments", [(), ("--interrupt", "1.0")], ids=["at its end", "after 1 s"])
def test_several_sentences_are_executed_as_one_motion(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    texts = ("a person raises the right arm", "somebody lifts an arm")
    status, output = served(tmp_path, "--seconds", "4.0", *arguments, text=texts)
    assert status == 0, output
    for text in texts:
        assert output.count(text) >= 2
    assert "before the robot would rest" in output
    jumps = [(float(a), float(b)) for a, b in SEAM.findall(" ".join(output.split()))]
    assert len(jumps) == 2
    assert max(position for position, _ in jumps) < 1e-3
    assert max(velocity for _, velocity in jumps) < 0.2
    (picture,) = tmp_path.glob("*.png")
    assert picture.name.startswith("a_person_raises_the_right_arm_then_somebody")
    assert_shows_something(picture)
    assert processes_of(tmp_path) == []


def test_a_simulated_robot_executes_the_sentence_and_is_drawn_and_animated(tmp_path: Path) -> None:
    status, output = served(tmp_path, "--sim", "--balancer", "fixed")
    assert status == 0, output
    assert "its base is fixed" in output and "the simulated robot has executed it" in output
    assert_shows_something(tmp_path / "a_person_raises_the_right_arm.png")
    with Image.open(tmp_path / "a_person_raises_the_right_arm.gif") as animation:
        assert animation.n_frames > 10
    assert processes_of(tmp_path) == []


def test_a_simulation_without_its_policy_fails_with_what_to_give(tmp_path: Path) -> None:
    status, output = finish(demo(tmp_path, "--sim", "--policy", str(tmp_path / "nowhere.onnx")))
    assert status == 1
    assert "nowhere.onnx" in "".join(output.split()) and "Traceback" not in output


def test_a_bad_sentence_after_a_good_one_fails_with_the_reason(tmp_path: Path) -> None:
    status, output = served(tmp_path, text=(TEXT, "12345"))
    assert status == 1
    assert "bad_input" in output and "no word" in output
    assert processes_of(tmp_path) == []


def test_a_bad_sentence_fails_with_the_reason(tmp_path: Path) -> None:
    status, output = finish(demo(tmp_path, text="12345"))
    assert status == 1
    assert "bad_input" in output and "no word" in output
    assert processes_of(tmp_path) == []


def test_an_unknown_robot_fails_with_the_reason(tmp_path: Path) -> None:
    status, output = finish(demo(tmp_path, "--robot", "r2d2"))
    assert status == 1
    assert "r2d2" in output and "Traceback" not in output
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_process_is_left_behind_when_it_is_interrupted(
    tmp_path: Path, sign: signal.Signals
) -> None:
    process = demo(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "ready" in line:
            break
    assert len(processes_of(tmp_path)) == 2
    process.send_signal(sign)
    status, _ = finish(process)
    assert status == 128 + sign
    assert processes_of(tmp_path) == []


def test_the_trained_model_speaks_to_the_robot(tmp_path: Path, trained_model: Path) -> None:
    text = "a person waves with the right hand"
    status, output = served(tmp_path, "--model", trained_model.name, "--seed", "1", text=text)
    assert status == 0, output
    assert_shows_something(tmp_path / "a_person_waves_with_the_right_hand.png")

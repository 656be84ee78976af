"""The names that users import, the old paths of these, and the commands of nextscale-lab."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import nextscale_core
import nextscale_core.retarget
from nextscale_core.cli import app as cli

PUBLIC = (
    "MotionClip",
    "MotionPipeline",
    "Retargeter",
    "RobotState",
    "RobotTrajectory",
    "SafetyGate",
    "load_robot",
)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_names_come_from_the_package_itself(name: str) -> None:
    assert getattr(nextscale_core, name).__name__ == name
    assert name in nextscale_core.__all__


@pytest.mark.parametrize("name", ["RobotState", "RobotTrajectory", "SafetyGate", "load_robot"])
def test_old_paths_of_public_names_give_a_warning_for_one_release(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"import {name} from nextscale_core"):
        old = getattr(nextscale_core.retarget, name)
    assert old is getattr(nextscale_core, name)


def test_the_core_is_imported_without_torch_and_pinocchio() -> None:
    code = (
        "import sys, nextscale_core; sys.exit('torch' in sys.modules or 'pinocchio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_laboratory_its_commands_say_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [])
    app = cli.make_app()
    result = CliRunner().invoke(app, ["train", "tokenizer", "--data", "somewhere"])
    assert result.exit_code == cli.BAD_INPUT
    assert "pip install ./nextscale_lab" in result.output
    assert "train" in CliRunner().invoke(app, ["--help"]).output


def test_tab_completion_shows_the_public_names() -> None:
    assert set(PUBLIC) | {"plan", "MotionPlanner"} <= set(dir(nextscale_core))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["nosuch"]])
def test_an_unknown_executable_is_answered_with_those_that_exist(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "nextscale_ros", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "generate_node" in answer.stderr and "Traceback" not in answer.stderr


@pytest.mark.parametrize("module", [["nextscale_ros.demo"], ["nextscale_ros", "bag_replay"]])
def test_units_stay_in_the_help_of_programs(module: list[str]) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    command = [sys.executable, "-m", *module, "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    assert "[s]" in answer.stdout

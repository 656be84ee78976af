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

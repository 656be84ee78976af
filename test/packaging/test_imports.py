"""What is imported before it is needed: seconds of start, megabytes of memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = [
    *("numpy", "scipy", "torch", "transformers", "pinocchio", "coal", "pandas"),
    *("matplotlib", "sympy", "pydantic"),
]


def imported(program: str) -> set[str]:
    """The modules that a program has imported at its end."""
    code = f"{program}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n"))


@pytest.mark.parametrize(
    "program",
    [
        "import nextscale_core",
        "import nextscale_core.cli",
        "import nextscale_core.cli.app as app, typer.testing\n"
        "typer.testing.CliRunner().invoke(app.app, ['--help'])",
    ],
)
def test_the_package_and_its_help_import_no_heavy_package(program: str) -> None:
    assert not imported(program).intersection(HEAVY)


def test_the_parts_of_a_model_are_loaded_without_the_compiler_of_torch() -> None:
    program = (
        "from nextscale_core.model.kinds import load_generator, load_tokenizer\n"
        "from nextscale_core.resources import resource\n"
        "folder = resource('weights/moscale-cmu')\n"
        "load_tokenizer(folder / 'tokenizer'), load_generator(folder / 'generator')"
    )
    assert not imported(program).intersection({"transformers", "torch._dynamo", "sympy"})


def test_a_robot_imports_no_torch() -> None:
    program = "import nextscale_core.retarget, nextscale_core.safety, nextscale_core.robots"
    assert "torch" not in imported(program)

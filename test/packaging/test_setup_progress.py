"""What tools/setup.sh shows while pip works."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = """\
# Made by 'make lock'.
torch==2.13.0  # 500 MB
click==8.5.1
numpy==2.2.6 ; python_full_version < '3.5'  # 16 MB
numpy==2.4.6 ; python_full_version >= '3.5'  # 20 MB
ros-rclpy==7.1.6  # 3 MB
# The torch of PyPI asks for 3 GPU libraries more: 2000 MB
"""


@pytest.fixture(scope="module")
def progress() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_progress", ROOT / "tools" / "progress.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(step, seconds: float, *lines: str) -> tuple[str, float | None]:
    """The state after lines that came evenly over some seconds."""
    for index, line in enumerate(lines):
        step.read(line, seconds * index / max(1, len(lines) - 1))
    return step.status(seconds)


def test_packages_and_megabytes_are_counted_with_the_gpu_libraries(progress, tmp_path) -> None:
    text, left = read(
        progress.Packages(REQUIREMENTS, tmp_path),
        100.0,
        "Collecting torch==2.13.0 (from -r requirements.txt (line 1))",
        "  Downloading torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl (500.0 MB)",
        "Progress 0 of 500000000",
        "Progress 250000000 of 500000000",
    )
    assert text == "downloading: 0 of 7 packages, 250 of 2523 MB"
    # 250 MB took 100 s; the rest takes about nine times as long, and then it is unpacked.
    assert left is not None and 900 < left < 1200


def test_without_gpu_libraries_the_sum_is_smaller_from_the_first_line(progress, tmp_path) -> None:
    text, _ = read(
        progress.Packages(REQUIREMENTS, tmp_path),
        10.0,
        "Looking in links: wheels",
        "Processing ./wheels/torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
        "Processing ./wheels/not_locked-1.0-py3-none-any.whl (from torch==2.13.0)",
        "Collecting click==8.5.1",
        "  Using cached click-8.5.1-py3-none-any.whl (126 kB)",
        "Collecting numpy==2.4.6",
        "  Downloading numpy-2.4.6-cp312-cp312-manylinux_2_28_x86_64.whl (30.0 MB)",
        "Progress 15000000 of 30000000",
    )
    assert text == "downloading: 3 of 5 packages, 515 of 533 MB"


def test_the_metadata_that_pip_reads_first_are_not_taken_for_packages(progress, tmp_path) -> None:
    text, left = read(
        progress.Packages(REQUIREMENTS, tmp_path),
        10.0,
        "Collecting torch==2.13.0",
        "  Downloading torch-2.13.0%2Bcpu-cp312-cp312-linux_x86_64.whl.metadata (30 kB)",
        "Collecting click==8.5.1",
        "  Using cached click-8.5.1-py3-none-any.whl.metadata (2.6 kB)",
    )
    assert (text, left) == ("resolving: 2 of 4 packages", None)


def test_what_is_installed_is_counted_in_the_environment(progress, tmp_path) -> None:
    (tmp_path / "pip-26.3.dist-info").mkdir()
    step = progress.Packages(REQUIREMENTS, tmp_path)
    read(step, 10.0, "Collecting click", "Installing collected packages: torch, click, numpy, x")
    (tmp_path / "torch-2.13.0.dist-info").mkdir()
    text, left = step.status(20.0)
    assert text == "installing: 1 of 4 packages"
    # 500 MB took 10 s; 2000 MB are left.
    assert left is not None and 35 < left < 45


def test_the_steps_of_both_builds_are_counted(progress) -> None:
    step = progress.Build()
    assert read(step, 1.0, "Preparing editable metadata")[1] is None
    assert read(step, 40.0, "  [1/80] Generating", "  [40/80] Building C object x.o") == (
        "building the ROS messages: part 1 of 2, 40 of 80",
        pytest.approx(80.0),
    )
    step.read("[1/60] Generating", 100.0)
    assert step.status(100.0)[0] == "building the ROS messages: part 2 of 2, 1 of 60"


def test_without_a_terminal_lines_come_at_intervals_and_the_log_has_the_rest(
    progress, tmp_path
) -> None:
    script = (
        "import time\n"
        "print('Collecting click==8.5.1')\n"
        "print('Progress 1 of 2')\n"
        "time.sleep(1.2)\n"
        "raise SystemExit(3)\n"
    )
    screen, log = io.StringIO(), tmp_path / "install.log"
    step = progress.Packages(REQUIREMENTS, tmp_path)
    status = progress.run([sys.executable, "-c", script], log, step, screen, interval=0.4)
    assert status == 3
    lines = screen.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert "  resolving: 1 of 7 packages, 0:00 elapsed" in lines
    assert log.read_text() == "Collecting click==8.5.1\n"


def test_the_locked_sizes_are_read(progress, tmp_path) -> None:
    """At least the largest packages of the real lock have one."""
    step = progress.Packages((ROOT / "requirements.lock").read_text(encoding="utf-8"), tmp_path)
    text, _ = read(step, 1.0, "  Downloading torch-2.13.0-cp312-cp312-x.whl (526.9 MB)")
    packages, megabytes = (int(part.split(" of ")[1].split()[0]) for part in text.split(","))
    assert 240 < packages < 300
    assert 3000 < megabytes < 4000

"""`nextscale-ros`: the launch file's processes without `ros2 launch`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from ros.graph import HERE, START, Graph

PARAMETERS = HERE.parents[1] / "config" / "params.yaml"


def bring_up(graph: Graph, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nextscale_ros.bringup", *arguments],
        env=graph.env,
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_when_one_process_dies_the_others_are_ended_and_the_status_tells(graph: Graph) -> None:
    process = bring_up(graph, "--model", "no-such-model")
    output, _ = process.communicate(timeout=START)
    assert process.returncode == 1
    assert "no model 'no-such-model'" in output
    assert "generate_node ended with status 1" in output


def test_it_ends_its_processes_when_it_is_interrupted(graph: Graph, trained_model: Path) -> None:
    process = bring_up(graph, "--params-file", str(PARAMETERS), "--model", str(trained_model))
    assert process.stdout is not None
    for line in process.stdout:
        if "ready: listening" in line:
            break
    process.send_signal(signal.SIGINT)
    # The pipe closes only when every process that writes to it has ended.
    process.communicate(timeout=START)
    assert process.returncode == 0


def test_it_takes_the_arguments_of_the_launch_file(graph: Graph) -> None:
    output, _ = bring_up(graph, "--help").communicate(timeout=START)
    for option in ("robot", "model", "device", "mock", "params-file", "log-level"):
        assert f"--{option}" in output

"""examples/ros_client.py beside a running generate node."""

from __future__ import annotations

import subprocess
import sys

from ros.graph import HERE, START, Graph


def test_a_sentence_is_sent_and_its_report_printed(graph: Graph) -> None:
    graph.start("ros.fake_pipeline", {"start_from_state": False})
    done = subprocess.run(
        [sys.executable, HERE.parents[1] / "examples" / "ros_client.py", "a person waves"],
        env=graph.env,
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )
    graph.alive()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pass: ")

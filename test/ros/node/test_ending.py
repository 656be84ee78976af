"""Ctrl-C, however often and whenever it comes, ends every program quickly, with status 0."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from std_msgs.msg import String

from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from ros.graph import REPLY, START, Graph, until

QUICKLY = 4.0
"""Two seconds, and as much again for a busy machine [s]; `ros2 launch` waits for 5."""


def interrupt(child: Child) -> float:
    """Ctrl-C again and again, as a terminal, `ros2 launch` and people send it; how long it took."""
    begin = time.monotonic()
    while child.process.poll() is None:
        child.process.send_signal(signal.SIGINT)
        time.sleep(0.03)
        assert time.monotonic() - begin < 30.0, f"it goes on\n{child.tail()}"
    return time.monotonic() - begin


def ends_cleanly(graph: Graph, child: Child) -> None:
    graph.children.remove(child)
    took = interrupt(child)
    assert child.process.returncode == 0, child.tail()
    assert "Traceback" not in child.tail()
    assert took < QUICKLY


def has_handlers(child: Child) -> bool:
    """Whether the process handles SIGTERM, which Python itself does not."""
    lines = Path(f"/proc/{child.process.pid}/status").read_text().splitlines()
    (caught,) = (line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def connected(graph: Graph, child: Child, topic: str) -> tuple[Recorder, Callable[[str], None]]:
    """Somebody who can send the node sentences."""
    recorder = graph.recorder()
    text = recorder.create_publisher(String, topic, 10)
    assert child.log is not None
    log = child.log

    def say(sentence: str) -> None:
        def asked() -> bool:
            # Again and again: we may see the node before it sees us.
            text.publish(String(data=sentence))
            return sentence in log.read_text()

        recorder.wait(asked, REPLY, "the request", child.check)

    recorder.wait(lambda: text.get_subscription_count() > 0, START, "the node", child.check)
    return recorder, say


def test_a_node_that_generates_ends(graph: Graph) -> None:
    child = graph.start("ros.fake_pipeline", {"text_topic": "/ending", "start_from_state": False})
    _, say = connected(graph, child, "/ending")
    say("please wait")
    ends_cleanly(graph, child)


def test_a_node_whose_motion_is_executed_ends(graph: Graph) -> None:
    robot = graph.start("mock_robot", {"command_topic": "/ending/command"})
    child = graph.start(
        "ros.fake_pipeline", {"text_topic": "/ending/text", "command_topic": "/ending/command"}
    )
    recorder, say = connected(graph, child, "/ending/text")
    recorder.wait(lambda: bool(recorder.states), START, "the robot", graph.alive)

    def moves() -> bool:
        return any(abs(speed) > 0.05 for speed in recorder.states[-1].velocity)

    while not moves():
        say("a person raises the right arm")
        recorder.listen(1.0)
    ends_cleanly(graph, child)
    ends_cleanly(graph, robot)


@pytest.mark.parametrize(
    "module", ["generate_node", "mock_robot", "viewer_node", "bag_recorder", "ros.fake_pipeline"]
)
def test_a_program_that_is_only_just_being_imported_ends(graph: Graph, module: str) -> None:
    child = graph.start(module)
    until(lambda: has_handlers(child), "the signal handlers")
    ends_cleanly(graph, child)


@pytest.mark.parametrize(
    ("module", "says"), [("viewer_node", "is shown at"), ("bag_recorder", "recording")]
)
def test_a_program_that_serves_ends(graph: Graph, module: str, says: str) -> None:
    if module == "viewer_node":
        pytest.importorskip("viser", reason="the page needs viser, which is not installed")
    arguments = ["--", "-o", str(graph.folder / "bag")] if module == "bag_recorder" else []
    child = graph.start(module, {}, arguments)
    assert child.log is not None
    log = child.log
    until(lambda: says in log.read_text(), says)
    ends_cleanly(graph, child)

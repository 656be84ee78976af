"""A ROS graph of its own for every module of tests; nodes under test are separate processes."""

from __future__ import annotations

import os
import signal

# Before any message module is imported: a wrong field type shall raise, not pass.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("ROS_LOCALHOST_ONLY", None)

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_ros.bringup.processes import private_graph
from nextscale_ros.demo.recorder import DemoTimeoutError
from ros.graph import HERE, Graph

# Fast DDS 2.14.5 hangs now and then in processes of several participants, as those of the tests are
# (nodes of the product have one); with fastdds.xml these talk to each other as processes do.
for _variable in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
    os.environ.setdefault(_variable, str(HERE / "fastdds.xml"))

# Under nohup, children would ignore it too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

_RUNNING = (
    *("test_parameter_schema", "test_demo", "test_ending", "test_fuzz_messages", "test_inputs"),
    *("test_processes", "test_parameters", "test_signals", "test_soak"),
)
"""Modules that start nodes without the fixture `graph`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a test again whose graph did not answer in time, once; the output says that it was.

    Discovery drops messages now and then where two cores do everything (ros2/rmw_fastrtps#842), and
    a test cannot tell that from a node that is silent. A wrong answer is not tried again.

    What needs a running graph is marked `graph`: `make test` leaves the machine to those alone.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["DemoTimeoutError"]))
            if "graph" in getattr(item, "fixturenames", ()) or item.path.stem in _RUNNING:
                item.add_marker(pytest.mark.graph)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what did not come in time in each try that was repeated."""
    for report in terminalreporter.stats.get("rerun", []):
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            terminalreporter.write_line(f"tried again: {report.nodeid}: {crash.message}")


_graphs: list[Graph] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """End what a setup started that timed out: it is tried again, and would find two of each."""
    counts = [len(graph.children) for graph in _graphs]
    try:
        return (yield)
    except DemoTimeoutError:
        for graph, count in zip_longest(_graphs, counts, fillvalue=0):
            graph.end_since(count)
        raise


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    folder = tmp_path_factory.mktemp("graph")
    with ExitStack() as stack:
        env = stack.enter_context(private_graph(folder))
        env["PYTHONPATH"] = str(HERE.parent)
        env["ROS_PYTHON_CHECK_FIELDS"] = "1"
        env["OMP_NUM_THREADS"] = "1"
        os.environ["ROS_HOME"] = env["ROS_HOME"]
        context = Context()
        rclpy.init(
            context=context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(context.try_shutdown)
        # With the last node of a context goes its DDS participant, and a new one is discovered
        # after up to 3 s, now and then much later; so one node stays.
        keeper = Node("keeper", context=context, start_parameter_services=False)
        stack.callback(keeper.destroy_node)
        _graphs.append(Graph(env, context, folder, stack))
        stack.callback(_graphs.pop)
        yield _graphs[-1]
    failed = [line for log in folder.glob("*.log") for line in failed_callbacks(log)]
    assert not failed, "a node goes on after an error that nobody expected"


def failed_callbacks(log: Path) -> list[str]:
    """Lines of a node's log that tell of errors in callbacks.

    Apart from those of rclpy, in whose executor handles may be destroyed while it waits for them.
    """
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if "a callback failed" in line and "InvalidHandle" not in line]


@pytest.fixture
def make_trajectory() -> Callable[..., RobotTrajectory]:
    """A small made-up trajectory: all joints swing and come to rest."""

    def make(joint_names: tuple[str, ...] = ("a", "b", "c"), points: int = 11) -> RobotTrajectory:
        times = np.linspace(0.0, 1.0, points)
        angle = 2 * np.pi * times
        scale = np.linspace(0.1, 0.3, len(joint_names))
        return RobotTrajectory(
            robot="made-up",
            joint_names=joint_names,
            positions=np.outer(1 - np.cos(angle), scale),
            velocities=np.outer(2 * np.pi * np.sin(angle) * (times < 1), scale),
            time_from_start=times,
            base_position=np.column_stack([times, 0 * times, 0.8 + 0 * times]),
            base_quaternion=np.column_stack(
                [0 * times, 0 * times, np.sin(times / 4), np.cos(times / 4)]
            ),
            fps=10.0,
        )

    return make

"""What a lab does to a process: no disk, no cache, no network, clocks that jump, robots that go."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState

from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import ErrorCode, MotionReport
from ros.goals import Goals
from ros.graph import REPLY, START, Graph

TEXT = "a person raises the right arm"
GOOD = (MotionReport.PASS, MotionReport.REPAIRED)
HOURS = 3 * 3600 * NANOSECONDS
TRIES = 60
"""Sentences after a jump until one is served; those before are refused for want of a state."""


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture
def client(graph: Graph) -> Iterator[Recorder]:
    recorder = Recorder(graph.context)
    yield recorder
    recorder.destroy_node()


@pytest.fixture
def start(graph: Graph) -> Iterator[Callable[..., Child]]:
    """Starts processes that end with the test, in an environment of their own."""
    started: list[Child] = []

    def begin(
        module: str = "ros.fake_pipeline", parameters: dict[str, object] | None = None, **env: str
    ) -> Child:
        before = dict(graph.env)
        graph.env.update(env)
        try:
            started.append(graph.start(module, parameters))
        finally:
            graph.env.clear()
            graph.env.update(before)
        return started[-1]

    yield begin
    for child in started:
        child.stop()
        if child in graph.children:
            graph.children.remove(child)


def ask(client: Recorder, node: Child, text: str = TEXT) -> MotionReport:
    count = len(client.reports)
    client.say(text)
    client.wait(lambda: len(client.reports) > count, REPLY, "a report", node.check)
    return client.reports[-1]


def served_again(client: Recorder, node: Child) -> list[MotionReport]:
    """Ask until a sentence is served and its trajectory here; the reports on those before."""
    refused: list[MotionReport] = []
    commands = len(client.commands)
    for _ in range(TRIES):
        report = ask(client, node)
        if report.outcome in GOOD:
            # It may come after its report.
            client.wait(
                lambda: len(client.commands) > commands, REPLY, "the trajectory", node.check
            )
            return refused
        refused.append(report)
        client.listen(0.2)
    raise AssertionError(f"not served any more: {refused[-1].message}")


def diagnosed(client: Recorder, node: Child, clock: float | None = None) -> DiagnosticStatus:
    """The next status of the node; the next one when its clock shows about a time [s]."""
    received: list[DiagnosticArray] = []
    subscription = client.create_subscription(DiagnosticArray, "/diagnostics", received.append, 10)

    def is_there() -> bool:
        if clock is None or not received:
            return bool(received)
        return abs(received[-1].header.stamp.sec - clock) < REPLY

    client.wait(is_there, REPLY, "diagnostics", node.check)
    client.destroy_subscription(subscription)
    return received[-1].status[0]


def log_of(child: Child) -> str:
    assert child.log is not None
    return child.log.read_text(errors="replace")


# -- disk


@pytest.mark.parametrize("place", ["a file", "a device", "no folder", "full"])
def test_without_a_cache_it_only_starts_slower(
    place: str, client: Recorder, start: Callable[..., Child], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = {
        "a file": tmp_path / "file",
        "a device": Path("/dev/full"),
        "no folder": Path("/proc/self/nowhere"),
        "full": tmp_path,
    }[place]
    node = start(parameters={"start_from_state": False}, NEXTSCALE_CACHE=str(cache))
    if place == "full":
        # No file can grow beyond this, be it on the disk or in shared memory; the log still fits.
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (16_384, 16_384))
    client.wait(lambda: client.connected(mock=False), START, "the node", node.check)
    assert ask(client, node).outcome in GOOD
    client.wait(lambda: bool(client.commands), REPLY, "the trajectory", node.check)
    assert "cannot be written" in log_of(node) and "going on without" in log_of(node)
    assert not list(tmp_path.rglob("*.part")), "half a file was left behind"


def test_with_a_damaged_cache_it_builds_it_anew(
    client: Recorder, start: Callable[..., Child], tmp_path: Path
) -> None:
    node = start(parameters={"start_from_state": False}, NEXTSCALE_CACHE=str(tmp_path))
    client.wait(lambda: client.connected(mock=False), START, "the node", node.check)
    node.stop()
    (hulls,) = tmp_path.rglob("*.npz")
    whole = hulls.read_bytes()
    hulls.write_bytes(whole[: len(whole) // 2])
    client.ready = False
    again = start(parameters={"start_from_state": False}, NEXTSCALE_CACHE=str(tmp_path))
    client.wait(lambda: client.connected(mock=False), START, "the node", again.check)
    assert ask(client, again).outcome in GOOD
    assert "building it again" in log_of(again)
    assert len(hulls.read_bytes()) == len(whole)


# -- network

_OFFLINE = """
import sys
tried = []

def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        tried.append((event, str(arguments[-1])))

sys.addaudithook(hook)
import torch
torch.set_num_threads(1)
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.exceptions import ModelLoadError

clip = MotionPipeline.from_pretrained().generate("a person walks", seconds=2.0)
for name in ("nobody/nothing", "gone-with-the-wind", sys.argv[1]):
    try:
        MotionPipeline.from_pretrained(name)
    except ModelLoadError as error:
        assert name in str(error), error
    else:
        raise AssertionError(name)
assert not tried, tried
print("frames", len(clip))
"""


def test_nothing_is_ever_asked_of_the_network(trained_model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    closed = "http://127.0.0.1:9"
    env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), closed)
    env |= {"HF_HOME": str(tmp_path / "hub"), "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", _OFFLINE, str(tmp_path / "empty")],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "frames 4" in done.stdout


# -- clocks


class Talker:
    """A robot that stands, and stamps its joint states with a clock that can be set.

    Args:
        recorder: The node to live in.
        robot: The robot.
    """

    def __init__(self, recorder: Recorder, robot: Robot) -> None:
        self.shift = 0
        self.sim: int | None = None
        self.lock = threading.Lock()
        self._recorder, self._robot = recorder, robot
        self._publisher = recorder.create_publisher(JointState, "/joint_states", 10)
        self._clock = recorder.create_publisher(Clock, "/clock", 10)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def now(self) -> int:
        if self.sim is not None:
            return self.sim
        return int(self._recorder.get_clock().now().nanoseconds) + self.shift

    def _talk(self) -> None:
        state = JointState(
            name=list(self._robot.joint_names),
            position=self._robot.nominal.tolist(),
            velocity=[0.0] * len(self._robot.joint_names),
        )
        while not self._ended.wait(0.01):
            with self.lock:
                if self.sim is not None:
                    self.sim += 10_000_000
            sec, nanosec = divmod(self.now(), NANOSECONDS)
            state.header.stamp = Time(sec=sec, nanosec=nanosec)
            if self.sim is not None:
                self._clock.publish(Clock(clock=state.header.stamp))
            self._publisher.publish(state)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(5.0)


@pytest.fixture
def talker(client: Recorder, robot: Robot) -> Iterator[Talker]:
    talker = Talker(client, robot)
    yield talker
    talker.stop()


def test_the_clock_of_the_robot_may_be_set_by_hours(
    client: Recorder, start: Callable[..., Child], talker: Talker
) -> None:
    node = start(parameters={"state_timeout": 1.0})
    client.wait(lambda: client.connected(mock=False), START, "the node", node.check)
    served_again(client, node)

    def off() -> float:
        """How far the stamp of a trajectory is from the robot's clock [s]."""
        # Whatever is refused meanwhile is refused for the one reason that there is.
        for report in served_again(client, node):
            assert report.error.code in (ErrorCode.NO_ROBOT_STATE, ErrorCode.TOO_LATE), report
            assert report.message
        stamp = client.commands[-1][1].header.stamp
        return abs(stamp.sec - talker.now() / NANOSECONDS) if stamp.sec else 0.0

    for shift in (HOURS, -HOURS, 0, HOURS):
        talker.shift = shift
        # The first sentence may be served before the node has heard of the new clock.
        assert any(off() < REPLY for _ in range(TRIES))
    values = {value.key: value.value for value in diagnosed(client, node).values}
    assert float(values["joint state age [s]"]) < 60.0


def test_simulated_time_may_go_back(
    client: Recorder, start: Callable[..., Child], talker: Talker
) -> None:
    talker.sim = 1000 * NANOSECONDS
    node = start(parameters={"state_timeout": 1.0, "use_sim_time": True})
    client.wait(lambda: client.connected(mock=False), START, "the node", node.check)
    served_again(client, node)
    for sim in (10, 500_000, 1):
        back = sim * NANOSECONDS < talker.sim
        count = log_of(node).count("simulated time went back")
        with talker.lock:
            talker.sim = sim * NANOSECONDS
        # A sentence that comes before the clock is answered by the clock before.
        diagnosed(client, node, clock=float(sim))
        if back:
            client.wait(
                lambda count=count: log_of(node).count("simulated time went back") > count,
                REPLY,
                "the node to notice",
                node.check,
            )
        for report in served_again(client, node):
            assert report.error.code in (ErrorCode.NO_ROBOT_STATE, ErrorCode.TOO_LATE), report
        stamp = client.commands[-1][1].header.stamp
        assert stamp.sec == 0 or abs(stamp.sec - talker.sim / NANOSECONDS) < REPLY


# -- the robot


def test_a_robot_that_vanishes_is_noticed_and_may_come_back(
    client: Recorder, start: Callable[..., Child]
) -> None:
    mock = start("mock_robot")
    node = start()
    client.wait(client.connected, START, "node and robot", node.check)
    served_again(client, node)
    goals = Goals(client)
    try:
        sent = goals.send("a person waits")
        goals.wait(lambda: any(f.stage == "generate" for f in sent.feedback), "generation")
        mock.process.send_signal(signal.SIGKILL)
        mock.process.wait(10.0)
        # As long as a state counts as current.
        client.listen(0.5)
        count = len(client.reports)
        # The running request is replaced; the new one is refused with a reason.
        client.say(TEXT)
        client.wait(lambda: len(client.reports) > count + 1, REPLY, "two reports", node.check)
        report = client.reports[-1]
        assert report.error.code == ErrorCode.NO_ROBOT_STATE, report
        assert "old" in report.message
        assert goals.result(sent)[1].error.code == ErrorCode.PREEMPTED
        status = diagnosed(client, node)
        assert status.level == DiagnosticStatus.WARN
        assert "sentences are refused until they come" in status.message
    finally:
        goals.destroy()
    client.states.clear()
    back = start("mock_robot")
    client.wait(lambda: bool(client.states), START, "the robot", back.check)
    served_again(client, node)
    assert len(client.commands) >= 2

"""The soak test in little: nothing is lost, and what it would call wrong it finds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReport
from nextscale_ros.parameters.schema import declarations

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture(scope="module")
def bench() -> Iterator[Path]:
    sys.path.insert(0, str(BENCH))
    yield BENCH
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def watch(bench: Path) -> ModuleType:
    import soak_watch

    return soak_watch


@pytest.mark.timeout(600)
def test_twenty_seconds_of_load_leave_nothing_unaccounted(bench: Path) -> None:
    from soak import soak

    lines: list[str] = []
    result = soak(20.0, rate=3.0, handmade=True, every=1.0, say=lines.append)
    assert result["violations"] == []
    assert result["sent"] >= 20 and sum(result["outcomes"].values()) == result["sent"]
    assert result["outcomes"]["bad_input"] and result["outcomes"]["superseded"]
    good = result["outcomes"]["pass"] + result["outcomes"]["repaired"]
    assert result["trajectories"] == good > 0
    memory = result["memory"]
    assert len(memory["megabytes"]) >= 10 and min(memory["megabytes"]) > 50.0
    assert np.isfinite(memory["per_window"])
    assert result["joint_state_messages"] > 100


# -- the accountant


def report(number: int, outcome: str = MotionReport.PASS, at: float = 0.0) -> MotionReport:
    good = outcome in (MotionReport.PASS, MotionReport.REPAIRED)
    message = MotionReport(request=number, outcome=outcome, published=good)
    if good:
        message.points, message.duration = 2, 1.0
    message.header.stamp = Time(sec=int(at), nanosec=int(at % 1 * NANOSECONDS))
    return message


def command() -> JointTrajectory:
    points = [
        JointTrajectoryPoint(
            positions=[0.0], velocities=[0.0], time_from_start=Duration(sec=time)
        )
        for time in (0, 1)
    ]  # fmt: skip
    return JointTrajectory(joint_names=["a"], points=points)


def told(**outcomes: int) -> dict[str, str]:
    values = {f"requests {name}": str(count) for name, count in outcomes.items()}
    return values | {"requests received": str(sum(outcomes.values())), "requests open": "0"}


def ledger(watch: ModuleType, *reports: MotionReport, commands: tuple[float, ...] = ()) -> Any:
    one = watch.Ledger(["a"], sent=len(reports))
    for message in reports:
        one.report(message)
    for at in commands:
        one.command(command(), int(at * NANOSECONDS))
    return one


def test_a_clean_account_has_no_violation(watch: ModuleType) -> None:
    one = ledger(
        watch,
        report(1, at=1.0),
        report(2, MotionReport.BAD_INPUT, at=1.5),
        report(3, MotionReport.SUPERSEDED, at=2.0),
        report(4, at=2.1),
        commands=(1.4, 3.0),
    )
    assert one.violations(told(**{"pass": 2, "bad_input": 1, "superseded": 1})) == []
    assert one.settled


def test_what_is_lost_doubled_or_miscounted_is_found(watch: ModuleType) -> None:
    bad = MotionReport.BAD_INPUT
    assert "sent" in " ".join(ledger(watch, report(1, bad)).violations(told(bad_input=2)))
    gap = ledger(watch, report(1, bad), report(3, bad)).violations(told(bad_input=2))
    assert any("[2]" in text for text in gap)
    double = ledger(watch, report(1, bad), report(1, bad)).violations(told(bad_input=2))
    assert any("several [1]" in text for text in double)
    one = ledger(watch, report(1, bad))
    one.say()
    assert not one.settled
    assert any("2 sentences were sent, 1" in text for text in one.violations(told(bad_input=1)))
    open_one = told(bad_input=1) | {"requests open": "1"}
    assert any("1 open" in t for t in ledger(watch, report(1, bad)).violations(open_one))


def test_an_older_sentence_that_wins_is_found(watch: ModuleType) -> None:
    def found(one: Any, **outcomes: int) -> str:
        return " ".join(one.violations(told(**outcomes)))

    turned = ledger(watch, report(2, at=1.0), report(1, at=0.5), commands=(2.0, 3.0))
    assert "request 1 was sent after request 2" in found(turned, **{"pass": 2})
    late = ledger(watch, report(1, at=1.0), report(2, at=2.0), commands=(2.9, 4.0))
    assert "request 1 was sent 0.900 s after a newer one came" in found(late, **{"pass": 2})
    none = ledger(watch, report(1, MotionReport.SUPERSEDED))
    assert "none is newer" in found(none, superseded=1)
    silent = ledger(watch, report(1, at=1.0))
    assert "1 reports of trajectories, 0 trajectories" in found(silent, **{"pass": 1})


def test_a_trajectory_that_breaks_the_rules_is_found(watch: ModuleType) -> None:
    one = ledger(watch, report(1, at=1.0))
    message = command()
    message.points[-1].velocities = [0.5]
    one.command(message, NANOSECONDS)
    assert any("invalid trajectory" in text for text in one.violations(told(**{"pass": 1})))


def test_the_slope_of_memory_is_that_of_a_straight_line(watch: ModuleType) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(0.0, 1800.0, 10.0)
    memory = 300.0 + 2.0 * times / 600.0 + rng.normal(0.0, 0.2, len(times))
    memory[times < 300.0] += 100.0
    slope = watch.memory_slope(times, memory, warm_up=300.0)
    assert slope.per_window == pytest.approx(2.0, abs=4 * slope.error)
    assert 0.0 < slope.error < 0.2 and slope.seconds == 1490.0
    assert np.isnan(watch.memory_slope([0.0, 1.0], [1.0, 1.0], 0.0).per_window)


def test_of_requests_that_come_at_once_the_higher_number_wins() -> None:
    """From several threads, as topics, goals and edits come."""
    from nextscale_ros.node.diagnostics import Statistics
    from nextscale_ros.node.motion_server import MotionServer

    class Worker:
        taken: ClassVar[list[int]] = []

        def submit(self, request: Any, **options: Any) -> bool:
            self.taken.append(request.number)
            return True

    server = MotionServer.__new__(MotionServer)
    server._turns = threading.Lock()
    server._statistics = Statistics()
    server._node = SimpleNamespace(
        get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(to_msg=Time)),
        get_parameter=lambda name: SimpleNamespace(value=read(name)),
    )  # type: ignore[assignment]
    declared = declarations("generate_node")

    def read(name: str) -> Any:
        return declared[name].default

    server._output = SimpleNamespace(executing=False)  # type: ignore[assignment]
    server._log = lambda *arguments: None  # type: ignore[assignment]
    server._worker = worker = Worker()  # type: ignore[assignment]

    def of(message: int) -> dict[str, Any]:
        # Reading the first of two takes longer.
        time.sleep(0.002 * (message % 3))
        return {"script": (("a person walks", None),)}

    threads = [
        threading.Thread(target=lambda: [server.submit(of, n) for n in range(30)])
        for _ in range(4)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.taken == list(range(1, 121))

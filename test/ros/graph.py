"""What the tests of a running graph share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rclpy.context import Context
from sensor_msgs.msg import JointState

from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import DemoTimeoutError, Recorder
from nextscale_ros.messages.validate_trajectory import nanoseconds
from nextscale_ros.msg import ErrorCode, MotionReport

HERE = Path(__file__).parent
START = 120.0
"""Patience with a node's start on a busy machine [s]."""
REPLY = 60.0
"""Patience with one trajectory on a busy machine [s]."""

SESSIONS, TRIES = 8, 4
"""Number of sessions with a robot in motion, and of those that may have trouble: in the others the
machine was too busy."""
GOOD = (MotionReport.PASS, MotionReport.REPAIRED)
BUSY = (ErrorCode.TOO_LATE, ErrorCode.NO_ROBOT_STATE, ErrorCode.UNSAFE_START)
"""What a sentence may be refused with while the machine is too busy for a robot in motion."""


class TooBusyError(Exception):
    """The machine was too busy for a robot in motion: the node said so, and sent nothing."""


def served(report: MotionReport) -> MotionReport:
    """The report of a motion that was sent.

    Raises:
        TooBusyError: states or the trajectory came too late, or the one before only after 2 s.
    """
    if report.error.code in BUSY:
        raise TooBusyError(report.message)
    assert report.outcome in GOOD, report.message
    return report


def in_one_session(session: Callable[[], object], rest: Callable[[], None]) -> None:
    """Fail unless one of `TRIES` sessions has no trouble; those in which the machine is too busy do
    not count, and the robot rests after each.

    Args:
        session: What was wrong, false for nothing.
        rest: Waits until the robot rests.
    """
    troubles: list[object] = []
    busy: list[str] = []
    while len(troubles) < TRIES and len(troubles) + len(busy) < SESSIONS:
        try:
            trouble = session()
        except TooBusyError as error:
            busy.append(str(error))
        else:
            if not trouble:
                rest()
                return
            troubles.append(trouble)
        rest()
    pytest.fail(f"trouble in each session: {troubles}, too busy: {busy}")


def until(
    condition: Callable[[], object],
    what: str,
    do: Callable[[], object] = lambda: None,
    patience: float = REPLY,
    told: Callable[[], str] = lambda: "",
) -> None:
    """Do something again and again until a condition holds.

    Raises:
        DemoTimeoutError: not in time [s]; the test is tried again, once.
    """
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() >= end:
            raise DemoTimeoutError(f"waited {patience:.0f} s for {what}\n{told()}".rstrip())
        do()
        time.sleep(0.01)


@dataclass
class Graph:
    """A domain, a context in it, and the processes started so far."""

    env: dict[str, str]
    context: Context
    folder: Path
    stack: ExitStack
    children: list[Child] = field(default_factory=list)

    def start(
        self,
        module: str,
        parameters: Mapping[str, object] | None = None,
        ros_arguments: Sequence[str] = (),
    ) -> Child:
        log = self.folder / f"{len(self.children)}_{module.rpartition('.')[2]}.log"
        child = Child(
            module, parameters=parameters, ros_arguments=ros_arguments, env=self.env, log=log
        )
        self.children.append(self.stack.enter_context(child))
        return child

    def recorder(self) -> Recorder:
        recorder = Recorder(self.context)
        self.stack.callback(recorder.destroy_node)
        return recorder

    def end_since(self, count: int) -> None:
        """End all processes but the first `count`."""
        while len(self.children) > count:
            self.children.pop().stop()

    def alive(self) -> None:
        for child in self.children:
            child.check()


def measured_now(recorder: Recorder, check: Callable[[], None] = lambda: None) -> JointState:
    """A joint state that was measured after this call; on a busy machine older ones wait to be
    served, up to a second of them."""
    since = int(recorder.get_clock().now().nanoseconds)

    def fresh() -> bool:
        states = recorder.states
        return bool(states) and nanoseconds(states[-1].header.stamp) >= since

    recorder.wait(fresh, REPLY, "a joint state that is measured now", check)
    return recorder.states[-1]


def idle_share(child: Child, recorder: Recorder, seconds: float = 3.0) -> float:
    """Share of one core that a process takes while nobody wants anything of it."""

    def ticks() -> int:
        # The name in brackets may hold blanks.
        fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    recorder.listen(1.0)
    before, begin = ticks(), time.monotonic()
    recorder.listen(seconds)
    spent = (ticks() - before) / os.sysconf("SC_CLK_TCK")
    return spent / (time.monotonic() - begin)

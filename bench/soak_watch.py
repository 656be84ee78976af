"""What a soak test keeps account of, and what it calls a violation."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from trajectory_msgs.msg import JointTrajectory

from nextscale_ros.messages.validate_trajectory import (
    NANOSECONDS,
    check_joint_trajectory,
    nanoseconds,
)
from nextscale_ros.msg import MotionReport

OUTCOMES = (
    MotionReport.PASS,
    MotionReport.REPAIRED,
    MotionReport.REJECTED,
    MotionReport.BAD_INPUT,
    MotionReport.FAILED,
    MotionReport.SUPERSEDED,
    MotionReport.CANCELED,
)

OVERLAP = 0.5
"""A trajectory may be sent so long after a newer sentence was received [s]: between its arrival and
its number lies what a busy machine makes of a few lines of Python."""

WINDOW = 600.0
"""The slope of memory is told per so long [s], and judged where it was watched for so long."""


@dataclass(frozen=True)
class Slope:
    """A straight line through memory over time.

    Attributes:
        per_window: Growth [MB in ten minutes].
        error: Standard error of that [MB in ten minutes].
        seconds: How long was looked at, after the warm-up [s].
        first: Memory at the begin of that time [MB].
        last: And at its end [MB].
    """

    per_window: float
    error: float
    seconds: float
    first: float
    last: float


def memory_slope(times: Sequence[float], megabytes: Sequence[float], warm_up: float) -> Slope:
    """Least squares over what comes after the warm-up.

    Args:
        times: (N,) [s].
        megabytes: (N,) memory at these times [MB].
        warm_up: What comes before this time is left out [s].
    """
    at = np.asarray(times, dtype=np.float64)
    size = np.asarray(megabytes, dtype=np.float64)
    kept = at >= warm_up
    at, size = at[kept], size[kept]
    if len(at) < 3:
        return Slope(float("nan"), float("nan"), 0.0, float("nan"), float("nan"))
    centred = at - at.mean()
    spread = float(centred @ centred)
    slope = float(centred @ size) / spread
    rest = size - size.mean() - slope * centred
    error = float(np.sqrt(rest @ rest / (len(at) - 2) / spread))
    ends = float(at[-1] - at[0])
    return Slope(slope * WINDOW, error * WINDOW, ends, float(size[0]), float(size[-1]))


@dataclass
class Ledger:
    """Everything heard from a node, and what of it must not be.

    Fill it from any thread; ask for `violations` when the node has nothing left to do.

    Attributes:
        joint_names: Joints of the robot.
        sent: Sentences sent.
        reports: Reports, in the order in which they came.
        problems: What was wrong, as it was seen.
        overlap: Longest time by which a trajectory was sent after a newer sentence came [s].
    """

    joint_names: Sequence[str]
    sent: int = 0
    reports: list[MotionReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    overlap: float = 0.0
    _commands: list[tuple[int, int, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, count: int = 1) -> None:
        """Sentences were sent."""
        with self._lock:
            self.sent += count

    def report(self, message: MotionReport) -> None:
        """A report came."""
        with self._lock:
            self.reports.append(message)

    def command(self, message: JointTrajectory, published: int) -> None:
        """A trajectory came.

        Args:
            message: It.
            published: When it was sent, by the clock of the node [ns].
        """
        wrong = check_joint_trajectory(message, self.joint_names, published)
        end = nanoseconds(message.points[-1].time_from_start) if message.points else 0
        with self._lock:
            self._commands.append((published, len(message.points), end / NANOSECONDS))
            self.problems += [f"a trajectory breaks the rules: {text}" for text in wrong[:3]]

    @property
    def commands(self) -> int:
        """Trajectories heard."""
        return len(self._commands)

    @property
    def settled(self) -> bool:
        """Whether there are a report on every sentence and a trajectory for every good report."""
        with self._lock:
            sent = sum(report.published for report in self.reports)
            return len(self.reports) >= self.sent and len(self._commands) >= sent

    def outcomes(self) -> dict[str, int]:
        """How many requests ended how, by the reports."""
        counted = Counter(report.outcome for report in self.reports)
        return {name: counted.get(name, 0) for name in OUTCOMES} | dict(counted)

    def violations(self, diagnosed: dict[str, str]) -> list[str]:
        """What must not be, in sentences.

        Args:
            diagnosed: The values of the node's last /diagnostics.
        """
        with self._lock:
            return [
                *self.problems,
                *self._unaccounted(diagnosed),
                *self._out_of_order(),
            ]

    def _unaccounted(self, diagnosed: dict[str, str]) -> list[str]:
        """Requests without one report, and counts that differ."""
        found = []
        numbers = sorted(int(report.request) for report in self.reports)
        if numbers != list(range(1, len(numbers) + 1)):
            doubles = [n for n, count in Counter(numbers).items() if count > 1]
            missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
            found.append(f"requests without a report {missing[:5]}, with several {doubles[:5]}")
        if len(numbers) != self.sent:
            found.append(f"{self.sent} sentences were sent, {len(numbers)} were reported on")
        counted = self.outcomes()
        unknown = set(counted) - set(OUTCOMES)
        if unknown:
            found.append(f"unknown outcomes {sorted(unknown)}")
        told = {name: int(diagnosed.get(f"requests {name}", 0)) for name in OUTCOMES}
        if told != {name: counted[name] for name in OUTCOMES}:
            found.append(f"/diagnostics counts {told}, the reports {counted}")
        received, still = (int(diagnosed.get(f"requests {n}", -1)) for n in ("received", "open"))
        if received != self.sent or still != 0 or sum(told.values()) != received:
            found.append(
                f"/diagnostics counts {received} received, {still} open and "
                f"{sum(told.values())} ended; {self.sent} were sent"
            )
        return found

    def _out_of_order(self) -> list[str]:
        """Where an older sentence won over a newer one."""
        found = []
        good = [report for report in self.reports if report.published]
        for before, after in pairwise(good):
            if after.request <= before.request:
                found.append(f"request {after.request} was sent after request {before.request}")
        if len(good) != len(self._commands):
            found.append(f"{len(good)} reports of trajectories, {len(self._commands)} trajectories")
            return found
        newer = _next_good_arrival(self.reports)
        for report, (published, points, end) in zip(good, self._commands, strict=True):
            if points != report.points or abs(end - report.duration) > 1e-6:
                found.append(f"the report on request {report.request} is not on its trajectory")
            late = (published - newer.get(int(report.request), published)) / NANOSECONDS
            self.overlap = max(self.overlap, late)
            if late > OVERLAP:
                found.append(
                    f"request {report.request} was sent {late:.3f} s after a newer one came"
                )
        last = max((int(r.request) for r in self.reports if _usable(r)), default=0)
        for report in self.reports:
            if report.outcome == MotionReport.SUPERSEDED and report.request >= last:
                found.append(f"request {report.request} was replaced, but none is newer")
        return found

    def table(self) -> list[tuple[str, Any]]:
        """Rows for people."""
        return [("sentences sent", self.sent), *self.outcomes().items()]


def _usable(report: MotionReport) -> bool:
    """Whether a request was one that replaces others."""
    return bool(report.outcome != MotionReport.BAD_INPUT)


def _next_good_arrival(reports: Sequence[MotionReport]) -> dict[int, int]:
    """Request -> when the next newer usable one was received [ns]."""
    arrivals = sorted((int(r.request), nanoseconds(r.header.stamp)) for r in reports if _usable(r))
    return {
        number: later
        for (number, _), (_, later) in pairwise(arrivals)
    }  # fmt: skip

"""Ledger of a soak test, and its violations."""

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
"""Maximum time by which a trajectory may follow the arrival of a newer sentence [s]: a busy machine
delays the numbering of a request."""

WINDOW = 600.0
"""Time base of the memory slope, and minimum duration for judging it [s]."""


@dataclass(frozen=True)
class Slope:
    """Linear fit of memory over time.

    Attributes:
        per_window: Growth [MB in ten minutes].
        error: Standard error of the growth [MB in ten minutes].
        seconds: Duration after the warm-up [s].
        first: Memory at the beginning [MB].
        last: Memory at the end [MB].
    """

    per_window: float
    error: float
    seconds: float
    first: float
    last: float


def memory_slope(times: Sequence[float], megabytes: Sequence[float], warm_up: float) -> Slope:
    """Least-squares slope of memory after the warm-up.

    Args:
        times: (N,) [s].
        megabytes: (N,) memory at these times [MB].
        warm_up: End of the warm-up [s].
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
    """All messages received from a node, and their violations.

    Thread-safe; call `violations` when the node is idle.

    Attributes:
        joint_names: Joints of the robot.
        sent: Number of sent sentences.
        reports: Reports in the order of arrival.
        problems: Violations found on arrival.
        overlap: Longest time by which a trajectory followed the arrival of a newer sentence [s].
    """

    joint_names: Sequence[str]
    sent: int = 0
    reports: list[MotionReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    overlap: float = 0.0
    _commands: list[tuple[int, int, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, count: int = 1) -> None:
        """Count sent sentences."""
        with self._lock:
            self.sent += count

    def report(self, message: MotionReport) -> None:
        """Add a report."""
        with self._lock:
            self.reports.append(message)

    def command(self, message: JointTrajectory, published: int) -> None:
        """Add a trajectory.

        Args:
            message: The trajectory.
            published: Time of sending on the clock of the node [ns].
        """
        wrong = check_joint_trajectory(message, self.joint_names, published)
        end = nanoseconds(message.points[-1].time_from_start) if message.points else 0
        with self._lock:
            self._commands.append((published, len(message.points), end / NANOSECONDS))
            self.problems += [f"invalid trajectory: {text}" for text in wrong[:3]]

    @property
    def commands(self) -> int:
        """Number of received trajectories."""
        return len(self._commands)

    @property
    def settled(self) -> bool:
        """Whether every sentence has a report and every published trajectory was received."""
        with self._lock:
            sent = sum(report.published for report in self.reports)
            return len(self.reports) >= self.sent and len(self._commands) >= sent

    def outcomes(self) -> dict[str, int]:
        """Number of requests by outcome, from the reports."""
        counted = Counter(report.outcome for report in self.reports)
        return {name: counted.get(name, 0) for name in OUTCOMES} | dict(counted)

    def violations(self, diagnosed: dict[str, str]) -> list[str]:
        """Violations, in sentences.

        Args:
            diagnosed: Values of the node's last /diagnostics.
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
        totals = {name: int(diagnosed.get(f"requests {name}", 0)) for name in OUTCOMES}
        if totals != {name: counted[name] for name in OUTCOMES}:
            found.append(f"/diagnostics counts {totals}, the reports {counted}")
        received, still = (int(diagnosed.get(f"requests {n}", -1)) for n in ("received", "open"))
        if received != self.sent or still != 0 or sum(totals.values()) != received:
            found.append(
                f"/diagnostics counts {received} received, {still} open and "
                f"{sum(totals.values())} ended; {self.sent} were sent"
            )
        return found

    def _out_of_order(self) -> list[str]:
        """Requests that won over a newer one."""
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
        """Rows of the printed table."""
        return [("sentences sent", self.sent), *self.outcomes().items()]


def _usable(report: MotionReport) -> bool:
    """Whether a request replaces older ones."""
    return bool(report.outcome != MotionReport.BAD_INPUT)


def _next_good_arrival(reports: Sequence[MotionReport]) -> dict[int, int]:
    """Arrival time of the next newer usable request, by request [ns]."""
    arrivals = sorted((int(r.request), nanoseconds(r.header.stamp)) for r in reports if _usable(r))
    return {
        number: later
        for (number, _), (_, later) in pairwise(arrivals)
    }  # fmt: skip

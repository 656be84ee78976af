"""Counts and times of the requests, and the state of the node in /diagnostics."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from nextscale_ros.msg import ErrorCode, MotionReport

WINDOW = 200
"""Number of latest requests in the latency statistics."""

CODES = {
    value: name
    for name in dir(ErrorCode)
    if name.isupper() and isinstance(value := getattr(ErrorCode, name), int)
}
"""Name of every error code."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Statistics:
    """Counts of requests and times of their stages. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._outcomes: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._stages: dict[str, deque[float]] = {}
        self._last_error = ""

    def receive(self) -> int:
        """Count a request and return its number."""
        with self._lock:
            self._received += 1
            return self._received

    def end(self, report: MotionReport) -> None:
        """Count the end of a request."""
        with self._lock:
            self._outcomes[report.outcome] += 1
            code = int(report.error.code)
            if code:
                self._errors[CODES.get(code, str(code))] += 1
            if code not in (ErrorCode.NONE, ErrorCode.PREEMPTED, ErrorCode.CANCELED):
                self._last_error = f"request {report.request}: {report.message}"
            if code == ErrorCode.NONE:
                times = dict(zip(report.stage_names, report.stage_seconds, strict=True))
                for stage, seconds in {**times, "total": sum(times.values())}.items():
                    self._stages.setdefault(stage, deque(maxlen=WINDOW)).append(float(seconds))

    def values(self) -> dict[str, str]:
        """Entries for /diagnostics; 'total' is the time of all stages."""
        with self._lock:
            open_requests = self._received - sum(self._outcomes.values())
            values = {
                "requests received": str(self._received),
                "requests open": str(open_requests),
                **{f"requests {name}": str(n) for name, n in sorted(self._outcomes.items())},
                **{f"error {name}": str(n) for name, n in sorted(self._errors.items())},
            }
            for stage, times in self._stages.items():
                median, p95 = np.percentile(times, (50, 95))
                values[f"{stage} last [s]"] = f"{times[-1]:.3f}"
                values[f"{stage} p50 [s]"] = f"{median:.3f}"
                values[f"{stage} p95 [s]"] = f"{p95:.3f}"
            return values | ({"last error": self._last_error} if self._last_error else {})

    def line(self) -> str:
        """One line for people."""
        with self._lock:
            done = self._outcomes[MotionReport.PASS] + self._outcomes[MotionReport.REPAIRED]
            return f"{done} of {self._received} requests became trajectories"


@dataclass(frozen=True)
class Health:
    """State of the node beside its counts.

    Attributes:
        state: Label of the lifecycle state.
        robot: Name of the robot, or ''.
        model: Name of the motion model, or ''.
        device: Torch device of the model.
        state_age: Age of the joint states [s]; infinite while some joint was never received.
        state_limit: Maximum age of joint states [s].
        state_needed: Whether sentences are refused without joint states.
        state_messages: Number of joint state messages received.
        listeners: Number of subscribers to the trajectories.
        conflict: Senders of joint states that contradict each other, or ''.
        complaints: Connections that do not work, one sentence each.
        failure: Why the node could not be configured, or ''.
        more: Further entries.
    """

    state: str
    robot: str = ""
    model: str = ""
    device: str = ""
    state_age: float = float("inf")
    state_limit: float = 0.0
    state_needed: bool = True
    state_messages: int = 0
    listeners: int = 0
    conflict: str = ""
    complaints: Sequence[str] = ()
    failure: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


def status(name: str, health: Health, statistics: Statistics) -> DiagnosticStatus:
    """Make the node's entry of /diagnostics.

    Args:
        name: Full name of the node.
        health: State of the node.
        statistics: Counts and times of its requests.
    """
    level, message = _verdict(health, statistics)
    values = {
        "lifecycle state": health.state,
        "robot": health.robot,
        "model": health.model,
        "device": health.device,
        "joint state age [s]": _age(health.state_age),
        "joint state messages": str(health.state_messages),
        "listeners": str(health.listeners),
        "memory [MB]": f"{resident_memory() / 1e6:.1f}",
        **statistics.values(),
        **{f"connection {number}": text for number, text in enumerate(health.complaints, start=1)},
        **health.more,
    }
    return DiagnosticStatus(
        level=level,
        name=f"{name}: motion",
        message=message,
        hardware_id=health.robot,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _verdict(health: Health, statistics: Statistics) -> tuple[bytes, str]:
    if health.failure:
        return DiagnosticStatus.ERROR, health.failure
    if health.state != "active":
        return DiagnosticStatus.WARN, f"the node is {health.state}"
    if health.conflict:
        return DiagnosticStatus.ERROR, health.conflict
    if health.state_needed and health.state_age > health.state_limit:
        old = f"{health.state_age:.3f} s old" if health.state_age < 1e9 else "incomplete"
        if not health.state_messages:
            old = "not received"
        return (
            DiagnosticStatus.WARN,
            f"joint states are {old}: sentences are refused until they come, at most "
            f"{health.state_limit:g} s old (parameter state_timeout)",
        )
    if health.complaints:
        return DiagnosticStatus.WARN, health.complaints[-1]
    if not health.listeners:
        return DiagnosticStatus.WARN, "the trajectories have no subscriber"
    return DiagnosticStatus.OK, statistics.line()


def resident_memory() -> int:
    """Memory of this process in RAM [bytes]; 0 where unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _age(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 1e9 else "never received"

"""Counts and times of the requests, and the state of the node in /diagnostics."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.inputs import RobotInputs

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


def status(
    name: str,
    state: str,
    settings: Settings,
    statistics: Statistics,
    *,
    robot: str = "",
    model: str = "",
    device: str = "",
    failure: str = "",
    complaints: Sequence[str] = (),
    inputs: RobotInputs | None = None,
    now: float = 0.0,
    listeners: int = 0,
) -> DiagnosticStatus:
    """Make the node's entry of /diagnostics.

    Args:
        name: Full name of the node.
        state: Label of its lifecycle state.
        settings: Its live parameters.
        statistics: Counts and times of its requests.
        robot: Name of the robot, or ''.
        model: Name of the motion model, or ''.
        device: Torch device of the model.
        failure: Why the last transition failed, or ''.
        complaints: Connections that do not work, one sentence each.
        inputs: Received state of the robot; None while the node is not active.
        now: Time on the clock of the inputs [s].
        listeners: Number of subscribers to the trajectories.
    """
    age = float("inf") if inputs is None else inputs.joints.age(now)
    values = {
        "lifecycle state": state,
        "robot": robot,
        "model": model,
        "device": device,
        "joint state age [s]": f"{age:.3f}" if age < 1e9 else "never received",
        "joint state messages": str(0 if inputs is None else inputs.joints.messages),
        "listeners": str(listeners),
        "memory [MB]": f"{resident_memory() / 1e6:.1f}",
        **statistics.values(),
        **{f"connection {number}": text for number, text in enumerate(complaints, start=1)},
    }
    if inputs is not None and inputs.delays:
        median, p99 = np.percentile(list(inputs.delays), (50, 99))
        values["joint state delay p50 [s]"] = f"{median:.4f}"
        values["joint state delay p99 [s]"] = f"{p99:.4f}"
    level, message = DiagnosticStatus.WARN, ""
    if failure:
        level, message = DiagnosticStatus.ERROR, failure
    elif inputs is None or state != "active":
        message = f"the node is {state}"
    elif conflict := inputs.joints.conflict(now):
        level, message = DiagnosticStatus.ERROR, conflict
    elif (
        settings.start_from_state
        and settings.state_policy == "reject"
        and age > settings.state_timeout
    ):
        old = f"{age:.3f} s old" if age < 1e9 else "incomplete"
        message = (
            f"joint states are {old if inputs.joints.messages else 'not received'}: sentences are "
            f"refused until they come, at most {settings.state_timeout:g} s old (parameter "
            "state_timeout)"
        )
    elif complaints:
        message = complaints[-1]
    elif not listeners:
        message = "the trajectories have no subscriber"
    else:
        level, message = DiagnosticStatus.OK, statistics.line()
    return DiagnosticStatus(
        level=level,
        name=f"{name}: motion",
        message=message,
        hardware_id=robot,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def resident_memory() -> int:
    """Memory of this process in RAM [bytes]; 0 where unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0

"""Counts and times of the requests so far."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from nextscale_ros.msg import ErrorCode, MotionReport

WINDOW = 200
"""Latencies are told of the last so many requests."""

CODES = {
    value: name
    for name in dir(ErrorCode)
    if name.isupper() and isinstance(value := getattr(ErrorCode, name), int)
}
"""Name of every error code."""


@dataclass(frozen=True)
class Latency:
    """Of one stage.

    Attributes:
        last: The last one [s].
        p50: Median [s].
        p95: 95th percentile [s].
    """

    last: float
    p50: float
    p95: float


@dataclass(frozen=True)
class Summary:
    """All figures at one moment.

    Attributes:
        received: Requests received.
        outcomes: How many ended how, by outcome of `MotionReport`.
        errors: How many ended with which error, by name of the code.
        latencies: By stage; 'total' is all of them.
        last_error: The last failure, for people; '' if there was none.
    """

    received: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    latencies: dict[str, Latency] = field(default_factory=dict)
    last_error: str = ""

    @property
    def open(self) -> int:
        """Requests that have not ended yet."""
        return self.received - sum(self.outcomes.values())


class Statistics:
    """Counts; may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._outcomes: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._stages: dict[str, deque[float]] = {}
        self._last_error = ""

    def receive(self) -> int:
        """Count a request; its number."""
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

    def summary(self) -> Summary:
        """The figures now."""
        with self._lock:
            stages = {name: np.array(values) for name, values in self._stages.items()}
            outcomes, errors = dict(self._outcomes), dict(self._errors)
            received, last_error = self._received, self._last_error
        latencies = {
            name: Latency(float(v[-1]), *(float(q) for q in np.percentile(v, (50, 95))))
            for name, v in stages.items()
        }
        return Summary(received, outcomes, errors, latencies, last_error)

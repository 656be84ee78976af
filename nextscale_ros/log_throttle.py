"""Rate-limited logging: a few lines of each kind are written, the others counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

BURST = 5
"""Maximum number of lines of one kind written without delay."""

RATE = 1.0
"""Rate of further lines of one kind [Hz]."""


def severities(logger: Any) -> dict[str, Callable[[str], object]]:
    """Log functions by severity, from an rclpy logger."""
    # rclpy allows one severity per line of calling code.
    return {
        "info": lambda line: logger.info(line),
        "warn": lambda line: logger.warning(line),
        "error": lambda line: logger.error(line),
    }


class LogThrottle:
    """Token-bucket limiter for log lines.

    Args:
        write: Log function by severity: info, warn or error.
        clock: Monotonic clock [s].
    """

    def __init__(
        self,
        write: dict[str, Callable[[str], object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._lock = threading.Lock()
        self._allowed: dict[str, tuple[float, float]] = {}
        self._left_out: dict[str, int] = {}

    def __call__(self, severity: str, kind: str, line: str) -> None:
        """Write or count a line.

        Args:
            severity: A key of `write`.
            kind: Kind of line; lines of one kind share a budget.
            line: The line.
        """
        now = self._clock()
        with self._lock:
            tokens, last = self._allowed.get(kind, (float(BURST), now))
            tokens = min(tokens + (now - last) * RATE, float(BURST))
            if tokens < 1.0:
                self._allowed[kind] = (tokens, now)
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
                return
            self._allowed[kind] = (tokens - 1.0, now)
            left_out = self._left_out.pop(kind, 0)
        if left_out:
            line += f" (and {left_out} similar lines since the last one shown)"
        self._write[severity](line)

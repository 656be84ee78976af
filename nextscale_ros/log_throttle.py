"""A log that cannot be flooded: of many lines of one kind a few are written, the rest counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

BURST = 5
"""Lines of one kind that are written at once."""

RATE = 1.0
"""And so many each second after that [Hz]."""


def severities(logger: Any) -> dict[str, Callable[[str], object]]:
    """What `LogThrottle` writes with, from a logger of rclpy."""
    # A logger of rclpy remembers of each line of code the severity it logs with.
    return {
        "info": lambda line: logger.info(line),
        "warn": lambda line: logger.warning(line),
        "error": lambda line: logger.error(line),
    }


class LogThrottle:
    """Passes lines on, at most a few of each kind.

    Args:
        write: Writes a line, by severity: info, warn or error.
        clock: Never steps back [s].
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
        """Write a line, or count it.

        Args:
            severity: A key of `write`.
            kind: Lines of one kind share a budget.
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
            line += f" (and {left_out} like it since the last that was shown)"
        self._write[severity](line)

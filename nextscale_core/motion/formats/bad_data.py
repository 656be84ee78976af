"""What happens when a data set holds a broken file or line: refuse it, or leave it out.

A reader hands every such error to `bad_data`, which raises it, unless the reader runs inside
`on_bad_data("skip")`: then the error is told once, counted, and the reader leaves the thing out.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from nextscale_core.exceptions import ConfigError, MotionFileError

POLICIES = ("refuse", "skip")

_log = logging.getLogger("nextscale")
_skipped: ContextVar[list[str] | None] = ContextVar("skipped", default=None)


@contextmanager
def on_bad_data(policy: str) -> Iterator[list[str]]:
    """Decide for all data that is read inside; the number left out is told at the end.

    Args:
        policy: 'refuse' (errors are raised) or 'skip' (they are told, and what they name is
            left out).

    Yields:
        What was left out so far, one message each.

    Raises:
        ConfigError: an unknown policy.
    """
    if policy not in POLICIES:
        raise ConfigError(f"on_bad_data must be {' or '.join(POLICIES)}, got {policy!r}")
    told: list[str] = []
    token = _skipped.set(told if policy == "skip" else None)
    try:
        yield told
    finally:
        _skipped.reset(token)
    if told:
        warn(f"{len(told)} broken {'thing was' if len(told) == 1 else 'things were'} left out")


def policy_in_force() -> str:
    """'refuse', or 'skip' inside of `on_bad_data("skip")`."""
    return "refuse" if _skipped.get() is None else "skip"


def bad_data(error: MotionFileError) -> None:
    """Raise the error, or tell it once where broken data is skipped."""
    told = _skipped.get()
    if told is None:
        raise error
    # The same file is read for several splits and speeds.
    if str(error) not in told:
        told.append(str(error))
        warn(f"left out: {error}")


def warn(message: str) -> None:
    """Log a warning about data."""
    # Of several processes that read the same data one tells.
    if os.environ.get("RANK", "0") == "0":
        _log.warning(message)

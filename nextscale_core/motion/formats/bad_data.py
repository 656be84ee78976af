"""Policy for broken files and lines of a data set: refuse them, or skip them.

A reader passes every such error to `bad_data`, which raises it. Inside `on_bad_data("skip")` the
error is logged once and counted instead, and the reader leaves out the file or line.
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
    """Set the policy for all data read inside; the number of skipped items is logged at the end.

    Args:
        policy: 'refuse' (errors are raised) or 'skip' (they are logged).

    Yields:
        One message for each item skipped so far.

    Raises:
        ConfigError: an unknown policy.
    """
    if policy not in POLICIES:
        raise ConfigError(f"on_bad_data must be {' or '.join(POLICIES)}, got {policy!r}")
    skipped: list[str] = []
    token = _skipped.set(skipped if policy == "skip" else None)
    try:
        yield skipped
    finally:
        _skipped.reset(token)
    if skipped:
        warn(f"{len(skipped)} broken {'item was' if len(skipped) == 1 else 'items were'} left out")


def policy_in_force() -> str:
    """'refuse', or 'skip' inside of `on_bad_data("skip")`."""
    return "refuse" if _skipped.get() is None else "skip"


def bad_data(error: MotionFileError) -> None:
    """Raise the error, or log it once where broken data is skipped."""
    skipped = _skipped.get()
    if skipped is None:
        raise error
    # The same file is read for several splits and speeds.
    if str(error) not in skipped:
        skipped.append(str(error))
        warn(f"left out: {error}")


def warn(message: str) -> None:
    """Log a warning about data, in the first of several processes that read the same data."""
    if os.environ.get("RANK", "0") == "0":
        _log.warning(message)

"""By which clock the messages of a recording are put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

_SET = 1.0
"""A stamp that leaps further than the recording did means that its clock was set [s]."""


class Timed(Protocol):
    """Messages of one sender.

    Attributes:
        stamps: (N,) when each says it was measured [s]; 0 where it does not.
        recorded: (N,) when each was recorded [s].
    """

    @property
    def stamps(self) -> np.ndarray:
        """When each message says it was measured (N,) [s]."""
        ...

    @property
    def recorded(self) -> np.ndarray:
        """When each message was recorded (N,) [s]."""
        ...


def stamps_can_be_used(senders: Sequence[Timed]) -> bool:
    """Whether all senders stamp all their messages, by clocks that nobody set meanwhile.

    Else the times at which messages were recorded have to do, for all of them: two clocks in one
    motion would put it out of joint.
    """
    return all(_sound(sender) for sender in senders)


def times_of(sender: Timed, stamped: bool) -> tuple[np.ndarray, np.ndarray]:
    """Increasing times (M,) [s] of a sender's messages, and which (M,) of the messages they are.

    Of messages that overtook each other, those that come late are left out; so are repetitions.
    """
    times = sender.stamps if stamped else sender.recorded
    ahead = np.concatenate([[-np.inf], np.maximum.accumulate(times)[:-1]])
    kept = np.flatnonzero(times > ahead)
    return times[kept], kept


def _sound(sender: Timed) -> bool:
    stamps, recorded = sender.stamps, sender.recorded
    if not (stamps > 0).all():
        return False
    steps, passed = np.diff(stamps), np.diff(recorded)
    # Simulated time may run many times faster or slower than the clock of the recorder.
    return not ((steps < -_SET) | (steps > _SET + 10 * np.maximum(passed, 0))).any()

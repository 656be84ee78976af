"""Clock offsets of message senders, and usable stamps of recorded messages."""

from __future__ import annotations

import numpy as np

JUMP = 0.5
"""Deviation from the expected stamp that means that the sender's clock was set [s]."""

DRIFT = 1e-4
"""Maximum relative drift between two clocks."""

AHEAD = 0.05
"""Maximum time by which the stamp of a synchronized clock may lie in the future [s]."""

PATIENCE = 3.0
"""Time for which a late sender still counts as synchronized with this machine [s]."""

_RECORDED_JUMP = 1.0
"""Difference between the steps of stamps and of recording that means a set clock [s]."""


class ClockOffset:
    """Maps the stamps of one sender to a local clock that never steps back.

    A message may be late but never early: the smallest difference between arrival and stamp is
    the offset of the clocks, and the rest of each difference is jitter of the transport.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last_arrival = 0.0
        self._last_synchronized = -np.inf
        self._last = (np.nan, np.nan)

    def local(self, stamp: float, arrival: float, own: float = np.nan) -> float:
        """Time of measurement on the local clock [s].

        Args:
            stamp: By the sender's clock [s]; 0 without a stamp: the arrival counts.
            arrival: Time of arrival by the local clock [s].
            own: The same time by this machine's clock for stamps [s]; NaN where it has none. The
                stamps of a sender that agrees with it are used as they are, so that the stamps
                sent in return have the same meaning for that sender.
        """
        if not stamp > 0.0:
            return arrival
        # A repeated stamp keeps its time: a sender that hangs must grow old.
        if stamp != self._last[0]:
            self._last = (stamp, self._map(stamp, arrival, own))
        return self._last[1]

    def _map(self, stamp: float, arrival: float, own: float) -> float:
        difference = arrival - stamp
        if self._is_synchronized(own - stamp, arrival):
            self._offset = arrival - own
        elif self._offset is None or abs(difference - self._offset) > JUMP:
            self._offset = difference
        else:
            slack = DRIFT * max(arrival - self._last_arrival, 0.0)
            self._offset = min(self._offset + slack, difference)
        self._last_arrival = arrival
        return stamp + self._offset

    def _is_synchronized(self, delay: float, arrival: float) -> bool:
        """Whether a message with this apparent delay [s] was stamped by this machine's clock."""
        if -AHEAD <= delay <= JUMP:
            self._last_synchronized = arrival
        # A busy machine delays messages for a while; a clock that was set stays wrong.
        return delay >= -AHEAD and arrival - self._last_synchronized <= PATIENCE

    def stamp(self, local: float) -> float | None:
        """The sender's clock at a local time [s]; None while it has sent no stamp."""
        return None if self._offset is None else local - self._offset


def are_stamps_usable(stamps: np.ndarray, recorded: np.ndarray) -> bool:
    """Whether one sender stamped all its messages, with a clock that was never set.

    Args:
        stamps: (N,) [s]; 0 for messages without a stamp.
        recorded: (N,) times of recording [s].
    """
    if not (stamps > 0).all():
        return False
    steps, passed = np.diff(stamps), np.diff(recorded)
    # Simulated time may run many times faster or slower than the clock of the recorder.
    most = _RECORDED_JUMP + 10 * np.maximum(passed, 0)
    return not ((steps < -_RECORDED_JUMP) | (steps > most)).any()


def increasing(times: np.ndarray) -> np.ndarray:
    """Indices (M,) of the times (N,) that are later than all before them."""
    latest_before = np.concatenate([[-np.inf], np.maximum.accumulate(times)[:-1]])
    return np.flatnonzero(times > latest_before)

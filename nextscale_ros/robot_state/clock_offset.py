"""Stamps of messages, brought to the clock of this process."""

from __future__ import annotations

import numpy as np

JUMP = 0.5
"""A stamp this far from where it is expected means that its clock was set [s]."""

DRIFT = 1e-4
"""How much faster one clock may run than the other."""


AHEAD = 0.05
"""Clocks that agree may differ by so much: a stamp from the future [s]."""


PATIENCE = 3.0
"""A sender on our clock may be late for so long before it is thought to have left it [s]."""


class ClockOffset:
    """Maps the stamps of one sender to a local clock that never steps back.

    A message may be late but never early: the smallest difference between arrival and stamp is
    the difference of the clocks, and what a message is later than that is jitter of its way.
    Messages without a stamp count as measured when they arrive.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._heard = 0.0
        self._agreed = -np.inf
        self._last = (np.nan, np.nan)

    def local(self, stamp: float, arrival: float, own: float = np.nan) -> float:
        """When something was measured, on the local clock [s].

        Args:
            stamp: By the sender's clock [s]; 0 where it is not said.
            arrival: When the message arrived, by the local clock [s].
            own: The same moment by our own clock for stamps [s]; NaN where there is none. A
                sender whose stamps agree with it is taken at its word, so that what we stamp in
                turn means to it what it meant.
        """
        if not stamp > 0.0:
            return arrival
        if stamp != self._last[0]:
            self._last = (stamp, self._mapped(stamp, arrival, own))
        # Told again, it is no younger: a sender that hangs must not look alive.
        return self._last[1]

    def _mapped(self, stamp: float, arrival: float, own: float) -> float:
        if self._is_ours(own - stamp, arrival):
            self._offset, self._heard = arrival - own, arrival
            return stamp + self._offset
        difference = arrival - stamp
        if self._offset is None or abs(difference - self._offset) > JUMP:
            self._offset = difference
        else:
            slack = DRIFT * max(arrival - self._heard, 0.0)
            self._offset = min(self._offset + slack, difference)
        self._heard = arrival
        return stamp + self._offset

    def _is_ours(self, late: float, arrival: float) -> bool:
        """Whether a message that seems to come so late [s] was stamped by our own clock."""
        if -AHEAD <= late <= JUMP:
            self._agreed = arrival
        # A busy machine makes messages late; a clock that was set stays wrong.
        return late >= -AHEAD and arrival - self._agreed <= PATIENCE

    def stamp(self, local: float) -> float | None:
        """The sender's clock at a local time [s]; None where it never said what its clock is."""
        return None if self._offset is None else local - self._offset

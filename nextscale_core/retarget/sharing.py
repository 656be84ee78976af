"""One at a time: what threads share when they share a robot.

Pinocchio's data and the collision models of a robot are scratch memory that its retargeters and
gates have in common. Python would run their work one after the other anyway, so a lock per robot
costs nothing that could be had.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from threadpoolctl import ThreadpoolController

from nextscale_core.retarget.robot import Robot

_guard = threading.Lock()
_locks: WeakKeyDictionary[Robot, threading.RLock] = WeakKeyDictionary()


def lock_of(robot: Robot) -> threading.RLock:
    """The one lock of everything that works for a robot; a thread may take it again."""
    with _guard:
        return _locks.setdefault(robot, threading.RLock())


class _OneBlasThread:
    """Holds BLAS to one thread while anybody works; small matrices are slower with more.

    The setting belongs to the process. Two who set it back each on their own would leave it wrong
    for good, so the last one out does.
    """

    def __init__(self) -> None:
        self._controller: ThreadpoolController | None = None
        self._inside = 0

    def enter(self) -> None:
        with _guard:
            if self._inside == 0:
                # Which libraries there are is found once: that takes milliseconds.
                self._controller = self._controller or ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
                self._limit.__enter__()
            self._inside += 1

    def leave(self) -> None:
        with _guard:
            self._inside -= 1
            if self._inside == 0:
                self._limit.__exit__(None, None, None)


_blas = _OneBlasThread()


@contextmanager
def alone_with(robot: Robot) -> Iterator[None]:
    """Work for a robot while no other thread does, on one BLAS thread."""
    with lock_of(robot):
        _blas.enter()
        try:
            yield
        finally:
            _blas.leave()

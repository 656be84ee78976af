"""One at a time: what threads share when they retarget and review.

The retargeters and gates of a robot have scratch memory in common (pinocchio's data, collision
models), and the number of BLAS threads belongs to the whole process: two who set it back each on
their own may leave it wrong for good. Python would run most of their work one after the other
anyway, so one lock for all costs little.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

_lock = threading.RLock()
_inside = 0


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Finding the libraries takes milliseconds, so it is done once."""
    return ThreadpoolController()


@contextmanager
def alone() -> Iterator[None]:
    """Work while no other thread does, on one BLAS thread: small matrices are slower with more.

    A thread that is inside already may enter again.
    """
    global _inside
    with _lock:
        _inside += 1
        try:
            if _inside > 1:
                yield
            else:
                with _controller().limit(limits=1, user_api="blas"):
                    yield
        finally:
            _inside -= 1

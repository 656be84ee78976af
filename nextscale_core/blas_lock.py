"""Process-wide lock for numerical work on one BLAS thread.

Retargeters and gates of a robot share scratch memory (pinocchio's data, collision models), and the
number of BLAS threads is a setting of the process: two threads that each restore it may leave it
wrong. Python would run most of this work one thread at a time anyway, so one lock costs little.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import LibController, ThreadpoolController

_lock = threading.RLock()
_inside = 0


@lru_cache(maxsize=1)
def _libraries() -> list[LibController]:
    """The BLAS libraries of this process; finding them takes milliseconds."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Exclude other threads and use one BLAS thread: small matrices are slower with more.

    Reentrant.
    """
    global _inside
    with _lock:
        _inside += 1
        try:
            if _inside > 1:
                yield
            else:
                # As threadpoolctl's own context, without its search through all libraries.
                several = [(one, n) for one in _libraries() if (n := one.get_num_threads()) != 1]
                for library, _ in several:
                    library.set_num_threads(1)
                try:
                    yield
                finally:
                    for library, threads in several:
                        library.set_num_threads(threads)
        finally:
            _inside -= 1

"""A thread that serves the newest request only."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

Request = TypeVar("Request")


class Ticket:
    """Permission of a job to publish, until a newer request arrives."""

    def __init__(self, worker: NewestOnlyWorker, number: int) -> None:
        self._worker = worker
        self.number = number

    @property
    def stale(self) -> bool:
        """Whether a newer request has arrived, or the worker is closing."""
        return self._worker.newest != self.number

    def publish(self, action: Callable[[], None]) -> bool:
        """Run `action` if this job is the newest, newer ones blocked; returns whether it ran."""
        with self._worker.gate:
            if self.stale:
                return False
            action()
            return True


class NewestOnlyWorker(Generic[Request]):
    """Runs `job(request, ticket)` in its own thread; a newer request replaces older ones.

    Args:
        job: The work. It should check `ticket.stale` regularly and should not raise.
        replaced: Called with each request that was replaced before its job began.
    """

    def __init__(
        self,
        job: Callable[[Request, Ticket], None],
        replaced: Callable[[Request], None],
    ) -> None:
        self._job = job
        self._replaced = replaced
        self._pending: tuple[Request, Ticket] | None = None
        self._closed = False
        self._running = False
        self.newest = 0
        self.gate = threading.RLock()
        self._wake = threading.Condition(self.gate)
        self._thread = threading.Thread(target=self._run, name="motion", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        with self.gate:
            return self._running or self._pending is not None

    def submit(self, request: Request, *, only_if_idle: bool = False) -> bool:
        """Take a request, and return whether it was taken; older ones become stale at once.

        Args:
            request: The request.
            only_if_idle: Refuse it where a job runs or waits.
        """
        with self._wake:
            if self._closed or (only_if_idle and self.busy):
                return False
            before, self.newest = self._pending, self.newest + 1
            self._pending = (request, Ticket(self, self.newest))
            self._wake.notify()
        if before is not None:
            self._replaced(before[0])
        return True

    def drop(self) -> None:
        """Make all requests stale; later ones are served."""
        with self._wake:
            before, self._pending = self._pending, None
            self.newest += 1
            self._wake.notify()
        if before is not None:
            self._replaced(before[0])

    def close(self, timeout: float = 5.0) -> bool:
        """Make all requests stale; returns whether the job has ended within a time [s]."""
        self._closed = True
        self.drop()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._pending is not None)
                if self._closed or self._pending is None:
                    return
                (request, ticket), self._pending = self._pending, None
                self._running = True
            try:
                self._job(request, ticket)
            except Exception:
                # The next request is served in any case.
                traceback.print_exc()
            finally:
                with self._wake:
                    self._running = False

"""`LocalWorkers`: processes of this machine that make items."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from nextscale_core.ending_signals import ending_signals
from nextscale_core.exceptions import ConfigError, NextscaleError
from nextscale_core.production.make import Item, Maker
from nextscale_core.production.recipe import Job, Recipe

Made = tuple[int, list[Item] | str]
"""Number of a job and its items, or why every worker that tried it ended."""

TRIES = 2
"""Number of workers that a job may end, killed or crashed, before it is given up."""

_PATIENCE = 5.0
"""Time for a worker to end by itself, after which it is killed [s]."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: tuple[int, Job] | None = None
    ready: bool = False


class LocalWorkers:
    """A fixed number of processes, each with its own model and robots and one thread.

    A worker that ends is replaced, and its job is tried again.

    Args:
        recipe: What is made.
        count: Number of processes.
    """

    def __init__(self, recipe: Recipe, count: int) -> None:
        self._recipe = recipe
        # A fork would copy locks of threads that torch and others have started.
        self._context = multiprocessing.get_context("spawn")
        self._tries: dict[int, int] = {}
        self._workers = [self._start() for _ in range(count)]

    @property
    def free(self) -> bool:
        """Whether a worker waits for a job."""
        return any(worker.job is None for worker in self._workers)

    @property
    def window(self) -> int:
        """Number of jobs that may be begun and not yet written."""
        return 8 * len(self._workers)

    def submit(self, number: int, job: Job) -> None:
        """Give a job to a worker that waits for one."""
        worker = next(one for one in self._workers if one.job is None)
        worker.job = number, job
        # A worker that has ended is found by `wait`.
        with suppress(OSError):
            worker.connection.send(job)

    def wait(self, seconds: float) -> list[Made]:
        """Jobs that are done, or nothing after some time.

        Raises:
            ConfigError: a worker cannot load the model or the robots, or ends while it does.
        """
        ready = wait([one.connection for one in self._workers], seconds)
        made = []
        for place, worker in enumerate(self._workers):
            if worker.connection in ready:
                made += self._take(place, worker)
        return made

    def close(self) -> None:
        """End all workers, which may finish what they do within a few seconds."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            worker.process.kill()
            worker.process.join()

    def _take(self, place: int, worker: _Worker) -> list[Made]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._replace(place, worker)
        if isinstance(message, str):
            raise ConfigError(message)
        if message is None:
            worker.ready = True
            return []
        assert worker.job is not None
        number, worker.job = worker.job[0], None
        return [(number, message)]

    def _replace(self, place: int, worker: _Worker) -> list[Made]:
        worker.process.join()
        worker.connection.close()
        reason = f"the worker process ended with exit code {worker.process.exitcode}"
        if not worker.ready:
            raise ConfigError(f"{reason} while it loaded model and robots; is memory short?")
        self._workers[place] = self._start()
        if worker.job is None:
            return []
        number, job = worker.job
        self._tries[number] = self._tries.get(number, 0) + 1
        if self._tries[number] == TRIES:
            return [(number, f"{reason}, {TRIES} times")]
        self._workers[place].job = number, job
        self._workers[place].connection.send(job)
        return []

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        with _one_thread():
            process = self._context.Process(
                target=_serve, args=(self._recipe, theirs), name="nextscale produce", daemon=True
            )
            process.start()
        theirs.close()
        return _Worker(process, ours)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start here use one thread each in BLAS and OpenMP."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(recipe: Recipe, connection: Connection) -> None:
    """Make items of the jobs that arrive, until the other side is closed."""
    # Signals to a terminal's or a service's processes reach all; the owner of the folder decides.
    for one in ending_signals():
        signal.signal(one, signal.SIG_IGN)
    try:
        maker = Maker(recipe)
    except NextscaleError as error:
        connection.send(str(error))
        return
    connection.send(None)
    try:
        while True:
            connection.send(maker.make(connection.recv()))
    except (EOFError, OSError):
        return

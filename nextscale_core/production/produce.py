"""`produce`: run a production until it is complete or stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from nextscale_core.ending_signals import ending_signals
from nextscale_core.exceptions import ConfigError
from nextscale_core.production.folder import ProductionFolder
from nextscale_core.production.local_workers import LocalWorkers
from nextscale_core.production.make import Item
from nextscale_core.production.plan import Plan, make_plan
from nextscale_core.production.ray_workers import RayWorkers
from nextscale_core.production.spec import read_spec
from nextscale_core.robots.robot import Robot

_POLL = 0.2
"""Time after which a signal is noticed [s]."""


@dataclass(frozen=True)
class Production:
    """State of a production.

    Attributes:
        done: Number of sources (sentences with a seed, captures) that are done.
        total: Number of all sources.
        kept: Number of items that are kept; a source has one for each robot, and one for the human
            motion if a format holds it.
        refused: Number of items that are not kept, by the stage that refused them.
        stopped: Signal that stopped it; None where it is complete.
    """

    done: int
    total: int
    kept: int
    refused: Mapping[str, int]
    stopped: int | None = None


def produce(
    spec: str | Path,
    out: str | Path,
    *,
    workers: int | None = None,
    ray: str | None = None,
    progress: Callable[[Production], None] | None = None,
) -> Production:
    """Make the motions of a specification, or go on with them.

    A folder that an interrupted call has left is continued: the result is the same, to the byte,
    as that of a call without interruption. `ending_signals` end the call early.

    Args:
        spec: YAML file; see `ProductionSpec`.
        out: Folder to write.
        workers: Number of processes, one thread each; None for one per core.
        ray: Address of a Ray cluster whose cores do the work; None for this machine.
        progress: Called at the start and after each source.

    Raises:
        ConfigError: the specification is not valid, is not the one that the folder was begun
            with, or names a model, policy or cluster that cannot be used.
        RobotError: a robot that cannot be used.
        MotionFileError: the folder cannot be written.
    """
    spec, out = Path(spec), Path(out)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}")
    plan = make_plan(read_spec(spec), spec.parent, out)
    robots = plan.robots()
    with closing(ProductionFolder(out, plan, robots)) as folder:
        report = _reporter(folder, len(plan), progress)
        report(None)
        stopped = None
        if folder.jobs < len(plan):
            with closing(_workers(plan, workers, ray)) as pool, _signals() as received:
                stopped = _run(plan, robots, folder, pool, received, lambda: report(None))
        if stopped is None:
            folder.finish()
        return report(stopped)


def _run(
    plan: Plan,
    robots: list[Robot],
    folder: ProductionFolder,
    pool: LocalWorkers | RayWorkers,
    received: list[int],
    report: Callable[[], object],
) -> int | None:
    """Work until all jobs are written; returns a signal that came before."""
    made: dict[int, list[Item]] = {}
    submitted = folder.jobs

    def submit() -> None:
        nonlocal submitted
        while submitted < min(len(plan), folder.jobs + pool.window) and pool.free:
            pool.submit(submitted, plan.job(submitted))
            submitted += 1

    while folder.jobs < len(plan):
        submit()
        for number, result in pool.wait(_POLL):
            if isinstance(result, str):
                result = _lost(plan, robots, number, result)
            made[number] = result
        # Workers go on while the files are written.
        submit()
        while not received and folder.jobs in made:
            folder.commit(made.pop(folder.jobs))
            report()
        if received and folder.jobs < len(plan):
            return received[0]
    return None


def _workers(plan: Plan, count: int | None, ray: str | None) -> LocalWorkers | RayWorkers:
    if ray is not None:
        return RayWorkers(plan.recipe, ray, count)
    return LocalWorkers(plan.recipe, min(count or len(os.sched_getaffinity(0)), len(plan)))


def _lost(plan: Plan, robots: list[Robot], number: int, reason: str) -> list[Item]:
    """Items of a job that ended every worker that tried it."""
    job = plan.job(number)
    humans: list[str | None] = [None] if plan.spec.human_formats else []
    row = {"source": job.name, "sentence": job.sentence, "seed": job.seed, "capture": job.capture}
    why = {"kept": False, "stage": "worker", "reason": reason}
    names = [*humans, *(robot.name for robot in robots)]
    return [Item({**row, "robot": name, **why}) for name in names]


def _reporter(
    folder: ProductionFolder, total: int, progress: Callable[[Production], None] | None
) -> Callable[[int | None], Production]:
    def report(stopped: int | None) -> Production:
        refused = dict(sorted(folder.refused.items()))
        state = Production(folder.jobs, total, folder.kept, refused, stopped)
        if progress is not None and stopped is None:
            progress(state)
        return state

    return report


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The `ending_signals` that arrive, instead of what they do by default."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {one: signal.signal(one, note) for one in ending_signals()}
    try:
        yield received
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)

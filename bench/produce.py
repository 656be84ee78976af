"""Efficiency of `nextscale produce` with several workers, and memory over many motions.

    python bench/produce.py efficiency [--workers 2] [--sources 24] [--robot g1]
    python bench/produce.py memory [--sources 2000] [--workers 2] [--robot g1] [--seconds 1]

`efficiency` makes the same motions with one worker and with several, in turns, and prints ratios:

- wall: throughput of several workers against one. Other work on the machine spoils it.
- CPU: CPU time per source of all processes with one worker, against several: what more workers
  cost in contention and in the process that writes.
- idle: share of a worker's time in which it neither computes nor waits for a core: it waits for a
  job or for the disk.
- efficiency: CPU times (1 - idle): the part of linear speed-up that remains where each worker has
  a core to itself.

`memory` prints the resident memory of all processes after every 100 sources of 1 s, generated with
one pass a scale, and the slope over the second half.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nextscale_core.production import Production, produce

ACTIONS = ("walks forward", "runs", "jumps", "turns around", "waves", "squats", "raises both arms")


def write_spec(folder: Path, options: argparse.Namespace, steps: str = "null") -> Path:
    """A specification with a number of sources."""
    path = folder / "spec.yaml"
    seeds = -(-options.sources // len(ACTIONS))
    path.write_text(
        f"sentences: [{', '.join(f'a person {action}' for action in ACTIONS)}]\n"
        f"seeds: {seeds}\ngeneration: {{seconds: {options.seconds}, steps: {steps}}}\n"
        f"robots: [{options.robot}]\n"
        "formats: [robot-npz]\nshards: {motions: 64}\n"
    )
    return path


@dataclass
class Watch:
    """Wall and CPU time and memory of this process and of its workers, by finished sources.

    Attributes:
        rows: (sources, wall time [s], CPU time [s], memory [MiB], time of all workers on a core or
            waiting for one [s]).
    """

    rows: list[tuple[int, float, float, float, float]] = field(default_factory=list)

    def __call__(self, state: Production) -> None:
        """Note the state after a source."""
        if self.rows and self.rows[-1][0] == state.done:
            return  # the end: the workers are gone
        workers = children()
        processes = [os.getpid(), *workers]
        cpu = sum(cpu_seconds(one) for one in processes)
        memory = sum(resident(one) for one in processes)
        busy = sum(runnable_seconds(one) for one in workers)
        self.rows.append((state.done, time.monotonic(), cpu, memory, busy))
        if state.done and state.done % 100 == 0:
            print(f"{state.done:6d} sources: {memory:8.1f} MiB", flush=True)


def children() -> list[int]:
    """Processes that this one has started."""
    folder = Path("/proc/self/task")
    return [
        int(one) for task in folder.iterdir() for one in (task / "children").read_text().split()
    ]


def cpu_seconds(process: int) -> float:
    """CPU time of a process, user and system [s]."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def runnable_seconds(process: int) -> float:
    """Time of a process' main thread on a core or waiting for one [s]."""
    on_core, waiting, _ = map(int, Path(f"/proc/{process}/schedstat").read_text().split())
    return (on_core + waiting) / 1e9


def resident(process: int) -> float:
    """Resident memory of a process [MiB]."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measured(spec: Path, workers: int) -> Watch:
    """Run a production in a new folder."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        result = produce(spec, Path(folder) / "out", workers=workers, progress=watch)
    if result.stopped is not None:
        raise SystemExit(f"not a whole run: {result}")
    return watch


def steady(watch: Watch, workers: int) -> tuple[float, float, float]:
    """Wall and CPU time per source [s], and idle share of the workers, once all are loaded."""
    first = next(row for row in watch.rows if row[0] >= 4 * workers)
    last = watch.rows[-workers]  # the last sources leave workers without a job
    count, wall = last[0] - first[0], last[1] - first[1]
    return wall / count, (last[2] - first[2]) / count, 1 - (last[4] - first[4]) / wall / workers


def efficiency(options: argparse.Namespace, folder: Path) -> None:
    """Print the efficiency of several workers against one."""
    spec = write_spec(folder, options)
    turns = []
    for turn in range(options.turns):
        one = steady(measured(spec, 1), 1)
        many = steady(measured(spec, options.workers), options.workers)
        cpu = one[1] / many[1]
        turns.append((one[0] / many[0] / options.workers, cpu, many[2], cpu * (1 - many[2])))
        print(f"turn {turn + 1}: {line(turns[-1])}, idle with one worker {one[2]:.1%}", flush=True)
    print(f"median: {line(np.median(np.array(turns), axis=0))}, {options.workers} workers")


def line(figures: Sequence[float]) -> str:
    """The ratios of a turn."""
    names = ("wall", "CPU", "idle", "efficiency")
    return ", ".join(f"{name} {value:.1%}" for name, value in zip(names, figures, strict=True))


def memory(options: argparse.Namespace, folder: Path) -> None:
    """Print memory over the number of sources."""
    spec = write_spec(folder, options, steps="[1, 1, 1, 1, 1]")
    watch = measured(spec, options.workers)
    table = np.array([(row[0], row[3]) for row in watch.rows if row[0] > 0])
    half = table[len(table) // 2 :]
    slope = np.polyfit(half[:, 0], half[:, 1], 1)[0]
    print(f"slope over the second half: {1000 * slope:.2f} MiB per 1000 sources")


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("efficiency", "memory"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sources", type=int, default=0)
    parser.add_argument("--robot", default="g1")
    parser.add_argument("--seconds", type=float, default=0.0, help="length of a motion")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    options.seconds = options.seconds or {"efficiency": 4.0, "memory": 1.0}[options.what]
    options.sources = options.sources or {"efficiency": 28, "memory": 2000}[options.what]
    with tempfile.TemporaryDirectory() as folder:
        {"efficiency": efficiency, "memory": memory}[options.what](options, Path(folder))


if __name__ == "__main__":
    main()

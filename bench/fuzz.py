"""Fuzz test with ten thousand malformed inputs: typed errors only, within time and memory limits.

    python bench/fuzz.py [--count 10000] [--seed 0] [--dds 300] [--json OUT]

Random texts, messages, parameters, profiles, weights, npz, BVH and bags are read in this process;
then a sample of messages, some of them corrupted bytes, is sent over DDS to a running node, which
must serve a valid sentence afterwards. The exit status is 1 on any fault.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from fuzz_files import Attack, file_attacks
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from nextscale_core.exceptions import NextscaleError
from nextscale_core.npz import write_text

SECONDS = 20.0
"""Maximum time for one input, on a busy machine [s]."""

MEGABYTES = 600.0
"""Maximum memory of one input [MB]."""


class TooSlowError(BaseException):
    """Reading one input took too long; a BaseException, so that no reader catches it."""


@dataclass
class Tally:
    """Results of the inputs of one kind.

    Attributes:
        count: Number of inputs.
        taken: Number of inputs that were accepted.
        refused: Number of rejected inputs by type of the error.
        slowest: Longest time of an input [s].
        largest: Peak memory of an input [MB].
        faults: Violations: number of the input and description.
    """

    count: int = 0
    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    largest: float = 0.0
    faults: list[str] = field(default_factory=list)


def attack(one: Attack, seed: int, folder: Path, tally: Tally, seconds: float = SECONDS) -> None:
    """Create and read one input, and add the result to the tally.

    Args:
        one: Function that creates the input and reads it.
        seed: Seed of the input.
        folder: Folder for its files.
        tally: Tally to update.
        seconds: Time after which SIGALRM interrupts it [s]; 0 for never.
    """
    tally.count += 1
    before = _peak(reset=True)
    begin = time.monotonic()
    if seconds:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        one(random.Random(seed), folder)
        tally.taken += 1
    except NextscaleError as error:
        tally.refused[type(error).__name__] += 1
        if not str(error).strip() or len(str(error)) > 20_000:
            tally.faults.append(f"{seed}: a message of {len(str(error))} characters")
    except (Exception, TooSlowError) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {str(error)[:150]!r}"
        tally.faults.append(f"{seed}: {text} at {Path(where.filename).name}:{where.lineno}")
    finally:
        if seconds:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
    grown = _peak() - before
    tally.slowest = max(tally.slowest, time.monotonic() - begin)
    tally.largest = max(tally.largest, grown)
    if grown > MEGABYTES:
        tally.faults.append(f"{seed}: took {grown:.0f} MB")


def _peak(reset: bool = False) -> float:
    """Peak memory of this process since the last reset [MB]; 0 if unknown."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        text = Path("/proc/self/status").read_text()
        return float(text.split("VmHWM:")[1].split()[0]) / 1e3
    except (OSError, IndexError, ValueError):
        return 0.0


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlowError(f"more than {SECONDS:.0f} s")


def in_process(count: int, seed: int, messages: bool = True) -> dict[str, Tally]:
    """All inputs that need no ROS graph.

    Args:
        count: Number of inputs of all kinds together.
        seed: Seed of the inputs.
        messages: Include messages and parameters, which need ROS.
    """
    signal.signal(signal.SIGALRM, _too_slow)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "made").mkdir()
        attacks = file_attacks(Path(place) / "made")
        if messages:
            from fuzz_messages import message_attacks

            attacks |= message_attacks()
        total = sum(share for share, _ in attacks.values())
        tallies = {}
        for name, (share, one) in attacks.items():
            tally = tallies[name] = Tally()
            number = round(count * share / total)
            seeds = range(seed * 1_000_000, seed * 1_000_000 + number)
            for own in tqdm(seeds, desc=name, leave=False, disable=None):
                attack(one, own, Path(place), tally)
    return tallies


def main() -> int:
    """Run all inputs, print and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dds", type=int, default=300, help="messages to a running node")
    parser.add_argument("--json", type=Path, default=None, help="file to write")
    options = parser.parse_args()
    tallies = in_process(options.count - options.dds, options.seed)
    if options.dds:
        from fuzz_dds import over_dds

        tallies["over DDS"] = over_dds(options.dds, options.seed)
    table = Table("inputs", "count", "read", "refused", "slowest [s]", "memory [MB]", "faults")
    for name, tally in tallies.items():
        refused = ", ".join(f"{kind} {n}" for kind, n in tally.refused.most_common())
        cells = (tally.count, tally.taken, refused, f"{tally.slowest:.2f}", f"{tally.largest:.0f}")
        table.add_row(name, *map(str, cells), str(len(tally.faults)))
    console = Console(width=130)
    console.print(table)
    faults = [f"{name}, seed {fault}" for name, tally in tallies.items() for fault in tally.faults]
    for fault in faults[:40]:
        console.print(f"FAULT: {fault}", markup=False)
    console.print(f"{sum(t.count for t in tallies.values())} inputs, {len(faults)} faults")
    if options.json is not None:
        report = {
            name: {**vars(tally), "refused": dict(tally.refused)} for name, tally in tallies.items()
        }
        write_text(options.json, json.dumps(report, indent=2) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Benchmark of the time from a sentence to the checked trajectory, by stage.

    python bench/latency.py [--robot g1] [--seconds 6] [--repeats 10] [--threads 2]

Prints a table of medians with the 10th and 90th percentile, for the default passes, one pass a
scale, and several candidates, and the ratio of the first two. Absolute times depend on the
machine, ratios do not.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nextscale_core.model.options import GenerationOptions
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import load_robot
from nextscale_core.safety import SafetyGate
from nextscale_core.stopwatch import Run, Stopwatch

SENTENCE = "a person walks forward and waves with the right hand"
CANDIDATES = (4, 8)


def measure(
    pipeline: MotionPipeline,
    robot_name: str,
    options: GenerationOptions,
    repeats: int,
) -> tuple[list[Stopwatch], list[str]]:
    """Stopwatches and gate outcomes of warm runs."""
    robot = load_robot(robot_name)
    retargeter, gate = Retargeter(robot), SafetyGate(robot)
    watches, outcomes = [], []
    for run in range(-2, repeats):
        watch = Stopwatch()
        pipeline.encoder.clear_cache()
        clip = pipeline.generate(SENTENCE, options, seed=max(run, 0), run=Run(watch))
        with watch.stage("retarget"):
            trajectory = retargeter.retarget(clip, rate=50.0)
        with watch.stage("gate"):
            result = gate.review(trajectory)
        if run >= 0:
            watches.append(watch)
            outcomes.append(result.report.outcome)
    return watches, outcomes


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--robot", default="g1")
    parser.add_argument("--model", default="moscale-cmu")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    pipeline = MotionPipeline.from_pretrained(options.model)
    default = GenerationOptions(seconds=options.seconds)
    cases = {
        "default": default,
        "one a scale": replace(default, steps=(1,) * len(pipeline.sampling.steps)),
        **{f"{count} candidates": replace(default, candidates=count) for count in CANDIDATES},
    }
    table = Table(
        "stage", *(f"{name} [s]" for name in cases), title=f"{options.seconds:g} s motion"
    )
    columns, totals = [], []
    for name, case in cases.items():
        watches, outcomes = measure(pipeline, options.robot, case, options.repeats)
        cells = {}
        for stage in watches[0].seconds:
            cells[stage] = [watch.seconds[stage] for watch in watches]
        cells["total"] = [watch.total for watch in watches]
        columns.append(cells)
        totals.append(statistics.median(cells["total"]))
        print(f"{name}: gate outcomes {', '.join(sorted(set(outcomes)))}")
    for stage in columns[0]:
        row = []
        for cells in columns:
            low, high = np.percentile(cells[stage], [10, 90])
            row.append(f"{statistics.median(cells[stage]):.3f} ({low:.3f} to {high:.3f})")
        table.add_row(stage, *row)
    Console().print(table)
    print(
        f"total, {sum(pipeline.sampling.steps)} passes to one a scale: {totals[0] / totals[1]:.2f}x"
    )


if __name__ == "__main__":
    main()

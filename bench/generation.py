"""Time of generation by batch size, device and precision, as ratios to one motion in fp32.

    python bench/generation.py [--device cuda] [--batches 1,8,64] [--seconds 6] [--json OUT]

Every row generates the same sentences with the same lengths; the first call of a row warms up, the
median of the others counts. Rows of one run are comparable, rows of different runs are not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from nextscale_core.npz import write_text
from nextscale_core.pipeline import DEFAULT_MODEL, MotionPipeline

SENTENCES = (
    "a person walks forward",
    "a person waves with the right hand",
    "a person squats",
    "a person turns around to the left and walks back",
)


def measure(pipeline: MotionPipeline, batch: int, seconds: float, repeats: int) -> float:
    """Median time of one batch, text and decoding included [s]."""
    texts = [SENTENCES[index % len(SENTENCES)] for index in range(batch)]
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        pipeline.generate_batch(texts, seconds=seconds, seeds=range(batch))
        if pipeline.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batches", default="1,8,64,512,1024", help="batch sizes")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each motion [s]")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pipeline = MotionPipeline.from_pretrained(options.model, device=options.device)
    cases = [
        (precision, int(batch))
        for precision in options.precisions.split(",")
        for batch in options.batches.split(",")
    ]
    rows: list[dict[str, Any]] = []
    for precision, batch in track(cases, "measuring", console=Console(stderr=True)):
        lower = torch.autocast(pipeline.device.type, torch.bfloat16)
        with lower if precision == "bf16" else contextlib.nullcontext():
            took = measure(pipeline, batch, options.seconds, options.repeats)
        rows.append({"precision": precision, "batch": batch, "seconds": took})
    one = rows[0]["seconds"] / rows[0]["batch"]
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu"
    table = Table("precision", "batch", "time [s]", "motions/s", "motions/s over the first row")
    for row in rows:
        rate = row["batch"] / row["seconds"]
        row["motions_per_second"], row["ratio"] = rate, rate * one
        texts = (f"{row['seconds']:.3f}", f"{rate:.1f}", f"{rate * one:.2f}")
        table.add_row(row["precision"], str(row["batch"]), *texts)
    Console().print(f"{options.model}, {options.seconds:g} s each, {name}", table)
    if options.json:
        write_text(options.json, json.dumps({"device": name, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Plot of the training curves in metrics.jsonl.

    python bench/curves.py runs/tokenizer runs/generator --out docs/images/training.png

One panel for each run. A generator's panel shows the cross-entropy of every scale on val (solid)
and in training (dotted; higher, since there coarser scales are corrupted and words hidden), a
tokenizer's the error with the first k scales.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

LABELS = {"ce": "cross-entropy", "mpjpe_mm_": "MPJPE [mm]", "top": "share in the nearest k of 32"}


def read_rows(run: Path) -> list[dict[str, Any]]:
    """The validations of a run, first to last."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def draw(axes: Any, run: Path) -> None:
    """One run in one panel."""
    rows = read_rows(run)
    prefix = next(p for p in LABELS if any(k.startswith(f"val_{p}") for k in rows[0]))
    names = sorted(k[4:] for k in rows[0] if k.startswith(f"val_{prefix}") and k[-1].isdigit())
    for color, name in enumerate(names):
        for kind, style in (("val", "-"), ("train", ":")):
            found = [
                (row["step"], row[f"{kind}_{name}"]) for row in rows if f"{kind}_{name}" in row
            ]
            if found:
                label = f"k = {name[len(prefix) :]}" if kind == "val" else None
                axes.plot(*zip(*found, strict=True), style, color=f"C{color}", label=label)
    axes.set_title(run.name)
    axes.set_xlabel("step")
    axes.set_ylabel(LABELS[prefix])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="Folders of training runs.")
    parser.add_argument("--out", type=Path, required=True, help="PNG or SVG file.")
    options = parser.parse_args()
    figure, panels = plt.subplots(
        1, len(options.runs), figsize=(4.5 * len(options.runs), 3.5), squeeze=False
    )
    for axes, run in zip(panels[0], options.runs, strict=True):
        draw(axes, run)
    figure.tight_layout()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=120)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()

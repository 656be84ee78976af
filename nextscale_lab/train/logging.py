"""Figures of a run as they come: metrics.jsonl and, where it is installed, TensorBoard."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

_log = logging.getLogger("nextscale")


class Means:
    """Means of figures over an interval of steps."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, figures: Mapping[str, float]) -> None:
        """Take the figures of one step in; a step need not have all of them."""
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def share(self, device: torch.device) -> None:
        """Take the mean over all processes, which must have the same figures, for one's own."""
        if self.sums and dist.is_available() and dist.is_initialized():
            sums = torch.tensor(list(self.sums.values()), dtype=torch.float64, device=device)
            dist.all_reduce(sums)
            values = (sums / dist.get_world_size()).tolist()
            self.sums = dict(zip(self.sums, values, strict=True))

    def take(self, device: torch.device) -> dict[str, float]:
        """Means since the last call, over all processes."""
        self.share(device)
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """The interval so far, JSON-ready."""
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the interval of `state_dict`."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])


class Scalars:
    """Writes the figures of a run; what a resumed run passes again is dropped first.

    Args:
        folder: Folder of the run.
        step: Step at which the run begins or goes on.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "metrics.jsonl"
        self.last_row = self._drop_rows_after(step)
        self.board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            _log.warning("tensorboard is not installed: scalars go to %s only", self.path.name)
            return
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def _drop_rows_after(self, step: int) -> int:
        """Keep the rows up to a step; returns the step of the last one, -1 without any."""
        if not self.path.is_file():
            return -1
        rows = []
        for line in self.path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                # Killed while it was written.
                continue
            if row["step"] <= step:
                rows.append(row)
        part = self.path.with_suffix(".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
        part.replace(self.path)
        return int(rows[-1]["step"]) if rows else -1

    def row(self, row: dict[str, Any]) -> None:
        """Append a row of figures to metrics.jsonl, unless its step has one."""
        if row["step"] > self.last_row:
            with self.path.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            self.last_row = row["step"]

    def show(self, group: str, figures: Mapping[str, float], step: int) -> None:
        """Hand scalars to TensorBoard under 'group/name'."""
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Write out what waits."""
        if self.board is not None:
            self.board.flush()

    def close(self) -> None:
        """End the event file."""
        if self.board is not None:
            self.board.close()

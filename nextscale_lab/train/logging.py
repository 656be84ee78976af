"""Metrics of a run: metrics.jsonl and, if installed, TensorBoard."""

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
    """Means of metrics over an interval of steps."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, metrics: Mapping[str, float]) -> None:
        """Add the metrics of one step, which may lack some of them."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def share(self, device: torch.device) -> None:
        """Replace the sums by their mean over all processes; all must have the same metrics."""
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
        """The interval so far as JSON values."""
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the interval of `state_dict`."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])


class Scalars:
    """Writer of the metrics of a run, without rows that a resumed run repeats.

    Args:
        folder: Folder of the run.
        step: Step at which the run begins or resumes.
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
        """Keep the rows up to a step; returns the last step, -1 without rows."""
        if not self.path.is_file():
            return -1
        rows = []
        for line in self.path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                # The process was killed while writing.
                continue
            if row["step"] <= step:
                rows.append(row)
        part = self.path.with_suffix(".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
        part.replace(self.path)
        return int(rows[-1]["step"]) if rows else -1

    def row(self, row: dict[str, Any]) -> None:
        """Append a row of metrics to metrics.jsonl unless its step has one."""
        if row["step"] > self.last_row:
            with self.path.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            self.last_row = row["step"]

    def show(self, group: str, metrics: Mapping[str, float], step: int) -> None:
        """Write scalars to TensorBoard as 'group/name'."""
        if self.board is not None:
            for name, value in metrics.items():
                self.board.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Flush TensorBoard."""
        if self.board is not None:
            self.board.flush()

    def close(self) -> None:
        """Close TensorBoard."""
        if self.board is not None:
            self.board.close()

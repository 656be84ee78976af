"""Training by several processes: shares of a batch, stop signals and reductions."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import Tensor, nn

from nextscale_core.ending_signals import ending_signals
from nextscale_core.exceptions import ConfigError, NextscaleError


class TrainingStopped(NextscaleError, RuntimeError):  # noqa: N818 (not an error)
    """A signal ended the training; a checkpoint was saved.

    Attributes:
        exit_code: Exit code of a program that this signal ended.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


@dataclass(frozen=True)
class Shard:
    """Share of one process in every batch.

    All processes draw the same batch from samplers of the same seed and take their rows of it.

    Attributes:
        rank: Index of this process.
        processes: Number of processes.
    """

    rank: int = 0
    processes: int = 1

    def rows(self, total: int) -> slice:
        """Rows of this process in a batch of `total` rows.

        Raises:
            ConfigError: the batch has fewer rows than there are processes.
        """
        if total < self.processes:
            raise ConfigError(
                f"a batch of {total} rows cannot be shared by {self.processes} processes; "
                "use a larger batch or fewer processes"
            )
        first = self.rank * total // self.processes
        return slice(first, (self.rank + 1) * total // self.processes)

    def weight(self, total: int) -> float:
        """Factor of a mean over this process's rows in the mean over all processes."""
        rows = self.rows(total)
        return (rows.stop - rows.start) * self.processes / total

    def whole(
        self, total: int, loss: Tensor, figures: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, float]]:
        """Weight means over this process's rows so that the mean over processes is the batch's.

        Args:
            total: Rows of the batch.
            loss: Mean loss over this process's rows.
            figures: Mean metrics over this process's rows.
        """
        weight = self.weight(total)
        return loss * weight, {name: value * weight for name, value in figures.items()}


class StopSignals:
    """Context manager that records Ctrl-C, SIGTERM and SIGHUP as a request to stop.

    A second signal after two seconds ends the program at once. Launchers repeat the first one to
    their children within milliseconds.
    """

    def __init__(self) -> None:
        self.received = 0
        self._at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        # Only the main thread may set handlers.
        if threading.current_thread() is threading.main_thread():
            for signum in ending_signals():
                # Keep ignoring signals that are ignored already (nohup, background jobs).
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received and now - self._at > 2.0:
            raise KeyboardInterrupt
        if not self.received:
            self.received, self._at = signum, now


def agree(values: list[float], device: torch.device) -> list[float]:
    """Maximum of each value over all processes."""
    if not (dist.is_available() and dist.is_initialized()):
        return values
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return [float(value) for value in tensor.tolist()]


@torch.no_grad()
def share_buffers(module: nn.Module) -> None:
    """Broadcast the buffers of the main process; DDP broadcasts parameters."""
    if dist.is_available() and dist.is_initialized():
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def make_accelerator(precision: str) -> Accelerator:
    """Accelerator on GPUs if available, for one or several processes."""
    # accelerate would keep the precision of the process's first run.
    if AcceleratorState._shared_state:
        AcceleratorState._reset_state()
    return Accelerator(
        mixed_precision=precision,
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[
            # A step may leave out scales and their parameters. Buffers that change in training
            # (the codebook) change identically in all processes.
            DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False),
            # The others wait while the main process evaluates.
            InitProcessGroupKwargs(timeout=timedelta(hours=2)),
        ],
    )

"""Sums and random picks over the rows of a batch shared by the processes of a training.

A single process sums and picks from its own rows at no extra cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def shared() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def summed(values: Tensor) -> Tensor:
    """Sum over all processes, bitwise equal in each; may change `values` in place."""
    if shared():
        dist.all_reduce(values)
    return values


def from_main(values: Tensor) -> Tensor:
    """Values of the main process, in all processes; may change `values` in place."""
    if shared():
        dist.broadcast(values, 0)
    return values


class GlobalRows:
    """Rows in chunks, of which each process holds the next part of every chunk.

    The rows are numbered by chunk, then by process, as if one process held them all: a pick is
    the same for any number of processes.

    Args:
        chunks: This process's rows of every chunk, each (n, D).
    """

    def __init__(self, chunks: Sequence[Tensor]) -> None:
        self.rows = torch.cat(list(chunks))
        counts = torch.tensor([[len(chunk) for chunk in chunks]], device=self.rows.device)
        rank = 0
        if shared():
            rank = dist.get_rank()
            parts = [torch.zeros_like(counts) for _ in range(dist.get_world_size())]
            dist.all_gather(parts, counts)
            counts = torch.cat(parts)
        # Number of the first row of (chunk, process), in the order chunk, then process.
        sizes = counts.T.reshape(-1)
        firsts = (sizes.cumsum(0) - sizes).reshape(len(chunks), -1)[:, rank]
        self.total = int(sizes.sum())
        self.numbers = torch.cat(
            [
                first + torch.arange(len(chunk), device=self.rows.device)
                for first, chunk in zip(firsts, chunks, strict=True)
            ]
        )

    def pick(self, count: int) -> Tensor:
        """(count, D) random rows, with repetition, the same in all processes."""
        wanted = from_main(torch.randint(self.total, (count,)).to(self.rows.device))
        # Own numbers increase, so a wanted one is found by bisection.
        place = torch.searchsorted(self.numbers, wanted).clamp(max=len(self.rows) - 1)
        own = self.numbers[place] == wanted
        return summed(torch.where(own[:, None], self.rows[place], 0.0))

    def spread(self) -> Tensor:
        """Standard deviation of all values of all rows (scalar)."""
        count = self.total * self.rows.shape[1]
        mean = summed(self.rows.sum()) / count
        return (summed((self.rows - mean).square().sum()) / (count - 1)).sqrt()

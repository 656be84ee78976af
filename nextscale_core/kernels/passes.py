"""Passes of transformer blocks through the compiled kernels: float32 on the CPU."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn


class PackedBlocks:
    """The weights of a stack of blocks, in panels as the kernels read them.

    Args:
        library: The kernels.
        width: Channels W, a multiple of 32.
        heads: Attention heads, each a multiple of 16 wide.
        depth: Number of blocks.
        weights: All weights in the order of `Blocks` in transformer.hpp.
        modules: The modules that own them.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        width: int,
        heads: int,
        depth: int,
        weights: Sequence[Tensor],
        modules: Iterable[nn.Module],
    ) -> None:
        self.library, self._modules = library, list(modules)
        self._state = self._now()
        tensors = [weight.detach().contiguous() for weight in weights]
        pointers = (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))
        sizes = map(ctypes.c_int64, (width, heads, depth))
        self.pointer = ctypes.c_void_p(library.ns_blocks(*sizes, pointers))
        weakref.finalize(self, library.ns_free_blocks, self.pointer)

    def valid(self) -> bool:
        """Whether no weight has changed since."""
        return self._state == self._now()

    def _now(self) -> list[tuple[int, int]]:
        own = (weight for module in self._modules for weight in module._parameters.values())
        return [(weight.data_ptr(), weight._version) for weight in own if weight is not None]


class CompiledCache:
    """Keys and values of the finished tokens of one batch; see `Cache` of `TextConditioned`.

    Args:
        packed: Weights.
        modulation: (depth, 6, B, W) AdaLN modulation of each block.
        text: (depth, 2, B, H, S, head_dim) keys and values of the text.
        text_mask: (B, S) bool.
        capacity: Most tokens of a sample.
        rotation: From positions (B, N) to cosines and signed sines (B, 1, N, head_dim).
    """

    def __init__(
        self,
        packed: PackedBlocks,
        modulation: Tensor,
        text: Tensor,
        text_mask: Tensor,
        capacity: int,
        rotation: Callable[[Tensor], tuple[Tensor, Tensor]],
    ) -> None:
        self._packed, self._library = packed, packed.library
        self._capacity, self._rotation = capacity, rotation
        self._done = self._count = 0
        self._positions: Tensor | None = None
        batch, words = text_mask.shape
        sizes = map(ctypes.c_int64, (batch, capacity, words))
        arrays = map(address_of, (text_mask.contiguous(), modulation, text))
        self._pointer = ctypes.c_void_p(self._library.ns_passes(packed.pointer, *sizes, *arrays))
        weakref.finalize(self, self._library.ns_free_passes, self._pointer)

    def run(self, x: Tensor, positions: Tensor, allowed: Tensor | None) -> Tensor:
        """All blocks and the last norm over new tokens; see `Cache`."""
        out = x.clone(memory_format=torch.contiguous_format)
        samples, self._count = out.shape[:2]
        if self._done + self._count > self._capacity:
            raise ValueError(f"the cache has room for {self._capacity} tokens")
        if positions is not self._positions:
            self._positions, self._turns = positions, self._rotation(positions)
        seen = None if allowed is None else allowed.contiguous()
        self._library.ns_pass(
            self._pointer,
            *map(ctypes.c_int64, (samples, self._count, self._done)),
            *map(address_of, (out, *self._turns)),
            None if seen is None else address_of(seen),
            ctypes.c_int64(torch.get_num_threads()),
        )
        return out

    def keep(self) -> None:
        """Take the tokens of the last run, as that run saw them, for finished."""
        self._done += self._count

    def first(self, batch: int) -> None:
        """Go on with the first samples only: a smaller batch of the next run is enough."""


def address_of(tensor: Tensor) -> ctypes.c_void_p:
    """Address of a contiguous tensor's first element; the caller keeps the tensor."""
    return ctypes.c_void_p(tensor.data_ptr())

"""Passes of a transformer over one batch, with the keys and values of its finished tokens."""

from __future__ import annotations

import ctypes
import weakref
from typing import Protocol

import torch
from torch import Tensor, nn

from nextscale_core.kernels import kernels
from nextscale_core.model.conditioned import Condition, Past, TextConditioned, joined
from nextscale_core.model.transformer import Block, rope


class Cache(Protocol):
    """Keys and values of the finished tokens of one batch, beside its condition."""

    def run(self, x: Tensor, positions: Tensor, allowed: Tensor | None) -> Tensor:
        """All blocks and the last norm over new tokens.

        Args:
            x: (B, N, W) tokens.
            positions: (B, N) positions, in latents.
            allowed: (B, P + N) bool, the finished and the new tokens that may be seen; None for
                all.

        Returns:
            (B, N, W).
        """

    def keep(self) -> None:
        """Take the tokens of the last run, as that run saw them, for finished."""

    def first(self, batch: int) -> None:
        """Go on with the first samples only."""


class TorchCache:
    """A cache of tensors, on any device."""

    def __init__(self, model: TextConditioned, condition: Condition) -> None:
        self._model, self._condition = model, condition
        self._past: Past = []
        self._current: Past = []

    def run(self, x: Tensor, positions: Tensor, allowed: Tensor | None) -> Tensor:
        """See `Cache`."""
        mask = None if allowed is None else allowed[:, None, None]
        hidden, self._current = self._model.run_blocks(
            x, positions, mask, self._condition, self._past
        )
        return hidden

    def keep(self) -> None:
        """See `Cache`."""
        self._past = joined(self._past, self._current)

    def first(self, batch: int) -> None:
        """See `Cache`."""
        self._condition = self._condition.first(batch)
        self._past = [(k[:batch], v[:batch]) for k, v in self._past]


class _Packed:
    """The weights of a model's blocks, in the order in which the kernels read them."""

    def __init__(self, library: ctypes.CDLL, model: TextConditioned) -> None:
        self.library = library
        self._modules = [model.norm, *model.blocks.modules()]
        self._state = self._now()
        blocks = [block for block in model.blocks if isinstance(block, Block)]
        tensors = [t for block in blocks for t in _weights(block)]
        tensors += [model.norm.weight, model.norm.bias]
        tensors = [t.detach().contiguous() for t in tensors]
        pointers = (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))
        self.heads, self.depth = blocks[0].attention.heads, len(blocks)
        sizes = (model.norm.weight.shape[0], self.heads, self.depth)
        self.pointer = ctypes.c_void_p(library.ns_blocks(*map(ctypes.c_int64, sizes), pointers))
        weakref.finalize(self, library.ns_free_blocks, self.pointer)

    def valid(self) -> bool:
        """Whether no weight has changed since."""
        return self._state == self._now()

    def _now(self) -> list[tuple[int, int]]:
        own = (weight for module in self._modules for weight in module._parameters.values())
        return [(weight.data_ptr(), weight._version) for weight in own if weight is not None]


class CompiledCache:
    """A cache of the compiled kernels: float32 on the CPU.

    Args:
        packed: Weights.
        condition: Text and length of the batch.
        capacity: Most tokens of a sample.
    """

    def __init__(self, packed: _Packed, condition: Condition, capacity: int) -> None:
        self._packed, self._library = packed, packed.library
        self._done = self._count = 0
        self._positions: Tensor | None = None
        modulation = torch.stack([torch.stack(own) for own in condition.modulation])
        text = torch.stack([torch.stack(own) for own in condition.text])
        mask = condition.text_mask.contiguous()
        batch, words = len(mask), mask.shape[-1]
        self._capacity, self._dim = capacity, text.shape[-1]
        sizes = map(ctypes.c_int64, (batch, capacity, words))
        self._pointer = ctypes.c_void_p(
            self._library.ns_passes(packed.pointer, *sizes, *map(_address, (mask, modulation, text)))
        )
        weakref.finalize(self, self._library.ns_free_passes, self._pointer)

    def run(self, x: Tensor, positions: Tensor, allowed: Tensor | None) -> Tensor:
        """See `Cache`."""
        out = x.clone(memory_format=torch.contiguous_format)
        samples, self._count = out.shape[:2]
        if self._done + self._count > self._capacity:
            raise ValueError(f"the cache has room for {self._capacity} tokens")
        if positions is not self._positions:
            self._positions, self._rotation = positions, rope(positions, self._dim)
        self._library.ns_pass(
            self._pointer,
            *map(ctypes.c_int64, (samples, self._count, self._done)),
            *map(_address, (out, *self._rotation)),
            None if allowed is None else _address(allowed.contiguous()),
            ctypes.c_int64(torch.get_num_threads()),
        )
        return out

    def keep(self) -> None:
        """See `Cache`."""
        self._done += self._count

    def first(self, batch: int) -> None:
        """See `Cache`; a smaller batch of the next run is enough."""


def cache_of(model: TextConditioned, condition: Condition, capacity: int) -> Cache:
    """The compiled cache where the kernels can do the work, that of tensors elsewhere.

    The kernels take float32 on the CPU without gradients, a width that is a multiple of 32, and
    heads of a multiple of 16.

    Args:
        model: The transformer, in eval mode.
        condition: Text and length of the batch.
        capacity: Most tokens of a sample.
    """
    library, query = kernels(), condition.query
    width = model.norm.weight.shape[0]
    plain = (
        (query.device.type, query.dtype, model.norm.weight.dtype)
        == ("cpu", torch.float32, torch.float32)
        and not (query.requires_grad or model.training or torch.is_autocast_enabled("cpu"))
        and width % 32 == 0
        and condition.text[0][0].shape[-1] % 16 == 0
    )
    if library is None or not plain:
        return TorchCache(model, condition)
    packed = _packed.get(model)
    if packed is None or not packed.valid():
        packed = _packed[model] = _Packed(library, model)
    return CompiledCache(packed, condition, capacity)


_packed: weakref.WeakKeyDictionary[TextConditioned, _Packed] = weakref.WeakKeyDictionary()


def _weights(block: Block) -> list[Tensor]:
    attention, cross, mlp = block.attention, block.cross, block.mlp

    def linear(module: nn.Module) -> list[Tensor]:
        return [module.weight, module.bias]  # type: ignore[list-item]

    return [
        *linear(attention.qkv),
        attention.q_norm.weight,
        attention.k_norm.weight,
        *linear(attention.out),
        block.norm2.weight,
        block.norm2.bias,
        *linear(cross.q),
        *linear(cross.out),
        *linear(mlp[0]),
        *linear(mlp[2]),
    ]


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())

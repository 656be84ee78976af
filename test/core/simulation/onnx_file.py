"""ONNX files of one linear layer, written byte by byte: tests need no library for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_FLOAT = 1


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _field(number: int, value: bytes | str | int) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, _FLOAT) + _field(8, name) + _field(9, array.astype("<f4").tobytes())


def _row(name: str, length: int) -> bytes:
    """Description of a value of shape (1, length)."""
    shape = b"".join(_field(1, _field(1, size)) for size in (1, length))
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, shape)))


def write_linear(
    path: Path, weight: np.ndarray, bias: np.ndarray, metadata: Mapping[str, str] | None = None
) -> Path:
    """Write the policy `observation @ weight + bias`.

    Args:
        path: The .onnx file.
        weight: (O, A).
        bias: (A,).
        metadata: Texts of the file.
    """
    node = [
        *(_field(1, name) for name in ("obs", "weight", "bias")),
        *(_field(2, "action"), _field(4, "Gemm")),
    ]
    graph = [
        _field(1, b"".join(node)),
        _field(2, "linear"),
        _field(5, _tensor("weight", weight)),
        _field(5, _tensor("bias", bias)),
        _field(11, _row("obs", weight.shape[0])),
        _field(12, _row("action", weight.shape[1])),
    ]
    model = [_field(1, 8), _field(7, b"".join(graph)), _field(8, _field(1, "") + _field(2, 13))]
    model += [
        _field(14, _field(1, key) + _field(2, value)) for key, value in (metadata or {}).items()
    ]
    path.write_bytes(b"".join(model))
    return path

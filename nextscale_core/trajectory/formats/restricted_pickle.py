"""Pickle files of plain values and numeric arrays: no other module reads or writes pickles.

A pickle names functions and classes that its reader calls. Here only the names that NumPy's arrays
need are known, and none of them is NumPy's own: small stand-ins take the arguments, and arrays are
made of the raw bytes. Every other name is an error.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import MAX_BYTES

_NUMPY = {
    f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric")
}


class _Refused(Exception):  # noqa: N818 (its message is part of another error)
    """A name that a file of plain values and arrays does not need."""


class _DType:
    """Stands in for `numpy.dtype`."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def numpy(self) -> np.dtype[Any]:
        """The type of numbers, truth values or texts of a fixed width."""
        kind = np.dtype(str(self.code))
        if kind.kind not in "biufU":
            raise _Refused(f"arrays of {self.code!r}")
        return kind.newbyteorder(">") if self.order == ">" else kind.newbyteorder("<")


class _Array:
    """Stands in for `numpy.ndarray`; `value` is the array."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        self.value = _from_bytes(raw, kind, shape, "F" if fortran else "C")


def _from_bytes(raw: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(kind, _DType) or not isinstance(raw, bytes | bytearray):
        raise _Refused("arrays of objects")
    shape = tuple(int(size) for size in shape)
    dtype = kind.numpy()
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"an array of shape {shape} needs other than {len(raw)} bytes")
    return np.frombuffer(bytes(raw), dtype).reshape(shape, order="F" if order == "F" else "C")


class _Unpickler(pickle.Unpickler):
    """Knows the names that pickled arrays need, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        # Bound methods: the file cannot set their attributes.
        if module in _NUMPY and name in ("_reconstruct", "_frombuffer", "scalar"):
            return getattr(self, f"make{name}" if name[0] == "_" else "make_scalar")
        if (module, name) == ("numpy", "dtype"):
            return self.make_dtype
        if (module, name) == ("numpy", "ndarray"):
            return "numpy.ndarray"
        if (module, name) == ("_codecs", "encode"):
            return self.make_bytes
        raise _Refused(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("references to other files")

    def make_reconstruct(self, kind: object, shape: object, code: object) -> _Array:
        return _Array()

    def make_frombuffer(self, raw: Any, kind: Any, shape: Any, order: Any) -> _Array:
        array = _Array()
        array.value = _from_bytes(raw, kind, shape, order)
        return array

    def make_scalar(self, kind: Any, raw: Any) -> Any:
        return _from_bytes(raw, kind, (), "C").item()

    def make_dtype(self, code: str, *options: object) -> _DType:
        return _DType(code)

    def make_bytes(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise _Refused(f"texts in {encoding!r}")
        return text.encode("latin1")


def read_plain(path: Path) -> dict[str, Any]:
    """A pickled mapping of names to plain values and numeric arrays.

    Raises:
        MotionFileError: the file cannot be read, is malformed, holds another value than a mapping,
            or names a function or class; nothing in it is run.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MotionFileError(f"{path} is larger than {MAX_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        content = _Unpickler(io.BytesIO(data)).load()
    except _Refused as error:
        raise MotionFileError(
            f"{path} asks for {error}: a pickle may hold plain values and arrays of numbers only, "
            "as anything else could run code"
        ) from error
    # Damaged opcodes raise a dozen types.
    except Exception as error:
        raise MotionFileError(
            f"{path} is not a whole pickle of plain values and arrays "
            f"({type(error).__name__}: {error})"
        ) from error
    if not isinstance(content, dict):
        raise MotionFileError(f"{path} holds a {type(content).__name__}, not a mapping of names")
    return {
        str(name)[:100]: value.value if isinstance(value, _Array) else value
        for name, value in content.items()
    }


def plain_pickle(content: Mapping[str, object], protocol: int = 3) -> bytes:
    """Pickle plain values and arrays, for NumPy 1 and 2.

    Args:
        content: Names and values.
        protocol: Of the pickle; from 4 on, pickles of NumPy 2 need NumPy 2.
    """
    data = pickle.dumps(dict(content), protocol=protocol)
    # Both know the older name of the module.
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")

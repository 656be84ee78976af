"""Pickle files of plain values and numeric arrays: no other module reads or writes pickles.

A pickle names functions and classes that its reader calls. Here only the names that NumPy's arrays
need are known, and none of them is NumPy's own: small stand-ins take the arguments, and arrays are
made of the raw bytes. Every other name is an error. Files of joblib are read in the same way: each
of their arrays stands as raw bytes behind a description of its type and shape.
"""

from __future__ import annotations

import io
import math
import pickle
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import MAX_BYTES

PICKLE_FPS = 30.0
"""Rate of files of robot motion that state none [Hz]."""

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


def _joblib_array(stream: io.BytesIO) -> type[_Array]:
    """Stand-in for joblib's `NumpyArrayWrapper`, whose array follows in the stream."""

    class FromStream(_Array):
        __slots__ = ()

        def __setstate__(self, state: Any) -> None:
            if state["subclass"] != "numpy.ndarray":
                raise _Refused(f"arrays of {state['subclass']}")
            # Versions from 1.2 on align the bytes, behind the length of the padding.
            if state.get("numpy_array_alignment_bytes") is not None:
                stream.read(stream.read(1)[0])
            kind, shape = state["dtype"], state["shape"]
            if not isinstance(kind, _DType):
                raise _Refused("arrays of objects")
            size = math.prod(int(n) for n in shape) * kind.numpy().itemsize
            self.value = _from_bytes(stream.read(size), kind, shape, state["order"])

    return FromStream


class _Unpickler(pickle.Unpickler):
    """Knows the names that pickled arrays need, and no others."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self._joblib_array = _joblib_array(stream)

    def find_class(self, module: str, name: str) -> Any:
        # Bound methods: the file cannot set their attributes.
        if module in _NUMPY and name in ("_reconstruct", "_frombuffer", "scalar"):
            return getattr(self, f"make{name}" if name[0] == "_" else "make_scalar")
        if (module, name) == ("numpy", "dtype"):
            return self.make_dtype
        if (module, name) == ("numpy", "ndarray"):
            return "numpy.ndarray"
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return self._joblib_array
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
        content = _Unpickler(io.BytesIO(_decompressed(data))).load()
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
    return _with_arrays(content)


_COMPRESSED = (b"\x78", b"\x1f\x8b")
"""First bytes of zlib, which joblib uses, and gzip."""

_OTHER_COMPRESSION = {b"BZh": "bz2", b"\xfd7zXZ": "xz", b"]\x00\x00": "lzma", b'\x04"M\x18': "lz4"}


def _decompressed(data: bytes) -> bytes:
    for start, name in _OTHER_COMPRESSION.items():
        if data.startswith(start):
            raise ValueError(f"compressed with {name}: save it with zlib, or plain")
    if not data.startswith(_COMPRESSED):
        return data
    # 32 and the largest window: zlib or gzip, by the first bytes.
    unpacked = zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(data, MAX_BYTES + 1)
    if len(unpacked) > MAX_BYTES:
        raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
    return unpacked


def _with_arrays(content: dict[Any, Any], depth: int = 3) -> dict[str, Any]:
    """A mapping and those inside it with NumPy's arrays in place of the stand-ins."""
    plain: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, _Array):
            value = value.value
        elif isinstance(value, dict) and depth:
            value = _with_arrays(value, depth - 1)
        plain[str(name)[:200]] = value
    return plain


def plain_pickle(content: Mapping[str, object], protocol: int = 3) -> bytes:
    """Pickle plain values and arrays, for NumPy 1 and 2.

    Args:
        content: Names and values.
        protocol: Of the pickle; from 4 on, pickles of NumPy 2 need NumPy 2.
    """
    data = pickle.dumps(dict(content), protocol=protocol)
    # Both know the older name of the module.
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def table_in(path: Path, content: Mapping[str, Any], name: str) -> np.ndarray:
    """An array of numbers with two dimensions, as float64.

    Raises:
        MotionFileError: another value; the message lists the names in the file.
    """
    value = content.get(name)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim != 2:
        known = ", ".join(sorted(content)) or "none"
        raise MotionFileError(
            f"{path}: {name!r} must be an array of numbers with two dimensions; it has: {known}"
        )
    return value.astype(np.float64)


def stated_rate(path: Path, content: Mapping[str, Any]) -> float | None:
    """The value of `fps` [Hz], None where it is missing.

    Raises:
        MotionFileError: a value that is not a number.
    """
    stated = content.get("fps")
    try:
        return None if stated is None else float(stated)
    except (TypeError, ValueError) as error:
        raise MotionFileError(f"{path}: 'fps' must be a number: {error}") from error

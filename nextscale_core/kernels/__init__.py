"""Compiled kernels: loops of generation, retargeting and gate in C++, each beside plain Python.

`setup.py` compiles them where it finds a C++ compiler, on x86-64 once for each level of the
instruction set. Without them, or with the environment variable `NEXTSCALE_KERNELS=0`, NumPy and
PyTorch do the same work: results agree to rounding.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

_INTERFACE = 5
"""Version of the C interface in kernels.cpp."""

_log = logging.getLogger(__name__)

_enabled = os.environ.get("NEXTSCALE_KERNELS", "1") != "0"


class Track(ctypes.Structure):
    """A matrix in which rows or columns may all be the same; strides in elements."""

    _fields_ = (("data", ctypes.c_void_p), ("row", ctypes.c_int64), ("column", ctypes.c_int64))


def kernels() -> ctypes.CDLL | None:
    """The library of compiled kernels; None where it is missing or not wanted."""
    return _library() if _enabled else None


@contextmanager
def without_kernels() -> Iterator[None]:
    """NumPy alone, in all threads of this process."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


_Start = ctypes.c_char * 0


def _start(array: np.ndarray) -> int:
    """Address of an array's first element."""
    if array.flags.carray:
        # Three times as fast as NumPy's own interfaces.
        return ctypes.addressof(_Start.from_buffer(array))  # type: ignore[arg-type]
    return int(array.__array_interface__["data"][0])


def address(array: np.ndarray | None, kind: type = np.float64) -> int | None:
    """Address of an array's first element for a kernel; the caller keeps the array.

    Raises:
        TypeError: another type of elements, or an array that is not contiguous.
    """
    if array is None:
        return None
    wrong = array.dtype.type is not kind and array.dtype != kind
    if wrong or not array.flags.c_contiguous:
        gaps = "" if array.flags.c_contiguous else ", not contiguous"
        raise TypeError(
            f"a kernel needs a contiguous array of {kind.__name__}, got {array.dtype}{gaps}"
        )
    return _start(array)


def track(array: np.ndarray, rows: int, columns: int) -> Track:
    """An array of doubles as if it had been broadcast to (rows, columns)."""
    here = (1,) * (2 - array.ndim) + array.shape
    if here[0] not in (1, rows) or here[1] not in (1, columns):
        raise ValueError(f"an array of {array.shape} cannot be broadcast to {(rows, columns)}")
    strides = [0] * (2 - array.ndim) + [stride // array.itemsize for stride in array.strides]
    row, column = (stride if count > 1 else 0 for stride, count in zip(strides, here, strict=True))
    return Track(_start(array), row, column)


Argument = int | float | np.ndarray | ctypes.c_void_p


def run(library: ctypes.CDLL, name: str, *arguments: Argument) -> None:
    """Call a function of the library: integers, numbers, arrays of its own types, pointers.

    Raises:
        TypeError: see `address`.
    """
    function = getattr(library, name)
    if function.argtypes is None:
        function.argtypes = [_kind(value) for value in arguments]
    array = np.ndarray
    function(*[_own(value) if isinstance(value, array) else value for value in arguments])


def _own(array: np.ndarray) -> int | None:
    """Address of an array's first element, whatever type its elements have."""
    return _start(array) if array.flags.c_contiguous else address(array, array.dtype.type)


def _kind(value: Argument) -> type[ctypes._SimpleCData[Any]]:
    if isinstance(value, np.ndarray | ctypes.c_void_p):
        return ctypes.c_void_p
    return ctypes.c_int64 if isinstance(value, int) else ctypes.c_double


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    basic = _load("_kernels")
    if basic is None:
        return None
    level = basic.ns_level()
    names = [f"_kernels_v{wanted}" for wanted in (4, 3) if level >= wanted]
    return next((library for name in names if (library := _load(name)) is not None), basic)


def _load(name: str) -> ctypes.CDLL | None:
    """A library beside this file, with the types of its results; None where there is none."""
    folder = Path(__file__).parent
    paths = [folder / (name + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    try:
        library = ctypes.CDLL(str(path))
        version = library.ns_interface()
    except (OSError, AttributeError) as error:
        _log.warning("compiled kernels %s cannot be loaded, NumPy does their work: %s", path, error)
        return None
    if version != _INTERFACE:
        _log.warning(
            "compiled kernels %s are of version %s, this is %s; NumPy does their work until they "
            "are built again",
            *(path, version, _INTERFACE),
        )
        return None
    for function in ("ns_model", "ns_equations", "ns_broad_phase", "ns_blocks", "ns_passes"):
        getattr(library, function).restype = ctypes.c_void_p
    library.ns_suspects.restype = ctypes.c_int64
    return library

"""npz and npy files: checked reading; atomic writing of files of any kind."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from nextscale_core.exceptions import MotionFileError

MAX_BYTES = 2 << 30
"""Maximum unpacked size of a file [bytes]: a small zip can claim terabytes."""


def read_npz(path: Path, required: Iterable[str]) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file, name -> array; nothing is ever unpickled.

    Args:
        path: The file.
        required: Names of arrays that must exist.

    Raises:
        MotionFileError: the file is missing, malformed, truncated or too large, or holds objects;
            or a required array is missing (the message lists the existing ones).
    """
    _require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise MotionFileError(f"{path} unpacks to {size} bytes, at most {MAX_BYTES} are read")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except MotionFileError:
        raise
    # The zip and header parsers raise a dozen types on damaged bytes.
    except Exception as error:
        raise MotionFileError(
            f"{path} is not a whole npz file of plain arrays ({type(error).__name__}: {error})"
        ) from error
    missing = [name for name in required if name not in arrays]
    if missing:
        raise MotionFileError(
            f"{path} has no array {', '.join(map(repr, missing))}; "
            f"it has: {', '.join(sorted(arrays)) or 'none'}"
        )
    return arrays


def read_npy(path: Path) -> np.ndarray:
    """Read one npy array; nothing is ever unpickled.

    Raises:
        MotionFileError: the file is missing, malformed or truncated, or holds objects.
    """
    _require_file(path)
    try:
        # A memory map checks the size in the header against the file before it allocates.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:
        if "Python objects" in str(error):
            raise MotionFileError(
                f"{path} is not a whole npy array of numbers: it holds Python objects (as MDM's "
                "results.npy does), which are not loaded; save the array of one motion with "
                "numpy.save"
            ) from error
        raise MotionFileError(
            f"{path} is not a whole npy array of numbers ({type(error).__name__}: {error})"
        ) from error


def npy_width(path: Path) -> int:
    """Number of columns of an npy file with two dimensions; 0 for another file."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    # `read_npy` reports what is wrong with it.
    except Exception:
        return 0
    return int(array.shape[1]) if isinstance(array, np.ndarray) and array.ndim == 2 else 0


def array_names(path: Path) -> set[str]:
    """Names of the arrays of an npz file.

    Raises:
        MotionFileError: the file is missing or not an npz file.
    """
    _require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except Exception as error:  # as in `read_npz`
        raise MotionFileError(f"{path} is not a whole npz file ({error})") from error


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays compressed and atomically.

    Raises:
        MotionFileError: the folder is missing or cannot be written.
    """
    with whole_file(path) as stream:
        # The stubs take any extra keyword for `allow_pickle`.
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8 atomically.

    Raises:
        MotionFileError: the folder is missing or cannot be written.
    """
    with whole_file(path) as stream:
        stream.write(text.encode())


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content replaces a file at the end: readers see the old file or the new one.

    A pipe or a device, such as /dev/stdout, is written to as it is.

    Raises:
        MotionFileError: the folder is missing or cannot be written.
    """
    temporary: str | None = None
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            yield stream
        # mkstemp makes private files; the result gets the permissions of the user's umask.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        raise MotionFileError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def text_in(path: Path, arrays: dict[str, np.ndarray], name: str) -> str:
    """Text of a scalar unicode array, '' if the array is missing.

    Raises:
        MotionFileError: the array is not one text.
    """
    if name not in arrays:
        return ""
    array = arrays[name]
    if array.dtype.kind != "U" or array.size != 1:
        raise MotionFileError(
            f"{path}: {name!r} must be one text, got {array.dtype} of shape {array.shape}"
        )
    return str(array.reshape(()).item())


def number_in(path: Path, arrays: dict[str, np.ndarray], name: str) -> float:
    """Value of a scalar numeric array.

    Raises:
        MotionFileError: the array is not one finite number.
    """
    array = arrays[name]
    if array.dtype.kind not in "iuf" or array.size != 1 or not np.isfinite(array).all():
        raise MotionFileError(
            f"{path}: {name!r} must be one finite number, "
            f"got {array.dtype} of shape {array.shape}: {str(array)[:40]}"
        )
    return float(array.reshape(()).item())


def numbers_in(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A numeric array as float64.

    Raises:
        MotionFileError: the array holds no numbers.
    """
    array = arrays[name]
    if array.dtype.kind not in "iuf":
        raise MotionFileError(f"{path}: {name!r} must hold numbers, got {array.dtype}")
    return array.astype(np.float64)


def _require_file(path: Path) -> None:
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise MotionFileError(f"{path} {what}")

"""The rosbags library, with bounds on what a small file can make it unpack.

Its decompressors unpack whatever a frame holds and compare the size afterwards: a kilobyte of a
hostile file would become gigabytes. The ones here stop at the size that was announced, and refuse
to be told too large a one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from nextscale_core.exceptions import BagError

MAX_CHUNK = 256 << 20
"""Largest chunk of messages that is unpacked [bytes]; ROS 2 writes them of under 1 MiB."""

MAX_MESSAGE = 64 << 20
"""Largest message that is read [bytes]: thousands of times one of ours."""

MAX_SEQUENCE = 1_000_000
"""Most entries of a list in a message."""


@lru_cache(maxsize=1)
def rosbags() -> Any:
    """The module `rosbags.rosbag2`, bounded.

    Raises:
        BagError: it is not installed; the message says how to get it.
    """
    try:
        module = importlib.import_module("rosbags.rosbag2")
        storage = importlib.import_module("rosbags.rosbag2.storage_mcap")
    except ImportError as error:
        raise BagError(
            f"reading and writing bags needs rosbags ({error}); install it with: "
            "pip install 'nextscale[bag]'"
        ) from error
    unpackers: dict[str, Callable[[bytes, int], bytes]] = storage.DECOMPRESSORS
    unpackers.update({"": _as_it_is, "zstd": unpack_zstd, "lz4": _unpack_lz4})
    return module


def unpack_zstd(data: bytes, size: int) -> bytes:
    """Unpack, but no more than was announced.

    Args:
        data: One zstd frame.
        size: Announced size [bytes].

    Raises:
        BagError: it is announced too large, or is larger than announced.
    """
    zstd = _zstd()
    return _bounded(zstd.ZstdDecompressor().decompress(data, _sound(size) + 1), size)


def unpack_begin(data: bytes, compression: str, size: int) -> bytes:
    """Unpack what is there of a chunk that was cut off.

    Args:
        data: The begin of the chunk.
        compression: '', 'zstd' or 'lz4'.
        size: Announced size of the whole chunk [bytes].

    Returns:
        At most that many bytes; none where nothing can be unpacked.
    """
    try:
        if compression == "zstd":
            return bytes(_zstd().ZstdDecompressor().decompress(data, _sound(size)))
        if compression == "lz4":
            frame = importlib.import_module("lz4.frame")
            return bytes(frame.LZ4FrameDecompressor().decompress(data, _sound(size)))
    except (BagError, RuntimeError, EOFError, ValueError, _zstd().ZstdError):
        return b""
    return b"" if compression else data[: _sound(size)]


def is_zstd(data: bytes) -> bool:
    """Whether bytes begin as a zstd frame does; no CDR message and no bag file does."""
    return data[:4] == b"\x28\xb5\x2f\xfd"


def unpack_message(data: bytes) -> bytes:
    """Unpack a message of a bag with `compression_mode: message`; others stay as they are.

    Raises:
        BagError: it is larger than any message that is read.
    """
    if not is_zstd(data):
        return data
    raw: bytes = _zstd().ZstdDecompressor().decompress(data, MAX_MESSAGE + 1)
    if len(raw) > MAX_MESSAGE:
        raise BagError(f"a message unpacks to more than {MAX_MESSAGE} bytes")
    return raw


def open_zstd(path: Any) -> Any:
    """A compressed file as a stream of what is in it."""
    return _zstd().open(path, "rb")


def _zstd() -> Any:
    """Part of Python from 3.14 on; rosbags brings the same module for older ones."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return importlib.import_module("backports.zstd")


def _unpack_lz4(data: bytes, size: int) -> bytes:
    frame = importlib.import_module("lz4.frame")
    return _bounded(frame.LZ4FrameDecompressor().decompress(data, _sound(size) + 1), size)


def _as_it_is(data: bytes, size: int) -> bytes:
    return data


def _sound(size: int) -> int:
    if not 0 <= size <= MAX_CHUNK:
        raise BagError(f"a chunk claims to unpack to {size} bytes, at most {MAX_CHUNK} are read")
    return size


def _bounded(data: bytes, size: int) -> bytes:
    if len(data) > size:
        raise BagError(f"a chunk unpacks to more than the {size} bytes it claims")
    return data

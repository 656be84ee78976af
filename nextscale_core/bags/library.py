"""Access to the rosbags library, with bounds on what a small file can make it unpack.

Its decompressors unpack a frame of any size and compare the size afterwards, so that a kilobyte of
a hostile file could become gigabytes. The ones here stop at the announced size, and refuse to
unpack more than `MAX_CHUNK`.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nextscale_core.exceptions import BagError

MAX_CHUNK = 256 << 20
"""Maximum unpacked size of a chunk of messages [bytes]; ROS 2 writes them of under 1 MiB."""

MAX_MESSAGE = 64 << 20
"""Maximum size of a message [bytes]."""

MAX_SEQUENCE = 1_000_000
"""Maximum number of entries of a list in a message."""

MAX_TOPICS = 10_000
"""Maximum number of topics of a database."""

MAX_TEXT = 1 << 20
"""Maximum length of a name, type or quality of service of a topic [characters]."""

_TABLES = ("schema", "metadata", "topics", "message_definitions", "messages")
_TEXTS = ("name", "type", "serialization_format", "offered_qos_profiles", "type_description_hash")


@lru_cache(maxsize=1)
def rosbags() -> Any:
    """The module `rosbags.rosbag2`, with bounded decompressors.

    Raises:
        BagError: it is not installed; the message states how to install it.
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
    unpackers.update({"": lambda data, size: data, "zstd": unpack_zstd, "lz4": _unpack_lz4})
    return module


def unpack_zstd(data: bytes, size: int) -> bytes:
    """Unpack one zstd frame of an announced size [bytes].

    Raises:
        BagError: the announced size is too large, or the frame is larger.
    """
    return _bounded(_zstd().ZstdDecompressor(), data, size)


def _unpack_lz4(data: bytes, size: int) -> bytes:
    return _bounded(importlib.import_module("lz4.frame").LZ4FrameDecompressor(), data, size)


def _bounded(decompressor: Any, data: bytes, size: int) -> bytes:
    unpacked: bytes = decompressor.decompress(data, _checked(size) + 1)
    if len(unpacked) > size:
        raise BagError(f"a chunk unpacks to more than the {size} bytes it claims")
    return unpacked


def unpack_begin(data: bytes, compression: str, size: int) -> bytes:
    """Unpack the begin of a chunk that was cut off.

    Args:
        data: The begin of the chunk.
        compression: '', 'zstd' or 'lz4'.
        size: Announced size of the whole chunk [bytes].

    Returns:
        At most that many bytes; none where nothing can be unpacked.
    """
    try:
        if compression == "zstd":
            return bytes(_zstd().ZstdDecompressor().decompress(data, _checked(size)))
        if compression == "lz4":
            frame = importlib.import_module("lz4.frame")
            return bytes(frame.LZ4FrameDecompressor().decompress(data, _checked(size)))
    except (BagError, RuntimeError, EOFError, ValueError, _zstd().ZstdError):
        return b""
    return b"" if compression else data[: _checked(size)]


def is_zstd(data: bytes) -> bool:
    """Whether bytes begin as a zstd frame does; no CDR message and no bag file does."""
    return data[:4] == b"\x28\xb5\x2f\xfd"


def unpack_message(data: bytes) -> bytes:
    """Unpack a message of a bag with `compression_mode: message`; others stay as they are.

    Raises:
        BagError: it is larger than `MAX_MESSAGE`.
    """
    if not is_zstd(data):
        return data
    raw: bytes = _zstd().ZstdDecompressor().decompress(data, MAX_MESSAGE + 1)
    if len(raw) > MAX_MESSAGE:
        raise BagError(f"a message unpacks to more than {MAX_MESSAGE} bytes")
    return raw


def open_zstd(path: Path) -> Any:
    """Open a compressed file as a stream of its unpacked bytes."""
    return _zstd().open(path, "rb")


def _zstd() -> Any:
    """Part of Python from 3.14 on; rosbags depends on the same module for older versions."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return importlib.import_module("backports.zstd")


def _checked(size: int) -> int:
    if not 0 <= size <= MAX_CHUNK:
        raise BagError(f"a chunk claims to unpack to {size} bytes, at most {MAX_CHUNK} are read")
    return size


def check_tables(file: Path) -> None:
    """Check that a .db3 file is a whole database of plain tables, before the library opens it.

    Columns of a database may be computed, and a computed column can have any size.

    Raises:
        BagError: not a database, cut short, tables missing, computed columns, or too many topics.
    """
    if any(sign in str(file) for sign in "?#%"):
        # The library copies the path into a URI without quoting.
        raise BagError(f"{file}: a path with ?, # or % cannot be read as a database; rename it")
    try:
        address = f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            _check_tables(database, file)
    except sqlite3.Error as error:
        raise BagError(f"{file} is not a whole SQLite database ({error})") from error


def _check_tables(database: sqlite3.Connection, file: Path) -> None:
    def value(query: str) -> Any:
        return database.execute(query).fetchone()[0]

    kinds = dict(database.execute("SELECT name, type FROM sqlite_master WHERE type != 'index'"))
    missing = [name for name in ("messages", "topics") if kinds.get(name) != "table"]
    if missing:
        raise BagError(f"{file} is not a bag: it has no table {' and '.join(missing)}")
    for name in _TABLES:
        # Column 6 is 0 for plain columns, 1 for hidden, 2 and 3 for computed ones.
        columns = database.execute(f"PRAGMA table_xinfo({name})").fetchall()
        if any(column[6] for column in columns):
            raise BagError(f"{file} is not a bag of rosbag2: its table {name} has computed columns")
    size = value("PRAGMA page_count") * value("PRAGMA page_size")
    if size > file.stat().st_size:
        raise BagError(f"{file} is cut short: {file.stat().st_size} of {size} bytes")
    count = value("SELECT count(*) FROM topics")
    if count > MAX_TOPICS:
        raise BagError(f"{file} has {count} topics, at most {MAX_TOPICS} are read")
    names = {column[1] for column in database.execute("PRAGMA table_xinfo(topics)")}
    for name in names.intersection(_TEXTS):
        longest = value(f"SELECT max(length({name})) FROM topics")
        if longest is not None and longest > MAX_TEXT:
            raise BagError(f"{file}: a {name} of {longest} characters, at most {MAX_TEXT} are read")

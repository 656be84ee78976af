"""Recordings whose recorder was killed: what of them is whole is read, without touching the files.

An mcap file is a row of records; a killed recorder leaves it without its index and footer, often in
the middle of a chunk. SQLite keeps the last transactions of a killed process in a file beside the
database.
"""

from __future__ import annotations

import io
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nextscale_core.bags.library import MAX_CHUNK, unpack_begin
from nextscale_core.exceptions import BagError

MAGIC = b"\x89MCAP0\r\n"
RECORD = struct.Struct("<BQ")
"""Code and length of a record."""

FOOTER = RECORD.pack(0x0F, 4) + bytes(4) + RECORD.pack(0x02, 20) + bytes(20) + MAGIC
"""End of the data and a footer without an index: readers then look through the whole file."""

_FOOTER_SIZE = RECORD.size + 20 + len(MAGIC)
DATA_END = 0x0F
"""Code of the record behind all messages."""

_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x03, 0x04, 0x05, 0x06
_CHUNK_HEAD = struct.Struct("<QQQI")  # first time, last time, size, checksum
_MESSAGE_HEAD = struct.Struct("<HIQ")  # channel, sequence, time

_SIDE_FILES = ("-wal", "-journal")
"""What SQLite leaves beside a database whose writer was killed."""


@dataclass(frozen=True)
class CutMcap:
    """An mcap file without its end, to be read as if it had been closed where it is whole.

    It offers what the library asks of a path.

    Attributes:
        path: The file.
        whole: Bytes of it up to the end of the last whole record.
        rest: A chunk of the whole messages of a chunk that was cut off; may be empty.
    """

    path: Path
    whole: int
    rest: bytes

    @property
    def suffix(self) -> str:
        """As of any mcap file."""
        return ".mcap"

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    def is_dir(self) -> bool:
        """It is a file."""
        return False

    def open(self, mode: str = "rb") -> BinaryIO:
        """Its bytes with an end, to read."""
        return io.BufferedReader(_Closed(self.path.open("rb"), self.whole, self.rest + FOOTER))


class _Closed(io.RawIOBase):
    """The begin of a file, and bytes behind it."""

    def __init__(self, file: BinaryIO, length: int, tail: bytes) -> None:
        self._file, self._length, self._tail = file, length, tail
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = (0, self._at, self._length + len(self._tail))[whence]
        self._at = max(origin + offset, 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at < self._length:
            self._file.seek(self._at)
            data = self._file.read(min(len(buffer), self._length - self._at))
        else:
            begin = self._at - self._length
            data = self._tail[begin : begin + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def cut_mcap(file: Path) -> CutMcap | None:
    """The whole part of an mcap file without an end; None for one that was closed.

    Args:
        file: An .mcap file.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(size - _FOOTER_SIZE, 0))
        if stream.read(RECORD.size) == RECORD.pack(0x02, 20) and stream.read()[20:] == MAGIC:
            return None
        stream.seek(0)
        if stream.read(len(MAGIC)) != MAGIC:
            return None  # no mcap file: whoever reads it says so
        whole = len(MAGIC)
        for code, end in whole_records(stream, size):
            if code == DATA_END:
                break
            whole = end
        stream.seek(whole)
        return CutMcap(file, whole, _whole_messages(stream, size - whole))


def whole_records(stream: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Codes and ends of the records from here on, up to the first that is cut off.

    Args:
        stream: Stands where a record begins; it is moved on.
        size: Of the whole file [bytes].
    """
    end = stream.tell()
    while len(head := stream.read(RECORD.size)) == RECORD.size:
        code, length = RECORD.unpack(head)
        end += RECORD.size + length
        if not 0 < code <= DATA_END or end > size:
            return
        stream.seek(end)
        yield code, end


def _whole_messages(stream: BinaryIO, left: int) -> bytes:
    """An uncompressed chunk of the whole records of a chunk that is cut off; b'' for none.

    Args:
        stream: Stands where the chunk begins.
        left: Bytes from there to the end of the file.
    """
    head = stream.read(RECORD.size + _CHUNK_HEAD.size + 4)
    if len(head) < RECORD.size + _CHUNK_HEAD.size + 4 or head[0] != _CHUNK:
        return b""
    _, _, size, _ = _CHUNK_HEAD.unpack_from(head, RECORD.size)
    (length,) = struct.unpack_from("<I", head, len(head) - 4)
    if size > MAX_CHUNK or length > 16:
        return b""
    compression = stream.read(length).decode(errors="replace")
    stream.read(8)
    raw = unpack_begin(stream.read(min(left, MAX_CHUNK)), compression, size)
    whole, times = 0, []
    for code, begin, end in _inner(raw):
        whole = end
        if code == _MESSAGE:
            times.append(_MESSAGE_HEAD.unpack_from(raw, begin)[2])
    if not times:
        return b""
    records = raw[:whole]
    body = _CHUNK_HEAD.pack(min(times), max(times), whole, 0)
    body += struct.pack("<IQ", 0, whole) + records
    return RECORD.pack(_CHUNK, len(body)) + body


def _inner(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Code, begin and end of the content of each whole record in a chunk."""
    at = 0
    while at + RECORD.size <= len(raw):
        code, length = RECORD.unpack_from(raw, at)
        begin, at = at + RECORD.size, at + RECORD.size + length
        if code not in (_SCHEMA, _CHANNEL, _MESSAGE) or at > len(raw):
            return
        if code == _MESSAGE and length < _MESSAGE_HEAD.size:
            return
        yield code, begin, at


def with_side_files(file: Path, temporary: Callable[[], Path]) -> Path:
    """A database with the transactions that its killed writer left beside it.

    Args:
        file: The .db3 file; it is not changed.
        temporary: Gives the folder for a copy, where there are such transactions.

    Returns:
        The file itself if it has no such companion, else the copy.

    Raises:
        BagError: it is no database, or there is no room for the copy.
    """
    beside = [file.with_name(file.name + end) for end in _SIDE_FILES]
    beside = [one for one in beside if one.is_file() and one.stat().st_size > 0]
    if not beside:
        return file
    copy = temporary() / file.name
    try:
        for one in (file, *beside):
            shutil.copyfile(one, copy.with_name(one.name))
        with closing(sqlite3.connect(copy)) as database:
            database.execute("PRAGMA journal_mode=DELETE").fetchall()
    except (OSError, sqlite3.Error) as error:
        names = ", ".join(one.name for one in beside)
        raise BagError(f"{file} cannot be put together with {names} ({error})") from error
    return copy

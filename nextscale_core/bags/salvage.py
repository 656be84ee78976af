"""Reading and repair of recordings whose recorder was killed.

An mcap file is a sequence of records; a killed recorder leaves it without index and footer, often
in the middle of a chunk. SQLite keeps the last transactions of a killed process in a file beside
the database. Only `repair` changes files.
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

_RECORD = struct.Struct("<BQ")  # code, length
_CHUNK_HEAD = struct.Struct("<QQQI")  # first time, last time, size, checksum
_MESSAGE_HEAD = struct.Struct("<HIQ")  # channel, sequence, time
_END, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F

FOOTER = _RECORD.pack(_DATA_END, 4) + bytes(4) + _RECORD.pack(_END, 20) + bytes(20) + MAGIC
"""End of the data and a footer without an index, with which readers scan the whole file."""

_SIDE_FILES = ("-wal", "-journal")
"""Suffixes of the files that SQLite leaves beside a database whose writer was killed."""


@dataclass(frozen=True)
class CutMcap:
    """An mcap file without its end, read as if it had been closed after its last whole message.

    It has those methods of a path that the library calls.

    Attributes:
        path: The file.
        whole: Size up to the end of the last whole record [bytes].
        rest: A chunk of the whole messages of a chunk that was cut off; may be empty.
    """

    path: Path
    whole: int
    rest: bytes
    suffix = ".mcap"

    def exists(self) -> bool:
        """Whether the file exists."""
        return self.path.exists()

    def is_dir(self) -> bool:
        """Always False."""
        return False

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the whole part for reading, followed by `rest` and a footer."""
        return io.BufferedReader(_Joined(self.path.open("rb"), self.whole, self.rest + FOOTER))


class _Joined(io.RawIOBase):
    """The first bytes of a file, followed by other bytes."""

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

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(size - _RECORD.size - 20 - len(MAGIC), 0))
        if stream.read(_RECORD.size) == _RECORD.pack(_END, 20) and stream.read()[20:] == MAGIC:
            return None
        stream.seek(0)
        if stream.read(len(MAGIC)) != MAGIC:
            return None  # not an mcap file: the reader raises the error
        whole = _end_of_records(stream, size)
        stream.seek(whole)
        return CutMcap(file, whole, _whole_messages(stream, size - whole))


def repair(file: Path) -> int:
    """Cut an mcap file after its last whole record, and write a footer.

    Returns:
        Number of bytes lost.

    Raises:
        BagError: there is no whole record in it.
        OSError: it cannot be written.
    """
    with file.open("r+b") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        if stream.read(len(MAGIC)) != MAGIC:
            raise BagError(f"{file} is not an mcap file")
        end = _end_of_records(stream, size)
        if end == len(MAGIC):
            raise BagError(f"{file} holds no whole record")
        # Cutting first frees space on a full disk.
        stream.truncate(end)
        stream.seek(end)
        stream.write(FOOTER)
    return size - end


def _end_of_records(stream: BinaryIO, size: int) -> int:
    """End of the last whole record of data, from here on in a file of a size [bytes]."""
    end = after = stream.tell()
    while len(head := stream.read(_RECORD.size)) == _RECORD.size:
        code, length = _RECORD.unpack(head)
        after += _RECORD.size + length
        if not 0 < code < _DATA_END or after > size:
            break
        end = stream.seek(after)
    return end


def _whole_messages(stream: BinaryIO, left: int) -> bytes:
    """An uncompressed chunk of the whole records of a cut chunk, of which `left` bytes follow."""
    head = stream.read(_RECORD.size + _CHUNK_HEAD.size + 4)
    if len(head) < _RECORD.size + _CHUNK_HEAD.size + 4 or head[0] != _CHUNK:
        return b""
    _, _, size, _ = _CHUNK_HEAD.unpack_from(head, _RECORD.size)
    (length,) = struct.unpack_from("<I", head, len(head) - 4)
    if size > MAX_CHUNK or length > 16:
        return b""
    compression = stream.read(length).decode(errors="replace")
    stream.read(8)
    raw = unpack_begin(stream.read(min(left, MAX_CHUNK)), compression, size)
    whole, times = 0, []
    for code, begin, end in _records_in(raw):
        whole = end
        if code == _MESSAGE:
            times.append(_MESSAGE_HEAD.unpack_from(raw, begin)[2])
    if not times:
        return b""
    body = _CHUNK_HEAD.pack(min(times), max(times), whole, 0)
    body += struct.pack("<IQ", 0, whole) + raw[:whole]
    return _RECORD.pack(_CHUNK, len(body)) + body


def _records_in(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """Code, begin and end of the content of each whole record in a chunk."""
    at = 0
    while at + _RECORD.size <= len(raw):
        code, length = _RECORD.unpack_from(raw, at)
        begin, at = at + _RECORD.size, at + _RECORD.size + length
        if code not in (_SCHEMA, _CHANNEL, _MESSAGE) or at > len(raw):
            return
        if code == _MESSAGE and length < _MESSAGE_HEAD.size:
            return
        yield code, begin, at


def with_side_files(file: Path, temporary: Callable[[], Path]) -> Path:
    """A database with the transactions that its killed writer left beside it.

    Args:
        file: The .db3 file; it is not changed.
        temporary: Returns the folder for a copy.

    Returns:
        The file itself where it has no such side files, else the copy.

    Raises:
        BagError: it is not a database, or there is no space for the copy.
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

"""Writing a recording: whole, or cut off where something went wrong, but always readable."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from nextscale_core.bags.definitions import encode, fingerprint, store_with
from nextscale_core.bags.library import rosbags
from nextscale_core.bags.salvage import DATA_END, FOOTER, MAGIC, whole_records
from nextscale_core.exceptions import BagError

VERSION = 8
"""Of the metadata: ROS 2 Jazzy's, which Humble reads, too."""

RESERVE = 8 << 20
"""Space on the disk that is kept so that a bag can be closed on a full one [bytes]."""

_CHECK_EVERY = 256 << 10
"""Free space is looked at after so many bytes of messages."""


class BagWriter:
    """Writes messages to a new mcap bag. Use it in a `with` block.

    Args:
        path: Folder of the bag; it must not exist, the folder above it must.
        reserve: Stop while so much is free on the disk [bytes].

    Raises:
        BagError: on entering: something is there already, or it cannot be made.
    """

    def __init__(self, path: Path | str, reserve: int = RESERVE) -> None:
        self.path = Path(path)
        self.count = 0
        self._reserve = reserve
        self._unchecked = _CHECK_EVERY
        self._last = 0
        self._connections: dict[str, Any] = {}
        self._writer: Any = None

    def __enter__(self) -> BagWriter:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        # What was written until then is worth having, and the first error is the one to tell.
        with suppress(BagError):
            self.close()

    def open(self) -> None:
        """Make the folder and its file.

        Raises:
            BagError: see the class.
        """
        module = rosbags()
        if not self.path.parent.is_dir():
            raise BagError(f"cannot make {self.path}: the folder {self.path.parent} does not exist")
        if self.path.exists() or self.path.is_symlink():
            raise BagError(f"{self.path} exists already; a bag is only written anew")
        writer = module.Writer(self.path, version=VERSION, storage_plugin=module.StoragePlugin.MCAP)
        try:
            writer.open()
        except (OSError, module.WriterError) as error:
            raise BagError(f"cannot make the bag {self.path}: {_reason(error)}") from error
        self._writer = writer

    @property
    def file(self) -> Path:
        """The file that holds the messages."""
        return self.path / f"{self.path.name}.mcap"

    def add(self, topic: str, kind: str) -> None:
        """Announce a topic; a second time it does nothing.

        Args:
            topic: Its whole name, such as '/joint_states'.
            kind: Its message type.

        Raises:
            BagError: the type is not known here.
        """
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=store_with(kind), rihs01=fingerprint(kind),
                msgdef=store_with(kind).generate_msgdef(kind, ros_version=2)[0],
            )  # fmt: skip

    def write(self, topic: str, time: int, data: bytes) -> None:
        """Write one message.

        Args:
            topic: One that was announced.
            time: When it was recorded [ns]; an earlier one than the last counts as the last.
            data: It, as CDR.

        Raises:
            BagError: the disk is full or broken; what was written before can be read.
        """
        if self._writer is None:
            raise BagError(f"{self.path} is closed")
        self._unchecked += len(data)
        if self._unchecked >= _CHECK_EVERY:
            self._check_room(len(data))
        # Readers that have to do without an index want the order of time.
        self._last = max(self._last, time)
        try:
            self._writer.write(self._connections[topic], self._last, data)
        except OSError as error:
            self._salvage(error)
        self.count += 1

    def put(self, topic: str, kind: str, time: int, message: Any) -> None:
        """Announce the topic, encode the message and write it."""
        self.add(topic, kind)
        self.write(topic, time, encode(kind, message))

    def close(self) -> None:
        """Write what a reader needs to find its way.

        Raises:
            BagError: the disk is full or broken; what was written before can be read.
        """
        if self._writer is None:
            return
        if not self.count:
            # An empty bag claims to begin at the end of time.
            self._writer.min_timestamp = 0
        try:
            self._writer.close()
            self._writer = None
        except OSError as error:
            self._salvage(error)

    def _check_room(self, size: int) -> None:
        self._unchecked = 0
        free = _free(self.path)
        # Two chunks may be waiting in memory, and the index has yet to be written.
        if free < self._reserve + 2 * size:
            with suppress(BagError):
                self.close()
            raise BagError(
                f"the disk is full: {free >> 20} MiB are left for {self.path}; the recording "
                f"ends here with {self.count} messages and can be read"
            )

    def _salvage(self, error: OSError) -> None:
        """Close a file that can no longer be written to, so that it can be read."""
        writer, self._writer = self._writer, None
        # Half a record may be waiting in a buffer: closing tries to write it once more.
        with suppress(Exception):
            writer.abort()
        mended = ""
        try:
            mend(self.file)
            mended = "; what was written before can be read"
        except (OSError, BagError) as second:
            mended = f"; and it cannot be closed: {_reason(second)}"
        raise BagError(f"cannot write {self.path}: {_reason(error)}{mended}") from error


def mend(file: Path) -> int:
    """Cut an mcap file after its last whole record, and end it there.

    Returns:
        How many bytes were lost.

    Raises:
        BagError: there is no whole record in it.
        OSError: it cannot be written.
    """
    with file.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if stream.read(len(MAGIC)) != MAGIC:
            raise BagError(f"{file} is no mcap file")
        end = len(MAGIC)
        for code, behind in whole_records(stream, size):
            if code == DATA_END:
                break
            end = behind
        if end == len(MAGIC):
            raise BagError(f"{file} holds no whole record")
        # Cutting first frees the room for the end.
        stream.truncate(end)
        stream.seek(end)
        stream.write(FOOTER)
    return size - end


def _free(path: Path) -> int:
    """Bytes that an ordinary user may still write there."""
    try:
        facts = os.statvfs(path)
    except OSError:
        return 1 << 62  # where it cannot be told, writing will tell
    return facts.f_bavail * facts.f_frsize


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)

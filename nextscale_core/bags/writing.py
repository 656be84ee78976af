"""Writer of recordings, which stay readable after an error or on a full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from nextscale_core.bags.definitions import encode, fingerprint, store_with
from nextscale_core.bags.library import rosbags
from nextscale_core.bags.salvage import repair
from nextscale_core.exceptions import BagError

VERSION = 8
"""Version of the metadata: that of ROS 2 Jazzy, which Humble reads, too."""

RESERVE = 8 << 20
"""Disk space that is left free, so that the bag can be closed [bytes]."""

_CHECK_EVERY = 256 << 10
"""Size of messages after which free space is checked again [bytes]."""


class BagWriter:
    """Writes messages to a new mcap bag. Use it in a `with` block, or call `open` and `close`.

    Args:
        path: Folder of the bag, which must not exist; its parent must.
        reserve: Disk space to leave free [bytes].
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
        # The messages so far are kept, and the first error is reported.
        with suppress(BagError):
            self.close()

    def open(self) -> None:
        """Create the folder and its file.

        Raises:
            BagError: the path exists already, or cannot be created.
        """
        module = rosbags()
        if not self.path.parent.is_dir():
            raise BagError(f"cannot make {self.path}: the folder {self.path.parent} does not exist")
        if self.path.exists() or self.path.is_symlink():
            raise BagError(f"{self.path} exists already; existing bags are not overwritten")
        writer = module.Writer(self.path, version=VERSION, storage_plugin=module.StoragePlugin.MCAP)
        try:
            writer.open()
        except (OSError, module.WriterError) as error:
            raise BagError(f"cannot make the bag {self.path}: {_reason(error)}") from error
        self._writer = writer

    def add(self, topic: str, kind: str) -> None:
        """Add a topic, if it is new.

        Args:
            topic: Its absolute name, such as '/joint_states'.
            kind: Its message type.

        Raises:
            BagError: the type is unknown.
        """
        if topic not in self._connections:
            store = store_with(kind)
            definition = store.generate_msgdef(kind, ros_version=2)[0]
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=store, rihs01=fingerprint(kind), msgdef=definition
            )

    def write(self, topic: str, time: int, data: bytes) -> None:
        """Write one message.

        Args:
            topic: A topic that was added.
            time: Time of recording [ns]; not before that of the last message.
            data: The message as CDR.

        Raises:
            BagError: the disk is full or broken; the messages before stay readable.
        """
        if self._writer is None:
            raise BagError(f"{self.path} is closed")
        self._unchecked += len(data)
        if self._unchecked >= _CHECK_EVERY:
            self._check_space(len(data))
        # Readers without an index need the order of time.
        self._last = max(self._last, time)
        try:
            self._writer.write(self._connections[topic], self._last, data)
        except OSError as error:
            self._close_broken(error)
        self.count += 1

    def put(self, topic: str, kind: str, time: int, message: Any) -> None:
        """Add the topic, encode the message and write it."""
        self.add(topic, kind)
        self.write(topic, time, encode(kind, message))

    def close(self) -> None:
        """Write index and metadata.

        Raises:
            BagError: the disk is full or broken; the messages before stay readable.
        """
        if self._writer is None:
            return
        if not self.count:
            # The library writes the largest integer as the begin of an empty bag.
            self._writer.min_timestamp = 0
        try:
            self._writer.close()
            self._writer = None
        except OSError as error:
            self._close_broken(error)

    def _check_space(self, size: int) -> None:
        self._unchecked = 0
        free = _free(self.path)
        # Two chunks may be in memory, and the index is still to be written.
        if free < self._reserve + 2 * size:
            with suppress(BagError):
                self.close()
            raise BagError(
                f"the disk is full: {free >> 20} MiB are left for {self.path}; the recording "
                f"ends here with {self.count} messages and can be read"
            )

    def _close_broken(self, error: OSError) -> None:
        """Repair a file that can no longer be written to.

        Raises:
            BagError: always.
        """
        writer, self._writer = self._writer, None
        # Closing tries to write the rest of a buffer once more.
        with suppress(Exception):
            writer.abort()
        try:
            repair(self.path / f"{self.path.name}.mcap")
            result = "; the messages before can be read"
        except (OSError, BagError) as second:
            result = f"; and it cannot be closed: {_reason(second)}"
        raise BagError(f"cannot write {self.path}: {_reason(error)}{result}") from error


def _free(path: Path) -> int:
    """Disk space available to an ordinary user [bytes]; large where it is unknown."""
    try:
        facts = os.statvfs(path)
    except OSError:
        return 1 << 62
    return facts.f_bavail * facts.f_frsize


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)

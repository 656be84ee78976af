"""Reader of recordings: their topics, and their messages in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from nextscale_core.bags.definitions import decode, fingerprint
from nextscale_core.bags.files import SQLITE3, bag_files
from nextscale_core.bags.library import (
    MAX_CHUNK,
    MAX_MESSAGE,
    check_tables,
    rosbags,
    unpack_message,
)
from nextscale_core.bags.salvage import cut_mcap
from nextscale_core.exceptions import BagError

NANOSECONDS = 1_000_000_000

MAX_LOADED = 4 * MAX_CHUNK
"""Maximum size of overlapping chunks, which are unpacked at the same time [bytes]."""

MAX_TIME = 2**62
"""Maximum time of recording [ns]: in the year 2116."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    Attributes:
        name: Such as '/joint_states'.
        kind: Message type, such as 'sensor_msgs/msg/JointState'.
        count: Number of messages.
        digest: Hash of the type's definition (REP-2011); '' where the bag does not contain it.
        publishers: Number of publishers seen by the recorder; 0 where it is unknown.
    """

    name: str
    kind: str
    count: int
    digest: str = ""
    publishers: int = 0


class Message(NamedTuple):
    """One recorded message.

    Attributes:
        topic: Its topic.
        kind: Its type.
        time: Time of recording [ns].
        data: The message as CDR.
        channel: Number of the file's channel of this topic, from 0.
    """

    topic: str
    kind: str
    time: int
    data: bytes
    channel: int = 0


class Bag:
    """A rosbag2 recording: a folder, or a single .mcap or .db3 file. Use it in a `with` block.

    Args:
        path: The folder or file.

    Attributes:
        storage: 'mcap' or 'sqlite3'.
        topics: Sorted by name.
        notes: Sentences about what cannot be read.
        begin: Time of the first message [ns].
        end: Time of the last message [ns].

    Raises:
        BagError: on entering: not a bag, cut short, damaged, or without messages.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.storage = ""
        self.topics: tuple[Topic, ...] = ()
        self.notes: list[str] = []
        self.begin = self.end = 0
        self._stack = ExitStack()
        self._readers: list[Any] = []

    def __enter__(self) -> Bag:
        with ExitStack() as stack:
            with _one_error(self.path):
                files = stack.enter_context(bag_files(self.path))
            self.storage = files.storage
            self.notes = list(files.notes)
            for file in files.paths:
                reader, note = stack.enter_context(_opened(file, self.path, files.storage))
                self._readers.append(reader)
                self.notes += [note] if note else []
            with _one_error(self.path):
                self._scan()
            count = sum(topic.count for topic in self.topics)
            if files.messages is not None and count < files.messages:
                self.notes.append(f"{count} of {files.messages} messages are there")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._readers.clear()

    @property
    def seconds(self) -> float:
        """Time from the first message to the last [s]."""
        return (self.end - self.begin) / NANOSECONDS

    def named(self, kind: str) -> list[str]:
        """Names of the topics of one type."""
        return [topic.name for topic in self.topics if topic.kind == kind]

    def require(self, name: str, kind: str) -> Topic:
        """The topic of a name and type.

        Raises:
            BagError: it is missing, or of another type or version of it; the message lists the
                topics that exist.
        """
        topic = next((topic for topic in self.topics if topic.name == name), None)
        if topic is None:
            raise BagError(f"{self.path} has no topic {name!r}; it has {self.listed()}")
        if topic.kind != kind:
            fitting = ", ".join(self.named(kind)) or "none"
            raise BagError(
                f"{name} in {self.path} is {topic.kind}, not {kind}; topics of that type: {fitting}"
            )
        if topic.digest.startswith("RIHS01_") and topic.digest != fingerprint(kind):
            raise BagError(
                f"{name} in {self.path} was recorded with another definition of {kind} "
                f"({topic.digest[:15]}..., here it is {fingerprint(kind)[:15]}...)"
            )
        return topic

    def listed(self) -> str:
        """Topics and types in one line, for errors."""
        shown = [f"{topic.name} ({topic.kind})" for topic in self.topics[:20]]
        return ", ".join(shown) + (", ..." if len(self.topics) > 20 else "") if shown else "none"

    def messages(
        self,
        topics: Collection[str],
        begin: int | None = None,
        end: int | None = None,
        done: Callable[[int], None] = lambda time: None,
    ) -> Iterator[Message]:
        """Messages of some topics, in the order of recording.

        Args:
            topics: Their names.
            begin: First time [ns]; None: the bag's begin.
            end: Last time [ns]; None: the bag's end.
            done: Called with the time of every 256th message [ns].

        Raises:
            BagError: the bag is damaged, or a message is too large.
        """
        first = self.begin if begin is None else begin
        last = self.end if end is None else end
        streams = [self._stream(reader, frozenset(topics)) for reader in self._readers]
        # Files of one recorder follow each other; those of several may overlap.
        with _one_error(self.path):
            for count, message in enumerate(heapq.merge(*streams, key=lambda one: one.time)):
                if count % 256 == 0:
                    done(message.time)
                if message.time > last:
                    return
                if message.time >= first:
                    yield message

    def decoded(
        self, topics: Collection[str], begin: int | None = None, end: int | None = None
    ) -> Iterator[tuple[Message, Any]]:
        """The same, with each message deserialized.

        Raises:
            BagError: as for `messages`, or bytes are not a message of their type.
        """
        for message in self.messages(topics, begin, end):
            yield message, decode(message.kind, message.data)

    def _stream(self, reader: Any, topics: frozenset[str]) -> Iterator[Message]:
        wanted = [one for one in reader.connections if one.topic in topics]
        if not wanted:
            return
        channels: dict[int, int] = {}
        for one in wanted:
            channels[one.id] = sum(other.topic == one.topic for other in wanted[: len(channels)])
        for connection, time, data in reader.messages(wanted):
            if not isinstance(data, bytes | memoryview) or len(data) > MAX_MESSAGE:
                raise BagError(f"a message of {connection.topic} is larger than {MAX_MESSAGE}")
            yield Message(
                connection.topic,
                connection.msgtype,
                time,
                unpack_message(bytes(data)),
                channels[connection.id],
            )

    def _scan(self) -> None:
        """Set topics and times from all files together."""
        found: dict[str, Topic] = {}
        begins, ends = [], []
        for reader in self._readers:
            for one in reader.connections:
                before = found.get(one.topic)
                if before is not None and before.kind != one.msgtype:
                    raise BagError(f"{one.topic} is both {before.kind} and {one.msgtype}")
                count = int(one.msgcount) + (before.count if before else 0)
                digest = str(one.digest or (before.digest if before else ""))
                # The recorder stores the quality of service of every publisher.
                offered = max(len(one.ext.offered_qos_profiles), before.publishers if before else 0)
                found[one.topic] = Topic(str(one.topic), str(one.msgtype), count, digest, offered)
            if reader.message_count:
                begins.append(int(reader.start_time))
                ends.append(int(reader.end_time) - 1)
        self.topics = tuple(sorted(found.values(), key=lambda topic: topic.name))
        if not begins:
            raise BagError(f"there is no message in it; its topics: {self.listed()}")
        self.begin, self.end = min(begins), max(ends)
        if not 0 <= self.begin <= self.end <= MAX_TIME:
            raise BagError(f"messages from {self.begin} to {self.end} ns: impossible times")


@contextmanager
def _opened(file: Path, bag: Path, storage: str) -> Iterator[tuple[Any, str]]:
    """A reader of one file, and a sentence about the file for the user, or ''."""
    cut = None
    with _one_error(bag):
        if storage == SQLITE3:
            check_tables(file)
        else:
            cut = cut_mcap(file)
        reader = rosbags().Reader(cut or file)
        reader.open()
    try:
        with _one_error(bag):
            _check_memory(reader.storage)
        note = ""
        if cut is not None:
            note = (
                f"{file.name} was cut short, as where a recorder is killed: its first "
                f"{reader.message_count} messages are whole and are read"
            )
        yield reader, note
    finally:
        reader.close()


def _check_memory(storage: Any) -> None:
    """Reject files that would take too much memory to read."""
    # Chunks of a recorder overlap a little.
    chunks = [one for one in getattr(storage, "chunks", ()) if any(one.channel_count.values())]
    edges = [(one.message_start_time, 1, one.uncompressed_size) for one in chunks]
    edges += [(one.message_end_time, 2, -one.uncompressed_size) for one in chunks]
    loaded = 0
    for _, _, size in sorted(edges):
        loaded += size
        if loaded > MAX_LOADED:
            raise BagError(f"more than {MAX_LOADED} bytes of its chunks overlap in time")
    database = getattr(storage, "dbconn", None)
    if database is not None:
        import apsw

        database.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_MESSAGE + 4096)


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Convert all errors of the library on damaged bytes to a `BagError` that names the bag."""
    try:
        yield
    except BagError as error:
        text = str(error)
        raise error if str(path) in text else BagError(f"{path}: {text}") from error
    except GeneratorExit:
        raise
    except Exception as error:
        reason = str(error) or "without a reason"
        raise BagError(
            f"{path} cannot be read: cut short or damaged ({type(error).__name__}: {reason})"
        ) from error

"""Files of a bag: search, order and decompression."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import yaml

from nextscale_core.bags.library import is_zstd, open_zstd
from nextscale_core.bags.salvage import with_side_files
from nextscale_core.exceptions import BagError

METADATA = "metadata.yaml"

MAX_METADATA = 16 << 20
"""Maximum size of metadata.yaml [bytes]."""

MAX_FILES = 10_000
"""Maximum number of files of a bag."""

MAX_UNPACKED = 8 << 30
"""Maximum size of an unpacked file, in the folder for temporary files [bytes]."""

PACKED = (".zstd", ".zst")
"""Suffixes of compressed files, after those in `STORAGES`."""


MCAP, SQLITE3 = "mcap", "sqlite3"
"""Storage identifiers of rosbag2."""

STORAGES = {".mcap": MCAP, ".db3": SQLITE3}
"""Storage identifier by suffix."""


@dataclass(frozen=True)
class BagFiles:
    """The files of one bag.

    Attributes:
        storage: 'mcap' or 'sqlite3'.
        paths: The files, in the order of their numbers.
        messages: Number of messages by the metadata; None where it is unknown.
        notes: Sentences for the user.
    """

    storage: str
    paths: tuple[Path, ...]
    messages: int | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def bag_files(path: Path) -> Iterator[BagFiles]:
    """Find the files of a bag, and unpack compressed ones for the duration of the `with` block.

    A folder without metadata.yaml, as after a recorder was killed, is read file by file.

    Raises:
        BagError: not a bag, missing files, or unknown compression.
    """
    if not path.exists():
        raise BagError(f"{path} does not exist")
    if path.is_file():
        storage = storage_of(path)
        if storage is None:
            raise BagError(f"{path} is not a bag: give the folder, or its .mcap or .db3 file")
        found = BagFiles(storage, (path,))
    elif _is_blank(path / METADATA):
        found = _without_metadata(path)
    else:
        found = _with_metadata(path)
    with ExitStack() as stack:

        @cache
        def temporary() -> Path:
            made = tempfile.TemporaryDirectory(prefix="nextscale-bag-")
            return Path(stack.enter_context(made))

        notes = list(found.notes)
        paths = [_readable(file, found.storage, temporary, notes) for file in found.paths]
        yield BagFiles(found.storage, tuple(paths), found.messages, tuple(notes))


def storage_of(file: PurePath) -> str | None:
    """Storage identifier of a file, compressed or not, by its name; None for other files."""
    return STORAGES.get(PurePath(_unpacked_name(file.name)).suffix.lower())


def _unpacked_name(name: str) -> str:
    stem, dot, last = name.rpartition(".")
    return stem if f"{dot}{last}".lower() in PACKED else name


def _in_order(file: Path) -> list[str | int]:
    """Sort key by numbers: part 10 of a recording comes after part 9.

    Names are `{prefix}_{counter}` up to Kilted, `{counter}_{prefix}_{timestamp}` from Lyrical on.
    """
    parts = re.split(r"([0-9]+)", file.name)
    return [int(part) if n % 2 else part for n, part in enumerate(parts)]


def _is_blank(metadata: Path) -> bool:
    """Whether the file is missing, or was created and never written."""
    if not metadata.is_file():
        return True
    with metadata.open("rb") as file:
        return not file.read(1 << 12).strip(b"\0 \t\r\n")


def _without_metadata(path: Path) -> BagFiles:
    files = [file for file in path.iterdir() if storage_of(file) and file.is_file()]
    names = {file.name for file in files}
    # A recorder that is killed while it compresses leaves both, the compressed one cut off.
    files = [
        file
        for file in sorted(files, key=_in_order)
        if _unpacked_name(file.name) == file.name or _unpacked_name(file.name) not in names
    ]
    storages = {storage_of(file) for file in files}
    if len(storages) > 1:
        raise BagError(f"{path} holds .mcap and .db3 files and no {METADATA}: give one file")
    storage = storages.pop() if storages else None
    if storage is None:
        raise BagError(
            f"{path} is not a bag: there is neither {METADATA} nor a .mcap or .db3 file in it"
        )
    if len(files) > MAX_FILES:
        raise BagError(f"{path} holds {len(files)} files; at most {MAX_FILES} are read")
    return BagFiles(storage, tuple(files))


def _with_metadata(path: Path) -> BagFiles:
    facts = _metadata(path / METADATA)
    mode = str(facts.get("compression_mode") or "none")
    files = _listed(path, facts)
    # `ros2 bag reindex` leaves it empty.
    storage = str(facts.get("storage_identifier") or storage_of(files[0]) or "")
    if storage not in STORAGES.values():
        raise BagError(f"{path} is stored as {storage[:40]!r}; known are mcap and sqlite3")
    if mode.lower() not in ("none", "file", "message"):
        raise BagError(f"{path} has compression_mode {mode[:40]!r}; known are file and message")
    packing = facts.get("compression_format") or ""
    if mode.lower() != "none" and packing != "zstd":
        raise BagError(f"{path} is compressed with {str(packing)[:40]!r}; known is zstd")
    count = facts.get("message_count")
    known = {_unpacked_name(file.name) for file in files}
    more = sorted(
        file.name
        for file in path.iterdir()
        if storage_of(file) == storage and _unpacked_name(file.name) not in known
    )
    notes = (f"not listed in {METADATA} and not read: {', '.join(more[:5])}",) if more else ()
    return BagFiles(storage, files, count if isinstance(count, int) else None, notes)


def _metadata(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_METADATA:
            raise BagError(f"{file} is larger than {MAX_METADATA} bytes")
        facts = yaml.safe_load(file.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
    except BagError:
        raise
    # Impossible dates, empty numbers and endless nesting raise different types.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise BagError(f"{file} is not the metadata of a bag ({reason})") from error
    if not isinstance(facts, dict):
        raise BagError(f"{file} is not the metadata of a bag: it must be a mapping")
    return facts


def _listed(path: Path, facts: dict[str, Any]) -> tuple[Path, ...]:
    """The files in the metadata, by name only, so that all are in the folder."""
    names = facts.get("relative_file_paths")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BagError(f"{path / METADATA} must list the files of the bag (relative_file_paths)")
    if not 0 < len(names) <= MAX_FILES:
        raise BagError(f"{path / METADATA} names {len(names)} files; 1 to {MAX_FILES} are read")
    try:
        files = tuple(dict.fromkeys(_found(path / PurePath(name).name) for name in names))
        missing = [file.name for file in files if not file.is_file()]
    except OSError as error:
        raise BagError(f"{path / METADATA} names an impossible file: {error.strerror}") from error
    if missing:
        raise BagError(f"{path} lacks files that its {METADATA} names: {', '.join(missing[:5])}")
    return files


def _found(file: Path) -> Path:
    """A listed file, or where it is missing its unpacked or its compressed form."""
    others = [file.with_name(_unpacked_name(file.name)) if file.name else file]
    others += [file.with_name(file.name + packed) for packed in PACKED]
    return next((one for one in (file, *others) if one.is_file()), file)


def _readable(file: Path, storage: str, temporary: Callable[[], Path], notes: list[str]) -> Path:
    """The file for the library: unpacked, and with the side files of a killed writer."""
    try:
        with file.open("rb") as stream:
            packed = is_zstd(stream.read(4))
    except OSError as error:
        raise BagError(f"{file} cannot be read: {error.strerror}") from error
    if packed:
        file = _unpacked(file, temporary(), notes)
    return with_side_files(file, temporary) if storage == SQLITE3 else file


def _unpacked(file: Path, folder: Path, notes: list[str]) -> Path:
    """Unpack a compressed file, or the first part of one that was cut off.

    Raises:
        BagError: damaged or too large.
    """
    target = folder / _unpacked_name(file.name)
    try:
        space = min(MAX_UNPACKED, shutil.disk_usage(folder).free // 2)
        with open_zstd(file) as packed, target.open("wb") as unpacked:
            while block := packed.read(1 << 20):
                space -= len(block)
                if space < 0:
                    raise BagError(f"{file} unpacks to more than {MAX_UNPACKED} bytes, or than fit")
                unpacked.write(block)
    except EOFError:
        notes.append(f"{file.name} is cut off: {target.stat().st_size} bytes could be unpacked")
    except BagError:
        raise
    except Exception as error:
        raise BagError(f"{file} cannot be unpacked ({type(error).__name__}: {error})") from error
    return target

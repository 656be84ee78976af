"""Which files make up a bag, and how they are packed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import yaml

from nextscale_core.bags.library import open_zstd
from nextscale_core.exceptions import BagError

METADATA = "metadata.yaml"

MAX_METADATA = 16 << 20
"""Largest metadata.yaml that is read [bytes]."""

MAX_FILES = 10_000

MAX_UNPACKED = 8 << 30
"""A compressed file is unpacked to at most so many bytes, in the folder for temporary files."""


class Storage:
    """How rosbag2 calls its file formats, and the files' suffixes."""

    MCAP, SQLITE3 = "mcap", "sqlite3"
    SUFFIXES = {".mcap": MCAP, ".db3": SQLITE3}  # noqa: RUF012


@dataclass(frozen=True)
class BagFiles:
    """The files of one bag.

    Attributes:
        storage: One of `Storage`.
        paths: The files, in the order of time.
        each_message_compressed: Whether every message is a zstd frame.
    """

    storage: str
    paths: tuple[Path, ...]
    each_message_compressed: bool = False


@contextmanager
def bag_files(path: Path) -> Iterator[BagFiles]:
    """Find them, and unpack them for as long as the `with` block lasts where they are compressed.

    A folder whose metadata.yaml is missing, as after a recorder was killed, is read file by file.

    Raises:
        BagError: no bag there, its files are missing, or packed in an unknown way.
    """
    if not path.exists():
        raise BagError(f"{path} does not exist")
    if path.is_file():
        storage = Storage.SUFFIXES.get(path.suffix.lower())
        if storage is None:
            raise BagError(f"{path} is no bag: give the folder, or its .mcap or .db3 file")
        yield BagFiles(storage, (path,))
        return
    if not (path / METADATA).is_file():
        yield _without_metadata(path)
        return
    told = _metadata(path / METADATA)
    storage = str(told.get("storage_identifier"))
    mode = str(told.get("compression_mode") or "none")
    if storage not in Storage.SUFFIXES.values():
        raise BagError(f"{path} is stored as {storage[:40]!r}; known are mcap and sqlite3")
    files = _listed(path, told)
    if mode.lower() not in ("none", "file", "message"):
        raise BagError(f"{path} has compression_mode {mode[:40]!r}; known are file and message")
    packing = told.get("compression_format") or ""
    if mode.lower() != "none" and packing != "zstd":
        raise BagError(f"{path} is compressed with {str(packing)[:40]!r}; known is zstd")
    if mode.lower() == "file":
        with tempfile.TemporaryDirectory(prefix="nextscale-bag-") as folder:
            yield BagFiles(storage, tuple(_unpacked(file, Path(folder)) for file in files))
        return
    yield BagFiles(storage, files, mode.lower() == "message")


def _without_metadata(path: Path) -> BagFiles:
    for suffix, storage in Storage.SUFFIXES.items():
        files = sorted(path.glob(f"*{suffix}"))
        if files:
            return BagFiles(storage, tuple(files[:MAX_FILES]))
    raise BagError(f"{path} is no bag: there is neither {METADATA} nor a .mcap or .db3 file in it")


def _metadata(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_METADATA:
            raise BagError(f"{file} is larger than {MAX_METADATA} bytes")
        told = yaml.safe_load(file.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
    except BagError:
        raise
    # Impossible dates, empty numbers and nesting without end raise as many types.
    except Exception as error:
        raise BagError(
            f"{file} is no metadata of a bag ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(told, dict):
        raise BagError(f"{file} is no metadata of a bag: it must be a mapping")
    return told


def _listed(path: Path, told: dict[str, Any]) -> tuple[Path, ...]:
    """The files that the metadata names; only their names count, so none is out of the folder."""
    names = told.get("relative_file_paths")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BagError(f"{path / METADATA} must list the files of the bag (relative_file_paths)")
    if not 0 < len(names) <= MAX_FILES:
        raise BagError(f"{path / METADATA} names {len(names)} files; 1 to {MAX_FILES} are read")
    files = tuple(dict.fromkeys(path / PurePath(name).name for name in names))
    try:
        missing = [file.name for file in files if not file.is_file()]
    except OSError as error:
        raise BagError(f"{path / METADATA} names a file that none can be: {error.strerror}") from (
            error
        )
    if missing:
        raise BagError(f"{path} lacks files that its {METADATA} names: {', '.join(missing[:5])}")
    return files


def _unpacked(file: Path, folder: Path) -> Path:
    """Unpack a compressed file.

    Raises:
        BagError: damaged, too large, or no room.
    """
    target = folder / (file.stem if file.suffix == ".zstd" else file.name)
    try:
        with open_zstd(file) as packed, target.open("wb") as unpacked:
            _copy(packed, unpacked, file)
    except BagError:
        raise
    except Exception as error:
        raise BagError(f"{file} cannot be unpacked ({type(error).__name__}: {error})") from error
    return target


def _copy(packed: BinaryIO, unpacked: BinaryIO, file: Path) -> None:
    room = min(MAX_UNPACKED, shutil.disk_usage(Path(unpacked.name).parent).free // 2)
    while block := packed.read(1 << 20):
        room -= len(block)
        if room < 0:
            raise BagError(
                f"{file} unpacks to more than {MAX_UNPACKED} bytes or than there is room for"
            )
        unpacked.write(block)

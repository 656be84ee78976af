"""What a .db3 file must be before the library may ask it anything.

A database is a program: its columns may be computed, and a computed column can be any size.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from nextscale_core.exceptions import BagError

MAX_TOPICS = 10_000
MAX_TEXT = 1 << 20
"""Longest name, type or quality of service of a topic [characters]."""

_TABLES = ("schema", "metadata", "topics", "message_definitions", "messages")
_READ = ("messages", "topics")


def check_tables(file: Path) -> None:
    """Make sure that a file is a database of plain tables.

    Raises:
        BagError: no database, cut short, tables missing, computed columns, or too many topics.
    """
    if any(sign in str(file) for sign in "?#%"):
        # The library puts the path into a URI as it stands.
        raise BagError(f"{file}: a path with ?, # or % cannot be read as a database; rename it")
    try:
        address = f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            _check(database, file)
    except sqlite3.Error as error:
        raise BagError(f"{file} is no whole SQLite database ({error})") from error


def _check(database: sqlite3.Connection, file: Path) -> None:
    kinds = dict(database.execute("SELECT name, type FROM sqlite_master WHERE type != 'index'"))
    missing = [name for name in _READ if kinds.get(name) != "table"]
    if missing:
        raise BagError(f"{file} is no bag: it has no table {' and '.join(missing)}")
    for name in _TABLES:
        # Column 6 is 0 for plain columns, 1 for hidden, 2 and 3 for computed ones.
        columns = database.execute(f"PRAGMA table_xinfo({name})").fetchall()
        if any(column[6] for column in columns):
            raise BagError(f"{file} is no bag of rosbag2: its table {name} has computed columns")
    pages, size = (database.execute(f"PRAGMA {key}").fetchone()[0] for key in _SIZE)
    if pages * size > file.stat().st_size:
        raise BagError(f"{file} is cut short: {file.stat().st_size} of {pages * size} bytes")
    (count,) = database.execute("SELECT count(*) FROM topics").fetchone()
    if count > MAX_TOPICS:
        raise BagError(f"{file} has {count} topics, at most {MAX_TOPICS} are read")
    names = {column[1] for column in database.execute("PRAGMA table_xinfo(topics)")}
    texts = [name for name in _TEXTS if name in names]
    for name in texts:
        (longest,) = database.execute(f"SELECT max(length({name})) FROM topics").fetchone()
        if longest is not None and longest > MAX_TEXT:
            raise BagError(f"{file}: a {name} of {longest} characters, at most {MAX_TEXT} are read")


_SIZE = ("page_count", "page_size")
_TEXTS = ("name", "type", "serialization_format", "offered_qos_profiles", "type_description_hash")

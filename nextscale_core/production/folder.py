"""`ProductionFolder`: the files of a production, whole and in order after any interruption.

The one process that owns the folder writes everything: a file goes to a temporary name, to the
disk, and to its name; the rows of a job follow when all of its files are there. So the manifest is
always the rows of the first jobs, and a production goes on with the job after them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.production.make import Item
from nextscale_core.production.plan import Plan
from nextscale_core.production.recipe import HUMAN
from nextscale_core.production.shards import FOLDERS, OPEN, ShardWriter, card
from nextscale_core.robots.robot import Robot

MANIFEST, RECORD, MOTIONS = "manifest.jsonl", "production.json", "motions"


class ProductionFolder:
    """The folder of a production, owned by this process until `close`.

    Args:
        path: The folder; made if it is missing.
        plan: The production.
        robots: Its robots.

    Attributes:
        jobs: Number of jobs whose rows are in the manifest.
        kept: Number of items that are kept.
        refused: Number of items that are not, by stage.

    Raises:
        MotionFileError: the folder cannot be written, holds something else, or its manifest is
            damaged; or another process writes it.
        ConfigError: it was begun with another specification.
    """

    def __init__(self, path: Path, plan: Plan, robots: Sequence[Robot]) -> None:
        self.path, self._plan = path, plan
        self._subjects = [HUMAN] if plan.spec.human_formats else []
        self._subjects += [robot.name for robot in robots]
        self.jobs, self.kept = 0, 0
        self.refused: Counter[str] = Counter()
        with _named_errors(path):
            existed = path.is_dir() and any(path.iterdir())
            path.mkdir(parents=True, exist_ok=True)
            if existed and not (path / OPEN).is_dir():
                raise MotionFileError(
                    f"{path} is not empty and no folder of nextscale produce; give a new folder"
                )
            (path / OPEN).mkdir(exist_ok=True)
            self._lock = (path / OPEN / "lock").open("w")
            try:
                self._own()
                self._check_record()
                self._shards = {
                    robot.name: ShardWriter(
                        path, self.writing, plan.spec.shards, robot, plan.spec.base_rate
                    )
                    for robot in robots
                    if plan.spec.shards is not None
                }
                self._write_card(robots)
                self._reconcile()
                self._manifest = (path / MANIFEST).open("ab")
                self._sync(path)
            except BaseException:
                self._lock.close()
                raise

    def close(self) -> None:
        """Give up the folder."""
        self._manifest.close()
        self._lock.close()

    def commit(self, items: Sequence[Item]) -> None:
        """Write the files of the next job, then its rows.

        Raises:
            MotionFileError: a file cannot be written; the job counts as not done.
        """
        rows = []
        with _named_errors(self.path):
            for place, item in enumerate(items):
                number = self.jobs * len(self._subjects) + place
                files = [self._write_motion(name, data) for name, data in item.files.items()]
                row = {"item": number, **item.row, "files": files}
                if item.columns:
                    row |= self._shards[row["robot"]].add(row, item.columns)
                rows.append(row)
            lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
            self._manifest.write("".join(lines).encode())
            self._manifest.flush()
            os.fsync(self._manifest.fileno())
            self._count(rows)
            for shards in self._shards.values():
                shards.flush()

    def finish(self) -> None:
        """Write the last shards, which may be smaller than the others."""
        with _named_errors(self.path):
            for shards in self._shards.values():
                shards.flush(last=True)

    @contextmanager
    def writing(self, path: Path) -> Iterator[IO[bytes]]:
        """A stream whose content is the file at `path`, on the disk, at the end."""
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            for folder in path.parent.parents:
                self._sync(folder)
                if folder == self.path:
                    break
        part = self.path / OPEN / "part"
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        self._sync(path.parent)

    def _write_motion(self, name: str, data: bytes) -> dict[str, Any]:
        path = self.path / MOTIONS / name
        with self.writing(path) as stream:
            stream.write(data)
        digest = hashlib.sha256(data).hexdigest()
        return {"path": f"{MOTIONS}/{name}", "bytes": len(data), "sha256": digest}

    def _own(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MotionFileError(f"another nextscale produce writes {self.path}") from error

    def _check_record(self) -> None:
        """Compare the plan with the one that the folder was begun with, or note it."""
        record, path = self._plan.record(), self.path / RECORD
        if not path.is_file():
            with self.writing(path) as stream:
                text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
                stream.write(text.encode())
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise MotionFileError(f"{path} is damaged: {error}; give a new folder") from error
        changed = [name for name in record if before.get(name) != record[name]]
        if changed:
            name = changed[0]
            raise ConfigError(
                f"{self.path} was begun with another specification: {', '.join(changed)} changed "
                f"({name} was {_short(before.get(name))}, is {_short(record[name])}); restore it, "
                "or give a new folder"
            )

    def _reconcile(self) -> None:
        """Count the rows of whole jobs, and remove all that belongs to none."""
        path, size = self.path / MANIFEST, 0
        (self.path / OPEN / "part").unlink(missing_ok=True)
        if path.is_file():
            rows: list[dict[str, Any]] = []
            with path.open("rb") as stream:
                length = 0
                for number, line in enumerate(stream, start=1):
                    if not line.endswith(b"\n"):
                        break
                    rows.append(self._row(line, number, len(rows)))
                    length += len(line)
                    if len(rows) == len(self._subjects):
                        self._count(rows)
                        rows, size = [], length
            with path.open("r+b") as stream:
                stream.truncate(size)
                os.fsync(stream.fileno())
        if self.jobs < len(self._plan):
            # Jobs are committed one after the other: only files of the next one can have no row.
            name, spec = self._plan.job(self.jobs).name, self._plan.spec
            for one in (*spec.human_formats, *spec.robot_formats):
                for subject in self._subjects:
                    _remove(self.path / MOTIONS / one.name / subject / f"{name}{one.suffix}")
        for shards in self._shards.values():
            shards.reconcile()

    def _row(self, line: bytes, number: int, place: int) -> dict[str, Any]:
        """The row in a line of the manifest, which must be that of the plan."""
        where = f"{self.path / MANIFEST} line {number}"
        try:
            row: dict[str, Any] = json.loads(line)
            found = row["source"], row["robot"] or HUMAN, row["item"], row["kept"]
        except (ValueError, KeyError, TypeError) as error:
            raise MotionFileError(f"{where} is damaged: {error!r}; give a new folder") from error
        job = self._plan.job(self.jobs).name if self.jobs < len(self._plan) else None
        wanted = job, self._subjects[place], number - 1, found[3]
        if found != wanted:
            raise MotionFileError(f"{where} is of {found[:3]}, not of {wanted[:3]}")
        return row

    def _count(self, rows: Sequence[dict[str, Any]]) -> None:
        self.jobs += 1
        for row in rows:
            if row["kept"]:
                self.kept += 1
                if row["robot"] in self._shards:
                    self._shards[row["robot"]].motions += 1
            else:
                self.refused[row["stage"]] += 1

    def _write_card(self, robots: Sequence[Robot]) -> None:
        spec = self._plan.spec
        if spec.shards is not None and "parquet" in spec.shards.kinds:
            with self.writing(self.path / FOLDERS["parquet"] / "README.md") as stream:
                stream.write(card(robots, spec.base_rate).encode())

    @staticmethod
    def _sync(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise MotionFileError(f"cannot write {where}: {error.strerror or error}") from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."

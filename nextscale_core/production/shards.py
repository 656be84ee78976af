"""`ShardWriter`: the kept motions of a robot in files of a fixed number of motions.

A motion waits in a file of its own until a shard is full. The index names the complete shards; it
is written after them, and the waiting files are removed after it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.npz import read_npz
from nextscale_core.production.columns import COLUMNS
from nextscale_core.production.spec import Shards
from nextscale_core.robots.robot import Robot

OPEN = ".open"
"""Folder of the files of a production that are not complete."""

FOLDERS = {"npz": "shards", "parquet": "dataset"}
"""Folder of the shards of each kind, with a folder below it for each robot."""

INDEX = "index.json"

_LABELS = ("item", "seed", "text")
_NO_SEED = -1

Writing = Callable[[Path], AbstractContextManager[IO[bytes]]]
"""A stream whose content is a file, whole and on the disk, at the end."""


class ShardWriter:
    """Shards of one robot.

    Args:
        root: Folder of the production.
        writing: Writes its files.
        shards: Size and kinds.
        robot: The robot.
        rate: Frames per second [Hz].

    Attributes:
        motions: Number of motions whose rows are in the manifest.

    Raises:
        ConfigError: pyarrow, which writes parquet, is not installed.
        MotionFileError: the index of an earlier run is damaged.
    """

    def __init__(
        self, root: Path, writing: Writing, shards: Shards, robot: Robot, rate: float
    ) -> None:
        self._root, self._writing, self._shards = root, writing, shards
        self._robot, self._rate, self.motions = robot, rate, 0
        self._waiting = root / OPEN / robot.name
        self._waiting.mkdir(exist_ok=True)
        self._index_file = root / OPEN / f"{robot.name}.json"
        self._done: list[dict[str, Any]] = []
        if "parquet" in shards.kinds:
            require_pyarrow()
        if self._index_file.is_file():
            try:
                self._done = json.loads(self._index_file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise MotionFileError(f"{self._index_file} is damaged: {error}") from error

    def add(self, row: dict[str, Any], columns: dict[str, np.ndarray]) -> dict[str, Any]:
        """Keep the next motion; returns where it will be, for its row."""
        seed = _NO_SEED if row["seed"] is None else row["seed"]
        labels = {"item": row["item"], "seed": seed, "text": row["text"]}
        with self._writing(self._file(self.motions)) as stream:
            # The stubs take any extra keyword for `allow_pickle`.
            np.savez(stream, **columns, **labels)  # type: ignore[arg-type]
        shard, place = divmod(self.motions, self._shards.motions)
        return {"shard": shard, "place": place}

    def flush(self, last: bool = False) -> None:
        """Write the shards that are full; with `last` also the one that is not."""
        size = self._shards.motions
        while (waiting := self.motions - self._complete) >= size or (last and waiting):
            count = min(size, waiting)
            numbers = range(self._complete, self._complete + count)
            self._write([read_npz(self._file(number), COLUMNS) for number in numbers])
            for number in numbers:
                self._file(number).unlink()

    def reconcile(self) -> None:
        """Remove files of motions that are in a shard or have no row, and check the others."""
        wanted = {self._file(n) for n in range(self._complete, self.motions)}
        found = set(self._waiting.iterdir())
        if wanted - found:
            raise MotionFileError(
                f"{min(wanted - found)} is missing, which the manifest names; give a new folder"
            )
        for file in found - wanted:
            file.unlink()

    @property
    def _complete(self) -> int:
        return sum(one["motions"] for one in self._done)

    def _file(self, number: int) -> Path:
        return self._waiting / f"{number:08d}.npz"

    def _write(self, motions: Sequence[dict[str, np.ndarray]]) -> None:
        number, frames = len(self._done), [len(one["root_position"]) for one in motions]
        starts = np.concatenate([[0], np.cumsum(frames)]).astype(np.int64)
        columns = {
            name: np.concatenate([one[name] for one in motions]).astype(np.float32)
            for name in COLUMNS
        }
        labels = {name: np.array([one[name] for one in motions]) for name in _LABELS}
        entry: dict[str, Any] = {"motions": len(motions), "frames": int(starts[-1])}
        for kind in self._shards.kinds:
            path = self._root / FOLDERS[kind] / self._robot.name / f"{number:05d}.{kind}"
            with self._writing(path) as stream:
                if kind == "npz":
                    self._write_npz(stream, columns, labels, starts)
                else:
                    self._write_parquet(stream, columns, labels, starts)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            entry[kind] = {"file": path.name, "sha256": digest}
        self._done.append(entry)
        for kind in self._shards.kinds:
            with self._writing(self._root / FOLDERS[kind] / self._robot.name / INDEX) as stream:
                stream.write(json.dumps(self._index(kind), indent=1).encode() + b"\n")
        with self._writing(self._index_file) as stream:
            stream.write(json.dumps(self._done).encode())

    def _write_npz(
        self,
        stream: IO[bytes],
        columns: dict[str, np.ndarray],
        labels: dict[str, np.ndarray],
        starts: np.ndarray,
    ) -> None:
        of_robot = {
            "joint_names": np.array(self._robot.joint_names),
            "fps": np.array(self._rate),
            "robot": np.array(self._robot.name),
        }
        np.savez(stream, **columns, **labels, starts=starts, **of_robot)  # type: ignore[arg-type]

    def _write_parquet(
        self,
        stream: IO[bytes],
        columns: dict[str, np.ndarray],
        labels: dict[str, np.ndarray],
        starts: np.ndarray,
    ) -> None:
        pa, parquet = require_pyarrow()
        lengths = np.diff(starts)
        frame = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        before = sum(one["frames"] for one in self._done)
        episode = self._complete + np.arange(len(lengths))
        table = {
            "index": before + np.arange(starts[-1]),
            "episode_index": np.repeat(episode, lengths),
            "frame_index": frame,
            "timestamp": (frame / self._rate).astype(np.float32),
            **{name: np.repeat(values, lengths) for name, values in labels.items()},
        }
        arrays = {
            name: pa.array(values.tolist() if name == "text" else values)
            for name, values in table.items()
        }
        for name, values in columns.items():
            flat = pa.array(values.reshape(-1))
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        parquet.write_table(pa.table(arrays), stream)

    def _index(self, kind: str) -> dict[str, Any]:
        return {
            "robot": self._robot.name,
            "fps": self._rate,
            "joint_names": list(self._robot.joint_names),
            "columns": {
                name: {"unit": column.unit, "meaning": column.meaning}
                for name, column in COLUMNS.items()
            },
            "motions": self._complete,
            "frames": sum(one["frames"] for one in self._done),
            "shards": [
                {"motions": one["motions"], "frames": one["frames"], **one[kind]}
                for one in self._done
            ],
        }


def require_pyarrow() -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        ConfigError: they are not installed; the message holds the command to install them.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("shards of kind parquet need pyarrow: pip install pyarrow")
    return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")


def card(robots: Sequence[Robot], rate: float) -> str:
    """README.md of the parquet folder: which files are a robot's, and what the columns hold."""
    configs = [
        {"config_name": robot.name, "data_files": f"{robot.name}/*.parquet"} for robot in robots
    ]
    head = yaml.safe_dump({"configs": configs, "tags": ["robotics", "humanoid"]}, sort_keys=False)
    joints = "\n".join(f"- {one.name}: {', '.join(one.joint_names)}" for one in robots)
    rows = "\n".join(
        f"| `{name}` | {column.unit} | {column.meaning} |" for name, column in COLUMNS.items()
    )
    return f"""---
{head}---

# Motions of robots

Made with nextscale. One row per frame, {rate:g} frames per second, motion after motion.

| column | unit | content |
|---|---|---|
| `index` | | frame in the data set |
| `episode_index` | | motion in the data set |
| `frame_index` | | frame in the motion |
| `timestamp` | s | time from the begin of the motion |
| `item` | | row of `manifest.jsonl` |
| `seed` | | seed of the motion; -1 for captures |
| `text` | | sentence of the motion |
{rows}

Joints:

{joints}
"""

"""Constraints from and residuals to JSON files; `docs/constraints.md` has the format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from nextscale_core.exceptions import ConfigError, NextscaleError
from nextscale_core.motion.constraints import Constraint, Keyframe, Residual, Target, Waypoint
from nextscale_core.motion.formats.files import read_motion
from nextscale_core.npz import write_text
from nextscale_core.yaml_files import MAX_BYTES, nearest

MAX_ENTRIES = 200
"""Largest number of constraints of a file."""

_KEYS = {
    "keyframe": ({"time"}, {"pose", "file", "at", "placed"}),
    "waypoint": ({"time", "x", "y"}, {"heading"}),
    "target": ({"time", "body", "position"}, set()),
}
"""Required and optional keys of each type, besides `type`."""


def read_constraints(path: Path) -> tuple[Constraint, ...]:
    """Read a JSON file with a list of constraints.

    Raises:
        ConfigError: the file cannot be read or is not such a list; the message names the entry,
            from 1.
    """
    found = []
    for number, entry in enumerate(_entries(path), start=1):
        try:
            found.append(_constraint(entry, path.parent))
        except NextscaleError as error:
            raise ConfigError(f"{path}, entry {number}: {error}") from error
    return tuple(found)


def motion_files(path: Path) -> list[Path]:
    """The motion files that a JSON file of constraints names.

    Raises:
        ConfigError: the file cannot be read or is not a list.
    """
    names = (entry.get("file") for entry in _entries(path) if isinstance(entry, dict))
    return [path.parent / name for name in names if isinstance(name, str)]


def _entries(path: Path) -> list[Any]:
    """The entries of a JSON file of constraints, unchecked."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes")
        entries = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except ConfigError:
        raise
    # Deep nesting and endless digits raise errors of other types than malformed JSON.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON: {str(error)[:200]}") from error
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_ENTRIES:
        raise ConfigError(
            f"{path} must hold a list of 1 to {MAX_ENTRIES} constraints such as "
            '[{"type": "waypoint", "time": 2.0, "x": 1.0, "y": 0.5}]'
        )
    return entries


def write_residuals(residuals: Sequence[Residual], path: Path) -> None:
    """Write residuals as a JSON list of their attributes.

    Raises:
        MotionFileError: the file cannot be written.
    """
    write_text(path, json.dumps([asdict(one) for one in residuals], indent=1) + "\n")


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number of JSON")


def _constraint(entry: Any, folder: Path) -> Constraint:
    if not isinstance(entry, dict):
        raise ConfigError(f"must be an object with a type, got {entry!r:.100}")
    values = dict(entry)
    kind = values.pop("type", None)
    if not isinstance(kind, str) or kind not in _KEYS:
        raise ConfigError(f"type must be one of {', '.join(_KEYS)}, got {kind!r:.100}")
    required, optional = _KEYS[kind]
    for key in values:
        if key not in required | optional:
            raise ConfigError(f"{kind} has an unknown key {key!r:.100}; "
                              f"{nearest(key, required | optional)}")  # fmt: skip
    missing = sorted(required - set(values))
    if missing:
        raise ConfigError(f"{kind} lacks {', '.join(missing)}")
    make: Callable[..., Constraint] = {"waypoint": Waypoint, "target": Target}.get(kind, Keyframe)
    if make is not Keyframe:
        return make(**values)
    if ("pose" in values) == ("file" in values):
        raise ConfigError("keyframe needs either pose, or file and at")
    placed = values.get("placed", True)
    if not isinstance(placed, bool):
        raise ConfigError(f"placed must be true or false, got {placed!r:.100}")
    pose = values["pose"] if "pose" in values else _pose_of(values, folder)
    return Keyframe(values["time"], pose, placed)


def _pose_of(values: dict[str, Any], folder: Path) -> Any:
    """The pose of a motion file at a time."""
    name, at = values["file"], values.get("at", 0.0)
    if not isinstance(name, str) or not name:
        raise ConfigError(f"file must be the name of a motion file, got {name!r:.100}")
    clip = read_motion(folder / name)
    real = isinstance(at, int | float) and not isinstance(at, bool)
    if not real or not 0 <= at < clip.seconds:
        raise ConfigError(f"at must be a time within 0 to {clip.seconds:g} s of {name}, got {at!r}")
    return clip.joints[min(round(at * clip.fps), len(clip) - 1)]

"""What a look at a robot finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_SHOWN = 6


@dataclass(frozen=True)
class Remark:
    """One thing found.

    Attributes:
        severity: 'error' keeps the robot from being used, 'warning' is odd, 'ok' is right.
        about: What was looked at: 'urdf', 'meshes', 'names', ...
        message: What is so, with values.
        remedy: What would be right.
    """

    severity: Literal["error", "warning", "ok"]
    about: str
    message: str
    remedy: str = ""


def error(about: str, message: str, remedy: str = "") -> Remark:
    """Something that keeps the robot from being used."""
    return Remark("error", about, message, remedy)


def warning(about: str, message: str, remedy: str = "") -> Remark:
    """Something odd."""
    return Remark("warning", about, message, remedy)


def ok(about: str, message: str) -> Remark:
    """Something that is right."""
    return Remark("ok", about, message)


def some(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more

"""Findings of a robot check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CheckFinding:
    """A fact that a check established.

    Attributes:
        severity: 'error' makes the robot unusable, 'warning' is unusual, 'ok' is valid.
        about: The subject: 'urdf', 'meshes', 'names', ...
        message: The fact, with values.
        remedy: What to change.
    """

    severity: Literal["error", "warning", "ok"]
    about: str
    message: str
    remedy: str = ""


def error(about: str, message: str, remedy: str = "") -> CheckFinding:
    """A finding that makes the robot unusable."""
    return CheckFinding("error", about, message, remedy)


def warning(about: str, message: str, remedy: str = "") -> CheckFinding:
    """An unusual finding."""
    return CheckFinding("warning", about, message, remedy)


def ok(about: str, message: str) -> CheckFinding:
    """A valid finding."""
    return CheckFinding("ok", about, message)

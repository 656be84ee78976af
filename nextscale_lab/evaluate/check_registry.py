"""Registry of geometric checks and their result type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["left", "right", "any"]


@dataclass(frozen=True)
class CheckResult:
    """Result of a check on one clip.

    Attributes:
        passed: Whether the clip shows the event.
        figures: Measured values by name, in SI units unless the name has another unit.
    """

    passed: bool
    figures: Mapping[str, float] = field(default_factory=dict)


Check = Callable[..., CheckResult]

CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under the name of its function."""
    CHECKS[function.__name__] = function
    return function

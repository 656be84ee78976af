"""What a check is, and the registry of all that are defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verdict:
    """Whether a clip passed a check, and the figures that decided.

    Attributes:
        passed: True when the clip shows the event.
        figures: Name -> what was measured, in SI units unless the name says otherwise.
    """

    passed: bool
    figures: Mapping[str, float] = field(default_factory=dict)


Check = Callable[..., Verdict]

CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under the name of its function."""
    CHECKS[function.__name__] = function
    return function

"""The registry of geometric checks: does a motion show what its sentence says?

A check is a pure function of `Tracks` and of thresholds that are declared in the battery's YAML.
It looks for the event anywhere in the clip, never for a pose in a certain frame, and it knows
nothing of the sentence: 'wave' with side 'right' fails on a wave of the left hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_lab.data.tracks import Tracks
from nextscale_lab.evaluate import limb_checks, path_checks, posture_checks  # noqa: F401 - they register
from nextscale_lab.evaluate.check_registry import CHECKS, Verdict, check


def check_names() -> tuple[str, ...]:
    """Names that a battery may use, in alphabetical order."""
    return tuple(sorted(CHECKS))


def validate_thresholds(name: str, thresholds: Mapping[str, Any]) -> None:
    """Make sure that a check exists and takes these thresholds.

    Raises:
        ConfigError: unknown check, unknown or missing threshold, or a value of the wrong type.
    """
    if name not in CHECKS:
        raise ConfigError(f"unknown check {name!r}; there are: {', '.join(check_names())}")
    parameters = dict(list(inspect.signature(CHECKS[name]).parameters.items())[1:])
    for key, value in thresholds.items():
        if key not in parameters:
            raise ConfigError(
                f"check {name!r} has no threshold {key!r}; it takes: {', '.join(parameters)}"
            )
        wanted = parameters[key].annotation
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if wanted == "str" and not isinstance(value, str):
            raise ConfigError(f"check {name!r}: {key} must be a word, got {value!r}")
        if wanted in ("float", "int") and not is_number:
            raise ConfigError(f"check {name!r}: {key} must be a number, got {value!r}")
        if wanted == "list":
            _validate_steps(name, value)
    missing = [
        key
        for key, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in thresholds
    ]
    if missing:
        raise ConfigError(f"check {name!r} needs {', '.join(missing)}")


def apply_check(name: str, clip: MotionClip, thresholds: Mapping[str, Any]) -> Verdict:
    """Run one check on one clip.

    Args:
        name: Name of a registered check.
        clip: The motion.
        thresholds: Keyword arguments of the check.

    Raises:
        ConfigError: unknown check or bad thresholds.
    """
    validate_thresholds(name, thresholds)
    return CHECKS[name](Tracks(clip), **thresholds)


@check
def sequence(tracks: Tracks, *, steps: list) -> Verdict:
    """Several events, one after the other.

    Args:
        tracks: The motion.
        steps: Checks in order, each a mapping with `check` and `thresholds`. Each step takes the
            shortest piece that shows it; the next one looks at what is left.
    """
    clip, start, done = tracks.clip, 0, 0
    stride = tracks.frames(0.2)
    for number, step in enumerate(steps):
        thresholds = step.get("thresholds") or {}
        is_last = number == len(steps) - 1
        ends = [len(clip)] if is_last else [*range(start + stride, len(clip), stride), len(clip)]
        end = next(
            (
                end
                for end in ends
                if end > start
                and apply_check(step["check"], clip.slice(start, end), thresholds).passed
            ),
            None,
        )
        if end is None:
            break
        start, done = end, done + 1
    return Verdict(done == len(steps), {"steps_done": float(done)})


def _validate_steps(name: str, steps: Any) -> None:
    if not isinstance(steps, list) or not steps:
        raise ConfigError(f"check {name!r}: steps must be a list of checks, got {steps!r}")
    for step in steps:
        if not isinstance(step, dict) or not {"check"} <= set(step) <= {"check", "thresholds"}:
            raise ConfigError(
                f"check {name!r}: a step is a mapping with check and thresholds, got {step!r}"
            )
        validate_thresholds(step["check"], step.get("thresholds") or {})

"""Geometric checks: does a motion show the event that its sentence describes?

A check is a pure function of `Tracks` and of the thresholds in the prompt suite's YAML. It looks
for the event anywhere in the clip and does not read the sentence: 'wave' with side 'right' fails
on a wave of the left hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.tracks import Tracks
from nextscale_lab.evaluate import limb_checks, path_checks, posture_checks  # noqa: F401 - they register
from nextscale_lab.evaluate.check_registry import CHECKS, CheckResult, check
from nextscale_lab.files import explain


def check_names() -> tuple[str, ...]:
    """Names of all checks in alphabetical order."""
    return tuple(sorted(CHECKS))


def validate_thresholds(name: str, thresholds: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the name and the thresholds of a check.

    Returns:
        All thresholds, defaults included.

    Raises:
        ConfigError: unknown check, unknown or missing threshold, or an invalid value.
    """
    if name not in CHECKS:
        raise ConfigError(f"unknown check {name!r}; there are: {', '.join(check_names())}")
    model = _thresholds_of(name)
    try:
        return dict(model.model_validate(dict(thresholds)))
    except ValidationError as error:
        raise ConfigError(f"check {name!r}: {explain(model, error)}") from error


@cache
def _thresholds_of(name: str) -> type[BaseModel]:
    """Model of the keyword arguments of a check."""
    parameters = inspect.signature(CHECKS[name], eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        parameter.name: (
            parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in list(parameters)[1:]
    }
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)


def apply_check(name: str, clip: MotionClip, thresholds: Mapping[str, Any]) -> CheckResult:
    """Run one check on one clip.

    Args:
        name: Name of a registered check.
        clip: The motion.
        thresholds: Keyword arguments of the check.

    Raises:
        ConfigError: unknown check or invalid thresholds.
    """
    return CHECKS[name](Tracks(clip), **validate_thresholds(name, thresholds))


class Step(BaseModel, extra="forbid"):
    """One step of the check `sequence`: a check with its thresholds."""

    check: str
    thresholds: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _valid(self) -> Step:
        validate_thresholds(self.check, self.thresholds or {})
        return self


@check
def sequence(tracks: Tracks, *, steps: Annotated[list[Step], Field(min_length=1)]) -> CheckResult:
    """Several events, one after the other.

    Args:
        tracks: The motion.
        steps: Checks in order. Each takes the shortest piece of the rest of the clip that shows
            its event.
    """
    clip, start, done = tracks.clip, 0, 0
    stride = tracks.frames(0.2)
    for number, step in enumerate(steps):
        is_last = number == len(steps) - 1
        ends = [len(clip)] if is_last else [*range(start + stride, len(clip), stride), len(clip)]
        end = next(
            (
                end
                for end in ends
                if end > start
                and apply_check(step.check, clip.slice(start, end), step.thresholds or {}).passed
            ),
            None,
        )
        if end is None:
            break
        start, done = end, done + 1
    return CheckResult(done == len(steps), {"steps_done": float(done)})

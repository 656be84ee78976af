"""Options for reading a motion file, and the notes that its reader leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nextscale_core.exceptions import ConfigError

UNITS = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}
"""Length of each unit [m]; 'cmu' is the unit of CMU's motion capture files."""

UP_AXES = ("y", "z", "-y", "-z", "x", "-x")
"""Axes of a file that may point up."""


@dataclass(frozen=True)
class ReadNote:
    """An assumption or correction of a reader: its subject, and one sentence with the values."""

    kind: Literal[
        "rate", "frames", "joints", "unit", "up", "facing", "mirrored", "floor", "pose", "lying"
    ]
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class ReadOptions:
    """Known properties of a motion file; the others are found from the file and the body.

    Attributes:
        up: Axis of the file that points up, out of `UP_AXES`, or 'auto'.
        unit: Name in `UNITS`, metres in the file's unit, or 'auto'.
        fps: Frames per second of the file [Hz]; None for the rate that the file states.
        joint_map: nextscale's joint name -> joint name in the file (BVH).
        floor: Put the floor below the motion at z = 0; otherwise heights stay as they are.
        keep_rate: Keep the rate of the file; otherwise the motion of a rig (BVH, glTF) is
            resampled to 20 frames per second. Other formats always keep theirs.

    Raises:
        ConfigError: an unknown axis or unit, or a rate or length that is not positive.
    """

    up: str = "auto"
    unit: str | float = "auto"
    fps: float | None = None
    joint_map: Mapping[str, str] | None = None
    floor: bool = True
    keep_rate: bool = False

    def __post_init__(self) -> None:
        if self.up not in ("auto", *UP_AXES):
            raise ConfigError(f"up must be auto, {', '.join(UP_AXES)}, got {self.up!r}")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise ConfigError(f"fps must be a positive number, got {self.fps!r}")
        _ = self.metres_per_unit

    @property
    def metres_per_unit(self) -> float | None:
        """Length of the file's unit [m]; None for 'auto'."""
        if self.unit == "auto":
            return None
        if self.unit in UNITS:
            return UNITS[str(self.unit)]
        try:
            value = float(self.unit)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(
                f"unit must be auto, {', '.join(UNITS)} or metres per unit, got {self.unit!r}"
            )
        return value


DEFAULT_OPTIONS = ReadOptions()

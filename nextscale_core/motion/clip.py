"""`MotionClip`, the human motion that travels between modules, and `CaptionedClip`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.reading import ReadNote
from nextscale_core.motion.skeleton import FPS, NUM_JOINTS

if TYPE_CHECKING:
    from nextscale_core.motion.constraints import Residual


@dataclass(frozen=True)
class MotionClip:
    """Human joint positions over time.

    Attributes:
        joints: (T, 22, 3) float32 positions [m] in a world frame with z up and the floor at
            z = 0. A canonical clip starts above the origin, facing +x.
        fps: Frames per second [Hz].
        text: The sentence the motion shows, or ''.
        contacts: (T, 4) bool, foot on the floor: left ankle, left foot, right ankle, right foot
            (HumanML3D's labels); None when unknown.
        seed: Seed of the sample, or None for recorded motion.
        notes: Assumptions and corrections of the file's reader; not written to files.
        residuals: How well each constraint is met, in order of time; not written to files.

    Raises:
        InvalidMotionError: wrong shapes, no frame, NaN or infinity, or fps not positive.
    """

    joints: np.ndarray
    fps: float = FPS
    text: str = ""
    contacts: np.ndarray | None = None
    seed: int | None = None
    notes: tuple[ReadNote, ...] = ()
    residuals: tuple[Residual, ...] = ()

    def __post_init__(self) -> None:
        joints = _float32(self.joints)
        if joints.ndim != 3 or joints.shape[1:] != (NUM_JOINTS, 3) or len(joints) == 0:
            raise InvalidMotionError(
                f"joints must have shape (T, {NUM_JOINTS}, 3) with T >= 1, got {joints.shape}"
            )
        if not np.isfinite(joints).all():
            frame = int(np.argwhere(~np.isfinite(joints))[0, 0])
            raise InvalidMotionError(f"joints hold NaN or infinity, first in frame {frame}")
        object.__setattr__(self, "joints", joints)
        object.__setattr__(self, "fps", _positive(self.fps))
        if self.contacts is not None:
            try:
                contacts = np.asarray(self.contacts).astype(bool)
            except (TypeError, ValueError) as error:
                raise InvalidMotionError(
                    f"contacts must be an array of truth values: {error}"
                ) from error
            if contacts.shape != (len(joints), 4):
                raise InvalidMotionError(
                    f"contacts must have shape ({len(joints)}, 4), got {contacts.shape}"
                )
            object.__setattr__(self, "contacts", contacts)

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def seconds(self) -> float:
        """Duration: frames divided by the rate [s]."""
        return len(self.joints) / self.fps

    def with_text(self, text: str) -> MotionClip:
        """The same motion with another sentence."""
        return replace(self, text=text)

    def slice(self, start: int, stop: int) -> MotionClip:
        """Frames [start, stop) as a new clip in the same world frame."""
        contacts = None if self.contacts is None else self.contacts[start:stop]
        return replace(self, joints=self.joints[start:stop], contacts=contacts)


@dataclass(frozen=True)
class CaptionedClip:
    """A motion of a data set with its captions.

    Attributes:
        id: Name of the clip in its data set.
        split: 'train', 'val' or 'test'.
        captions: Sentences, best first; may be empty.
        clip: The motion at 20 fps, z up, floor at z = 0.
    """

    id: str
    split: str
    captions: tuple[str, ...]
    clip: MotionClip


def _float32(joints: object) -> np.ndarray:
    """The array as float32; values beyond its range become infinity."""
    try:
        array = np.asarray(joints)
        if np.iscomplexobj(array):
            raise TypeError("complex numbers")
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise InvalidMotionError(f"joints must be an array of real numbers: {error}") from error


def _positive(fps: object) -> float:
    try:
        value = float(fps)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = np.nan
    if not (np.isfinite(value) and value > 0):
        raise InvalidMotionError(f"fps must be a positive number, got {fps!r}")
    return value

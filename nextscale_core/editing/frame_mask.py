"""`Timeline`: the known frames of the motion to generate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import ConfigError, InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.mirror import mirror_joints
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS

Spans = Sequence[tuple[float, float]]
"""Half-open spans of time [s]."""

KnownFrames = np.ndarray | Sequence[bool] | Spans | None
"""(T,) bool, one per frame, or spans [s]; None for all frames of the known clip."""


@dataclass(frozen=True)
class Timeline:
    """A motion of T frames, some of them given.

    Attributes:
        joints: (T, 22, 3) float64 positions [m] in the world. Frames that are not known are
            interpolated linearly between the known ones, so that their old content cannot leak.
        known: (T,) bool.
        contacts: (T, 4) bool, False where not known; None when the known clip has none.
    """

    joints: np.ndarray
    known: np.ndarray
    contacts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.known)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """[start, stop) of every run of frames to generate."""
        return runs(~self.known)

    def mirrored(self) -> Timeline:
        """The timeline of the mirrored motion, without contacts."""
        return Timeline(mirror_joints(self.joints), self.known)

    @classmethod
    def build(
        cls, clip: MotionClip, known_frames: KnownFrames = None, seconds: float | None = None
    ) -> Timeline:
        """Put the known frames of a clip on the timeline of the motion to generate.

        Args:
            clip: Motion at 20 fps, anywhere on the floor.
            known_frames: Mask over the frames of the result, or spans of its time [s]; None for
                all frames of the clip. A mask as long as the clip selects its known frames; a
                longer one, with as many True as the clip has frames, gives their places in the
                result (False x 80, True x 20 makes a lead-in).
            seconds: Length of the result [s]; frames beyond the mask are not known. None for the
                mask's length.

        Raises:
            InvalidMotionError: the clip does not have 20 fps.
            ConfigError: a mask or span that does not fit, or a length out of range.
        """
        if abs(clip.fps - FPS) > 1e-3:
            raise InvalidMotionError(
                f"a known motion must have {FPS:g} fps, got {clip.fps:g}; resample it first"
            )
        mask = _mask_of(clip, known_frames)
        total = len(mask) if seconds is None else round(seconds * FPS)
        low, high = round(MIN_SECONDS * FPS), round(MAX_SECONDS * FPS)
        if not low <= total <= high:
            raise ConfigError(
                f"a motion to complete must have {low} to {high} frames ({MIN_SECONDS:g} to "
                f"{MAX_SECONDS:g} s), got {total}"
            )
        if mask[total:].any():
            last = int(np.flatnonzero(mask)[-1]) + 1
            raise ConfigError(
                f"known frames reach to {last / FPS:g} s, but the motion is to last "
                f"{total / FPS:g} s only"
            )
        known = np.zeros(total, dtype=bool)
        known[: len(mask)] = mask[:total]
        source = np.flatnonzero(known) if len(mask) == len(clip) else np.arange(len(clip))
        contacts = None
        if clip.contacts is not None:
            contacts = np.zeros((total, 4), dtype=bool)
            contacts[known] = clip.contacts[source]
        joints = np.zeros((total, *clip.joints.shape[1:]))
        if known.any():
            given = clip.joints[source].astype(np.float64)
            joints = between(given, np.flatnonzero(known), total)
        return cls(joints, known, contacts)


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _mask_of(clip: MotionClip, known_frames: KnownFrames) -> np.ndarray:
    if known_frames is None:
        return np.ones(len(clip), dtype=bool)
    given = np.asarray(known_frames)
    if given.dtype == bool and given.ndim == 1:
        if len(given) != len(clip) and not (len(given) > len(clip) == given.sum()):
            raise ConfigError(
                f"known_frames must be as long as the clip ({len(clip)} frames), or longer with "
                f"{len(clip)} times True; got {len(given)} frames, {int(given.sum())} times True"
            )
        return given
    if given.ndim != 2 or given.shape[1] != 2 or given.dtype.kind not in "iuf":
        raise ConfigError(
            "known_frames must be a (T,) mask of bool, or spans (start, stop) in seconds; got "
            f"shape {given.shape} of {given.dtype}"
        )
    mask = np.zeros(len(clip), dtype=bool)
    for start, stop in given.tolist():
        # The tolerance allows spans written with one decimal.
        if not 0 <= start < stop <= clip.seconds + 1e-6:
            raise ConfigError(
                f"a known span must lie within 0 to {clip.seconds:g} s, start first; got "
                f"{start:g} to {stop:g}"
            )
        first, last = round(start * FPS), round(stop * FPS)
        if first == last:
            raise ConfigError(f"the known span {start:g} to {stop:g} s holds no frame")
        mask[first:last] = True
    return mask


def between(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """Values at some places of 0..count-1, interpolated linearly, held before and after."""
    at = np.arange(count)
    right = np.clip(np.searchsorted(places, at), 0, len(places) - 1)
    left = np.where(places[right] > at, np.maximum(right - 1, 0), right)
    distance = np.maximum(places[right] - places[left], 1)
    share = np.clip((at - places[left]) / distance, 0.0, 1.0)
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    return (1.0 - share) * values[left] + share * values[right]

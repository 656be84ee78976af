"""Contacts of the human feet with the floor, and the spans over which a foot stands still."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from nextscale_core.motion.skeleton import CONTACT_JOINTS
from nextscale_core.retarget.config import RETARGET, FootLockingConfig
from nextscale_core.rotations import smoothstep


@dataclass(frozen=True)
class Contacts:
    """Contact of both feet over T frames.

    Attributes:
        ankle: (T, 2) bool, heel of the left and right foot on the floor.
        ball: (T, 2) bool, ball of the left and right foot on the floor.
        rest_height: (2,) height of ankle and ball above the clip's origin when standing [m].
    """

    ankle: np.ndarray
    ball: np.ndarray
    rest_height: np.ndarray

    @property
    def flat(self) -> np.ndarray:
        """(T, 2) bool, the whole sole on the floor."""
        return self.ankle & self.ball


def find_contacts(
    joints: np.ndarray,
    fps: float,
    labels: np.ndarray | None = None,
    config: FootLockingConfig = RETARGET.foot_locking,
) -> Contacts:
    """The parts of the feet that stand on the floor.

    Args:
        joints: (T, 22, 3) positions [m], z up.
        fps: Frames per second [Hz].
        labels: (T, 4) bool, the clip's own labels (left ankle, left ball, right ankle, right
            ball); they are kept where height and speed do not contradict them.
        config: Speeds and heights of standing feet.
    """
    feet = joints[:, list(CONTACT_JOINTS)].astype(np.float64)
    step = np.linalg.norm(np.diff(feet, axis=0), axis=-1) * fps
    if len(step):
        speed = np.minimum(
            np.concatenate([step, step[-1:]]), np.concatenate([step[:1], step])
        )  # the slower side, so that the last frame before a swing still stands
    else:
        speed = np.zeros(feet.shape[:2])
    both = feet[..., 2].reshape(len(feet), 2, 2).min(1)
    rest = np.percentile(both, 5, axis=0)
    if rest[0] > config.raised:
        rest = np.array([config.ankle_rest, config.ball_rest])
    low = feet[..., 2] - np.tile(rest, 2) < np.tile([config.ankle_height, config.ball_height], 2)
    if labels is None:
        standing = low & (speed < config.speed)
    else:
        standing = low & (speed < config.labelled_speed) & labels
    standing = _debounce(standing, fps, config)
    return Contacts(ankle=standing[:, 0::2], ball=standing[:, 1::2], rest_height=rest)


def _debounce(standing: np.ndarray, fps: float, config: FootLockingConfig) -> np.ndarray:
    """Close short gaps and drop short touches."""
    close, drop = (max(1, round(s * fps)) for s in (config.close_gap, config.drop_touch))
    column = np.ones((1, 1), dtype=bool)
    closed = ndimage.binary_closing(
        np.pad(standing, ((close, close), (0, 0)), mode="edge"), np.tile(column, (close + 1, 1))
    )[close:-close]
    padded = np.pad(closed, ((drop, drop), (0, 0)), mode="edge")
    return ndimage.binary_opening(padded, np.tile(column, (drop, 1)))[drop:-drop]


def stance_spans(
    touching: np.ndarray, place: np.ndarray, config: FootLockingConfig = RETARGET.foot_locking
) -> list[slice]:
    """Spans over which one foot stands in one place.

    Args:
        touching: (T,) bool, any part of the foot on the floor.
        place: (T, 2) horizontal place of the foot [m].
        config: Size of a place.

    Returns:
        Slices of at least two frames; a foot that shuffles gets a new one at each place, with
        free frames between in which it may go there.
    """
    slip = config.slip
    spans: list[slice] = []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], touching.astype(int), [0]])))
    xs, ys = place[:, 0].tolist(), place[:, 1].tolist()
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        first = int(begin)
        left = bottom = np.inf
        right = top = -np.inf
        for t in range(int(begin), int(end)):
            if t < first:
                continue
            left, right = min(left, xs[t]), max(right, xs[t])
            bottom, top = min(bottom, ys[t]), max(top, ys[t])
            # No place is too far where no corner of the box around all of them is.
            if (right - left) ** 2 + (top - bottom) ** 2 <= 4.0 * slip * slip:
                continue
            middle = np.array([left + right, bottom + top]) / 2
            if np.linalg.norm(place[first : t + 1] - middle, axis=1).max() > slip:
                if t - 1 - first >= config.min_stance:
                    spans.append(slice(first, t - 1))
                first = t + config.relocate
                left = bottom = np.inf
                right = top = -np.inf
        if int(end) - first >= config.min_stance:
            spans.append(slice(first, int(end)))
    return spans


def steady_heading(
    heading: np.ndarray, config: FootLockingConfig = RETARGET.foot_locking
) -> np.ndarray:
    """(T,) heading of a standing foot that turns rarely: in steps, and only where it must [rad].

    Args:
        heading: (T,) direction of the human's foot, unwrapped [rad].
        config: When a foot turns, and how long it takes.
    """
    relocate = config.relocate
    frames = len(heading)
    steps: list[int] = []
    low, high = np.inf, -np.inf
    for t, angle in enumerate(heading.tolist()):
        low, high = min(low, angle), max(high, angle)
        if high - low > 2 * config.slip_turn:
            steps.append(t)
            low = high = angle
    value = heading.copy()
    for begin, end in pairwise([0, *steps, frames]):
        value[begin:end] = heading[begin:end].mean()
    result = value.copy()
    for step in steps:
        # The turn takes a few frames about the step, as far as the spans on both sides reach.
        a, b = max(step - relocate, 0), min(step + relocate - 1, frames - 1)
        u = smoothstep(np.arange(a, b + 1, dtype=float), a, b)
        result[a : b + 1] += (value[step] - value[step - 1]) * (u - (np.arange(a, b + 1) >= step))
    return result

"""Jumps: flights of both feet that gravity bends as it must."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_lab.auto_captions.signals import Signals
from nextscale_lab.data.tracks import runs_of

_OFF_FLOOR = 0.05  # clearance of the lower foot in flight [m]
_PERHAPS, _PERHAPS_FALL, _HIGH_CLEARANCE = 0.04, 4.0, 0.12
_FLIGHT_SECONDS = (0.25, 0.95)
_RISE = 0.07  # of the pelvis over its height at take-off [m]
_GRAVITY = (5.0, 15.0)  # fitted fall; feet that are merely lifted show none [m/s^2]
_LEVEL = 0.07  # the floor before and after may differ by this [m]


@dataclass(frozen=True)
class Jump:
    """One flight.

    Attributes:
        start: First frame without a foot on the floor.
        end: First frame with a foot on the floor again.
        forward: Way of the pelvis in the direction faced at take-off [m].
        sideways: Way of the pelvis to the left [m].
        degrees: Turn in the air, positive to the left.
        rise: Of the pelvis over its height at take-off [m].
        leg: 'left' or 'right' if only this leg pushes off and lands, with the other lifted; ''
            for a jump from both feet; 'leap' from one foot to the other or unclear.
        speed: Speed along the path before take-off [m/s].
    """

    start: int
    end: int
    forward: float
    sideways: float
    degrees: float
    rise: float
    leg: str
    speed: float


def find_jumps(signals: Signals) -> tuple[list[Jump], np.ndarray]:
    """The certain jumps of a recording.

    Returns:
        The jumps in order, and (T,) bool: frames in which both feet perhaps leave the floor
        although no certain jump is there (a scuff, a step of a run, a ledge, a hang).
    """
    jumps = []
    perhaps = np.zeros(len(signals), dtype=bool)
    for first, end in runs_of(signals.clearance > _PERHAPS, signals.frames(0.1)):
        jump = _jump(signals, first, end)
        if jump is not None:
            jumps.append(jump)
        elif _suspicious(signals, first, end):
            perhaps[first:end] = True
    return jumps, perhaps


def _suspicious(signals: Signals, first: int, end: int) -> bool:
    """Whether this may be a small hop; a walker on tiptoe does not fall."""
    high = float(signals.clearance[first:end].max()) > _HIGH_CLEARANCE
    return high or _fall(signals, first, end)[0] > _PERHAPS_FALL


def _fall(signals: Signals, first: int, end: int) -> tuple[float, float]:
    """Fitted downward acceleration [m/s^2] and rise [m] of the pelvis in a flight."""
    height = signals.tracks.pelvis_height[max(first - 1, 0) : end + 1]
    if len(height) < 4:
        return 0.0, 0.0
    time = np.arange(len(height)) / signals.clip.fps
    return float(-2.0 * np.polyfit(time, height, 2)[0]), float(height.max() - height[0])


def _jump(signals: Signals, first: int, end: int) -> Jump | None:
    t, fps = signals.tracks, signals.clip.fps
    span = slice(first, end)
    if first < 6 or end > len(signals) - 6:
        return None
    if not _FLIGHT_SECONDS[0] <= (end - first) / fps <= _FLIGHT_SECONDS[1]:
        return None
    if (signals.clearance[span] > _OFF_FLOOR).sum() < _FLIGHT_SECONDS[0] * fps - 1:
        return None
    fall, rise = _fall(signals, first, end)
    if not _GRAVITY[0] <= fall <= _GRAVITY[1] or rise < _RISE:
        return None
    before, after = t.lowest_foot[first - 6 : first].min(), t.lowest_foot[end : end + 6].min()
    if abs(before - after) > _LEVEL:
        return None
    takeoff, landing = first - 2, min(end + 2, len(signals) - 1)
    move = t.joint("pelvis")[landing] - t.joint("pelvis")[takeoff]
    facing = t.heading[takeoff]
    forward = float(np.cos(facing) * move[0] + np.sin(facing) * move[1])
    sideways = float(-np.sin(facing) * move[0] + np.cos(facing) * move[1])
    wide = slice(max(first - 6, 0), end + 6)
    degrees = float(np.degrees(t.heading[wide][-1] - t.heading[wide][0]))
    speed = float(signals.speed[max(first - 12, 0) : max(first - 4, 1)].mean())
    return Jump(first, end, forward, sideways, degrees, rise, _leg(signals, first, end), speed)


def _leg(signals: Signals, first: int, end: int) -> str:
    """Which leg pushes off and lands."""
    t = signals.tracks
    left, right = t.foot_height("left"), t.foot_height("right")
    floor = signals.floor(signals.frames(1.2) // 2 * 2 + 1)
    off = [h[first - 1] - floor[first - 1] for h in (left, right)]
    on = [h[end] - floor[end] for h in (left, right)]
    if max(off) < 0.10 and max(on) < 0.10:
        return ""
    for index, side in enumerate(("left", "right")):
        other = (right, left)[index]
        around = slice(first - 4, end + 4)
        lifted = (other[around] - floor[around]).min() > 0.07
        if lifted and off[index] < 0.07 and on[index] < 0.07:
            return side
    return "leap"

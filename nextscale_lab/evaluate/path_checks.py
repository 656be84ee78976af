"""Checks on paths: walking, running, circles, turns, jumps, hops."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nextscale_core.motion.tracks import SIDES, Tracks, runs_of
from nextscale_lab.evaluate.check_registry import CheckResult, Side, check

_DIRECTIONS = {
    "forward": (1.0, 0.0),
    "backward": (-1.0, 0.0),
    "left": (0.0, 1.0),
    "right": (0.0, -1.0),
}


@check
def travel(
    tracks: Tracks,
    *,
    direction: Literal["forward", "backward", "left", "right", "sideways"],
    min_distance: float,
    min_speed: float,
    max_speed: float,
    max_angle_deg: float = 45.0,
    min_steps: int = 2,
) -> CheckResult:
    """Travels in a direction relative to the body on alternating feet.

    Args:
        tracks: The motion.
        direction: Direction; 'sideways' for either side.
        min_distance: Distance in one stretch [m].
        min_speed: Speed over the fastest 0.6 s of the stretch [m/s].
        max_speed: Speed over the whole stretch [m/s].
        max_angle_deg: Angle between velocity and direction [deg].
        min_steps: Swings of the feet past or away from each other in the stretch.
    """
    names: tuple[str, ...] = SIDES if direction == "sideways" else (direction,)
    best = CheckResult(False, {"distance": 0.0, "speed": 0.0, "steps": 0})
    for name in names:
        axis = np.array(_DIRECTIONS[name])
        along = tracks.velocity[:, :2] @ axis
        aligned = along >= np.cos(np.deg2rad(max_angle_deg)) * tracks.speed
        moving = aligned & (along > 0.15)
        for first, end in runs_of(moving, tracks.frames(0.4), bridge=tracks.frames(0.25)):
            distance = float(along[first:end].sum() / tracks.fps)
            speed = distance / ((end - first) / tracks.fps)
            window = min(tracks.frames(0.6), end - first)
            top = float(np.convolve(along[first:end], np.ones(window) / window, "valid").max())
            steps = _steps(tracks, first, end)
            passed = (
                distance >= min_distance
                and top >= min_speed
                and speed <= max_speed
                and steps >= min_steps
            )
            if (passed, distance) > (best.passed, best.figures["distance"]):
                figures = {"distance": distance, "speed": speed, "top": top, "steps": steps}
                best = CheckResult(passed, figures)
    return best


def _steps(tracks: Tracks, first: int, end: int) -> int:
    """Swings of the feet past or away from each other: reversals of their difference."""
    apart = tracks.local(tracks.joint("left_ankle") - tracks.joint("right_ankle"))[first:end, :2]
    return max(swings(apart[:, 0], 0.12), swings(apart[:, 1], 0.12))


def swings(signal: np.ndarray, size: float) -> int:
    """Number of monotonic stretches of a (T,) signal with a rise or fall of at least `size`."""
    count, turn, low, high = 0, 0, signal[0], signal[0]
    for value in signal:
        low, high = min(low, value), max(high, value)
        if turn <= 0 and value - low >= size:
            count, turn, high = count + 1, 1, value
        elif turn >= 0 and high - value >= size:
            count, turn, low = count + 1, -1, value
        if turn > 0:
            low = high = max(high, value)
        elif turn < 0:
            low = high = min(low, value)
    return count


@check
def turn(
    tracks: Tracks,
    *,
    min_degrees: float,
    max_degrees: float = 1e9,
    within_seconds: float = 4.0,
    side: Side = "any",
) -> CheckResult:
    """The body turns by an angle.

    Args:
        tracks: The motion.
        min_degrees: Change of heading in a window [deg].
        max_degrees: Net change of heading over the whole clip [deg].
        within_seconds: Length of the window [s].
        side: Direction of the turn.
    """
    heading = np.rad2deg(tracks.smooth(tracks.hip_heading, 0.15))
    window = min(tracks.frames(within_seconds), len(heading))
    left = right = 0.0
    for start in range(len(heading)):
        change = heading[start : start + window] - heading[start]
        left, right = max(left, float(change.max())), max(right, float(-change.min()))
    net = float(abs(heading[-1] - heading[0]))
    figures = {"left_deg": left, "right_deg": right, "net_deg": net}
    turned = {"left": left, "right": right, "any": max(left, right)}
    opposite = {"left": right, "right": left, "any": 0.0}[side]
    passed = min_degrees <= turned[side] and net <= max_degrees and turned[side] > opposite
    return CheckResult(passed, figures)


@check
def circle(
    tracks: Tracks,
    *,
    min_degrees: float,
    min_width: float,
    side: Side = "any",
    min_speed: float = 0.2,
) -> CheckResult:
    """Walks or runs along a closed curve: path and body turn together.

    Args:
        tracks: The motion.
        min_degrees: Turn of path and body in one moving stretch [deg].
        min_width: Smaller side of the path's bounding box [m].
        side: 'left' is counterclockwise.
        min_speed: Minimum speed of movement [m/s].
    """
    best = CheckResult(False, {"turn_deg": 0.0, "width": 0.0})
    root = tracks.root[:, :2]
    course = tracks.rate(tracks.smooth(root, 0.3))
    for first, end in runs_of(tracks.speed > min_speed, tracks.frames(1.0), tracks.frames(0.5)):
        path = np.rad2deg(np.unwrap(np.arctan2(course[first:end, 1], course[first:end, 0])))
        total = _widest(path, side)
        body = _widest(np.rad2deg(tracks.heading[first:end]), side)
        width = float(np.ptp(root[first:end], axis=0).min())
        turned = min(total, body)
        passed = turned >= min_degrees and width >= min_width
        if (passed, turned) > (best.passed, best.figures["turn_deg"]):
            best = CheckResult(passed, {"turn_deg": turned, "width": width})
    return best


def _widest(angle: np.ndarray, side: str) -> float:
    """Maximum turn between an earlier and a later frame, towards a side [same unit]."""
    left = float((angle - np.minimum.accumulate(angle)).max())
    right = float((np.maximum.accumulate(angle) - angle).max())
    return {"left": left, "right": right}.get(side, max(left, right))


@check
def figure_eight(tracks: Tracks, *, min_degrees: float, min_width: float) -> CheckResult:
    """Walks or runs a loop to the left and a loop to the right.

    Args:
        tracks: The motion.
        min_degrees: Turn of the body to the left, and to the right, while moving [deg].
        min_width: Smaller side of the path's bounding box [m].
    """
    best = CheckResult(False, {"turn_deg": 0.0, "width": 0.0})
    for first, end in runs_of(tracks.speed > 0.2, tracks.frames(1.0), tracks.frames(0.5)):
        body = np.rad2deg(tracks.smooth(tracks.heading, 0.2)[first:end])
        turned = min(_widest(body, "left"), _widest(body, "right"))
        width = float(np.ptp(tracks.root[first:end, :2], axis=0).min())
        passed = turned >= min_degrees and width >= min_width
        if (passed, turned) > (best.passed, best.figures["turn_deg"]):
            best = CheckResult(passed, {"turn_deg": turned, "width": width})
    return best


@check
def jump(
    tracks: Tracks,
    *,
    min_rise: float,
    min_air_seconds: float,
    min_height_ratio: float = 0.0,
    min_count: int = 1,
    max_count: int = 1000,
    same_feet: Literal["yes", "no"] = "no",
    min_distance: float = 0.0,
    min_turn_deg: float = 0.0,
) -> CheckResult:
    """Leaves the floor with both feet and lands again.

    Args:
        tracks: The motion.
        min_rise: Rise of the pelvis from the crouch to the top of the flight [m].
        min_air_seconds: Time without a foot on the floor [s].
        min_height_ratio: Pelvis height at the top relative to standing.
        min_count: Minimum number of flights.
        max_count: Maximum number of flights.
        same_feet: 'yes' to require landing on a foot of the take-off, unlike in running.
        min_distance: Ground distance of the pelvis from take-off to landing [m].
        min_turn_deg: Turn of the hips in each flight [deg].
    """
    height = tracks.pelvis_height
    lowest = tracks.smooth(tracks.lowest_foot, 0.05)
    before = tracks.frames(0.5)
    count, top_rise, air = 0, 0.0, 0.0
    for first, end in runs_of(lowest > 0.05):
        rise = float(height[first:end].max() - height[max(0, first - before) : first + 1].min())
        seconds = (end - first) / tracks.fps
        ratio = float(height[first:end].max()) / tracks.standing_height
        if same_feet == "yes" and not _lands_as_it_left(tracks, first, end):
            continue
        around = slice(max(0, first - tracks.frames(0.2)), end + tracks.frames(0.2))
        turned = np.rad2deg(np.ptp(tracks.hip_heading[around]))
        span = tracks.root[[max(0, first - 1), min(end, len(height) - 1)], :2]
        covered = float(np.linalg.norm(span[1] - span[0]))
        high = rise >= min_rise and seconds >= min_air_seconds and ratio >= min_height_ratio
        count += bool(high and covered >= min_distance and turned >= min_turn_deg)
        top_rise, air = max(top_rise, rise), max(air, seconds)
    figures = {"count": count, "rise": top_rise, "air_seconds": air}
    return CheckResult(min_count <= count <= max_count, figures)


def _lands_as_it_left(tracks: Tracks, first: int, end: int) -> bool:
    left, right = tracks.foot_height("left"), tracks.foot_height("right")

    def on_floor(frame: int) -> set[str]:
        frame = int(np.clip(frame, 0, len(left) - 1))
        lower = min(left[frame], right[frame])
        return {s for s, h in (("left", left[frame]), ("right", right[frame])) if h < lower + 0.06}

    return bool(on_floor(first - 1) & on_floor(end))

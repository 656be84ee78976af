"""Checks on arms and legs: waving, raising, punching, kicking."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nextscale_core.motion.tracks import SIDES, Tracks, other, runs_of
from nextscale_lab.evaluate.check_registry import CheckResult, Side, check
from nextscale_lab.evaluate.path_checks import swings


def _sides(side: Side) -> tuple[str, ...]:
    return SIDES if side == "any" else (side,)


@check
def wave(
    tracks: Tracks,
    *,
    side: Side,
    min_swings: int,
    min_size: float,
    min_height: float,
    hold_seconds: float,
    min_head_distance: float = 0.0,
) -> CheckResult:
    """One hand is up and shakes while the other hand is down.

    The skeleton has no hands, and the wrist of a waving person moves a few centimetres only.

    Args:
        tracks: The motion.
        side: Hand that waves.
        min_swings: Swings in one stretch with only this hand up.
        min_size: Length of a swing of the wrist [m].
        min_height: Height of the wrist over the shoulder [m]; may be negative.
        hold_seconds: Time with the hand up [s].
        min_head_distance: Distance from wrist to head [m]; a nearer hand drinks or scratches.
    """
    height = {s: tracks.wrist_over_shoulder(s) for s in SIDES}
    best, longest = 0, 0.0
    for s in _sides(side):
        to_head = np.linalg.norm(tracks.joint(f"{s}_wrist") - tracks.joint("head"), axis=1)
        up = (height[s] >= min_height) & (to_head >= min_head_distance)
        alone = up & (height[other(s)] < min_height)
        for first, end in runs_of(alone, tracks.frames(hold_seconds), tracks.frames(0.1)):
            best = max(best, _shakes(tracks, tracks.wrist_local(s)[first:end], min_size))
            longest = max(longest, (end - first) / tracks.fps)
    return CheckResult(best >= min_swings, {"swings": float(best), "up_seconds": longest})


def _shakes(tracks: Tracks, path: np.ndarray, size: float) -> int:
    """Swings of a path along its main direction of shaking."""
    quick = path - tracks.smooth(path, 0.2)
    axis = np.linalg.svd(quick, full_matrices=False)[2][0]
    return swings(quick @ axis, size)


@check
def raise_arms(
    tracks: Tracks,
    *,
    side: Literal["left", "right", "both"],
    min_height: float,
    min_rise: float,
    hold_seconds: float,
) -> CheckResult:
    """One or both hands are raised and held.

    Args:
        tracks: The motion.
        side: Hands; with a single one the other hand must stay below.
        min_height: Height of the wrist over the shoulder [m].
        min_rise: Rise of the wrist relative to the shoulder within the clip [m].
        hold_seconds: Time with the hand up [s].
    """
    wrists = {s: tracks.wrist_over_shoulder(s) for s in SIDES}
    sides = SIDES if side == "both" else (side,)
    up = np.logical_and.reduce([wrists[s] >= min_height for s in sides])
    if side != "both":
        up &= wrists[other(side)] < min_height
    longest = max((end - first for first, end in runs_of(up)), default=0) / tracks.fps
    rise = min(float(np.ptp(wrists[s])) for s in sides)
    figures = {"up_seconds": longest, "rise": rise}
    return CheckResult(longest >= hold_seconds and rise >= min_rise, figures)


@check
def punch(
    tracks: Tracks,
    *,
    side: Side,
    min_speed: float,
    min_reach: float,
    min_height: float,
    min_count: int = 1,
) -> CheckResult:
    """A fist moves out fast, about level with the shoulder.

    Args:
        tracks: The motion.
        side: Arm, which must punch at least as often as the other one.
        min_speed: Speed of the horizontal distance from shoulder to wrist [m/s].
        min_reach: Horizontal distance from shoulder to wrist at the end [m].
        min_height: Height of the wrist over the shoulder at the end [m]; may be negative.
        min_count: Minimum number of punches.
    """
    counts = {}
    for s in SIDES:
        wrist = tracks.wrist_local(s)
        reach = np.linalg.norm(wrist[:, :2], axis=1)
        speed = tracks.rate(tracks.smooth(reach, 0.03))
        counts[s] = 0
        for _, end in runs_of(speed >= min_speed):
            after = slice(max(0, end - 1), end + tracks.frames(0.2))
            far = int(np.argmax(reach[after])) + after.start
            if reach[far] >= min_reach and wrist[far, 2] >= min_height and wrist[far, 0] > 0.0:
                counts[s] += 1
    figures = {f"{s}_punches": float(n) for s, n in counts.items()}
    total = sum(counts.values()) if side == "any" else counts[_sides(side)[0]]
    leads = side == "any" or counts[side] >= counts[other(side)]
    return CheckResult(total >= min_count and leads, figures)


@check
def kick(
    tracks: Tracks,
    *,
    side: Side,
    min_height: float,
    min_reach: float,
    min_speed: float,
    max_knee_deg: float = 75.0,
    min_count: int = 1,
) -> CheckResult:
    """A foot swings up to the front or the side with a nearly straight leg.

    Args:
        tracks: The motion.
        side: Leg, which must kick at least as often as the other one.
        min_height: Height of the ankle over the other ankle [m].
        min_reach: Horizontal distance from hip to ankle [m].
        min_speed: Speed of the ankle relative to the hip up to 0.3 s before [m/s].
        max_knee_deg: Bend of the knee [deg]; the trailing leg of a runner bends more.
        min_count: Minimum number of kicks.
    """
    counts = {}
    for s in SIDES:
        ankle = tracks.ankle_local(s)
        reach = np.linalg.norm(ankle[:, :2], axis=1)
        out = (
            (tracks.ankle_height(s) - tracks.ankle_height(other(s)) >= min_height)
            & (reach >= min_reach)
            & (ankle[:, 0] >= -0.5 * reach)
            & (tracks.knee_bend(s) <= np.deg2rad(max_knee_deg))
        )
        speed = np.linalg.norm(tracks.rate(tracks.smooth(ankle, 0.03)), axis=1)
        early = tracks.frames(0.3)
        counts[s] = sum(
            bool(speed[max(0, first - early) : end + 1].max() >= min_speed)
            for first, end in runs_of(out, bridge=tracks.frames(0.1))
        )
    figures = {f"{s}_kicks": float(count) for s, count in counts.items()}
    enough = sum(counts[s] for s in _sides(side)) >= min_count
    leads = side == "any" or counts[side] >= counts[other(side)]
    return CheckResult(enough and leads, figures)


@check
def clap(tracks: Tracks, *, max_gap: float, min_swing: float, min_count: int = 1) -> CheckResult:
    """Both hands meet repeatedly in front of the body.

    Args:
        tracks: The motion.
        max_gap: Distance of the wrists when the palms touch [m].
        min_swing: Increase of the distance between two claps [m].
        min_count: Minimum number of claps.
    """
    gap = np.linalg.norm(tracks.joint("left_wrist") - tracks.joint("right_wrist"), axis=1)
    height = np.minimum(*(tracks.wrist_over_shoulder(s) for s in SIDES))
    count, parted = 0, False
    widest = closest = gap[0]
    for distance, up in zip(gap, height > -0.45, strict=True):
        widest, closest = max(widest, distance), min(closest, distance)
        parted |= distance >= closest + min_swing
        if parted and up and distance <= max_gap:
            count, parted, closest = count + 1, False, distance
    return CheckResult(count >= min_count, {"claps": float(count), "gap": float(gap.min())})


@check
def throw(tracks: Tracks, *, side: Side, min_speed: float, min_sweep: float) -> CheckResult:
    """A hand sweeps forward fast past the shoulder.

    Args:
        tracks: The motion.
        side: Hand that throws.
        min_speed: Forward speed of the wrist relative to the shoulder [m/s].
        min_sweep: Forward distance of the wrist in the sweep [m].
    """
    best, sweep = 0.0, 0.0
    for s in _sides(side):
        front = tracks.smooth(tracks.wrist_local(s)[:, 0], 0.03)
        speed = tracks.rate(front)
        for first, end in runs_of(speed > 0.3):
            way = float(front[min(end, len(front) - 1)] - front[first])
            if way >= min_sweep and speed[first:end].max() > best:
                best, sweep = float(speed[first:end].max()), way
    return CheckResult(best >= min_speed, {"speed": best, "sweep": sweep})


@check
def jumping_jack(
    tracks: Tracks, *, min_spread: float, min_count: int = 1, max_count: int = 1000
) -> CheckResult:
    """Arms swing over the head while the feet jump apart, and back.

    Args:
        tracks: The motion.
        min_spread: Sideways distance of the ankles when apart [m].
        min_count: Minimum number of jacks.
        max_count: Maximum number of jacks.
    """
    spread = np.abs(tracks.local(tracks.joint("left_ankle") - tracks.joint("right_ankle"))[:, 1])
    up = np.logical_and(*(tracks.wrist_over_shoulder(s) > 0.1 for s in SIDES))
    apart = spread >= min_spread
    count = sum(
        bool(apart[max(0, first - tracks.frames(0.2)) : end + tracks.frames(0.2)].any())
        for first, end in runs_of(up, bridge=tracks.frames(0.1))
    )
    return CheckResult(min_count <= count <= max_count, {"count": float(count)})


@check
def march(tracks: Tracks, *, max_thigh_drop: float, min_count: int) -> CheckResult:
    """Knees are lifted high alternately.

    Args:
        tracks: The motion.
        max_thigh_drop: Height of the hip over the lifted knee [m].
        min_count: Minimum number of high knees of both legs.
    """
    counts = []
    for s in SIDES:
        drop = tracks.joint(f"{s}_hip")[:, 2] - tracks.joint(f"{s}_knee")[:, 2]
        lifted = tracks.ankle_height(s) > tracks.ankle_height(other(s)) + 0.1
        counts.append(len(runs_of((drop <= max_thigh_drop) & lifted, bridge=2)))
    figures = {"left": float(counts[0]), "right": float(counts[1])}
    return CheckResult(sum(counts) >= min_count and min(counts) > 0, figures)

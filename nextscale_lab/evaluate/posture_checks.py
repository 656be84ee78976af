"""Checks on the posture of the whole body: squatting, sitting, picking up, standing still."""

from __future__ import annotations

import numpy as np

from nextscale_core.motion.tracks import SIDES, Tracks, runs_of
from nextscale_lab.evaluate.check_registry import CheckResult, check


def _behind(tracks: Tracks) -> np.ndarray:
    """(T,) distance of the pelvis behind the nearer ankle, in the heading frame [m]."""
    ankles = (tracks.joint(f"{s}_ankle") - tracks.joint("pelvis") for s in SIDES)
    return np.minimum(*(tracks.local(ankle)[:, 0] for ankle in ankles))


@check
def squat(
    tracks: Tracks,
    *,
    max_height_ratio: float,
    min_knee_deg: float,
    min_knee_height: float = 0.2,
    max_behind: float = 0.2,
    min_count: int = 1,
) -> CheckResult:
    """Bends both knees on both feet until the pelvis is low, from or to standing.

    Args:
        tracks: The motion.
        max_height_ratio: Lowest pelvis height relative to standing.
        min_knee_deg: Bend of both knees at that point [deg].
        min_knee_height: Height of both knees [m]; lower in kneeling.
        max_behind: Distance of the pelvis behind both ankles [m]; larger in sitting.
        min_count: Minimum number of squats.
    """
    ratio = tracks.pelvis_height / tracks.standing_height
    knees = np.minimum(tracks.knee_bend("left"), tracks.knee_bend("right"))
    heights = np.minimum(tracks.joint("left_knee")[:, 2], tracks.joint("right_knee")[:, 2])
    low = (
        (ratio <= max_height_ratio)
        & (knees >= np.deg2rad(min_knee_deg))
        & (heights >= min_knee_height)
        & (tracks.lowest_foot < 0.1)
        & (_behind(tracks) <= max_behind)
    )
    stretches = runs_of(low, tracks.frames(0.1), bridge=tracks.frames(0.2))
    upright = float(ratio.max())
    figures = {
        "height_ratio": float(ratio.min()),
        "knee_deg": float(np.rad2deg(knees.max())),
        "count": float(len(stretches)),
    }
    return CheckResult(len(stretches) >= min_count and upright >= max_height_ratio + 0.1, figures)


@check
def sit(
    tracks: Tracks,
    *,
    max_thigh_drop: float,
    min_behind: float,
    max_height_ratio: float,
    hold_seconds: float,
) -> CheckResult:
    """Lowers the pelvis behind the feet until the thighs are level, and stays there.

    Args:
        tracks: The motion.
        max_thigh_drop: Height of both hips over their knees [m].
        min_behind: Distance of the pelvis behind the ankles [m]; smaller in squatting.
        max_height_ratio: Pelvis height relative to standing.
        hold_seconds: Duration [s].
    """
    drop = np.maximum(
        *(tracks.joint(f"{s}_hip")[:, 2] - tracks.joint(f"{s}_knee")[:, 2] for s in SIDES)
    )
    behind = _behind(tracks)
    ratio = tracks.pelvis_height / tracks.standing_height
    seated = (drop <= max_thigh_drop) & (behind >= min_behind) & (ratio <= max_height_ratio)
    longest = max((end - first for first, end in runs_of(seated)), default=0) / tracks.fps
    figures = {"seated_seconds": longest, "height_ratio": float(ratio.min())}
    return CheckResult(longest >= hold_seconds, figures)


@check
def pick_up(tracks: Tracks, *, max_hand_height: float, min_rise: float) -> CheckResult:
    """A hand goes down near the floor and comes up again.

    Args:
        tracks: The motion.
        max_hand_height: Height of the wrist at its lowest [m].
        min_rise: Rise of the same wrist afterwards [m].
    """
    lowest, rise = np.inf, 0.0
    for side in SIDES:
        height = tracks.joint(f"{side}_wrist")[:, 2]
        bottom = int(np.argmin(height))
        gained = float(height[bottom:].max() - height[bottom])
        if (height[bottom] <= max_hand_height, gained) > (lowest <= max_hand_height, rise):
            lowest, rise = float(height[bottom]), gained
    figures = {"hand_height": float(lowest), "rise": rise}
    return CheckResult(bool(lowest <= max_hand_height and rise >= min_rise), figures)


@check
def stand_still(
    tracks: Tracks,
    *,
    min_seconds: float,
    min_fraction: float,
    max_root_speed: float,
    max_hand_speed: float,
    max_turn_speed: float = 0.5,
) -> CheckResult:
    """Stands upright on both feet with little movement.

    Args:
        tracks: The motion.
        min_seconds: Duration of the longest still stretch [s].
        min_fraction: Share of still frames.
        max_root_speed: Speed of pelvis and ankles [m/s].
        max_hand_speed: Speed of the wrists [m/s].
        max_turn_speed: Yaw rate of the hips [rad/s].
    """

    def speed(name: str) -> np.ndarray:
        return np.linalg.norm(tracks.rate(tracks.smooth(tracks.joint(name))), axis=1)

    still = tracks.pelvis_height >= 0.9 * tracks.standing_height
    still &= np.abs(tracks.rate(tracks.smooth(tracks.hip_heading))) <= max_turn_speed
    for name in ("pelvis", "left_ankle", "right_ankle"):
        still &= speed(name) <= max_root_speed
    for name in ("left_wrist", "right_wrist"):
        still &= speed(name) <= max_hand_speed
    stretches = runs_of(still, tracks.frames(0.3), bridge=tracks.frames(0.1))
    longest = max((end - first for first, end in stretches), default=0) / tracks.fps
    fraction = sum(end - first for first, end in stretches) / len(still)
    figures = {"still_seconds": longest, "still_fraction": fraction}
    return CheckResult(longest >= min_seconds and fraction >= min_fraction, figures)


@check
def kneel(tracks: Tracks, *, max_knee_height: float, max_height_ratio: float) -> CheckResult:
    """One knee or both go down to the floor.

    Args:
        tracks: The motion.
        max_knee_height: Height of the lower knee [m].
        max_height_ratio: Pelvis height relative to standing at that time.
    """
    knee = np.minimum(*(tracks.joint(f"{s}_knee")[:, 2] for s in SIDES))
    ratio = tracks.pelvis_height / tracks.standing_height
    figures = {"knee_height": float(knee.min()), "height_ratio": float(ratio.min())}
    return CheckResult(
        bool(((knee <= max_knee_height) & (ratio <= max_height_ratio)).any()), figures
    )


@check
def bend(tracks: Tracks, *, min_lean_deg: float, hold_seconds: float) -> CheckResult:
    """The trunk leans far over.

    Args:
        tracks: The motion.
        min_lean_deg: Angle between trunk and vertical [deg].
        hold_seconds: Duration [s].
    """
    low = tracks.torso_lean >= np.deg2rad(min_lean_deg)
    longest = max((end - first for first, end in runs_of(low)), default=0) / tracks.fps
    figures = {"lean_deg": float(np.rad2deg(tracks.torso_lean.max())), "seconds": longest}
    return CheckResult(longest >= hold_seconds, figures)


@check
def balance(
    tracks: Tracks, *, min_lift: float, hold_seconds: float, max_speed: float
) -> CheckResult:
    """Stands on one leg.

    Args:
        tracks: The motion.
        min_lift: Height of one ankle over the other [m].
        hold_seconds: Duration [s].
        max_speed: Speed of the standing ankle [m/s].
    """
    longest = 0.0
    for up, down in (SIDES, SIDES[::-1]):
        stand = tracks.smooth(tracks.joint(f"{down}_ankle"))
        held = tracks.ankle_height(up) - tracks.ankle_height(down) >= min_lift
        held &= np.linalg.norm(tracks.rate(stand), axis=1) <= max_speed
        stretches = runs_of(held, bridge=tracks.frames(0.1))
        longest = max(longest, max((b - a for a, b in stretches), default=0) / tracks.fps)
    return CheckResult(longest >= hold_seconds, {"seconds": longest})

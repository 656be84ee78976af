"""How clearly a motion shows an action: one measure from 0 to 1 for each kind of action.

The measures rank motions of one sentence; they do not decide whether a motion is right. Sides
and directions are those of the body.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from scipy.signal import find_peaks

from nextscale_core.motion.tracks import SIDES, Tracks, other, runs_of

_AIR = 0.06  # height of the lower foot in a flight [m]


def grade(value: float, least: float, most: float) -> float:
    """0 at `least`, 1 at `most`, linear between and clipped; `most` may be below `least`."""
    return float(np.clip((value - least) / (most - least), 0.0, 1.0))


def often(found: int, wanted: int) -> float:
    """Agreement of a number of events with the wanted one; with none wanted, one is enough."""
    if not wanted:
        return float(found > 0)
    return max(0.0, 1.0 - abs(found - wanted) / (wanted + 1))


def of_sides(side: str, figures: Iterable[float]) -> float:
    """A figure of the left and of the right limb as one figure for the wanted side.

    One limb was asked for: the motion of the other one is a mistake. Both: the lesser counts.
    """
    left, right = figures
    if side == "both":
        return min(left, right)
    if side in SIDES:
        own, wrong = (left, right) if side == "left" else (right, left)
        return own * (1.0 - 0.7 * wrong) if wrong > 0.5 * own else own
    return max(left, right)


def travel(
    tracks: Tracks, *, direction: str, slowest: float, fastest: float, pace: int = 0
) -> float:
    """Distance in a direction at a speed of walking or running.

    Args:
        tracks: The motion.
        direction: 'forward', 'backward', 'left', 'right', 'sideways' (of the body) or 'place'.
        slowest: Speed of a slow motion of this gait [m/s].
        fastest: Speed of a fast one [m/s].
        pace: -1 for slow, 1 for fast, 0 for any.
    """
    if direction == "place":
        steps = min(_steps(tracks, side) for side in SIDES)
        return grade(steps, 0.0, 3.0) * grade(float(tracks.speed.mean()), 0.8, 0.2)
    ahead, aside = tracks.velocity[:, 0], tracks.velocity[:, 1]
    along = {
        "backward": -ahead, "left": aside, "right": -aside, "sideways": np.abs(aside),
    }.get(direction, ahead)  # fmt: skip
    distance = max(float(along.sum()), 0.0) / tracks.fps
    way = float(tracks.speed.sum()) / tracks.fps
    speed = float(np.percentile(tracks.speed, 75))
    middle = (slowest + fastest) / 2
    gait = grade(speed, 0.5 * slowest, slowest) * grade(speed, 1.6 * fastest, fastest)
    if pace:
        gait *= grade(pace * (speed - middle), -0.5 * middle, 0.4 * middle)
    turned = abs(float(np.degrees(tracks.heading[-1] - tracks.heading[0])))
    straight = 1.0 - 0.4 * grade(turned, 45.0, 150.0)
    return grade(distance, 0.1, 1.2) * distance / max(way, 0.3, distance) * gait * straight


def _steps(tracks: Tracks, side: str) -> int:
    lifted = tracks.ankle_height(side) > tracks.ankle_height(other(side)) + 0.08
    return len(runs_of(lifted, bridge=1))


def turn(tracks: Tracks, *, side: str, degrees: float) -> float:
    """Net turn of the body to a side [deg]; with no angle asked for, about a quarter is meant."""
    turned = float(np.degrees(tracks.heading[-1] - tracks.heading[0]))
    turned *= {"left": 1.0, "right": -1.0}.get(side, np.sign(turned) or 1.0)
    if not degrees:
        return grade(turned, 15.0, 60.0) * (1.0 - 0.7 * grade(turned, 125.0, 250.0))
    return grade(abs(turned - degrees), 0.6 * degrees, 0.1 * degrees)


def circle(tracks: Tracks, *, side: str) -> float:
    """A path that closes: the body turns by a full circle and leaves its place meanwhile."""
    turned = float(np.degrees(tracks.heading[-1] - tracks.heading[0]))
    turned *= {"left": 1.0, "right": -1.0}.get(side, np.sign(turned) or 1.0)
    return grade(turned, 90.0, 330.0) * _width(tracks, 0.3, 0.8)


def figure_eight(tracks: Tracks) -> float:
    """Turns by about a circle to the left and to the right, on a path of some width."""
    rate = np.degrees(tracks.rate(tracks.smooth(tracks.heading, 0.4))) / tracks.fps
    left, right = rate.clip(min=0).sum(), -rate.clip(max=0).sum()
    return grade(min(left, right), 60.0, 270.0) * _width(tracks, 0.3, 0.8)


def _width(tracks: Tracks, least: float, most: float) -> float:
    extent = np.ptp(tracks.root[:, :2], axis=0)
    return grade(float(extent.min()), least, most)


def jump(tracks: Tracks, *, count: int, direction: str = "", spin: bool = False) -> float:
    """Flights: their number, their height, and the way or the turn in the air."""
    flights = runs_of(tracks.lowest_foot > _AIR, at_least=2, bridge=1)
    if not flights:
        return 0.2 * grade(float(tracks.lowest_foot.max()), 0.0, _AIR)
    margin = tracks.frames(0.25)
    best = 0.0
    for first, end in flights:
        around = slice(max(0, first - margin), min(end + margin, len(tracks.heading)))
        clear = grade(float(tracks.lowest_foot[first:end].max()), 0.04, 0.22)
        if spin:
            clear *= grade(float(np.degrees(np.ptp(tracks.heading[around]))), 60.0, 270.0)
        if direction == "forward":
            clear *= grade(float(tracks.velocity[around, 0].mean()), 0.3, 1.2)
        best = max(best, clear)
    return best * often(len(flights), count)


def still(tracks: Tracks) -> float:
    """All joints at rest all the time."""
    speed = np.linalg.norm(tracks.rate(tracks.clip.joints), axis=-1)
    return grade(float(speed.mean()), 0.5, 0.05) * grade(float(speed.max()), 3.0, 0.5)


def stop(tracks: Tracks) -> float:
    """At rest in the last half of the motion's last second, after it was moving."""
    last = tracks.frames(0.5)
    return grade(float(tracks.speed[-last:].mean()), 0.6, 0.15)


def squat(tracks: Tracks, *, count: int = 0) -> float:
    """The pelvis comes down between the feet, with bent knees and the torso not far forward."""
    ratio = tracks.pelvis_height / tracks.standing_height
    lowest = int(ratio.argmin())
    bend = min(float(np.degrees(tracks.knee_bend(side)[lowest])) for side in SIDES)
    ahead = min(float(tracks.ankle_local(side)[lowest, 0]) for side in SIDES)
    number = often(len(runs_of(ratio < 0.75, bridge=3)), count) if count else 1.0
    clear = grade(float(ratio.min()), 0.92, 0.55) * grade(bend, 20.0, 80.0)
    return clear * (1.0 - 0.6 * grade(ahead, 0.15, 0.35)) * number


def kneel(tracks: Tracks) -> float:
    """A knee on the floor, for most of the end."""
    knees = np.minimum(*(tracks.joint(f"{side}_knee")[:, 2] for side in SIDES))
    return grade(float(np.percentile(knees, 20)), 0.4, 0.12)


def sit(tracks: Tracks) -> float:
    """Level thighs and a pelvis behind the feet, held for a time, with the torso upright."""
    drop = np.maximum(
        *((tracks.joint(f"{s}_hip") - tracks.joint(f"{s}_knee"))[:, 2] for s in SIDES)
    )
    before = np.minimum(*(tracks.ankle_local(s)[:, 0] for s in SIDES))
    low = drop <= max(float(np.percentile(drop, 30)), 0.08)
    upright = grade(float(np.degrees(np.median(tracks.torso_lean[low]))), 70.0, 40.0)
    level = grade(float(np.median(drop[low])), 0.35, 0.08)
    return level * grade(float(np.median(before[low])), 0.0, 0.25) * upright


def bend(tracks: Tracks) -> float:
    """The torso leans far forward."""
    return grade(float(np.degrees(tracks.torso_lean.max())), 25.0, 80.0)


def pick_up(tracks: Tracks) -> float:
    """A hand comes down to the floor and up again."""
    heights = [tracks.joint(f"{side}_wrist")[:, 2] for side in SIDES]
    figures = []
    for height in heights:
        lowest = int(height.argmin())
        risen = float(height[lowest:].max() - height[lowest])
        figures.append(
            grade(float(height[lowest]), 0.7, 0.2) * (0.5 + 0.5 * grade(risen, 0.2, 1.0))
        )
    return max(figures)


def balance(tracks: Tracks) -> float:
    """One foot off the floor beside the other for a time."""
    longest = 0
    for side in SIDES:
        lifted = tracks.ankle_height(side) > tracks.ankle_height(other(side)) + 0.1
        longest = max([longest, *(end - first for first, end in runs_of(lifted, bridge=2))])
    return grade(longest / tracks.fps, 0.5, 2.5) * grade(float(tracks.speed.mean()), 0.8, 0.2)


def wave(tracks: Tracks, *, side: str) -> float:
    """A raised hand goes to and fro at least twice."""
    return of_sides(side, (_waves(tracks, s) for s in SIDES))


def _waves(tracks: Tracks, side: str) -> float:
    wrist = tracks.wrist_local(side)
    up = wrist[:, 2] > -0.2
    if up.sum() < 4:
        return 0.0
    swings = _swings(tracks.smooth(wrist[:, 1], 0.05)[up], 0.04)
    return grade(swings, 0.0, 4.0) * grade(float(wrist[up, 2].mean()), -0.2, 0.15)


def _swings(signal: np.ndarray, size: float) -> int:
    """Turning points that stand out by at least `size`."""
    return sum(len(find_peaks(sign * signal, prominence=size)[0]) for sign in (1, -1))


def raise_arms(tracks: Tracks, *, side: str) -> float:
    """A hand is held high."""
    hold = tracks.frames(0.3)
    figures = []
    for s in SIDES:
        height = np.sort(tracks.wrist_over_shoulder(s))
        figures.append(grade(float(height[-min(hold, len(height))]), -0.25, 0.25))
    return of_sides(side, figures)


def clap(tracks: Tracks, *, count: int = 0) -> float:
    """The hands meet in front of the body and part, again and again."""
    apart = np.linalg.norm(tracks.joint("left_wrist") - tracks.joint("right_wrist"), axis=1)
    low = min(float(np.percentile(tracks.wrist_local(s)[:, 0], 60)) for s in SIDES)
    near = runs_of(apart < 0.22)
    parted = 0.0
    for (_, end), (start, _) in itertools.pairwise(near):
        parted = max(parted, float(apart[end:start].max()))
    number = often(len(near), count) if count else grade(len(near), 0.0, 3.0)
    return number * grade(low, 0.0, 0.2) * (0.5 + 0.5 * grade(parted, 0.22, 0.4))


def punch(tracks: Tracks, *, side: str, count: int = 0) -> float:
    """A fist goes out fast from the shoulder, about level with it, until the arm is stretched."""
    speeds, numbers = [], []
    for s in SIDES:
        wrist = tracks.wrist_local(s)
        reach = np.linalg.norm(wrist, axis=1)
        speed = tracks.rate(tracks.smooth(reach, 0.04))
        level = (np.abs(wrist[:, 2]) < 0.4) & (wrist[:, 0] > 0.1)
        out = runs_of((speed > 0.8) & level)
        fast = speed * level
        fastest = int(fast.argmax())
        far = float(np.hypot(*wrist[fastest : fastest + tracks.frames(0.25), :2].T).max())
        speeds.append(grade(float(fast[fastest]), 0.4, 2.5) * grade(far, 0.2, 0.42))
        numbers.append(len(out))
    number = sum(numbers) if side not in SIDES else numbers[SIDES.index(side)]
    return of_sides(side, speeds) * (often(number, count) if count else 1.0)


def throw(tracks: Tracks) -> float:
    """A hand goes back or up, then forward fast."""
    figures = []
    for side in SIDES:
        ahead = tracks.smooth(tracks.wrist_local(side)[:, 0], 0.04)
        speed = tracks.rate(ahead)
        fastest = int(speed.argmax())
        before = slice(max(0, fastest - tracks.frames(0.6)), fastest + 1)
        swing = float(ahead[fastest : fastest + tracks.frames(0.4)].max() - ahead[before].min())
        figures.append(grade(float(speed[fastest]), 0.6, 3.0) * grade(swing, 0.1, 0.5))
    return max(figures)


def kick(tracks: Tracks, *, side: str) -> float:
    """A foot swings up in front, fast, with a leg that straightens."""
    figures = []
    for s in SIDES:
        ankle = tracks.ankle_local(s)
        height = tracks.ankle_height(s) - tracks.ankle_height(other(s))
        highest = int((height + 0.5 * ankle[:, 0]).argmax())
        swing = slice(max(0, highest - tracks.frames(0.3)), highest + 1)
        speed = float(np.linalg.norm(tracks.rate(ankle)[swing], axis=1).max())
        straight = grade(float(np.degrees(tracks.knee_bend(s)[highest])), 100.0, 40.0)
        figures.append(grade(float(height[highest]), 0.1, 0.6) * grade(speed, 1.0, 3.0) * straight)
    return of_sides(side, figures)


def march(tracks: Tracks) -> float:
    """Knees come up in turn."""
    counts = []
    for side in SIDES:
        drop = tracks.joint(f"{side}_hip")[:, 2] - tracks.joint(f"{side}_knee")[:, 2]
        counts.append(len(runs_of(drop < 0.25, bridge=2)))
    return grade(min(counts), 0.0, 3.0)


def jacks(tracks: Tracks) -> float:
    """Hands go over the head while the feet go apart, several times."""
    apart = np.abs(tracks.local(tracks.joint("left_ankle") - tracks.joint("right_ankle"))[:, 1])
    up = np.minimum(*(tracks.wrist_over_shoulder(side) for side in SIDES))
    both = runs_of((up > 0.0) & (apart > 0.35), bridge=2)
    return grade(len(both), 0.0, 3.0)

"""A stick figure with prescribed paths, jumps and limb motions, for the tests of auto captions."""

from __future__ import annotations

import numpy as np

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS, bend_leg

FPS = 20
STAND = 0.95
STRIDE = 1.3  # path of two steps [m]
HANGING = (0.05, 0.03, -0.5)  # wrist against the shoulder: front, outward, up [m]


def seconds(*durations: float) -> list[int]:
    """Numbers of frames."""
    return [round(d * FPS) for d in durations]


def still(duration: float, x: float = 0.0, y: float = 0.0, heading: float = 0.0) -> np.ndarray:
    """(T, 3) rows x, y, heading of a stand."""
    return np.tile([x, y, heading], (round(duration * FPS), 1))


def go(start: np.ndarray, duration: float, speed: float, towards: float = 0.0) -> np.ndarray:
    """A straight path from a row, at an angle to the heading [rad]."""
    t = (np.arange(round(duration * FPS)) + 1) / FPS
    way = start[2] + towards
    return np.column_stack(
        [start[0] + speed * t * np.cos(way), start[1] + speed * t * np.sin(way), 0 * t + start[2]]
    )


def arc(start: np.ndarray, degrees: float, duration: float, speed: float) -> np.ndarray:
    """An evenly bent path by an angle, positive to the left; speed 0 turns on the spot."""
    frames = round(duration * FPS)
    heading = start[2] + np.radians(degrees) * (np.arange(frames) + 1) / frames
    step = speed / FPS * np.column_stack([np.cos(heading), np.sin(heading)])
    return np.column_stack([start[:2] + np.cumsum(step, axis=0), heading])


def chain(*parts) -> np.ndarray:
    """Parts one after another; a part is rows, or a function of the last row."""
    rows = [parts[0]]
    for part in parts[1:]:
        rows.append(part(rows[-1][-1]) if callable(part) else part)
    return np.concatenate(rows)


def person(
    way: np.ndarray,
    *,
    runs: bool = False,
    flight: np.ndarray | None = None,
    crouch: np.ndarray | None = None,
    hands: dict[str, np.ndarray] | None = None,
    kick: dict[str, np.ndarray] | None = None,
) -> MotionClip:
    """A clip.

    Args:
        way: (T, 3) pelvis x, y [m] and heading [rad].
        runs: It bounces as a runner does.
        flight: (T,) height of both feet over the floor [m].
        crouch: (T,) how far the pelvis sinks [m].
        hands: (T, 3) wrist against its shoulder for a side: front, outward, up [m].
        kick: (T, 3) ankle against where it stands for a side: front, outward, up [m].
    """
    count = len(way)
    x, y, turn = way.T
    none, ones = np.zeros(count), np.ones(count)
    flight = none if flight is None else flight
    crouch = none if crouch is None else crouch
    moved = np.linalg.norm(np.diff(way[:, :2], axis=0, prepend=way[:1, :2]), axis=1)
    moved = np.convolve(np.pad(moved, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    phase = 2 * np.pi * np.cumsum(moved) / STRIDE
    pace = np.clip(moved * FPS / 0.6, 0.0, 1.0)
    drift = np.arctan2(np.gradient(y), np.gradient(x)) - turn
    ripple = 0.02 * pace * np.cos(2 * phase) * (-1 if runs else 1)

    def world(front: np.ndarray, left: np.ndarray, up: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(turn), np.sin(turn)
        return np.stack([cos * front - sin * left, sin * front + cos * left, up], axis=1)

    ground = np.stack([x, y, none], axis=1)
    pelvis = ground + world(none, none, STAND + ripple + flight - crouch)
    joints = np.zeros((count, NUM_JOINTS, 3))

    def put(name: str, position: np.ndarray) -> np.ndarray:
        joints[:, JOINT_INDEX[name]] = position
        return position

    put("pelvis", pelvis)
    heights = {"spine1": 0.12, "spine2": 0.26, "spine3": 0.32, "neck": 0.53, "head": 0.63}
    for name, up in heights.items():
        put(name, pelvis + np.array([0, 0, up]))
    for side, sign, swing in (("left", 1, phase), ("right", -1, phase + np.pi)):
        hip = put(f"{side}_hip", pelvis + world(none, 0.07 * sign * ones, -0.08 * ones))
        reach, lift = 0.28 * pace * np.sin(swing), 0.1 * pace * np.maximum(np.cos(swing), 0)
        extra = (kick or {}).get(side, np.zeros((count, 3)))
        ankle = ground + world(
            reach * np.cos(drift) + extra[:, 0],
            0.1 * sign + reach * np.sin(drift) + sign * extra[:, 1],
            0.06 + lift + flight + extra[:, 2],
        )
        knee, ankle = bend_leg(hip, ankle, world(ones, none, none))
        put(f"{side}_knee", knee)
        put(f"{side}_ankle", ankle)
        put(f"{side}_foot", ankle + world(0.13 * ones, none, -0.055 * ones))
        shoulder = put(f"{side}_shoulder", pelvis + world(none, 0.19 * sign * ones, 0.48 * ones))
        put(f"{side}_collar", pelvis + world(none, 0.08 * sign * ones, 0.45 * ones))
        hand = (hands or {}).get(side, np.tile(HANGING, (count, 1)))
        wrist = put(f"{side}_wrist", shoulder + world(hand[:, 0], sign * hand[:, 1], hand[:, 2]))
        put(f"{side}_elbow", (shoulder + wrist) / 2 + world(-0.05 * ones, none, none))
    return MotionClip(joints)


def glide(frames: int, *poses: tuple[float, tuple[float, float, float]]) -> np.ndarray:
    """(T, 3) track through poses at times [s], at rest in each."""
    times = np.array([time for time, _ in poses]) * FPS
    points = np.array([pose for _, pose in poses])
    at = np.arange(frames)
    return np.column_stack([np.interp(at, times, points[:, axis]) for axis in range(3)])

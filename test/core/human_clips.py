"""Human motions made up from the standard skeleton, for the way there and back."""

from __future__ import annotations

import numpy as np

from core.conftest import standing_pose
from nextscale_core.estimation.skeleton import ANKLE_HEIGHT, Orientations, pose_human
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.rotations import exp, smoothstep, unit

HIP_HEIGHT = 0.86


def about(axis: list[float], angle: np.ndarray) -> np.ndarray:
    """(T, 3, 3) turns about one axis by angles (T,) [rad]."""
    return exp(angle[:, None] * np.array(axis))


def _arms(frames: int, lift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    upper = np.zeros((frames, 2, 3))
    fore = np.zeros((frames, 2, 3))
    for n, sign in enumerate((1.0, -1.0)):
        upper[:, n] = np.stack([0.3 * lift * sign, 0.25 * sign + 0 * lift, -1.0 + lift], -1)
        fore[:, n] = np.stack([0.5 + 0 * lift, 0.1 * sign + 0 * lift, -1.0 + lift], -1)
    return unit(upper), unit(fore)


def squatting_clip(frames: int = 50) -> MotionClip:
    """Stands, bends its knees and its back, turns the chest, lifts the arms; feet stay."""
    phase = np.linspace(0, 2 * np.pi, frames)
    deep = 0.5 - 0.5 * np.cos(phase)
    hips = np.stack([-0.05 * deep, 0.02 * np.sin(phase), HIP_HEIGHT - 0.16 * deep], -1)
    ankles = np.zeros((frames, 2, 3))
    ankles[:, 0], ankles[:, 1] = [0.0, 0.13, ANKLE_HEIGHT], [0.0, -0.13, ANKLE_HEIGHT]
    level = np.broadcast_to(np.eye(3), (frames, 3, 3))
    bent = about([0.0, 1.0, 0.0], 0.25 * deep)
    chest = bent @ about([0.0, 0.0, 1.0], 0.3 * np.sin(phase)) @ about([0.0, 1.0, 0.0], 0.2 * deep)
    front = np.broadcast_to([1.0, 0.0, 0.0], (frames, 2, 3))
    feet = np.stack([level, level], axis=1)
    seen = Orientations(hips, ankles, bent, chest, feet, front, *_arms(frames, 0.5 * deep))
    return MotionClip(pose_human(seen), text="bends down")


def walking_clip(frames: int = 80, speed: float = 0.6, turn: float = 0.0) -> MotionClip:
    """Stands, then walks; `turn` is how fast the path bends [rad/s]."""
    rise = np.clip(np.arange(frames) / 20.0 - 0.5, 0.0, None)
    way = speed * np.where(rise < 0.5, rise**2, rise - 0.25)  # eases in
    stride = 0.5 * speed / 0.6

    def place(along: np.ndarray, sideways: float) -> tuple[np.ndarray, np.ndarray]:
        angle = along * turn / speed
        left = np.stack([-np.sin(angle), np.cos(angle)], -1)
        middle = np.stack([along, 0 * along], -1)
        if turn:
            middle = speed / turn * np.stack([np.sin(angle), 1 - np.cos(angle)], -1)
        return middle + sideways * left, angle

    tracks, turns = [], []
    for sideways, begin in ((0.1, 0.05), (-0.1, 0.55)):
        # Each foot stands while the hips pass over it, and swings in the rest of its cycle.
        cycles = way / (2 * stride) + begin
        number, share = np.floor(cycles), cycles % 1.0
        before, after = (
            np.where(n < 1, 0.0, 2 * stride * (n + 0.275 - begin)) for n in (number, number + 1)
        )
        at, angle = place(before + smoothstep(share, 0.55, 1.0) * (after - before), sideways)
        high = 0.08 * np.sin(np.pi * np.clip((share - 0.55) / 0.45, 0, 1)) ** 2
        tracks.append(np.concatenate([at, (ANKLE_HEIGHT + high)[:, None]], axis=1))
        turns.append(about([0.0, 0.0, 1.0], angle))
    hips, _ = place(way, 0.0)
    hips = np.concatenate([hips, np.full((frames, 1), HIP_HEIGHT - 0.04)], axis=1)
    body = about([0.0, 0.0, 1.0], way * turn / speed)
    front = np.repeat(body[:, None, :, 0], 2, axis=1)
    upper, fore = _arms(frames, np.zeros(frames))
    arms = [(body[:, None] @ arm[..., None])[..., 0] for arm in (upper, fore)]
    seen = Orientations(
        hips, np.stack(tracks, axis=1), body, body, np.stack(turns, axis=1), front, *arms
    )
    return MotionClip(pose_human(seen), text="walks")


def leaning_clip(frames: int = 50, angle: float = 0.25) -> MotionClip:
    """Bows forward from the ankles and stays there: the centre of mass is before the toes."""
    pose = np.repeat(standing_pose()[None], frames, axis=0)
    lean = angle * np.clip(np.arange(frames) / 20.0, 0.0, 1.0)
    ankle = standing_pose()[JOINT_INDEX["left_ankle"]]
    feet = [
        JOINT_INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "foot")
    ]
    x, z = pose[..., 0] - ankle[0], pose[..., 2] - ankle[2]
    turned = pose.copy()
    turned[..., 0] = ankle[0] + np.cos(lean)[:, None] * x + np.sin(lean)[:, None] * z
    turned[..., 2] = ankle[2] - np.sin(lean)[:, None] * x + np.cos(lean)[:, None] * z
    turned[:, feet] = pose[:, feet]
    return MotionClip(turned, text="leans")

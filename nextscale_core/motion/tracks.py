"""`Tracks`: paths, heights and speeds of a clip for geometric checks and caption rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX

SIDES = ("left", "right")


@dataclass(frozen=True)
class Tracks:
    """Signals of one clip, independent of its start position and heading.

    World frame: metres, z up. Heading frame: x to the front of hips and shoulders, y to the left.

    Attributes:
        clip: The motion.
    """

    clip: MotionClip

    @property
    def fps(self) -> float:
        """Frames per second [Hz]."""
        return self.clip.fps

    def frames(self, seconds: float) -> int:
        """A duration as a number of frames, at least 1."""
        return max(1, round(seconds * self.fps))

    def joint(self, name: str) -> np.ndarray:
        """(T, 3) positions of a joint [m]."""
        return self.clip.joints[:, JOINT_INDEX[name]].astype(np.float64)

    def smooth(self, signal: np.ndarray, seconds: float = 0.1) -> np.ndarray:
        """The signal smoothed over axis 0 by a gaussian with a standard deviation in seconds."""
        return gaussian_filter1d(signal, seconds * self.fps, axis=0, mode="nearest")

    def rate(self, signal: np.ndarray) -> np.ndarray:
        """Derivative over axis 0, per second; zero for a single frame."""
        if len(signal) < 2:
            return np.zeros_like(signal)
        return np.gradient(signal, 1.0 / self.fps, axis=0)

    @cached_property
    def heading(self) -> np.ndarray:
        """(T,) unwrapped heading of hips and shoulders, from world x [rad]."""
        across = (
            self.joint("left_hip")
            - self.joint("right_hip")
            + self.joint("left_shoulder")
            - self.joint("right_shoulder")
        )
        return self._unwrapped(across)

    @cached_property
    def hip_heading(self) -> np.ndarray:
        """(T,) unwrapped heading of the hips alone, from world x [rad]."""
        return self._unwrapped(self.joint("left_hip") - self.joint("right_hip"))

    @staticmethod
    def _unwrapped(across: np.ndarray) -> np.ndarray:
        # The front is the left-pointing axis turned by -90 degrees.
        return np.unwrap(np.arctan2(-across[:, 0], across[:, 1]))

    def local(self, vectors: np.ndarray) -> np.ndarray:
        """(T, 3) world vectors in the heading frame."""
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        x, y, z = vectors.T
        return np.stack([cos * x + sin * y, -sin * x + cos * y, z], axis=1)

    @cached_property
    def root(self) -> np.ndarray:
        """(T, 3) positions of the pelvis, smoothed over 0.1 s [m]."""
        return self.smooth(self.joint("pelvis"))

    @cached_property
    def velocity(self) -> np.ndarray:
        """(T, 3) pelvis velocity in the heading frame, averaged over half a second [m/s]."""
        world = uniform_filter1d(self.rate(self.root), self.frames(0.5), axis=0, mode="nearest")
        return self.local(world)

    @cached_property
    def speed(self) -> np.ndarray:
        """(T,) ground speed of the pelvis, averaged over half a second [m/s]."""
        return np.linalg.norm(self.velocity[:, :2], axis=1)

    @cached_property
    def pelvis_height(self) -> np.ndarray:
        """(T,) height of the pelvis above the floor [m]."""
        return self.joint("pelvis")[:, 2]

    @cached_property
    def standing_height(self) -> float:
        """Height of the pelvis in standing, from the leg lengths [m]."""
        joints = self.clip.joints[0].astype(np.float64)
        hip, knee, ankle = (joints[JOINT_INDEX[f"left_{n}"]] for n in ("hip", "knee", "ankle"))
        legs = np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle)
        return float(legs + abs(joints[0, 2] - hip[2]) + 0.06)

    def ankle_height(self, side: str) -> np.ndarray:
        """(T,) height of an ankle [m]."""
        return self.joint(f"{side}_ankle")[:, 2]

    @cached_property
    def lowest_foot(self) -> np.ndarray:
        """(T,) height of the lower of both feet, ball or ankle [m]."""
        names = ("left_foot", "right_foot", "left_ankle", "right_ankle")
        offset = {"foot": 0.0, "ankle": 0.055}
        heights = [self.joint(n)[:, 2] - offset[n.split("_")[1]] for n in names]
        return np.min(heights, axis=0)

    def foot_height(self, side: str) -> np.ndarray:
        """(T,) height of the lower end of a foot, ball or heel [m]."""
        ball = self.joint(f"{side}_foot")[:, 2]
        return np.minimum(ball, self.ankle_height(side) - 0.055)

    def knee_bend(self, side: str) -> np.ndarray:
        """(T,) flexion of a knee: 0 for a straight leg [rad]."""
        hip, knee, ankle = (self.joint(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        a, b = knee - hip, ankle - knee
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return np.arccos(np.clip((a * b).sum(1) / np.maximum(lengths, 1e-9), -1.0, 1.0))

    def wrist_over_shoulder(self, side: str) -> np.ndarray:
        """(T,) height of a wrist above its shoulder [m]."""
        return self.joint(f"{side}_wrist")[:, 2] - self.joint(f"{side}_shoulder")[:, 2]

    def wrist_local(self, side: str) -> np.ndarray:
        """(T, 3) wrist relative to its shoulder in the heading frame [m]."""
        return self.local(self.joint(f"{side}_wrist") - self.joint(f"{side}_shoulder"))

    def ankle_local(self, side: str) -> np.ndarray:
        """(T, 3) ankle relative to its hip in the heading frame [m]."""
        return self.local(self.joint(f"{side}_ankle") - self.joint(f"{side}_hip"))

    @cached_property
    def torso_lean(self) -> np.ndarray:
        """(T,) angle between the line pelvis-neck and the vertical [rad]."""
        spine = self.joint("neck") - self.joint("pelvis")
        length = np.maximum(np.linalg.norm(spine, axis=1), 1e-9)
        return np.arccos(np.clip(spine[:, 2] / length, -1.0, 1.0))


def runs_of(mask: np.ndarray, at_least: int = 1, bridge: int = 0) -> list[tuple[int, int]]:
    """Stretches [first, end) where `mask` is true, in order.

    Args:
        mask: (T,) bool.
        at_least: Minimum length [frames].
        bridge: Maximum length of a gap inside a stretch [frames].
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    merged: list[tuple[int, int]] = []
    for first, end in edges.reshape(-1, 2):
        if merged and first - merged[-1][1] <= bridge:
            merged[-1] = (merged[-1][0], int(end))
        else:
            merged.append((int(first), int(end)))
    return [(first, end) for first, end in merged if end - first >= at_least]


def other(side: str) -> str:
    """The other side of the body."""
    return SIDES[1 - SIDES.index(side)]

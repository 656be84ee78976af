"""Limb signals that actions are recognised by; everything in the heading frame of the body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nextscale_lab.auto_captions.signals import Signals

SIDES = ("left", "right")


@dataclass(frozen=True)
class Body:
    """Signals of arms and legs of one recording; T frames.

    Heights are over the floor of the recording, which `Tracks` puts at z = 0.

    Attributes:
        signals: Of the recording.
    """

    signals: Signals

    @cached_property
    def hand(self) -> dict[str, np.ndarray]:
        """(T, 3) wrist against its shoulder: to the front, outward, up [m]."""
        return {side: self._outward(self.signals.tracks.wrist_local(side), side) for side in SIDES}

    @cached_property
    def foot(self) -> dict[str, np.ndarray]:
        """(T, 3) ankle against its hip: to the front, outward, up [m]."""
        return {side: self._outward(self.signals.tracks.ankle_local(side), side) for side in SIDES}

    @staticmethod
    def _outward(local: np.ndarray, side: str) -> np.ndarray:
        return local if side == "left" else local * [1.0, -1.0, 1.0]

    @cached_property
    def hand_speed(self) -> dict[str, np.ndarray]:
        """(T,) speed of a wrist against its shoulder [m/s]."""
        return {side: self._speed(self.hand[side]) for side in SIDES}

    @cached_property
    def foot_speed(self) -> dict[str, np.ndarray]:
        """(T,) speed of an ankle against its hip [m/s]."""
        return {side: self._speed(self.foot[side]) for side in SIDES}

    def _speed(self, track: np.ndarray) -> np.ndarray:
        t = self.signals.tracks
        return np.linalg.norm(t.rate(t.smooth(track, 0.03)), axis=1)

    @cached_property
    def foot_height(self) -> dict[str, np.ndarray]:
        """(T,) lower end of a foot over the floor [m]."""
        return {side: self.signals.tracks.foot_height(side) for side in SIDES}

    @cached_property
    def wrist_height(self) -> dict[str, np.ndarray]:
        """(T,) wrist over the floor [m]."""
        return {side: self.signals.tracks.joint(f"{side}_wrist")[:, 2] for side in SIDES}

    @cached_property
    def knee_height(self) -> dict[str, np.ndarray]:
        """(T,) knee over the floor [m]."""
        return {side: self.signals.tracks.joint(f"{side}_knee")[:, 2] for side in SIDES}

    @cached_property
    def knee_bend(self) -> dict[str, np.ndarray]:
        """(T,) flexion of a knee, 0 for a straight leg [deg]."""
        return {side: np.degrees(self.signals.tracks.knee_bend(side)) for side in SIDES}

    @cached_property
    def over_head(self) -> dict[str, np.ndarray]:
        """(T,) wrist over the middle of the head, along the trunk's vertical [m]."""
        head = self.signals.tracks.joint("head")[:, 2]
        return {side: self.wrist_height[side] - head for side in SIDES}

    @cached_property
    def hands_apart(self) -> np.ndarray:
        """(T,) distance of the wrists [m]."""
        t = self.signals.tracks
        return np.linalg.norm(t.joint("left_wrist") - t.joint("right_wrist"), axis=1)

    @cached_property
    def feet_apart(self) -> np.ndarray:
        """(T,) distance of the ankles over the floor, along the line of the hips [m]."""
        t = self.signals.tracks
        across = t.local(t.joint("left_ankle") - t.joint("right_ankle"))
        return np.abs(across[:, 1])

    def way(self, start: int, end: int) -> float:
        """Furthest that the pelvis gets from where it was at `start` [m]."""
        path = self.signals.path[start:end]
        return float(np.linalg.norm(path - path[0], axis=1).max(initial=0.0))

    def turned(self, start: int, end: int) -> float:
        """Range of the body's heading [deg]."""
        return float(np.ptp(self.signals.yaw[start:end]))

    def stays(self, start: int, end: int, way: float = 0.35, turn: float = 40.0) -> bool:
        """Whether the person stays on the spot and keeps facing one way."""
        return self.way(start, end) < way and self.turned(start, end) < turn

    def upright(self, start: int, end: int) -> bool:
        """Whether trunk and legs are as in standing."""
        return bool(
            np.percentile(self.signals.lean[start:end], 90) < 24.0
            and np.percentile(self.signals.height[start:end], 10) > 0.9
        )

    def hand_rests(self, side: str, start: int, end: int) -> bool:
        """Whether an arm stays below the shoulder and does nothing quick."""
        hand = self.hand[side][start:end]
        return bool(
            hand[:, 2].max() < -0.12
            and np.percentile(self.hand_speed[side][start:end], 90) < 1.2
            and np.ptp(hand[:, 2]) < 0.3
        )

    def swings(self, side: str, start: int, end: int) -> bool:
        """Whether a lifted foot does more than being held."""
        return bool(np.percentile(self.foot_speed[side][start:end], 80) > 0.8)

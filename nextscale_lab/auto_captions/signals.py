"""`Signals`: smooth paths, gait, posture and limb tracks of a recording, for the caption rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d, uniform_filter1d

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.tracks import SIDES, Tracks

_PATH_SMOOTHING = 0.3  # sigma [s]: removes the sway of single steps
_TURN_SMOOTHING = 0.35  # sigma [s]: the hips swing by 10 degrees in a stride of 1 s
_GAIT_WINDOW = 1.25  # about one stride [s]
_FLOOR_WINDOW = 1.2  # longer than any flight [s]
_ORDINARY = 0.92  # minimum share of frames with ordinary arms
_LEAN = {"walk": 17.0, "run": 30.0}  # maximum lean of the trunk [deg]
_HEIGHT = {"walk": 0.88, "run": 0.80}  # minimum pelvis height relative to standing


@dataclass(frozen=True)
class Signals:
    """Signals of one recording, each computed on first use; T frames.

    World frame: metres, z up, floor at z = 0. Angles are in degrees, positive to the left
    (counterclockwise from above). Limb signals are in the heading frame.

    Attributes:
        clip: The motion.
    """

    clip: MotionClip

    @cached_property
    def tracks(self) -> Tracks:
        """Signals shared with the evaluation."""
        return Tracks(self.clip)

    def __len__(self) -> int:
        return len(self.clip)

    def frames(self, seconds: float) -> int:
        """A duration in frames, at least 1."""
        return self.tracks.frames(seconds)

    def seconds(self, start: int, end: int) -> float:
        """Duration of frames [start, end) [s]."""
        return (end - start) / self.clip.fps

    # --- path ---------------------------------------------------------------------------------
    @cached_property
    def path(self) -> np.ndarray:
        """(T, 2) ground path of the pelvis without the sway of steps [m]."""
        return self.tracks.smooth(self.tracks.joint("pelvis")[:, :2], _PATH_SMOOTHING)

    @cached_property
    def velocity(self) -> np.ndarray:
        """(T, 2) derivative of the path [m/s]."""
        return self.tracks.rate(self.path)

    @cached_property
    def speed(self) -> np.ndarray:
        """(T,) speed along the path [m/s]."""
        return np.linalg.norm(self.velocity, axis=1)

    @cached_property
    def yaw(self) -> np.ndarray:
        """(T,) unwrapped heading [deg]."""
        return np.degrees(self.tracks.smooth(self.tracks.heading, _TURN_SMOOTHING))

    @cached_property
    def yaw_rate(self) -> np.ndarray:
        """(T,) derivative of the heading [deg/s]."""
        return self.tracks.rate(self.yaw)

    @cached_property
    def drift(self) -> np.ndarray:
        """(T,) direction of travel relative to the heading, -180..180 [deg].

        0 is forward, 90 to the left; meaningless at speeds near zero.
        """
        travel = np.degrees(np.arctan2(self.velocity[:, 1], self.velocity[:, 0]))
        return (travel - self.yaw + 180.0) % 360.0 - 180.0

    def length(self, start: int, end: int) -> float:
        """Length of the path between frames [m]."""
        return float(np.linalg.norm(np.diff(self.path[start:end], axis=0), axis=1).sum())

    def displacement(self, start: int, end: int) -> float:
        """Greatest distance of the path from its point at `start` [m]."""
        path = self.path[start:end]
        return float(np.linalg.norm(path - path[0], axis=1).max(initial=0.0))

    def stays(self, start: int, end: int, distance: float = 0.35, turn: float = 40.0) -> bool:
        """Whether displacement [m] and range of the heading [deg] stay below limits."""
        turned = float(np.ptp(self.yaw[start:end]))
        return self.displacement(start, end) < distance and turned < turn

    # --- gait ---------------------------------------------------------------------------------
    @cached_property
    def gait(self) -> np.ndarray:
        """(T,) correlation of pelvis height and distance of the feet over a stride, -1..1.

        A walker vaults over a straight leg: the pelvis is highest when the feet pass each
        other. A runner's pelvis is lowest then, and highest in flight with the feet apart. So
        walking is near -1 and running near +1, at any speed.
        """
        t = self.tracks
        rise = self._ripple(t.pelvis_height)
        apart = t.joint("left_ankle")[:, :2] - t.joint("right_ankle")[:, :2]
        spread = self._ripple(np.linalg.norm(apart, axis=1))
        window = t.frames(_GAIT_WINDOW)

        def mean(signal: np.ndarray) -> np.ndarray:
            return uniform_filter1d(signal, window, mode="nearest")

        scale = np.sqrt(np.maximum(mean(rise**2) * mean(spread**2), 0.0))
        return mean(rise * spread) / (scale + 1e-6)

    def _ripple(self, signal: np.ndarray) -> np.ndarray:
        return self.tracks.smooth(signal, 0.05) - self.tracks.smooth(signal, 0.3)

    def gait_of(self, start: int, end: int, known: str) -> str:
        """'walk', 'run', or '' where neither is certain.

        Args:
            start: First frame.
            end: Frame after the last.
            known: 'walk' or 'run' where the description mentions only this gait; else ''.
        """
        speed = float(np.median(self.speed[start:end]))
        bounce = float(np.median(self.gait[start:end]))
        if speed > 2.4 or (speed > 1.2 and bounce > 0.2 and known != "walk"):
            return "run"
        if known == "run" and speed > 1.3 and bounce > -0.3:
            return "run"
        if speed < 1.9 and bounce < -0.25 and known != "run":
            return "walk"
        if known == "walk" and speed < 1.7 and bounce < 0.4:
            return "walk"
        return "walk" if speed < 1.05 else ""

    @cached_property
    def clearance(self) -> np.ndarray:
        """(T,) height of the lower foot over the floor where it last stood [m]."""
        return self.tracks.lowest_foot - self.floor

    @cached_property
    def floor(self) -> np.ndarray:
        """(T,) lowest position of a foot within 1.2 s [m]."""
        window = self.frames(_FLOOR_WINDOW) // 2 * 2 + 1
        return minimum_filter1d(self.tracks.lowest_foot, window, mode="nearest")

    # --- posture ------------------------------------------------------------------------------
    @cached_property
    def height(self) -> np.ndarray:
        """(T,) pelvis height over the floor relative to standing."""
        return (self.tracks.pelvis_height - self.floor) / self.tracks.standing_height

    @cached_property
    def lean(self) -> np.ndarray:
        """(T,) angle between trunk and the vertical, without the swing of steps [deg]."""
        return np.degrees(self.tracks.smooth(self.tracks.torso_lean, 0.2))

    @cached_property
    def arms_ordinary(self) -> np.ndarray:
        """(T,) bool: both arms hang or swing as in a walk or a run."""
        ordinary = np.ones(len(self), dtype=bool)
        held = np.ones(len(self), dtype=bool)
        for side in SIDES:
            hand = self.hand[side]
            ordinary &= (hand[:, 2] < -0.1) & (hand[:, 1] < 0.33)
            forward = gaussian_filter1d(hand[:, 0], self.frames(0.5), mode="nearest")
            held &= forward > 0.27
        # With both hands in front all the time they hold an object.
        return ordinary & ~held

    @cached_property
    def limb_speed(self) -> np.ndarray:
        """(T,) world speed of the fastest hand or foot [m/s]."""
        names = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")
        speeds = [
            np.linalg.norm(self.tracks.rate(self.tracks.smooth(self.tracks.joint(name))), axis=1)
            for name in names
        ]
        return np.max(speeds, axis=0)

    def ordinary(self, start: int, end: int, gait: str) -> bool:
        """Whether trunk and arms are as plain words for the path imply.

        Args:
            start: First frame.
            end: Frame after the last.
            gait: 'run', or anything else for a walk or a stand.
        """
        span = slice(start, end)
        gait = "run" if gait == "run" else "walk"
        return bool(
            self.arms_ordinary[span].mean() >= _ORDINARY
            and np.percentile(self.lean[span], 85) <= _LEAN[gait]
            and np.percentile(self.height[span], 10) >= _HEIGHT[gait]
        )

    # --- limbs: by side -----------------------------------------------------------------------
    @cached_property
    def hand(self) -> dict[str, np.ndarray]:
        """(T, 3) wrist relative to its shoulder: forward, outward, up [m]."""
        return {side: _outward(self.tracks.wrist_local(side), side) for side in SIDES}

    @cached_property
    def foot(self) -> dict[str, np.ndarray]:
        """(T, 3) ankle relative to its hip: forward, outward, up [m]."""
        return {side: _outward(self.tracks.ankle_local(side), side) for side in SIDES}

    @cached_property
    def hand_speed(self) -> dict[str, np.ndarray]:
        """(T,) speed of a wrist relative to its shoulder [m/s]."""
        return {side: self._speed(self.hand[side]) for side in SIDES}

    @cached_property
    def foot_speed(self) -> dict[str, np.ndarray]:
        """(T,) speed of an ankle relative to its hip [m/s]."""
        return {side: self._speed(self.foot[side]) for side in SIDES}

    def _speed(self, track: np.ndarray) -> np.ndarray:
        t = self.tracks
        return np.linalg.norm(t.rate(t.smooth(track, 0.03)), axis=1)

    @cached_property
    def foot_height(self) -> dict[str, np.ndarray]:
        """(T,) height of the lower end of a foot [m]."""
        return {side: self.tracks.foot_height(side) for side in SIDES}

    @cached_property
    def wrist_height(self) -> dict[str, np.ndarray]:
        """(T,) height of a wrist [m]."""
        return {side: self.tracks.joint(f"{side}_wrist")[:, 2] for side in SIDES}

    @cached_property
    def knee_height(self) -> dict[str, np.ndarray]:
        """(T,) height of a knee [m]."""
        return {side: self.tracks.joint(f"{side}_knee")[:, 2] for side in SIDES}

    @cached_property
    def knee_bend(self) -> dict[str, np.ndarray]:
        """(T,) flexion of a knee, 0 for a straight leg [deg]."""
        return {side: np.degrees(self.tracks.knee_bend(side)) for side in SIDES}

    @cached_property
    def over_head(self) -> dict[str, np.ndarray]:
        """(T,) height of a wrist over the middle of the head [m]."""
        head = self.tracks.joint("head")[:, 2]
        return {side: self.wrist_height[side] - head for side in SIDES}

    def hand_rests(self, side: str, start: int, end: int) -> bool:
        """Whether a hand stays below the shoulder and moves slowly."""
        hand = self.hand[side][start:end]
        return bool(
            hand[:, 2].max() < -0.12
            and np.percentile(self.hand_speed[side][start:end], 90) < 1.2
            and np.ptp(hand[:, 2]) < 0.3
        )


def _outward(local: np.ndarray, side: str) -> np.ndarray:
    return local if side == "left" else local * [1.0, -1.0, 1.0]

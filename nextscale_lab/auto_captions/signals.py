"""What narration looks at: smooth paths, gait and body posture of a whole recording."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d, uniform_filter1d

from nextscale_core.motion.clip import MotionClip
from nextscale_lab.data.tracks import Tracks

_PATH_SMOOTHING = 0.3  # gaussian sigma [s]: takes the sway of single steps out of the path
_TURN_SMOOTHING = 0.35  # gaussian sigma [s]: hips swing by 10 degrees once in a stride of 1 s
_GAIT_WINDOW = 1.25  # about one stride [s]
_FLOOR_WINDOW = 1.2  # longer than any flight [s]
_ORDINARY = 0.92  # share of frames in which arms must be ordinary
_LEAN = {"walk": 17.0, "run": 30.0}  # [deg]
_HEIGHT = {"walk": 0.88, "run": 0.80}  # of the pelvis against standing


@dataclass(frozen=True)
class Signals:
    """Signals of one recording, each computed when first asked for; T frames.

    World frame: metres, z up. Angles are in degrees and grow to the left (counterclockwise seen
    from above).

    Attributes:
        clip: The motion.
    """

    clip: MotionClip

    @cached_property
    def tracks(self) -> Tracks:
        """Signals that are shared with the evaluation."""
        return Tracks(self.clip)

    def __len__(self) -> int:
        return len(self.clip)

    def frames(self, seconds: float) -> int:
        """A duration as a number of frames, at least 1."""
        return self.tracks.frames(seconds)

    def seconds(self, start: int, end: int) -> float:
        """Duration of frames [start, end)."""
        return (end - start) / self.clip.fps

    # --- path ---------------------------------------------------------------------------------
    @cached_property
    def path(self) -> np.ndarray:
        """(T, 2) way of the pelvis over the floor without the sway of steps [m]."""
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
        """(T,) unwrapped direction that the body faces [deg]."""
        return np.degrees(self.tracks.smooth(self.tracks.heading, _TURN_SMOOTHING))

    @cached_property
    def yaw_rate(self) -> np.ndarray:
        """(T,) turning speed of the body [deg/s]."""
        return self.tracks.rate(self.yaw)

    @cached_property
    def drift(self) -> np.ndarray:
        """(T,) direction of travel against the direction faced, -180..180 [deg].

        0 is forward, 90 to the left; meaningless where the speed is near zero.
        """
        travel = np.degrees(np.arctan2(self.velocity[:, 1], self.velocity[:, 0]))
        return (travel - self.yaw + 180.0) % 360.0 - 180.0

    def length(self, start: int, end: int) -> float:
        """Length of the way between frames [m]."""
        return float(np.linalg.norm(np.diff(self.path[start:end], axis=0), axis=1).sum())

    # --- gait ---------------------------------------------------------------------------------
    @cached_property
    def gait(self) -> np.ndarray:
        """(T,) correlation of pelvis height and distance of the feet over a stride, -1..1.

        A walker vaults over a straight leg: the pelvis is highest when the feet pass each
        other. A runner bounces: it is lowest then, and highest in flight with the feet apart.
        So walking is near -1 and running near +1, at any speed.
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

    @cached_property
    def clearance(self) -> np.ndarray:
        """(T,) height of the lower foot over the floor where it last stood [m]."""
        window = self.frames(_FLOOR_WINDOW) // 2 * 2 + 1
        return self.tracks.lowest_foot - self.floor(window)

    def floor(self, window: int) -> np.ndarray:
        """(T,) lowest place of a foot within `window` frames [m]."""
        return minimum_filter1d(self.tracks.lowest_foot, window, mode="nearest")

    # --- body ---------------------------------------------------------------------------------
    @cached_property
    def height(self) -> np.ndarray:
        """(T,) pelvis over the floor against its height in standing."""
        window = self.frames(_FLOOR_WINDOW) // 2 * 2 + 1
        return (self.tracks.pelvis_height - self.floor(window)) / self.tracks.standing_height

    @cached_property
    def lean(self) -> np.ndarray:
        """(T,) angle between trunk and the vertical, without the swing of steps [deg]."""
        return np.degrees(self.tracks.smooth(self.tracks.torso_lean, 0.2))

    @cached_property
    def arms_ordinary(self) -> np.ndarray:
        """(T,) bool: both arms hang or swing as in a walk or a run."""
        ordinary = np.ones(len(self), dtype=bool)
        held = np.ones(len(self), dtype=bool)
        for side in ("left", "right"):
            hand = self.tracks.wrist_local(side)
            outward = hand[:, 1] if side == "left" else -hand[:, 1]
            ordinary &= (hand[:, 2] < -0.1) & (outward < 0.33)
            forward = gaussian_filter1d(hand[:, 0], self.frames(0.5), mode="nearest")
            held &= forward > 0.27
        # Both hands in front all the time: they hold something.
        return ordinary & ~held

    @cached_property
    def limb_speed(self) -> np.ndarray:
        """(T,) speed of the fastest hand or foot in the world [m/s]."""
        names = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")
        speeds = [
            np.linalg.norm(self.tracks.rate(self.tracks.smooth(self.tracks.joint(name))), axis=1)
            for name in names
        ]
        return np.max(speeds, axis=0)

    def ordinary(self, start: int, end: int, gait: str) -> bool:
        """Whether trunk and arms do nothing that plain words for the way would leave out.

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

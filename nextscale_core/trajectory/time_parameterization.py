"""From solved frames to a trajectory at the controller's rate, inside the limits, ending at rest.

The solved frames are knots of a cubic spline Q. Time enters twice:

- where the limits ask for it, the motion is played slower, there and only as far around as the
  limits leave to slow down in and to speed up again (see `time_scaling`);
- the result is played as Q(s(t)), where the speed s' rises smoothly from 0 and falls smoothly to
  0 again. Start and stop leave the path of every point of the robot as it was: no foot slides and
  nothing leaves the position limits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline, PPoly

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.kinematics import Poses
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.state import RobotState
from nextscale_core.robots.trajectory import MAX_SAMPLES
from nextscale_core.rotations import continuous_quaternions, quaternions
from nextscale_core.trajectory.blend_in import BlendIn
from nextscale_core.trajectory.config import TIMING, TimeParameterizationConfig
from nextscale_core.trajectory.curves import evaluate, quintic_fade, smooth_start
from nextscale_core.trajectory.spline_limits import soft_clamp
from nextscale_core.trajectory.time_scaling import Pace, Samples, TimeScaling, retime


def sample(
    robot: Robot,
    poses: Poses,
    fps: float,
    rate: float,
    blend: BlendIn | None = None,
    running: RobotState | None = None,
    twist: np.ndarray | None = None,
    config: TimeParameterizationConfig = TIMING,
) -> Samples:
    """Sample solved frames at the controller's rate, slowed down where the limits ask for it.

    Args:
        robot: Whose limits.
        poses: Solved frames, inside the position limits.
        fps: Rate of the frames [Hz].
        rate: Rate of the samples [Hz].
        blend: The transition from the measured state; without it the motion begins at rest in its
            first frame.
        running: The measured state of a robot under way, near the first frame: the motion
            continues from there with the measured velocities instead of starting at rest.
        twist: (6,) velocity [m/s] and rate of turn [rad/s] of the base in the first frame of a
            robot under way, in the world; NaN or None where unknown.
        config: Shares of the limits, durations of start and stop.

    Returns:
        Samples; `place` is NaN while the motion has not begun.

    Raises:
        RetargetError: the limits cannot be kept however slowly the motion is played.
    """
    player = _Player(robot, poses, fps, rate, blend, running, twist, config)
    seconds, cells = float(player.knots[-1]), config.cells_per_frame
    scaling = TimeScaling(
        robot, player.joints, seconds, cells * (len(poses) - 1), cells, config=config
    )
    samples = retime(
        robot,
        scaling,
        player.play,
        rounds=config.rounds,
        share=config.limit_share,
        adapt=player.adapt,
    )
    if samples is None:
        raise RetargetError(
            f"the motion does not keep the limits of {robot.name} even when played "
            f"{scaling.pace().seconds / seconds:.1f} times slower"
        )
    return replace(samples, place=np.where(samples.times < player.hold, np.nan, samples.place))


class _Player:
    """Plays the spline through solved frames, from the start to rest; arguments as in `sample`."""

    def __init__(
        self,
        robot: Robot,
        poses: Poses,
        fps: float,
        rate: float,
        blend: BlendIn | None,
        running: RobotState | None,
        twist: np.ndarray | None,
        config: TimeParameterizationConfig,
    ):
        self._robot, self._rate, self._running, self._config = robot, rate, running, config
        self._blend, self._ramp = blend, config.ramp
        quaternion = continuous_quaternions(quaternions(poses.rotation))
        self._tracks = np.concatenate([poses.base, quaternion, poses.joints], axis=1)
        self.knots = np.arange(len(poses)) / fps
        self._budget = config.spare_samples + int(config.rounds * (self.knots[-1] * rate + 1.0))
        self._free = CubicSpline(self.knots, self._tracks)
        self._slope = None
        if running is not None and running.velocities is not None:
            self._slope = _first_slope(self._tracks[:2], 1.0 / fps, running.velocities, twist)

    @property
    def joints(self) -> PPoly:
        """The joints over time, as they are before retiming."""
        spline = self._spline(1.0)
        return PPoly(spline.c[:, :, 7:], spline.x)

    @property
    def hold(self) -> float:
        """Duration in which the first frame waits for the transition [s]."""
        return self._blend.hold if self._blend else 0.0

    def _spline(self, slowness: float) -> CubicSpline:
        """Through the knots; a robot under way begins as fast as it is at any pace."""
        if self._slope is None:
            return self._free
        last = self._free(self.knots[-1], 1)
        ends = ((1, self._slope * slowness), (1, last))
        return CubicSpline(self.knots, self._tracks, bc_type=ends)

    def play(self, pace: Pace) -> Samples:
        """Samples at a pace."""
        robot, blend, hold, rate = self._robot, self._blend, self.hold, self._rate
        self._ramp = min(self._ramp, pace.seconds)
        stop = self._ramp if self._running is None else 0.5 * self._ramp
        end, duration = pace.seconds + stop, hold + pace.seconds + stop
        if blend is not None:
            duration = max(duration, blend.seconds)
        if not duration * rate < MAX_SAMPLES:
            raise RetargetError(
                f"the motion would take {duration:.4g} s within the limits of {robot.name}, which "
                f"is more than {MAX_SAMPLES} samples at {rate:g} Hz"
            )
        times = np.arange(int(np.ceil(duration * rate - 1e-9)) + 1) / rate
        self._budget -= len(times)
        if self._budget < 0:
            raise RetargetError(
                f"the motion of {self.knots[-1]:.4g} s does not keep the limits of {robot.name} in "
                f"{duration:.4g} s either, and longer trajectories are not tried: the samples "
                "tried are too many; is it the motion of a human, from a possible state?"
            )
        place, speed = self._place(np.clip(times - hold, 0.0, end), end, pace)
        spline = self._spline(pace.slowness[0])
        values, slopes = evaluate(spline, place, 0, 1)
        slopes *= speed[:, None]
        positions, velocities = soft_clamp(
            values[:, 7:], slopes[:, 7:], robot, robot.profile.position_margin / 2
        )
        base = values[:, :3]
        quaternion = values[:, 3:7] / np.linalg.norm(values[:, 3:7], axis=1, keepdims=True)
        if self._running is not None:
            positions, velocities = self._from_exactly(self._running, times, positions, velocities)
        if blend is not None:
            base, quaternion = blend.blend_base(times, positions, base, quaternion)
            positions, velocities = blend.blend(times, positions, velocities)
        return Samples(times, positions, velocities, base, quaternion, place)

    def _place(self, t: np.ndarray, end: float, pace: Pace) -> tuple[np.ndarray, np.ndarray]:
        """Place on the spline [s] and its rate of change at times (N,) since its beginning."""
        back, speed = smooth_start(end - t, self._ramp)
        at = pace.seconds - back
        if self._running is None:
            risen, rising = smooth_start(t, self._ramp)
            late = t > end / 2
            at, speed = np.where(late, at, risen), np.where(late, speed, rising)
        place, rate = pace.play(at)
        return place, rate * speed

    def adapt(self, samples: Samples, need: np.ndarray, attempt: int) -> bool:
        """Lengthen transition, start and stop; see `retime`."""
        at, blend, hold = samples.times[:-1], self._blend, self.hold
        leaving = blend is not None and need[at < blend.seconds].max() > 1.0
        # The motion begins during the transition: a longer transition does not slow it down.
        slower = not leaving or attempt % 2 == 1
        if slower:
            # Start and stop need acceleration of their own, less of it with a longer ramp.
            first, last = samples.times[0] + hold, samples.times[-1]
            ends = (at < first + self._ramp) | (at > last - self._ramp)
            if ends.any() and need[ends].max() > 1.0:
                self._ramp = min(1.2 * self._ramp, self._config.max_ramp)
        if blend is not None and leaving:
            self._blend = blend.longer(1.25)
        return slower

    def _from_exactly(
        self, state: RobotState, times: np.ndarray, positions: np.ndarray, velocities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same (N, J) with the first sample equal to a state that it nearly equals already.

        The solver keeps a margin to the position limits that a measured joint may not keep. A
        joint measured to move into its limit has to stop there.
        """
        robot, config = self._robot, self._config
        measured = np.zeros_like(velocities[0]) if state.velocities is None else state.velocities
        place, place_rate, slope, slope_rate = (
            curve[:, None] for curve in quintic_fade(times, config.pickup)
        )
        gap, drift = state.positions - positions[0], measured - velocities[0]
        way = positions + place * gap + slope * drift
        rate = velocities + place_rate * gap + slope_rate * drift
        for sign, limit in ((1.0, robot.position_upper), (-1.0, robot.position_lower)):
            # From the measured position, where that is closer, to the gap inside the limit.
            bound = limit - sign * config.limit_gap
            beyond = np.maximum(sign * (state.positions - bound), 0.0)
            edge, edge_rate = bound + sign * place * beyond, sign * place_rate * beyond
            outside = sign * (way - edge) > 0
            way, rate = np.where(outside, edge, way), np.where(outside, edge_rate, rate)
        return way, rate


def _first_slope(
    tracks: np.ndarray, step: float, velocities: np.ndarray, twist: np.ndarray | None
) -> np.ndarray:
    """(7 + J,) slope of the first frames (2, 7 + J) with which a robot under way begins."""
    slope = np.asarray((tracks[1] - tracks[0]) / step)
    slope[7:] = velocities
    if twist is not None and np.isfinite(twist).all():
        slope[:3] = twist[:3]
        x, y, z, w = tracks[0, 3:7]
        # Half the product of the rate of turn, as a quaternion, and the orientation.
        slope[3:7] = 0.5 * np.array([[w, z, -y], [-z, w, x], [y, -x, w], [-x, -y, -z]]) @ twist[3:]
    return slope

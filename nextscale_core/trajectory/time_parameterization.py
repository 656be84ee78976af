"""From solved frames to a trajectory at the controller's rate, inside the limits, ending at rest.

The solved frames are knots of a cubic spline Q. Time enters twice:

- where the limits ask for it, the motion is played slower, there and only as far around as the
  limits leave to slow down in and to speed up again (see `slowing`);
- the result is played as Q(s(t)), where the speed s' rises smoothly from 0 and falls smoothly to
  0 again. Starting and stopping so leaves the path of every point of the robot as it was: no foot
  slides and nothing leaves the position limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline, PPoly
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.kinematics import Poses
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.state import RobotState
from nextscale_core.robots.trajectory import MAX_SAMPLES
from nextscale_core.rotations import continuous_quaternions
from nextscale_core.trajectory.blend_in import Departure
from nextscale_core.trajectory.spline_limits import slowdown, soft_clamp
from nextscale_core.trajectory.time_scaling import Pace, Slowing

RAMP = 0.5
"""Time in which the motion reaches its full speed, and in which it stops [s]."""

_EXACT = 0.3
"""Time in which a running start comes from the measured state to the solved one [s]."""

_HAIR = 1e-3
"""Distance to a position limit that a joint keeps which was measured to move into it [rad]."""

_USE = 0.98
"""Share of the limits that a plan may use; the rest is for rounding."""

_PARTS = 4
"""So many times between two frames, it is looked at how fast a motion may be played."""

_ROUNDS = 40


@dataclass(frozen=True)
class Samples:
    """A trajectory before it gets a name.

    Attributes:
        times: (N,) [s].
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s].
        base: (N, 3) [m].
        quaternion: (N, 4) x y z w.
        frames: (N,) place of each sample among the solved frames, NaN before the first.
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    base: np.ndarray
    quaternion: np.ndarray
    frames: np.ndarray


@dataclass(frozen=True)
class _Schedule:
    """When each place of the spline is passed.

    Attributes:
        pace: How slowly the spline is played at full speed.
        ramp: Time of the smooth start, and of the stop [s].
        running: Whether the motion is under way when it begins: no smooth start.
    """

    pace: Pace
    ramp: float
    running: bool = False

    def play(self, times: np.ndarray, hold: float) -> tuple[np.ndarray, np.ndarray]:
        """Place on the spline [s] and its rate of change at each time.

        Args:
            times: (N,) [s].
            hold: The spline waits at its beginning for so long [s].
        """
        total, ramp = self.pace.seconds, self.ramp
        end = total + (0.5 * ramp if self.running else ramp)
        t = np.clip(times - hold, 0.0, end)
        back, falling = _rise(end - t, ramp)
        at, speed = total - back, falling
        if not self.running:
            s, rising = _rise(t, ramp)
            late = t > end / 2
            at, speed = np.where(late, at, s), np.where(late, falling, rising)
        place, rate = self.pace.play(at)
        return place, rate * speed

    def duration(self, hold: float) -> float:
        """Time from the first sample to the end [s]."""
        return hold + self.pace.seconds + (0.5 if self.running else 1.0) * self.ramp


def _rise(t: np.ndarray, ramp: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance and speed when the speed follows a smooth step from 0 to 1 within `ramp`."""
    u = np.clip(t / ramp, 0.0, 1.0)
    rising = ramp * (u**3 - u**4 / 2)
    return np.where(t < ramp, rising, t - ramp / 2), u * u * (3 - 2 * u)


def sample(
    robot: Robot,
    poses: Poses,
    fps: float,
    rate: float,
    departure: Departure | None = None,
    running: RobotState | None = None,
    twist: np.ndarray | None = None,
) -> Samples:
    """Sample solved frames at the controller's rate, slowed down where the limits ask for it.

    Args:
        robot: Whose limits.
        poses: Solved frames, inside the position limits.
        fps: Rate of the frames [Hz].
        rate: Rate of the samples [Hz].
        departure: The measured state to begin with; without it the motion begins at rest in its
            first frame.
        running: The measured state of a robot that is under way, near the first frame: the motion
            goes on from there with the measured velocities instead of starting at rest.
        twist: (6,) velocity [m/s] and rate of turn [rad/s] of the base in the first frame of a
            robot that is under way, in the world; NaN or None where they are not known.

    Raises:
        RetargetError: the limits cannot be kept however slowly the motion is played.
    """
    quaternion = continuous_quaternions(Rotation.from_matrix(poses.rotation).as_quat())
    tracks = np.concatenate([poses.base, quaternion, poses.joints], axis=1)
    knots = np.arange(len(poses)) / fps
    slope = None if running is None else _first_slope(tracks[:2], 1.0 / fps, running, twist)
    spline = _spline(knots, tracks, slope)
    joints = PPoly(spline.c[:, :, 7:], spline.x)
    slowing = Slowing(robot, joints, float(knots[-1]), _PARTS * (len(knots) - 1), _PARTS)
    pace = slowing.pace()
    schedule = _Schedule(pace, min(RAMP, pace.seconds), running=running is not None)
    for attempt in range(_ROUNDS):
        if slope is not None:
            # A robot under way begins as fast as it is, however slowly the spline is played.
            spline = _spline(knots, tracks, slope * schedule.pace.slowness[0])
        samples = _play(robot, spline, fps, schedule, rate, departure, running)
        need = slowdown(robot, samples.positions, samples.velocities, samples.times) / _USE
        if need.max() <= 1.0:
            return samples
        hold = departure.hold if departure else 0.0
        leaving = departure is not None and need[samples.times[:-1] < departure.seconds].max() > 1.0
        # The motion begins while the robot still leaves: a longer way out does not slow it down.
        if not leaving or attempt % 2:
            schedule = _slower(
                slowing, schedule, samples, need, hold, uniform=attempt > _ROUNDS // 2
            )
        if departure is not None and leaving:
            departure = departure.longer(1.25)
    raise RetargetError(
        f"the motion does not keep the limits of {robot.name} even when played "
        f"{schedule.pace.seconds / knots[-1]:.1f} times slower"
    )


def _play(
    robot: Robot,
    spline: CubicSpline,
    fps: float,
    schedule: _Schedule,
    rate: float,
    departure: Departure | None,
    running: RobotState | None,
) -> Samples:
    hold = departure.hold if departure else 0.0
    duration = schedule.duration(hold)
    if departure is not None:
        duration = max(duration, departure.seconds)
    if not duration * rate < MAX_SAMPLES:
        raise RetargetError(
            f"the motion would take {duration:.4g} s within the limits of {robot.name}, which is "
            f"more than {MAX_SAMPLES} samples at {rate:g} Hz"
        )
    times = np.arange(int(np.ceil(duration * rate - 1e-9)) + 1) / rate
    s, speed = schedule.play(times, hold)
    values, slopes = spline(s), spline(s, 1) * speed[:, None]
    positions, velocities = soft_clamp(
        values[:, 7:], slopes[:, 7:], robot, robot.profile.position_margin / 2
    )
    quaternion = values[:, 3:7] / np.linalg.norm(values[:, 3:7], axis=1, keepdims=True)
    if running is not None:
        positions, velocities = _from_exactly(robot, running, times, positions, velocities)
    frames = np.where(times < hold, np.nan, s * fps)
    samples = Samples(times, positions, velocities, values[:, :3], quaternion, frames)
    if departure is None:
        return samples
    return Samples(
        times,
        *departure.blend(times, positions, velocities),
        *departure.blend_base(times, samples.positions, samples.base, samples.quaternion),
        frames,
    )


def _first_slope(
    tracks: np.ndarray, step: float, running: RobotState, twist: np.ndarray | None
) -> np.ndarray | None:
    """(7 + J,) how fast a robot that is under way begins; None where that is not known.

    Args:
        tracks: (2, 7 + J) the first frames: base, its quaternion, joints.
        step: Time between them [s].
        running: The measured state.
        twist: The base's; see `sample`.
    """
    if running.velocities is None:
        return None
    slope = (tracks[1] - tracks[0]) / step
    slope[7:] = running.velocities
    if twist is not None and np.isfinite(twist).all():
        slope[:3] = twist[:3]
        x, y, z, w = tracks[0, 3:7]
        # Half the product of the rate of turn, as a quaternion, and the orientation.
        slope[3:7] = 0.5 * np.array([[w, z, -y], [-z, w, x], [y, -x, w], [-x, -y, -z]]) @ twist[3:]
    return slope


def _spline(knots: np.ndarray, tracks: np.ndarray, slope: np.ndarray | None) -> CubicSpline:
    """Through the knots, with a given slope in the first where there is one."""
    free = CubicSpline(knots, tracks)
    if slope is None:
        return free
    return CubicSpline(knots, tracks, bc_type=((1, slope), (1, free(knots[-1], 1))))


def _from_exactly(
    robot: Robot,
    state: RobotState,
    times: np.ndarray,
    positions: np.ndarray,
    velocities: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The same (N, J) with the first sample made equal to a state it nearly equals already.

    The solver keeps a margin to the position limits that a measured joint need not keep. A joint
    that is measured to move into its limit has to stop there.
    """
    measured = np.zeros_like(velocities[0]) if state.velocities is None else state.velocities
    place, place_rate, slope, slope_rate = quintic_fade(times, _EXACT)
    gap, drift = state.positions - positions[0], measured - velocities[0]
    way = positions + place[:, None] * gap + slope[:, None] * drift
    rate = velocities + place_rate[:, None] * gap + slope_rate[:, None] * drift
    for sign, limit in ((1.0, robot.position_upper), (-1.0, robot.position_lower)):
        # From where the joint is measured, if that is closer, to a hair inside the limit.
        bound = limit - sign * _HAIR
        beyond = np.maximum(sign * (state.positions - bound), 0.0)
        edge, edge_rate = (
            bound + sign * place[:, None] * beyond,
            sign * place_rate[:, None] * beyond,
        )
        outside = sign * (way - edge) > 0
        way, rate = np.where(outside, edge, way), np.where(outside, edge_rate, rate)
    return way, rate


def quintic_fade(
    times: np.ndarray, seconds: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Minimum-jerk curves by which a gap and its rate of change vanish.

    Args:
        times: (N,) since the beginning [s].
        seconds: Time by which both are gone.

    Returns:
        h0 from 1 to 0 and its derivative [1/s]; h1 [s], which is 0 with slope 1 in the beginning,
        and its derivative. All have no curvature at both ends.
    """
    u = np.clip(times / seconds, 0.0, 1.0)
    return (
        1 - u**3 * (10 - 15 * u + 6 * u * u),
        -30 * u * u * (1 - u) ** 2 / seconds,
        seconds * u * (1 - u) ** 3 * (1 + 3 * u),
        (1 - u) ** 2 * (1 + 2 * u - 15 * u * u),
    )


def _slower(
    slowing: Slowing,
    schedule: _Schedule,
    samples: Samples,
    need: np.ndarray,
    hold: float,
    *,
    uniform: bool,
) -> _Schedule:
    """The schedule, slower where the samples still ask for it."""
    # Starting and stopping asks for acceleration of its own: a longer ramp asks for less.
    ends = samples.times[[0, -1]] + [hold, 0.0]
    at = samples.times[:-1]
    near_end = (at < ends[0] + schedule.ramp) | (at > ends[1] - schedule.ramp)
    ramp = schedule.ramp
    if near_end.any() and need[near_end].max() > 1.0:
        ramp = min(1.2 * ramp, 2.0)
    if uniform:
        slowing.all_by(float(need.max()) * 1.01)
    else:
        s, _ = schedule.play(samples.times, hold)
        slowing.where(s, need)
    pace = slowing.pace()
    return replace(schedule, pace=pace, ramp=min(ramp, pace.seconds))

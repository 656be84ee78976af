"""Motion that goes round: its end leads into its beginning, and walks go on from where they are.

The end of a cycle is bent towards its beginning by a quintic that begins with no effect and ends
with the difference in position, velocity and acceleration. Place and heading are not brought
back: the next cycle is the same motion, moved by what one cycle moves the robot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.robot import Robot
from nextscale_core.rotations import continuous_quaternions, exp, log
from nextscale_core.trajectory.spline_limits import slowdown, soft_clamp
from nextscale_core.trajectory.time_parameterization import Samples

SHORTEST = 1.0
"""Shorter cycles are none [s]."""

_LOOK_AHEAD = 0.2
"""A difference in speed counts as the distance it makes in this time [s]."""

_ALIKE = 0.01
"""Differences below count as none when cycles are compared [m]."""

_MOST_FRAMES = 1000
"""Frames among which a cycle is searched for; the search looks at every pair."""

_USE = 0.98
_ROUNDS = 40


@dataclass(frozen=True)
class Cycle:
    """One round of a motion that repeats.

    Attributes:
        poses: T frames; frame T would be frame 0, turned and shifted.
        fps: Frames per second [Hz].
        turn: Heading gained in a round [rad].
        shift: (2,) displacement in a round, seen from the world of the first round [m]: a point p
            on the floor goes to Rz(turn) p + shift.
        mismatch: Mean distance of body parts and their speeds' effect between both ends, before
            they were brought together [m].
        first: Frame of the motion at which the round begins.
    """

    poses: Poses
    fps: float
    turn: float
    shift: np.ndarray
    mismatch: float
    first: int = 0

    @property
    def seconds(self) -> float:
        """Duration of a round [s]."""
        return len(self.poses) / self.fps

    def unroll(self, count: int) -> Poses:
        """`count` rounds after each other, and the first frame of the next."""
        if count < 1:
            raise RetargetError(f"a loop needs at least 1 round, got {count}")
        rounds = [self.at_round(number) for number in range(count)]
        following = self.at_round(count)
        return Poses(
            np.concatenate([r.base for r in rounds] + [following.base[:1]]),
            np.concatenate([r.rotation for r in rounds] + [following.rotation[:1]]),
            np.concatenate([r.joints for r in rounds] + [following.joints[:1]]),
        )

    def at_round(self, number: int) -> Poses:
        """The frames of a round; 0 is the first, -1 the one before it."""
        turn, shift = _power(self.turn, self.shift, number)
        rotation = _about_z(np.array(turn))
        base = self.poses.base @ rotation.T + [*shift, 0.0]
        return Poses(base, rotation @ self.poses.rotation, self.poses.joints)


def close_cycle(
    kinematics: Kinematics,
    poses: Poses,
    fps: float,
    *,
    blend: float = 0.6,
    whole: bool = False,
) -> Cycle:
    """Make solved frames a motion that repeats.

    Where the ends are far apart, standing feet slide in the blend; `Cycle.mismatch` tells.

    Args:
        kinematics: The robot's.
        poses: T solved frames.
        fps: Frames per second [Hz].
        blend: Time before the end in which it is led into the beginning [s].
        whole: Repeat all frames. Otherwise the part of at least `SHORTEST` seconds is repeated
            whose ends are the most alike: whole steps of a walk.

    Raises:
        RetargetError: a motion shorter than a cycle, or longer than can be searched.
    """
    least = max(4, round(SHORTEST * fps))
    if len(poses) <= least:
        raise RetargetError(
            f"a motion of {len(poses) / fps:.2f} s is too short to repeat; "
            f"more than {SHORTEST:g} s are needed"
        )
    if not 0 < blend < np.inf:
        raise RetargetError(f"blend must be a positive time, got {blend}")
    first, last, mismatch = _ends(kinematics, poses, fps, least, whole)
    tracks = _Tracks.of(poses)
    frames = min(max(3, round(blend * fps)), last - first)
    bent = tracks.led_to(first, last, frames)
    cycle = bent.poses(slice(first, last + 1))
    _keep_soles(kinematics, poses, cycle, first, last, frames)
    turn = float(bent.yaw[last] - bent.yaw[first])
    start, end = bent.place[first], bent.place[last]
    shift = end - (_about_z(np.array(turn))[:2, :2] @ start)
    body = Poses(cycle.base[:-1], cycle.rotation[:-1], cycle.joints[:-1])
    return Cycle(body, fps, turn, shift, mismatch, first)


def sample_cycle(robot: Robot, cycle: Cycle, rate: float) -> Samples:
    """One round at the controller's rate, slowed down where the limits ask for it.

    Its last sample has the posture and the velocities of the first, so a player that starts over
    at once goes on smoothly. It does not begin or end at rest: to play some rounds from rest to
    rest, give `Cycle.unroll` to `timing.sample`.

    Args:
        robot: Whose limits.
        cycle: The round.
        rate: Samples per second [Hz].

    Raises:
        RetargetError: the rate is out of range, or the limits cannot be kept however slowly the
            motion is played.
    """
    if not 1.0 <= rate <= 1000.0:
        raise RetargetError(f"rate must be within 1 and 1000 Hz, got {rate}")
    before, here, after = (cycle.at_round(number) for number in (-1, 0, 1))
    tracks = []
    for part in (before, here, after):
        quaternion = Rotation.from_matrix(part.rotation).as_quat()
        tracks.append(np.concatenate([part.base, quaternion, part.joints], axis=1))
    path = np.concatenate(tracks)
    path[:, 3:7] = continuous_quaternions(path[:, 3:7])
    intervals = np.full(len(here), 1.0 / cycle.fps)
    for attempt in range(_ROUNDS):
        # Whole samples make a round, or the last one would come too soon.
        intervals = intervals * np.ceil(intervals.sum() * rate - 1e-9) / (rate * intervals.sum())
        samples, knots = _play(robot, path, intervals, rate)
        need = slowdown(robot, samples.positions, samples.velocities, samples.times) / _USE
        if need.max() <= 1.0:
            return samples
        if attempt > _ROUNDS // 2:
            intervals = intervals * need.max() * 1.01
            continue
        factor = np.ones(len(intervals))
        for ends in (samples.times[:-1], samples.times[1:]):
            at = np.clip(np.searchsorted(knots, ends, side="right") - 1, 0, len(intervals) - 1)
            np.maximum.at(factor, at, need)
        spread = np.log(ndimage.maximum_filter1d(factor, 5, mode="wrap"))
        smooth = ndimage.gaussian_filter1d(spread, 2.0, mode="wrap")
        intervals = intervals * np.exp(np.maximum(smooth, 0.5 * spread) * 1.1)
    raise RetargetError(
        f"the loop does not keep the limits of {robot.name} even when played "
        f"{intervals.sum() / cycle.seconds:.1f} times slower"
    )


@dataclass(frozen=True)
class _Tracks:
    """Poses in coordinates that a cycle can be closed in.

    Attributes:
        body: (T, 4 + J) height, tilt as a rotation vector, joints: these come back.
        yaw: (T,) heading, unwrapped: this goes on.
        place: (T, 2): this too.
    """

    body: np.ndarray
    yaw: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, poses: Poses) -> _Tracks:
        yaw = np.unwrap(np.arctan2(poses.rotation[:, 1, 0], poses.rotation[:, 0, 0]))
        tilt = log(_about_z(-yaw) @ poses.rotation)
        body = np.concatenate([poses.base[:, 2:], tilt, poses.joints], axis=1)
        return cls(body, yaw, poses.base[:, :2])

    def poses(self, frames: slice) -> Poses:
        body, yaw = self.body[frames], self.yaw[frames]
        base = np.concatenate([self.place[frames], body[:, :1]], axis=1)
        return Poses(base, _about_z(yaw) @ exp(body[:, 1:4]), body[:, 4:])

    def led_to(self, first: int, last: int, frames: int) -> _Tracks:
        """The tracks with the last `frames` before `last` led to the state of `first`."""
        u = np.arange(1, frames + 1)[:, None] / frames
        position = u**3 * (10 - 15 * u + 6 * u * u)
        velocity = frames * u**3 * (-4 + 7 * u - 3 * u * u)
        acceleration = frames**2 * u**3 * (0.5 - u + 0.5 * u * u)
        rows = slice(last - frames + 1, last + 1)

        def bent(track: np.ndarray, goal: np.ndarray, returns: bool) -> np.ndarray:
            """`goal` is the track whose frame `first` is wanted."""
            speed, wanted = np.gradient(track, axis=0), np.gradient(goal, axis=0)
            change = np.gradient(wanted, axis=0)[first] - np.gradient(speed, axis=0)[last]
            out = track.copy()
            out[rows] += velocity * (wanted[first] - speed[last]) + acceleration * change
            if returns:
                out[rows] += position * (goal[first] - track[last])
            return out

        yaw = self.yaw[:, None]
        # The beginning's place, as it is in the round that follows.
        gained = self.yaw[last] - self.yaw[first]
        following = self.place @ _about_z(np.array(gained))[:2, :2].T
        return _Tracks(
            bent(self.body, self.body, True),
            bent(yaw, yaw, False)[:, 0],
            bent(self.place, following, False),
        )


def _ends(
    kinematics: Kinematics, poses: Poses, fps: float, least: int, whole: bool
) -> tuple[int, int, float]:
    """First frame of the cycle, the frame that repeats it, and how far they are apart [m]."""
    if len(poses) > _MOST_FRAMES:
        raise RetargetError(
            f"a motion of {len(poses) / fps:.0f} s is too long to find a cycle in; "
            f"give at most {_MOST_FRAMES / fps:.0f} s"
        )
    tracks = _Tracks.of(poses)
    level = _about_z(-tracks.yaw)
    points = kinematics.points(poses) - poses.base[:, None] * [1.0, 1.0, 0.0]
    points = points @ level.transpose(0, 2, 1)
    travel = (level @ np.gradient(poses.base, axis=0)[..., None])[..., 0]
    speed = np.gradient(points, axis=0) + travel[:, None] * [1.0, 1.0, 0.0]
    parts = points.shape[1]
    seen = np.concatenate([points, _LOOK_AHEAD * fps * speed], axis=1).reshape(len(poses), -1)
    apart = cdist(seen, seen) / np.sqrt(parts)
    if whole:
        return 0, len(poses) - 1, float(apart[0, -1])
    # A part in which nothing happens repeats best of all: what happens counts in favour.
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(speed[1:], axis=-1).mean(1))])
    happens = np.maximum(way[None] - way[:, None], 1e-6)
    cost = (apart + _ALIKE) / np.sqrt(happens)
    cost[np.tril_indices(len(poses), least - 1)] = np.inf
    first, last = np.unravel_index(int(cost.argmin()), cost.shape)
    return int(first), int(last), float(apart[first, last])


def _keep_soles(
    kinematics: Kinematics, plan: Poses, cycle: Poses, first: int, last: int, frames: int
) -> None:
    """Put the lowest sole of the blended frames of `cycle` where plan and beginning want it."""
    height = kinematics.lowest_sole(plan)
    u = np.arange(1, frames + 1) / frames
    share = u**3 * (10 - 15 * u + 6 * u * u)
    wanted = height[last - frames + 1 : last + 1] + share * (height[first] - height[last])
    blended = slice(len(cycle) - frames, len(cycle))
    cycle.base[blended, 2] += wanted - kinematics.lowest_sole(cycle)[blended]


def _play(
    robot: Robot, path: np.ndarray, intervals: np.ndarray, rate: float
) -> tuple[Samples, np.ndarray]:
    """Samples of the middle one of three rounds, and the times of its frames."""
    frames = len(intervals)
    period = float(intervals.sum())
    knots = np.concatenate([[0.0], np.cumsum(intervals)])
    every = np.concatenate([knots[:-1] - period, knots[:-1], knots[:-1] + period])
    spline = CubicSpline(every, path)
    times = np.arange(round(period * rate) + 1) / rate
    values, slopes = spline(times), spline(times, 1)
    positions, velocities = soft_clamp(
        values[:, 7:], slopes[:, 7:], robot, robot.profile.position_margin / 2
    )
    # Equal but for rounding and what the ends of the three rounds do to the middle one.
    positions[-1], velocities[-1] = positions[0], velocities[0]
    quaternion = values[:, 3:7] / np.linalg.norm(values[:, 3:7], axis=1, keepdims=True)
    place = np.interp(times, knots, np.arange(frames + 1)) % frames
    samples = Samples(times, positions, velocities, values[:, :3], quaternion, place)
    return samples, knots[: frames + 1]


def _power(turn: float, shift: np.ndarray, number: int) -> tuple[float, np.ndarray]:
    """Turn and shift of `number` rounds; negative ones go back."""
    total = np.zeros(2)
    for k in range(abs(number)):
        if number > 0:
            total += _about_z(np.array(k * turn))[:2, :2] @ shift
        else:
            total -= _about_z(np.array(-(k + 1) * turn))[:2, :2] @ shift
    return number * turn, total


def _about_z(angle: np.ndarray) -> np.ndarray:
    """(..., 3, 3) turns about the vertical [rad]."""
    return exp(angle[..., None] * np.array([0.0, 0.0, 1.0]))

"""Motion that repeats: its end leads into its beginning, and walks go on from where they are.

The end of a cycle is bent towards its beginning by a quintic that begins with no effect and ends
with the difference in position, velocity and acceleration. Place and heading are not brought
back: the next cycle is the same motion, moved by the displacement of one cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline, PPoly
from scipy.spatial.distance import cdist

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.robot import Robot
from nextscale_core.rotations import about_z, continuous_quaternions, exp, log, quaternions, yaw
from nextscale_core.trajectory.config import TIMING, TimeParameterizationConfig
from nextscale_core.trajectory.curves import minimum_jerk, quintic_arrival
from nextscale_core.trajectory.spline_limits import soft_clamp
from nextscale_core.trajectory.time_scaling import Pace, Samples, TimeScaling, retime


@dataclass(frozen=True)
class Cycle:
    """One round of a motion that repeats.

    Attributes:
        poses: T frames; frame T would be frame 0, turned and shifted.
        fps: Frames per second [Hz].
        turn: Heading gained in a round [rad].
        shift: (2,) displacement in a round, seen from the world of the first round [m]: a point p
            on the floor goes to Rz(turn) p + shift.
        mismatch: Mean distance of body parts and of the effect of their speeds between both ends,
            before they were brought together [m].
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
        poses = _concatenated([self.at_round(number) for number in range(count + 1)])
        end = count * len(self.poses) + 1
        return Poses(poses.base[:end], poses.rotation[:end], poses.joints[:end])

    def at_round(self, number: int) -> Poses:
        """The frames of a round; 0 is the first, -1 the one before it."""
        turn, shift = _power(self.turn, self.shift, number)
        rotation = about_z(turn)
        base = self.poses.base @ rotation.T + [*shift, 0.0]
        return Poses(base, rotation @ self.poses.rotation, self.poses.joints)


def close_cycle(
    kinematics: Kinematics,
    poses: Poses,
    fps: float,
    *,
    blend: float | None = None,
    whole: bool = False,
    config: TimeParameterizationConfig = TIMING,
) -> Cycle:
    """Make solved frames a motion that repeats.

    Where the ends are far apart (`Cycle.mismatch`), standing feet slide in the blend.

    Args:
        kinematics: The robot's.
        poses: T solved frames.
        fps: Frames per second [Hz].
        blend: Duration in which the end is led into the beginning [s]; the config's when None.
        whole: Repeat all frames. Otherwise the part of at least `cycle_min` seconds is repeated
            whose ends are the most alike: whole steps of a walk.
        config: How cycles are searched.

    Raises:
        RetargetError: a motion shorter than a cycle, or longer than can be searched.
    """
    blend = config.cycle_blend if blend is None else blend
    least = max(4, round(config.cycle_min * fps))
    if len(poses) <= least:
        raise RetargetError(
            f"a motion of {len(poses) / fps:.2f} s is too short to repeat; "
            f"more than {config.cycle_min:g} s are needed"
        )
    if not 0 < blend < np.inf:
        raise RetargetError(f"blend must be a positive time, got {blend}")
    first, last, mismatch = _ends(kinematics, poses, fps, least, whole, config)
    tracks = _Tracks.of(poses)
    frames = min(max(3, round(blend * fps)), last - first)
    bent = tracks.led_to(first, last, frames)
    cycle = bent.poses(slice(first, last + 1))
    _keep_soles(kinematics, poses, cycle, first, last, frames)
    turn = float(bent.yaw[last] - bent.yaw[first])
    start, end = bent.place[first], bent.place[last]
    shift = end - (about_z(turn)[:2, :2] @ start)
    body = Poses(cycle.base[:-1], cycle.rotation[:-1], cycle.joints[:-1])
    return Cycle(body, fps, turn, shift, mismatch, first)


def sample_cycle(
    robot: Robot, cycle: Cycle, rate: float, config: TimeParameterizationConfig = TIMING
) -> Samples:
    """One round at the controller's rate, slowed down where the limits ask for it.

    Its last sample has the posture and the velocities of the first, so a player can start over
    at once. It does not begin or end at rest: to play rounds from rest to rest, pass
    `Cycle.unroll` to `time_parameterization.sample`.

    Args:
        robot: Whose limits.
        cycle: The round.
        rate: Samples per second [Hz].
        config: Shares of the limits.

    Raises:
        RetargetError: the rate is out of range, or the limits cannot be kept however slowly the
            motion is played.
    """
    if not 1.0 <= rate <= 1000.0:
        raise RetargetError(f"rate must be within 1 and 1000 Hz, got {rate}")
    frames = len(cycle.poses)
    poses = _concatenated([cycle.at_round(number) for number in (-1, 0, 1)])
    quaternion = continuous_quaternions(quaternions(poses.rotation))
    path = np.concatenate([poses.base, quaternion, poses.joints], axis=1)
    spline = CubicSpline((np.arange(3 * frames) - frames) / cycle.fps, path)

    def play(pace: Pace) -> Samples:
        """Samples of the middle one of three rounds."""
        # A round is a whole number of samples, or the last one would come too soon.
        count = int(np.ceil(pace.seconds * rate - 1e-9))
        times = np.arange(count + 1) / rate
        stretch = count / (rate * pace.seconds)
        place, speed = pace.play(times / stretch)
        values, slopes = spline(place), spline(place, 1) * (speed / stretch)[:, None]
        positions, velocities = soft_clamp(
            values[:, 7:], slopes[:, 7:], robot, robot.profile.position_margin / 2
        )
        # Equal but for rounding and the effect of the ends of the three rounds.
        positions[-1], velocities[-1] = positions[0], velocities[0]
        quaternion = values[:, 3:7] / np.linalg.norm(values[:, 3:7], axis=1, keepdims=True)
        place = place % cycle.seconds
        return Samples(times, positions, velocities, values[:, :3], quaternion, place)

    joints, cells = PPoly(spline.c[:, :, 7:], spline.x), config.cells_per_frame
    scaling = TimeScaling(
        robot, joints, cycle.seconds, cells * frames, cells, periodic=True, config=config
    )
    samples = retime(robot, scaling, play, rounds=config.rounds, share=config.limit_share)
    if samples is None:
        raise RetargetError(
            f"the loop does not keep the limits of {robot.name} even when played "
            f"{scaling.pace().seconds / cycle.seconds:.1f} times slower"
        )
    return samples


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
        heading = np.unwrap(yaw(poses.rotation))
        tilt = log(about_z(-heading) @ poses.rotation)
        body = np.concatenate([poses.base[:, 2:], tilt, poses.joints], axis=1)
        return cls(body, heading, poses.base[:, :2])

    def poses(self, frames: slice) -> Poses:
        body = self.body[frames]
        base = np.concatenate([self.place[frames], body[:, :1]], axis=1)
        return Poses(base, about_z(self.yaw[frames]) @ exp(body[:, 1:4]), body[:, 4:])

    def led_to(self, first: int, last: int, frames: int) -> _Tracks:
        """The tracks with the last `frames` before `last` led to the state of `first`."""
        u = np.arange(1, frames + 1)[:, None] / frames
        position, velocity, acceleration = quintic_arrival(u, frames)
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

        # The beginning's place, as it is in the round that follows.
        gained = self.yaw[last] - self.yaw[first]
        following = self.place @ about_z(gained)[:2, :2].T
        return _Tracks(
            bent(self.body, self.body, True),
            bent(self.yaw[:, None], self.yaw[:, None], False)[:, 0],
            bent(self.place, following, False),
        )


def _ends(
    kinematics: Kinematics,
    poses: Poses,
    fps: float,
    least: int,
    whole: bool,
    config: TimeParameterizationConfig,
) -> tuple[int, int, float]:
    """First frame of the cycle, the frame that repeats it, and their distance [m]."""
    if len(poses) > config.cycle_max_frames:
        raise RetargetError(
            f"a motion of {len(poses) / fps:.0f} s is too long to find a cycle in; "
            f"give at most {config.cycle_max_frames / fps:.0f} s"
        )
    tracks = _Tracks.of(poses)
    level = about_z(-tracks.yaw)
    points = kinematics.points(poses) - poses.base[:, None] * [1.0, 1.0, 0.0]
    points = points @ level.transpose(0, 2, 1)
    travel = (level @ np.gradient(poses.base, axis=0)[..., None])[..., 0]
    speed = np.gradient(points, axis=0) + travel[:, None] * [1.0, 1.0, 0.0]
    parts = points.shape[1]
    seen = np.concatenate([points, config.cycle_look_ahead * fps * speed], axis=1).reshape(
        len(poses), -1
    )
    apart = cdist(seen, seen) / np.sqrt(parts)
    if whole:
        return 0, len(poses) - 1, float(apart[0, -1])
    # A part without movement repeats best of all, so the path of the body parts counts in favour.
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(speed[1:], axis=-1).mean(1))])
    happens = np.maximum(way[None] - way[:, None], 1e-6)
    cost = (apart + config.cycle_alike) / np.sqrt(happens)
    cost[np.tril_indices(len(poses), least - 1)] = np.inf
    first, last = np.unravel_index(int(cost.argmin()), cost.shape)
    return int(first), int(last), float(apart[first, last])


def _keep_soles(
    kinematics: Kinematics, plan: Poses, cycle: Poses, first: int, last: int, frames: int
) -> None:
    """Put the lowest sole of the blended frames of `cycle` where plan and beginning want it."""
    height = kinematics.lowest_sole(plan)
    share = minimum_jerk(np.arange(1, frames + 1) / frames)
    wanted = height[last - frames + 1 : last + 1] + share * (height[first] - height[last])
    blended = slice(len(cycle) - frames, len(cycle))
    cycle.base[blended, 2] += wanted - kinematics.lowest_sole(cycle)[blended]


def _concatenated(parts: list[Poses]) -> Poses:
    return Poses(*map(np.concatenate, zip(*(vars(part).values() for part in parts), strict=True)))


def _power(turn: float, shift: np.ndarray, number: int) -> tuple[float, np.ndarray]:
    """Turn and shift of `number` rounds; negative ones go back."""
    total, sign = np.zeros(2), np.sign(number)
    for k in range(number) if number > 0 else range(-1, number - 1, -1):
        total += sign * (about_z(k * turn)[:2, :2] @ shift)
    return number * turn, total

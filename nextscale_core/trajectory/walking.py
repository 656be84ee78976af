"""Velocity commands that lead a walking robot along the root path of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from nextscale_core.robots.description import chain, part_frames
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import continuous_quaternions, heading_of, smoothstep, yaw
from nextscale_core.trajectory.reference import Reference, ReferenceCurve
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_core.trajectory.time_scaling import Pace

WINDOW = 0.5
"""Time over which velocities of the root are averaged: the pelvis sways with each step [s]."""

SHARE = 0.9
"""Share of the velocity limits that a trajectory may use; the rest corrects errors."""

_REST_SPEED, _REST_RATE = 0.05, 0.1
"""Averaged speed [m/s] and rate of turn [rad/s] below which a robot stands."""

_FAR, _FAR_TURN = 0.15, 0.2
"""Distances [m, rad] from the path from which on a robot that stands steps back to it."""

_NEAR, _NEAR_TURN = 0.05, 0.05
"""Distances [m, rad] from the path at which it stands again."""

_GAIN = 1.0
"""Speed per distance from the path [1/s]."""

_MAX_FEEDBACK, _MAX_FEEDBACK_RATE = 0.4, 0.6
"""Maximum correction of the velocity [m/s] and of the rate of turn [rad/s]."""

_SETTLE = 2.0
"""Time after the end of a motion in which its end is still approached [s]."""

_ROUNDS = 5
"""Maximum number of times a trajectory is slowed down."""


@dataclass(frozen=True)
class WalkingLimits:
    """Limits of a walking controller.

    Attributes:
        linear: Horizontal speed [m/s].
        angular: Rate of turn [rad/s].
        linear_acceleration: Change of the horizontal velocity [m/s^2].
        angular_acceleration: Change of the rate of turn [rad/s^2].
    """

    linear: float = 1.0
    angular: float = 1.0
    linear_acceleration: float = 2.0
    angular_acceleration: float = 3.0


@dataclass(frozen=True)
class Velocity:
    """A command for a walking controller, in the robot's heading frame.

    Attributes:
        linear: Forward (x) and left (y) velocity, x + i y [m/s].
        angular: Rate of turn [rad/s].
    """

    linear: complex = 0j
    angular: float = 0.0

    @property
    def at_rest(self) -> bool:
        """Whether the robot is to stand."""
        return self.linear == 0 and self.angular == 0.0


class PathFollower:
    """Velocity commands from the reference of a robot and its measured base.

    Feed-forward velocity of the reference, plus feedback on the errors of place and heading,
    within limits. While the reference stands, the command is exactly zero unless the robot is
    far from it; it is exactly zero for good `_SETTLE` after the end of a motion.

    Args:
        limits: Of the walking controller.
    """

    def __init__(self, limits: WalkingLimits) -> None:
        self._limits = limits
        self._last = Velocity()
        self._correcting = False

    def stop(self) -> Velocity:
        """Begin at rest again."""
        self._last, self._correcting = Velocity(), False
        return self._last

    def command(
        self,
        stream: ReferenceStream,
        time: float,
        position: np.ndarray,
        quaternion: np.ndarray,
        step: float,
    ) -> Velocity:
        """The next command.

        Args:
            stream: The reference.
            time: Now, on its clock [s].
            position: (3,) measured root link in the world [m].
            quaternion: (4,) measured orientation, x y z w.
            step: Time since the last command [s].
        """
        last, limits = self._last, self._limits
        wanted = Velocity()
        if time < stream.end + _SETTLE:
            wanted = self._wanted(stream, time, position, quaternion)
        linear = last.linear + _clipped(
            wanted.linear - last.linear, limits.linear_acceleration * step
        )
        most = limits.angular_acceleration * step
        angular = last.angular + float(np.clip(wanted.angular - last.angular, -most, most))
        self._last = Velocity(linear, angular)
        return self._last

    def _wanted(
        self, stream: ReferenceStream, time: float, position: np.ndarray, quaternion: np.ndarray
    ) -> Velocity:
        place, heading = _root(stream.sample(time + WINDOW * np.array([-0.5, 0.0, 0.5])))
        speed, rate = _rates(place, heading, WINDOW / 2)
        here = complex(position[0], position[1])
        facing = heading_of(quaternion)
        away, turn = complex(place.mean()) - here, _wrapped(float(heading.mean()) - facing)
        stands = abs(speed[1]) < _REST_SPEED and abs(rate[1]) < _REST_RATE
        limit, limit_turn = (_NEAR, _NEAR_TURN) if self._correcting else (_FAR, _FAR_TURN)
        self._correcting = stands and (abs(away) > limit or abs(turn) > limit_turn)
        if stands and not self._correcting:
            return Velocity()
        feedback = _clipped(_GAIN * away, _MAX_FEEDBACK)
        correction = float(np.clip(_GAIN * turn, -_MAX_FEEDBACK_RATE, _MAX_FEEDBACK_RATE))
        linear = (complex(speed[1]) + feedback) * np.exp(-1j * facing)
        most = self._limits.angular
        return Velocity(
            _clipped(linear, self._limits.linear),
            float(np.clip(rate[1] + correction, -most, most)),
        )


def slowed_to_walk(
    trajectory: RobotTrajectory, limits: WalkingLimits
) -> tuple[RobotTrajectory, float]:
    """Play a trajectory more slowly where its root is too fast for a walking controller.

    The begin of a trajectory that begins in motion keeps its speed.

    Args:
        trajectory: Ends at rest.
        limits: Of the walking controller; `SHARE` of them is used.

    Returns:
        The trajectory, and by how much longer it takes (1: unchanged). Accelerations of joints
        are not checked.
    """
    begins_at_rest = not trajectory.velocities[0].any()
    slowed = trajectory
    for _ in range(_ROUNDS):
        curve = ReferenceCurve(slowed)
        need = _needed(curve, slowed.time_from_start, limits)
        if need.max() <= 1.01:
            break
        slowed = _played(slowed, curve, need, begins_at_rest)
    return slowed, slowed.seconds / trajectory.seconds


def upper_joints(robot: Robot, waist: bool = False) -> tuple[int, ...]:
    """Indices of the joints that carry no leg, in the order of `Robot.joint_names`.

    Args:
        robot: The robot.
        waist: Whether joints between pelvis and torso count.
    """
    model = robot.model
    frames = part_frames(model, robot.profile)

    def way(part: str) -> set[str]:
        return set(chain(model, model.names[model.frames[frames[part]].parentJoint]))

    below = set().union(*(way(f"{side}_ankle") for side in SIDES))
    trunk = way("torso")
    left_out = below - trunk if waist else below | trunk
    return tuple(j for j, name in enumerate(robot.joint_names) if name not in left_out)


def _needed(curve: ReferenceCurve, times: np.ndarray, limits: WalkingLimits) -> np.ndarray:
    """(N,) by how much longer each moment should take."""
    samples = [_root(curve.sample(times + shift)) for shift in (-WINDOW / 2, WINDOW / 2)]
    place = np.stack([one[0] for one in samples])
    heading = np.unwrap(np.stack([one[1] for one in samples]), axis=0)
    speed = np.abs(place[1] - place[0]) / WINDOW / (SHARE * limits.linear)
    rate = np.abs(heading[1] - heading[0]) / WINDOW / (SHARE * limits.angular)
    need: np.ndarray = np.maximum(np.maximum(speed, rate), 1.0)
    return need


def _played(
    trajectory: RobotTrajectory, curve: ReferenceCurve, need: np.ndarray, begins_at_rest: bool
) -> RobotTrajectory:
    """A trajectory with (N,) times as long moments."""
    times = trajectory.time_from_start
    cells = max(round(trajectory.seconds * trajectory.fps), 1)
    cell = trajectory.seconds / cells
    slowness = np.interp(np.arange(cells + 1) * cell, times, need)
    width = round(WINDOW / 2 / cell)
    slowness = ndimage.maximum_filter1d(slowness, 2 * width + 1, mode="nearest")
    slowness = ndimage.gaussian_filter1d(slowness, width / 2, mode="nearest")
    if not begins_at_rest:
        slowness = 1 + (slowness - 1) * smoothstep(np.arange(cells + 1) * cell, 0.0, WINDOW)
    pace = Pace(slowness, cell)
    # The last step is half to one and a half as long as the others.
    count = int(np.floor(pace.seconds * trajectory.fps + 0.5))
    played = np.append(np.arange(count) / trajectory.fps, pace.seconds)
    places, rates = pace.play(played)
    places[-1] = trajectory.seconds
    found = curve.sample(places)
    source = trajectory.source_time
    return replace(
        trajectory,
        positions=found.positions,
        velocities=found.velocities * rates[:, None],
        time_from_start=played,
        base_position=found.base_position,
        base_quaternion=continuous_quaternions(found.base_quaternion),
        source_time=None if source is None else np.interp(places, times, source),
    )


def _root(reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Places x + i y [m] and headings [rad] of N references."""
    place = reference.base_position[:, 0] + 1j * reference.base_position[:, 1]
    return place, np.unwrap(yaw(Rotation.from_quat(reference.base_quaternion).as_matrix()))


def _rates(place: np.ndarray, heading: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    return np.gradient(place, step), np.gradient(heading, step)


def _clipped(value: complex, most: float) -> complex:
    return complex(value if abs(value) <= most else value * (most / abs(value)))


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)

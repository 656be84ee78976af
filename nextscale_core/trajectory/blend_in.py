"""The way from where the robot is into the planned motion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError, UnsafeStartError
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import continuous_quaternions, yaw
from nextscale_core.trajectory.config import MAX_OUTSIDE, TIMING, TimeParameterizationConfig
from nextscale_core.trajectory.curves import PEAK_ACCELERATION, PEAK_VELOCITY, quintic_fade


@dataclass(frozen=True)
class BlendIn:
    """A transition from the measured state that keeps every limit a plan keeps.

    The joints follow (1 - w) plan + w coast, where w falls from 1 to 0 with minimum jerk and
    `coast` is the measured state coming to rest. Both are inside the position limits, and so is
    every mixture of them.

    Attributes:
        kinematics: The robot's.
        state: The measured state.
        base: (3,) root link at the start, in the plan's world [m].
        quaternion: (4,) root link at the start, x y z w.
        seconds: Duration of the transition [s].
        coast: (J,) time in which each joint stops [s].
    """

    kinematics: Kinematics
    state: RobotState
    base: np.ndarray
    quaternion: np.ndarray
    seconds: float
    coast: np.ndarray

    @property
    def hold(self) -> float:
        """Duration in which the plan waits for the robot to come near its first frame [s]."""
        return 0.5 * self.seconds

    def longer(self, factor: float) -> BlendIn:
        """The same transition, slower."""
        return replace(self, seconds=self.seconds * factor)

    def blend(
        self, times: np.ndarray, positions: np.ndarray, velocities: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions and velocities (N, J) with the transition in them."""
        w, slope = self._weight(times)
        at, speed = self._coasting(times)
        w, slope = w[:, None], slope[:, None]
        return (
            (1 - w) * positions + w * at,
            (1 - w) * velocities + w * speed + slope * (at - positions),
        )

    def blend_base(
        self, times: np.ndarray, positions: np.ndarray, base: np.ndarray, quaternion: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Root link positions and quaternions with the transition in them.

        The root's height follows from the feet: during the transition the lowest sole is as high
        above the floor as the plan and the measured state say.
        """
        w, _ = self._weight(times)
        busy = int(np.searchsorted(times, self.seconds, side="right"))
        sign = np.where(quaternion @ self.quaternion < 0, -1.0, 1.0)[:, None]
        # The headings agree, so the orientations are close enough for normalised mixing.
        mixed = (1 - w)[:, None] * quaternion + (w[:, None] * sign) * self.quaternion
        mixed = continuous_quaternions(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))
        place = (1 - w)[:, None] * base + w[:, None] * self.base
        planned = self._lowest(base[:busy], quaternion[:busy], positions[:busy])
        at = self.blend(times[:busy], positions[:busy], np.zeros_like(positions[:busy]))[0]
        actual = self._lowest(place[:busy], mixed[:busy], at)
        wanted = planned + w[:busy] * (actual[0] - planned[0])
        place[:busy, 2] += wanted - actual
        return place, mixed

    def _lowest(
        self, base: np.ndarray, quaternion: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        rotation = Rotation.from_quat(quaternion).as_matrix()
        return self.kinematics.lowest_sole(Poses(base, rotation, positions))

    def _weight(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) weight of the measured state and its derivative [1/s]."""
        return quintic_fade(times, self.seconds)[:2]

    def _coasting(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The measured state coming to rest, (N, J) positions and velocities."""
        if self.state.velocities is None:
            still = np.broadcast_to(self.state.positions, (len(times), len(self.state.positions)))
            return still, np.zeros_like(still)
        u = np.clip(times[:, None] / self.coast, 0.0, 1.0)
        way = self.coast * (u - u**3 + u**4 / 2)
        speed = 1 - u * u * (3 - 2 * u)
        return (
            self.state.positions + self.state.velocities * way,
            self.state.velocities * speed,
        )


def blend_in(
    robot: Robot, poses: Poses, state: RobotState, config: TimeParameterizationConfig = TIMING
) -> tuple[BlendIn, Poses]:
    """A transition from a measured state, and the plan moved to where the robot is.

    Args:
        robot: The robot.
        poses: The plan; its first frame is where the transition leads.
        state: The measured state. An unknown base is taken to be upright on the floor where the
            plan begins.
        config: Shares of the limits.

    Returns:
        The transition, and the plan shifted and turned about the vertical so that it continues
        from the measured base.

    Raises:
        RetargetError: the state has another number of joints, is far outside the limits, or
            moves so fast that the robot cannot stop inside them.
    """
    require_takeover(robot, state, config)
    velocity = np.zeros(robot.num_joints) if state.velocities is None else state.velocities
    coast = _coasting_times(robot, state.positions, velocity)
    _require_room_to_stop(robot, state.positions, velocity, coast, config.max_overrun)
    kinematics = kinematics_of(robot)
    poses = _moved(poses, state)
    quaternion, base = state.base_quaternion, state.base_position
    if quaternion is None:
        quaternion = Rotation.from_euler("z", float(yaw(poses.rotation[0]))).as_quat()
    if base is None:
        base = poses.base[0].copy()
        rotation = Rotation.from_quat(quaternion).as_matrix()
        here = Poses(base[None], rotation[None], state.positions[None])
        base[2] -= float(kinematics.lowest_sole(here)[0])
    rest = np.clip(
        state.positions + velocity * coast / 2, robot.position_lower, robot.position_upper
    )
    gap, share = np.abs(poses.joints[0] - rest), config.blend_share
    seconds = max(
        config.blend_min,
        float((PEAK_VELOCITY * gap / (share * robot.velocity_limit)).max()),
        float(np.sqrt(PEAK_ACCELERATION * gap / (share * robot.acceleration_limit)).max()),
        float(coast.max()),
    )
    return BlendIn(kinematics, state, base, quaternion, seconds, coast), poses


def require_takeover(
    robot: Robot, state: RobotState, config: TimeParameterizationConfig = TIMING
) -> None:
    """Refuse, before the search for a plan, a state from which no plan can begin.

    Raises:
        RetargetError: the state has another number of joints.
        UnsafeStartError: it is far outside the position limits or faster than the velocity limits.
    """
    positions, velocity = state.positions, state.velocities
    if positions.shape != (robot.num_joints,):
        raise RetargetError(
            f"the measured state has {len(positions)} joints, {robot.name} has {robot.num_joints}"
        )
    lower, upper = robot.position_lower, robot.position_upper
    outside = np.maximum(lower - positions, positions - upper)
    j = int(outside.argmax())
    if outside[j] > MAX_OUTSIDE:
        raise UnsafeStartError(
            f"{robot.joint_names[j]} was measured at {positions[j]:.4g} rad, more than "
            f"{MAX_OUTSIDE} rad outside its limits {lower[j]:.3f} to {upper[j]:.3f}; are "
            "its zero point and its unit right?"
        )
    if velocity is None:
        return
    fastest = config.max_speed_share * robot.velocity_limit
    too_fast = np.abs(velocity) > fastest
    j = int(np.where(too_fast, np.abs(velocity), 0.0).argmax())
    if too_fast[j]:
        raise UnsafeStartError(
            f"{robot.joint_names[j]} was measured at {velocity[j]:.4g} rad/s; a plan can begin "
            f"with at most {fastest[j]:.2f} rad/s"
        )


def outside_limits(robot: Robot, positions: np.ndarray) -> list[str]:
    """A remark on each joint that is measured a milliradian or more outside its limits.

    Args:
        robot: The robot.
        positions: (J,) [rad].
    """
    lower, upper = robot.position_lower, robot.position_upper
    outside = np.maximum(lower - positions, positions - upper)
    return [
        f"{robot.joint_names[j]} is measured {outside[j]:.3f} rad outside its limits "
        f"{lower[j]:.3f} to {upper[j]:.3f} and led back into them"
        for j in np.flatnonzero(outside >= 1e-3)
    ]


def _require_room_to_stop(
    robot: Robot, positions: np.ndarray, velocity: np.ndarray, coast: np.ndarray, overrun: float
) -> None:
    """Raise where a joint would run into its limit however hard it brakes."""
    lower, upper = robot.position_lower, robot.position_upper
    rest = positions + velocity * coast / 2
    # A joint outside its limits may come back, but go no further out.
    over = np.maximum(np.minimum(lower, positions) - rest, rest - np.maximum(upper, positions))
    j = int(over.argmax())
    if over[j] > overrun:
        raise UnsafeStartError(
            f"{robot.joint_names[j]} moves at {velocity[j]:.2f} rad/s towards its limit and is at "
            f"{positions[j]:.3f} rad already: within its acceleration limit it stops at "
            f"{rest[j]:.3f} rad, its limits are {lower[j]:.3f} to {upper[j]:.3f}"
        )


def _coasting_times(robot: Robot, positions: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """(J,) time in which each joint stops [s], sooner where a position limit is ahead."""
    speed = np.abs(velocity)
    ahead = np.where(
        velocity > 0, robot.position_upper - positions, positions - robot.position_lower
    )
    calm = np.maximum(0.05, 1.5 * speed / (0.7 * robot.acceleration_limit))
    # A joint that coasts for a time T moves on by speed T / 2 and brakes with 1.5 speed / T.
    in_room = 2 * 0.9 * np.maximum(ahead, 0.0) / np.maximum(speed, 1e-9)
    hardest = np.maximum(0.01, 1.5 * speed / (0.95 * robot.acceleration_limit))
    return np.clip(in_room, hardest, np.maximum(calm, hardest))


def _moved(poses: Poses, state: RobotState) -> Poses:
    """The plan turned and shifted so that it begins above the measured base."""
    rotation, base = poses.rotation, poses.base
    if state.base_quaternion is not None:
        measured = Rotation.from_quat(state.base_quaternion).as_matrix()
        turn = Rotation.from_euler("z", float(yaw(measured) - yaw(rotation[0]))).as_matrix()
        rotation = turn @ rotation
        origin = base[0] * [1.0, 1.0, 0.0]
        base = (base - origin) @ turn.T + origin
    if state.base_position is not None:
        base = base + (state.base_position - base[0]) * [1.0, 1.0, 0.0]
    return Poses(base, rotation, poses.joints)


def approach_seconds(robot: Robot) -> float:
    """Time in which any joint can cross its whole range within its limits [s].

    A controller draws a cubic from rest to rest to the first point. Over a distance d in a time
    T, that reaches 3/2 d / T and 6 d / T^2.
    """
    distance = robot.position_upper - robot.position_lower
    by_velocity = 1.5 * distance / robot.velocity_limit
    by_acceleration = np.sqrt(6.0 * distance / robot.acceleration_limit)
    return float(np.maximum(by_velocity, by_acceleration).max())


def with_approach(robot: Robot, trajectory: RobotTrajectory) -> RobotTrajectory:
    """The same trajectory, with time before its first pose for a robot whose state is unknown.

    A first pose at time 0 would make a controller jump to it. A robot that stands still within its
    limits reaches a later one within all limits; what it touches on the way is not checked.

    Args:
        robot: The robot.
        trajectory: A trajectory that begins at rest.

    Raises:
        RetargetError: the trajectory has no samples.
    """
    if not len(trajectory):
        raise RetargetError("a trajectory without samples has no first pose to come to")
    times = trajectory.time_from_start - trajectory.time_from_start[0] + approach_seconds(robot)
    return replace(trajectory, time_from_start=times)

"""Interpolation between trajectory points, as in joint_trajectory_controller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import BSpline, CubicHermiteSpline, make_interp_spline
from scipy.spatial.transform import Rotation, Slerp
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds


@dataclass(frozen=True)
class JointPlan:
    """Points of a joint trajectory.

    Attributes:
        times: (N,) strictly increasing [s], on any clock.
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s]; None for linear interpolation.
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None

    @cached_property
    def spline(self) -> CubicHermiteSpline | BSpline:
        """Interpolation through at least two points."""
        if self.velocities is None:
            return make_interp_spline(self.times, self.positions, k=1)
        return CubicHermiteSpline(self.times, self.positions, self.velocities)


def offsets(message: JointTrajectory | MultiDOFJointTrajectory) -> np.ndarray:
    """(N,) time_from_start of the points [s]."""
    return np.array([nanoseconds(point.time_from_start) for point in message.points]) / NANOSECONDS


def joint_plan(
    message: JointTrajectory, joint_names: Sequence[str], before: np.ndarray
) -> JointPlan:
    """The points of a valid message, at times since its begin.

    Args:
        message: The message; joints that it leaves out stay where they are.
        joint_names: The J joints.
        before: (J,) their present positions [rad].
    """
    columns = [list(joint_names).index(name) for name in message.joint_names]
    positions = np.tile(before, (len(message.points), 1))
    positions[:, columns] = np.array([point.positions for point in message.points])
    velocities = None
    if all(len(point.velocities) for point in message.points):
        velocities = np.zeros_like(positions)
        velocities[:, columns] = np.array([point.velocities for point in message.points])
    return JointPlan(offsets(message), positions, velocities)


class JointFollower:
    """The commanded state of J joints over time.

    A new plan takes over from the state at that moment: a spline leads from there to the plan's
    first point. After the last point the last position is held.

    Args:
        positions: (J,) initial positions, at rest [rad].
    """

    def __init__(self, positions: np.ndarray) -> None:
        rest = np.array(positions, dtype=np.float64)
        self._plan = JointPlan(np.zeros(1), rest[None], np.zeros((1, len(rest))))

    def start(self, plan: JointPlan, now: float) -> None:
        """Replace the current plan, from the state at time `now` [s]."""
        # A first point at or before `now` stands for the present state.
        self._plan = self._led_up(plan, now) if plan.times[0] > now else plan

    def splice(self, plan: JointPlan, begin: float, named: np.ndarray, now: float) -> None:
        """Follow the current plan until a new one begins.

        Args:
            plan: New plan; times relative to `begin`.
            begin: Time at which the new plan begins, not before `now` [s].
            named: (J,) True for joints that the new plan moves; the others finish the old plan.
            now: Present time [s].
        """
        old = self._plan
        new = replace(plan, times=plan.times + begin)
        if not named.all():
            new = self._completed(new, named)
        for time in [begin, *old.times[(old.times > now) & (old.times < begin)][::-1], now]:
            if time < new.times[0]:
                new = self._led_up(new, float(time))
        self._plan = new

    def _completed(self, plan: JointPlan, named: np.ndarray) -> JointPlan:
        """A plan for the named joints (J,), completed by the other joints' current motion."""
        old, count = self._plan, len(plan.times)
        times = np.concatenate([plan.times, old.times[old.times > plan.times[-1]]])
        states = [self.sample(float(time)) for time in times]
        positions = np.array([state[0] for state in states])
        velocities = np.array([state[1] for state in states])
        positions[:count, named] = plan.positions[:, named]
        positions[count:, named] = plan.positions[-1, named]
        velocities[count:, named] = 0.0
        if plan.velocities is not None:
            velocities[:count, named] = plan.velocities[:, named]
        return JointPlan(times, positions, None if plan.velocities is None else velocities)

    def _led_up(self, plan: JointPlan, time: float) -> JointPlan:
        """The plan, preceded by the current state at an earlier time [s]."""
        position, velocity = self.sample(time)
        return JointPlan(
            np.concatenate([[time], plan.times]),
            np.vstack([position, plan.positions]),
            None if plan.velocities is None else np.vstack([velocity, plan.velocities]),
        )

    @property
    def end(self) -> float:
        """Time of the last point [s]."""
        return float(self._plan.times[-1])

    def sample(self, now: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (J,) [rad] and velocities (J,) [rad/s] at time `now` [s]."""
        plan = self._plan
        if plan.times[0] < now < plan.times[-1]:
            return plan.spline(now), plan.spline(now, 1)
        at_end = now >= plan.times[-1]
        position = plan.positions[-1 if at_end else 0].copy()
        if at_end or plan.velocities is None:
            return position, np.zeros_like(position)
        return position, plan.velocities[0].copy()


class BaseFollower:
    """The commanded pose of the floating base over time, by linear interpolation and slerp.

    Args:
        times: (N,) strictly increasing, relative to `begin` [s].
        positions: (N, 3) [m].
        quaternions: (N, 4) x y z w.
        begin: Start time [s].
    """

    def __init__(
        self,
        times: np.ndarray,
        positions: np.ndarray,
        quaternions: np.ndarray,
        begin: float = 0.0,
    ) -> None:
        self._times, self._positions, self.begin = times, positions, begin
        rotations = Rotation.from_quat(quaternions)
        self._slerp = Slerp(times, rotations) if len(times) > 1 else None
        self._first = rotations[0]

    def sample(self, now: float) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) [m] and quaternion (4,) x y z w at time `now` [s], held at both ends."""
        now = float(np.clip(now - self.begin, self._times[0], self._times[-1]))
        position = np.array([np.interp(now, self._times, column) for column in self._positions.T])
        rotation = self._first if self._slerp is None else self._slerp(now)
        return position, rotation.as_quat()

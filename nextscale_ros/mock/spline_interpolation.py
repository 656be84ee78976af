"""Following a trajectory between its points, as joint_trajectory_controller does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation, Slerp


@dataclass(frozen=True)
class JointPlan:
    """Points to pass through.

    Attributes:
        times: (N,) strictly increasing [s], on any clock.
        positions: (N, J) [rad].
        velocities: (N, J) [rad/s], or None: straight lines between the points.
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None


class JointFollower:
    """The commanded state of J joints over time.

    A new plan takes over at once from the state at that moment: up to the new plan's first point
    it is a spline from there, and after the last point the last position is held.

    Args:
        positions: (J,) where the joints stand at first [rad].
    """

    def __init__(self, positions: np.ndarray) -> None:
        rest = np.array(positions, dtype=np.float64)
        self._plan = JointPlan(np.zeros(1), rest[None], np.zeros((1, len(rest))))

    def start(self, plan: JointPlan, now: float) -> None:
        """Replace whatever is being followed, from the state at time `now` [s]."""
        later = plan.times > now
        # A first point at or before `now` stands for the present state; one still to come is led
        # up to from here.
        self._plan = self._led_up(plan, now) if later[0] else plan

    def splice(self, plan: JointPlan, begin: float, named: np.ndarray, now: float) -> None:
        """Go on with what is being followed until a new plan begins.

        Args:
            plan: Its times count from `begin`.
            begin: When it begins [s].
            named: (J,) which joints it moves; the others go on as before.
            now: The present time, `begin` at the latest [s].
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
        """A plan for some of the joints (J,), the others doing what they are doing to its end."""
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
        """The plan after the state in which what is being followed is at an earlier time [s]."""
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
        times, positions = self._plan.times, self._plan.positions
        velocities = self._plan.velocities
        still = np.zeros(positions.shape[1])
        if now >= times[-1]:
            return positions[-1].copy(), still
        if now <= times[0]:
            return positions[0].copy(), still if velocities is None else velocities[0].copy()
        i = int(np.searchsorted(times, now, side="right")) - 1
        step = float(times[i + 1] - times[i])
        u = (now - float(times[i])) / step
        a, b = positions[i], positions[i + 1]
        if velocities is None:
            return a + u * (b - a), (b - a) / step
        return _hermite(a, velocities[i] * step, b, velocities[i + 1] * step, u, step)


def _hermite(
    a: np.ndarray, da: np.ndarray, b: np.ndarray, db: np.ndarray, u: float, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cubic through a and b with slopes da and db per unit of u; the value and its rate in time."""
    c = 3 * (b - a) - 2 * da - db
    d = 2 * (a - b) + da + db
    value = a + u * (da + u * (c + u * d))
    slope = da + u * (2 * c + 3 * u * d)
    return value, slope / step


class BaseFollower:
    """The commanded pose of the floating base over time; straight lines and great circles.

    Args:
        times: (N,) strictly increasing, from its begin [s].
        positions: (N, 3) [m].
        quaternions: (N, 4) x y z w.
        begin: When it begins [s].
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

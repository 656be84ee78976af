"""The reference that a balancing controller follows, as the state that motions continue from.

Such a robot lags its reference by degrees, and its base drifts. A motion that began in the measured
state would make the reference jump there. So joints and base of a new motion begin in the
reference, while the history that the model continues is the measured one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from nextscale_core.estimation.base_pose import BasePose, tipped_over
from nextscale_core.estimation.history import RobotHistory
from nextscale_core.estimation.joint_states import RobotStateError
from nextscale_core.exceptions import RetargetError, UnsafeTrajectoryError
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_core.safety import SafetyGate
from nextscale_core.trajectory.ground import Ground
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory

_NEAR = 0.02
"""Maximum distance of a joint from a silent reference that stands [rad]."""

_STEP = 0.1
"""Maximum time between two poses in which the motion of the robot itself does not count [s]."""


class FarFromReferenceError(UnsafeTrajectoryError):
    """The robot does not follow its reference."""


@dataclass(frozen=True)
class ActiveReference(ActiveTrajectory):
    """The trajectory of a reference stream, as the stream plays it.

    Attributes:
        stream: The stream.
    """

    stream: ReferenceStream | None = None

    def joints(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities (N, J) of the reference at times (N,) [s]."""
        assert self.stream is not None
        found = self.stream.sample(times)
        return found.positions, found.velocities

    def base(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Base of the reference at times (N,) [s]: positions (N, 3) [m], quaternions (N, 4)."""
        assert self.stream is not None
        found = self.stream.sample(times)
        return found.base_position, found.base_quaternion

    def is_followed(self, past: RobotHistory, state: RobotState, time: float) -> bool:
        """True: how near the robot is, is checked by `LiveReference.check`."""
        return True


class LiveReference:
    """The reference stream of a robot, from its first known base on.

    Args:
        robot: The robot.
        base: The newest measured base at a time [s]; None where unknown.
        clock: Clock of the reference [s].
        needs_base: Whether the reference begins only when the base is known.
        compared: Indices of the joints that have to be near their reference.
        silent: Whether nothing follows a reference that stands: a motion then begins with the
            compared joints where they are measured.
    """

    def __init__(
        self,
        robot: Robot,
        base: Callable[[float], BasePose | None],
        clock: Callable[[], float],
        *,
        needs_base: bool = True,
        compared: Sequence[int] | None = None,
        silent: bool = False,
    ) -> None:
        self._robot, self._base, self._clock = robot, base, clock
        self._needs_base = needs_base
        self._compared = list(range(robot.num_joints) if compared is None else compared)
        self._silent = silent
        self._lock = threading.Lock()
        self._stream: ReferenceStream | None = None
        self._known: BasePose | None = None
        self._gate = SafetyGate(robot)
        self._standing_up: threading.Thread | None = None

    def stream(self, time: float) -> ReferenceStream | None:
        """The stream, or None as long as the base has not been measured by a time [s]."""
        self.base(time)
        return self._stream

    def base(self, time: float) -> BasePose | None:
        """The newest measured base at a time [s], in whose world the reference is; None if unknown.

        The stream begins over the first one. Where the odometry's world has become another one, it
        is moved by the same step at once, so that no robot goes back to where it was before.
        """
        with self._lock:
            base = self._base(time)
            if self._stream is None:
                if base is not None:
                    self._stream = ReferenceStream(self._robot, base.position, base.quaternion)
                elif not self._needs_base:
                    self._stream = ReferenceStream(self._robot)
            elif base is not None:
                self._follow_world(self._stream, base)
            if base is not None:
                self._known = base
        return base

    def _follow_world(self, stream: ReferenceStream, base: BasePose) -> None:
        known = self._known
        if known is None or known.world == base.world:
            return
        if 0.0 <= base.time - known.time <= _STEP:
            before = known.position, known.quaternion
            stream.move(Ground.between(*before, base.position, base.quaternion))
        else:
            # How far the robot has moved meanwhile is not known.
            stream.relocate(base.position, base.quaternion, base.time)

    def forget(self) -> None:
        """Begin anew with the next measured base."""
        with self._lock:
            self._stream = self._known = None

    def plan(self, time: float) -> ActiveReference | None:
        """What the reference follows at a time [s]; None where it stands."""
        stream = self._stream
        if stream is None or not stream.moves(time):
            return None
        return ActiveReference(stream.trajectory, stream.begin, stream=stream)

    def state(self, time: float) -> RobotState:
        """The reference at a time [s].

        Raises:
            RobotStateError: the base has not been measured yet.
        """
        here = self._required(time).at(time)
        return RobotState(here.positions, here.velocities, here.base_position, here.base_quaternion)

    def fallen(self, time: float) -> str:
        """Why the robot counts as fallen, by its base that was measured last; '' where it stands.

        Its height does not count: odometry may begin anywhere.
        """
        stream, base = self._stream, self._base(time)
        if stream is None or base is None:
            return ""
        tilt = tipped_over(base.quaternion, stream.at(time).base_quaternion)
        return "" if tilt is None else f"the robot has fallen: its base tilts by {tilt:.2f} rad"

    def check(self, positions: np.ndarray, time: float, bound: float) -> None:
        """Refuse to move a robot that is far from its reference, and let the reference stand.

        A silent reference at rest takes the measured posture of the compared joints.

        Args:
            positions: (J,) measured [rad].
            time: Time of the measurement [s].
            bound: Maximum distance of a joint [rad].

        Raises:
            FarFromReferenceError: a joint is further away, or the robot has fallen.
            RobotStateError: the base has not been measured yet.
        """
        stream = self._required(time)
        if fallen := self.fallen(time):
            self.stop(self._clock())
            raise FarFromReferenceError(f"{fallen}; the reference stands: help it up")
        off = np.zeros(len(positions))
        off[self._compared] = (positions - stream.at(time).positions)[self._compared]
        joint = int(np.abs(off).argmax())
        if abs(off[joint]) <= bound:
            if self._silent and abs(off[joint]) > _NEAR and not stream.moves(time):
                stream.stand_in(stream.at(time).positions + off, time)
            return
        self.stop(self._clock())
        raise FarFromReferenceError(
            f"{self._robot.joint_names[joint]} is {abs(off[joint]):.2f} rad from its reference, "
            f"the limit is {bound:g} (parameter reference_bound); the reference stands: start the "
            "robot's balancing controller, or bring the robot to standing"
        )

    def replace(self, trajectory: RobotTrajectory, time: float, begin: float) -> None:
        """Follow another trajectory; see `ReferenceStream.replace`.

        Raises:
            RetargetError: it cannot take over within the limits.
            RobotStateError: the base has not been measured yet.
        """
        self._required(time).replace(trajectory, time, begin)

    def stop(self, time: float, changed: Callable[[], object] = lambda: None) -> None:
        """Let the reference come to stand, as it goes on to do after this call.

        It stops along its trajectory, which the safety gate has passed. The way from there to
        standing is checked by the gate meanwhile; where that refuses it, the robot stays at rest.

        Args:
            time: Now [s].
            changed: Called after each change of the reference.
        """
        stream = self._stream
        if stream is None or not stream.moves(time):
            return
        # Where it is too fast to stop, the reference goes on to its end, which is at rest.
        with suppress(RetargetError):
            stream.brake(time)
            changed()

            def stand_up() -> None:
                if stream.stand_up(self._clock, lambda way: self._gate.review(way).trajectory):
                    changed()

            self._standing_up = threading.Thread(target=stand_up, name="stand up", daemon=True)
            self._standing_up.start()

    def comes_to_rest(self, time: float) -> bool:
        """Whether the reference still moves at a time [s], or is about to, after `stop`."""
        stream = self._stream
        decided = self._standing_up is None or not self._standing_up.is_alive()
        return not decided or (stream is not None and stream.moves(time))

    def anchor(self, time: float) -> None:
        """Move place and heading of the reference to the measured base, slowly."""
        base = self.base(time)
        if base is not None and self._stream is not None:
            self._stream.anchor(base.position, base.quaternion, time)

    def _required(self, time: float) -> ReferenceStream:
        stream = self.stream(time)
        if stream is None:
            raise RobotStateError(
                "the base has not been measured yet: publish odometry (parameters base_source, "
                "odometry_topic); for output 'reference' base_source may be 'none'"
            )
        return stream

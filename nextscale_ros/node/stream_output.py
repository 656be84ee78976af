"""What the outputs for balancing controllers share: a reference that is played at 50 Hz."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

from nextscale_core.estimation.joint_states import RobotStateError
from nextscale_core.exceptions import RetargetError
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.trajectory.reference import REFERENCE_RATE
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_core.trajectory.standing import with_return
from nextscale_ros.messages.requests import Client, Request, Response
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.error_codes import TooLateError
from nextscale_ros.node.outputs import Executed, Output
from nextscale_ros.parameters.values import read_settings
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.inputs import RobotInputs
from nextscale_ros.robot_state.live_reference import LiveReference

STEP = 1.0 / REFERENCE_RATE
"""Time from one reference to the next [s]."""

_POLL = 0.005
"""Maximum time between two looks at the clock, which may be a simulation's [s]."""

_CLOSING = 3.0
"""Maximum time for the robot to come to stand before the output ends [s]."""

_DELIVERY = 0.5
"""Maximum time until the last message has been received [s]."""


class StreamOutput(Output):
    """Plays the reference of a robot in a thread of its own, from standing to standing.

    A request ends when its motion has ended standing, is replaced or stopped. While joint states
    are stale, and on cancellation and at the end, the reference blends to standing.

    Args:
        node: The node.
        reference: The reference.
        inputs: State of the robot.
        bases: Publisher of the planned base.
        clock: Clock of the robot's states [s].
    """

    def __init__(
        self,
        node: Node,
        reference: LiveReference,
        inputs: RobotInputs,
        bases: Publisher,
        clock: Callable[[], float],
    ) -> None:
        self._node, self._reference, self._inputs = node, reference, inputs
        self._bases, self._clock = bases, clock
        self._lock = threading.Lock()
        self._unfinished: tuple[Client | None, Executed] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reference", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    @property
    def executing(self) -> bool:
        """Whether a motion is being played."""
        return self._reference.plan(self._clock()) is not None

    def adapt(
        self, robot: Robot, trajectory: RobotTrajectory, remarks: list[str]
    ) -> RobotTrajectory:
        """Let a trajectory end standing."""
        return with_return(robot, trajectory)

    def send(
        self,
        response: Response,
        request: Request,
        active: ActiveTrajectory,
        executed: Executed,
        begun: Callable[[], None],
    ) -> None:
        """Play a trajectory from now on; the one before ends as preempted.

        Raises:
            TooLateError: it no longer fits onto the reference.
        """
        now = self._clock()
        try:
            self._reference.replace(active.trajectory, now, active.begin)
        except RetargetError as error:
            raise TooLateError(f"the trajectory was ready too late: {error}") from error
        self._reference.anchor(now)
        self._finish(ErrorCode.PREEMPTED, "replaced by a newer trajectory")
        with self._lock:
            self._unfinished = (request.client, executed)
        self._bases.publish(response.base)
        self._begin(response)
        begun()

    def cancel(self, client: Client) -> bool:
        """Let the robot stand, if its motion is this client's."""
        with self._lock:
            mine = self._unfinished is not None and self._unfinished[0] is client
        if mine:
            self._stop(ErrorCode.CANCELED, "canceled: the robot comes to stand", self._clock())
        return mine

    def close(self) -> None:
        """Let the robot come to stand, and stop publishing."""
        reason = "the node was deactivated: the robot comes to stand"
        self._stop(ErrorCode.CANCELED, reason, self._clock())
        # A simulation whose clock stands still does not delay the end.
        until = time.monotonic() + _CLOSING
        while self._thread.is_alive() and time.monotonic() < until:
            time.sleep(2 * STEP)
            if not self._reference.comes_to_rest(self._clock()):
                break
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSING)
        try:
            self._deliver()
        except Exception as error:  # must not keep a tracker switched on
            text = f"the last message was not delivered: {type(error).__name__}: {error}"
            self._node.get_logger().error(text)
        finally:
            self._release()

    def _deliver(self) -> None:
        """Publish the last message, and wait until it has been received."""
        if not self._node.context.ok():
            return
        # What was played last may be from before the rest, and may be lost with the node.
        last = self._end(self._clock())
        until = time.monotonic() + _DELIVERY
        # rclpy keeps the lock of the interpreter while it waits.
        while not last.wait_for_all_acked(Duration(seconds=0)) and time.monotonic() < until:
            time.sleep(_POLL)

    # -- what subclasses do

    @abstractmethod
    def _begin(self, response: Response) -> None:
        """Send what belongs to a trajectory whose begin is now."""

    @abstractmethod
    def _play(self, stream: ReferenceStream, now: float) -> None:
        """Publish the reference of a time [s]."""

    @abstractmethod
    def _rest(self, stream: ReferenceStream, now: float) -> None:
        """Send what belongs to a reference that has changed at a time [s] to come to rest."""

    @abstractmethod
    def _end(self, now: float) -> Publisher:
        """Publish the last message, at a time [s], and return its publisher."""

    def _release(self) -> None:
        """Release sockets."""
        return None

    def _stamp(self, now: float) -> Time:
        """A time of the robot's clock [s] on the node's."""
        # A thread may wait between two clocks: the pair read in the shortest time counts.
        pairs = []
        for _ in range(3):
            before = self._clock()
            own = self._node.get_clock().now()
            pairs.append((self._clock() - before, before, own))
        _, before, own = min(pairs, key=lambda pair: pair[0])
        stamp: Time = (own + Duration(seconds=now - before)).to_msg()
        return stamp

    def _problem(self, now: float) -> str:
        """Why the motion cannot go on at a time [s], or ''."""
        settings = read_settings(self._node)
        if not settings.start_from_state or settings.state_policy != "reject":
            return ""
        try:
            self._inputs.joints.read(now, settings.state_timeout)
        except RobotStateError as error:
            return str(error)
        return ""

    # -- the thread

    def _run(self) -> None:
        due = self._clock()
        while not self._ended.is_set():
            now = self._clock()
            # Simulated time may have gone back.
            if now < due <= now + 2 * STEP:
                self._ended.wait(min(due - now, _POLL))
                continue
            due = due + STEP if now - STEP < due <= now else now + STEP
            try:
                self._tick(now)
            except Exception as error:  # must not end the thread
                self._node.get_logger().error(
                    f"the reference was not published: {type(error).__name__}: {error}",
                    throttle_duration_sec=1.0,
                )

    def _tick(self, now: float) -> None:
        stream = self._reference.stream(now)
        if stream is None or not self._node.context.ok():
            return
        if not stream.moves(now):
            self._finish(ErrorCode.NONE, "")
            self._reference.anchor(now)
        elif self._unfinished and (fallen := self._reference.fallen(now)):
            self._stop(ErrorCode.EXECUTION_ABORTED, f"{fallen}; the reference comes to stand", now)
        elif self._unfinished and (problem := self._problem(now)):
            self._stop(ErrorCode.NO_ROBOT_STATE, f"{problem}; the robot comes to stand", now)
        self._play(stream, now)

    def _stop(self, code: int, message: str, now: float) -> None:
        """Let the reference come to stand from a time [s] on, and end the request with a reason."""
        plan = self._reference.plan(now)
        if plan is not None and plan.stream is not None:
            stream = plan.stream
            self._reference.stop(now, lambda: self._rest(stream, self._clock()))
        self._finish(code, message)

    def _finish(self, code: int, message: str) -> None:
        with self._lock:
            unfinished, self._unfinished = self._unfinished, None
        if unfinished is not None:
            unfinished[1](code, message)

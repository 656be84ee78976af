"""Outputs of trajectories: a topic, or the action of a controller."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_ros.action import GenerateMotion
from nextscale_ros.messages.requests import Client, Request, RequestError, Response
from nextscale_ros.msg import ErrorCode, MotionReference
from nextscale_ros.node.progress import EXECUTE
from nextscale_ros.node.trajectory_client import TrajectoryController
from nextscale_ros.parameters.values import read_settings
from nextscale_ros.qos import COMMAND, publisher_events
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory

CLOSING = 1.0
"""Time for the controller to confirm a cancellation before the client is destroyed [s]."""

_POLL = 0.005
"""Period in which a wait for the controller looks whether it is over [s]."""

Executed = Callable[[int, str], None]
"""Called at the end of an execution with an error code and a message."""

Complain = Callable[[str], None]
"""Called with one sentence about a connection that does not work."""


class Publishers:
    """Publishers of trajectories, which exist as long as the node.

    Args:
        node: Owns them.
        complain: Called for connections that do not work.

    Attributes:
        commands: Joint trajectories; None where the parameter `output` sends none.
        bases: Trajectories of the floating base.
        references: Whole-body references; None for other outputs than reference.
        velocities: Velocities of a walking robot; None for other outputs than walking.
    """

    def __init__(self, node: Node, complain: Complain) -> None:
        def publisher(kind: type, parameter: str) -> Publisher:
            topic = str(node.get_parameter(parameter).value)
            events = publisher_events(node, topic, COMMAND, complain)
            return node.create_publisher(kind, topic, COMMAND, event_callbacks=events)

        output = str(node.get_parameter("output").value)
        self.commands: Publisher | None = None
        if output in ("topic", "walking"):
            self.commands = publisher(JointTrajectory, "command_topic")
        self.references: Publisher | None = None
        if output == "reference":
            self.references = publisher(MotionReference, "reference_topic")
        self.velocities: Publisher | None = None
        if output == "walking":
            self.velocities = publisher(TwistStamped, "cmd_vel_topic")
        self.bases = publisher(MultiDOFJointTrajectory, "base_topic")


class Output(ABC):
    """Sends trajectories that passed every check."""

    @property
    @abstractmethod
    def listeners(self) -> int:
        """Number of subscribers or controllers."""

    @property
    @abstractmethod
    def missing(self) -> str:
        """Message for the log while there is no listener."""

    @property
    def executing(self) -> bool:
        """Whether a trajectory is known to be executed now."""
        return False

    def check(self) -> None:
        """Raise RequestError if no trajectory can be sent."""
        return None

    def await_answer(self, check: Callable[[], object]) -> None:
        """Wait until a trajectory that is handed over now is also sent now.

        Args:
            check: Called during the wait; raises where the trajectory has become pointless.
        """
        return None

    def adapt(
        self, robot: Robot, trajectory: RobotTrajectory, remarks: list[str]
    ) -> RobotTrajectory:
        """Make a retargeted trajectory fit what executes it, before the gate checks it.

        Args:
            robot: The robot.
            trajectory: Begins where the motion begins, and ends at rest.
            remarks: Gets what was changed, for the report.
        """
        return trajectory

    @abstractmethod
    def send(
        self,
        response: Response,
        request: Request,
        active: ActiveTrajectory,
        executed: Executed,
        begun: Callable[[], None],
    ) -> None:
        """Send a trajectory, which replaces the one sent before.

        Args:
            response: The messages.
            request: The request that they answer.
            active: The trajectory and when it begins.
            executed: Called once the outcome of the execution is known.
            begun: Called once the trajectory has been accepted.
        """

    def cancel(self, client: Client) -> bool:
        """Stop an execution for this client, and return whether there was one."""
        return False

    def close(self) -> None:
        """Stop sending, and stop the execution where possible."""
        return None


class TopicOutput(Output):
    """Publishes trajectories; a request ends when its trajectory is published.

    Args:
        commands: Publisher of the joints.
        bases: Publisher of the base.
    """

    def __init__(self, commands: Publisher, bases: Publisher) -> None:
        self._commands, self._bases = commands, bases

    @property
    def listeners(self) -> int:
        """Number of subscribers."""
        return int(self._commands.get_subscription_count())

    @property
    def missing(self) -> str:
        """Message for the log while there is no subscriber."""
        return f"{self._commands.topic_name} has no subscriber"

    def send(
        self,
        response: Response,
        request: Request,
        active: ActiveTrajectory,
        executed: Executed,
        begun: Callable[[], None],
    ) -> None:
        """Publish base and joints."""
        self._bases.publish(response.base)
        self._commands.publish(response.trajectory)
        if self.listeners:
            begun()
        executed(ErrorCode.NONE, "")


class ControllerOutput(Output):
    """Sends trajectories to the action of a controller and reports their execution.

    The base is published as with `TopicOutput`, since no joint controller executes it.

    Args:
        node: Owns the action client.
        bases: Publisher of the base.
        clock: Clock of the robot's states [s].

    Raises:
        ConfigError: control_msgs is not installed.
    """

    def __init__(self, node: Node, bases: Publisher, clock: Callable[[], float]) -> None:
        self._clock, self._bases = clock, bases
        self._controller = TrajectoryController(
            node,
            str(node.get_parameter("controller").value),
            lambda: read_settings(node).execution_timeout,
            clock,
        )
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._unfinished: dict[int, Executed] = {}

    @property
    def listeners(self) -> int:
        """1 where the controller is available, else 0."""
        return int(self._controller.ready)

    @property
    def missing(self) -> str:
        """Message for the log while the controller is unavailable."""
        return f"no controller serves {self._controller.name}"

    @property
    def executing(self) -> bool:
        """Whether the controller executes a trajectory of this node."""
        return self._controller.busy

    def check(self) -> None:
        """Raise RequestError if the controller is unavailable."""
        if not self._controller.ready:
            raise RequestError(
                ErrorCode.NO_CONTROLLER,
                f"{self.missing}; start it, or name another with the parameter controller",
            )

    def await_answer(self, check: Callable[[], object]) -> None:
        """Wait until the controller has answered what was sent before, or is given up."""
        while self._controller.answer_due:
            check()
            time.sleep(_POLL)

    def send(
        self,
        response: Response,
        request: Request,
        active: ActiveTrajectory,
        executed: Executed,
        begun: Callable[[], None],
    ) -> None:
        """Send the joints to the controller; its current execution ends as preempted.

        The base is published when the controller has accepted, since it begins with the joints.
        """

        def done(code: int, message: str) -> None:
            with self._lock:
                if self._unfinished.pop(request.number, None) is None:
                    return
                if self._client is request.client:
                    self._client = None
            executed(code, message)

        def accepted() -> None:
            self._bases.publish(response.base)
            begun()

        with self._lock:
            self._client = request.client
            self._unfinished[request.number] = done
        assert response.trajectory is not None
        times, sent = active.trajectory.time_from_start, len(response.trajectory.points)
        self._controller.send(
            response.trajectory,
            lambda result: done(result.code, result.message),
            lambda feedback: self._feedback(request, active),
            accepted,
            None if active.on_arrival else active.begin + float(times[-sent]),
        )

    def cancel(self, client: Client) -> bool:
        """Stop the execution if it is this client's."""
        with self._lock:
            mine = self._client is client
        if mine:
            self._controller.cancel()
        return mine

    def close(self) -> None:
        """Stop the execution and end the requests that wait for it."""
        self._controller.cancel()
        with self._lock:
            unfinished = list(self._unfinished.values())
        for done in unfinished:
            done(ErrorCode.CANCELED, "the node was deactivated: the execution is canceled")
        # The client must exist until the cancellation is sent.
        self._controller.settle(CLOSING)
        self._controller.destroy()

    def _feedback(self, request: Request, active: ActiveTrajectory) -> None:
        if request.client is None:
            return
        seconds = active.end - active.begin
        share = (self._clock() - active.begin) / seconds if seconds > 0 else 1.0
        request.client.feedback(
            GenerateMotion.Feedback(
                stage=EXECUTE,
                text=max(len(request.script) - 1, 0),
                done=float(min(max(share, 0.0), 1.0)),
            )
        )

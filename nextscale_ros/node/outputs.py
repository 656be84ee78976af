"""Where trajectories go: a topic, or the action of a controller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from rclpy.node import Node
from rclpy.publisher import Publisher
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_ros.action import GenerateMotion
from nextscale_ros.messages.requests import Reply, Request, RequestError
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.progress import EXECUTE
from nextscale_ros.node.reports import Ended
from nextscale_ros.node.trajectory_client import TrajectoryController
from nextscale_ros.parameters.values import read_settings
from nextscale_ros.qos import COMMAND, publisher_events
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory

CLOSING = 1.0
"""How long the controller is given to hear that an execution is canceled [s]."""

Executed = Callable[[Request, Ended, int, str], None]
"""Told of the end of an execution: error code, and what happened."""

Complain = Callable[[str], None]
"""Takes what is wrong with a connection, in a sentence."""


class Output(Protocol):
    """Takes trajectories that passed every check."""

    @property
    def listeners(self) -> int:
        """Who takes them now."""
        ...

    @property
    def nobody(self) -> str:
        """What to say when there is no listener."""
        ...

    @property
    def executing(self) -> bool:
        """Whether a trajectory is known to be executed now."""
        ...

    def check(self) -> None:
        """Make sure that a trajectory can be sent.

        Raises:
            RequestError: it cannot.
        """
        ...

    def send(
        self,
        ended: Ended,
        request: Request,
        published: ActiveTrajectory,
        executed: Executed,
        begun: Callable[[], None],
    ) -> None:
        """Send a trajectory, which replaces the one sent before.

        Args:
            ended: The messages.
            request: What they answer.
            published: The trajectory and when it begins.
            executed: Told of the end of the execution.
            begun: Told that it was taken, and replaces the one sent before.
        """
        ...

    def cancel(self, reply: Reply) -> bool:
        """Stop executing, if it is done for this client; whether it is."""
        ...

    def close(self) -> None:
        """Send nothing more, and stop executing where that is possible."""
        ...


class Publishers:
    """Publishers of trajectories; they exist as long as the node, so that they can be found.

    Args:
        node: Owns them.
        complain: Takes what is wrong with a connection.

    Attributes:
        commands: Of the joints; None where the parameter `output` sends them to a controller.
        bases: Of the floating base.
    """

    def __init__(self, node: Node, complain: Complain) -> None:
        self.commands: Publisher | None = None
        if str(node.get_parameter("output").value) == "topic":
            self.commands = _publisher(node, JointTrajectory, "command_topic", complain)
        self.bases = _publisher(node, MultiDOFJointTrajectory, "base_topic", complain)


class TopicOutput:
    """Publishes; what becomes of it is not known. A request ends when it is published.

    Args:
        publishers: Where to.
    """

    def __init__(self, publishers: Publishers) -> None:
        assert publishers.commands is not None
        self._commands, self._bases = publishers.commands, publishers.bases

    @property
    def listeners(self) -> int:
        """Subscribers."""
        return int(self._commands.get_subscription_count())

    @property
    def nobody(self) -> str:
        """What to say when there is no listener."""
        return f"nobody listens on {self._commands.topic_name}"

    @property
    def executing(self) -> bool:
        """Never known."""
        return False

    def check(self) -> None:
        """A topic is always there."""

    def send(
        self,
        ended: Ended,
        request: Request,
        published: ActiveTrajectory,
        executed: Executed,
        begun: Callable[[], None],
    ) -> None:
        """Publish base and joints."""
        self._bases.publish(ended.base)
        self._commands.publish(ended.trajectory)
        if self.listeners:
            begun()
        executed(request, ended, ErrorCode.NONE, "")

    def cancel(self, reply: Reply) -> bool:
        """What was published is not ours any more."""
        return False

    def close(self) -> None:
        """The publishers outlive this output."""


def _publisher(node: Node, kind: type, parameter: str, complain: Complain) -> Publisher:
    topic = str(node.get_parameter(parameter).value)
    events = publisher_events(node, topic, COMMAND, complain)
    return node.create_publisher(kind, topic, COMMAND, event_callbacks=events)


class ControllerOutput:
    """Has a trajectory controller execute, and tells how that went.

    The base is published as with `TopicOutput`; no joint controller executes it.

    Args:
        node: Owns the action client.
        publishers: Where the base goes.
        clock: The clock that the robot lives by [s].

    Raises:
        ConfigError: control_msgs is not installed.
    """

    def __init__(self, node: Node, publishers: Publishers, clock: Callable[[], float]) -> None:
        self._node, self._clock, self._bases = node, clock, publishers.bases
        self._controller = TrajectoryController(
            node,
            str(node.get_parameter("controller").value),
            lambda: read_settings(node).execution_timeout,
            clock,
        )
        self._lock = threading.Lock()
        self._reply: Reply | None = None
        self._unfinished: dict[int, Callable[[int, str], None]] = {}

    @property
    def listeners(self) -> int:
        """The controller, if it is there."""
        return int(self._controller.ready)

    @property
    def nobody(self) -> str:
        """What to say when the controller is not there."""
        return f"no controller serves {self._controller.name}"

    @property
    def executing(self) -> bool:
        """Whether the controller executes a trajectory of ours."""
        return self._controller.busy

    def check(self) -> None:
        """Make sure that the controller is there.

        Raises:
            RequestError: it is not.
        """
        if not self._controller.ready:
            raise RequestError(
                ErrorCode.NO_CONTROLLER,
                f"{self.nobody}; start it, or name another with the parameter controller",
            )

    def send(
        self,
        ended: Ended,
        request: Request,
        published: ActiveTrajectory,
        executed: Executed,
        begun: Callable[[], None],
    ) -> None:
        """Send the joints to the controller; what it was executing ends as preempted.

        The base follows when the controller has accepted: it begins when the joints do.
        """

        def done(code: int, message: str) -> None:
            with self._lock:
                if self._unfinished.pop(request.number, None) is None:
                    return
                if self._reply is request.reply:
                    self._reply = None
            executed(request, ended, code, message)

        def accepted() -> None:
            self._bases.publish(ended.base)
            begun()

        with self._lock:
            self._reply = request.reply
            self._unfinished[request.number] = done
        assert ended.trajectory is not None
        self._controller.send(
            ended.trajectory,
            lambda result: done(result.code, result.message),
            lambda feedback: self._tell(request, published),
            accepted,
        )

    def cancel(self, reply: Reply) -> bool:
        """Stop executing, if it is this client's motion."""
        with self._lock:
            mine = reply is not None and self._reply is reply
        if mine:
            self._controller.cancel()
        return mine

    def close(self) -> None:
        """Stop executing; those who wait hear that at once, since nobody will be there later."""
        self._controller.cancel()
        with self._lock:
            unfinished = list(self._unfinished.values())
        for done in unfinished:
            done(ErrorCode.CANCELED, "the node was deactivated: the execution is canceled")
        # Destroyed at once, the client could not even ask.
        self._controller.settle(CLOSING)
        self._controller.destroy()

    def _tell(self, request: Request, published: ActiveTrajectory) -> None:
        if request.reply is None:
            return
        seconds = published.end - published.begin
        share = (self._clock() - published.begin) / seconds if seconds > 0 else 1.0
        request.reply.feedback(
            GenerateMotion.Feedback(
                stage=EXECUTE,
                text=max(len(request.script) - 1, 0),
                done=float(min(max(share, 0.0), 1.0)),
            )
        )


def make_output(node: Node, publishers: Publishers, clock: Callable[[], float]) -> Output:
    """The output that the parameter `output` names.

    Args:
        node: Owns it.
        publishers: Where it publishes.
        clock: The clock that the robot lives by [s].

    Raises:
        ConfigError: control_msgs is needed and is not installed.
    """
    if publishers.commands is None:
        return ControllerOutput(node, publishers, clock)
    return TopicOutput(publishers)

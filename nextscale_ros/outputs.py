"""Where trajectories go: a topic, or the action of a controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.motion.clip import MotionClip
from nextscale_ros.msg import ErrorCode
from nextscale_ros.parameters import Settings
from nextscale_ros.published import PublishedPlan
from nextscale_ros.qos import COMMAND
from nextscale_ros.reports import Ended
from nextscale_ros.requests import Reply, Request

Executed = Callable[[Request, Ended, int, str], None]
"""Told of the end of an execution: error code, and what happened."""

Show = Callable[[PublishedPlan, MotionClip | None, str], None]
"""Shows a plan to people."""


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
        published: PublishedPlan,
        clip: MotionClip | None,
        settings: Settings,
        executed: Executed,
    ) -> None:
        """Send a trajectory, which replaces the one sent before.

        Args:
            ended: The messages.
            request: What they answer.
            published: The trajectory and when it begins.
            clip: The human motion.
            settings: The parameters as they were.
            executed: Told of the end of the execution.
        """
        ...

    def cancel(self, reply: Reply) -> None:
        """Stop executing, if it is done for this client."""
        ...

    def close(self) -> None:
        """Send nothing more, and stop executing where that is possible."""
        ...


class TopicOutput:
    """Publishes; what becomes of it is not known. A request ends when it is published.

    Args:
        node: Owns the publishers.
        show: Shows plans to people.
    """

    def __init__(self, node: Node, show: Show) -> None:
        self._node, self._show = node, show
        self._topic = str(node.get_parameter("command_topic").value)
        self._commands = node.create_publisher(JointTrajectory, self._topic, COMMAND)
        self._bases = base_publisher(node)

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
        published: PublishedPlan,
        clip: MotionClip | None,
        settings: Settings,
        executed: Executed,
    ) -> None:
        """Publish base and joints."""
        self._bases.publish(ended.base)
        self._commands.publish(ended.trajectory)
        self._show(published, clip, request.text)
        executed(request, ended, ErrorCode.NONE, "")

    def cancel(self, reply: Reply) -> None:
        """What was published is not ours any more."""

    def close(self) -> None:
        """Publish nothing more."""
        self._node.destroy_publisher(self._commands)
        self._node.destroy_publisher(self._bases)


def base_publisher(node: Node):  # type: ignore[no-untyped-def]
    """The publisher of the floating base that belongs to a trajectory."""
    topic = str(node.get_parameter("base_topic").value)
    return node.create_publisher(MultiDOFJointTrajectory, topic, COMMAND)


def make_output(node: Node, show: Show, complain: Callable[[str], None]) -> Output:
    """The output that the parameter `output` names.

    Args:
        node: Owns it.
        show: Shows plans to people.
        complain: Takes what is wrong with a connection.
    """
    return TopicOutput(node, show)

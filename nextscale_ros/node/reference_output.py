"""The output for whole-body trackers: references at 50 Hz as a topic, and over ZMQ."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_ros.messages.conversions import motion_reference
from nextscale_ros.messages.requests import Response
from nextscale_ros.messages.tracker_wire import HoloMotionWire, SonicWire
from nextscale_ros.node.stream_output import STEP, StreamOutput
from nextscale_ros.robot_state.inputs import RobotInputs
from nextscale_ros.robot_state.live_reference import LiveReference

_SWITCH_EVERY = 1.0
"""Time from one command that turns a tracker on to the next: subscribers may come later [s]."""

_WAITING, _BUFFER = 5, 2**15
"""Limits of what waits for a tracker: messages of ZMQ, and bytes of the operating system, whose
usual megabytes hold seconds whatever ZMQ's limit is."""

_LINGER = 200
"""Maximum time to send what is left when the socket is closed [ms]."""


class ReferenceOutput(StreamOutput):
    """Publishes the reference of joints and base; see `StreamOutput`.

    Args:
        node: The node.
        robot: The robot.
        reference: The reference.
        inputs: State of the robot.
        references: Publisher of the references.
        bases: Publisher of the planned base.
        clock: Clock of the robot's states [s].

    Raises:
        ConfigError: ZMQ is asked for, and pyzmq is not installed, the endpoint cannot be bound, or
            the robot has other joints than the trackers.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        reference: LiveReference,
        inputs: RobotInputs,
        references: Publisher,
        bases: Publisher,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(node, reference, inputs, bases, clock)
        self._robot, self._references = robot, references
        self._frame = str(node.get_parameter("base_frame").value)
        self._zmq: TrackerSocket | None = None
        endpoint = str(node.get_parameter("zmq_endpoint").value)
        if endpoint:
            self._zmq = TrackerSocket(
                robot,
                endpoint,
                str(node.get_parameter("zmq_format").value),
                switches=bool(node.get_parameter("zmq_switch").value),
                owner=node.get_fully_qualified_name(),
            )
            node.get_logger().info(f"trackers connect to {self._zmq.endpoint}")

    @property
    def listeners(self) -> int:
        """Number of subscribers; ZMQ counts as one."""
        return int(self._references.get_subscription_count()) + (self._zmq is not None)

    @property
    def missing(self) -> str:
        """Message for the log while there is no subscriber."""
        return f"{self._references.topic_name} has no subscriber"

    def _begin(self, response: Response) -> None:
        return None

    def _rest(self, stream: ReferenceStream, now: float) -> None:
        return None

    def _play(self, stream: ReferenceStream, now: float) -> None:
        message = motion_reference(self._robot, stream.at(now), self._frame, stream.moves(now))
        message.header.stamp = self._stamp(now)
        self._references.publish(message)
        if self._zmq is not None:
            self._zmq.send(stream, now)

    def _end(self, now: float) -> Publisher:
        stream = self._reference.stream(now)
        if stream is not None:
            self._play(stream, now)
        return self._references

    def _release(self) -> None:
        if self._zmq is not None:
            self._zmq.close()
            self._zmq = None


def _is_served(endpoint: str) -> bool:
    """Whether somebody listens at an ipc:// endpoint, whom ZMQ would silently replace."""
    kind, _, path = endpoint.partition("://")
    if kind != "ipc":
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path.replace("@", "\0", 1) if path.startswith("@") else path)
        except (OSError, ValueError):
            return False
    return True


class TrackerSocket:
    """Sends references to a tracker over ZMQ.

    Args:
        robot: The robot.
        endpoint: Where to listen for trackers, such as tcp://*:5556.
        kind: sonic or holomotion.
        switches: Whether the tracker is turned on by the first reference and off by `close`.
        owner: Full name of the node, for messages.

    Attributes:
        endpoint: Where it listens, as ZMQ says it: tcp://0.0.0.0:5556.

    Raises:
        ConfigError: see `ReferenceOutput`.
    """

    def __init__(
        self,
        robot: Robot,
        endpoint: str,
        kind: str,
        *,
        switches: bool = False,
        owner: str = "/generate_node",
    ) -> None:
        self._wire: SonicWire | HoloMotionWire
        self._wire = SonicWire(robot) if kind == "sonic" else HoloMotionWire(robot)
        if switches and not isinstance(self._wire, SonicWire):
            raise ConfigError(
                "zmq_switch is for zmq_format sonic; HoloMotion is started on the robot"
            )
        try:
            import zmq
        except ImportError as error:
            raise ConfigError(
                "zmq_endpoint needs pyzmq: pip install 'nextscale[zmq]', or leave it empty"
            ) from error
        self._context: Any = zmq.Context()
        self._socket: Any = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, _LINGER)
        # A tracker that stalls gets what waits here afterwards, in order and old.
        self._socket.setsockopt(zmq.SNDHWM, _WAITING)
        self._socket.setsockopt(zmq.SNDBUF, _BUFFER)
        try:
            if _is_served(endpoint):
                raise zmq.ZMQError(errno.EADDRINUSE)
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(0)
            remedy = "give one such as tcp://*:5556"
            if error.errno == errno.EADDRINUSE:
                remedy = f"each robot needs its own, in a section {owner}: of the parameter file"
            raise ConfigError(
                f"zmq_endpoint {endpoint!r} of {owner} cannot be bound: {error}; {remedy}"
            ) from error
        self.endpoint = str(self._socket.getsockopt_string(zmq.LAST_ENDPOINT))
        self._switches, self._index, self._switched = switches, 0, -np.inf

    def send(self, stream: ReferenceStream, now: float) -> None:
        """Send the reference of a time [s]."""
        if self._switches and now - self._switched >= _SWITCH_EVERY:
            self._socket.send(SonicWire.switch(on=True))
            self._switched = now
        references = stream.sample(now + STEP * np.arange(self._wire.frames))
        self._socket.send(self._wire.message(references, self._index))
        self._index += 1

    def close(self) -> None:
        """Turn the tracker off, where it was turned on, and close the socket."""
        if self._switches and np.isfinite(self._switched):
            self._socket.send(SonicWire.switch(on=False))
        self._socket.close()
        self._context.term()

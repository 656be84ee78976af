"""Recorder node: writes the topics of a session, the node's inputs and outputs, to rosbag2 (mcap).

Messages are written in serialized form, so that the recording is exact to the last bit. The bag is
closed on SIGINT and SIGTERM, and before the disk is full. `bag_replay`, `ros2 bag play` and
Foxglove read it.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.utilities import remove_ros_args

from nextscale_core.bags import definitions as kinds
from nextscale_core.bags.writing import RESERVE, BagWriter
from nextscale_core.exceptions import BagError
from nextscale_ros.qos import LATCHED
from nextscale_ros.spin import serve

LOOK_EVERY = 0.5
"""Period of the search for topics that have no publisher yet [s]."""

RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
STREAM = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Receives from reliable and from best-effort publishers."""


@dataclass(frozen=True)
class Recorded:
    """A topic of a session.

    Attributes:
        name: Relative, so that namespaces and remappings apply.
        kind: Its message type.
        qos: Quality of service of the subscription.
    """

    name: str
    kind: str
    qos: QoSProfile


SESSION = (
    Recorded("text_command", kinds.TEXT, RELIABLE),
    Recorded("text_command/detailed", kinds.TEXT_COMMAND, RELIABLE),
    Recorded("joint_states", kinds.JOINT_STATE, STREAM),
    Recorded("odom", kinds.ODOMETRY, STREAM),
    Recorded("motion_command", kinds.JOINT_TRAJECTORY, RELIABLE),
    Recorded("motion_command/base", kinds.BASE_TRAJECTORY, RELIABLE),
    Recorded("motion_report", kinds.MOTION_REPORT, RELIABLE),
    Recorded("nextscale/ready", kinds.BOOL, LATCHED),
)
"""Topics of every session."""


class BagRecorder(Node):
    """Writes topics to a bag until it is destroyed.

    Args:
        path: Folder of the bag; it must not exist.
        topics: Further topics; their types are those of their publishers.
        reserve: Disk space to leave free [bytes].
        context: ROS context of the node; None for the default context.

    Attributes:
        failure: Reason why the recording has ended; '' while it goes on.

    Raises:
        BagError: the bag cannot be created.
    """

    def __init__(
        self,
        path: Path,
        topics: Sequence[str] = (),
        reserve: int = RESERVE,
        context: Context | None = None,
    ) -> None:
        super().__init__("bag_recorder", context=context)
        self.failure = ""
        self._awaited = list(topics)
        self._bag = BagWriter(path, reserve)
        self._bag.open()
        for topic in SESSION:
            self._record(topic)
        if self._awaited:
            self.create_timer(LOOK_EVERY, self._record_awaited)
            self._record_awaited()
        self.get_logger().info(f"recording to {path}")

    @property
    def count(self) -> int:
        """Number of recorded messages."""
        return self._bag.count

    def destroy_node(self) -> None:
        """Close the bag, then everything else."""
        try:
            self._bag.close()
            self.get_logger().info(f"recorded {self.count} messages to {self._bag.path}")
        except BagError as error:
            self._fail(error)
        super().destroy_node()

    def _record(self, topic: Recorded) -> None:
        package, _, name = topic.kind.partition("/msg/")
        message_type = getattr(importlib.import_module(f"{package}.msg"), name)
        full_name = self.resolve_topic_name(topic.name)
        self._bag.add(full_name, topic.kind)
        # The stubs declare callbacks of one argument only.
        callback: Any = self._callback(full_name)
        self.create_subscription(message_type, topic.name, callback, topic.qos, raw=True)

    def _callback(self, topic: str) -> Callable[[bytes, Any], None]:
        def write(data: bytes, info: Any) -> None:
            if self.failure:
                return
            # The time of reception, rather than that of this callback.
            arrived = int(info["received_timestamp"]) or time.time_ns()
            try:
                self._bag.write(topic, arrived, data)
            except BagError as error:
                self._fail(error)

        return write

    def _record_awaited(self) -> None:
        """Record those further topics that have a publisher by now."""
        known = dict(self.get_topic_names_and_types())
        recorded = {self.resolve_topic_name(topic.name) for topic in SESSION}
        for name in list(self._awaited):
            full_name = self.resolve_topic_name(name)
            types = known.get(full_name)
            if not types:
                continue
            self._awaited.remove(name)
            if full_name in recorded:
                continue
            try:
                self._record(Recorded(name, types[0], self._qos_of(full_name)))
            except (BagError, ImportError, AttributeError) as error:
                self.get_logger().error(f"{full_name} is not recorded: {error}")

    def _qos_of(self, topic: str) -> QoSProfile:
        """The most reliable profile that is compatible with all publishers of a topic."""
        offered = [one.qos_profile for one in self.get_publishers_info_by_topic(topic)]
        reliable = all(one.reliability == ReliabilityPolicy.RELIABLE for one in offered)
        latched = all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in offered)
        return QoSProfile(
            depth=1000,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

    def _fail(self, error: BagError) -> None:
        self.failure = str(error)
        self.get_logger().error(self.failure)


def record(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bag; it must not exist.")],
    topic: Annotated[
        list[str] | None,
        typer.Option(
            help="Record this topic, too, with the type of its publisher; again for more."
        ),
    ] = None,
    keep_free: Annotated[int, typer.Option(min=1, help="Disk space to leave free [MiB].")] = RESERVE
    >> 20,
) -> None:
    """Record sentences, joint states, odometry, trajectories and reports until Ctrl-C.

    ros2 run nextscale_ros bag_recorder -o session_1

    ros2 run nextscale_ros bag_recorder -o session_1 --topic imu/data --ros-args -r __ns:=/robot1
    """
    serve({"bag_recorder": lambda: BagRecorder(out, topic or (), keep_free << 20)}, threads=1)


def main() -> None:
    """Entry point of `ros2 run nextscale_ros bag_recorder`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(record)
    # ROS parses its own arguments.
    app(args=remove_ros_args(sys.argv)[1:], prog_name="bag_recorder")


if __name__ == "__main__":
    main()

"""Records a session: what the node heard and what it said, as rosbag2 (mcap).

Messages are written as they travel, without being taken apart, so that the recording is what was
said to the last bit. The bag is closed on SIGINT and SIGTERM, and on a full disk with what there
was until then. `bag_replay` replays it; `ros2 bag play` and Foxglove read it, too.
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
"""How often is looked whether a topic has appeared whose type is not known yet [s]."""

RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
STREAM = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Hears reliable publishers and best-effort ones."""


@dataclass(frozen=True)
class Recorded:
    """A topic of a session.

    Attributes:
        name: Relative, so that namespaces and remappings count.
        kind: Its message type.
        qos: How to listen.
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
"""What a session consists of."""


class BagRecorder(Node):
    """Writes topics to a bag until it is destroyed.

    Args:
        path: Folder of the bag; it must not exist.
        topics: Further topics; their types are those of their publishers.
        reserve: Stop while so much is free on the disk [bytes].
        context: The ROS context to live in; None is the process's own.

    Attributes:
        failure: Why nothing more is recorded; '' while all is well.

    Raises:
        BagError: the bag cannot be made.
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
            self._listen(topic)
        if self._awaited:
            self.create_timer(LOOK_EVERY, self._look)
            self._look()
        self.get_logger().info(f"recording to {path}")

    @property
    def count(self) -> int:
        """Messages recorded so far."""
        return self._bag.count

    def destroy_node(self) -> None:
        """Close the bag, then everything else."""
        try:
            self._bag.close()
            self.get_logger().info(f"recorded {self.count} messages to {self._bag.path}")
        except BagError as error:
            self._fail(error)
        super().destroy_node()

    def _listen(self, topic: Recorded) -> None:
        package, _, name = topic.kind.partition("/msg/")
        message_type = getattr(importlib.import_module(f"{package}.msg"), name)
        whole = self.resolve_topic_name(topic.name)
        self._bag.add(whole, topic.kind)
        # Stubs know callbacks of one argument only.
        taker: Any = self._taker(whole)
        self.create_subscription(message_type, topic.name, taker, topic.qos, raw=True)

    def _taker(self, topic: str) -> Callable[[bytes, Any], None]:
        def take(data: bytes, info: Any) -> None:
            if self.failure:
                return
            # When it came, rather than when we had time for it.
            arrived = int(info["received_timestamp"]) or time.time_ns()
            try:
                self._bag.write(topic, arrived, data)
            except BagError as error:
                self._fail(error)

        return take

    def _look(self) -> None:
        """Listen to those topics asked for whose type somebody tells by now."""
        known = dict(self.get_topic_names_and_types())
        for name in list(self._awaited):
            whole = self.resolve_topic_name(name)
            types = known.get(whole)
            if not types:
                continue
            self._awaited.remove(name)
            if whole in (self.resolve_topic_name(topic.name) for topic in SESSION):
                continue
            try:
                self._listen(Recorded(name, types[0], self._qos_of(whole)))
            except (BagError, ImportError, AttributeError) as error:
                self.get_logger().error(f"{whole} is not recorded: {error}")

    def _qos_of(self, topic: str) -> QoSProfile:
        """One that hears all publishers of a topic, as surely as they can be heard."""
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
        typer.Option(help="Record this topic, too; again for more. Its publisher tells the type."),
    ] = None,
    keep_free: Annotated[
        int, typer.Option(min=1, help="Stop while so much is free on the disk [MiB].")
    ] = RESERVE >> 20,
) -> None:
    """Record sentences, joint states, odometry, trajectories and reports until Ctrl-C.

    ros2 run nextscale_ros bag_recorder -o session_1

    ros2 run nextscale_ros bag_recorder -o session_1 --topic imu/data --ros-args -r __ns:=/robot1
    """
    serve(lambda: BagRecorder(out, topic or (), keep_free << 20), threads=1)


def main() -> None:
    """Entry point of `ros2 run nextscale_ros bag_recorder`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(record)
    # ROS reads its own part of the command line by itself.
    app(args=remove_ros_args(sys.argv)[1:], prog_name="bag_recorder")


if __name__ == "__main__":
    main()

"""Viewer node: a page in the browser that shows the robot live, without RViz.

Subscribes to the topics named by the parameters `joint_states_topic` (sensor_msgs/JointState),
`odometry_topic` (nav_msgs/Odometry) and `markers_topic` (visualization_msgs/MarkerArray: the human
that the robot follows, and the sentence), and to `/tf` if tf2_msgs is installed. Without a measured
base pose, leg odometry estimates it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from visualization_msgs.msg import MarkerArray

from nextscale_core.estimation.base_pose import BasePose, BasePoseBuffer, BasePoseError
from nextscale_core.estimation.joint_states import JointStateBuffer, RobotStateError
from nextscale_core.estimation.leg_odometry import LegOdometry
from nextscale_core.viz.live import LiveViewer
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.parameters.values import declare_parameters
from nextscale_ros.qos import LATCHED, SENSORS
from nextscale_ros.robot_description import described_robot
from nextscale_ros.spin import serve
from nextscale_ros.tf import TF_TOPIC, TFMessage, root_link
from nextscale_ros.viewer.markers import sentence_of, skeleton_of

STALE = 1.0
"""Maximum age of current joint states and base poses [s]."""

_ENOUGH = 10
"""Number of updates after which an unchanged pose is not sent again."""


class ViewerNode(Node):
    """Opens the page and updates it from the subscribed topics.

    Args:
        parameter_overrides: Initial values of parameters, in addition to the command line's.
        context: ROS context of the node; None for the default context.

    Attributes:
        page: The page.

    Raises:
        NextscaleError: the robot cannot be loaded, or the page cannot be opened.
    """

    def __init__(
        self,
        *,
        parameter_overrides: Sequence[Parameter] = (),
        context: Context | None = None,
    ) -> None:
        super().__init__(
            "viewer_node", parameter_overrides=list(parameter_overrides), context=context
        )
        declare_parameters(self, section="viewer_node")
        robot = described_robot(self)
        rate = float(self._value("max_rate"))
        self._robot, self._root = robot, root_link(robot)
        self._joints = JointStateBuffer.of_robot(robot)
        self._measured, self._transformed = BasePoseBuffer(robot), BasePoseBuffer(robot)
        self._leg_odometry = LegOdometry(robot)
        self._frame = str(self._value("base_frame"))
        self._complaints: set[str] = set()
        self._sentence: str | None = None
        self._seen, self._still = np.full(robot.num_joints + 7, np.nan), 0
        # The timer below sets the rate; a limit of the page would drop every second update.
        self.page = LiveViewer(
            robot,
            host=str(self._value("host")),
            port=int(self._value("port")),
            max_rate=np.inf,
        )
        self._listen(JointState, "joint_states_topic", self._on_joints)
        self._listen(Odometry, "odometry_topic", self._on_odometry)
        self.create_subscription(
            MarkerArray, str(self._value("markers_topic")), self._on_markers, LATCHED
        )
        if TFMessage is not None:
            self.create_subscription(TFMessage, TF_TOPIC, self._on_tf, SENSORS)
        # The page is updated while simulated time stands still, too.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / rate, self._draw, clock=steady)
        self.get_logger().info(f"{robot.name} is shown at {self.page.url}")

    def destroy_node(self) -> None:
        """Close the page and destroy the node."""
        self.page.close()
        super().destroy_node()

    def _value(self, parameter: str) -> Any:
        return self.get_parameter(parameter).value

    def _listen(self, kind: type, parameter: str, callback: Any) -> None:
        self.create_subscription(kind, str(self._value(parameter)), callback, SENSORS)

    def _own(self) -> float:
        return float(self.get_clock().now().nanoseconds) / NANOSECONDS

    def _complain(self, complaint: str) -> None:
        """Log each warning once."""
        if complaint not in self._complaints and len(self._complaints) < 100:
            self._complaints.add(complaint)
            self.get_logger().warning(complaint)

    def _on_joints(self, message: JointState) -> None:
        complaints = self._joints.update(
            message.name,
            message.position,
            message.velocity,
            time.monotonic(),
            nanoseconds(message.header.stamp) / NANOSECONDS,
            self._own(),
        )
        for complaint in complaints:
            self.get_logger().warning(complaint)

    def _on_odometry(self, message: Odometry) -> None:
        pose = message.pose.pose
        self._take(
            self._measured, pose.position, pose.orientation, message.child_frame_id, message.header
        )

    def _on_tf(self, message: Any) -> None:
        for found in message.transforms:
            parent, child = found.header.frame_id.lstrip("/"), found.child_frame_id.lstrip("/")
            if (parent, child) == (self._frame, self._root):
                moved = found.transform
                self._take(
                    self._transformed, moved.translation, moved.rotation, child, found.header
                )

    def _take(self, memory: BasePoseBuffer, place: Any, turn: Any, link: str, header: Any) -> None:
        try:
            memory.update(
                np.array([place.x, place.y, place.z]),
                np.array([turn.x, turn.y, turn.z, turn.w]),
                link.lstrip("/"),
                time.monotonic(),
                nanoseconds(header.stamp) / NANOSECONDS,
                self._own(),
            )
        except BasePoseError as error:
            self._complain(f"{error}; left out")

    def _on_markers(self, message: MarkerArray) -> None:
        sentence = sentence_of(message)
        if sentence not in (None, self._sentence):
            self._sentence = sentence
            self.page.set_title(sentence)
        joints = skeleton_of(message)
        if joints is not None:
            self.page.update_skeleton(joints, placed=True)

    def _draw(self) -> None:
        """Show the last measured state of the robot."""
        now = time.monotonic()
        if self._joints.empty:
            return
        try:
            state, measured = self._joints.read(now, np.inf)
        except RobotStateError as error:
            self.page.write("joint states", str(error))
            return
        age = now - measured
        self.page.write("joint states", f"{age:.0f} s old" if age > STALE else "")
        positions = state.positions[: self._robot.num_joints]
        base, source = self._base(positions, measured, now)
        self.page.write("base", source)
        self.page.write("robot", "")  # clears "waiting for joint states"
        seen = np.concatenate([positions, base.position, base.quaternion])
        # A still robot is updated until leg odometry has found its standing feet.
        self._still = self._still + 1 if np.allclose(seen, self._seen, atol=1e-5) else 0
        if self._still < _ENOUGH:
            self._seen = seen
            self.page.update_robot(positions, base.position, base.quaternion, stamp=measured)

    def _base(self, positions: np.ndarray, measured: float, now: float) -> tuple[BasePose, str]:
        """Base pose and its source: odometry, then transforms, then leg odometry."""
        for memory, source in (
            (self._measured, f"from {self._value('odometry_topic')}"),
            (self._transformed, f"from {TF_TOPIC}"),
        ):
            pose = memory.last(now, STALE)
            if pose is not None:
                return pose, source
        position, quaternion = self._leg_odometry.update(positions, measured)
        return BasePose(position, quaternion, measured), "from the soles"


def main() -> None:
    """Entry point of `ros2 run nextscale_ros viewer_node`."""
    serve({"viewer_node": ViewerNode}, threads=1)


if __name__ == "__main__":
    main()

"""Publisher of plan markers for RViz and the viewer."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots import Robot
from nextscale_ros.qos import LATCHED
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.viewer.markers import PlanMarkers

PERIOD = 0.1
"""Period of skeleton updates [s]."""


class MarkerShow:
    """Publishes the plan when it is sent, during its execution, and at its end.

    Each message holds the whole plan and the last one is latched, so RViz shows it at any start.

    Args:
        node: Owner of publisher and timer.
        robot: The robot.
        clock: Clock of the start times of plans [s].
        active: Returns whether to publish.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        clock: Callable[[], float],
        active: Callable[[], bool],
    ) -> None:
        self._node, self._robot, self._clock, self._active = node, robot, clock, active
        self._shown: tuple[ActiveTrajectory, PlanMarkers] | None = None
        self._lock = threading.Lock()
        topic = str(node.get_parameter("markers_topic").value)
        self._publisher = node.create_publisher(MarkerArray, topic, LATCHED)
        self._timer = node.create_timer(
            PERIOD, self._on_timer, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def __call__(self, published: ActiveTrajectory, clip: MotionClip | None, text: str) -> None:
        """Publish a plan; an error is logged and does not prevent sending the trajectory."""
        if not self._active():
            return
        try:
            frame = str(self._node.get_parameter("base_frame").value)
            markers = PlanMarkers(self._robot, published.trajectory, clip, text, frame)
            self._publisher.publish(markers.at(0.0, self._stamp()))
        except Exception as error:
            self._node.get_logger().warning(f"the plan markers cannot be published: {error}")
            return
        with self._lock:
            self._shown = (published, markers)

    def destroy(self) -> None:
        """Destroy timer and publisher."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _stamp(self):  # type: ignore[no-untyped-def]
        return self._node.get_clock().now().to_msg()

    def _on_timer(self) -> None:
        with self._lock:
            shown = self._shown
        if shown is None:
            return
        published, markers = shown
        since = self._clock() - published.begin
        ended = since >= published.trajectory.time_from_start[-1]
        if ended:
            with self._lock:
                self._shown = None if self._shown is shown else self._shown
        # The final state is latched for late subscribers.
        if ended or self._publisher.get_subscription_count():
            self._publisher.publish(markers.at(max(since, 0.0), self._stamp()))

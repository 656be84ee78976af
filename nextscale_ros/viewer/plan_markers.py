"""Shows plans as markers, in RViz and in the viewer."""

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
"""Between two pictures of the human skeleton [s]."""


class MarkerShow:
    """Publishes the plan when it is sent, while it is executed, and at its end.

    Each message holds the whole plan and the last one is latched: RViz shows it whenever it starts.

    Args:
        node: Owns publisher and timer.
        robot: The robot.
        clock: The clock that plans begin by [s].
        active: Whether anything is to be published.
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
        """Show a plan; what cannot be shown must not keep a trajectory from being sent."""
        if not self._active():
            return
        try:
            frame = str(self._node.get_parameter("base_frame").value)
            markers = PlanMarkers(self._robot, published.trajectory, clip, text, frame)
            self._publisher.publish(markers.at(0.0, self._stamp()))
        except Exception as error:
            self._node.get_logger().warning(f"the plan cannot be shown: {error}")
            return
        with self._lock:
            self._shown = (published, markers)

    def destroy(self) -> None:
        """Show nothing more."""
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
        # The end is for everybody who comes later.
        if ended or self._publisher.get_subscription_count():
            self._publisher.publish(markers.at(max(since, 0.0), self._stamp()))

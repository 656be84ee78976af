"""A mock robot whose first joint gets stuck when it is told to on /sabotage.

'stuck': it stays where it is. 'path' and 'goal': it is stuck, and the controller minds on the way
or at the end. 'late': it is stuck, and has the parameter goal_time to arrive. 'deaf': the
controller answers no goal. 'slow': it takes its time to refuse each. '': all is well again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from rclpy.action import GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future
from std_msgs.msg import String

from nextscale_ros.mock.mock_controller import Motion, Tolerances, grace
from nextscale_ros.mock.mock_robot import MockRobot
from nextscale_ros.spin import serve

DEAF = 4.0
"""How long it answers nothing at all [s]."""
SLOW = 1.5
"""How long it takes to refuse a goal [s]."""


class StubbornRobot(MockRobot):
    def __init__(self) -> None:
        self._stuck_at: float | None = None
        self._slow, self._aside = False, ReentrantCallbackGroup()
        super().__init__()
        self.create_subscription(String, "sabotage", self._on_sabotage, 10)

    def _subscribe(self) -> None:
        # A goal that waits for its answer holds nothing up but itself.
        own, self._default_callback_group = self.default_callback_group, self._aside
        super()._subscribe()
        self._default_callback_group = own
        assert self._controller is not None
        self._at_once = self._controller._on_goal
        self._controller._server.register_goal_callback(self._answer)

    def _on_sabotage(self, message: String) -> None:
        assert self._controller is not None
        how = message.data
        where = float(self.desired(self._seconds(self._now()))[0][0])
        self._slow = how == "slow"
        self._stuck_at = where if how in ("stuck", "path", "goal", "late") else None
        generation = str(self.get_parameter("controller_generation").value)
        goal_time = grace(float(self.get_parameter("goal_time").value), generation)
        free = Tolerances.none(len(self._names))
        tight = np.full(len(self._names), 0.05)
        self._controller.tolerances = {
            "path": replace(free, path=tight),
            "goal": replace(free, goal=tight, goal_time=0.2),
            "stuck": replace(free, goal=tight),
            "late": replace(free, goal=tight, goal_time=goal_time),
        }.get(how, free)
        self.get_logger().info(f"sabotage: {how!r}")
        if how == "deaf":
            time.sleep(DEAF)

    async def _answer(self, goal: Any) -> GoalResponse:
        if self._slow:
            self.get_logger().info("slow to answer")
            over = Future()
            timer = self.create_timer(SLOW, lambda: over.set_result(None), self._aside)
            await over
            self.destroy_timer(timer)
            return GoalResponse.REJECT
        return self._at_once(goal)

    def measured(self, now: float) -> Motion:
        positions, velocities = super().measured(now)
        if self._stuck_at is not None:
            positions[0], velocities[0] = self._stuck_at, 0.0
        return positions, velocities


if __name__ == "__main__":
    serve({"mock_robot": StubbornRobot}, threads=1)

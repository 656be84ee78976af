"""A mock robot whose first joint gets stuck when it is told to on /sabotage.

'stuck': it stays where it is. 'path' and 'goal': it is stuck, and the controller minds on the way
or at the end. 'late': it is stuck, and has the parameter goal_time to arrive. 'deaf': the
controller answers no goal. '': all is well again.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from std_msgs.msg import String

from nextscale_ros.mock.mock_controller import Motion, Tolerances, grace
from nextscale_ros.mock.mock_robot import MockRobot
from nextscale_ros.spin import serve

DEAF = 4.0
"""How long it answers nothing at all [s]."""


class StubbornRobot(MockRobot):
    def __init__(self) -> None:
        self._stuck_at: float | None = None
        super().__init__()
        self.create_subscription(String, "sabotage", self._on_sabotage, 10)

    def _on_sabotage(self, message: String) -> None:
        assert self._controller is not None
        how = message.data
        where = float(self.desired(self._seconds(self._now()))[0][0])
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

    def measured(self, now: float) -> Motion:
        positions, velocities = super().measured(now)
        if self._stuck_at is not None:
            positions[0], velocities[0] = self._stuck_at, 0.0
        return positions, velocities


if __name__ == "__main__":
    serve(StubbornRobot, threads=1)

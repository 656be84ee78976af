"""What a robot does, from its joint states: human poses, base pose, odometry and history."""

from nextscale_core.estimation.leg_odometry import BaseSource
from nextscale_core.estimation.robot_to_human import HumanHistory, robot_to_human
from nextscale_core.estimation.samples import BaseTrack, OrientationTrack, after_last_gap

__all__ = [
    "BaseSource",
    "BaseTrack",
    "HumanHistory",
    "OrientationTrack",
    "after_last_gap",
    "robot_to_human",
]

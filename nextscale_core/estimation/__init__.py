"""State estimation: joint states, base pose, leg odometry, history, and the human motion shown."""

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

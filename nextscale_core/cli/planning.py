"""From a human motion to a trajectory that the safety gate has passed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nextscale_core.exceptions import RobotError, UnsafeTrajectoryError
from nextscale_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory
    from nextscale_core.safety.report import SafetyReport


def chosen_joints(upper_body: bool, joints: list[str] | None) -> str | list[str] | None:
    """Which joints move, from --upper-body and --joints; None for what the profile says.

    Raises:
        RobotError: both are given.
    """
    if upper_body and joints:
        raise RobotError("--upper-body and --joints both say which joints move; give one of them")
    return "upper_body" if upper_body else joints or None


class Planner:
    """A robot, its retargeter and its safety gate, loaded once for many motions.

    Args:
        name_or_urdf: Robot of the package, or the path of a URDF.
        profile: YAML profile; required with a URDF.
        rate: Samples per second [Hz].
        joints: Which joints move (see `load_robot`); None for what the profile says.

    Raises:
        RobotError: unknown robot.
        ConfigError: malformed profile.
    """

    def __init__(
        self,
        name_or_urdf: str,
        profile: Path | None,
        rate: float,
        joints: str | Sequence[str] | None = None,
    ) -> None:
        from nextscale_core.retarget.retargeter import Retargeter
        from nextscale_core.robots.robot import load_robot
        from nextscale_core.safety.gate import SafetyGate

        self.robot: Robot = load_robot(name_or_urdf, profile, joints)
        self._rate = rate
        self._retargeter = Retargeter(self.robot)
        self._gate = SafetyGate(self.robot)

    def plan(
        self, clip: MotionClip, stopwatch: Stopwatch | None = None, rounds: int = 1
    ) -> tuple[RobotTrajectory, SafetyReport]:
        """Retarget a motion and let the gate review it.

        Args:
            clip: A human motion.
            stopwatch: Gets the stages.
            rounds: How often a motion that repeats is played.

        Raises:
            UnsafeTrajectoryError: the gate refused it; the message holds the reasons.
            RetargetError: the motion cannot be mapped onto the robot.
        """
        stopwatch = stopwatch or Stopwatch()
        wanted = self._retargeter.retarget(
            clip, rate=self._rate, rounds=rounds, stopwatch=stopwatch
        )
        with stopwatch.stage("gate"):
            result = self._gate.review(wanted)
        if result.trajectory is None:
            reasons = "; ".join(finding.message for finding in result.report.findings)
            raise UnsafeTrajectoryError(
                f"the safety gate refused the trajectory for {self.robot.name}: {reasons}"
            )
        return result.trajectory, result.report

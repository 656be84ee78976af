"""Trajectories that the safety gate has passed, from sentences and from human motions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextscale_core.estimation.robot_to_human import relative_size
from nextscale_core.exceptions import UnsafeTrajectoryError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget.retargeter import Retargeter
from nextscale_core.robots.robot import Robot, load_robot
from nextscale_core.robots.state import RobotState
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety.gate import SafetyGate
from nextscale_core.safety.report import SafetyReport
from nextscale_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline

RATE = 50.0
"""Default number of trajectory points per second [Hz]."""


class MotionPlanner:
    """A robot with its retargeter and safety gate, for many motions.

    Args:
        robot: The robot, or the name of one.
        rate: Trajectory points per second [Hz].
        balance: Whether the centre of mass of slow motions is brought over the feet.

    Raises:
        RobotError: unknown robot.
    """

    def __init__(self, robot: Robot | str, rate: float = RATE, balance: bool = False) -> None:
        self.robot = load_robot(robot) if isinstance(robot, str) else robot
        self._rate, self._balance = rate, balance
        self._retargeter = Retargeter(self.robot)
        self._gate = SafetyGate(self.robot)

    @property
    def scale(self) -> float:
        """Size of the robot relative to a person, see `GenerationOptions`."""
        return relative_size(self.robot)

    def forget(self) -> None:
        """Forget what earlier motions left behind to be faster.

        The next trajectory then depends on its clip alone, to the last bit.
        """
        self._retargeter.forget()
        self._gate.forget()

    def plan(
        self,
        clip: MotionClip,
        *,
        start: RobotState | None = None,
        lead_in: Callable[[RobotTrajectory], RobotTrajectory] | None = None,
        measured: RobotState | None = None,
        stopwatch: Stopwatch | None = None,
        **retargeting: Any,
    ) -> tuple[RobotTrajectory, SafetyReport]:
        """Retarget a motion and let the safety gate check the trajectory.

        Args:
            clip: A human motion.
            start: State in which the motion begins; None for its own first pose.
            lead_in: Prepends what the robot does before the motion; applied before the check.
            measured: State in which the whole trajectory has to begin; None for `start`.
            stopwatch: Gets the stages.
            retargeting: Further arguments of `Retargeter.retarget`, such as `rounds`.

        Returns:
            The trajectory, repaired where necessary, and what the gate found.

        Raises:
            UnsafeTrajectoryError: the gate refused it; the error has the report.
            RetargetError: the motion cannot be mapped onto the robot.
        """
        stopwatch = stopwatch or Stopwatch()
        trajectory = self._retargeter.retarget(
            clip,
            rate=self._rate,
            start=start,
            balance=self._balance,
            stopwatch=stopwatch,
            **retargeting,
        )
        if lead_in is not None:
            trajectory = lead_in(trajectory)
        with stopwatch.stage("gate"):
            checked = self._gate.review(trajectory, start=start if measured is None else measured)
        if checked.trajectory is None:
            reasons = "; ".join(finding.message for finding in checked.report.findings)
            raise UnsafeTrajectoryError(
                f"the safety gate refused the trajectory for {self.robot.name}: {reasons}",
                checked.report,
            )
        return checked.trajectory, checked.report


def plan(
    text: str,
    robot: str | Path | Robot = "g1",
    *,
    model: str | Path | MotionPipeline = "moscale-cmu",
    device: str = "cpu",
    profile: Path | None = None,
    joints: str | Sequence[str] | None = None,
    rate: float = RATE,
    balance: bool = False,
    come_to_rest: bool = True,
    **generation: Any,
) -> tuple[RobotTrajectory, SafetyReport]:
    """Generate a motion, retarget it and let the safety gate check the trajectory.

    Model and robot are loaded at each call unless given as objects; `MotionPipeline` and
    `MotionPlanner` keep them for many motions.

    Example:
        >>> trajectory, report = nextscale_core.plan("a person waves", robot="g1", seed=1)

    Args:
        text: One English sentence.
        robot: Name of a robot, path of a URDF, or a loaded robot.
        model: Name or folder of a model, or a loaded pipeline.
        device: Torch device of the model.
        profile: YAML profile of the robot; required with a URDF.
        joints: Joints that move (see `load_robot`); None for those of the profile.
        rate: Trajectory points per second [Hz].
        balance: Whether the centre of mass of slow motions is brought over the feet.
        come_to_rest: Whether a motion of no given length that ends in movement goes on to a
            standstill, see `MotionPipeline.come_to_rest`.
        generation: Further arguments of `MotionPipeline.generate`, such as `seed` or `seconds`.

    Raises:
        UnsafeTrajectoryError: the gate refused it; the error has the report.
        NextscaleError: the sentence, an option, the robot or the model cannot be used.
    """
    if isinstance(robot, str | Path):
        robot = load_robot(str(robot), profile, joints)
    if isinstance(model, str | Path):
        from nextscale_core.pipeline import MotionPipeline

        model = MotionPipeline.from_pretrained(model, device=device)
    planner = MotionPlanner(robot, rate, balance)
    generation = {"scale": planner.scale, **generation}
    clip = model.generate(text, **generation)
    options = {name: one for name, one in generation.items() if name != "constraints"}
    seconds = options.get("seconds", getattr(options.get("options"), "seconds", None))
    if come_to_rest and seconds is None:
        clip = model.come_to_rest(clip, **options)
    return planner.plan(clip)

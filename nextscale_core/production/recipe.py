"""`Recipe`: how the motion of one source is made, as every worker needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nextscale_core.motion.formats.registry import MotionFormat
from nextscale_core.production.spec import ProductionSpec, RobotChoice
from nextscale_core.robots.robot import Robot, is_file, list_robots, load_robot
from nextscale_core.trajectory.formats.robot_motion import require_g1

HUMAN = ""
"""Subject of the human motion of a job, beside the names of robots."""


@dataclass(frozen=True)
class Job:
    """One source of motion, for all robots.

    Attributes:
        name: Name of its files, without suffix; begins with its number.
        sentence: The sentence; None for a capture.
        seed: Seed of the sentence; None for a capture.
        capture: Path below the folder of captures; None for a sentence.
    """

    name: str
    sentence: str | None = None
    seed: int | None = None
    capture: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A specification without its list of sources.

    Attributes:
        spec: The specification.
        root: Folder that its paths are relative to.
    """

    spec: ProductionSpec
    root: Path

    @property
    def generates(self) -> bool:
        """Whether there are sentences, which need a model."""
        return bool(self.spec.sentences or self.spec.sentence_file)

    def path(self, text: str) -> Path:
        """A path of the specification."""
        return self.root / Path(text).expanduser()

    def robot(self, choice: RobotChoice) -> Robot:
        """Load a robot.

        Raises:
            RobotError: unknown robot, or joints that it does not have.
            ConfigError: its profile is not valid.
        """
        beside = choice.name not in list_robots() and is_file(self.path(choice.name))
        name = str(self.path(choice.name)) if beside else choice.name
        profile = self.path(choice.profile) if choice.profile else None
        return load_robot(name, profile, choice.moving)

    def model(self) -> str:
        """Name or folder of the model."""
        named = self.spec.generation.model
        return str(self.path(named)) if self.path(named).is_dir() else named

    def formats(self, robot: Robot) -> list[MotionFormat]:
        """The formats that are written for a robot: those of another robot are left out.

        Raises:
            RobotError: a format needs joints of the robot that do not move.
        """
        fitting = [one for one in self.spec.robot_formats if one.robot in ("", robot.name)]
        for one in fitting:
            if one.robot:
                require_g1(robot, one.name)
        return fitting

    def simulates(self, robot: Robot) -> bool:
        """Whether a robot is simulated."""
        chosen = self.spec.simulation
        return chosen is not None and (not chosen.robots or robot.name in chosen.robots)

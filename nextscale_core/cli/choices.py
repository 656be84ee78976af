"""Options that several commands have, each written once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.exceptions import RobotError

if TYPE_CHECKING:
    from nextscale_core.motion.reading import ReadOptions
    from nextscale_core.planning import MotionPlanner

DEFAULT_MODEL = "moscale-cmu"

# The limits of `nextscale_core.motion.skeleton`, which is not imported here: --help is to be fast.
MIN_SECONDS, MAX_SECONDS = 1.0, 9.8
MAX_SEED = 2**31 - 1

Seed = Annotated[
    int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same motion.")
]
Model = Annotated[str, typer.Option(help="Name or folder of the model.")]
Steps = Annotated[
    str | None, typer.Option(help="Passes per scale, coarse to fine, such as 6,5,4,2,1.")
]
Guidance = Annotated[
    float | None, typer.Option(min=0.0, max=20.0, help="How closely the text is followed.")
]
RobotName = Annotated[
    str | None,
    typer.Option(help="Robot to move instead of a human: see 'nextscale robots', or a URDF."),
]
Profile = Annotated[
    Path | None, typer.Option(help="YAML profile of the robot; needed with a URDF.")
]
Rate = Annotated[
    float, typer.Option(min=1.0, max=1000.0, help="Samples per second for the robot [Hz].")
]
Device = Annotated[str, typer.Option(help="Torch device, such as cpu or cuda.")]

# What is known of a motion file.
Up = Annotated[
    str,
    typer.Option("--up", help="Axis of the motion file that points up: auto, y, z, x, -y, -z, -x."),
]
Unit = Annotated[
    str,
    typer.Option(
        "--unit", help="Unit of the motion file: auto, m, dm, cm, mm, inch, cmu, or its metres."
    ),
]
Fps = Annotated[
    float | None,
    typer.Option(
        "--fps", min=0.1, max=1000.0, help="Frames per second of the motion file, if it is wrong."
    ),
]
JointMap = Annotated[
    Path | None,
    typer.Option(
        "--map", help="YAML with lines 'left_knee: NAME' for joints of a BVH file that are unknown."
    ),
]


def read_options(up: str, unit: str, fps: float | None, joint_map: Path | None) -> ReadOptions:
    """What the options say of a motion file.

    Raises:
        ConfigError: an unknown axis or unit, or a malformed map.
    """
    from nextscale_core.motion.formats.rigs import read_joint_map
    from nextscale_core.motion.reading import ReadOptions

    names = None if joint_map is None else read_joint_map(joint_map)
    return ReadOptions(up=up, unit=unit, fps=fps, joint_map=names)


def chosen_joints(upper_body: bool, joints: list[str] | None) -> str | list[str] | None:
    """Which joints move, from --upper-body and --joints; None for those of the profile.

    Raises:
        RobotError: both are given.
    """
    if upper_body and joints:
        raise RobotError("--upper-body and --joints both say which joints move; give one of them")
    return "upper_body" if upper_body else joints or None


def load_planner(
    robot: str, profile: Path | None, rate: float, joints: str | Sequence[str] | None = None
) -> MotionPlanner:
    """Load a robot with its retargeter and safety gate; arguments as the options.

    Raises:
        RobotError: unknown robot.
        ConfigError: malformed profile.
    """
    from nextscale_core.planning import MotionPlanner
    from nextscale_core.robots.robot import load_robot

    return MotionPlanner(load_robot(robot, profile, joints), rate)


def parse_steps(value: str | None) -> tuple[int, ...] | None:
    """Passes per scale from text such as '6,5,4,2,1'.

    Raises:
        typer.BadParameter: not positive whole numbers. How many are needed, the model says.
    """
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isdecimal() and 0 < int(part) < 1000 for part in parts):
        raise typer.BadParameter(
            f"{value!r} must be whole numbers from 1, one per scale, such as 6,5,4,2,1",
            param_hint="--steps",
        )
    return tuple(int(part) for part in parts)

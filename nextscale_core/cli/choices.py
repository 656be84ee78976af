"""Options that several commands have, and the values parsed from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nextscale_core.exceptions import RobotError

if TYPE_CHECKING:
    from nextscale_core.model.options import GenerationOptions
    from nextscale_core.motion.reading import ReadOptions
    from nextscale_core.planning import MotionPlanner

DEFAULT_MODEL = "moscale-cmu"

# The limits of `nextscale_core.motion.skeleton`, which `--help` need not import.
MIN_SECONDS, MAX_SECONDS = 1.0, 9.8
MAX_SEED = 2**31 - 1
DEFAULT_CANDIDATES = 4

Clip = Annotated[Path, typer.Argument(help="Motion file: .npz, .npy, .bvh, .glb or .usd.")]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write: .npz, .bvh, .glb, .usd, .gif or .png; give it again for more.",
    ),
]
Seed = Annotated[
    int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same motion.")
]
Model = Annotated[str, typer.Option(help="Name or folder of the model.")]
Steps = Annotated[
    str | None, typer.Option(help="Passes per scale, coarse to fine, such as 4,4,3,1,1,1,1.")
]
Guidance = Annotated[
    float | None, typer.Option(min=0.0, max=20.0, help="How closely the text is followed.")
]
Candidates = Annotated[
    int,
    typer.Option(
        min=1, max=64, help="Motions made at once; the one that fits the sentence best is kept."
    ),
]
ComeToRest = Annotated[
    bool,
    typer.Option(
        "--come-to-rest/--no-come-to-rest",
        help="A motion of no given length that ends in movement, such as a walk, goes on for 1.5 s "
        "to a standstill.",
    ),
]
RobotName = Annotated[
    str | None,
    typer.Option(help="Robot to move instead of a human: see 'nextscale robots', or a URDF."),
]
Robot = Annotated[str, typer.Option(help="Robot: see 'nextscale robots', or the path of a URDF.")]
Profile = Annotated[
    Path | None, typer.Option(help="YAML profile of the robot; needed with a URDF.")
]
Rate = Annotated[
    float, typer.Option(min=1.0, max=1000.0, help="Samples per second for the robot [Hz].")
]
Balance = Annotated[
    bool,
    typer.Option("--balance", help="Bring the centre of mass over the feet while slow."),
]
UpperBody = Annotated[
    bool, typer.Option("--upper-body", help="Hold the robot's legs: the upper body moves.")
]
Joints = Annotated[
    list[str] | None,
    typer.Option("--joints", help="Move only joints like '*_shoulder_*'; again for more."),
]
Device = Annotated[str, typer.Option(help="Torch device, such as cpu or cuda.")]

# Overrides of what is read from a motion file.
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
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Format of the motion file, found from the file if not given ('nextscale formats').",
    ),
]
QuaternionOrder = Annotated[
    Literal["xyzw", "wxyz"] | None,
    typer.Option(
        "--quaternion",
        help="Order of the root's quaternion in a robot's motion, where the format leaves it open.",
    ),
]


def read_options(up: str, unit: str, fps: float | None, joint_map: Path | None) -> ReadOptions:
    """Options of the reader of motion files.

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
    robot: str,
    profile: Path | None,
    rate: float,
    joints: str | Sequence[str] | None = None,
    balance: bool = False,
) -> MotionPlanner:
    """Load a robot with its retargeter and safety gate; arguments as the options.

    Raises:
        RobotError: unknown robot.
        ConfigError: malformed profile.
    """
    from nextscale_core.planning import MotionPlanner
    from nextscale_core.robots.robot import load_robot

    return MotionPlanner(load_robot(robot, profile, joints), rate, balance)


def sized_for(options: GenerationOptions, planner: MotionPlanner | None) -> GenerationOptions:
    """Options for motions of a robot, if there is one."""
    return options if planner is None else replace(options, scale=planner.scale)


def generation_options(
    seed: int,
    steps: str | None,
    guidance: float | None,
    seconds: float | None = None,
    candidates: int = DEFAULT_CANDIDATES,
) -> GenerationOptions:
    """Options of the model; `steps` is text such as '4,4,3,1,1,1,1'.

    Raises:
        typer.BadParameter: steps are not positive whole numbers.
        ConfigError: another value is out of range.
    """
    from nextscale_core.model.options import GenerationOptions

    passes = None
    if steps is not None:
        parts = [part.strip() for part in steps.split(",")]
        if not all(part.isdecimal() and 0 < int(part) < 1000 for part in parts):
            raise typer.BadParameter(
                f"{steps!r} must be whole numbers from 1, one per scale, such as 4,4,3,1,1,1,1",
                param_hint="--steps",
            )
        passes = tuple(int(part) for part in parts)
    return GenerationOptions(seed, seconds, guidance, passes, candidates)


def parse_span(value: str, end: float, option: str) -> tuple[float, float]:
    """Span of time from text such as '0:1.5', ':1.5' or '3:'.

    Args:
        value: Text of the option.
        end: End of the clip, used where none is given [s].
        option: Name of the option, for the error.

    Returns:
        (start, stop) [s].

    Raises:
        typer.BadParameter: not two times in order, or times outside of the clip.
    """
    first, colon, last = value.partition(":")
    try:
        start = float(first) if first.strip() else 0.0
        stop = float(last) if last.strip() else end
    except ValueError:
        start = stop = math.nan
    if not colon or not 0 <= start < stop <= end + 1e-6:
        raise typer.BadParameter(
            f"{value!r} must be START:STOP in seconds within 0:{end:g}, such as 0:1.0",
            param_hint=option,
        )
    return start, stop

"""`nextscale convert` and `nextscale formats`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    Fps,
    From,
    JointMap,
    Profile,
    QuaternionOrder,
    Unit,
    Up,
    read_options,
)
from nextscale_core.cli.console import notes, print_facts, working
from nextscale_core.cli.outputs import check_files, robot_line
from nextscale_core.exceptions import MotionFileError, RobotError

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.motion.formats.registry import MotionFormat
    from nextscale_core.trajectory.formats.robot_motion import RobotMotion


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Motion of a human or a robot: a file or folder.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to write.")],
    to: Annotated[
        str | None,
        typer.Option("--to", help="Format to write; needed where several have the suffix of OUT."),
    ] = None,
    from_: From = None,
    robot: Annotated[
        str | None,
        typer.Option(help="Robot to write: see 'nextscale robots'; that of IN, or g1."),
    ] = None,
    profile: Profile = None,
    source_robot: Annotated[
        str | None, typer.Option(help="Robot of IN where the file does not name it; g1.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=1.0, max=1000.0, help="Samples per second of a robot's motion; the format's. [Hz]"
        ),
    ] = None,
    quaternion: QuaternionOrder = None,
    fps: Fps = None,
    up: Up = "auto",
    unit: Unit = "auto",
    joint_map: JointMap = None,
) -> None:
    """Convert a motion to another format, and to another robot.

    What is written as a robot's motion has passed the safety gate. 'nextscale formats' lists all.

    nextscale convert dance.csv dance.npz --to mjlab-npz

    nextscale convert walk.bvh walk_g1.pkl --to gmr-pkl

    nextscale convert dance.csv dance_talos.npz --to robot-npz --robot talos
    """
    from nextscale_core.conversion import FORMATS, read_any, to_human, to_robot
    from nextscale_core.motion.formats.registry import find_format
    from nextscale_core.robots.robot import load_robot
    from nextscale_core.trajectory.formats.robot_motion import (
        RobotMotion,
        RobotReadOptions,
        require_g1,
    )

    written = _output_format(target, to)
    inside = source.iterdir() if source.is_dir() else ()
    check_files([target], (source, *inside, robot, profile, source_robot, joint_map))
    if robot is not None and written.subject == "human":
        raise RobotError(f"{written.name} holds a human's motion, leave out --robot")
    if profile is not None and robot is None:
        raise RobotError("--profile needs --robot")
    known = None if from_ is None else find_format(from_, FORMATS)
    human_options = read_options(up, unit, fps, joint_map)
    # Robots are moved at the 20 frames per second of the models.
    human_options = replace(human_options, keep_rate=written.subject == "human")
    origin = None if source_robot is None else load_robot(source_robot)
    robot_options = RobotReadOptions(origin, fps, quaternion)
    with working(f"reading {source.name}"):
        read = read_any(source, known, human_options, robot_options)
    motion = read.motion
    print_facts(
        {"read": f"{source}: {read.format.name}, {_line(motion)}", **notes(motion.notes)}, []
    )
    facts: dict[str, str] = {}
    result: MotionClip | RobotMotion = motion
    with working("converting"):
        if written.subject == "human":
            result = to_human(motion) if isinstance(motion, RobotMotion) else motion
        else:
            if robot is None and isinstance(motion, RobotMotion):
                wanted = motion.robot
            else:
                wanted = load_robot(robot or "g1", profile)
            if written.robot:
                require_g1(wanted, written.name)
            result, report = to_robot(motion, wanted, rate or written.fps)
            new = [note for note in result.notes if note not in motion.notes]
            facts = {**notes(new), "safety": report.line()}
        assert written.write is not None
        written.write(result, target)
    print_facts({"wrote": f"{written.name}, {_line(result)}", **facts}, [target])


def formats() -> None:
    """List the formats that 'nextscale convert' reads and writes."""
    from rich.console import Console
    from rich.table import Table

    from nextscale_core.conversion import FORMATS

    rows = [_row(one) for one in FORMATS]
    console = Console()
    if not console.is_terminal:
        for row in rows:
            typer.echo(", ".join(row))
        return
    table = Table("name", "suffix", "use", "of", "quaternion", "joints", "rate", "content")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _row(one: MotionFormat) -> tuple[str, ...]:
    use = " and ".join(name for name, do in (("read", one.read), ("write", one.write)) if do)
    where = "in the file" if one.states_fps else "not in the file"
    rate = where if one.fps is None else f"{one.fps:g} Hz ({where})"
    return (
        one.name,
        one.suffix or "folder",
        use,
        "G1" if one.robot else {"human": "human", "robot": "any robot"}[one.subject],
        one.quaternion or "no quaternion",
        one.order,
        rate,
        one.content,
    )


def _output_format(target: Path, name: str | None) -> MotionFormat:
    """Format of --to, or the one of the suffix."""
    from nextscale_core.conversion import FORMATS
    from nextscale_core.motion.formats.registry import find_format

    if name is None:
        suffix = target.suffix.lower()
        fitting = [one for one in FORMATS if one.write is not None and one.has_suffix(suffix)]
        if not fitting:
            known = sorted({one.suffix or "a folder" for one in FORMATS if one.write is not None})
            raise MotionFileError(
                f"{target}: {suffix or 'no suffix'!r} is not written; known are {', '.join(known)} "
                "(see nextscale formats)"
            )
        if len(fitting) != 1:
            names = [one.name for one in fitting]
            raise MotionFileError(
                f"{target}: give the format with --to: {', '.join(names)} (see nextscale formats)"
            )
        chosen = fitting[0]
    else:
        chosen = find_format(name, FORMATS)
    if chosen.write is None:
        raise MotionFileError(f"{chosen.name} can be read, not written; see nextscale formats")
    if not chosen.has_suffix(target.suffix.lower()):
        wanted = f"end in {chosen.suffix}" if chosen.suffix else "be a folder, without a suffix"
        raise MotionFileError(f"{target}: a {chosen.name} must {wanted}")
    if target.is_dir():
        raise MotionFileError(f"{target} is a folder that exists; give a new name")
    return chosen


def _line(motion: MotionClip | RobotMotion) -> str:
    """Length and rate of a motion."""
    from nextscale_core.motion.clip import MotionClip

    if isinstance(motion, MotionClip):
        return f"{motion.seconds:.2f} s, {len(motion)} frames at {motion.fps:g} Hz"
    return robot_line(motion.robot, motion.trajectory)

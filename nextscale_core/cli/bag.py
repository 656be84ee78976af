"""`nextscale bag`: motion from ROS 2 recordings and back, without a ROS installation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    Fps,
    From,
    JointMap,
    Profile,
    QuaternionOrder,
    Rate,
    Robot,
    Unit,
    Up,
    load_planner,
    read_options,
)
from nextscale_core.cli.console import advance, notes, print_facts, progress_bar, working
from nextscale_core.cli.inputs import Source, read_any_motion
from nextscale_core.cli.outputs import (
    check_outputs,
    make_folder,
    robot_line,
    write_human,
    write_robot,
)
from nextscale_core.exceptions import BagError, MotionFileError

if TYPE_CHECKING:
    from nextscale_core.bags.reconstruction import RecordedMotion
    from nextscale_core.robots.robot import Robot as LoadedRobot
    from nextscale_core.trajectory.formats.robot_motion import RobotMotion

app = typer.Typer(
    no_args_is_help=True, help="Read and write rosbag2 recordings, without a ROS installation."
)

BagPath = Annotated[
    Path, typer.Argument(help="Recording: a rosbag2 folder, or its .mcap or .db3 file.")
]
Files = Annotated[
    list[Path] | None, typer.Option("--out", "-o", help="File to write; again for more.")
]
JointStates = Annotated[
    list[str] | None, typer.Option(help="Topic of joint states; again where the robot has several.")
]
OdometryTopic = Annotated[
    str | None,
    typer.Option("--odometry", help="Topic of the base's odometry, or 'none'; /odom if there."),
]
ImuTopic = Annotated[
    str | None, typer.Option("--imu", help="Topic of an IMU, used where there is no odometry.")
]
ImuLink = Annotated[
    str, typer.Option(help="Link that the IMU sits on; the one its messages name if not given.")
]
SenderNumbers = Annotated[
    list[int] | None,
    typer.Option(
        "--sender",
        min=1,
        help="Read the joint states of this sender only, by its number in the error about senders "
        "that contradict each other; again for more.",
    ),
]
Begin = Annotated[float, typer.Option(min=0.0, help="Where to begin in the recording [s].")]
End = Annotated[
    float | None, typer.Option(min=0.0, help="Where to end in the recording [s]; its end.")
]
MaxGap = Annotated[
    float,
    typer.Option(
        min=0.0, help="Pauses of the joint states up to this are bridged by straight lines [s]."
    ),
]
AssumeNominal = Annotated[
    bool,
    typer.Option(
        "--assume-nominal", help="Joints that were not recorded stand as when the robot stands."
    ),
]


@app.command("info")
def info(bag: BagPath) -> None:
    """Show the contents of a recording, and the topics of the robot's motion in it.

    nextscale bag info walk_2026_05_01/
    """
    from rich.console import Console
    from rich.table import Table

    from nextscale_core.bags import Bag
    from nextscale_core.bags.definitions import JOINT_STATE, decode
    from nextscale_core.bags.measured import choose_sources
    from nextscale_core.bags.reading import NANOSECONDS
    from nextscale_core.bags.senders import find_conflict

    with Bag(bag) as recording:
        facts = {
            "bag": f"{bag}: {recording.storage}, {recording.seconds:.2f} s, "
            f"{sum(topic.count for topic in recording.topics)} messages",
            "begin": f"{recording.begin / NANOSECONDS:.3f} s",
        }
        try:
            sources = choose_sources(recording)
            first = next(recording.messages(sources.joint_states))
            names = decode(JOINT_STATE, first.data).name
            facts["joints"] = f"{len(names)}: {', '.join(names[:4])}, ..."
            facts["motion from"] = ", ".join(sources.topics)
            conflict = find_conflict(recording, sources.joint_states)
            if conflict is not None:
                facts["conflict"] = str(conflict)
        except (BagError, StopIteration) as error:
            facts["motion"] = f"none can be made of it: {error or 'no joint state'}"
        facts |= notes(recording.notes)
        table = Table("topic", "type", "messages", box=None, pad_edge=False)
        for topic in recording.topics:
            table.add_row(topic.name, topic.kind, str(topic.count))
    print_facts(facts, [])
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    for topic in recording.topics:
        typer.echo(f"{topic.name}: {topic.kind}, {topic.count}")


@app.command("to-motion")
def to_motion(
    bag: BagPath,
    out: Files = None,
    robot: Robot = "g1",
    profile: Profile = None,
    joint_states: JointStates = None,
    odometry: OdometryTopic = None,
    imu: ImuTopic = None,
    imu_link: ImuLink = "",
    sender: SenderNumbers = None,
    begin: Begin = 0.0,
    end: End = None,
    max_gap: MaxGap = 0.25,
    assume_nominal: AssumeNominal = False,
    text: Annotated[str, typer.Option(help="What the person does, in English.")] = "",
) -> None:
    """Make the human motion (22 joints, 20 Hz) that a robot's recorded joints show.

    nextscale bag to-motion walk_2026_05_01/ --robot g1 --out walk.npz --out walk.gif

    nextscale bag to-motion talos.db3 --robot talos --begin 12 --end 20 --out wave.bvh
    """
    from nextscale_core.motion.skeleton import FPS

    files = check_outputs(out, robot=False, inputs=(bag, robot, profile))
    topics = (joint_states or [], odometry, imu, imu_link, sender or [])
    loaded = _load(robot, profile)
    found = _reconstructed(
        bag, loaded, topics, (begin, end), max_gap, assume_nominal, fps=FPS, text=text
    )
    for path in files:
        write_human(found.clip, path)
    facts = {"motion": f"{found.clip.seconds:.2f} s, {len(found.clip)} frames, of {loaded.name}"}
    print_facts({**facts, **_facts(found)}, files)


@app.command("to-trajectory")
def to_trajectory(
    bag: BagPath,
    out: Files = None,
    robot: Robot = "g1",
    profile: Profile = None,
    joint_states: JointStates = None,
    odometry: OdometryTopic = None,
    imu: ImuTopic = None,
    imu_link: ImuLink = "",
    sender: SenderNumbers = None,
    begin: Begin = 0.0,
    end: End = None,
    max_gap: MaxGap = 0.25,
    assume_nominal: AssumeNominal = False,
    rate: Rate = 50.0,
    text: Annotated[str, typer.Option(help="What the robot does, in English.")] = "",
) -> None:
    """Make a robot trajectory of what a robot did, for 'nextscale view' and 'bag from-motion'.

    nextscale bag to-trajectory walk_2026_05_01/ --robot g1 --out walk_g1.npz
    """
    files = check_outputs(out, robot=True, inputs=(bag, robot, profile))
    topics = (joint_states or [], odometry, imu, imu_link, sender or [])
    loaded = _load(robot, profile)
    found = _reconstructed(
        bag, loaded, topics, (begin, end), max_gap, assume_nominal, fps=rate, text=text
    )
    trajectory = found.trajectory(loaded, text)
    for path in files:
        write_robot(loaded, trajectory, path, None)
    print_facts({"robot": robot_line(loaded, trajectory), **_facts(found)}, files)


@app.command("from-motion")
def from_motion(
    motion: Annotated[
        Path,
        typer.Argument(help="Motion of a robot or a human, of any format of 'nextscale formats'."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the bag; it must not exist.")
    ] = None,
    robot: Annotated[
        str | None,
        typer.Option(
            help="Robot of a human motion, or of a robot's motion that does not name it; g1."
        ),
    ] = None,
    profile: Profile = None,
    rate: Rate = 50.0,
    up: Up = "auto",
    unit: Unit = "auto",
    fps: Fps = None,
    joint_map: JointMap = None,
    from_: From = None,
    quaternion: QuaternionOrder = None,
) -> None:
    """Write a motion as a recording (mcap) that RViz, Foxglove and PlotJuggler play.

    nextscale bag from-motion walk_g1.npz --out walk_bag

    nextscale bag from-motion walk.bvh --robot talos --out walk_talos
    """
    from nextscale_core.bags.trajectory_bag import write_bag

    if out is None:
        raise MotionFileError("no output: give --out FOLDER")
    if out.exists():
        raise BagError(f"{out} exists already; give a new folder")
    options = read_options(up, unit, fps, joint_map)
    with working(f"reading {motion.name}"):
        source = Source(options, robot, profile, from_, quaternion)
        read = _trajectory_of(motion, source, rate)
    trajectory = read.trajectory
    make_folder(out.parent)
    with progress_bar("writing") as bar:
        count = write_bag(trajectory, out, read.robot, progress=partial(advance, bar))
    facts = {
        "robot": f"{trajectory.robot}: {len(trajectory.joint_names)} joints, {len(trajectory)} "
        f"points, {trajectory.seconds:.2f} s",
        "bag": f"{count} messages on /joint_states, /odom, /tf and /motion_command",
        **notes(read.notes),
    }
    print_facts(facts, [out])


def _load(robot: str, profile: Path | None) -> LoadedRobot:
    with working(f"loading {robot}"):
        from nextscale_core.robots.robot import load_robot

        return load_robot(robot, profile)


def _reconstructed(
    bag: Path,
    robot: LoadedRobot,
    topics: tuple[list[str], str | None, str | None, str, list[int]],
    span: tuple[float, float | None],
    max_gap: float,
    assume_nominal: bool,
    *,
    fps: float,
    text: str,
) -> RecordedMotion:
    """Human motion of a bag; `topics` are the arguments of `choose_sources`."""
    from nextscale_core.bags import Bag
    from nextscale_core.bags.measured import Span, choose_sources, read_measured
    from nextscale_core.bags.reconstruction import reconstruct

    with Bag(bag) as recording:
        sources = choose_sources(recording, *topics)
        with progress_bar("reading [s]") as bar:
            measured = read_measured(
                recording,
                robot,
                sources,
                fps,
                span=Span(*span),
                max_gap=max_gap,
                progress=lambda done, total: advance(bar, round(done), round(total)),
            )
    with progress_bar("posing the human") as bar:
        return reconstruct(
            robot,
            measured,
            fps,
            missing="nominal" if assume_nominal else "error",
            text=text,
            progress=partial(advance, bar),
        )


def _facts(found: RecordedMotion) -> dict[str, str]:
    return {"base from": found.describe_base(), **notes(found.notes)}


def _trajectory_of(path: Path, source: Source, rate: float) -> RobotMotion:
    """Robot's motion of a file, or the retargeted human motion of a file, with the notes."""
    from nextscale_core.trajectory.formats.robot_motion import RobotMotion

    motion = read_any_motion(path, source)
    if not isinstance(motion, RobotMotion):
        planner = load_planner(source.robot or "g1", source.profile, rate)
        remarks = tuple(map(str, motion.notes))
        return RobotMotion(planner.robot, planner.plan(motion)[0], remarks)
    named = motion.trajectory.robot
    if source.robot is not None and source.profile is None and source.robot != named:
        raise BagError(f"{path} is a trajectory of {named}, not of {source.robot}")
    return motion

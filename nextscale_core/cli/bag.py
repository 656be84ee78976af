"""`nextscale bag`: motion from ROS 2 recordings and back, without a ROS installation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    Fps,
    JointMap,
    Profile,
    Rate,
    Robot,
    Unit,
    Up,
    load_planner,
    read_options,
)
from nextscale_core.cli.console import advance, notes, print_facts, progress_bar, working
from nextscale_core.cli.inputs import is_trajectory
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
    from nextscale_core.motion.reading import ReadNote, ReadOptions
    from nextscale_core.robots.robot import Robot as LoadedRobot
    from nextscale_core.robots.trajectory import RobotTrajectory

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

    files = check_outputs(out, robot=False)
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
    files = check_outputs(out, robot=True)
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
        typer.Argument(help="Robot trajectory (.npz), or human motion (.npz, .npy, .bvh, .glb)."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the bag; it must not exist.")
    ] = None,
    robot: Annotated[
        str | None,
        typer.Option(help="Robot of a human motion, g1 if not given; a trajectory names its own."),
    ] = None,
    profile: Profile = None,
    rate: Rate = 50.0,
    up: Up = "auto",
    unit: Unit = "auto",
    fps: Fps = None,
    joint_map: JointMap = None,
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
        loaded, trajectory, remarks = _trajectory_of(motion, robot, profile, rate, options)
    make_folder(out.parent)
    with progress_bar("writing") as bar:
        count = write_bag(trajectory, out, loaded, progress=partial(advance, bar))
    facts = {
        "robot": f"{trajectory.robot}: {len(trajectory.joint_names)} joints, {len(trajectory)} "
        f"points, {trajectory.seconds:.2f} s",
        "bag": f"{count} messages on /joint_states, /odom, /tf and /motion_command",
        **notes(remarks),
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


def _trajectory_of(
    motion: Path, robot: str | None, profile: Path | None, rate: float, options: ReadOptions
) -> tuple[LoadedRobot, RobotTrajectory, tuple[ReadNote, ...]]:
    """Trajectory of a file, or of the retargeted human motion of a file, and the reader's notes."""
    from nextscale_core.motion import read_motion
    from nextscale_core.robots.robot import load_robot
    from nextscale_core.robots.trajectory import read_trajectory

    if is_trajectory(motion):
        trajectory = read_trajectory(motion)
        if robot is not None and profile is None and robot != trajectory.robot:
            raise BagError(f"{motion} is a trajectory of {trajectory.robot}, not of {robot}")
        return load_robot(robot or trajectory.robot, profile), trajectory, ()
    planner = load_planner(robot or "g1", profile, rate)
    clip = read_motion(motion, options)
    return planner.robot, planner.plan(clip)[0], clip.notes

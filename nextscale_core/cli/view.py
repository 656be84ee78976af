"""`nextscale view`: show a motion in a browser or as a picture."""

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
    Unit,
    Up,
    read_options,
)
from nextscale_core.cli.console import advance, notes, print_facts, progress_bar, working
from nextscale_core.cli.inputs import Source, read_any_motion
from nextscale_core.cli.outputs import check_suffixes, robot_line
from nextscale_core.exceptions import RobotError

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory
    from nextscale_core.trajectory.formats.robot_motion import RobotMotion
    from nextscale_core.viz.scene import Scene


def view(
    motion: Annotated[
        Path,
        typer.Argument(help="Motion of a human or a robot, of any format of 'nextscale formats'."),
    ],
    robot: Annotated[
        str | None,
        typer.Option(
            help="Show a human motion on this robot too: see 'nextscale robots', or a URDF. "
            "The robot of a robot's motion where the file does not name it; g1."
        ),
    ] = None,
    profile: Profile = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the page; in use: the next free one.")
    ] = 8080,
    host: Annotated[
        str, typer.Option(help="Address of the page; 0.0.0.0 lets other machines look.")
    ] = "127.0.0.1",
    png: Annotated[
        Path | None, typer.Option(help="Write a strip of poses here instead of opening a page.")
    ] = None,
    gif: Annotated[
        Path | None, typer.Option(help="Write an animation here instead of opening a page.")
    ] = None,
    up: Up = "auto",
    unit: Unit = "auto",
    fps: Fps = None,
    joint_map: JointMap = None,
    from_: From = None,
    quaternion: QuaternionOrder = None,
) -> None:
    """Look at a motion: robot and human side by side, in a browser or as a picture.

    nextscale view walk.bvh --robot g1

    nextscale view walk_g1.npz --gif walk.gif

    nextscale view dance.csv
    """
    pictures = [path for path in (png, gif) if path is not None]
    check_suffixes({"png": png, "gif": gif}, (motion, robot, profile, joint_map))
    options = read_options(up, unit, fps, joint_map)
    source = Source(options, robot, profile, from_, quaternion)
    if not pictures:
        from nextscale_core.viz.viser_scene import require_viser

        require_viser()  # before the work, not after it
    with working(f"reading {motion.name}"):
        scene, seconds = _scene_of(motion, source)
    facts = {"motion": f"{motion}: {seconds:.2f} s", **dict(scene.facts)}
    if pictures:
        from nextscale_core.viz.pictures import draw_scene

        for path in pictures:
            with progress_bar(f"drawing {path.name}") as bar:
                draw_scene(scene, path, partial(advance, bar))
        print_facts(facts, pictures)
        return
    _serve(scene, facts, host, port)


def _serve(scene: Scene, facts: dict[str, str], host: str, port: int) -> None:
    from nextscale_core.viz.viewer import Viewer

    with working("opening the page"):
        viewer = Viewer(scene, host=host, port=port)
    try:
        print_facts({**facts, "page": f"{viewer.url} (Ctrl-C ends it)"}, [])
        viewer.wait()
    except KeyboardInterrupt:
        pass
    finally:
        viewer.close()


def _scene_of(path: Path, source: Source) -> tuple[Scene, float]:
    """Scene of a motion file, and the duration of the motion [s]."""
    from dataclasses import replace

    from nextscale_core.trajectory.formats.robot_motion import RobotMotion
    from nextscale_core.viz.scene import human_scene

    if source.profile is not None and source.robot is None:
        raise RobotError("--profile needs --robot")
    motion = read_any_motion(path, source)
    remarks = tuple(notes(motion.notes).items())
    if isinstance(motion, RobotMotion):
        return _trajectory_scene(motion, path, remarks), motion.trajectory.seconds
    if source.robot is None:
        scene = human_scene(motion, path.stem)
        return replace(scene, facts=(*remarks, *scene.facts)), motion.seconds
    from nextscale_core.retarget.retargeter import Retargeter
    from nextscale_core.robots.robot import load_robot
    from nextscale_core.safety.gate import SafetyGate
    from nextscale_core.viz.scene import robot_scene

    loaded = load_robot(source.robot, source.profile)
    wanted = Retargeter(loaded).retarget(motion)
    result = SafetyGate(loaded).review(wanted)
    # A refused trajectory is shown too, with the gate's reasons.
    shown = result.trajectory or wanted
    scene = robot_scene(loaded, shown, motion, title=path.stem)
    more = (*remarks, *scene.facts)
    scene = replace(scene, facts=_facts(loaded, shown, result.report.line(), more))
    return scene, shown.seconds


def _trajectory_scene(
    motion: RobotMotion, path: Path, remarks: tuple[tuple[str, str], ...]
) -> Scene:
    from dataclasses import replace

    from nextscale_core.safety.gate import SafetyGate
    from nextscale_core.viz.scene import robot_scene

    robot, trajectory = motion.robot, motion.trajectory
    scene = robot_scene(robot, trajectory, title=path.stem)
    report = SafetyGate(robot).review(trajectory).report
    more = (*remarks, *scene.facts)
    return replace(scene, facts=_facts(robot, trajectory, report.line(), more))


def _facts(
    robot: Robot, trajectory: RobotTrajectory, gate: str, more: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    return (("robot", robot_line(robot, trajectory)), *more, ("safety", gate))

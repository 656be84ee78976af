"""`nextscale retarget`: a recorded or generated motion becomes a robot's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscale_core.cli.choices import Fps, JointMap, Profile, Unit, Up, read_options
from nextscale_core.cli.console import notes, print_facts, working
from nextscale_core.cli.outputs import check_outputs, write_robot
from nextscale_core.cli.planning import Planner, chosen_joints
from nextscale_core.stopwatch import Stopwatch


def retarget(
    motion: Annotated[Path, typer.Argument(help="Motion file: .npz, .bvh or .npy.")],
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", help="File to write: .npz, .gif or .png; again for more."),
    ] = None,
    robot: Annotated[
        str, typer.Option(help="Robot: see 'nextscale robots', or the path of a URDF.")
    ] = "g1",
    profile: Profile = None,
    rate: Annotated[
        float, typer.Option(min=1.0, max=1000.0, help="Samples per second [Hz].")
    ] = 50.0,
    rounds: Annotated[
        int, typer.Option(min=1, help="Play a motion that repeats so often, walks going on.")
    ] = 1,
    upper_body: Annotated[
        bool, typer.Option("--upper-body", help="Hold the legs: only the upper body moves.")
    ] = False,
    joints: Annotated[
        list[str] | None,
        typer.Option("--joints", help="Move only joints like '*_shoulder_*'; again for more."),
    ] = None,
    up: Up = "auto",
    unit: Unit = "auto",
    fps: Fps = None,
    joint_map: JointMap = None,
) -> None:
    """Map a human motion onto a robot, inside its limits and past the safety gate.

    nextscale retarget walk.bvh --robot g1 --out walk.npz --out walk.gif

    nextscale retarget wave.npz --robot g1 --upper-body --out wave_g1.npz

    nextscale retarget walk.bvh --robot g1 --rounds 4 --out walk_on.npz

    nextscale retarget take.bvh --fps 60 --map my_rig.yaml --out take_g1.npz
    """
    files = out or []
    check_outputs(files, robot=True)
    choice = chosen_joints(upper_body, joints)
    options = read_options(up, unit, fps, joint_map)
    stopwatch = Stopwatch()
    with working(f"reading {motion.name}"):
        from nextscale_core.motion import read_motion

        clip = read_motion(motion, options)
    # Before anything is refused: how the file was taken may be the reason.
    print_facts(
        {
            "motion": f"{motion}: {clip.seconds:.2f} s, {len(clip)} frames at {clip.fps:g} Hz",
            **notes(clip.notes),
        },
        [],
    )
    with working(f"retargeting {motion.name} to {robot}"):
        planner = Planner(robot, profile, rate, choice)
        trajectory, report = planner.plan(clip, stopwatch, rounds)
        for path in files:
            write_robot(planner.robot, trajectory, path, clip.seed)
    print_facts(
        {
            "robot": f"{planner.robot.name}: {len(trajectory.joint_names)} joints, "
            f"{len(trajectory)} points, {trajectory.seconds:.2f} s at {trajectory.fps:g} Hz",
            "safety": report.line(),
            "time": stopwatch.line(),
        },
        files,
    )

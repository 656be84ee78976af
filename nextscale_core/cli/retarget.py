"""`nextscale retarget`: robot trajectories of recorded or generated motions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nextscale_core.cli.choices import (
    Balance,
    Fps,
    JointMap,
    Joints,
    Profile,
    Rate,
    Robot,
    Unit,
    Up,
    UpperBody,
    chosen_joints,
    load_planner,
    read_options,
)
from nextscale_core.cli.console import notes, print_facts, working
from nextscale_core.cli.outputs import check_outputs, write_planned, write_streamed
from nextscale_core.exceptions import RetargetError
from nextscale_core.stopwatch import Stopwatch


def retarget(
    motion: Annotated[Path, typer.Argument(help="Motion file: .npz, .npy, .bvh, .glb or .usd.")],
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", help="File to write: .npz, .gif or .png; again for more."),
    ] = None,
    robot: Robot = "g1",
    profile: Profile = None,
    rate: Rate = 50.0,
    rounds: Annotated[
        int, typer.Option(min=1, help="Times that a motion that repeats is played; walks go on.")
    ] = 1,
    upper_body: UpperBody = False,
    joints: Joints = None,
    balance: Balance = False,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Frame by frame, as from a live source: 60 Hz, and never slower."
        ),
    ] = False,
    up: Up = "auto",
    unit: Unit = "auto",
    fps: Fps = None,
    joint_map: JointMap = None,
) -> None:
    """Map a human motion onto a robot, inside its limits and past the safety gate.

    nextscale retarget walk.bvh --robot g1 --out walk.npz --out walk.gif

    nextscale retarget wave.npz --robot g1 --upper-body --out wave_g1.npz

    nextscale retarget walk.bvh --robot g1 --rounds 4 --out walk_on.npz

    nextscale retarget walk.bvh --stream --out live.npz

    nextscale retarget take.bvh --fps 60 --map my_rig.yaml --out take_g1.npz
    """
    files = check_outputs(out, robot=True, inputs=(motion, robot, profile, joint_map))
    if stream and (rounds > 1 or balance):
        raise RetargetError("--stream shows each frame once, at once: without --rounds, --balance")
    choice = chosen_joints(upper_body, joints)
    options = read_options(up, unit, fps, joint_map)
    stopwatch = Stopwatch()
    with working(f"reading {motion.name}"):
        from nextscale_core.motion import read_motion

        clip = read_motion(motion, options)
    # Printed first: how the file was read may explain a refusal.
    print_facts(
        {
            "motion": f"{motion}: {clip.seconds:.2f} s, {len(clip)} frames at {clip.fps:g} Hz",
            **notes(clip.notes),
        },
        [],
    )
    if stream:
        with working(f"loading {robot}"):
            from nextscale_core.robots.robot import load_robot

            loaded = load_robot(robot, profile, choice)
        facts = write_streamed(loaded, clip, files, stopwatch)
        print_facts({**facts, "time": stopwatch.line()}, files)
        return
    with working(f"loading {robot}"):
        planner = load_planner(robot, profile, rate, choice, balance)
    facts = write_planned(planner, clip, files, stopwatch, rounds)
    print_facts({**facts, "time": stopwatch.line()}, files)

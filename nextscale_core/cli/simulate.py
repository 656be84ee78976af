"""`nextscale simulate`: does a robot in physics stay on its feet?"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextscale_core.cli.choices import (
    Fps,
    JointMap,
    Profile,
    Seed,
    Unit,
    Up,
    load_planner,
    read_options,
)
from nextscale_core.cli.console import advance, print_facts, progress_bar, working
from nextscale_core.cli.inputs import Source, read_any_motion
from nextscale_core.cli.outputs import check_suffixes
from nextscale_core.exceptions import MotionFileError, NextscaleError

if TYPE_CHECKING:
    from nextscale_core.motion.reading import ReadOptions
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory
    from nextscale_core.simulation.balancer import Balancer
    from nextscale_core.simulation.config import SimulationConfig
    from nextscale_core.simulation.rollout import Rollout


def simulate(
    motion: Annotated[
        list[Path],
        typer.Argument(help="Robot trajectories (.npz) or human motions (.npz, .bvh, .npy)."),
    ],
    robot: Annotated[
        str | None,
        typer.Option(
            help="Robot of a human motion, g1 if not given; a trajectory names its robot itself."
        ),
    ] = None,
    profile: Profile = None,
    controller: Annotated[
        str | None,
        typer.Option(
            help="What drives the motors: walking, tracker or pd. Not given: what the policy is "
            "made for, or pd without one."
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="ONNX file of the policy; walking finds one that is installed."),
    ] = None,
    floating: Annotated[
        bool,
        typer.Option("--floating", help="Let the base move with pd too, which does not balance."),
    ] = False,
    push: Annotated[
        float, typer.Option(help="Push the base every two seconds, by a velocity of [m/s].")
    ] = 0.0,
    friction: Annotated[
        float, typer.Option(help="Coefficient of friction between soles and floor.")
    ] = 1.0,
    delay: Annotated[float, typer.Option(help="Delay of the motors [s].")] = 0.0,
    noise: Annotated[
        float, typer.Option(help="Factor on usual sensor noise; 0 for exact measurements.")
    ] = 0.0,
    seed: Seed = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
    gif: Annotated[
        Path | None, typer.Option(help="Write an animation of one motion and its reference here.")
    ] = None,
    up: Up = "auto",
    unit: Unit = "auto",
    fps: Fps = None,
    joint_map: JointMap = None,
) -> None:
    """Let a robot execute motions in physics: does it stay up, how well does it follow?

    nextscale simulate walk_g1.npz --controller walking --gif walk.gif

    nextscale simulate *.npz --policy tracker.onnx --push 0.5 --friction 0.6 --json figures.json
    """
    from nextscale_core.simulation.config import SimulationConfig
    from nextscale_core.simulation.model import require_mujoco

    inputs = (*motion, robot, profile, policy, joint_map)
    check_suffixes({"json": json_file, "gif": gif}, inputs)
    if gif is not None and len(motion) > 1:
        raise MotionFileError(f"--gif shows one motion, got {len(motion)}; run it for each")
    require_mujoco()  # before the work, not after it
    options = read_options(up, unit, fps, joint_map)
    fixed = not floating and controller in (None, "pd") and policy is None
    config = SimulationConfig(friction, delay, noise, push, fixed_base=fixed, seed=seed)
    figures: list[dict[str, object]] = []
    failure: NextscaleError | None = None
    for path in motion:
        try:
            chosen, trajectory = _trajectory_of(path, robot, profile, options)
            rollout = _run(chosen, trajectory, controller, policy, config, path)
        except NextscaleError as error:
            if len(motion) == 1:
                raise
            # The other motions still count.
            typer.echo(f"error: {path}: {error}", err=True)
            failure = error
            figures.append({"file": str(path), "error": str(error)})
            continue
        figures.append({"file": str(path), **rollout.to_dict()})
        print_facts({"motion": str(path), **_facts(rollout, config)}, [])
        if gif is not None:
            from nextscale_core.viz.pictures import draw_comparison

            with progress_bar(f"drawing {gif.name}") as bar:
                draw_comparison(
                    chosen, rollout.motion, rollout.reference, gif, partial(advance, bar)
                )
    if json_file is not None:
        _write_json(json_file, config, figures)
    print_facts({}, [path for path in (json_file, gif) if path is not None])
    if failure is not None:
        raise failure


def _trajectory_of(
    path: Path, robot: str | None, profile: Path | None, options: ReadOptions
) -> tuple[Robot, RobotTrajectory]:
    """A robot and its trajectory, from a robot's or a human's motion."""
    from nextscale_core.trajectory.formats.robot_motion import RobotMotion

    motion = read_any_motion(path, Source(options, robot, profile))
    if isinstance(motion, RobotMotion):
        return motion.robot, motion.trajectory
    with working(f"retargeting {path.name}"):
        planner = load_planner(robot or "g1", profile, 50.0)
        return planner.robot, planner.plan(motion)[0]


def _run(
    robot: Robot,
    trajectory: RobotTrajectory,
    controller: str | None,
    policy: Path | None,
    config: SimulationConfig,
    path: Path,
) -> Rollout:
    from nextscale_core.simulation.policies import make_balancer
    from nextscale_core.simulation.rollout import simulate as run

    balancer: Balancer = make_balancer(robot, controller, policy)
    with progress_bar(f"simulating {path.name}") as bar:
        return run(robot, trajectory, balancer, config, partial(advance, bar))


def _facts(rollout: Rollout, config: SimulationConfig) -> dict[str, str]:
    figures = rollout.to_dict()
    if config.fixed_base:
        outcome = "the base is fixed in the world: nothing is said about balance"
    elif rollout.up:
        outcome = "stays up"
    else:
        outcome = f"falls after {rollout.fall_time:.2f} s of {figures['seconds']:.2f} s"
    return {
        "controller": rollout.controller,
        "outcome": outcome,
        "errors": (
            f"joints {rollout.joint_error:.1f} deg, key bodies {rollout.key_body_error:.1f} cm, "
            f"velocity {rollout.velocity_error:.2f} m/s, drift {rollout.root_drift:.2f} m"
        ),
        "torque": f"{100 * rollout.saturation:.1f} % of the samples at the effort limit",
    }


def _write_json(path: Path, config: SimulationConfig, figures: list[dict[str, object]]) -> None:
    from nextscale_core.npz import write_text

    text = json.dumps({"simulation": vars(config), "motions": figures}, indent=1)
    write_text(path, text + "\n")

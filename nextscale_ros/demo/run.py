"""`nextscale-demo`: sentences through the whole system, on a private ROS graph.

Starts the generate node and the mock robot, with `--sim` a simulated robot, as separate processes,
sends each sentence over DDS while the previous motion is still executed, and draws the motion of
the robot. The exit status is 0 only if every step succeeded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import rclpy
import typer
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table

from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots import Robot, load_robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.viz import draw_robot
from nextscale_ros.bringup.processes import Child, end_on_signals, private_graph
from nextscale_ros.demo.recorder import DemoTimeoutError, Recorder
from nextscale_ros.demo.session import Answer, DemoError, Seam, Session, seams
from nextscale_ros.demo.simulation import SimulatedSession, SimulationRecorder, reference_seams
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.options import DESCRIPTIONS, Options
from nextscale_ros.simulated_robot.choice import AUTO, Choice, choose

DEFAULT_TEXTS = (
    "a person walks forward",
    "a person waves with the right hand",
    "a person turns around",
)

ANIMATION_RATE = 12.5
"""Pictures per second of the animation [Hz]."""

STILL = 0.7
"""Duration of the drawn motion before the first takeover [s]."""


@dataclass(frozen=True)
class Result:
    """Result of the demo.

    Attributes:
        answers: Results of the sentences.
        seams: Difference between each trajectory's first point and the robot's motion.
        executed: Motion of the robot.
        final_error: Final distance to the last commanded point [rad].
        picture: Picture of the executed motion; beside a simulated robot's there is a GIF.
    """

    answers: tuple[Answer, ...]
    seams: tuple[Seam, ...]
    executed: RobotTrajectory
    final_error: float
    picture: Path


def demo(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Sentences for the robot, in order; default: "
            + ", ".join(f"'{text}'" for text in DEFAULT_TEXTS)
            + "."
        ),
    ] = None,
    robot: Annotated[str, typer.Option(help="Robot profile or URDF.")] = "g1",
    model: Annotated[str, typer.Option(help="Name or folder of the motion model.")] = "moscale-cmu",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    seconds: Annotated[float, typer.Option(help="Length [s]; 0: the model chooses.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed; -1: a new one.")] = -1,
    interrupt: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Time from the start of a motion to sending the next sentence [s]; default: such "
            "that the next motion takes over about 1 s before the end.",
        ),
    ] = None,
    sim: Annotated[
        bool,
        typer.Option("--sim", help="A simulated robot in physics instead of the mock robot."),
    ] = False,
    balancer: Annotated[str | None, typer.Option(help=DESCRIPTIONS["balancer"] + ".")] = None,
    policy: Annotated[str | None, typer.Option(help=DESCRIPTIONS["policy"] + ".")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the picture and the logs.")] = Path("out"),
    timeout: Annotated[float, typer.Option(help="Maximum time for loading the model [s].")] = 300.0,
) -> None:
    """Send sentences, let the robot execute them as one motion, and draw it."""
    end_on_signals()
    console = Console(highlight=False, soft_wrap=True)
    options = {"model": model, "device": device, "seconds": float(seconds), "seed": int(seed)}
    said = tuple(texts or DEFAULT_TEXTS)
    try:
        given = Options(robot=robot, sim=sim, balancer=balancer, policy=policy)
        choice = (
            choose(load_robot(robot), given.balancer or AUTO, given.policy or "") if sim else None
        )
        result = run_demo(said, robot, options, out, timeout, console, interrupt, choice=choice)
    except NextscaleError as error:
        console.print(f"[bold red]failed:[/] {_plain(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted")
        raise typer.Exit(130) from None
    _summarise(result, console)


def run_demo(
    texts: Sequence[str],
    robot_name: str,
    options: dict[str, object],
    out: Path,
    timeout: float,
    console: Console,
    interrupt: float | None = None,
    node_module: str = "generate_node",
    choice: Choice | None = None,
) -> Result:
    """Run the demo.

    Args:
        texts: The sentences.
        robot_name: Robot profile or URDF.
        options: Further parameters of the generate node.
        out: Folder for the picture and the logs; created if missing.
        timeout: Maximum time for the start of the nodes [s].
        console: Console for the progress.
        interrupt: Time of the next sentence; see `Session.until_it_is_time`.
        node_module: Module of the generate node.
        choice: Balancing controller of a simulated robot; None for the mock robot.

    Raises:
        NextscaleError: a step failed; the message states which and why.
    """
    logs = out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        env = stack.enter_context(private_graph(logs))
        os.environ.update(env)
        kind = "mock robot" if choice is None else "simulated robot"
        console.print(
            f"[1/5] starting the generate node and the {kind} "
            f"(ROS domain {env['ROS_DOMAIN_ID']}, localhost; logs in {logs}/)"
        )
        own: dict[str, object] = {"robot": robot_name}
        if choice is not None:
            console.print(f"      {_plain(choice.note or choice.words)}")
            own |= {"balancer": choice.balancer, "policy": choice.policy or "''"}
            own["publish_clock"] = True
            options = {**options, "output": choice.output, "use_sim_time": True}
        node_log, robot_log = logs / "generate_node.log", logs / f"{kind.replace(' ', '_')}.log"
        children = [
            stack.enter_context(Child(module, parameters=parameters, env=env, log=log))
            for module, parameters, log in (
                (kind.replace(" ", "_"), own, robot_log),
                (node_module, {"robot": robot_name, **options}, node_log),
            )
        ]
        robot = load_robot(robot_name)
        # Own signal handlers stay, so that Ctrl-C and SIGTERM unwind the children's `with` blocks.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        simulated = None if choice is None else SimulationRecorder()
        recorder = simulated or Recorder()
        stack.callback(recorder.destroy_node)

        def alive() -> None:
            for child in children:
                child.check()

        try:
            recorder.wait(recorder.connected, timeout, "the nodes' start", alive)
        except DemoTimeoutError as error:
            raise DemoError(f"{error}\n{children[1].tail()}") from error
        console.print(f"      ready: model loaded and warm, {kind} standing")
        session = Session(recorder, alive)
        if simulated is not None:
            session = SimulatedSession(simulated, alive)
        for number, text in enumerate(texts):
            _say(session, recorder, text, number, len(texts), interrupt, console)
        with console.status(f"[4/5] the {kind} executes it, {_left(session):.1f} s"):
            final_error = session.until_it_rests()
        executed = recorder.executed(robot, "; ".join(texts))
        begin = nanoseconds(recorder.states[0].header.stamp) / NANOSECONDS
    # The children have ended; drawing does not need them.
    moved = np.ptp(executed.positions, axis=0).max()
    console.print(
        f"[4/5] the {kind} has executed it: {len(executed)} joint states recorded, "
        f"largest joint movement {np.degrees(moved):.0f} degrees"
    )
    answers = tuple(session.answers)
    if simulated is None:
        fits = seams(answers, executed, begin)
    else:
        fits = reference_seams(answers, simulated.references)
    picture = out / f"{_file_name('_then_'.join(texts))}.png"
    console.print(f"[5/5] drawing the executed motion: {picture}")
    _draw(robot, executed, answers, fits, begin, picture)
    if choice is not None:
        animation = picture.with_suffix(".gif")
        console.print(f"      and as an animation: {animation}")
        shown = _without_idle(executed, answers[0].received - begin, ANIMATION_RATE)
        draw_robot(robot, shown, animation)
    if not picture.is_file():
        raise DemoError(f"no picture was written to {picture}")
    return Result(answers, fits, executed, final_error, picture)


def _say(
    session: Session,
    recorder: Recorder,
    text: str,
    number: int,
    count: int,
    interrupt: float | None,
    console: Console,
) -> None:
    """Send one sentence when it is due, and print the result."""
    if number:
        session.until_it_is_time(interrupt)
    left = f", {_left(session):.1f} s before the robot would rest" if number else ""
    console.print(f"[2/5] sending on /text_command: {_plain(repr(text))}{left}")
    answer = session.say(text) if number else session.first(text)
    if count == 1:
        # The recording begins with the motion.
        recorder.states.clear()
        recorder.odometry.clear()
    report = answer.report
    where = "/motion_command" if answer.command is not None else "/motion_report"
    console.print(
        f"[3/5] received on {where}: {report.points} points, "
        f"{len(report.joint_names)} joints, {answer.end - answer.begin:.2f} s "
        f"({answer.latency:.2f} s after sending)"
    )


def _left(session: Session) -> float:
    """Time until the end of the last trajectory [s]."""
    return max(session.answers[-1].end - session.now(), 0.0)


def _draw(
    robot: Robot,
    executed: RobotTrajectory,
    answers: Sequence[Answer],
    fits: Sequence[Seam],
    begin: float,
    picture: Path,
) -> None:
    """Draw the executed motion; for several sentences with the seams."""
    if len(answers) == 1:
        draw_robot(robot, executed, picture)
        return
    from nextscale_core.viz.session_plot import Spoken, draw_session

    spoken = [
        Spoken(
            answer.text,
            answer.sent - begin,
            answer.received - begin,
            fit.position_jump,
            fit.velocity_jump,
        )
        for answer, fit in zip(answers, fits, strict=True)
    ]
    words = {} if answers[0].command else {"jumps": "the largest jump of the reference"}
    draw_session(robot, _without_idle(executed, spoken[0].begin), spoken, picture, **words)


def _without_idle(
    executed: RobotTrajectory, begin: float, rate: float | None = None
) -> RobotTrajectory:
    """A motion without most of the standing before a time [s], at its own or another rate [Hz]."""
    idle = int(np.searchsorted(executed.time_from_start, begin - STILL))
    every = 1 if rate is None else max(round(executed.fps / rate), 1)
    shown = slice(idle, None, every)
    return replace(
        executed,
        positions=executed.positions[shown],
        velocities=executed.velocities[shown],
        time_from_start=executed.time_from_start[shown],
        base_position=executed.base_position[shown],
        base_quaternion=executed.base_quaternion[shown],
        fps=executed.fps / every,
    )


def _summarise(result: Result, console: Console) -> None:
    """Print the results as a table."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for answer, seam in zip(result.answers, result.seams, strict=True):
        report = answer.report
        table.add_row("sentence", _plain(report.text))
        table.add_row("model, robot, seed", f"{report.model}, {report.robot}, {report.seed}")
        table.add_row(
            "trajectory",
            f"{len(report.joint_names)} joints, {report.points} points, {report.duration:.2f} s",
        )
        table.add_row("text to trajectory", f"{answer.latency:.2f} s, sent to received over DDS")
        for name, seconds in zip(report.stage_names, report.stage_seconds, strict=True):
            table.add_row("", f"{name} {seconds:.3f} s")
        table.add_row("safety", _plain(report.message))
        if len(result.answers) > 1:
            words = (
                f"first point {seam.position_jump:.5f} rad and {seam.velocity_jump:.4f} rad/s "
                "from the measured state"
            )
            if answer.command is None:
                words = f"the reference jumps by {seam.position_jump:.5f} rad at most"
            table.add_row("seam", words)
    executed = result.executed
    table.add_row(
        "executed",
        f"{executed.seconds:.2f} s at {executed.fps:.0f} Hz, "
        f"{result.final_error:.4f} rad from the last point at the end",
    )
    table.add_row("picture", str(result.picture))
    console.print()
    console.print(table)


def _plain(text: str) -> str:
    """Text escaped for rich."""
    return text.replace("[", r"\[")


def _file_name(text: str) -> str:
    """A short file name from the sentence."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60] or "motion"


def main() -> None:
    """Entry point of `nextscale-demo`."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(demo)
    app()

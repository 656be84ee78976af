"""`nextscale-demo`: one sentence through the whole system, on a ROS graph of its own.

Starts the generate node and the mock robot as separate processes, sends the sentence over DDS,
receives the trajectory, lets the mock robot execute it and draws what the robot did. The exit
status is 0 only if all of that happened.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import rclpy
import typer
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.exceptions import NextscaleError
from nextscale_core.retarget import load_robot
from nextscale_core.retarget.trajectory import RobotTrajectory
from nextscale_core.viz import draw_robot
from nextscale_ros.isolation import private_graph
from nextscale_ros.message_rules import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport
from nextscale_ros.processes import Child, end_on_signals
from nextscale_ros.recorder import DemoTimeoutError, Recorder

DEFAULT_TEXT = "a person waves with the right hand"
LISTENERS = 2
"""The mock robot and the demo."""
SENDINGS = 10
ARRIVED = 0.005
"""How near the robot must come to the last point of the trajectory [rad]."""


class DemoError(NextscaleError, RuntimeError):
    """The demo could not show what it should."""


@dataclass(frozen=True)
class Result:
    """What the demo saw.

    Attributes:
        report: The node's report on the sentence.
        executed: The motion of the mock robot.
        latency: From sending the sentence to receiving the trajectory, over DDS [s].
        final_error: Distance to the last commanded point at the end [rad].
        picture: The drawing of the executed motion.
    """

    report: MotionReport
    executed: RobotTrajectory
    latency: float
    final_error: float
    picture: Path


def demo(
    text: Annotated[str, typer.Argument(help="What the robot should do.")] = DEFAULT_TEXT,
    robot: Annotated[str, typer.Option(help="Robot profile or URDF.")] = "g1",
    model: Annotated[str, typer.Option(help="Name or folder of the motion model.")] = "moscale-cmu",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    seconds: Annotated[float, typer.Option(help="Length [s]; 0: the model chooses.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed; -1: a new one.")] = -1,
    out: Annotated[Path, typer.Option(help="Folder for the picture and the logs.")] = Path("out"),
    timeout: Annotated[float, typer.Option(help="Patience with the model's start [s].")] = 300.0,
) -> None:
    """Send one sentence, let the mock robot execute the trajectory, draw what it did."""
    end_on_signals()
    console = Console(highlight=False, soft_wrap=True)
    options = {"model": model, "device": device, "seconds": float(seconds), "seed": int(seed)}
    try:
        result = run_demo(text, robot, options, out, timeout, console)
    except NextscaleError as error:
        console.print(f"[bold red]failed:[/] {_plain(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted")
        raise typer.Exit(130) from None
    _summarise(result, console)


def run_demo(
    text: str,
    robot_name: str,
    options: dict[str, object],
    out: Path,
    timeout: float,
    console: Console,
    node_module: str = "nextscale_ros.generate_node",
) -> Result:
    """Do everything the module says.

    Args:
        text: The sentence.
        robot_name: Robot profile or URDF.
        options: Further parameters of the generate node.
        out: Folder for the picture and the logs; made if missing.
        timeout: Patience with the start of the node [s].
        console: Takes the progress.
        node_module: What to run as the generate node.

    Raises:
        NextscaleError: a step failed; the message says which and why.
    """
    logs = out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        env = stack.enter_context(private_graph(logs))
        os.environ.update(env)
        console.print(
            f"[1/5] starting the generate node and the mock robot "
            f"(ROS domain {env['ROS_DOMAIN_ID']}, localhost; logs in {logs}/)"
        )
        node_log, mock_log = logs / "generate_node.log", logs / "mock_robot.log"
        children = [
            stack.enter_context(Child(module, parameters=parameters, env=env, log=log))
            for module, parameters, log in (
                ("nextscale_ros.mock_robot", {"robot": robot_name}, mock_log),
                (node_module, {"robot": robot_name, **options}, node_log),
            )
        ]
        robot = load_robot(robot_name)
        # Our own handlers stay, so that Ctrl-C and SIGTERM unwind through the children's `with`.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        recorder = Recorder()
        stack.callback(recorder.destroy_node)

        def alive() -> None:
            for child in children:
                child.check()

        try:
            recorder.wait(recorder.connected, timeout, "the nodes' start", alive)
        except DemoTimeoutError as error:
            raise DemoError(f"{error}\n{children[1].tail()}") from error
        console.print("      ready: model loaded and warm, mock robot standing")

        console.print(f"[2/5] sending on /text_command: {_plain(repr(text))}")
        latency, report = _send(recorder, text, alive)
        _, command = recorder.commands[-1]
        console.print(
            f"[3/5] received on /motion_command: {len(command.points)} points, "
            f"{len(command.joint_names)} joints, {_end(command):.2f} s ({latency:.2f} s after)"
        )
        final_error = _watch_execution(recorder, alive, console)
        executed = recorder.executed(robot.name, text)
    # The children have ended here; drawing does not need them.
    picture = out / f"{_file_name(text)}.png"
    console.print(f"[5/5] drawing the executed motion: {picture}")
    draw_robot(robot, executed, picture)
    if not picture.is_file():
        raise DemoError(f"no picture was written to {picture}")
    return Result(report, executed, latency, final_error, picture)


def _send(recorder: Recorder, text: str, alive: Callable[[], None]) -> tuple[float, MotionReport]:
    """Send the sentence until node, mock robot and we are all connected with each other.

    The nodes find each other at their own pace, and only the generate node knows whom it reaches.

    Returns:
        Seconds from sending to receiving the trajectory, and the node's report.
    """
    for _ in range(SENDINGS):
        for heard in (recorder.reports, recorder.commands, recorder.bases):
            heard.clear()
        sent = recorder.say(text)
        recorder.wait(lambda: bool(recorder.reports), 120.0, "a report on the sentence", alive)
        report = recorder.reports[-1]
        if report.outcome not in (MotionReport.PASS, MotionReport.REPAIRED):
            known = report.message.startswith(report.outcome)
            raise DemoError(report.message if known else f"{report.outcome}: {report.message}")
        if report.listeners >= LISTENERS:
            recorder.wait(
                lambda: bool(recorder.commands and recorder.bases),
                10.0,
                "the trajectory on /motion_command",
                alive,
            )
            return recorder.commands[-1][0] - sent, report
        recorder.listen(1.0)
    raise DemoError(f"/motion_command has {report.listeners} listeners, {LISTENERS} should listen")


def _end(command: JointTrajectory) -> float:
    """Time of the last point [s]."""
    return nanoseconds(command.points[-1].time_from_start) / NANOSECONDS


def _watch_execution(recorder: Recorder, alive: Callable[[], None], console: Console) -> float:
    """Record until the robot stands in the last point; the distance left [rad]."""
    began, command = recorder.commands[-1]
    end = _end(command)
    last = dict(zip(command.joint_names, command.points[-1].positions, strict=True))
    # What was recorded while the node was starting and thinking is not part of the motion.
    recorder.states.clear()
    recorder.odometry.clear()

    def error() -> float:
        if not recorder.states:
            return float("inf")
        state = recorder.states[-1]
        return float(max(abs(q - last[n]) for n, q in zip(state.name, state.position, strict=True)))

    with console.status(f"[4/5] the mock robot executes it, {end:.1f} s"):
        try:
            recorder.wait(
                lambda: time.monotonic() - began > end and error() < ARRIVED,
                end + 10.0,
                "the mock robot to reach the last point",
                alive,
            )
        except DemoTimeoutError as failure:
            raise DemoError(f"{failure}: {error():.3f} rad are left") from failure
    moved = np.ptp([state.position for state in recorder.states], axis=0).max()
    console.print(
        f"[4/5] the mock robot has executed it: {len(recorder.states)} joint states recorded, "
        f"largest joint movement {np.degrees(moved):.0f} degrees"
    )
    return error()


def _summarise(result: Result, console: Console) -> None:
    """What happened, in a few lines."""
    report = result.report
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("sentence", _plain(report.text))
    table.add_row("model, robot, seed", f"{report.model}, {report.robot}, {report.seed}")
    table.add_row(
        "trajectory",
        f"{len(report.joint_names)} joints, {report.points} points, {report.duration:.2f} s",
    )
    stages = zip(report.stage_names, report.stage_seconds, strict=True)
    table.add_row("text to trajectory", f"{result.latency:.2f} s, sent to received over DDS")
    for name, seconds in stages:
        table.add_row("", f"{name} {seconds:.3f} s")
    table.add_row("safety", _plain(report.message))
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
    """Text that rich prints as it stands."""
    return text.replace("[", r"\[")


def _file_name(text: str) -> str:
    """A short file name that still shows the sentence."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60] or "motion"


def main() -> None:
    """Entry point of `nextscale-demo`."""
    typer.run(demo)


if __name__ == "__main__":
    main()

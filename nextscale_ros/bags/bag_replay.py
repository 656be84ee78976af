"""Replays a recorded session and compares the trajectories: same seeds, same trajectories.

What is promised. The node that is asked again gets the same sentences with the seeds that were
reported, and the same joint states and odometry. Where the robot stood exactly still when a
sentence came and until it was answered, nothing else enters: the trajectory must be the same, point
by point, to the tolerance of 1e-6 (on the same machine with the same model and parameters; another
machine rounds otherwise). A real robot's joints tremble even when it stands: which of the trembling
states is the last before the answer is a matter of milliseconds, so give `--still 1e-3` and a
`--tolerance` that fits. A sentence that was answered otherwise is said again, up to three times: a
busy machine loses states. Where the robot was moving, how long the node took decides where the new
motion joins in: such sentences are said again and shown with their difference, and nothing is
promised of them but an answer.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import numpy as np
import rclpy
import typer
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table

from nextscale_core.bags import Bag
from nextscale_core.cli.console import advance, progress_bar
from nextscale_core.exceptions import NextscaleError
from nextscale_ros.bags.compare import TOLERANCE, Verdict, compare
from nextscale_ros.bags.player import Answer, SessionPlayer
from nextscale_ros.bags.session import STILL, RecordedSession, Sentence, read_session
from nextscale_ros.bringup.processes import Child, end_on_signals, private_graph

STATE_TIMEOUT = 5.0
"""The replay's states may come late on a busy machine without being old: `state_timeout` [s]."""


def run_replay(
    bag: Bag,
    session: RecordedSession,
    parameters: dict[str, object],
    *,
    logs: Path,
    timeout: float = 300.0,
    tolerance: float = TOLERANCE,
    still: float = STILL,
    node_module: str = "generate_node",
) -> list[Verdict]:
    """Start the node in a graph of its own and ask it everything again.

    Args:
        bag: The recording.
        session: What was said in it.
        parameters: Parameters of the node; robot and model are those of the reports where they
            are not among them.
        logs: Folder for the node's log.
        timeout: Patience with the start of the node and with each answer [s].
        tolerance: What counts as the same.
        still: Joints that moved no further than this stood [rad].
        node_module: What to run as the generate node.

    Raises:
        NextscaleError: the node does not start, ends, or the bag is damaged.
    """
    report = session.sentences[0].report
    told: dict[str, object] = {
        "robot": report.robot,
        "model": report.model,
        "state_timeout": STATE_TIMEOUT,
    }

    def is_same(sentence: Sentence, answer: Answer | None) -> bool:
        return compare(sentence, answer, tolerance, still).same

    with ExitStack() as stack:
        env = stack.enter_context(private_graph(logs))
        os.environ.update(env)
        child = stack.enter_context(
            Child(
                node_module,
                parameters={**told, **parameters},
                env=env,
                log=logs / "generate_node.log",
            )
        )
        context = Context()
        # Our own handlers stay, so that Ctrl-C unwinds through the child's `with`.
        rclpy.init(
            context=context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(context.try_shutdown)
        player = SessionPlayer(bag, session, context, child.check, is_same, timeout, still)
        stack.callback(player.close)
        with progress_bar("replaying [s]") as bar:
            answers = player.play(lambda done, total: advance(bar, round(done), round(total)))
    return [
        compare(sentence, answer, tolerance, still)
        for sentence, answer in zip(session.sentences, answers, strict=True)
    ]


def replay(
    bag: Annotated[Path, typer.Argument(help="A recording made by bag_recorder.")],
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            help="Parameter of the node as NAME:=VALUE, those that differ from its defaults; "
            "again for more. Robot and model are those of the recording.",
        ),
    ] = None,
    namespace: Annotated[
        str, typer.Option(help="Namespace of the node, where several were recorded.")
    ] = "",
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Trajectories this near are the same [rad, rad/s, m].")
    ] = TOLERANCE,
    still: Annotated[
        float, typer.Option(min=0.0, help="Joints that move no further stand [rad].")
    ] = STILL,
    timeout: Annotated[
        float, typer.Option(min=1.0, help="Patience with the node's start and each answer [s].")
    ] = 300.0,
    logs: Annotated[
        Path | None, typer.Option(help="Folder for the node's log; nowhere if not given.")
    ] = None,
    node_module: Annotated[
        str, typer.Option(hidden=True, help="Python module to run as the node.")
    ] = "generate_node",
) -> None:
    """Say everything again that was said in a recorded session, and compare the trajectories.

    Exit status: 0 the same, 1 different, 2 no session to replay.

    python -m nextscale_ros bag_replay session_1
    """
    end_on_signals()
    console = Console(soft_wrap=True, highlight=False)
    try:
        parameters = _parameters(param or [])
        with ExitStack() as stack, Bag(bag) as recording:
            for note in recording.notes:
                typer.echo(f"bag_replay: {note}", err=True)
            session = read_session(recording, namespace)
            folder = logs or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="nextscale-replay-"))
            )
            folder.mkdir(parents=True, exist_ok=True)
            verdicts = run_replay(
                recording,
                session,
                parameters,
                logs=folder,
                timeout=timeout,
                tolerance=tolerance,
                still=still,
                node_module=node_module,
            )
    except (NextscaleError, OSError) as error:
        typer.echo(f"bag_replay: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    show(verdicts, session, console)
    raise typer.Exit(1 if any(one.differs for one in verdicts) else 0)


def _parameters(given: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for text in given:
        name, sign, value = text.partition(":=")
        if not sign or not name:
            raise typer.BadParameter(f"{text!r} is not NAME:=VALUE", param_hint="--param")
        found[name] = value
    return found


def show(verdicts: list[Verdict], session: RecordedSession, console: Console) -> None:
    """Print the comparison."""
    table = Table("sentence", "seed", "robot", "recorded", "now", "difference", "verdict", box=None)
    for one in verdicts:
        sentence = one.sentence
        moved = "moved" if one.sentence.moved > STILL else "stood"
        if np.isnan(sentence.moved):
            moved = "unknown"
        table.add_row(
            _plain(sentence.report.text),
            str(sentence.report.seed),
            f"{moved} {sentence.moved:.2g} rad" if moved == "moved" else moved,
            sentence.report.outcome,
            "" if one.answer is None else one.answer.report.outcome,
            "" if np.isnan(one.difference) else f"{one.difference:.2e}",
            "same" if one.same else "DIFFERENT" if one.promised else "not promised",
        )
    console.print(table)
    for one in verdicts:
        report = None if one.answer is None else one.answer.report
        if one.differs and report is not None and report.outcome != one.sentence.report.outcome:
            console.print(f"{_plain(report.text)}: {report.outcome}: {_plain(report.message)}")
    promised = [one for one in verdicts if one.promised]
    same = sum(one.same for one in promised)
    console.print(f"{same} of {len(promised)} sentences that began at rest gave the same answer")
    if session.unanswered:
        console.print(f"{session.unanswered} sentences had no answer in the recording")


def _plain(text: str) -> str:
    """Text that rich prints as it stands."""
    return text.replace("[", r"\[")


def main() -> None:
    """Entry point of `python -m nextscale_ros bag_replay`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(replay)
    app(args=sys.argv[1:], prog_name="bag_replay")


if __name__ == "__main__":
    main()

"""Replay of a recorded session: the same seeds must give the same trajectories.

A node receives the recorded sentences with the reported seeds, and the recorded joint states and
odometry. Where the robot was exactly at rest from before a sentence until its answer, the
trajectory must be the same, point by point, within 1e-6 (on the same machine with the same model
and parameters; another machine rounds differently). The joints of a real robot at rest tremble, and
the last state before the answer depends on milliseconds: use `--still 1e-3` and a matching
`--tolerance`. A sentence with another answer is sent again, up to three times, as a busy machine
loses states. Where the robot was moving, the computing time decides where the new motion takes
over: such sentences are replayed and their differences shown, but the answers need not be the same.
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
from nextscale_ros.bags.compare import TOLERANCE, Comparison, compare
from nextscale_ros.bags.player import ReplayedAnswer, SessionPlayer
from nextscale_ros.bags.session import STILL, RecordedSession, Sentence, read_session
from nextscale_ros.bringup.processes import Child, end_on_signals, private_graph

STATE_TIMEOUT = 5.0
"""Parameter `state_timeout` of the node: a busy machine delays the states of the replay [s]."""


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
) -> list[Comparison]:
    """Start the node in a ROS graph of its own and replay a session; arguments as for `replay`.

    Raises:
        NextscaleError: the node does not start, ends, or the bag is damaged.
    """
    report = session.sentences[0].report
    parameters = {
        "robot": report.robot,
        "model": report.model,
        "state_timeout": STATE_TIMEOUT,
        **parameters,
    }

    def distance(sentence: Sentence, answer: ReplayedAnswer) -> float:
        found = compare(sentence, answer, tolerance, still)
        return 0.0 if found.same else float(np.nan_to_num(found.difference, nan=np.inf))

    with ExitStack() as stack:
        env = stack.enter_context(private_graph(logs))
        os.environ.update(env)
        log = logs / "generate_node.log"
        child = stack.enter_context(Child(node_module, parameters=parameters, env=env, log=log))
        context = Context()
        # The handlers of this process stay, so that Ctrl-C unwinds through the child's `with`.
        rclpy.init(
            context=context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(context.try_shutdown)
        player = SessionPlayer(bag, session, context, child.check, distance, timeout, still)
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
            help="Parameter of the node as NAME:=VALUE, if it differs from the default; again for "
            "more. Robot and model are those of the recording.",
        ),
    ] = None,
    namespace: Annotated[
        str, typer.Option(help="Namespace of the node, if several were recorded.")
    ] = "",
    tolerance: Annotated[
        float,
        typer.Option(min=0.0, help="Maximum difference of equal trajectories [rad, rad/s, m]."),
    ] = TOLERANCE,
    still: Annotated[
        float, typer.Option(min=0.0, help="Maximum motion of the joints of a robot at rest [rad].")
    ] = STILL,
    timeout: Annotated[
        float,
        typer.Option(min=1.0, help="Maximum time until readiness and each answer [s]."),
    ] = 300.0,
    logs: Annotated[
        Path | None, typer.Option(help="Folder for the node's log; not kept if not given.")
    ] = None,
    node_module: Annotated[
        str, typer.Option(hidden=True, help="Python module to run as the node.")
    ] = "generate_node",
) -> None:
    """Replay the sentences of a recorded session, and compare the trajectories.

    Exit status: 0 the same, 1 different, 2 without a session to replay.

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
            comparisons = run_replay(
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
    show(comparisons, session, console)
    raise typer.Exit(1 if any(one.differs for one in comparisons) else 0)


def _parameters(given: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for text in given:
        name, sign, value = text.partition(":=")
        if not sign or not name:
            raise typer.BadParameter(f"{text!r} is not NAME:=VALUE", param_hint="--param")
        found[name] = value
    return found


def show(comparisons: list[Comparison], session: RecordedSession, console: Console) -> None:
    """Print the comparisons."""
    table = Table("sentence", "seed", "robot", "recorded", "now", "difference", "result", box=None)
    for one in comparisons:
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
    for one in comparisons:
        report = None if one.answer is None else one.answer.report
        if not one.differs or report is None:
            continue
        if report.outcome != one.sentence.report.outcome:
            console.print(f"{_plain(report.text)}: {report.outcome}: {_plain(report.message)}")
        then, now = list(one.sentence.report.findings), list(report.findings)
        for when, lines, others in (("recorded", then, now), ("now", now, then)):
            for line in lines:
                if line not in others:
                    console.print(f"{_plain(report.text)}: {when} only: {_plain(line)}")
    promised = [one for one in comparisons if one.promised]
    same = sum(one.same for one in promised)
    console.print(f"{same} of {len(promised)} sentences that began at rest gave the same answer")
    if session.unanswered:
        console.print(f"{session.unanswered} sentences had no answer in the recording")


def _plain(text: str) -> str:
    """Escape markup of rich."""
    return text.replace("[", r"\[")


def main() -> None:
    """Entry point of `python -m nextscale_ros bag_replay`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(replay)
    app(args=sys.argv[1:], prog_name="bag_replay")


if __name__ == "__main__":
    main()

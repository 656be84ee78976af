"""Soak test of the node: no crash, no leak, no lost sentence, the newest sentence always wins.

    python bench/soak.py [--minutes 30] [--rate 2] [--publishers 3] [--states 500] [--json OUT]

Starts the generate node and the mock robot on a private graph. Publishers, each a ROS node in a
separate thread, send sentences at random times, `rate` per second in total; some are invalid. Every
message of the node is checked by `soak_watch.py`. `--handmade` uses the motion source of the tests
instead of the model. The exit status is 1 on any violation.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table
from soak_watch import WINDOW, Ledger, Slope, memory_slope
from std_msgs.msg import Bool, String
from trajectory_msgs.msg import JointTrajectory

from nextscale_core.npz import write_text
from nextscale_core.robots import load_robot
from nextscale_ros.bringup.processes import Child, ChildError, private_graph
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.qos import EVENTS, LATCHED

ROOT = Path(__file__).resolve().parents[1]

SENTENCES = (
    "a person walks forward",
    "a person waves with the right hand",
    "a person squats",
    "a man raises both arms and lowers them again",
    "a person turns around to the left and walks back",
    "someone bows politely",
)
JUNK = ("", "   ", "12 34", "\x07bell", "x" * 600, "人が歩く", "\u202eback", "word " * 400)
JUNK_SHARE = 0.15
LIMIT = 1.0
"""Maximum growth of memory after the warm-up [MB in ten minutes]."""
PATIENCE = 180.0
"""Maximum wait for the start and for the last reports, on a busy machine [s]."""


class Publisher(threading.Thread):
    """Publishes sentences at random times.

    Args:
        context: ROS context of the node.
        number: Number of the publisher.
        rate: Mean rate of sentences [Hz].
        ledger: Ledger that counts the sentences.
        handmade: Whether the node has the tests' motion source, which has further sentences.
    """

    def __init__(
        self, context: Context, number: int, rate: float, ledger: Ledger, handmade: bool
    ) -> None:
        super().__init__(daemon=True)
        self._node = Node(f"soak_publisher_{number}", context=context)
        self._texts = self._node.create_publisher(String, "/text_command", EVENTS)
        self._details = self._node.create_publisher(
            TextCommand, "/text_command/detailed", EVENTS
        )  # fmt: skip
        self._random, self._rate, self._ledger = random.Random(number), rate, ledger
        self._sentences = SENTENCES + (("a person waits", "a person fails") if handmade else ())
        self._ended = threading.Event()

    @property
    def matched(self) -> bool:
        """Whether the node is subscribed."""
        return all(p.get_subscription_count() for p in (self._texts, self._details))

    def run(self) -> None:
        """Publish until `silence`."""
        due = time.monotonic()
        while True:
            due += self._random.expovariate(self._rate)
            if self._ended.wait(max(due - time.monotonic(), 0.0)):
                return
            # Counted first: the report may arrive before this thread continues.
            self._ledger.say()
            self._say()

    def silence(self) -> None:
        """Stop the random sentences."""
        self._ended.set()
        if self.is_alive():
            self.join(5.0)

    def stop(self) -> None:
        """Stop and destroy the node."""
        self.silence()
        self._node.destroy_node()

    def last(self) -> None:
        """Publish the last sentence, which must win."""
        self._ledger.say()
        self._texts.publish(String(data=SENTENCES[0]))

    def _say(self) -> None:
        draw = self._random
        junk = draw.random() < JUNK_SHARE
        text = draw.choice(JUNK if junk else self._sentences)
        if draw.random() < 0.5:
            self._texts.publish(String(data=text))
            return
        message = TextCommand(text=text, seconds=draw.choice([0.0, 2.0, 4.0]), seed=7)
        if junk and draw.random() < 0.5:
            message.text = SENTENCES[0]
            message.seconds = draw.choice([float("nan"), float("inf"), -1.0, 1e300])
        self._details.publish(message)


class Listener(threading.Thread):
    """Subscribes to all messages of the node.

    Args:
        context: ROS context of the node.
        ledger: Ledger for the messages.
    """

    def __init__(self, context: Context, ledger: Ledger) -> None:
        super().__init__(daemon=True)
        self.ready = False
        self.diagnosed: dict[str, str] = {}
        self.diagnostics = 0
        self.delays: list[tuple[float, float]] = []
        self._node = node = Node("soak_listener", context=context)
        node.create_subscription(Bool, "/nextscale/ready", self._on_ready, LATCHED)
        self._needed = [
            node.create_subscription(MotionReport, "/motion_report", ledger.report, 1000),
            node.create_subscription(
                JointTrajectory,
                "/motion_command",
                lambda message, info: ledger.command(message, int(info["source_timestamp"])),
                1000,
            ),
            node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10),
        ]
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._ended = threading.Event()
        self.start()

    @property
    def matched(self) -> bool:
        """Whether the node is ready and its publishers are matched."""
        return self.ready and all(s.get_publisher_count() for s in self._needed)

    def _on_ready(self, message: Bool) -> None:
        self.ready = bool(message.data)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnosed = {v.key: v.value for v in message.status[0].values}
        self.diagnostics += 1
        with suppress(KeyError, ValueError):
            p50, p99 = (float(self.diagnosed[f"joint state delay p{n} [s]"]) for n in (50, 99))
            self.delays.append((p50, p99))

    def run(self) -> None:
        """Process messages until `stop`."""
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def stop(self) -> None:
        """Stop and destroy the node."""
        self._ended.set()
        self.join(5.0)
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()


def resident(pid: int) -> float:
    """Resident memory of a process [MB]."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(
    seconds: float,
    *,
    rate: float = 2.0,
    publishers: int = 3,
    states: float = 500.0,
    handmade: bool = False,
    every: float = 10.0,
    say: Any = print,
) -> dict[str, Any]:
    """Run it.

    Args:
        seconds: How long sentences are sent [s].
        rate: Sentences a second, of all publishers together.
        publishers: How many.
        states: Joint states a second [Hz].
        handmade: The motion source of the tests in place of the model.
        every: How often memory is looked at [s].
        say: Takes a line of progress each minute.

    Returns:
        Figures, and under 'violations' what was wrong.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = stack.enter_context(private_graph(folder))
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "test"), env.get("PYTHONPATH", "")])
        context = Context()
        rclpy.init(
            context=context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(context.try_shutdown)
        module = "ros.fake_pipeline" if handmade else "generate_node"
        start = time.monotonic()
        robot = stack.enter_context(
            Child(
                "mock_robot",
                parameters={"state_rate": float(states)},
                env=env,
                log=folder / "robot",
            )
        )
        node = stack.enter_context(Child(module, env=env, log=folder / "node"))
        ledger = Ledger(load_robot("g1").joint_names)
        listener = Listener(context, ledger)
        stack.callback(listener.stop)
        speakers = [
            Publisher(context, number, rate / publishers, ledger, handmade)
            for number in range(publishers)
        ]
        for speaker in speakers:
            stack.callback(speaker.stop)

        def alive() -> None:
            node.check()
            robot.check()

        def wait(condition: Any, what: str) -> None:
            until = time.monotonic() + PATIENCE
            while not condition():
                alive()
                if time.monotonic() > until:
                    raise TimeoutError(f"waited {PATIENCE:.0f} s in vain for {what}")
                time.sleep(0.05)

        wait(lambda: listener.matched and all(s.matched for s in speakers), "the node")
        wait(lambda: float(listener.diagnosed.get("joint state messages", 0)) > 0, "joint states")
        ready = time.monotonic() - start
        times, memory = _load(seconds, every, speakers, listener, node, ledger, alive, say)
        crash = ""
        try:
            alive()
            speakers[0].last()
            # What was not reported on by now is a finding, not an end of the test.
            with suppress(TimeoutError):
                wait(lambda: ledger.settled, "the last reports")
            count = listener.diagnostics + 1
            wait(lambda: listener.diagnostics > count, "diagnostics")
        except ChildError as error:
            crash = str(error)
        slope = memory_slope(times, memory, warm_up=max(0.2 * seconds, min(120.0, 0.5 * seconds)))
        violations = ledger.violations(listener.diagnosed)
        if crash:
            violations.insert(0, crash)
        if slope.seconds >= WINDOW and slope.per_window > LIMIT:
            violations.append(f"memory grows by {slope.per_window:.2f} MB in ten minutes")
        figures = _figures(ledger, listener, slope, ready)
        return {
            "seconds": seconds,
            "rate": rate,
            "publishers": publishers,
            "states": states,
            "source": "handmade" if handmade else "model",
            "cores": os.cpu_count(),
            **figures,
            "memory": {"seconds": times, "megabytes": memory, **asdict(slope)},
            "violations": violations,
        }


def _load(
    seconds: float,
    every: float,
    speakers: list[Publisher],
    listener: Listener,
    node: Child,
    ledger: Ledger,
    alive: Any,
    say: Any,
) -> tuple[list[float], list[float]]:
    """Send for so long; times [s] and the node's memory at them [MB]."""
    begin = time.monotonic()
    times: list[float] = []
    memory: list[float] = []
    for speaker in speakers:
        speaker.start()
    minute = 1
    with suppress(ChildError):
        while (now := time.monotonic() - begin) < seconds:
            alive()
            if now >= len(times) * every:
                times.append(round(now, 2))
                memory.append(round(resident(node.process.pid), 2))
            if now >= minute * 60.0:
                delay = listener.delays[-1][1] if listener.delays else float("nan")
                say(
                    f"{minute} min: {ledger.sent} sent, {len(ledger.reports)} reports, "
                    f"{ledger.commands} trajectories, {memory[-1]:.1f} MB, "
                    f"joint state delay p99 {1e3 * delay:.1f} ms"
                )
                minute += 1
            time.sleep(0.05)
    for speaker in speakers:
        speaker.silence()
    return times, memory


def _figures(ledger: Ledger, listener: Listener, slope: Slope, ready: float) -> dict[str, Any]:
    delays = np.array(listener.delays or [(np.nan, np.nan)])
    values = listener.diagnosed
    return {
        "start_seconds": round(ready, 1),
        "sent": ledger.sent,
        "outcomes": ledger.outcomes(),
        "errors": {k[6:]: int(v) for k, v in values.items() if k.startswith("error ")},
        "trajectories": ledger.commands,
        "overlap_seconds": round(ledger.overlap, 4),
        "total_p50_seconds": values.get("total p50 [s]", ""),
        "total_p95_seconds": values.get("total p95 [s]", ""),
        "joint_state_messages": int(values.get("joint state messages", 0)),
        "joint_state_delay_p50_seconds": float(np.median(delays[:, 0])),
        "joint_state_delay_p99_seconds": float(np.median(delays[:, 1])),
        "joint_state_delay_p99_worst_seconds": float(delays[:, 1].max()),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("figure", "value", title=f"{result['seconds'] / 60:g} min, {result['source']}")
    for key, value in result.items():
        if key == "memory":
            table.add_row("memory at the begin, at the end [MB]", "{first}, {last}".format(**value))
            table.add_row(
                "slope of memory after the warm-up [MB/10 min]",
                f"{value['per_window']:.2f} +- {value['error']:.2f} over {value['seconds']:.0f} s",
            )
        elif key != "violations":
            shown = f"{value:.4f}" if isinstance(value, float) else str(value)
            table.add_row(key.replace("_", " "), shown)
    console = Console(width=110)
    console.print(table)
    for violation in result["violations"]:
        console.print(f"VIOLATION: {violation}", markup=False)
    console.print("no violation" if not result["violations"] else "FAILED")


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=2.0, help="sentences a second, all together")
    parser.add_argument("--publishers", type=int, default=3)
    parser.add_argument("--states", type=float, default=500.0, help="joint states a second")
    parser.add_argument("--handmade", action="store_true", help="the tests' motion source")
    parser.add_argument("--json", type=Path, default=None, help="file to write")
    options = parser.parse_args()
    result = soak(
        60.0 * options.minutes,
        rate=options.rate,
        publishers=options.publishers,
        states=options.states,
        handmade=options.handmade,
        say=lambda line: print(line, flush=True),
    )
    show(result)
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=2) + "\n")
    return 1 if result["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())

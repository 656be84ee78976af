"""Benchmark of live sentences to a simulated robot: stays up, steps of the reference, late starts.

Starts the generate node and the simulated robot; in each run sends three sentences, the second and
third while the robot still moves, and waits until it rests. Prints a table in Markdown.

    python bench/live_simulation.py --policy twist2_1017_20k.onnx [--runs 20] [--disturbed]

Without --policy the legs walk by the installed walking policy. The nodes run on simulated time:
with --speed 0.3 each simulated second takes 3.3 s, for machines that are busy with something else.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from nextscale_core.exceptions import NextscaleError
from nextscale_core.npz import write_text
from nextscale_core.robots import load_robot
from nextscale_core.simulation.config import DISTURBED
from nextscale_ros.bringup.processes import Child, end_on_signals, private_graph
from nextscale_ros.demo.simulation import (
    NODE,
    ReferenceSteps,
    SimulatedSession,
    SimulationRecorder,
)
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReference
from nextscale_ros.simulated_robot.choice import TRACKER, choose

SENTENCES = (
    "a person walks forward", "a person waves with the right hand", "a person turns around",
    "a person walks backward", "a person raises both arms", "a person steps to the left",
    "a person walks in a circle", "a person marches in place", "a person turns left",
    "a person waves with the left hand", "a person walks quickly", "a person claps",
    "a person stands still", "a person steps to the right", "a person squats down",
)  # fmt: skip

BEFORE, AFTER = 0.3, 0.7
"""Time before and after the report on a sentence that counts as the seam [s]."""

BAR = 0.1
"""Maximum step of the reference at a seam [rad]."""


@dataclass(frozen=True)
class Run:
    """Figures of three sentences.

    Attributes:
        texts: The sentences.
        up: Whether the robot was on its feet at the end.
        steps: Largest step of a joint from one reference to the next at each seam [rad].
        jumps: The same beyond the references' own velocities [rad].
        velocity_jumps: Largest change of a joint's velocity between two references [rad/s].
        latencies: Simulated time from each sentence to its report [s].
        gap: Longest time from one reference to the next; 0.02 on a machine that keeps up [s].
        late: Number of trajectories that were made again because they came too late.
        error: What ended the run early; '' for nothing.
    """

    texts: tuple[str, ...]
    up: bool
    steps: tuple[float, ...]
    jumps: tuple[float, ...]
    velocity_jumps: tuple[float, ...]
    latencies: tuple[float, ...]
    gap: float
    late: int
    error: str


def run(
    session: SimulatedSession, recorder: SimulationRecorder, texts: tuple[str, ...], tracks: bool
) -> Run:
    """Send sentences and measure until the robot rests."""
    for messages in (recorder.references, recorder.planned, recorder.states, recorder.odometry):
        messages[:] = messages[-1:]
    reports = len(recorder.reports)
    session.answers.clear()
    error = ""
    try:
        for number, text in enumerate(texts):
            if number:
                session.until_it_is_time(None)
                session.say(text)
            else:
                session.first(text)
        session.until_it_rests()
    except NextscaleError as failure:
        error = str(failure)
    references = recorder.planned if tracks else recorder.references
    steps = ReferenceSteps.of(references)
    seams = [steps.within(a.received - BEFORE, a.received + AFTER) for a in session.answers]
    new = recorder.reports[reports:]
    return Run(
        texts=texts,
        up=not recorder.fallen,
        steps=tuple(seam.step for seam in seams),
        jumps=tuple(seam.jump for seam in seams),
        velocity_jumps=tuple(seam.velocity for seam in seams),
        latencies=tuple(answer.latency for answer in session.answers),
        gap=float(np.diff(stamps(recorder.planned)).max(initial=0.0)) if tracks else 0.0,
        late=sum("too late" in line for one in new for line in (*one.findings, one.message)),
        error=error,
    )


def stamps(messages: list[MotionReference]) -> np.ndarray:
    """(N,) stamps [s]."""
    return np.array([nanoseconds(one.header.stamp) for one in messages]) / NANOSECONDS


def reset(recorder: SimulationRecorder, child: Child) -> None:
    """Put a fallen robot on its feet."""
    client = recorder.create_client(Trigger, f"/{NODE}/reset")
    recorder.wait(client.service_is_ready, 60.0, "the reset", child.check)
    done = client.call_async(Trigger.Request())
    recorder.wait(done.done, 60.0, "the reset", child.check)
    recorder.destroy_client(client)
    # The joints jumped, which looks like two senders for some seconds.
    until = recorder.get_clock().now().nanoseconds + 5e9
    recorder.wait(
        lambda: recorder.get_clock().now().nanoseconds > until, 600.0, "standing", child.check
    )
    recorder.fallen = ""


def table(runs: list[Run], words: str) -> str:
    """The figures of all runs in Markdown."""
    later = [(one.steps[n], one.jumps[n], one.velocity_jumps[n]) for one in runs
             for n in range(1, len(one.steps))]  # fmt: skip
    seams = np.array(later or [(np.nan,) * 3])
    latencies = np.concatenate([one.latencies for one in runs])
    rows = [
        ("upright", f"{sum(one.up for one in runs)} of {len(runs)}"),
        ("runs with an error", f"{sum(bool(one.error) for one in runs)}"),
        (f"seams, of these with a step over {BAR} rad", f"{len(later)}, "
         f"{int((seams[:, 0] > BAR).sum())}"),
        ("largest step of the reference at a seam", f"{seams[:, 0].max():.3f} rad"),
        ("largest jump beyond its velocity", f"{seams[:, 1].max():.4f} rad"),
        ("largest change of velocity in 20 ms", f"{seams[:, 2].max():.2f} rad/s"),
        ("longest time from one reference to the next",
         f"{max(one.gap for one in runs):.2f} s"),
        ("trajectories that came too late", f"{sum(one.late for one in runs)}"),
    ]  # fmt: skip
    if len(latencies):
        figures = f"{np.median(latencies):.2f}, {latencies.max():.2f} s (simulated)"
        rows.append(("sentence to report, median and largest", figures))
    return "\n".join([f"| {words} | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--policy", default="", help="ONNX file of a policy")
    parser.add_argument("--balancer", default="auto")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--speed", type=float, default=1.0, help="simulated time per real time")
    parser.add_argument("--disturbed", action="store_true", help="noise, delay, friction, pushes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the figures of every run")
    options = parser.parse_args()
    end_on_signals()
    choice = choose(load_robot("g1"), options.balancer, options.policy)
    random = np.random.default_rng(options.seed)
    robot: dict[str, object] = {
        "balancer": choice.balancer,
        "policy": choice.policy or "''",
        "publish_clock": True,
        "speed": options.speed,
        "seed": options.seed,
    }
    if options.disturbed:
        robot |= {
            "friction": DISTURBED.friction,
            "delay": DISTURBED.delay,
            "noise": DISTURBED.noise,
            "push_speed": DISTURBED.push,
        }
    generate = {"output": choice.output, "use_sim_time": True, "publish_markers": False}
    runs: list[Run] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = stack.enter_context(private_graph(folder))
        context = Context()
        rclpy.init(
            context=context,
            domain_id=int(env["ROS_DOMAIN_ID"]),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        stack.callback(context.try_shutdown)
        children = [
            stack.enter_context(Child(name, parameters=parameters, env=env, log=folder / name))
            for name, parameters in ((NODE, robot), ("generate_node", generate))
        ]
        recorder = SimulationRecorder(context)
        stack.callback(recorder.destroy_node)

        def alive() -> None:
            for child in children:
                child.check()

        recorder.wait(recorder.connected, 600.0, "the nodes' start", alive)
        session = SimulatedSession(recorder, alive)
        session.patience = 120.0 / options.speed
        begin = time.monotonic()
        for number in range(options.runs):
            texts = tuple(str(text) for text in random.choice(SENTENCES, 3, replace=False))
            runs.append(run(session, recorder, texts, choice.balancer == TRACKER))
            print(f"{number + 1}: {json.dumps(asdict(runs[-1]))}", flush=True)
            if recorder.fallen or runs[-1].error:
                reset(recorder, children[0])
        print(f"\n{time.monotonic() - begin:.0f} s for {options.runs} runs")
    if options.json is not None:
        write_text(options.json, json.dumps([asdict(one) for one in runs], indent=1))
    disturbed = ", disturbed" if options.disturbed else ""
    print(table(runs, f"{choice.balancer}{disturbed}, {options.runs} runs of 3 sentences"))


if __name__ == "__main__":
    main()

"""Benchmark of motions in physics: does a G1 stay up, and does it still do what was asked?

    python bench/physics.py --tracker TWIST2.onnx [--cmu FOLDER] [--moves FILE] [--out rows.jsonl]

Three sources of motion: the prompt suite's sentences (two seeds each), recorded clips of CMU's
split val, and motions recorded by others for the G1 (`--moves`; the first `--seconds` of each).
Each is executed by up to three controllers (`pd` alone is the control), nominal and disturbed: see
`nextscale_core.simulation.config.DISTURBED`.

"up" counts motions without a fall. "done" counts those that also pass the suite's own check on
what the robot did, mapped back to a human (`robot_to_human`), beside the same check on the
trajectory it was given. Trajectories are kept in `--cache` and rows in `--out`: a second run only
does what is missing, so delete the rows after a change of the code.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nextscale_core.estimation.robot_to_human import robot_to_human
from nextscale_core.estimation.samples import BaseTrack
from nextscale_core.exceptions import NextscaleError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.planning import MotionPlanner
from nextscale_core.robots.robot import Robot, load_robot
from nextscale_core.robots.trajectory import RobotTrajectory, read_trajectory, write_trajectory
from nextscale_core.simulation.balancer import UNITREE_JOINTS, Balancer
from nextscale_core.simulation.config import DISTURBED, SimulationConfig
from nextscale_core.simulation.policies import CONTROLLERS, make_balancer
from nextscale_core.simulation.rollout import Rollout, simulate
from nextscale_lab.data.cmu import read_cmu
from nextscale_lab.evaluate.checks import apply_check
from nextscale_lab.evaluate.prompt_suite import Prompt, load_prompt_suite

CONDITIONS = {"nominal": SimulationConfig(), "disturbed": DISTURBED}
IN_PLACE = 0.5  # [m] of net horizontal displacement, below which a motion is in place
KINDS_FOR_DONE = ("direction", "arms", "posture")


@dataclass(frozen=True)
class Motion:
    """A trajectory to execute, and the sentence and check behind it."""

    source: str
    kind: str
    name: str
    trajectory: RobotTrajectory
    prompt: Prompt | None = None


def cached(path: Path, make: Callable[[], RobotTrajectory]) -> RobotTrajectory | None:
    """A trajectory from the cache; None where gate or solver refuse it."""
    refused = path.with_suffix(".refused")
    if refused.is_file():
        return None
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_trajectory(make(), path)
        except NextscaleError as error:
            refused.write_text(str(error))
            return None
    return read_trajectory(path)


def suite_motions(cache: Path, seeds: list[int], model: str) -> Iterator[Motion]:
    """Sentences of the prompt suite, generated and retargeted."""
    loaded: list[Any] = []

    def make(prompt: Prompt, seed: int) -> RobotTrajectory:
        if not loaded:
            loaded.extend((MotionPipeline.from_pretrained(model), MotionPlanner("g1")))
        return loaded[1].plan(loaded[0].generate(prompt.sentence, seed=seed))[0]

    for row, prompt in enumerate(load_prompt_suite()):
        for seed in seeds:
            path = cache / f"suite_{row:02d}_{seed}.npz"
            trajectory = cached(path, lambda p=prompt, s=seed: make(p, s))
            if trajectory is not None:
                yield Motion("suite", prompt.kind, path.stem, trajectory, prompt)


def recorded_motions(cache: Path, folder: Path, count: int) -> Iterator[Motion]:
    """Clips of CMU's split val, evenly chosen and retargeted."""
    clips = list(read_cmu(folder, "val"))
    planner = MotionPlanner("g1")
    for number in np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int):
        clip = clips[number]
        path = cache / f"val_{clip.id.replace('/', '_')}.npz"
        trajectory = cached(path, lambda c=clip: planner.plan(c.clip)[0])
        if trajectory is not None:
            yield Motion("val", "recorded", path.stem, trajectory)


def g1_motions(file: Path, seconds: float) -> Iterator[Motion]:
    """Motions that others recorded for the G1, as they are: past no gate of ours."""
    robot = load_robot("g1")
    order = [UNITREE_JOINTS.index(name) for name in robot.joint_names]
    with np.load(file, allow_pickle=False) as arrays:
        for name in sorted(arrays.files):
            rows = arrays[name].astype(np.float64)[: int(60 * seconds)]
            joints = rows[:, 7:][:, order]
            trajectory = RobotTrajectory(
                robot="g1",
                joint_names=robot.joint_names,
                positions=joints,
                velocities=np.gradient(joints, 1 / 60, axis=0),
                time_from_start=np.arange(len(rows)) / 60,
                base_position=rows[:, :3],
                base_quaternion=rows[:, 3:7],
                fps=60.0,
                text=name,
            )
            yield Motion("g1_moves", "g1_moves", f"moves_{name}", trajectory)


def human(robot: Robot, trajectory: RobotTrajectory) -> MotionClip:
    """What a robot's motion shows, on a human's skeleton."""
    times = trajectory.time_from_start
    base = BaseTrack(times, trajectory.base_position, trajectory.base_quaternion)
    return robot_to_human(robot, times, trajectory.positions, base=base).clip


def passes(robot: Robot, motion: Motion, trajectory: RobotTrajectory) -> bool:
    """The prompt's check on a robot's motion."""
    prompt = motion.prompt
    assert prompt is not None
    try:
        shown = human(robot, trajectory)
    except NextscaleError:  # such as a fall before there are enough frames
        return False
    return bool(apply_check(prompt.check, shown, prompt.thresholds).passed)


_asked: dict[str, bool] = {}


def asked(robot: Robot, motion: Motion) -> bool:
    """The prompt's check on the trajectory, made once for all controllers."""
    if motion.name not in _asked:
        _asked[motion.name] = passes(robot, motion, motion.trajectory)
    return _asked[motion.name]


def measure(robot: Robot, motion: Motion, balancer: Balancer, condition: str) -> dict[str, Any]:
    """One row: the figures of a rollout, and whether what was asked is done."""
    begin = time.process_time()
    rollout: Rollout = simulate(robot, motion.trajectory, balancer, CONDITIONS[condition])
    seconds = time.process_time() - begin
    path = motion.trajectory.base_position[:, :2]
    row = {
        "source": motion.source,
        "kind": motion.kind,
        "name": motion.name,
        "condition": condition,
        **rollout.to_dict(),
        "speed": (rollout.motion.seconds + 1.5) / seconds,
        "in_place": bool(np.linalg.norm(path - path[0], axis=1).max() < IN_PLACE),
    }
    if motion.prompt is not None:
        row["asked"] = asked(robot, motion)
        row["done"] = rollout.up and passes(robot, motion, rollout.motion)
    return row


def report(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of two Markdown tables: per source, and per kind of sentence."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    kinds: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["source"], row["controller"], row["condition"])
        groups.setdefault(key, []).append(row)
        if "done" in row:
            kinds.setdefault((row["controller"], row["condition"], row["kind"]), []).append(row)
    yield (
        "| source | controller | condition | up | joints [deg] | key bodies [cm] | velocity [m/s] "
        "| drift in place, median [cm] | torque at limit | done / asked: direction, arms, posture "
        "| times real time |"
    )
    yield "|" + "---|" * 11
    for key, group in sorted(groups.items()):
        up = [row for row in group if row["up"]]

        def mean(name: str, up: list[dict[str, Any]] = up) -> float:
            return float(np.mean([row[name] for row in up])) if up else np.nan

        drift = [row["root_drift_m"] for row in up if row["in_place"]]
        asked = [row for row in group if row.get("asked") and row["kind"] in KINDS_FOR_DONE]
        cells = [
            *key,
            f"{len(up)} of {len(group)} ({len(up) / len(group):.1%})",
            *(f"{mean(name):.1f}" for name in ("joint_error_deg", "key_body_error_cm")),
            f"{mean('velocity_error_m_s'):.2f}",
            f"{100 * np.median(drift):.0f}" if drift else "-",
            f"{mean('saturation'):.2%}",
            f"{sum(row['done'] for row in asked)} / {len(asked)}" if asked else "-",
            f"{np.median([row['speed'] for row in group]):.1f}",
        ]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield "| controller | condition | kind | up | asked | done |"
    yield "|" + "---|" * 6
    for key, group in sorted(kinds.items()):
        counts = (sum(row[name] for row in group) for name in ("up", "asked", "done"))
        cells = [*key, *(f"{count} of {len(group)}" for count in counts)]
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tracker", type=Path, help="ONNX file of TWIST2's tracker")
    parser.add_argument("--walking", type=Path, help="ONNX file of a walking policy")
    parser.add_argument("--controllers", nargs="+", choices=CONTROLLERS, default=CONTROLLERS)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[5, 6], help="of the suite")
    parser.add_argument("--model", default="moscale-cmu")
    parser.add_argument("--cmu", type=Path, help="folder of recorded motion")
    parser.add_argument("--clips", type=int, default=40, help="recorded clips of split val")
    parser.add_argument("--moves", type=Path, help="npz of motions recorded for the G1")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of these motions")
    parser.add_argument("--cache", type=Path, default=Path("out/physics"))
    parser.add_argument("--out", type=Path, default=Path("out/physics/rows.jsonl"))
    options = parser.parse_args()

    motions = list(suite_motions(options.cache, options.seeds, options.model))
    if options.cmu:
        motions += recorded_motions(options.cache, options.cmu, options.clips)
    if options.moves:
        motions += g1_motions(options.moves, options.seconds)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    if options.out.is_file():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    known = {(row["name"], row["controller"], row["condition"]) for row in rows}
    robot = load_robot("g1")
    policies = {"tracker": options.tracker, "walking": options.walking, "pd": None}
    with options.out.open("a") as file:
        for controller in options.controllers:
            balancer = make_balancer(robot, controller, policies[controller])
            cases = [(motion, condition) for condition in options.conditions for motion in motions]
            for motion, condition in tqdm(cases, desc=controller):
                if (motion.name, controller, condition) not in known:
                    rows.append(measure(robot, motion, balancer, condition))
                    file.write(json.dumps(rows[-1]) + "\n")
                    file.flush()
    print("\n".join(report(rows)))


if __name__ == "__main__":
    main()

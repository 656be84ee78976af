"""Retargeting and safety gate on intact and corrupted motions: outcomes and violations.

    python bench/robustness.py CMU_FOLDER [--robot g1] [--real 200] [--generated 200]
        [--corrupted 600] [--split train]

Recorded clips, generated clips and corrupted versions of both are retargeted, half of them from a
measured state; corrupted clips also from impossible states. Only typed errors may be raised, and
`audit.py`, which shares no code with the gate, may find nothing in what the gate passes. Prints a
table of kind x outcome and one of the gate's findings; the exit status is 1 on any violation or
other exception.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from audit import audit
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from nextscale_core.exceptions import NextscaleError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotState, load_robot
from nextscale_core.safety import SafetyGate
from nextscale_lab.data.cmu import read_cmu
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite

OUTCOMES = ("pass", "repaired", "rejected")


Make = Callable[[MotionClip, np.random.Generator], MotionClip]


def nan(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Some coordinates are NaN, before the clip is made or after."""
    return _spoiled(clip, generator, np.nan)


def infinite(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Some coordinates are infinite, before the clip is made or after."""
    return _spoiled(clip, generator, generator.choice([np.inf, -np.inf]))


def _spoiled(clip: MotionClip, generator: np.random.Generator, value: float) -> MotionClip:
    joints = clip.joints.copy()
    count = int(10 ** generator.uniform(0, np.log10(joints.size)))
    where = generator.choice(joints.size, count, replace=False)
    if generator.random() < 0.5:
        joints.flat[where] = value
        return replace(clip, joints=joints)
    clip = replace(clip, joints=joints)
    clip.joints.flat[where] = value  # a frozen dataclass does not freeze its array
    return clip


def teleports(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """The whole body, or some joints, jump: for good or for a frame, 10 cm to 100 m."""
    joints = clip.joints.astype(np.float64)
    for _ in range(generator.integers(1, 5)):
        jump = generator.normal(size=3) * 10 ** generator.uniform(-1, 2)
        at = int(generator.integers(len(joints)))
        frames = slice(at, None if generator.random() < 0.5 else at + 1)
        if generator.random() < 0.5:
            joints[frames] += jump
        else:
            joints[frames, generator.choice(22, generator.integers(1, 6), replace=False)] += jump
    return replace(clip, joints=joints)


def wrong_shape(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Joints, axes, labels or frames are missing, surplus or not numeric."""
    joints = clip.joints
    shapes: list[Callable[[], object]] = [
        lambda: joints[:, :21],
        lambda: np.concatenate([joints, joints], axis=1),
        lambda: joints[..., :2],
        lambda: joints.reshape(-1, 3),
        lambda: joints[0],
        lambda: joints[None],
        lambda: joints.transpose(1, 0, 2),
        lambda: [*joints.tolist()[:3], [[0.0]]],
        lambda: joints.astype(str).astype(object)[0],
        lambda: "motion",
        lambda: None,
        lambda: joints.astype(complex),
    ]
    number = int(generator.integers(len(shapes) + 2))
    if number == len(shapes):
        return replace(clip, contacts=np.ones((len(clip) + 1, 4), dtype=bool))
    if number == len(shapes) + 1:
        return replace(clip, fps=generator.choice([0.0, -20.0, np.nan, np.inf]))
    return replace(clip, joints=shapes[number](), contacts=None)  # type: ignore[arg-type]


def zero_length(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """No frames, or all bones of no length."""
    if generator.random() < 0.5:
        return clip.slice(0, 0)
    return replace(clip, joints=np.repeat(clip.joints[:, :1], 22, axis=1))


def one_frame(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """One frame, or a few."""
    at = int(generator.integers(len(clip)))
    return clip.slice(at, at + (1 if generator.random() < 0.7 else int(generator.integers(2, 6))))


def scaled(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Scaled by 100: the whole clip, one axis, some frames, or the path only."""
    joints = clip.joints.astype(np.float64)
    kind = generator.integers(4)
    if kind == 0:
        joints *= 100.0
    elif kind == 1:
        joints[..., generator.integers(3)] *= 100.0
    elif kind == 2:
        joints[generator.random(len(joints)) < generator.uniform(0.05, 0.6)] *= 100.0
    else:
        joints += 99.0 * joints[:, :1] * [1.0, 1.0, 0.0]
    return replace(clip, joints=joints)


def upside_down(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Turned by half a turn about a horizontal axis, in the middle or throughout, or mirrored."""
    joints = clip.joints.astype(np.float64)
    centre = joints[:, :1] if generator.random() < 0.5 else joints[:1, :1]
    angle = generator.uniform(0, 2 * np.pi)
    turn = Rotation.from_rotvec(np.pi * np.array([np.cos(angle), np.sin(angle), 0.0])).as_matrix()
    if generator.random() < 0.3:
        turn = np.diag([1.0, 1.0, -1.0])
    begin = 0 if generator.random() < 0.6 else int(generator.integers(len(joints)))
    turned = (joints - centre) @ turn.T + centre
    joints[begin:] = turned[begin:]
    return replace(clip, joints=joints)


def random_rotations(clip: MotionClip, generator: np.random.Generator) -> MotionClip:
    """Random rotation per frame, one rotation, or a continuous tumble."""
    joints = clip.joints.astype(np.float64)
    frames, kind = len(joints), generator.integers(3)
    if kind == 0:
        turn = Rotation.random(frames, rng=generator)
    elif kind == 1:
        turn = Rotation.concatenate([Rotation.random(rng=generator)] * frames)
    else:
        spin = generator.normal(size=3) * generator.uniform(0.05, 1.0)
        turn = Rotation.from_rotvec(np.arange(frames)[:, None] * spin)
    centre = joints[:, :1]
    return replace(clip, joints=(joints - centre) @ turn.as_matrix().transpose(0, 2, 1) + centre)


CORRUPTIONS: dict[str, Make] = {
    "NaN": nan,
    "infinite": infinite,
    "teleports": teleports,
    "wrong shapes": wrong_shape,
    "zero length": zero_length,
    "one frame": one_frame,
    "scaled by 100": scaled,
    "upside down": upside_down,
    "random rotations": random_rotations,
}


def random_state(
    robot: Robot, generator: np.random.Generator, *, absurd: bool
) -> RobotState | None:
    """No state, the nominal posture, a disturbed one, or an impossible one."""
    share = [0.5, 0.2, 0.1, 0.1, 0.1] if absurd else [0.5, 0.3, 0.2, 0.0, 0.0]
    kind = generator.choice(["none", "nominal", "near", "any", "absurd"], p=share)
    if kind == "none":
        return None
    base = np.array([*generator.normal(size=2) * 5.0, 0.7])
    turn = Rotation.from_euler("z", generator.uniform(-np.pi, np.pi))
    positions, velocities = robot.nominal.copy(), None
    if kind == "near":
        positions = positions + generator.normal(size=robot.num_joints) * 0.1
        velocities = generator.normal(size=robot.num_joints)
    elif kind == "any":
        positions = generator.uniform(robot.position_lower - 0.02, robot.position_upper + 0.02)
        velocities = generator.normal(size=robot.num_joints) * 3.0
        turn = Rotation.random(rng=generator)
    elif kind == "absurd":
        size = 10 ** generator.uniform(-1, 6)
        positions = positions + generator.normal(size=robot.num_joints) * size
        velocities = generator.normal(size=robot.num_joints) * size
        turn = Rotation.from_rotvec([np.pi, 0.0, 0.0])
    return RobotState(positions, velocities, base, turn.as_quat())


@dataclass
class Tally:
    """Results of the motions of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


@dataclass
class Run:
    """Results of all motions."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def put_through(
    robot: Robot,
    cases: list[tuple[str, MotionClip, Make | None]],
    seed: int,
) -> Run:
    """Retarget, review and audit every case."""
    retargeter, gate = Retargeter(robot), SafetyGate(robot)
    run = Run()
    for number, (kind, clip, corrupt) in enumerate(tqdm(cases, desc=robot.name, smoothing=0.05)):
        generator = np.random.default_rng([seed, number])
        start = random_state(robot, generator, absurd=corrupt is not None)
        rate = 50.0 if generator.random() < 0.9 else float(10 ** generator.uniform(0.7, 2.3))
        tally = run.tallies.setdefault(kind, Tally())
        begin = time.process_time()
        try:
            broken = corrupt(clip, generator) if corrupt else clip
            trajectory = retargeter.retarget(broken, rate=rate, start=start)
            result = gate.review(trajectory, start=start)
        except NextscaleError as error:
            tally.seconds.append(time.process_time() - begin)
            tally.outcomes[type(error).__name__] += 1
            continue
        except Exception as error:  # what this benchmark searches for
            tally.seconds.append(time.process_time() - begin)
            tally.outcomes["untyped"] += 1
            run.broken.append(f"{kind} {number}: {traceback.format_exc(limit=-3)}")
            del error
            continue
        tally.seconds.append(time.process_time() - begin)
        tally.outcomes[result.report.outcome] += 1
        if result.trajectory is None:
            run.reasons.update({finding.check for finding in result.report.findings})
            continue
        wrong = audit(robot, result.trajectory, start)
        if wrong:
            tally.outcomes["violation"] += 1
            run.broken.append(f"{kind} {number} at {rate:.1f} Hz: {'; '.join(wrong)}")
    return run


def make_cases(
    real: list[MotionClip],
    generated: list[MotionClip],
    corrupted: int,
    seed: int,
) -> list[tuple[str, MotionClip, Make | None]]:
    """Kind, clip and corruption of each case."""
    cases: list[tuple[str, MotionClip, Make | None]] = [("real", clip, None) for clip in real]
    cases += [("generated", clip, None) for clip in generated]
    pool, generator = [*real, *generated], np.random.default_rng(seed)
    kinds = list(CORRUPTIONS)
    for number in range(corrupted):
        kind = kinds[number % len(kinds)]
        cases.append((kind, pool[int(generator.integers(len(pool)))], CORRUPTIONS[kind]))
    return cases


def generate(count: int, model: str) -> list[MotionClip]:
    """Clips of the sentences of the battery."""
    if not count:
        return []
    pipeline = MotionPipeline.from_pretrained(model)
    sentences = [item.sentence for item in load_prompt_suite()]
    texts = [sentences[n % len(sentences)] for n in range(count)]
    clips: list[MotionClip] = []
    for first in tqdm(range(0, count, 16), desc="generating"):
        some = texts[first : first + 16]
        clips += pipeline.generate_batch(some, seeds=list(range(first, first + len(some))))
    return clips


def show(robot: Robot, run: Run) -> None:
    """Print both tables, the findings of the gate and the violations."""
    console = Console(width=160)
    errors = sorted({name for tally in run.tallies.values() for name in tally.outcomes})
    columns = [*OUTCOMES, *(name for name in errors if name not in OUTCOMES)]
    table = Table("kind", "motions", *columns, "median [CPU s]", "p99", "max", title=robot.name)
    for kind, tally in run.tallies.items():
        table.add_row(*_row(kind, tally, columns))
    total = Tally(
        sum((tally.outcomes for tally in run.tallies.values()), Counter()),
        [second for tally in run.tallies.values() for second in tally.seconds],
    )
    table.add_section()
    table.add_row(*_row("all", total, columns))
    console.print(table)
    reasons = ", ".join(f"{name} {count}" for name, count in run.reasons.most_common())
    console.print(f"the gate's findings in rejected motions: {reasons or 'none'}")
    for line in run.broken:
        console.print(f"BROKEN {line}", markup=False)


def _row(kind: str, tally: Tally, columns: list[str]) -> list[str]:
    seconds = np.array(tally.seconds)
    counts = [str(tally.outcomes[name] or "") for name in columns]
    times = (np.median(seconds), np.percentile(seconds, 99), seconds.max())
    return [kind, str(len(seconds)), *counts, *(f"{value:.2f}" for value in times)]


def main() -> None:
    """Run all cases; exit status 1 on a violation."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cmu", type=Path, help="folder of CMU motion")
    parser.add_argument("--robot", default="g1")
    parser.add_argument("--split", default="train", choices=("train", "val", "test"))
    parser.add_argument("--model", default="moscale-cmu")
    parser.add_argument("--real", type=int, default=200)
    parser.add_argument("--generated", type=int, default=200)
    parser.add_argument("--corrupted", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    robot = load_robot(arguments.robot)
    clips = [item.clip for item in read_cmu(arguments.cmu, arguments.split)]
    order = np.random.default_rng(arguments.seed).permutation(len(clips))[: arguments.real]
    generated = generate(arguments.generated, arguments.model)
    cases = make_cases([clips[n] for n in order], generated, arguments.corrupted, arguments.seed)
    run = put_through(robot, cases, arguments.seed)
    show(robot, run)
    sys.exit(1 if run.broken else 0)


if __name__ == "__main__":
    main()

"""Benchmark of sentences that state lengths, steps and angles; prints a table in Markdown.

    python bench/distances.py [--seeds 8] [--robots g1 talos]

Each sentence has the place and heading that a person is to reach, in the frame of the start; a
step is as long as `nextscale_core.text.journeys` has it. Without its amounts the same sentence
shows what the model would do ("a person walks forward"). Errors of robots are of the base of the
trajectory that the safety gate passed.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np

from nextscale_core.exceptions import UnsafeTrajectoryError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.planning import MotionPlanner
from nextscale_core.text.journeys import journey
from nextscale_core.text.language import TextWarning


class Case(NamedTuple):
    """A sentence, the same without amounts, and the goal: x, y [m], angle [deg]."""

    sentence: str
    plain: str
    goal: tuple[float, float, float]

    @property
    def names_a_side(self) -> bool:
        """Whether a turn to the other side is wrong."""
        return "left" in self.sentence or "right" in self.sentence


CASES = (
    Case("walk forward 50 cm", "walk forward", (0.5, 0, 0)),
    Case("a person walks forward two meters", "a person walks forward", (2, 0, 0)),
    Case("walk 8 meters", "walk", (8, 0, 0)),
    Case("walk backward 1.5 m", "walk backward", (-1.5, 0, 0)),
    Case("sidestep one meter to the left", "sidestep to the left", (0, 1, 0)),
    Case("run five meters", "run", (5, 0, 0)),
    Case("walk 1 meter while waving the right hand", "walk while waving the right hand", (1, 0, 0)),
    Case("take three steps forward", "step forward", (1.86, 0, 0)),
    Case("take two steps back", "step back", (-1.1, 0, 0)),
    Case("turn 30 degrees left", "turn left", (0, 0, 30)),
    Case("turn right 90 degrees", "turn right", (0, 0, -90)),
    Case("walk two meters, turn left 90 degrees and walk one meter", "walk, turn left and walk",
         (2, 1, 90)),
    Case("walk two meters and come back", "walk and come back", (0, 0, 180)),
    Case("march forward 2 meters", "march forward", (2, 0, 0)),
    Case("run 20 meters", "run", (20, 0, 0)),
    Case("jump one meter forward", "jump forward", (1, 0, 0)),
    Case("spin around twice to the left", "spin around to the left", (0, 0, 720)),
)  # fmt: skip


def reached(clip: MotionClip, signed: bool = True) -> np.ndarray:
    """x, y [m] and angle [deg] at the end of a motion that begins at the origin along +x."""
    yaw = np.unwrap(heading_yaw(clip.joints.astype(np.float64)))[-1]
    place = clip.joints[-1, 0, :2] - clip.joints[0, 0, :2]
    return np.array([*place, math.degrees(yaw if signed else abs(yaw))])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--robots", nargs="*", default=["g1", "talos"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", TextWarning)
    model = MotionPipeline.from_pretrained("moscale-cmu")
    planners = {name: MotionPlanner(name) for name in arguments.robots}
    print("| sentence | off: place, angle | without amounts | time ratio |", end="")
    print("".join(f" {name}: place, gate |" for name in planners))
    print("|---|---|---|---|" + "---|" * len(planners))
    for case in CASES:
        ours, plain, spent = [], [], Counter[str]()
        for seed in range(arguments.seeds):
            for sentence, found in ((case.sentence, ours), (case.plain, plain)):
                begin = time.process_time()
                clip = model.generate(sentence, seed=seed)
                clip = model.come_to_rest(clip, seed=seed)
                spent[sentence] += time.process_time() - begin
                found.append(np.abs(reached(clip, case.names_a_side) - case.goal))
        other = np.mean(plain, axis=0)
        worst = np.linalg.norm(np.array(ours)[:, :2], axis=1).max()
        row = f"| {case.sentence} | {worst * 100:.1f} cm, {np.array(ours)[:, 2].max():.1f} deg "
        row += f"| {np.hypot(*other[:2]):.2f} m, {other[2]:.0f} deg "
        row += f"| {spent[case.sentence] / spent[case.plain]:.2f} |"
        for planner in planners.values():
            row += f" {_on_robot(model, planner, case, arguments.seeds)} |"
        print(row, flush=True)


def _on_robot(model: MotionPipeline, planner: MotionPlanner, case: Case, seeds: int) -> str:
    """Largest error of the base's place [cm], and what the gate said."""
    outcomes, errors = Counter[str](), []
    # Steps are of the robot's own size.
    size = (
        planner.scale
        if any(leg.travel and leg.travel.steps for leg in journey(case.sentence))
        else 1.0
    )
    for seed in range(seeds):
        clip = model.generate(case.sentence, seed=seed, scale=planner.scale)
        try:
            trajectory, report = planner.plan(clip)
        except UnsafeTrajectoryError:
            outcomes["refused"] += 1
            continue
        outcomes[report.outcome] += 1
        way = trajectory.base_position[-1] - trajectory.base_position[0]
        errors.append(float(np.linalg.norm(way[:2] - size * np.array(case.goal[:2]))))
    said = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    return f"{max(errors, default=math.nan) * 100:.0f} cm, {said}"


if __name__ == "__main__":
    main()

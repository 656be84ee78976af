"""Benchmark of retargeting on recorded human motion: quality, time and gate outcomes.

    python bench/retarget.py DATA [--robots g1 talos] [--splits val test] [--clips 40] [--times]

Quality is measured on the solved frames (the trajectory shows the same frames, later). A foot
counts as standing in frames where the human's does: slower than 0.35 m/s and near the floor, in
this frame and the next. `DATA` is a folder that `nextscale_lab.data.cmu` reads.

A baseline in the manner of GMR (`gmr/baseline.py`) solves the same clips in the same run, in turns
and with one BLAS thread. Our time includes targets, solving, timing and gate; the baseline's
includes scaling and inverse kinematics, but not the orientations of the human's bodies, which it
expects as input. `--times` leaves the quality out and adds our time without the compiled kernels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from retarget_metrics import MeshCollisions, as_published, published, quality
from retarget_table import CPU, FRAMES, Measured, markdown
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from nextscale_core.exceptions import NextscaleError
from nextscale_core.kernels import without_kernels
from nextscale_core.motion.clip import CaptionedClip, MotionClip
from nextscale_core.npz import write_text
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.targets import Targets, make_targets
from nextscale_core.robots import RobotState, load_robot
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.safety import GateResult, SafetyGate
from nextscale_core.stopwatch import Stopwatch
from nextscale_lab.data.cmu import read_cmu

INSTALL = 'pip install "mujoco>=4.0" "mink>=1.3" "daqp>=0.11"'


_Figures = tuple[dict[str, float], dict[str, float]]
"""Figures of one clip; wall time by stage and CPU time [ms for 196 frames]."""


class Bench:
    """Retargeters and metrics of one robot.

    Args:
        name: Of the robot.
        baseline: Whether the baseline runs too; needs mujoco, mink and daqp.
        from_nominal: Begin every trajectory in the nominal posture.
        times: Measure times only, and our time without the compiled kernels.
    """

    def __init__(
        self, name: str, *, baseline: bool, from_nominal: bool = False, times: bool = False
    ):
        robot, self._times = load_robot(name), times
        self._robot, self._kinematics = robot, kinematics_of(robot)
        self._retargeter, self._gate = Retargeter(robot), SafetyGate(robot)
        self._bodies = MeshCollisions(robot)
        self._state = RobotState(robot.nominal) if from_nominal else None
        self._baseline: Any = None
        if baseline:
            from gmr.baseline import GmrBaseline

            self._baseline = GmrBaseline(robot)
        self.measured = Measured(robot.name)

    def clip(self, item: CaptionedClip, *, baseline_first: bool = False) -> None:
        """Measure one clip."""
        measured = self.measured
        parts = [self._ours] if self._baseline is None else [self._ours, self._theirs]
        try:
            targets = make_targets(item.clip, self._kinematics)
            done = [part(item, targets) for part in parts[:: -1 if baseline_first else 1]]
        except NextscaleError as error:
            measured.outcomes[type(error).__name__] += 1
            measured.remarks.append(f"{item.id} {item.clip.text[:50]!r}: {error}")
            return
        # Only clips that both could do, so that the rows are of the same clips.
        rows, times = zip(*done[:: -1 if baseline_first else 1], strict=True)
        if self._times:
            with without_kernels():
                measured.plain_times.append(self._seconds(item.clip)[1])
        measured.rows.append(rows[0])
        measured.times.append(times[0])
        if self._baseline is not None:
            measured.baseline_rows.append(rows[1])
            measured.baseline_times.append(times[1])

    def _seconds(self, clip: MotionClip) -> tuple[GateResult, dict[str, float]]:
        """The gate's answer; seconds by stage and CPU time [ms for 196 frames]."""
        stopwatch, begin = Stopwatch(), time.process_time()
        trajectory = self._retargeter.retarget(clip, start=self._state, stopwatch=stopwatch)
        with stopwatch.stage("gate"):
            result = self._gate.review(trajectory, start=self._state)
        seconds = {**stopwatch.seconds, CPU: time.process_time() - begin}
        scale = 1000 * FRAMES / len(clip)
        return result, {name: scale * value for name, value in seconds.items()}

    def _ours(self, item: CaptionedClip, targets: Targets) -> _Figures:
        measured = self.measured
        result, times = self._seconds(item.clip)
        measured.outcomes[result.report.outcome] += 1
        if result.report.outcome != "pass":
            line = result.report.line()[:160]
            measured.remarks.append(f"{item.id} {item.clip.text[:50]!r}: {line}")
        if self._times:
            return {}, times
        row = quality(targets, self._retargeter.solve(targets), self._kinematics)
        if result.trajectory is not None:
            row |= published(self._kinematics, result.trajectory, item.clip, self._bodies)
        return row, times

    def _theirs(self, item: CaptionedClip, targets: Targets) -> _Figures:
        from gmr.human import human_of

        human = human_of(targets.body, float(targets.contacts.rest_height[0]))
        begin, begin_cpu = time.perf_counter(), time.process_time()
        poses = self._baseline.retarget(human)
        seconds = {"solve": time.perf_counter() - begin, CPU: time.process_time() - begin_cpu}
        scale = 1000 * FRAMES / len(item.clip)
        times = {name: scale * value for name, value in seconds.items()}
        if self._times:
            return {}, times
        trajectory = as_published(self._robot, poses, targets.fps)
        row = quality(targets, poses, self._kinematics)
        row |= published(self._kinematics, trajectory, item.clip, self._bodies)
        return row, times


def measure(
    robot: str,
    clips: Sequence[CaptionedClip],
    *,
    baseline: bool,
    from_nominal: bool = False,
    times: bool = False,
) -> Measured:
    """Run both retargeters over all clips, in turns, with one BLAS thread.

    Args:
        robot: Name of the robot.
        clips: Clips to retarget.
        baseline: Whether the baseline runs too.
        from_nominal: Begin every trajectory in the nominal posture.
        times: Measure times only.
    """
    with threadpool_limits(limits=1):
        bench = Bench(robot, baseline=baseline, from_nominal=from_nominal, times=times)
        for number, item in enumerate(tqdm(clips, desc=robot, unit="clip")):
            bench.clip(item, baseline_first=bool(number % 2))
    return bench.measured


def draw(folder: Path, splits: Sequence[str], count: int, seed: int) -> list[CaptionedClip]:
    """Clips of some splits together, drawn by seed."""
    clips = [item for split in splits for item in read_cmu(folder, split)]
    order = np.random.default_rng(seed).permutation(len(clips))[:count]
    return [clips[number] for number in order]


def baseline_missing() -> str:
    """Why the baseline cannot run, with the install command; '' if it can."""
    try:
        import daqp  # noqa: F401
        import mink  # noqa: F401
        import mujoco  # noqa: F401
    except ImportError as error:
        return f"no baseline: {error}; get it with: {INSTALL}"
    return ""


def main() -> None:
    """Print a table for each robot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of CMU motion")
    parser.add_argument("--robots", "--robot", nargs="+", default=["g1", "talos"])
    parser.add_argument(
        "--splits", "--split", nargs="+", default=["val", "test"], choices=("train", "val", "test")
    )
    parser.add_argument("--clips", type=int, default=40, help="of all splits together")
    parser.add_argument("--seed", type=int, default=0, help="which clips")
    parser.add_argument("--from-nominal", action="store_true", help="begin in nominal posture")
    parser.add_argument("--times", action="store_true", help="no quality, but without kernels too")
    parser.add_argument("--baseline", default="gmr", choices=("gmr", "none"))
    parser.add_argument("--json", type=Path, help="file for the figures of every clip")
    arguments = parser.parse_args()
    missing = baseline_missing() if arguments.baseline == "gmr" else ""
    clips = draw(arguments.data, arguments.splits, arguments.clips, arguments.seed)
    print(f"{len(clips)} clips of {' and '.join(arguments.splits)}, seed {arguments.seed}\n")
    results = []
    for robot in arguments.robots:
        measured = measure(
            robot,
            clips,
            baseline=arguments.baseline == "gmr" and not missing,
            from_nominal=arguments.from_nominal,
            times=arguments.times,
        )
        print(markdown(measured) + "\n", flush=True)
        results.append(measured)
    if missing:
        print(missing)
    if arguments.json is not None:
        document = {
            "clips": [item.id for item in clips],
            "splits": arguments.splits,
            "seed": arguments.seed,
            "from_nominal": arguments.from_nominal,
            "robots": [vars(measured) for measured in results],
        }
        write_text(arguments.json, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

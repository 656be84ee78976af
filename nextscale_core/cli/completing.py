"""What `complete`, `edit` and `sequence` share: reading the clip, time spans, the last words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nextscale_core.cli.console import print_facts, working
from nextscale_core.cli.outputs import write_human, write_robot
from nextscale_core.cli.planning import Planner
from nextscale_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.motion.reading import ReadOptions


def read_clip(path: Path, options: ReadOptions) -> MotionClip:
    """Read a motion, brought to the 20 frames per second of the models.

    Raises:
        MotionFileError: missing or malformed file.
    """
    from nextscale_core.motion import MotionClip, read_motion
    from nextscale_core.motion.resample import resample
    from nextscale_core.motion.skeleton import FPS

    clip = read_motion(path, options)
    if abs(clip.fps - FPS) <= 1e-3:
        return clip
    joints = resample(clip.joints, clip.fps, FPS)
    return MotionClip(joints, FPS, clip.text, seed=clip.seed, notes=clip.notes)


def parse_span(value: str, end: float, option: str) -> tuple[float, float]:
    """Span of time from text such as '0:1.5', ':1.5' or '3:'.

    Args:
        value: What the user gave.
        end: End of the clip, where none is given [s].
        option: Name of the option, for the error.

    Returns:
        (start, stop) [s].

    Raises:
        typer.BadParameter: no two times, or they are in the wrong order or outside of the clip.
    """
    first, colon, last = value.partition(":")
    try:
        start = float(first) if first.strip() else 0.0
        stop = float(last) if last.strip() else end
    except ValueError:
        start = stop = math.nan
    if not colon or not 0 <= start < stop <= end + 1e-6:
        raise typer.BadParameter(
            f"{value!r} must be START:STOP in seconds within 0:{end:g}, such as 0:1.0",
            param_hint=option,
        )
    return start, stop


def finish(
    clip: MotionClip,
    files: list[Path],
    facts: dict[str, str],
    planner: Planner | None,
    stopwatch: Stopwatch,
) -> None:
    """Write a motion, for a robot where one is given, and say what was made.

    Raises:
        MotionFileError: a file cannot be written.
        RetargetError: the motion cannot be mapped onto the robot.
        UnsafeTrajectoryError: the safety gate refused it.
    """
    if planner is None:
        with working("writing"):
            for path in files:
                write_human(clip, path)
    else:
        trajectory, report = planner.plan(clip, stopwatch)
        facts["robot"] = (
            f"{planner.robot.name}: {len(trajectory.joint_names)} joints, "
            f"{len(trajectory)} points, {trajectory.seconds:.2f} s at {trajectory.fps:g} Hz"
        )
        facts["safety"] = report.line()
        with working("writing"):
            for path in files:
                write_robot(planner.robot, trajectory, path, clip.seed)
    facts["time"] = stopwatch.line()
    print_facts(facts, files)

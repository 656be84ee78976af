"""Results of the commands: checked before the work begins, written when it is done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nextscale_core.cli.console import notes, print_facts, working
from nextscale_core.exceptions import MotionFileError, UnsafeTrajectoryError
from nextscale_core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.planning import MotionPlanner
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory

PICTURES = (".png", ".gif")
USD = (".usd", ".usda", ".usdc")
HUMAN_SUFFIXES = (".npz", ".bvh", ".glb", *USD, *PICTURES)
ROBOT_SUFFIXES = (".npz", *PICTURES)


def check_outputs(
    out: list[Path] | None,
    *,
    robot: bool,
    inputs: Iterable[Path | str | None],
    beside: Iterable[Path | None] = (),
) -> list[Path]:
    """Refuse an output that cannot be written, before minutes of work; make missing folders.

    Args:
        out: The files of --out.
        robot: Whether they are to hold a robot's motion.
        inputs: What the command reads, see `check_files`.
        beside: Other files to write, see `check_files`.

    Returns:
        The files.

    Raises:
        MotionFileError: no file, an unknown suffix, or see `check_files`.
    """
    known = ROBOT_SUFFIXES if robot else HUMAN_SUFFIXES
    if not out:
        raise MotionFileError(f"no output: give --out FILE, ending in {', '.join(known)}")
    for path in out:
        suffix = path.suffix.lower()
        if suffix not in known:
            reason = (
                f"a {suffix} file holds human motion, leave out --robot"
                if robot and suffix in HUMAN_SUFFIXES
                else f"unknown format {suffix or 'no suffix'!r}"
            )
            raise MotionFileError(f"--out {path}: {reason}; known are {', '.join(known)}")
        if suffix in USD:
            from nextscale_core.motion.formats.usd import require_usd

            require_usd()
    check_files([*out, *beside], inputs)
    return out


def check_suffixes(files: Mapping[str, Path | None], inputs: Iterable[Path | str | None]) -> None:
    """Refuse files that cannot be written, before minutes of work; make missing folders.

    Args:
        files: By the option's name, which is also the suffix, such as 'gif'; None where not given.
        inputs: What the command reads, see `check_files`.

    Raises:
        MotionFileError: another suffix, or see `check_files`.
    """
    for option, path in files.items():
        if path is not None and path.suffix.lower() != f".{option}":
            raise MotionFileError(f"--{option} {path}: the name must end in .{option}")
    check_files(files.values(), inputs)


def check_files(outputs: Iterable[Path | None], inputs: Iterable[Path | str | None]) -> None:
    """Refuse outputs that cannot be written or would replace an input; make missing folders.

    Args:
        outputs: Files to write; None where not given.
        inputs: Files that the command reads, and names that may be files, such as that of a robot.

    Raises:
        MotionFileError: an output is a folder, an input or another output, also through links, or
            its folder cannot be written.
    """
    read = [Path(name) for name in inputs if name is not None]
    written: list[Path] = []
    for path in outputs:
        if path is None:
            continue
        if path.is_dir():
            raise MotionFileError(f"{path} is a folder; give a file")
        if any(_same_file(path, other) for other in read):
            raise MotionFileError(f"{path} is an input, which it would replace; give another name")
        if any(_same_file(path, other) for other in written):
            raise MotionFileError(f"{path} is given for two outputs; give each its own name")
        written.append(path)
        make_folder(path.parent)
        if path.exists() and not path.is_file():
            if not os.access(path, os.W_OK):
                raise MotionFileError(f"cannot write {path}: it is not writable")
            continue
        try:
            # Permissions alone do not say it: some folders take no files from anybody.
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise MotionFileError(
                f"cannot write {path}: {path.parent} is not writable ({error.strerror})"
            ) from error


def _same_file(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file, also through links; it need not exist."""
    try:
        return first.samefile(second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        MotionFileError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionFileError(f"cannot make the folder {folder}: {error.strerror}") from error


def write_human(clip: MotionClip, path: Path) -> None:
    """Write a human motion in the format of the suffix.

    Raises:
        MotionFileError: the file cannot be written.
    """
    if path.suffix.lower() in PICTURES:
        from nextscale_core.viz import draw_human

        draw_human(clip, path)
    else:
        from nextscale_core.motion import write_motion

        write_motion(clip, path)


def write_robot(robot: Robot, trajectory: RobotTrajectory, path: Path, seed: int | None) -> None:
    """Write a robot's motion in the format of the suffix.

    Raises:
        MotionFileError: the file cannot be written.
    """
    if path.suffix.lower() in PICTURES:
        from nextscale_core.viz import draw_robot

        draw_robot(robot, trajectory, path)
    else:
        from nextscale_core.robots.trajectory import write_trajectory

        write_trajectory(trajectory, path, seed=seed)


def robot_line(robot: Robot, trajectory: RobotTrajectory) -> str:
    """Joints, points, duration and rate of a trajectory."""
    return (
        f"{robot.name}: {len(trajectory.joint_names)} joints, {len(trajectory)} points, "
        f"{trajectory.seconds:.2f} s at {trajectory.fps:g} Hz"
    )


def write_planned(
    planner: MotionPlanner,
    clip: MotionClip,
    files: list[Path],
    stopwatch: Stopwatch,
    rounds: int = 1,
) -> dict[str, str]:
    """Retarget a motion, review and write it.

    Returns:
        Facts about the trajectory.

    Raises:
        MotionFileError: a file cannot be written.
        RetargetError: the motion cannot be mapped onto the robot.
        UnsafeTrajectoryError: the safety gate refused it.
    """
    with working(f"retargeting to {planner.robot.name}"):
        trajectory, report = planner.plan(clip, stopwatch=stopwatch, rounds=rounds)
        for path in files:
            write_robot(planner.robot, trajectory, path, clip.seed)
    facts = {"robot": robot_line(planner.robot, trajectory), "safety": report.line()}
    if report.feasibility is not None:
        facts["feasibility"] = report.feasibility.line()
    return facts


def write_streamed(
    robot: Robot, clip: MotionClip, files: list[Path], stopwatch: Stopwatch
) -> dict[str, str]:
    """Retarget a motion frame by frame, review and write it.

    Returns:
        Facts about the trajectory.

    Raises:
        MotionFileError: a file cannot be written.
        InvalidMotionError: the first frame is no human in metres.
        UnsafeTrajectoryError: the safety gate refused it.
    """
    from nextscale_core.retarget import StreamingRetargeter, stream_clip
    from nextscale_core.safety.gate import SafetyGate

    with working(f"streaming to {robot.name}"):
        retargeter = StreamingRetargeter(robot)
        with stopwatch.stage("stream"):
            trajectory, held = stream_clip(retargeter, clip)
        with stopwatch.stage("gate"):
            checked = SafetyGate(robot).review(trajectory)
        if checked.trajectory is None:
            raise UnsafeTrajectoryError(
                f"the safety gate refused the stream: {checked.report.line()}", checked.report
            )
        for path in files:
            write_robot(robot, checked.trajectory, path, clip.seed)
    facts = {"robot": robot_line(robot, trajectory), "safety": checked.report.line()}
    reasons = [f"{count} of {len(trajectory)} poses: {why}" for why, count in held.most_common(5)]
    return facts | ({"held": "; ".join(reasons)} if reasons else {})


def finish(
    clip: MotionClip,
    files: list[Path],
    facts: dict[str, str],
    *,
    model: str,
    planner: MotionPlanner | None,
    stopwatch: Stopwatch,
    remarks: Iterable[object] = (),
) -> None:
    """Write a generated motion, or the trajectory of it where a robot is given, and print facts.

    Raises:
        MotionFileError, RetargetError, UnsafeTrajectoryError: see `write_planned`.
    """
    length = f"{clip.seconds:.2f} s, {len(clip)} frames, seed {clip.seed}, {model}"
    facts = {**facts, "motion": length, **notes(remarks)}
    if planner is not None:
        facts |= write_planned(planner, clip, files, stopwatch)
    else:
        with working("writing"):
            for path in files:
                write_human(clip, path)
    print_facts({**facts, "time": stopwatch.line()}, files)

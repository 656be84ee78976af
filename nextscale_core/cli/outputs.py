"""Where results go: checked before the work begins, written when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nextscale_core.exceptions import MotionFileError

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory

PICTURES = (".png", ".gif")
HUMAN_SUFFIXES = (".npz", ".bvh", *PICTURES)
ROBOT_SUFFIXES = (".npz", *PICTURES)


def check_outputs(paths: list[Path], *, robot: bool) -> None:
    """Refuse an output that could not be written, before minutes of work go into it.

    Missing folders are made.

    Args:
        paths: The files asked for.
        robot: Whether they are to hold a robot's motion.

    Raises:
        MotionFileError: none at all, an unknown suffix, or a place that cannot be written.
    """
    known = ROBOT_SUFFIXES if robot else HUMAN_SUFFIXES
    if not paths:
        raise MotionFileError(f"no output: give --out FILE, ending in {', '.join(known)}")
    for path in paths:
        suffix = path.suffix.lower()
        if suffix not in known:
            reason = (
                "a .bvh file holds human motion, leave out --robot"
                if robot and suffix in HUMAN_SUFFIXES
                else f"{suffix or 'no suffix'!r} is no known format"
            )
            raise MotionFileError(f"--out {path}: {reason}; known are {', '.join(known)}")
        if path.is_dir():
            raise MotionFileError(f"--out {path} is a folder; give a file")
        make_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        MotionFileError: a file stands in the way, or no permission.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionFileError(f"cannot make the folder {folder}: {error.strerror}") from error


def write_human(clip: MotionClip, path: Path) -> None:
    """Write a human motion in the format that the suffix names.

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
    """Write a robot's motion in the format that the suffix names.

    Raises:
        MotionFileError: the file cannot be written.
    """
    if path.suffix.lower() in PICTURES:
        from nextscale_core.viz import draw_robot

        draw_robot(robot, trajectory, path)
    else:
        from nextscale_core.robots.trajectory import write_trajectory

        write_trajectory(trajectory, path, seed=seed)

"""Inputs of the commands: the model, motion files and text files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nextscale_core.cli.console import working
from nextscale_core.exceptions import MotionFileError, RobotError

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.motion.reading import ReadOptions
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory


def load_pipeline(model: str, device: str) -> MotionPipeline:
    """Load a model under a spinner.

    Raises:
        ModelLoadError: unknown model or device.
    """
    with working(f"loading {model}"):
        from nextscale_core.pipeline import MotionPipeline

        return MotionPipeline.from_pretrained(model, device=device)


def read_clip(path: Path, options: ReadOptions) -> MotionClip:
    """Read a motion, resampled to the 20 frames per second of the models.

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


def is_trajectory(path: Path) -> bool:
    """Whether a file is an npz with a robot's joint names and positions, not a human motion."""
    from nextscale_core.npz import array_names

    return path.suffix.lower() == ".npz" and array_names(path) >= {"joint_names", "positions"}


def robot_of(
    trajectory: RobotTrajectory, path: Path, robot: str | None, profile: Path | None
) -> Robot:
    """Load the robot that a trajectory is for, with the joints that it moves.

    Args:
        trajectory: The trajectory.
        path: Its file, for the error.
        robot: Robot that replaces the one that the trajectory names.
        profile: Profile of the robot.

    Raises:
        RobotError: unknown robot, or no name.
    """
    from nextscale_core.robots.robot import load_robot

    name = robot or trajectory.robot
    if not name:
        raise RobotError(f"{path} does not name its robot; give it with --robot")
    loaded = load_robot(name, profile)
    if set(trajectory.joint_names) < set(loaded.joint_names):
        # The trajectory moves only some joints: the others are held.
        loaded = load_robot(name, profile, joints=trajectory.joint_names)
    return loaded


def read_text(path: Path) -> str:
    """Text of a UTF-8 file.

    Raises:
        MotionFileError: the file is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MotionFileError(f"{path} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error


def sentence_lines(text: str) -> Iterator[tuple[int, str]]:
    """(line number, line) of the lines that are neither blank nor a comment (#)."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line

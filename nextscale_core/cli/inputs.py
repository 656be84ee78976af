"""Inputs of the commands: the model, motion files and text files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nextscale_core.cli.console import working
from nextscale_core.exceptions import MotionFileError, RobotError

if TYPE_CHECKING:
    from nextscale_core.motion.clip import MotionClip
    from nextscale_core.motion.reading import ReadOptions
    from nextscale_core.pipeline import MotionPipeline
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory
    from nextscale_core.trajectory.formats.robot_motion import RobotMotion


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


@dataclass(frozen=True)
class Source:
    """What is known of a motion file.

    Attributes:
        options: Of the reader of human motion.
        robot: Robot of a robot's motion that does not name it, or instead of the one named.
        profile: Profile of the robot.
        format: Name of the format; None to find it from the file.
        quaternion: Order of the root's quaternion of a robot's motion, where it is known.
    """

    options: ReadOptions
    robot: str | None = None
    profile: Path | None = None
    format: str | None = None
    quaternion: Literal["xyzw", "wxyz"] | None = None


def read_any_motion(path: Path, source: Source) -> MotionClip | RobotMotion:
    """Read a human's or a robot's motion from a file of any format that `convert` reads.

    Raises:
        MotionFileError: missing or malformed file, or one that several formats fit.
        RobotError: unknown robot, or no name.
    """
    from nextscale_core.conversion import FORMATS, read_any
    from nextscale_core.motion.formats.registry import find_format
    from nextscale_core.robots.robot import load_robot
    from nextscale_core.robots.trajectory import read_trajectory
    from nextscale_core.trajectory.formats.robot_motion import RobotMotion, RobotReadOptions

    known = None if source.format is None else find_format(source.format, FORMATS)
    if known is None and _is_trajectory(path):
        trajectory = read_trajectory(path)
        return RobotMotion(_robot_of(trajectory, path, source), trajectory)
    robot = None if source.robot is None else load_robot(source.robot, source.profile)
    options = RobotReadOptions(robot, source.options.fps, source.quaternion)
    return read_any(path, known, source.options, options).motion


def _is_trajectory(path: Path) -> bool:
    """Whether a file is an npz with a robot's joint names and positions, not a human motion."""
    from nextscale_core.npz import array_names

    return path.suffix.lower() == ".npz" and array_names(path) >= {"joint_names", "positions"}


def _robot_of(trajectory: RobotTrajectory, path: Path, source: Source) -> Robot:
    """The robot that a trajectory is for, with the joints that it moves; others are held."""
    from nextscale_core.robots.robot import load_robot

    name = source.robot or trajectory.robot
    if not name:
        raise RobotError(f"{path} does not name its robot; give it with --robot")
    loaded = load_robot(name, source.profile)
    if set(trajectory.joint_names) < set(loaded.joint_names):
        loaded = load_robot(name, source.profile, joints=trajectory.joint_names)
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

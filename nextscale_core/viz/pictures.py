"""One call from a motion to a picture file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.viz.animation import save_animation
from nextscale_core.viz.contact_sheet import save_strip
from nextscale_core.viz.figure import Figure
from nextscale_core.viz.human import human_figure
from nextscale_core.viz.robot import robot_figure

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot
    from nextscale_core.viz.scene import Scene

SUFFIXES = (".gif", ".png")

_STRIP_DETAIL, _ANIMATION_DETAIL = 0.012, 0.022
"""Smallest mesh feature that is kept [m]: about a pixel in each picture."""


def draw_human(clip: MotionClip, path: str | Path) -> None:
    """Draw a human motion: .png is a strip of poses with a map, .gif an animation.

    Args:
        clip: The motion.
        path: The file; its folder must exist.

    Raises:
        MotionFileError: another suffix, or the file cannot be written.
    """
    path = _picture_path(path)
    _save(human_figure(clip), path)


def draw_robot(robot: Robot, trajectory: RobotTrajectory, path: str | Path) -> None:
    """Draw a robot trajectory: .png is a strip of poses with a map, .gif an animation.

    Args:
        robot: The robot that the trajectory is for; where its meshes are not on this machine, its
            links are drawn as sticks.
        trajectory: The motion.
        path: The file; its folder must exist.

    Raises:
        MotionFileError: another suffix, or the file cannot be written.
        RobotError: the trajectory is for another robot.
    """
    path = _picture_path(path)
    detail = _STRIP_DETAIL if path.suffix.lower() == ".png" else _ANIMATION_DETAIL
    _save(robot_figure(robot, trajectory, detail=detail), path)


def draw_scene(
    scene: Scene, path: str | Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw robot and human side by side: .png is a strip of poses with a map, .gif an animation.

    Args:
        scene: What to draw.
        path: The file; its folder must exist.
        progress: Called with (frames drawn, frames in all) of an animation.

    Raises:
        MotionFileError: another suffix, or the file cannot be written.
    """
    from nextscale_core.viz.scene_figure import scene_figure

    path = _picture_path(path)
    detail = _STRIP_DETAIL if path.suffix.lower() == ".png" else _ANIMATION_DETAIL
    _save(scene_figure(scene, detail=detail), path, progress)


def _picture_path(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise MotionFileError(f"cannot draw {path.name!r}: pictures end in {' or '.join(SUFFIXES)}")
    return path


def _save(figure: Figure, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
    try:
        if path.suffix.lower() == ".png":
            save_strip(figure, path)
        else:
            save_animation(figure, path, progress)
    except OSError as error:
        raise MotionFileError(f"cannot write {path}: {error.strerror or error}") from error

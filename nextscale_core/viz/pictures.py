"""Pictures of motions: .png is a strip of poses with a map of the path, .gif an animation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.viz.animated_mesh import (
    AnimatedMesh,
    compared_mesh,
    human_mesh,
    robot_mesh,
    scene_mesh,
)
from nextscale_core.viz.animation import save_animation
from nextscale_core.viz.contact_sheet import save_strip

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot
    from nextscale_core.viz.scene import Scene

_DETAIL = {".png": 0.012, ".gif": 0.022}
"""Smallest mesh feature that is kept [m], about a pixel, by the suffix of a picture."""


def draw_human(clip: MotionClip, path: str | Path) -> None:
    """Draw a human motion.

    Args:
        clip: The motion.
        path: The .png or .gif file; its folder must exist.

    Raises:
        MotionFileError: another suffix, or the file cannot be written.
    """
    _draw(lambda detail: human_mesh(clip), path)


def draw_robot(robot: Robot, trajectory: RobotTrajectory, path: str | Path) -> None:
    """Draw a robot trajectory.

    Args:
        robot: The robot that the trajectory is for; if its meshes are not on this machine, its
            links are drawn as sticks.
        trajectory: The motion.
        path: The .png or .gif file; its folder must exist.

    Raises:
        MotionFileError: another suffix, or the file cannot be written.
        RobotError: the trajectory is for another robot.
    """
    _draw(lambda detail: robot_mesh(robot, trajectory, detail=detail), path)


def draw_comparison(
    robot: Robot,
    did: RobotTrajectory,
    wanted: RobotTrajectory,
    path: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw a robot's motion beside what it should have done.

    Args:
        robot: The robot.
        did: Its motion.
        wanted: The reference, with as many samples.
        path: The .png or .gif file; its folder must exist.
        progress: Called with (frames drawn, frames in all) of an animation.

    Raises:
        MotionFileError: another suffix, or the file cannot be written.
        RobotError: a trajectory is for another robot.
    """
    _draw(lambda detail: compared_mesh(robot, did, wanted, detail=detail), path, progress)


def draw_scene(
    scene: Scene, path: str | Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw robot and human side by side.

    Args:
        scene: The scene.
        path: The .png or .gif file; its folder must exist.
        progress: Called with (frames drawn, frames in all) of an animation.

    Raises:
        MotionFileError: another suffix, or the file cannot be written.
    """
    _draw(lambda detail: scene_mesh(scene, detail=detail), path, progress)


def _draw(
    animated_mesh: Callable[[float], AnimatedMesh],
    path: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _DETAIL:
        raise MotionFileError(f"cannot draw {path.name!r}: pictures end in .gif or .png")
    animated = animated_mesh(_DETAIL[suffix])
    if suffix == ".png":
        save_strip(animated, path)
    else:
        save_animation(animated, path, progress)

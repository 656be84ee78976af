"""Picture of a session: several sentences, one continuous motion, and the seams between them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import whole_file
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.viz.animated_mesh import robot_mesh
from nextscale_core.viz.camera import Camera, looking
from nextscale_core.viz.raster import GRID, INK, QUIET, paint_mesh, paint_shadow

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot

_BANDS = ("#dbe9f6", "#fde5cf", "#dff0d8", "#ece0f3", "#fbe3e6", "#e6efe9")
_STRONG = ("#2f6fa8", "#c4691c", "#4c8c34", "#7d529c", "#b2405a", "#4d7a66")
"""A light and a strong colour for each sentence."""

_LINES = ("#1b3a5c", "#d1495b", "#2a9d8f", "#e09f3e", "#7d4e9e", "#6c757d")
"""One colour for each of the fastest joints."""

_VIEW_TURN, _VIEW_ELEVATION = np.radians(-50.0), np.radians(10.0)
_SLOT, _EVERY = 0.62, 0.7  # width [m] and time [s] of a pose
_FEWEST, _MOST = 4, 22  # poses
_BELOW, _ABOVE = 0.12, 0.42  # space under the feet and over the highest head [m]
_DETAIL = 0.014  # smallest mesh feature [m]
_INCHES_PER_METRE, _WIDEST, _NARROWEST = 1.7, 19.0, 8.0  # of the strip [inches]
_MARGIN, _LEFT, _LEGEND, _TITLE, _FOOT = 0.15, 0.65, 1.9, 0.5, 0.55  # [inches]
_CURVES_HEIGHT, _GAP = 2.5, 0.1  # [inches]
_DPI = 110


@dataclass(frozen=True)
class Spoken:
    """One sentence of a session.

    Attributes:
        text: The sentence.
        sent: Time at which it was sent, on the clock of the executed motion [s].
        begin: Time at which the robot took over its trajectory [s].
        position_jump: Maximum distance of a joint between the trajectory's first point and the
            measured state at its time [rad].
        velocity_jump: The same for velocities [rad/s].
    """

    text: str
    sent: float
    begin: float
    position_jump: float
    velocity_jump: float


def draw_session(
    robot: Robot,
    executed: RobotTrajectory,
    seams: Sequence[Spoken],
    path: str | Path,
    jumps: str = "how far its first point was from the measured state",
) -> None:
    """Draw the motion of a robot on several sentences: poses and velocities of the fastest joints.

    Time runs from left to right. Each sentence has a coloured band that begins where the robot
    took over its trajectory; a triangle marks when it was sent. A jerk at a seam is visible as a
    step of the velocities.

    Args:
        robot: The robot.
        executed: The whole motion, from before the first sentence on.
        seams: The sentences, in the order they were sent; at least one.
        path: The file; a .png in a folder that exists.
        jumps: What the jumps of the seams are, for the caption.

    Raises:
        MotionFileError: another suffix, no sentence, or the file cannot be written.
        RobotError: the trajectory's joints are not the robot's.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise MotionFileError(f"cannot draw {path.name!r}: pictures of sessions end in .png")
    if not seams or len(executed) < 2:
        raise MotionFileError("a picture of a session needs a sentence and two samples of motion")
    page = _Page(robot, executed, seams)
    picture = Figure(figsize=page.size, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(picture)
    _draw_poses(picture.add_axes(page.strip), page)
    _draw_velocities(picture.add_axes(page.curves), page, jumps)
    count = f"{len(seams)} sentence{'s' if len(seams) > 1 else ''}"
    title = f"{count}, one motion: {robot.name} over {executed.seconds:.1f} s"
    x, y = _LEFT / page.size[0], 1.0 - 0.27 / page.size[1]
    picture.text(x, y, title, fontsize=13, color=INK, va="center")
    with whole_file(path) as stream:
        picture.savefig(stream, format="png")


class _Page:
    """Layout of the page, and the poses on it; times and metres share the horizontal axis."""

    def __init__(self, robot: Robot, executed: RobotTrajectory, seams: Sequence[Spoken]) -> None:
        self.executed, self.seams = executed, tuple(seams)
        times = executed.time_from_start
        self.span = first, last = float(times[0]), float(times[-1])
        count = int(np.clip(round((last - first) / _EVERY), _FEWEST, _MOST))
        # Times of the poses, in the middle of their slots.
        self.shown = first + (np.arange(count) + 0.5) / count * (last - first)
        self.metres = count * _SLOT
        self.width = float(np.clip(self.metres * _INCHES_PER_METRE, _NARROWEST, _WIDEST))

        animated = robot_mesh(robot, executed, detail=_DETAIL)
        view = looking(animated.forward[0], turn=_VIEW_TURN, elevation=_VIEW_ELEVATION)
        self.camera = Camera(np.zeros(3), view)
        self.bodies = [
            animated.mesh(int(frame)).placed(np.eye(3), -animated.root[frame] * [1.0, 1.0, 0.0])
            for frame in np.clip(np.searchsorted(times, self.shown), 0, len(times) - 1)
        ]
        heights = [self.camera.project(body.vertices)[0][:, 1] for body in self.bodies]
        self.low = min(float(height.min()) for height in heights) - _BELOW
        self.high = max(float(height.max()) for height in heights) + _ABOVE

        strip = (self.high - self.low) * self.width / self.metres
        height = _TITLE + strip + _GAP + _CURVES_HEIGHT + _FOOT
        self.size = (_LEFT + self.width + _LEGEND + _MARGIN, height)
        self.strip = self._box(_LEFT, _FOOT + _CURVES_HEIGHT + _GAP, self.width, strip)
        self.curves = self._box(_LEFT, _FOOT, self.width, _CURVES_HEIGHT)

    def _box(self, x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return (x / self.size[0], y / self.size[1], w / self.size[0], h / self.size[1])

    def at(self, time: float) -> float:
        """Position of a time [s] in the strip [m]."""
        first, last = self.span
        return (time - first) / (last - first) * self.metres

    def bands(self) -> list[tuple[float, float]]:
        """Time span in which the robot follows each sentence [s]."""
        ends = [*(seam.begin for seam in self.seams[1:]), self.span[1]]
        return [(seam.begin, end) for seam, end in zip(self.seams, ends, strict=True)]


def _draw_poses(axes: Axes, page: _Page) -> None:
    """Bodies at their times, in the bands of their sentences."""
    axes.set(xlim=(0, page.metres), ylim=(page.low, page.high))
    axes.set_axis_off()
    for n, (begin, end) in enumerate(page.bands()):
        left, width = page.at(begin), page.at(end) - page.at(begin)
        strong = _STRONG[n % len(_STRONG)]
        axes.axvspan(left, left + width, color=_BANDS[n % len(_BANDS)], zorder=0, lw=0)
        axes.axvline(left, color=strong, lw=1.6, zorder=1)
        characters = max(int(width / page.metres * page.width * 9.5), 8)
        lines = textwrap.wrap(page.seams[n].text, characters)
        shown = "\n".join(lines[:2]) + (" …" if len(lines) > 2 else "")
        axes.text(
            left + 0.07, page.high - 0.06, shown, fontsize=11, color=strong, va="top",
            weight="bold", zorder=6, clip_on=True,
        )  # fmt: skip
    for body, time in zip(page.bodies, page.shown, strict=True):
        there = body.placed(np.eye(3), page.at(float(time)) * page.camera.axes[0])
        paint_shadow(axes, page.camera, there)
        paint_mesh(axes, page.camera, there)


def _draw_velocities(axes: Axes, page: _Page, jumps: str) -> None:
    times = page.executed.time_from_start
    speeds = page.executed.velocities
    fastest = np.argsort(np.abs(speeds).max(axis=0))[::-1][: len(_LINES)]
    for joint, color in zip(fastest, _LINES, strict=False):
        name = page.executed.joint_names[joint].removesuffix("_joint").replace("_", " ")
        axes.plot(times, speeds[:, joint], color=color, lw=1.5, label=name, zorder=3)
    low, high = axes.get_ylim()
    reach = 1.15 * max(-low, high, 0.1)
    axes.set(xlim=page.span, ylim=(-reach, reach))
    for n, ((begin, end), seam) in enumerate(zip(page.bands(), page.seams, strict=True)):
        strong = _STRONG[n % len(_STRONG)]
        axes.axvspan(begin, end, color=_BANDS[n % len(_BANDS)], zorder=0, lw=0, alpha=0.55)
        axes.axvline(begin, color=strong, lw=1.6, zorder=2)
        if seam.sent >= page.span[0]:
            axes.plot(
                [seam.sent], [-reach * 0.93], marker="^", color=strong, markersize=8,
                zorder=5, clip_on=False, linestyle="none",
            )  # fmt: skip
        label = f" {seam.position_jump:.4f} rad\n {seam.velocity_jump:.3f} rad/s"
        axes.text(
            begin, reach * 0.95, label, fontsize=8, color=strong,
            va="top", zorder=5, clip_on=True,
        )  # fmt: skip
    label = f"time [s]      ▲ sentence sent      │ its trajectory taken over, and {jumps}"
    axes.set_xlabel(label, color=QUIET, fontsize=9)
    axes.set_ylabel("joint velocity [rad/s]", color=INK, fontsize=9)
    axes.tick_params(colors=QUIET, labelsize=8, length=3)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9,
        title="fastest joints", title_fontsize=9, labelcolor=INK,
    )  # fmt: skip

"""From what was measured to the human motion and the path of the base: any length.

The inverse map looks at windows of half a minute, so that memory does not grow with the length of
the recording. Where the soles tell the path, every window begins at an origin of its own: it is
turned and moved so that it goes on where the one before it ends, and the two are faded into each
other where they overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.bags.measured import Measured
from nextscale_core.estimation.history import MAX_GAP, covering
from nextscale_core.estimation.leg_odometry import BaseSource
from nextscale_core.estimation.robot_to_human import ACCURACY, HumanHistory, robot_to_human
from nextscale_core.estimation.samples import MIN_FRAMES
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory

WINDOW = 1000
"""Frames that the inverse map sees at once."""

OVERLAP = 40
"""Frames that two windows share."""

_TOLD: dict[BaseSource, str] = {
    BaseSource.MEASURED: "odometry",
    BaseSource.IMU_ODOMETRY: "IMU and soles",
    BaseSource.ODOMETRY: "soles",
    BaseSource.STANDING: "taken to stand upright",
}


@dataclass(frozen=True)
class Reconstruction:
    """The human motion that a recording shows, and the robot's own.

    Attributes:
        clip: The human motion.
        positions: (T, J) joints of the robot in the same frames [rad].
        base_position: (T, 3) [m], the floor at z = 0.
        base_quaternion: (T, 4) x y z w.
        sources: How the base was known, and in how many of the frames.
        notes: What the user should know, in sentences.
    """

    clip: MotionClip
    positions: np.ndarray
    base_position: np.ndarray
    base_quaternion: np.ndarray
    sources: tuple[tuple[BaseSource, int], ...]
    notes: tuple[str, ...]

    def told(self) -> str:
        """How the base was known, for people."""
        total = sum(count for _, count in self.sources)
        shares = ", ".join(f"{_TOLD[one]} ({count / total:.0%})" for one, count in self.sources)
        worst = max((one for one, _ in self.sources), key=list(BaseSource).index)
        return f"{shares}; {ACCURACY[worst]}"

    def trajectory(self, robot: Robot, text: str = "") -> RobotTrajectory:
        """The same as a robot trajectory."""
        fps = self.clip.fps
        velocities = np.gradient(self.positions, 1.0 / fps, axis=0)
        return RobotTrajectory(
            robot=robot.name,
            joint_names=robot.joint_names,
            positions=self.positions,
            velocities=velocities,
            time_from_start=np.arange(len(self.positions)) / fps,
            base_position=self.base_position,
            base_quaternion=self.base_quaternion,
            fps=fps,
            text=text,
        )


@dataclass(frozen=True)
class _Part:
    """One window's result; arrays as in `Reconstruction`, turns as matrices (T, 3, 3)."""

    joints: np.ndarray
    contacts: np.ndarray
    base: np.ndarray
    turns: np.ndarray


def reconstruct(
    robot: Robot,
    measured: Measured,
    fps: float,
    *,
    missing: Literal["error", "nominal"] = "error",
    text: str = "",
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> Reconstruction:
    """Map measured joints back to a human motion.

    Args:
        robot: The robot.
        measured: Its joints at even frames.
        fps: Their rate [Hz].
        missing: See `robot_to_human`.
        text: A sentence for the clip.
        progress: Told how many frames of how many are done.

    Raises:
        InvalidMotionError: fewer frames than a motion needs.
        RobotError: joints are missing that move the body.
    """
    count = len(measured.times)
    parts: list[_Part] = []
    before = None
    sources: Counter[BaseSource] = Counter()
    notes: dict[str, None] = dict.fromkeys(measured.notes)
    positions, floor, step = [], None, WINDOW - OVERLAP
    for start in range(0, max(count - OVERLAP, 1), step):
        # A last window of a few frames would know nothing of its own.
        stop = count if count - (start + WINDOW) < MIN_FRAMES else start + WINDOW
        human = _window(robot, measured, slice(start, stop), fps, missing)
        fresh = 0 if start == 0 else OVERLAP
        part, floor = _on_one_floor(measured, human, start, floor)
        if parts:
            if (human.base_source, before) != (BaseSource.MEASURED, BaseSource.MEASURED):
                # Not both in the world of the odometry: at an origin of its own.
                part = _going_on(parts[-1], part, human.scale)
            parts[-1], part = _faded(parts[-1], part)
        parts.append(part)
        before = human.base_source
        positions.append(human.poses.joints[fresh:])
        sources.update(human.sources[fresh:])
        # The count of assumed frames is told once, for all windows together.
        notes.update(dict.fromkeys(note for note in human.warnings if "soles" not in note))
        progress(stop, count)
        if stop == count:
            break
    clip = MotionClip(
        np.concatenate([part.joints for part in parts]),
        fps,
        text,
        contacts=np.concatenate([part.contacts for part in parts]),
    )
    turns = Rotation.from_matrix(np.concatenate([part.turns for part in parts])).as_quat()
    return Reconstruction(
        clip,
        np.concatenate(positions),
        np.concatenate([part.base for part in parts]),
        _continuous(turns),
        tuple(sources.most_common()),
        tuple(notes),
    )


def _window(
    robot: Robot,
    measured: Measured,
    part: slice,
    fps: float,
    missing: Literal["error", "nominal"],
) -> HumanHistory:
    """The inverse map on some frames, with those sensors that cover them."""
    times = measured.times[part]
    base, imu = covering(times, measured.base, measured.imu)
    return robot_to_human(
        robot,
        times,
        measured.positions[part],
        joint_names=measured.names,
        base=base,
        imu=imu,
        fps=fps,
        max_gap=MAX_GAP + 1.0 / fps,
        missing=missing,
    )


def _on_one_floor(
    measured: Measured, human: HumanHistory, start: int, floor: float | None
) -> tuple[_Part, float | None]:
    """The window's result, with the floor of the first window where odometry tells the height."""
    joints, base = human.clip.joints.astype(np.float64), human.poses.base.copy()
    contacts = human.clip.contacts
    assert contacts is not None
    if human.base_source is BaseSource.MEASURED and measured.base is not None:
        track = measured.base
        height = np.interp(measured.times[start], track.times, track.positions[:, 2])
        own = float(height - base[0, 2])
        floor = own if floor is None else floor
        base[:, 2] += own - floor
        joints[..., 2] += (own - floor) / human.scale
    return _Part(joints, contacts, base, human.poses.rotation), floor


def _going_on(before: _Part, part: _Part, scale: float) -> _Part:
    """Turn and move a window so that it goes on where the one before it ends."""
    middle = OVERLAP // 2
    there, here = len(before.base) - OVERLAP + middle, middle
    turn = before.turns[there] @ part.turns[here].T
    angle = np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])
    c, s = np.cos(angle), np.sin(angle)
    level = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    shift = (before.base[there] - level @ part.base[here]) * [1.0, 1.0, 0.0]
    return _Part(
        part.joints @ level.T + shift / scale,
        part.contacts,
        part.base @ level.T + shift,
        level @ part.turns,
    )


def _faded(before: _Part, part: _Part) -> tuple[_Part, _Part]:
    """The window before without the shared frames, and this one with both faded in them."""
    share = (np.arange(OVERLAP) + 1.0) / (OVERLAP + 1.0)
    old = slice(len(before.base) - OVERLAP, None)

    def mixed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        weight = share.reshape(-1, *[1] * (a.ndim - 1))
        return np.concatenate([(1 - weight) * a[old] + weight * b[:OVERLAP], b[OVERLAP:]])

    between = Rotation.from_matrix(before.turns[old].transpose(0, 2, 1) @ part.turns[:OVERLAP])
    shared = (
        before.turns[old] @ Rotation.from_rotvec(between.as_rotvec() * share[:, None]).as_matrix()
    )
    middle = OVERLAP // 2
    contacts = np.concatenate([before.contacts[old][:middle], part.contacts[middle:]])
    turns = np.concatenate([shared, part.turns[OVERLAP:]])
    kept = slice(0, len(before.base) - OVERLAP)
    return (
        _Part(before.joints[kept], before.contacts[kept], before.base[kept], before.turns[kept]),
        _Part(mixed(before.joints, part.joints), contacts, mixed(before.base, part.base), turns),
    )


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same orientations with neighbours of one sign, as interpolation needs them."""
    same = np.where((quaternions[1:] * quaternions[:-1]).sum(1) < 0, -1.0, 1.0)
    return quaternions * np.concatenate([[1.0], np.cumprod(same)])[:, None]

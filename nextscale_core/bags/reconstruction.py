"""Human motion and base path of a recording of any length.

The human motion is computed in windows of half a minute, so that memory does not grow with the
length of the recording. With leg odometry, every window begins at an origin of its own: it is
turned and moved to continue the window before, and the two are faded into each other where they
overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.bags.measured import Measurements
from nextscale_core.estimation.history import MAX_GAP, covering
from nextscale_core.estimation.leg_odometry import BaseSource
from nextscale_core.estimation.robot_to_human import ACCURACY, HumanHistory, robot_to_human
from nextscale_core.estimation.samples import MIN_FRAMES
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory

WINDOW = 1000
"""Length of a window [frames]."""

OVERLAP = 40
"""Overlap of two windows [frames]."""

_NAMES: dict[BaseSource, str] = {
    BaseSource.MEASURED: "odometry",
    BaseSource.IMU_ODOMETRY: "IMU and soles",
    BaseSource.ODOMETRY: "soles",
    BaseSource.STANDING: "assumed to stand upright",
}


@dataclass(frozen=True)
class RecordedMotion:
    """The motion of a recording, as a human and as the robot.

    Attributes:
        clip: The human motion.
        positions: (T, J) joints of the robot in the same frames [rad].
        base_position: (T, 3) [m], the floor at z = 0.
        base_quaternion: (T, 4) x y z w.
        sources: Sources of the base, with their numbers of frames.
        notes: Sentences for the user.
    """

    clip: MotionClip
    positions: np.ndarray
    base_position: np.ndarray
    base_quaternion: np.ndarray
    sources: tuple[tuple[BaseSource, int], ...]
    notes: tuple[str, ...]

    def describe_base(self) -> str:
        """Sources of the base, with their shares and the accuracy to expect."""
        total = sum(count for _, count in self.sources)
        shares = ", ".join(f"{_NAMES[one]} ({count / total:.0%})" for one, count in self.sources)
        worst = max((one for one, _ in self.sources), key=list(BaseSource).index)
        return f"{shares}; {ACCURACY[worst]}"

    def trajectory(self, robot: Robot, text: str = "") -> RobotTrajectory:
        """The robot's motion as a trajectory."""
        fps = self.clip.fps
        return RobotTrajectory(
            robot=robot.name,
            joint_names=robot.joint_names,
            positions=self.positions,
            velocities=np.gradient(self.positions, 1.0 / fps, axis=0),
            time_from_start=np.arange(len(self.positions)) / fps,
            base_position=self.base_position,
            base_quaternion=self.base_quaternion,
            fps=fps,
            text=text,
        )


@dataclass(frozen=True)
class _Window:
    """Result of one window.

    Attributes:
        joints: (T, 22, 3) of the human [m].
        contacts: (T, 4) bool.
        base: (T, 3) of the robot [m].
        turns: (T, 3, 3) of the robot.
    """

    joints: np.ndarray
    contacts: np.ndarray
    base: np.ndarray
    turns: np.ndarray

    def __getitem__(self, frames: slice) -> _Window:
        return _Window(*(getattr(self, one.name)[frames] for one in fields(self)))


def reconstruct(
    robot: Robot,
    measured: Measurements,
    fps: float,
    *,
    missing: Literal["error", "nominal"] = "error",
    text: str = "",
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> RecordedMotion:
    """Compute the human motion of measured joints.

    Args:
        robot: The robot.
        measured: Its joints at even frames.
        fps: Their rate [Hz].
        missing: See `robot_to_human`.
        text: Text of the clip.
        progress: Called with the number of frames done and their total.

    Raises:
        InvalidMotionError: too few frames for a motion.
        RobotError: joints are missing that move the body.
    """
    count = len(measured.times)
    windows: list[_Window] = []
    before = None
    sources: Counter[BaseSource] = Counter()
    notes: dict[str, None] = dict.fromkeys(measured.notes)
    positions, floor, step = [], None, WINDOW - OVERLAP
    for start in range(0, max(count - OVERLAP, 1), step):
        # A last window of less than `MIN_FRAMES` is added to the one before.
        stop = count if count - (start + WINDOW) < MIN_FRAMES else start + WINDOW
        part = slice(start, stop)
        base, imu = covering(measured.times[part], measured.base, measured.imu)
        human = robot_to_human(
            robot,
            measured.times[part],
            measured.positions[part],
            joint_names=measured.names,
            base=base,
            imu=imu,
            fps=fps,
            max_gap=MAX_GAP + 1.0 / fps,
            missing=missing,
        )
        fresh = 0 if start == 0 else OVERLAP
        window, floor = _on_first_floor(measured, human, start, floor)
        if windows:
            if (human.base_source, before) != (BaseSource.MEASURED, BaseSource.MEASURED):
                # The two do not share the world of the odometry.
                window = _continued(windows[-1], window, human.scale)
            windows[-1], window = windows[-1][:-OVERLAP], _faded(windows[-1], window)
        windows.append(window)
        before = human.base_source
        positions.append(human.poses.joints[fresh:])
        sources.update(human.sources[fresh:])
        # `sources` has the number of assumed frames of all windows together.
        notes.update(dict.fromkeys(note for note in human.warnings if "soles" not in note))
        progress(stop, count)
        if stop == count:
            break
    clip = MotionClip(
        np.concatenate([window.joints for window in windows]),
        fps,
        text,
        contacts=np.concatenate([window.contacts for window in windows]),
    )
    turns = Rotation.from_matrix(np.concatenate([window.turns for window in windows])).as_quat()
    return RecordedMotion(
        clip,
        np.concatenate(positions),
        np.concatenate([window.base for window in windows]),
        _continuous(turns),
        tuple(sources.most_common()),
        tuple(notes),
    )


def _on_first_floor(
    measured: Measurements, human: HumanHistory, start: int, floor: float | None
) -> tuple[_Window, float | None]:
    """A window above the floor of the first one, where odometry measures the height."""
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
    return _Window(joints, contacts, base, human.poses.rotation), floor


def _continued(before: _Window, window: _Window, scale: float) -> _Window:
    """A window turned and moved to continue the one before."""
    here = OVERLAP // 2
    there = len(before.base) - OVERLAP + here
    turn = before.turns[there] @ window.turns[here].T
    angle = np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])
    c, s = np.cos(angle), np.sin(angle)
    level = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    shift = (before.base[there] - level @ window.base[here]) * [1.0, 1.0, 0.0]
    return _Window(
        window.joints @ level.T + shift / scale,
        window.contacts,
        window.base @ level.T + shift,
        level @ window.turns,
    )


def _faded(before: _Window, window: _Window) -> _Window:
    """A window whose first frames are faded in from the end of the one before."""
    share = (np.arange(OVERLAP) + 1.0) / (OVERLAP + 1.0)
    old, middle = before[-OVERLAP:], OVERLAP // 2

    def mixed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        weight = share.reshape(-1, *[1] * (a.ndim - 1))
        return np.concatenate([(1 - weight) * a + weight * b[:OVERLAP], b[OVERLAP:]])

    between = Rotation.from_matrix(old.turns.transpose(0, 2, 1) @ window.turns[:OVERLAP])
    shared = old.turns @ Rotation.from_rotvec(between.as_rotvec() * share[:, None]).as_matrix()
    return _Window(
        mixed(old.joints, window.joints),
        np.concatenate([old.contacts[:middle], window.contacts[middle:]]),
        mixed(old.base, window.base),
        np.concatenate([shared, window.turns[OVERLAP:]]),
    )


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same orientations with the sign of their neighbours, for interpolation."""
    same = np.where((quaternions[1:] * quaternions[:-1]).sum(1) < 0, -1.0, 1.0)
    return quaternions * np.concatenate([[1.0], np.cumprod(same)])[:, None]

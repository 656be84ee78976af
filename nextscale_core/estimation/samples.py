"""Validation of measured tracks with irregular stamps, and resampling to even frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.exceptions import InvalidMotionError, RobotError
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.robots.profile import nearest
from nextscale_core.robots.robot import Robot

MIN_FRAMES = 4
"""Minimum number of frames of a history."""

MAX_FRAMES = 20_000
"""Maximum number of frames of a history."""


@dataclass(frozen=True)
class OrientationTrack:
    """Orientations of one link over time, from an IMU.

    Attributes:
        times: (M,) increasing stamps, by the clock of the joint states [s].
        quaternions: (M, 4) link in the world, x y z w; z up, any heading.
        link: Link of the URDF, with or without a prefix ('g1/imu_link'); '' for the root link.

    Raises:
        InvalidMotionError: inconsistent shapes, NaN, stamps that do not increase, or quaternions
            whose norm is not 1.
    """

    times: np.ndarray
    quaternions: np.ndarray
    link: str = ""

    def __post_init__(self) -> None:
        times = _stamps(self.times, "imu")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "quaternions", _quaternions(self.quaternions, times, "imu"))


@dataclass(frozen=True)
class BaseTrack:
    """Measured poses of the root link over time.

    Attributes:
        times: (M,) increasing stamps, by the clock of the joint states [s].
        positions: (M, 3) root link in a world with z up [m].
        quaternions: (M, 4) root link in that world, x y z w.
        floor: Height of the floor in that world [m]; None: that of the history's lowest sole.

    Raises:
        InvalidMotionError: as for `OrientationTrack`.
    """

    times: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray
    floor: float | None = 0.0

    def __post_init__(self) -> None:
        times = _stamps(self.times, "base")
        positions = _finite(self.positions, (len(times), 3), times, "base positions")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "quaternions", _quaternions(self.quaternions, times, "base"))


def joint_track(
    robot: Robot,
    times: np.ndarray,
    positions: np.ndarray,
    names: Sequence[str] | None,
    missing: Literal["error", "nominal"],
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Joint positions in the robot's order; arguments as for `robot_to_human`.

    Returns:
        Stamps (N,), positions (N, J) and the joints that were not measured, which have the
        nominal positions of the profile.

    Raises:
        InvalidMotionError: wrong shapes, NaN (the message names joint and time), or stamps that
            do not increase.
        RobotError: repeated names, none that the robot has, or joints missing that move a part of
            the body.
    """
    times = _stamps(times, "joint states")
    wanted = robot.joint_names
    names = wanted if names is None else tuple(names)
    values = np.asarray(positions, dtype=np.float64)
    if values.shape != (len(times), len(names)):
        raise InvalidMotionError(
            f"positions must have shape ({len(times)}, {len(names)}) for {len(times)} stamps and "
            f"{len(names)} joints, got {values.shape}"
        )
    column = {name: number for number, name in enumerate(names)}
    if len(column) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise RobotError(f"joints named twice: {', '.join(twice)}")
    known = [name for name in wanted if name in column]
    if not known:
        raise RobotError(
            f"none of the joints given is one of {robot.name}'s; "
            f"{nearest(names[0] if names else '', wanted)}"
        )
    absent = tuple(name for name in wanted if name not in column)
    moving = np.asarray(kinematics_of(robot).support.any(0))
    needed = [name for name in absent if moving[wanted.index(name)]]
    if needed and missing == "error":
        raise RobotError(
            f"no positions of {', '.join(needed)}; give every joint of {robot.name} that moves "
            "its body, or use missing='nominal'"
        )
    measured = values[:, [column[name] for name in known]]
    bad = np.argwhere(~np.isfinite(measured))
    if len(bad):
        row, joint = bad[0]
        raise InvalidMotionError(
            f"joint {known[joint]} is {measured[row, joint]} at {times[row]:.3f} s "
            f"(sample {row} of {len(times)})"
        )
    full = np.tile(robot.nominal, (len(times), 1))
    full[:, [wanted.index(name) for name in known]] = measured
    endless = robot.continuous
    full[:, endless] = np.unwrap(full[:, endless], axis=0)
    return times, full, absent


def frame_times(times: np.ndarray, fps: float, max_gap: float) -> np.ndarray:
    """Times (T,) of even frames that end exactly at the last stamp [s].

    Args:
        times: (N,) increasing stamps [s].
        fps: Frames per second [Hz].
        max_gap: Maximum time between two stamps that is bridged [s].

    Raises:
        InvalidMotionError: a gap, or a history shorter than `MIN_FRAMES` or too long.
    """
    gaps = np.diff(times)
    if len(gaps) and gaps.max() > max_gap:
        row = len(gaps) - 1 - int(gaps[::-1].argmax())
        raise InvalidMotionError(
            f"no joint states for {gaps[row]:.3f} s from {times[row]:.3f} s on; gaps up to "
            f"{max_gap:g} s are bridged: use the samples after it (`after_last_gap`)"
        )
    span = times[-1] - times[0]
    # Stamps are sums of rounded periods.
    frames = int(np.floor(span * fps + 1e-6)) + 1
    if frames < MIN_FRAMES:
        raise InvalidMotionError(
            f"a history of {span:.3f} s has {frames} frames at {fps:g} fps; "
            f"{MIN_FRAMES} are needed, {(MIN_FRAMES - 1) / fps:.3f} s"
        )
    if frames > MAX_FRAMES:
        raise InvalidMotionError(
            f"a history of {span:.0f} s is too long; give at most {MAX_FRAMES / fps:.0f} s"
        )
    return np.maximum(times[-1] - np.arange(frames - 1, -1, -1) / fps, times[0])


def after_last_gap(times: np.ndarray, max_gap: float = 0.25) -> slice:
    """The samples after the last gap in stamps (N,) longer than `max_gap` [s]."""
    gaps = np.flatnonzero(np.diff(times) > max_gap)
    return slice(int(gaps[-1]) + 1 if len(gaps) else 0, len(times))


def at_frames(times: np.ndarray, values: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Interpolate values (N, D) linearly at other times: (T, D).

    A cubic would amplify noise where two stamps lie close together.
    """
    if len(times) == 1:
        return np.repeat(values, len(frames), axis=0)
    after = np.clip(np.searchsorted(times, frames), 1, len(times) - 1)
    share = (frames - times[after - 1]) / (times[after] - times[after - 1])
    share = np.clip(share, 0.0, 1.0)[:, None]
    return (1 - share) * values[after - 1] + share * values[after]


def turns_at_frames(
    times: np.ndarray, quaternions: np.ndarray, frames: np.ndarray, max_gap: float, name: str
) -> np.ndarray:
    """Interpolate orientations (M, 4) x y z w at other times, as matrices (T, 3, 3).

    Raises:
        InvalidMotionError: the track has a gap, or does not cover the frames.
    """
    late = frames[0] < times[0] - max_gap
    if late or frames[-1] > times[-1] + max_gap:
        raise InvalidMotionError(
            f"{name} covers {times[0]:.3f} to {times[-1]:.3f} s, the joint states "
            f"{frames[0]:.3f} to {frames[-1]:.3f} s; they must overlap to {max_gap:g} s"
        )
    gaps = np.diff(times)
    if len(gaps) and gaps.max() > max_gap:
        row = int(gaps.argmax())
        raise InvalidMotionError(
            f"no {name} for {gaps[row]:.3f} s from {times[row]:.3f} s on; gaps up to "
            f"{max_gap:g} s are bridged"
        )
    if len(times) == 1:
        return np.repeat(Rotation.from_quat(quaternions).as_matrix(), len(frames), axis=0)
    inside = np.clip(frames, times[0], times[-1])
    return Slerp(times, Rotation.from_quat(quaternions))(inside).as_matrix()


def _stamps(times: np.ndarray, name: str) -> np.ndarray:
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or len(times) == 0:
        raise InvalidMotionError(f"{name}: times must have shape (N,), N >= 1, got {times.shape}")
    if not np.isfinite(times).all():
        row = int(np.argmin(np.isfinite(times)))
        raise InvalidMotionError(f"{name}: the stamp of sample {row} is {times[row]}")
    steps = np.diff(times)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0))
        raise InvalidMotionError(
            f"{name}: stamps must increase, but {times[row + 1]:.6f} s follows "
            f"{times[row]:.6f} s (sample {row + 1})"
        )
    return times


def _finite(values: np.ndarray, shape: tuple[int, ...], times: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != shape:
        raise InvalidMotionError(f"{name} must have shape {shape}, got {values.shape}")
    good = np.isfinite(values).all(-1)
    if not good.all():
        row = int(np.argmin(good))
        raise InvalidMotionError(f"{name} hold NaN or infinity at {times[row]:.3f} s")
    return values


def _quaternions(values: np.ndarray, times: np.ndarray, name: str) -> np.ndarray:
    values = _finite(values, (len(times), 4), times, f"{name} quaternions")
    norms = np.linalg.norm(values, axis=-1)
    off = np.abs(norms - 1) > 0.01
    if off.any():
        row = int(np.argmax(off))
        raise InvalidMotionError(
            f"{name} quaternions must have norm 1, got {norms[row]:.3f} at {times[row]:.3f} s"
        )
    return values / norms[:, None]

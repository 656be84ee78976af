"""Constraints on a generated motion, and how well a motion meets them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import (
    JOINT_INDEX,
    MAX_SECONDS,
    NUM_JOINTS,
    STANDARD_BONES,
    bone_lengths,
)

BODIES: dict[str, int] = {
    "left_hand": JOINT_INDEX["left_wrist"],
    "right_hand": JOINT_INDEX["right_wrist"],
    "left_foot": JOINT_INDEX["left_foot"],
    "right_foot": JOINT_INDEX["right_foot"],
}
"""Bodies that a `Target` can name, and their joints: the wrist, and the ball of the foot."""

TOLERANCE = {"keyframe": 0.03, "waypoint": 0.05, "target": 0.03}
"""Distance within which a constraint counts as met [m]."""

HEADING_TOLERANCE = math.radians(10.0)
"""Difference within which a heading counts as met [rad]."""

_FARTHEST = 100.0
"""Largest coordinate of a constraint [m]."""


@dataclass(frozen=True)
class Keyframe:
    """A pose of the whole body at a time.

    Attributes:
        time: From the start of the motion [s].
        pose: (22, 3) joint positions [m] in the world of the clip.
        placed: Whether the pose also gives place and heading. If False, it is moved along the
            floor to where the body is at that time; only its posture and height count.

    Raises:
        ConfigError: a time out of range, or a pose that is not a finite human body.
    """

    time: float
    pose: np.ndarray
    placed: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", _time(self.time))
        try:
            pose = np.asarray(self.pose, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"pose must be an array of numbers: {error}") from error
        if pose.shape != (NUM_JOINTS, 3):
            raise ConfigError(
                f"pose must have shape ({NUM_JOINTS}, 3): joints in SMPL's order, x y z [m]; got "
                f"{pose.shape}"
            )
        if not (np.abs(pose) <= _FARTHEST).all():
            raise ConfigError(f"pose must hold finite positions within {_FARTHEST:g} m")
        size = float(np.median(bone_lengths(pose) / STANDARD_BONES))
        if not 0.5 <= size <= 1.6:
            raise ConfigError(
                f"pose must be a human body in metres: its bones are {size:.2g} times as long as "
                "those of an adult (0.5 to 1.6 are valid)"
            )
        object.__setattr__(self, "pose", pose)

    def __str__(self) -> str:
        return f"keyframe at {self.time:g} s"


@dataclass(frozen=True)
class Waypoint:
    """A place on the floor, with or without a heading, at a time.

    Attributes:
        time: From the start of the motion [s].
        x: Place of the pelvis, forward of the start [m].
        y: Place of the pelvis, left of the start [m].
        heading: Where the body faces [rad], 0 along +x, counter-clockwise; None for any.

    Raises:
        ConfigError: a time out of range, or a value that is not finite.
    """

    time: float
    x: float
    y: float
    heading: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", _time(self.time))
        for name in ("x", "y"):
            object.__setattr__(self, name, _number(getattr(self, name), name, _FARTHEST))
        if self.heading is not None:
            object.__setattr__(self, "heading", _number(self.heading, "heading", 4 * math.pi))

    def __str__(self) -> str:
        return f"waypoint at {self.time:g} s"


@dataclass(frozen=True)
class Target:
    """A place of a hand or foot at a time.

    Attributes:
        time: From the start of the motion [s].
        body: 'left_hand' or 'right_hand' (the wrist), 'left_foot' or 'right_foot' (the ball of
            the foot).
        position: (3,) place in the world of the clip [m], on or above the floor.

    Raises:
        ConfigError: a time out of range, an unknown body, or a position that is not finite or
            below the floor.
    """

    time: float
    body: str
    position: tuple[float, float, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", _time(self.time))
        if not isinstance(self.body, str) or self.body not in BODIES:
            raise ConfigError(f"body must be one of {', '.join(BODIES)}, got {self.body!r}")
        if np.shape(self.position) != (3,):
            raise ConfigError(f"position must be three numbers x, y, z, got {self.position!r}")
        values = tuple(_number(value, "position", _FARTHEST) for value in self.position)
        if values[2] < 0:
            raise ConfigError(f"position must not be below the floor, got z = {values[2]:g} m")
        object.__setattr__(self, "position", values)

    def __str__(self) -> str:
        return f"{self.body} target at {self.time:g} s"


Constraint = Keyframe | Waypoint | Target


@dataclass(frozen=True)
class Residual:
    """How well a motion meets a constraint.

    Attributes:
        constraint: Name of the constraint, such as 'waypoint at 2 s'.
        place: Where pelvis, hand or foot is wanted [m]; at z = 0 for a waypoint.
        distance: Distance of pelvis (along the floor), hand or foot from the constraint; of a
            keyframe, the largest one of its joints [m].
        heading: Difference of the heading of a waypoint [rad]; None without one.
        met: Whether both are within the tolerances `TOLERANCE` and `HEADING_TOLERANCE`.
        note: Why it could not be met as it was given; else ''.
    """

    constraint: str
    place: tuple[float, float, float]
    distance: float
    heading: float | None
    met: bool
    note: str = ""

    def __str__(self) -> str:
        turn = "" if self.heading is None else f", {math.degrees(self.heading):.1f} deg"
        missed = "" if self.met else ", not met"
        note = f" ({self.note})" if self.note else ""
        return f"{self.constraint}: {100 * self.distance:.1f} cm{turn}{missed}{note}"


def frame_of(constraint: Constraint, fps: float) -> int:
    """The frame of a motion that a constraint applies to."""
    return round(constraint.time * fps)


def residual(joints: np.ndarray, fps: float, constraint: Constraint, note: str = "") -> Residual:
    """Compare a motion with a constraint.

    Args:
        joints: (T, 22, 3) positions [m].
        fps: Frames per second [Hz].
        constraint: Its frame must be part of the motion.
        note: Kept in the result.
    """
    here = np.asarray(joints[frame_of(constraint, fps)], dtype=np.float64)
    heading = None
    if isinstance(constraint, Waypoint):
        kind, place = "waypoint", (constraint.x, constraint.y, 0.0)
        distance = math.dist(here[0, :2], place[:2])
        if constraint.heading is not None:
            turn = heading_yaw(here[None])[0] - constraint.heading
            heading = abs(math.remainder(float(turn), 2 * math.pi))
    elif isinstance(constraint, Target):
        kind, place = "target", constraint.position
        distance = math.dist(here[BODIES[constraint.body]], place)
    else:
        kind, pose = "keyframe", placed_pose(constraint, here)
        place = (float(pose[0, 0]), float(pose[0, 1]), float(pose[0, 2]))
        distance = float(np.linalg.norm(here - pose, axis=-1).max())
    met = distance <= TOLERANCE[kind] and (heading is None or heading <= HEADING_TOLERANCE)
    return Residual(str(constraint), place, distance, heading, met, note)


def placed_pose(keyframe: Keyframe, here: np.ndarray) -> np.ndarray:
    """(22, 3) pose of a keyframe; one without a place is put where a body (22, 3) is [m]."""
    if keyframe.placed:
        return keyframe.pose
    both = np.stack([here, keyframe.pose])
    yaw, own = heading_yaw(both)
    c, s = math.cos(yaw - own), math.sin(yaw - own)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    ground = np.array([1.0, 1.0, 0.0])
    moved: np.ndarray = (keyframe.pose - ground * keyframe.pose[0]) @ turn.T + ground * here[0]
    return moved


def check_constraints(constraints: Sequence[object]) -> tuple[Constraint, ...]:
    """The constraints in order of time.

    Raises:
        ConfigError: an object of another type.
    """
    checked: list[Constraint] = []
    for number, item in enumerate(constraints, start=1):
        if not isinstance(item, Keyframe | Waypoint | Target):
            raise ConfigError(
                f"constraint {number} must be a Keyframe, Waypoint or Target, got {item!r:.200}"
            )
        checked.append(item)
    return tuple(sorted(checked, key=lambda item: item.time))


def _time(value: object) -> float:
    time = _number(value, "time", MAX_SECONDS)
    if time < 0:
        raise ConfigError(f"time must be from 0 to {MAX_SECONDS:g} s, got {time:g}")
    return time


def _number(value: object, name: str, largest: float) -> float:
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not real or not abs(value) <= largest:  # type: ignore[arg-type]
        raise ConfigError(f"{name} must be a number within +-{largest:g}, got {value!r}")
    return float(value)  # type: ignore[arg-type]

"""Footsteps of a planned motion: where its soles rest on the floor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nextscale_core.estimation.leg_odometry import sole_contacts
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.profile import SIDES

SHORTEST = 0.1
"""Minimum duration of a footstep [s]."""

_SAME_PLACE, _SAME_YAW = 0.03, np.deg2rad(10.0)
"""Maximum distance and turn between two rests that count as one footstep [m, rad]."""


@dataclass(frozen=True)
class Footstep:
    """One sole at rest.

    Attributes:
        side: 'left' or 'right'.
        centre: (3,) centre of the sole, on the floor [m].
        yaw: Direction from heel to toe, counter-clockwise from x [rad].
        length: Distance from heel to toe [m].
        width: Width of the sole [m].
        begin: Time at which the sole comes to rest, from the start of the trajectory [s].
        end: Time at which it lifts off [s].
    """

    side: str
    centre: np.ndarray
    yaw: float
    length: float
    width: float
    begin: float
    end: float


def floor_of(robot: Robot, trajectory: RobotTrajectory) -> float:
    """Height of the floor in the trajectory's world, taken from the lowest sole [m].

    Odometry does not define the height of the floor.

    Args:
        robot: The robot.
        trajectory: At least one sample.
    """
    return float(kinematics_of(robot).lowest_sole(Poses.of(trajectory)).min())


def planned_footsteps(robot: Robot, trajectory: RobotTrajectory) -> tuple[Footstep, ...]:
    """Footsteps: heel and toe of a sole rest for at least `SHORTEST`.

    Args:
        robot: The robot.
        trajectory: N samples of joints and base.

    Returns:
        Footsteps of both sides, ordered by `begin`.
    """
    if not len(trajectory):
        return ()
    kinematics = kinematics_of(robot)
    points = kinematics.points(Poses.of(trajectory))
    floor = float(points[:, kinematics.soles, 2].min())
    above = points - [0.0, 0.0, floor]
    # A single sample counts as standing still.
    moving = above if len(above) > 1 else np.repeat(above, 2, axis=0)
    resting = sole_contacts(kinematics, moving, trajectory.fps)[: len(above)]
    soles = points[:, kinematics.soles].reshape(len(points), 2, 4, 3)
    times = trajectory.time_from_start
    steps: list[Footstep] = []
    for side, name in enumerate(SIDES):
        whole = resting[:, 2 * side] & resting[:, 2 * side + 1]
        last: Footstep | None = None
        for begin, end in _runs(whole):
            if len(times) > 1 and times[end] - times[begin] < SHORTEST:
                continue
            step = _footstep(name, soles[begin : end + 1, side], floor, times[begin], times[end])
            if last is not None and _same(last, step):
                last = replace(last, end=step.end)
                steps[-1] = last
            else:
                last = step
                steps.append(step)
    return tuple(sorted(steps, key=lambda step: step.begin))


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(begin), int(end) - 1) for begin, end in edges.reshape(-1, 2)]


def _footstep(side: str, corners: np.ndarray, floor: float, begin: float, end: float) -> Footstep:
    """Footstep from the corners (T, 4, 3) of a resting sole: toe left, right, heel left, right."""
    mean = corners.mean(axis=0)
    ahead = mean[:2].mean(axis=0) - mean[2:].mean(axis=0)
    across = mean[0] - mean[1]
    return Footstep(
        side=side,
        centre=np.array([*mean[:, :2].mean(axis=0), floor]),
        yaw=float(np.arctan2(ahead[1], ahead[0])),
        length=float(np.linalg.norm(ahead)),
        width=float(np.linalg.norm(across)),
        begin=float(begin),
        end=float(end),
    )


def _same(one: Footstep, other: Footstep) -> bool:
    turned = np.angle(np.exp(1j * (one.yaw - other.yaw)))
    return bool(np.linalg.norm(one.centre - other.centre) < _SAME_PLACE and abs(turned) < _SAME_YAW)

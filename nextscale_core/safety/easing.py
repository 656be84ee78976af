"""The last resort for arms that cannot be parted: for a while they do less of what was asked."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nextscale_core.robots.collision import CollisionModel
from nextscale_core.robots.kinematics import Kinematics, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety.repair import moved

_STEPS = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
"""Shares of the way to the nominal posture, tried in turn."""

_HOLD, _FADE = 0.2, 0.6
"""How long before and after a contact the full share holds, and how long it comes and goes [s]."""

_ROUNDS = 12

_MOST_TOUCHES = 3000
"""Where more pairs of bodies touch, over all samples, the robot is inside itself most of the time,
and looking for a way out would take long."""


def eased(
    robot: Robot, trajectory: RobotTrajectory, collisions: CollisionModel
) -> tuple[RobotTrajectory, float] | None:
    """The same motion with arms that touch something led towards the nominal posture meanwhile.

    Each arm goes only so far as it must; legs, trunk and both ends of the trajectory stay as they
    are.

    Returns:
        The trajectory and the largest share of the way to the nominal posture; None where bodies
        still touch, some touch that no arm carries, or none do in any sample.
    """
    if len(trajectory) < 6 or collisions.colliding(trajectory.positions[[0, -1]]).any():
        return None
    kinematics = kinematics_of(robot)
    arms = _arms(kinematics)
    times = trajectory.time_from_start
    rate = 1.0 / float(np.median(np.diff(times)))
    ends = np.minimum(times - times[0], times[-1] - times) / _FADE
    # For each arm and sample the number of steps that it goes.
    steps = np.zeros((len(arms), len(trajectory)), dtype=int)
    share = np.zeros(steps.shape)
    change, rows = np.zeros_like(trajectory.positions), np.arange(len(trajectory))
    for _ in range(_ROUNDS):
        found = collisions.close_pairs((trajectory.positions + change)[rows])
        if not found:
            break
        if len(found) > _MOST_TOUCHES:
            return None
        touching = np.zeros(steps.shape, dtype=bool)
        for row, pair in found:
            movers = _movers(collisions, kinematics, pair, arms)
            if not len(movers):
                return None
            touching[movers, rows[row]] = True
        steps += touching
        if steps.max() > len(_STEPS):
            return None
        share, before = _smooth(np.array([0.0, *_STEPS])[steps], rate), share
        share *= np.clip(ends, 0.0, 1.0) ** 2 * (3.0 - 2.0 * np.clip(ends, 0.0, 1.0))
        rows = np.flatnonzero((share != before).any(0))
        way = sum(arm * one[:, None] for arm, one in zip(arms, share, strict=True))
        change = way * (robot.nominal - trajectory.positions)
        if not len(rows):
            return None
    if not share.any() or collisions.colliding(trajectory.positions + change).any():
        return None
    return moved(trajectory, change), float(share.max())


def _arms(kinematics: Kinematics) -> np.ndarray:
    """(2, J) True for the joints of each arm, the hand's own too."""
    wrists = kinematics.support[[kinematics.index[f"{side}_wrist"] for side in SIDES]]
    shared = wrists.all(0) | kinematics.support[kinematics.soles].any(0)
    robot = kinematics.robot
    bodies = [robot.model.getJointId(name) - 2 for name in robot.joint_names]
    chains = kinematics.commanded(np.stack([kinematics.ancestors(body) for body in bodies]))
    return np.stack([(chains & wrist & ~shared).any(1) for wrist in wrists])


def _movers(
    collisions: CollisionModel, kinematics: Kinematics, pair: int, arms: np.ndarray
) -> np.ndarray:
    """Which arms carry one of the bodies of a pair, as far as easing them moves it."""
    first, second = (kinematics.ancestors(body) for body in collisions.bodies_of(pair))
    return np.flatnonzero((arms & kinematics.commanded(first | second)).any(1))


def _smooth(share: np.ndarray, rate: float) -> np.ndarray:
    """(A, T) a curve that nowhere is below the shares, and comes and goes gently."""
    fade = max(round(_FADE * rate), 1)
    wide = ndimage.maximum_filter1d(share, 2 * (fade + round(_HOLD * rate)) + 1, axis=1)
    window = np.hanning(2 * fade + 3)[1:-1]
    return np.asarray(ndimage.convolve1d(wide, window / window.sum(), axis=1, mode="nearest"))

"""At which moment of a motion a robot fits in best."""

from __future__ import annotations

import numpy as np

from nextscale_core.retarget.takeover import pose_of, speeds_against_base, with_planned_base
from nextscale_core.retarget.targets import MIN_FRAMES, Targets
from nextscale_core.robots.kinematics import Kinematics
from nextscale_core.robots.state import RobotState
from nextscale_core.rotations import exp

_LEADS = 0.1
"""A difference in velocity counts as what it makes in this time [s]."""

_LANDS, _LIFTS = 0.05, 0.01
"""Cost of a foot that stands in the plan and not on the robot, and of the reverse [m^2]."""

_AWAY = 0.01
"""Cost of the earliest and the latest moment against the expected one [m^2]."""

_ON_FLOOR = 0.02
"""A sole this much higher than the lower one does not stand [m]."""


def best_moment(
    targets: Targets, kinematics: Kinematics, state: RobotState, begin: float, slack: float
) -> float:
    """The moment near an expected one in which posture, velocity and contacts fit best.

    The robot may not be where it was expected: the motion took long to make, or somebody else
    moves the robot. Taking a step over where the robot's own foot swings spares it a slide.

    Args:
        targets: Of the whole motion.
        kinematics: The robot's.
        state: Where the robot is.
        begin: Expected moment [s].
        slack: So much earlier or later is well, too [s].

    Returns:
        A moment on a frame [s]; `begin` where the motion is over by then.
    """
    reach = int(slack * targets.fps)
    expected = round(begin * targets.fps)
    last = len(targets) - MIN_FRAMES
    frames = np.arange(max(expected - reach, 0), min(expected + reach, last) + 1)
    if reach < 1 or not len(frames):
        return begin
    there = min(expected, last)
    state = with_planned_base(state, kinematics, targets.base[there], targets.rotation[there])
    here = pose_of(state)
    points, speed = kinematics.points(here)[0], speeds_against_base(kinematics, state, here)
    rows = targets.second >= 0
    first, second = targets.first[rows], targets.second[rows]
    headings = np.arctan2(targets.rotation[frames, 1, 0], targets.rotation[frames, 0, 0])
    own = float(np.arctan2(here.rotation[0, 1, 0], here.rotation[0, 0, 0]))
    turn = exp((own - headings)[:, None] * np.array([0.0, 0.0, 1.0]))
    goal = targets.goal[:, rows]
    rate = (goal[frames + 1] - goal[frames]) * targets.fps
    place = goal[frames] @ turn.transpose(0, 2, 1) - (points[first] - points[second])
    moving = rate @ turn.transpose(0, 2, 1) - (speed[first] - speed[second])
    weight = targets.weight[frames][:, rows] / targets.weight[frames][:, rows].sum(1, keepdims=True)
    cost = (weight * ((place**2).sum(-1) + _LEADS**2 * (moving**2).sum(-1))).sum(1)
    soles = points[kinematics.soles, 2].reshape(2, -1).min(1)
    down = soles < soles.min() + _ON_FLOOR
    stands = targets.feet.stance[frames] > 0.5
    cost += (_LANDS * (stands & ~down) + _LIFTS * (~stands & down)).sum(1)
    cost += _AWAY * ((frames - expected) / reach) ** 2
    return float(frames[int(cost.argmin())]) / targets.fps

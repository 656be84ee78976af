"""Whether a sentence that was said again was answered as it was when it was recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_ros.bags.player import BY_CHANCE, Answer
from nextscale_ros.bags.session import STILL, Sentence
from nextscale_ros.messages.conversions import base_poses
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport

TOLERANCE = 1e-6
"""Trajectories that are nowhere further apart are the same [rad, rad/s, m, s]."""

_NOT_CONTINUED = "continuation: nothing is continued"
"""Finding of a report where the node had lost joint states of a robot that stood."""


@dataclass(frozen=True)
class Verdict:
    """How a sentence's answer compares.

    Attributes:
        sentence: The sentence.
        answer: What came of it now; None: nothing.
        difference: Largest difference of the trajectories [rad, rad/s, m, s]; NaN where there are
            not two of them with the same joints and number of points.
        promised: Whether they have to be the same.
        same: Whether they are.
    """

    sentence: Sentence
    answer: Answer | None
    difference: float
    promised: bool
    same: bool

    @property
    def differs(self) -> bool:
        """Whether something that was promised does not hold."""
        return self.promised and not self.same


def compare(
    sentence: Sentence, answer: Answer | None, tolerance: float, still: float = STILL
) -> Verdict:
    """Whether a sentence was answered as it was when it was recorded."""
    outcome = sentence.report.outcome
    lost = any(finding.startswith(_NOT_CONTINUED) for finding in sentence.report.findings)
    stood = sentence.stood(still) and not lost
    if outcome in BY_CHANCE:
        return Verdict(sentence, answer, np.nan, promised=False, same=False)
    if answer is None:
        return Verdict(sentence, None, np.nan, promised=True, same=False)
    if outcome not in (MotionReport.PASS, MotionReport.REPAIRED):
        # What is wrong with a text is so every time.
        sure = outcome == MotionReport.BAD_INPUT or stood
        return Verdict(sentence, answer, np.nan, sure, answer.report.outcome == outcome)
    if sentence.trajectory is None:
        # Published, and the recorder did not hear it: or somebody took it out.
        return Verdict(sentence, answer, np.nan, stood and sentence.report.published, same=False)
    off = difference(sentence.trajectory, answer.trajectory)
    if sentence.base is not None:
        off = max(off, base_difference(sentence.base, answer.base), key=_worse)
    return Verdict(sentence, answer, off, stood, bool(off <= tolerance))


def difference(before: JointTrajectory, now: JointTrajectory | None) -> float:
    """Largest difference of two trajectories [rad, rad/s, s]; NaN where they cannot be compared.

    When they begin does not count.
    """
    if now is None or list(before.joint_names) != list(now.joint_names):
        return float("nan")
    if len(before.points) != len(now.points) or not len(now.points):
        return float("nan")
    a, b = _rows(before), _rows(now)
    return float(np.abs(a - b).max()) if a.shape == b.shape else float("nan")


def base_difference(before: MultiDOFJointTrajectory, now: MultiDOFJointTrajectory | None) -> float:
    """The same for the base [m]; quaternions count as they stand."""
    if now is None or len(before.points) != len(now.points) or not len(now.points):
        return float("nan")
    (place, turn), (other_place, other_turn) = base_poses(before), base_poses(now)
    turned = np.minimum(np.abs(turn - other_turn).max(1), np.abs(turn + other_turn).max(1))
    return float(max(np.abs(place - other_place).max(), turned.max()))


def _rows(trajectory: JointTrajectory) -> np.ndarray:
    return np.array(
        [
            [*p.positions, *p.velocities, nanoseconds(p.time_from_start) / NANOSECONDS]
            for p in trajectory.points
        ]
    )


def _worse(value: float) -> float:
    return float("inf") if np.isnan(value) else value

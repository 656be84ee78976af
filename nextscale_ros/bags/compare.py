"""Comparison of the recorded and the replayed answer to a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_ros.bags.player import BY_CHANCE, ReplayedAnswer
from nextscale_ros.bags.session import STILL, Sentence
from nextscale_ros.messages.conversions import base_poses
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReport

TOLERANCE = 1e-6
"""Maximum difference of trajectories that count as the same [rad, rad/s, m, s]."""

_NOT_CONTINUED = "continuation: nothing is continued"
"""Finding of a report if the node had lost joint states of a robot at rest."""


@dataclass(frozen=True)
class Comparison:
    """Recorded and replayed answer to a sentence.

    Attributes:
        sentence: The sentence, with its recorded answer.
        answer: The replayed answer; None where there was none.
        difference: Maximum difference of the trajectories [rad, rad/s, m, s]; NaN unless there are
            two of them with the same joints and number of points.
        promised: Whether they must be the same.
        same: Whether they are.
    """

    sentence: Sentence
    answer: ReplayedAnswer | None
    difference: float
    promised: bool
    same: bool

    @property
    def differs(self) -> bool:
        """Whether answers differ that must be the same."""
        return self.promised and not self.same


def compare(
    sentence: Sentence, answer: ReplayedAnswer | None, tolerance: float, still: float = STILL
) -> Comparison:
    """Compare answers, with a tolerance [rad, rad/s, m, s].

    Joints that moved by at most `still` [rad] count as at rest.
    """
    outcome = sentence.report.outcome
    reports = [sentence.report] if answer is None else [sentence.report, answer.report]
    lost = any(line.startswith(_NOT_CONTINUED) for report in reports for line in report.findings)
    # Only where the node took the robot to be at rest, too, does the trajectory begin on arrival.
    way = sentence.trajectory
    seen = way is None or not nanoseconds(way.header.stamp)
    stood = sentence.stood(still) and seen and not lost
    if outcome in BY_CHANCE:
        return Comparison(sentence, answer, np.nan, promised=False, same=False)
    if answer is None:
        return Comparison(sentence, None, np.nan, promised=True, same=False)
    if outcome not in (MotionReport.PASS, MotionReport.REPAIRED):
        # An invalid text is always invalid.
        sure = outcome == MotionReport.BAD_INPUT or stood
        return Comparison(sentence, answer, np.nan, sure, answer.report.outcome == outcome)
    if sentence.trajectory is None:
        # Published, but not in the recording.
        promised = stood and sentence.report.published
        return Comparison(sentence, answer, np.nan, promised, same=False)
    off = difference(sentence.trajectory, answer.trajectory)
    if sentence.base is not None:
        off = float(np.maximum(off, base_difference(sentence.base, answer.base)))
    return Comparison(sentence, answer, off, stood, bool(off <= tolerance))


def difference(before: JointTrajectory, now: JointTrajectory | None) -> float:
    """Maximum difference of two trajectories, apart from their begin [rad, rad/s, s].

    NaN where they differ in joints or number of points.
    """
    if now is None or list(before.joint_names) != list(now.joint_names):
        return float("nan")
    if len(before.points) != len(now.points) or not len(now.points):
        return float("nan")
    a, b = _rows(before), _rows(now)
    return float(np.abs(a - b).max()) if a.shape == b.shape else float("nan")


def base_difference(before: MultiDOFJointTrajectory, now: MultiDOFJointTrajectory | None) -> float:
    """The same for the base [m] and its quaternions, regardless of their sign."""
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

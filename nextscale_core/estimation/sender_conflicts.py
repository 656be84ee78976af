"""Detection of two senders that publish contradictory positions of one joint.

A `joint_state_publisher` beside a driver publishes zeros on the same topic, and the message that
came last would count as the posture of the robot. Messages do not name their sender, neither live
nor in a recording, so a conflict is detected by motion that no joint is capable of: it jumps, and
jumps back to where it came from, repeatedly. A message that names a joint twice, at different
positions, is a conflict at once.

For samples q0, q1, q2 of one joint at steps h1 and h2 apart, an acceleration of at most A means

    |(q2 - q1) - (q1 - q0) h2 / h1|  <=  A h2 (h1 + h2) / 2

A joint that moves fast, or is sampled rarely, satisfies it. A restarted sender and a reset
simulation violate it once, an outlier twice: these are not conflicts. Two senders at a low rate may
satisfy it, too, but not for long: moving a distance d back and forth, with time t each way, takes
an acceleration of at least 4 d / t^2.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.03
"""Maximum difference of positions that agree [rad]."""

MAX_ACCELERATION = 300.0
"""Maximum acceleration of a joint [rad/s^2]: three times the highest limit of a known robot."""

CONTACT_ACCELERATION = 3000.0
"""The same for a robot on its feet: contacts shake joints (up to 2300 in simulation) [rad/s^2]."""

MAX_SPEED = 50.0
"""Maximum speed that a joint is expected to keep [rad/s]."""

RETURNS = 5
"""Number of jumps back to where a joint came from that make a conflict."""

WINDOW = 3.0
"""Time within which they count, and after which a conflict is over [s]."""

_RUN = 8
"""Number of consecutive steps back and forth from which their mean time counts."""

_PAUSE = 1.0
"""Time without a step that ends such a run [s]."""

_SAME_PLACE = 0.25
"""Maximum distance of a jump's end from where it came from, as a share of its length."""

_LONGEST_STEP = 0.25
"""Maximum time between messages in the mean [s]."""

_SMOOTHING = 0.05
"""Weight of one time between messages in the mean."""

_LATE = 0.5
"""Maximum age, relative to the newest, of measurements of the same clock [s]."""

_FARTHEST = 1e6
"""Limit to which positions are clipped, so that damaged numbers do not overflow [rad]."""

_NEIGHBOURS = 2.5
"""Maximum time between the two messages around a late one, in mean times between messages."""

_LOGGED = 128
"""Number of messages kept for comparison with late ones."""


@dataclass(frozen=True)
class SenderConflict:
    """A joint with two positions at the same time.

    Attributes:
        joint: Its index.
        positions: Both positions [rad].
    """

    joint: int
    positions: tuple[float, float]

    def describe(self, name: str) -> str:
        """One clause for an error.

        Args:
            name: Name of the joint.
        """
        low, high = sorted(self.positions)
        return (
            f"{name} alternates between {low:.3f} and {high:.3f} rad faster than any joint moves: "
            "two senders contradict each other"
        )


class SenderConflictDetector:
    """Detects conflicts in the joint states of all senders together, as they arrive.

    Args:
        count: Number of joints.
        max_acceleration: Acceleration that no joint exceeds [rad/s^2].
    """

    def __init__(self, count: int, max_acceleration: float = MAX_ACCELERATION) -> None:
        self._max_acceleration = max_acceleration
        self._position = np.full(count, np.nan)
        self._speed = np.full(count, np.nan)
        self._measured = np.full(count, -np.inf)
        self._arrived = np.full(count, -np.inf)
        self._mean = np.zeros(count)
        """Mean time between two messages of a joint [s]."""
        self._span = np.zeros(count)
        """Time between the last two messages, at least the mean [s]."""
        self._jumps, self._steps = _StepHistory(count), _StepHistory(count)
        """Steps that no joint is capable of, and all beyond the tolerance."""
        self._ends = np.zeros((count, 2))
        """Begin and end of the last jump back [rad]."""
        self._returns = np.full((count, RETURNS), -np.inf)
        self._log: deque[tuple[float, np.ndarray, np.ndarray]] = deque(maxlen=_LOGGED)

    def add(
        self, joints: np.ndarray, positions: np.ndarray, arrived: float, measured: float
    ) -> bool:
        """Add one message.

        Args:
            joints: (M,) indices.
            positions: (M,) finite [rad].
            arrived: Time of arrival, on one clock for all senders [s].
            measured: Time of measurement [s]; `arrived` where it is not known. A late message of a
                second sender with the same clock is not a contradiction.

        Returns:
            Whether a joint jumped back.
        """
        positions = np.clip(positions, -_FARTHEST, _FARTHEST)
        moved = positions - self._position[joints]
        if (np.abs(moved) > np.pi).any():
            moved = _turn(moved)
        late = (measured <= self._measured[joints]) & (self._measured[joints] <= measured + _LATE)
        if late.any():
            late[late] = self._was_there(joints[late], positions[late], measured)
            joints, positions, moved = joints[~late], positions[~late], moved[~late]
        far = np.abs(moved) > TOLERANCE
        returned = False
        # A busy machine receives waiting messages at once: no time counts as less than the mean.
        since = np.clip(arrived - self._arrived[joints], 0.0, _LONGEST_STEP)
        mean = self._mean[joints]
        mean += _SMOOTHING * (since - mean)
        span = np.maximum(np.maximum(since, mean), 1e-6)
        if far.any():
            jumps = self._impossible(joints[far], moved[far], span[far])
            returned = self._step(joints[far], positions[far], moved[far], jumps, arrived)
        self._speed[joints] = moved / span
        self._position[joints], self._arrived[joints] = positions, arrived
        self._mean[joints], self._span[joints] = mean, span
        self._measured[joints] = np.maximum(self._measured[joints], measured)
        self._log.append((measured, joints, positions))
        return returned

    def add_repeated(self, repeated: np.ndarray, positions: np.ndarray, arrived: float) -> bool:
        """Add the joints that a message names twice.

        Args:
            repeated: See `Columns`.
            positions: Positions of the whole message [rad].
            arrived: See `add`.

        Returns:
            Whether it has two positions of one joint.
        """
        if not len(repeated):
            return False
        joints, ends = repeated[:, 2], positions[repeated[:, :2]]
        apart = np.abs(_turn(ends[:, 1] - ends[:, 0])) > TOLERANCE
        self._returns[joints[apart]] = arrived
        self._ends[joints[apart]] = ends[apart]
        return bool(apart.any())

    def conflict(self, time: float) -> SenderConflict | None:
        """The joint whose senders differ most at a time of arrival [s]; None without conflict."""
        joints = np.flatnonzero(time - self._returns[:, 0] <= WINDOW)
        if not len(joints):
            return None
        apart = np.abs(np.diff(self._ends[joints], axis=1)[:, 0])
        joint = int(joints[apart.argmax()])
        first, second = self._ends[joint].tolist()
        return SenderConflict(joint, (first, second))

    def _impossible(self, joints: np.ndarray, moved: np.ndarray, span: np.ndarray) -> np.ndarray:
        """(M,) whether no joint is capable of this step after the one before."""
        speed = np.clip(self._speed[joints], -MAX_SPEED, MAX_SPEED)
        reach = self._max_acceleration * span * (self._span[joints] + span) / 2
        return np.asarray(np.abs(moved - speed * span) > TOLERANCE + reach)

    def _step(
        self,
        joints: np.ndarray,
        positions: np.ndarray,
        moved: np.ndarray,
        jumps: np.ndarray,
        arrived: float,
    ) -> bool:
        """Add steps of joints (M,) by `moved` to `positions` [rad]; whether one jumped back.

        Args:
            joints: (M,) indices.
            positions: (M,) ends of the steps [rad].
            moved: (M,) lengths of the steps [rad].
            jumps: (M,) whether no joint is capable of the step.
            arrived: Now [s].
        """
        before = self._position[joints]
        back = jumps.copy()
        back[jumps] = self._jumps.went_back(
            joints[jumps], before[jumps], positions[jumps], arrived, WINDOW
        )
        self._steps.went_back(joints, before, positions, arrived, _PAUSE)
        rows, way = self._steps.in_a_row(joints, arrived)
        back |= (rows >= _RUN) & (np.abs(moved) > TOLERANCE + self._max_acceleration * way**2 / 4)
        again = joints[back]
        self._returns[again, :-1] = self._returns[again, 1:]
        self._returns[again, -1] = arrived
        self._ends[again] = np.stack([before[back], positions[back]], axis=1)
        return bool(back.any())

    def _was_there(self, joints: np.ndarray, positions: np.ndarray, measured: float) -> np.ndarray:
        """(M,) whether earlier messages agree with late positions (M,) measured at a time [s]."""
        at = np.array([[time] for time, _, _ in self._log])
        log = np.full((len(at), len(self._position)), np.nan)
        for row, (_, known, values) in zip(log, self._log, strict=True):
            row[known] = values
        log = log[:, joints]
        known = np.isfinite(log)
        first = np.where(known & (at <= measured), at, -np.inf).argmax(axis=0)
        last = np.where(known & (at >= measured), at, np.inf).argmin(axis=0)
        columns = np.arange(len(joints))
        begin, end = at[first, 0], at[last, 0]
        share = np.clip((measured - begin) / np.maximum(end - begin, 1e-9), 0.0, 1.0)
        expected = log[first, columns]
        expected = expected + share * _turn(log[last, columns] - expected)
        # If the other sender's clock is off, its messages lie between those of this one.
        between = end - begin <= _NEIGHBOURS * self._mean[joints]
        return np.asarray(between & (np.abs(_turn(positions - expected)) <= TOLERANCE))


class _StepHistory:
    """The last step of each joint, and its run of consecutive steps back and forth.

    Args:
        count: Number of joints.
        max_acceleration: Acceleration that no joint exceeds [rad/s^2].
    """

    def __init__(self, count: int, max_acceleration: float = MAX_ACCELERATION) -> None:
        self._max_acceleration = max_acceleration
        self._origin = np.full(count, np.nan)
        self._time = np.full(count, -np.inf)
        self._begin = np.full(count, np.nan)
        self._count = np.zeros(count, dtype=np.intp)

    def went_back(
        self, joints: np.ndarray, before: np.ndarray, now: np.ndarray, time: float, within: float
    ) -> np.ndarray:
        """Add one step of joints (M,); returns (M,) whether it ends where the last one began.

        Args:
            joints: (M,) indices.
            before: (M,) begin of the step [rad].
            now: (M,) end of the step [rad].
            time: Time of the step [s].
            within: Maximum time since the last step [s].
        """
        missed = np.abs(_turn(now - self._origin[joints]))
        back = missed <= np.maximum(TOLERANCE, _SAME_PLACE * np.abs(_turn(now - before)))
        back &= time - self._time[joints] <= within
        self._count[joints] = np.where(back, self._count[joints] + 1, 0)
        self._begin[joints] = np.where(back, self._begin[joints], time)
        self._origin[joints], self._time[joints] = before, time
        return np.asarray(back)

    def in_a_row(self, joints: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """(M,) number of consecutive steps back and forth, and (M,) their mean time [s]."""
        count = self._count[joints]
        return count, (time - self._begin[joints]) / np.maximum(count, 1)


def _turn(angle: np.ndarray) -> np.ndarray:
    """Angles wrapped to -pi to pi, as senders may count whole turns or not."""
    return np.asarray(angle - 2 * np.pi * np.round(angle / (2 * np.pi)))

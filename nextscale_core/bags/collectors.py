"""Collectors of the joint states, base poses and IMU orientations of a recording."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nextscale_core.estimation.base_pose import (
    BaseLinkError,
    BasePoseError,
    BaseTransform,
    link_named,
    valid_quaternion,
)
from nextscale_core.estimation.clock import are_stamps_usable, increasing
from nextscale_core.estimation.joint_series import NameLists
from nextscale_core.estimation.sender_conflicts import SenderConflict, SenderConflictDetector
from nextscale_core.exceptions import BagError
from nextscale_core.robots.description import link_names
from nextscale_core.robots.profile import nearest
from nextscale_core.robots.robot import Robot

MAX_RATE = 100.0
"""Maximum rate of joint states, as a motion has 20 frames per second; others are left out [Hz]."""

MAX_LAYOUTS = 64
"""Maximum number of different sets of joints in messages; robots have one to four, or one for each
joint."""

MAX_POSITIONS = 60_000_000
"""Maximum number of joint positions: 480 MB, more than five hours of a robot with 29 joints."""

MAX_POSES = 5_000_000
"""Maximum number of poses: almost three hours at 500 Hz."""

_TOO_LONG = "the recording is too long: take parts of it with --begin and --end"


class RecordedRows:
    """Rows of numbers with a stamp and a time of recording each, in compact arrays.

    Args:
        width: Numbers in a row.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._stamps, self._recorded, self._rows = array("d"), array("d"), array("d")

    def __len__(self) -> int:
        return len(self._stamps)

    def append(self, row: Any, stamp: float, recorded: float) -> None:
        """Add a row (width,) with its stamp, 0 for none, and time of recording [s]."""
        self._stamps.append(stamp)
        self._recorded.append(recorded)
        self._rows.extend(row)

    @property
    def stamped(self) -> bool:
        """Whether all rows have stamps, by a clock that was never set."""
        return are_stamps_usable(np.array(self._stamps), np.array(self._recorded))

    def series(self, stamped: bool) -> tuple[np.ndarray, np.ndarray]:
        """Increasing times (N,) [s], stamps or times of recording, and their rows (N, width).

        Late messages and repetitions are left out.
        """
        times = np.array(self._stamps if stamped else self._recorded)
        kept = increasing(times)
        return times[kept], np.array(self._rows).reshape(-1, self._width)[kept]


@dataclass
class RecordedJoints:
    """Messages of one sender with some joints of the robot, whatever their order.

    Attributes:
        target: (M,) indices of these joints in the robot.
        rows: Positions (M,) of each message [rad]; NaN where not finite.
        last: Time of the last kept message [s].
    """

    target: np.ndarray
    rows: RecordedRows = field(init=False)
    last: float = -np.inf

    def __post_init__(self) -> None:
        self.rows = RecordedRows(len(self.target))


class JointCollector:
    """Collects joint states at a rate of at most `MAX_RATE`.

    Args:
        robot: The robot.

    Attributes:
        messages: Number of messages.
        unusable: Number of messages without a joint of the robot, or with fewer or more positions
            than names.
        unknown: Names of joints that the robot does not have.
        invalid: Names of joints with values that were not finite.
        conflict: The first conflict of two senders, and its time [s]; None while they agree.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._index = {name: n for n, name in enumerate(robot.joint_names)}
        self._names = NameLists(self._index)
        self._layouts: dict[tuple[int, bytes], RecordedJoints] = {}
        self._conflicts = SenderConflictDetector(robot.num_joints)
        self._count = 0
        self.conflict: tuple[SenderConflict, float] | None = None
        self.messages = 0
        self.unusable = 0
        self.unknown: set[str] = set()
        self.invalid: set[str] = set()

    def add(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        stamp: float,
        recorded: float,
        sender: int = 0,
    ) -> None:
        """Add one message.

        Args:
            names: Joint names.
            positions: As many positions [rad].
            stamp: Time of measurement [s]; 0 without a stamp.
            recorded: Time of recording [s].
            sender: Number of the sender.

        Raises:
            BagError: the recording is too long, or has too many different sets of joints.
        """
        self.messages += 1
        (source, target, repeated), new = self._names.columns(tuple(names))
        if new and len(self.unknown) < 1000:
            self.unknown |= set(names) - set(self._index)
        if not len(target) or len(positions) != len(names):
            self.unusable += 1
            return
        layout = self._layout(sender, target)
        time = stamp or recorded
        given = np.asarray(positions, dtype=np.float64)
        row = given[source]
        valid = np.isfinite(row)
        if self.conflict is None and (
            self._conflicts.add_repeated(repeated, given, recorded)
            or self._conflicts.add(target[valid], row[valid], recorded, time)
        ):
            found = self._conflicts.conflict(recorded)
            self.conflict = None if found is None else (found, recorded)
        # A clock that was set back must not exclude the sender for ever.
        if 0 <= time - layout.last < 0.99 / MAX_RATE:
            return
        layout.last = time
        self.invalid |= {self._robot.joint_names[n] for n in target[~valid]}
        self._count += len(row)
        if self._count > MAX_POSITIONS:
            raise BagError(_TOO_LONG)
        layout.rows.append(np.where(valid, row, np.nan), stamp, recorded)

    def _layout(self, sender: int, target: np.ndarray) -> RecordedJoints:
        key = sender, target.tobytes()
        if key not in self._layouts:
            if len(self._layouts) >= MAX_LAYOUTS + len(self._index):
                raise BagError("joint states come with too many different sets of joints")
            self._layouts[key] = RecordedJoints(target)
        return self._layouts[key]

    def streams(self) -> list[RecordedJoints]:
        """The collected messages.

        Raises:
            BagError: no joint states can be used; the message states the reason.
        """
        streams = [layout for layout in self._layouts.values() if len(layout.rows)]
        if streams:
            return streams
        robot = self._robot
        if not self.messages:
            raise BagError("there is no joint state in that part of the bag")
        if self.unknown:
            shown = sorted(self.unknown)
            raise BagError(
                f"none of the joints in the bag is one of {robot.name}'s: {', '.join(shown[:5])}"
                f"{', ...' if len(shown) > 5 else ''}; {nearest(shown[0], robot.joint_names)}; "
                "is it another --robot?"
            )
        raise BagError(f"none of {self.messages} joint states has a position for each of its names")


class OdometryCollector(RecordedRows):
    """Collects positions [m] and quaternions x y z w of the base.

    Args:
        robot: The robot.

    Attributes:
        invalid: Number of messages with NaN, or with a quaternion whose norm is not 1.
    """

    def __init__(self, robot: Robot) -> None:
        super().__init__(7)
        self._to_base = BaseTransform(robot)
        self.invalid = 0

    def add(self, message: Any, stamp: float, recorded: float) -> None:
        """Add one nav_msgs/Odometry.

        Raises:
            BagError: it is of a link that is not fixed to the base, or the recording is too long.
        """
        if len(self) >= MAX_POSES:
            raise BagError(_TOO_LONG)
        place, turn = message.pose.pose.position, message.pose.pose.orientation
        position = np.array([place.x, place.y, place.z])
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        try:
            base = self._to_base(position, quaternion, message.child_frame_id)
        except BaseLinkError as error:
            raise BagError(str(error)) from error
        except BasePoseError:
            self.invalid += 1
            return
        self.append(base, stamp, recorded)


class ImuCollector(RecordedRows):
    """Collects orientations of one link as quaternions x y z w.

    Args:
        robot: The robot.
        link: Link of the IMU; '': the frame of its messages.

    Attributes:
        link: The link, after the first message.
        invalid: Number of messages with a quaternion whose norm is not 1, or without orientation.
    """

    def __init__(self, robot: Robot, link: str = "") -> None:
        super().__init__(4)
        self._robot, self.link = robot, link
        self.invalid = 0

    def add(self, message: Any, stamp: float, recorded: float) -> None:
        """Add one sensor_msgs/Imu.

        Raises:
            BagError: the robot does not have the link, or the recording is too long.
        """
        if len(self) >= MAX_POSES:
            raise BagError(_TOO_LONG)
        if not len(self):
            self.link = self._known(self.link or message.header.frame_id)
        turn = message.orientation
        try:
            row = valid_quaternion(np.array([turn.x, turn.y, turn.z, turn.w]))
        except BasePoseError:
            row = None
        # REP-145: a covariance of -1 means that the sensor measures no orientation.
        if message.orientation_covariance[0] == -1.0 or row is None:
            self.invalid += 1
            return
        self.append(row, stamp, recorded)

    def _known(self, name: str) -> str:
        link = link_named(self._robot, name)
        if name and not link:
            raise BagError(
                f"the IMU is on {name!r}, which {self._robot.name} does not have; "
                f"{nearest(name, link_names(self._robot.model))}; state the link with --imu-link"
            )
        return link

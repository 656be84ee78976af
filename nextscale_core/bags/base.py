"""What a recording says about the floating base: odometry and an IMU."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.base_pose import base_in_link, link_named, root_link
from nextscale_core.exceptions import BagError
from nextscale_core.robots.description import link_names
from nextscale_core.robots.profile import nearest
from nextscale_core.robots.robot import Robot

MAX_POSES = 5_000_000
"""Most poses that are kept: almost three hours at 500 Hz."""

_NORM = 0.05
"""A quaternion may miss the norm 1 by so much; it is then made right."""


class _Track:
    """Rows of numbers with two times each, in little memory."""

    width = 0

    def __init__(self) -> None:
        self._stamps, self._recorded, self._rows = array("d"), array("d"), array("d")
        self.broken = 0

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def stamps(self) -> np.ndarray:
        """When each message says it was measured (N,) [s]."""
        return np.array(self._stamps)

    @property
    def recorded(self) -> np.ndarray:
        """When each message was recorded (N,) [s]."""
        return np.array(self._recorded)

    @property
    def rows(self) -> np.ndarray:
        """The numbers (N, width)."""
        return np.array(self._rows).reshape(-1, self.width)

    def _add(self, row: Any, stamp: float, recorded: float) -> None:
        if len(self) >= MAX_POSES:
            raise BagError("the recording is too long: take parts of it with --begin and --end")
        self._stamps.append(stamp)
        self._recorded.append(recorded)
        self._rows.extend(row)


class OdometryCollector(_Track):
    """Poses of the base; `rows` are position [m] and quaternion x y z w of the base.

    Poses may be of the root link or of any link that cannot move against it.

    Args:
        robot: Whose base.

    Attributes:
        broken: Messages left out: NaN, or a quaternion that is none.
    """

    width = 7

    def __init__(self, robot: Robot) -> None:
        super().__init__()
        self._robot = robot
        self._mounts: dict[str, tuple[np.ndarray, Rotation]] = {}

    def add(self, message: Any, stamp: float, recorded: float) -> None:
        """Take over one nav_msgs/Odometry.

        Raises:
            BagError: it is of a link that does not tell where the base is.
        """
        offset, turn = self._mount(message.child_frame_id)
        place, link = message.pose.pose.position, message.pose.pose.orientation
        position = np.array([place.x, place.y, place.z])
        quaternion = np.array([link.x, link.y, link.z, link.w])
        if not (np.isfinite(position).all() and _is_unit(quaternion)):
            self.broken += 1
            return
        rotation = Rotation.from_quat(quaternion)
        base = (rotation * turn).as_quat()
        self._add([*(position + rotation.apply(offset)), *base], stamp, recorded)

    def _mount(self, name: str) -> tuple[np.ndarray, Rotation]:
        """Where the base lies in a link: origin (3,) and orientation."""
        if name not in self._mounts:
            self._mounts[name] = self._find(name)
        return self._mounts[name]

    def _find(self, name: str) -> tuple[np.ndarray, Rotation]:
        mount = base_in_link(self._robot, name)
        if mount is None:
            raise BagError(
                f"poses of {name!r} do not tell where the base of {self._robot.name} is: it must "
                f"be the root link {root_link(self._robot)!r} or a link that is fixed to it"
            )
        return mount


class ImuCollector(_Track):
    """Orientations of one link; `rows` are quaternions x y z w.

    Args:
        robot: On which robot.
        link: The link that the IMU sits on; '': the one that its messages name.

    Attributes:
        link: The link, once it is known.
        broken: Messages left out: no unit quaternion, or an IMU that measures no orientation.
    """

    width = 4

    def __init__(self, robot: Robot, link: str = "") -> None:
        super().__init__()
        self._robot, self.link = robot, link

    def add(self, message: Any, stamp: float, recorded: float) -> None:
        """Take over one sensor_msgs/Imu.

        Raises:
            BagError: the robot does not have the link.
        """
        if not len(self):
            self.link = self._known(self.link or message.header.frame_id)
        turn = message.orientation
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w])
        # REP-145: a sensor that measures no orientation says so in this way.
        if message.orientation_covariance[0] == -1.0 or not _is_unit(quaternion):
            self.broken += 1
            return
        self._add(quaternion / np.linalg.norm(quaternion), stamp, recorded)

    def _known(self, name: str) -> str:
        if not name:
            return ""
        link = link_named(self._robot, name)
        if not link:
            links = link_names(self._robot.model)
            raise BagError(
                f"the IMU sits on {name!r}, which {self._robot.name} does not have; "
                f"{nearest(name, links)}; --imu-link says which one it is"
            )
        return link


def _is_unit(quaternion: np.ndarray) -> bool:
    return bool(abs(np.linalg.norm(quaternion) - 1.0) <= _NORM)

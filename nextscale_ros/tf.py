"""Transforms of a robot's base: REP-105's `odom` and `base_link`, REP-120's `base_footprint`.

    odom -> ROOT LINK -> base_link       x forward, z up, if the URDF has no link of that name
                      -> base_footprint  on the floor between the feet, level

`ROOT LINK` is that of the URDF (G1: `pelvis`), the parent of its other links.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pinocchio as pin
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.base_pose import root_link
from nextscale_core.robots import Robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.rotations import yaw

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # pragma: no cover - depends on the installation
    TFMessage = None

BASE_LINK, BASE_FOOTPRINT = "base_link", "base_footprint"
TF_TOPIC = "/tf"
"""Absolute topic, as usual in ROS; for robots in namespaces it is remapped to `tf`."""

MISSING = (
    "no transforms: the package tf2_msgs is not installed (apt install ros-$ROS_DISTRO-tf2-msgs)"
)


class BaseTransforms:
    """Publishes the transforms of a robot's base; without tf2_msgs it logs a warning once.

    Args:
        node: Owner of the publisher.
        robot: The robot.

    Attributes:
        available: Whether tf2_msgs is installed and transforms are published.
        root: Name of the robot's root link.
    """

    def __init__(self, node: Node, robot: Robot) -> None:
        self._robot = robot
        model = robot.model
        kinematics = self._kinematics = kinematics_of(robot)
        # For single poses pinocchio is much faster than the vectorized kinematics.
        self._data = model.createData()
        self._soles = [
            (int(kinematics.owner[row]) + 2, kinematics.offset[row]) for row in kinematics.soles
        ]
        self.root = root_link(robot)
        self._base_axes = Rotation.from_matrix(robot.profile.axes.rotation())
        self._frames = [name for name in (BASE_LINK, BASE_FOOTPRINT) if not model.existFrame(name)]
        self.available = TFMessage is not None
        self._publisher: Any = None
        if self.available:
            self._publisher = node.create_publisher(TFMessage, TF_TOPIC, 100)
        else:
            node.get_logger().warning(MISSING)

    def publish(
        self,
        frame: str,
        position: np.ndarray,
        quaternion: np.ndarray,
        joints: np.ndarray,
        stamp: Time,
    ) -> None:
        """Publish the transforms.

        Args:
            frame: World frame such as 'odom'.
            position: (3,) position of the root link [m].
            quaternion: (4,) orientation of the root link with the URDF's axes, x y z w.
            joints: (J,) joint positions [rad].
            stamp: Stamp of the transforms.
        """
        if self.available:
            transforms = self.transforms(frame, position, quaternion, joints, stamp)
            self._publisher.publish(TFMessage(transforms=transforms))

    def transforms(
        self,
        frame: str,
        position: np.ndarray,
        quaternion: np.ndarray,
        joints: np.ndarray,
        stamp: Time,
    ) -> list[TransformStamped]:
        """The transforms as messages, parents first; arguments as for `publish`."""
        root = Rotation.from_quat(quaternion)
        base = root * self._base_axes.inv()
        found = [_transform(frame, self.root, position, root, stamp)]
        if BASE_LINK in self._frames:
            turn = self._base_axes.inv()
            found.append(_transform(self.root, BASE_LINK, np.zeros(3), turn, stamp))
        if BASE_FOOTPRINT in self._frames:
            place, level = self.footprint(position, base, joints)
            inverse = root.inv()
            found.append(
                _transform(
                    self.root,
                    BASE_FOOTPRINT,
                    inverse.apply(place - position),
                    inverse * level,
                    stamp,
                )
            )
        return found

    def standing(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position and quaternion of the root link of a robot standing upright above the origin.

        Args:
            joints: (J,) joint positions [rad].
        """
        poses = Poses(np.zeros((1, 3)), np.eye(3)[None], np.asarray(joints)[None])
        height = -float(self._kinematics.lowest_sole(poses)[0])
        return np.array([0.0, 0.0, height]), self._base_axes.as_quat()

    def footprint(
        self, position: np.ndarray, base: Rotation, joints: np.ndarray
    ) -> tuple[np.ndarray, Rotation]:
        """REP-120's `base_footprint` in the world.

        Args:
            position: (3,) position of the root link [m].
            base: Orientation of the base, x forward and z up in the zero posture.
            joints: (J,) joint positions [rad].

        Returns:
            (3,) centre between the soles at the height of the lower one [m], and a level
            orientation with the heading of the base.
        """
        q = self._robot.configurations(position[None], base.as_quat()[None], joints[None])[0]
        pin.forwardKinematics(self._robot.model, self._data, q)
        corners = np.array([self._data.oMi[joint].act(offset) for joint, offset in self._soles])
        place = np.array([*corners[:, :2].mean(axis=0), corners[:, 2].min()])
        return place, Rotation.from_euler("z", float(yaw(base.as_matrix())))


def _transform(
    parent: str, child: str, place: np.ndarray, turn: Rotation, stamp: Time
) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, stamp
    to, rotation = message.transform.translation, message.transform.rotation
    to.x, to.y, to.z = (float(value) for value in place)
    rotation.x, rotation.y, rotation.z, rotation.w = (float(value) for value in turn.as_quat())
    return message

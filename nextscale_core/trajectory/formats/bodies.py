"""Poses and velocities of links, by pinocchio's forward kinematics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from nextscale_core.robots.description import link_frame
from nextscale_core.robots.robot import Robot
from nextscale_core.trajectory.formats.orders import joint_tree
from nextscale_core.trajectory.reference import Reference


@dataclass(frozen=True)
class Bodies:
    """B links over N samples, in the world.

    Attributes:
        positions: (N, B, 3) origins [m].
        quaternions: (N, B, 4) x y z w.
        linear: (N, B, 3) velocity of the origins [m/s].
        angular: (N, B, 3) [rad/s].
        centre_linear: (N, B, 3) velocity of the centres of mass [m/s].
    """

    positions: np.ndarray
    quaternions: np.ndarray
    linear: np.ndarray
    angular: np.ndarray
    centre_linear: np.ndarray

    def __getitem__(self, rows: Sequence[int]) -> Bodies:
        """Some of the links, in an order."""
        return Bodies(*(value[:, list(rows)] for value in vars(self).values()))


def body_names(robot: Robot) -> tuple[str, ...]:
    """The root link and the link of each joint that moves, depth first: MuJoCo's bodies."""
    tree = joint_tree(robot)
    return (tree.root, *tree.links)


def breadth_first_bodies(robot: Robot) -> tuple[int, ...]:
    """Index of the bodies in `body_names` level by level: Isaac Lab's bodies."""
    return (0, *(1 + row for row in joint_tree(robot).breadth_first()))


def bodies(robot: Robot, at: Reference, names: Sequence[str] | None = None) -> Bodies:
    """States of links.

    Args:
        robot: The robot.
        at: N references.
        names: The links; None for `body_names`.
    """
    names = body_names(robot) if names is None else names
    model, data = robot.model, robot.model.createData()
    links = [link_frame(model, name) for name in names]
    q = robot.configurations(at.base_position, at.base_quaternion, at.positions)
    joint_rates = at.velocities
    if robot.coupling is not None:
        joint_rates = joint_rates @ robot.coupling.matrix(robot.num_joints).T
    v = np.concatenate([at.linear_velocity, at.angular_velocity, joint_rates], axis=1)
    joints = sorted({link.parentJoint for link in links})
    shape = (len(q), len(joints))
    turn, place = np.empty((*shape, 3, 3)), np.empty((*shape, 3))
    speed, rate = np.empty((*shape, 3)), np.empty((*shape, 3))
    for n in range(len(q)):
        pin.forwardKinematics(model, data, q[n], v[n])
        for row, joint in enumerate(joints):
            turn[n, row], place[n, row] = data.oMi[joint].rotation, data.oMi[joint].translation
            speed[n, row], rate[n, row] = data.v[joint].linear, data.v[joint].angular
    own = np.array([joints.index(link.parentJoint) for link in links])
    turn, place = turn[:, own], place[:, own]
    # pinocchio's velocities are in the frames of the joints.
    speed = np.einsum("nbij,nbj->nbi", turn, speed[:, own])
    rate = np.einsum("nbij,nbj->nbi", turn, rate[:, own])
    arm = turn @ np.array([link.placement.translation for link in links])[..., None]
    lever = turn @ np.array([model.inertias[link.parentJoint].lever for link in links])[..., None]
    turned = turn @ np.array([link.placement.rotation for link in links])
    quaternions = Rotation.from_matrix(turned.reshape(-1, 3, 3)).as_quat()
    return Bodies(
        place + arm[..., 0],
        _continuous(quaternions.reshape(*turned.shape[:2], 4)),
        speed + np.cross(rate, arm[..., 0]),
        rate,
        speed + np.cross(rate, lever[..., 0]),
    )


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same (N, B, 4), without a change of sign from one sample to the next."""
    dots = (quaternions[1:] * quaternions[:-1]).sum(-1)
    signs = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    return np.concatenate([quaternions[:1], quaternions[1:] * signs[..., None]])

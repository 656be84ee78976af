"""MuJoCo model of a robot, from the same URDF and with the same joints as in nextscale."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.description import expand
from nextscale_core.robots.kinematics import Poses
from nextscale_core.robots.robot import Robot


@dataclass(frozen=True)
class Site:
    """A frame fixed to a link.

    Attributes:
        joint: Number of the joint that moves the link, -1 for the root link.
        position: (3,) in the frame of that joint (of our base for -1) [m].
        rotation: (3, 3) in the same frame.
    """

    joint: int
    position: np.ndarray
    rotation: np.ndarray


class GmrModel:
    """MuJoCo model of a robot, and the way from its coordinates to ours.

    Args:
        robot: The robot; none of its joints may be held.
        sites: Frames to add, by name.

    Attributes:
        model: The MuJoCo model: free joint, then hinges.

    Raises:
        RobotError: a joint is held or locked elsewhere than at zero, or MuJoCo's forward
            kinematics differs from pinocchio's.
    """

    def __init__(self, robot: Robot, sites: Mapping[str, Site]):
        self.robot = robot
        if robot.held:
            raise RobotError(f"the baseline moves every joint, {robot.name} holds some")
        self._axes = robot.profile.axes.rotation()
        spec = mujoco.MjSpec.from_string(_bare_urdf(robot))
        spec.compiler.fusestatic = False
        spec.compiler.boundmass, spec.compiler.boundinertia = 1e-3, 1e-6
        (root,) = spec.worldbody.bodies
        root.add_freejoint()
        links = {joint.name: body for body in spec.bodies for joint in body.joints}
        margin = robot.profile.position_margin
        for j, name in enumerate(robot.joint_names):
            (joint,) = [joint for joint in links[name].joints if joint.name == name]
            joint.range = [robot.position_lower[j] + margin, robot.position_upper[j] - margin]
            joint.limited = True
        for name, site in sites.items():
            position, rotation = site.position, site.rotation
            if site.joint < 0:  # our base may be turned against the URDF's root link
                position, rotation = self._axes.T @ position, self._axes.T @ rotation
            x, y, z, w = Rotation.from_matrix(rotation).as_quat()
            body = root if site.joint < 0 else links[robot.joint_names[site.joint]]
            body.add_site(name=name, pos=position, quat=[w, x, y, z])
        self.model = spec.compile()
        self._columns = np.array([self.model.joint(n).qposadr[0] for n in robot.joint_names])
        difference = self._difference()
        if difference > 1e-6:
            raise RobotError(f"MuJoCo and pinocchio place links {difference:.2e} m or 1 apart")

    def configuration(self, poses: Poses, frame: int) -> np.ndarray:
        """(nq,) MuJoCo's coordinates of one of our poses."""
        q = np.zeros(self.model.nq)
        x, y, z, w = Rotation.from_matrix(poses.rotation[frame] @ self._axes).as_quat()
        q[:3], q[3:7] = poses.base[frame], [w, x, y, z]
        q[self._columns] = poses.joints[frame]
        return q

    def poses(self, q: np.ndarray) -> Poses:
        """Our poses of MuJoCo's coordinates (T, nq)."""
        rotation = Rotation.from_quat(q[:, [4, 5, 6, 3]]).as_matrix() @ self._axes.T
        return Poses(q[:, :3].copy(), rotation, q[:, self._columns])

    def _difference(self, samples: int = 20) -> float:
        """Largest difference of a link's frame between MuJoCo and pinocchio, random postures.

        Entries of rotation matrices count as metres.
        """
        robot, generator = self.robot, np.random.default_rng(0)
        turns = Rotation.random(samples, rng=generator)
        poses = Poses(
            generator.normal(size=(samples, 3)),
            turns.as_matrix(),
            generator.uniform(
                robot.position_lower, robot.position_upper, (samples, robot.num_joints)
            ),
        )
        ours = robot.configurations(poses.base, turns.as_quat(), poses.joints)
        data, theirs = robot.model.createData(), mujoco.MjData(self.model)
        worst = 0.0
        for number in range(samples):
            pin.forwardKinematics(robot.model, data, ours[number])
            theirs.qpos = self.configuration(poses, number)
            mujoco.mj_kinematics(self.model, theirs)
            for j, name in enumerate(robot.joint_names):
                link = int(self.model.joint(name).bodyid[0])
                placed = data.oMi[j + 2]
                apart = np.abs(theirs.xpos[link] - placed.translation).max()
                turned = np.abs(theirs.xmat[link].reshape(3, 3) - placed.rotation).max()
                worst = max(worst, float(apart), float(turned))
        return worst


def _bare_urdf(robot: Robot) -> str:
    """The URDF without geometry (unused by the baseline), with locked joints made fixed."""
    root = ElementTree.parse(robot.urdf_path).getroot()
    for link in root.findall("link"):
        for kind in ("visual", "collision"):
            for shape in link.findall(kind):
                link.remove(shape)
    joints = {joint.get("name", ""): joint for joint in root.findall("joint")}
    for name, value in expand(robot.profile.locked, joints.keys()).items():
        if value:
            raise RobotError(f"the baseline locks joints at zero only, {name} is at {value:g}")
        joints[name].set("type", "fixed")
    return ElementTree.tostring(root, encoding="unicode")

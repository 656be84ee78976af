"""The tree of a model's joints at its zero posture."""

from __future__ import annotations

import numpy as np
import pinocchio as pin

from nextscale_core.robots.description import CONTINUOUS, REVOLUTE

_HAND = 0.45
"""Largest share of a limb's length that its hand takes."""


class JointTree:
    """Joint positions and axes of a model at zero, and its branches.

    Attributes:
        model: The model.
        at: (njoints, 3) origin of each joint in the root link's frame [m].
        axis: (njoints, 3) axis of each revolute joint there, zero for other joints.
        children: Joints that hang on each joint.
    """

    def __init__(self, model: pin.Model):
        self.model, data = model, model.createData()
        pin.forwardKinematics(model, data, pin.neutral(model))
        count = model.njoints
        self.at = np.stack([data.oMi[joint].translation for joint in range(count)])
        self.axis = np.zeros((count, 3))
        for number in range(2, count):
            joint = model.joints[number]
            if joint.shortname() in REVOLUTE + CONTINUOUS:
                motion = joint.createData()
                joint.calc(motion, pin.neutral(model), np.zeros(model.nv))
                self.axis[number] = data.oMi[number].rotation @ np.asarray(motion.S).reshape(-1)[3:]
        self.children: list[list[int]] = [[] for _ in range(count)]
        for joint in range(2, count):
            self.children[model.parents[joint]].append(joint)

    def paths(self, root: int) -> list[list[int]]:
        """All paths from a joint to the leaves behind it."""
        if not self.children[root]:
            return [[root]]
        return [[root, *path] for child in self.children[root] for path in self.paths(child)]

    def reach(self, path: list[int]) -> float:
        """Length of a path [m]."""
        return float(np.linalg.norm(np.diff(self.at[path], axis=0), axis=1).sum())

    def limb(self, root: int) -> list[int]:
        """The longest path behind a joint, up to where fingers begin."""
        path = max(self.paths(root), key=self.reach)
        total = self.reach(path)
        for number, joint in enumerate(path[:-1], start=1):
            # A crank beside a shank is no hand: most of the limb still lies ahead there.
            if len(self.children[joint]) > 1 and self.reach(path[number - 1 :]) < _HAND * total:
                return path[:number]
        return path

    def depth(self, joint: int) -> int:
        """Number of joints from the root to a joint."""
        return 0 if joint <= 1 else 1 + self.depth(int(self.model.parents[joint]))

    def names(self, joints: list[int]) -> tuple[str, ...]:
        """Names of joints."""
        return tuple(self.model.names[joint] for joint in joints)

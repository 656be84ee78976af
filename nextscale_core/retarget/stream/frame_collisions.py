"""Self-collision of single poses, with the bodies and pairs that the safety gate checks."""

from __future__ import annotations

import numpy as np

from nextscale_core.retarget.stream.frame_solver import Pose
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.separation_terms import SeparationTerms


class FrameCollisions:
    """Collisions of one stream.

    Args:
        robot: The robot.
        apart: Distance that bodies which would touch should have [m].
        let_go: Further distance from which on they are left alone [m].

    Attributes:
        pairs: Link names of the pairs that are checked.
    """

    def __init__(self, robot: Robot, apart: float, let_go: float):
        self._kinematics, margin = kinematics_of(robot), robot.profile.collision_margin
        self._apart, self._let_go = apart + margin, let_go
        self._model = collision_model(robot, margin).copy()
        self.pairs = self._model.pairs

    def touching(self, way: np.ndarray) -> set[int]:
        """Numbers in `pairs` of all bodies that touch where any do first, for joints (N, J)."""
        found = self._model.close_pairs(way)
        return set(found[found[:, 0] == found[:1, 0], 1].tolist())

    def between(self, pairs: set[int]) -> np.ndarray:
        """(J,) True for the joints that move the two bodies of any pair against each other."""
        moved = np.zeros(self._kinematics.bodies, dtype=bool)
        for number in pairs:
            first, second = map(self._kinematics.ancestors, self._model.bodies_of(number))
            moved |= first ^ second
        return self._kinematics.commanded(moved)

    def apart(self, pose: Pose, pairs: set[int]) -> tuple[SeparationTerms, set[int]]:
        """What keeps pairs apart, and those of them that are not far apart by now.

        Args:
            pose: One in which no bodies touch.
            pairs: Numbers in `pairs`.
        """
        near = self._model.nearest(
            pose.joints[None], np.array([[0, number] for number in pairs], dtype=int).reshape(-1, 2)
        )
        near = near[self._apart - near.distance > -self._let_go]
        numbers = near.where[:, 1].tolist()
        body = np.array([self._model.bodies_of(n) for n in numbers], dtype=int).reshape(-1, 2) + 1
        columns = self._kinematics.frames(pose.clip()).columns[body[:, 0], :, :, 0]
        normal = (columns * near.normal[..., None]).sum(1)
        wanted = np.maximum(self._apart, near.distance)
        terms = SeparationTerms(near.where[:, 0], body, near.points, normal, wanted)
        return terms, set(numbers)

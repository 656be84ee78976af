"""Self-collision of single poses, as fast as a stream needs it: pinocchio's broad phase."""

from __future__ import annotations

import numpy as np
import pinocchio as pin

from nextscale_core.retarget.stream.frame_solver import Part
from nextscale_core.robots.collision import collision_model, swept_body
from nextscale_core.robots.hulls import link_hulls
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.robots.robot import Robot


class FrameCollisions:
    """The bodies and pairs that the safety gate checks.

    Args:
        robot: The robot.
        apart: Distance that bodies which would touch should have [m].
        let_go: Further distance from which on they are left alone [m].
    """

    def __init__(self, robot: Robot, apart: float, let_go: float):
        self._kinematics = kinematics_of(robot)
        self._model, self._data = robot.model, robot.model.createData()
        margin = robot.profile.collision_margin
        self._apart, self._let_go, self._margin = apart + margin, let_go, margin
        self._geometry, self._owners = pin.GeometryModel(), []
        number: dict[str, int] = {}
        for hull in link_hulls(robot):
            body, _ = swept_body(robot, hull, max(margin, 0.0) / 2)
            number[hull.link] = self._geometry.addGeometryObject(body)
            self._owners.append(int(body.parentJoint))
        self.pairs = collision_model(robot, margin).pairs
        self._pairs = [(number[a], number[b]) for a, b in self.pairs]
        for pair in self._pairs:
            self._geometry.addCollisionPair(pin.CollisionPair(*pair))
        self._placed = pin.GeometryData(self._geometry)
        self._broad = pin.BroadPhaseManager_DynamicAABBTreeCollisionManager(
            self._model, self._geometry, self._placed
        )
        self._broad_data = self._broad.getGeometryData()

    def touches(self, configuration: np.ndarray) -> bool:
        """Whether any two bodies touch in a configuration (nq,)."""
        return bool(
            pin.computeCollisions(self._model, self._data, self._broad, configuration, True)
        )

    def touching(self, configuration: np.ndarray) -> set[int]:
        """Numbers in `pairs` of all bodies that touch."""
        placed = self._placed
        pin.computeCollisions(self._model, self._data, self._geometry, placed, configuration, False)
        return {n for n, result in enumerate(placed.collisionResults) if result.isCollision()}

    def between(self, pairs: set[int]) -> np.ndarray:
        """(J,) True for the joints that move the two bodies of any pair against each other."""
        moved = np.zeros(self._kinematics.bodies, dtype=bool)
        for number in pairs:
            first, second = (self._owners[body] - 2 for body in self._pairs[number])
            moved |= self._kinematics.ancestors(first) ^ self._kinematics.ancestors(second)
        return self._kinematics.commanded(moved)

    def parts(self, configuration: np.ndarray, pairs: set[int]) -> dict[int, Part]:
        """What keeps pairs apart, without those that are far apart by now.

        Args:
            configuration: (nq,) of a pose in which no bodies touch.
            pairs: Numbers in `pairs`.
        """
        if not pairs:
            return {}
        pin.updateGeometryPlacements(
            self._model, self._data, self._geometry, self._placed, configuration
        )
        found = {}
        for number in pairs:
            result = pin.computeDistance(self._geometry, self._placed, number)
            missing = self._apart - (float(result.min_distance) + self._margin)
            if missing > -self._let_go:
                first, second = self._pairs[number]
                found[number] = Part(
                    joints=(self._owners[first], self._owners[second]),
                    points=(
                        np.array(result.getNearestPoint1()),
                        np.array(result.getNearestPoint2()),
                    ),
                    normal=np.array(result.normal),
                    missing=max(missing, 0.0),
                )
        return found

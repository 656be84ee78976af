"""Which bodies of the robot touch each other, and how to part them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import coal
import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from nextscale_core.retarget.hulls import link_hulls
from nextscale_core.retarget.kinematics import Poses
from nextscale_core.retarget.robot import Robot
from nextscale_core.retarget.wholeclip import Hinge

_LET_GO = 0.03
"""A pair that is this much further apart than wanted is left alone again [m]. Nearer ones are held
at the wanted distance: let go at once, they would be pulled back into each other."""

_SAMPLES = 200
_ALWAYS = 0.9
"""Pairs that touch in so many random postures touch by construction, not by posture."""


@dataclass(frozen=True)
class Touch:
    """Two links closer than allowed in one sample.

    Attributes:
        sample: Row of the configuration.
        first: One link.
        second: The other.
        depth: How far they are inside each other, safety distance included [m].
    """

    sample: int
    first: str
    second: str
    depth: float


class CollisionModel:
    """Self-collision of a robot on the convex hulls of its links.

    Pairs are left out that cannot tell anything: links of the same or of neighbouring joints,
    links that touch in the nominal or the zero posture or in nearly every random one, and those
    the profile names.

    Args:
        robot: The robot.
        distance: Bodies closer than this count as touching [m].

    Attributes:
        pairs: Link names of the pairs that are checked.
    """

    def __init__(self, robot: Robot, distance: float = 0.0):
        self.robot, self.distance = robot, distance
        self._geometry = pin.GeometryModel()
        self._owners: list[int] = []
        self._links: list[str] = []
        for hull in link_hulls(robot):
            frame = robot.model.frames[robot.model.getFrameId(hull.link, pin.FrameType.BODY)]
            vertices = coal.StdVec_Vec3s()
            vertices.extend(list(hull.vertices))
            triangles = coal.StdVec_Triangle()
            triangles.extend([coal.Triangle(*map(int, corner)) for corner in hull.triangles])
            shape = coal.Convex(vertices, triangles)
            # Half of the distance around each body: then the broad phase sees it as well.
            shape.setSweptSphereRadius(max(distance, 0.0) / 2)
            parent = int(frame.parentJoint)
            self._geometry.addGeometryObject(
                pin.GeometryObject(hull.link, parent, pin.SE3.Identity(), shape)
            )
            self._owners.append(parent)
            self._links.append(hull.link)
        self._select_pairs()
        self._data = robot.model.createData()
        self._geometry_data = pin.GeometryData(self._geometry)
        for request in self._geometry_data.collisionRequests:
            request.enable_contact = True
        self._manager = pin.BroadPhaseManager_DynamicAABBTreeCollisionManager(
            robot.model, self._geometry, self._geometry_data
        )
        self._stale: list[int] = []
        self.pairs = tuple(
            (self._links[pair.first], self._links[pair.second])
            for pair in list(self._geometry.collisionPairs)
        )

    def _select_pairs(self) -> None:
        robot, model = self.robot, self.robot.model
        ignored = {frozenset(pair) for pair in robot.profile.collision_ignore}
        for a, b in combinations(range(len(self._owners)), 2):
            i, j = self._owners[a], self._owners[b]
            neighbours = i == j or model.parents[i] == j or model.parents[j] == i
            if not neighbours and frozenset((self._links[a], self._links[b])) not in ignored:
                self._geometry.addCollisionPair(pin.CollisionPair(a, b))
        data, geometry_data = model.createData(), pin.GeometryData(self._geometry)
        generator = np.random.default_rng(0)
        postures = generator.uniform(
            robot.position_lower, robot.position_upper, (_SAMPLES, robot.num_joints)
        )
        calm = np.stack([robot.nominal, np.clip(0.0, robot.position_lower, robot.position_upper)])
        touching = np.array(
            [
                self._touching(q, data, geometry_data)
                for q in self._upright(np.concatenate([calm, postures]))
            ]
        )
        drop = touching[:2].any(0) | (touching[2:].mean(0) > _ALWAYS)
        for pair in [
            p for p, out in zip(list(self._geometry.collisionPairs), drop, strict=True) if out
        ]:
            self._geometry.removeCollisionPair(pair)

    def _upright(self, positions: np.ndarray) -> np.ndarray:
        base, quaternion = (
            np.zeros((len(positions), 3)),
            np.tile([0, 0, 0, 1.0], (len(positions), 1)),
        )
        return self.robot.configurations(base, quaternion, positions)

    def _touching(
        self, q: np.ndarray, data: pin.Data, geometry_data: pin.GeometryData
    ) -> list[bool]:
        pin.computeCollisions(self.robot.model, data, self._geometry, geometry_data, q, False)
        return [bool(result.isCollision()) for result in geometry_data.collisionResults]

    def colliding(self, positions: np.ndarray) -> np.ndarray:
        """(N,) bool, whether any two bodies touch, for joint positions (N, J) [rad]."""
        model = self.robot.model
        found = np.zeros(len(positions), dtype=bool)
        for n, q in enumerate(self._upright(positions)):
            found[n] = pin.computeCollisions(model, self._data, self._manager, q, True)
        self._stale = list(range(len(self.pairs)))
        return found

    def touches(self, positions: np.ndarray) -> list[Touch]:
        """Every pair that touches in every sample, for joint positions (N, J) [rad]."""
        found = []
        configurations = self._upright(positions)
        for n in np.flatnonzero(self.colliding(positions)):
            for number, contact in self._contacts(configurations[n]):
                first, second = self.pairs[number]
                found.append(Touch(int(n), first, second, -float(contact.penetration_depth)))
        return found

    def close_pairs(self, positions: np.ndarray) -> set[tuple[int, int]]:
        """(row, number in `pairs`) of everything that touches, for joint positions (N, J)."""
        configurations = self._upright(positions)
        return {
            (int(n), number)
            for n in np.flatnonzero(self.colliding(positions))
            for number, _ in self._contacts(configurations[n])
        }

    def hinges(self, poses: Poses, where: set[tuple[int, int]], separation: float) -> list[Hinge]:
        """What a whole-clip solve should keep apart, from the nearest points of given pairs.

        Args:
            poses: The clip.
            where: (frame, number in `pairs`), as `close_pairs` gives them.
            separation: Wanted distance between the bodies [m].
        """
        model, hinges = self.robot.model, []
        quaternion = Rotation.from_matrix(poses.rotation).as_quat()
        configurations = self.robot.configurations(poses.base, quaternion, poses.joints)
        placed = -1
        for t, number in sorted(where):
            if t != placed:
                pin.updateGeometryPlacements(
                    model, self._data, self._geometry, self._geometry_data, configurations[t]
                )
                placed = t
            result = pin.computeDistance(self._geometry, self._geometry_data, number)
            pair = self._geometry.collisionPairs[number]
            first, second = self._owners[pair.first], self._owners[pair.second]
            one, two = result.getNearestPoint1(), result.getNearestPoint2()
            # The bodies carry half of the safety distance each: it counts as touched already.
            missing = separation - self.distance - float(result.min_distance)
            if missing > -_LET_GO:
                normal = np.array(result.normal)
                hinges.append(
                    Hinge(
                        frame=t,
                        first=first - 2,
                        second=second - 2,
                        at_first=self._data.oMi[first].actInv(one),
                        at_second=self._data.oMi[second].actInv(two),
                        normal=normal,
                        separation=float(normal @ (two - one)) + missing,
                    )
                )
        return hinges

    def joints_of(self, number: int) -> tuple[int, int]:
        """Joints that carry the bodies of pair `number`, -1 for the base."""
        pair = self._geometry.collisionPairs[number]
        return self._owners[pair.first] - 2, self._owners[pair.second] - 2

    def _contacts(self, q: np.ndarray) -> list[tuple[int, coal.Contact]]:
        """Touching pairs of one configuration, by number, with one contact each."""
        results = self._geometry_data.collisionResults
        for number in self._stale:
            # The broad phase leaves the results of pairs it does not look at as they were.
            results[number].clear()
        pin.computeCollisions(self.robot.model, self._data, self._manager, q, False)
        self._stale = [n for n, result in enumerate(results) if result.isCollision()]
        return [(number, results[number].getContact(0)) for number in self._stale]


@lru_cache(maxsize=8)
def collision_model(robot: Robot, distance: float = 0.0) -> CollisionModel:
    """The collision model of a robot, built once for each safety distance."""
    return CollisionModel(robot, distance)

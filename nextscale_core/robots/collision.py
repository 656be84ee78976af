"""Which bodies of the robot touch each other, and how to part them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import coal
import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from nextscale_core.robots.broad_phase import Culling
from nextscale_core.robots.hulls import link_hulls, links_without_hull
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.separation_terms import SeparationTerm
from nextscale_core.robots.witness_points import SHALLOW, WitnessPoints, steady

_LET_GO = 0.008
"""A pair that is this much further apart than wanted is left alone again [m]. Nearer ones are held
at the wanted distance: let go at once, they would be pulled back into each other."""

_ROOM_OF_GAP = 0.4
"""The room around a pair takes at most this share of its distance in the nominal posture, as the
solver wants twice the room: thighs that hang 14 mm apart are seldom further apart in a walk."""

_SAMPLES = 200
_ALWAYS = 0.9
"""Pairs that touch in so many random postures touch by construction, not by posture."""


_SHOULDER = 2
"""Bodies between the chest and an upper arm. The hulls around them overlap where shells do not."""


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

    Links of the same or of neighbouring joints touch by construction. Of the other pairs, those
    are left out that touch in the nominal posture or in nearly every random one, those of one limb
    with at most two bodies between them, as in a shoulder, that touch in the zero posture, and
    those that the profile names: `unwatched` holds them.

    Args:
        robot: The robot.
        distance: Bodies closer than this count as touching [m].
        margin: Part of that distance that every pair keeps [m]. The rest is room for the solver,
            and less of it for pairs that are close to each other in the nominal posture already.
            All of it when None.

    Attributes:
        pairs: Link names of the pairs that are checked.
        share: (P,) share of the room that each pair gets.
        reach: (P,) bodies of a pair that are closer than this touch [m].
        unwatched: Pairs of links that may touch unnoticed, links of neighbouring joints aside.
        unwatched_links: Links that may touch anything unnoticed, as they have no collision shape.
        touching_nominal: Pairs of `unwatched` that touch in the nominal posture, but neither in
            the zero posture nor nearly always.
    """

    def __init__(self, robot: Robot, distance: float = 0.0, margin: float | None = None):
        self.robot, self.distance = robot, distance
        self._geometry = pin.GeometryModel()
        self._owners: list[int] = []
        self._links: list[str] = []
        self._vertices: list[np.ndarray] = []
        for hull in link_hulls(robot):
            frame = robot.model.frames[robot.model.getFrameId(hull.link, pin.FrameType.BODY)]
            placed = hull.vertices @ frame.placement.rotation.T + frame.placement.translation
            vertices = coal.StdVec_Vec3s()
            vertices.extend(list(placed))
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
            self._vertices.append(placed)
        self.unwatched_links = tuple(links_without_hull(robot))
        self._select_pairs()
        self._data = robot.model.createData()
        self._geometry_data = pin.GeometryData(self._geometry)
        for request in self._geometry_data.collisionRequests:
            request.enable_contact = True
        self._tree = kinematics_of(robot).tree
        room = 0.0 if margin is None else distance - margin
        self.share = np.ones(len(self._geometry.collisionPairs))
        if room > 0:
            gap = self._nominal_gaps() - (distance - room)
            self.share = np.clip(_ROOM_OF_GAP * gap / room, 0.0, 1.0)
        self.reach = np.maximum(distance - room * (1.0 - self.share), 0.0)
        bodies = np.array(self._owners) - 1
        self._culling = Culling(
            bodies,
            [
                self._tree.local(np.full(len(vertices), body), vertices)
                for body, vertices in zip(bodies, self._vertices, strict=True)
            ],
            np.array(
                [(p.first, p.second) for p in self._geometry.collisionPairs], dtype=int
            ).reshape(-1, 2),
            self.reach,
        )
        self.pairs = tuple(
            (self._links[pair.first], self._links[pair.second])
            for pair in list(self._geometry.collisionPairs)
        )

    def _select_pairs(self) -> None:
        robot, model = self.robot, self.robot.model
        ignored = {frozenset(pair) for pair in robot.profile.collision_ignore}
        unwatched = []
        for a, b in combinations(range(len(self._owners)), 2):
            i, j = self._owners[a], self._owners[b]
            neighbours = i == j or model.parents[i] == j or model.parents[j] == i
            if frozenset((self._links[a], self._links[b])) in ignored:
                unwatched.append((self._links[a], self._links[b]))
            elif not neighbours:
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
            ],
            dtype=bool,
        )
        always = touching[2:].mean(0) > _ALWAYS
        close = np.array(
            [self._between(p.first, p.second) <= _SHOULDER for p in self._geometry.collisionPairs],
            dtype=bool,
        )
        drop = touching[0] | (touching[1] & close) | always
        posed = touching[0] & ~touching[1] & ~always
        names = [
            (self._links[p.first], self._links[p.second]) for p in self._geometry.collisionPairs
        ]
        self.touching_nominal = tuple(pair for pair, so in zip(names, posed, strict=True) if so)
        unwatched += [pair for pair, out in zip(names, drop, strict=True) if out]
        self.unwatched = tuple(unwatched)
        # As numbers: pinocchio's pairs are views that move when one before them is removed.
        kept = [
            (int(pair.first), int(pair.second))
            for pair, out in zip(self._geometry.collisionPairs, drop, strict=True)
            if not out
        ]
        self._geometry.removeAllCollisionPairs()
        for a, b in kept:
            self._geometry.addCollisionPair(pin.CollisionPair(a, b))

    def _between(self, first: int, second: int) -> int:
        """Number of joints' bodies between two bodies of one limb; many for others."""
        upper, lower = sorted((self._owners[first], self._owners[second]))
        parents, steps = self.robot.model.parents, 0
        while lower > upper:
            lower, steps = parents[lower], steps + 1
        return steps - 1 if lower == upper else len(parents)

    def _nominal_gaps(self) -> np.ndarray:
        """(P,) distance of the bodies of each pair in the nominal posture [m]."""
        at = self._upright(self.robot.nominal[None])[0]
        pin.updateGeometryPlacements(
            self.robot.model, self._data, self._geometry, self._geometry_data, at
        )
        count = len(self._geometry.collisionPairs)
        # The bodies carry half of the safety distance each.
        return self.distance + np.array(
            [
                pin.computeDistance(self._geometry, self._geometry_data, number).min_distance
                for number in range(count)
            ]
        )

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
        found = np.zeros(len(positions), dtype=bool)
        found[[row for row, _, _ in self._contacts(positions)]] = True
        return found

    def touches(self, positions: np.ndarray) -> list[Touch]:
        """Every pair that touches in every sample, for joint positions (N, J) [rad]."""
        return [
            Touch(row, *self.pairs[number], depth)
            for row, number, depth in self._contacts(positions)
        ]

    def close_pairs(
        self, positions: np.ndarray, known: Iterable[tuple[int, int]] = ()
    ) -> set[tuple[int, int]]:
        """(row, number in `pairs`) of everything that touches, for joint positions (N, J).

        Args:
            positions: [rad].
            known: What is not asked for, because `nearest` tells.
        """
        return set(self._suspects(positions, known)[0])

    def _contacts(self, positions: np.ndarray) -> list[tuple[int, int, float]]:
        """Row, number of the pair and depth [m] of everything that touches, in this order."""
        pairs, place = self._suspects(positions)
        found = []
        for row, number in pairs:
            # No plane parts them, so they touch. GJK, which starts from its last answer, tells
            # how deep, but has been seen to miss bodies 13 mm inside each other.
            place(row)
            if pin.computeCollision(self._geometry, self._geometry_data, number):
                contact = self._geometry_data.collisionResults[number].getContact(0)
                depth = -float(contact.penetration_depth)
            else:
                result = pin.computeDistance(self._geometry, self._geometry_data, number)
                depth = -float(result.min_distance)
            found.append((row, number, max(depth, 0.0)))
        return found

    def _suspects(
        self, positions: np.ndarray, known: Iterable[tuple[int, int]] = ()
    ) -> tuple[list[tuple[int, int]], Callable[[int], None]]:
        """Row and number of everything that touches, and what puts the bodies where a row says."""
        if not len(positions):
            return [], lambda row: None
        configurations = self._upright(positions)
        upright = np.broadcast_to(np.eye(3), (len(positions), 3, 3))
        frames = self._tree(np.zeros((len(positions), 3)), upright, positions)
        placed = -1

        def place(row: int) -> None:
            nonlocal placed
            if row != placed:
                pin.updateGeometryPlacements(
                    self.robot.model,
                    self._data,
                    self._geometry,
                    self._geometry_data,
                    configurations[row],
                )
                placed = row

        def normal(row: int, number: int) -> np.ndarray:
            place(row)
            return np.array(pin.computeDistance(self._geometry, self._geometry_data, number).normal)

        return self._culling.suspects(frames, normal, known), place

    def nearest(
        self, poses: Poses, where: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], WitnessPoints]:
        """Distance and nearest points of given pairs.

        Args:
            poses: The clip.
            where: (frame, number in `pairs`).
        """
        quaternion = Rotation.from_matrix(poses.rotation).as_quat()
        configurations = self.robot.configurations(poses.base, quaternion, poses.joints)
        found: dict[tuple[int, int], WitnessPoints] = {}
        placed = -1
        for t, number in sorted(where):
            if t != placed:
                pin.updateGeometryPlacements(
                    self.robot.model,
                    self._data,
                    self._geometry,
                    self._geometry_data,
                    configurations[t],
                )
                placed = t
            found[t, number] = self._nearest(t, number)
        return found

    def hinges(
        self,
        poses: Poses,
        where: set[tuple[int, int]],
        separation: float | np.ndarray,
        known: dict[tuple[int, int], WitnessPoints] | None = None,
    ) -> list[SeparationTerm]:
        """What a whole-clip solve should keep apart, for given pairs.

        The shortest way out of a deep collision may lead to the other side of a body, and another
        way in the next frame. So each pair leaves a body on the side where it came in.

        Args:
            poses: The clip.
            where: (frame, number in `pairs`), as `close_pairs` gives them.
            separation: Wanted distance between the bodies, one or (P,) [m].
            known: What `nearest` said of the same poses, as far as it was asked.
        """
        wanted = np.broadcast_to(separation, len(self.pairs))
        known = known or {}
        nearest = known | self.nearest(poses, where - known.keys())
        runs: dict[int, list[WitnessPoints]] = {}
        for t, number in sorted(where):
            runs.setdefault(number, []).append(nearest[t, number])
        hinges = []
        for number, nears in runs.items():
            pair = self._geometry.collisionPairs[number]
            for near in steady(nears):
                hinge = self._hinge(near, int(pair.first), int(pair.second), float(wanted[number]))
                if hinge is not None:
                    hinges.append(hinge)
        return hinges

    def _nearest(self, frame: int, number: int) -> WitnessPoints:
        """Nearest points of a pair at the placements that are set now."""
        pair = self._geometry.collisionPairs[number]
        result = pin.computeDistance(self._geometry, self._geometry_data, number)
        placements = [self._data.oMi[self._owners[body]] for body in (pair.first, pair.second)]
        return WitnessPoints(
            frame=frame,
            # The bodies carry half of the safety distance each.
            distance=float(result.min_distance) + self.distance,
            normal=placements[0].rotation.T @ np.array(result.normal),
            points=(
                placements[0].actInv(result.getNearestPoint1()),
                placements[1].actInv(result.getNearestPoint2()),
            ),
            turn=(placements[0].rotation.copy(), placements[1].rotation.copy()),
            origin=(placements[0].translation.copy(), placements[1].translation.copy()),
        )

    def _hinge(
        self, near: WitnessPoints, first: int, second: int, separation: float
    ) -> SeparationTerm | None:
        normal = near.turn[0] @ near.normal
        one, two = near.points
        distance = near.distance
        if distance < -SHALLOW:
            # Along a direction that is not the shortest, the outermost vertices count.
            one, two = (
                self._vertices[body][int((side * self._vertices[body] @ turn.T @ normal).argmax())]
                for body, turn, side in zip((first, second), near.turn, (1.0, -1.0), strict=True)
            )
        place = [
            turn @ point + origin
            for turn, point, origin in zip(near.turn, (one, two), near.origin, strict=True)
        ]
        apart = float(normal @ (place[1] - place[0]))
        if distance < -SHALLOW:
            distance = apart
        if separation - distance < -_LET_GO:
            return None
        return SeparationTerm(
            frame=near.frame,
            first=self._owners[first] - 2,
            second=self._owners[second] - 2,
            at_first=np.asarray(one),
            at_second=np.asarray(two),
            normal=normal,
            separation=apart + separation - distance,
        )

    def bodies_of(self, number: int) -> tuple[int, int]:
        """The bodies of pair `number` in the kinematics, -1 for the base."""
        pair = self._geometry.collisionPairs[number]
        return self._owners[pair.first] - 2, self._owners[pair.second] - 2


@lru_cache(maxsize=8)
def collision_model(
    robot: Robot, distance: float = 0.0, margin: float | None = None
) -> CollisionModel:
    """The collision model of a robot, built once for each safety distance."""
    return CollisionModel(robot, distance, margin)

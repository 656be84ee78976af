"""Self-collision of a robot: which pairs of bodies touch, and the terms that move them apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import coal
import numpy as np
import pinocchio as pin

from nextscale_core.robots.broad_phase import BroadPhase
from nextscale_core.robots.description import link_frame
from nextscale_core.robots.hulls import Hull, link_hulls, links_without_hull
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.separation_terms import SHALLOW, SeparationTerm, WitnessPoints, steady
from nextscale_core.rotations import quaternions

_LET_GO = 0.008
"""Distance beyond the wanted one from which a pair has no term [m]. Nearer pairs keep theirs:
without it, they would be pulled back into each other."""

_ROOM_OF_GAP = 0.4
"""Maximum share of a pair's distance in the nominal posture that its room takes. The solver wants
twice the room, and thighs 14 mm apart are seldom further apart in a walk."""

_SAMPLES = 200
"""Number of random postures that the pairs are tested in."""

_ALWAYS = 0.9
"""Share of the random postures in which a pair touches by construction."""

_SHOULDER = 2
"""Number of bodies between the chest and an upper arm, whose hulls overlap although the shells do
not."""


@dataclass(frozen=True)
class Touch:
    """Two links closer than allowed in one sample.

    Attributes:
        sample: Row of the configuration.
        first: Name of one link.
        second: Name of the other.
        depth: Penetration, safety distance included [m].
    """

    sample: int
    first: str
    second: str
    depth: float


def swept_body(robot: Robot, hull: Hull, radius: float) -> tuple[pin.GeometryObject, np.ndarray]:
    """The hull of a link as a body of its joint, and its vertices in the joint's frame.

    Args:
        robot: The robot.
        hull: Hull of one of its links.
        radius: Radius of the sphere that the hull is swept with [m].

    Returns:
        The body, named as the link, and (N, 3) vertices [m].
    """
    frame = link_frame(robot.model, hull.link)
    placed = hull.vertices @ frame.placement.rotation.T + frame.placement.translation
    vertices = coal.StdVec_Vec3s()
    vertices.extend(list(placed))
    triangles = coal.StdVec_Triangle()
    triangles.extend([coal.Triangle(*map(int, corner)) for corner in hull.triangles])
    shape = coal.Convex(vertices, triangles)
    shape.setSweptSphereRadius(radius)
    parent = int(frame.parentJoint)
    return pin.GeometryObject(hull.link, parent, pin.SE3.Identity(), shape), placed


class CollisionModel:
    """Self-collision of a robot on the convex hulls of its links.

    Links of the same or of neighbouring joints touch by construction and are not pairs. `unwatched`
    holds the other pairs that are left out: those that touch in the nominal posture or in nearly
    every random one; those of one limb with at most two bodies between them, as in a shoulder,
    that touch at the zero posture; and those that the profile names.

    Args:
        robot: The robot.
        distance: Bodies closer than this touch [m].
        margin: Part of `distance` that applies to every pair [m]; all of it when None. The rest is
            room for the solver, reduced for pairs that are close in the nominal posture.

    Attributes:
        pairs: Link names of the P pairs that are checked.
        share: (P,) share of the room that each pair has.
        reach: (P,) bodies of a pair that are closer than this touch [m].
        unwatched: Pairs of links that may touch unnoticed, except links of neighbouring joints.
        unwatched_links: Links without a collision shape, which may touch anything unnoticed.
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
            # Half of the distance around each body, so that pinocchio's broad phase includes it.
            body, placed = swept_body(robot, hull, max(distance, 0.0) / 2)
            self._geometry.addGeometryObject(body)
            self._owners.append(int(body.parentJoint))
            self._links.append(hull.link)
            self._vertices.append(placed)
        self.unwatched_links = tuple(links_without_hull(robot))
        self._data = robot.model.createData()
        self._pairs = self._select_pairs()
        self.pairs = tuple((self._links[a], self._links[b]) for a, b in self._pairs)
        self._geometry_data = pin.GeometryData(self._geometry)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for request in self._geometry_data.distanceRequests:
                # GJK would start from its last result: motions would depend on earlier ones.
                request.enable_cached_gjk_guess = False
            for request in self._geometry_data.collisionRequests:
                request.enable_contact, request.enable_cached_gjk_guess = True, False
        self._kinematics = kinematics_of(robot)
        room = 0.0 if margin is None else distance - margin
        self.share = np.ones(len(self._pairs))
        if room > 0:
            gap = self._nominal_gaps() - (distance - room)
            self.share = np.clip(_ROOM_OF_GAP * gap / room, 0.0, 1.0)
        self.reach = np.maximum(distance - room * (1.0 - self.share), 0.0)
        bodies = np.array(self._owners) - 1
        self._broad_phase = BroadPhase(
            bodies,
            [
                self._kinematics.tree.local(np.full(len(vertices), body), vertices)
                for body, vertices in zip(bodies, self._vertices, strict=True)
            ],
            np.array(self._pairs, dtype=int).reshape(-1, 2),
            self.reach,
        )

    def _select_pairs(self) -> list[tuple[int, int]]:
        """Hulls of the pairs to check; sets `unwatched` and `touching_nominal`."""
        robot, model = self.robot, self.robot.model
        ignored = {frozenset(pair) for pair in robot.profile.collision_ignore}
        unwatched, pairs = [], []
        for a, b in combinations(range(len(self._owners)), 2):
            i, j = self._owners[a], self._owners[b]
            if frozenset((self._links[a], self._links[b])) in ignored:
                unwatched.append((self._links[a], self._links[b]))
            elif not (i == j or model.parents[i] == j or model.parents[j] == i):
                pairs.append((a, b))
        for a, b in pairs:
            self._geometry.addCollisionPair(pin.CollisionPair(a, b))
        low, high = robot.position_lower, robot.position_upper
        sampled = np.random.default_rng(0).uniform(low, high, (_SAMPLES, robot.num_joints))
        postures = np.stack([robot.nominal, np.clip(0.0, low, high), *sampled])
        geometry_data = pin.GeometryData(self._geometry)
        touching = np.zeros((len(postures), len(pairs)), dtype=bool)
        for row, q in enumerate(self._upright(postures)):
            pin.computeCollisions(model, self._data, self._geometry, geometry_data, q, False)
            touching[row] = [result.isCollision() for result in geometry_data.collisionResults]
        always = touching[2:].mean(0) > _ALWAYS
        close = np.array([self._between(a, b) <= _SHOULDER for a, b in pairs], dtype=bool)
        drop = touching[0] | (touching[1] & close) | always
        posed = touching[0] & ~touching[1] & ~always
        names = [(self._links[a], self._links[b]) for a, b in pairs]
        self.touching_nominal = tuple(pair for pair, so in zip(names, posed, strict=True) if so)
        unwatched += [pair for pair, out in zip(names, drop, strict=True) if out]
        self.unwatched = tuple(unwatched)
        kept = [pair for pair, out in zip(pairs, drop, strict=True) if not out]
        self._geometry.removeAllCollisionPairs()
        for a, b in kept:
            self._geometry.addCollisionPair(pin.CollisionPair(a, b))
        return kept

    def _between(self, first: int, second: int) -> int:
        """Number of bodies between two bodies of one limb; a large number for other bodies."""
        upper, lower = sorted((self._owners[first], self._owners[second]))
        parents, steps = self.robot.model.parents, 0
        while lower > upper:
            lower, steps = parents[lower], steps + 1
        return steps - 1 if lower == upper else len(parents)

    def _nominal_gaps(self) -> np.ndarray:
        """(P,) distance of the bodies of each pair in the nominal posture [m]."""
        self._place(self._upright(self.robot.nominal[None])[0])
        return np.array([self._distance(number) for number in range(len(self._pairs))])

    def _upright(self, positions: np.ndarray) -> np.ndarray:
        """(N, nq) configurations with the base at the origin."""
        count = len(positions)
        quaternion = np.tile([0, 0, 0, 1.0], (count, 1))
        return self.robot.configurations(np.zeros((count, 3)), quaternion, positions)

    def _place(self, configuration: np.ndarray) -> None:
        pin.updateGeometryPlacements(
            self.robot.model, self._data, self._geometry, self._geometry_data, configuration
        )

    def _distance(self, number: int) -> float:
        """Distance of the bodies of a pair as placed, negative where they overlap [m]."""
        result = pin.computeDistance(self._geometry, self._geometry_data, number)
        # Each body is inflated by half of the safety distance.
        return float(result.min_distance) + self.distance

    def forget(self) -> None:
        """Forget what earlier motions left behind, which makes the search faster.

        In noise, where the search ends early, its result depends on that.
        """
        self._broad_phase.forget()

    def colliding(self, positions: np.ndarray) -> np.ndarray:
        """(N,) True where any two bodies touch, for joint positions (N, J) [rad]."""
        found = np.zeros(len(positions), dtype=bool)
        found[[touch.sample for touch in self.touches(positions)]] = True
        return found

    def touches(self, positions: np.ndarray) -> list[Touch]:
        """Every pair that touches in every sample, for joint positions (N, J) [rad]."""
        suspects, place = self._suspects(positions)
        found = []
        for row, number in suspects:
            # No plane separates them, so they touch. GJK gives the depth, but has missed bodies
            # 13 mm inside each other.
            place(row)
            if pin.computeCollision(self._geometry, self._geometry_data, number):
                contact = self._geometry_data.collisionResults[number].getContact(0)
                depth = -float(contact.penetration_depth)
            else:
                result = pin.computeDistance(self._geometry, self._geometry_data, number)
                depth = -float(result.min_distance)
            found.append(Touch(row, *self.pairs[number], max(depth, 0.0)))
        return found

    def close_pairs(
        self, positions: np.ndarray, known: Iterable[tuple[int, int]] = ()
    ) -> set[tuple[int, int]]:
        """(row, number in `pairs`) of everything that touches, for joint positions (N, J).

        Args:
            positions: [rad].
            known: (row, number) to leave out.
        """
        return set(self._suspects(positions, known)[0])

    def _suspects(
        self, positions: np.ndarray, known: Iterable[tuple[int, int]] = ()
    ) -> tuple[list[tuple[int, int]], Callable[[int], None]]:
        """(row, number) of everything that touches, and a function that places the bodies."""
        if not len(positions):
            return [], lambda row: None
        configurations = self._upright(positions)
        placed = -1

        def place(row: int) -> None:
            nonlocal placed
            if row != placed:
                self._place(configurations[row])
                placed = row

        def normal(row: int, number: int) -> np.ndarray:
            place(row)
            return np.array(pin.computeDistance(self._geometry, self._geometry_data, number).normal)

        return self._broad_phase.among(self._kinematics, positions, normal, known), place

    def nearest(
        self, poses: Poses, where: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], WitnessPoints]:
        """Distance and nearest points of (frame, number in `pairs`) in a clip."""
        order = sorted(where)
        rows = np.unique([t for t, _ in order]).astype(int)
        turns = quaternions(poses.rotation[rows])
        placed = iter(self.robot.configurations(poses.base[rows], turns, poses.joints[rows]))
        found: dict[tuple[int, int], WitnessPoints] = {}
        before = -1
        for t, number in order:
            if t != before:
                self._place(next(placed))
                before = t
            found[t, number] = self._witness_points(t, number)
        return found

    def separation_terms(
        self,
        poses: Poses,
        where: set[tuple[int, int]],
        separation: float | np.ndarray,
        known: dict[tuple[int, int], WitnessPoints] | None = None,
    ) -> list[SeparationTerm]:
        """Terms for a whole-clip solve that keep given pairs apart.

        The shortest way out of a deep collision may change sides from frame to frame. So each
        pair leaves a body on the side where it entered.

        Args:
            poses: The clip.
            where: (frame, number in `pairs`), from `close_pairs`.
            separation: Wanted distance between the bodies, one or (P,) [m].
            known: Results of `nearest` for the same poses.
        """
        wanted = np.broadcast_to(separation, len(self.pairs))
        known = known or {}
        nearest = known | self.nearest(poses, where - known.keys())
        runs: dict[int, list[WitnessPoints]] = {}
        for t, number in sorted(where):
            runs.setdefault(number, []).append(nearest[t, number])
        terms = (
            self._term(near, *self._pairs[number], float(wanted[number]))
            for number, nears in runs.items()
            for near in steady(nears)
        )
        return [term for term in terms if term is not None]

    def _witness_points(self, frame: int, number: int) -> WitnessPoints:
        """Nearest points of a pair as placed."""
        distance = self._distance(number)
        result = self._geometry_data.distanceResults[number]
        one, two = (pin.SE3(self._data.oMi[self._owners[body]]) for body in self._pairs[number])
        return WitnessPoints(
            frame,
            distance,
            np.array(result.normal),
            (np.array(result.getNearestPoint1()), np.array(result.getNearestPoint2())),
            (one, two),
        )

    def _term(
        self, near: WitnessPoints, first: int, second: int, separation: float
    ) -> SeparationTerm | None:
        (one, two), normal, distance = near.placements, near.normal, near.distance
        if distance >= -SHALLOW:
            local = [frame.actInv(at) for frame, at in zip((one, two), near.points, strict=True)]
            apart = float(normal @ (near.points[1] - near.points[0]))
        else:
            # The outermost vertices define the penetration along any other direction.
            local = [
                self._vertices[body][int((self._vertices[body] @ (direction @ turn)).argmax())]
                for body, turn, direction in (
                    (first, one.rotation, normal),
                    (second, two.rotation, -normal),
                )
            ]
            apart = distance = float(normal @ (two.act(local[1]) - one.act(local[0])))
        if separation - distance < -_LET_GO:
            return None
        return SeparationTerm(
            frame=near.frame,
            first=self._owners[first] - 2,
            second=self._owners[second] - 2,
            at_first=local[0],
            at_second=local[1],
            normal=normal,
            separation=apart + separation - distance,
        )

    def bodies_of(self, number: int) -> tuple[int, int]:
        """The bodies of pair `number` in the kinematics, -1 for the base."""
        first, second = self._pairs[number]
        return self._owners[first] - 2, self._owners[second] - 2


@lru_cache(maxsize=8)
def collision_model(
    robot: Robot, distance: float = 0.0, margin: float | None = None
) -> CollisionModel:
    """The collision model of a robot, built once for each safety distance."""
    return CollisionModel(robot, distance, margin)

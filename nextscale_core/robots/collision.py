"""Self-collision of a robot: which pairs of bodies touch, and the terms that move them apart."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
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
from nextscale_core.robots.separation_terms import SHALLOW, SeparationTerms, WitnessPoints

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
        self._kinematics = kinematics_of(robot)
        room = 0.0 if margin is None else distance - margin
        self.share = np.ones(len(self._pairs))
        if room > 0:
            gap = self._nominal_gaps() - (distance - room)
            self.share = np.clip(_ROOM_OF_GAP * gap / room, 0.0, 1.0)
        self.reach = np.maximum(distance - room * (1.0 - self.share), 0.0)
        bodies = np.array(self._owners) - 1
        self._local = [
            self._kinematics.tree.local(np.full(len(vertices), body), vertices)
            for body, vertices in zip(bodies, self._vertices, strict=True)
        ]
        self._hulls = np.array(self._pairs, dtype=int).reshape(-1, 2)
        self._bodies = bodies[self._hulls]
        self._broad_phase = BroadPhase(bodies, self._local, self._hulls, self.reach)

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

    def copy(self) -> CollisionModel:
        """The same pairs, for another thread."""
        other = copy.copy(self)
        other._data, other._geometry_data = (
            self.robot.model.createData(),
            self._geometry_data.copy(),
        )
        other._broad_phase = self._broad_phase.copy()
        return other

    def forget(self) -> None:
        """Forget what earlier motions left behind, which makes the search faster.

        In noise, where the search ends early, its result depends on that.
        """
        self._broad_phase.forget()

    def colliding(self, positions: np.ndarray) -> np.ndarray:
        """(N,) True where any two bodies touch, for joint positions (N, J) [rad]."""
        found = np.zeros(len(positions), dtype=bool)
        found[self.close_pairs(positions)[:, 0]] = True
        return found

    def touches(self, positions: np.ndarray) -> list[Touch]:
        """Every pair that touches in every sample, for joint positions (N, J) [rad]."""
        near = self.nearest(positions, self.close_pairs(positions))
        # No plane separates them, so they touch, whatever depth is found.
        depth = np.maximum(self.distance - near.distance, 0.0)
        order = np.lexsort(near.where.T[::-1])
        found = zip(near.where[order].tolist(), depth[order].tolist(), strict=True)
        return [Touch(row, *self.pairs[int(number)], deep) for (row, number), deep in found]

    def close_pairs(self, positions: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
        """(F, 2) row and number in `pairs` of everything that touches, for joint positions (N, J).

        Args:
            positions: [rad].
            known: (K, 2) to leave out.
        """
        known = np.zeros((0, 2), dtype=int) if known is None else known
        if not len(positions):
            return known[:0]
        place = self._placing(positions)

        def normal(row: int, number: int) -> np.ndarray:
            place(row)
            return np.array(pin.computeDistance(self._geometry, self._geometry_data, number).normal)

        return self._broad_phase.among(self._kinematics, positions, normal, known)

    def _placing(self, positions: np.ndarray) -> Callable[[int], None]:
        """A function that places the bodies as in a row of joint positions (N, J)."""
        placed, configurations = -1, None

        def place(row: int) -> None:
            nonlocal placed, configurations
            if configurations is None:
                configurations = self._upright(positions)
            if row != placed:
                self._place(configurations[row])
                placed = row

        return place

    def nearest(self, positions: np.ndarray, where: np.ndarray) -> WitnessPoints:
        """Distances and nearest points of some pairs of bodies.

        Args:
            positions: (T, J) joints of a clip [rad].
            where: (K, 2) frame and number in `pairs`.

        Returns:
            Those of each pair together, its frames in order.
        """
        if not len(where):
            return WitnessPoints.none()
        where = where[np.lexsort(where.T)]
        found = self._broad_phase.nearest(self._kinematics, positions, where)
        if found is None:
            count = len(where)
            parts = np.full(count, np.nan), np.empty((count, 3)), np.empty((count, 2, 3))
            found = WitnessPoints(where, *parts)
        place, turned = self._placing(positions), self._kinematics.tree.own.transpose(0, 2, 1)
        # Without compiled kernels, and where they cannot tell how deep bodies are, coal does.
        for row in np.flatnonzero(np.isnan(found.distance)):
            frame, number = where[row]
            place(int(frame))
            found.distance[row] = self._distance(int(number))
            result = self._geometry_data.distanceResults[int(number)]
            normal = np.array(result.normal)
            for n, at in enumerate((result.getNearestPoint1(), result.getNearestPoint2())):
                joint = self._owners[self._pairs[number][n]]
                own = turned[joint - 1]
                # Without half of the safety distance, with which each body is inflated.
                at = at + (n - 0.5) * self.distance * normal
                found.points[row, n] = own @ self._data.oMi[joint].actInv(at)
                if n == 0:
                    found.normal[row] = own @ (self._data.oMi[joint].rotation.T @ normal)
        return found

    def separation_terms(
        self, poses: Poses, near: WitnessPoints, separation: float | np.ndarray
    ) -> SeparationTerms:
        """Terms for a whole-clip solve that keep pairs apart.

        Args:
            poses: The clip.
            near: From `nearest`, for the same clip.
            separation: Wanted distance between the bodies, one or (P,) [m].
        """
        if not len(near):
            return SeparationTerms.none()
        near = near[np.lexsort(near.where.T)]
        rows, t = np.unique(near.where[:, 0], return_inverse=True)
        frames = self._kinematics.frames(
            Poses(poses.base[rows], poses.rotation[rows], poses.joints[rows])
        )
        hulls, body = (rows[near.where[:, 1]] for rows in (self._hulls, self._bodies))
        turned = frames.columns[body[:, 0], :, :, t]
        normal = (turned * near.steady()[..., None]).sum(1)
        points, distance = near.points.copy(), near.distance.copy()
        deep = np.flatnonzero(distance < -SHALLOW)
        # The outermost vertices define the penetration along any other direction.
        for n, sign in ((0, -1.0), (1, 1.0)) if len(deep) else ():
            axes = frames.columns[body[deep, n], :, :, t[deep]]
            along = (axes * normal[deep, None]).sum(-1)
            for hull in np.unique(hulls[deep, n]):
                of = hulls[deep, n] == hull
                outermost = (self._local[hull] @ (-sign * along[of]).T).argmax(0)
                points[deep[of], n] = self._local[hull][outermost]
            ends = (axes * points[deep, n, :, None]).sum(1) + frames.origin[
                body[deep, n], :, t[deep]
            ]
            offset = sign * (ends * normal[deep]).sum(1)
            distance[deep] = offset if n == 0 else distance[deep] + offset
        wanted = np.broadcast_to(separation, len(self.pairs))[near.where[:, 1]]
        kept = wanted - distance >= -_LET_GO
        parts = (near.where[:, 0], body, points, normal, wanted)
        return SeparationTerms(*(part[kept] for part in parts))

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

"""Independent check of the trajectories that the safety gate lets through.

It shares no code with the gate's checks: cubics are scipy's, their turning points the roots of
their derivative, and self-collision is coal's distance of every pair in every sample, without a
broad phase. Only the pairs of bodies that may touch are the gate's. It is slow and meant for tests
and benchmarks.
"""

from __future__ import annotations

from functools import lru_cache

import coal
import numpy as np
import pinocchio as pin
from scipy.interpolate import CubicHermiteSpline

from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.hulls import link_hulls
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import RobotTrajectory

_SLACK = 2e-6
"""Rounding, twice that of the gate [rad, rad/s, share of a limit]."""

_START = 1e-3 + 1e-9
"""Largest jump from the measured state [rad]."""

_TOUCH = 1e-5
"""Accuracy of distances between hulls [m]."""

_LEAVING, _CLOSER = (0.01 + _TOUCH, 0.5), 2e-5
"""Largest depth of bodies that touch in the measured state [m], time in which they part [s], and
largest approach meanwhile: the accuracy of both distances [m]."""


def audit(robot: Robot, trajectory: RobotTrajectory, start: RobotState | None = None) -> list[str]:
    """Violations of a published trajectory.

    Args:
        robot: Whose limits hold.
        trajectory: Result of the gate.
        start: The measured state that the gate was given.

    Returns:
        One line per kind of violation.
    """
    t, q, v = trajectory.time_from_start, trajectory.positions, trajectory.velocities
    if trajectory.joint_names != robot.joint_names or len(t) == 0:
        return ["names: joints or samples are missing"]
    arrays = (t, q, v, trajectory.base_position, trajectory.base_quaternion)
    if not all(np.isfinite(array).all() for array in arrays):
        return ["finite: NaN or infinity"]
    if t[0] < 0 or not (t[1:] > t[:-1]).all():
        return ["time: does not increase strictly from 0 on"]
    wrong = [*_start(robot, trajectory, start), *_posture(robot, trajectory, start)]
    if np.abs(v[-1]).max() > 1e-9:
        wrong.append(f"end: moves at {np.abs(v[-1]).max():.3g} rad/s")
    lower, upper = robot.position_lower.copy(), robot.position_upper.copy()
    if start is not None:
        # Measured outside, a joint may come back from there.
        lower, upper = np.minimum(lower, start.positions), np.maximum(upper, start.positions)
    wrong += _motion(robot, t, q, v, lower, upper)
    return wrong


def _motion(
    robot: Robot,
    t: np.ndarray,
    q: np.ndarray,
    v: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> list[str]:
    """Limits of the cubics that a joint trajectory controller draws through all samples."""
    low, high = q.min(0), q.max(0)
    speed, push = np.abs(v).max(0), np.zeros(robot.num_joints)
    if len(t) > 1:
        path = CubicHermiteSpline(t, q, v)
        rate, change = path.derivative(), path.derivative(2)
        # The second derivative of a cubic is linear, so it is largest at an end.
        h = np.diff(t)[:, None]
        ends = np.stack([change.c[1], change.c[0] * h + change.c[1]])
        push = np.abs(ends).max((0, 1))
        for j in range(robot.num_joints):
            one = CubicHermiteSpline(t, q[:, j], v[:, j])
            turns = one.derivative().roots(extrapolate=False)
            turns = turns[np.isfinite(turns)]
            if len(turns):
                low[j], high[j] = min(low[j], one(turns).min()), max(high[j], one(turns).max())
            fastest = one.derivative(2).roots(extrapolate=False)
            fastest = fastest[np.isfinite(fastest)]
            if len(fastest):
                speed[j] = max(speed[j], np.abs(one(fastest, 1)).max())
        between = rate(np.linspace(t[0], t[-1], 4 * len(t)))
        speed = np.maximum(speed, np.abs(between).max(0))
    wrong = []
    names = np.array(robot.joint_names)
    for what, excess in (
        ("position", np.maximum(lower - low, high - upper)),
        ("velocity", speed / robot.velocity_limit - 1),
        ("acceleration", push / robot.acceleration_limit - 1),
    ):
        if excess.max() > _SLACK:
            worst = int(excess.argmax())
            wrong.append(f"{what}: {names[worst]} by {excess[worst]:.3g}")
    return wrong


def _start(robot: Robot, trajectory: RobotTrajectory, start: RobotState | None) -> list[str]:
    """The way from the measured state to the first sample."""
    if start is None:
        return []
    lead = float(trajectory.time_from_start[0])
    measured = np.zeros(robot.num_joints) if start.velocities is None else start.velocities
    jump = np.abs(trajectory.positions[0] - start.positions)
    if lead == 0.0:
        # What remains has to be reached within a period of the controller.
        kick = np.abs(trajectory.velocities[0] - measured) * trajectory.fps
        late = kick > robot.acceleration_limit * (1 + _SLACK)
        return [
            *([f"start: jump of {jump.max():.3g} rad"] if jump.max() > _START else []),
            *([f"start: kick of {kick.max():.3g} rad/s^2"] if late.any() else []),
        ]
    ends = np.stack([start.positions, trajectory.positions[0]])
    slopes = np.stack([measured, trajectory.velocities[0]])
    change = CubicHermiteSpline([0.0, lead], ends, slopes).derivative(2)
    push = np.abs(np.stack([change(0.0), change(lead)])).max(0) / robot.acceleration_limit
    if push.max() > 1 + _SLACK and jump.max() > _START:
        return [f"start: {push.max():.3g} times the acceleration limit on the way to it"]
    return []


def _posture(robot: Robot, trajectory: RobotTrajectory, start: RobotState | None) -> list[str]:
    """Pairs of bodies that touch in a sample; those that touch in the measured state may part."""
    distance = nearest(robot, trajectory.positions)
    touching = distance < robot.profile.collision_margin - _TOUCH
    if start is not None:
        early = trajectory.time_from_start <= trajectory.time_from_start[0] + _LEAVING[1]
        for number in np.flatnonzero(touching[0]):
            free = np.flatnonzero(~touching[:, number])
            until = int(free[0]) if len(free) else len(touching)
            way = distance[:until, number] - robot.profile.collision_margin
            parts = way[0] > -_LEAVING[0] and (np.diff(way) > -_CLOSER).all()
            touching[:until, number] &= not (parts and early[:until].all())
    if not touching.any():
        return []
    worst = np.unravel_index(np.where(touching, distance, np.inf).argmin(), distance.shape)
    first, second = collision_model(robot, robot.profile.collision_margin).pairs[worst[1]]
    return [
        f"self-collision: {first} and {second} are {distance[worst]:.4f} m apart in sample "
        f"{worst[0]}"
    ]


def nearest(robot: Robot, positions: np.ndarray) -> np.ndarray:
    """(N, P) distance of every checked pair of bodies, negative inside each other [m].

    Args:
        robot: The robot.
        positions: (N, J) joint positions [rad].
    """
    model, geometry = robot.model, _bodies(robot)
    data, state = model.createData(), pin.GeometryData(geometry)
    base = np.zeros((len(positions), 3))
    quaternion = np.tile([0.0, 0.0, 0.0, 1.0], (len(positions), 1))
    distance = np.empty((len(positions), len(geometry.collisionPairs)))
    for n, q in enumerate(robot.configurations(base, quaternion, positions)):
        pin.computeDistances(model, data, geometry, state, q)
        distance[n] = [result.min_distance for result in state.distanceResults]
    return distance


@lru_cache(maxsize=4)
def _bodies(robot: Robot) -> pin.GeometryModel:
    """The hulls of all links and the pairs that may not touch."""
    geometry = pin.GeometryModel()
    rows = {}
    for hull in link_hulls(robot):
        frame = robot.model.frames[robot.model.getFrameId(hull.link, pin.FrameType.BODY)]
        points, triangles = coal.StdVec_Vec3s(), coal.StdVec_Triangle()
        points.extend(list(hull.vertices))
        triangles.extend([coal.Triangle(*map(int, corner)) for corner in hull.triangles])
        shape = coal.Convex(points, triangles)
        rows[hull.link] = geometry.addGeometryObject(
            pin.GeometryObject(hull.link, int(frame.parentJoint), frame.placement, shape)
        )
    for first, second in collision_model(robot, robot.profile.collision_margin).pairs:
        geometry.addCollisionPair(pin.CollisionPair(rows[first], rows[second]))
    return geometry

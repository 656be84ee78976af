"""Inverse dynamics of a trajectory: wrench that the floor must give, and what the soles can give.

A trajectory is sampled at a steady rate and smoothed, since second differences of samples and the
corners of piecewise cubics are no accelerations of a robot. Recursive Newton-Euler on the
floating-base model then gives the wrench that the floor must exert; forces at the sole corners in
contact, inside their friction cones, give as much of it as they can (non-negative least squares).
"""

from __future__ import annotations

import numpy as np
import pinocchio as pin
from scipy import ndimage
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.transform import Rotation

from nextscale_core.kernels import kernels
from nextscale_core.robots.centre_of_mass import CentreOfMass
from nextscale_core.robots.kinematics import Frames, Kinematics, Poses, kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.support_polygon import in_contact, support_polygon
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import continuous_quaternions
from nextscale_core.safety.compiled_dynamics import GRAVITY, Dynamics, compiled_dynamics
from nextscale_core.safety.config import DYNAMICS, DynamicsConfig


def dynamics_of(
    robot: Robot,
    trajectory: RobotTrajectory,
    friction: float,
    config: DynamicsConfig = DYNAMICS,
) -> Dynamics:
    """Inverse dynamics of a trajectory.

    Args:
        robot: The robot.
        trajectory: Finite, with increasing times; it stands still before and after.
        friction: Coefficient of friction of the soles on the floor.
        config: Rates, smoothing and what counts as contact.
    """
    kinematics, library = kinematics_of(robot), kernels()
    begin, fine = trajectory.time_from_start[0], config.period / config.stride
    moments = max(int((trajectory.seconds - begin) / config.period), 1) + 1
    times = begin + fine * np.arange(config.stride * (moments - 1) + 1)
    quaternions = continuous_quaternions(trajectory.base_quaternion)
    base = np.concatenate([trajectory.base_position, quaternions], axis=1)
    if library is not None:
        return compiled_dynamics(library, kinematics, trajectory, base, times, friction, config)
    centre_of_mass = CentreOfMass(kinematics)
    q, v, a = _motion(trajectory, base, times, config)
    poses = Poses(q[:, :3], Rotation.from_quat(q[:, 3:7]).as_matrix(), q[:, 7:])
    frames = kinematics.frames(poses)
    centre = centre_of_mass.position(frames)
    corners = frames.place(kinematics.body[kinematics.soles], kinematics.local[kinematics.soles])
    corners = corners.transpose(2, 0, 1)
    contact = in_contact(corners, config.period, config.contact_height, config.contact_speed)

    tau = _inverse_dynamics(robot, poses, q, v, a)
    force = (poses.rotation @ tau[:, :3, None])[..., 0]
    moment = (poses.rotation @ tau[:, 3:6, None])[..., 0] + np.cross(poses.base - centre, force)
    forces, missing = _contact_forces(
        np.concatenate([force, moment / kinematics.lengths.leg], axis=1)
        / (centre_of_mass.mass * GRAVITY),
        (corners - centre[:, None]) / kinematics.lengths.leg,
        contact,
        friction,
        config,
    )
    torque = tau[:, 6:] - _through_joints(
        kinematics, frames, corners, forces * centre_of_mass.mass * GRAVITY
    )
    if kinematics.fold is not None:
        torque = torque @ kinematics.fold
    supported = force[:, 2] > config.free_fall * centre_of_mass.mass * GRAVITY
    about = np.stack([-moment[:, 1], moment[:, 0]], axis=1) - force[:, :2] * centre[:, 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        point = centre[:, :2] + about / force[:, 2:]
    point = np.where(supported[:, None], point, np.nan)
    support = support_polygon(corners[..., :2], contact)
    return Dynamics(
        times=times[:: config.stride],
        centre=centre,
        speed=np.linalg.norm(np.gradient(centre[:, :2], config.period, axis=0), axis=1),
        zero_moment_point=point,
        lowest_sole=corners[..., 2].min(1),
        contact=contact,
        centre_depth=support.depth(centre[:, :2]),
        point_depth=support.depth(point),
        missing=missing,
        torque=torque,
    )


def _motion(
    trajectory: RobotTrajectory, base: np.ndarray, times: np.ndarray, config: DynamicsConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smoothed base and joints (N, 7 + J) with their first two derivatives.

    Args:
        trajectory: The joints.
        base: (S, 7) places and quaternions of the base.
        times: Of all steps of smoothing [s].
        config: Rates and smoothing.
    """
    fine, count = config.period / config.stride, len(times)
    inside = np.minimum(times, trajectory.seconds)
    joints = trajectory.positions
    if len(trajectory) > 1:
        knots = trajectory.time_from_start
        joints = CubicHermiteSpline(knots, joints, trajectory.velocities)(inside)
        base = np.stack([np.interp(inside, knots, track) for track in base.T], axis=1)
    else:
        joints, base = np.repeat(joints, count, axis=0), np.repeat(base, count, axis=0)
    tracks = np.concatenate([base, joints], axis=1)
    width = round(4 * config.smoothing / fine) + 1
    # Point reflection keeps the velocity at both ends.
    tracks = np.pad(tracks, ((width, width), (0, 0)), mode="reflect", reflect_type="odd")
    tracks = ndimage.gaussian_filter1d(tracks, config.smoothing / fine, axis=0)
    before, here, after = (tracks[width + n : len(tracks) - width + n] for n in (-1, 0, 1))
    q, v, a = here, (after - before) / (2 * fine), (after - 2 * here + before) / fine**2
    q, v, a = (track[:: config.stride].copy() for track in (q, v, a))
    length = np.linalg.norm(q[:, 3:7], axis=1, keepdims=True)
    for track in (q, v, a):
        track[:, 3:7] /= length
    return q, v, a


def _inverse_dynamics(
    robot: Robot, poses: Poses, q: np.ndarray, v: np.ndarray, a: np.ndarray
) -> np.ndarray:
    """(N, 6 + B) force and moment at the base, in its frame, and joint torques [N, N m].

    Args:
        robot: The robot.
        poses: Base and joints.
        q: (N, 7 + J) position, quaternion and joints.
        v: Their first derivatives.
        a: Their second derivatives.
    """
    model = robot.model
    data, fold = model.createData(), kinematics_of(robot).fold
    configurations = robot.configurations(q[:, :3], q[:, 3:7], q[:, 7:])
    turn = poses.rotation.transpose(0, 2, 1)
    # The second derivative of a unit quaternion has a part along it, which the product leaves out.
    spin, spin_rate = (2 * _vector_part(q[:, 3:7], rate[:, 3:7]) for rate in (v, a))
    linear, push = ((turn @ rate[:, :3, None])[..., 0] for rate in (v, a))
    joints = [rate[:, 7:] if fold is None else rate[:, 7:] @ fold.T for rate in (v, a)]
    velocity = np.concatenate([linear, spin, joints[0]], axis=1)
    # pinocchio's acceleration is the derivative of the velocity in the moving frame.
    push = push - np.cross(spin, linear)
    acceleration = np.concatenate([push, spin_rate, joints[1]], axis=1)
    rows = zip(configurations, velocity, acceleration, strict=True)
    return np.stack([pin.rnea(model, data, *row).copy() for row in rows])


def _vector_part(quaternion: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, 3) vector part of the conjugate of a quaternion times another one, both x y z w."""
    vector, scalar = quaternion[:, :3], quaternion[:, 3:]
    return scalar * other[:, :3] - other[:, 3:] * vector - np.cross(vector, other[:, :3])


def _contact_forces(
    wrench: np.ndarray,
    arm: np.ndarray,
    contact: np.ndarray,
    friction: float,
    config: DynamicsConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Forces (N, P, 3) at the corners that come nearest to a wrench, and what is missing (N,).

    With U the wrenches of unit forces along the edges of the friction pyramids and w the wrench,
    the amounts x >= 0 minimise |U x - w|^2 + e |x|^2, where e spreads the forces over the corners.
    They are x = max(0, U^T m) / e for the missing wrench m = w - U x, the minimum of the convex,
    piecewise quadratic function |m|^2 / 2 + |max(0, U^T m)|^2 / (2 e) - m . w, which Newton's
    method finds for all moments at once.

    Args:
        wrench: (N, 6) force and moment.
        arm: (N, P, 3) from the point of the moment to the corners.
        contact: (N, P) True for corners that bear load.
        friction: Of the pyramids that the forces stay in.
        config: e, and the number of steps.
    """
    edges = np.array([[friction, 0, 1], [-friction, 0, 1], [0, friction, 1], [0, -friction, 1]])
    (count, corners), slack = contact.shape, config.spread
    unit = np.empty((count, corners, len(edges), 6))
    unit[..., :3], unit[..., 3:] = edges, np.cross(arm[:, :, None], edges)
    unit = (unit * contact[..., None, None]).reshape(count, -1, 6)

    def value(missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        load = np.maximum((unit @ missing[..., None])[..., 0], 0.0)
        cost = (missing * (missing / 2 - wrench)).sum(1) + (load**2).sum(1) / (2 * slack)
        return cost, load

    missing = wrench.copy()
    cost, load = value(missing)
    for _ in range(config.steps):
        bearing = unit * (load > 0)[..., None]
        gradient = missing - wrench + (load[:, None] @ unit)[:, 0] / slack
        curvature = np.eye(6) + bearing.transpose(0, 2, 1) @ bearing / slack
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        share = np.ones(count)
        for _ in range(config.halvings):
            new_cost, new_load = value(missing - share[:, None] * step)
            worse = new_cost > cost
            if not worse.any():
                break
            share[worse] /= 2
        missing = missing - share[:, None] * step
        cost, load = new_cost, new_load
        if np.abs(step).max() < config.enough:
            break
    forces = (load / slack).reshape(count, corners, len(edges)) @ edges
    return forces, np.linalg.norm(missing, axis=1)


def _through_joints(
    kinematics: Kinematics, frames: Frames, corners: np.ndarray, forces: np.ndarray
) -> np.ndarray:
    """(N, B) torques that forces (N, P, 3) at the sole corners exert on the joints [N m]."""
    carried = kinematics.carried[kinematics.soles].astype(float)
    force = np.einsum("pb,npc->nbc", carried, forces)
    moment = np.einsum("pb,npc->nbc", carried, np.cross(corners, forces))
    axis, origin = (
        track.transpose(2, 0, 1) for track in (frames.columns[1:, 2], frames.origin[1:])
    )
    return np.asarray((axis * (moment - np.cross(origin, force))).sum(-1))

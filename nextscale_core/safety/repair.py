"""What the safety gate may mend: small things, and what time or a little room can mend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicHermiteSpline, CubicSpline, interp1d
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget.targets import Goals
from nextscale_core.retarget.trajectory_ik import Smoothness, TrajectorySolver
from nextscale_core.robots.collision import CollisionModel
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import MAX_SAMPLES, RobotTrajectory
from nextscale_core.rotations import continuous_quaternions
from nextscale_core.trajectory.spline_limits import slowdown
from nextscale_core.trajectory.time_scaling import Slowing

SMALL_EXCESS = 1e-3
"""Positions may be cut to their limits by so much [rad]; more is not rounding but a wrong plan."""

MAX_SLOWDOWN = 4.0
_SLOWEST = 10.0
"""A moment may be played so many times slower, as long as the whole is not four times slower."""

_ROUNDS = 8
_PARTING_ROUNDS = 8
_PARTING_DAMPING = 0.3
_FIRM, _SOFT = 50.0, 1.0
"""Weights of what should stay where it is while bodies are parted [1/m^2]."""

_BESIDE = 20
"""So many samples beside those that touch give way with them."""

_MOST_TOUCHES = 800
"""Where more pairs of bodies touch, over all samples, no small change parts them: a whole plan is
wrong, and trying would take minutes."""

_PARTING_ROOM = 0.01
"""Distance wanted between bodies that touched [m]."""

_APART = 0.002
"""Bodies that touched are parted when they are this far apart [m]: the hulls are a little smaller
than the bodies."""

_LIMIT_ROOM = 0.004
"""Parting bodies brings no joint closer to its limits than this [rad]."""


def clamped(robot: Robot, trajectory: RobotTrajectory) -> RobotTrajectory:
    """Positions cut to the limits; where a joint is cut it also stops moving outwards."""
    lower, upper = robot.position_lower, robot.position_upper
    q, v = trajectory.positions, trajectory.velocities
    # A moving joint this close to its limit would swing beyond it between two samples.
    near = (q >= upper - SMALL_EXCESS) | (q <= lower + SMALL_EXCESS)
    return replace(
        trajectory, positions=np.clip(q, lower, upper), velocities=np.where(near, 0.0, v)
    )


def stopped(trajectory: RobotTrajectory) -> RobotTrajectory:
    """The last velocity set to exactly zero."""
    velocities = trajectory.velocities.copy()
    velocities[-1] = 0.0
    return replace(trajectory, velocities=velocities)


def slowed(robot: Robot, trajectory: RobotTrajectory) -> tuple[RobotTrajectory, float] | None:
    """The same motion, played slower until it keeps the velocity and acceleration limits.

    It is slower only around the places that are too fast or, where that does not help, as a whole.

    Returns:
        The trajectory at its old rate and the factor by which it takes longer; None where it
        would have to be played more than four times slower, or would have too many samples.
    """
    with np.errstate(all="ignore"):
        # NaN comes from numbers so large that their products overflow.
        return _slowed_in_places(robot, trajectory) or _slowed_evenly(robot, trajectory)


def _slowed_in_places(
    robot: Robot, trajectory: RobotTrajectory
) -> tuple[RobotTrajectory, float] | None:
    if len(trajectory) < 4:
        return None
    times = trajectory.time_from_start - trajectory.time_from_start[0]
    rate, result = _rate(trajectory), trajectory
    seconds = float(times[-1])
    if not seconds * rate * MAX_SLOWDOWN < MAX_SAMPLES:
        return None
    path = CubicHermiteSpline(times, trajectory.positions, trajectory.velocities)
    slowing = Slowing(robot, path, seconds, 2 * (len(times) - 1), 4)
    for _ in range(_ROUNDS):
        pace = slowing.pace()
        if not (0 < pace.seconds <= MAX_SLOWDOWN * seconds and pace.slowness.max() <= _SLOWEST):
            return None
        new = np.arange(int(np.ceil(pace.seconds * rate - 1e-9)) + 1) / rate
        place, speed = pace.play(np.minimum(new, pace.seconds))
        place = np.clip(place, 0.0, seconds)
        result = _played(trajectory, path, new, place, speed)
        need = slowdown(robot, result.positions, result.velocities, result.time_from_start)
        if need.max() <= 1.0:
            return result, pace.seconds / seconds
        slowing.where(place, need)
    return None


def _slowed_evenly(
    robot: Robot, trajectory: RobotTrajectory
) -> tuple[RobotTrajectory, float] | None:
    times = trajectory.time_from_start - trajectory.time_from_start[0]
    path = CubicHermiteSpline(times, trajectory.positions, trajectory.velocities)
    rate, factor, result = _rate(trajectory), 1.0, trajectory
    for _ in range(_ROUNDS):
        need = slowdown(robot, result.positions, result.velocities, result.time_from_start)
        if need.max() <= 1.0:
            return result, factor
        factor *= max(1.02 * float(need.max()), 1.02)
        if not factor <= MAX_SLOWDOWN:
            return None
        wanted = times[-1] * factor * rate
        if not wanted < MAX_SAMPLES:
            return None
        new = np.arange(int(np.ceil(wanted - 1e-9)) + 1) / rate
        place = np.minimum(new / factor, times[-1])
        speed = np.full(len(new), 1.0 / factor)
        result = _played(trajectory, path, new, place, speed)
    return None


def _rate(trajectory: RobotTrajectory) -> float:
    """Samples per second that lose nothing of what is between the samples [Hz]."""
    return max(trajectory.fps, 1.0 / float(np.median(np.diff(trajectory.time_from_start))))


def _played(
    trajectory: RobotTrajectory,
    path: CubicHermiteSpline,
    new: np.ndarray,
    place: np.ndarray,
    speed: np.ndarray,
) -> RobotTrajectory:
    """A trajectory at other times.

    Args:
        trajectory: The one that is played.
        path: Its joints.
        new: (M,) times from 0 on [s].
        place: (M,) which of its times, from its first one, is reached then [s].
        speed: (M,) rate of change of `place`.
    """
    times = trajectory.time_from_start - trajectory.time_from_start[0]
    quaternion = continuous_quaternions(trajectory.base_quaternion)
    tracks = np.concatenate([trajectory.base_position, quaternion], axis=1)
    base = interp1d(times, tracks, axis=0)(place)
    source = trajectory.source_time
    return replace(
        trajectory,
        positions=path(place),
        velocities=path(place, 1) * speed[:, None],
        time_from_start=new + trajectory.time_from_start[0],
        base_position=base[:, :3],
        base_quaternion=base[:, 3:] / np.linalg.norm(base[:, 3:], axis=1, keepdims=True),
        source_time=None if source is None else np.interp(place, times, source),
    )


def parted(
    robot: Robot, trajectory: RobotTrajectory, collisions: CollisionModel
) -> RobotTrajectory | None:
    """The same motion with touching bodies moved apart, ends untouched.

    The samples are solved once more as a whole: every keypoint stays where it is, except that
    touching bodies keep a distance.

    Returns:
        None where bodies still touch, where too many do, or the ends of the trajectory themselves
        collide.
    """
    if len(trajectory) < 6 or collisions.colliding(trajectory.positions[[0, -1]]).any():
        return None
    kinematics = kinematics_of(robot)
    # Only what is close to a limit already may stay close to it.
    lower = np.minimum(robot.position_lower + _LIMIT_ROOM, trajectory.positions)
    upper = np.maximum(robot.position_upper - _LIMIT_ROOM, trajectory.positions)
    solver = TrajectorySolver(kinematics, lower, upper)
    rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    planned = Poses(trajectory.base_position, rotation, trajectory.positions)
    goals = _stay(kinematics, planned)
    poses = planned
    where: set[tuple[int, int]] = set()
    # Fifty samples a second: second differences are small, so their weight must be large.
    smoothness = Smoothness(base=5.0, turn=5.0, joints=5.0)
    near = np.ones(len(poses), dtype=bool)
    for _ in range(_PARTING_ROUNDS):
        rows = np.flatnonzero(near)
        nearest = collisions.nearest(poses, where)
        found = {at for at, it in nearest.items() if it.distance < collisions.distance + _APART}
        known = [(int(np.searchsorted(rows, at)), number) for at, number in where]
        touching = collisions.close_pairs(poses.joints[rows], known)
        found |= {(int(rows[row]), number) for row, number in touching}
        if not found:
            break
        where |= found
        if len(where) > _MOST_TOUCHES:
            return None
        # Samples far from those that touched stay as they are.
        near[:] = False
        near[[sample for sample, _ in where]] = True
        near = ndimage.binary_dilation(near, iterations=_BESIDE)
        wanted = collisions.distance + _PARTING_ROOM
        hinges = collisions.separation_terms(poses, where, wanted, nearest)
        try:
            poses = solver.step(
                goals,
                poses,
                smoothness,
                hinges,
                reference=planned.joints,
                relative_to=planned,
                damping=_PARTING_DAMPING,
                frames=near,
            )
        except RetargetError:
            return None
    # The change fades out towards both ends, which must stay what they were.
    change = np.where(_movers(collisions, kinematics, where), poses.joints - planned.joints, 0.0)
    fade = np.minimum(np.arange(len(change)), np.arange(len(change))[::-1]) / 10.0
    change *= np.clip(fade, 0.0, 1.0)[:, None] ** 2
    positions = planned.joints + change
    if collisions.colliding(positions).any():
        return None
    return moved(trajectory, change)


def moved(trajectory: RobotTrajectory, change: np.ndarray) -> RobotTrajectory:
    """Other positions, and the velocities that belong to them; those of the ends stay.

    Args:
        trajectory: What is changed.
        change: (N, J) added to the positions, zero at both ends [rad].
    """
    times, rest = trajectory.time_from_start, np.zeros(change.shape[1])
    extra = CubicSpline(times, change, bc_type=((1, rest), (1, rest)))
    velocities = trajectory.velocities + extra(times, 1)
    velocities[[0, -1]] = trajectory.velocities[[0, -1]]
    return replace(trajectory, positions=trajectory.positions + change, velocities=velocities)


def _movers(
    collisions: CollisionModel, kinematics: Kinematics, where: set[tuple[int, int]]
) -> np.ndarray:
    """(J,) True for the joints that move the bodies of a pair relative to each other."""
    movers = np.zeros(kinematics.robot.num_joints, dtype=bool)
    for number in {number for _, number in where}:
        first, second = (kinematics.ancestors(body) for body in collisions.bodies_of(number))
        movers |= kinematics.commanded(first ^ second)
    return movers


def _stay(kinematics: Kinematics, planned: Poses) -> Goals:
    """Goals that leave every keypoint where it is: legs and trunk firmly, arms softly."""
    firm = [name for name in kinematics.index if name.startswith(("pelvis", "torso"))]
    for side in SIDES:
        firm += [f"{side}_{part}" for part in ("knee", "ankle", "toe", "heel")]
    soft = [f"{side}_{part}" for side in SIDES for part in ("elbow", "wrist")]
    rows = np.array([kinematics.index[name] for name in [*firm, *soft]])
    goal = kinematics.points(planned)[:, rows]
    weight = np.array([_FIRM] * len(firm) + [_SOFT] * len(soft))
    return Goals(
        first=rows,
        second=np.full(len(rows), -1),
        goal=goal,
        weight=np.broadcast_to(weight, goal.shape[:2]),
    )

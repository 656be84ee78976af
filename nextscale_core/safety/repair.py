"""Repairs of the safety gate: small excesses, trajectories that are too fast, touching bodies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicHermiteSpline, CubicSpline, interp1d
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.retarget.config import Smoothness
from nextscale_core.retarget.targets import Goals
from nextscale_core.retarget.trajectory_ik import TrajectorySolver
from nextscale_core.robots.collision import CollisionModel
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.separation_terms import WitnessPoints
from nextscale_core.robots.trajectory import MAX_SAMPLES, RobotTrajectory
from nextscale_core.rotations import continuous_quaternions
from nextscale_core.safety.config import GATE, RepairConfig
from nextscale_core.trajectory.curves import evaluate
from nextscale_core.trajectory.spline_limits import slowdown
from nextscale_core.trajectory.time_scaling import (
    Pace,
    Samples,
    TimeScaling,
    UniformScaling,
    retime,
)


def clamped(
    robot: Robot, trajectory: RobotTrajectory, config: RepairConfig = GATE.repair
) -> RobotTrajectory:
    """Positions clipped to the limits; a joint at a limit stops."""
    lower, upper = robot.position_lower, robot.position_upper
    q, v = trajectory.positions, trajectory.velocities
    # A moving joint this close to its limit would swing beyond it between two samples.
    near = (q >= upper - config.max_excess) | (q <= lower + config.max_excess)
    return replace(
        trajectory, positions=np.clip(q, lower, upper), velocities=np.where(near, 0.0, v)
    )


def stopped(trajectory: RobotTrajectory) -> RobotTrajectory:
    """The last velocity set to exactly zero."""
    velocities = trajectory.velocities.copy()
    velocities[-1] = 0.0
    return replace(trajectory, velocities=velocities)


_BRAKING = 0.5
"""Share of the acceleration limits that a motion is braked with."""


def braked(robot: Robot, trajectory: RobotTrajectory) -> RobotTrajectory:
    """The same motion with samples added in which joints and base come to rest, each evenly."""
    speed, fps = trajectory.velocities[-1], trajectory.fps
    seconds = float((np.abs(speed) / (_BRAKING * robot.acceleration_limit)).max())
    count = max(int(np.ceil(seconds * fps - 1e-9)), 1)
    times = np.arange(1, count + 1) / fps
    way, left = (times - times**2 / (2 * times[-1]))[:, None], (1 - times / times[-1])[:, None]
    turns = Rotation.from_quat(trajectory.base_quaternion[-2:])
    spin = (turns[1] * turns[0].inv()).as_rotvec() * fps
    moved = np.diff(trajectory.base_position[-2:], axis=0) * fps
    base = (Rotation.from_rotvec(way * spin) * turns[1]).as_quat()
    quaternions = np.concatenate([trajectory.base_quaternion, base])
    return replace(
        trajectory,
        positions=np.concatenate([trajectory.positions, trajectory.positions[-1] + way * speed]),
        velocities=np.concatenate([trajectory.velocities, left * speed]),
        time_from_start=np.concatenate(
            [trajectory.time_from_start, trajectory.time_from_start[-1] + times]
        ),
        base_position=np.concatenate(
            [trajectory.base_position, trajectory.base_position[-1] + way * moved]
        ),
        base_quaternion=continuous_quaternions(quaternions),
        source_time=None,
    )


@np.errstate(all="ignore")  # Products of numbers near the largest float overflow to NaN.
def slowed(
    robot: Robot, trajectory: RobotTrajectory, config: RepairConfig = GATE.repair
) -> tuple[RobotTrajectory, float] | None:
    """The same motion, played slower until it keeps the velocity and acceleration limits.

    It is slower only around the places that are too fast or, where that does not help, as a whole.

    Returns:
        The trajectory at its old rate and the factor by which it takes longer; None where it
        would take too much longer, or would have too many samples.
    """
    times = trajectory.time_from_start - trajectory.time_from_start[0]
    seconds = float(times[-1])
    # The rate that loses nothing of what is between the samples.
    rate = max(trajectory.fps, 1.0 / float(np.median(np.diff(times))))
    path = CubicHermiteSpline(times, trajectory.positions, trajectory.velocities)
    quaternion = continuous_quaternions(trajectory.base_quaternion)
    base = interp1d(times, np.concatenate([trajectory.base_position, quaternion], axis=1), axis=0)

    def play(pace: Pace) -> Samples | None:
        longest = pace.seconds <= config.max_slowdown * seconds
        slow = pace.slowness.max() <= config.max_local_slowdown
        if not (pace.seconds > 0 and longest and slow and pace.seconds * rate < MAX_SAMPLES):
            return None
        new = np.arange(int(np.ceil(pace.seconds * rate - 1e-9)) + 1) / rate
        place, speed = pace.play(np.minimum(new, pace.seconds))
        place = np.clip(place, 0.0, seconds)
        positions, velocities = evaluate(path, place, 0, 1)
        velocities, tracks = velocities * speed[:, None], base(place)
        turn = tracks[:, 3:] / np.linalg.norm(tracks[:, 3:], axis=1, keepdims=True)
        new = new + trajectory.time_from_start[0]
        return Samples(new, positions, velocities, tracks[:, :3], turn, place)

    scalings: list[TimeScaling | UniformScaling] = []
    if len(times) >= 4 and seconds * rate * config.max_slowdown < MAX_SAMPLES:
        scalings.append(TimeScaling(robot, path, seconds, 2 * (len(times) - 1), 4))
    need = slowdown(robot, trajectory.positions, trajectory.velocities, times).max()
    scalings.append(UniformScaling(seconds, max(1.02 * float(need), 1.02)))
    for scaling in scalings:
        samples = retime(robot, scaling, play, rounds=config.retiming_rounds)
        if samples is None:
            continue
        source = trajectory.source_time
        result = replace(
            trajectory,
            positions=samples.positions,
            velocities=samples.velocities,
            time_from_start=samples.times,
            base_position=samples.base,
            base_quaternion=samples.quaternion,
            source_time=None if source is None else np.interp(samples.place, times, source),
        )
        return result, scaling.pace().seconds / seconds
    return None


def parted(
    robot: Robot,
    trajectory: RobotTrajectory,
    collisions: CollisionModel,
    config: RepairConfig = GATE.repair,
) -> RobotTrajectory | None:
    """The same motion with touching bodies moved apart, ends untouched.

    The samples are solved again as a whole: every keypoint stays where it is, except that
    touching bodies keep a distance.

    Returns:
        None where bodies still touch, where too many do, or the ends of the trajectory themselves
        collide.
    """
    if len(trajectory) < 6 or collisions.colliding(trajectory.positions[[0, -1]]).any():
        return None
    kinematics = kinematics_of(robot)
    # A joint that is close to a limit already may stay there.
    lower = np.minimum(robot.position_lower + config.limit_room, trajectory.positions)
    upper = np.maximum(robot.position_upper - config.limit_room, trajectory.positions)
    solver = TrajectorySolver(kinematics, lower, upper)
    planned = Poses.of(trajectory)
    goals = _stay(kinematics, planned, config)
    poses = planned
    near = WitnessPoints.none()
    # Samples are dense, so second differences are small and their weight must be large.
    smooth = config.parting_smoothness
    smoothness = Smoothness(base=smooth, turn=smooth, joints=smooth)
    solved = np.ones(len(poses), dtype=bool)
    for _ in range(config.parting_rounds):
        near = collisions.nearest(poses.joints, near.where)
        rows = np.flatnonzero(solved)
        known = np.stack([np.searchsorted(rows, near.where[:, 0]), near.where[:, 1]], axis=1)
        found = collisions.close_pairs(poses.joints[rows], known)
        apart = collisions.distance + config.parting_done
        if not len(found) and not (near.distance < apart).any():
            break
        found = np.stack([rows[found[:, 0]], found[:, 1]], axis=1)
        if len(near) + len(found) > config.parting_max_touches:
            return None
        near += collisions.nearest(poses.joints, found)
        # Samples far from those that touched stay as they are.
        solved[:] = False
        solved[near.where[:, 0]] = True
        solved = ndimage.binary_dilation(solved, iterations=config.parting_reach)
        wanted = collisions.distance + config.parting_room
        try:
            poses = solver.step(
                goals,
                poses,
                smoothness,
                collisions.separation_terms(poses, near, wanted),
                reference=planned.joints,
                relative_to=planned,
                damping=config.parting_damping,
                frames=solved,
            )
        except RetargetError:
            return None
    # The change fades out towards both ends, which must stay what they were.
    change = np.where(
        _movers(collisions, kinematics, near.where[:, 1]), poses.joints - planned.joints, 0.0
    )
    fade = np.minimum(np.arange(len(change)), np.arange(len(change))[::-1]) / 10.0
    change *= np.clip(fade, 0.0, 1.0)[:, None] ** 2
    if collisions.colliding(planned.joints + change).any():
        return None
    return _changed(trajectory, change)


def _movers(collisions: CollisionModel, kinematics: Kinematics, numbers: np.ndarray) -> np.ndarray:
    """(J,) True for the joints that move the bodies of some pairs relative to each other."""
    movers = np.zeros(kinematics.robot.num_joints, dtype=bool)
    for number in np.unique(numbers).tolist():
        first, second = (kinematics.ancestors(body) for body in collisions.bodies_of(number))
        movers |= kinematics.commanded(first ^ second)
    return movers


def _stay(kinematics: Kinematics, planned: Poses, config: RepairConfig) -> Goals:
    """Goals that leave every keypoint where it is: legs and trunk firmly, arms softly."""
    firm = [name for name in kinematics.index if name.startswith(("pelvis", "torso"))]
    for side in SIDES:
        firm += [f"{side}_{part}" for part in ("knee", "ankle", "toe", "heel")]
    soft = [f"{side}_{part}" for side in SIDES for part in ("elbow", "wrist")]
    rows = np.array([kinematics.index[name] for name in [*firm, *soft]])
    goal = kinematics.points(planned)[:, rows]
    weight = np.array([config.parting_firm] * len(firm) + [config.parting_soft] * len(soft))
    weight = np.broadcast_to(weight, goal.shape[:2])
    return Goals(first=rows, second=np.full(len(rows), -1), goal=goal, weight=weight)


def eased(
    robot: Robot,
    trajectory: RobotTrajectory,
    collisions: CollisionModel,
    config: RepairConfig = GATE.repair,
) -> tuple[RobotTrajectory, float] | None:
    """The same motion with touching arms led towards the nominal posture meanwhile.

    Each arm goes only so far as it must; legs, trunk and both ends of the trajectory stay as they
    are.

    Returns:
        The trajectory and the largest share of the way to the nominal posture; None where bodies
        still touch, some touch that no arm carries, or none do in any sample.
    """
    if len(trajectory) < 6 or collisions.colliding(trajectory.positions[[0, -1]]).any():
        return None
    kinematics = kinematics_of(robot)
    arms = _arms(kinematics)
    times, shares = trajectory.time_from_start, np.array([0.0, *config.easing_steps])
    rate = 1.0 / float(np.median(np.diff(times)))
    ends = np.minimum(times - times[0], times[-1] - times) / config.easing_fade
    ends = np.clip(ends, 0.0, 1.0)
    # For each arm and sample, the number of its step.
    steps = np.zeros((len(arms), len(trajectory)), dtype=int)
    share = np.zeros(steps.shape)
    change, rows = np.zeros_like(trajectory.positions), np.arange(len(trajectory))
    for _ in range(config.easing_rounds):
        found = collisions.close_pairs((trajectory.positions + change)[rows])
        if not len(found):
            break
        if len(found) > config.easing_max_touches:
            return None
        touching = np.zeros(steps.shape, dtype=bool)
        for row, pair in found.tolist():
            first, second = (kinematics.ancestors(body) for body in collisions.bodies_of(pair))
            movers = np.flatnonzero((arms & kinematics.commanded(first | second)).any(1))
            if not len(movers):
                return None
            touching[movers, rows[row]] = True
        steps += touching
        if steps.max() >= len(shares):
            return None
        share, before = _smooth(shares[steps], rate, config), share
        share *= ends**2 * (3.0 - 2.0 * ends)
        rows = np.flatnonzero((share != before).any(0))
        way = sum(arm * one[:, None] for arm, one in zip(arms, share, strict=True))
        change = way * (robot.nominal - trajectory.positions)
        if not len(rows):
            return None
    if not share.any() or collisions.colliding(trajectory.positions + change).any():
        return None
    return _changed(trajectory, change), float(share.max())


def _arms(kinematics: Kinematics) -> np.ndarray:
    """(2, J) True for the joints of each arm, the hand's own too."""
    wrists = kinematics.support[[kinematics.index[f"{side}_wrist"] for side in SIDES]]
    shared = wrists.all(0) | kinematics.support[kinematics.soles].any(0)
    robot = kinematics.robot
    bodies = [robot.model.getJointId(name) - 2 for name in robot.joint_names]
    chains = kinematics.commanded(np.stack([kinematics.ancestors(body) for body in bodies]))
    return np.stack([(chains & wrist & ~shared).any(1) for wrist in wrists])


def _smooth(share: np.ndarray, rate: float, config: RepairConfig) -> np.ndarray:
    """(2, N) a smooth curve that nowhere is below the shares."""
    fade = max(round(config.easing_fade * rate), 1)
    hold = round(config.easing_hold * rate)
    wide = ndimage.maximum_filter1d(share, 2 * (fade + hold) + 1, axis=1)
    window = np.hanning(2 * fade + 3)[1:-1]
    return np.asarray(ndimage.convolve1d(wide, window / window.sum(), axis=1, mode="nearest"))


def _changed(trajectory: RobotTrajectory, change: np.ndarray) -> RobotTrajectory:
    """Positions plus a change (N, J), zero at both ends [rad], and their velocities."""
    times, rest = trajectory.time_from_start, np.zeros(change.shape[1])
    extra = CubicSpline(times, change, bc_type=((1, rest), (1, rest)))
    velocities = trajectory.velocities + extra(times, 1)
    velocities[[0, -1]] = trajectory.velocities[[0, -1]]
    return replace(trajectory, positions=trajectory.positions + change, velocities=velocities)

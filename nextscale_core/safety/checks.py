"""The single checks of the safety gate; none of them changes the trajectory."""

from __future__ import annotations

import numpy as np

from nextscale_core.robots.collision import CollisionModel, Touch
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import MAX_SAMPLES, RobotTrajectory
from nextscale_core.safety.config import GATE, GateConfig
from nextscale_core.safety.report import Finding
from nextscale_core.trajectory.config import MAX_OUTSIDE
from nextscale_core.trajectory.spline_limits import (
    segment_accelerations,
    segment_extremes,
    with_places_between,
)

_PERIOD = 0.02
"""Period of a trajectory with a single sample [s]."""

_ARRAYS = ("time_from_start", "positions", "velocities", "base_position", "base_quaternion")


def check_form(robot: Robot, trajectory: RobotTrajectory) -> list[Finding]:
    """Names, number of samples, finite numbers, increasing time, unit quaternions."""
    count, times = len(trajectory), trajectory.time_from_start
    if trajectory.joint_names != robot.joint_names:
        unknown = [name for name in trajectory.joint_names if name not in robot.joint_names]
        missing = [name for name in robot.joint_names if name not in trajectory.joint_names]
        what = f"unknown {unknown}, missing {missing}" if unknown or missing else "another order"
        message = f"the joints are not those of {robot.name}: {what}"
        return [Finding("joints", message, len(trajectory.joint_names), robot.num_joints)]
    if not 1 <= count <= MAX_SAMPLES:
        message = f"{count} samples, must be 1 to {MAX_SAMPLES}"
        return [Finding("samples", message, count, MAX_SAMPLES)]
    findings = []
    for name in _ARRAYS:
        bad = ~np.isfinite(getattr(trajectory, name))
        if bad.any():
            sample = int(np.argwhere(bad)[0, 0])
            message = f"{name} holds NaN or infinity, first in sample {sample}"
            findings.append(Finding("finite", message, int(bad.sum()), 0))
    if not (np.isfinite(trajectory.fps) and trajectory.fps > 0):
        message = f"the rate is {trajectory.fps} Hz, must be positive"
        findings.append(Finding("time", message, 0.0, 0.0))
    if findings:
        return findings
    steps = np.diff(times)
    if len(steps) and not steps.min() > 0:
        sample = int(steps.argmin()) + 1
        message = (
            f"time does not increase at sample {sample}: "
            f"{times[sample]:.4f} s after {times[sample - 1]:.4f} s"
        )
        findings.append(Finding("time", message, float(steps.min()), 0.0))
    if times[0] < 0:
        first = float(times[0])
        findings.append(Finding("time", f"time begins at {first:.4f} s, before 0", first, 0.0))
    norm = np.linalg.norm(trajectory.base_quaternion, axis=1)
    if np.abs(norm - 1).max() > 1e-3:
        worst = float(norm[np.abs(norm - 1).argmax()])
        message = f"a base quaternion has norm {worst:.3f}, must be 1"
        findings.append(Finding("base", message, worst, 1.0))
    return findings


def position_excess(
    robot: Robot, trajectory: RobotTrajectory, start: RobotState | None
) -> np.ndarray:
    """(N, J) distance of samples and of the cubics after them outside the position limits [rad].

    A robot measured slightly outside its limits may come back, but go no further out.
    """
    lower, upper = robot.position_lower, robot.position_upper
    if start is not None:
        lower = np.clip(start.positions, lower - MAX_OUTSIDE, lower)
        upper = np.clip(start.positions, upper, upper + MAX_OUTSIDE)
    low, high = trajectory.positions.copy(), trajectory.positions.copy()
    if len(trajectory) > 1:
        between_low, between_high, _ = segment_extremes(
            trajectory.positions, trajectory.velocities, trajectory.time_from_start
        )
        low[:-1] = np.minimum(low[:-1], between_low)
        high[:-1] = np.maximum(high[:-1], between_high)
    return np.maximum(0.0, np.maximum(lower - low, high - upper))


def check_positions(
    robot: Robot,
    trajectory: RobotTrajectory,
    start: RobotState | None,
    config: GateConfig = GATE,
    excess: np.ndarray | None = None,
) -> list[Finding]:
    """Position limits, between the samples too; `excess` is that of `position_excess`, if known."""
    excess = position_excess(robot, trajectory, start) if excess is None else excess
    if excess.max() <= config.rounding:
        return []
    sample, joint = np.unravel_index(excess.argmax(), excess.shape)
    position = float(trajectory.positions[sample, joint])
    lower, upper = float(robot.position_lower[joint]), float(robot.position_upper[joint])
    message = (
        f"{robot.joint_names[joint]} is {excess.max():.4f} rad outside its position limits "
        f"{lower:.3f} to {upper:.3f} at {trajectory.time_from_start[sample]:.2f} s "
        f"({int((excess > 0).any(1).sum())} samples)"
    )
    return [Finding("position", message, position, upper if position > 0 else lower)]


def check_velocities(
    robot: Robot, trajectory: RobotTrajectory, config: GateConfig = GATE
) -> list[Finding]:
    """Velocity limits, at the samples, between them and in their differences."""
    speed = np.abs(trajectory.velocities)
    if len(trajectory) > 1:
        times = trajectory.time_from_start
        _, _, between = segment_extremes(trajectory.positions, trajectory.velocities, times)
        step = np.abs(np.diff(trajectory.positions, axis=0)) / np.diff(times)[:, None]
        speed[:-1] = np.maximum(speed[:-1], np.maximum(between, step))
    limit = robot.velocity_limit
    return _over(robot, trajectory, "velocity", speed, limit, "rad/s", config.rounding)


def check_accelerations(
    robot: Robot, trajectory: RobotTrajectory, config: GateConfig = GATE
) -> list[Finding]:
    """Acceleration limits, in the controller's cubics and in the differences of velocities."""
    if len(trajectory) < 2:
        return []
    times = trajectory.time_from_start
    ends = np.abs(segment_accelerations(trajectory.positions, trajectory.velocities, times))
    step = np.abs(np.diff(trajectory.velocities, axis=0)) / np.diff(times)[:, None]
    acceleration, limit = np.maximum(ends.max(1), step), robot.acceleration_limit
    return _over(robot, trajectory, "acceleration", acceleration, limit, "rad/s^2", config.rounding)


def _over(
    robot: Robot,
    trajectory: RobotTrajectory,
    check: str,
    values: np.ndarray,
    limit: np.ndarray,
    unit: str,
    rounding: float,
) -> list[Finding]:
    use = values / limit
    if use.max() <= 1 + rounding:
        return []
    sample, joint = np.unravel_index(use.argmax(), use.shape)
    value, most = float(values[sample, joint]), float(limit[joint])
    message = (
        f"{robot.joint_names[joint]} reaches {value:.2f} {unit} "
        f"at {trajectory.time_from_start[sample]:.2f} s, its limit is {most:.2f} "
        f"({int((use > 1 + rounding).any(1).sum())} samples)"
    )
    return [Finding(check, message, value, most)]


def check_start(
    robot: Robot,
    trajectory: RobotTrajectory,
    start: RobotState | None,
    config: GateConfig = GATE,
) -> list[Finding]:
    """The first sample equals the measured state, or can be reached from it in time."""
    if start is None:
        return []
    jump = np.abs(trajectory.positions[0] - start.positions)
    lead = float(trajectory.time_from_start[0])
    allowed = config.start_tolerance + lead * robot.velocity_limit / 2
    joint = int((jump - allowed).argmax())
    if jump[joint] > allowed[joint]:
        message = (
            f"{robot.joint_names[joint]} jumps {jump[joint]:.4f} rad from the measured state "
            f"to the first sample at {lead:.2f} s"
        )
        return [Finding("start", message, float(jump[joint]), float(allowed[joint]))]
    measured = np.zeros_like(jump) if start.velocities is None else start.velocities
    change = np.abs(trajectory.velocities[0] - measured)
    # The shorter of the nominal and the actual period: a low nominal rate would allow any change.
    first = float(np.diff(trajectory.time_from_start[:2]).sum()) or _PERIOD
    allowed = robot.acceleration_limit * max(lead, min(first, 1.0 / trajectory.fps))
    joint = int((change / allowed).argmax())
    if change[joint] > allowed[joint]:
        message = (
            f"{robot.joint_names[joint]} changes its velocity by {change[joint]:.2f} rad/s "
            "from the measured state to the first sample"
        )
        return [Finding("start", message, float(change[joint]), float(allowed[joint]))]
    # Acceleration of the controller's cubic to a first sample that is elsewhere and later.
    away = jump > config.start_tolerance
    if lead == 0 or not away.any():
        return []
    ends = np.stack([start.positions, trajectory.positions[0]])
    slopes = np.stack([measured, trajectory.velocities[0]])
    push = np.abs(segment_accelerations(ends, slopes, np.array([0.0, lead]))).max((0, 1))
    use = np.where(away, push / robot.acceleration_limit, 0.0)
    joint = int(use.argmax())
    if use[joint] <= 1 + config.rounding:
        return []
    message = (
        f"{robot.joint_names[joint]} needs {push[joint]:.2f} rad/s^2 to come from the measured "
        f"state to the first sample at {lead:.2f} s"
    )
    return [Finding("start", message, float(push[joint]), float(robot.acceleration_limit[joint]))]


def check_end(
    robot: Robot, trajectory: RobotTrajectory, config: GateConfig = GATE
) -> list[Finding]:
    """The last velocity is zero, as a joint trajectory controller demands."""
    last = np.abs(trajectory.velocities[-1])
    if last.max() <= config.rest_tolerance:
        return []
    joint = int(last.argmax())
    name, speed = robot.joint_names[joint], float(last[joint])
    return [Finding("end", f"{name} still moves at {speed:.4f} rad/s in the last sample", speed, 0)]


def check_collisions(
    collisions: CollisionModel,
    trajectory: RobotTrajectory,
    start: RobotState | None = None,
    config: GateConfig = GATE,
    excess: np.ndarray | None = None,
) -> tuple[list[Finding], int]:
    """Self-collision in every sample, and between samples that are far apart.

    Bodies that touch in the measured state may do so for as long as they part: hulls are larger
    than bodies, and a robot that holds still would not part them.

    Args:
        collisions: The pairs.
        trajectory: Of finite numbers.
        start: Measured state of the robot, if known.
        config: When bodies that touch in it count as parting.
        excess: `position_excess` without a state, if known.

    Returns:
        The findings, and the number of samples in which, or after which, bodies touch.
    """
    if excess is None:
        excess = position_excess(collisions.robot, trajectory, None)
    places, sample = trajectory.positions, np.arange(len(trajectory))
    # Far outside the limits, a trajectory is refused whatever it does between its samples.
    if excess.max() <= MAX_OUTSIDE:
        places, sample = with_places_between(trajectory)
    touches = collisions.touches(places)
    if start is not None:
        parting = _parting(touches, trajectory.time_from_start[sample], config)
        touches = [touch for touch in touches if touch not in parting]
    if not touches:
        return [], 0
    worst = max(touches, key=lambda touch: touch.depth)
    samples = len({int(sample[touch.sample]) for touch in touches})
    pairs = len({(touch.first, touch.second) for touch in touches})
    more = f", and {pairs - 1} more pairs" if pairs > 1 else ""
    message = (
        f"{_depth(worst)} at {trajectory.time_from_start[sample[worst.sample]]:.2f} s "
        f"({samples} samples{more})"
    )
    return [Finding("self_collision", message, worst.depth, 0.0)], samples


def _depth(touch: Touch) -> str:
    return f"{touch.first} and {touch.second} are {touch.depth * 1000:.0f} mm inside each other"


def _parting(touches: list[Touch], times: np.ndarray, config: GateConfig) -> set[Touch]:
    """Touches of bodies that touch from the first of the places (P,) on and only ever part."""
    by_pair: dict[tuple[str, str], dict[int, Touch]] = {}
    for touch in touches:
        by_pair.setdefault((touch.first, touch.second), {})[touch.sample] = touch
    allowed: set[Touch] = set()
    for places in by_pair.values():
        depth = config.leaving_depth
        for place in range(len(times)):
            here = places.get(place)
            late = times[place] - times[0] > config.leaving_time
            if here is None or late or here.depth > depth + config.leaving_rounding:
                break
            allowed.add(here)
            depth = here.depth
    return allowed


def note_leaving(
    collisions: CollisionModel, trajectory: RobotTrajectory, start: RobotState | None
) -> list[Finding]:
    """A note on bodies that touch in the measured state."""
    touches = [] if start is None else collisions.touches(trajectory.positions[:1])
    if not touches:
        return []
    worst = max(touches, key=lambda touch: touch.depth)
    message = f"in the measured state {_depth(worst)}; they part"
    return [Finding("self_collision", message, worst.depth, 0.0, "note")]


def note_floor(
    robot: Robot, trajectory: RobotTrajectory, config: GateConfig = GATE
) -> tuple[list[Finding], float]:
    """Notes on soles below the floor and odd heights of the pelvis, and the deepest sole [m].

    Only notes: the base is a prediction that no joint controller executes.
    """
    kinematics, notes = kinematics_of(robot), []
    poses = Poses.of(trajectory)
    lowest = kinematics.lowest_sole(poses)
    depth = max(0.0, -float(lowest.min()))
    if depth > config.sole_depth:
        at = trajectory.time_from_start[int(lowest.argmin())]
        message = f"a sole is {depth * 1000:.0f} mm below the floor at {at:.2f} s"
        notes.append(Finding("floor", message, depth, config.sole_depth, "note"))
    height = kinematics.pelvis(poses)[:, 2] / kinematics.lengths.leg
    low, high = config.min_pelvis_height, config.max_pelvis_height
    if height.min() < low or height.max() > high:
        odd = float(height.min() if height.min() < low else height.max()) * kinematics.lengths.leg
        message = f"the pelvis is {odd:.2f} m above the floor"
        notes.append(Finding("base", message, odd, high, "note"))
    return notes, depth

"""The single checks of the safety gate. Each looks at one thing and changes nothing."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.robots.collision import CollisionModel, Touch
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import MAX_SAMPLES, RobotTrajectory
from nextscale_core.safety.report import Finding
from nextscale_core.trajectory.blend_in import FURTHEST_OUTSIDE
from nextscale_core.trajectory.densify import with_places_between
from nextscale_core.trajectory.spline_limits import segment_accelerations, segment_extremes

ROUNDING = 1e-6
"""Violations smaller than this are rounding, not violations (rad, rad/s, share of a limit)."""

START_TOLERANCE = 1e-3
"""The first sample may be so far from the measured state [rad]."""

_PERIOD = 0.02
"""Period of a trajectory with a single sample [s]."""

REST_TOLERANCE = 1e-9
"""Last velocities up to this count as zero [rad/s]."""

LEAVING_DEPTH, LEAVING_TIME = 0.01, 0.5
"""Bodies that are measured to touch, but not deeper than this [m], may take so long to part [s]."""

_NOT_DEEPER = 1e-5
"""Bodies that come closer by less than this are not said to [m]."""

DEEP = 0.03
"""Soles further below the floor than this are worth a note [m]."""

_BASE_HEIGHT = (0.05, 2.5)
"""Heights of the root link outside of this, as shares of the leg's length, are worth a note."""


def check_form(robot: Robot, trajectory: RobotTrajectory) -> list[Finding]:
    """Names, number of samples, finite numbers, increasing time, unit quaternions."""
    if trajectory.joint_names != robot.joint_names:
        unknown = [name for name in trajectory.joint_names if name not in robot.joint_names]
        missing = [name for name in robot.joint_names if name not in trajectory.joint_names]
        what = f"unknown {unknown}, missing {missing}" if unknown or missing else "another order"
        return [
            Finding(
                "joints",
                f"the joints are not those of {robot.name}: {what}",
                len(trajectory.joint_names),
                robot.num_joints,
            )
        ]
    if not 1 <= len(trajectory) <= MAX_SAMPLES:
        return [
            Finding(
                "samples",
                f"{len(trajectory)} samples, must be 1 to {MAX_SAMPLES}",
                len(trajectory),
                MAX_SAMPLES,
            )
        ]
    findings = []
    for name in ("time_from_start", "positions", "velocities", "base_position", "base_quaternion"):
        bad = ~np.isfinite(getattr(trajectory, name))
        if bad.any():
            sample = int(np.argwhere(bad)[0, 0])
            findings.append(
                Finding(
                    "finite",
                    f"{name} holds NaN or infinity, first in sample {sample}",
                    int(bad.sum()),
                    0,
                )
            )
    if not (np.isfinite(trajectory.fps) and trajectory.fps > 0):
        findings.append(
            Finding("time", f"the rate is {trajectory.fps} Hz, must be positive", 0.0, 0.0)
        )
    if findings:
        return findings
    steps = np.diff(trajectory.time_from_start)
    if len(steps) and not steps.min() > 0:
        sample = int(steps.argmin()) + 1
        findings.append(
            Finding(
                "time",
                f"time does not increase at sample {sample}: "
                f"{trajectory.time_from_start[sample]:.4f} s after "
                f"{trajectory.time_from_start[sample - 1]:.4f} s",
                float(steps.min()),
                0.0,
            )
        )
    if trajectory.time_from_start[0] < 0:
        first = float(trajectory.time_from_start[0])
        findings.append(Finding("time", f"time begins at {first:.4f} s, before 0", first, 0.0))
    norm = np.linalg.norm(trajectory.base_quaternion, axis=1)
    if np.abs(norm - 1).max() > 1e-3:
        worst = float(norm[np.abs(norm - 1).argmax()])
        findings.append(
            Finding("base", f"a base quaternion has norm {worst:.3f}, must be 1", worst, 1.0)
        )
    return findings


def position_excess(
    robot: Robot, trajectory: RobotTrajectory, start: RobotState | None
) -> np.ndarray:
    """(N, J) how far samples and the cubics after them lie outside the position limits [rad].

    A robot measured slightly outside its limits may come back, but go no further out.
    """
    lower, upper = robot.position_lower, robot.position_upper
    if start is not None:
        lower = np.clip(start.positions, lower - FURTHEST_OUTSIDE, lower)
        upper = np.clip(start.positions, upper, upper + FURTHEST_OUTSIDE)
    low, high = trajectory.positions.copy(), trajectory.positions.copy()
    if len(trajectory) > 1:
        between_low, between_high, _ = segment_extremes(
            trajectory.positions, trajectory.velocities, trajectory.time_from_start
        )
        low[:-1] = np.minimum(low[:-1], between_low)
        high[:-1] = np.maximum(high[:-1], between_high)
    return np.maximum(0.0, np.maximum(lower - low, high - upper))


def check_positions(
    robot: Robot, trajectory: RobotTrajectory, start: RobotState | None
) -> list[Finding]:
    """Position limits, between the samples too."""
    excess = position_excess(robot, trajectory, start)
    if excess.max() <= ROUNDING:
        return []
    sample, joint = np.unravel_index(excess.argmax(), excess.shape)
    position = float(trajectory.positions[sample, joint])
    return [
        Finding(
            "position",
            f"{robot.joint_names[joint]} is {excess.max():.4f} rad outside its position limits "
            f"{robot.position_lower[joint]:.3f} to {robot.position_upper[joint]:.3f} "
            f"at {trajectory.time_from_start[sample]:.2f} s ({int((excess > 0).any(1).sum())} "
            "samples)",
            position,
            float(robot.position_upper[joint] if position > 0 else robot.position_lower[joint]),
        )
    ]


def check_velocities(robot: Robot, trajectory: RobotTrajectory) -> list[Finding]:
    """Velocity limits, at the samples, between them and in their differences."""
    speed = np.abs(trajectory.velocities)
    if len(trajectory) > 1:
        times = trajectory.time_from_start
        _, _, between = segment_extremes(trajectory.positions, trajectory.velocities, times)
        step = np.abs(np.diff(trajectory.positions, axis=0)) / np.diff(times)[:, None]
        speed[:-1] = np.maximum(speed[:-1], np.maximum(between, step))
    return _over(robot, trajectory, "velocity", speed, robot.velocity_limit, "rad/s")


def check_accelerations(robot: Robot, trajectory: RobotTrajectory) -> list[Finding]:
    """Acceleration limits, in the controller's cubics and in the differences of velocities."""
    if len(trajectory) < 2:
        return []
    times = trajectory.time_from_start
    ends = np.abs(segment_accelerations(trajectory.positions, trajectory.velocities, times))
    step = np.abs(np.diff(trajectory.velocities, axis=0)) / np.diff(times)[:, None]
    acceleration = np.maximum(ends.max(1), step)
    limit = robot.acceleration_limit
    return _over(robot, trajectory, "acceleration", acceleration, limit, "rad/s^2")


def _over(
    robot: Robot,
    trajectory: RobotTrajectory,
    check: str,
    values: np.ndarray,
    limit: np.ndarray,
    unit: str,
) -> list[Finding]:
    use = values / limit
    if use.max() <= 1 + ROUNDING:
        return []
    sample, joint = np.unravel_index(use.argmax(), use.shape)
    return [
        Finding(
            check,
            f"{robot.joint_names[joint]} reaches {values[sample, joint]:.2f} {unit} "
            f"at {trajectory.time_from_start[sample]:.2f} s, its limit is {limit[joint]:.2f} "
            f"({int((use > 1 + ROUNDING).any(1).sum())} samples)",
            float(values[sample, joint]),
            float(limit[joint]),
        )
    ]


def check_start(
    robot: Robot, trajectory: RobotTrajectory, start: RobotState | None
) -> list[Finding]:
    """The first sample equals the measured state, or can be reached from it in time."""
    if start is None:
        return []
    jump = np.abs(trajectory.positions[0] - start.positions)
    lead = float(trajectory.time_from_start[0])
    allowed = START_TOLERANCE + lead * robot.velocity_limit / 2
    joint = int((jump - allowed).argmax())
    if jump[joint] > allowed[joint]:
        return [
            Finding(
                "start",
                f"{robot.joint_names[joint]} jumps {jump[joint]:.4f} rad from the measured state "
                f"to the first sample at {lead:.2f} s",
                float(jump[joint]),
                float(allowed[joint]),
            )
        ]
    measured = np.zeros_like(jump) if start.velocities is None else start.velocities
    change = np.abs(trajectory.velocities[0] - measured)
    # What the rate says is not trusted: a low one would allow any change.
    first = float(np.diff(trajectory.time_from_start[:2]).sum()) or _PERIOD
    allowed = robot.acceleration_limit * max(lead, min(first, 1.0 / trajectory.fps))
    joint = int((change / allowed).argmax())
    if change[joint] > allowed[joint]:
        return [
            Finding(
                "start",
                f"{robot.joint_names[joint]} changes its velocity by {change[joint]:.2f} rad/s "
                "from the measured state to the first sample",
                float(change[joint]),
                float(allowed[joint]),
            )
        ]
    return _check_lead(robot, trajectory, start.positions, measured)


def _check_lead(
    robot: Robot, trajectory: RobotTrajectory, positions: np.ndarray, velocities: np.ndarray
) -> list[Finding]:
    """Acceleration of the controller's cubic to a first sample that is elsewhere and later."""
    lead = float(trajectory.time_from_start[0])
    away = np.abs(trajectory.positions[0] - positions) > START_TOLERANCE
    if lead == 0 or not away.any():
        return []
    ends = np.stack([positions, trajectory.positions[0]])
    slopes = np.stack([velocities, trajectory.velocities[0]])
    push = np.abs(segment_accelerations(ends, slopes, np.array([0.0, lead]))).max((0, 1))
    use = np.where(away, push / robot.acceleration_limit, 0.0)
    joint = int(use.argmax())
    if use[joint] <= 1 + ROUNDING:
        return []
    return [
        Finding(
            "start",
            f"{robot.joint_names[joint]} needs {push[joint]:.2f} rad/s^2 to come from the measured "
            f"state to the first sample at {lead:.2f} s",
            float(push[joint]),
            float(robot.acceleration_limit[joint]),
        )
    ]


def check_end(robot: Robot, trajectory: RobotTrajectory) -> list[Finding]:
    """The last velocity is zero, as a joint trajectory controller demands."""
    last = np.abs(trajectory.velocities[-1])
    if last.max() <= REST_TOLERANCE:
        return []
    joint = int(last.argmax())
    return [
        Finding(
            "end",
            f"{robot.joint_names[joint]} still moves at {last[joint]:.4f} rad/s in the last sample",
            float(last[joint]),
            0.0,
        )
    ]


def check_collisions(
    collisions: CollisionModel, trajectory: RobotTrajectory, start: RobotState | None = None
) -> tuple[list[Finding], int]:
    """Self-collision in every sample, and between those that are far apart.

    Bodies that touch in the measured state already may do so for as long as they part: hulls are
    larger than bodies, and holding still would not part them.

    Also the number of samples in which, or after which, bodies touch.
    """
    places, sample = trajectory.positions, np.arange(len(trajectory))
    # Far outside the limits, a trajectory is refused whatever it does between its samples.
    if position_excess(collisions.robot, trajectory, None).max() <= FURTHEST_OUTSIDE:
        places, sample = with_places_between(trajectory)
    touches = collisions.touches(places)
    if start is not None:
        parting = _parting(touches, trajectory.time_from_start[sample])
        touches = [touch for touch in touches if touch not in parting]
    if not touches:
        return [], 0
    worst = max(touches, key=lambda touch: touch.depth)
    samples = len({int(sample[touch.sample]) for touch in touches})
    at = trajectory.time_from_start[sample[worst.sample]]
    pairs = len({(touch.first, touch.second) for touch in touches})
    more = f", and {pairs - 1} more pairs" if pairs > 1 else ""
    return [
        Finding(
            "self_collision",
            f"{worst.first} and {worst.second} are {worst.depth * 1000:.0f} mm inside each other "
            f"at {at:.2f} s ({samples} samples{more})",
            worst.depth,
            0.0,
        )
    ], samples


def _parting(touches: list[Touch], times: np.ndarray) -> set[Touch]:
    """Touches of bodies that touch from the first place on and only ever part.

    Args:
        touches: Touches by place.
        times: (P,) time of each place [s].
    """
    by_pair: dict[tuple[str, str], dict[int, Touch]] = {}
    for touch in touches:
        by_pair.setdefault((touch.first, touch.second), {})[touch.sample] = touch
    allowed: set[Touch] = set()
    for places in by_pair.values():
        depth = LEAVING_DEPTH
        for place in range(len(times)):
            here = places.get(place)
            late = times[place] - times[0] > LEAVING_TIME
            if here is None or late or here.depth > depth + _NOT_DEEPER:
                break
            allowed.add(here)
            depth = here.depth
    return allowed


def note_leaving(
    collisions: CollisionModel, trajectory: RobotTrajectory, start: RobotState | None
) -> list[Finding]:
    """A note on bodies that touch in the measured state."""
    if start is None:
        return []
    touches = collisions.touches(trajectory.positions[:1])
    if not touches:
        return []
    worst = max(touches, key=lambda touch: touch.depth)
    return [
        Finding(
            "self_collision",
            f"in the measured state {worst.first} and {worst.second} are "
            f"{worst.depth * 1000:.0f} mm inside each other; they part",
            worst.depth,
            0.0,
            "note",
        )
    ]


def note_floor(robot: Robot, trajectory: RobotTrajectory) -> tuple[list[Finding], float]:
    """Notes on soles below the floor and odd base heights, and the deepest sole [m].

    Only notes: the base is a prediction that no joint controller executes.
    """
    kinematics = kinematics_of(robot)
    rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    lowest = kinematics.lowest_sole(Poses(trajectory.base_position, rotation, trajectory.positions))
    depth = max(0.0, -float(lowest.min()))
    notes = []
    if depth > DEEP:
        at = trajectory.time_from_start[int(lowest.argmin())]
        notes.append(
            Finding(
                "floor",
                f"a sole is {depth * 1000:.0f} mm below the floor at {at:.2f} s",
                depth,
                DEEP,
                "note",
            )
        )
    height = trajectory.base_position[:, 2] / kinematics.lengths.leg
    low, high = _BASE_HEIGHT
    if height.min() < low or height.max() > high:
        odd = float(height.min() if height.min() < low else height.max()) * kinematics.lengths.leg
        notes.append(
            Finding("base", f"the root link is {odd:.2f} m above the floor", odd, high, "note")
        )
    return notes, depth

"""`Feasibility`: whether the feet can give the forces that a trajectory needs; rejects nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.profile import FeasibilityLimits
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety.config import DYNAMICS, DynamicsConfig
from nextscale_core.safety.dynamics import Dynamics, dynamics_of

Verdict = Literal["balanced", "needs a tracker", "flight"]

LONGEST = 600.0
"""Longest trajectory whose dynamics are computed [s]."""


@dataclass(frozen=True)
class Feasibility:
    """Dynamics of a trajectory on a level floor, from the robot's own masses.

    Attributes:
        verdict: 'balanced': the feet can give nearly all that the motion needs; 'needs a
            tracker': a controller has to deviate from the motion to stay upright; 'flight': no
            sole is near the floor for a while.
        missing_wrench: Part of the contact wrench that the feet cannot give, mean over the
            trajectory, as share of the body weight.
        missing_wrench_peak: Its largest value.
        zmp_outside: Share of the time in which the zero-moment point is outside of the soles in
            contact.
        centre_depth: Least distance of the centre of mass to the edge of the soles in contact
            while the robot is slow and at both ends [m]; negative outside, None where no sole is
            in contact then.
        torque_use: Largest share of a joint's effort limit.
        torque_joint: That joint; empty where no joint has an effort limit.
        flight_seconds: Time without a sole near the floor [s].
        stands_first: Whether the trajectory begins standing: on the soles, the pelvis near its
            standing height, the centre of mass over the soles.
        stands_last: Whether it ends standing.
    """

    verdict: Verdict
    missing_wrench: float
    missing_wrench_peak: float
    zmp_outside: float
    centre_depth: float | None
    torque_use: float
    torque_joint: str
    flight_seconds: float
    stands_first: bool
    stands_last: bool

    def line(self) -> str:
        """Verdict and figures in one line."""
        centre = "unknown"
        if self.centre_depth is not None:
            where = "inside" if self.centre_depth >= 0 else "outside of"
            centre = f"{100 * abs(self.centre_depth):.1f} cm {where} the soles"
        parts = [
            f"the feet lack {self.missing_wrench:.1%} of the body weight (at most "
            f"{self.missing_wrench_peak:.0%})",
            f"zero-moment point outside {self.zmp_outside:.0%} of the time",
            f"centre of mass while slow {centre}",
        ]
        if self.torque_joint:
            parts.append(f"{self.torque_joint} at {self.torque_use:.0%} of its effort limit")
        if self.flight_seconds:
            parts.append(f"{self.flight_seconds:.2f} s without a sole near the floor")
        ends = ((self.stands_first, "begins"), (self.stands_last, "ends"))
        parts += [f"{end} without standing" for stands, end in ends if not stands]
        return f"{self.verdict}: {', '.join(parts)}"


def feasibility_of(
    robot: Robot, trajectory: RobotTrajectory, config: DynamicsConfig = DYNAMICS
) -> Feasibility:
    """Judge the dynamics of a trajectory.

    Args:
        robot: The robot; its profile has the thresholds.
        trajectory: Finite, with increasing times.
        config: Tuned numbers.
    """
    limits = robot.profile.feasibility
    dynamics = dynamics_of(robot, trajectory, limits.friction, config)
    centre, zmp = dynamics.centre_depth, dynamics.point_depth
    at_rest = _slow(dynamics, limits, config)
    depths = centre[at_rest & np.isfinite(centre)]
    effort, names = robot.effort_limit, robot.joint_names
    use = np.abs(dynamics.torque).max(0) / effort
    joint = int(use.argmax())
    flight = _longest(dynamics.lowest_sole > config.near_floor) * config.period
    stands = np.nan_to_num(centre, nan=-np.inf) >= limits.centre_depth
    stands[[0, -1]] &= _high_at_ends(robot, trajectory, config)
    first, last = bool(stands[0]), bool(stands[-1])
    missing, depth = float(dynamics.missing.mean()), float(depths.min()) if len(depths) else None
    verdict: Verdict = "needs a tracker"
    if flight > limits.flight_seconds:
        verdict = "flight"
    elif (
        missing <= limits.missing_wrench
        and first
        and last
        and (depth is None or depth >= limits.centre_depth)
        and use[joint] <= limits.torque_use
    ):
        verdict = "balanced"
    return Feasibility(
        verdict=verdict,
        missing_wrench=missing,
        missing_wrench_peak=float(dynamics.missing.max()),
        zmp_outside=float((zmp < 0).mean()),
        centre_depth=depth,
        torque_use=float(use[joint]),
        torque_joint=names[joint] if np.isfinite(effort[joint]) else "",
        flight_seconds=flight,
        stands_first=first,
        stands_last=last,
    )


def _high_at_ends(robot: Robot, trajectory: RobotTrajectory, config: DynamicsConfig) -> np.ndarray:
    """(2,) True where the pelvis is near its standing height, at the first and the last sample."""
    kinematics, ends = kinematics_of(robot), [0, -1]
    rotation = Rotation.from_quat(trajectory.base_quaternion[ends]).as_matrix()
    poses = Poses(trajectory.base_position[ends], rotation, trajectory.positions[ends])
    lowest = config.min_height * kinematics.standing_height(robot.nominal)
    return np.asarray(kinematics.pelvis(poses)[:, 2] > lowest)


def _slow(dynamics: Dynamics, limits: FeasibilityLimits, config: DynamicsConfig) -> np.ndarray:
    """(N,) True at both ends, and where the centre of mass is slow for a while."""
    reach = round(config.slow_window / config.period)
    fastest = ndimage.maximum_filter1d(dynamics.speed, 2 * reach + 1, mode="nearest")
    slow = fastest < limits.slow_speed
    slow[[0, -1]] = True
    return np.asarray(slow)


def _longest(flags: np.ndarray) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))

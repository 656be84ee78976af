"""`SafetyGate`: checks every trajectory before it is published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nextscale_core.blas_lock import single_threaded
from nextscale_core.exceptions import RobotError
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety import checks, repair
from nextscale_core.safety.config import GATE, GateConfig
from nextscale_core.safety.feasibility import LONGEST, Feasibility, feasibility_of
from nextscale_core.safety.report import Finding, GateResult, SafetyReport
from nextscale_core.trajectory.spline_limits import limit_use, slowdown

_Use = tuple[np.ndarray, np.ndarray]
"""Velocities and accelerations over their limits."""


class SafetyGate:
    """Checks every sample of a trajectory, repairs small violations, rejects the rest.

    Checked: finite numbers, joint names, increasing time, position, velocity and acceleration
    limits (also in the cubics that a joint trajectory controller draws between samples), the jump
    from the measured state, rest at the end, self-collision. Reported only: soles below the floor
    and odd heights of the base, which no joint controller executes.

    Threads may share a gate; they wait for each other.

    Args:
        robot: The robot whose limits hold.
        config: Tolerances, and limits of the repairs.
    """

    def __init__(self, robot: Robot, config: GateConfig = GATE):
        self.robot, self.config = robot, config
        self._collisions = collision_model(robot, robot.profile.collision_margin)

    def review(self, trajectory: RobotTrajectory, *, start: RobotState | None = None) -> GateResult:
        """Check a trajectory.

        Args:
            trajectory: What is about to be executed.
            start: Measured state of the robot, if known.

        Returns:
            The trajectory that may be executed, repaired where necessary, or None; and the report.

        Raises:
            RobotError: the measured state has another number of joints than the robot.
        """
        if start is not None and start.positions.shape != (self.robot.num_joints,):
            raise RobotError(
                f"the measured state has {len(start.positions)} joints, "
                f"{self.robot.name} has {self.robot.num_joints}"
            )
        with single_threaded():
            return self._review(trajectory, start)

    def forget(self) -> None:
        """Forget what earlier trajectories left behind: the next review depends on its own."""
        self._collisions.forget()

    def _review(self, trajectory: RobotTrajectory, start: RobotState | None) -> GateResult:
        wrong = checks.check_form(self.robot, trajectory)
        if wrong:
            joints, samples = len(trajectory.joint_names), len(trajectory)
            report = SafetyReport("rejected", tuple(wrong), joints=joints, samples=samples)
            return GateResult(None, report)
        repaired: list[Finding] = []
        wrong, touching, use = self._judge(trajectory, start)
        for _ in range(self.config.repair_rounds):
            if not wrong or self._beyond_repair(trajectory, start, wrong):
                break
            before = trajectory
            trajectory = self._repair_collisions(trajectory, start, repaired)
            trajectory = self._repair_rounding(trajectory, start, repaired)
            trajectory = self._repair_speed(trajectory, repaired)
            trajectory = self._repair_rounding(trajectory, start, repaired)
            if trajectory is before:
                break
            # A repaired trajectory is checked as if it had come from outside.
            wrong, touching, use = self._judge(trajectory, start)
        notes, depth = checks.note_floor(self.robot, trajectory, self.config)
        if not wrong:
            notes += checks.note_leaving(self._collisions, trajectory, start)
        report = self._report(trajectory, start, [*wrong, *repaired, *notes], use, touching, depth)
        return GateResult(None if wrong else trajectory, report)

    def _beyond_repair(
        self, trajectory: RobotTrajectory, start: RobotState | None, wrong: list[Finding]
    ) -> bool:
        """Whether some violation cannot be repaired: then no repair is tried, which takes long."""
        if any(finding.check == "start" for finding in wrong):
            return True
        limits = self.config.repair
        excess = checks.position_excess(self.robot, trajectory, start).max()
        last = np.abs(trajectory.velocities[-1]).max() / limits.max_slowdown
        if not (excess <= limits.max_excess and last <= limits.max_end_speed):
            return True
        motion = (trajectory.positions, trajectory.velocities, trajectory.time_from_start)
        return len(trajectory) > 1 and not (
            slowdown(self.robot, *motion).max() <= limits.max_slowdown
        )

    def _judge(
        self, trajectory: RobotTrajectory, start: RobotState | None
    ) -> tuple[list[Finding], int, _Use]:
        """All violations, the number of samples in which bodies touch, and the use of limits."""
        robot, config, use = self.robot, self.config, self._use(trajectory)
        excess = checks.position_excess(robot, trajectory, None)
        collisions, touching = checks.check_collisions(
            self._collisions, trajectory, start, config, excess
        )
        known = excess if start is None else None
        wrong = [
            *checks.check_positions(robot, trajectory, start, config, known),
            *self._too_fast(trajectory, use),
            *checks.check_start(robot, trajectory, start, config),
            *checks.check_end(robot, trajectory, config),
            *collisions,
        ]
        return wrong, touching, use

    def _collisions_of(
        self, trajectory: RobotTrajectory, start: RobotState | None
    ) -> tuple[list[Finding], int]:
        return checks.check_collisions(self._collisions, trajectory, start, self.config)

    def _too_fast(self, trajectory: RobotTrajectory, use: _Use) -> list[Finding]:
        # The mean of a segment is within its extremes, so these cover the checks below.
        if len(trajectory) > 1 and max(part.max() for part in use) <= 1.0:
            return []
        return [
            *checks.check_velocities(self.robot, trajectory, self.config),
            *checks.check_accelerations(self.robot, trajectory, self.config),
        ]

    def _repair_rounding(
        self, trajectory: RobotTrajectory, start: RobotState | None, repaired: list[Finding]
    ) -> RobotTrajectory:
        robot, config, limits = self.robot, self.config, self.config.repair
        excess = checks.position_excess(robot, trajectory, start).max()
        if config.rounding < excess <= limits.max_excess:
            found = checks.check_positions(robot, trajectory, start, config)
            trajectory = repair.clamped(robot, trajectory, limits)
            repaired += _repaired(found, "positions cut to their limits")
        last = float(np.abs(trajectory.velocities[-1]).max())
        if config.rest_tolerance < last <= limits.max_end_speed:
            found = checks.check_end(robot, trajectory, config)
            trajectory = repair.stopped(trajectory)
            repaired += _repaired(found, "last velocity set to zero")
        return trajectory

    def _repair_collisions(
        self, trajectory: RobotTrajectory, start: RobotState | None, repaired: list[Finding]
    ) -> RobotTrajectory:
        found, _ = self._collisions_of(trajectory, start)
        if not found:
            return trajectory
        limits = self.config.repair
        parted = repair.parted(self.robot, trajectory, self._collisions, limits)
        if parted is not None:
            repaired += _repaired(found, "bodies moved apart")
            return parted
        eased = repair.eased(self.robot, trajectory, self._collisions, limits)
        if eased is None:
            return trajectory
        how = f"arms led up to {100 * eased[1]:.0f} % of the way to the nominal posture"
        repaired += _repaired(found, how)
        return eased[0]

    def _repair_speed(
        self, trajectory: RobotTrajectory, repaired: list[Finding]
    ) -> RobotTrajectory:
        found = self._too_fast(trajectory, self._use(trajectory))
        if not found or len(trajectory) < 2:
            return trajectory
        slowed = repair.slowed(self.robot, trajectory, self.config.repair)
        if slowed is None:
            return trajectory
        repaired += _repaired(found, f"played {slowed[1]:.2f} times slower")
        return slowed[0]

    def _report(
        self,
        trajectory: RobotTrajectory,
        start: RobotState | None,
        findings: list[Finding],
        use: _Use,
        touching: int,
        depth: float,
    ) -> SafetyReport:
        robot, q = self.robot, trajectory.positions
        severities = {finding.severity for finding in findings}
        room = np.minimum(q - robot.position_lower, robot.position_upper - q)
        height = trajectory.base_position[:, 2]
        return SafetyReport(
            outcome=next((s for s in ("rejected", "repaired") if s in severities), "pass"),
            findings=tuple(findings),
            joints=len(trajectory.joint_names),
            samples=len(trajectory),
            seconds=trajectory.seconds,
            velocity_use=float(use[0].max()),
            acceleration_use=float(use[1].max()),
            position_room=float(room.min()),
            start_jump=None if start is None else float(np.abs(q[0] - start.positions).max()),
            touching_samples=touching,
            watched_pairs=len(self._collisions.pairs),
            unwatched_pairs=self._collisions.unwatched,
            unwatched_links=self._collisions.unwatched_links,
            penetration=depth,
            base_height=(float(height.min()), float(height.max())),
            feasibility=self._feasibility(trajectory, rejected="rejected" in severities),
        )

    def _use(self, trajectory: RobotTrajectory) -> _Use:
        """See `limit_use`; 0 for a single sample."""
        if len(trajectory) < 2:
            return np.zeros(1), np.zeros(1)
        motion = (trajectory.positions, trajectory.velocities, trajectory.time_from_start)
        return limit_use(self.robot, *motion)

    def _feasibility(self, trajectory: RobotTrajectory, rejected: bool) -> Feasibility | None:
        if rejected or trajectory.seconds > LONGEST:
            return None
        return feasibility_of(self.robot, trajectory, self.config.dynamics)


def _repaired(findings: list[Finding], how: str) -> list[Finding]:
    return [replace(f, severity="repaired", message=f"{how}: {f.message}") for f in findings]

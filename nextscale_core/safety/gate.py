"""`SafetyGate`: the last thing between a plan and the robot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nextscale_core.blas_lock import alone
from nextscale_core.exceptions import RobotError
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety import checks, repair
from nextscale_core.safety.easing import eased
from nextscale_core.safety.report import Finding, GateResult, SafetyReport
from nextscale_core.trajectory.spline_limits import limit_use, slowdown

_MENDING_ROUNDS = 3
"""One repair may ask for another: a motion played slower is sampled elsewhere."""

SMALL_SPEED = 1e-3
"""Last velocities up to this are set to zero [rad/s]."""


class SafetyGate:
    """Checks every sample of a trajectory, mends small things, refuses the rest.

    Checked: finite numbers, joint names, increasing time, position, velocity and acceleration
    limits (in the cubics a joint trajectory controller draws between samples too), the jump from
    the measured state, rest at the end, self-collision. Reported only: soles below the floor and
    odd heights of the base, which no joint controller executes.

    Threads may share a gate: they wait for each other.

    Args:
        robot: The robot whose limits hold.
    """

    def __init__(self, robot: Robot):
        self.robot = robot
        self._collisions = collision_model(robot, robot.profile.collision_margin)

    def review(self, trajectory: RobotTrajectory, *, start: RobotState | None = None) -> GateResult:
        """Check a trajectory.

        Args:
            trajectory: What is about to be executed.
            start: Measured state of the robot, if known.

        Returns:
            The trajectory that may be executed, mended where need was, or None; and the report.

        Raises:
            RobotError: the measured state has another number of joints than the robot.
        """
        if start is not None and start.positions.shape != (self.robot.num_joints,):
            raise RobotError(
                f"the measured state has {len(start.positions)} joints, "
                f"{self.robot.name} has {self.robot.num_joints}"
            )
        with alone():
            return self._review(trajectory, start)

    def _review(self, trajectory: RobotTrajectory, start: RobotState | None) -> GateResult:
        wrong = checks.check_form(self.robot, trajectory)
        if wrong:
            return GateResult(None, _unread(trajectory, wrong))
        mended: list[Finding] = []
        wrong, touching = self._judge(trajectory, start)
        for _ in range(_MENDING_ROUNDS):
            if not wrong or self._beyond_repair(trajectory, start, wrong):
                break
            before = trajectory
            trajectory = self._mend_collisions(trajectory, start, mended)
            trajectory = self._mend_rounding(trajectory, start, mended)
            trajectory = self._mend_speed(trajectory, mended)
            trajectory = self._mend_rounding(trajectory, start, mended)
            if trajectory is before:
                break
            # What was mended is judged again as if it had come from outside.
            wrong, touching = self._judge(trajectory, start)
        notes, depth = checks.note_floor(self.robot, trajectory)
        if not wrong:
            notes += checks.note_leaving(self._collisions, trajectory, start)
        report = self._report(trajectory, start, [*wrong, *mended, *notes], touching, depth)
        return GateResult(None if wrong else trajectory, report)

    def _beyond_repair(
        self, trajectory: RobotTrajectory, start: RobotState | None, wrong: list[Finding]
    ) -> bool:
        """Whether something is wrong that no repair mends: then none is tried, which takes long."""
        if any(finding.check == "start" for finding in wrong):
            return True
        excess = checks.position_excess(self.robot, trajectory, start).max()
        last = np.abs(trajectory.velocities[-1]).max() / repair.MAX_SLOWDOWN
        if not (excess <= repair.SMALL_EXCESS and last <= SMALL_SPEED):
            return True
        motion = (trajectory.positions, trajectory.velocities, trajectory.time_from_start)
        return len(trajectory) > 1 and not (
            slowdown(self.robot, *motion).max() <= repair.MAX_SLOWDOWN
        )

    def _judge(
        self, trajectory: RobotTrajectory, start: RobotState | None
    ) -> tuple[list[Finding], int]:
        """Everything that is wrong, and the number of samples in which bodies touch."""
        collisions, touching = checks.check_collisions(self._collisions, trajectory, start)
        wrong = [
            *checks.check_positions(self.robot, trajectory, start),
            *checks.check_velocities(self.robot, trajectory),
            *checks.check_accelerations(self.robot, trajectory),
            *checks.check_start(self.robot, trajectory, start),
            *checks.check_end(self.robot, trajectory),
            *collisions,
        ]
        return wrong, touching

    def _mend_rounding(
        self, trajectory: RobotTrajectory, start: RobotState | None, mended: list[Finding]
    ) -> RobotTrajectory:
        excess = checks.position_excess(self.robot, trajectory, start).max()
        if checks.ROUNDING < excess <= repair.SMALL_EXCESS:
            found = checks.check_positions(self.robot, trajectory, start)[0]
            trajectory = repair.clamped(self.robot, trajectory)
            mended.append(_mended(found, "positions cut to their limits"))
        last = float(np.abs(trajectory.velocities[-1]).max())
        if checks.REST_TOLERANCE < last <= SMALL_SPEED:
            found_end = checks.check_end(self.robot, trajectory)[0]
            trajectory = repair.stopped(trajectory)
            mended.append(_mended(found_end, "last velocity set to zero"))
        return trajectory

    def _mend_collisions(
        self, trajectory: RobotTrajectory, start: RobotState | None, mended: list[Finding]
    ) -> RobotTrajectory:
        found, _ = checks.check_collisions(self._collisions, trajectory, start)
        if not found:
            return trajectory
        parted = repair.parted(self.robot, trajectory, self._collisions)
        if parted is not None:
            mended.append(_mended(found[0], "bodies moved apart"))
            return parted
        easier = eased(self.robot, trajectory, self._collisions)
        if easier is None:
            return trajectory
        result, share = easier
        how = f"arms led up to {100 * share:.0f} % of the way to the nominal posture"
        mended.append(_mended(found[0], how))
        return result

    def _mend_speed(self, trajectory: RobotTrajectory, mended: list[Finding]) -> RobotTrajectory:
        found = [
            *checks.check_velocities(self.robot, trajectory),
            *checks.check_accelerations(self.robot, trajectory),
        ]
        if not found or len(trajectory) < 2:
            return trajectory
        slower = repair.slowed(self.robot, trajectory)
        if slower is None:
            return trajectory
        result, factor = slower
        mended += [_mended(one, f"played {factor:.2f} times slower") for one in found]
        return result

    def _report(
        self,
        trajectory: RobotTrajectory,
        start: RobotState | None,
        findings: list[Finding],
        touching: int,
        depth: float,
    ) -> SafetyReport:
        severities = {finding.severity for finding in findings}
        use = (np.zeros(1), np.zeros(1))
        if len(trajectory) > 1:
            use = limit_use(
                self.robot, trajectory.positions, trajectory.velocities, trajectory.time_from_start
            )
        room = np.minimum(
            trajectory.positions - self.robot.position_lower,
            self.robot.position_upper - trajectory.positions,
        )
        jump = None
        if start is not None:
            jump = float(np.abs(trajectory.positions[0] - start.positions).max())
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
            start_jump=jump,
            touching_samples=touching,
            watched_pairs=len(self._collisions.pairs),
            unwatched_pairs=self._collisions.unwatched,
            unwatched_links=self._collisions.unwatched_links,
            penetration=depth,
            base_height=(float(height.min()), float(height.max())),
        )


def _mended(finding: Finding, how: str) -> Finding:
    return replace(finding, severity="repaired", message=f"{how}: {finding.message}")


def _unread(trajectory: RobotTrajectory, findings: list[Finding]) -> SafetyReport:
    """Report on a trajectory whose numbers cannot be judged."""
    return SafetyReport(
        outcome="rejected",
        findings=tuple(findings),
        joints=len(trajectory.joint_names),
        samples=len(trajectory),
    )

"""`SafetyReport`: findings and figures of the safety gate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from nextscale_core.robots.description import some
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.safety.feasibility import Feasibility

Outcome = Literal["pass", "repaired", "rejected"]
Severity = Literal["note", "repaired", "rejected"]


@dataclass(frozen=True)
class Finding:
    """One finding of a check.

    Attributes:
        check: Name of the check, for example 'velocity'.
        message: The violation, with joint or link, time and figures.
        value: The measured value, in the unit of the message.
        limit: Its limit.
        severity: 'note' (no effect), 'repaired', or 'rejected' (not repairable).
    """

    check: str
    message: str
    value: float
    limit: float
    severity: Severity = "rejected"


@dataclass(frozen=True)
class SafetyReport:
    """Result of one review.

    Attributes:
        outcome: 'pass', 'repaired' or 'rejected'.
        findings: All findings, worst severity first.
        joints: Number of joints.
        samples: Number of samples.
        seconds: Length of the trajectory [s].
        velocity_use: Largest share of a joint's velocity limit; 1 is the limit.
        acceleration_use: Largest share of a joint's acceleration limit, between samples too.
        position_room: Least distance to a position limit [rad]; negative outside.
        start_jump: Largest distance of the first sample to the measured state [rad], or None.
        touching_samples: Samples in which two bodies of the robot touch.
        watched_pairs: Number of pairs of links that are checked for contact.
        unwatched_pairs: Pairs of links that are not checked: they touch in the standing posture or
            nearly always, or the profile excludes them.
        unwatched_links: Links that are not checked, as they have no collision shape.
        penetration: Deepest sole below the floor [m].
        base_height: Lowest and highest root link [m].
        feasibility: Dynamics of the trajectory; None where it is rejected or longer than 10
            minutes.
    """

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    joints: int = 0
    samples: int = 0
    seconds: float = 0.0
    velocity_use: float = 0.0
    acceleration_use: float = 0.0
    position_room: float = 0.0
    start_jump: float | None = None
    touching_samples: int = 0
    watched_pairs: int = 0
    unwatched_pairs: tuple[tuple[str, str], ...] = ()
    unwatched_links: tuple[str, ...] = ()
    penetration: float = 0.0
    base_height: tuple[float, float] = (0.0, 0.0)
    feasibility: Feasibility | None = None

    def line(self) -> str:
        """Outcome, reasons and figures in one line."""
        reasons = [f.message for f in self.findings if f.severity == self.outcome]
        if self.outcome == "rejected":
            return f"rejected: {'; '.join(reasons)}"
        figures = (
            f"{self.joints} joints, {self.samples} samples, {self.seconds:.2f} s, "
            f"velocity {self.velocity_use:.0%} and acceleration {self.acceleration_use:.0%} of "
            f"the limits, {self._collisions()}, soles at most {self.penetration * 1000:.0f} mm "
            "below the floor"
        )
        notes = [f.message for f in self.findings if f.severity == "note"]
        how = f" ({'; '.join(reasons)})" if self.outcome == "repaired" else ""
        return f"{self.outcome}{how}: {figures}" + "".join(f"; note: {note}" for note in notes)

    def _collisions(self) -> str:
        """Number of watched pairs, and the pairs and links that are not watched."""
        if not self.watched_pairs:
            return "self-collision not checked (no pair of links with collision shapes)"
        pairs = [f"{first} and {second}" for first, second in self.unwatched_pairs]
        parts = [
            f"{len(names)} {kind}: {some(names, 3)}"
            for kind, names in (("pairs", pairs), ("links", self.unwatched_links))
            if names
        ]
        more = f" (not watched: {'; '.join(parts)})" if parts else ""
        return f"no self-collision in {self.watched_pairs} pairs of links{more}"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class GateResult:
    """Result of a review.

    Attributes:
        trajectory: The trajectory that may be executed; None when rejected.
        report: Findings and figures.
    """

    trajectory: RobotTrajectory | None
    report: SafetyReport

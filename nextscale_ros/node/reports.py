"""What came of a request, as messages and as a log line."""

from __future__ import annotations

from dataclasses import dataclass

from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.text.language import language_remark
from nextscale_ros.messages.requests import Request
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.node.error_codes import Failure
from nextscale_ros.node.plan import Plan

MAX_SHOWN_TEXT = 200
"""Characters of a received text that a report or a log line repeats."""

GOOD = (MotionReport.PASS, MotionReport.REPAIRED)


@dataclass(frozen=True)
class Ended:
    """The end of a request.

    Attributes:
        report: What came of it.
        trajectory: The trajectory that was made, or None.
        base: The base that belongs to it, or None.
    """

    report: MotionReport
    trajectory: JointTrajectory | None = None
    base: MultiDOFJointTrajectory | None = None


def make_report(
    request: Request,
    robot: str,
    model: str,
    plan: Plan | None = None,
    failure: Failure | None = None,
) -> MotionReport:
    """The report on a request.

    Args:
        request: The request.
        robot: Name of the robot.
        model: Name of the motion model.
        plan: What was made, as far as it came.
        failure: Why there is no trajectory; None where there is one.
    """
    report = MotionReport(
        request=request.number, text=shown(request.text), robot=robot, model=model
    )
    report.header.stamp = request.stamp
    result = None if plan is None else plan.result
    if plan is not None:
        report.seed = int(plan.seed)
        report.stage_names = list(plan.stopwatch.seconds)
        report.stage_seconds = [float(value) for value in plan.stopwatch.seconds.values()]
    if result is not None and plan is not None:
        report.findings = [
            f"{finding.check}: {finding.message}" for finding in result.report.findings
        ]
        report.findings += [f"continuation: {note}" for note in plan.notes]
    remarks = [remark for text, _ in request.script if (remark := language_remark(text))]
    report.findings += [f"text: {remark}" for remark in remarks]
    if failure is not None:
        report.outcome, report.message = failure.outcome, failure.message
        report.error = ErrorCode(code=failure.code, message=failure.message)
        return report
    assert result is not None and result.trajectory is not None and plan is not None
    trajectory = result.trajectory
    repaired = result.report.outcome == "repaired"
    report.outcome = MotionReport.REPAIRED if repaired else MotionReport.PASS
    report.message = result.report.line() + "".join(f"; note: {remark}" for remark in remarks)
    report.joint_names = list(trajectory.joint_names)
    report.points = len(trajectory)
    report.duration = float(trajectory.seconds)
    report.listeners = plan.listeners
    report.published = not request.plan_only
    return report


def log_line(report: MotionReport) -> str:
    """One line for the log."""
    message = report.message
    told = message if message.startswith(report.outcome) else f"{report.outcome}: {message}"
    line = f"request {report.request}: {told}"
    if len(report.stage_names):
        stages = [
            f"{name} {seconds:.3f} s"
            for name, seconds in zip(report.stage_names, report.stage_seconds, strict=True)
        ]
        line += f" [{', '.join(stages)}, total {sum(report.stage_seconds):.3f} s]"
    return line


def shown(text: str) -> str:
    """A received text, fit for a log line: short and without control characters."""
    printable = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: 2 * MAX_SHOWN_TEXT]
    )
    return printable[:MAX_SHOWN_TEXT]

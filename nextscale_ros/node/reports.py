"""Reports on requests, as messages and as log lines."""

from __future__ import annotations

import math
from dataclasses import asdict

from trajectory_msgs.msg import JointTrajectory

from nextscale_core.motion.skeleton import MAX_SECONDS
from nextscale_core.safety.feasibility import Feasibility
from nextscale_core.safety.report import SafetyReport
from nextscale_core.text.journeys import journey
from nextscale_core.text.language import language_remark
from nextscale_core.text.stated_seconds import duration_remark
from nextscale_ros.messages.requests import Request
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.msg import Feasibility as FeasibilityMessage
from nextscale_ros.node.error_codes import Failure
from nextscale_ros.node.progress import ProgressTracker

MAX_SHOWN_TEXT = 200
"""Maximum length of a received text in a report or a log line [characters]."""

GOOD = (MotionReport.PASS, MotionReport.REPAIRED)
"""Outcomes with a trajectory."""


def success_report(
    request: Request, tracker: ProgressTracker, safety: SafetyReport, command: JointTrajectory
) -> MotionReport:
    """Report a request that ended with a trajectory.

    Args:
        request: The request.
        tracker: The work on it.
        safety: What the safety gate found.
        command: The trajectory as it is sent.
    """
    report = _report(request, tracker, safety)
    remarks = [*_remarks(request), *tracker.unknown]
    report.outcome = MotionReport.REPAIRED if safety.outcome == "repaired" else MotionReport.PASS
    report.message = safety.line() + "".join(f"; note: {remark}" for remark in remarks)
    report.joint_names = list(command.joint_names)
    report.points = len(command.points)
    report.duration = nanoseconds(command.points[-1].time_from_start) / NANOSECONDS
    report.published = not request.plan_only
    return report


def failure_report(
    request: Request, tracker: ProgressTracker | None, failure: Failure
) -> MotionReport:
    """Report a request that ended without a trajectory; `tracker` is None before any work."""
    report = _report(request, tracker, failure.safety)
    report.outcome, report.message = failure.outcome, failure.message
    report.error = ErrorCode(code=failure.code, message=failure.message)
    return report


def _report(
    request: Request, tracker: ProgressTracker | None, safety: SafetyReport | None
) -> MotionReport:
    report = MotionReport(request=request.number, text=shown(request.text))
    report.header.stamp = request.stamp
    if safety is not None:
        report.findings = [f"{finding.check}: {finding.message}" for finding in safety.findings]
        if safety.feasibility is not None:
            report.feasibility = _feasibility(safety.feasibility)
    if tracker is not None:
        report.seed = int(tracker.seed)
        report.stage_names = list(tracker.stopwatch.seconds)
        report.stage_seconds = [float(value) for value in tracker.stopwatch.seconds.values()]
        report.findings += [f"continuation: {note}" for note in tracker.notes]
        report.findings += [f"output: {remark}" for remark in dict.fromkeys(tracker.adaptations)]
        report.findings += [f"constraint: {one}" for one in tracker.residuals]
        report.findings += [f"text: {remark}" for remark in tracker.unknown]
        report.out_of_domain = bool(tracker.unknown)
    report.findings += [f"text: {remark}" for remark in _remarks(request)]
    return report


def _feasibility(found: Feasibility) -> FeasibilityMessage:
    values = asdict(found)
    if found.centre_depth is None:
        values["centre_depth"] = math.nan
    return FeasibilityMessage(**values)


def _remarks(request: Request) -> list[str]:
    found = []
    for text, seconds in request.script:
        found.append(language_remark(text))
        is_kept = any(leg.seconds for leg in journey(text))
        if not seconds and (request.constraints or not is_kept):
            found.append(duration_remark(text, MAX_SECONDS))
    return [remark for remark in found if remark]


def log_line(report: MotionReport) -> str:
    """Format a report as one line for the log."""
    message = report.message
    if not message.startswith(report.outcome):
        message = f"{report.outcome}: {message}"
    line = f"request {report.request}: {message}"
    if len(report.stage_names):
        stages = [
            f"{name} {seconds:.3f} s"
            for name, seconds in zip(report.stage_names, report.stage_seconds, strict=True)
        ]
        line += f" [{', '.join(stages)}, total {sum(report.stage_seconds):.3f} s]"
    return line


def shown(text: str) -> str:
    """A received text for a log line: shortened and without control characters."""
    printable = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: 2 * MAX_SHOWN_TEXT]
    )
    return printable[:MAX_SHOWN_TEXT]

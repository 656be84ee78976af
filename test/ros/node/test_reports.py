from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from nextscale_core.safety import Feasibility, Finding, SafetyReport
from nextscale_ros.messages.requests import Request
from nextscale_ros.msg import Feasibility as FeasibilityMessage
from nextscale_ros.msg import MotionReport
from nextscale_ros.node.error_codes import Failure
from nextscale_ros.node.progress import ProgressTracker
from nextscale_ros.node.reports import failure_report, success_report

FOUND = Feasibility("needs a tracker", 0.05, 0.3, 0.4, -0.02, 0.9, "left_knee", 0.04, True, False)


def reported(safety: SafetyReport) -> MotionReport:
    request = Request(1, Time(), (("a person waves", None),))
    command = JointTrajectory(joint_names=["left_knee"], points=[JointTrajectoryPoint()])
    return success_report(request, ProgressTracker(), safety, command)


def test_the_report_has_the_feasibility_that_the_gate_found() -> None:
    message = reported(SafetyReport("pass", feasibility=FOUND)).feasibility
    assert {name: getattr(message, name) for name in asdict(FOUND)} == asdict(FOUND)
    assert message.verdict == FeasibilityMessage.NEEDS_A_TRACKER


def test_an_unknown_depth_of_the_centre_of_mass_is_nan() -> None:
    safety = SafetyReport("pass", feasibility=replace(FOUND, centre_depth=None))
    assert np.isnan(reported(safety).feasibility.centre_depth)


@pytest.mark.parametrize("verdict", ["balanced", "needs a tracker", "flight"])
def test_no_verdict_changes_the_outcome(verdict: str) -> None:
    found = replace(FOUND, verdict=verdict)  # type: ignore[arg-type]
    report = reported(SafetyReport("pass", feasibility=found))
    assert report.outcome == MotionReport.PASS and report.feasibility.verdict == verdict


def test_a_report_without_a_trajectory_has_no_verdict() -> None:
    rejected = SafetyReport("rejected", (Finding("velocity", "too fast", 2.0, 1.0),))
    failure = Failure(MotionReport.REJECTED, 402, "too fast", rejected)
    request = Request(1, Time(), (("a person waves", None),))
    assert failure_report(request, None, failure).feasibility.verdict == ""


def test_a_sentence_out_of_reach_is_reported_and_its_motion_is_sent_all_the_same() -> None:
    request = Request(1, Time(), (("a person swims", None),))
    command = JointTrajectory(joint_names=["left_knee"], points=[JointTrajectoryPoint()])
    tracker = ProgressTracker()
    tracker.unknown = ["'a person swims' resembles no sentence"]
    report = success_report(request, tracker, SafetyReport("pass"), command)
    assert report.out_of_domain and report.outcome == MotionReport.PASS
    assert "resembles no sentence" in report.message
    assert any("resembles no sentence" in finding for finding in report.findings)
    assert not reported(SafetyReport("pass")).out_of_domain


@pytest.mark.parametrize(
    ("text", "seconds", "told"),
    [
        ("raises an arm and holds it for 40 seconds", None, True),
        ("raises an arm and holds it for 40 seconds", 9.0, False),
        ("a person walks for 40 seconds", None, False),
    ],
)
def test_a_report_tells_that_a_motion_is_shorter_than_its_sentence_says(
    text: str, seconds: float | None, told: bool
) -> None:
    request = Request(1, Time(), ((text, seconds),))
    command = JointTrajectory(joint_names=["left_knee"], points=[JointTrajectoryPoint()])
    report = success_report(request, ProgressTracker(), SafetyReport("pass"), command)
    assert ("the sentence asks for 40 s" in report.message) == told

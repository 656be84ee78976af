"""One call from a sentence to a checked trajectory, and its refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nextscale_core
from nextscale_core.exceptions import NextscaleError, UnsafeTrajectoryError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.planning import MotionPlanner, plan
from nextscale_core.robots import Robot, RobotState, RobotTrajectory, load_robot
from nextscale_core.safety import GateResult, SafetyGate, SafetyReport
from nextscale_core.stopwatch import Stopwatch

TEXT = "a person waves with the right hand"


class RefusingGate(SafetyGate):
    """A gate that passes nothing."""

    def review(self, trajectory: RobotTrajectory, *, start: RobotState | None = None) -> GateResult:
        report = super().review(trajectory, start=start).report
        return GateResult(None, replace(report, outcome="rejected"))


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def clip(trained_model: Path) -> MotionClip:
    return nextscale_core.MotionPipeline.from_pretrained(trained_model).generate(
        TEXT, seed=1, seconds=2.0
    )


def test_one_call_gives_the_trajectory_of_the_same_seed_and_its_report(
    trained_model: Path, robot: Robot, clip: MotionClip
) -> None:
    trajectory, report = nextscale_core.plan(TEXT, "g1", model=trained_model, seed=1, seconds=2.0)
    assert isinstance(report, SafetyReport) and report.outcome in ("pass", "repaired")
    assert (trajectory.robot, trajectory.joint_names) == (robot.name, robot.joint_names)
    expected, _ = MotionPlanner(robot).plan(clip)
    np.testing.assert_array_equal(trajectory.positions, expected.positions)


def test_a_refused_motion_raises_the_reasons_and_the_report(
    monkeypatch: pytest.MonkeyPatch, robot: Robot, clip: MotionClip
) -> None:
    class Pipeline:
        def generate(self, text: str, **options: object) -> MotionClip:
            return clip

        def come_to_rest(self, clip: MotionClip, **options: object) -> MotionClip:
            return clip

    monkeypatch.setattr("nextscale_core.planning.SafetyGate", RefusingGate)
    with pytest.raises(UnsafeTrajectoryError, match="refused the trajectory for g1") as caught:
        plan(TEXT, robot, model=Pipeline())  # type: ignore[arg-type]
    assert caught.value.report is not None and caught.value.report.outcome == "rejected"


def test_the_whole_trajectory_has_to_begin_where_the_robot_is_measured(
    robot: Robot, clip: MotionClip
) -> None:
    planner, stopwatch = MotionPlanner(robot), Stopwatch()
    away = RobotState(robot.nominal + 0.2)
    with pytest.raises(UnsafeTrajectoryError) as caught:
        planner.plan(clip, start=RobotState(robot.nominal), measured=away, stopwatch=stopwatch)
    report = caught.value.report
    assert report is not None and "start" in {finding.check for finding in report.findings}
    assert all(finding.message in str(caught.value) for finding in report.findings)
    assert {"targets", "solve", "gate"} <= set(stopwatch.seconds)
    trajectory, _ = planner.plan(clip, start=RobotState(robot.nominal))
    np.testing.assert_allclose(trajectory.positions[0], robot.nominal, atol=1e-3)


def test_what_leads_in_is_checked_too(robot: Robot, clip: MotionClip) -> None:
    def lead_in(trajectory: RobotTrajectory) -> RobotTrajectory:
        positions = trajectory.positions.copy()
        positions[0, 0] = np.nan
        return replace(trajectory, positions=positions)

    with pytest.raises(UnsafeTrajectoryError, match="NaN"):
        MotionPlanner(robot).plan(clip, lead_in=lead_in)


def test_an_unknown_robot_or_a_sentence_without_words_is_refused(trained_model: Path) -> None:
    with pytest.raises(NextscaleError, match="r2d2"):
        plan(TEXT, "r2d2", model=trained_model)
    with pytest.raises(NextscaleError, match="word"):
        plan("123", "g1", model=trained_model)

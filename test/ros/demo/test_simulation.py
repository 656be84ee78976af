"""How steps of recorded references are measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nextscale_ros.demo.session import Answer
from nextscale_ros.demo.simulation import ReferenceSteps, reference_seams
from nextscale_ros.messages.conversions import duration
from nextscale_ros.msg import MotionReference, MotionReport

RATE = 50.0


def references(
    position: Callable[[float], float], velocity: Callable[[float], float], seconds: float = 2.0
) -> list[MotionReference]:
    """References of two joints, of which one moves."""
    found = []
    for time in np.arange(round(seconds * RATE)) / RATE:
        message = MotionReference(
            joint_names=["a", "b"],
            positions=[0.3, position(time)],
            velocities=[0.0, velocity(time)],
        )
        stamp = duration(100.0 + time)
        message.header.stamp.sec, message.header.stamp.nanosec = stamp.sec, stamp.nanosec
        found.append(message)
    return found


def wave(jump: float, at: float) -> list[MotionReference]:
    return references(
        lambda t: float(np.sin(2 * t) + jump * (t >= at)), lambda t: 2 * np.cos(2 * t)
    )


def test_a_motion_without_a_jump_has_steps_and_no_jumps() -> None:
    steps = ReferenceSteps.of(wave(0.0, 0.0))
    assert steps.positions.max() == pytest.approx(2.0 / RATE, rel=0.01)
    assert steps.jumps.max() < 1e-4


@pytest.mark.parametrize("jump", [0.02, -0.3])
def test_a_jump_is_found_at_its_time_beside_the_motion(jump: float) -> None:
    steps = ReferenceSteps.of(wave(jump, 1.0))
    worst = int(steps.jumps.argmax())
    assert steps.jumps[worst] == pytest.approx(abs(jump), abs=1e-3)
    assert steps.times[worst] == pytest.approx(101.0)
    assert steps.within(100.0, 100.9).jump < 1e-4 < steps.within(100.9, 101.1).jump
    assert steps.within(200.0, 300.0).jump == 0.0


def test_the_step_over_a_lost_reference_is_no_jump() -> None:
    messages = wave(0.0, 0.0)
    del messages[40:44]
    steps = ReferenceSteps.of(messages)
    assert steps.positions.max() < 0.05
    assert len(steps.times) == len(messages) - 2


def test_a_seam_is_looked_at_from_the_sentence_until_after_its_report() -> None:
    report = MotionReport(duration=3.0)
    answers = [
        Answer("early", report, None, 99.0, 99.1),
        Answer("late", report, None, 100.5, 100.8),
    ]
    early, late = reference_seams(answers, wave(0.2, 1.2))
    assert early.position_jump < 1e-4
    assert late.position_jump == pytest.approx(0.2, abs=1e-3)
    assert answers[1].end == pytest.approx(103.8)

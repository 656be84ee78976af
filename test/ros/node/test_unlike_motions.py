"""Motions that do not show their sentence are out of the model's reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nextscale_core.estimation.robot_to_human import relative_size
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots import load_robot
from nextscale_ros.node.live_planner import LivePlanner
from nextscale_ros.node.progress import ProgressTracker
from nextscale_ros.node.start_state import Start
from nextscale_ros.parameters.values import Settings
from ros.fake_pipeline import FakePipeline


class Judging(FakePipeline):
    """Knows of each motion whether it shows its sentence."""

    def motion_remark(self, text: str, clip: MotionClip, scale: float) -> str | None:
        assert len(clip) > 1 and np.isfinite(clip.joints).all()
        return f"{text!r} is hardly shown" if "clap" in text else None


@pytest.mark.parametrize(("text", "told"), [("a person claps", True), ("a person waves", False)])
def test_a_motion_that_hardly_shows_its_sentence_is_out_of_reach(text: str, told: bool) -> None:
    planner = LivePlanner(Judging(), load_robot("g1"), 50.0)
    tracker = ProgressTracker()
    planner.plan(((text, None),), Settings(), Start("nowhere"), tracker)
    assert any("hardly shown" in remark for remark in tracker.unknown) == told


def test_sentences_with_lengths_are_planned_at_the_size_of_the_robot() -> None:
    scales: list[float] = []

    class Sized(FakePipeline):
        def generate(self, text: str, *arguments: Any, **options: Any) -> MotionClip:
            scales.append(options["scale"])
            return super().generate(text, *arguments, **options)

        def motion_remark(self, text: str, clip: MotionClip, scale: float) -> str | None:
            scales.append(scale)
            return None

    robot = load_robot("g1")
    planner = LivePlanner(Sized(), robot, 50.0)
    planner.plan((("walk two meters", None),), Settings(), Start("nowhere"), ProgressTracker())
    assert scales == [relative_size(robot)] * 2 and 0.7 < scales[0] < 0.8

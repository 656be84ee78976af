"""Progress and cancellation, stage by stage, without a graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from nextscale_core.exceptions import GenerationCancelled
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots import load_robot
from nextscale_ros.action import GenerateMotion
from nextscale_ros.node.live_planner import LivePlanner
from nextscale_ros.node.progress import EXECUTE, STAGES, ProgressTracker
from nextscale_ros.node.start_state import NOWHERE
from nextscale_ros.parameters.values import Settings
from ros.fake_pipeline import FakePipeline

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = (("a person raises the right arm", 1.5),)
STOPS = ("generate", "targets", "solve", "resample", "gate")


@pytest.fixture(scope="module")
def planner() -> LivePlanner:
    return LivePlanner(FakePipeline(), load_robot("g1"), 50.0)


@pytest.mark.parametrize("stage", STOPS)
def test_work_that_nobody_wants_stops_at_every_stage(planner: LivePlanner, stage: str) -> None:
    reached: list[str] = []

    def feedback(message: GenerateMotion.Feedback) -> None:
        reached.append(message.stage)

    # Canceled as soon as the stage has begun.
    tracker = ProgressTracker(1, lambda: stage in reached, feedback, FakePipeline.steps)
    with pytest.raises(GenerationCancelled):
        planner.plan(SCRIPT, Settings(), NOWHERE, tracker)
    assert reached[-1] == stage
    assert stage == "gate" or "gate" not in tracker.stopwatch.seconds


def feedback_of(planner: LivePlanner) -> list[GenerateMotion.Feedback]:
    told: list[GenerateMotion.Feedback] = []
    tracker = ProgressTracker(1, feedback=told.append, steps=FakePipeline.steps)
    planner.plan(SCRIPT, Settings(), NOWHERE, tracker)
    return told


def listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()).strip("` ") for name in text.split(","))


def test_the_action_and_the_documentation_name_the_stages_that_feedback_names() -> None:
    action = (ROOT / "action" / "GenerateMotion.action").read_text(encoding="utf-8")
    assert (
        listed(action.rpartition("string stage")[2].partition("#")[2].partition("\n")[0]) == STAGES
    )
    page = ROOT / "docs" / "interfaces.md"
    if not page.is_file():
        pytest.skip("the documentation is not part of this checkout")
    text = page.read_text(encoding="utf-8")
    assert listed(text.partition("`stage` is one of ")[2].partition(";")[0]) == STAGES


def test_every_stage_of_the_work_is_told_in_the_order_of_the_list(planner: LivePlanner) -> None:
    told = [message.stage for message in feedback_of(planner)]
    order = [STAGES.index(stage) for stage in told]
    assert order == sorted(order)
    assert {"generate", "targets", "solve", "resample", "gate"} <= set(told) <= set(STAGES)


def test_every_stage_that_is_timed_is_in_the_list(
    planner: LivePlanner, trained_model: Path
) -> None:
    """With the model, and so with all stages of it."""
    from nextscale_core.pipeline import MotionPipeline

    told: list[str] = []
    tracker = ProgressTracker(1, feedback=lambda message: told.append(message.stage))
    LivePlanner(MotionPipeline.from_pretrained(trained_model), planner.robot, 50.0).plan(
        SCRIPT, Settings(), NOWHERE, tracker
    )
    # This motion continues nothing, and is not sent.
    assert set(told) == set(STAGES) - {"history", "encode", "stop", "message", EXECUTE}
    assert set(tracker.stopwatch.seconds) == set(told)


def test_progress_never_falls_and_ends_near_one(planner: LivePlanner) -> None:
    done = [message.done for message in feedback_of(planner)]
    assert done == sorted(done) and done[0] < 0.1 and 0.9 < done[-1] <= 1.0


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # The pass that comes next is of this scale: after pass 1 the second, and so on.
        ((1, 1, 2), [2, 3, 3, 3]),
        ((6, 5, 4, 2, 1), [1] * 5 + [2] * 5 + [3] * 4 + [4] * 2 + [5] * 2),
    ],
)
def test_passes_are_told_as_scales(steps: tuple[int, ...], expected: list[int]) -> None:
    told: list[GenerateMotion.Feedback] = []
    tracker = ProgressTracker(feedback=told.append, steps=steps)
    for done in range(1, sum(steps) + 1):
        tracker.passed(done, sum(steps))
    assert [progress.scale for progress in told] == expected
    assert {progress.scales for progress in told} == {len(steps)}


def test_without_known_steps_passes_stand_for_scales() -> None:
    told: list[GenerateMotion.Feedback] = []
    ProgressTracker(feedback=told.append).passed(2, 4)
    assert (told[0].scale, told[0].scales) == (2, 4)


def test_sentences_are_counted_by_passes_that_begin_anew() -> None:
    told: list[GenerateMotion.Feedback] = []
    tracker = ProgressTracker(feedback=told.append, steps=(1, 1), texts=3)
    for _ in range(3):
        for done in (1, 2):
            tracker.passed(done, 2)
    assert [progress.text for progress in told] == [0, 0, 1, 1, 2, 2]
    done = [progress.done for progress in told]
    assert done == sorted(done) and done[-1] < 0.6 + 1e-9


@pytest.mark.parametrize(
    ("settings", "length", "stops"),
    [
        (Settings(), None, True),
        (Settings(come_to_rest=False), None, False),
        (Settings(seconds=1.5), None, False),
        (Settings(), 1.5, False),
    ],
    ids=["default", "parameter", "seconds", "request"],
)
def test_a_motion_of_a_length_that_nobody_asked_for_comes_to_rest(
    planner: LivePlanner,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    length: float | None,
    stops: bool,
) -> None:
    asked: list[float] = []

    def come_to_rest(self: FakePipeline, clip: MotionClip, **options: object) -> MotionClip:
        asked.append(clip.seconds)
        return clip

    monkeypatch.setattr(FakePipeline, "come_to_rest", come_to_rest)
    for script in (("a person waves", length),), (("a person waves", 2.0), ("again", length)):
        asked.clear()
        planner.plan(script, settings, NOWHERE, ProgressTracker(1))
        assert len(asked) == stops

"""Durations that sentences state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.pipeline import MotionPipeline
from nextscale_core.text.stated_seconds import DurationWarning, duration_remark, stated_seconds


@pytest.mark.parametrize(
    ("sentence", "seconds"),
    [
        ("walk for 3 seconds", 3.0),
        ("stand still for five seconds", 5.0),
        ("a 3-second wave", 3.0),
        ("waves for 2.5 sec.", 2.5),
        ("waves 5s", 5.0),
        ("walks for half a minute", 30.0),
        ("walks for a minute", 60.0),
        ("walks for 6 seconds, then sits for 3 seconds", 9.0),
        # A part of the motion.
        ("raises the arm and holds it for 3 seconds", 4.0),
        ("raises the arm and holds it for 6 seconds", 6.0),
        # No length.
        ("after 3 seconds, waves", 4.0),
        ("jumps every 2 seconds", 4.0),
        ("walks a second time", 4.0),
        ("walks 2 steps", 4.0),
        ("walks", 4.0),
    ],
)
def test_a_stated_duration_is_that_of_the_motion(sentence, seconds):
    assert stated_seconds(sentence, 4.0) == seconds


def test_the_model_makes_a_motion_of_the_stated_duration():
    pipeline = MotionPipeline.from_pretrained("moscale-cmu")
    assert pipeline.choose_seconds("a person walks for 2 seconds") == 2.0
    assert len(pipeline.generate("a person walks for 2 seconds", candidates=1)) == 40
    assert len(pipeline.generate("a person walks for 2 seconds", candidates=1, seconds=1.0)) == 20


def test_a_duration_beyond_that_of_one_motion_is_reported():
    pipeline = MotionPipeline.from_pretrained("moscale-cmu")
    with pytest.warns(DurationWarning, match=r"asks for 20 s.*9.8 s at most"):
        assert pipeline.choose_seconds("a person walks for 20 seconds") == 9.8


@given(st.text())
def test_any_text_can_be_read(text):
    assert stated_seconds(text, 1.0) > 0.0
    duration_remark(text, 9.8)

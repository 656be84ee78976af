"""Lengths, angles and times that sentences state."""

from __future__ import annotations

import pytest

from nextscale_core.text.quantities import (
    stated_angle,
    stated_duration,
    stated_length,
    states_speed,
)
from nextscale_core.text.validation import validate_sentence


@pytest.mark.parametrize(
    ("words", "length"),
    [
        ("walks two meters", 2.0),
        ("walk forward 2 metres", 2.0),
        ("walks two and a half meters", 2.5),
        ("walks a meter and a half", 1.5),
        ("1.5 m forward", 1.5),
        ("walk 1,5 meters", 1.5),
        ("walk .5 m", 0.5),
        ("half a meter to the left", 0.5),
        ("walk 1/2 meter", 0.5),
        ("walk 1 1/2 meters", 1.5),
        ("walk \u00bd m", 0.5),
        ("walk 1\u00bd meters", 1.5),
        ("walk 50 cm", 0.5),
        ("30 centimeters", 0.3),
        ("ten feet", 3.048),
        ("6 ft", 1.8288),
        ("two yards", 1.8288),
        ("20 inches", 0.508),
        ("a couple of meters", 2.0),
        ("a few meters", 3.0),
        ("two more meters", 2.0),
        ("walk 3m", 3.0),
        ("walk -2 meters", -2.0),
        ("walk 2 km", 2000.0),
        # Stated, though nobody gets anywhere.
        ("walk 0 meters", 1e-3),
        ("walk 1/0 m", 1e-3),
        # No ways.
        ("walks on two feet", 0.0),
        ("lifts one foot", 0.0),
        ("walks at 2 meters per second", 0.0),
        ("walks at 2 m/s", 0.0),
        ("a two meter tall person walks", 0.0),
        ("walks in a circle with a radius of 2 meters", 0.0),
        ("turns every two meters", 0.0),
        ("walks until he is two meters from the wall", 0.0),
        ("walks 2 minutes", 0.0),
        ("walks", 0.0),
    ],
)
def test_the_length_of_a_way(words, length):
    assert stated_length(validate_sentence(words)) == pytest.approx(length)


@pytest.mark.parametrize(
    ("words", "angle"),
    [
        ("turn 30 degrees left", 30.0),
        ("turn 22.5 degrees", 22.5),
        ("turns ninety degrees", 90.0),
        ("a forty-five degree turn", 45.0),
        ("turn 90\u00b0", 90.0),
        ("turn -30 degrees", -30.0),
        ("turn 0 degrees", 1e-3),
        ("turn right 45", 45.0),
        ("turns 30 degrees per second", 0.0),
        ("turn 2 times", 0.0),
        ("turns around", 0.0),
    ],
)
def test_an_angle(words, angle):
    assert stated_angle(validate_sentence(words)) == pytest.approx(angle)


@pytest.mark.parametrize(
    ("words", "seconds", "rest"),
    [
        ("walks for three seconds", 3.0, "walks"),
        ("waves for 2.5 secs", 2.5, "waves"),
        ("waves 5s", 5.0, "waves"),
        ("a 3-second wave", 3.0, "a wave"),
        ("for the next 3 seconds walk", 3.0, "walk"),
        ("walks for about two and a half seconds", 2.5, "walks"),
        ("walks for a second and a half", 1.5, "walks"),
        ("walks for 1/2 second", 0.5, "walks"),
        ("walks for twenty-five seconds", 25.0, "walks"),
        ("walks for a few seconds", 3.0, "walks"),
        ("walks for 1 minute 30 seconds", 90.0, "walks"),
        ("walks two meters in 4 seconds", 4.0, "walks two meters"),
        ("ten seconds of jumping", 10.0, "jumping"),
        # No times of a motion.
        ("walks 140 steps a minute", 0.0, "walks 140 steps a minute"),
        ("waves at 2 s", 0.0, "waves at 2 s"),
        ("walks a second time", 0.0, "walks a second time"),
        ("walks 2 steps", 0.0, "walks 2 steps"),
        ("jumps every 2 seconds", 0.0, "jumps every 2 seconds"),
        ("walks 2 meters per second", 0.0, "walks 2 meters per second"),
        ("walks as a robot, fast ones first", 0.0, "walks as a robot, fast ones first"),
        ("dances like in the 80s", 0.0, "dances like in the 80s"),
    ],
)
def test_the_time_of_a_motion(words, seconds, rest):
    assert stated_duration(words) == (pytest.approx(seconds), rest)


@pytest.mark.parametrize(
    ("words", "states"),
    [
        ("walks at 0.5 m/s", True),
        ("walks at half a meter per second", True),
        ("walks at two meters a second", True),
        ("runs at 10 km/h", True),
        ("turns at 30 degrees per second", True),
        ("walks two meters in 5 seconds", False),
        ("walks 140 steps a minute", False),
    ],
)
def test_a_speed(words, states):
    assert states_speed(words) == states

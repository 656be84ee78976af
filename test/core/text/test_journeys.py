"""What sentences say of ways, steps and turns."""

from __future__ import annotations

import math

import pytest

from nextscale_core.text.journeys import LONGEST, journey, unkept


@pytest.mark.parametrize(
    ("sentence", "ways"),
    [
        ("a person walks forward two meters", [("forward", 2.0)]),
        ("go forward 1m", [("forward", 1.0)]),
        ("2 meters forward", [("forward", 2.0)]),
        ("walk 3 meters back", [("backward", 3.0)]),
        ("walk -2 meters", [("backward", 2.0)]),
        ("steps 20 cm to the right", [("right", 0.2)]),
        ("move 30 centimeters left", [("left", 0.3)]),
        ("walk sideways one meter", [("sideways", 1.0)]),
        ("a woman runs five meters", [("forward", 5.0)]),
        ("take two steps back", [("backward", 1.1)]),
        ("takes a step forward", [("forward", 0.62)]),
        ("take a few small steps to the left", [("left", 1.35)]),
        ("take 0 steps forward", [("forward", 1e-3)]),
        ("turn 30 degrees to the left", [("left", math.radians(30.0))]),
        ("turn -30 degrees left", [("right", math.radians(30.0))]),
        ("turn -30 degrees", [("right", math.radians(30.0))]),
        ("turn 180 degrees", [("", math.pi)]),
        ("walk two meters and stop", [("forward", 2.0)]),
        ("walk 1 meter forward while waving", [("forward", 1.0)]),
        ("walk 2 meters, then turn around", [("forward", 2.0), ("", math.pi)]),
        ("walk one meter, turn left and walk 50 cm",
         [("forward", 1.0), ("left", math.pi / 2), ("forward", 0.5)]),
        # Who has turned around walks back forward.
        ("walk 2 meters, turn around and walk 3 meters back",
         [("forward", 2.0), ("", math.pi), ("forward", 3.0)]),
        ("take two steps forward, then one step back", [("forward", 1.24), ("backward", 0.55)]),
        ("walk two meters, then wave", [("forward", 2.0), None]),
        ("walk two meters, then dance", [("forward", 2.0), None]),
        ("after walking two meters, sit down", [("forward", 2.0), None]),
        ("walk 1000 km", [("forward", LONGEST)]),
        ("walk 2m forward and 1m to the right", [("forward", 2.0), ("right", 1.0)]),
        ("two steps forward and one step back", [("forward", 1.24), ("backward", 0.55)]),
        ("shift left 20 cm", [("left", 0.2)]),
        ("turn left 90", [("left", math.pi / 2)]),
        ("soldier takes four paces to the rear", [("backward", 2.2)]),
        ("three lateral paces", [("sideways", 1.35)]),
        ("he takes a few paces back to see the canvas", [("backward", 1.65)]),
        ("take four paces, face about, take four paces home",
         [("forward", 2.48), ("", math.pi), ("forward", 2.48)]),
        ("advance four steps, about turn, then four steps back to the start",
         [("forward", 2.48), ("", math.pi), ("forward", 2.48)]),
        ("3 steps forward, do a 180 and walk 2 meters backwards",
         [("forward", 1.86), ("", math.pi), ("backward", 2.0)]),
        # Nothing is stated.
        ("a person steps back", []),
        ("a person walks forward", []),
        ("turn left", []),
        ("walk one step at a time", []),
        ("one step after the other", []),
        ("climb three steps", []),
        ("walk up two steps", []),
        ("someone strolls at a slow pace", []),
        ("at ten paces the duellist swings round", []),
        ("one foot off the ground, arms out", []),
        ("execute forward locomotion, 180-degree rotation, and return to origin", []),
        ("wave two times", []),
        ("jumps two meters forward", []),
    ],
)  # fmt: skip
def test_ways_and_turns(sentence, ways):
    legs = journey(sentence)
    found = [leg.travel and (leg.travel.direction, leg.travel.goal()) for leg in legs]
    assert len(found) == len(ways)
    for own, wanted in zip(found, ways, strict=True):
        assert (own is None) == (wanted is None)
        if own:
            assert own[0] == wanted[0] and own[1] == pytest.approx(wanted[1])
    if len(legs) == 1:
        assert legs[0].sentence == sentence


def test_a_metre_is_one_of_the_robot_and_a_step_is_one_of_its_legs():
    (metres,), (steps,), (turn,) = map(
        journey, ["walk two meters", "take two steps", "turn 90 degrees"]
    )
    assert metres.travel.goal(0.5) == 4.0
    assert steps.travel.goal(0.5) == steps.travel.goal(1.0)
    assert turn.travel.goal(0.5) == turn.travel.goal(1.0)


def test_words_that_rules_do_not_know_take_the_length_from_the_sentence():
    (leg,) = journey("slide 2 meters to the left", "a person steps sideways to the left")
    assert (leg.travel.direction, leg.travel.length) == ("left", 2.0)
    sentence = "glide two meters ahead"
    legs = journey(sentence, "a person walks forward")
    assert legs[0].travel.length == 2.0 and unkept(sentence, legs) is None


def test_what_is_not_kept_is_said():
    def told(sentence):
        return unkept(sentence, journey(sentence))

    assert told("walk two meters") is None
    assert "may be left out" in told("walk two meters, flarp, then wave")
    assert told("a person walks") is None
    assert "walks and runs only" in told("march 3 meters")
    assert "cut to 20 m" in told("walk 300 meters")
    assert "send its parts one by one" in told("walk two meters and stand on your left leg")

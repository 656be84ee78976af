"""What sentences say of ways, steps and turns."""

from __future__ import annotations

import math

import pytest

from nextscale_core.text.journeys import LONGEST, MOST_SECONDS, journey, unkept


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
        # Back to where it began.
        ("walk 2 meters and come back", [("forward", 2.0), ("", math.pi), ("forward", 2.0)]),
        ("walk forward one metre and back again",
         [("forward", 1.0), ("", math.pi), ("forward", 1.0)]),
        ("jog 3 meters and return to the start",
         [("forward", 3.0), ("", math.pi), ("forward", 3.0)]),
        ("walk 2 m, turn around and come back",
         [("forward", 2.0), ("", math.pi), ("forward", 2.0)]),
        ("walk 3 m, turn and come back", [("forward", 3.0), ("", math.pi), ("forward", 3.0)]),
        ("step 1 m to the left and come back", [("left", 1.0), ("right", 1.0)]),
        ("walk back 1 m, then come back", [("backward", 1.0), ("forward", 1.0)]),
        ("take two steps forward, pick up a box and return",
         [("forward", 1.24), None, ("", math.pi), ("forward", 1.24)]),
        ("make a half turn and walk back one meter", [("", math.pi), ("forward", 1.0)]),
        ("turn around and take 4 steps back", [("", math.pi), ("forward", 2.48)]),
        # Walk after walk.
        ("walk 2 meters and walk 1 meter back", [("forward", 2.0), ("backward", 1.0)]),
        ("walk forward 2 m and walk back 1 m", [("forward", 2.0), ("backward", 1.0)]),
        ("walk 2 m, then walk 2 more", [("forward", 2.0), ("forward", 2.0)]),
        ("walk three steps forward and three back", [("forward", 1.86), ("backward", 1.65)]),
        ("walk 2 meters forward and 1 back", [("forward", 2.0), ("backward", 1.0)]),
        ("two steps left and two right", [("left", 0.9), ("right", 0.9)]),
        ("step forward 1 m and to the right 50 cm", [("forward", 1.0), ("right", 0.5)]),
        ("step to the left twice", [("left", 0.9)]),
        ("retreat two steps", [("backward", 1.1)]),
        ("walk two meters, stop, turn around, and walk back",
         [("forward", 2.0), ("", math.pi), ("forward", 2.0)]),
        ("pace back and forth 3 meters", [("forward", 3.0), ("", math.pi), ("forward", 3.0)]),
        ("walk in a square of 2 meters", [("forward", 2.0), ("left", math.pi / 2)] * 4),
        ("walk clockwise in a square", [("forward", 1.0), ("right", math.pi / 2)] * 4),
        ("turn left by 90 degrees then right by 45 degrees",
         [("left", math.pi / 2), ("right", math.pi / 4)]),
        # To a side.
        ("walk to the right for 1 meter", [("right", 1.0)]),
        ("walk left 2 meters", [("left", 2.0)]),
        ("run to the right for 3 m", [("right", math.pi / 2), ("forward", 3.0)]),
        ("run 3 m to the left", [("left", math.pi / 2), ("forward", 3.0)]),
        # Marches, runs and jumps.
        ("jumps two meters forward", [("forward", 2.0)]),
        ("hop forward 30 cm, then walk one meter", [("forward", 0.3), ("forward", 1.0)]),
        ("march forward 2 meters", [("forward", 2.0)]),
        ("march 4 steps backward", [("backward", 2.2)]),
        ("run ten steps", [("forward", 12.0)]),
        # Turns that are counted.
        ("spin around twice", [("", 4 * math.pi)]),
        ("turns left twice", [("left", math.pi)]),
        ("do two full turns", [("", 4 * math.pi)]),
        ("turn 90 degrees to the left four times", [("left", 2 * math.pi)]),
        ("turn around three times", [("", 6 * math.pi)]),
        # Nothing is stated.
        ("march in place for ten steps", []),
        ("spin around once", []),
        ("walk forward, then come back", []),
        ("walk around the square", []),
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
        ("jumps two meters to the side", []),
        ("jump up 20 cm", []),
        ("jump 20 cm high", []),
        ("jump forward twice, 50 cm each", []),
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


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("a person walks for 2 seconds", [("a person walks", 2.0)]),
        ("walk for 30 seconds", [("walk", 30.0)]),
        ("for 5 seconds, walk forward", [("walk forward", 5.0)]),
        ("walk forward, for 3 seconds", [("walk forward", 3.0)]),
        ("dance for twelve seconds", [("dance", 12.0)]),
        ("jump up and down for 10 seconds", [("jump up and down", 10.0)]),
        ("stand still for a minute and a half", [("stand still", 90.0)]),
        ("walk for 3 seconds, then wave for 2 seconds", [("walk", 3.0), ("wave", 2.0)]),
        ("walk for 3 seconds and wave for 2", [("walk", 3.0), ("wave", 2.0)]),
        ("dance for 5 seconds, then wave for three", [("dance", 5.0), ("wave", 3.0)]),
        ("walk for ten seconds and stop", [("walk", 10.0), ("stop", None)]),
        ("walks for 3 seconds while waving, then sits",
         [("walks while waving", 3.0), ("sits", None)]),
        ("after walking for 3 seconds, sit down", [("walking", 3.0), ("sit down", None)]),
        ("wave, wait for two seconds, then walk 1 meter",
         [("wave", None), ("wait", 2.0), ("walk 1 meter", None)]),
        ("clap three times, then stand for 4 seconds",
         [("clap three times", None), ("stand", 4.0)]),
        ("walk for a few seconds, turn around and walk back for a few seconds",
         [("walk", 3.0), ("turn around", None), ("walk forward", 3.0)]),
        ("walk for 5 seconds and come back",
         [("walk", 5.0), ("turns around", None), ("walks forward", 5.0)]),
        ("walk 3 meters in 6 seconds and come back in 8 seconds",
         [("walk 3 meters", 6.0), ("turns around", None), ("walks 3 meters forward", 8.0)]),
        # Of a part, or of no motion.
        ("raise the right arm and hold it for 20 seconds", []),
        ("raise the right arm, then hold for 3 seconds, then lower it", []),
        ("sit down and wait for 3 seconds, then stand up", []),
        ("after 3 seconds, wave", []),
        ("jump every 2 seconds", []),
        ("dance like in the 80s", []),
    ],
)  # fmt: skip
def test_times_of_parts(sentence, parts):
    assert [(leg.sentence, leg.seconds) for leg in journey(sentence)] == parts


def test_who_turns_for_a_time_goes_on_turning():
    (spin,), (twice,) = journey("spin for 5 seconds"), journey("spin twice in 5 seconds")
    assert spin.travel is None and twice.travel.turn == pytest.approx(4 * math.pi)
    (slow,) = journey("turn around over 4 seconds")
    assert (slow.travel.turn, slow.seconds) == (pytest.approx(math.pi), 4.0)


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
    assert "jumps forward only" in told("jump 2 meters to the left")
    assert "cut to 5" in told("spin seven times")
    assert "cut to 20 m" in told("walk 300 meters")
    assert "cut to 60 s" in told("walk for two minutes") and MOST_SECONDS == 60.0
    assert told("walk for 30 seconds, then wave for 3") is None
    assert "may be left out" in told("walk for 3 seconds, flarp, then wave")
    assert "speeds are not kept" in told("walk at half a meter per second")
    assert "send its parts one by one" in told("walk two meters and stand on your left leg")

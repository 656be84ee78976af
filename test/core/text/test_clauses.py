"""What is read from a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.text.clauses import Claim, clauses, denied


@pytest.mark.parametrize(
    ("sentence", "wanted"),
    [
        ("a person walks forward", [[Claim("walk", direction="forward")]]),
        ("Someone backs up slowly", [[Claim("walk", direction="backward", pace=-1)]]),
        ("he sidesteps to the left", [[Claim("walk", "left", "left")]]),
        ("the robot jogs in place", [[Claim("run", direction="place")]]),
        ("she waves both hands", [[Claim("wave", "both")]]),
        ("please wave with the left hand", [[Claim("wave", "left")]]),
        ("a person throws three punches", [[Claim("punch", count=3)]]),
        ("he throws a ball", [[Claim("throw")]]),
        ("somebody jumps 2 times", [[Claim("jump", count=2)]]),
        ("turn 90 degrees to the right", [[Claim("turn", "right", degrees=90.0)]]),
        ("turn by 90 degrees clockwise", [[Claim("turn", "right", degrees=90.0)]]),
        ("she makes a u-turn", [[Claim("turn", degrees=180.0)]]),
        ("pirouette", [[Claim("turn", degrees=360.0)]]),
        ("he spins halfway around to the left", [[Claim("turn", "left", degrees=180.0)]]),
        ("walks clockwise in a circle", [[Claim("circle", "right")]]),
        ("does three jumping jacks", [[Claim("jacks", count=0)]]),
        ("bends over and picks up a box", [[Claim("pick_up")]]),
        ("walks, then turns around", [[Claim("walk", direction="forward")],
                                      [Claim("turn", degrees=180.0)]]),
        ("sits down after clapping twice", [[Claim("clap", count=2)], [Claim("sit")]]),
        ("claps before sitting down", [[Claim("clap")], [Claim("sit")]]),
        ("walks backward while waving the right hand",
         [[Claim("walk", "", "backward"), Claim("wave", "right")]]),
        ("jump 2x", [[Claim("jump", count=2)]]),
        ("squats x5", [[Claim("squat", count=5)]]),
        ("claps ten times", [[Claim("clap", count=10)]]),
        ("take two steps back", [[Claim("walk", "", "backward", 2)]]),
        ("walks back to the start", [[Claim("walk", direction="forward")]]),
        ("step to the left", [[Claim("walk", "left", "left")]]),
        ("steps with the left foot", [[Claim("walk", "left", "forward")]]),
        ("walk, do not run", [[Claim("walk", direction="forward")]]),
        ("she doesn't raise her left arm", []),
        ("walks without stopping", [[Claim("walk", direction="forward")]]),
        ("walk back and forth",
         [[Claim("walk", direction="forward")], [Claim("turn", degrees=180.0)],
          [Claim("walk", direction="forward")]]),
        ("walks to the wall and back",
         [[Claim("walk", direction="forward")], [Claim("turn", degrees=180.0)],
          [Claim("walk", direction="forward")]]),
        ("he walks forward, turns and comes back slowly",
         [[Claim("walk", direction="forward")], [Claim("turn", degrees=180.0)],
          [Claim("walk", direction="forward", pace=-1)]]),
        ("goes to the left and back",
         [[Claim("walk", "left", "left")], [Claim("walk", "right", "right")]]),
        ("steps forward and back",
         [[Claim("walk", direction="forward")], [Claim("walk", direction="backward")]]),
        ("walks around the pond and back", [[Claim("walk", direction="forward")]]),
        ("he bends down and comes back up", [[Claim("bend")]]),
        ("marches in place for ten steps", [[Claim("march", direction="place", count=10)]]),
        ("spins in the air during a leap", [[Claim("air_spin")]]),
        ("rotate fully once", [[Claim("turn", count=1, degrees=360.0)]]),
        ("jump up and down two times", [[Claim("jump", count=2)]]),
        ("he jumps, then jumps again", [[Claim("jump", count=2)]]),
        ("one jump, and then a second one", [[Claim("jump", count=2)]]),
        ("walks eight steps", [[Claim("walk", direction="forward", count=8)]]),
        ("he turns left and turns right", [[Claim("turn", "left")], [Claim("turn", "right")]]),
        ("raise your left hand and wave", [[Claim("wave", "left")]]),
        ("retreat slowly while facing forward", [[Claim("walk", "", "backward", pace=-1)]]),
        ("amble along in no hurry", [[Claim("walk", direction="forward", pace=-1)]]),
        ("circle around on foot, against the clock", [[Claim("circle")]]),
        ("do a lap by walking in a circle against the clock", [[Claim("circle", "left")]]),
        ("puts her hands on her hips", []),
        ("stands back up", []),
        ("does sit-ups", []),
        ("bends the left elbow", []),
        ("throws her hands up in the air", [[Claim("raise", "both")]]),
        ("strikes the ball with the right foot", [[Claim("kick", "right")]]),
        ("a person juggles", []),
        ("", []),
    ],
)  # fmt: skip
def test_actions_are_read_in_their_order_with_side_count_and_direction(sentence, wanted):
    assert [list(group) for group in clauses(sentence)] == wanted


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("do not walk", "do not walk"),
        ("She doesn't raise her left arm", "doesn't raise her left arm"),
        ("sits down without turning", "without turning"),
        ("don't move", ""),
        ("walks without stopping", ""),
        ("stop walking", ""),
        ("a person with no shoes walks", ""),
    ],
)
def test_an_action_that_is_denied_is_found(sentence, words):
    assert denied(sentence) == words


@given(st.text())
def test_any_text_can_be_read(text):
    clauses(text)
    denied(text)

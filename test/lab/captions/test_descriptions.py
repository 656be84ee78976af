"""The shorthand of mocap trials becomes plain English."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from nextscale_lab.captions.descriptions import sentence_from_description

SHARED = Path(os.environ.get("NEXTSCALE_SHARED", Path(__file__).parents[4] / "shared"))
TRIALS = SHARED / "data" / "cmu" / "trials.jsonl"


@pytest.mark.parametrize(
    ("description", "caption"),
    [
        ("walk", "a person walks"),
        ("walk, veer left", "a person walks and veers left"),
        ("jump, balance", "a person jumps and balances"),
        ("punch/strike", "a person punches"),
        ("walk, 90-degree right turn", "a person walks and turns right 90 degrees"),
        ("HurtLegWalk", "a person walks with a hurt leg"),
        ("AttitudeWalk8", "a person walks with attitude in a figure eight"),
        ("Left_Punch_Sequence001", "a person punches several times with the left hand"),
        ("Run Jump Stop Run", "a person runs, jumps, stops and runs"),
        ("walking, running, kicking", "a person walks, runs and kicks"),
        ("Walk sideway", "a person walks sideways"),
        ("360 jump", "a person jumps and spins 360 degrees in the air"),
        (
            "navigate - walk forward, backward, sideways",
            "a person walks forward, walks backward and walks sideways",
        ),
    ],
)
def test_shorthand_is_spelled_out(description, caption):
    assert sentence_from_description(description)[0] == caption


def test_a_choice_gives_one_caption_each():
    assert sentence_from_description("run/jog, sudden stop") == [
        "a person runs and stops suddenly",
        "a person jogs and stops suddenly",
    ]


def test_each_of_two_people_gets_a_caption_of_his_own():
    line = "A pulls B; B resists (2 subjects - subject {})"
    assert sentence_from_description(line.format("A")) == ["a person pulls someone"]
    assert sentence_from_description(line.format("B")) == ["a person resists being pulled"]
    thrown = "walk; A catches keys thrown by B (2 subjects - subject {})"
    assert sentence_from_description(thrown.format("A")) == ["a person walks and catches keys"]
    assert sentence_from_description(thrown.format("B")) == [
        "a person walks and throws keys to someone"
    ]


@pytest.mark.parametrize("useless", ["", "  ", "unknown", "motion 1", "Take 12", "qwerty"])
def test_a_description_that_says_nothing_gives_no_caption(useless):
    assert sentence_from_description(useless) == []


@pytest.mark.skipif(not TRIALS.exists(), reason="the shared CMU data is not on this machine")
def test_nearly_every_trial_of_the_data_gets_a_plain_sentence():
    lines = [json.loads(line)["description"] or "" for line in TRIALS.open()]
    captions = [sentence_from_description(line) for line in lines]
    assert sum(map(bool, captions)) >= 0.98 * len(lines)
    spoken = [text for found in captions for text in found]
    assert all(re.fullmatch(r"a person [a-z][A-Za-z0-9 ,'/-]+[a-z0-9]", text) for text in spoken)
    for line, found in zip(lines, captions, strict=True):
        sides = set(re.findall(r"left|right(?!.?angle)", line.lower()))
        assert all(set(re.findall(r"left|right(?!.?angle)", text)) == sides for text in found)

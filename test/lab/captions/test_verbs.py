"""Verbs are counted as actions."""

from __future__ import annotations

import pytest

from nextscale_lab.captions.verbs import count_verbs


@pytest.mark.parametrize(
    ("caption", "verbs"),
    [
        ("a person walks forward", 1),
        ("a person walks forward and then sits down", 2),
        ("walking, turning around, and jumping", 3),
        ("a person is walking while waving", 2),
        ("a person takes three steps", 1),
        ("a person takes a small step and makes a sharp turn", 2),
        ("a person begins to walk", 1),
        ("the man keeps walking in a circle", 1),
        ("the man starts, then stops", 2),
        ("someone does 2 jumps", 1),
        ("Person RAN quickly.", 1),
        ("the hands of a person", 0),
    ],
)
def test_actions_count_and_nouns_and_helpers_do_not(caption, verbs):
    assert count_verbs(caption) == verbs

"""Each check of the core battery passes on its own motion and fails on what it must not take."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.motion.tracks import Tracks, runs_of
from nextscale_lab.evaluate.checks import apply_check, check_names, validate_thresholds
from nextscale_lab.evaluate.path_checks import swings
from nextscale_lab.evaluate.prompt_suite import load_prompt_suite

CORE = {item.sentence.removeprefix("a person "): item for item in load_prompt_suite(core=True)}


def shows(clip, sentence: str) -> bool:
    item = CORE[sentence]
    return apply_check(item.check, clip, item.thresholds).passed


@pytest.mark.parametrize("sentence", sorted(CORE))
def test_the_motion_of_a_sentence_passes_its_check(motions, sentence):
    assert shows(motions[sentence], sentence)


@pytest.mark.parametrize("sentence", sorted(set(CORE) - {"stands still"}))
def test_who_stands_still_does_nothing_else(motions, sentence):
    assert not shows(motions["stands still"], sentence)


@pytest.mark.parametrize(
    "sentence",
    (
        "walks forward",
        "walks backward",
        "runs",
        "walks in a circle",
        "hops",
        "squats",
        "sits down",
        "turns around",
    ),
)
def test_who_moves_for_most_of_the_time_does_not_stand_still(motions, sentence):
    assert not shows(motions[sentence], "stands still")


@pytest.mark.parametrize("sentence", sorted(CORE))
def test_no_verdict_depends_on_where_the_clip_starts_and_faces(motions, sentence, person, walking):
    clip = motions[sentence]
    angle = 2.3
    cos, sin = np.cos(angle), np.sin(angle)
    joints = clip.joints.copy()
    joints[..., :2] = joints[..., :2] @ np.array([[cos, sin], [-sin, cos]]) + [4.0, -7.0]
    moved = type(clip)(joints)
    assert shows(moved, sentence)


@pytest.mark.parametrize(
    "sentence", ["waves the right hand", "waves the left hand", "kicks with the right leg"]
)
def test_a_mirrored_motion_fails_the_check_of_a_side(motions, sentence):
    assert not shows(mirror_clip(motions[sentence]), sentence)


@pytest.mark.parametrize(
    "sentence", sorted(s for s in CORE if "right" not in s and "left" not in s)
)
def test_a_mirrored_motion_passes_where_no_side_is_said(motions, sentence):
    assert shows(mirror_clip(motions[sentence]), sentence)


@pytest.mark.parametrize(
    ("done", "said"),
    [
        ("walks forward", "walks backward"),
        ("walks forward", "runs"),
        ("walks forward", "walks in a circle"),
        ("walks forward", "turns around"),
        ("walks backward", "walks forward"),
        ("runs", "walks forward"),
        ("runs", "jumps"),
        ("runs", "hops"),
        ("jumps", "walks forward"),
        ("hops", "runs"),
        ("turns around", "walks in a circle"),
        ("raised right hand", "waves the right hand"),
        ("raised right hand", "raises both arms"),
        ("raises both arms", "waves the right hand"),
        ("waves the right hand", "raises both arms"),
        ("waves the right hand", "punches"),
        ("squats", "sits down"),
        ("squats", "jumps"),
        ("sits down", "squats"),
        ("squats", "picks something up from the floor"),
        ("kicks with the right leg", "walks forward"),
        ("walks forward", "kicks with the right leg"),
        ("runs", "kicks with the right leg"),
    ],
)
def test_one_thing_is_not_taken_for_another(motions, done, said):
    assert not shows(motions[done], said)


def test_a_body_that_slides_on_still_feet_does_not_walk(person):
    assert not shows(person(x=lambda t: 1.0 * t), "walks forward")


def test_half_a_circle_is_no_circle(circle_walk):
    assert not shows(circle_walk(turns=0.5), "walks in a circle")


def test_the_side_of_a_circle_is_seen(circle_walk):
    thresholds = {"min_degrees": 270, "min_width": 0.5}
    left = apply_check("circle", circle_walk(1), {**thresholds, "side": "left"})
    right = apply_check("circle", circle_walk(1), {**thresholds, "side": "right"})
    assert left.passed
    assert not right.passed


def test_jumps_are_counted(jumping):
    twice = jumping(at=(1.0, 2.5))
    thresholds = {"min_rise": 0.2, "min_air_seconds": 0.2}
    assert apply_check("jump", twice, {**thresholds, "min_count": 2, "max_count": 2}).passed
    assert not apply_check("jump", twice, {**thresholds, "min_count": 3}).passed


def test_sidesteps_have_a_side(walking):
    thresholds = {"min_distance": 0.8, "min_speed": 0.2, "max_speed": 2.0}
    for direction, passes in (("left", True), ("sideways", True), ("right", False)):
        verdict = apply_check(
            "travel", walking(0.6, "left"), {**thresholds, "direction": direction}
        )
        assert verdict.passed is passes


def test_a_clip_of_one_frame_shows_nothing_but_standing(motions):
    still = motions["stands still"].slice(0, 1)
    assert not any(shows(still, sentence) for sentence in CORE)


def test_swings_count_rises_and_falls_of_a_size():
    assert swings(np.array([0, 1, 0, 1, 0.9, 1, 0]), 0.5) == 4
    assert swings(np.array([0, 0.2, 0, 0.2]), 0.5) == 0
    assert swings(np.array([3.0]), 0.5) == 0


def test_stretches_are_found_bridged_and_sieved():
    mask = np.array([1, 1, 0, 1, 0, 0, 1], dtype=bool)
    assert runs_of(mask) == [(0, 2), (3, 4), (6, 7)]
    assert runs_of(mask, bridge=1) == [(0, 4), (6, 7)]
    assert runs_of(mask, at_least=2) == [(0, 2)]
    assert runs_of(~mask[:0]) == []


def test_the_heading_is_read_from_the_body(person):
    tracks = Tracks(person(1.0, heading=0.7))
    assert np.allclose(tracks.heading, 0.7)
    assert np.allclose(tracks.hip_heading, 0.7)


@pytest.mark.parametrize(
    ("name", "thresholds", "words"),
    [
        ("fly", {}, "unknown check 'fly'"),
        ("turn", {"degrees": 3}, "unknown key 'degrees'; did you mean 'min_degrees'"),
        ("turn", {}, "'min_degrees' is missing"),
        ("turn", {"min_degrees": "many"}, "min_degrees must be a number"),
        ("turn", {"min_degrees": True}, "min_degrees must be a number"),
        ("turn", {"min_degrees": 90, "side": 3}, "side must be 'left', 'right' or 'any', got 3"),
    ],
)
def test_bad_thresholds_are_named(name, thresholds, words):
    with pytest.raises(ConfigError, match=words):
        validate_thresholds(name, thresholds)


@pytest.mark.parametrize(
    ("name", "thresholds"),
    [
        ("turn", {"min_degrees": 90, "side": "up"}),
        ("travel", {"direction": "up", "min_distance": 1, "min_speed": 1, "max_speed": 2}),
        ("jump", {"min_rise": 0.1, "min_air_seconds": 0.1, "same_feet": "maybe"}),
        ("raise_arms", {"side": "any", "min_height": 0, "min_rise": 0, "hold_seconds": 0}),
    ],
)
def test_an_unknown_choice_is_refused(person, name, thresholds):
    with pytest.raises(ConfigError, match="must be"):
        apply_check(name, person(1.0), thresholds)


def test_all_checks_of_the_package_are_registered():
    assert {"circle", "jump", "kick", "pick_up", "punch", "raise_arms", "sit"} <= set(check_names())

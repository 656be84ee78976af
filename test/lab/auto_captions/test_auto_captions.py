"""Captions by rule of synthetic motions with known captions."""

from __future__ import annotations

import numpy as np
import pytest

from lab.auto_captions.person import (
    FPS,
    HANGING,
    arc,
    chain,
    glide,
    go,
    person,
    seconds,
    still,
)
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.text.mirror import mirror_text
from nextscale_lab.auto_captions import caption_recording


def kinds(clip, description="", **more) -> set[str]:
    return {item.kind for item in caption_recording(clip, description, **more)}


def words(clip, description="") -> str:
    return " . ".join(c for item in caption_recording(clip, description) for c in item.captions)


def circle(degrees: float, speed: float = 1.0, radius: float = 1.0) -> np.ndarray:
    duration = abs(np.radians(degrees)) * radius / speed
    return arc(np.zeros(3), degrees, duration, speed)


# --- paths ----------------------------------------------------------------------------------
def test_a_stand_is_only_a_stand():
    clip = person(still(6.0))
    assert kinds(clip) == {"stand"}
    assert "walk" not in words(clip) and "turn" not in words(clip)


def test_a_straight_walk_is_a_walk_of_ordinary_speed():
    clip = person(go(np.zeros(3), 6.0, 1.1))
    assert kinds(clip) == {"walk"}
    assert "walk" in words(clip)
    assert not {"slowly", "quickly", "runs", "turns"} & set(words(clip).split())


@pytest.mark.parametrize(
    ("speed", "kind", "word"), [(0.5, "walk_slow", "slow"), (1.85, "walk_fast", "walk")]
)
def test_a_clear_pace_is_described(speed, kind, word):
    clip = person(go(np.zeros(3), 6.0, speed))
    assert kinds(clip) == {kind}
    assert all(word in c for item in caption_recording(clip) for c in item.captions)


def test_a_bouncing_gait_is_a_run():
    clip = person(go(np.zeros(3), 5.0, 2.0), runs=True)
    assert kinds(clip) == {"run"}
    assert "walk" not in words(clip)


@pytest.mark.parametrize(
    ("towards", "kind"), [(180, "back"), (90, "side_left"), (-90, "side_right")]
)
def test_direction_relative_to_the_body_is_described(towards, kind):
    clip = person(go(np.zeros(3), 5.0, 0.8, np.radians(towards)))
    assert kinds(clip) == {kind}


def test_a_walk_between_two_directions_is_not_described():
    assert kinds(person(go(np.zeros(3), 5.0, 0.8, np.radians(62.5)))) == set()


@pytest.mark.parametrize(("degrees", "side"), [(90, "left"), (-90, "right")])
def test_a_quarter_turn_on_the_spot(degrees, side):
    way = chain(still(2.0), lambda s: arc(s, degrees, 1.0, 0.0), lambda s: still(2.0, *s))
    clip = person(way)
    assert f"turn_{side}" in {k for kind in kinds(clip) for k in kind.split("+")}
    other = {"left": "right", "right": "left"}[side]
    assert side in words(clip) and other not in words(clip)


def test_walk_turn_walk_comes_back():
    way = chain(
        go(np.zeros(3), 3.0, 1.0), lambda s: arc(s, 180, 1.4, 0.05), lambda s: go(s, 3.0, 1.0)
    )
    found = [item for item in caption_recording(person(way)) if item.kind == "walk_turn_walk"]
    assert found
    assert all("back" in caption for item in found for caption in item.captions)


def test_a_turn_of_unclear_size_is_not_described():
    way = chain(still(2.0), lambda s: arc(s, 265, 2.5, 0.0), lambda s: still(2.0, *s))
    assert not any("turn" in kind or "spin" in kind for kind in kinds(person(way)))


# --- loops ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("degrees", "kind", "clock"),
    [(380, "circle_left", "counterclockwise"), (-380, "circle_right", "clockwise")],
)
def test_a_circle_has_its_side(degrees, kind, clock):
    found = [i for i in caption_recording(person(circle(degrees))) if i.kind.startswith("circle")]
    assert {item.kind for item in found} == {kind}
    wrong = {"circle_left": " right", "circle_right": " left"}[kind]
    for item in found:
        for caption in item.captions:
            assert wrong not in caption
            assert clock == "counterclockwise" or "counterclockwise" not in caption
    assert all(item.end - item.start <= 9.8 * FPS for item in found)


def test_a_run_in_a_circle_is_a_run():
    clip = person(circle(400, speed=1.8, radius=1.5), runs=True)
    found = [i for i in caption_recording(clip) if i.kind == "circle_run_left"]
    assert found and all("walk" not in c for i in found for c in i.captions)


def test_a_long_oval_is_not_a_circle():
    way = chain(
        go(np.zeros(3), 2.5, 1.0), lambda s: arc(s, 180, 1.4, 1.0), lambda s: go(s, 2.5, 1.0),
        lambda s: arc(s, 180, 1.4, 1.0), lambda s: go(s, 1.0, 1.0),
    )  # fmt: skip
    assert not any("circle" in kind and "half" not in kind for kind in kinds(person(way)))


def test_half_a_circle_is_not_a_circle():
    found = kinds(person(circle(180, radius=1.4)))
    assert found and not any(kind.startswith("circle") for kind in found)


def test_two_circles_of_both_signs_are_a_figure_eight():
    way = chain(circle(360, 1.3, 0.9), lambda s: arc(s, -360, 2 * np.pi * 0.9 / 1.3, 1.3))
    assert "figure_eight" in kinds(person(way))


def test_one_circle_is_not_a_figure_eight():
    assert "figure_eight" not in kinds(person(circle(720, 1.3, 0.9)))


# --- jumps ----------------------------------------------------------------------------------
def hops(*starts: float, frames: int, duration: float = 0.45) -> np.ndarray:
    """(T,) height of flights under gravity."""
    t = np.arange(frames) / FPS
    height = np.zeros(frames)
    for start in starts:
        s = t - start
        height = np.maximum(height, 0.5 * 9.81 * s * (duration - s))
    return height


@pytest.mark.parametrize(
    ("starts", "kind"),
    [((2.0,), "jump"), ((1.5, 2.7), "jump_twice"), ((1.5, 2.7, 3.9), "jump_three")],
)
def test_jumps_are_counted(starts, kind):
    way = still(7.0)
    clip = person(way, flight=hops(*starts, frames=len(way)))
    whole = [i for i in caption_recording(clip) if i.kind == kind]
    assert whole
    for item in whole:
        inside = [s for s in starts if item.start < s * FPS and (s + 0.45) * FPS < item.end]
        assert len(inside) == len(starts)


def test_lifted_feet_that_do_not_fall_are_not_a_jump():
    way = still(6.0)
    hangs = np.clip(np.abs(np.arange(len(way)) / FPS - 3.0) * -2 + 1.5, 0, 0.3)
    assert not any("jump" in kind for kind in kinds(person(way, flight=hangs)))


def test_a_jump_forward_goes_forward():
    way = chain(still(2.0), lambda s: go(s, 0.45, 1.8), lambda s: still(2.0, *s))
    clip = person(way, flight=hops(2.0, frames=len(way)))
    found = [i for i in caption_recording(clip) if i.kind.startswith("jump_forward")]
    assert found and all("forward" in c or "leap" in c for i in found for c in i.captions[:1])


# --- words ----------------------------------------------------------------------------------
def test_the_mirror_image_is_described_with_the_other_side():
    way = chain(still(2.0), lambda s: arc(s, 90, 1.0, 0.0), lambda s: still(2.0, *s))
    clip = person(way)
    mirrored = {tuple(i.captions) for i in caption_recording(mirror_clip(clip), name="a")}
    described = {tuple(map(mirror_text, i.captions)) for i in caption_recording(clip, name="a")}
    # Words are drawn by one seed; the plain first sentences speak of the same side.
    assert {"left" in " ".join(c) for c in mirrored} == {"left" in " ".join(c) for c in described}
    assert "left" not in words(mirror_clip(clip)) and "right" in words(mirror_clip(clip))


def test_every_side_word_is_swapped_by_mirroring():
    way = chain(circle(380), lambda s: arc(s, -90, 1.0, 0.0), lambda s: go(s, 2.0, 0.8, 1.57))
    for item in caption_recording(person(way)):
        for caption in item.captions:
            swapped = mirror_text(caption)
            assert swapped.count("left") == caption.count("right")
            assert swapped.count("right") == caption.count("left")
            assert mirror_text(swapped) == caption


def test_the_same_seed_gives_the_same_words_and_another_seed_others():
    clip = person(chain(go(np.zeros(3), 6.0, 1.1), lambda s: arc(s, 90, 1.2, 0.4)))
    assert caption_recording(clip, seed=3) == caption_recording(clip, seed=3)
    assert caption_recording(clip, seed=3) != caption_recording(clip, seed=4)


def test_windows_are_short_and_have_two_to_four_captions():
    clip = person(go(np.zeros(3), 30.0, 1.1))
    found = caption_recording(clip)
    assert found
    for item in found:
        assert 1.5 <= (item.end - item.start) / FPS <= 9.8
        assert 2 <= len(item.captions) <= 4 and len(set(item.captions)) == len(item.captions)


def test_the_description_filters_recordings():
    clip = person(go(np.zeros(3), 6.0, 1.1))
    assert caption_recording(clip, "salsa dance") == []
    assert all("limp" in c for i in caption_recording(clip, "HurtLegWalk") for c in i.captions)


# --- actions ----------------------------------------------------------------------------------
def test_a_raised_arm_is_described_with_its_side():
    way = still(5.0)
    up = (0.05, 0.1, 0.5)
    track = glide(len(way), (1.0, HANGING), (1.8, up), (3.0, up), (3.8, HANGING))
    for side in ("left", "right"):
        clip = person(way, hands={side: track})
        found = [i for i in caption_recording(clip) if i.kind == f"raise_{side}"]
        assert len(found) == 1
        assert all(side in caption for caption in found[0].captions)
    both = kinds(person(way, hands={"left": track, "right": track}))
    assert "raise_both" in both and not {"raise_left", "raise_right"} & both


def test_a_walk_with_an_arm_up_is_not_a_plain_walk():
    way = go(np.zeros(3), 5.0, 1.0)
    held = np.tile((0.05, 0.1, 0.5), (len(way), 1))
    assert kinds(person(way, hands={"right": held})) == set()


def test_a_walk_with_arms_out_is_described_as_such():
    way = go(np.zeros(3), 5.0, 1.0)
    out = np.tile((0.0, 0.5, 0.0), (len(way), 1))
    clip = person(way, hands={"left": out, "right": out})
    assert kinds(clip) == {"walk_arms_out"}
    assert all("arms" in caption for item in caption_recording(clip) for caption in item.captions)


def punch(frames: int, *at: float) -> np.ndarray:
    guard, hit = (0.15, 0.0, -0.1), (0.5, 0.0, -0.02)
    poses = [(0.0, guard)]
    for time in at:
        poses += [(time - 0.16, guard), (time, hit), (time + 0.05, hit), (time + 0.3, guard)]
    return glide(frames, *poses)


def test_punches_are_counted_and_sided_where_the_description_mentions_a_fight():
    (frames,) = seconds(5.0)
    clip = person(still(5.0), hands={"left": punch(frames, 1.5, 2.5)})
    found = [i for i in caption_recording(clip, "punch/strike") if i.kind == "punch_left"]
    assert found and any("twice" in c or "two" in c for c in found[0].captions)
    assert not any("right" in caption for caption in found[0].captions)
    assert not any("punch" in kind for kind in kinds(clip))


def test_a_kick_is_described_with_its_side():
    way = still(4.0)
    rest, high = (0.0, 0.0, 0.0), (0.76, 0.0, 0.78)
    track = glide(len(way), (1.6, rest), (1.85, high), (2.1, rest))
    found = [
        i for i in caption_recording(person(way, kick={"right": track}), "kick") if "kick" in i.kind
    ]
    assert [i.kind for i in found] == ["kick_right"]


def test_squats_are_counted():
    way = still(8.0)
    t = np.arange(len(way)) / FPS
    sink = 0.45 * sum(np.exp(-(((t - at) / 0.45) ** 2)) for at in (2.0, 3.9))
    found = [i for i in caption_recording(person(way, crouch=sink)) if i.kind == "squats"]
    assert found and any("twice" in c or "two" in c for i in found for c in i.captions)


def test_hands_that_meet_evenly_clap():
    way = still(5.0)
    t = np.arange(len(way)) / FPS
    # The palms lie 0.19 m inward of the shoulders where they meet.
    inward = -0.03 - 0.08 * (1 + np.cos(2 * np.pi * (t - 1.5) / 0.5)) * ((t > 1.2) & (t < 3.4))
    hand = np.column_stack([0.3 + 0 * t, inward, -0.1 + 0 * t])
    found = caption_recording(person(way, hands={"left": hand, "right": hand}))
    assert "clap" in {item.kind for item in found}

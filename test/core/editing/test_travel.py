"""Ways, turns and times are as long as sentences state."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nextscale_core
from nextscale_core.editing.stopping import ends_in_movement
from nextscale_core.model.judge import DisagreementWarning
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import JOINT_NAMES
from nextscale_core.text.language import TextWarning


def moved(clip, begin=0):
    """Place of the pelvis at the end [m], and angle turned [deg], seen from a frame."""
    joints = clip.joints.astype(np.float64)
    yaw = np.unwrap(heading_yaw(joints))
    return joints[-1, 0, :2] - joints[begin, 0, :2], np.degrees(yaw[-1] - yaw[begin])


@pytest.mark.parametrize(
    ("sentence", "place"),
    [
        ("a person walks forward two meters", (2.0, 0.0)),
        ("walk forward 50 cm", (0.5, 0.0)),
        ("walk 12 meters", (12.0, 0.0)),
        ("walk backwards 1.5 m", (-1.5, 0.0)),
        ("take two steps back", (-1.1, 0.0)),
        ("sidestep half a meter to the right", (0.0, -0.5)),
        ("a person runs five meters", (5.0, 0.0)),
        ("walk 1 meter while waving the right hand", (1.0, 0.0)),
        ("walk 0 meters", (0.0, 0.0)),
        ("run 15 meters", (15.0, 0.0)),
        ("march forward 2 meters", (2.0, 0.0)),
        ("walk two meters and come back", (0.0, 0.0)),
        ("walk two meters, turn left 90 degrees and walk one meter", (2.0, 1.0)),
    ],
)
def test_a_way_is_as_long_as_stated(trained, sentence, place):
    clip = trained.generate(sentence, seed=3)
    assert (clip.text, clip.seed, clip.residuals) == (sentence, 3, ())
    np.testing.assert_allclose(moved(clip)[0], place, atol=0.03)
    assert not ends_in_movement(clip) and trained.come_to_rest(clip) is clip
    steps = np.linalg.norm(np.diff(clip.joints[:, 0], axis=0), axis=-1) * clip.fps
    assert steps.max() < 5.0
    again = trained.generate_batch(["a person waves", sentence], seeds=[1, 3])[1]
    np.testing.assert_allclose(again.joints, clip.joints, atol=1e-5)


def test_a_jump_is_as_long_as_stated_and_leaves_the_floor(trained):
    clip = trained.generate("jump one meter forward", seed=3)
    np.testing.assert_allclose(moved(clip)[0], (1.0, 0.0), atol=0.03)
    feet = [JOINT_NAMES.index(f"{side}_foot") for side in ("left", "right")]
    assert clip.joints[:, feet, 2].min(axis=1).max() > 0.1


def test_who_turns_on_the_way_looks_elsewhere_at_its_end(trained):
    clip = trained.generate("walk two meters while turning left", seed=3)
    place, turned = moved(clip)
    np.testing.assert_allclose(place, (2.0, 0.0), atol=0.03)
    assert abs(turned) > 20.0


def test_a_part_may_be_longer_than_the_model_makes_at_once(trained):
    clip = trained.generate("walk one meter, then walk 9 meters", seed=3)
    np.testing.assert_allclose(moved(clip)[0], (10.0, 0.0), atol=0.05)


@pytest.mark.parametrize(
    ("sentence", "angle"),
    [
        ("turn 30 degrees left", 30.0),
        ("turn right 90 degrees", -90.0),
        ("turn -45 degrees left", -45.0),
        ("spin 360 degrees to the left", 360.0),
        ("spin around twice to the left", 720.0),
    ],
)
def test_a_turn_is_as_large_as_stated(trained, sentence, angle):
    clip = trained.generate(sentence, seed=3)
    # The motion starts along +x, apart from what a step turns the hips.
    place, turned = moved(clip)
    turned += np.degrees(heading_yaw(clip.joints[:1])[0])
    assert turned == pytest.approx(angle, abs=3.0)
    np.testing.assert_allclose(place, 0.0, atol=0.03)


def test_a_way_goes_on_from_a_known_motion(trained):
    known = trained.generate("a person walks in a circle", seed=2).slice(0, 61)
    clip = trained.complete(known, None, "walk forward two meters", seed=1)
    np.testing.assert_array_equal(clip.joints[: len(known)], known.joints)
    place, _ = moved(clip, len(known) - 1)
    assert np.linalg.norm(place) == pytest.approx(2.0, abs=0.03)
    steps = np.linalg.norm(np.diff(clip.joints[:, 0], axis=0), axis=-1)
    assert steps[len(known) - 2 :].max() < 0.15


def test_in_a_sequence_each_sentence_keeps_its_length(trained):
    script = ["walk forward one meter", "turn left 90 degrees", "walk forward one meter"]
    clip = trained.sequence(script, seed=3)
    np.testing.assert_allclose(moved(clip)[0], (1.0, 1.0), atol=0.05)
    assert moved(clip)[1] == pytest.approx(90.0, abs=5.0)


@pytest.mark.parametrize("seconds", [4.0, 9.0])
def test_a_given_time_and_length_are_both_kept(trained, seconds):
    clip = trained.generate("walk forward two meters", seed=1, seconds=seconds)
    assert clip.seconds == pytest.approx(seconds, abs=0.2)
    np.testing.assert_allclose(moved(clip)[0], (2.0, 0.0), atol=0.03)
    stated = trained.generate(f"walk forward two meters in {seconds:g} seconds", seed=1)
    assert stated.seconds == pytest.approx(seconds, abs=0.2)


def test_each_part_takes_the_time_that_is_stated(trained):
    clip = trained.generate("stand still for 3 seconds, then run for 4 seconds", seed=1)
    assert clip.seconds == 7.0
    steps = np.linalg.norm(np.diff(clip.joints[:, 0, :2], axis=0), axis=-1)
    assert steps[:50].sum() < 0.2 and steps[80:].sum() > 3.0
    assert trained.come_to_rest(clip) is clip


@pytest.mark.parametrize("sentence", ["walk for 20 seconds", "run for 20 seconds"])
def test_a_stated_time_may_be_longer_than_the_model_makes_at_once(trained, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("error", TextWarning)
        clip = trained.generate(sentence, seed=1)
    assert clip.seconds == 20.0
    steps = np.linalg.norm(np.diff(clip.joints[:, 0, :2], axis=0), axis=-1) * clip.fps
    speeds = np.convolve(steps, np.full(60, 1 / 60), "valid")
    assert speeds.min() > 0.2 and steps.max() < 5.0


def test_a_way_in_a_longer_time_ends_in_a_stand(trained):
    clip = trained.generate("walk two meters in 20 seconds", seed=1)
    assert clip.seconds == 20.0
    np.testing.assert_allclose(moved(clip)[0], (2.0, 0.0), atol=0.03)


def test_a_time_in_which_nobody_gets_as_far_is_told(trained):
    with pytest.warns(DisagreementWarning, match=r"takes .* s where .* says 12 s"):
        clip = trained.generate("walk 18 meters in 12 seconds", seed=1)
    np.testing.assert_allclose(moved(clip)[0], (18.0, 0.0), atol=0.05)


def test_in_a_given_time_steps_are_as_long_as_they_get(trained):
    clip = trained.generate("take two steps forward", seed=1, seconds=5.0)
    plain = trained.sampled("take two steps forward", nextscale_core.GenerationOptions(1, 5.0),
                            nextscale_core.Run())  # fmt: skip
    np.testing.assert_array_equal(clip.joints, plain.joints)


def test_what_goes_elsewhere_is_told(trained):
    walk = trained.generate("a person walks forward", seed=1)
    assert "says 1 m" in trained.motion_remark("walk one meter", walk)
    assert "says 90 degrees" in trained.motion_remark("turn left 90 degrees", walk)
    assert trained.motion_remark("walk one meter", trained.generate("walk one meter")) is None


@pytest.mark.parametrize("robot", ["g1", "talos"])
def test_a_metre_is_one_of_the_robot(trained, robot):
    trajectory, _ = nextscale_core.plan("walk forward two meters", robot, model=trained, seed=1)
    way = trajectory.base_position[-1] - trajectory.base_position[0]
    np.testing.assert_allclose(way[:2], (2.0, 0.0), atol=0.1)

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.motion.cleanup import STANDING_BALL, clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, STANDARD_BONES, bone_lengths
from nextscale_lab.data.cmu import read_cmu


@pytest.fixture(scope="module")
def clips(shared) -> list[MotionClip]:
    return [item.clip for item in read_cmu(shared / "data" / "cmu", "val")]


def noisy(clip: MotionClip, size: float, seed: int = 0) -> MotionClip:
    rng = np.random.default_rng(seed)
    return MotionClip(clip.joints + rng.normal(size=clip.joints.shape) * size)


def test_limbs_get_standard_lengths(clips):
    clip = clips[0]
    cleaned = clean_up(noisy(clip, 0.02))
    assert np.abs(bone_lengths(cleaned.joints) - STANDARD_BONES).max() < 1e-4


def test_a_standing_foot_stays_where_it_stands(clips):
    for clip in clips:
        cleaned = clean_up(clip)
        for column, name in ((1, "left_foot"), (3, "right_foot")):
            foot = cleaned.joints[:, JOINT_INDEX[name], :2]
            standing = cleaned.contacts[:-1, column] & cleaned.contacts[1:, column]
            speed = np.linalg.norm(np.diff(foot, axis=0), axis=1)[standing] * 20
            if len(speed) > 5:
                assert speed.mean() < 0.01


def test_recorded_motion_hardly_changes(clips):
    for clip in clips:
        cleaned = clean_up(clip, free=False)
        assert np.linalg.norm(cleaned.joints - clip.joints, axis=-1).mean() < 0.01


def test_standing_feet_come_to_their_height_in_recordings(clips):
    balls = [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]
    errors = []
    for clip in clips:
        for height in (-0.04, 0.0, 0.04):
            cleaned = clean_up(MotionClip(clip.joints + np.array([0, 0, height])))
            stands = cleaned.contacts[:, [1, 3]]
            if stands.sum() > 20:
                heights = cleaned.joints[:, balls, 2][stands]
                errors.append(abs(np.median(heights) - STANDING_BALL))
    # Who sits or kneels stands on feet of several heights.
    assert len(errors) > 90 and np.percentile(errors, 90) < 0.005


def test_known_frames_keep_their_floor(clips):
    clip = clips[0]
    raised = MotionClip(clip.joints + np.array([0, 0, 0.03]))
    apart = clean_up(raised, free=False).joints - clean_up(raised).joints
    assert np.median(apart[..., 2]) > 0.01


def test_no_foot_goes_below_the_floor(clips):
    clip = clips[0]
    sunk = clean_up(MotionClip(clip.joints - [0, 0, 0.03]))
    feet = sunk.joints[:, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]], 2]
    assert feet.min() > -0.002


def test_one_frame_is_enough(clips):
    clip = clips[0]
    assert len(clean_up(clip.slice(0, 1))) == 1


def test_the_body_goes_with_its_standing_foot(clips):
    """A body that moves on while its legs stand, as where their features disagree."""
    balls = [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]
    clip = clips[0]
    still = np.repeat(clip.joints[:1], 60, axis=0)
    still[..., 2] -= still[0, balls, 2].min()
    slides = still.copy()
    slides[..., 0] += np.linspace(0.0, 1.2, 60)[:, None]
    stands = np.ones((60, 4), dtype=bool)
    way = np.ptp(clean_up(MotionClip(slides, contacts=stands)).joints[:, 0, 0])
    assert way < 0.01
    # Nothing says that these feet stand: the decoded way stays.
    for labels in (~stands, None):
        way = np.ptp(clean_up(MotionClip(slides, contacts=labels)).joints[:, 0, 0])
        assert way > 1.19
    kept = clean_up(MotionClip(slides, contacts=stands), free=False)
    assert np.ptp(kept.joints[:, 0, 0]) > 1.19

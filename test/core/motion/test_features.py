from __future__ import annotations

import numpy as np
import pytest
import torch

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import (
    CONTACTS,
    POSITIONS,
    ROTATIONS,
    VELOCITIES,
    canonicalize,
    clip_to_features,
    features_to_clip,
    heading_yaw,
    to_y_up,
    to_z_up,
)
from nextscale_lab.train.features_torch import features_to_joints


@pytest.fixture
def official(shared):
    folder = shared / "data" / "humanml3d_sample"
    joints = np.load(folder / "new_joints" / "012314.npy", allow_pickle=False)
    features = np.load(folder / "new_joint_vecs" / "012314.npy", allow_pickle=False)
    return MotionClip(to_z_up(joints)), features


def wandering_clip(frames: int = 60, seed: int = 0) -> MotionClip:
    """A stiff body that walks along a bend: not human, but exact to check against."""
    rng = np.random.default_rng(seed)
    body = rng.normal(size=(22, 3)) * 0.3 + [0, 0, 1.0]
    body[1], body[2] = [0.0, 0.1, 0.9], [0.0, -0.1, 0.9]
    body[16], body[17] = [0.0, 0.2, 1.4], [0.0, -0.2, 1.4]
    yaw = np.linspace(0, 1.2, frames)
    path = np.stack([np.cumsum(np.cos(yaw)), np.cumsum(np.sin(yaw)), 0 * yaw], 1) * 0.04
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.zeros((frames, 3, 3))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = c, -s, s, c, 1
    wobble = 0.01 * np.sin(np.arange(frames) / 4)[:, None, None] * rng.normal(size=(1, 22, 3))
    return MotionClip((body + wobble) @ turn.transpose(0, 2, 1) + path[:, None])


def test_extraction_reproduces_the_official_clip(official):
    clip, features = official
    ours = clip_to_features(clip)
    gap = np.abs(ours - features[: len(ours)])
    assert gap[:, :4].max() < 0.001
    assert gap[:, POSITIONS].max() < 0.007
    # The last frame's smoothed heading needs a frame that the published joints do not have.
    assert gap[:-1, ROTATIONS].max() < 0.013
    assert gap[:, ROTATIONS].max() < 0.0135
    assert gap[:, VELOCITIES].max() < 0.001
    assert (ours[:, CONTACTS] == features[: len(ours), CONTACTS]).all()


def test_positions_come_back_from_official_features(official):
    clip, features = official
    assert np.abs(features_to_clip(features).joints - clip.joints).max() < 1e-5


def test_features_round_trip_to_the_canonical_clip():
    clip = wandering_clip()
    back = features_to_clip(clip_to_features(clip))
    assert np.abs(back.joints - canonicalize(clip).joints[:-1]).max() < 2e-5


def test_features_do_not_depend_on_place_and_heading_of_the_clip():
    clip = wandering_clip()
    c, s = np.cos(2.0), np.sin(2.0)
    turned = clip.joints @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + [3.0, -2.0, 0.0]
    moved = MotionClip(turned)
    assert np.abs(clip_to_features(moved) - clip_to_features(clip)).max() < 1e-4


def test_torch_twin_recovers_the_same_joints():
    features = clip_to_features(wandering_clip(seed=3))
    joints = features_to_joints(torch.from_numpy(features)[None].double())[0].numpy()
    assert np.abs(joints - features_to_clip(features).joints).max() < 1e-5


def test_a_canonical_clip_faces_forward_above_the_origin():
    clip = canonicalize(wandering_clip())
    assert abs(float(heading_yaw(clip.joints[:1])[0])) < 1e-6
    assert np.abs(clip.joints[0, 0, :2]).max() < 1e-6


def test_frames_turn_there_and_back():
    points = np.random.default_rng(0).normal(size=(5, 3))
    assert np.allclose(to_z_up(to_y_up(points)), points)
    assert np.allclose(to_y_up(np.array([0.0, 0.0, 1.0])), [0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (MotionClip(np.zeros((1, 22, 3))), "at least 2 frames"),
        (MotionClip(np.zeros((9, 22, 3)), fps=30.0), "20 fps"),
    ],
)
def test_features_of_an_unfit_clip_are_refused(clip, message):
    with pytest.raises(InvalidMotionError, match=message):
        clip_to_features(clip)


@pytest.mark.parametrize("features", [np.zeros((4, 262)), np.full((4, 263), np.nan)])
def test_unfit_features_are_refused(features):
    with pytest.raises(InvalidMotionError):
        features_to_clip(features)

"""A leg whose ankle is near its hip keeps its knee where it was."""

import numpy as np
import pytest

from nextscale_core.editing.bone_lengths import place_leg
from nextscale_core.motion.cleanup import _place_leg
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS, STANDARD_BONES


@pytest.mark.parametrize("cleaning", [True, False])
def test_the_knee_stays_in_front_of_a_person_who_sits_on_the_heel(cleaning: bool) -> None:
    # Decoded bones are some centimetres too long or short: the knee, seen from the hip, points to
    # where the ankle came to lie behind the hip when the bones got their lengths back.
    rng = np.random.default_rng(4)
    joints = np.zeros((200, NUM_JOINTS, 3))
    hip = np.array([-0.03, 0.11, 0.13]) + 0.01 * rng.normal(size=(200, 3))
    knee = hip + np.array([0.33, 0.0, 0.19]) + 0.01 * rng.normal(size=(200, 3))
    behind = hip - 0.1 * (knee - hip) + 0.01 * rng.normal(size=(200, 3))
    for name, places in (("hip", hip), ("knee", knee), ("ankle", behind)):
        joints[:, JOINT_INDEX[f"left_{name}"]] = places
    wanted = hip + np.array([-0.07, -0.07, 0.02]) + 0.01 * rng.normal(size=(200, 3))
    foot = np.tile([0.1, 0.0, -0.1], (200, 1))
    if cleaning:
        _place_leg(joints, "left", wanted, foot)
    else:
        place_leg(joints, "left", wanted, foot, np.tile(STANDARD_BONES, (200, 1)))
    new = joints[:, JOINT_INDEX["left_knee"]]
    assert new[:, 2].min() > 0.0
    assert (new - hip)[:, 0].min() > 0.1

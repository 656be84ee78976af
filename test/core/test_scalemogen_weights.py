"""The trained ScaleMoGen of the package."""

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.model.scalemogen import ScaleMoGen
from nextscale_core.motion.body_parts import joints_of, moved_along
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.pipeline import MotionPipeline

WRIST, HEAD = JOINT_INDEX["left_wrist"], JOINT_INDEX["head"]


@pytest.fixture(scope="module")
def scalemogen(trained_model) -> MotionPipeline:
    return MotionPipeline.from_pretrained("scalemogen-cmu")


@pytest.fixture(scope="module")
def walk(scalemogen) -> MotionClip:
    return scalemogen.generate("a person walks forward", seed=1, seconds=4.0)


def test_it_walks_where_it_is_told(scalemogen, walk):
    assert isinstance(scalemogen.generator, ScaleMoGen)
    assert len(walk) == 80 and 1.5 < walk.joints[-1, 0, 0] < 8.0
    back = scalemogen.generate("a person walks backward", seed=1, seconds=4.0)
    assert back.joints[-1, 0, 0] < -0.5


def test_an_arm_follows_a_sentence_while_the_walk_goes_on(scalemogen, walk):
    out = scalemogen.edit(walk, "a person raises the left arm", parts=["left_arm"], seed=1)
    above = out.joints[:, WRIST, 2] - out.joints[:, HEAD, 2]
    assert above.max() > 0.0 > (walk.joints[:, WRIST, 2] - walk.joints[:, HEAD, 2]).max()
    still = ~moved_along(joints_of(["left_arm"]))
    np.testing.assert_allclose(out.joints[:, still], walk.joints[:, still], atol=1e-5)


def test_what_two_sentences_share_stays(scalemogen, walk):
    words = "a person walks forward"
    same = scalemogen.edit(walk, words, source=words, seed=1)
    np.testing.assert_allclose(same.joints, walk.joints, atol=1e-6)
    raised, backward = (
        scalemogen.edit(walk, f"a person walks {how}", source=words, seed=1)
        for how in ("with both arms raised", "backward")
    )
    wrists = [WRIST, JOINT_INDEX["right_wrist"]]
    for arms in (walk, raised):
        highest = (arms.joints[:, wrists, 2] - arms.joints[:, [HEAD], 2]).max()
        assert (highest > 0) == (arms is raised)
    # With raised arms it walks on; backward it comes back.
    assert raised.joints[-1, 0, 0] > 2.5 and backward.joints[-1, 0, 0] < 0.0


def test_a_motion_continues_known_frames(scalemogen, walk):
    out = scalemogen.complete(walk.slice(0, 20), None, "a person stops", seconds=3.0, seed=1)
    assert len(out) == 60 and np.array_equal(out.joints[:20], walk.joints[:20])

from __future__ import annotations

import numpy as np
import pytest

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip


def test_a_clip_knows_its_length():
    clip = MotionClip(np.zeros((40, 22, 3)))
    assert len(clip) == 40
    assert clip.seconds == 2.0


def test_a_slice_keeps_contacts_in_step():
    contacts = np.arange(40)[:, None] % 2 == np.zeros(4)
    part = MotionClip(np.zeros((40, 22, 3)), contacts=contacts).slice(3, 9)
    assert len(part) == 6
    assert (part.contacts == contacts[3:9]).all()


@pytest.mark.parametrize("shape", [(0, 22, 3), (4, 21, 3), (4, 22), (22, 3)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(InvalidMotionError, match="shape"):
        MotionClip(np.zeros(shape))


def test_nan_is_refused_and_its_frame_named():
    joints = np.zeros((5, 22, 3))
    joints[3, 2, 1] = np.nan
    with pytest.raises(InvalidMotionError, match="frame 3"):
        MotionClip(joints)


@pytest.mark.parametrize("fps", [0.0, -1.0, np.nan, np.inf])
def test_impossible_rates_are_refused(fps):
    with pytest.raises(InvalidMotionError, match="fps"):
        MotionClip(np.zeros((5, 22, 3)), fps=fps)


def test_contacts_of_another_length_are_refused():
    with pytest.raises(InvalidMotionError, match="contacts"):
        MotionClip(np.zeros((5, 22, 3)), contacts=np.zeros((4, 4)))

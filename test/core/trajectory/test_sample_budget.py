from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots import Robot
from nextscale_core.robots.kinematics import Poses
from nextscale_core.trajectory.config import TIMING
from nextscale_core.trajectory.time_parameterization import sample


def test_a_motion_that_needs_ever_more_samples_is_refused_before_it_takes_long(g1: Robot) -> None:
    # From limit to limit in every frame: much slower, and nearly the same in every round.
    ends = np.stack([g1.position_lower + 0.02, g1.position_upper - 0.02])
    joints = ends[np.arange(200) % 2]
    poses = Poses(np.zeros((200, 3)), np.tile(np.eye(3), (200, 1, 1)), joints)
    assert len(sample(g1, poses, 20.0, 50.0).times) > 2000
    with pytest.raises(RetargetError, match=r"does not keep the limits of g1 in .* too many"):
        sample(g1, poses, 20.0, 50.0, config=replace(TIMING, spare_samples=-20_000))

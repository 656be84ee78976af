from __future__ import annotations

import numpy as np

from nextscale_core.trajectory import approach_seconds, with_approach
from nextscale_core.trajectory.spline_limits import limit_use


def test_from_any_pose_the_first_one_is_reached_within_the_limits(g1, wave):
    later = with_approach(g1, wave)
    rng = np.random.default_rng(0)
    poses = [g1.position_lower, g1.position_upper]
    poses += [rng.uniform(g1.position_lower, g1.position_upper) for _ in range(20)]
    for pose in poses:
        velocity, acceleration = limit_use(
            g1,
            np.stack([pose, later.positions[0]]),
            np.zeros((2, g1.num_joints)),
            np.array([0.0, later.time_from_start[0]]),
        )
        assert velocity.max() <= 1 + 1e-9
        assert acceleration.max() <= 1 + 1e-9


def test_an_approach_delays_the_motion_and_changes_nothing_else(g1, wave):
    later = with_approach(g1, wave)
    assert later.time_from_start[0] == approach_seconds(g1)
    assert np.allclose(np.diff(later.time_from_start), np.diff(wave.time_from_start))
    assert np.array_equal(later.positions, wave.positions)
    assert np.abs(later.velocities[0]).max() < 1e-9


def test_the_gate_passes_a_delayed_motion(g1, gate, wave):
    assert gate.review(with_approach(g1, wave)).trajectory is not None

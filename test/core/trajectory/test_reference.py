from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.trajectory.reference import ReferenceCurve


@pytest.fixture
def turning(wave):
    """The wave on a base that circles with 0.5 m/s and 1 rad/s, leaning by 0.3 rad."""
    t = wave.time_from_start
    turn = Rotation.from_euler("ZY", np.stack([t, np.full_like(t, 0.3)], 1))
    place = np.stack([0.5 * np.sin(t), 0.5 - 0.5 * np.cos(t), np.full_like(t, 0.8)], 1)
    return replace(wave, base_position=place, base_quaternion=turn.as_quat())


def test_the_twist_is_that_of_the_root_in_its_own_frame(turning):
    reference = ReferenceCurve(turning).sample(np.array([1.0]))[0]
    lean = Rotation.from_euler("Y", 0.3).inv()
    assert np.allclose(reference.linear_velocity, lean.apply([0.5, 0.0, 0.0]), atol=1e-3)
    assert np.allclose(reference.angular_velocity, lean.apply([0.0, 0.0, 1.0]), atol=1e-3)


def test_samples_are_those_of_the_trajectory(turning):
    reference = ReferenceCurve(turning).sample(turning.time_from_start)
    assert np.allclose(reference.positions, turning.positions)
    assert np.allclose(reference.velocities, turning.velocities)
    assert np.allclose(reference.base_position, turning.base_position)


def test_before_and_after_the_trajectory_the_reference_rests(turning):
    curve = ReferenceCurve(turning)
    for moment, sample in ((-1.0, 0), (curve.seconds + 1.0, -1)):
        reference = curve.sample(np.array([moment]))[0]
        assert np.allclose(reference.positions, turning.positions[sample])
        assert not reference.velocities.any()
        assert not reference.linear_velocity.any() and not reference.angular_velocity.any()

"""Velocities from positions, against exact ones: 50 to 1000 Hz, jitter, noise, pauses, nonsense."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nextscale_core.estimation.joint_states import JointStateBuffer
from nextscale_core.estimation.joint_velocities import end_velocities

JOINTS = 8
RATES = (50.0, 100.0, 200.0, 500.0, 1000.0)
Motion = Callable[[np.ndarray], np.ndarray]


def moving(seed: int) -> tuple[Motion, Motion]:
    """Positions and velocities (N, J) of arms that wave: up to 2.5 Hz and about 5 rad/s."""
    random = np.random.default_rng(seed)
    rate = 2 * np.pi * random.uniform(0.3, 2.5, (JOINTS, 3))
    phase = random.uniform(0, 2 * np.pi, (JOINTS, 3))
    size = random.uniform(0.5, 2.5, (JOINTS, 3)) / rate
    return (
        lambda t: (size * np.sin(rate * t[:, None, None] + phase)).sum(-1),
        lambda t: (size * rate * np.cos(rate * t[:, None, None] + phase)).sum(-1),
    )


def sampled(rate: float, seed: int, seconds: float = 1.0) -> np.ndarray:
    """(N,) times that are a little irregular, as those of a driver [s]."""
    random = np.random.default_rng(seed)
    count = int(seconds * rate)
    return 100.0 + (np.arange(count) + random.uniform(-0.3, 0.3, count)) / rate


def errors(rate: float, noise: float, late: float = 0.0) -> np.ndarray:
    """(40, J) [rad/s]; noise of the positions [rad], and of times without stamps [s]."""
    found = []
    for seed in range(40):
        random = np.random.default_rng(1000 + seed)
        positions, velocities = moving(seed)
        times = sampled(rate, seed)
        measured = positions(times) + noise * random.standard_normal((len(times), JOINTS))
        told = np.sort(times + late * random.uniform(0, 1, len(times)))
        found.append(end_velocities(told, measured) - velocities(times[-1:])[0])
    return np.array(found)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("noise", "late", "usual", "worst"),
    [
        # A line through the last tenth of a second is off by 0.9 usually here, and by up to 2.9.
        (0.0, 0.0, 0.05, 0.25),
        (1e-4, 0.0, 0.05, 0.25),
        (1e-3, 0.0, 0.15, 0.6),
        (0.0, 2e-3, 0.20, 0.8),
    ],
    ids=["exact", "an encoder's noise", "much noise", "arrival times"],
)
def test_velocities_of_a_fast_motion_are_found(
    rate: float, noise: float, late: float, usual: float, worst: float
) -> None:
    off = errors(rate, noise, late)
    assert np.sqrt(np.mean(off**2)) < usual
    assert np.abs(off).max() < worst


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-3])
def test_a_robot_that_stands_does_not_seem_to_move(rate: float, noise: float) -> None:
    random = np.random.default_rng(5)
    for seed in range(20):
        times = sampled(rate, seed)
        stands = 0.3 + noise * random.standard_normal((len(times), 29))
        assert np.abs(end_velocities(times, stands)).max() < 0.05


@pytest.mark.parametrize("rate", RATES)
def test_a_joint_that_has_come_to_rest_is_slow(rate: float) -> None:
    times = sampled(rate, 1)
    left = np.clip(times[-1] - 0.15 - times, 0.0, None)
    # Braked with 10 rad/s^2 until 0.15 s ago.
    assert abs(end_velocities(times, -5.0 * left[:, None] ** 2)[0]) < 1e-3


def test_slow_and_steady_motions_are_exact() -> None:
    for speed in (0.001, 0.06, -2.0):
        times = sampled(100.0, 2)
        found = end_velocities(times, speed * times[:, None])
        np.testing.assert_allclose(found, speed, atol=1e-9)


def test_joints_with_gaps_are_fitted_to_what_there_is_of_them() -> None:
    positions, velocities = moving(3)
    times = sampled(200.0, 3)
    rows = positions(times)
    rows[::3, 0] = np.nan
    rows[:-2, 1] = np.nan
    found, true = end_velocities(times, rows), velocities(times[-1:])[0]
    assert np.isnan(found[1])
    kept = np.arange(JOINTS) != 1
    assert np.abs(found - true)[kept].max() < 0.25


@pytest.mark.parametrize("count", range(6))
def test_three_positions_are_enough(count: int) -> None:
    times = np.arange(count) * 0.01
    found = end_velocities(times, np.tile(times[:, None] * 0.5, 2))
    if count < 3:
        assert np.isnan(found).all()
    else:
        np.testing.assert_allclose(found, 0.5)


NAMES = tuple("abcdefgh")


def none(velocities: np.ndarray) -> list[float]:
    return []


def nan(velocities: np.ndarray) -> list[float]:
    return [float("nan")] * len(velocities)


def zero(velocities: np.ndarray) -> list[float]:
    return [0.0] * len(velocities)


def some(velocities: np.ndarray) -> list[float]:
    """Real ones of every second joint, as where some joints only have a velocity interface."""
    return [float(v) if index % 2 else float("nan") for index, v in enumerate(velocities)]


@pytest.mark.parametrize("said", [none, nan, zero, some])
@pytest.mark.parametrize("rate", RATES)
def test_the_state_has_velocities_whatever_the_joint_states_contain(
    rate: float, said: Callable[[np.ndarray], list[float]]
) -> None:
    for seed in range(5):
        positions, velocities = moving(seed)
        buffer = JointStateBuffer(NAMES)
        times = sampled(rate, seed)
        for at, position, velocity in zip(times, positions(times), velocities(times), strict=True):
            buffer.update(NAMES, position.tolist(), said(velocity), at + 0.003, at, at + 0.003)
        state, measured = buffer.read(times[-1] + 0.003, 0.2)
        assert measured == pytest.approx(times[-1])
        assert state.velocities is not None
        off = np.abs(state.velocities - velocities(times[-1:])[0])
        assert off.max() < 0.25
        if said is some:
            assert off[1::2].max() == 0.0


def test_joints_of_two_drivers_without_velocities_go_on_to_the_newest_time() -> None:
    positions, velocities = moving(7)
    buffer = JointStateBuffer(NAMES)
    times = sampled(200.0, 7)
    for index, (at, position) in enumerate(zip(times, positions(times), strict=True)):
        half = slice(0, 4) if index % 2 else slice(4, 8)
        buffer.update(NAMES[half], position[half].tolist(), [], at, at, at)
    state, measured = buffer.read(times[-1], 0.2)
    assert state.velocities is not None and measured == pytest.approx(times[-1])
    assert np.abs(state.velocities - velocities(times[-1:])[0]).max() < 0.3
    np.testing.assert_allclose(state.positions, positions(times[-1:])[0], atol=2e-3)


def test_velocities_that_are_measured_are_taken_as_they_are() -> None:
    buffer = JointStateBuffer(("a",))
    for index in range(100):
        buffer.update(("a",), [0.0], [0.25], index * 0.01, index * 0.01, index * 0.01)
    state = buffer.read(1.0, 0.2)[0]
    assert state.velocities is not None and state.velocities[0] == 0.25


@pytest.mark.parametrize("missing", [[], [70, 85]], ids=["complete", "with NaN"])
def test_a_continuous_joint_does_not_race_where_its_turns_begin_anew(missing: list[int]) -> None:
    buffer = JointStateBuffer(("a", "b"), continuous={"a"})
    for index in range(100):
        at = index * 0.01
        turned = float(np.angle(np.exp(1j * (np.pi - 0.97 + at))))
        turned = np.nan if index in missing else turned
        buffer.update(("a", "b"), [turned, 0.0], [], at, at, at)
    state, _ = buffer.read(0.99, 0.2)
    assert state.velocities is not None
    assert state.velocities[0] == pytest.approx(1.0, abs=0.01)

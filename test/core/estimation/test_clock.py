"""Clock offsets of senders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.estimation.clock import JUMP, PATIENCE, ClockOffset

AHEAD = 1.7e9
"""The sender's clock starts in 1970, the local one with the machine [s]."""


def heard(stamps: np.ndarray, arrivals: np.ndarray, clock: ClockOffset | None = None) -> np.ndarray:
    clock = clock or ClockOffset()
    pairs = zip(stamps, arrivals, strict=True)
    return np.array([clock.local(float(stamp), float(arrival)) for stamp, arrival in pairs])


@given(st.integers(0, 2**32 - 1))
def test_the_jitter_of_the_way_is_removed(seed: int) -> None:
    measured = np.arange(300) * 0.01
    late = np.random.default_rng(seed).exponential(0.01, len(measured))
    local = heard(AHEAD + measured, measured + late)
    # Once a message has come quickly, steps are those of the measurements.
    steps = np.diff(local[100:])
    assert np.abs(steps - 0.01).max() < 1e-3
    assert (local <= measured + late + 1e-6).all(), "nothing arrives before it was measured"
    assert np.abs(local[100:] - measured[100:]).max() < 2e-3


def test_it_follows_a_clock_that_drifts() -> None:
    measured = np.arange(60_000) * 0.01
    local = heard(AHEAD + measured * (1 - 5e-5), measured + 0.001)
    assert np.abs(local - measured).max() < 0.01


@pytest.mark.parametrize("jump", [-3600.0, -2 * JUMP, 2 * JUMP, 1e6])
def test_it_survives_a_sender_whose_clock_is_set(jump: float) -> None:
    measured = np.arange(200) * 0.01
    stamps = AHEAD + measured + np.where(measured >= 1.0, jump, 0.0)
    local = heard(stamps, measured + 0.002)
    np.testing.assert_allclose(local, measured + 0.002, atol=1e-6)


@pytest.mark.parametrize("stamp", [0.0, -1.0, np.nan])
def test_without_a_stamp_the_arrival_counts(stamp: float) -> None:
    assert ClockOffset().local(stamp, 12.5) == 12.5


def test_messages_without_a_stamp_do_not_disturb_those_with_one() -> None:
    clock = ClockOffset()
    clock.local(AHEAD, 1.0)
    clock.local(0.0, 7.0)
    assert clock.local(AHEAD + 0.1, 1.15) == pytest.approx(1.1, abs=1e-4)


def test_a_sender_with_our_own_clock_is_taken_at_its_word() -> None:
    """However late its messages are: stamps have the same meaning on both sides."""
    clock = ClockOffset()
    late = np.random.default_rng(0).exponential(0.02, 100)
    for number, delay in enumerate(late):
        measured = 0.01 * number
        local = clock.local(AHEAD + measured, measured + delay, AHEAD + measured + delay)
        assert local == pytest.approx(measured, abs=1e-6)
        assert clock.stamp(local) == pytest.approx(AHEAD + measured, abs=1e-6)


@pytest.mark.parametrize("off", [-1.0, 3.0])
def test_a_sender_with_another_clock_is_not(off: float) -> None:
    clock = ClockOffset()
    for number in range(50):
        measured = 0.01 * number
        local = clock.local(AHEAD + measured + off, measured + 0.001, AHEAD + measured + 0.001)
        assert local == pytest.approx(measured + 0.001, abs=1e-4)
    # What we stamp is on its clock all the same.
    assert clock.stamp(0.3) == pytest.approx(AHEAD + off + 0.3, abs=0.01)


def test_without_stamps_the_clock_is_not_known() -> None:
    clock = ClockOffset()
    clock.local(0.0, 5.0)
    assert clock.stamp(5.0) is None


def test_on_a_busy_machine_a_sender_with_our_own_clock_is_only_late() -> None:
    clock, late = ClockOffset(), 0.0
    for number in range(400):
        measured = 0.01 * number
        # For a second, every message waits longer and longer.
        late = min(late + 0.02, 1.5) if 1.0 < measured < 2.0 else 0.002
        local = clock.local(AHEAD + measured, measured + late, AHEAD + measured + late)
        assert local == pytest.approx(measured, abs=1e-6)


def test_a_sender_that_left_our_clock_is_believed_again_after_a_while() -> None:
    clock = ClockOffset()
    for number in range(1000):
        measured = 0.01 * number
        stamp = AHEAD + measured - (2.0 if measured > 1.0 else 0.0)
        local = clock.local(stamp, measured + 0.002, AHEAD + measured + 0.002)
        if measured < 1.0 or measured > 1.0 + PATIENCE + 0.1:
            assert local == pytest.approx(measured, abs=3e-3)


def test_a_simulation_that_is_reset_does_not_disturb_the_order() -> None:
    """Both clocks are the same: both jump, and the measurements stay in order."""
    clock, before = ClockOffset(), -1.0
    for number in range(200):
        arrival = 0.01 * number
        simulated = 5.0 + arrival if number < 100 else 0.01 + 0.01 * (number - 100)
        local = clock.local(simulated - 0.002, arrival, simulated)
        assert local == pytest.approx(arrival - 0.002, abs=1e-9)
        assert local > before
        before = local
    assert clock.stamp(before) == pytest.approx(simulated - 0.002, abs=1e-9)


@pytest.mark.parametrize("own", [np.nan, 0.002])
def test_a_repeated_stamp_grows_old(own: float) -> None:
    clock = ClockOffset()
    first = clock.local(AHEAD, 1.0, AHEAD + own)
    for arrival in np.arange(1.01, 1.0 + 4 * PATIENCE, 0.01):
        again = clock.local(AHEAD, float(arrival), AHEAD + own + float(arrival) - 1.0)
        assert again == first
    assert clock.local(AHEAD + 20.0, 21.0, AHEAD + 20.0 + own) == pytest.approx(21.0, abs=0.01)

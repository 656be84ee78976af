"""Two senders that contradict each other, and similar cases without a conflict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nextscale_core.estimation.sender_conflicts import (
    CONTACT_ACCELERATION,
    MAX_ACCELERATION,
    WINDOW,
    SenderConflictDetector,
)

Motion = Callable[[np.ndarray], np.ndarray]
Stream = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Times of arrival, times of measurement, and positions."""


def still(at: float) -> Motion:
    return lambda times: np.full_like(times, at)


def swing(hertz: float, reach: float = 1.0, around: float = 0.0) -> Motion:
    return lambda times: around + reach * np.sin(2 * np.pi * hertz * times)


def sender(
    rate: float,
    motion: Motion,
    begin: float = 0.0,
    end: float = 10.0,
    late: float = 0.0,
    clock: float = 0.0,
) -> Stream:
    """Messages of one node; `clock` is the offset of its clock, NaN for no stamps."""
    times = np.arange(begin, end, 1.0 / rate)
    arrived = times + late
    return arrived, arrived if np.isnan(clock) else times + clock, motion(times)


def conflicts(*streams: Stream, limit: float = MAX_ACCELERATION) -> list[float]:
    """The times at which there is a conflict [s]."""
    rows = sorted(row for stream in streams for row in zip(*stream, strict=True))
    detector, found = SenderConflictDetector(1, limit), []
    for arrived, measured, position in rows:
        detector.add(np.array([0]), np.array([position]), arrived, measured)
        if detector.conflict(arrived) is not None:
            found.append(float(arrived))
    return found


@pytest.mark.parametrize("clock", [0.0, np.nan, 0.3, -0.3, 1.7e9])
@pytest.mark.parametrize(
    ("driver", "other", "apart"),
    [
        (500.0, 10.0, 0.05),
        (200.0, 50.0, 0.95),
        (100.0, 50.0, 0.1),
        (50.0, 50.0, 0.2),
        (50.0, 10.0, 0.15),
        (25.0, 25.0, 0.1),
        (20.0, 10.0, 0.3),
        (10.0, 10.0, 0.3),
    ],
)
def test_senders_that_disagree_are_found_and_forgotten_when_one_is_gone(
    driver: float, other: float, apart: float, clock: float
) -> None:
    zeros = sender(other, still(0.0), 1.003, 4.0, clock=clock)
    found = conflicts(sender(driver, still(apart), end=7.5), zeros)
    assert 1.0 < found[0] < 2.0
    assert 3.5 < found[-1] <= 4.0 + WINDOW


def test_a_driver_that_moves_and_a_node_that_publishes_zeros_disagree() -> None:
    found = conflicts(
        sender(100.0, swing(1.0, 0.4, 0.6)), sender(50.0, still(0.0), 2.003, 6.0, clock=np.nan)
    )
    assert 2.0 < found[0] < 2.3 and 5.5 < found[-1] <= 6.0 + WINDOW


def test_messages_that_come_in_pairs_are_found_too() -> None:
    times = np.arange(0.0, 2.0, 0.01)
    positions = np.where(np.arange(len(times)) // 2 % 2, 0.5, 0.0)
    assert conflicts((times, times, positions))


def shaking_ankle(times: np.ndarray) -> np.ndarray:
    """Strikes of a foot twice a second, after which the ankle shakes at 25 Hz for 0.3 s [rad]."""
    since = times % 0.5
    return 0.07 * np.sin(50 * np.pi * since) * np.exp(-since / 0.1)


def test_an_ankle_that_contacts_shake_is_one_sender_for_a_robot_on_its_feet() -> None:
    shaken = [sender(100.0, shaking_ankle)]
    assert conflicts(*shaken), "no motor does that"
    assert not conflicts(*shaken, limit=CONTACT_ACCELERATION)
    zeros = sender(50.0, still(0.9), 2.003, 6.0)
    found = conflicts(*shaken, zeros, limit=CONTACT_ACCELERATION)
    assert 2.0 < found[0] < 2.5


def test_the_joint_that_differs_most_is_named() -> None:
    detector = SenderConflictDetector(4)
    for n in range(40):
        positions = np.array([0.2, 0.0, 0.9]) * (n % 2)
        detector.add(np.array([0, 3, 2]), positions, 0.01 * n, 0.01 * n)
    found = detector.conflict(0.4)
    assert found is not None and found.joint == 2
    assert sorted(found.positions) == [0.0, 0.9]
    text = found.describe("left_elbow")
    assert "left_elbow alternates between 0.000 and 0.900 rad" in text


@pytest.mark.parametrize(
    "streams",
    [
        [sender(100.0, swing(1.0)), sender(50.0, lambda times: swing(1.0)(times) + 0.02)],
        [sender(100.0, swing(2.0)), sender(50.0, swing(2.0), late=0.03)],
        [sender(500.0, swing(2.0)), sender(500.0, swing(2.0), late=0.1)],
        [sender(50.0, swing(1.0)), sender(50.0, lambda times: swing(1.0)(times) + 2 * np.pi)],
    ],
    ids=["within the tolerance", "one is late", "one is very late", "other turns"],
)
def test_senders_that_agree_are_fine(streams: list[Stream]) -> None:
    assert not conflicts(*streams)


def test_a_sender_that_is_restarted_elsewhere_is_fine() -> None:
    first, second = sender(100.0, still(0.9), end=4.0), sender(100.0, still(0.0), begin=4.5)
    assert not conflicts(first, second)


@pytest.mark.parametrize("every", [1.0, 2.5])
def test_a_simulation_that_is_reset_is_fine(every: float) -> None:
    assert not conflicts(sender(100.0, lambda times: 1.5 * (times % every)))


@pytest.mark.parametrize("outliers", [[300], [300, 340], [300, 301, 302]])
def test_a_few_outliers_are_fine(outliers: list[int]) -> None:
    arrived, measured, positions = sender(100.0, swing(0.5))
    positions[outliers] = 2.0
    assert not conflicts((arrived, measured, positions))


@pytest.mark.parametrize("rate", [2.0, 5.0, 10.0, 17.0, 30.0, 50.0, 200.0])
@pytest.mark.parametrize(("hertz", "reach"), [(3.0, 0.8), (1.5, 2.0), (0.7, 3.0), (5.0, 0.25)])
def test_a_fast_robot_at_any_rate_is_fine(rate: float, hertz: float, reach: float) -> None:
    assert not conflicts(sender(rate, swing(hertz, reach)))


def test_a_fast_robot_received_in_bursts_is_fine() -> None:
    arrived, measured, positions = sender(50.0, swing(2.0, 1.0), end=20.0)
    # Nothing for 0.2 s, then all at once, as on a machine that is busy.
    burst = np.ceil(arrived / 0.2) * 0.2 + 1e-5 * np.arange(len(arrived))
    assert not conflicts((burst, measured, positions))
    assert not conflicts((burst, burst, positions))


def test_messages_that_were_recorded_out_of_order_are_fine() -> None:
    arrived, measured, positions = sender(50.0, swing(1.0))
    arrived[100:110] = arrived[100:110][::-1]
    detector = SenderConflictDetector(1)
    for at, stamp, position in zip(arrived, measured, positions, strict=True):
        detector.add(np.array([0]), np.array([position]), at, stamp)
        assert detector.conflict(at) is None


def test_a_continuous_joint_that_trembles_where_its_turn_ends_is_fine() -> None:
    noise = 0.004 * np.random.default_rng(0).standard_normal(1000)
    times = 0.01 * np.arange(1000)
    positions = np.angle(np.exp(1j * (np.pi + noise)))
    assert np.ptp(positions) > 6.0
    assert not conflicts((times, times, positions))


def test_senders_of_different_joints_do_not_disagree() -> None:
    detector = SenderConflictDetector(6)
    for n in range(500):
        detector.add(np.array([0, 1, 2]), np.full(3, 0.9), 0.01 * n, 0.01 * n)
        detector.add(np.array([3, 4, 5]), np.zeros(3), 0.01 * n + 0.001, 0.01 * n)
    assert detector.conflict(5.0) is None

"""Ring buffer of timed rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.estimation.ring_buffer import RingBuffer

TIMES = st.lists(st.integers(0, 1000), max_size=60)


def test_an_empty_ring_has_no_rows() -> None:
    ring = RingBuffer(4, 2)
    times, rows = ring.since(-np.inf)
    assert (len(ring), times.shape, rows.shape, ring.last) == (0, (0,), (0, 2), -np.inf)


@given(TIMES, st.integers(1, 9), st.integers(0, 1000))
def test_it_keeps_the_newest_rows_in_order_of_time(
    stream: list[int], capacity: int, since: int
) -> None:
    ring = RingBuffer(capacity, 1)
    kept: list[int] = []
    for time in stream:
        newer = not kept or time > kept[-1]
        assert ring.add(float(time), np.array([2.0 * time])) == newer
        if newer:
            kept.append(time)
    expected = [time for time in kept[-capacity:] if time >= since]
    times, rows = ring.since(float(since))
    assert times.tolist() == expected
    assert rows[:, 0].tolist() == [2.0 * time for time in expected]
    assert len(ring) == min(len(kept), capacity)


@pytest.mark.parametrize("time", [1.0, 0.5, np.nan])
def test_a_row_that_is_not_newer_is_left_out(time: float) -> None:
    ring = RingBuffer(4, 1)
    ring.add(1.0, np.array([1.0]))
    assert not ring.add(time, np.array([2.0]))
    assert ring.since(0.0)[1].tolist() == [[1.0]]


def test_what_is_read_does_not_change_when_more_is_written() -> None:
    ring = RingBuffer(2, 1)
    ring.add(1.0, np.array([1.0]))
    _, before = ring.since(0.0)
    for time in (2.0, 3.0):
        ring.add(time, np.array([time]))
    assert before.tolist() == [[1.0]]


def test_a_cleared_ring_takes_older_rows_again() -> None:
    ring = RingBuffer(3, 1)
    ring.add(5.0, np.array([5.0]))
    ring.clear()
    assert ring.add(1.0, np.array([1.0]))
    assert ring.since(-np.inf)[0].tolist() == [1.0]

"""Joint states from messages in any form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.estimation.history import RobotHistory
from nextscale_core.estimation.joint_states import (
    MAX_LAYOUTS,
    MAX_WARNINGS,
    JointStateBuffer,
    RobotStateError,
    SenderConflictError,
)
from nextscale_core.exceptions import RobotError
from nextscale_core.robots import list_robots, load_robot

NAMES = ("a", "b", "c")


@pytest.fixture
def buffer() -> JointStateBuffer:
    return JointStateBuffer(NAMES)


def test_names_may_come_in_any_order(buffer: JointStateBuffer) -> None:
    buffer.update(["c", "a", "b"], [3.0, 1.0, 2.0], [0.3, 0.1, 0.2], 10.0)
    state = buffer.read(10.1, 0.2)[0]
    np.testing.assert_array_equal(state.positions, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(state.velocities, [0.1, 0.2, 0.3])


def test_several_messages_together_make_a_state(buffer: JointStateBuffer) -> None:
    buffer.update(["a"], [1.0], [0.0], 10.0)
    buffer.update(["b", "c"], [2.0, 3.0], [0.0, 0.0], 10.1)
    np.testing.assert_array_equal(buffer.read(10.1, 0.2)[0].positions, [1.0, 2.0, 3.0])


def test_a_joint_never_measured_is_named(buffer: JointStateBuffer) -> None:
    buffer.update(["a", "c"], [1.0, 3.0], [], 10.0)
    with pytest.raises(RobotStateError, match="1 of 3 joints have not been measured: b"):
        buffer.read(10.0, 0.2)[0]


@pytest.mark.parametrize("name", list_robots())
def test_all_joints_of_a_robot_are_known_whether_they_move_or_not(name: str) -> None:
    try:
        robot = load_robot(name)
    except RobotError as error:
        pytest.skip(str(error))
    tree = ElementTree.parse(robot.urdf_path).getroot().findall("joint")
    names = [str(joint.get("name")) for joint in tree if joint.get("type") != "fixed"]
    buffer = JointStateBuffer.of_robot(robot)
    assert buffer.update(names, [0.1] * len(names), [], 10.0) == []
    assert buffer.read(10.0, 0.2)[0].positions.shape == (robot.num_joints + len(robot.held),)
    (warning,) = buffer.update([*names, "tail"], [0.1] * (len(names) + 1), [], 10.1)
    assert "unknown to the robot: ['tail']" in warning


def test_an_old_reading_does_not_count(buffer: JointStateBuffer) -> None:
    buffer.update(NAMES, [1.0, 2.0, 3.0], [], 10.0)
    buffer.update(["a", "b"], [1.0, 2.0], [], 12.0)
    with pytest.raises(RobotStateError, match=r"last state of c is 2.00 s old"):
        buffer.read(12.0, 0.2)[0]


def test_an_old_state_is_refused_with_what_to_do(buffer: JointStateBuffer) -> None:
    for at in (10.0, 10.1):
        buffer.update(NAMES, [1.0, 2.0, 3.0], [], at, at, at)
    with pytest.raises(RobotStateError, match=r"no message has come for 0\.50 s.*raise state_time"):
        buffer.read(10.6, 0.2)[0]


def test_states_that_arrive_late_are_refused_with_what_to_do(buffer: JointStateBuffer) -> None:
    for at in (10.0, 10.1):
        buffer.update(NAMES, [1.0, 2.0, 3.0], [], at + 0.4, at, at + 0.4)
    reason = r"messages come 0\.40 s after they are stamped.*synchronize the clocks"
    with pytest.raises(RobotStateError, match=reason):
        buffer.read(10.55, 0.2)[0]


def test_without_velocities_they_are_unknown(buffer: JointStateBuffer) -> None:
    buffer.update(NAMES, [1.0, 2.0, 3.0], [], 10.0)
    assert buffer.read(10.0, 0.2)[0].velocities is None


def test_one_broken_velocity_makes_all_unknown(buffer: JointStateBuffer) -> None:
    buffer.update(NAMES, [1.0, 2.0, 3.0], [0.0, math.nan, 0.0], 10.0)
    assert buffer.read(10.0, 0.2)[0].velocities is None


def test_a_broken_position_leaves_the_reading_before(buffer: JointStateBuffer) -> None:
    buffer.update(NAMES, [1.0, 2.0, 3.0], [], 10.0)
    warnings = buffer.update(NAMES, [1.5, math.nan, 3.5], [], 10.1)
    assert warnings == ["joint states are not finite for ['b']; left out"]
    np.testing.assert_array_equal(buffer.read(10.1, 0.2)[0].positions, [1.5, 2.0, 3.5])


def test_each_warning_is_made_once(buffer: JointStateBuffer) -> None:
    spoiled = (["a", "tail"], [1.0, 2.0], [])
    assert len(buffer.update(*spoiled, 10.0)) == 1
    assert buffer.update(*spoiled, 10.1) == []
    assert not buffer.empty


def test_a_message_with_too_few_positions_is_left_out(buffer: JointStateBuffer) -> None:
    (warning,) = buffer.update(NAMES, [1.0], [], 10.0)
    assert "1 positions for 3 names" in warning
    assert buffer.empty


# -- the last seconds


def at_rate(
    buffer: JointStateBuffer, names: Sequence[str], times: np.ndarray, **options: Any
) -> None:
    """Each joint moves at a constant velocity of its own."""
    for time in times:
        buffer.update(list(names), [line(name, time) for name in names], [], time, **options)


def line(name: str, time: float) -> float:
    return 0.1 * NAMES.index(name) + (1 + NAMES.index(name)) * time


def assert_lines(history: RobotHistory) -> None:
    expected = [[line(name, time) for name in NAMES] for time in history.times]
    np.testing.assert_allclose(history.positions, expected, atol=1e-9)


def test_without_messages_the_history_is_empty(buffer: JointStateBuffer) -> None:
    assert len(buffer.history(-np.inf)) == 0
    assert buffer.history(0.0).positions.shape == (0, 3)


def test_the_history_has_every_message_since_a_moment(buffer: JointStateBuffer) -> None:
    times = 10 + np.arange(100) * 0.01
    at_rate(buffer, NAMES, times)
    history = buffer.history(10.5)
    np.testing.assert_array_equal(history.times, times[times >= 10.5])
    assert_lines(history)


@given(st.permutations(NAMES), st.permutations(NAMES), st.integers(1, 2))
def test_neither_the_order_of_the_names_nor_how_they_are_shared_out_matters(
    first: list[str], second: list[str], split: int
) -> None:
    buffer = JointStateBuffer(NAMES)
    for number in range(30):
        time = number * 0.01
        names = first if number % 2 else second
        for part in (names[:split], names[split:]):
            buffer.update(part, [line(name, time) for name in part], [], time)
    history = buffer.history(-1.0)
    assert len(history) == 30
    assert_lines(history)
    np.testing.assert_allclose(
        buffer.read(0.3, 0.2)[0].positions, [line(name, 0.29) for name in NAMES]
    )


def test_two_publishers_of_different_rates_make_one_history(buffer: JointStateBuffer) -> None:
    messages = [(time, ["a"]) for time in np.arange(0.0, 1.0, 0.002)]
    messages += [(time, ["c", "b"]) for time in np.arange(0.003, 1.0, 0.02)]
    for time, names in sorted(messages, key=lambda pair: pair[0]):
        buffer.update(names, [line(name, time) for name in names], [], time)
    history = buffer.history(0.0)
    # Where the slower one has not spoken yet, or not again, the state of all is not known.
    assert history.times[0] == pytest.approx(0.004) and history.times[-1] > 0.97
    assert np.diff(history.times).max() < 0.003
    assert_lines(history)


def test_when_the_names_change_the_history_goes_on(buffer: JointStateBuffer) -> None:
    at_rate(buffer, NAMES, 0.01 * np.arange(70))
    at_rate(buffer, NAMES[::-1], 0.01 * np.arange(70, 100))
    at_rate(buffer, [*NAMES[1:], "a"], 0.01 * np.arange(100, 110))
    history = buffer.history(0.0)
    assert len(history) == 110
    assert_lines(history)


def test_a_long_gap_of_one_publisher_is_not_interpolated(
    buffer: JointStateBuffer,
) -> None:
    for time in np.arange(0.0, 2.0, 0.01):
        buffer.update(["a", "b"], [line("a", time), line("b", time)], [], time)
        if not 0.5 < time < 1.5:
            buffer.update(["c"], [line("c", time)], [], time)
    history = buffer.history(0.0)
    assert not ((history.times > 0.51) & (history.times < 1.49)).any()
    assert_lines(history)


def test_a_joint_that_was_never_measured_leaves_no_history(buffer: JointStateBuffer) -> None:
    at_rate(buffer, ["a", "c"], np.arange(0.0, 1.0, 0.01))
    assert len(buffer.history(0.0)) == 0


def test_broken_values_are_bridged_where_the_pause_is_short(buffer: JointStateBuffer) -> None:
    for number in range(200):
        time = number * 0.01
        broken = number % 7 == 3 or 100 <= number < 150
        b = math.nan if broken else line("b", time)
        buffer.update(NAMES, [line("a", time), b, line("c", time)], [], time)
    history = buffer.history(0.0)
    assert_lines(history)
    assert np.isfinite(history.positions).all()
    outside = (history.times < 1.0) | (history.times >= 1.495)
    assert outside.all()
    # All 150 but number 150, at the end of the long pause, and the last: both are broken.
    assert len(history) == 148
    assert buffer.refused == 0


def test_stamps_place_late_messages_where_they_were_measured(buffer: JointStateBuffer) -> None:
    late = np.random.default_rng(1).exponential(0.005, 200)
    for number, delay in enumerate(late):
        time = number * 0.01
        positions = [line(name, time) for name in NAMES]
        buffer.update(NAMES, positions, [], time + delay, stamp=5000.0 + time)
    history = buffer.history(1.0)
    expected = [[line(name, time) for name in NAMES] for time in history.times]
    assert np.abs(history.positions - expected).max() < 3 * 1e-3
    assert len(history) >= 99


def test_a_thousand_messages_a_second_reach_back_three_seconds() -> None:
    names = tuple(f"joint_{number}" for number in range(29))
    buffer = JointStateBuffer(names)
    for number in range(4000):
        buffer.update(names, [0.001 * number] * 29, [], 0.001 * number)
    history = buffer.history(-1.0)
    assert len(history) == 3000
    assert history.times[-1] - history.times[0] == pytest.approx(2.999)
    np.testing.assert_allclose(history.positions[:, 7], history.times)


@pytest.mark.parametrize("each", ["in another order", "alone"])
def test_joints_may_come_in_any_order_and_one_by_one(each: str) -> None:
    names = tuple(f"joint_{number}" for number in range(29))
    buffer, rng = JointStateBuffer(names), np.random.default_rng(0)
    for number in range(100):
        order = rng.permutation(29)
        groups = [order] if each == "in another order" else [[one] for one in order]
        for group in groups:
            positions = [0.5 * 0.01 * number + one for one in group]
            assert not buffer.update([names[one] for one in group], positions, [], 0.01 * number)
    assert len(buffer.history(0.0)) == 100
    state, _ = buffer.read(0.99, 0.2)
    np.testing.assert_allclose(state.positions, 0.495 + np.arange(29))
    assert state.velocities == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("again", "contradicts"), [(1.02, False), (1.5, True), (math.nan, False)])
def test_a_joint_that_a_message_names_twice_has_one_position(
    again: float, contradicts: bool, buffer: JointStateBuffer
) -> None:
    buffer.update([NAMES[0], *NAMES], [again, 1.0, 2.0, 3.0], [], 1.0)
    if contradicts:
        message = f"{NAMES[0]} alternates between 1.000 and 1.500 rad.*two senders contradict"
        with pytest.raises(SenderConflictError, match=message):
            buffer.read(1.1, 1.0)
        buffer.update(NAMES, [1.0, 2.0, 3.0], [], 5.0)
    assert list(buffer.read(5.1, 10.0)[0].positions) == [1.0, 2.0, 3.0]


def test_a_sender_that_invents_names_fills_neither_buffer_nor_log(
    buffer: JointStateBuffer,
) -> None:
    warnings = []
    for number in range(1000):
        time = 0.01 * number
        buffer.update(NAMES, [line(name, time) for name in NAMES], [], time)
        warnings += buffer.update([f"x{number}", "a"], [0.0, line("a", time)], [], time + 0.001)
    assert len(warnings) <= MAX_WARNINGS
    assert len(buffer._layouts) <= MAX_LAYOUTS
    assert len(buffer.history(8.0)) > 190


def test_messages_are_counted_and_those_without_use_too(buffer: JointStateBuffer) -> None:
    buffer.update(NAMES, [1.0, 2.0, 3.0], [], 1.0)
    buffer.update(["tail"], [1.0], [], 1.1)
    buffer.update(NAMES, [math.nan] * 3, [], 1.2)
    buffer.update([], [], [], 1.3)
    assert (buffer.messages, buffer.refused) == (4, 3)


def test_the_age_is_that_of_the_oldest_joint(buffer: JointStateBuffer) -> None:
    assert buffer.age(1.0) == math.inf
    buffer.update(NAMES, [1.0, 2.0, 3.0], [], 1.0)
    buffer.update(["a"], [1.0], [], 2.0)
    assert buffer.age(2.5) == 1.5


def test_a_state_is_as_old_as_its_measurement_not_as_its_message(buffer: JointStateBuffer) -> None:
    buffer.update(NAMES, [1.0, 2.0, 3.0], [], 5.02, stamp=7000.0, own=7000.02)
    _, measured = buffer.read(5.03, 0.2)
    assert measured == pytest.approx(5.0, abs=1e-6)
    assert buffer.stamp(5.0) == pytest.approx(7000.0, abs=1e-6)


def test_joints_measured_earlier_are_extrapolated(buffer: JointStateBuffer) -> None:
    buffer.update(["a"], [1.0], [2.0], 5.00)
    buffer.update(["c", "b"], [3.0, 2.0], [0.0, 0.0], 5.02)
    state, measured = buffer.read(5.03, 0.2)
    assert measured == 5.02
    np.testing.assert_allclose(state.positions, [1.04, 2.0, 3.0])
    # For long, nobody can tell.
    buffer.update(["c", "b"], [3.0, 2.0], [0.0, 0.0], 5.19)
    assert buffer.read(5.19, 0.2)[0].positions[0] == pytest.approx(1.1)


def test_joint_states_without_stamps_give_no_clock(buffer: JointStateBuffer) -> None:
    assert buffer.stamp(1.0) is None
    buffer.update(NAMES, [1.0, 2.0, 3.0], [], 5.0)
    assert buffer.stamp(5.0) is None


# -- two senders that contradict each other


def contradict(buffer: JointStateBuffer, begin: float, end: float) -> None:
    """A driver at 100 Hz, and a node that publishes zeros with the names in another order."""
    for time in np.arange(begin, end, 0.01):
        buffer.update(NAMES, [0.9, -0.4, 0.2], [0.0, 0.0, 0.0], float(time))
        buffer.update(NAMES[::-1], [0.0, 0.0, 0.0], [], float(time) + 0.003)


def test_while_two_senders_contradict_each_other_the_state_is_not_known() -> None:
    buffer = JointStateBuffer(NAMES, publishers=lambda: "/joint_states: /driver, /zeros")
    assert buffer.conflict(0.0) == ""
    contradict(buffer, 0.0, 1.0)
    with pytest.raises(
        SenderConflictError,
        match=r"a alternates between 0.000 and 0.900 rad .* \(/joint_states: /driver, /zeros\)",
    ):
        buffer.read(1.0, 0.2)
    assert buffer.in_conflict(1.0)


def test_the_state_is_known_again_when_one_of_two_senders_is_gone() -> None:
    buffer = JointStateBuffer(NAMES)
    contradict(buffer, 0.0, 1.0)
    for time in np.arange(1.0, 4.1, 0.01):
        buffer.update(NAMES, [0.9, -0.4, 0.2], [0.0, 0.0, 0.0], float(time))
    assert not buffer.in_conflict(4.1)
    np.testing.assert_array_equal(buffer.read(4.1, 0.2)[0].positions, [0.9, -0.4, 0.2])
    assert np.ptp(buffer.history(3.0).positions, axis=0).max() == 0.0


# -- continuous joints


def test_a_continuous_joint_is_unwrapped_before_it_is_interpolated() -> None:
    buffer = JointStateBuffer(("a", "b"), continuous={"b"})
    times = np.arange(0.0, 3.0, 0.01)
    for n, time in enumerate(times):
        buffer.update(["a"], [0.0], [], float(time))
        if n % 3 == 0:
            # Two turns, counted from -pi to pi.
            turned = float(np.angle(np.exp(4j * np.pi * time / 3.0)))
            buffer.update(["b"], [turned], [], float(time) + 0.004)
    history = buffer.history(0.0)
    turns = history.positions[:, 1]
    expected = 4 * np.pi / 3.0 * (history.times - 0.004)
    steps = np.diff(turns)
    assert steps.min() > 0.0 and steps.max() < 0.05
    np.testing.assert_allclose(np.exp(1j * turns), np.exp(1j * expected), atol=1e-6)
    last = buffer.read(float(times[-1]), 0.2)[0].positions[1]
    assert turns[-1] == pytest.approx(last, abs=0.1)

"""The robot's state, from messages as they come."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nextscale_ros.state import RobotStateError, RobotStateMemory

NAMES = ("a", "b", "c")


@pytest.fixture
def memory() -> RobotStateMemory:
    return RobotStateMemory(NAMES)


def test_names_may_come_in_any_order(memory: RobotStateMemory) -> None:
    memory.update(["c", "a", "b"], [3.0, 1.0, 2.0], [0.3, 0.1, 0.2], 10.0)
    state = memory.current(10.1, 0.2)
    np.testing.assert_array_equal(state.positions, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(state.velocities, [0.1, 0.2, 0.3])


def test_several_messages_together_make_a_state(memory: RobotStateMemory) -> None:
    memory.update(["a"], [1.0], [0.0], 10.0)
    memory.update(["b", "c"], [2.0, 3.0], [0.0, 0.0], 10.1)
    np.testing.assert_array_equal(memory.current(10.1, 0.2).positions, [1.0, 2.0, 3.0])


def test_a_joint_never_heard_of_is_named(memory: RobotStateMemory) -> None:
    memory.update(["a", "c"], [1.0, 3.0], [], 10.0)
    with pytest.raises(RobotStateError, match="1 of 3 joints have not been measured: b"):
        memory.current(10.0, 0.2)


def test_an_old_reading_does_not_count(memory: RobotStateMemory) -> None:
    memory.update(NAMES, [1.0, 2.0, 3.0], [], 10.0)
    memory.update(["a", "b"], [1.0, 2.0], [], 12.0)
    with pytest.raises(RobotStateError, match=r"last state of c is 2.00 s old"):
        memory.current(12.0, 0.2)


def test_without_velocities_they_are_unknown(memory: RobotStateMemory) -> None:
    memory.update(NAMES, [1.0, 2.0, 3.0], [], 10.0)
    assert memory.current(10.0, 0.2).velocities is None


def test_one_broken_velocity_makes_all_unknown(memory: RobotStateMemory) -> None:
    memory.update(NAMES, [1.0, 2.0, 3.0], [0.0, math.nan, 0.0], 10.0)
    assert memory.current(10.0, 0.2).velocities is None


def test_a_broken_position_leaves_the_reading_before(memory: RobotStateMemory) -> None:
    memory.update(NAMES, [1.0, 2.0, 3.0], [], 10.0)
    complaints = memory.update(NAMES, [1.5, math.nan, 3.5], [], 10.1)
    assert complaints == ["joint states are not finite for ['b']; left out"]
    np.testing.assert_array_equal(memory.current(10.1, 0.2).positions, [1.5, 2.0, 3.5])


def test_each_complaint_is_made_once(memory: RobotStateMemory) -> None:
    spoiled = (["a", "tail"], [1.0, 2.0], [])
    assert len(memory.update(*spoiled, 10.0)) == 1
    assert memory.update(*spoiled, 10.1) == []
    assert not memory.empty


def test_a_message_with_too_few_positions_is_left_out(memory: RobotStateMemory) -> None:
    (complaint,) = memory.update(NAMES, [1.0], [], 10.0)
    assert "1 positions for 3 names" in complaint
    assert memory.empty

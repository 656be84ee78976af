"""Recordings in which two nodes publish joint states of the same joints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from core.bags.conftest import BEGIN, joint_state
from nextscale_core.bags import Bag
from nextscale_core.bags import definitions as kinds
from nextscale_core.bags.measured import Measurements, Span, choose_sources, read_measured
from nextscale_core.bags.reading import NANOSECONDS
from nextscale_core.exceptions import BagError
from nextscale_core.robots import Robot, RobotTrajectory

States = list[tuple[str, float, Any]]


def qos(depth: int) -> Qos:
    never = QosTime(2147483647, 4294967295)
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE,
        QosDurability.VOLATILE,
        never,
        never,
        QosLiveliness.AUTOMATIC,
        never,
        False,
    )


def driver(trajectory: RobotTrajectory, names: Sequence[str] = (), offset: float = 0.0) -> States:
    """The robot's own joint states at 50 Hz, with velocities."""
    names = names or trajectory.joint_names
    columns = [trajectory.joint_names.index(name) for name in names]
    rows = zip(
        trajectory.time_from_start[::2].tolist(),
        trajectory.positions[::2, columns],
        trajectory.velocities[::2, columns],
        strict=True,
    )
    return [
        ("/joint_states", at + offset, joint_state(names, row, BEGIN + at, speed))
        for at, row, speed in rows
    ]


def zeros(
    trajectory: RobotTrajectory, begin: float = 0.0, end: float = 100.0, rate: float = 50.0
) -> States:
    """A joint_state_publisher without sources."""
    names = sorted(trajectory.joint_names)
    times = np.arange(begin, min(end, trajectory.seconds), 1.0 / rate) + 0.004
    return [
        ("/joint_states", at, joint_state(names, np.zeros(len(names)), BEGIN + at))
        for at in times.tolist()
    ]


def together(*senders: States) -> States:
    return sorted((one for sender in senders for one in sender), key=lambda one: one[1])


def measure(path: Path, robot: Robot, span: Span | None = None, **options: Any) -> Measurements:
    with Bag(path) as bag:
        return read_measured(bag, robot, choose_sources(bag, **options), 20.0, span=span)


@pytest.mark.parametrize("rate", [10.0, 50.0, 200.0])
def test_a_driver_and_a_node_that_publishes_zeros_are_refused_and_named(
    rate: float, trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    path = recorded(together(driver(trajectory), zeros(trajectory, rate=rate)))
    with pytest.raises(BagError, match="two senders contradict each other") as caught:
        measure(path, g1)
    told = str(caught.value)
    assert "1: /joint_states, 29 joints from left_hip_pitch_joint, with velocities" in told
    assert "2: /joint_states, 29 joints from left_ankle_pitch_joint, positions only" in told
    plain = measure(recorded(driver(trajectory), "plain"), g1)
    chosen = measure(path, g1, senders=[1])
    np.testing.assert_array_equal(chosen.positions, plain.positions)
    assert any("left out: 2: /joint_states" in note for note in chosen.notes)


def test_of_a_recording_a_part_without_the_conflict_is_read(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    path = recorded(together(driver(trajectory), zeros(trajectory, begin=3.0, end=4.0)))
    with pytest.raises(BagError, match=r"first seen 3\.[01]\d s after the begin"):
        measure(path, g1)
    assert len(measure(path, g1, Span(0.0, 2.95)).times) > 50
    with pytest.raises(BagError, match="two senders"):
        measure(path, g1, Span(2.0, 5.0))


def test_several_senders_of_the_driver_may_be_chosen_together(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    names = trajectory.joint_names
    legs, arms = driver(trajectory, names[:12]), driver(trajectory, names[12:], 0.001)
    alone = measure(recorded(together(legs, arms), "alone"), g1)
    path = recorded(together(legs, arms, zeros(trajectory)), "disturbed")
    with pytest.raises(BagError, match="3: /joint_states, 29 joints"):
        measure(path, g1)
    found = measure(path, g1, senders=[1, 2])
    assert found.names == alone.names == names
    np.testing.assert_array_equal(found.positions, alone.positions)
    with pytest.raises(BagError, match="there is no sender 4 in that part"):
        measure(path, g1, senders=[1, 4])


def write_channels(path: Path, plugin: StoragePlugin, states: States, channels: int) -> Path:
    """A driver and a second node whose messages have the same form.

    With one channel, the recorder notes the quality of service of both.
    """
    store = kinds.store_with(kinds.JOINT_STATE)
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        made = [
            writer.add_connection(
                "/joint_states",
                kinds.JOINT_STATE,
                typestore=store,
                offered_qos_profiles=[qos(10 + n)] if channels == 2 else [qos(10), qos(11)],
            )
            for n in range(channels)
        ]
        for n, (_, at, state) in enumerate(states):
            data = kinds.encode(kinds.JOINT_STATE, state)
            writer.write(made[n % channels], round((BEGIN + at) * NANOSECONDS), data)
    return path


def alike(trajectory: RobotTrajectory) -> States:
    first = driver(trajectory)
    second = [
        (topic, at + 0.004, joint_state(one.name, 0 * one.position, BEGIN + at, one.velocity))
        for topic, at, one in first
    ]
    return together(first, second)


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda value: value.name)
def test_channels_of_their_own_distinguish_senders(
    plugin: StoragePlugin, trajectory: RobotTrajectory, g1: Robot, tmp_path: Path
) -> None:
    path = write_channels(tmp_path / "two", plugin, alike(trajectory), channels=2)
    with pytest.raises(BagError, match=r"Messages of 2 forms .* --sender NUMBER"):
        measure(path, g1)
    found = measure(path, g1, senders=[1])
    np.testing.assert_allclose(found.positions[0], trajectory.positions[0], atol=1e-6)
    np.testing.assert_array_equal(measure(path, g1, senders=[2]).positions, 0.0)


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda value: value.name)
def test_senders_that_cannot_be_distinguished_are_an_error(
    plugin: StoragePlugin, trajectory: RobotTrajectory, g1: Robot, tmp_path: Path
) -> None:
    path = write_channels(tmp_path / "one", plugin, alike(trajectory), channels=1)
    with pytest.raises(BagError, match=r"cannot tell them apart: it had 2 publishers, but"):
        measure(path, g1)


def test_a_driver_that_was_restarted_and_an_outlier_are_read(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    states = driver(trajectory)
    states[40][2].position[:] = 0.0
    again = [one for one in states if not 2.0 < one[1] < 2.2]
    for _, at, state in again:
        if at > 2.0:
            state.velocity = np.empty(0)
    assert len(measure(recorded(again), g1).times) > 100

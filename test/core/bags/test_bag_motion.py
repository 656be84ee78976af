"""Motion from recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.bags.conftest import BEGIN, joint_state, stepping
from nextscale_core.bags import Bag, reconstruction
from nextscale_core.bags.measured import Measurements, Span, choose_sources, read_measured
from nextscale_core.bags.reconstruction import RecordedMotion, reconstruct
from nextscale_core.bags.trajectory_bag import write_bag
from nextscale_core.estimation.leg_odometry import BaseSource
from nextscale_core.estimation.robot_to_human import robot_to_human
from nextscale_core.estimation.samples import BaseTrack
from nextscale_core.exceptions import BagError, RobotError
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory


def measure(path: Path, robot: Robot, fps: float = 20.0, **options: object) -> Measurements:
    names = ("joint_states", "odometry", "imu")
    chosen = {name: options.pop(name) for name in names if name in options}
    with Bag(path) as bag:
        return read_measured(bag, robot, choose_sources(bag, **chosen), fps, **options)


def rebuilt(path: Path, robot: Robot, fps: float = 20.0, **options: object) -> RecordedMotion:
    return reconstruct(robot, measure(path, robot, fps, **options), fps)


def states(
    trajectory: RobotTrajectory,
    names: list[str] | None = None,
    every: int = 1,
    stamped: bool = True,
    clock: float = BEGIN,
) -> list[tuple[str, float, object]]:
    names = names or list(trajectory.joint_names)
    columns = [trajectory.joint_names.index(name) for name in names]
    return [
        ("/joint_states", at, joint_state(names, row[columns], clock + at if stamped else 0.0))
        for at, row in zip(
            trajectory.time_from_start[::every].tolist(),
            trajectory.positions[::every],
            strict=True,
        )
    ]


def test_a_bag_becomes_the_motion_that_the_inverse_map_makes(
    bag: Path, trajectory: RobotTrajectory, g1: Robot
) -> None:
    found = rebuilt(bag, g1)
    times = trajectory.time_from_start
    base = BaseTrack(times, trajectory.base_position, trajectory.base_quaternion, floor=None)
    expected = robot_to_human(g1, times, trajectory.positions, base=base)
    assert len(found.clip) == len(expected.clip)
    np.testing.assert_allclose(found.clip.joints, expected.clip.joints, atol=2e-3)
    assert found.sources == ((BaseSource.MEASURED, len(found.clip)),)
    assert found.describe_base().startswith("odometry (100%)")


def test_odometry_that_jumps_goes_on_from_where_the_base_was(
    trajectory: RobotTrajectory, tmp_path: Path, g1: Robot
) -> None:
    turn, later = Rotation.from_euler("z", 1.5), trajectory.time_from_start > trajectory.seconds / 2
    place, quaternion = trajectory.base_position.copy(), trajectory.base_quaternion.copy()
    place[later] = turn.apply(place[later]) + np.array([3.0, -2.0, 0.5])
    quaternion[later] = (turn * Rotation.from_quat(quaternion[later])).as_quat()
    moved = replace(trajectory, base_position=place, base_quaternion=quaternion)
    write_bag(trajectory, tmp_path / "steady", g1)
    write_bag(moved, tmp_path / "jumping", g1)
    steady, jumping = (measure(tmp_path / name, g1) for name in ("steady", "jumping"))
    assert steady.base is not None and jumping.base is not None
    np.testing.assert_allclose(jumping.base.positions, steady.base.positions, atol=0.03)
    off = Rotation.from_quat(jumping.base.quaternions).inv()
    off = off * Rotation.from_quat(steady.base.quaternions)
    assert off.magnitude().max() < 0.05
    told = [note for note in jumping.notes if "/odom jumped by" in note]
    assert len(told) == 1 and "and 86 degrees; what follows goes on from" in told[0]
    assert not any("jumped" in note for note in steady.notes)


def test_without_odometry_the_soles_give_the_base(bag: Path, g1: Robot) -> None:
    found = rebuilt(bag, g1, odometry="none")
    assert found.describe_base().startswith("soles (100%)")
    pelvis = found.clip.joints[:, 0]
    measured = rebuilt(bag, g1).clip.joints[:, 0]
    np.testing.assert_allclose(pelvis[:, 2], measured[:, 2], atol=0.02)


def test_the_robots_own_trajectory_comes_back(
    bag: Path, trajectory: RobotTrajectory, g1: Robot
) -> None:
    found = rebuilt(bag, g1, fps=50.0).trajectory(g1, "sways")
    count = len(found)
    assert count == len(trajectory.positions[::2]) and found.robot == "g1"
    np.testing.assert_allclose(found.positions, trajectory.positions[::2], atol=1e-9)
    np.testing.assert_allclose(found.base_position, trajectory.base_position[::2], atol=5e-3)
    turn = np.abs((found.base_quaternion * trajectory.base_quaternion[::2]).sum(1))
    np.testing.assert_allclose(turn, 1.0, atol=1e-6)
    assert np.abs(found.velocities - trajectory.velocities[::2]).max() < 0.3


def test_joints_in_any_order_and_of_strangers_are_the_same(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    plain = measure(recorded(states(trajectory), "plain"), g1)
    turned = states(trajectory, list(trajectory.joint_names)[::-1])
    for _, _, state in turned:
        state.name.insert(3, "gripper")
        state.position = np.insert(state.position, 3, 7.0)
    other = measure(recorded(turned, "turned"), g1)
    assert other.names == plain.names
    np.testing.assert_array_equal(other.positions, plain.positions)
    assert any("gripper" in note for note in other.notes)


def test_several_senders_with_parts_of_the_robot_are_brought_together(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    names = list(trajectory.joint_names)
    legs, arms = states(trajectory, names[:12]), states(trajectory, names[12:], every=3)
    arms = [("/arms/joint_states", at, state) for _, at, state in arms]
    path = recorded(sorted(legs + arms, key=lambda one: one[1]))
    both = measure(path, g1, joint_states=["/joint_states", "/arms/joint_states"])
    plain = measure(recorded(states(trajectory), "plain"), g1)
    assert both.names == plain.names
    count = len(both.times)
    np.testing.assert_allclose(both.positions, plain.positions[:count], atol=0.01)
    with pytest.raises(RobotError, match=r"no positions of waist_yaw_joint"):
        rebuilt(path, g1, joint_states=["/joint_states"])


def test_joints_that_are_missing_may_be_assumed(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    path = recorded(states(trajectory, list(trajectory.joint_names)[:12]))
    found = reconstruct(g1, measure(path, g1), 20.0, missing="nominal")
    np.testing.assert_array_equal(found.positions[0, 12:], g1.nominal[12:])
    assert any("nominal" in note for note in found.notes)


def test_stamps_of_another_clock_do_not_matter(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    ours = measure(recorded(states(trajectory), "ours"), g1)
    theirs = measure(recorded(states(trajectory, clock=12.5), "theirs"), g1)
    unstamped = measure(recorded(states(trajectory, stamped=False), "unstamped"), g1)
    np.testing.assert_allclose(theirs.positions, ours.positions, atol=1e-6)
    np.testing.assert_allclose(unstamped.positions, ours.positions, atol=1e-6)
    assert any("recorder's times" in note for note in unstamped.notes)
    assert not any("recorder's times" in note for note in theirs.notes)


def test_stamps_beat_the_times_of_arrival(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(0)
    late, arrived = states(trajectory), 0.0
    for n, (topic, at, state) in enumerate(late):
        arrived = max(arrived, at + 0.1 * rng.random())
        late[n] = (topic, arrived, state)
    ours = measure(recorded(states(trajectory), "ours"), g1)
    np.testing.assert_allclose(
        measure(recorded(late, "late"), g1).positions, ours.positions, atol=1e-6
    )


def test_a_clock_that_was_set_is_not_believed(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    jumped = states(trajectory)[:300]
    for _, _, state in jumped[150:]:
        state.header.stamp.sec += 3600
    found = measure(recorded(jumped), g1)
    assert len(found.times) == 60
    assert any("recorder's times" in note for note in found.notes)


def test_values_that_are_not_finite_are_bridged_and_noted(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    broken = states(trajectory)
    for _, _, state in broken[100:115]:
        state.position[4] = np.nan
    found = measure(recorded(broken), g1)
    plain = measure(recorded(states(trajectory), "plain"), g1)
    np.testing.assert_allclose(found.positions, plain.positions, atol=0.02)
    assert any(g1.joint_names[4] in note for note in found.notes)


def test_messages_without_positions_are_left_out_and_noted(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    mixed = states(trajectory)
    for _, _, state in mixed[::7]:
        state.position = np.empty(0)
    found = measure(recorded(mixed), g1)
    assert len(found.times) == pytest.approx(trajectory.seconds * 20, abs=2)
    assert any("hold no position" in note for note in found.notes)


def test_of_a_recording_with_a_pause_the_longest_part_is_used(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    paused = [one for one in states(trajectory) if not 2.0 < one[1] < 2.5]
    path = recorded(paused)
    found = measure(path, g1)
    assert found.times[0] == pytest.approx(2.5, abs=0.06)
    assert any("1 gaps of more than 0.25 s" in note for note in found.notes)
    bridged = measure(path, g1, max_gap=1.0)
    assert bridged.times[0] == 0.0 and len(bridged.times) > len(found.times) + 40


def test_a_part_of_the_recording_can_be_chosen(bag: Path, g1: Robot) -> None:
    found = measure(bag, g1, span=Span(1.0, 3.0))
    assert len(found.times) == 41
    whole = measure(bag, g1)
    np.testing.assert_allclose(found.positions, whole.positions[20:61], atol=1e-9)
    with pytest.raises(BagError, match="before --end"):
        measure(bag, g1, span=Span(3.0, 1.0))
    with pytest.raises(BagError, match=r"before --end|after the end"):
        measure(bag, g1, span=Span(100.0))


def test_a_robot_not_in_the_bag_is_an_error(g1: Robot, recorded: Callable[..., Path]) -> None:
    path = recorded(
        [("/joint_states", n * 0.01, joint_state(["wheel_left"], [n])) for n in range(90)]
    )
    with pytest.raises(BagError, match=r"none of the joints in the bag is one of g1's: wheel_left"):
        measure(path, g1)


def test_a_recording_too_short_for_a_motion_is_an_error(
    trajectory: RobotTrajectory, g1: Robot, recorded: Callable[..., Path]
) -> None:
    with pytest.raises(BagError, match=r"no part of 0\.20 s has all joints"):
        measure(recorded(states(trajectory)[:5]), g1)


def test_too_many_sets_of_joints_are_an_error(g1: Robot, recorded: Callable[..., Path]) -> None:
    def some(n: int) -> object:
        names = [name for bit, name in enumerate(g1.joint_names[:8]) if n >> bit & 1]
        return joint_state(names, [0.0] * len(names))

    path = recorded([("/joint_states", n * 0.01, some(n)) for n in range(1, 200)])
    with pytest.raises(BagError, match="too many different sets of joints"):
        measure(path, g1)


def test_a_joint_named_twice_is_a_conflict(g1: Robot, recorded: Callable[..., Path]) -> None:
    names = [*g1.joint_names, g1.joint_names[0]]
    path = recorded(
        [("/joint_states", n * 0.01, joint_state(names, [*g1.nominal, 1.0])) for n in range(100)]
    )
    with pytest.raises(BagError, match=f"{g1.joint_names[0]}.*two senders contradict each other"):
        measure(path, g1)


def test_a_topic_has_to_be_chosen_where_there_are_several(
    trajectory: RobotTrajectory, recorded: Callable[..., Path]
) -> None:
    both = [(f"/{side}/joint_states", at, state) for _, at, state in states(trajectory)[:20]
            for side in ("left", "right")]  # fmt: skip
    with Bag(recorded(both)) as bag:
        with pytest.raises(BagError, match=r"several topics .*/left/joint_states, /right/"):
            choose_sources(bag)
        assert choose_sources(bag, ["/left/joint_states"]).topics == ("/left/joint_states",)
        with pytest.raises(BagError, match="has no topic '/odom'"):
            choose_sources(bag, ["/left/joint_states"], odometry="/odom")


def test_odometry_of_another_link_is_noted_or_an_error_if_requested(
    trajectory: RobotTrajectory, g1: Robot, tmp_path: Path
) -> None:
    # Without the robot, its root is called base_link.
    write_bag(trajectory, tmp_path / "foreign")
    found = rebuilt(tmp_path / "foreign", g1)
    assert found.describe_base().startswith("soles")
    assert any("/odom is not used: poses of 'base_link'" in note for note in found.notes)
    with pytest.raises(BagError, match="must be the root link 'pelvis'"):
        measure(tmp_path / "foreign", g1, odometry="/odom")


@pytest.mark.parametrize("odometry", [None, "none"], ids=["odometry", "soles"])
def test_a_long_recording_is_made_in_windows_without_a_seam(
    odometry: str | None,
    g1: Robot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walk = Retargeter(g1).retarget(stepping(16.0), rate=50.0)
    write_bag(walk, tmp_path / "long", g1)
    measured = measure(tmp_path / "long", g1, odometry=odometry)
    whole = reconstruct(g1, measured, 20.0)
    monkeypatch.setattr(reconstruction, "WINDOW", 100)
    parts = reconstruct(g1, measured, 20.0)
    assert len(parts.clip) == len(whole.clip) == len(measured.times)
    assert sum(count for _, count in parts.sources) == len(measured.times)
    np.testing.assert_allclose(parts.positions, whole.positions, atol=1e-12)
    # Bending knees on the spot: nothing may wander off, turn or jump at the seams.
    np.testing.assert_allclose(parts.clip.joints, whole.clip.joints, atol=0.02)
    steps = np.abs(np.diff(parts.clip.joints, axis=0)).max()
    assert steps < np.abs(np.diff(whole.clip.joints, axis=0)).max() + 0.003
    assert parts.clip.contacts is not None and parts.clip.contacts.shape == (len(whole.clip), 4)

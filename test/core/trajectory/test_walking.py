from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.robots import load_robot
from nextscale_core.trajectory.ground import Ground
from nextscale_core.trajectory.reference import ReferenceCurve
from nextscale_core.trajectory.reference_stream import ReferenceStream
from nextscale_core.trajectory.walking import (
    SHARE,
    WINDOW,
    PathFollower,
    WalkingLimits,
    slowed_to_walk,
    upper_joints,
)

STEP = 0.02
LIMITS = WalkingLimits(linear=1.0, angular=1.0)


@pytest.fixture
def way(wave):
    """A wave on a root that goes some metres ahead and turns, from rest to rest in 3.5 s."""

    def make(metres: float, turn: float = 0.0):
        u = wave.time_from_start / wave.seconds
        rise = u**3 * (10 - 15 * u + 6 * u * u)
        place = wave.base_position + np.stack([metres * rise, 0 * u, 0 * u], 1)
        heading = Rotation.from_euler("z", (turn * rise)[:, None])
        return replace(wave, base_position=place, base_quaternion=heading.as_quat())

    return make


def mean_speed(trajectory) -> np.ndarray:
    curve = ReferenceCurve(trajectory)
    times = np.arange(0.0, trajectory.seconds, STEP)
    ends = [curve.sample(times + shift).base_position for shift in (-WINDOW / 2, WINDOW / 2)]
    return np.linalg.norm(ends[1] - ends[0], axis=1) / WINDOW


def walk(stream, follower, seconds, start=(0.0, 0.0), facing=0.0, lag=0.0):
    """Commands of a robot that follows each at once, after a share `lag` of it is lost."""
    place, commands = complex(*start), []
    for time in np.arange(0.0, seconds, STEP):
        base = np.array([place.real, place.imag, 0.78])
        turn = Rotation.from_euler("z", facing).as_quat()
        command = follower.command(stream, time, base, turn, STEP)
        commands.append(command)
        facing += (1 - lag) * command.angular * STEP
        place += (1 - lag) * command.linear * np.exp(1j * facing) * STEP
    return commands, place, facing


@pytest.mark.parametrize("metres", [0.0, 2.0])
def test_in_a_world_that_is_another_one_the_robot_walks_on_as_if_it_were_the_same(g1, way, metres):
    def walked(jump: complex, turn: float) -> np.ndarray:
        stream, follower = ReferenceStream(g1), PathFollower(LIMITS)
        stream.replace(way(metres), 0.0)
        stream.anchor(np.array([0.3, 0.1, 0.78]), Rotation.from_euler("z", 0.2).as_quat(), 0.5)
        place, facing, commands = 0j, 0.0, []
        for time in np.arange(0.0, stream.end + 3.0, STEP):
            if len(commands) == 80:
                stream.move(Ground(np.exp(1j * turn), jump))
                place, facing = place * np.exp(1j * turn) + jump, facing + turn
            base = np.array([place.real, place.imag, 0.78])
            quaternion = Rotation.from_euler("z", facing).as_quat()
            command = follower.command(stream, time, base, quaternion, STEP)
            commands.append([command.linear.real, command.linear.imag, command.angular])
            facing += 0.8 * command.angular * STEP
            place += 0.8 * command.linear * np.exp(1j * facing) * STEP
        return np.array(commands)

    same, other = walked(0j, 0.0), walked(3 - 2j, 1.5)
    assert np.abs(same).max() > 0.3 or metres == 0.0
    np.testing.assert_allclose(other, same, atol=1e-6)


def test_a_robot_that_loses_a_fifth_of_each_step_still_arrives(g1, way):
    stream = ReferenceStream(g1)
    stream.replace(way(2.0, 0.9), 0.5)
    commands, place, facing = walk(stream, PathFollower(LIMITS), stream.end + 3.0, lag=0.2)
    goal = stream.at(stream.end).base_position
    assert abs(place - complex(*goal[:2])) < 0.1
    assert facing == pytest.approx(0.9, abs=0.1)
    speeds = np.array([command.linear for command in commands])
    assert np.abs(speeds).max() <= 1.0 + 1e-9
    assert np.abs(np.diff(speeds)).max() <= LIMITS.linear_acceleration * STEP + 1e-9
    rates = np.array([command.angular for command in commands])
    assert np.abs(rates).max() <= 1.0
    assert np.abs(np.diff(rates)).max() <= LIMITS.angular_acceleration * STEP + 1e-9


def test_the_command_is_in_the_frame_of_the_robot(g1, way):
    stream = ReferenceStream(g1, quaternion=Rotation.from_euler("z", 0.0).as_quat())
    stream.replace(way(2.0), 0.0)
    follower = PathFollower(WalkingLimits(linear_acceleration=100.0, angular_acceleration=100.0))
    side = Rotation.from_euler("z", -np.pi / 2).as_quat()
    middle = 0.5 * stream.end
    command = follower.command(stream, middle, stream.at(middle).base_position, side, STEP)
    # The path leads along x, which is to the left of a robot that faces -y.
    assert command.linear.imag > 0.5 and abs(command.linear.real) < 0.1
    assert command.angular > 0.3


def test_a_robot_stands_before_during_and_after_a_motion_in_place(g1, wave):
    stream = ReferenceStream(g1)
    stream.replace(wave, 1.0)
    commands, _, _ = walk(stream, PathFollower(LIMITS), stream.end + 1.0, start=(0.05, 0.05))
    assert all(command.at_rest for command in commands)


def test_two_seconds_after_a_motion_a_robot_stands_wherever_it_is(g1, way):
    stream = ReferenceStream(g1)
    stream.replace(way(1.0), 0.0)
    follower = PathFollower(LIMITS)
    far = np.array([5.0, 0.0, 0.78])
    turn = np.array([0.0, 0.0, 0.0, 1.0])
    for time in np.arange(stream.end, stream.end + 3.0, STEP):
        command = follower.command(stream, time, far, turn, STEP)
    assert command.at_rest


def test_a_root_that_is_too_fast_is_played_more_slowly(way):
    fast = way(5.0, 3.0)
    slow, factor = slowed_to_walk(fast, LIMITS)
    assert factor > 1.3 and slow.seconds == pytest.approx(factor * fast.seconds)
    assert mean_speed(fast).max() > 2.0
    assert mean_speed(slow).max() < 1.03 * SHARE
    assert (np.diff(slow.time_from_start) > 0.4 / slow.fps).all()
    # The same path, at another time; velocities are those of the positions.
    assert np.allclose(slow.base_position[-1], fast.base_position[-1])
    near = np.abs(slow.positions[:, None] - fast.positions[None]).max(2).min(1)
    assert near.max() < 0.1
    mean = np.diff(slow.positions, axis=0) / np.diff(slow.time_from_start)[:, None]
    assert np.abs(mean - (slow.velocities[1:] + slow.velocities[:-1]) / 2).max() < 0.2


def test_a_trajectory_that_begins_in_motion_keeps_the_speed_of_its_begin(way):
    fast = way(5.0)
    half = len(fast) // 2
    names = ("positions", "velocities", "base_position", "base_quaternion", "time_from_start")
    later = replace(fast, **{name: getattr(fast, name)[half:] for name in names})
    later = replace(later, time_from_start=later.time_from_start - later.time_from_start[0])
    slow, factor = slowed_to_walk(later, LIMITS)
    assert factor > 1.0
    assert np.allclose(slow.velocities[0], later.velocities[0])


def test_a_slow_trajectory_stays_as_it_is(wave):
    assert slowed_to_walk(wave, LIMITS) == (wave, 1.0)


def test_arms_are_the_joints_that_neither_walk_nor_carry_the_torso(g1):
    names = [g1.joint_names[j] for j in upper_joints(g1)]
    assert len(names) == 14 and all("shoulder" in n or "elbow" in n or "wrist" in n for n in names)
    arms = load_robot("g1", joints="upper_body")
    assert {arms.joint_names[j] for j in upper_joints(arms)} == set(names)
    more = {g1.joint_names[j] for j in upper_joints(g1, waist=True)} - set(names)
    assert more == {"waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint"}

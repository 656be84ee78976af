from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.rotations import yaw
from nextscale_core.trajectory.reference_stream import LARGEST_GAP, ReferenceStream
from nextscale_core.trajectory.spline_limits import limit_use
from nextscale_core.trajectory.standing import standing_pose, to_standing, transition

STEP = 0.02


@pytest.fixture
def walking(wave):
    """The wave on a root that goes 1 m ahead and turns by 0.8 rad, from rest to rest."""
    u = wave.time_from_start / wave.seconds
    way = u**3 * (10 - 15 * u + 6 * u * u)
    place = wave.base_position + np.stack([way, 0.2 * way, 0 * way], 1)
    turn = Rotation.from_euler("ZY", np.stack([0.8 * way, 0.1 * way], 1))
    return replace(wave, base_position=place, base_quaternion=turn.as_quat())


def moments(begin: float, end: float) -> np.ndarray:
    return np.arange(begin, end, STEP)


def seen(stream: ReferenceStream, changes=(), end: float | None = None):
    """References every 20 ms, as a robot gets them while (time, change) pairs happen."""
    rows, times, now = [], [], 0.0
    for at, change in [*changes, (None, None)]:
        until = (stream.end + 1.0 if end is None else end) if at is None else at
        part = moments(now, until)
        rows.append(stream.sample(part))
        times.append(part)
        now = part[-1] + STEP
        if change is not None:
            change(now)
    return np.concatenate(times), type(rows[0])(
        *(
            np.concatenate(columns)
            for columns in zip(*(vars(r).values() for r in rows), strict=True)
        )
    )


def stand_up(stream: ReferenceStream, now: float) -> None:
    assert stream.stand_up(lambda: now)


def check_smooth(robot, times, reference):
    """Joints keep the limits between samples; the root moves as its twist says."""
    speed, force = limit_use(robot, reference.positions, reference.velocities, times)
    assert speed.max() <= 1.0 and force.max() <= 1.0
    turn = Rotation.from_quat(reference.base_quaternion)
    world = turn.apply(reference.linear_velocity)
    mean = (world[1:] + world[:-1]) / 2
    assert np.abs(np.diff(reference.base_position, axis=0) - STEP * mean).max() < 2e-3
    spin = (reference.angular_velocity[1:] + reference.angular_velocity[:-1]) / 2
    step = (turn[:-1].inv() * turn[1:]).as_rotvec()
    assert np.abs(step - STEP * spin).max() < 2e-3
    assert np.abs(np.diff(world, axis=0)).max() < 0.3


def is_standing(robot, reference) -> bool:
    upright = Rotation.from_quat(reference.base_quaternion).as_matrix()
    poses = Poses(reference.base_position[None], upright[None], reference.positions[None])
    on_floor = abs(float(kinematics_of(robot).lowest_sole(poses)[0])) < 1e-3
    still = not np.any(np.concatenate([reference.velocities, reference.linear_velocity]))
    same = np.allclose(reference.positions, robot.nominal, atol=1e-3)
    return bool(on_floor and still and same and upright[2, 2] > 1 - 1e-6)


def test_a_trajectory_begins_and_ends_standing(g1, walking):
    stream = ReferenceStream(g1)
    times, found = seen(stream, [(0.5, lambda now: stream.replace(walking, now))])
    check_smooth(g1, times, found)
    assert is_standing(g1, found[0]) and is_standing(g1, found[-1])
    assert stream.moves(1.0) and not stream.moves(times[-1])
    # Every pose of the trajectory is among the references.
    middle = walking.positions[len(walking) // 2]
    assert np.abs(found.positions - middle).max(1).min() < 0.1
    assert np.linalg.norm(found.base_position[-1, :2]) == pytest.approx(1.0, abs=0.15)


def test_standing_again_keeps_the_feet_where_the_trajectory_left_them(g1, walking):
    stream = ReferenceStream(g1)
    stream.replace(walking, 0.0)
    soles = kinematics_of(g1).soles
    last = stream.trajectory
    poses = Poses(
        last.base_position, Rotation.from_quat(last.base_quaternion).as_matrix(), last.positions
    )
    centre = kinematics_of(g1).points(poses)[:, soles].mean(1)
    end = len(last) - round(1.5 * last.fps)
    assert np.abs(centre[end:, :2] - centre[-1, :2]).max() < 0.02


def test_a_new_trajectory_in_motion_joins_without_a_jump(g1, walking):
    stream = ReferenceStream(g1)
    stream.replace(walking, 0.0)
    # What is planned while the robot moves begins in the reference of the time of the change.
    change = 3.0
    later = transition(g1, stream.at(change), standing_pose(g1), seconds=2.0)
    times, found = seen(stream, [(change, lambda now: stream.replace(later, now, change))])
    check_smooth(g1, times, found)
    assert is_standing(g1, found[-1])


def test_what_differs_at_a_seam_fades_out_inside_the_limits(g1, wave):
    stream = ReferenceStream(g1)
    stream.replace(wave, 0.0)
    off = stream.at(2.0)
    off = replace(off, positions=off.positions + 0.05, velocities=0.9 * off.velocities)
    later = transition(g1, off, standing_pose(g1))
    times, found = seen(stream, [(2.0, lambda now: stream.replace(later, now, 2.0))])
    check_smooth(g1, times, found)
    seam = np.abs(np.diff(found.positions, axis=0))[np.searchsorted(times, 2.0) - 1]
    assert seam.max() < LARGEST_GAP


def test_a_trajectory_from_elsewhere_is_refused_and_the_reference_goes_on(g1, wave):
    stream = ReferenceStream(g1)
    stream.replace(wave, 0.0)
    before = stream.sample(moments(1.0, 3.0))
    far = to_standing(g1, standing_pose(g1))
    with pytest.raises(RetargetError, match=r"would jump by .* within 0\.1 rad"):
        stream.replace(far, 2.5, 2.5)
    after = stream.sample(moments(1.0, 3.0))
    assert np.array_equal(before.positions, after.positions)


@pytest.mark.parametrize("at", [0.3, 1.1, 1.9, 2.6, 3.3, 4.2])
def test_stopping_at_any_time_ends_standing_soon_and_until_then_keeps_its_path(g1, walking, at):
    stream = ReferenceStream(g1)
    stream.replace(walking, 0.0)
    before = stream.trajectory
    times, found = seen(stream, [(at, stream.brake), (at + 0.2, lambda now: stand_up(stream, now))])
    check_smooth(g1, times, found)
    assert is_standing(g1, found[-1])
    assert stream.end - at < 2.6
    # Until it has stopped, each pose is one of the trajectory, to the next sample.
    stop = found.positions[(times > at) & (times < at + 0.45)]
    assert np.abs(stop[:, None] - before.positions[None]).max(2).min(1).max() < 0.06


def test_a_way_to_standing_that_is_refused_is_not_gone(g1, walking):
    stream = ReferenceStream(g1)
    stream.replace(walking, 0.0)
    stream.brake(2.0)
    assert not stream.stand_up(lambda: 2.1, lambda way: None)
    rest = stream.at(stream.end + 1.0)
    assert not rest.velocities.any() and not is_standing(g1, rest)
    # The next trajectory begins from there.
    later = transition(g1, rest, standing_pose(g1))
    times, found = seen(stream, [(stream.end + 0.5, lambda now: stream.replace(later, now))])
    check_smooth(g1, times[times > 3.0], found[times > 3.0])
    assert is_standing(g1, found[-1])


@pytest.mark.parametrize("late", [1e-4, 8e-3, 0.1])
def test_what_is_sampled_before_a_change_is_what_it_was_before(g1, walking, late):
    # Threads that share a stream do not read the clock at the same time.
    at = 2.0
    changes = {
        "replace": lambda stream: stream.replace(
            transition(g1, stream.at(at + late), standing_pose(g1)), at + late, at + late
        ),
        "brake": lambda stream: stream.brake(at + late),
        "twice": lambda stream: (stream.brake(at + late / 2), stream.brake(at + late)),
    }
    times = np.array([at - 0.5, at])
    for name, change in changes.items():
        stream = ReferenceStream(g1)
        stream.replace(walking, 0.0)
        before = stream.sample(times)
        assert np.abs(before.velocities[1]).max() > 0.1
        change(stream)
        after = vars(stream.sample(times)).values()
        for was, found in zip(vars(before).values(), after, strict=True):
            np.testing.assert_allclose(found, was, atol=1e-12, err_msg=name)
        # Samples on both sides of the change in one call, as a tracker's window has them.
        around = np.array([at, at + 2 * late])
        both = stream.sample(around)
        assert np.array_equal(both[0].positions, stream.at(around[0]).positions)
        assert np.array_equal(both[1].positions, stream.at(around[1]).positions)


def test_a_way_to_standing_that_was_checked_for_long_begins_where_the_reference_rests(g1, walking):
    stream = ReferenceStream(g1)
    stream.replace(walking, 0.0)
    late = 4.0
    times, found = seen(stream, [(2.0, stream.brake), (late, lambda now: stand_up(stream, now))])
    check_smooth(g1, times, found)
    assert is_standing(g1, found[-1])


def test_the_reference_moves_to_the_robot_slowly_and_its_twist_stays(g1, walking):
    stream = ReferenceStream(g1)
    turn = Rotation.from_euler("z", 0.5).as_quat()
    stream.anchor(np.array([0.4, -0.3, 0.7]), turn, 1.0)
    found = stream.sample(moments(0.0, 8.0))
    step = np.diff(found.base_position, axis=0)
    assert np.linalg.norm(step, axis=1).max() <= 0.2 * STEP + 1e-9
    assert not found.linear_velocity.any() and not found.angular_velocity.any()
    assert np.allclose(found.base_position[-1, :2], [0.4, -0.3], atol=1e-6)
    assert yaw(Rotation.from_quat(found.base_quaternion[-1]).as_matrix()) == pytest.approx(0.5)
    # A motion that begins meanwhile is led along, without a jump.
    stream.replace(walking, 2.0)
    moved = stream.sample(moments(0.0, 8.0))
    assert np.linalg.norm(np.diff(moved.base_position, axis=0), axis=1).max() < 0.03


def test_a_reference_beside_the_robot_is_left_there(g1):
    stream = ReferenceStream(g1)
    stream.anchor(np.array([0.01, 0.0, 0.7]), np.array([0.0, 0.0, 0.0, 1.0]), 1.0)
    assert not stream.sample(moments(0.0, 5.0)).base_position[:, :2].any()


def test_a_stream_begins_where_the_robot_stands(g1):
    turn = Rotation.from_euler("ZY", [1.0, 0.2]).as_quat()
    reference = ReferenceStream(g1, np.array([3.0, 2.0, 0.6]), turn).at(5.0)
    assert is_standing(g1, reference)
    assert np.allclose(reference.base_position[:2], [3.0, 2.0])
    assert yaw(Rotation.from_quat(reference.base_quaternion).as_matrix()) == pytest.approx(1.0)

"""A recording and the live buffers read the same messages in the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.bags.conftest import BEGIN, joint_state
from nextscale_core.bags import Bag, BagWriter
from nextscale_core.bags import definitions as kinds
from nextscale_core.bags.collectors import ImuCollector, OdometryCollector
from nextscale_core.bags.measured import choose_sources, read_measured
from nextscale_core.bags.trajectory_bag import write_bag
from nextscale_core.estimation.base_pose import BasePoseBuffer, ImuBuffer
from nextscale_core.estimation.joint_states import JointStateBuffer
from nextscale_core.estimation.robot_to_human import robot_to_human
from nextscale_core.exceptions import BagError, RobotError
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.robots.robot import build_robot

JOINT = "left_shoulder_yaw_joint"


@pytest.fixture(scope="module")
def endless(g1: Robot, tmp_path_factory: pytest.TempPathFactory) -> Robot:
    """A G1 one of whose joints is continuous."""
    name = f'<joint name="{JOINT}" type="revolute">'
    path = tmp_path_factory.mktemp("robot") / "endless.urdf"
    path.write_text(g1.urdf_path.read_text().replace(name, name.replace("revolute", "continuous")))
    return build_robot(path, g1.profile, g1.mesh_dirs)


@pytest.mark.parametrize("prefix", ["", "g1/", "/g1/", "fleet/g1/"])
def test_odometry_of_a_prefixed_frame_is_read(
    prefix: str, bag: Path, trajectory: RobotTrajectory, g1: Robot
) -> None:
    live, recorded = BasePoseBuffer(g1), OdometryCollector(g1)
    with Bag(bag) as recording:
        for message, odometry in recording.decoded(["/odom"]):
            odometry.child_frame_id = prefix + odometry.child_frame_id
            time = message.time / 1e9
            recorded.add(odometry, time, time)
            place, turn = odometry.pose.pose.position, odometry.pose.pose.orientation
            live.update(
                np.array([place.x, place.y, place.z]),
                np.array([turn.x, turn.y, turn.z, turn.w]),
                odometry.child_frame_id,
                time,
                0.0,
            )
    track = live.track(0.0)
    times, rows = recorded.series(stamped=True)
    assert track is not None and len(times) == len(trajectory)
    count = len(track.times)
    np.testing.assert_array_equal(track.times, times[-count:])
    np.testing.assert_array_equal(track.positions, rows[-count:, :3])
    np.testing.assert_allclose(track.quaternions, rows[-count:, 3:], atol=1e-15)


@pytest.mark.parametrize("frame", ["imu_in_torso", "g1/imu_in_torso", "/g1/imu_in_torso"])
def test_an_imu_with_a_prefixed_frame_is_read(frame: str, g1: Robot) -> None:
    times = 0.05 * np.arange(10)
    joints = np.tile(g1.nominal, (10, 1))
    live, recorded = ImuBuffer(), ImuCollector(g1, frame)
    quaternion = np.array([0.0, 0.1, 0.0, np.sqrt(0.99)])
    message = kinds.message(
        kinds.IMU,
        header=None,
        orientation=kinds.message(
            "geometry_msgs/msg/Quaternion", **dict(zip("xyzw", quaternion, strict=True))
        ),
        orientation_covariance=np.zeros(9),
        angular_velocity=None,
        angular_velocity_covariance=None,
        linear_acceleration=None,
        linear_acceleration_covariance=None,
    )
    for time in times:
        live.update(quaternion, time + 1.0, 0.0)
        recorded.add(message, time, time)
    track = live.track(0.0, frame)
    assert track is not None and recorded.link == "imu_in_torso"
    assert robot_to_human(g1, times + 1.0, joints, imu=track).warnings == ()
    unknown = live.track(0.0, "g1/imu_in_hat")
    with pytest.raises(RobotError, match="no link 'g1/imu_in_hat'"):
        robot_to_human(g1, times + 1.0, joints, imu=unknown)
    with pytest.raises(BagError, match="'g1/imu_in_hat', which g1 does not have"):
        ImuCollector(g1, "g1/imu_in_hat").add(message, 0.0, 0.0)


def test_continuous_joints_are_unwrapped_before_they_are_interpolated(
    endless: Robot, recorded: Callable[..., Path]
) -> None:
    """Two turns counted from -pi to pi, in messages of their own at a low rate."""
    others = [name for name in endless.joint_names if name != JOINT]
    live = JointStateBuffer.of_robot(endless)
    messages = []
    for n, time in enumerate((0.01 * np.arange(300)).tolist()):
        angle = float(np.angle(np.exp(4j * np.pi * time / 3.0)))
        parts = [(others, [0.0] * len(others), time)]
        parts += [([JOINT], [angle], time + 0.004)] if n % 3 == 0 else []
        for names, positions, at in parts:
            live.update(names, positions, [], BEGIN + at, BEGIN + at)
            messages.append(("/joint_states", at, joint_state(names, positions, BEGIN + at)))
    history = live.history(BEGIN)
    with Bag(recorded(messages)) as recording:
        found = read_measured(recording, endless, choose_sources(recording), 100.0)
    column = endless.joint_names.index(JOINT)
    for times, angles in (
        (history.times - BEGIN, history.positions[:, column]),
        (found.times, found.positions[:, column]),
    ):
        assert len(times) > 290
        steps = np.diff(angles)
        assert steps.min() > 0.0 and steps.max() < 0.05
        expected = 4 * np.pi / 3.0 * (times - 0.004)
        # Whole turns are counted from the last measured position.
        np.testing.assert_allclose(angles, expected - 4 * np.pi, atol=1e-4)


def test_a_bag_with_a_prefixed_frame_has_a_measured_base(
    trajectory: RobotTrajectory, g1: Robot, tmp_path: Path
) -> None:
    write_bag(trajectory, tmp_path / "plain", g1)
    with Bag(tmp_path / "plain") as source, BagWriter(tmp_path / "prefixed") as target:
        for message, value in source.decoded(["/joint_states", "/odom"]):
            if message.kind == kinds.ODOMETRY:
                value.child_frame_id = f"g1/{value.child_frame_id}"
            target.put(message.topic, message.kind, message.time, value)
    bases = []
    for name in ("plain", "prefixed"):
        with Bag(tmp_path / name) as recording:
            bases.append(read_measured(recording, g1, choose_sources(recording), 20.0).base)
    assert bases[0] is not None and bases[1] is not None
    np.testing.assert_array_equal(bases[0].positions, bases[1].positions)

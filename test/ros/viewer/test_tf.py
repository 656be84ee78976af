"""The transforms of a robot's base: REP-105's and REP-120's, for every robot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RobotError
from nextscale_core.robots import Robot, list_robots, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_ros import tf
from nextscale_ros.tf import BaseTransforms, root_link

Pose = tuple[np.ndarray, Rotation]


@pytest.fixture(params=list_robots(installed=True))
def robot(request: pytest.FixtureRequest) -> Robot:
    try:
        return load_robot(request.param)
    except RobotError as error:
        pytest.skip(str(error))


class Bystander:
    """A node that keeps its published messages and log lines."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.warnings: list[str] = []

    def create_publisher(self, kind: type, topic: str, depth: int) -> Any:
        return SimpleNamespace(publish=self.published.append)

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=self.warnings.append)


def tree(transforms: list[Any]) -> dict[str, Pose]:
    """Every frame in the world; each has one parent, and parents come first."""
    poses: dict[str, Pose] = {"odom": (np.zeros(3), Rotation.identity())}
    for each in transforms:
        to, turn = each.transform.translation, each.transform.rotation
        place, rotation = poses[each.header.frame_id]
        assert each.child_frame_id not in poses
        own = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])
        poses[each.child_frame_id] = (
            place + rotation.apply([to.x, to.y, to.z]),
            rotation * own,
        )
    return poses


def test_the_frames_are_where_the_conventions_have_them(robot: Robot) -> None:
    rng = np.random.default_rng(4)
    joints = rng.uniform(robot.position_lower, robot.position_upper)
    place, base = rng.uniform(-1.0, 1.0, 3), Rotation.from_rotvec([0.2, -0.3, 2.0])
    root = Rotation.from_quat(robot.root_quaternion(base.as_quat()))
    found = BaseTransforms(Bystander(), robot).transforms(
        "odom", place, root.as_quat(), joints, Time(sec=3)
    )
    assert all(each.header.stamp.sec == 3 for each in found)
    poses = tree(found)
    np.testing.assert_allclose(poses[root_link(robot)][0], place)
    assert (poses[root_link(robot)][1].inv() * root).magnitude() < 1e-6
    if "base_link" in poses and root_link(robot) != "base_link":
        # REP-103: x forward, z up.
        assert (poses["base_link"][1].inv() * base).magnitude() < 1e-6
        np.testing.assert_allclose(poses["base_link"][0], place, atol=1e-9)
    if robot.model.existFrame("base_footprint"):
        return
    kinematics = kinematics_of(robot)
    points = kinematics.points(Poses(place[None], base.as_matrix()[None], joints[None]))
    soles = points[0, kinematics.soles]
    at, turn = poses["base_footprint"]
    np.testing.assert_allclose(at, [*soles[:, :2].mean(axis=0), soles[:, 2].min()], atol=1e-6)
    roll, pitch, yaw = turn.as_euler("xyz")
    facing = base.apply([1.0, 0.0, 0.0])
    assert (roll, pitch) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert yaw == pytest.approx(np.arctan2(facing[1], facing[0]), abs=1e-6)


def test_a_standing_robot_has_its_footprint_on_the_floor(robot: Robot) -> None:
    transforms = BaseTransforms(Bystander(), robot)
    place, turn = transforms.standing(robot.nominal)
    poses = tree(transforms.transforms("odom", place, turn, robot.nominal, Time()))
    if "base_footprint" in poses and root_link(robot) != "base_footprint":
        at, _ = poses["base_footprint"]
        assert at[2] == pytest.approx(0.0, abs=1e-6) and abs(at[0]) < 0.2


def test_without_tf2_msgs_it_is_said_once_and_nothing_is_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        robot = load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(tf, "TFMessage", None)
    node = Bystander()
    transforms = BaseTransforms(node, robot)
    for _ in range(3):
        transforms.publish("odom", *transforms.standing(robot.nominal), robot.nominal, Time())
    assert node.published == [] and len(node.warnings) == 1
    assert "tf2_msgs is not installed" in node.warnings[0]

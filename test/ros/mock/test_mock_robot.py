"""The mock robot as a process: joint_trajectory_controller's manners."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint, MultiDOFJointTrajectory

from nextscale_core.exceptions import RobotError
from nextscale_core.robots import Robot, list_robots, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.conversions import base_trajectory, duration
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.qos import LATCHED
from nextscale_ros.robot_description import resting_joints
from ros.graph import REPLY, START, Graph
from ros.urdf_tree import link_poses


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


class Controller:
    """Commands the mock robot and watches it."""

    def __init__(self, recorder: Recorder, child: Child, robot: Robot) -> None:
        self.recorder, self.child, self.robot = recorder, child, robot
        self.commands = recorder.create_publisher(JointTrajectory, "/motion_command", 10)
        self.bases = recorder.create_publisher(MultiDOFJointTrajectory, "/motion_command/base", 10)
        recorder.wait(
            lambda: (
                self.commands.get_subscription_count() > 1
                and self.bases.get_subscription_count() > 1
                and bool(recorder.states)
            ),
            START,
            "the mock robot",
            child.check,
        )

    def message(self, *points: tuple[float, float]) -> JointTrajectory:
        """Times [s] and offsets from the nominal pose of all joints [rad]; at rest in each."""
        still = [0.0] * len(self.robot.joint_names)
        return JointTrajectory(
            joint_names=list(self.robot.joint_names),
            points=[
                JointTrajectoryPoint(
                    positions=[float(q) for q in self.robot.nominal + offset],
                    velocities=still,
                    time_from_start=duration(time),
                )
                for time, offset in points
            ],
        )

    def offset(self) -> float:
        """Where the robot is now, as the mean offset from the nominal pose [rad]."""
        return float(np.mean(np.array(self.recorder.states[-1].position) - self.robot.nominal))

    def wait_for_offset(self, offset: float) -> None:
        def rests() -> bool:
            return abs(self.offset() - offset) < 1e-6 and not any(self.recorder.states[-1].velocity)

        self.recorder.wait(rests, REPLY, f"offset {offset}", self.child.check)

    def log(self) -> str:
        assert self.child.log is not None
        return self.child.log.read_text()

    def wait_for_log(self, line: str, count: int = 1) -> None:
        self.recorder.wait(lambda: self.log().count(line) >= count, REPLY, line, self.child.check)


@pytest.fixture(scope="module")
def mock(graph: Graph) -> Child:
    return graph.start("mock_robot")


@pytest.fixture
def controller(graph: Graph, mock: Child, robot: Robot) -> Iterator[Controller]:
    recorder = Recorder(graph.context)
    controller = Controller(recorder, mock, robot)
    yield controller
    controller.commands.publish(controller.message((0.1, 0.0)))
    controller.wait_for_offset(0.0)
    recorder.destroy_node()


def test_it_stands_in_its_nominal_pose_and_says_so_a_hundred_times_a_second(
    controller: Controller, robot: Robot
) -> None:
    begin = len(controller.recorder.states)
    controller.recorder.wait(
        lambda: len(controller.recorder.states) > begin + 60, REPLY, "joint states"
    )
    states = controller.recorder.states[begin:]
    stamps = np.array([nanoseconds(state.header.stamp) for state in states]) / NANOSECONDS
    assert np.median(np.diff(stamps)) == pytest.approx(0.01, abs=0.002)
    assert list(states[-1].name) == list(robot.joint_names)
    np.testing.assert_allclose(states[-1].position, robot.nominal)
    np.testing.assert_allclose(states[-1].velocity, 0.0)


def test_it_follows_a_trajectory_and_holds_its_end(controller: Controller) -> None:
    begin = len(controller.recorder.states)
    controller.commands.publish(controller.message((0.2, 0.1), (0.5, 0.2)))
    controller.wait_for_offset(0.2)
    states = controller.recorder.states[begin:]
    path = np.array([state.position[0] for state in states]) - controller.robot.nominal[0]
    assert (np.diff(path) >= -1e-9).all(), "it goes there without turning back"
    # The stamps, not the wall clock: a busy machine may deliver late.
    stamps = np.array([nanoseconds(state.header.stamp) for state in states]) / NANOSECONDS
    moving = np.flatnonzero((path > 1e-9) & (path < 0.2 - 1e-9))
    assert 0.4 < stamps[moving[-1]] - stamps[moving[0]] <= 0.5
    np.testing.assert_allclose(states[-1].velocity, 0.0)


def test_a_new_trajectory_replaces_the_old_one_without_a_jump(controller: Controller) -> None:
    begin = len(controller.recorder.states)
    controller.commands.publish(controller.message((2.0, 0.5)))
    controller.recorder.wait(lambda: controller.offset() > 0.05, REPLY, "some way")
    controller.commands.publish(controller.message((0.3, 0.0)))
    controller.wait_for_offset(0.0)
    states = controller.recorder.states[begin:]
    path = np.array([state.position[0] for state in states])
    stamps = np.array([nanoseconds(state.header.stamp) for state in states]) / NANOSECONDS
    assert path.max() - controller.robot.nominal[0] < 0.4
    assert np.abs(np.diff(path) / np.diff(stamps)).max() < 5.0


def broken(controller: Controller, how: str) -> tuple[JointTrajectory, str]:
    """A message that must be refused, and what must be said about it."""
    message = controller.message((0.2, 0.1), (0.4, 0.2))
    if how == "unknown joint":
        message.joint_names[0] = "tail"
        return message, "unknown joints: tail"
    if how == "missing joint":
        message.joint_names.pop()
        for point in message.points:
            point.positions.pop()
            point.velocities.pop()
        return message, f"missing joints: {controller.robot.joint_names[-1]}"
    if how == "time stands still":
        message.points[1].time_from_start = message.points[0].time_from_start
        return message, "time_from_start does not increase"
    if how == "wrong length":
        message.points[1].positions.append(0.0)
        return message, "point 1: positions has"
    if how == "moving at the end":
        message.points[1].velocities[3] = 0.5
        return message, "the last point moves"
    if how == "NaN":
        message.points[1].positions[3] = float("nan")
        return message, "is nan"
    if how == "long past":
        message.header.stamp.sec = 1
        return message, "the trajectory ended"
    message.points = []
    return message, "no points"


@pytest.mark.parametrize(
    "how",
    [
        "unknown joint",
        "missing joint",
        "time stands still",
        "wrong length",
        "moving at the end",
        "NaN",
        "long past",
        "no points",
    ],
)
def test_it_refuses_what_the_controller_would_refuse_and_stays(
    controller: Controller, how: str
) -> None:
    before = controller.log().count("trajectory rejected")
    message, reason = broken(controller, how)
    controller.commands.publish(message)
    controller.wait_for_log("trajectory rejected", before + 1)
    refusals = [line for line in controller.log().splitlines() if "trajectory rejected" in line]
    assert reason in refusals[before]
    assert controller.offset() == pytest.approx(0.0, abs=1e-9)


def test_it_moves_its_base_along_the_base_trajectory(controller: Controller) -> None:
    times = np.array([0.0, 0.1, 0.2])
    plan = RobotTrajectory(
        robot="g1",
        joint_names=(),
        positions=np.zeros((3, 0)),
        velocities=np.zeros((3, 0)),
        time_from_start=times,
        base_position=np.array([[0.0, 0, 0.8], [0.5, 0, 0.8], [1.0, 0, 0.8]]),
        base_quaternion=np.tile([0.0, 0, 0, 1], (3, 1)),
        fps=10.0,
    )
    controller.bases.publish(base_trajectory(plan, "odom"))
    odometry = controller.recorder.odometry
    controller.recorder.wait(
        lambda: bool(odometry) and odometry[-1].pose.pose.position.x == 1.0, REPLY, "odometry"
    )
    assert odometry[-1].header.frame_id == "odom"
    assert odometry[-1].pose.pose.orientation.w == 1.0


@pytest.mark.parametrize("first", ["base", "joints"])
def test_joints_and_base_that_begin_on_arrival_begin_together(
    controller: Controller, first: str
) -> None:
    straight = controller.message((0.0, 0.0), (1.0, 0.1))
    for point in straight.points:
        point.velocities = []
    plan = RobotTrajectory(
        robot="g1",
        joint_names=(),
        positions=np.zeros((2, 0)),
        velocities=np.zeros((2, 0)),
        time_from_start=np.array([0.0, 1.0]),
        base_position=np.array([[0.0, 0, 0.8], [1.0, 0, 0.8]]),
        base_quaternion=np.tile([0.0, 0, 0, 1], (2, 1)),
        fps=1.0,
    )
    send = [
        lambda: controller.bases.publish(base_trajectory(plan, "odom")),
        lambda: controller.commands.publish(straight),
    ]
    if first == "joints":
        send.reverse()
    # Longer than trajectories may be apart: that of an earlier test is not the other one of these.
    controller.recorder.listen(0.7)
    send[0]()
    controller.recorder.listen(0.1)
    send[1]()
    controller.wait_for_offset(0.1)
    joints = {
        nanoseconds(state.header.stamp): state.position[0] - controller.robot.nominal[0]
        for state in controller.recorder.states
    }
    walked = {
        nanoseconds(pose.header.stamp): pose.pose.pose.position.x
        for pose in controller.recorder.odometry
    }
    # By then both have come.
    late = [stamp for stamp in joints.keys() & walked.keys() if 0.06 < joints[stamp] < 0.1 - 1e-9]
    assert len(late) > 5
    for stamp in late:
        assert walked[stamp] == pytest.approx(10.0 * joints[stamp], abs=1e-6)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_cleanly(graph: Graph, sign: signal.Signals) -> None:
    child = graph.start("mock_robot", {}, ["-r", f"__ns:=/ending_{sign.name}"])
    graph.children.remove(child)
    recorder = graph.recorder()
    assert child.log is not None
    log = child.log
    recorder.wait(lambda: "subscribed to" in log.read_text(), START, "the mock robot", child.check)
    child.process.send_signal(sign)
    assert child.process.wait(10.0) == 0, child.tail()
    assert "Traceback" not in log.read_text()


def received(controller: Controller, kind: type, topic: str, quality: Any) -> list[Any]:
    """What comes on a topic, from the first message on."""
    messages: list[Any] = []
    subscription = controller.recorder.create_subscription(kind, topic, messages.append, quality)
    controller.recorder.wait(lambda: bool(messages), REPLY, topic, controller.child.check)
    controller.recorder.destroy_subscription(subscription)
    return messages


def test_who_comes_late_still_gets_its_description_with_meshes_that_exist(
    controller: Controller, robot: Robot
) -> None:
    (message,) = received(controller, String, "/robot_description", LATCHED)
    root = ElementTree.fromstring(message.data)
    assert {joint.get("name") for joint in root.iter("joint")} >= set(robot.joint_names)
    meshes = [mesh.get("filename", "") for mesh in root.iter("mesh")]
    assert meshes
    for name in meshes:
        assert name.startswith("file:///") and Path(name.removeprefix("file://")).is_file()


def test_transforms_say_where_its_base_is(controller: Controller, robot: Robot) -> None:
    messages = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
    transforms = received(controller, messages.TFMessage, "/tf", 10)[-1].transforms
    tree = {each.child_frame_id: each for each in transforms}
    assert tree["pelvis"].header.frame_id == "odom"
    # REP-120: the footprint hangs on the base, on the floor between the soles.
    assert tree["base_footprint"].header.frame_id == "pelvis"
    assert tree["base_link"].header.frame_id == "pelvis"
    foot = tree["base_footprint"].transform.translation
    kinematics = kinematics_of(robot)
    soles = kinematics.points(Poses(np.zeros((1, 3)), np.eye(3)[None], robot.nominal[None]))[
        0, kinematics.soles
    ]
    np.testing.assert_allclose([foot.x, foot.y], soles[:, :2].mean(axis=0), atol=1e-6)
    assert foot.z == pytest.approx(soles[:, 2].min(), abs=1e-6)


@pytest.mark.parametrize("name", list_robots(installed=True))
def test_from_its_topics_every_link_of_every_robot_has_a_transform(graph: Graph, name: str) -> None:
    try:
        robot = load_robot(name)
    except RobotError as error:
        pytest.skip(str(error))
    recorder = graph.recorder()
    received: dict[str, Any] = {}
    for topic, kind, quality in (
        ("joint_states", JointState, qos_profile_sensor_data),
        ("robot_description", String, LATCHED),
    ):
        recorder.create_subscription(
            kind, f"/{name}/{topic}", partial(received.__setitem__, topic), quality
        )
    with Child(
        "mock_robot",
        parameters={"robot": name},
        ros_arguments=["-r", f"__ns:=/{name}"],
        env=graph.env,
        log=graph.folder / f"mock_{name}.log",
    ) as child:
        recorder.wait(lambda: len(received) == 2, START, f"{name}'s topics", child.check)
    state, text = received["joint_states"], received["robot_description"].data
    assert len(set(state.name)) == len(state.name) == len(state.position) == len(state.velocity)
    poses = link_poses(text, dict(zip(state.name, state.position, strict=True)))
    assert set(poses) == {link.get("name") for link in ElementTree.fromstring(text).findall("link")}
    assert dict(zip(state.name, state.position, strict=True)) == pytest.approx(
        {**dict(zip(robot.joint_names, robot.nominal, strict=True)), **resting_joints(robot)}
    )
    assert not any(state.velocity)

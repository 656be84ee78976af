"""The simulated robot as a process: the topics of a robot, commands, falls and resets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Imu
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from nextscale_core.robots import Robot, load_robot
from nextscale_core.trajectory.reference import Reference
from nextscale_core.trajectory.standing import standing_pose
from nextscale_ros.bringup.processes import Child
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.messages.conversions import duration
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import MotionReference
from ros.graph import START, Graph
from ros.services import call

SHARED = Path(os.environ.get("NEXTSCALE_SHARED", Path(__file__).parents[4] / "shared"))
TRACKER = SHARED / "trackers" / "twist2_1017_20k.onnx"


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


class Watched:
    """A simulated robot in a namespace, and the messages of some of its topics."""

    def __init__(
        self, graph: Graph, recorder: Recorder, namespace: str, parameters: dict[str, object]
    ) -> None:
        self.recorder, self.namespace = recorder, namespace
        self.child: Child = graph.start(
            "simulated_robot", parameters, ["-r", f"__ns:=/{namespace}", "-r", "/tf:=tf"]
        )
        self.got: dict[str, list[Any]] = {}

    def watch(self, kind: type, topic: str) -> list[Any]:
        name = topic if topic.startswith("/") else f"/{self.namespace}/{topic}"
        if name not in self.got:
            messages = self.got[name] = []
            self.recorder.create_subscription(kind, name, messages.append, 200)
        return self.got[name]

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self.recorder.wait(condition, START, what, self.child.check)

    def log(self) -> str:
        assert self.child.log is not None
        return self.child.log.read_text()


@pytest.fixture(scope="module")
def recorder(graph: Graph) -> Recorder:
    return graph.recorder()


@pytest.fixture(scope="module")
def fixed(graph: Graph, recorder: Recorder) -> Watched:
    # Simulated time makes the stamps regular on a busy machine.
    robot = Watched(
        graph, recorder, "fixed", {"balancer": "fixed", "publish_clock": True, "noise": 0.0}
    )
    for kind, topic in (
        *((Odometry, "odom"), (Imu, "imu"), (TFMessage, "tf")),
        *((MotionReference, "simulated_robot/reference"), (Clock, "/clock")),
    ):
        robot.watch(kind, topic)
    return robot


def stamps(messages: list[Any]) -> np.ndarray:
    return np.array([nanoseconds(one.header.stamp) for one in messages]) / NANOSECONDS


def test_state_base_imu_and_transforms_come_a_hundred_times_per_simulated_second(
    fixed: Watched,
) -> None:
    every = list(fixed.got.values())
    fixed.wait(lambda: all(len(messages) > 60 for messages in every), "60 messages of each topic")
    odom, imu = fixed.got["/fixed/odom"], fixed.got["/fixed/imu"]
    for messages in (odom, imu):
        assert np.median(np.diff(stamps(messages))) == pytest.approx(0.01, abs=1e-6)
    transforms = [one.transforms[0] for one in fixed.got["/fixed/tf"]]
    assert np.median(np.diff(stamps(transforms))) == pytest.approx(0.01, abs=1e-6)
    assert (transforms[0].header.frame_id, transforms[0].child_frame_id) == ("odom", "pelvis")
    assert odom[0].child_frame_id == imu[0].header.frame_id == "pelvis"
    # A robot at rest measures gravity.
    assert imu[-1].linear_acceleration.z == pytest.approx(9.81, abs=0.05)
    assert np.median(np.diff([nanoseconds(one.clock) for one in fixed.got["/clock"]])) == 1e7
    assert "its base is fixed" in fixed.log()


def test_a_robot_with_a_fixed_base_follows_a_trajectory_of_some_of_its_joints(
    fixed: Watched, robot: Robot, recorder: Recorder
) -> None:
    references = fixed.watch(MotionReference, "simulated_robot/reference")
    commands = recorder.create_publisher(JointTrajectory, "/fixed/motion_command", 10)
    fixed.wait(lambda: bool(commands.get_subscription_count() and references), "a subscriber")
    names = ["left_elbow_joint", "right_elbow_joint"]
    before = np.array(references[-1].positions)
    columns = [robot.joint_names.index(name) for name in names]
    goal = before[columns] + 0.5
    message = JointTrajectory(joint_names=names)
    for time, share in ((0.0, 0.0), (0.5, 1.0)):
        message.points.append(
            JointTrajectoryPoint(
                positions=(before[columns] + share * 0.5).tolist(),
                velocities=[0.0, 0.0],
                time_from_start=duration(time),
            )
        )
    commands.publish(message)
    fixed.wait(
        lambda: np.allclose(np.array(references[-1].positions)[columns], goal), "the last point"
    )
    others = np.delete(np.array(references[-1].positions) - before, columns)
    assert np.abs(others).max() < 1e-9
    message.points[1].positions[0] = float("nan")
    commands.publish(message)
    fixed.wait(lambda: "trajectory rejected" in fixed.log(), "the rejection")
    assert np.allclose(np.array(references[-1].positions)[columns], goal)


def test_a_second_robot_does_not_start_and_names_the_first(
    graph: Graph, recorder: Recorder, fixed: Watched
) -> None:
    second = graph.start("simulated_robot", {"balancer": "fixed"}, ["-r", "__ns:=/fixed"])
    graph.children.remove(second)
    recorder.wait(lambda: second.process.poll() is not None, START, "the second robot's end")
    assert second.process.poll() == 1
    assert "/fixed/simulated_robot publishes /fixed/joint_states" in second.tail()
    assert "this simulated robot would be a second source" in second.tail()
    fixed.child.check()


def test_a_speed_without_a_clock_is_refused_with_what_to_set(
    graph: Graph, recorder: Recorder
) -> None:
    child = graph.start("simulated_robot", {"balancer": "fixed", "speed": 0.5})
    graph.children.remove(child)
    recorder.wait(lambda: child.process.poll() is not None, START, "the end")
    assert child.process.poll() == 1
    assert "publish_clock" in child.tail() and "use_sim_time" in child.tail()


def test_a_robot_that_falls_says_so_once_and_stands_up_when_reset(
    graph: Graph, recorder: Recorder
) -> None:
    falling = Watched(graph, recorder, "falling", {"balancer": "pd", "push_speed": 2.0})
    odometry = falling.watch(Odometry, "odom")
    diagnostics = falling.watch(DiagnosticArray, "/diagnostics")

    def status() -> DiagnosticStatus | None:
        own = [
            one
            for array in diagnostics
            for one in array.status
            if one.name.startswith("/falling/simulated_robot")
        ]
        return own[-1] if own else None

    def reports(level: bytes) -> bool:
        found = status()
        return found is not None and found.level == level

    falling.wait(
        lambda: bool(odometry) and reports(DiagnosticStatus.ERROR), "an error in the diagnostics"
    )
    height = odometry[0].pose.pose.position.z
    falling.wait(lambda: 0.0 < odometry[-1].pose.pose.position.z < 0.63 * height, "its fall")
    falling.wait(lambda: "has fallen" in falling.log(), "the log")
    recorder.listen(0.5)
    assert falling.log().count("has fallen") == 1
    assert "/falling/simulated_robot/reset" in falling.log()
    count = len(odometry)
    answer = call(recorder, Trigger, "/falling/simulated_robot/reset", Trigger.Request())
    assert answer.success

    def stood() -> bool:
        heights = [one.pose.pose.position.z for one in odometry[count:]]
        return bool(heights) and max(heights) == pytest.approx(height, abs=0.02)

    # Without a policy it falls again, so that not the last height counts.
    falling.wait(stood, "the robot on its feet")


def fastest(references: list[MotionReference]) -> float:
    """Of all joints from one reference to the next that was heard [rad/s]."""
    steps = np.abs(np.diff([one.positions for one in references], axis=0))
    return float((steps / np.diff(stamps(references))[:, None]).max())


@pytest.mark.skipif(not TRACKER.is_file(), reason="the shared tracker is not on this machine")
def test_a_tracker_follows_references_and_stands_when_they_end(
    graph: Graph, recorder: Recorder, robot: Robot
) -> None:
    tracked = Watched(
        graph,
        recorder,
        "tracked",
        {"policy": str(TRACKER), "publish_clock": True, "noise": 1.0, "push_speed": 0.3},
    )
    states = tracked.watch(Odometry, "odom")
    followed = tracked.watch(MotionReference, "simulated_robot/reference")
    publisher = recorder.create_publisher(MotionReference, "/tracked/motion_reference", 10)
    tracked.wait(
        lambda: bool(states and followed and publisher.get_subscription_count()), "the robot"
    )
    stand = standing_pose(robot)
    elbow = robot.joint_names.index("left_elbow_joint")
    squat = stand.base_position[2] - 0.02

    def publish(height: float) -> None:
        positions = stand.positions.copy()
        positions[elbow] += 0.4
        publisher.publish(message_of(robot, stand, positions, height, states[-1].header.stamp))

    goal = stand.positions[elbow] + 0.4
    begin = stamps(states[-1:])[0]

    def reached() -> bool:
        publish(squat)
        enough = stamps(states[-1:])[0] > begin + 3.0
        return enough and abs(followed[-1].positions[elbow] - goal) < 1e-6

    # On a busy machine references come late, and the robot stands meanwhile.
    tracked.wait(reached, "the posture of the references")
    assert fastest(followed) < 2.5, "it takes the reference up without a jump"
    # Without references it stands by itself.
    tracked.wait(lambda: "no reference for" in tracked.log(), "the end of the references")
    tracked.wait(
        lambda: abs(followed[-1].positions[elbow] - stand.positions[elbow]) < 1e-3, "standing"
    )
    assert fastest(followed) < 2.5
    pose = states[-1].pose.pose
    turn = pose.orientation
    up = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).apply([0.0, 0.0, 1.0])[2]
    assert up > np.cos(np.radians(15.0)) and pose.position.z > 0.9 * stand.base_position[2]
    assert "has fallen" not in tracked.log()


def message_of(
    robot: Robot, stand: Reference, positions: np.ndarray, height: float, stamp: Any
) -> MotionReference:
    """A reference at rest, its joints in reverse order."""
    message = MotionReference(joint_names=list(robot.joint_names[::-1]))
    message.header.stamp, message.header.frame_id = stamp, "odom"
    message.positions = positions[::-1].tolist()
    message.velocities = [0.0] * len(positions)
    message.base_pose.position.z = float(height)
    message.base_pose.orientation.w = 1.0
    return message

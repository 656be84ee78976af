"""Who starts RViz, and when: everybody sees the whole plan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from rclpy.node import Node
from visualization_msgs.msg import Marker, MarkerArray

from core.human_clips import walking_clip
from nextscale_core.exceptions import RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_ros.demo.recorder import Recorder
from nextscale_ros.qos import LATCHED
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.viewer.markers import PlanMarkers, sentence_of, skeleton_of
from nextscale_ros.viewer.plan_markers import MarkerShow
from ros.graph import REPLY, Graph

BEGIN = 100.0
WHOLE = {
    *("path", "heading", "footprints/left", "footprints/right"),
    *("text", "skeleton/bones", "skeleton/joints"),
}


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def clip() -> MotionClip:
    return walking_clip()


@pytest.fixture(scope="module")
def walk(robot: Robot, clip: MotionClip) -> RobotTrajectory:
    return Retargeter(robot).retarget(clip)


class Stage:
    """A node that shows plans, a clock that is set by hand, and RViz as a subscriber."""

    def __init__(self, graph: Graph, robot: Robot) -> None:
        self.now = BEGIN
        self.recorder: Recorder = graph.recorder()
        self.node: Node = self.recorder
        self.node.declare_parameter("markers_topic", "motion_markers")
        self.node.declare_parameter("base_frame", "odom")
        self.show = MarkerShow(self.node, robot, lambda: self.now, lambda: True)

    def rviz(self) -> list[MarkerArray]:
        """What RViz receives, which is started now."""
        messages: list[MarkerArray] = []
        self.node.create_subscription(MarkerArray, "motion_markers", messages.append, LATCHED)
        return messages

    def wait(self, messages: list[MarkerArray], what: str) -> MarkerArray:
        self.recorder.wait(lambda: bool(messages), REPLY, what)
        return messages[-1]


@pytest.fixture
def stage(graph: Graph, robot: Robot) -> Iterator[Stage]:
    stage = Stage(graph, robot)
    yield stage
    stage.show.destroy()


def skeleton_at(message: MarkerArray, plan: PlanMarkers, seconds: float) -> bool:
    joints = skeleton_of(message)
    return joints is not None and np.allclose(joints, plan.joints(seconds), atol=1e-9)


@pytest.mark.parametrize("watched", [False, True])
def test_an_rviz_started_after_the_motion_shows_the_whole_plan(
    stage: Stage, robot: Robot, walk: RobotTrajectory, clip: MotionClip, watched: bool
) -> None:
    before = stage.rviz() if watched else []
    stage.show(ActiveTrajectory(walk, BEGIN), clip, "a person walks")
    if watched:
        stage.wait(before, "the plan while it begins")
    stage.now = BEGIN + walk.seconds + 1.0
    stage.recorder.wait(lambda: stage.show._shown is None, REPLY, "the end")
    late = stage.rviz()
    message = stage.wait(late, "the plan after its end")
    assert {m.ns for m in message.markers if m.action == Marker.ADD} == WHOLE
    assert not any(m.lifetime.sec or m.lifetime.nanosec for m in message.markers), "all of it stays"
    assert sentence_of(message) == "a person walks"
    assert skeleton_at(message, PlanMarkers(robot, walk, clip), walk.seconds)


def test_an_rviz_started_during_the_motion_sees_the_whole_plan_at_that_moment(
    stage: Stage, robot: Robot, walk: RobotTrajectory, clip: MotionClip
) -> None:
    stage.show(ActiveTrajectory(walk, BEGIN), clip, "a person walks")
    stage.now = BEGIN + 1.7
    messages = stage.rviz()
    plan = PlanMarkers(robot, walk, clip)
    stage.recorder.wait(
        lambda: bool(messages) and skeleton_at(messages[-1], plan, 1.7), REPLY, "this moment"
    )
    for message in messages:
        assert {m.ns for m in message.markers if m.action == Marker.ADD} == WHOLE


def test_the_next_plan_takes_the_place_of_the_last(
    stage: Stage, walk: RobotTrajectory, clip: MotionClip
) -> None:
    stage.show(ActiveTrajectory(walk, BEGIN), clip, "a person walks")
    stage.show(ActiveTrajectory(walk, BEGIN), None, "")
    message = stage.wait(stage.rviz(), "the plan")
    assert sentence_of(message) is None and skeleton_of(message) is None
    deleted = {m.ns for m in message.markers if m.action == Marker.DELETE}
    assert deleted == {"text", "skeleton/bones", "skeleton/joints"}

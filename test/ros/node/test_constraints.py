"""Constraints of goals, from the robot's frames and size to the motion and back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nextscale_core.estimation.history import RobotHistory, prefix_of
from nextscale_core.estimation.samples import BaseTrack
from nextscale_core.motion.constraints import Keyframe, Target, Waypoint
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.robots import Robot, load_robot
from nextscale_ros.messages.requests import Framed, Posture, RequestError
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.constraints import ClipFrame
from nextscale_ros.node.live_planner import LivePlanner
from nextscale_ros.node.progress import ProgressTracker
from nextscale_ros.node.start_state import NOWHERE
from nextscale_ros.parameters.values import Settings

TEXT = "a person walks forward"


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def planner(robot: Robot, trained_model: Path) -> LivePlanner:
    return LivePlanner(MotionPipeline.from_pretrained(trained_model), robot, 50.0)


def standing(robot: Robot, x: float, y: float, yaw: float) -> RobotHistory:
    """A robot that has stood for a second where its base was measured."""
    times = np.arange(51) / 50.0
    turn = [0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)]
    base = BaseTrack(times, np.tile([x, y, 0.78], (51, 1)), np.tile(turn, (51, 1)))
    return RobotHistory(times, np.tile(robot.nominal, (51, 1)), base)


def test_a_place_in_the_base_frame_and_the_same_from_the_start_are_one(robot: Robot) -> None:
    prefix = prefix_of(robot, standing(robot, 2.0, -1.0, 0.5 * math.pi))
    frame = ClipFrame.of(robot, prefix, "map")
    # One metre ahead of a robot that faces +y, and half a metre to its left.
    world = Framed("map", Waypoint(1.5, 1.5, 0.0, 0.5 * math.pi), "constraints[0]")
    ahead = Framed("", Waypoint(1.5, 1.0, 0.5, 0.0), "constraints[1]")
    one, two = frame.constraints(robot, [world, ahead])
    assert isinstance(one, Waypoint) and isinstance(two, Waypoint)
    assert (one.x, one.y) == pytest.approx((1.5 / frame.scale, 0.0), abs=1e-6)
    assert (two.x, two.y) == pytest.approx((one.x, one.y), abs=0.05)
    assert one.heading == pytest.approx(two.heading, abs=0.05)
    assert one.time == two.time == pytest.approx(2.5)


def test_a_target_is_at_the_humans_size(robot: Robot) -> None:
    frame = ClipFrame.of(robot, None, "odom")
    (found,) = frame.constraints(robot, [Framed("", Target(1.0, "left_hand", (0.3, 0.2, 0.9)), "")])
    assert isinstance(found, Target)
    assert np.array(found.position) * frame.scale == pytest.approx([0.3, 0.2, 0.9])


def test_a_posture_becomes_a_human_pose_without_a_place(robot: Robot) -> None:
    frame = ClipFrame.of(robot, None, "odom")
    up = Framed("", Posture(1.0, {"right_shoulder_pitch_joint": -2.5}), "constraints[0]")
    (found,) = frame.constraints(robot, [up])
    assert isinstance(found, Keyframe) and not found.placed
    left, right = found.pose[20], found.pose[21]
    assert right[2] > found.pose[15, 2] > left[2]


@pytest.mark.parametrize(
    ("framed", "message"),
    [
        (Framed("map", Waypoint(1.0, 0.0, 0.0), "constraints[0]"), "must be empty or 'odom'"),
        (Framed("odom", Waypoint(1.0, 0.0, 0.0), "constraints[0]"), "not measured"),
        (Framed("", Posture(1.0, {"tail_joint": 0.0}), "constraints[0]"), "tail_joint"),
        (
            Framed("", Posture(1.0, {"left_knee_joint": 9.0}), "constraints[0]"),
            "the posture has left_knee",
        ),
        (Framed("", Waypoint(9.8, 99.0, 0.0), "constraints[0]"), "within"),
    ],
)
def test_a_constraint_that_cannot_be_used_is_named(
    robot: Robot, framed: Framed, message: str
) -> None:
    with pytest.raises(RequestError, match=r"constraints\[0\]") as error:
        ClipFrame.of(robot, None, "odom").constraints(robot, [framed])
    assert message in str(error.value) and error.value.code == ErrorCode.INVALID_CONSTRAINT


def test_the_robots_base_passes_the_waypoint(planner: LivePlanner) -> None:
    tracker = ProgressTracker(seed=3)
    wanted = Framed("", Waypoint(3.0, 1.2, 0.6), "constraints[0]")
    plan = planner.plan(((TEXT, 4.0),), Settings(), NOWHERE, tracker, [wanted])
    assert len(tracker.residuals) == 1 and tracker.residuals[0].distance < 0.01
    base, times = plan.trajectory.base_position, plan.trajectory.source_time
    assert times is not None
    frame = int(np.argmin(np.abs(times - 3.0)))
    away = base[frame, :2] - base[0, :2] - [1.2, 0.6]
    assert np.linalg.norm(away) < 0.15


def test_contradictions_end_the_request_with_their_code(planner: LivePlanner) -> None:
    two = [Framed("", Waypoint(1.0, x, 0.0), f"constraints[{x}]") for x in (0, 1)]
    with pytest.raises(RequestError, match="contradicts") as error:
        planner.plan(((TEXT, 2.0),), Settings(), NOWHERE, ProgressTracker(), two)
    assert error.value.code == ErrorCode.INVALID_CONSTRAINT

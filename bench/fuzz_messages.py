"""Random malformed messages and parameters: each function creates one and reads it.

Only a value or a `NextscaleError` may result; any other exception is a fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_files import NUMBERS, any_text, any_value
from geometry_msgs.msg import Quaternion
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from sensor_msgs.msg import Imu, JointState

from nextscale_core.estimation.base_pose import BasePoseBuffer, ImuBuffer
from nextscale_core.estimation.clock import AHEAD
from nextscale_core.estimation.joint_states import JointStateBuffer
from nextscale_core.exceptions import NextscaleError
from nextscale_core.robots import Robot, load_robot
from nextscale_ros.action import GenerateMotion
from nextscale_ros.messages import requests
from nextscale_ros.messages.validate_trajectory import NANOSECONDS, nanoseconds
from nextscale_ros.msg import Constraint, ErrorCode, TextCommand
from nextscale_ros.node.error_codes import failure_of
from nextscale_ros.parameters.schema import declarations
from nextscale_ros.parameters.values import wanted
from nextscale_ros.srv import EditPlan

DOUBLES = tuple(float(number) for number in NUMBERS)
SEEDS = (-1, 0, 7, -2, 2**31 - 1, 2**31, 2**63 - 1, -(2**63))
STAMPS = ((0, 0), (1, 0), (2**31 - 1, 999_999_999), (-(2**31), 0), (0, 2**32 - 1), (1000, 5))


def _text(draw: random.Random, wire: bool) -> str:
    """Any text that can be sent: without null characters and lone surrogates."""
    text = any_text(draw)
    if not wire:
        return text
    return text[:5000].encode("utf-8", "ignore").decode().replace("\x00", "")


def sentence(draw: random.Random, wire: bool = False) -> str:
    """A text on /text_command."""
    return _text(draw, wire) if draw.random() < 0.8 else "a person walks"


def command(draw: random.Random, wire: bool = False) -> TextCommand:
    """A sentence with options."""
    return TextCommand(
        text=sentence(draw, wire),
        seconds=draw.choice(DOUBLES),
        seed=draw.choice(SEEDS),
        guidance=draw.choice(DOUBLES),
        steps=[draw.randrange(2**16) for _ in range(draw.choice([0, 1, 5, 3000]))],
    )


def goal(draw: random.Random, wire: bool = False) -> GenerateMotion.Goal:
    """A goal of the action."""
    count = draw.choice([0, 1, 1, 1, 2, 50, 51, 2000])
    one = sentence(draw, wire)
    message = GenerateMotion.Goal(
        texts=[one[:300]] * count,
        seconds=[draw.choice(DOUBLES) for _ in range(draw.choice([0, count, 1, 7]))],
        seed=draw.choice(SEEDS),
        guidance=draw.choice(DOUBLES),
        plan_only=draw.random() < 0.5,
    )
    if draw.random() < 0.5:
        message.start_state = joint_state(draw, ("left_knee_joint", "waist_yaw_joint"), wire)
    message.constraints = [constraint(draw, wire) for _ in range(draw.choice([0, 0, 1, 3, 200]))]
    return message


def constraint(draw: random.Random, wire: bool = False) -> Constraint:
    """A constraint of a goal."""
    message = Constraint(
        type=draw.choice(["keyframe", "waypoint", "target", sentence(draw, wire)[:20]]),
        body=draw.choice(["left_hand", "right_foot", sentence(draw, wire)[:20]]),
        frame_id=draw.choice(["", "odom", sentence(draw, wire)[:20]]),
        has_heading=draw.random() < 0.5,
        **{name: draw.choice(DOUBLES) for name in ("time", "x", "y", "z", "heading")},
    )
    message.joints = joint_state(draw, ("left_knee_joint", "waist_yaw_joint"), wire)
    return message


def edit(draw: random.Random, wire: bool = False) -> EditPlan.Request:
    """A call of the service that edits the last plan."""
    return EditPlan.Request(
        text=sentence(draw, wire),
        begin=draw.choice(DOUBLES),
        end=draw.choice(DOUBLES),
        body_parts=[sentence(draw, wire)[:40] for _ in range(draw.choice([0, 1, 200]))],
        seed=draw.choice(SEEDS),
        plan_only=draw.random() < 0.5,
    )


def joint_state(draw: random.Random, names: tuple[str, ...], wire: bool = False) -> JointState:
    """Joint states with names, lengths, values and stamps of any kind."""
    kind = draw.random()
    chosen = list(names)
    if kind < 0.2:
        chosen = draw.sample(chosen, draw.randrange(len(chosen) + 1))
    elif kind < 0.4:
        chosen += [_text(draw, wire)[:50] for _ in range(draw.choice([1, 30]))]
    elif kind < 0.45:
        chosen = [f"joint{n}" for n in range(10**5)]
    elif kind < 0.5:
        chosen = [draw.choice(chosen)] * 40

    def values() -> list[float]:
        count = draw.choice([len(chosen)] * 6 + [0, 1, len(chosen) + 1])
        usual = [draw.uniform(-0.1, 0.1)] * count
        if usual and draw.random() < 0.6:
            for _ in range(draw.choice([1, 3])):
                usual[draw.randrange(count)] = draw.choice(DOUBLES)
        return usual

    message = JointState(name=chosen, position=values(), velocity=values(), effort=values())
    _stamp(draw, message.header)
    return message


def _stamp(draw: random.Random, header: Any) -> None:
    header.stamp.sec, header.stamp.nanosec = draw.choice(STAMPS)


def _quaternion(draw: random.Random) -> Quaternion:
    kind = draw.random()
    if kind < 0.3:
        return Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)
    if kind < 0.6:
        return Quaternion(x=0.0, y=0.6, z=0.0, w=0.8)
    values = [draw.choice([0.0, 1.0, *DOUBLES]) for _ in range(4)]
    return Quaternion(**dict(zip("xyzw", values, strict=True)))


def odometry(draw: random.Random, wire: bool = False) -> Odometry:
    """A base pose with any numbers."""
    message = Odometry(child_frame_id=draw.choice(["", "pelvis", "/pelvis", "left_knee_link", "x"]))
    if draw.random() < 0.2:
        message.child_frame_id = _text(draw, wire)[:100]
    place = message.pose.pose.position
    numbers = (0.0, 1.0, -2.5) if draw.random() < 0.5 else DOUBLES
    place.x, place.y, place.z = (draw.choice(numbers) for _ in range(3))
    message.pose.pose.orientation = _quaternion(draw)
    _stamp(draw, message.header)
    return message


def imu(draw: random.Random, wire: bool = False) -> Imu:
    """An orientation with any numbers."""
    message = Imu(orientation=_quaternion(draw))
    message.orientation_covariance = np.full(9, draw.choice(DOUBLES))
    _stamp(draw, message.header)
    return message


def any_parameter(draw: random.Random, name: str) -> Parameter:
    """A parameter with a value of any type that a parameter may have."""
    one = draw.choice(
        [
            draw.choice(DOUBLES),
            draw.choice(SEEDS),
            draw.random() < 0.5,
            _text(draw, True)[:300],
            [draw.choice(SEEDS)] * draw.choice([0, 1, 5, 3000]),
            [draw.choice(DOUBLES)] * draw.choice([1, 5]),
            [_text(draw, True)[:50]] * draw.choice([1, 5]),
            [True, False],
            None,
        ]
    )
    return Parameter(name, Parameter.Type.INTEGER_ARRAY if one == [] else None, one)


class Messages:
    """Reads messages as the node does, without a graph.

    Args:
        robot: The robot.
    """

    def __init__(self, robot: Robot | None = None) -> None:
        self.robot = robot or load_robot("g1")
        self._declared = declarations("generate_node")
        self._new()

    def _new(self) -> None:
        self._joints = JointStateBuffer.of_robot(self.robot)
        self._base, self._imu = BasePoseBuffer(self.robot), ImuBuffer()
        self._time = 100.0

    def requests(self, draw: random.Random, folder: Path) -> object:
        """A request over topic, action or service."""
        of, message = draw.choice(
            [
                (requests.of_text, sentence(draw)),
                (requests.of_text_command, command(draw)),
                (requests.of_goal, goal(draw)),
                (requests.of_edit, edit(draw)),
            ]
        )
        try:
            return of(message)
        except NextscaleError as error:
            failure = failure_of(error)
            assert failure.message and failure.code not in (ErrorCode.NONE, ErrorCode.UNKNOWN)
            assert isinstance(requests.raw_text(of, message), str)
            raise

    def joint_states(self, draw: random.Random, folder: Path) -> object:
        """Joint states, then the queries of the node."""
        if draw.random() < 0.01:
            self._new()
        self._time += draw.choice([0.002, 0.01, 1.0])
        message = joint_state(draw, self.robot.joint_names)
        stamp = nanoseconds(message.header.stamp) / NANOSECONDS
        own = draw.choice([self._time, stamp + 0.01, float("nan")])
        at = (self._time, stamp, own)
        complaints = self._joints.update(message.name, message.position, message.velocity, *at)
        assert all(isinstance(text, str) and len(text) < 5000 for text in complaints), "a huge line"
        assert self._joints.age(self._time) >= -AHEAD - 1e-6, "a state from the future"
        self._joints.stamp(self._time)
        history = self._joints.history(self._time - 1.0)
        assert np.isfinite(history.positions).all() and (np.diff(history.times) > 0).all()
        state, _ = self._joints.read(self._time, 0.2)
        assert np.isfinite(state.positions).all()
        return state

    def base_and_imu(self, draw: random.Random, folder: Path) -> object:
        """Odometry or IMU, then the tracks."""
        self._time += 0.01
        if draw.random() < 0.5:
            message = odometry(draw)
            place, turn = message.pose.pose.position, message.pose.pose.orientation
            stamp = nanoseconds(message.header.stamp) / NANOSECONDS
            self._base.update(
                np.array([place.x, place.y, place.z]),
                np.array([turn.x, turn.y, turn.z, turn.w]),
                message.child_frame_id.lstrip("/"),
                self._time,
                stamp,
                self._time,
            )
            return self._base.track(self._time - 1.0)
        message = imu(draw)
        turn = message.orientation
        stamp = nanoseconds(message.header.stamp) / NANOSECONDS
        self._imu.update(
            np.array([turn.x, turn.y, turn.z, turn.w]), self._time, stamp, self._time
        )  # fmt: skip
        return self._imu.track(self._time - 1.0, "pelvis")

    def parameters(self, draw: random.Random, folder: Path) -> object:
        """A value for a parameter, of its type or another."""
        one = self._declared[draw.choice(sorted(self._declared))]
        value = any_value(draw)
        if draw.random() < 0.7:
            value = draw.choice([one.default, any_parameter(draw, one.name).value])
        # Types are rclpy's affair; a value of another type never comes here.
        if type(value) is not type(one.default):
            return wanted(one)
        if isinstance(value, list) and {type(v) for v in value} - {type(v) for v in one.default}:
            return wanted(one)
        problem = one.problem(value)
        assert not problem or one.name in problem or "must be" in problem
        return problem


Attack = Callable[[random.Random, Path], object]


def message_attacks() -> dict[str, tuple[float, Attack]]:
    """All of them: name -> share of the inputs, and the function."""
    messages = Messages()
    return {
        "requests": (0.20, messages.requests),
        "joint states": (0.12, messages.joint_states),
        "odometry and IMU": (0.08, messages.base_and_imu),
        "parameters": (0.05, messages.parameters),
    }

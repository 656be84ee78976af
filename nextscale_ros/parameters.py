"""The parameters of the generate node: what each means, its range and its default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from nextscale_core.motion.skeleton import MAX_SECONDS, MIN_SECONDS
from nextscale_core.retarget import Robot, load_robot

MAX_SEED = 2**31 - 1

STATE_POLICIES = ("reject", "assume_nominal")
CONTINUATIONS = ("from_state", "from_plan", "off")
BASE_SOURCES = ("odometry", "tf", "none")

MAX_HISTORY = 2.5
"""Longest past that a motion continues [s]: past and new motion share the model's length."""

_MAY_BE_EMPTY = ("imu_topic",)


@dataclass(frozen=True)
class _Spec:
    """One parameter: its default, what it means and what it may be."""

    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    read_only: bool = False
    choices: tuple[str, ...] = ()

    def descriptor(self) -> ParameterDescriptor:
        """The same as ROS wants it; `ros2 param describe` shows it."""
        descriptor = ParameterDescriptor(
            description=self.description,
            read_only=self.read_only,
            additional_constraints=f"one of: {', '.join(self.choices)}" if self.choices else "",
        )
        if self.low is not None and self.high is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=float(self.low), to_value=float(self.high))
                ]
            else:
                descriptor.integer_range = [
                    IntegerRange(from_value=int(self.low), to_value=int(self.high), step=1)
                ]
        return descriptor


SPECS: dict[str, _Spec] = {
    "robot": _Spec("g1", "Robot profile (`nextscale robots` lists them) or URDF.", read_only=True),
    "profile": _Spec(
        "", "YAML profile of the robot; needed with a URDF, else the robot's own.", read_only=True
    ),
    "joints": _Spec(
        [""],
        "Joints that move: 'all', 'upper_body', or patterns of names; empty: what the profile "
        "says. The others stay where they are measured.",
        read_only=True,
    ),
    "model": _Spec("moscale-cmu", "Name or folder of the motion model.", read_only=True),
    "device": _Spec("cpu", "Where the model runs: cpu, cuda or cuda:N.", read_only=True),
    "rate": _Spec(50.0, "Points per second of the trajectory [Hz].", 5.0, 500.0, read_only=True),
    "seconds": _Spec(
        0.0,
        f"Length of the motion, {MIN_SECONDS} to {MAX_SECONDS} [s]; 0: the model chooses.",
        0.0,
        MAX_SECONDS,
    ),
    "seed": _Spec(-1, "Seed of every sample; -1: a new one each time, reported.", -1, MAX_SEED),
    "guidance": _Spec(
        0.0, "Strength of classifier-free guidance; 0: the model's own value.", 0.0, 20.0
    ),
    "steps": _Spec(
        [0],
        "Passes for each of the model's scales, coarse to fine, 1 to 50 each; 0 alone: the "
        "model's own.",
    ),
    "start_from_state": _Spec(
        True, "Begin the trajectory in the measured state of the robot where it is known."
    ),
    "state_policy": _Spec(
        "reject",
        "Where joint states are absent or stale: 'reject' publishes nothing and says why, "
        "'assume_nominal' takes the robot to stand in its nominal posture.",
        choices=STATE_POLICIES,
    ),
    "continuation": _Spec(
        "from_state",
        "How a sentence goes on from what the robot does: 'from_state' from its measured states, "
        "'from_plan' from the trajectory published last, 'off' as a motion of its own.",
        choices=CONTINUATIONS,
    ),
    "history": _Spec(
        1.0, "How much of the robot's past a new motion continues [s].", 0.5, MAX_HISTORY
    ),
    "base_source": _Spec(
        "odometry",
        "Where the floating base comes from: 'odometry' (odometry_topic), 'tf' (base_frame to the "
        "root link) or 'none'. Without it the soles tell (see docs/safety.md).",
        read_only=True,
        choices=BASE_SOURCES,
    ),
    "state_timeout": _Spec(
        0.2, "Age up to which a measured joint state counts as current [s].", 0.01, 10.0
    ),
    "text_topic": _Spec("/text_command", "std_msgs/String, in.", read_only=True),
    "command_topic": _Spec(
        "/motion_command", "trajectory_msgs/JointTrajectory, out.", read_only=True
    ),
    "base_topic": _Spec(
        "/motion_command/base", "trajectory_msgs/MultiDOFJointTrajectory, out.", read_only=True
    ),
    "joint_states_topic": _Spec("/joint_states", "sensor_msgs/JointState, in.", read_only=True),
    "odometry_topic": _Spec("/odom", "nav_msgs/Odometry of the base, in.", read_only=True),
    "imu_topic": _Spec(
        "",
        "sensor_msgs/Imu, in: orientation where the base is not measured; empty: none.",
        read_only=True,
    ),
    "imu_link": _Spec("", "Link that the IMU sits on; empty: the root link.", read_only=True),
    "report_topic": _Spec("/motion_report", "nextscale_ros/MotionReport, out.", read_only=True),
    "ready_topic": _Spec(
        "/nextscale/ready",
        "std_msgs/Bool, out, transient local: true once the model is loaded and warm.",
        read_only=True,
    ),
    "base_frame": _Spec("odom", "Frame in which the floating base is given.", read_only=True),
}


@dataclass(frozen=True)
class Settings:
    """The parameters that may change while the node runs, as one request sees them.

    Attributes:
        seconds: Length of the motion [s], or None: the model chooses.
        seed: Seed, or None: a new one each time.
        guidance: Strength of the guidance, or None: the model's own.
        steps: Passes per scale, coarse to fine, or None: the model's own.
        start_from_state: Begin in the measured state where it is known.
        state_policy: What to do where joint states are absent or stale.
        continuation: What a sentence continues.
        history: How much of the past a motion continues [s].
        state_timeout: Age up to which a joint state is current [s].
    """

    seconds: float | None = None
    seed: int | None = None
    guidance: float | None = None
    steps: tuple[int, ...] | None = None
    start_from_state: bool = True
    state_policy: str = "reject"
    continuation: str = "from_state"
    history: float = 1.0
    state_timeout: float = 0.2


def declare_parameters(node: Node) -> None:
    """Declare all parameters on `node` and refuse values that make no sense from then on.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: a start value is out of its range.
        rclpy.exceptions.InvalidParameterTypeException: a start value has another type.
    """
    node.add_on_set_parameters_callback(_validate)
    for name, spec in SPECS.items():
        node.declare_parameter(name, spec.default, spec.descriptor())


def read_settings(node: Node) -> Settings:
    """The changeable parameters as they are now."""

    def value(name: str) -> Any:
        return node.get_parameter(name).value

    return Settings(
        seconds=value("seconds") or None,
        seed=None if value("seed") < 0 else int(value("seed")),
        guidance=value("guidance") or None,
        steps=tuple(int(step) for step in value("steps") if step) or None,
        start_from_state=bool(value("start_from_state")),
        state_policy=str(value("state_policy")),
        continuation=str(value("continuation")),
        history=float(value("history")),
        state_timeout=float(value("state_timeout")),
    )


def _validate(parameters: Sequence[Parameter]) -> SetParametersResult:
    """What a descriptor's range cannot say."""
    for parameter in parameters:
        reason = ""
        if parameter.name == "seconds" and 0.0 < parameter.value < MIN_SECONDS:
            reason = f"seconds must be 0 or {MIN_SECONDS} to {MAX_SECONDS}, got {parameter.value}"
        elif parameter.name == "steps":
            steps = list(parameter.value)
            if steps != [0] and not (steps and all(1 <= step <= 50 for step in steps)):
                reason = f"steps must be one integer from 1 to 50 per scale, or 0, got {steps}"
        elif parameter.name.endswith("_topic") and not parameter.value:
            if parameter.name not in _MAY_BE_EMPTY:
                reason = f"{parameter.name} must not be empty"
        else:
            reason = _not_a_choice(parameter)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def _not_a_choice(parameter: Parameter) -> str:
    """What is wrong with a parameter that has to be one of a few words; '' if nothing is."""
    choices = SPECS[parameter.name].choices if parameter.name in SPECS else ()
    if not choices or parameter.value in choices:
        return ""
    return f"{parameter.name} must be {' or '.join(choices)}, got {parameter.value!r}"


def chosen_robot(node: Node) -> Robot:
    """The robot that the parameters `robot`, `profile` and `joints` name.

    Raises:
        NextscaleError: it cannot be loaded.
    """

    def value(name: str) -> Any:
        return node.get_parameter(name).value

    joints: str | list[str] | None = [text for text in value("joints") if text] or None
    if joints in (["all"], ["upper_body"]):
        joints = joints[0]
    return load_robot(
        str(value("robot")), Path(value("profile")) if value("profile") else None, joints
    )

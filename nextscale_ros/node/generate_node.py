"""The generate node: sentences in, trajectories out.

A lifecycle node: *configure* loads robot and model and warms up, *activate* subscribes,
*deactivate* cancels the current work and unsubscribes, *cleanup* releases the model. With the
parameter `autostart` it configures and activates itself. A transition that fails logs the reason,
leaves the node in its state and may be tried again.

Subscribes to: `text_topic` (std_msgs/String), `detailed_text_topic` (nextscale_ros/TextCommand),
joint states, odometry and IMU (see `nextscale_ros.robot_state.inputs`).
Serves: the action `generate_motion` (nextscale_ros/GenerateMotion), the services `~/edit_plan`,
`~/list_robots` and `~/list_models`.
Publishes: trajectory and base (see `nextscale_ros.node.outputs`), `report_topic`
(nextscale_ros/MotionReport, one for every request), `ready_topic` (std_msgs/Bool, latched),
`markers_topic` (visualization_msgs/MarkerArray), /diagnostics.

A newer request cancels the generation for an older one (parameter `preemption`). A motion continues
what the robot did in the last second (parameter `continuation`), and its trajectory begins in the
measured state. While joint states are absent or stale, requests are refused (parameter
`state_policy`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import ClockType, JumpThreshold, TimeJump
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.subscription import Subscription
from std_msgs.msg import Bool, String

from nextscale_core.exceptions import ConfigError, RetargetError
from nextscale_core.robots import Robot
from nextscale_ros.lifecycle import GuardedLifecycleNode
from nextscale_ros.messages import requests
from nextscale_ros.messages.requests import Client, Fields
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.node.diagnostics import Statistics, status
from nextscale_ros.node.live_planner import LivePlanner
from nextscale_ros.node.models import ModelStore, MotionSource, steps_problem
from nextscale_ros.node.motion_server import MotionServer
from nextscale_ros.node.outputs import ControllerOutput, Output, Publishers, TopicOutput
from nextscale_ros.node.reference_output import ReferenceOutput
from nextscale_ros.node.services import Services
from nextscale_ros.node.stream_output import StreamOutput
from nextscale_ros.node.walking_output import WalkingOutput, walking_joints
from nextscale_ros.options import BALANCING
from nextscale_ros.parameters.values import declare_parameters, read_settings
from nextscale_ros.qos import EVENTS, LATCHED, REPORTS, node_of, subscription_events
from nextscale_ros.robot_description import described_robot
from nextscale_ros.robot_state.inputs import RobotInputs
from nextscale_ros.robot_state.live_reference import LiveReference
from nextscale_ros.robot_state.state_monitor import StateMonitor
from nextscale_ros.viewer.plan_markers import MarkerShow

THREADS = 8
"""Number of executor threads: goals, an edit and sentences may wait at the same time while
parameters, lifecycle and diagnostics are served."""


@dataclass
class _Active:
    """What exists while the node is active."""

    inputs: RobotInputs
    monitor: StateMonitor
    reference: LiveReference | None
    server: MotionServer
    show: MarkerShow
    subscriptions: list[Subscription]


class GenerateNode(GuardedLifecycleNode):
    """Loads a model and serves sentences; see the module.

    Args:
        pipeline: A motion source instead of the one that the parameters name.
        models: Models shared with other nodes; None for the node's own.
        namespace: Namespace of the node; None for that of the command line.
        parameter_overrides: Start values of parameters, beside those of the command line.
        context: ROS context; None for the process's default.

    Raises:
        ConfigError: an invalid start value of a parameter.
    """

    def __init__(
        self,
        *,
        pipeline: MotionSource | None = None,
        models: ModelStore | None = None,
        namespace: str | None = None,
        parameter_overrides: Sequence[rclpy.Parameter] = (),
        context: Context | None = None,
    ) -> None:
        super().__init__(
            "generate_node",
            namespace=namespace,
            parameter_overrides=list(parameter_overrides),
            context=context,
        )
        self._given, self._models = pipeline, models or ModelStore()
        self._planner: LivePlanner | None = None
        # What is added last is asked first: the declared ranges.
        self.add_on_set_parameters_callback(self._check_steps)
        declare_parameters(self)
        self._active: _Active | None = None
        self._complaints: list[str] = []
        self._lasting: list[str] = []
        self._known_rivals: list[str] = []
        self._statistics = Statistics()
        self._sim_time = False
        self._jumps: Any = None
        self._reports = self.create_publisher(MotionReport, self._text("report_topic"), REPORTS)
        self._ready = self.create_publisher(Bool, self._text("ready_topic"), LATCHED)
        # The topics can be discovered while the node loads.
        self._trajectories = Publishers(self, partial(self._complain, self._lasting))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", EVENTS)
        # Diagnostics continue while simulated time stands still.
        self.create_timer(
            float(self.get_parameter("diagnostics_period").value),
            self._diagnose,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=rclpy.clock.Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._interface = Services(
            self, lambda: self._active is not None, self._submit, self._cancel, self._current
        )
        if self.get_parameter("autostart").value:
            self.start_by_itself()

    def close(self, timeout: float) -> bool:
        """Stop for good; returns whether everything has ended within a time [s]."""
        self.closing = True
        return self._stop(timeout) and not self.loading

    def destroy_node(self) -> None:
        """Cancel the current work and destroy the node."""
        self._stop()
        self._interface.destroy()
        super().destroy_node()

    def _check_steps(self, parameters: Sequence[rclpy.Parameter]) -> SetParametersResult:
        """Refuse passes that are not one number for each scale of the model in use."""
        planner = self._planner
        steps = [one.value for one in parameters if one.name == "steps" and 0 not in one.value]
        if planner is None or not steps:
            return SetParametersResult(successful=True)
        problem = steps_problem(planner.pipeline, steps[-1])
        return SetParametersResult(successful=problem is None, reason=problem or "")

    def _text(self, parameter: str) -> str:
        return str(self.get_parameter(parameter).value)

    # -- lifecycle

    def _configure(self) -> None:
        """Load robot and model, and plan two motions to warm up."""
        self._sim_time = bool(self.get_parameter("use_sim_time").value)
        patience = float(self.get_parameter("description_timeout").value)
        with self._loads(f"robot {self._text('robot')}"):
            robot = described_robot(self, patience)
        model, device = self._text("model"), self._text("device")
        pipeline = self._given
        if pipeline is None:
            with self._loads(f"model {model} on {device}"):
                threads = int(self.get_parameter("torch_threads").value)
                pipeline = self._models.get(model, device, threads)
        if problem := steps_problem(pipeline, read_settings(self).steps):
            raise ConfigError(f"parameter steps: {problem}")
        rate = float(self.get_parameter("rate").value)
        balance = bool(self.get_parameter("balance").value)
        with self._loads(f"{robot.name}'s {len(robot.joint_names)} joints and collision model"):
            planner = LivePlanner(pipeline, robot, rate, self._robot_time, balance)
        self.get_logger().info("warming up with one motion ...")
        try:
            warm = planner.warm_up().line()
        except RetargetError as error:
            warm = f"without a trajectory: {error}"
        self.get_logger().info(f"warm-up: {warm}")
        self._planner = planner

    @contextmanager
    def _loads(self, what: str) -> Iterator[None]:
        """Log what is being loaded, and how long it took."""
        begin = time.monotonic()
        self.get_logger().info(f"loading {what} ...")
        yield
        self.get_logger().info(f"loaded {what} in {time.monotonic() - begin:.1f} s")

    def _activate(self) -> None:
        assert self._planner is not None
        robot, complain = self._planner.robot, partial(self._complain, self._complaints)
        # Joint states first: the robot's state is known when the first sentence is served.
        inputs = RobotInputs(self, robot, self._robot_time, complain)
        try:
            reference = self._make_reference(robot, inputs)
            output = self._make_output(robot, inputs, reference)
        except BaseException:
            inputs.destroy()
            raise
        self._planner.adapt = output.adapt
        monitor = StateMonitor(
            robot, inputs, self.get_logger().warning, self._robot_time, reference
        )
        show = MarkerShow(
            self, robot, self._robot_time, lambda: read_settings(self).publish_markers
        )
        server = MotionServer(
            self,
            self._planner,
            monitor,
            output,
            show,
            self._reports.publish,
            self._statistics,
            self._robot_time,
        )
        self._active = _Active(
            inputs,
            monitor,
            reference,
            server,
            show,
            [
                self._subscribe(String, "text_topic", self._on_text),
                self._subscribe(TextCommand, "detailed_text_topic", self._on_command),
            ],
        )
        if self._sim_time:
            # After a simulation was reset, no plan is active.
            self._jumps = self.get_clock().create_jump_callback(
                JumpThreshold(
                    min_forward=None,
                    min_backward=Duration(nanoseconds=-1),
                    on_clock_change=False,
                ),
                post_callback=self._on_jump,
            )
        self._ready.publish(Bool(data=True))
        topic = self.resolve_topic_name(self._text("text_topic"))
        self.get_logger().info(f"ready: listening on {topic}")

    def _make_reference(self, robot: Robot, inputs: RobotInputs) -> LiveReference | None:
        """The reference of a balancing robot; None where the output is for another."""
        output, source = self._text("output"), self._text("base_source")
        if output not in BALANCING:
            return None
        walking = output == "walking"
        if walking and source == "none":
            raise ConfigError(
                "output walking follows its path by the robot's odometry: base_source must be "
                "odometry or tf, got none"
            )
        timeout = float(self.get_parameter("odometry_timeout").value)
        return LiveReference(
            robot,
            lambda time: inputs.base.last(time, timeout),
            self._robot_time,
            needs_base=source != "none",
            compared=walking_joints(self, robot) if walking else None,
            silent=walking,
        )

    def _make_output(
        self, robot: Robot, inputs: RobotInputs, reference: LiveReference | None
    ) -> Output:
        """The output that the parameter `output` names.

        Raises:
            ConfigError: it cannot be used with this robot or this installation.
        """
        to, clock = self._trajectories, self._robot_time
        output: StreamOutput
        if reference is not None and to.references is not None:
            output = ReferenceOutput(self, robot, reference, inputs, to.references, to.bases, clock)
        elif reference is not None and to.velocities is not None:
            assert to.commands is not None
            output = WalkingOutput(
                self, robot, reference, inputs, to.commands, to.velocities, to.bases, clock
            )
        elif to.commands is not None:
            return TopicOutput(to.commands, to.bases)
        else:
            return ControllerOutput(self, to.bases, clock)
        output.start()
        return output

    def _subscribe(
        self, kind: type, parameter: str, callback: Callable[[Any], None]
    ) -> Subscription:
        topic = self._text(parameter)
        complain = partial(self._complain, self._complaints)
        return self.create_subscription(
            kind,
            topic,
            callback,
            EVENTS,
            callback_group=MutuallyExclusiveCallbackGroup(),
            event_callbacks=subscription_events(self, topic, EVENTS, complain),
        )

    def _deactivate(self) -> None:
        self._stop()

    def _cleanup(self) -> None:
        self._stop()
        self._planner = None

    def _stop(self, timeout: float = 5.0) -> bool:
        """Stop serving; returns whether the current work has ended within a time [s]."""
        active, self._active = self._active, None
        if active is None:
            return True
        if self.context.ok():
            self._ready.publish(Bool(data=False))
        if self._jumps is not None:
            self._jumps.unregister()
            self._jumps = None
        for subscription in active.subscriptions:
            self.destroy_subscription(subscription)
        idle = active.server.close(timeout)
        active.show.destroy()
        active.inputs.destroy()
        self._complaints.clear()
        return idle

    def _on_jump(self, jump: TimeJump) -> None:
        active = self._active
        if active is None:
            return
        self.get_logger().warning(
            "simulated time went back: the robot's past and the active plan are forgotten"
        )
        active.server.drop()
        active.inputs.forget()
        active.monitor.forget()
        if active.reference is not None:
            active.reference.forget()

    def _robot_time(self) -> float:
        """Clock of the robot's states [s]: simulated, or one that is never set."""
        if self._sim_time:
            return float(self.get_clock().now().nanoseconds) / NANOSECONDS
        return time.monotonic()

    # -- requests

    def _submit(
        self, of: Callable[[Any], Fields], message: Any, client: Client | None = None
    ) -> bool:
        """Pass a request on; False where the node is not active."""
        active = self._active
        if active is None:
            return False
        active.server.submit(of, message, client)
        return True

    def _on_text(self, message: String) -> None:
        self._submit(requests.of_text, message.data)

    def _on_command(self, message: TextCommand) -> None:
        self._submit(requests.of_text_command, message)

    def _cancel(self, client: Client) -> None:
        active = self._active
        if active is not None:
            active.server.cancel(client)

    def _current(self) -> tuple[str, str]:
        """Names of the robot and the model in use, or ''."""
        planner = self._planner
        return ("", "") if planner is None else (planner.robot.name, planner.pipeline.name)

    # -- diagnostics

    def _complain(self, complaints: list[str], text: str) -> None:
        """Log a connection that does not work, once, and keep it for the diagnostics."""
        if text not in complaints:
            complaints.append(text)
            self.get_logger().warning(text)

    def _rivals(self) -> list[str]:
        """Other nodes that answer the same sentences or send to the same robot."""
        try:
            found = self._find_rivals()
        except RuntimeError:  # the context ends meanwhile
            return []
        for text in found:
            if text not in self._known_rivals:
                self.get_logger().warning(text)
        self._known_rivals = found
        return found

    def _find_rivals(self) -> list[str]:
        own, found = self.get_fully_qualified_name(), []
        nodes = [
            f"{place.rstrip('/')}/{name}" for name, place in self.get_node_names_and_namespaces()
        ]
        if nodes.count(own) > 1:
            found.append(
                f"another node is named {own}: both answer each sentence and send to the same "
                "robot; stop one, or give it a namespace or a ROS_DOMAIN_ID of its own"
            )
        for publisher in (self._trajectories.commands, self._trajectories.references):
            topic = None if publisher is None else publisher.topic_name
            senders = [] if topic is None else self.get_publishers_info_by_topic(topic)
            if others := sorted({*map(node_of, senders)} - {own}):
                found.append(f"{topic} is also published by {', '.join(others)}")
        return found

    def _diagnose(self) -> None:
        if not self.context.ok():
            return
        active = self._active
        robot, model = self._current()
        entry = status(
            self.get_fully_qualified_name(),
            self.state_label,
            read_settings(self),
            self._statistics,
            robot=robot,
            model=model,
            device=self._text("device"),
            failure=self.problem,
            complaints=[*(self._lasting + self._complaints)[-5:], *self._rivals()],
            inputs=None if active is None else active.inputs,
            now=self._robot_time(),
            listeners=0 if active is None else active.server.listeners,
        )
        array = DiagnosticArray(status=[entry])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

"""The generate node: a sentence becomes a trajectory.

A lifecycle node: *configure* loads robot and model and warms up, *activate* listens, *deactivate*
gives up the work at hand and listens no more, *cleanup* forgets the model. With the parameter
`autostart` it does the first two by itself. A transition that fails says why and leaves the node
where it was; it may be tried again.

Heard: `text_topic` (std_msgs/String), `detailed_text_topic` (nextscale_ros/TextCommand), the action
`generate_motion` (nextscale_ros/GenerateMotion), the services `~/edit_plan`, `~/list_robots` and
`~/list_models`; joint states, odometry and IMU (see `nextscale_ros.robot_state.inputs`).
Told: trajectory and base (see `nextscale_ros.node.outputs`), `report_topic`
(nextscale_ros/MotionReport, one for every request), `ready_topic` (std_msgs/Bool, latched),
`markers_topic` (visualization_msgs/MarkerArray), /diagnostics.

The newest request wins: what is still being made for an older one is given up (parameter
`preemption`). A motion goes on from what the robot did in the last second (parameter
`continuation`), and its trajectory begins in the measured state. While joint states are absent or
stale, requests are refused (parameter `state_policy`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import ClockType, JumpThreshold, TimeJump
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleNodeMixin
from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import Bool, String

from nextscale_core.exceptions import NextscaleError, RetargetError
from nextscale_core.robots import Robot
from nextscale_ros.messages import requests
from nextscale_ros.messages.validate_trajectory import NANOSECONDS
from nextscale_ros.msg import MotionReport, TextCommand
from nextscale_ros.node.action_server import GenerateMotionServer
from nextscale_ros.node.diagnostics import Health, status
from nextscale_ros.node.models import ModelStore
from nextscale_ros.node.motion_server import MotionServer
from nextscale_ros.node.outputs import Publishers, make_output
from nextscale_ros.node.plan import MotionSource
from nextscale_ros.node.planner import Planner
from nextscale_ros.node.services import Services
from nextscale_ros.node.statistics import Statistics
from nextscale_ros.parameters.values import declare_parameters, read_settings
from nextscale_ros.qos import EVENTS, LATCHED, subscription_events
from nextscale_ros.robot_description import described_robot
from nextscale_ros.robot_state.inputs import RobotInputs
from nextscale_ros.robot_state.state_monitor import StateMonitor
from nextscale_ros.viewer.plan_markers import MarkerShow

THREADS = 8
"""Goals, an edit and sentences may wait at the same time while joint states, parameters, lifecycle
and diagnostics go on."""


@dataclass
class _Active:
    """What there is while the node is active."""

    inputs: RobotInputs
    situation: StateMonitor
    server: MotionServer
    show: MarkerShow
    subscriptions: list[Subscription]


class GenerateNode(LifecycleNodeMixin, Node):
    """Loads a model, then serves sentences; see the module.

    Args:
        pipeline: A motion source to use instead of the one the parameters name.
        models: Where models are kept, to share them between nodes; None: on its own.
        namespace: Namespace of the node; None: that of the command line.
        parameter_overrides: Start values of parameters, beside those of the command line.
        context: The ROS context to live in; None is the process's own.

    Attributes:
        failure: Why the node could not start by itself; '' where it could, or was not to.

    Raises:
        ConfigError: a parameter's start value is not allowed.
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
        Node.__init__(
            self,
            "generate_node",
            namespace=namespace,
            parameter_overrides=list(parameter_overrides),
            context=context,
        )
        # Loading takes seconds: it must not keep parameters and diagnostics waiting, nor those who
        # ask in which state the node is.
        LifecycleNodeMixin.__init__(self, callback_group=MutuallyExclusiveCallbackGroup())
        self._transitions = MutuallyExclusiveCallbackGroup()
        self._guard_transitions()
        declare_parameters(self)
        self.failure = ""
        self._problem = ""
        self._given, self._models = pipeline, models or ModelStore()
        self._robot: Robot | None = None
        self._planner: Planner | None = None
        self._active: _Active | None = None
        self._complaints: list[str] = []
        self._lasting: list[str] = []
        self._closing = self._loading = False
        self._statistics = Statistics()
        self._sim_time = False
        self._jumps: Any = None
        self._reports = self.create_publisher(MotionReport, self._text("report_topic"), EVENTS)
        self._ready = self.create_publisher(Bool, self._text("ready_topic"), LATCHED)
        # Before there is anything to publish: who looks for the topics finds them while it loads.
        self._trajectories = Publishers(self, self._complain_for_good)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", EVENTS)
        # Diagnostics go on while simulated time stands still.
        self.create_timer(
            float(self.get_parameter("diagnostics_period").value),
            self._diagnose,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=rclpy.clock.Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._calls = Services(self, self._submit, self._current)
        self._actions = GenerateMotionServer(
            self, lambda: self._active is not None, self._submit_goal, self._cancel
        )
        if self.get_parameter("autostart").value:
            self._autostart = self.create_timer(
                0.0,
                self._start,
                callback_group=self._transitions,
                clock=rclpy.clock.Clock(clock_type=ClockType.STEADY_TIME),
            )

    def close(self, timeout: float) -> bool:
        """Stop for good.

        Args:
            timeout: How long the work at hand may take to notice [s].

        Returns:
            Whether it has, and nothing is being loaded.
        """
        self._closing = True
        return self._stop(timeout) and not self._loading

    def destroy_node(self) -> None:
        """Give up the work at hand, then everything else."""
        self._stop()
        self._actions.destroy()
        super().destroy_node()

    def _text(self, parameter: str) -> str:
        return str(self.get_parameter(parameter).value)

    # -- lifecycle

    def _guard_transitions(self) -> None:
        """A transition that does not exist in this state is refused; rclpy would let it raise."""
        service = self._service_change_state
        change = service.callback
        service.callback_group = self._transitions
        self._transitions.add_entity(service)

        def guarded(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except (rclpy_implementation.RCLError, ValueError) as error:
                wanted = request.transition.label or request.transition.id
                self.get_logger().warning(
                    f"no transition {wanted!r} from state {self._label()!r}: {error}",
                    throttle_duration_sec=1.0,
                )
                response.success = False
                return response

        service.callback = guarded

    def _label(self) -> str:
        return str(self._state_machine.current_state[1])

    def _start(self) -> None:
        """Configure and activate, once."""
        self.destroy_timer(self._autostart)
        if self._label() != "unconfigured":
            return
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                self.failure = self._problem or "the node could not start"
                return

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load robot and model, and go the whole way once."""
        return self._attempt(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen."""
        return self._attempt(self._listen)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give up the work at hand and listen no more; what is executed goes on or is canceled."""
        return self._attempt(self._stop)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget robot and model."""
        return self._attempt(self._forget)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop for good."""
        return self._attempt(self._forget)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where everything can be tried again."""
        problem = self._problem
        answer = self._attempt(self._forget)
        self._problem = problem
        return answer

    def _attempt(self, work: Any) -> TransitionCallbackReturn:
        if self._closing:
            return TransitionCallbackReturn.FAILURE
        self._problem = ""
        self._loading = True
        try:
            work()
        except NextscaleError as error:
            self._problem = str(error)
            self.get_logger().error(f"{work.__name__.strip('_')}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"
            self.get_logger().error(f"{work.__name__.strip('_')}: {self._problem}")
            return TransitionCallbackReturn.ERROR
        finally:
            self._loading = False
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
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
        rate = float(self.get_parameter("rate").value)
        with self._loads(f"{robot.name}'s {len(robot.joint_names)} joints and collision model"):
            planner = Planner(pipeline, robot, rate, self._robot_time)
        self.get_logger().info("warming up with one motion ...")
        try:
            warm = planner.warm_up().line()
        except RetargetError as error:
            warm = f"without a trajectory: {error}"
        self.get_logger().info(f"warm-up: {warm}")
        self._robot, self._planner = robot, planner

    @contextmanager
    def _loads(self, what: str) -> Iterator[None]:
        """Say what is being loaded, and how long it took."""
        begin = time.monotonic()
        self.get_logger().info(f"loading {what} ...")
        yield
        self.get_logger().info(f"loaded {what} in {time.monotonic() - begin:.1f} s")

    def _listen(self) -> None:
        assert self._robot is not None and self._planner is not None
        # Joint states first: the robot's state is known when the first sentence is served.
        inputs = RobotInputs(self, self._robot, self._robot_time, self._complain)
        situation = StateMonitor(self._robot, inputs, self.get_logger().warning, self._robot_time)
        show = MarkerShow(
            self, self._robot, self._robot_time, lambda: read_settings(self).publish_markers
        )
        server = MotionServer(
            self,
            self._planner,
            situation,
            make_output(self, self._trajectories, self._robot_time),
            show,
            self._reports.publish,
            self._statistics,
            self._robot_time,
        )
        heard = [
            self._hear(String, "text_topic", requests.of_text, lambda message: message.data),
            self._hear(TextCommand, "detailed_text_topic", requests.of_text_command),
        ]
        self._active = _Active(inputs, situation, server, show, heard)
        if self._sim_time:
            # A simulation that was set back knows nothing of what was planned.
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

    def _hear(
        self, kind: type, parameter: str, of: Any, content: Any = lambda message: message
    ) -> Subscription:
        def callback(message: Any) -> None:
            self._submit(of, content(message))

        topic = self._text(parameter)
        return self.create_subscription(
            kind,
            topic,
            callback,
            EVENTS,
            callback_group=MutuallyExclusiveCallbackGroup(),
            event_callbacks=subscription_events(self, topic, EVENTS, self._complain),
        )

    def _stop(self, timeout: float = 5.0) -> bool:
        """Listen no more; whether the work at hand has ended within a time [s]."""
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

    def _forget(self) -> None:
        self._stop()
        self._robot = self._planner = None

    def _on_jump(self, jump: TimeJump) -> None:
        active = self._active
        if active is None:
            return
        self.get_logger().warning(
            "simulated time went back: the robot's past and the plan under way are forgotten"
        )
        active.server.drop()
        active.inputs.forget()
        active.situation.forget()

    def _clock_seconds(self) -> float:
        return float(self.get_clock().now().nanoseconds) / NANOSECONDS

    def _robot_time(self) -> float:
        """The clock that the robot lives by [s]: simulated, or one that nobody sets."""
        return self._clock_seconds() if self._sim_time else time.monotonic()

    # -- requests

    def _submit(self, of: Any, message: Any, reply: Any = None) -> bool:
        """Hand a request on; False where the node is not active."""
        active = self._active
        if active is None:
            return False
        active.server.submit(of, message, reply)
        return True

    def _submit_goal(self, goal: Any, reply: Any) -> None:
        if not self._submit(requests.of_goal, goal, reply):
            reply.done(self._calls.not_active())

    def _cancel(self, reply: Any) -> None:
        active = self._active
        if active is not None:
            active.server.cancel(reply)

    def _current(self) -> tuple[str, str]:
        """Names of the robot and the model in use; '' where there is none."""
        if self._robot is None or self._planner is None:
            return "", ""
        return self._robot.name, self._planner.pipeline.name

    # -- diagnostics

    def _complain(self, text: str) -> None:
        """Something is wrong with a connection: told once, and kept for the diagnostics."""
        self._complain_once(text, self._complaints)

    def _complain_for_good(self, text: str) -> None:
        """The same of a connection that outlives the time in which the node is active."""
        self._complain_once(text, self._lasting)

    def _complain_once(self, text: str, complaints: list[str]) -> None:
        if text not in complaints:
            complaints.append(text)
            self.get_logger().warning(text)

    def _diagnose(self) -> None:
        active = self._active
        settings = read_settings(self)
        robot, model = self._current()
        health = Health(
            state=self._label(),
            robot=robot,
            model=model,
            device=self._text("device"),
            state_limit=settings.state_timeout,
            state_needed=settings.start_from_state and settings.state_policy == "reject",
            complaints=tuple((self._lasting + self._complaints)[-5:]),
            failure=self._problem,
            **({} if active is None else active.server.health(active.inputs)),
        )
        array = DiagnosticArray(
            status=[status(self.get_fully_qualified_name(), health, self._statistics.summary())]
        )
        array.header.stamp = self.get_clock().now().to_msg()
        if self.context.ok():
            self._diagnostics.publish(array)

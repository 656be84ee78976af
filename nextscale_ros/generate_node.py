"""The generate node: a sentence on /text_command becomes a trajectory on /motion_command.

Topics, by parameter: `text_topic` (std_msgs/String, in), `joint_states_topic`
(sensor_msgs/JointState, in), `odometry_topic` (nav_msgs/Odometry, in), `imu_topic`
(sensor_msgs/Imu, in), `command_topic` (trajectory_msgs/JointTrajectory, out), `base_topic`
(trajectory_msgs/MultiDOFJointTrajectory, out), `report_topic` (nextscale_ros/MotionReport, out, one
for every sentence), `ready_topic` (std_msgs/Bool, out, latched).

The newest sentence wins: what is still being made for an older one is given up. A motion goes on
from what the robot did in the last second (parameter `continuation`), and its trajectory begins in
the measured state. While joint states are absent or stale, sentences are refused (parameter
`state_policy`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import rclpy
from builtin_interfaces.msg import Time
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Bool, String
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from nextscale_core.exceptions import (
    GenerationCancelled,
    InvalidTextError,
    NextscaleError,
    RetargetError,
    UnsafeTrajectoryError,
)
from nextscale_core.text import validate_sentence
from nextscale_ros.conversions import base_trajectory, joint_trajectory
from nextscale_ros.inputs import RobotInputs
from nextscale_ros.message_rules import NANOSECONDS, check_joint_trajectory, nanoseconds
from nextscale_ros.msg import MotionReport
from nextscale_ros.parameters import chosen_robot, declare_parameters, read_settings
from nextscale_ros.plan import MotionSource, Plan
from nextscale_ros.planner import Planner, choose_seed
from nextscale_ros.published import PublishedPlan
from nextscale_ros.qos import LATCHED
from nextscale_ros.serving import serve
from nextscale_ros.situation import Situation
from nextscale_ros.worker import NewestOnlyWorker, Ticket

THREADS = 4
"""One for sentences, one for joint states, one for the base, one for parameter services."""

MAX_SHOWN_TEXT = 200
"""Characters of a received text that a report or a log line repeats."""


@dataclass(frozen=True)
class Request:
    """One usable sentence.

    Attributes:
        number: Counts the texts received, from 1.
        text: The sentence, validated.
        stamp: When it was received.
    """

    number: int
    text: str
    stamp: Time


class GenerateNode(Node):
    """Loads the model, warms up, says it is ready, then serves sentences.

    Args:
        pipeline: A motion source to use instead of the one the parameters name.
        parameter_overrides: Start values of parameters, beside those of the command line.
        context: The ROS context to live in; None is the process's own.

    Raises:
        NextscaleError: robot or model cannot be loaded.
    """

    def __init__(
        self,
        *,
        pipeline: MotionSource | None = None,
        parameter_overrides: Sequence[rclpy.Parameter] = (),
        context: Context | None = None,
    ) -> None:
        super().__init__(
            "generate_node", parameter_overrides=list(parameter_overrides), context=context
        )
        declare_parameters(self)
        self._received = 0
        robot = chosen_robot(self)
        self._reports = self.create_publisher(MotionReport, self._text("report_topic"), 10)
        self._commands = self.create_publisher(JointTrajectory, self._text("command_topic"), 1)
        self._bases = self.create_publisher(MultiDOFJointTrajectory, self._text("base_topic"), 1)
        self._ready = self.create_publisher(Bool, self._text("ready_topic"), LATCHED)
        # Joint states first: the robot's state is known when the first sentence is served.
        self._inputs = RobotInputs(self, robot)
        self._situation = Situation(robot, self._inputs, self.get_logger().warning)
        begin = time.monotonic()
        if pipeline is None:
            # Torch takes seconds to import; with another motion source it is not needed.
            from nextscale_core.pipeline import MotionPipeline

            pipeline = MotionPipeline.from_pretrained(
                self._text("model"), device=self._text("device")
            )
        self._planner = Planner(pipeline, robot, float(self.get_parameter("rate").value))
        self.get_logger().info(
            f"loaded {pipeline.name} and robot {robot.name} ({len(robot.joint_names)} joints) "
            f"in {time.monotonic() - begin:.1f} s, warming up"
        )
        try:
            warm = self._planner.warm_up().line()
        except RetargetError as error:
            warm = f"without a trajectory: {error}"
        self._worker = NewestOnlyWorker(self._work, self._superseded)
        self._text_subscription = self.create_subscription(
            String,
            self._text("text_topic"),
            self._on_text,
            10,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._ready.publish(Bool(data=True))
        self.get_logger().info(f"ready: listening on {self._text('text_topic')} (warm-up: {warm})")

    def destroy_node(self) -> None:
        """Give up the work at hand, then everything else."""
        self._worker.close()
        super().destroy_node()

    def _text(self, parameter: str) -> str:
        return str(self.get_parameter(parameter).value)

    # -- callbacks: short, so that the node stays responsive while a motion is being made

    def _on_text(self, message: String) -> None:
        self._received += 1
        stamp = self.get_clock().now().to_msg()
        request = Request(self._received, message.data, stamp)
        try:
            text = validate_sentence(message.data)
        except InvalidTextError as error:
            self._report(request, MotionReport.BAD_INPUT, str(error))
            return
        except Exception as error:
            self._report_unexpected(request, error)
            return
        self.get_logger().info(f"request {request.number}: {_shown(text)!r}")
        self._worker.submit(Request(request.number, text, stamp))

    # -- the worker's thread

    def _work(self, request: Request, ticket: Ticket) -> None:
        """Serve one sentence; whatever goes wrong is reported and the node lives on."""
        plan = Plan(seed=0)
        try:
            settings = read_settings(self)
            plan.seed = choose_seed(settings)
            # A robot whose state is unknown is known to be unknown before any work is done.
            self._situation.now(settings)
            self._planner.fill(plan, request.text, settings, self._situation, lambda: ticket.stale)
            self._publish(request, plan, ticket)
        except GenerationCancelled:
            self._superseded(request, plan)
        except UnsafeTrajectoryError as error:
            self._report(request, MotionReport.REJECTED, str(error), plan)
        except InvalidTextError as error:
            self._report(request, MotionReport.BAD_INPUT, str(error), plan)
        except NextscaleError as error:
            self._report(request, MotionReport.FAILED, str(error), plan)
        except Exception as error:
            self._report_unexpected(request, error, plan)

    def _publish(self, request: Request, plan: Plan, ticket: Ticket) -> None:
        """Send the trajectory if the gate passed it and nothing newer has arrived.

        Raises:
            GenerationCancelled: something newer has arrived.
            UnsafeTrajectoryError: the gate or the check of the message refused it.
        """
        result = plan.result
        assert result is not None
        if result.trajectory is None:
            raise UnsafeTrajectoryError(result.report.line())
        with plan.stopwatch.stage("message"):
            begin = self._begin(plan)
            stamp = None if begin is None else self._stamp(begin)
            command = joint_trajectory(result.trajectory, stamp)
            base = base_trajectory(
                result.trajectory, self._text("base_frame"), stamp, self._planner.robot
            )
            now = None if stamp is None else nanoseconds(self._stamp(time.monotonic()))
            problems = check_joint_trajectory(command, self._planner.robot.joint_names, now)
        if problems:
            raise UnsafeTrajectoryError(f"a controller would refuse it: {'; '.join(problems)}")

        trajectory = result.trajectory

        def send() -> None:
            self._bases.publish(base)
            self._commands.publish(command)
            self._situation.published(
                PublishedPlan(trajectory, time.monotonic() if begin is None else begin)
            )

        if not ticket.publish(send):
            raise GenerationCancelled("a newer sentence arrived before publishing")
        outcome = MotionReport.PASS
        if result.report.outcome == "repaired":
            outcome = MotionReport.REPAIRED
        plan.listeners = self._commands.get_subscription_count()
        if not plan.listeners:
            topic = self._text("command_topic")
            self.get_logger().warning(f"nobody listens on {topic}: the trajectory is lost")
        self._report(request, outcome, result.report.line(), plan)

    @staticmethod
    def _begin(plan: Plan) -> float | None:
        """When the trajectory begins, by `time.monotonic()` [s]; None: when it arrives.

        A robot that moves has gone on since it was measured: what the trajectory says about that
        time is past, and controllers skip it. A robot that stands has missed nothing and begins
        now; it is told when that is, so that its progress is known when the next sentence comes.
        """
        if plan.begin is None or plan.start is None or not plan.measured:
            return None
        return plan.begin if plan.moving else time.monotonic()

    def _stamp(self, begin: float) -> Time:
        """A time by `time.monotonic()` [s] on the robot's clock, else on ours."""
        seconds = self._situation.stamp(begin)
        if seconds is None:
            ago = Duration(nanoseconds=int((time.monotonic() - begin) * NANOSECONDS))
            ours: Time = (self.get_clock().now() - ago).to_msg()
            return ours
        sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
        return Time(sec=int(sec), nanosec=int(nanosec))

    def _superseded(self, request: Request, plan: Plan | None = None) -> None:
        self._report(request, MotionReport.SUPERSEDED, "a newer sentence arrived", plan)

    def _report_unexpected(
        self, request: Request, error: Exception, plan: Plan | None = None
    ) -> None:
        self._report(request, MotionReport.FAILED, f"{type(error).__name__}: {error}", plan)

    def _report(
        self, request: Request, outcome: str, message: str, plan: Plan | None = None
    ) -> None:
        """Log one line and publish one report."""
        report = MotionReport(
            request=request.number,
            text=_shown(request.text),
            robot=self._planner.robot.name,
            model=self._planner.pipeline.name,
            outcome=outcome,
            message=message,
        )
        report.header.stamp = request.stamp
        if plan is not None:
            report.seed = int(plan.seed)
            report.stage_names = list(plan.stopwatch.seconds)
            report.stage_seconds = [float(value) for value in plan.stopwatch.seconds.values()]
            if plan.result is not None:
                report.findings = [
                    f"{finding.check}: {finding.message}" for finding in plan.result.report.findings
                ]
                report.findings += [f"continuation: {note}" for note in plan.notes]
                trajectory = plan.result.trajectory
                if trajectory is not None and outcome in (MotionReport.PASS, MotionReport.REPAIRED):
                    report.joint_names = list(trajectory.joint_names)
                    report.points = len(trajectory)
                    report.duration = float(trajectory.seconds)
                    report.listeners = plan.listeners
        log = self.get_logger()
        told = message if message.startswith(outcome) else f"{outcome}: {message}"
        line = f"request {request.number}: {told}"
        if plan is not None and plan.stopwatch.seconds:
            line += f" [{plan.stopwatch.line()}]"
        if outcome in (MotionReport.PASS, MotionReport.SUPERSEDED):
            log.info(line)
        elif outcome == MotionReport.FAILED:
            log.error(line)
        else:
            log.warning(line)
        if self.context.ok():
            self._reports.publish(report)


def _shown(text: str) -> str:
    """A received text, fit for a log line: short and without control characters."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return printable[:MAX_SHOWN_TEXT]


def main() -> None:
    """Entry point of `ros2 run nextscale_ros generate_node`."""
    sys.exit(serve(GenerateNode, THREADS))


if __name__ == "__main__":
    main()

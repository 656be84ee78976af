"""Serves requests of every origin, from the received message to the published trajectory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.node import Node

from nextscale_core.exceptions import GenerationCancelled
from nextscale_core.motion.clip import MotionClip
from nextscale_ros.log_throttle import LogThrottle, severities
from nextscale_ros.messages.conversions import base_trajectory, joint_trajectory
from nextscale_ros.messages.requests import (
    Client,
    Fields,
    Request,
    RequestError,
    Response,
    raw_text,
)
from nextscale_ros.messages.validate_trajectory import check_joint_trajectory
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.node.departure import Departure, at_rest, under_way
from nextscale_ros.node.diagnostics import Statistics
from nextscale_ros.node.error_codes import (
    Failure,
    MovedError,
    RefusedByRulesError,
    TooLateError,
    failure_of,
)
from nextscale_ros.node.live_planner import LivePlanner, Plan, choose_seed
from nextscale_ros.node.models import own_steps, steps_problem
from nextscale_ros.node.outputs import Output
from nextscale_ros.node.progress import ProgressTracker
from nextscale_ros.node.reports import failure_report, log_line, success_report
from nextscale_ros.node.start_state import Start
from nextscale_ros.node.worker import NewestOnlyWorker, Ticket
from nextscale_ros.parameters.values import Settings, read_settings
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.state_monitor import StateMonitor

_SEVERITIES = {
    MotionReport.PASS: "info",
    MotionReport.REPAIRED: "warn",
    MotionReport.SUPERSEDED: "info",
    MotionReport.CANCELED: "info",
    MotionReport.FAILED: "error",
}
"""Severity of the log line, by outcome; others are warnings."""

_MOMENT = 0.02
"""Time ahead at which a robot that follows a trajectory is expected when the next is sent [s]."""


class MotionServer:
    """Serves one request at a time, the newest first.

    Args:
        node: Gives parameters, clock and log.
        planner: Plans the trajectories.
        monitor: State of the robot.
        output: Sends the trajectories.
        show: Shows plans to people.
        publish_report: Publishes a report.
        statistics: Counts the requests.
        clock: Clock of the robot's states [s].
    """

    def __init__(
        self,
        node: Node,
        planner: LivePlanner,
        monitor: StateMonitor,
        output: Output,
        show: Callable[[ActiveTrajectory, MotionClip | None, str], None],
        publish_report: Callable[[MotionReport], None],
        statistics: Statistics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node, self._planner, self._monitor = node, planner, monitor
        self._output, self._publish_report, self._statistics = output, publish_report, statistics
        self._clock, self._show = clock, show
        self._last: MotionClip | None = None
        self._active = True
        self._ends = threading.Lock()
        self._turns = threading.Lock()
        self._log = LogThrottle(severities(node.get_logger()))
        self._worker = NewestOnlyWorker(self._work, self._superseded)

    def close(self, timeout: float = 5.0) -> bool:
        """Cancel work and execution; returns whether the work has ended within a time [s]."""
        self._active = False
        idle = self._worker.close(timeout)
        self._output.close()
        return idle

    def drop(self) -> None:
        """Cancel the current work; later requests are served."""
        self._worker.drop()

    def submit(
        self, of: Callable[[Any], Fields], message: Any, client: Client | None = None
    ) -> None:
        """Take a request and return at once.

        Args:
            of: Reads the message, one of the functions of `nextscale_ros.messages.requests`.
            message: The received message.
            client: Waits for the response.
        """
        # Topics, goals and edits come in several threads; the lock keeps the order of the numbers.
        with self._turns:
            self._submit(of, message, client)

    def _submit(self, of: Callable[[Any], Fields], message: Any, client: Client | None) -> None:
        stamp = self._node.get_clock().now().to_msg()
        number = self._statistics.receive()
        request = Request(number, stamp, (), client=client)
        try:
            request = replace(request, **of(message))
        except Exception as error:
            # No message may end a callback, and with it the node.
            text = raw_text(of, message)
            self._fail(replace(request, script=((text, None),)), None, failure_of(error))
            return
        self._log("info", "received", f"request {number}: {request.text[:200]!r}")
        refuse = read_settings(self._node).preemption == "refuse"
        busy = refuse and self._output.executing
        if busy or not self._worker.submit(request, only_if_idle=refuse):
            self._fail(request, None, self._not_taken())

    def cancel(self, client: Client) -> None:
        """Cancel the execution for a client; generation checks for cancellation itself."""
        if self._output.cancel(client):
            self._monitor.forget()

    def _not_taken(self) -> Failure:
        if not self._active:
            return Failure(MotionReport.CANCELED, ErrorCode.NOT_ACTIVE, "the node is not active")
        return Failure(
            MotionReport.REJECTED,
            ErrorCode.BUSY,
            "another request is being served, and the parameter preemption is 'refuse'",
        )

    @property
    def listeners(self) -> int:
        """Number of subscribers to the trajectories, or of controllers."""
        return self._output.listeners

    # -- the worker's thread

    def _work(self, request: Request, ticket: Ticket) -> None:
        """Serve one request; every error ends in a report."""
        tracker: ProgressTracker | None = None
        plan: Plan | None = None
        try:
            settings = request.applied(read_settings(self._node))
            tracker = ProgressTracker(
                choose_seed(settings),
                lambda: ticket.stale or request.canceled,
                (lambda message: None) if request.client is None else request.client.feedback,
                settings.steps or own_steps(self._planner.pipeline),
                len(request.script),
            )
            start = Start.of(request, self._planner.robot, self._monitor, self._clock)
            plan = self._plan(request, settings, start, tracker)
            try:
                self._send(request, plan, ticket, settings, tracker)
            except TooLateError as late:
                tracker.notes.append(f"made again: {late}")
                plan = self._planner.plan_motion(plan.motion, settings, start, tracker)
                self._send(request, plan, ticket, settings, tracker)
        except GenerationCancelled:
            self._superseded(request, tracker)
        except Exception as error:
            failure = failure_of(error)
            if tracker is not None:
                tracker.notes.extend(self._monitor.new_remarks())
            if plan is not None and failure.safety is None:
                failure = replace(failure, safety=plan.safety)
            self._fail(request, tracker, failure)

    def _plan(
        self, request: Request, settings: Settings, start: Start, tracker: ProgressTracker
    ) -> Plan:
        if not request.plan_only:
            # An unknown state or a missing controller ends the request before the work begins.
            start.wait_for_first(settings, lambda: tracker.check("before the first joint state"))
            start.read(settings)
            self._output.check()
        if problem := steps_problem(self._planner.pipeline, settings.steps):
            raise RequestError(ErrorCode.INVALID_STEPS, problem)
        if request.edit is None:
            return self._planner.plan(request.script, settings, start, tracker, request.constraints)
        if self._last is None:
            raise RequestError(
                ErrorCode.NOTHING_TO_EDIT, "no motion has been made yet: send a sentence first"
            )
        text = request.script[0][0]
        return self._planner.plan_edit(self._last, text, request.edit, settings, start, tracker)

    def _send(
        self,
        request: Request,
        plan: Plan,
        ticket: Ticket,
        settings: Settings,
        tracker: ProgressTracker,
    ) -> None:
        """Send the trajectory if no newer request has arrived.

        Raises:
            GenerationCancelled: a newer request has arrived.
            UnsafeTrajectoryError: the message is invalid, or the robot is elsewhere by now.
            RobotStateError: the state of the robot is no longer known.
        """
        robot = self._planner.robot
        with tracker.stopwatch.stage("message"):
            frame = str(self._node.get_parameter("base_frame").value)
            command = joint_trajectory(plan.trajectory)
            base = base_trajectory(plan.trajectory, frame, robot=robot)
            problems = check_joint_trajectory(command, robot.joint_names)
        if problems:
            raise RefusedByRulesError(f"a controller would refuse it: {'; '.join(problems)}")
        sent: list[tuple[Response, ActiveTrajectory]] = []
        if not request.plan_only:
            # How it begins is decided below, when nothing holds it up any more.
            self._output.await_answer(lambda: tracker.check("before the controller's answer"))

        def send() -> None:
            if request.canceled:
                return
            departure = self._departure(request, plan, settings)
            stamp = None if departure.begin is None else self._monitor.stamp(departure.begin)
            departure.apply(command, stamp)
            departure.apply(base, stamp)
            tracker.notes.extend(self._monitor.new_remarks())
            report = self._signed(success_report(request, tracker, plan.safety, command))
            report.listeners = 0 if request.plan_only else self._output.listeners
            away = tuple(one.distance for one in tracker.residuals)
            sent.append((Response(report, command, base, away), departure.plan))
            if not request.plan_only:
                self._hand_over(request, *sent[0])

        if not ticket.publish(send) or not sent:
            raise GenerationCancelled("not wanted any more")
        self._last = plan.motion.new
        response, active = sent[0]
        self._publish(response.report)
        if request.plan_only:
            self._respond(request, response)
            return
        # Pictures take a while, so they come after the trajectory.
        self._show(active, self._last, request.text)
        if not response.report.listeners:
            self._log(
                "warn", "unheard", f"{self._output.missing}: trajectory {request.number} is lost"
            )

    def _departure(self, request: Request, plan: Plan, settings: Settings) -> Departure:
        """Check the robot's state once more and decide how the trajectory begins if sent now.

        Raises:
            TooLateError: a robot in motion would jump.
            MovedError: a robot at rest was moved meanwhile.
            RobotStateError: its state is no longer known.
        """
        lead = plan.lead
        if lead is not None:
            if not request.plan_only:
                lead = self._monitor.confirmed(lead, settings)
            if lead is None:
                raise TooLateError("the robot no longer follows what the new motion continues")
            margin = self._monitor.margin(settings)
            return under_way(plan.trajectory, lead, self._clock(), margin)
        now = None
        if plan.measured and not request.plan_only:
            now = self._monitor.now(settings, _MOMENT)
        begins = now is not None and now.lead is not None
        state = now.measured if now is not None and now.real else None
        try:
            if now is not None and begins and not now.past.at_rest:
                raise MovedError("it moves")
            return at_rest(self._planner.robot, plan.trajectory, state, self._clock())
        except MovedError as error:
            if not begins:
                raise
            raise TooLateError(f"the robot has begun with what was sent before: {error}") from error

    def _hand_over(self, request: Request, response: Response, active: ActiveTrajectory) -> None:
        """Send a trajectory, and register it as active once the robot has accepted it."""

        def executed(code: int, message: str) -> None:
            # After a failed execution the robot does not follow the plan.
            if code not in (ErrorCode.NONE, ErrorCode.PREEMPTED):
                self._monitor.forget(active.trajectory)
            if code != ErrorCode.NONE:
                # The report is published already: only the response has the error.
                response.report.error.code, response.report.error.message = code, message
                self._log("warn", "executed", f"request {request.number}: execution: {message}")
            self._respond(request, response)

        self._output.send(
            response, request, active, executed, lambda: self._monitor.published(active)
        )

    # -- ends

    def _superseded(self, request: Request, tracker: ProgressTracker | None = None) -> None:
        if request.canceled:
            failure = Failure(MotionReport.CANCELED, ErrorCode.CANCELED, "canceled by the client")
        elif not self._active:
            failure = self._not_taken()
        else:
            failure = Failure(
                MotionReport.SUPERSEDED, ErrorCode.PREEMPTED, "a newer request arrived"
            )
        self._fail(request, tracker, failure)

    def _fail(self, request: Request, tracker: ProgressTracker | None, failure: Failure) -> None:
        report = self._signed(failure_report(request, tracker, failure))
        self._publish(report)
        self._respond(request, Response(report))

    def _signed(self, report: MotionReport) -> MotionReport:
        report.robot, report.model = self._planner.robot.name, self._planner.pipeline.name
        return report

    @staticmethod
    def _respond(request: Request, response: Response) -> None:
        if request.client is not None:
            request.client.respond(response)

    def _publish(self, report: MotionReport) -> None:
        """Count, log and publish a report."""
        with self._ends:
            self._statistics.end(report)
            severity = _SEVERITIES.get(report.outcome, "warn")
            self._log(severity, report.outcome, log_line(report))
            if self._node.context.ok():
                self._publish_report(report)

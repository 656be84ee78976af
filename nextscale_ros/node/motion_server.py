"""From requests to published trajectories: what an active node does, whoever asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.node import Node

from nextscale_core.exceptions import GenerationCancelled
from nextscale_core.motion.clip import MotionClip
from nextscale_core.robots import RobotTrajectory
from nextscale_ros.action import GenerateMotion
from nextscale_ros.log_throttle import LogThrottle, severities
from nextscale_ros.messages.conversions import base_trajectory, joint_trajectory
from nextscale_ros.messages.requests import Fields, Reply, Request, RequestError, raw_text
from nextscale_ros.messages.validate_trajectory import (
    NANOSECONDS,
    check_joint_trajectory,
    nanoseconds,
)
from nextscale_ros.msg import ErrorCode, MotionReport
from nextscale_ros.node.departure import Departure, at_rest, under_way
from nextscale_ros.node.error_codes import (
    Failure,
    GateRefusedError,
    MovedError,
    RefusedByRulesError,
    TooLateError,
    failure_of,
)
from nextscale_ros.node.outputs import Output
from nextscale_ros.node.plan import Plan, Progress, Surroundings
from nextscale_ros.node.planner import Planner, choose_seed
from nextscale_ros.node.progress import Watch
from nextscale_ros.node.reports import Ended, log_line, make_report
from nextscale_ros.node.start_state import StartsAt, StartsNear
from nextscale_ros.node.statistics import Statistics
from nextscale_ros.node.worker import NewestOnlyWorker, Ticket
from nextscale_ros.parameters.values import Settings, read_settings
from nextscale_ros.robot_state.active_trajectory import ActiveTrajectory
from nextscale_ros.robot_state.inputs import RobotInputs
from nextscale_ros.robot_state.state_monitor import StateMonitor

_SEVERITIES = {
    MotionReport.PASS: "info",
    MotionReport.REPAIRED: "warn",
    MotionReport.SUPERSEDED: "info",
    MotionReport.CANCELED: "info",
    MotionReport.FAILED: "error",
}

_MOMENT = 0.02
"""So far ahead a robot that follows a trajectory is looked for when the next one is sent [s]."""


class MotionServer:
    """Serves requests one after the other, the newest first and alone.

    Args:
        node: Whose parameters, clock and log are used.
        planner: Makes the trajectories.
        situation: Tells where the robot is.
        output: Takes the trajectories.
        show: Shows plans to people.
        report: Publishes a report.
        statistics: Counts.
        clock: The clock that the robot lives by [s].
    """

    def __init__(
        self,
        node: Node,
        planner: Planner,
        situation: StateMonitor,
        output: Output,
        show: Callable[[ActiveTrajectory, MotionClip | None, str], None],
        report: Callable[[MotionReport], None],
        statistics: Statistics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node, self._planner, self._situation = node, planner, situation
        self._output, self._publish_report, self._statistics = output, report, statistics
        self._clock, self._show = clock, show
        self._last: MotionClip | None = None
        self._active = True
        self._ends = threading.Lock()
        self._turns = threading.Lock()
        self._log = LogThrottle(severities(node.get_logger()))
        self._worker = NewestOnlyWorker(self._work, self._superseded)

    def close(self, timeout: float = 5.0) -> bool:
        """Give up the work at hand, and what is being executed.

        Args:
            timeout: How long the work at hand may take to notice [s].

        Returns:
            Whether it has.
        """
        self._active = False
        idle = self._worker.close(timeout)
        self._output.close()
        return idle

    def drop(self) -> None:
        """Give up the work at hand; requests that come later are served."""
        self._worker.drop()

    def submit(self, of: Callable[[Any], Fields], message: Any, reply: Reply | None = None) -> None:
        """Take a request; returns at once.

        Args:
            of: Reads the message, one of the functions of `nextscale_ros.messages.requests`.
            message: What was received.
            reply: Who waits for the answer.
        """
        # Topics, goals and edits come in threads of their own: without turns, of two that come at
        # once the one with the lower number could be taken for the newer.
        with self._turns:
            self._submit(of, message, reply)

    def _submit(self, of: Callable[[Any], Fields], message: Any, reply: Reply | None) -> None:
        stamp = self._node.get_clock().now().to_msg()
        number = self._statistics.receive()
        request = Request(number, stamp, (), reply=reply)
        try:
            request = replace(request, **of(message))
        except Exception as error:
            # Whatever a stranger sends must not end a callback, and with it the node.
            text = raw_text(of, message)
            self._end(replace(request, script=((text, None),)), None, failure_of(error))
            return
        self._log("info", "received", f"request {number}: {request.text[:200]!r}")
        refuse = read_settings(self._node).preemption == "refuse"
        if refuse and self._output.executing:
            taken = False
        else:
            taken = self._worker.submit(request, only_if_idle=refuse)
        if not taken:
            self._end(request, None, self._not_taken())

    def cancel(self, reply: Reply) -> None:
        """Whoever asked wants it no more; what is being generated notices by itself."""
        if self._output.cancel(reply):
            self._situation.forget()

    def _not_taken(self) -> Failure:
        if not self._active:
            return Failure(MotionReport.CANCELED, ErrorCode.NOT_ACTIVE, "the node is not active")
        return Failure(
            MotionReport.REJECTED,
            ErrorCode.BUSY,
            "another request is being served, and the parameter preemption is 'refuse'",
        )

    def health(self, inputs: RobotInputs) -> dict[str, Any]:
        """Fields of `nextscale_ros.node.diagnostics.Health` that are known here."""
        delays = np.array(list(inputs.delays))
        more = {}
        if len(delays):
            for share in (50, 99):
                delay = float(np.percentile(delays, share))
                more[f"joint state delay p{share} [s]"] = f"{delay:.4f}"
        return {
            "state_age": inputs.joints.age(self._clock()),
            "state_messages": inputs.joints.messages,
            "conflict": inputs.joints.conflict(self._clock()),
            "listeners": self._output.listeners,
            "more": more,
        }

    # -- the worker's thread

    def _work(self, request: Request, ticket: Ticket) -> None:
        """Serve one request; whatever goes wrong is reported and the node lives on."""
        plan = Plan(seed=0)
        try:
            settings = request.applied(read_settings(self._node))
            plan.seed = choose_seed(settings)
            watch = Watch(
                lambda: ticket.stale or request.canceled,
                lambda progress: self._tell(request, progress),
                settings.steps or self._own_steps,
                len(request.script),
            )
            self._make(request, plan, settings, watch)
            try:
                self._send(request, plan, ticket, settings)
            except TooLateError as late:
                assert plan.again is not None
                plan.notes.append(f"made again: {late}")
                plan.again()
                self._send(request, plan, ticket, settings)
        except GenerationCancelled:
            self._superseded(request, plan)
        except Exception as error:
            self._end(request, plan, failure_of(error))

    def _make(self, request: Request, plan: Plan, settings: Settings, watch: Watch) -> None:
        surroundings = self._surroundings(request)
        if not request.plan_only:
            # A robot whose state is unknown is known to be unknown before any work is done, and
            # so is a controller that is not there.
            surroundings.now(settings)
            self._output.check()
        steps, known = settings.steps, self._own_steps
        if steps and known and len(steps) != len(known):
            raise RequestError(
                ErrorCode.INVALID_STEPS,
                f"the model has {len(known)} scales, steps must hold as many, got {list(steps)}",
            )
        if request.edit is None:
            self._planner.fill(plan, request.script, settings, surroundings, watch)
            return
        if self._last is None:
            raise RequestError(
                ErrorCode.NOTHING_TO_EDIT, "no motion has been made yet: send a sentence first"
            )
        text = request.script[0][0]
        self._planner.fill_edited(
            plan, self._last, text, request.edit, settings, surroundings, watch
        )

    @property
    def _own_steps(self) -> tuple[int, ...]:
        """Passes for each of the model's scales; empty where it does not say."""
        return tuple(getattr(self._planner.pipeline, "steps", ()))

    def _surroundings(self, request: Request) -> Surroundings:
        robot, start = self._planner.robot, request.start
        if start is None:
            return _Unsure(self._situation) if request.plan_only else self._situation
        if request.plan_only:
            return StartsAt(robot, start, self._situation, self._clock)
        return StartsNear(robot, start, self._situation)

    def _send(self, request: Request, plan: Plan, ticket: Ticket, settings: Settings) -> None:
        """Send the trajectory if the gate passed it and nothing newer has arrived.

        Raises:
            GenerationCancelled: something newer has arrived.
            UnsafeTrajectoryError: the gate or the check of the message refused it.
            RobotStateError: it is no longer known where the robot is.
        """
        result = plan.result
        assert result is not None
        if result.trajectory is None:
            raise GateRefusedError(result.report)
        trajectory = result.trajectory
        with plan.stopwatch.stage("message"):
            frame = str(self._node.get_parameter("base_frame").value)
            command = joint_trajectory(trajectory)
            base = base_trajectory(trajectory, frame, robot=self._planner.robot)
            problems = check_joint_trajectory(command, self._planner.robot.joint_names)
        if problems:
            raise RefusedByRulesError(f"a controller would refuse it: {'; '.join(problems)}")
        sent: list[tuple[MotionReport, ActiveTrajectory]] = []

        def send() -> None:
            if request.canceled:
                return
            departure = self._departure(request, plan, trajectory, settings)
            stamp = None if departure.begin is None else self._stamp(departure.begin)
            departure.apply(command, stamp)
            departure.apply(base, stamp)
            plan.listeners = 0 if request.plan_only else self._output.listeners
            report = self._report(request, plan, None)
            report.points = len(command.points)
            report.duration = nanoseconds(command.points[-1].time_from_start) / NANOSECONDS
            sent.append((report, departure.plan))
            if not request.plan_only:
                self._hand_over(request, Ended(report, command, base), departure.plan)

        if not ticket.publish(send) or not sent:
            raise GenerationCancelled("not wanted any more")
        self._last = plan.clip
        report, published = sent[0]
        self._told(report)
        if request.plan_only:
            if request.reply is not None:
                request.reply.done(Ended(report, command, base))
            return
        # Pictures take a while: not before the trajectory is out, and nobody waits for them.
        self._show(published, plan.clip, request.text)
        if not plan.listeners:
            self._log(
                "warn", "unheard", f"{self._output.nobody}: trajectory {request.number} is lost"
            )

    def _departure(
        self, request: Request, plan: Plan, trajectory: RobotTrajectory, settings: Settings
    ) -> Departure:
        """How the trajectory begins if it is sent now.

        Raises:
            TooLateError: a robot under way would jump.
            MovedError: a robot at rest was moved meanwhile.
            RobotStateError: it is no longer known where it is.
        """
        lead = plan.lead
        if lead is not None:
            if not request.plan_only:
                lead = self._situation.confirmed(lead, settings)
            if lead is None:
                raise TooLateError("the robot no longer does what the new motion was to follow on")
            return under_way(trajectory, lead, self._clock(), settings.takeover_margin)
        now = None
        if plan.measured and not request.plan_only:
            now = self._situation.now(settings, _MOMENT)
        state = now.measured if now is not None and now.real else None
        try:
            return at_rest(self._planner.robot, trajectory, state, self._clock())
        except MovedError as error:
            if now is None or now.lead is None:
                raise
            raise TooLateError(f"the robot has begun with what was sent before: {error}") from error

    def _hand_over(self, request: Request, ended: Ended, published: ActiveTrajectory) -> None:
        """Send what was made; the situation hears when the robot has got it."""

        def executed(request: Request, ended: Ended, code: int, message: str) -> None:
            # Whatever the robot does now, it is not what was planned.
            if code not in (ErrorCode.NONE, ErrorCode.PREEMPTED):
                self._situation.forget(published.trajectory)
            self._executed(request, ended, code, message)

        self._output.send(
            ended, request, published, executed, lambda: self._situation.published(published)
        )

    def _stamp(self, begin: float) -> Time:
        """A time by `clock` [s] on the robot's clock, else on ours."""
        seconds = self._situation.stamp(begin)
        if seconds is None:
            now = self._node.get_clock().now()
            ours: Time = (now + Duration(seconds=begin - self._clock())).to_msg()
            return ours
        sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
        return Time(sec=int(sec), nanosec=int(nanosec))

    # -- ends

    def _superseded(self, request: Request, plan: Plan | None = None) -> None:
        if request.canceled:
            failure = Failure(MotionReport.CANCELED, ErrorCode.CANCELED, "canceled by the client")
        elif not self._active:
            failure = self._not_taken()
        else:
            failure = Failure(
                MotionReport.SUPERSEDED, ErrorCode.PREEMPTED, "a newer request arrived"
            )
        self._end(request, plan, failure)

    def _end(self, request: Request, plan: Plan | None, failure: Failure) -> None:
        report = self._report(request, plan, failure)
        self._told(report)
        if request.reply is not None:
            request.reply.done(Ended(report))

    def _executed(self, request: Request, ended: Ended, code: int, message: str) -> None:
        """What came of a trajectory that was sent; the report on it is out already."""
        if code != ErrorCode.NONE:
            ended.report.error.code, ended.report.error.message = code, message
            self._log("warn", "executed", f"request {request.number}: execution: {message}")
        if request.reply is not None:
            request.reply.done(ended)

    def _report(self, request: Request, plan: Plan | None, failure: Failure | None) -> MotionReport:
        return make_report(
            request, self._planner.robot.name, self._planner.pipeline.name, plan, failure
        )

    def _told(self, report: MotionReport) -> None:
        """Count, log and publish."""
        with self._ends:
            self._statistics.end(report)
            severity = _SEVERITIES.get(report.outcome, "warn")
            self._log(severity, report.outcome, log_line(report))
            if self._node.context.ok():
                self._publish_report(report)

    @staticmethod
    def _tell(request: Request, progress: Progress) -> None:
        if request.reply is not None:
            request.reply.feedback(
                GenerateMotion.Feedback(
                    stage=progress.stage,
                    text=progress.text,
                    scale=progress.scale,
                    scales=progress.scales,
                    done=float(progress.done),
                )
            )


class _Unsure:
    """A situation that need not be known, since nothing is executed.

    Args:
        situation: The situation.
    """

    def __init__(self, situation: StateMonitor) -> None:
        self._situation = situation

    def past(self, settings: Settings, ahead: float) -> Any:
        """What is known of it."""
        return self._situation.past(settings, ahead)

    def now(self, settings: Settings, ahead: float = 0.0) -> Any:
        """The measured state, or the nominal one where none is measured."""
        return self._situation.now(replace(settings, state_policy="assume_nominal"), ahead)

"""Where the robot is, where it was and where it is about to be, for one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.history import SHORTEST, RobotHistory
from nextscale_core.estimation.samples import BaseTrack
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.active_trajectory import LATEST, ActiveTrajectory
from nextscale_ros.robot_state.inputs import RobotInputs
from nextscale_ros.robot_state.joint_state_buffer import RobotStateError, SenderConflictError
from nextscale_ros.robot_state.splice import Splice

_PLAN_RATE = 50.0
"""Samples per second taken from a published plan [Hz]."""

_TRACKED = 0.5
"""A joint further from the published plan than this is not following it [rad]."""

_PATIENCE = 0.5
"""A robot that still stands where its plan begins so long after it was sent will not begin [s]."""

_JUST_NOW, _STILL = 0.1, 0.01
"""A robot none of whose joints has moved so far [rad] in so long [s] stands."""

_LATELY, _MOVES, _STANDS = 0.3, 0.05, 0.3
"""A joint whose plan has moved within this time [s] by this much [rad], and which has gone less
than this share of it, stands: its plan is not executed."""


@dataclass(frozen=True)
class Now:
    """The state a trajectory begins in.

    Attributes:
        state: Joints, and the base where it is known.
        time: When that was, or will be, by `time.monotonic()` [s].
        past: The states until then; empty where they are not known.
        held: Measured positions of held joints, by name [rad].
        lead: The way there from the measured state, where a plan under way tells it; None: the
            state is the measured one.
        real: Whether the state was measured rather than assumed.
    """

    state: RobotState
    time: float
    past: RobotHistory
    held: dict[str, float]
    lead: Splice | None = None
    real: bool = True

    @property
    def measured(self) -> RobotState:
        """The measured state."""
        return self.state if self.lead is None else self.lead.measured

    @property
    def since(self) -> float:
        """When the measured state was measured, by `time.monotonic()` [s]."""
        return self.time if self.lead is None else self.lead.time


class StateMonitor:
    """Answers the planner's questions about the robot.

    Args:
        robot: The robot.
        inputs: What was heard of it.
        warn: Takes warnings.
        clock: A clock that never steps back [s].
    """

    def __init__(
        self,
        robot: Robot,
        inputs: RobotInputs,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._robot, self._inputs, self._warn, self._clock = robot, inputs, warn, clock
        self._plan: ActiveTrajectory | None = None
        self._delay = 0.0
        self._warned = False

    def published(self, plan: ActiveTrajectory) -> None:
        """Remember what the robot is to do from now on, since its controller has got it."""
        now = self._clock()
        if plan.on_arrival:
            # A controller that took long to accept it began at the end of that time.
            plan = replace(plan, begin=max(plan.begin, now - _PATIENCE / 2))
        self._plan, self._delay = plan, max(now - plan.begin, 0.0)

    def forget(self, trajectory: RobotTrajectory | None = None) -> None:
        """There is no plan under way; given a trajectory, only if it is that one."""
        plan = self._plan
        if trajectory is None or (plan is not None and plan.trajectory is trajectory):
            self._plan = None

    def stamp(self, time: float) -> float | None:
        """A time [s] by the clock that the robot stamps its joint states with; None: unknown."""
        return self._inputs.joints.stamp(time)

    def past(self, settings: Settings, ahead: float) -> RobotHistory | None:
        """What a new motion continues, or None where it continues nothing.

        Args:
            settings: Which past, and how much of it.
            ahead: So long until the new motion can take over [s]; what a plan under way says
                about that time belongs to the past that is continued.
        """
        if settings.continuation == "off" or not settings.start_from_state:
            return None
        now, plan = self._clock(), self._current()
        if settings.continuation == "from_plan" and plan is not None:
            first = max(now - settings.history, plan.begin)
            last = max(now + ahead, first + 1.0 / _PLAN_RATE)
            return _planned(plan, np.arange(first, last, 1.0 / _PLAN_RATE))
        past = self._measured(now - settings.history)
        if not len(past) or now - past.times[-1] > settings.state_timeout:
            return None
        if past.seconds < SHORTEST and past.at_rest:
            past = _stood(past, now - settings.history)
        return _expected(past, plan, now + ahead)

    def now(self, settings: Settings, ahead: float = 0.0) -> Now | None:
        """The state to begin in, or None where the plan's own first pose will do.

        Args:
            settings: What to look at.
            ahead: So long after the measured state the new motion takes over, where the plan
                under way tells what the robot does until then [s].

        Raises:
            RobotStateError: joint states are absent or stale, and the policy is to refuse.
            SenderConflictError: two senders of joint states contradict each other.
        """
        return self._now(self._current(), settings, ahead)

    def _now(self, plan: ActiveTrajectory | None, settings: Settings, ahead: float) -> Now | None:
        if not settings.start_from_state:
            return None
        self.check_senders(settings)
        time = self._clock()
        if settings.continuation == "from_plan" and plan is not None:
            past = _planned(plan, np.array([time]))
            return _later(Now(plan.state(time), time, past, {}), plan, ahead)
        nothing = RobotHistory(np.empty(0), np.empty((0, self._robot.num_joints)))
        try:
            whole, measured = self._inputs.joints.read(time, settings.state_timeout)
        except SenderConflictError:
            # Whatever the policy: this robot is somewhere, and a wrong start would make it jump.
            raise
        except RobotStateError as error:
            if settings.state_policy == "reject":
                raise RobotStateError(
                    f"{error}; the robot is left alone (parameter state_policy is 'reject')"
                ) from error
            if not self._warned:
                self._warn(f"{error}: taken to stand in its nominal posture (state_policy)")
                self._warned = True
            return Now(RobotState(self._robot.nominal), time, nothing, {}, real=False)
        self._warned = False
        count = self._robot.num_joints
        speeds = None if whole.velocities is None else whole.velocities[:count]
        state = RobotState(whole.positions[:count], speeds)
        names = self._inputs.joints.joint_names[count:]
        held = dict(zip(names, whole.positions[count:].tolist(), strict=True))
        past = self._measured(time - settings.history)
        return _later(Now(state, measured, past, held), plan, ahead)

    def check_senders(self, settings: Settings) -> None:
        """Make sure that the senders of joint states agree, where a motion depends on them.

        Raises:
            SenderConflictError: two contradict each other.
        """
        if settings.start_from_state:
            self._inputs.joints.check_senders(self._clock())

    def confirmed(self, lead: Splice, settings: Settings) -> Splice | None:
        """A lead with what is known by now about when its plan began.

        Args:
            lead: Of a moment ago.
            settings: What to look at.

        Returns:
            None where the robot does something else by now.

        Raises:
            RobotStateError: joint states are absent or stale, and the policy is to refuse.
        """
        plan = self._current()
        if plan is None or plan.trajectory is not lead.plan.trajectory:
            return None
        now = self._now(plan, settings, 0.0)
        if now is None or not _on_plan(plan, now.past, now.state, now.time):
            return None
        return replace(lead, plan=plan)

    def _current(self) -> ActiveTrajectory | None:
        """The plan, and when the robot began with it; None where it never did."""
        plan, delay = self._plan, self._delay
        if plan is None or not plan.on_arrival:
            return plan
        history = self._inputs.joints.history(plan.begin)
        joints = history.positions[:, : self._robot.num_joints]
        stands = True
        if len(history):
            delay = plan.delay(history.times, joints, delay)
            recent = history.times > history.times[-1] - _JUST_NOW
            stands = bool(np.ptp(joints[recent], axis=0).max() < _STILL)
        if self._plan is plan:
            self._delay = delay
        begun = replace(plan, begin=plan.begin + delay)
        way = begun.joints(np.array([self._clock()]))[0][0] - plan.trajectory.positions[0]
        waits = delay > _PATIENCE and stands and np.abs(way).max() < _MOVES
        return None if waits or delay >= LATEST else begun

    def _measured(self, since: float) -> RobotHistory:
        """Joints and base as they were heard."""
        history = self._inputs.joints.history(since)
        # The base may come at another rate: a little more of it covers the joints' ends.
        margin = since - 0.2
        return RobotHistory(
            history.times,
            history.positions[:, : self._robot.num_joints],
            base=self._inputs.base.track(margin),
            imu=self._inputs.imu.track(margin, self._inputs.imu_link),
        )


def _later(now: Now, plan: ActiveTrajectory | None, ahead: float) -> Now:
    """Where the plan under way will have the robot, if it follows one."""
    if plan is None or ahead <= 0.0 or not _follows(plan, now.past, now.state, now.time):
        return now
    until = now.time + ahead
    lead = Splice(plan, now.state, now.time)
    past = _expected(now.past, plan, until) if len(now.past) else now.past
    return Now(lead.state(until), until, past, now.held, lead)


def _follows(plan: ActiveTrajectory, past: RobotHistory, state: RobotState, time: float) -> bool:
    """Whether a plan is under way and the robot follows it."""
    return time < plan.end and _on_plan(plan, past, state, time)


def _on_plan(plan: ActiveTrajectory, past: RobotHistory, state: RobotState, time: float) -> bool:
    """Whether the robot is near its plan, and moves as far as that."""
    off = state.positions - plan.joints(np.array([time]))[0][0]
    if time < plan.begin - _PATIENCE or np.abs(off).max() > _TRACKED:
        return False
    recent = past.times > time - _LATELY
    if recent.sum() < 2:
        return True
    way = np.ptp(plan.joints(past.times[recent])[0], axis=0)
    gone = np.ptp(past.positions[recent], axis=0)
    joint = int(way.argmax())
    return bool(way[joint] < _MOVES or gone[joint] > _STANDS * way[joint])


def _planned(plan: ActiveTrajectory, times: np.ndarray) -> RobotHistory:
    place, turn = plan.base(times)
    base = BaseTrack(times, place, turn) if len(times) > 1 else None
    return RobotHistory(times, plan.joints(times)[0], base=base)


def _expected(past: RobotHistory, plan: ActiveTrajectory | None, until: float) -> RobotHistory:
    """The past, and what the plan under way says about the time until `until`."""
    last = float(past.times[-1])
    if plan is None or plan.end <= last or until <= last:
        return past
    # The last one is `until` itself.
    times = until - np.arange(0.0, until - last - 1e-3, 1.0 / _PLAN_RATE)[::-1]
    state = RobotState(past.positions[-1])
    if not len(times) or not _follows(plan, past, state, last):
        return past
    joints = Splice(plan, replace(state, velocities=plan.state(last).velocities), last).joints(
        times
    )[0]
    base = past.base
    if base is not None and last - base.times[-1] < 0.2:
        base = _extended(base, plan, times)
    return replace(
        past,
        times=np.concatenate([past.times, times]),
        positions=np.concatenate([past.positions, joints]),
        base=base,
        # An IMU knows nothing of the future; the soles will have to tell.
        imu=None,
    )


def _extended(base: BaseTrack, plan: ActiveTrajectory, times: np.ndarray) -> BaseTrack:
    """Measured poses, and planned ones as seen from the last measured one."""
    later = times[times > base.times[-1]]
    place, turn = plan.base(np.concatenate([base.times[-1:], later]))
    planned, measured = Rotation.from_quat(turn), Rotation.from_quat(base.quaternions[-1])
    correction = measured * planned[0].inv()
    moved = base.positions[-1] + correction.apply(place[1:] - place[0])
    return replace(
        base,
        times=np.concatenate([base.times, later]),
        positions=np.concatenate([base.positions, moved]),
        quaternions=np.concatenate([base.quaternions, (correction * planned[1:]).as_quat()]),
    )


def _stood(past: RobotHistory, since: float) -> RobotHistory:
    """The past of a robot that has only just been heard of and stands: it has stood before, too."""
    before = np.arange(since, past.times[0] - 1e-3, 1.0 / _PLAN_RATE)
    return replace(
        past,
        times=np.concatenate([before, past.times]),
        positions=np.concatenate(
            [np.repeat(past.positions[:1], len(before), axis=0), past.positions]
        ),
    )

"""Past, present and predicted state of the robot, for planning one motion."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from builtin_interfaces.msg import Time
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.history import MAX_GAP, RobotHistory
from nextscale_core.estimation.joint_states import RobotStateError, SenderConflictError
from nextscale_core.estimation.samples import BaseTrack, after_last_gap
from nextscale_core.robots import Robot, RobotState, RobotTrajectory
from nextscale_ros.parameters.values import Settings
from nextscale_ros.robot_state.active_trajectory import LATEST, PATIENCE, ActiveTrajectory
from nextscale_ros.robot_state.inputs import RobotInputs, told_new_world
from nextscale_ros.robot_state.live_reference import LiveReference
from nextscale_ros.robot_state.splice import Splice

FIRST_STATE = 1.0
"""Maximum time that a request waits for the first joint states of the robot [s]."""

NOT_EXECUTED = "not_executed"
"""`Settings.state_policy` of a plan that no robot executes: nothing need be known."""

NO_TIME = (
    "there is no time yet: use_sim_time is true and nothing has come on /clock; start the "
    "simulator, or set use_sim_time to false"
)
"""Why no state is known while simulated time has not begun."""

_PLAN_RATE = 50.0
"""Rate at which a published trajectory is sampled [Hz]."""

_SPARE = 0.05
"""Time by which a message has to come before it is due, where its way is measured [s]."""

_BASE_MARGIN = 0.2
"""Maximum time by which the poses of the base end before the joint states [s]."""


@dataclass(frozen=True)
class Now:
    """The state that a trajectory begins in.

    Attributes:
        state: Joints, and the base where it is known.
        time: Time of the state, on the clock of the monitor [s].
        past: The states until then; empty where they are not known.
        held: Measured positions of held joints, by name [rad].
        lead: The motion from the measured state to this one along the active trajectory; None: the
            state is the measured one.
        real: Whether the state was measured rather than assumed.
        based: Whether `state` has the base pose that the motion begins in, rather than the measured
            one.
    """

    state: RobotState
    time: float
    past: RobotHistory
    held: dict[str, float]
    lead: Splice | None = None
    real: bool = True
    based: bool = False

    @property
    def measured(self) -> RobotState:
        """The measured state, or the reference of a robot that follows one."""
        return self.state if self.lead is None else self.lead.measured

    @property
    def since(self) -> float:
        """Time of the measured state, on the clock of the monitor [s]."""
        return self.time if self.lead is None else self.lead.time


@dataclass(frozen=True)
class _Snapshot:
    """The buffers and the active trajectory, read once.

    Attributes:
        time: Time of reading [s].
        past: Measured joints and base, as far back as the settings ask for.
        plan: The active trajectory with its measured begin; None where the robot follows none.
    """

    time: float
    past: RobotHistory
    plan: ActiveTrajectory | None


class StateMonitor:
    """Reports the past, present and predicted state of the robot.

    Args:
        robot: The robot.
        inputs: The buffers of its state.
        warn: Called with warnings.
        clock: A clock that never steps back [s].
        reference: What the robot follows, if a balancing controller makes it follow one.
    """

    def __init__(
        self,
        robot: Robot,
        inputs: RobotInputs,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        reference: LiveReference | None = None,
    ) -> None:
        self._robot, self._inputs, self._warn, self._clock = robot, inputs, warn, clock
        self._reference = reference
        self._plan: ActiveTrajectory | None = None
        self._delay = self._way = 0.0
        self._warned = False

    def published(self, plan: ActiveTrajectory) -> None:
        """Set the active trajectory, when the controller has received it."""
        now = self._clock()
        if plan.on_arrival:
            # A controller that took long to accept it began at the end of that time.
            plan = replace(plan, begin=max(plan.begin, now - PATIENCE / 2))
        self._plan, self._delay = plan, max(now - plan.begin, 0.0)

    def forget(self, trajectory: RobotTrajectory | None = None) -> None:
        """Unset the active trajectory; given a trajectory, only if it is the active one."""
        plan = self._plan
        if trajectory is None or (plan is not None and plan.trajectory is trajectory):
            self._plan = None

    def margin(self, settings: Settings) -> float:
        """Time from sending to the take-over from a trajectory under way [s].

        At least what the last trajectory that began on arrival took to the robot; 0 stays 0.
        """
        margin = settings.takeover_margin
        return max(margin, self._way + _SPARE) if margin else 0.0

    def stamp(self, time: float) -> Time:
        """A time [s] on the clock of the joint states' stamps, or else on the node's."""
        return self._inputs.stamp(time)

    def new_remarks(self) -> list[str]:
        """What has happened to the measured base since the last call, for a report."""
        told = told_new_world(self._inputs.base.new_jumps())
        return [told] if told else []

    def past(self, settings: Settings, ahead: float) -> RobotHistory | None:
        """The history that a new motion continues, or None where it continues none.

        Args:
            settings: Parameters of the node.
            ahead: Time until the new motion takes over [s]; the active trajectory predicts it.
        """
        if settings.continuation == "off" or not settings.start_from_state:
            return None
        snapshot = self._snapshot(settings)
        now, past, plan = snapshot.time, snapshot.past, snapshot.plan
        if settings.continuation == "from_plan" and plan is not None:
            first = max(now - settings.history, plan.begin)
            last = max(now + ahead, first + 1.0 / _PLAN_RATE)
            return _planned(plan, np.arange(first, last, 1.0 / _PLAN_RATE))
        if not len(past) or now - past.times[-1] > settings.state_timeout:
            return None
        heard = past.last(settings.history)
        if heard.at_rest:
            past = _extended_back(heard, heard.times[-1] - settings.history)
        return _predicted(past, plan, now + ahead)

    def now(self, settings: Settings, ahead: float = 0.0) -> Now | None:
        """The state to begin in, or None where the trajectory begins at its own first pose.

        Args:
            settings: Parameters of the node.
            ahead: Time from the measured state to the take-over by the new motion, if the robot
                follows an active trajectory [s].

        Raises:
            RobotStateError: joint states are missing or too old, and the policy is to reject.
            SenderConflictError: two senders of joint states contradict each other.
            FarFromReferenceError: the robot is not where its reference is.
        """
        if not settings.start_from_state and self._reference is None:
            return None
        snapshot = self._snapshot(settings)
        now = self._measured(snapshot, settings)
        if self._reference is not None:
            return self._on_reference(self._reference, now, snapshot, settings, ahead)
        return _advanced(now, snapshot.plan, ahead) if now.real else now

    def wait_for_first(self, settings: Settings, check: Callable[[], None]) -> None:
        """Wait, for a moment, until every joint has been measured once.

        A node that has just become active may receive a request before its first joint state.

        Args:
            settings: Parameters of the node.
            check: Called while waiting; raises to stop.
        """
        needed = settings.start_from_state and settings.state_policy == "reject"
        deadline = time.monotonic() + FIRST_STATE
        while needed and not self._inputs.joints.complete and time.monotonic() < deadline:
            check()
            time.sleep(0.01)

    def confirmed(self, lead: Splice, settings: Settings) -> Splice | None:
        """A lead with the begin of its active trajectory as it is known now.

        Args:
            lead: Of an earlier state.
            settings: Parameters of the node.

        Returns:
            None where the robot no longer follows that trajectory.

        Raises:
            RobotStateError: joint states are missing or too old, and the policy is to reject.
        """
        snapshot = self._snapshot(settings)
        plan = snapshot.plan
        if plan is None or plan.trajectory is not lead.plan.trajectory:
            return None
        if self._reference is None and not settings.start_from_state:
            return None
        now = self._measured(snapshot, settings)
        if self._reference is not None and now.real:
            self._reference.check(now.state.positions, now.time, settings.reference_bound)
        if not plan.is_followed(now.past, now.measured, now.time):
            return None
        return replace(lead, plan=plan)

    def _on_reference(
        self,
        reference: LiveReference,
        now: Now,
        snapshot: _Snapshot,
        settings: Settings,
        ahead: float,
    ) -> Now:
        """The reference some time ahead [s], with the measured history."""
        if now.real:
            reference.check(now.state.positions, now.time, settings.reference_bound)
        time, plan = snapshot.time, snapshot.plan
        here = reference.state(time)
        if plan is None or ahead <= 0.0:
            return replace(now, state=here, time=time, based=True)
        until = time + ahead
        past = _predicted(now.past, plan, until) if len(now.past) else now.past
        lead = Splice(plan, here, time)
        return Now(reference.state(until), until, past, now.held, lead, now.real, based=True)

    def _measured(self, snapshot: _Snapshot, settings: Settings) -> Now:
        """The state at the time of a snapshot: measured, planned or assumed, by the settings."""
        time, plan = snapshot.time, snapshot.plan
        if settings.continuation == "from_plan" and plan is not None:
            self._inputs.joints.check_senders(time)
            return Now(plan.state(time), time, _planned(plan, np.array([time])), {})
        try:
            every, measured = self._inputs.joints.read(time, settings.state_timeout)
        except SenderConflictError:
            # Whatever the policy: a wrong start would make the robot jump.
            raise
        except RobotStateError as error:
            policy, silent = settings.state_policy, self._inputs.joints.empty
            if policy == "reject" or not (silent or policy == NOT_EXECUTED):
                reason = error if time > 0.0 else NO_TIME
                told = "" if silent or policy == "reject" else ", for a robot that never tells it"
                raise RobotStateError(
                    f"{reason}; the robot is left alone (parameter state_policy is {policy!r}"
                    f"{told})"
                ) from error
            if silent and plan is not None:
                return Now(plan.state(time), time, _planned(plan, np.array([time])), {})
            if not self._warned:
                self._warn(f"{error}: assumed to stand in its nominal posture (state_policy)")
                self._warned = True
            nothing = RobotHistory(np.empty(0), np.empty((0, self._robot.num_joints)))
            return Now(RobotState(self._robot.nominal), time, nothing, {}, real=False)
        self._warned = False
        count = self._robot.num_joints
        speeds = None if every.velocities is None else every.velocities[:count]
        names = self._inputs.joints.joint_names[count:]
        held = dict(zip(names, every.positions[count:].tolist(), strict=True))
        return Now(RobotState(every.positions[:count], speeds), measured, snapshot.past, held)

    def _snapshot(self, settings: Settings) -> _Snapshot:
        time, plan = self._clock(), self._plan
        if self._reference is not None:
            plan = self._reference.plan(time)
        begins_on_arrival = plan is not None and plan.on_arrival
        oldest = time - settings.history - settings.state_timeout
        if plan is not None and begins_on_arrival:
            oldest = min(oldest, plan.begin)
        joints = self._inputs.joints.history(oldest)
        times, positions = joints.times, joints.positions[:, : self._robot.num_joints]
        # Back from the last state, however late it came: a busy machine shortens no history.
        since = (times[-1] if len(times) else time) - settings.history
        if plan is not None and begins_on_arrival:
            later = times >= plan.begin
            plan = self._begun(plan, times[later], positions[later])
        recent = times >= since
        past = RobotHistory(
            times[recent],
            positions[recent],
            # The base may have another rate: a little more of it covers the joints' ends.
            base=self._inputs.base.track(since - _BASE_MARGIN),
            imu=self._inputs.imu.track(since - _BASE_MARGIN, self._inputs.imu_link),
        )
        return _Snapshot(time, past, plan)

    def _begun(
        self, plan: ActiveTrajectory, times: np.ndarray, positions: np.ndarray
    ) -> ActiveTrajectory | None:
        """A plan with its begin as the joints (N, J) at times (N,) since then show it.

        A robot that still stands may begin at any moment, until `LATEST`; then None.
        """
        delay = plan.delay(times, positions, self._delay) if len(times) else self._delay
        if self._plan is plan:
            self._delay = delay
            # Nothing is known of the way of a trajectory that never arrives.
            self._way = delay if delay < LATEST else 0.0
        return None if delay >= LATEST else replace(plan, begin=plan.begin + delay)


def _advanced(now: Now, plan: ActiveTrajectory | None, ahead: float) -> Now:
    """The state some time ahead [s], if the robot follows a plan."""
    if plan is None or ahead <= 0.0 or not _follows(plan, now.past, now.state, now.time):
        return now
    until = now.time + ahead
    lead = Splice(plan, now.state, now.time)
    past = _predicted(now.past, plan, until) if len(now.past) else now.past
    return Now(lead.state(until), until, past, now.held, lead)


def _follows(plan: ActiveTrajectory, past: RobotHistory, state: RobotState, time: float) -> bool:
    """Whether a plan has not ended and the robot follows it."""
    return time < plan.end and plan.is_followed(past, state, time)


def _planned(plan: ActiveTrajectory, times: np.ndarray) -> RobotHistory:
    place, turn = plan.base(times)
    base = BaseTrack(times, place, turn) if len(times) > 1 else None
    return RobotHistory(times, plan.joints(times)[0], base=base)


def _predicted(past: RobotHistory, plan: ActiveTrajectory | None, until: float) -> RobotHistory:
    """A history, continued by the plan until a time [s] if the robot follows one."""
    last = float(past.times[-1])
    if plan is None or plan.end <= last or until <= last:
        return past
    # The last one is `until` itself.
    times = until - np.arange(0.0, until - last - 1e-3, 1.0 / _PLAN_RATE)[::-1]
    state = RobotState(past.positions[-1], plan.state(last).velocities)
    if not len(times) or not _follows(plan, past, state, last):
        return past
    base = past.base
    if base is not None and last - base.times[-1] < _BASE_MARGIN:
        base = _predicted_base(base, plan, times)
    return replace(
        past,
        times=np.concatenate([past.times, times]),
        positions=np.concatenate([past.positions, Splice(plan, state, last).joints(times)[0]]),
        base=base,
        # An IMU covers no future: without a base, leg odometry has to do.
        imu=None,
    )


def _predicted_base(base: BaseTrack, plan: ActiveTrajectory, times: np.ndarray) -> BaseTrack:
    """Measured poses, and planned ones relative to the last measured one."""
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


def _extended_back(past: RobotHistory, since: float) -> RobotHistory:
    """A short history of a robot at rest, which is assumed to have been at rest before, too."""
    times, rows = _back_to(past.times, since)
    base, imu = past.base, past.imu
    if base is not None:
        own, place = _back_to(base.times, since - _BASE_MARGIN)
        base = replace(
            base, times=own, positions=base.positions[place], quaternions=base.quaternions[place]
        )
    if imu is not None:
        own, place = _back_to(imu.times, since - _BASE_MARGIN)
        imu = replace(imu, times=own, quaternions=imu.quaternions[place])
    return replace(past, times=times, positions=past.positions[rows], base=base, imu=imu)


def _back_to(times: np.ndarray, since: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (N,) after the last gap, continued back to exactly `since` [s], and the row of each."""
    first = after_last_gap(times, MAX_GAP).start
    before = np.arange(since, times[first] - 1e-9, 1.0 / _PLAN_RATE)
    rows = np.concatenate([np.full(len(before), first), np.arange(first, len(times))])
    return np.concatenate([before, times[first:]]), rows

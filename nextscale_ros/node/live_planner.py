"""Trajectories for a robot in operation: they begin in its state and come in time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nextscale_core.estimation.history import Prefix, prefix_of, with_base
from nextscale_core.estimation.robot_to_human import relative_size
from nextscale_core.exceptions import (
    ConfigError,
    InvalidMotionError,
    RetargetError,
    RobotError,
    UnsafeTrajectoryError,
)
from nextscale_core.motion.body_parts import BODY_PARTS
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import MAX_SECONDS
from nextscale_core.planning import MotionPlanner
from nextscale_core.robots import Robot, RobotState, RobotTrajectory, hold_at
from nextscale_core.safety import SafetyReport
from nextscale_core.stopwatch import Run, Stopwatch
from nextscale_core.text.validation import validate_sentence
from nextscale_core.trajectory import with_approach
from nextscale_core.trajectory.blend_in import outside_limits
from nextscale_ros.messages.requests import Edit, Framed, RequestError
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.constraints import ClipFrame, refusing
from nextscale_ros.node.departure import JERK
from nextscale_ros.node.error_codes import TooLateError
from nextscale_ros.node.models import MotionSource
from nextscale_ros.node.progress import Adapt, ProgressTracker
from nextscale_ros.node.start_state import NOWHERE, Start
from nextscale_ros.parameters.values import MAX_SEED, Settings
from nextscale_ros.robot_state.splice import Splice
from nextscale_ros.robot_state.state_monitor import Now

WARM_UP_TEXT = "a person stands still"
WARM_UP_SECONDS = 2.0

LONGEST_AHEAD = 1.5
"""Maximum time that an active trajectory is extrapolated for the take-over [s]."""

_LATER_SECONDS = MAX_SECONDS - 1.0
"""Maximum duration of a sentence that continues another one: a second of that is kept [s]."""

_SLACK = 0.25
"""Maximum shift of the take-over to where the new motion fits in better [s]."""

_SKIPPED = 0.5
"""Maximum part of the new motion that is skipped because its time is past [s]."""

_ATTEMPTS = 3
"""Maximum number of trajectories that are made until one comes in time."""

_RESERVE, _ON_ITS_WAY = 1.3, 0.35
"""Allowance for finishing a trajectory, as a factor of the usual time, and for its messages and its
way to the controller [s]."""

_MOVED = 0.02
"""Maximum change of a held joint before the robot model is rebuilt [rad]."""

Script = Sequence[tuple[str, float | None]]
"""Sentences and their durations [s]; None lets parameter or model choose."""


@dataclass(frozen=True)
class Motion:
    """A generated human motion.

    Attributes:
        clip: The motion, beginning with the past that it continues.
        prefix: That past; None for a motion that continues nothing.
    """

    clip: MotionClip
    prefix: Prefix | None = None

    @property
    def seam(self) -> float:
        """Where the past ends [s]."""
        return 0.0 if self.prefix is None else (len(self.prefix.human) - 1) / self.clip.fps

    @property
    def new(self) -> MotionClip:
        """The motion without the past."""
        if self.prefix is None:
            return self.clip
        return self.clip.slice(int(self.seam * self.clip.fps), len(self.clip))


@dataclass(frozen=True)
class Plan:
    """A trajectory that the safety gate has passed, and the motion behind it.

    Attributes:
        motion: The human motion.
        trajectory: The trajectory.
        safety: What the safety gate found.
        lead: What the robot does until the new motion takes over; the trajectory begins with it.
            None: the trajectory begins whenever it is executed.
        measured: Whether the robot's state was measured rather than assumed.
    """

    motion: Motion
    trajectory: RobotTrajectory
    safety: SafetyReport
    lead: Splice | None
    measured: bool


class LivePlanner:
    """Generates motions and plans their trajectories from the state of the robot.

    Args:
        pipeline: The motion model.
        robot: The robot.
        rate: Trajectory points per second [Hz].
        clock: Clock of the robot's states; never steps back [s].
        balance: Whether the centre of mass of slow motions is brought over the feet.

    Attributes:
        pipeline: The motion model.
        adapt: Makes a retargeted trajectory fit what executes it, before the gate.
    """

    def __init__(
        self,
        pipeline: MotionSource,
        robot: Robot,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        balance: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self.adapt: Adapt = lambda robot, trajectory, remarks: trajectory
        self._rate, self._clock, self._balance = rate, clock, balance
        self._planner = MotionPlanner(robot, rate, balance)
        self._seconds = 1.0
        """Running mean of the time for one sentence [s]."""
        self._finishing = 0.5
        """Recent maximum of the time from motion to trajectory [s]."""

    @property
    def robot(self) -> Robot:
        """The robot, its held joints where they were measured last."""
        return self._planner.robot

    def warm_up(self) -> Stopwatch:
        """Plan two motions, so that the first sentence is not slower than later ones.

        Raises:
            RetargetError: the motion cannot be mapped onto the robot.
        """
        tracker = ProgressTracker()
        for settings in (Settings(seconds=WARM_UP_SECONDS), Settings()):
            begin = self._clock()
            with suppress(UnsafeTrajectoryError):
                self.plan(((WARM_UP_TEXT, None),), settings, NOWHERE, tracker)
            self._seconds = self._clock() - begin
        return tracker.stopwatch

    def plan(
        self,
        script: Script,
        settings: Settings,
        start: Start,
        tracker: ProgressTracker,
        constraints: Sequence[Framed] = (),
    ) -> Plan:
        """Generate a motion for one or several sentences and plan its trajectory.

        Args:
            script: Valid sentences, and the duration of each [s]; None leaves it to `settings`.
            settings: Duration, guidance and other parameters.
            start: Where the motion begins; read before and again after the motion is generated.
            tracker: Gets stages, notes and progress; stops the work when it is pointless.
            constraints: What the motion of one sentence has to pass through.

        Raises:
            RequestError: a constraint cannot be used.
            GenerationCancelled: the work has become pointless.
            UnsafeTrajectoryError: the safety gate refused the trajectory.
            TooLateError: every trajectory came too late for the robot to follow smoothly.
            NextscaleError: generation or retargeting failed, or `start` cannot be read.
        """
        began = self._clock()
        prefix = self._prefix(settings, start, tracker)
        clip = self._generate(script, settings, prefix, tracker, constraints)
        motion = Motion(clip, prefix)
        plan = self.plan_motion(motion, settings, start, tracker)
        # The time for several sentences does not predict that of the next one.
        if len(script) == 1:
            self._seconds += 0.3 * (self._clock() - began - self._seconds)
        return plan

    def plan_edit(
        self,
        last: MotionClip,
        text: str,
        edit: Edit,
        settings: Settings,
        start: Start,
        tracker: ProgressTracker,
    ) -> Plan:
        """Change a part of a motion and plan the trajectory of the whole.

        Args:
            last: The motion.
            text: What happens in the part that changes.
            edit: The part.
            settings: Guidance and other parameters.
            start: Where the motion begins.
            tracker: See `plan`.

        Raises:
            RequestError: the motion has no such part.
            NextscaleError: see `plan`.
        """
        self._check_editing()
        span = (edit.begin, last.seconds if edit.end is None else edit.end)
        if not span[0] < span[1] <= last.seconds + 1e-6:
            raise RequestError(
                ErrorCode.INVALID_SPAN,
                f"{span[0]:g} to {span[1]:g} s is outside of the last motion, which is "
                f"{last.seconds:.2f} s long",
            )
        if span[1] - span[0] < 1.0 / last.fps:
            raise RequestError(
                ErrorCode.INVALID_SPAN,
                f"{span[0]:g} to {span[1]:g} s is shorter than a frame, {1.0 / last.fps:g} s",
            )
        unknown = sorted(set(edit.parts) - set(BODY_PARTS))
        if unknown:
            raise RequestError(
                ErrorCode.UNKNOWN_BODY_PART,
                f"unknown body parts: {', '.join(unknown)}; there are {', '.join(BODY_PARTS)}",
            )
        tracker.unknown = self._unknown([text])
        clip = self.pipeline.edit(
            last,
            text,
            span=None if edit.parts and edit.begin == 0.0 and edit.end is None else span,
            parts=edit.parts or None,
            **self._options(settings, tracker),
        )
        return self.plan_motion(Motion(clip), settings, start, tracker)

    def plan_motion(
        self, motion: Motion, settings: Settings, start: Start, tracker: ProgressTracker
    ) -> Plan:
        """Plan the trajectory of a motion, again until it comes in time.

        Raises:
            NextscaleError: see `plan`.
        """
        tracker.check("after generating")
        report: SafetyReport | None = None
        for attempt in range(_ATTEMPTS):
            ahead = _RESERVE * self._finishing + _ON_ITS_WAY + start.margin(settings)
            # A whole number of the trajectory's steps.
            ahead = float(np.ceil(ahead * self._rate)) / self._rate
            now = start.read(settings, min(ahead, LONGEST_AHEAD))
            begin = self._clock()
            try:
                plan = self._retarget(motion, now, tracker)
            finally:
                tracker.check("after retargeting")
                took = self._clock() - begin
                # Being late makes a robot jerk; being early costs a moment.
                self._finishing = max(took, 0.8 * self._finishing + 0.2 * took)
            if self._in_time(plan, start.margin(settings)):
                return plan
            report = plan.safety
            tracker.notes.append(f"attempt {attempt + 1} took {took:.2f} s and came too late")
        raise TooLateError(
            f"{_ATTEMPTS} trajectories in a row came too late for a robot in motion: it would "
            f"have jumped by more than {JERK} rad; it continues its active trajectory",
            report,
        )

    def _in_time(self, plan: Plan, margin: float) -> bool:
        """Whether the new motion can still take over; a robot at rest begins on arrival."""
        if plan.lead is None:
            return True
        taken_over = self._clock() + _ON_ITS_WAY / 2 + margin
        return plan.lead.missed_by(plan.trajectory, taken_over) < JERK

    # -- the human motion

    def _unknown(self, sentences: Sequence[str]) -> list[str]:
        found = [self.pipeline.domain_remark(validate_sentence(text)) for text in sentences]
        return [remark for remark in found if remark]

    def _unlike(self, sentence: str, clip: MotionClip) -> list[str]:
        """Why a motion does not show its sentence; none where it may, or the source cannot tell."""
        if not hasattr(self.pipeline, "motion_remark"):
            return []
        remark = self.pipeline.motion_remark(sentence, clip, relative_size(self.robot))
        return [remark] if remark else []

    def _prefix(self, settings: Settings, start: Start, tracker: ProgressTracker) -> Prefix | None:
        """The motion to continue, or None."""
        past = start.past(settings, min(self._seconds, LONGEST_AHEAD))
        if past is None:
            return None
        with tracker.stopwatch.stage("history"):
            try:
                prefix = prefix_of(self.robot, past, settings.history)
            except (InvalidMotionError, RobotError, RetargetError) as error:
                tracker.notes.append(f"nothing is continued: {error}")
                return None
        tracker.notes += prefix.human.warnings
        return prefix

    def _generate(
        self,
        script: Script,
        settings: Settings,
        prefix: Prefix | None,
        tracker: ProgressTracker,
        constraints: Sequence[Framed],
    ) -> MotionClip:
        """The human motion, including the past that it continues."""
        (text, length), *later = script
        tracker.unknown = self._unknown([sentence for sentence, _ in script])
        seconds = settings.seconds if length is None else length
        options = self._options(settings, tracker)
        frame = ClipFrame.of(self.robot, prefix, settings.base_frame)
        if constraints:
            options["constraints"] = frame.constraints(self.robot, constraints)
        with refusing(constraints):
            if prefix is None:
                clip = self.pipeline.generate(text, seconds=seconds, **options)
            else:
                known = prefix.human.clip
                if seconds is not None:
                    seconds = min(seconds + known.seconds, MAX_SECONDS)
                clip = self.pipeline.complete(known, None, text, seconds=seconds, **options)
        tracker.residuals = frame.residuals(clip)
        known_frames = 0 if prefix is None else len(prefix.human.clip)
        tracker.unknown += self._unlike(text, clip.slice(known_frames, len(clip)))
        if not later:
            return self._stopped(clip, seconds, settings, tracker)
        # Each sentence has a seed of its own, the last one included.
        options["seed"] = min(tracker.seed + 1, MAX_SEED - len(later))
        self._check_editing()
        wanted = [(text, length or settings.seconds) for text, length in later]
        lengths = [None if length is None else min(length, _LATER_SECONDS) for _, length in wanted]
        if lengths != [length for _, length in wanted]:
            tracker.notes.append(
                f"sentences after the first take at most {_LATER_SECONDS:g} s: each continues one "
                "second of the motion before it"
            )
        sentences = [text for text, _ in wanted]
        rest = self.pipeline.sequence(
            list(zip(sentences, lengths, strict=True)), start=clip, **options
        )
        # Imports torch, which only a motion model needs.
        from nextscale_core.editing.sequence import joined

        last = later[-1][1] or settings.seconds
        return self._stopped(joined([clip, rest], tracker.seed), last, settings, tracker)

    def _stopped(
        self, clip: MotionClip, seconds: float | None, settings: Settings, tracker: ProgressTracker
    ) -> MotionClip:
        """A motion that comes to rest, if nobody says how long it takes [s]."""
        source = self.pipeline
        if seconds is not None or not settings.come_to_rest or not hasattr(source, "come_to_rest"):
            return clip
        return source.come_to_rest(clip, **self._options(settings, tracker))

    def _options(self, settings: Settings, tracker: ProgressTracker) -> dict[str, Any]:
        """Arguments that every method of the motion source takes."""
        return {
            "seed": tracker.seed,
            "guidance": settings.guidance,
            "steps": settings.steps,
            "candidates": settings.candidates,
            "scale": relative_size(self.robot),
            "run": Run(tracker.stopwatch, tracker.passed),
        }

    def _check_editing(self) -> None:
        source = self.pipeline
        if not hasattr(source, "edit") or not hasattr(source, "sequence"):
            raise ConfigError(f"the motion source {source.name} makes single motions only")

    # -- the trajectory

    def _retarget(self, motion: Motion, now: Now | None, tracker: ProgressTracker) -> Plan:
        """Plan the trajectory from the state `now`, or from the motion's own first pose."""
        if now is None:
            return self._checked(motion, motion.new, None, None, tracker)
        start = now.state if now.based else with_base(self.robot, now.state, now.past)
        tracker.notes += outside_limits(self.robot, start.positions)
        self._hold(now.held, tracker)
        prefix = motion.prefix
        if prefix is not None:
            # A robot at rest has missed nothing; one in motion has gone on meanwhile. At most
            # _SKIPPED of the new motion is skipped because this machine was slow.
            late = float(np.clip(now.time - prefix.begin, 0.0, motion.seam + _SKIPPED))
            begin = motion.seam if prefix.at_rest else min(late, motion.clip.seconds - 1.0)
            slack = 0.0 if prefix.at_rest else _SLACK
            try:
                return self._checked(
                    motion, motion.clip, now, start, tracker, begin=begin, slack=slack
                )
            except (RetargetError, UnsafeTrajectoryError) as error:
                tracker.notes.append(f"the motion starts anew instead of continuing: {error}")
        return self._checked(motion, motion.new, now, start, tracker)

    def _checked(
        self,
        motion: Motion,
        clip: MotionClip,
        now: Now | None,
        start: RobotState | None,
        tracker: ProgressTracker,
        **retargeting: Any,
    ) -> Plan:
        lead = None if now is None else now.lead
        measured = start
        begin: Callable[[RobotTrajectory], RobotTrajectory] | None = None
        if start is None:
            begin = partial(with_approach, self.robot)
        elif now is not None and lead is not None:
            begin = partial(lead.followed_by, handover=now.time)
            measured = now.measured

        def lead_in(trajectory: RobotTrajectory) -> RobotTrajectory:
            adapted = self.adapt(self.robot, trajectory, tracker.adaptations)
            return adapted if begin is None else begin(adapted)

        trajectory, safety = self._planner.plan(
            clip,
            start=start,
            lead_in=lead_in,
            measured=measured,
            stopwatch=tracker.stopwatch,
            **retargeting,
        )
        return Plan(motion, trajectory, safety, lead, now is not None and now.real)

    def _hold(self, measured: Mapping[str, float], tracker: ProgressTracker) -> None:
        """Move the robot model's held joints to where they are measured."""
        held = self.robot.held
        if not held or not set(held) <= set(measured):
            return
        if max(abs(measured[name] - at) for name, at in held.items()) < _MOVED:
            return
        with tracker.stopwatch.stage("held joints"):
            self._planner = MotionPlanner(hold_at(self.robot, measured), self._rate, self._balance)


def choose_seed(settings: Settings) -> int:
    """The seed of the settings, or a random one."""
    return secrets.randbelow(MAX_SEED) if settings.seed is None else settings.seed

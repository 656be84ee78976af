"""From a sentence to a reviewed trajectory: the calls into the core, without any message."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

import numpy as np

from nextscale_core.estimation.history import Prefix, prefix_of, with_base
from nextscale_core.exceptions import ConfigError, InvalidMotionError, RetargetError, RobotError
from nextscale_core.motion.body_parts import BODY_PARTS
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import MAX_SECONDS
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, hold_at
from nextscale_core.safety import SafetyGate
from nextscale_core.stopwatch import Run, Stopwatch
from nextscale_core.trajectory import with_approach
from nextscale_ros.messages.requests import Edit, RequestError
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.departure import JERK
from nextscale_ros.node.error_codes import TooLateError
from nextscale_ros.node.plan import EditingSource, MotionSource, Nowhere, Plan, Script, Surroundings
from nextscale_ros.node.progress import Watch
from nextscale_ros.parameters.values import MAX_SEED, Settings
from nextscale_ros.robot_state.state_monitor import Now

WARM_UP_TEXT = "a person stands still"
WARM_UP_SECONDS = 2.0

LONGEST_AHEAD = 1.5
"""So far ahead a plan under way is believed at most [s]."""

_SLACK = 0.25
"""A robot that moves joins so much earlier or later, where it fits in better [s]."""

_SKIPPED = 0.5
"""At most so much of the new motion is skipped because its time is past [s]."""

_ATTEMPTS = 3
"""How often a trajectory is made until one does not come too late."""

_RESERVE, _ON_ITS_WAY = 1.3, 0.35
"""Share of the usual time that finishing a trajectory may take, and time to make messages of it and
to be at the moment of taking over after that [s]."""

_MOVED = 0.02
"""Held joints further from where they were are looked at anew [rad]."""


class Planner:
    """Generates, retargets and reviews.

    Args:
        pipeline: The motion model.
        robot: The robot.
        rate: Points per second of the trajectory [Hz].
        clock: The clock that the robot lives by; never steps back [s].
    """

    def __init__(
        self,
        pipeline: MotionSource,
        robot: Robot,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.robot = robot
        self.pipeline = pipeline
        self._rate = rate
        self._clock = clock
        self._retargeter = Retargeter(robot)
        self._gate = SafetyGate(robot)
        self._seconds = 1.0
        """What a sentence takes, running mean [s]."""
        self._finishing = 0.5
        """What is left to do once the motion is made: of late, at most [s]."""

    def warm_up(self) -> Stopwatch:
        """Go the whole way once, so that the first sentence does not pay for it."""
        plan = Plan(seed=0)
        script = ((WARM_UP_TEXT, None),)
        self.fill(plan, script, Settings(seconds=WARM_UP_SECONDS), Nowhere())
        begin = self._clock()
        self.fill(plan, script, Settings(), Nowhere())
        self._seconds = self._clock() - begin
        return plan.stopwatch

    def fill(
        self,
        plan: Plan,
        script: Script,
        settings: Settings,
        surroundings: Surroundings,
        watch: Watch | None = None,
    ) -> None:
        """Make a motion and its trajectory for one sentence or several.

        Args:
            plan: Takes the stages, the start state and the result; readable when this raises.
            script: Sentences that `validate_sentence` has passed, and the length of each [s]; None
                leaves it to `settings`.
            settings: Length, guidance and so on.
            surroundings: Tells where the robot is; asked for it as late as possible.
            watch: Hears of progress, and stops the work when it has become pointless.

        Raises:
            GenerationCancelled: `watch` said so.
            TooLateError: every trajectory came too late for the robot to follow smoothly.
            NextscaleError: generation or retargeting failed, or `surroundings` raised it.
        """
        watch = watch or Watch()
        plan.stopwatch.entered = watch.stage
        began = self._clock()
        prefix = self._prefix(plan, settings, surroundings)
        clip = self._motion(plan, script, settings, prefix, watch)
        plan.clip = clip if prefix is None else _since(clip, _seam(prefix, clip))
        self._complete(plan, clip, prefix, settings, surroundings, watch)
        # How long several sentences take says nothing about the next one.
        if len(script) == 1:
            self._seconds += 0.3 * (self._clock() - began - self._seconds)

    def fill_edited(
        self,
        plan: Plan,
        last: MotionClip,
        text: str,
        edit: Edit,
        settings: Settings,
        surroundings: Surroundings,
        watch: Watch | None = None,
    ) -> None:
        """Change a part of a motion and make the trajectory of the whole, from where the robot is.

        Args:
            plan: Takes the stages, the start state and the result; readable when this raises.
            last: The motion.
            text: What happens in the part that changes.
            edit: Which part.
            settings: Guidance and so on.
            surroundings: Tells where the robot is.
            watch: Hears of progress, and stops the work when it has become pointless.

        Raises:
            RequestError: the motion has no such part.
            GenerationCancelled: `watch` said so.
            NextscaleError: editing or retargeting failed, or `surroundings` raised it.
        """
        watch = watch or Watch()
        plan.stopwatch.entered = watch.stage
        source = self._editing_source()
        span = (edit.begin, last.seconds if edit.end is None else edit.end)
        if not span[0] < span[1] <= last.seconds + 1e-6:
            raise RequestError(
                ErrorCode.INVALID_SPAN,
                f"the last motion is {last.seconds:.2f} s long, {span[0]:g} to {span[1]:g} s is "
                "not in it",
            )
        unknown = sorted(set(edit.parts) - set(BODY_PARTS))
        if unknown:
            raise RequestError(
                ErrorCode.UNKNOWN_BODY_PART,
                f"unknown body parts: {', '.join(unknown)}; there are {', '.join(BODY_PARTS)}",
            )
        plan.clip = source.edit(
            last,
            text,
            span=None if edit.parts and edit.begin == 0.0 and edit.end is None else span,
            parts=edit.parts or None,
            seed=plan.seed,
            guidance=settings.guidance,
            steps=settings.steps,
            run=Run(plan.stopwatch, watch.passed),
        )
        self._complete(plan, plan.clip, None, settings, surroundings, watch)

    def _editing_source(self) -> EditingSource:
        source = self.pipeline
        if not hasattr(source, "edit") or not hasattr(source, "sequence"):
            raise ConfigError(f"the motion source {source.name} makes single motions only")
        return cast(EditingSource, source)

    def _complete(
        self,
        plan: Plan,
        clip: MotionClip,
        prefix: Prefix | None,
        settings: Settings,
        surroundings: Surroundings,
        watch: Watch,
    ) -> None:
        """From the motion to a trajectory that comes in time."""
        watch.check("after generating")
        plan.again = partial(self._complete, plan, clip, prefix, settings, surroundings, watch)
        for attempt in range(_ATTEMPTS):
            ahead = _RESERVE * self._finishing + _ON_ITS_WAY + settings.takeover_margin
            now = surroundings.now(settings, min(self._whole_steps(ahead), LONGEST_AHEAD))
            at = self._clock()
            self._finish(plan, clip, prefix, now)
            watch.check("after retargeting")
            took = self._clock() - at
            # Being late makes a robot jerk; being early costs a moment.
            self._finishing = max(took, 0.8 * self._finishing + 0.2 * took)
            if self._in_time(plan, settings):
                break
            plan.notes.append(f"attempt {attempt + 1} took {took:.2f} s and came too late")
        else:
            raise TooLateError(
                f"{_ATTEMPTS} trajectories in a row came too late for a robot that moves: it would "
                f"have jumped by more than {JERK} rad; it goes on with what it was doing"
            )

    def _whole_steps(self, seconds: float) -> float:
        """A time that is a whole number of the trajectory's steps [s]."""
        return float(np.ceil(seconds * self._rate)) / self._rate

    def _finish(self, plan: Plan, clip: MotionClip, prefix: Prefix | None, now: Now | None) -> None:
        """From the human motion to the reviewed trajectory."""
        if now is None:
            self._begin(plan, clip, now)
            return
        plan.start = with_base(self.robot, now.state, now.past)
        plan.lead = now.lead
        plan.measured = now.real
        self._hold(now.held, plan)
        if prefix is not None:
            self._join(plan, clip, prefix, now)
        else:
            self._begin(plan, clip, now)

    def _in_time(self, plan: Plan, settings: Settings) -> bool:
        """Whether a robot under way can still take over; one at rest begins when it gets it."""
        made = None if plan.result is None else plan.result.trajectory
        if plan.lead is None or made is None:
            return True
        taken_over = self._clock() + _ON_ITS_WAY / 2 + settings.takeover_margin
        return plan.lead.missed_by(made, taken_over) < JERK

    def _prefix(self, plan: Plan, settings: Settings, surroundings: Surroundings) -> Prefix | None:
        """The motion to continue, or None."""
        past = surroundings.past(settings, min(self._seconds, LONGEST_AHEAD))
        if past is None:
            return None
        with plan.stopwatch.stage("history"):
            try:
                prefix = prefix_of(self.robot, past, settings.history)
            except (InvalidMotionError, RobotError, RetargetError) as error:
                plan.notes.append(f"nothing is continued: {error}")
                return None
        plan.notes += prefix.human.warnings
        return prefix

    def _motion(
        self,
        plan: Plan,
        script: Script,
        settings: Settings,
        prefix: Prefix | None,
        watch: Watch,
    ) -> MotionClip:
        """The human motion, its past included where there is one."""
        (text, length), *later = script
        seconds = settings.seconds if length is None else length
        make = self.pipeline.generate
        if prefix is not None:
            known = prefix.human.clip
            make = partial(self.pipeline.complete, known, None)
            if seconds is not None:
                seconds = min(seconds + known.seconds, MAX_SECONDS)
        clip = make(
            text,
            seconds=seconds,
            seed=plan.seed,
            guidance=settings.guidance,
            steps=settings.steps,
            run=Run(plan.stopwatch, watch.passed),
        )
        if not later:
            return clip
        rest = self._editing_source().sequence(
            [(text, length or settings.seconds) for text, length in later],
            # Each sentence has a seed of its own; the last must still be one.
            seed=min(plan.seed + 1, MAX_SEED - len(later)),
            start=clip,
            guidance=settings.guidance,
            steps=settings.steps,
            run=Run(plan.stopwatch, watch.passed),
        )
        # Several sentences need the model, and so torch; one from another source does not.
        from nextscale_core.editing.sequence import joined

        return joined([clip, rest], plan.seed)

    def _join(self, plan: Plan, clip: MotionClip, prefix: Prefix, now: Now) -> None:
        """Go over from what the robot does into a motion that continues it."""
        seam = _seam(prefix, clip)
        # A robot that stands has missed nothing; one that moves has gone on meanwhile. What was
        # asked for is not skipped only because this machine was slow.
        late = float(np.clip(now.time - prefix.begin, 0.0, seam + _SKIPPED))
        begin = seam if prefix.at_rest else min(late, clip.seconds - 1.0)
        try:
            self._review(plan, clip, begin, now, 0.0 if prefix.at_rest else _SLACK)
        except RetargetError as error:
            plan.notes.append(f"the motion begins anew instead of being joined: {error}")
        if plan.result is not None and plan.result.trajectory is not None:
            return
        if plan.result is not None:
            plan.notes.append(
                f"the motion begins anew instead of being joined: {plan.result.report.line()}"
            )
        self._begin(plan, _since(clip, seam), now)

    def _begin(self, plan: Plan, clip: MotionClip, now: Now | None) -> None:
        """A motion of its own, from the measured state where it is known."""
        self._review(plan, clip, None, now)

    def _review(
        self,
        plan: Plan,
        clip: MotionClip,
        begin: float | None,
        now: Now | None,
        slack: float = 0.0,
    ) -> None:
        plan.result = None
        trajectory = self._retargeter.retarget(
            clip,
            rate=self._rate,
            start=plan.start,
            begin=begin,
            slack=slack,
            stopwatch=plan.stopwatch,
        )
        if plan.start is None:
            trajectory = with_approach(self.robot, trajectory)
        start = plan.start
        if now is not None and now.lead is not None:
            trajectory = now.lead.followed_by(trajectory, now.time)
            start = now.measured
        with plan.stopwatch.stage("gate"):
            plan.result = self._gate.review(trajectory, start=start)

    def _hold(self, measured: Mapping[str, float], plan: Plan) -> None:
        """Held joints are where they are measured, not where the profile thinks they are."""
        held = self.robot.held
        if not held or not set(held) <= set(measured):
            return
        if max(abs(measured[name] - at) for name, at in held.items()) < _MOVED:
            return
        with plan.stopwatch.stage("held joints"):
            self.robot = hold_at(self.robot, measured)
            self._retargeter, self._gate = Retargeter(self.robot), SafetyGate(self.robot)


def _seam(prefix: Prefix, clip: MotionClip) -> float:
    """Where the past ends in a motion that continues it [s]."""
    return (len(prefix.human) - 1) / clip.fps


def _since(clip: MotionClip, seconds: float) -> MotionClip:
    """A motion from a time on [s]."""
    return clip.slice(int(seconds * clip.fps), len(clip))


def choose_seed(settings: Settings) -> int:
    """The seed of the settings, or a new one."""
    return secrets.randbelow(MAX_SEED) if settings.seed is None else settings.seed

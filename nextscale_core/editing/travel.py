"""Ways and times that sentences state: "walks two meters", "waves for five seconds"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nextscale_core.editing.complete import TextToMotion
from nextscale_core.editing.constraints.meet import meet
from nextscale_core.editing.constraints.plan import Plan
from nextscale_core.editing.constraints.root_path import RootGoal
from nextscale_core.editing.sequence import continued, joined, tail
from nextscale_core.editing.stopping import STOP, stand_still
from nextscale_core.model.options import GenerationOptions, candidate_seeds
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS, MIN_SECONDS
from nextscale_core.stopwatch import Run
from nextscale_core.text.clauses import clauses
from nextscale_core.text.journeys import MOST_SECONDS, Leg, Travel

_OVERLAP = 1.0
"""Length of the end that the next motion continues [s]."""

_LEAST = 4.0
"""Duration from which walks begin as slowly as those of people [s]."""

_LONGEST = {"run": 3.0, "turn": 5.0}
"""Durations up to which the models run without a pause and turn about themselves steadily; longer
runs and more turns than one are made of several motions [s]."""

_MORE = 12
"""Maximum number of motions by which a way is made longer."""

_WORTHWHILE = 0.4
"""Share of the usual progress that a further motion must make to be kept."""

_FAILURES = 3
"""Number of motions not kept after which no other is tried."""

_ATTEMPTS = 3
_STOPPING = 0.25
"""Time in which a speed leads to the distance that a stop takes [s]."""
_NEAR = 0.1
"""Error of the place of a stop, relative to the way, from which no other stop is tried."""

_DIRECTIONS = {"backward": (-1.0, 0.0), "left": (0.0, 1.0), "right": (0.0, -1.0)}
"""Unit vectors of the body, x ahead and y to the left; others are ahead."""

_STEADY = 6
"""Frames whose mean heading is that of the body."""

_OFF, _OFF_LEAST = 0.25, 0.25
"""Error of a way, relative to its length and in [m], from which it is not as long as stated."""


def travel(
    model: TextToMotion,
    legs: Sequence[Leg],
    options: GenerationOptions,
    run: Run,
    known: MotionClip | None = None,
) -> MotionClip:
    """A motion whose ways and times are as long as stated, each way from and to a stand.

    The model walks; the walk ends where a stop leads to the end of the way, and what is missing
    or too much there is taken from the path of the pelvis, over the whole way.

    Args:
        model: The model.
        legs: What the person does, part after part.
        options: See `MotionPipeline.generate`. With `seconds`, the one leg is followed by a stand,
            or walked faster.
        run: See `MotionPipeline.generate`.
        known: Start of the motion, at 20 fps, kept unchanged.

    Returns:
        At 20 fps, in the world of `known`, with it.
    """
    clip, heading = known, None if known is not None else 0.0
    for number, leg in enumerate(legs):
        own = replace(options, seed=candidate_seeds(options.seed, number + 1)[number])
        held = 0 if clip is None else len(clip)
        seconds = options.seconds
        if seconds is None and leg.seconds is not None:
            seconds = float(np.clip(leg.seconds, MIN_SECONDS, MOST_SECONDS))
        if leg.travel is None:
            if seconds is None:
                chosen = model.choose_seconds(leg.sentence)
                clip = _extended(model, clip, leg.sentence, chosen, own, run)
            else:
                clip = _lasting(model, clip, leg.sentence, seconds, own, run)
            heading = None
            continue
        lasts = _seconds(leg.travel, own) if seconds is None or seconds > MAX_SECONDS else seconds
        clip = _extended(model, clip, leg.sentence, lasts, own, run)
        with run.stopwatch.stage("stop"):
            course = _Course.of(clip, leg.travel, own.scale, held, heading)
            clip = _as_far(model, clip, course, own, seconds)
            heading = course.end_heading
    assert clip is not None
    return clip


def _extended(
    model: TextToMotion,
    clip: MotionClip | None,
    words: str,
    seconds: float,
    options: GenerationOptions,
    run: Run,
) -> MotionClip:
    """A motion that goes on for a time [s], or for as much of it as the model makes at once."""
    past = None if clip is None else tail(clip, round(_OVERLAP * FPS))
    longest = MAX_SECONDS - (0.0 if past is None else past.seconds)
    own = replace(options, seconds=float(np.clip(seconds, MIN_SECONDS, longest)))
    longer = continued(model, past, words, own, run)
    if past is None or clip is None:
        return longer
    return joined([clip, longer.slice(len(past), len(longer))], options.seed)


def _lasting(
    model: TextToMotion,
    clip: MotionClip | None,
    words: str,
    seconds: float,
    options: GenerationOptions,
    run: Run,
) -> MotionClip:
    """A motion that goes on for a time [s], made of as many motions as that takes."""
    end = round(seconds * FPS) + (0 if clip is None else len(clip))
    at_once = MAX_SECONDS if clip is None and seconds <= MAX_SECONDS else MAX_SECONDS - _OVERLAP
    claims = [claim for clause in clauses(words) for claim in clause]
    longest = min([at_once, *(_LONGEST.get(claim.action, at_once) for claim in claims)])
    runs = any(one.action == "run" and one.direction != "place" for one in claims)
    count = math.ceil(seconds / longest - 1e-6)
    seeds = iter(candidate_seeds(options.seed, count * _ATTEMPTS))
    for left in range(count, 0, -1):
        lasts = (end - (0 if clip is None else len(clip))) / FPS / left
        tries: list[MotionClip] = []
        # Who pauses may run with another seed.
        while not tries or (runs and len(tries) < _ATTEMPTS and _went(clip, tries[-1]) < lasts):
            own = replace(options, seed=next(seeds))
            tries.append(_extended(model, clip, words, lasts, own, run))
        clip = max(tries, key=partial(_went, clip))
    assert clip is not None
    return clip


def _went(before: MotionClip | None, clip: MotionClip) -> float:
    """How far somebody gets in the part of a motion that goes on from another one [m]."""
    begin = 0 if before is None else len(before) - 1
    return float(np.linalg.norm(clip.joints[-1, 0, :2] - clip.joints[begin, 0, :2]))


def covered(clip: MotionClip, way: Travel) -> float:
    """How far a motion goes in the direction of a way [m], or turns to a side [rad]."""
    return float(_Course.of(clip, way, 1.0).progress(clip)[-1])


def is_as_far(clip: MotionClip, way: Travel, scale: float) -> bool:
    """Whether a motion goes about as far as stated, as a person for a robot of relative size."""
    goal = way.goal(scale)
    return abs(covered(clip, way) - goal) <= max(_OFF * goal, _OFF_LEAST)


@dataclass(frozen=True)
class _Course:
    """A way in the world of a motion: where it begins, and where it leads.

    Attributes:
        way: The way.
        size: Its length [m], or its angle [rad].
        held: Number of frames before it.
        frame: Its first frame.
        place: (2,) place of the pelvis there [m].
        heading: Heading there [rad].
        ahead: (2,) unit vector in the direction of the way.
        side: 1 for a turn to the left, -1 for one to the right.
    """

    way: Travel
    size: float
    held: int
    frame: int
    place: np.ndarray
    heading: float
    ahead: np.ndarray
    side: float

    @classmethod
    def of(
        cls,
        clip: MotionClip,
        way: Travel,
        scale: float,
        held: int = 0,
        heading: float | None = None,
    ) -> _Course:
        """The course of a way after `held` frames of a motion that goes on to its end."""
        frame = max(held - 1, 0)
        if heading is None:
            # A step turns the hips.
            last = clip.joints[max(held - _STEADY, 0) : max(held, _STEADY)].astype(np.float64)
            heading = float(np.angle(np.exp(1j * heading_yaw(last)).mean()))
        place = clip.joints[frame, 0, :2].astype(np.float64)
        aside = np.array([-np.sin(heading), np.cos(heading)])
        x, y = _DIRECTIONS.get(way.direction, (1.0, 0.0))
        ahead = x * np.array([np.cos(heading), np.sin(heading)]) + y * aside
        if way.direction == "sideways":
            ahead = aside if (clip.joints[-1, 0, :2] - place) @ aside >= 0.0 else -aside
        turned = _turned(clip, frame)[-1]
        side = {"left": 1.0, "right": -1.0}.get(way.direction, 1.0 if turned >= 0.0 else -1.0)
        return cls(way, way.goal(scale), held, frame, place, heading, ahead, side)

    def progress(self, clip: MotionClip) -> np.ndarray:
        """(T,) lengths of the way [m] or angles of the turn [rad] until each frame."""
        if self.way.turn:
            out = self.side * _turned(clip, self.frame)
        else:
            out = (clip.joints[:, 0, :2].astype(np.float64) - self.place) @ self.ahead
        out[: self.frame] = 0.0
        return np.asarray(out)

    @property
    def end_heading(self) -> float | None:
        """Heading at the end [rad]; None where it is not decided."""
        if not self.way.is_straight:
            return None
        return self.heading + (self.side * self.size if self.way.turn else 0.0)

    def goal(self, frame: int) -> RootGoal:
        """Where the body is to be in a frame, the last one of the way."""
        place = self.place if self.way.turn else self.place + self.size * self.ahead
        return RootGoal(frame, place, self.end_heading)


def _turned(clip: MotionClip, frame: int) -> np.ndarray:
    """(T,) angles by which the body has turned since a frame [rad]."""
    yaw = np.unwrap(heading_yaw(clip.joints.astype(np.float64)))
    return np.asarray(yaw - yaw[frame])


def _seconds(way: Travel, options: GenerationOptions) -> float:
    """Duration of the motion that a way is taken from [s]."""
    longest = _longest(way)
    if longest < MAX_SECONDS:
        return min(way.seconds(options.scale), longest)
    # Longer motions begin as slowly as those of people do.
    return max(way.seconds(options.scale), _LEAST if way.is_alone and not way.turn else 2.0)


def _longest(way: Travel) -> float:
    """Duration of the longest motion that a way is made of [s]."""
    if way.turn:
        return _LONGEST["turn"] if way.turn > math.tau else MAX_SECONDS
    return _LONGEST.get(way.gait, MAX_SECONDS)


def _as_far(
    model: TextToMotion,
    clip: MotionClip,
    course: _Course,
    options: GenerationOptions,
    seconds: float | None,
) -> MotionClip:
    """A motion that goes as far as stated and stands there, the same until its start.

    In a given time [s] that one motion may last, it goes no further than it does in that.
    """
    free = replace(options, seconds=None, candidates=1)
    is_short = seconds is not None and seconds <= MAX_SECONDS
    longer = clip if is_short else _longer(model, clip, course, free)
    # A jump that is cut short is none.
    out = longer if course.way.gait == "jump" else _stopped(model, longer, course, free)
    total = None if seconds is None else course.held + round(seconds * FPS)
    if total is not None and len(out) > total and is_short:
        out = clip
    elif total is not None and len(out) < total:
        stands = (total - len(out)) / FPS
        out = _lasting(model, out, STOP, stands, free, Run()).slice(0, total)
    goal = course.goal(len(out) - 1)
    fixed = np.arange(len(out)) <= course.frame
    out = meet(out, Plan(roots={goal.frame: goal}), fixed).clip
    return replace(out, text=clip.text, seed=options.seed, residuals=())


def _longer(
    model: TextToMotion, clip: MotionClip, course: _Course, options: GenerationOptions
) -> MotionClip:
    """A motion that goes on until it has gone as far as stated, if the model does so."""
    way, failures = course.way, 0
    for seed in candidate_seeds(options.seed, _MORE):
        missing = course.size - float(course.progress(clip).max())
        if missing <= 0.0 or failures == _FAILURES:
            break
        longest = min(_longest(way), MAX_SECONDS - _OVERLAP)
        lasts = float(np.clip(way.seconds_for(missing), MIN_SECONDS, longest))
        own = replace(options, seed=seed)
        longer = _extended(model, clip, way.words, lasts, own, Run())
        won = missing - course.size + float(course.progress(longer).max())
        if won > _WORTHWHILE * min(missing, way.size_in(lasts)):
            clip = longer
        else:
            failures += 1
    return clip


def _stopped(
    model: TextToMotion, clip: MotionClip, course: _Course, options: GenerationOptions
) -> MotionClip:
    """A motion that stands still near the end of its way."""
    done = course.progress(clip)
    ends = done + _STOPPING * (np.gradient(done) * clip.fps).clip(min=0.0)
    best: tuple[float, MotionClip] | None = None
    more = 0.0
    for seed in candidate_seeds(options.seed, _ATTEMPTS):
        reached = ends >= course.size - more
        reached[: course.frame + 1] = False
        cut = int(np.argmax(reached)) if reached.any() else len(clip) - 1
        out = stand_still(model, clip.slice(0, cut + 1), replace(options, seed=seed))
        error = float(course.progress(out)[-1]) - course.size
        if best is None or abs(error) < best[0]:
            best = abs(error), out
        if best[0] <= _NEAR * course.size:
            break
        more += error
    assert best is not None
    return best[1]

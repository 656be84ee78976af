"""Stops: a motion that ends in movement goes on to a standstill."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nextscale_core.editing.complete import TextToMotion
from nextscale_core.editing.sequence import joined, stream
from nextscale_core.model.options import GenerationOptions, candidate_seeds
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.stopwatch import Run
from nextscale_core.text.journeys import journey
from nextscale_core.text.stated_seconds import stated_seconds

STOP = "a person stops and stands still"
"""Sentence of the motion that follows."""

SECONDS = 1.5
"""Length of that motion [s]."""

_OVERLAP = 1.0
"""Length of the end that it continues [s]."""

_ATTEMPTS = 3
_MOVES = 0.5
"""Speed of a joint from which the end of a motion counts as movement [m/s]."""

_LAST = 4
"""Steps of the end over which speeds are averaged [frames]."""

_UPRIGHT = 0.8
"""Minimum height of the pelvis of who is on the feet, relative to the length of a leg."""

_LEG = ("left_hip", "left_knee", "left_ankle")


def ends_in_movement(clip: MotionClip) -> bool:
    """Whether a person who is on the feet still moves at the end of a motion."""
    end = clip.joints[-_LAST - 1 :].astype(np.float64)
    speeds = np.linalg.norm(np.diff(end, axis=0), axis=-1).mean(axis=0) * clip.fps
    leg = end[-1][[JOINT_INDEX[name] for name in _LEG]]
    length = np.linalg.norm(np.diff(leg, axis=0), axis=-1).sum()
    return bool(speeds.max() > _MOVES and end[-1, 0, 2] > _UPRIGHT * length)


def come_to_rest(
    model: TextToMotion, clip: MotionClip, options: GenerationOptions, run: Run
) -> MotionClip:
    """See `MotionPipeline.come_to_rest`."""
    legs = journey(clip.text)
    stands = bool(legs) and (legs[-1].travel is not None or legs[-1].seconds is not None)
    states_length = not legs and math.isfinite(stated_seconds(clip.text, math.inf))
    if states_length or stands or not ends_in_movement(clip):
        return clip
    with run.stopwatch.stage("stop"):
        return stand_still(model, clip, options)


def stand_still(model: TextToMotion, clip: MotionClip, options: GenerationOptions) -> MotionClip:
    """A motion that goes on for `SECONDS`, in which the person stops and stands."""
    for seed in candidate_seeds(options.seed, _ATTEMPTS):
        own = replace(options, seed=seed, seconds=None, candidates=1)
        (rest,) = stream(model, [(STOP, SECONDS)], own, Run(), overlap=_OVERLAP, start=clip)
        if not ends_in_movement(rest):
            break
    return replace(joined([clip, rest], options.seed), text=clip.text, seed=clip.seed)

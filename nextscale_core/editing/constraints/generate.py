"""Motions that meet constraints: by the choice of tokens first, by a change of the motion last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nextscale_core.editing.complete import TextToMotion, complete
from nextscale_core.editing.constraints.meet import Met, meet
from nextscale_core.editing.constraints.plan import Plan, shortest
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.latents import decode_around, encode_known
from nextscale_core.model.options import GenerationOptions
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.constraints import check_constraints
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import MAX_SECONDS
from nextscale_core.stopwatch import Run
from nextscale_core.text.validation import validate_sentence

_SAMPLES = 4
"""Motions sampled for a sentence; the one that needs the least change is taken."""
_REWRITTEN = 3
"""Motions sampled around the keyframes of that one."""
_AROUND = 6
"""Frames before and after a keyframe whose tokens are kept."""


def generate_constrained(
    model: TextToMotion,
    text: str,
    constraints: Sequence[object],
    options: GenerationOptions,
    run: Run,
) -> MotionClip:
    """See `MotionPipeline.generate`.

    Of several motions, the one that meets the constraints with the least change is changed to meet
    them. With keyframes, its tokens near them are then kept and the others are sampled again, so
    that the model leads up to the keyframes; what the new tokens miss is changed again.
    """
    sentence = validate_sentence(text)
    size = model.tokenizer.frames_per_latent
    least = shortest(constraints, size)
    seconds = options.seconds
    if seconds is None:
        seconds = min(max(model.choose_seconds(sentence), least), MAX_SECONDS)
    seeds = _seeds(options.seed, _SAMPLES + _REWRITTEN)
    frames = model.tokenizer.latents_for(seconds) * size
    # Contradictions are refused before the work.
    plan = Plan.build(constraints, frames, np.zeros(3))
    drawn = model.generate_batch(
        [sentence] * _SAMPLES,
        replace(options, seconds=seconds, candidates=1),
        seeds=seeds[:_SAMPLES],
        run=run,
    )
    with run.stopwatch.stage("constraints"):
        best = min((meet(clip, plan) for clip in drawn), key=lambda met: met.effort)
    if plan.poses:
        best = _rewritten(model, sentence, best, plan, options, seeds[_SAMPLES:], run)
    return replace(best.clip, text=sentence, seed=options.seed)


def _rewritten(
    model: TextToMotion,
    sentence: str,
    met: Met,
    plan: Plan,
    options: GenerationOptions,
    seeds: Sequence[int],
    run: Run,
) -> Met:
    """The motion itself, or one sampled around its keyframes that needs less change."""
    total = len(met.clip)
    known = np.zeros(total, dtype=bool)
    for frame in plan.poses:
        known[max(frame - _AROUND, 0) : frame + _AROUND + 1] = True
    # Whole latents, and the start, which the path begins at.
    size = model.tokenizer.frames_per_latent
    known[:size] = True
    known = np.repeat(known.reshape(-1, size).any(axis=1), size)
    with run.stopwatch.stage("encode"):
        given = encode_known(model.tokenizer, Timeline(met.clip.joints.astype(np.float64), known))
        features = model.text_features([sentence] * len(seeds))
    with run.stopwatch.stage("generate"):
        lengths, knowns = [len(given.known)] * len(seeds), [given] * len(seeds)
        sampling = model.sampling.with_overrides(options)
        drawn = model.sampler.sample(features, lengths, seeds, sampling, knowns, run)
    with run.stopwatch.stage("constraints"):
        again = [
            meet(clean_up(decode_around(model.tokenizer, t, given), free=False), plan)
            for t in drawn
        ]
    return min([met, *again], key=lambda one: one.effort)


def complete_constrained(
    model: TextToMotion,
    known: MotionClip,
    text: str,
    constraints: Sequence[object],
    options: GenerationOptions,
    run: Run,
) -> MotionClip:
    """A motion that continues a known one and meets constraints in its new part.

    One motion is sampled, as for a robot that waits, and changed to meet the constraints.

    Args:
        model: The pipeline.
        known: Start of the motion, at 20 fps.
        text: What the person does.
        constraints: In the world of `known`; times from its start.
        options: See `MotionPipeline.complete`.
        run: See `MotionPipeline.complete`.

    Raises:
        ConfigError: a constraint outside of the new part, or a contradiction.
    """
    seconds = options.seconds
    if seconds is None:
        own = known.seconds + model.choose_seconds(validate_sentence(text))
        seconds = min(max(own, shortest(constraints)), MAX_SECONDS)
    check_constraints(constraints)
    clip = complete(model, known, None, text, replace(options, seconds=seconds), run)
    fixed = np.arange(len(clip)) < len(known)
    last = known.joints[-1:].astype(np.float64)
    start = np.array([*last[0, 0, :2], heading_yaw(last)[0]])
    with run.stopwatch.stage("constraints"):
        return meet(clip, Plan.build(constraints, len(clip), start, fixed), fixed).clip


def _seeds(seed: int, count: int) -> list[int]:
    """The seed itself, and others that follow from it."""
    more = np.random.SeedSequence(seed).generate_state(count - 1)
    return [seed, *(int(value) for value in more)]

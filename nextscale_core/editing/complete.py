"""Completion: the frames that are not known are generated around those that are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from nextscale_core.editing.frame_mask import KnownFrames, Timeline
from nextscale_core.editing.latents import body_scale, decode_around, encode_known
from nextscale_core.editing.seams import assemble, closing_error, inner_gaps
from nextscale_core.model.inpainting import KnownLatents
from nextscale_core.model.sampling import Progress
from nextscale_core.model.seeds import check_seed
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.durations import settle
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS
from nextscale_core.stopwatch import Stopwatch
from nextscale_core.text.encoder import TextFeatures
from nextscale_core.text.validation import validate_sentence

if TYPE_CHECKING:
    from nextscale_core.pipeline import MotionPipeline

_TRIES = 4
"""Motions drawn where a gap has known frames on both sides, of which one is taken."""


def complete(
    pipeline: MotionPipeline,
    known: MotionClip,
    known_frames: KnownFrames,
    text: str,
    *,
    seconds: float | None,
    seed: int,
    guidance: float | None,
    steps: Sequence[int] | None,
    stopwatch: Stopwatch | None,
    progress: Progress | None,
) -> MotionClip:
    """See `CompletionMethods.complete`."""
    number = check_seed(seed)
    watch = stopwatch or Stopwatch()
    sentence = validate_sentence(text)
    if seconds is None and known_frames is None:
        seconds = _with_new_motion(pipeline, known, sentence)
    timeline = Timeline.build(known, known_frames, seconds)
    if not timeline.known.any():
        return pipeline.generate(
            sentence,
            seconds=len(timeline) / FPS,
            seed=number,
            guidance=guidance,
            steps=steps,
            stopwatch=watch,
            progress=progress,
        )
    sampling = pipeline.sampling.with_overrides(steps, guidance)
    if timeline.known.all():
        return replace(known, text=sentence, seed=number)
    with watch.stage("text"):
        features = pipeline.encoder([sentence]).to(pipeline.device)
    with watch.stage("encode"):
        given = encode_known(pipeline.tokenizer, timeline)
    seeds = [number]
    if inner_gaps(timeline):
        # The model does not see how far it is to the other side of a gap: the try that comes
        # nearest to it is taken.
        more = np.random.SeedSequence(number).generate_state(_TRIES - 1)
        seeds += [int(value) for value in more]
    with watch.stage("generate"):
        drawn = pipeline.sampler.sample(
            _repeated(features, len(seeds)),
            [len(given.known)] * len(seeds),
            seeds,
            sampling,
            [given] * len(seeds),
            progress,
        )
    with watch.stage("decode"):
        tries = [_decoded(pipeline, tokens, given, timeline) for tokens in drawn]
        generated = min(tries, key=lambda joints: closing_error(timeline, joints))
        joints, contacts = assemble(timeline, generated, FPS)
    return MotionClip(joints, FPS, sentence, contacts, number)


def _repeated(text: TextFeatures, times: int) -> TextFeatures:
    return TextFeatures(
        *(x.expand(times, *x.shape[1:]) for x in (text.tokens, text.mask, text.pooled))
    )


def _decoded(
    pipeline: MotionPipeline, tokens: Sequence[Tensor], given: KnownLatents, timeline: Timeline
) -> np.ndarray:
    """(T, 22, 3) what tokens show, of the known body's size [m]."""
    clip = clean_up(decode_around(pipeline.tokenizer, tokens, given))
    joints = clip.joints[: len(timeline)].astype(np.float64)
    return joints * body_scale(timeline)


def _with_new_motion(pipeline: MotionPipeline, known: MotionClip, sentence: str) -> float:
    """Length of a known motion and what the sentence usually takes after it [s]."""
    features = pipeline.encoder([sentence]).to(pipeline.device)
    (new,) = settle([None], pipeline.generator.seconds_of(features.pooled).tolist())
    return min(known.seconds + new, MAX_SECONDS)

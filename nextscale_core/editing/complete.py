"""Completion: frames that are not known are generated around those that are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from nextscale_core.editing.frame_mask import KnownFrames, Timeline
from nextscale_core.editing.latents import body_scale, decode_around, encode_known
from nextscale_core.editing.seams import assemble, closing_error, inner_gaps
from nextscale_core.model.inpainting import KnownLatents
from nextscale_core.model.judge import best_of, worth_sampling
from nextscale_core.model.options import GenerationOptions, candidate_seeds
from nextscale_core.model.sampling import NextScaleSampler, SamplingConfig
from nextscale_core.model.tokenizer import MotionTokenizer
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.motion.skeleton import FPS, MAX_SECONDS
from nextscale_core.stopwatch import Run
from nextscale_core.text.encoder import TextFeatures
from nextscale_core.text.plain_words import wordings
from nextscale_core.text.validation import validate_sentence

_CANDIDATES = 4
"""Motions sampled where a gap has known frames on both sides; the best one is taken."""


class TextToMotion(Protocol):
    """What completion, editing and sequences need of a `MotionPipeline`."""

    tokenizer: MotionTokenizer
    sampler: NextScaleSampler
    sampling: SamplingConfig

    def text_features(self, sentences: Sequence[str]) -> TextFeatures:
        """Features of sentences, on the model's device."""
        ...

    def meaning(self, sentence: str) -> str:
        """A sentence in words whose actions are known."""
        ...

    def choose_seconds(self, text: str) -> float:
        """Duration that the model chooses for a sentence [s]."""
        ...

    def generate(
        self,
        text: str,
        options: GenerationOptions | None = None,
        *,
        run: Run | None = None,
        **changes: Any,
    ) -> MotionClip:
        """A motion for a sentence."""
        ...

    def sampled(self, text: str, options: GenerationOptions, run: Run) -> MotionClip:
        """A motion for a sentence, whatever lengths of ways it states."""
        ...

    def generate_batch(
        self,
        texts: Sequence[str],
        options: GenerationOptions | None = None,
        *,
        seeds: Sequence[int] | None = None,
        run: Run | None = None,
    ) -> list[MotionClip]:
        """Motions for several sentences."""
        ...


def complete(
    model: TextToMotion,
    known: MotionClip,
    known_frames: KnownFrames,
    text: str,
    options: GenerationOptions,
    run: Run,
) -> MotionClip:
    """See `MotionPipeline.complete`."""
    sentence = validate_sentence(text)
    seconds = options.seconds
    if seconds is None and known_frames is None:
        seconds = min(known.seconds + model.choose_seconds(sentence), MAX_SECONDS)
    timeline = Timeline.build(known, known_frames, seconds)
    if not timeline.known.any():
        # Whole latents, of which the last may reach beyond the end.
        frames = len(timeline) + -len(timeline) % model.tokenizer.frames_per_latent
        clip = model.generate(sentence, replace(options, seconds=frames / FPS), run=run)
        return clip.slice(0, len(timeline))
    sampling = model.sampling.with_overrides(options)
    if timeline.known.all():
        return replace(known, text=sentence, seed=options.seed)
    joints = sampled_around(
        model,
        lambda mirrored: encode_known(
            model.tokenizer, timeline.mirrored() if mirrored else timeline
        ),
        timeline,
        body_scale(timeline),
        sentence,
        options,
        sampling,
        run,
    )
    with run.stopwatch.stage("decode"):
        joints, contacts = assemble(timeline, joints, FPS)
    return MotionClip(joints, FPS, sentence, contacts, options.seed)


def sampled_around(
    model: TextToMotion,
    encode: Callable[[bool], KnownLatents],
    timeline: Timeline,
    scale: float,
    sentence: str,
    options: GenerationOptions,
    sampling: SamplingConfig,
    run: Run,
) -> np.ndarray:
    """The best of several motions sampled around known latents.

    Args:
        model: The model.
        encode: Returns the known latents, of the mirrored motion when called with True.
        timeline: T frames; its gaps are new.
        scale: Length of the body's legs relative to the standard skeleton's.
        sentence: A validated sentence.
        options: Seed and number of candidates.
        sampling: Passes, guidance, temperature.
        run: Takes the times and the progress.

    Returns:
        (T, 22, 3) positions of a canonical motion [m].
    """
    # The model does not see the distance to the other side of a gap: of several candidates, the
    # one that ends nearest to it is taken.
    least = _CANDIDATES if inner_gaps(timeline) else 1
    with run.stopwatch.stage("text"):
        meaning = model.meaning(sentence)
        count = max(worth_sampling(meaning, options.candidates), least)
        seeds = candidate_seeds(options.seed, count)
        ways = list(itertools.islice(itertools.cycle(wordings(sentence, meaning)), count))
        features = model.text_features([way.words for way in ways])
    with run.stopwatch.stage("encode"):
        given = {mirrored: encode(mirrored) for mirrored in {way.mirrored for way in ways}}
    with run.stopwatch.stage("generate"):
        knowns = [given[way.mirrored] for way in ways]
        lengths = [len(known.known) for known in knowns]
        drawn = model.sampler.sample(features, lengths, seeds, sampling, knowns, run)
    with run.stopwatch.stage("decode"):
        decoded = [
            clean_up(decode_around(model.tokenizer, tokens, known), free=False)
            for tokens, known in zip(drawn, knowns, strict=True)
        ]
        decoded = [
            mirror_clip(clip) if way.mirrored else clip
            for clip, way in zip(decoded, ways, strict=True)
        ]
        candidates = [clip.joints[: len(timeline)].astype(np.float64) * scale for clip in decoded]
        if inner_gaps(timeline):
            return min(candidates, key=lambda joints: closing_error(timeline, joints))
        new = ~timeline.known
        return candidates[best_of(meaning, [MotionClip(own[new], FPS) for own in candidates])]

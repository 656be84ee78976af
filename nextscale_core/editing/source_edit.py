"""Edits between two sentences: the bits that the old sentence explains better change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nextscale_core.editing.complete import TextToMotion
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.ground_transform import GroundTransform
from nextscale_core.editing.latents import body_scale, encode_known, known_features
from nextscale_core.editing.part_tokens import token_parts
from nextscale_core.editing.seams import assemble
from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import BinaryQuantizer, bits_to_tokens, tokens_to_bits
from nextscale_core.model.drawing import SampleNoise
from nextscale_core.model.inpainting import covered, known_latents
from nextscale_core.model.judge import best_of, worth_sampling
from nextscale_core.model.options import GenerationOptions, candidate_seeds
from nextscale_core.model.sampling import Passes, SamplingConfig
from nextscale_core.model.scales import PaddedScales
from nextscale_core.motion.cleanup import clean_up
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import features_to_clip
from nextscale_core.motion.skeleton import FPS, NUM_JOINTS
from nextscale_core.stopwatch import Run
from nextscale_core.text.encoder import TextFeatures
from nextscale_core.text.validation import validate_sentence

KEPT_SCALES = 2
"""Coarsest scales (gamma) whose tokens outside the region are the clip's."""

FALL = 0.1
"""Loss of probability (tau) from which a bit of the clip changes at the other scales."""


def edit_from_source(
    model: TextToMotion,
    window: MotionClip,
    known_frames: np.ndarray,
    moved: np.ndarray | None,
    text: str,
    source: str,
    options: GenerationOptions,
    run: Run,
) -> MotionClip:
    """A motion in which what `text` changes about `source` is new.

    The rule of ScaleMoGen (after AREdit, arXiv 2503.23897), for a recorded clip: its bits stand
    for a generated motion's. A bit outside the region changes where the guided probability that
    the source sentence gives to the clip's value is by more than `FALL` above the new sentence's.

    Args:
        model: A model of bits.
        window: Motion at 20 fps.
        known_frames: (T,) bool, frames in which nothing changes.
        moved: (22,) bool, joints that follow the new sentence wholly (the region); None for none.
        text: What the person is to do.
        source: What the person does in the window.
        options: See `MotionPipeline.edit`.
        run: See `MotionPipeline.complete`.

    Raises:
        ConfigError: the model's tokens are not bits.
    """
    quantizer = model.tokenizer.quantizer
    if not isinstance(quantizer, BinaryQuantizer):
        raise ConfigError(
            "an edit with a source sentence compares the probabilities of bits: it needs a "
            "ScaleMoGen, such as scalemogen-cmu"
        )
    sentence, before = validate_sentence(text), validate_sentence(source)
    timeline, whole = Timeline.build(window, known_frames), Timeline.build(window)
    with run.stopwatch.stage("encode"):
        latents = encode_known(model.tokenizer, whole).latents
    frames = known_latents(torch.from_numpy(known_frames), model.tokenizer.frames_per_latent)
    free = torch.from_numpy(token_parts(np.zeros(NUM_JOINTS, bool) if moved is None else moved))
    region = (~frames[:, None] & free).to(latents.device)
    with run.stopwatch.stage("text"):
        meaning = model.meaning(sentence)
        seeds = candidate_seeds(options.seed, worth_sampling(meaning, options.candidates))
        features = [model.text_features([before]), model.text_features([sentence] * len(seeds))]
    with run.stopwatch.stage("generate"):
        change = _changes(model, latents, region, features, seeds, options, run)
        change = change.masked_fill(frames.to(change.device)[:, None], 0.0)
    with run.stopwatch.stage("decode"):
        clips = _decoded(model, latents, change, whole)
        new = [MotionClip(clip.joints[~known_frames], FPS) for clip in clips]
        best = clips[best_of(meaning, new)]
        joints, contacts = best.joints, best.contacts
        if known_frames.any():
            joints, contacts = assemble(timeline, joints, FPS)
    return replace(window, joints=joints, contacts=contacts, text=sentence, seed=options.seed)


@torch.no_grad()
def _changes(
    model: TextToMotion,
    latents: Tensor,
    region: Tensor,
    features: list[TextFeatures],
    seeds: list[int],
    options: GenerationOptions,
    run: Run,
) -> Tensor:
    """(B, L, P x d) changes of given latents (L, P x d), one for each seed; one pass a scale.

    The features are those of the source sentence once, and of the new one for each seed.
    """
    quantizer = model.tokenizer.quantizer
    assert isinstance(quantizer, BinaryQuantizer)
    config: SamplingConfig = model.sampling.with_overrides(options)
    transformer, sizes = model.sampler.model, (1, len(seeds))
    both = [
        PaddedScales.build([len(latents)] * size, quantizer.schedule, latents.device)
        for size in sizes
    ]
    runs = [
        Passes(transformer, text, padded, config.guidance)
        for text, padded in zip(features, both, strict=True)
    ]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    sums = [torch.zeros(size, *latents.shape, device=latents.device) for size in sizes]
    for scale in range(quantizer.schedule.num_scales):
        old = quantizer.nearest(both[0].down(scale, latents - sums[0]))
        logits = []
        for own, padded, total in zip(runs, both, sums, strict=True):
            masked = old.new_full((len(total), old.shape[1]), transformer.mask_token)
            coarse = padded.down(scale, total) if scale else None
            logits.append(own.logits(masked, coarse, scale).float())
            own.finish()
        noise = SampleNoise(generators, [old.shape[1]] * len(seeds))
        temperature = config.temperature[scale]
        drawn, _ = quantizer.draw(logits[1], temperature, config.top_p, noise)
        old_bits = tokens_to_bits(old, quantizer.dim)
        new_bits = tokens_to_bits(drawn.to(old.device), quantizer.dim)
        source, target = (
            torch.where(old_bits, p, 1 - p)
            for p in (torch.sigmoid(own / temperature) for own in logits)
        )
        follows = (covered(region, quantizer.schedule, scale) == 1)[None, :, None]
        if scale >= KEPT_SCALES:
            follows = follows | (source - target > FALL)
        new = bits_to_tokens(torch.where(follows, new_bits, old_bits))
        sums = [
            total + quantizer.contribution(tokens, scale, padded)
            for total, tokens, padded in zip(sums, (old, new), both, strict=True)
        ]
        run.progress(scale + 1, quantizer.schedule.num_scales)
    return sums[1] - sums[0]


def _decoded(
    model: TextToMotion, latents: Tensor, changes: Tensor, whole: Timeline
) -> list[MotionClip]:
    """The clip with each of the changes (B, L, P x d) of its latents, beginning where it did.

    What a change adds to the decoded features is added to the clip's own, so that the error of the
    tokenizer stays out.
    """
    tokenizer, features, scale = model.tokenizer, known_features(whole), body_scale(whole)
    with torch.no_grad():
        decoded = tokenizer.decode_latents(torch.cat([latents[None], latents + changes]))
        old, *new = tokenizer.denormalize(decoded).float().cpu().numpy()
    clips = []
    for own, change in zip(new, changes, strict=True):
        if not bool(change.any()):
            clips.append(MotionClip(whole.joints, FPS, contacts=whole.contacts))
            continue
        changed = features + (own - old)[: len(features)]
        clip = clean_up(features_to_clip(changed), free=False)
        joints = clip.joints.astype(np.float64) * scale
        placed = GroundTransform.fit(joints[0], whole.joints[0])(joints)
        clips.append(replace(clip, joints=placed))
    return clips

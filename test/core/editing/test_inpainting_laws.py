"""Laws of the mask of known tokens at every scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.editing.sway import sway
from nextscale_core.editing.frame_mask import Timeline
from nextscale_core.editing.latents import encode_known
from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.model.inpainting import (
    KnownLatents,
    covered,
    known_at_scale,
    known_latents,
)
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.sampling import SamplingConfig
from nextscale_core.model.scales import PaddedScales, ScaleSchedule, scale_lengths
from nextscale_core.motion.clip import MotionClip
from nextscale_core.text.encoder import TextFeatures

DIVISORS = (8, 4, 2, 1)
SCHEDULE = ScaleSchedule(DIVISORS)
masks = st.lists(st.booleans(), min_size=20, max_size=120).map(np.array)
latent_masks = st.lists(st.booleans(), min_size=1, max_size=40).map(torch.tensor)


def quantizer(seed: int = 0) -> MultiScaleQuantizer:
    torch.manual_seed(seed)
    made = MultiScaleQuantizer(24, 8, DIVISORS).eval()
    made.codebook.normal_()
    return made


@given(masks)
def test_a_latent_is_known_only_if_all_its_frames_are(mask):
    known = known_latents(torch.from_numpy(mask), 4)
    assert len(known) == -(-len(mask) // 4)
    for latent, flag in enumerate(known.tolist()):
        assert flag == mask[4 * latent : 4 * latent + 4].all()


@given(latent_masks)
def test_a_token_is_known_only_if_all_its_latents_are(mask):
    for scale, count in enumerate(scale_lengths(len(mask), DIVISORS)):
        share = covered(mask, SCHEDULE, scale)
        for token in range(count):
            first, last = token * len(mask) / count, (token + 1) * len(mask) / count
            span = mask[int(np.floor(first + 1e-9)) : int(np.ceil(last - 1e-9))]
            assert (share[token] == 1.0) == bool(span.all())
            assert (share[token] == 0.0) == (not bool(span.any()))


@given(latent_masks, st.integers(0, 1000))
def test_more_known_latents_never_make_a_known_token_unknown(mask, seed):
    more = mask | (torch.rand(len(mask), generator=torch.Generator().manual_seed(seed)) < 0.5)
    for scale in range(len(DIVISORS)):
        before, after = (covered(known, SCHEDULE, scale) == 1.0 for known in (mask, more))
        assert (before <= after).all()


@given(latent_masks, st.integers(0, 1000))
@settings(deadline=None)
def test_latents_that_are_not_known_are_not_looked_at(mask, seed):
    book = quantizer()
    torch.manual_seed(seed)
    latents, before = torch.randn(len(mask), 8), torch.randn(len(mask), 8)
    other = torch.where(mask[:, None], latents, torch.randn(len(mask), 8))
    for scale in range(len(DIVISORS)):
        one = KnownLatents(latents, mask).at_scale(book, scale, before)
        two = KnownLatents(other, mask).at_scale(book, scale, before)
        assert torch.equal(one.known, two.known)
        assert torch.equal(one.tokens[one.known], two.tokens[two.known])
        assert (one.evidence is None) == (two.evidence is None)
        if one.evidence is not None and two.evidence is not None:
            assert torch.equal(one.evidence, two.evidence)


@given(st.integers(1, 30))
@settings(deadline=None)
def test_if_all_latents_are_known_the_tokens_are_those_of_the_quantiser(length):
    book = quantizer()
    latents = torch.randn(length, 8, generator=torch.Generator().manual_seed(length))
    wanted = book(latents[None])
    known = KnownLatents(latents, torch.ones(length, dtype=torch.bool))
    total = torch.zeros(1, length, 8)
    for scale, tokens in enumerate(wanted.tokens):
        own = known.at_scale(book, scale, total[0])
        assert own.known.all() and own.evidence is None
        assert torch.equal(own.tokens, tokens[0])
        total = total + book.upsample(book.codebook[tokens], scale, length)


def test_the_evidence_of_half_a_token_prefers_the_code_that_is_seen_there():
    book = quantizer()
    mask = torch.arange(16) < 4
    latents = book.codebook[5].expand(16, 8).clone()
    own = KnownLatents(latents, mask).at_scale(book, 0, torch.zeros(16, 8))
    assert not own.known.any() and own.evidence is not None
    assert int(own.evidence[0].argmax()) == 5
    assert (own.evidence[1] == 0).all()


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=15)
def test_a_known_token_is_never_changed_by_sampling(pipeline, seed):
    random = torch.Generator().manual_seed(seed)
    length = int(torch.randint(5, 40, (1,), generator=random))
    mask = torch.rand(length, generator=random) < 0.6
    book = pipeline.tokenizer.quantizer
    known = KnownLatents(torch.randn(length, book.dim, generator=random), mask)
    dim = pipeline.generator.config.text_dim
    words = torch.randn(1, 4, dim, generator=random)
    text = TextFeatures(words, torch.ones(1, 4, dtype=torch.bool), words.mean(1))
    (out,) = pipeline.sampler.sample(text, [length], [seed], SamplingConfig(), [known])
    padded, total = PaddedScales.build([length], book.schedule), torch.zeros(1, length, book.dim)
    for scale, own in enumerate(out):
        wanted = known.at_scale(book, scale, total[0])
        assert torch.equal(own[wanted.known], wanted.tokens[wanted.known])
        total = total + book.contribution(own[None], scale, padded)


def test_tokens_known_by_frames_are_those_whose_frames_are_all_known():
    latents = known_latents(torch.arange(64) < 35, 4)
    known = [covered(latents, SCHEDULE, k) == 1.0 for k in range(len(DIVISORS))]
    assert known[0].tolist() == [True, False]
    assert known[1].tolist() == [True, True, False, False]
    assert known[3].sum() == 8


def test_a_batch_may_mix_whole_and_partial_knowledge_and_nothing():
    book = quantizer()
    some = KnownLatents(torch.randn(9, 8), torch.arange(9) < 9)
    latents = KnownLatents(torch.randn(17, 8), torch.arange(17) < 5)
    own = known_at_scale([some, None, latents], book, 3, 17, torch.zeros(3, 17, 8))
    assert own.known.sum(1).tolist() == [9, 0, 5]
    assert own.evidence is None


def test_more_known_latents_than_the_batch_has_are_refused():
    known = KnownLatents(torch.randn(9, 8), torch.arange(9) < 9)
    with pytest.raises(InvalidMotionError, match="9 latents are known, the batch has 8"):
        known_at_scale([known], quantizer(), 3, 8, torch.zeros(1, 8, 8))


@given(masks.filter(lambda mask: mask.any()), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_frames_that_are_not_known_do_not_leak_into_what_is_encoded(pipeline, mask, seed):
    clip = sway(len(mask))
    noise = np.random.default_rng(seed).normal(size=clip.joints.shape)
    other = MotionClip(np.where(mask[:, None, None], clip.joints, clip.joints + noise))
    one, two = (
        encode_known(pipeline.tokenizer, Timeline.build(motion, mask)) for motion in (clip, other)
    )
    assert torch.equal(one.known, two.known)
    assert torch.equal(one.latents, two.latents)

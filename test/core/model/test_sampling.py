"""The laws of next-scale sampling."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from nextscale_core.exceptions import ConfigError, GenerationCancelled
from nextscale_core.model.conditioned import TorchCache, cache_of
from nextscale_core.model.drawing import nucleus
from nextscale_core.model.inpainting import KnownLatents, covered
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.next_scale import block_causal_mask
from nextscale_core.model.options import GenerationOptions
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.sampling import (
    NextScaleSampler,
    SamplingConfig,
    cosine_mask_count,
)
from nextscale_core.model.scales import PaddedScales, ScaleSchedule, scale_lengths
from nextscale_core.stopwatch import Run
from nextscale_core.text.encoder import TextFeatures

DIVISORS = (8, 4, 2, 1)
CONFIG = MoScaleConfig(
    width=32, depth=2, heads=2, num_codes=24, code_dim=8, text_dim=12, num_scales=4
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = MoScale(CONFIG).eval()
    for parameter in model.parameters():
        # A fresh model ignores most of its input (zero heads); noise makes it listen.
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def sampler(model):
    torch.manual_seed(1)
    quantizer = MultiScaleQuantizer(24, 8, DIVISORS).eval()
    quantizer.codebook.normal_()
    return NextScaleSampler(model, quantizer)


def features(batch: int, seed: int = 0) -> TextFeatures:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(batch, 5, 12, generator=generator)
    return TextFeatures(tokens, torch.ones(batch, 5, dtype=torch.bool), tokens.mean(1))


def equal(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("scale", range(4))
def test_a_masked_token_knows_where_it_stands(model, scale):
    """Rotary angles are relative: places of equal input would have equal logits without more."""
    padded = PaddedScales.build([40, 24], ScaleSchedule(DIVISORS))
    condition = model.condition(features(2), padded.lengths)
    count = padded.token_masks[scale].shape[1]
    tokens = torch.full((2, count), model.mask_token)
    coarse = torch.zeros(2, count, 8) if scale else None
    embedded = model.embed(tokens, coarse, model.places(padded)[scale], condition).detach()
    steps = (embedded[:, 1:] - embedded[:, :-1]).norm(dim=-1)
    assert float(steps[padded.token_masks[scale][:, 1:]].min()) > 1e-2
    # The same time from the start, another time to the end.
    assert float((embedded[0, 0] - embedded[1, 0]).norm()) > 1e-2


def test_the_first_scale_is_not_predicted_alike_everywhere(model):
    padded = PaddedScales.build([40], ScaleSchedule(DIVISORS))
    condition = model.condition(features(1), padded.lengths)
    tokens = torch.full((1, 5), model.mask_token)
    with torch.no_grad():
        x = model.embed(tokens, None, model.places(padded)[0], condition)
        logits = model.step(x, 0, padded, cache_of(model, condition, 5))
    spread = (logits - logits.mean(1, keepdim=True)).abs().amax(-1)
    assert float(spread.min()) > 0.01 * float(logits.abs().max())


def test_the_same_seed_gives_the_same_tokens(sampler):
    draw = [sampler.sample(features(1), [20], [7], SamplingConfig())[0] for _ in range(2)]
    assert equal(*draw)


def test_another_seed_gives_other_tokens(sampler):
    one = sampler.sample(features(1), [20], [7], SamplingConfig())[0]
    two = sampler.sample(features(1), [20], [8], SamplingConfig())[0]
    assert not equal(one, two)


def test_every_scale_is_filled_with_codes(sampler):
    for length in (5, 13, 49):
        (tokens,) = sampler.sample(features(1), [length], [0], SamplingConfig())
        assert tuple(len(t) for t in tokens) == scale_lengths(length, DIVISORS)
        assert all(int(t.min()) >= 0 and int(t.max()) < 24 for t in tokens)


def test_a_motion_does_not_depend_on_the_others_in_its_batch(sampler):
    text = features(3)
    together = sampler.sample(text, [30, 8, 49], [1, 2, 3], SamplingConfig())
    for row, length in enumerate((30, 8, 49)):
        own = TextFeatures(*(v[row : row + 1] for v in (text.tokens, text.mask, text.pooled)))
        assert equal(sampler.sample(own, [length], [row + 1], SamplingConfig())[0], together[row])


@pytest.mark.parametrize("seed", range(5))
def test_a_known_token_is_never_changed(sampler, seed):
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(22, 8, generator=generator)
    given = KnownLatents(latents, torch.rand(22, generator=generator) < 0.6)
    (out,) = sampler.sample(features(1), [22], [seed], SamplingConfig(), [given])
    padded, total = PaddedScales.build([22], ScaleSchedule(DIVISORS)), torch.zeros(1, 22, 8)
    for scale, own in enumerate(out):
        wanted = given.at_scale(sampler.quantizer, scale, total[0])
        assert torch.equal(own[wanted.known], wanted.tokens[wanted.known])
        total = total + sampler.quantizer.contribution(own[None], scale, padded)
    assert wanted.known.any()


def test_if_all_is_known_all_comes_back(sampler):
    latents = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    given = KnownLatents(latents, torch.ones(16, dtype=torch.bool))
    (out,) = sampler.sample(features(1), [16], [0], SamplingConfig(), [given])
    assert equal(out, [tokens[0] for tokens in sampler.quantizer(latents[None]).tokens])


def test_a_token_is_known_only_if_all_it_covers_is():
    latents = torch.arange(16) < 9
    known = [covered(latents, ScaleSchedule(DIVISORS), k) == 1.0 for k in range(len(DIVISORS))]
    assert known[0].tolist() == [True, False]
    assert known[1].tolist() == [True, True, False, False]
    assert known[3].tolist() == latents.tolist()


def test_a_scale_never_sees_a_finer_one(model):
    torch.manual_seed(0)
    padded = PaddedScales.build([20, 11], ScaleSchedule(DIVISORS))
    sizes = [m.shape[1] for m in padded.token_masks]
    tokens = [torch.randint(24, (2, n)) for n in sizes]
    coarse = [None, *(torch.randn(2, n, 8) for n in sizes[1:])]
    before = model(tokens, coarse, padded, features(2))
    for scale in range(1, 4):
        changed = [t.clone() for t in tokens]
        changed[scale] = (changed[scale] + 1) % 24
        after = model(changed, coarse, padded, features(2))
        for finer in range(scale):
            assert torch.allclose(before[finer], after[finer], atol=1e-5)
        assert not torch.allclose(before[scale], after[scale], atol=1e-3)


def test_padding_is_never_seen(model):
    torch.manual_seed(0)
    padded = PaddedScales.build([20, 11], ScaleSchedule(DIVISORS))
    mask = block_causal_mask(padded)[1, 0]
    visible = torch.cat([m[1] for m in padded.token_masks])
    assert not mask[:, ~visible].any()
    assert mask.any(dim=1).all()


@pytest.mark.parametrize("plain", [False, True])
def test_cached_steps_equal_the_full_pass(model, plain):
    torch.manual_seed(0)
    padded = PaddedScales.build([20, 11], ScaleSchedule(DIVISORS))
    sizes = [m.shape[1] for m in padded.token_masks]
    tokens = [torch.randint(25, (2, n)) for n in sizes]
    coarse = [None, *(torch.randn(2, n, 8) for n in sizes[1:])]
    whole = model(tokens, coarse, padded, features(2))
    condition, places = model.condition(features(2), padded.lengths), model.places(padded)
    cache = TorchCache(model, condition) if plain else cache_of(model, condition, sum(sizes))
    for scale in range(4):
        x = model.embed(tokens[scale], coarse[scale], places[scale], condition)
        logits = model.step(x, scale, padded, cache)
        cache.keep()
        valid = padded.token_masks[scale]
        assert torch.allclose(logits[valid], whole[scale][valid], atol=1e-4)


def test_no_guidance_needs_no_second_pass(sampler, monkeypatch):
    sizes = []
    step = sampler.model.step

    def spy(tokens, *args):
        sizes.append(len(tokens))
        return step(tokens, *args)

    monkeypatch.setattr(sampler.model, "step", spy)
    config = SamplingConfig().with_overrides(GenerationOptions(guidance=0.0))
    sampler.sample(features(1), [9], [0], config)
    assert set(sizes) == {1}


def test_scales_after_the_last_guided_one_run_without_the_unconditional_half(sampler, monkeypatch):
    sizes = []
    step = sampler.model.step

    def spy(tokens, *args):
        sizes.append(len(tokens))
        return step(tokens, *args)

    monkeypatch.setattr(sampler.model, "step", spy)
    config = SamplingConfig((1, 1, 1, 1), (3.0, 0.0, 2.0, 0.0), (1.0,) * 4)
    short = sampler.sample(features(2), [9, 12], [0, 1], config)
    assert sizes == [4, 4, 4, 2]
    # A guidance that is next to nothing takes the other way to the same tokens.
    whole = sampler.sample(
        features(2), [9, 12], [0, 1], replace(config, guidance=(3.0, 0.0, 2.0, 1e-9))
    )
    assert sizes[4:] == [4] * 4
    assert all(equal(a, b) for a, b in zip(short, whole, strict=True))


def test_progress_counts_every_pass_and_may_stop_the_work(sampler):
    seen = []
    sampler.sample(
        features(1), [9], [0], SamplingConfig(), run=Run(progress=lambda *a: seen.append(a))
    )
    assert seen == [(i, 18) for i in range(1, 19)]

    def stop(done, total):
        if done == 4:
            raise GenerationCancelled("enough")

    with pytest.raises(GenerationCancelled):
        sampler.sample(features(1), [9], [0], SamplingConfig(), run=Run(progress=stop))


@pytest.mark.parametrize("rounds", [1, 2, 5, 10])
def test_the_schedule_unmasks_more_with_every_pass_and_all_in_the_end(rounds):
    total = torch.tensor([49, 6, 1])
    left = [cosine_mask_count(total, done, rounds) for done in range(1, rounds + 1)]
    assert (left[-1] == 0).all()
    for earlier, later in itertools.pairwise(left):
        assert (later <= earlier).all()
    assert (left[0] < total).all()


def test_the_nucleus_keeps_the_likely_codes_and_sums_to_one():
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    kept = nucleus(probabilities, 0.75)
    assert torch.allclose(kept, torch.tensor([[0.625, 0.375, 0.0, 0.0]]))
    assert torch.allclose(nucleus(probabilities, 1.0), probabilities)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": (0, 1, 1, 1)},
        {"guidance": (-1.0, 0, 0, 0)},
        {"temperature": (0.0, 1, 1, 1)},
        {"top_p": 0.0},
        {"steps": (1, 2)},
        {"guidance": (float("nan"),) * 4},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        SamplingConfig(**wrong)


def test_a_wrong_number_of_steps_is_refused():
    with pytest.raises(ConfigError, match="4 numbers"):
        SamplingConfig().with_overrides(GenerationOptions(steps=(1, 2, 3)))

"""The compiled passes and draws agree with PyTorch."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from nextscale_core.kernels import kernels, without_kernels
from nextscale_core.kernels.passes import CompiledCache
from nextscale_core.model.conditioned import TorchCache, cache_of
from nextscale_core.model.drawing import SampleNoise, draw_codes
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.text.encoder import TextFeatures

pytestmark = pytest.mark.skipif(kernels() is None, reason="the kernels are not compiled here")


def model_of(width: int, heads: int) -> MoScale:
    torch.manual_seed(width)
    config = MoScaleConfig(width=width, depth=2, heads=heads, num_codes=24, code_dim=8, text_dim=12)
    model = MoScale(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    return model


def features(batch: int) -> TextFeatures:
    mask = torch.arange(7) < torch.randint(1, 8, (batch, 1))
    return TextFeatures(torch.randn(batch, 7, 12), mask, torch.randn(batch, 12))


@pytest.mark.parametrize(("width", "heads"), [(32, 1), (96, 2), (192, 4), (64, 4)])
@pytest.mark.parametrize("threads", [1, 3])
def test_passes_are_those_of_torch(width: int, heads: int, threads: int) -> None:
    """With padding, with another pass over the same scale, and with fewer samples at the end."""
    model, batch = model_of(width, heads), 5
    condition = model.condition(features(batch), torch.randint(1, 40, (batch,)))
    compiled, plain = cache_of(model, condition, 90), TorchCache(model, condition)
    assert isinstance(compiled, CompiledCache)
    seen = torch.ones(batch, 0, dtype=torch.bool)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for count in (1, 13, 26, 50):
            own = torch.arange(count) < torch.randint(1, count + 1, (batch, 1))
            seen = torch.cat([seen, own], dim=1)
            places = torch.rand(batch, count) * 40
            for _ in range(2):
                x = torch.randn(batch, count, width)
                found, wanted = (cache.run(x, places, seen) for cache in (compiled, plain))
                assert torch.allclose(found, wanted, atol=2e-4)
            compiled.keep(), plain.keep()
            if count == 26:
                batch, seen = 2, seen[:2]
                compiled.first(batch), plain.first(batch)
    finally:
        torch.set_num_threads(before)


def test_a_pass_beyond_the_room_of_the_cache_is_refused() -> None:
    model = model_of(32, 2)
    cache = cache_of(model, model.condition(features(1), torch.tensor([9])), 10)
    x, places = torch.zeros(1, 6, 32), torch.zeros(1, 6)
    cache.run(x, places, None)
    cache.keep()
    with pytest.raises(ValueError, match="10 tokens"):
        cache.run(x, places, None)


def test_changed_weights_count_at_once() -> None:
    model = model_of(32, 2)
    condition = model.condition(features(1), torch.tensor([9]))
    x, places = torch.randn(1, 6, 32), torch.rand(1, 6)
    before = cache_of(model, condition, 10).run(x, places, None)
    torch.nn.init.normal_(model.blocks[1].mlp[0].weight)
    found = cache_of(model, condition, 10).run(x, places, None)
    assert not torch.allclose(found, before, atol=1e-2)
    assert torch.allclose(found, TorchCache(model, condition).run(x, places, None), atol=2e-4)


@pytest.mark.parametrize("case", ["gradient", "autocast", "width", "switched off"])
def test_what_the_kernels_cannot_do_torch_does(case: str) -> None:
    model = model_of(48 if case == "width" else 32, 2)
    model.requires_grad_(case == "gradient")
    condition = model.condition(features(2), torch.tensor([9, 5]))
    lower = torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast")
    with lower, without_kernels() if case == "switched off" else nullcontext():
        assert isinstance(cache_of(model, condition, 10), TorchCache)


@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("codes", [24, 512])
def test_draws_are_those_of_multinomial(codes: int, top_p: float) -> None:
    def noise() -> SampleNoise:
        return SampleNoise([torch.Generator().manual_seed(seed) for seed in range(3)], [20, 20, 11])

    valid = torch.arange(20) < torch.tensor(noise().counts)[:, None]
    for spread in (0.1, 1.0, 5.0):
        logits = spread * torch.randn(3, 20, codes)
        found, likely = draw_codes(logits, 0.8, top_p, noise())
        with without_kernels():
            wanted, other = draw_codes(logits, 0.8, top_p, noise())
        assert torch.equal(found[valid], wanted[valid])
        assert torch.allclose(likely[valid], other[valid], atol=1e-4)
        assert torch.equal(found[valid], _multinomial(logits / 0.8, top_p, noise())[valid])


def _multinomial(logits: Tensor, top_p: float, noise: SampleNoise) -> Tensor:
    """Each row among its likeliest codes that reach `top_p`, by torch's own draw."""
    ordered, index = logits.softmax(-1).sort(dim=-1, descending=True)
    kept = ordered.masked_fill(ordered.cumsum(-1) - ordered >= top_p, 0.0)
    kept = torch.zeros_like(kept).scatter(-1, index, kept)
    out = torch.zeros(logits.shape[:2], dtype=torch.long)
    for row, (generator, n) in enumerate(zip(noise.generators, noise.counts, strict=True)):
        out[row, :n] = torch.multinomial(kept[row, :n], 1, generator=generator)[:, 0]
    return out


def test_a_model_that_predicts_no_numbers_draws_valid_codes() -> None:
    noise = SampleNoise([torch.Generator().manual_seed(0)], [4])
    drawn, _ = draw_codes(torch.full((1, 4, 24), torch.nan), 1.0, 0.9, noise)
    assert int(drawn.min()) >= 0 and int(drawn.max()) < 24

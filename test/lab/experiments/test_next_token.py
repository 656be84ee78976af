"""The laws of next-token sampling."""

from __future__ import annotations

import pytest
import torch

from nextscale_core.exceptions import ConfigError, GenerationCancelled
from nextscale_core.text.encoder import TextFeatures
from nextscale_lab.experiments.next_token import (
    NextToken,
    NextTokenConfig,
    NextTokenSampler,
    NextTokenSampling,
)

CONFIG = NextTokenConfig(width=32, depth=2, heads=2, num_codes=24, code_dim=8, text_dim=12)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = NextToken(CONFIG).eval()
    for parameter in model.parameters():
        # A fresh model ignores most of its input (zero heads); noise makes it listen.
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def sampler(model):
    return NextTokenSampler(model)


def features(batch: int, seed: int = 0) -> TextFeatures:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(batch, 5, 12, generator=generator)
    return TextFeatures(tokens, torch.ones(batch, 5, dtype=torch.bool), tokens.mean(1))


def row_of(text: TextFeatures, row: int) -> TextFeatures:
    return TextFeatures(*(v[row : row + 1] for v in (text.tokens, text.mask, text.pooled)))


@torch.no_grad()
def test_a_later_token_never_changes_an_earlier_prediction(model):
    tokens = torch.randint(24, (2, 15), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([15, 15])
    before = model(tokens, lengths, features(2))
    for place in (0, 7, 13):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % 24
        after = model(changed, lengths, features(2))
        assert torch.equal(before[:, : place + 1], after[:, : place + 1])
        assert not torch.allclose(before[:, place + 1], after[:, place + 1])


@torch.no_grad()
def test_padding_changes_no_prediction(model):
    tokens = torch.randint(24, (2, 15), generator=torch.Generator().manual_seed(2))
    together = model(tokens, torch.tensor([15, 6]), features(2))
    alone = model(tokens[1:, :6], torch.tensor([6]), row_of(features(2), 1))
    assert torch.allclose(together[1, :6], alone[0], atol=1e-5)


@torch.no_grad()
def test_cached_steps_predict_what_the_whole_sequence_does(model):
    tokens = torch.randint(24, (3, 12), generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([12, 9, 5])
    whole = model(tokens, lengths, features(3))
    condition, past = model.condition(features(3), lengths), None
    for place in range(12):
        previous = tokens[:, place - 1] if place else None
        logits, past = model.step(previous, place, lengths, condition, past)
        assert torch.allclose(logits, whole[:, place], atol=1e-5)


@torch.no_grad()
def test_every_token_is_drawn_from_the_guided_prediction_of_those_before_it(model, sampler):
    # Temperature near zero: the draw is the most likely code, found here without a cache.
    text, length = features(1), 9
    greedy = NextTokenSampling(guidance=1.5, temperature=1e-4, top_p=1.0)
    (drawn,) = sampler.sample(text, [length], [0], greedy)
    silent = model.drop_text(text, torch.tensor([True]))
    found = torch.zeros(1, length, dtype=torch.long)
    for place in range(length):
        spoken, unspoken = (
            model(found, torch.tensor([length]), t)[0, place] for t in (text, silent)
        )
        found[0, place] = int((2.5 * spoken - 1.5 * unspoken).argmax())
    assert torch.equal(drawn, found[0])


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others(sampler):
    one, again, other = (
        sampler.sample(features(1), [20], [seed], NextTokenSampling())[0] for seed in (7, 7, 8)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("guidance", [0.0, 2.0])
def test_a_motion_does_not_depend_on_the_others_in_its_batch(sampler, guidance):
    text, config = features(3), NextTokenSampling(guidance=guidance)
    together = sampler.sample(text, [30, 8, 49], [1, 2, 3], config)
    for row, length in enumerate((30, 8, 49)):
        (alone,) = sampler.sample(row_of(text, row), [length], [row + 1], config)
        assert torch.equal(alone, together[row])
        assert len(alone) == length


def test_the_text_and_the_length_change_the_prediction(model):
    def predict(length: int, text_seed: int) -> torch.Tensor:
        tokens = torch.zeros(1, 6, dtype=torch.long)
        return model(tokens, torch.tensor([length]), features(1, text_seed))

    assert not torch.allclose(predict(6, 0), predict(6, 5))
    assert not torch.allclose(predict(6, 0), predict(40, 0))


def test_sampling_can_be_stopped(sampler):
    def stop(done: int, total: int) -> None:
        assert total == 20
        if done == 3:
            raise GenerationCancelled("stopped")

    with pytest.raises(GenerationCancelled):
        sampler.sample(features(1), [20], [0], NextTokenSampling(), stop)


def test_a_saved_model_is_the_same_when_loaded(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = NextToken.from_pretrained(str(tmp_path))
    assert loaded.config == CONFIG
    tokens, lengths = torch.zeros(1, 6, dtype=torch.long), torch.tensor([6])
    before, after = (m(tokens, lengths, features(1)) for m in (model, loaded.eval()))
    assert torch.equal(before, after)


@pytest.mark.parametrize(
    "build",
    [
        lambda: NextTokenSampling(guidance=-1.0),
        lambda: NextTokenSampling(temperature=0.0),
        lambda: NextTokenSampling(top_p=0.0),
        lambda: NextTokenConfig(width=30, heads=4),
        lambda: NextTokenConfig(depth=0),
    ],
)
def test_values_out_of_range_are_refused(build):
    with pytest.raises(ConfigError, match="must be"):
        build()

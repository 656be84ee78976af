"""Where a generator's training begins."""

from __future__ import annotations

import pytest
import torch

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.text.encoder import TextFeatures
from nextscale_lab.train.generator import ObjectiveConfig, _from_weights, drop_words

SMALL = MoScaleConfig(width=16, depth=1, heads=2, num_codes=8, code_dim=4, num_scales=2, text_dim=6)


def test_training_goes_on_from_trained_weights(tmp_path):
    torch.manual_seed(0)
    model = MoScale(SMALL)
    model.save_pretrained(tmp_path / "model")
    loaded = _from_weights(tmp_path / "model", SMALL)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


def test_weights_of_another_tokenizer_are_refused(tmp_path):
    MoScale(SMALL).save_pretrained(tmp_path / "model")
    other = MoScaleConfig(
        width=16, depth=1, heads=2, num_codes=16, code_dim=4, num_scales=2, text_dim=6
    )
    with pytest.raises(ConfigError, match=r"num_codes 8, .* need 16"):
        _from_weights(tmp_path / "model", other)


def test_hidden_words_leave_the_first_and_never_come_from_padding():
    torch.manual_seed(0)
    mask = torch.arange(9)[None] < torch.tensor([1, 4, 9])[:, None]
    text = TextFeatures(torch.randn(3, 9, 6), mask, torch.randn(3, 6))
    seen = torch.zeros(3, 9)
    for _ in range(300):
        left = drop_words(text, 0.3)
        assert left.mask[:, 0].all()
        assert not (left.mask & ~mask).any()
        seen += left.mask
    share = seen[2, 1:].mean() / 300
    assert share == pytest.approx(0.7, abs=0.05)
    assert torch.equal(drop_words(text, 0.0).mask, mask)


def test_shares_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="word_drop"):
        ObjectiveConfig(word_drop=1.5)

"""Where a generator's training begins."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lab.train.conftest import write_humanml3d
from nextscale_core.exceptions import ConfigError
from nextscale_core.model.binary_quantizer import BinaryQuantizer
from nextscale_core.model.checkpoint import load_part
from nextscale_core.model.kinds import check_fit, load_generator, load_tokenizer
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.next_scale import NextScaleConfig
from nextscale_core.model.scalemogen import ScaleMoGen, ScaleMoGenConfig
from nextscale_core.model.scales import PaddedScales, ScaleSchedule
from nextscale_core.model.skeletal_tokenizer import SkeletalConfig, SkeletalTokenizer
from nextscale_core.text.encoder import TextFeatures
from nextscale_lab.train.generator import (
    _from_weights,
    _started,
    generator_config,
    train_generator,
)
from nextscale_lab.train.loop import RunConfig
from nextscale_lab.train.objective import ObjectiveConfig, drop_words

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


def test_a_generator_takes_further_scales_and_knows_the_coarse_ones(tmp_path):
    torch.manual_seed(0)
    model = MoScale(SMALL).eval()
    torch.nn.init.normal_(model.heads_out[1].weight)
    model.save_pretrained(tmp_path / "model")
    longer = _from_weights(tmp_path / "model", replace(SMALL, num_scales=4)).eval()
    text = TextFeatures(torch.randn(1, 3, 6), torch.ones(1, 3, dtype=torch.bool), torch.randn(1, 6))
    padded = PaddedScales.build([8], ScaleSchedule((2, 1, 1, 1)))
    tokens = [torch.randint(8, (1, n)) for n in (4, 8, 8, 8)]
    sums = [None, *(torch.randn(1, 8, 4) for _ in range(3))]
    short = model(tokens[:2], sums[:2], PaddedScales.build([8], ScaleSchedule((2, 1))), text)
    logits = longer(tokens, sums, padded, text)
    assert len(logits) == 4
    for old, new in zip(short, logits, strict=False):
        torch.testing.assert_close(old, new)
    # The saved weights say their scales.
    longer.save_pretrained(tmp_path / "longer")
    assert load_part(MoScale, tmp_path / "longer").config.num_scales == 4
    with pytest.raises(ConfigError, match="4 scales, this tokenizer only 2"):
        _from_weights(tmp_path / "longer", SMALL)


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


def test_a_generator_of_bits_begins_with_the_blocks_of_a_generator_of_codes(tmp_path):
    torch.manual_seed(0)
    MoScale(SMALL).save_pretrained(tmp_path / "moscale")
    quantizer = BinaryQuantizer(4, ScaleSchedule((2, 1), (((0, 1),), ((0,), (1,)))))
    wanted = replace(
        generator_config(quantizer, replace(SMALL, width=32, depth=2), own_tokens=False), text_dim=6
    )
    assert isinstance(wanted, ScaleMoGenConfig) and not wanted.own_tokens
    model, old = _started(tmp_path / "moscale", wanted), load_part(MoScale, tmp_path / "moscale")
    assert isinstance(model, ScaleMoGen) and (model.config.width, model.config.depth) == (16, 1)
    own, other = model.state_dict(), old.state_dict()
    for name in ("blocks.0.mlp.0.weight", "text_input.weight", "duration.0.weight", "place.weight"):
        assert torch.equal(own[name], other[name])
    assert own["heads_out.0.weight"].shape == (4, 16)
    with pytest.raises(ConfigError, match="text_dim 6, this text needs 7"):
        _started(tmp_path / "moscale", replace(wanted, text_dim=7))


def test_the_kind_of_the_generator_follows_from_the_tokenizer(tmp_path):
    write_humanml3d(tmp_path / "data", clips=4)
    SkeletalTokenizer(SkeletalConfig(width=8, depth=1, bits=4)).save_pretrained(tmp_path / "tokens")
    sizes = NextScaleConfig(width=16, depth=1, heads=2)
    run = RunConfig(tmp_path / "run", steps=2, batch_size=2, warmup=1, precision="no")
    metrics = train_generator(tmp_path / "data", tmp_path / "tokens", run, sizes)
    assert metrics["ce6"] > 0
    model = load_generator(tmp_path / "run" / "last")
    assert isinstance(model, ScaleMoGen) and model.config.code_dim == 4
    check_fit(load_tokenizer(tmp_path / "tokens"), model)

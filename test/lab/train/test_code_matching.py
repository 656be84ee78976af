"""A generator learns the codes of another tokenizer from motions that both encode."""

from __future__ import annotations

import torch

from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.scales import PaddedScales, ScaleSchedule
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_core.text.encoder import TextFeatures
from nextscale_lab.data.samples import Sample
from nextscale_lab.train.code_matching import match_codes

CODES = 12


def test_codes_in_another_order_and_turned_latents_leave_the_predictions_as_they_were():
    torch.manual_seed(0)
    config = TokenizerConfig(width=16, code_dim=4, num_codes=CODES, depth=1, divisors=(2, 1))
    old = TemporalTokenizer(config).eval()
    motions = [
        Sample(str(k), (3 * torch.randn(263) + torch.randn(64, 263)).numpy(), ()) for k in range(40)
    ]
    stacked = [torch.from_numpy(motion.features[None]) for motion in motions]
    with torch.no_grad():
        # Half of the codes are like latents, half like what these leave over.
        latents = torch.cat([old.encode_latents(m)[0, :1] for m in stacked[:CODES]])
        old.quantizer.codebook.copy_(latents)
        old.quantizer.codebook[CODES // 2 :] -= latents.roll(1, 0)[CODES // 2 :]
    new = TemporalTokenizer(config).eval()
    new.load_state_dict(old.state_dict())
    order, turn = torch.randperm(CODES), torch.linalg.qr(torch.randn(4, 4)).Q
    with torch.no_grad():
        # The same tokenizer in other coordinates: latents are turned, codes stand elsewhere.
        new.quantizer.codebook.copy_(old.quantizer.codebook[order] @ turn)
        last = new.encoder[-1]
        last.weight.copy_(torch.einsum("oik,op->pik", last.weight, turn))
        last.bias.copy_(last.bias @ turn)
    features = stacked[0]
    before, after = old.encode(features), new.encode(features)
    for old_tokens, new_tokens in zip(before, after, strict=True):
        assert torch.equal(old_tokens, order[new_tokens])

    model = MoScale(
        MoScaleConfig(
            width=16, depth=2, heads=2, num_codes=CODES, code_dim=4, num_scales=2, text_dim=6
        )
    ).eval()
    for head in model.heads_out:
        torch.nn.init.normal_(head.weight)
    padded = PaddedScales.build([16], ScaleSchedule((2, 1)))
    text = TextFeatures(torch.randn(1, 3, 6), torch.ones(1, 3, dtype=torch.bool), torch.randn(1, 6))

    def logits(tokenizer, tokens):
        total = tokenizer.quantizer.accumulate(tokens[:1], 16)
        return model(list(tokens), [None, padded.down(1, total)], padded, text)

    with torch.no_grad():
        wanted = logits(old, before)
        unmatched = logits(new, after)
        match_codes(model, old, new, motions)
        matched = logits(new, after)
    for scale, (want, plain, got) in enumerate(zip(wanted, unmatched, matched, strict=True)):
        # Code i of the new tokenizer is code order[i] of the old one.
        seen = torch.unique(torch.cat([new.encode(m)[scale].flatten() for m in stacked]))
        assert len(seen) > 3
        expected, plain, got = want[..., order][..., seen], plain[..., seen], got[..., seen]
        assert (got - expected).abs().mean() < 0.2 * (plain - expected).abs().mean()

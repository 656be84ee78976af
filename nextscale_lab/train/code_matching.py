"""A generator's weights for the codes of another tokenizer.

Where a tokenizer was trained on, its codes and latents have moved, and a generator for the codes
before would have to learn them anew. Both tokenizers encode the same motions; which codes occur
together, and how the sums of codes map, gives the generator a start near its old predictions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nextscale_core.model.moscale import MoScale
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_lab.data.samples import Sample


@torch.no_grad()
def match_codes(
    model: MoScale, old: TemporalTokenizer, new: TemporalTokenizer, samples: Sequence[Sample]
) -> None:
    """Change a generator's embeddings, heads and inputs from the old codes to the new ones.

    Args:
        model: The generator, with as many scales as the new tokenizer; changed in place.
        old: The tokenizer that it was trained with; its scales are the first of the new one's.
        new: The tokenizer to use.
        samples: Motions that show most codes.
    """
    scales, codes = old.quantizer.schedule.num_scales, new.config.num_codes
    together = torch.zeros(scales, codes, old.config.num_codes)
    sums: list[tuple[torch.Tensor, torch.Tensor]] = []
    for sample in samples:
        frames = len(sample.features) - len(sample.features) % new.frames_per_latent
        features = torch.from_numpy(sample.features[None, :frames])
        latents = frames // new.frames_per_latent
        before, after = old.encode(features), new.encode(features)[:scales]
        for scale, (own, other) in enumerate(zip(after, before, strict=True)):
            one = torch.ones(own.shape[1])
            together[scale].index_put_((own[0], other[0]), one, accumulate=True)
        for scale in range(1, scales + 1):
            sums.append(
                (
                    new.quantizer.accumulate(after[:scale], latents)[0],
                    old.quantizer.accumulate(before[:scale], latents)[0],
                )
            )
    shares = _shares(together)
    for scale, head in enumerate(model.heads_out):
        assert isinstance(head, nn.Linear)
        share = shares[min(scale, scales - 1)]
        head.weight.copy_(share @ head.weight)
        head.bias.copy_(share @ head.bias)
    embedding = model.code_embedding.weight
    embedding[:-1] = _shares(together.sum(0)) @ embedding[:-1]
    # (D, D): a sum of new codes times this is about the sum of the old ones.
    into_old = torch.linalg.lstsq(*(torch.cat(own) for own in zip(*sums, strict=True))).solution
    dim = new.config.code_dim
    model.input.weight[:, :dim] = model.input.weight[:, :dim] @ into_old.T
    # The query takes the place of a sum at the first scale.
    back = torch.linalg.pinv(into_old.T)
    model.query.weight.copy_(back @ model.query.weight)
    model.query.bias.copy_(back @ model.query.bias)


def _shares(together: torch.Tensor) -> torch.Tensor:
    """(..., new, old) counts to shares of the old codes; all codes where a new one is rare."""
    usual = together.sum(-2, keepdim=True)
    counts = together + usual / usual.sum(-1, keepdim=True).clamp(min=1.0)
    return counts / counts.sum(-1, keepdim=True).clamp(min=1e-9)

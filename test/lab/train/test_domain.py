"""The captions kept for a model's domain are the most different ones."""

import torch

from nextscale_lab.train.domain import spread_out


def test_few_rows_cover_the_directions_of_many():
    generator = torch.Generator().manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(4, 16, generator=generator), dim=1)
    rows = centres.repeat_interleave(25, dim=0) + 0.02 * torch.randn(100, 16, generator=generator)
    rows = torch.nn.functional.normalize(rows, dim=1)
    kept = spread_out(rows, 4)
    assert ((centres @ kept.T).amax(1) > 0.95).all()
    assert len(spread_out(rows, 1000)) == 100

"""Tiny pipelines of random weights, of codes and of bits, and the trained one."""

from __future__ import annotations

import pytest
import torch

from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.scalemogen import ScaleMoGen, ScaleMoGenConfig
from nextscale_core.model.skeletal_tokenizer import SkeletalConfig, SkeletalTokenizer
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_core.pipeline import MotionPipeline


@pytest.fixture(scope="session")
def pipeline() -> MotionPipeline:
    torch.manual_seed(0)
    tokenizer = TemporalTokenizer(
        TokenizerConfig(width=32, code_dim=16, num_codes=32, depth=1, divisors=(8, 4, 2, 1))
    )
    tokenizer.quantizer.codebook.normal_()
    generator = MoScale(
        MoScaleConfig(width=32, depth=1, heads=2, num_codes=32, code_dim=16, num_scales=4)
    )
    for parameter in generator.parameters():
        # A fresh model ignores most of its input (zero heads); noise makes it listen.
        parameter.data += 0.1 * torch.randn_like(parameter)
    return MotionPipeline(tokenizer, generator, name="tiny")


@pytest.fixture(scope="module")
def parts_pipeline() -> MotionPipeline:
    torch.manual_seed(0)
    tokenizer = SkeletalTokenizer(SkeletalConfig(width=16, depth=1, bits=6))
    schedule = tokenizer.config.schedule
    generator = ScaleMoGen(
        ScaleMoGenConfig(
            width=32,
            depth=1,
            heads=2,
            code_dim=6,
            num_scales=schedule.num_scales,
            groups=schedule.groups,
        )
    )
    for parameter in generator.parameters():
        # A fresh model ignores most of its input (zero heads).
        parameter.data += 0.1 * torch.randn_like(parameter)
    return MotionPipeline(tokenizer, generator, name="tiny")


@pytest.fixture(scope="session")
def trained(trained_model) -> MotionPipeline:
    return MotionPipeline.from_pretrained(trained_model)

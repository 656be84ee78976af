"""Tokenizer and decoder training as a whole: repeats, resumes, keeps what it was made with."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.checkpoint import load_part
from nextscale_core.model.kinds import load_tokenizer
from nextscale_core.model.skeletal_tokenizer import SCHEDULES, SkeletalConfig, SkeletalTokenizer
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_lab.data.samples import captioned_samples
from nextscale_lab.train import decoder as decoder_module
from nextscale_lab.train import tokenizer as tokenizer_module
from nextscale_lab.train.decoder import train_decoder
from nextscale_lab.train.distributed import TrainingStopped
from nextscale_lab.train.loop import RunConfig
from nextscale_lab.train.tokenizer import (
    evaluate_tokenizer,
    rescheduled,
    resized,
    tokenizer_config,
    train_tokenizer,
)

STEPS = 8
CONFIG = TokenizerConfig(width=8, code_dim=4, num_codes=16, depth=1)
PARTS = SkeletalConfig(
    width=8,
    bits=4,
    depth=1,
    frame_depth=1,
    divisors=(16, 2, 1),
    groups=SkeletalConfig.groups[:2] + SkeletalConfig.groups[-1:],
)


def settings(out, **options) -> RunConfig:
    common = {"steps": STEPS, "learning_rate": 3e-3, "warmup": 2, "eval_every": 4, "ema": 0.9}
    return RunConfig(out, precision="no", **(common | options))


def figures(out) -> list[dict]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "minutes"} for row in rows]


def stop_in(monkeypatch, module, name: str, calls: int) -> None:
    """SIGTERM comes while the loss is computed for the n-th time."""
    inner, seen = getattr(module, name), []

    def spy(*arguments):
        seen.append(0)
        if len(seen) == calls:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(*arguments)

    monkeypatch.setattr(module, name, spy)


def same_run(one, other) -> None:
    for ours, theirs in zip(figures(one), figures(other), strict=True):
        assert ours == pytest.approx(theirs)
    for folder in ("best", "last"):
        kept, other_s = (load_file(str(p / folder / "model.safetensors")) for p in (one, other))
        assert set(kept) == set(other_s)
        for name in kept:
            torch.testing.assert_close(kept[name], other_s[name], atol=1e-6, rtol=0)


@pytest.fixture
def trained(humanml3d, tmp_path):
    train_tokenizer(humanml3d, settings(tmp_path / "whole"), CONFIG, 256)
    return tmp_path / "whole"


def test_a_stopped_tokenizer_run_goes_on_along_the_same_curve(
    humanml3d, tmp_path, trained, monkeypatch
):
    # Codebook, its counts, the order of windows and the choice of scales all have to go on.
    out = tmp_path / "parts"
    with monkeypatch.context() as patch, pytest.raises(TrainingStopped, match="step 5 of 8"):
        stop_in(patch, tokenizer_module, "tokenizer_loss", 5)
        train_tokenizer(humanml3d, settings(out), CONFIG, 256)
    train_tokenizer(humanml3d, settings(out), CONFIG, 256)
    same_run(trained, out)


def test_the_same_seed_gives_the_same_run_and_the_weights_say_how_they_were_made(
    humanml3d, tmp_path, trained
):
    train_tokenizer(humanml3d, settings(tmp_path / "again"), CONFIG, 256)
    same_run(trained, tmp_path / "again")
    for folder in (trained, trained / "best", trained / "last"):
        kept = json.loads((folder / "run.json").read_text())
        assert kept["model"]["num_codes"] == 16 and kept["data"] == "waving"
        assert kept["batch_size"] == 256 and kept["precision"] == "no"
        assert str(tmp_path) not in json.dumps(kept)


def test_another_model_is_not_trained_on_in_the_same_folder(humanml3d, trained):
    wider = TokenizerConfig(width=16, code_dim=4, num_codes=16, depth=1)
    with pytest.raises(ConfigError, match=r"model\.width: 8 -> 16"):
        train_tokenizer(humanml3d, settings(trained), wider, 256)


def test_a_stopped_decoder_run_goes_on_and_leaves_the_tokens_alone(
    humanml3d, tmp_path, trained, monkeypatch
):
    whole, parts = tmp_path / "decoder", tmp_path / "decoder-parts"
    train_decoder(humanml3d, trained / "best", settings(whole), 256)
    with monkeypatch.context() as patch, pytest.raises(TrainingStopped):
        stop_in(patch, decoder_module, "reconstruction_loss", 3)
        train_decoder(humanml3d, trained / "best", settings(parts), 256)
    train_decoder(humanml3d, trained / "best", settings(parts), 256)
    same_run(whole, parts)
    before, after = (
        load_file(str(p / "model.safetensors")) for p in (trained / "best", whole / "last")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)


def test_a_tokenizer_with_further_scales_keeps_its_tokens_and_loses_less_of_the_latents():
    torch.manual_seed(1)
    small = TemporalTokenizer(CONFIG).eval()
    large = resized(small, TokenizerConfig(divisors=(8, 4, 2, 1, 1, 1, 1), frame_depth=2)).eval()
    motion = torch.randn(2, 40, 263)
    kept, more = small.encode(motion), large.encode(motion)
    assert len(more) == 7 and all(map(torch.equal, kept, more))
    assert torch.equal(small.decode(kept, 10), large.decode(kept, 10))
    # And back: scales that a generator lacks are left out.
    again = resized(large, TokenizerConfig(frame_depth=2)).eval()
    assert all(map(torch.equal, kept, again.encode(motion)))
    latents = small.encode_latents(small.normalize(motion))
    left = [(latents - t.quantizer(latents).latents).norm() for t in (small, large)]
    assert left[1] < left[0]


def test_training_goes_on_from_a_trained_tokenizer_with_a_further_scale(
    humanml3d, tmp_path, trained
):
    run = settings(tmp_path / "more", steps=1, learning_rate=1e-5, warmup=1)
    config = TokenizerConfig(divisors=(8, 4, 2, 1, 1, 1))
    train_tokenizer(humanml3d, run, config, 256, initial=trained / "best")
    before, after = (
        load_part(TemporalTokenizer, folder / "best") for folder in (trained, tmp_path / "more")
    )
    assert after.config.width == 8 and len(after.config.divisors) == 6
    # One step moves the codes a little; codes of a first batch would be others.
    moved = (after.quantizer.codebook - before.quantizer.codebook).norm(dim=1)
    assert moved.median() < 0.2 * before.quantizer.codebook.norm(dim=1).median()
    assert json.loads((tmp_path / "more" / "run.json").read_text())["initial"] == "best"


def test_the_decoder_alone_is_trained_on_where_the_tokens_are_kept(humanml3d, tmp_path, trained):
    config = TokenizerConfig(divisors=(8, 4, 2, 1, 1, 1), frame_depth=1)
    run = settings(tmp_path / "decoder")
    train_tokenizer(humanml3d, run, config, 256, initial=trained / "best", keep_tokens=True)
    before, after = (
        load_file(str(p / "model.safetensors")) for p in (trained / "best", run.out / "last")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)


def test_a_stopped_run_of_body_parts_goes_on_along_the_same_curve(humanml3d, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_tokenizer(humanml3d, settings(whole), PARTS, 256)
    with monkeypatch.context() as patch, pytest.raises(TrainingStopped, match="step 5 of 8"):
        stop_in(patch, tokenizer_module, "tokenizer_loss", 5)
        train_tokenizer(humanml3d, settings(parts), PARTS, 256)
    train_tokenizer(humanml3d, settings(parts), PARTS, 256)
    same_run(whole, parts)
    trained = load_tokenizer(whole / "best")
    assert isinstance(trained, SkeletalTokenizer) and trained.config == PARTS
    assert {"val_mpjpe_mm_3", "val_bit_entropy", "val_slide_cm_s"} <= set(figures(whole)[0])
    # Its decoder is trained on alone, so that tokens stay valid.
    run = settings(tmp_path / "decoder", steps=2)
    train_tokenizer(humanml3d, run, PARTS, 256, initial=whole / "best", keep_tokens=True)
    before, after = (
        load_file(str(p / "model.safetensors")) for p in (whole / "best", run.out / "last")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)


def test_a_shorter_schedule_keeps_the_tokens_of_its_scales_and_another_kind_is_refused(
    humanml3d, tmp_path, trained
):
    torch.manual_seed(2)
    own = replace(PARTS, divisors=SkeletalConfig.divisors, groups=SkeletalConfig.groups)
    whole = SkeletalTokenizer(own).eval()
    whole.quantizer.spread.uniform_()
    short = rescheduled(whole, tokenizer_config("skeletal", "short")).eval()
    motion = torch.randn(1, 80, 263)
    kept, more = short.encode(motion), whole.encode(motion)
    assert short.config.width == 8 and len(kept) == 5 and all(map(torch.equal, kept, more))
    assert torch.equal(short.decode(kept, 20), whole.decode(more[:5], 20))
    assert torch.equal(short.quantizer.spread, whole.quantizer.spread[:5])
    with pytest.raises(ConfigError, match="another kind"):
        train_tokenizer(humanml3d, settings(tmp_path), PARTS, 256, initial=trained / "best")


def test_a_decoder_that_repeats_the_recording_has_no_error_and_its_feet_slide_as_recorded(
    humanml3d, monkeypatch
):
    samples = captioned_samples(humanml3d, "val")
    tokenizer = SkeletalTokenizer(PARTS).eval()
    whole = {len(s.features) // 4: s.features[: len(s.features) // 4 * 4] for s in samples}
    monkeypatch.setattr(
        tokenizer, "decode", lambda tokens, latents: torch.from_numpy(whole[latents])[None]
    )
    metrics = evaluate_tokenizer(tokenizer, samples[:1], torch.device("cpu"))
    assert metrics["mpjpe_mm"] == 0 and metrics["contact"] == 1
    assert 0 <= metrics["slide_cm_s"] < 100


def test_options_of_a_kind_become_its_sizes_and_others_are_refused():
    assert tokenizer_config("temporal", more_scales=2, width=None) == TokenizerConfig(
        divisors=(8, 4, 2, 1, 1, 1, 1)
    )
    own = tokenizer_config("skeletal", "published", bits=24, code_dim=None)
    assert own == SkeletalConfig(
        bits=24, divisors=SCHEDULES["published"].divisors, groups=SCHEDULES["published"].groups
    )
    for wrong, reason in (
        (("skeletal", None, 2), "more scales"),
        (("temporal", "published"), "schedule"),
        (("skeletal", "fast"), "product or short or published"),
        (("spectral",), "temporal or skeletal"),
    ):
        with pytest.raises(ConfigError, match=reason):
            tokenizer_config(*wrong)
    with pytest.raises(ConfigError, match="code dim"):
        tokenizer_config("skeletal", code_dim=8)

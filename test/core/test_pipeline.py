from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch

from nextscale_core.exceptions import (
    ConfigError,
    GenerationCancelled,
    InvalidTextError,
    ModelLoadError,
)
from nextscale_core.model import judge
from nextscale_core.model.judge import DisagreementWarning, best_of
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.model.options import GenerationOptions, candidate_seeds
from nextscale_core.model.sampling import SamplingConfig
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.mirror import mirror_clip
from nextscale_core.motion.skeleton import STANDARD_BONES, bone_lengths
from nextscale_core.pipeline import MotionPipeline
from nextscale_core.stopwatch import Run, Stopwatch
from nextscale_core.text.plain_words import wordings

TEXT = "a person walks forward"


@pytest.fixture(scope="module")
def pipeline():
    """A tiny pipeline of random weights."""
    torch.manual_seed(0)
    tokenizer = TemporalTokenizer(
        TokenizerConfig(width=32, code_dim=16, num_codes=32, depth=1, divisors=(8, 4, 2, 1))
    )
    generator = MoScale(
        MoScaleConfig(width=32, depth=1, heads=2, num_codes=32, code_dim=16, num_scales=4)
    )
    return MotionPipeline(tokenizer, generator, name="tiny")


@pytest.fixture(scope="module")
def trained(trained_model):
    return MotionPipeline.from_pretrained(trained_model)


@pytest.mark.parametrize(("seconds", "frames"), [(1.0, 20), (3.3, 64), (9.8, 196)])
def test_a_motion_has_the_length_asked_for(pipeline, seconds, frames):
    clip = pipeline.generate(TEXT, seconds=seconds)
    assert abs(len(clip) - frames) <= 2
    assert clip.fps == 20.0
    assert clip.text == TEXT


def test_the_same_seed_gives_the_same_motion(pipeline):
    one, two = (pipeline.generate(TEXT, seed=5, seconds=2) for _ in range(2))
    other = pipeline.generate(TEXT, seed=6, seconds=2)
    assert np.array_equal(one.joints, two.joints)
    assert not np.array_equal(one.joints, other.joints)


def test_a_motion_is_the_same_alone_and_in_a_batch(pipeline):
    texts = [TEXT, "a person squats down slowly and stands up", "someone jumps"]
    together = pipeline.generate_batch(texts, seeds=[1, 2, 3], seconds=[2.0, 5.0, 3.0])
    for text, seed, seconds, clip in zip(texts, (1, 2, 3), (2.0, 5.0, 3.0), together, strict=True):
        alone = pipeline.generate(text, seed=seed, seconds=seconds)
        assert np.allclose(alone.joints, clip.joints, atol=1e-3)


def test_limbs_have_human_lengths_and_the_seed_is_kept(pipeline):
    clip = pipeline.generate(TEXT, seed=9, seconds=3)
    assert np.abs(bone_lengths(clip.joints) - STANDARD_BONES).max() < 1e-3
    assert clip.seed == 9


def test_without_a_length_the_model_chooses_one(pipeline):
    clip = pipeline.generate(TEXT)
    assert 1.0 <= clip.seconds <= 9.8
    assert abs(clip.seconds - pipeline.choose_seconds(TEXT)) <= 0.2


def test_of_several_candidates_the_one_that_agrees_best_is_returned(pipeline):
    options = GenerationOptions(seed=3, seconds=2.0, candidates=6)
    (chosen,) = pipeline.generate_batch([TEXT], options)
    assert chosen.seed == 3 and chosen.text == TEXT
    each = [
        pipeline.generate(TEXT, seed=s, seconds=2.0, candidates=1) for s in candidate_seeds(3, 6)
    ]
    assert len({clip.joints.tobytes() for clip in each}) == 6
    best = each[best_of(TEXT, each)]
    assert np.allclose(chosen.joints, best.joints, atol=1e-3)
    # In a batch each sentence is ranked among its own candidates.
    other, again = pipeline.generate_batch(["a person squats", TEXT], options, seeds=[8, 3])
    assert other.text == "a person squats"
    assert np.allclose(again.joints, chosen.joints, atol=1e-3)
    # Where nothing can be said, the motion is that of the seed alone.
    words = "a person juggles"
    alone, many = (pipeline.generate(words, seed=1, seconds=2.0, candidates=n) for n in (1, 3))
    assert np.allclose(alone.joints, many.joints, atol=1e-3)


@pytest.mark.parametrize("seconds", [2.0, None])
@pytest.mark.parametrize("chosen", range(4))
def test_candidates_of_a_side_are_made_of_the_mirrored_words_too(
    pipeline, chosen, seconds, monkeypatch
):
    """Where no duration is asked for, each has that of its words."""
    sentence, calls = "someone kicks with his left leg", itertools.count()
    assert [way.mirrored for way in wordings(sentence)] == [False, True, False, True]
    monkeypatch.setattr(judge, "agreement", lambda *_: float(next(calls) == chosen))
    clip = pipeline.generate(sentence, seed=3, seconds=seconds, candidates=4)
    assert clip.seed == 3 and clip.text == sentence
    way, seed = wordings(sentence)[chosen], candidate_seeds(3, 4)[chosen]
    alone = pipeline.generate(way.words, seed=seed, seconds=seconds, candidates=1)
    expected = mirror_clip(alone) if way.mirrored else alone
    assert np.allclose(clip.joints, expected.joints, atol=1e-3)
    assert np.array_equal(clip.contacts, expected.contacts)


def test_the_stages_are_timed_and_the_passes_counted(pipeline):
    watch, seen = Stopwatch(), []
    pipeline.generate(
        TEXT, seconds=2, steps=(1, 1, 2, 3), run=Run(watch, lambda *a: seen.append(a))
    )
    assert list(watch.seconds) == ["text", "generate", "decode"]
    # Half of them are those of the first candidate.
    assert seen == [(k, 14) for k in range(1, 15)] or seen == [
        *((k, 14) for k in range(1, 8)),
        (14, 14),
    ]
    seen.clear()
    pipeline.generate(
        TEXT,
        seconds=2,
        steps=(1, 1, 2, 3),
        candidates=1,
        run=Run(progress=lambda *a: seen.append(a)),
    )
    assert seen == [(k, 7) for k in range(1, 8)]


def test_a_caller_can_stop_the_work(pipeline):
    def stop(done, total):
        raise GenerationCancelled("newer sentence")

    with pytest.raises(GenerationCancelled):
        pipeline.generate(TEXT, run=Run(progress=stop))


@pytest.mark.parametrize("text", ["", "   ", "\x07", "12 34", "x" * 10_000, "人が歩く"])
def test_bad_text_is_refused(pipeline, text):
    with pytest.raises(InvalidTextError):
        pipeline.generate(text)


@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 0.5},
        {"seconds": 30.0},
        {"seconds": float("nan")},
        {"guidance": -1.0},
        {"guidance": 1e9},
        {"steps": (1, 2)},
        {"steps": (0, 1, 1, 1)},
        {"seed": -1},
        {"seed": 1.5},
        {"seconds": "3"},
        {"steps": 4},
        {"candidates": 0},
        {"candidates": 65},
        {"candidates": 2.0},
    ],
)
def test_options_out_of_range_are_refused(pipeline, options):
    with pytest.raises(ConfigError):
        pipeline.generate(TEXT, **options)
    with pytest.raises(ConfigError):
        pipeline.generate_batch([TEXT], **options)


def test_an_unknown_option_is_refused_with_the_known_ones(pipeline):
    with pytest.raises(ConfigError, match=r"'sed'.*seed, seconds, guidance, steps"):
        pipeline.generate(TEXT, sed=1)


def test_changes_replace_fields_of_the_options(pipeline):
    options = GenerationOptions(seed=5, seconds=2.0)
    one = pipeline.generate(TEXT, options, seed=6)
    assert np.array_equal(one.joints, pipeline.generate(TEXT, seed=6, seconds=2.0).joints)


def test_without_seeds_a_batch_counts_up_from_the_seed_of_the_options(pipeline):
    clips = pipeline.generate_batch([TEXT, TEXT], seed=7, seconds=1.0)
    assert [clip.seed for clip in clips] == [7, 8]


def test_every_sentence_needs_a_seed(pipeline):
    with pytest.raises(ConfigError, match="seeds"):
        pipeline.generate_batch([TEXT, TEXT], seeds=[1])


def test_no_sentences_give_no_motions(pipeline):
    assert pipeline.generate_batch([], seeds=[]) == []


def test_a_saved_pipeline_comes_back(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "tiny", half=False)
    again = MotionPipeline.from_pretrained(tmp_path / "tiny")
    assert again.name == "tiny"
    assert again.sampling == pipeline.sampling
    one = pipeline.generate(TEXT, seconds=2)
    assert np.allclose(one.joints, again.generate(TEXT, seconds=2).joints, atol=1e-4)


def test_saving_in_half_precision_leaves_the_pipeline_as_it_was(pipeline, tmp_path):
    before = {k: v.clone() for k, v in pipeline.generator.state_dict().items()}
    pipeline.save_pretrained(tmp_path / "half")
    for name, value in pipeline.generator.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_an_unknown_model_is_named(tmp_path):
    with pytest.raises(ModelLoadError, match="no-such-model"):
        MotionPipeline.from_pretrained("no-such-model")
    with pytest.raises(ModelLoadError):
        MotionPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cpu:x", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device):
    with pytest.raises(ConfigError, match="there is cpu"):
        MotionPipeline.from_pretrained(device=device)


@pytest.mark.parametrize("part", ["tokenizer", "generator"])
def test_cut_or_foreign_weights_are_refused(pipeline, tmp_path, part):
    pipeline.save_pretrained(tmp_path)
    weights = tmp_path / part / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelLoadError):
        MotionPipeline.from_pretrained(tmp_path)
    weights.write_bytes(whole)
    config = tmp_path / part / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"width": 64}))
    with pytest.raises(ModelLoadError):
        MotionPipeline.from_pretrained(tmp_path)


def test_bad_sampling_settings_are_refused(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    (tmp_path / "sampling.json").write_text('{"steps": [0, 0, 0, 0]}')
    with pytest.raises(ModelLoadError, match=r"sampling\.json"):
        MotionPipeline.from_pretrained(tmp_path)


def test_guidance_overrides_keep_the_ratio_of_the_scales():
    config = SamplingConfig(guidance=(4.0, 4.0, 2.0, 1.0)).with_overrides(
        GenerationOptions(guidance=2.0)
    )
    assert config.guidance == (2.0, 2.0, 1.0, 0.5)


def test_the_trained_model_walks_forward(trained):
    clips = trained.generate_batch([TEXT] * 4, seeds=range(4), seconds=4.0)
    forward = [clip.joints[-1, 0, 0] - clip.joints[0, 0, 0] for clip in clips]
    assert np.median(forward) > 1.0


def test_the_trained_model_stands_upright_on_the_floor(trained):
    for clip in trained.generate_batch(["a person waves"] * 4, seeds=range(4)):
        assert 0.75 < np.median(clip.joints[:, 0, 2]) < 1.1
        lowest = clip.joints[..., 2].min(1)
        assert lowest.min() > -0.03 and np.median(lowest) < 0.08
        assert abs(float(heading_yaw(clip.joints[:1])[0])) < 0.5


def test_the_trained_model_keeps_standing_feet_still(trained):
    clip = trained.generate(TEXT, seed=1, seconds=5)
    for column, joint in ((1, 10), (3, 11)):
        standing = clip.contacts[:-1, column] & clip.contacts[1:, column]
        speed = np.linalg.norm(np.diff(clip.joints[:, joint, :2], axis=0), axis=1) * 20
        assert standing.any()
        assert speed[standing].mean() < 0.02


def test_a_motion_that_does_not_show_its_sentence_is_reported(trained, monkeypatch, recwarn):
    walk = trained.generate(TEXT, seed=1, seconds=4)
    assert not [one for one in recwarn if issubclass(one.category, DisagreementWarning)]
    monkeypatch.setattr(trained, "generate_batch", lambda *_, **__: [walk])
    with pytest.warns(DisagreementWarning, match=r"'a person claps' asks for \(agreement 0\.\d\d"):
        trained.generate("a person claps")
    # Rules know nothing of it.
    assert trained.motion_remark("a person dances", walk) is None

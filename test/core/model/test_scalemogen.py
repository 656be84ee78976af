"""The laws of ScaleMoGen: its transformer, and sampling of the bits of body parts."""

from __future__ import annotations

import pytest
import torch

from nextscale_core.exceptions import ConfigError, ModelLoadError
from nextscale_core.model.binary_quantizer import BinaryQuantizer
from nextscale_core.model.conditioned import cache_of
from nextscale_core.model.inpainting import KnownLatents
from nextscale_core.model.kinds import check_fit, load_generator
from nextscale_core.model.sampling import NextScaleSampler, SamplingConfig, default_sampling
from nextscale_core.model.scalemogen import ScaleMoGen, ScaleMoGenConfig
from nextscale_core.model.scales import PaddedScales, ScaleSchedule
from nextscale_core.model.skeletal_tokenizer import SCHEDULES, SkeletalConfig, SkeletalTokenizer
from nextscale_core.text.encoder import TextFeatures

BITS, PARTS = 6, 3
BODY, HALVES, SINGLE = ((0, 1, 2),), ((0,), (1, 2)), ((0,), (1,), (2,))
SCHEDULE = ScaleSchedule((8, 4, 2, 1), (BODY, HALVES, SINGLE, SINGLE))
SIZES = {"width": 32, "depth": 2, "heads": 2, "text_dim": 12, "code_dim": BITS}
SAMPLING = SamplingConfig((2, 3, 2, 1), (2.0, 1.0, 1.0, 0.5), (1.0,) * 4)


def made(own_tokens: bool = True) -> ScaleMoGen:
    torch.manual_seed(0)
    config = ScaleMoGenConfig(**SIZES, num_scales=4, groups=SCHEDULE.groups, own_tokens=own_tokens)
    model = ScaleMoGen(config).eval()
    for parameter in model.parameters():
        # A fresh model ignores most of its input (zero heads).
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def model() -> ScaleMoGen:
    return made()


@pytest.fixture(scope="module")
def sampler(model) -> NextScaleSampler:
    return NextScaleSampler(model, BinaryQuantizer(BITS, SCHEDULE).eval())


def features(batch: int) -> TextFeatures:
    tokens = torch.randn(batch, 5, 12, generator=torch.Generator().manual_seed(0))
    return TextFeatures(tokens, torch.ones(batch, 5, dtype=torch.bool), tokens.mean(1))


def inputs(padded: PaddedScales) -> tuple[list, list]:
    """Random tokens of all scales, some of them masked, and sums of coarser scales."""
    shapes = [mask.shape for mask in padded.token_masks]
    tokens = [torch.randint(2**BITS + 1, shape) for shape in shapes]
    return tokens, [None, *(torch.randn(*shape, BITS) for shape in shapes[1:])]


def equal(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_every_place_and_every_group_of_parts_has_other_logits(model):
    padded = PaddedScales.build([32], SCHEDULE)
    condition = model.condition(features(1), padded.lengths)
    for scale, mask in enumerate(padded.token_masks):
        tokens = torch.full(mask.shape, model.mask_token)
        coarse = torch.zeros(*mask.shape, BITS) if scale else None
        embedded = model.embed(tokens, coarse, model.places(padded)[scale], condition)[0].detach()
        apart = torch.cdist(embedded, embedded) + torch.eye(len(embedded))
        assert float(apart.min()) > 1e-2


def test_cached_steps_equal_the_whole_pass_and_padding_is_never_seen(model):
    torch.manual_seed(1)
    padded = PaddedScales.build([20, 9], SCHEDULE)
    tokens, coarse = inputs(padded)
    with torch.no_grad():
        whole = model(tokens, coarse, padded, features(2))
        alone_text = features(2).rows([1])
        short = PaddedScales.build([9], SCHEDULE)
        sizes = [mask.shape[1] for mask in short.token_masks]
        cut = [
            [None if v is None else v[1:, :n] for v, n in zip(values, sizes, strict=True)]
            for values in (tokens, coarse)
        ]
        alone = model(*cut, short, alone_text)
        condition, places = model.condition(features(2), padded.lengths), model.places(padded)
        cache = cache_of(model, condition, sum(m.shape[1] for m in padded.token_masks))
        for scale in range(4):
            x = model.embed(tokens[scale], coarse[scale], places[scale], condition)
            logits = model.step(x, scale, padded, cache)
            cache.keep()
            seen = padded.token_masks[scale]
            torch.testing.assert_close(logits[seen], whole[scale][seen], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(
                alone[scale][0], whole[scale][1, : sizes[scale]], atol=1e-5, rtol=1e-4
            )


def test_a_scale_never_sees_a_finer_one(model):
    torch.manual_seed(2)
    padded = PaddedScales.build([20], SCHEDULE)
    tokens, coarse = inputs(padded)
    before = model(tokens, coarse, padded, features(1))
    for scale in range(1, 4):
        changed = [t.clone() for t in tokens]
        changed[scale] = (changed[scale] + 1) % 2**BITS
        after = model(changed, coarse, padded, features(1))
        assert equal(before[:scale], after[:scale])
        assert not torch.equal(before[scale], after[scale])


def test_the_published_form_does_not_look_at_the_tokens_of_its_own_scale():
    torch.manual_seed(3)
    padded = PaddedScales.build([20], SCHEDULE)
    tokens, coarse = inputs(padded)
    other = [(own + 1) % 2**BITS for own in tokens]
    published = made(own_tokens=False)
    one, two = (published(own, coarse, padded, features(1)) for own in (tokens, other))
    assert equal(one, two)


def test_the_same_seed_gives_the_same_bits_and_another_one_others(sampler):
    draw = [sampler.sample(features(1), [20], [seed], SAMPLING)[0] for seed in (7, 7, 8)]
    assert equal(draw[0], draw[1]) and not equal(draw[0], draw[2])
    assert tuple(map(len, draw[0])) == SCHEDULE.tokens(20)
    assert all(int(own.min()) >= 0 and int(own.max()) < 2**BITS for own in draw[0])


def test_a_motion_does_not_depend_on_the_others_in_its_batch(sampler):
    text = features(3)
    together = sampler.sample(text, [30, 8, 49], [1, 2, 3], SAMPLING)
    for row, length in enumerate((30, 8, 49)):
        alone = sampler.sample(text.rows([row]), [length], [row + 1], SAMPLING)[0]
        assert equal(alone, together[row])


@pytest.mark.parametrize("seed", range(4))
def test_known_bits_of_parts_never_change(sampler, seed):
    random = torch.Generator().manual_seed(seed)
    latents = torch.randn(22, PARTS * BITS, generator=random)
    known = torch.rand(22, PARTS, generator=random) < 0.7
    given = KnownLatents(latents, known)
    (out,) = sampler.sample(features(1), [22], [seed], SAMPLING, [given])
    # What is not known does not matter, not even for the bits that are drawn.
    other = KnownLatents(torch.where(given.mask, latents, 9.0), known)
    assert equal(out, sampler.sample(features(1), [22], [seed], SAMPLING, [other])[0])
    padded, total = PaddedScales.build([22], SCHEDULE), torch.zeros(1, 22, PARTS * BITS)
    for scale, own in enumerate(out):
        wanted = given.at_scale(sampler.quantizer, scale, total[0])
        assert torch.equal(own[wanted.known], wanted.tokens[wanted.known])
        total = total + sampler.quantizer.contribution(own[None], scale, padded)
    assert torch.equal(wanted.known, known.flatten())


def test_a_known_part_alone_in_its_group_is_known_at_coarse_scales_too(sampler):
    known = torch.tensor([[True, False, False]]).expand(16, 3)
    given = KnownLatents(torch.randn(16, PARTS * BITS), known)
    own = [given.at_scale(sampler.quantizer, k, torch.zeros(16, 18)) for k in range(4)]
    assert own[0].known.tolist() == [False] * 2 and own[0].evidence is not None
    assert own[1].known.tolist() == [True, False] * 4 and own[1].evidence is None
    assert own[3].known.tolist() == [True, False, False] * 16


def test_if_all_is_known_all_comes_back_and_if_nothing_is_the_sentence_decides(sampler):
    latents = torch.randn(16, PARTS * BITS, generator=torch.Generator().manual_seed(0))
    for shape in ((16,), (16, PARTS)):
        given = KnownLatents(latents, torch.ones(shape, dtype=torch.bool))
        (out,) = sampler.sample(features(1), [16], [0], SAMPLING, [given])
        assert equal(out, [own[0] for own in sampler.quantizer(latents[None]).tokens])
        nothing = KnownLatents(latents, torch.zeros(shape, dtype=torch.bool))
        (free,) = sampler.sample(features(1), [16], [0], SAMPLING, [nothing])
        assert equal(free, sampler.sample(features(1), [16], [0], SAMPLING)[0])


def test_the_loader_of_a_folder_finds_the_class_and_all_settings(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, ScaleMoGen) and again.config == model.config
    assert equal(again.state_dict().values(), model.state_dict().values())


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_generator_for_other_scales_or_bits_does_not_fit(schedule):
    tokenizer = SkeletalTokenizer(
        SkeletalConfig(width=8, depth=1, divisors=schedule.divisors, groups=schedule.groups)
    )
    config = ScaleMoGenConfig(
        width=8, heads=2, depth=1, num_scales=schedule.num_scales, groups=schedule.groups
    )
    check_fit(tokenizer, ScaleMoGen(config))
    single = (tuple((part,) for part in range(7)),) * schedule.num_scales
    for wrong in ({"code_dim": 8}, {"groups": single}, {"num_scales": 1, "groups": single[:1]}):
        values = {**vars(config), **wrong}
        with pytest.raises(ModelLoadError, match="for another tokenizer"):
            check_fit(tokenizer, ScaleMoGen(ScaleMoGenConfig(**values)))


@pytest.mark.parametrize(
    "wrong", [{"code_dim": 25}, {"groups": (BODY,)}, {"groups": (SINGLE, BODY)}, {"kind": "other"}]
)
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ConfigError):
        ScaleMoGenConfig(**({"width": 8, "heads": 2, "num_scales": 2} | wrong))


def test_the_published_form_takes_one_pass_a_scale_and_ours_more_for_the_plan():
    for schedule in SCHEDULES.values():
        assert set(default_sampling(schedule, own_tokens=False).steps) == {1}
        steps = default_sampling(schedule).steps
        assert steps[0] == 1 and steps[1] > 1 and steps[-1] == 1

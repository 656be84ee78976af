"""The tokenizer of body parts: features by joint, parts that never meet, its folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nextscale_core.exceptions import ConfigError, ModelLoadError
from nextscale_core.model.kinds import load_tokenizer
from nextscale_core.model.skeletal_tokenizer import (
    PARTS,
    SCHEDULES,
    SkeletalConfig,
    SkeletalTokenizer,
    part_features,
)

SMALL = SkeletalConfig(width=16, bits=8, depth=2, frame_depth=1)


@pytest.fixture(scope="module")
def tokenizer() -> SkeletalTokenizer:
    torch.manual_seed(0)
    model = SkeletalTokenizer(SMALL).eval()
    model.feature_mean.normal_()
    model.feature_std.uniform_(0.5, 2)
    return model


def test_every_joint_is_of_one_part_and_every_feature_too():
    assert sorted(joint for joints in PARTS.values() for joint in joints) == list(range(22))
    assert sorted(i for part in part_features() for i in part) == list(range(263))
    assert list(map(len, part_features())) == [7, 50, 50, 36, 48, 48, 24]


def test_features_to_parts_and_back_is_a_permutation(tokenizer):
    features = torch.randn(2, 8, 263)
    assert torch.equal(tokenizer.from_parts(tokenizer.to_parts(features)), features)


def test_tokens_are_those_of_the_schedule_and_decoding_gives_four_frames_a_latent(tokenizer):
    for frames in (4, 61, 196):
        tokens = tokenizer.encode(torch.randn(2, frames, 263))
        assert tuple(t.shape[1] for t in tokens) == SMALL.schedule.tokens(frames // 4)
        assert tokenizer.decode(tokens, frames // 4).shape == (2, frames // 4 * 4, 263)


def test_other_tokens_of_the_arms_leave_the_features_of_other_parts_to_the_bit(tokenizer):
    tokens = tokenizer.encode(torch.randn(1, 80, 263))
    other = [t.clone() for t in tokens]
    arms = [list(PARTS).index(name) for name in ("left_arm", "right_arm")]
    for scale, groups in enumerate(SMALL.schedule.groups):
        for part in arms:
            if (part,) in groups:
                other[scale][:, groups.index((part,)) :: len(groups)] ^= 0b10110
    before, after = (tokenizer.decode(t, 20)[0] for t in (tokens, other))
    changed = (before != after).any(0).nonzero()[:, 0].tolist()
    own = {index for part in arms for index in part_features()[part]}
    assert changed and set(changed) <= own


def test_other_features_of_a_part_leave_the_latents_of_all_others_to_the_bit(tokenizer):
    features = torch.randn(1, 40, 263)
    moved = features.clone()
    moved[..., list(part_features()[4])] += 1.0
    one, two = (tokenizer.encode_latents(x).unflatten(-1, (7, -1)) for x in (features, moved))
    assert (one != two).any(-1).any(1)[0].tolist() == [part == 4 for part in range(7)]


def test_motions_of_a_batch_do_not_change_each_other(tokenizer):
    batch = torch.randn(3, 40, 263)
    together = tokenizer.encode_latents(batch)
    for row in range(3):
        alone = tokenizer.encode_latents(batch[row : row + 1])[0]
        assert torch.allclose(together[row], alone, atol=1e-5)


def test_a_folder_gives_the_same_tokenizer_by_its_kind(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert isinstance(again, SkeletalTokenizer) and again.config == SMALL
    features = torch.randn(1, 40, 263)
    tokens = tokenizer.encode(features)
    assert all(map(torch.equal, tokens, again.encode(features)))
    assert torch.equal(tokenizer.decode(tokens, 10), again.decode(tokens, 10))
    other = SkeletalTokenizer(replace(SMALL, width=8))
    other.save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "config.json").replace(tmp_path / "config.json")
    with pytest.raises(ModelLoadError, match="does not fit"):
        load_tokenizer(tmp_path)


def test_the_published_schedule_has_the_tokens_of_the_paper():
    tokens = SCHEDULES["published"].tokens(49)
    assert tokens == (1, 2, 4, 6, 14, 21, 36, 72, 120, 245, 343)
    assert sum(tokens) == 864


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_begins_with_one_token_and_ends_with_every_part(name):
    schedule = SCHEDULES[name]
    assert schedule.tokens(49)[0] == 1
    assert schedule.groups[-1] == tuple((part,) for part in range(7))
    assert schedule.complete == (name != "short")


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0},
        {"bits": 25},
        {"frame_depth": -1},
        {"kind": "temporal"},
        {"divisors": (4, 2), "groups": SMALL.groups[:2]},
        {"divisors": (1,), "groups": (((0, 1, 2, 3, 4, 5, 6),),)},
        {"divisors": (1,), "groups": ()},
    ],
)
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ConfigError):
        SkeletalTokenizer(SkeletalConfig(**wrong))

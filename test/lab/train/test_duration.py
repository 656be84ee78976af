from __future__ import annotations

import pytest
import torch

from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.model.moscale import MoScale, MoScaleConfig
from nextscale_core.text.encoder import TextEncoder, TextFeatures
from nextscale_lab.train.duration import (
    DurationConfig,
    DurationData,
    duration_data,
    fit_duration,
    teach_duration,
)
from nextscale_lab.train.entries import SentenceTable

SMALL = MoScaleConfig(width=16, depth=1, heads=2, num_codes=8, code_dim=4, num_scales=2, text_dim=6)
QUICK = DurationConfig(steps=300, learning_rate=1e-2)


def samples(seconds: list[float], weights: list[float] | None = None) -> DurationData:
    """One sentence, a unit vector, for each of the durations."""
    count = len(seconds)
    drawn = torch.tensor(weights or [1.0 / count] * count)
    return DurationData(torch.eye(6)[:count], torch.tensor(seconds), drawn)


def guesses(model: MoScale, pooled: torch.Tensor) -> list[float]:
    rows = len(pooled)
    text = TextFeatures(torch.zeros(rows, 1, 6), torch.ones(rows, 1, dtype=torch.bool), pooled)
    with torch.no_grad():
        return model.eval().predict_seconds(text).tolist()


def test_sentences_of_different_length_are_told_apart():
    torch.manual_seed(0)
    model, taught = MoScale(SMALL), samples([1.5, 4.0, 9.0])
    fit_duration(model, taught, QUICK)
    assert guesses(model, taught.pooled) == pytest.approx([1.5, 4.0, 9.0], rel=0.15)


def test_of_one_sentence_the_median_is_learnt():
    torch.manual_seed(0)
    # The mean is 4.2 s, the mean logarithm 2.9 s.
    one = DurationData(torch.eye(6)[[0] * 5], torch.tensor([1.0, 2, 2, 8, 8]), torch.ones(5) / 5)
    model = MoScale(SMALL)
    fit_duration(model, one, QUICK)
    assert guesses(model, torch.eye(6)[:1]) == pytest.approx([2.0], abs=0.4)


def test_nothing_but_the_head_changes_and_it_is_frozen():
    torch.manual_seed(0)
    model = MoScale(SMALL).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    error = fit_duration(model, samples([2.0, 6.0]), QUICK)
    assert 0 < error < 2
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("duration")
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != name.startswith("duration")


def test_the_same_seed_gives_the_same_head_whatever_it_was_before():
    heads = []
    for start in (0, 1):
        torch.manual_seed(start)
        model = MoScale(SMALL)
        fit_duration(model, samples([2.0, 6.0]), DurationConfig(steps=20))
        heads.append(model.duration.state_dict())
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])


def test_captions_of_recorded_clips_and_of_single_actions_have_their_shares(shared):
    flat = DurationConfig(single_actions=0.1, balance=0.0)
    found = duration_data(shared / "data" / "cmu", TextEncoder(), flat)
    assert len(found.pooled) == len(found.seconds) == len(found.weights) > 3000
    assert found.weights.sum().item() == pytest.approx(1.0, abs=1e-4)
    clips = found.weights == found.weights[0]
    assert found.weights[~clips].sum().item() == pytest.approx(0.1, abs=1e-4)
    assert found.seconds[~clips].median() < found.seconds[clips].median()


def test_a_share_of_all_is_refused():
    with pytest.raises(ConfigError, match="single_actions"):
        DurationConfig(single_actions=1.0)


class Words:
    """Encodes a sentence by its length; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> TextFeatures:
        self.asked += texts
        pooled = torch.nn.functional.one_hot(torch.tensor([len(t) % 6 for t in texts]), 6).float()
        tokens = torch.zeros(len(texts), 1, 6)
        return TextFeatures(tokens, torch.ones(len(texts), 1, dtype=torch.bool), pooled)


def test_broken_data_is_refused_or_left_out_as_the_run_says(humanml3d, caplog):
    (humanml3d / "new_joint_vecs" / "000001.npy").write_bytes(b"")
    model, quick = MoScale(SMALL), DurationConfig(steps=5)
    with pytest.raises(MotionFileError, match=r"000001\.npy"):
        teach_duration(model, humanml3d, Words(), quick)
    assert teach_duration(model, humanml3d, Words(), quick, policy="skip") > 0
    assert "000001.npy" in caplog.text


def test_sentences_that_are_encoded_already_are_not_encoded_again(humanml3d):
    table, first, again = SentenceTable(), Words(), Words()
    one = duration_data(humanml3d, first, DurationConfig(), table)
    two = duration_data(humanml3d, again, DurationConfig(), table)
    assert first.asked and not again.asked
    assert torch.equal(one.pooled, two.pooled) and torch.equal(one.seconds, two.seconds)

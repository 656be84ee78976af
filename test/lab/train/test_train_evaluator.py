"""Training of the evaluator: what it is shown, what it is taught, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import typer
from typer.testing import CliRunner

from lab.train.conftest import write_humanml3d
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion.features import POSITIONS, VELOCITIES
from nextscale_lab.cli.train import evaluator as command
from nextscale_lab.data.samples import Sample
from nextscale_lab.evaluate.evaluator import load_evaluator
from nextscale_lab.evaluate.evaluator_model import EvaluatorConfig
from nextscale_lab.train.evaluator import (
    LONG,
    MAX_FRAMES,
    CaptionSimilarity,
    PairSampler,
    contrastive_loss,
    fit_evaluator,
    play_faster,
)
from nextscale_lab.train.loop import RunConfig

SMALL = EvaluatorConfig(
    "small", dim=16, width=16, heads=2, motion_depth=1, text_depth=1, buckets=1024
)
ACTIONS = ("walks", "jumps", "waves", "squats", "turns", "kicks", "bows", "runs")


def make_samples(seed: int, copies: int = 6) -> list[Sample]:
    """Motions of eight actions: each trembles in a part of the features of its own."""
    rng = np.random.default_rng(seed)
    samples = []
    for copy in range(copies):
        for place, action in enumerate(ACTIONS):
            features = 0.1 * rng.normal(size=(int(rng.integers(30, 60)), 263))
            features[:, 10 + 5 * place : 15 + 5 * place] += 1.0
            captions = (f"a person {action}", f"someone {action} about")
            samples.append(Sample(f"{action}{copy}", features.astype(np.float32), captions))
    return samples


def test_a_motion_played_twice_as_fast_has_half_the_frames_and_twice_the_velocities():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(1, 263)), 41, axis=0).astype(np.float32)
    features[:, POSITIONS] += np.linspace(0, 1, 41, dtype=np.float32)[:, None]
    fast = play_faster(features, 2.0)
    assert len(fast) == 20
    np.testing.assert_allclose(fast[:, VELOCITIES], 2 * features[:20, VELOCITIES], rtol=1e-5)
    np.testing.assert_allclose(fast[:, :3], 2 * features[:20, :3], rtol=1e-5)
    np.testing.assert_allclose(fast[[0, -1], POSITIONS], features[[0, -1], POSITIONS], rtol=1e-5)
    np.testing.assert_allclose(play_faster(features, 1.0), features, rtol=1e-6)


def test_batches_hold_different_motions_with_zeros_beyond_their_ends():
    long = Sample("long", np.ones((390, 263), np.float32), ("a person rests",), weak=True)
    sampler = PairSampler([*make_samples(0), long], batch_size=40)
    for _ in range(20):
        batch = sampler()
        assert batch.features.shape == (40, int(batch.lengths.max()), 263)
        assert batch.lengths.min() >= 16 and batch.lengths.max() <= MAX_FRAMES
        for row, length in enumerate(batch.lengths.tolist()):
            assert (batch.features[row, length:] == 0).all()
            assert (batch.features[row, :length].abs().sum(1) > 0).all()


def test_a_recording_of_many_things_under_one_line_is_not_learnt_from():
    long = np.zeros((LONG + 1, 263), np.float32)
    with pytest.raises(MotionFileError, match="captions"):
        PairSampler([Sample("a", long, ("x",), weak=True), Sample("b", long, ())], 4)
    assert len(PairSampler([Sample("a", long, ("x",))], 4).samples) == 1


def test_a_sampler_goes_on_where_its_state_was_kept():
    first, second = (PairSampler(make_samples(0), 8, seed) for seed in (1, 2))
    first()
    kept = json.loads(json.dumps(first.state_dict()))
    wanted = first()
    second.load_state_dict(kept)
    again = second()
    assert again.sentences == wanted.sentences
    torch.testing.assert_close(again.features, wanted.features)


def test_captions_that_say_the_same_are_alike_and_common_words_count_little():
    common = ["the person is walking", "the person is running", "a person waves"] * 5
    similarity_of = CaptionSimilarity([*common, "a person jumps", "a man is jumping"])
    similarity = similarity_of(["a person jumps", "the person is jumping", "a person waves", "?"])
    assert similarity[0, 1] > 0.7 > 0.3 > similarity[0, 2]
    assert similarity[0, 0] == pytest.approx(1.0)
    assert similarity[3].abs().max() == 0.0


def test_the_loss_is_that_of_the_definition_and_zero_for_far_apart_pairs():
    a = F.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    b = F.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    scale, alone = torch.tensor(7.0), torch.eye(5)
    logits = (7 * a @ b.T).double()
    rows = -(logits.diag() - logits.logsumexp(1)).mean()
    columns = -(logits.diag() - logits.logsumexp(0)).mean()
    assert float(contrastive_loss(a, b, scale, alone)) == pytest.approx(
        float(rows + columns) / 2, rel=1e-5
    )
    corners = torch.eye(5)
    assert float(contrastive_loss(corners, corners, torch.tensor(50.0), alone)) < 1e-6


def test_pairs_that_mean_the_same_do_not_push_each_other_away():
    texts = torch.eye(4)
    motions = texts[[1, 0, 2, 3]]
    same = torch.eye(4)
    same[0, 1] = same[1, 0] = 0.9
    scale = torch.tensor(20.0)
    # Without the two as negatives, only the unlike ones are left: the first motion is as far
    # from them as from its own text.
    free = contrastive_loss(texts, motions, scale, same)
    pushed = contrastive_loss(texts, motions, scale, torch.eye(4))
    assert float(free) == pytest.approx(np.log(3) / 2, rel=1e-3)
    assert float(pushed) > 5 * float(free)


def test_training_finds_which_sentence_goes_with_which_motion(tmp_path):
    run = RunConfig(
        out=tmp_path, steps=70, batch_size=16, learning_rate=5e-3, warmup=5, ema=0.9,
        precision="no", eval_every=35,
    )  # fmt: skip
    figures = fit_evaluator(make_samples(0), make_samples(1, copies=1), run, SMALL)
    # By chance 1 and 3 in 8.
    assert figures["top1"] > 0.4
    assert figures["top3"] > 0.85
    assert figures["top3"] >= figures["top2"] >= figures["top1"]
    loaded = load_evaluator(tmp_path / "best")
    assert loaded.name == "small"


def test_validation_without_captions_is_refused(tmp_path):
    run = RunConfig(out=tmp_path, steps=2, precision="no")
    with pytest.raises(MotionFileError, match="validation"):
        fit_evaluator(make_samples(0), make_samples(1)[:1], run, SMALL)


def test_the_command_trains_on_a_folder_and_leaves_an_evaluator(tmp_path):
    data = write_humanml3d(tmp_path / "data", clips=10)
    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "run"
    words = ["--data", data, "--out", out, "--steps", 2, "--width", 16, "--batch-size", 8,
             "--eval-every", 2, "--name", "mine"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    row = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert {"val_top1", "val_top2", "val_top3", "val_back3", "val_miss"} <= set(row)
    loaded = load_evaluator(out / "evaluator")
    assert loaded.name == "mine"
    assert loaded.embed_texts(["a person walks"]).shape == (1, 128)

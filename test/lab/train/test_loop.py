from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nextscale_core.exceptions import ConfigError, ModelLoadError
from nextscale_lab.train.distributed import TrainingStopped
from nextscale_lab.train.loop import RunConfig, Trainer


def make_trainer(out, steps: int, stop_at: int | None = None, **options) -> Trainer:
    """A linear model whose batches come from NumPy's random numbers and noise from torch's."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    truth = torch.tensor([[1.0, -2.0, 0.5]])
    order = np.random.default_rng(3)

    def loss(module, step):
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        x = torch.from_numpy(order.normal(size=(32, 3)).astype(np.float32))
        error = nn.functional.mse_loss(module(x + 0.01 * torch.randn(32, 3)), x @ truth.T)
        return error, {"loss": error.item()}

    def evaluate(module):
        return {"error": float((module.weight - truth).norm())}

    settings = {"learning_rate": 0.05, "warmup": 5, "precision": "no", "eval_every": 50, "ema": 0.9}
    config = RunConfig(out=out, steps=steps, **(settings | options))
    return Trainer(model, config, loss, evaluate, better="error", stateful={"order": order})


def rows(out) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def weights(trainer: Trainer) -> torch.Tensor:
    return trainer.bare.weight.detach().clone()


def test_training_learns(tmp_path):
    figures = make_trainer(tmp_path, 200).fit()
    assert figures["error"] < 0.1


@pytest.mark.parametrize("stop_at", [36, 49])
def test_a_stopped_run_goes_on_along_the_same_curve(tmp_path, stop_at):
    whole = make_trainer(tmp_path / "whole", 100)
    whole.fit()
    with pytest.raises(TrainingStopped, match=f"step {stop_at + 1} of 100") as stopped:
        make_trainer(tmp_path / "parts", 100, stop_at).fit()
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    second = make_trainer(tmp_path / "parts", 100)
    second.fit()
    torch.testing.assert_close(weights(whole), weights(second), atol=1e-6, rtol=0)
    for one, other in zip(rows(tmp_path / "whole"), rows(tmp_path / "parts"), strict=True):
        for name in ("step", "train_loss", "val_error"):
            assert one[name] == pytest.approx(other[name], abs=1e-5), name


def test_without_the_order_of_the_batches_the_curve_would_differ(tmp_path):
    # The counterpart of the test above: it fails where a sampler is forgotten.
    whole = make_trainer(tmp_path / "whole", 100)
    whole.fit()
    for stop_at in (49, None):
        trainer = make_trainer(tmp_path / "parts", 100, stop_at)
        del trainer.stateful["order"]
        if stop_at:
            with pytest.raises(TrainingStopped):
                trainer.fit()
    trainer.fit()
    assert not torch.allclose(weights(whole), weights(trainer), atol=1e-6)


def test_a_seed_repeats_and_another_one_does_not(tmp_path):
    losses = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        make_trainer(tmp_path / name, 100, seed=seed).fit()
        losses.append([row["train_loss"] for row in rows(tmp_path / name)])
    assert losses[0] == losses[1] != losses[2]


def test_a_finished_run_adds_no_second_row(tmp_path):
    first = make_trainer(tmp_path, 60).fit()
    assert make_trainer(tmp_path, 60).fit() == first
    assert [row["step"] for row in rows(tmp_path)] == [50, 60]


def test_a_run_may_be_made_longer_but_not_otherwise_changed(tmp_path):
    make_trainer(tmp_path, 50).fit()
    with pytest.raises(ConfigError, match=r"learning_rate: 0\.05 -> 0\.1"):
        make_trainer(tmp_path, 50, learning_rate=0.1).fit()
    longer = make_trainer(tmp_path, 70, eval_every=10, save_minutes=1.0)
    longer.fit()
    assert longer.step == 70


def test_a_cut_or_altered_checkpoint_gives_way_to_the_one_before(tmp_path, caplog):
    with pytest.raises(TrainingStopped):
        make_trainer(tmp_path, 100, stop_at=20).fit()
    with pytest.raises(TrainingStopped):
        make_trainer(tmp_path, 100, stop_at=40).fit()
    path, before = tmp_path / "checkpoint.safetensors", tmp_path / "checkpoint.previous.safetensors"
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[-3] ^= 1
    for damaged in (whole[: len(whole) // 2], b"", bytes(altered)):
        path.write_bytes(damaged)
        trainer = make_trainer(tmp_path, 100)
        trainer._resume()
        assert trainer.step == 21
        assert "checkpoint.safetensors" in caplog.text
    before.unlink()
    with pytest.raises(ModelLoadError, match="altered"):
        make_trainer(tmp_path, 100).fit()


def test_rows_say_the_mean_loss_since_the_row_before(tmp_path):
    trainer = make_trainer(tmp_path, 100)
    inner, losses = trainer.loss, []

    def spy(module, step):
        total, figures = inner(module, step)
        losses.append(figures["loss"])
        return total, figures

    trainer.loss = spy
    trainer.fit()
    means = [np.mean(losses[:50]), np.mean(losses[50:])]
    assert [row["train_loss"] for row in rows(tmp_path)] == pytest.approx(means, abs=1e-5)


def test_tensorboard_has_the_same_curve(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(TrainingStopped):
        make_trainer(tmp_path, 100, stop_at=69).fit()
    make_trainer(tmp_path, 100).fit()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    steps = {tag: [e.step for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    for name in ("loss", "learning_rate", "gradient_norm"):
        assert steps[f"train/{name}"] == [20, 40, 60, 80, 100]
    values = [e.value for e in events.Scalars("val/error")]
    assert values == pytest.approx([row["val_error"] for row in rows(tmp_path)], abs=1e-5)


def test_without_tensorboard_it_is_said_and_training_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    make_trainer(tmp_path, 20).fit()
    assert caplog.text.count("tensorboard is not installed") == 1
    assert not (tmp_path / "tensorboard").exists()


def test_the_bar_ends_where_the_first_limit_binds(tmp_path):
    trainer = make_trainer(tmp_path, 1000, max_minutes=1.0)
    trainer.step, trainer.spent = 100, 50.0
    assert trainer._expected_end(pace=2.0) == 120
    assert trainer._expected_end(pace=1e6) == 1000
    assert make_trainer(tmp_path, 1000)._expected_end(pace=2.0) == 1000


def test_time_ends_a_run_and_lowers_its_rate(tmp_path):
    trainer = make_trainer(tmp_path, 10**6, max_minutes=1.0)
    begin = trainer._rate()
    trainer.step, trainer.spent = 10, 59.9
    assert trainer._rate() < 0.03 < begin * 6
    trainer.spent = 61.0
    trainer._save_checkpoint()
    resumed = make_trainer(tmp_path, 10**6, max_minutes=1.0)
    resumed.fit()
    assert resumed.step == 10


def test_evaluation_does_not_change_what_training_draws(tmp_path):
    quiet = make_trainer(tmp_path / "a", 60)
    quiet.fit()
    noisy = make_trainer(tmp_path / "b", 60, eval_every=7)
    inner = noisy.evaluate

    def draws(module):
        torch.randn(5)
        return inner(module)

    noisy.evaluate = draws
    noisy.fit()
    assert torch.equal(weights(quiet), weights(noisy))


def test_the_best_weights_and_the_settings_are_kept(tmp_path):
    make_trainer(tmp_path, 100).fit()
    assert set(load_file(str(tmp_path / "best.safetensors"))) == {"weight", "bias"}
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 100
    assert [row["step"] for row in rows(tmp_path)] == [50, 100]
    assert all("val_error" in row for row in rows(tmp_path))


def test_the_rate_warms_up_and_falls(tmp_path):
    trainer = make_trainer(tmp_path, 100)
    rates = []
    for trainer.step in range(100):
        rates.append(trainer._rate())
    assert rates[0] < rates[4] > rates[50] > rates[99]


def test_one_bad_batch_does_not_spoil_the_weights(tmp_path):
    trainer = make_trainer(tmp_path, 10)
    before = weights(trainer)
    good = trainer.loss
    trainer.loss = lambda module, step: (good(module, step)[0] * float("nan"), {"loss": 0.0})
    trainer._one_step()
    assert torch.equal(weights(trainer), before)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"precision": "int8"}, {"batch_size": -1}, {"on_bad_data": "maybe"}]
)
def test_impossible_settings_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        RunConfig(out=tmp_path, **wrong)

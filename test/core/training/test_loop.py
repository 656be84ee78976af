from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.training.loop import RunConfig, Trainer


def make_trainer(out, steps: int, **options) -> Trainer:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    truth = torch.tensor([[1.0, -2.0, 0.5]])

    def loss(module, step):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(32, 3, generator=generator)
        error = nn.functional.mse_loss(module(x), x @ truth.T)
        return error, {"loss": error.item()}

    def evaluate(module):
        return {"error": float((module.weight - truth).norm())}

    settings = {"learning_rate": 0.05, "warmup": 5, "precision": "no", "eval_every": 50, "ema": 0.9}
    config = RunConfig(out=out, steps=steps, **(settings | options))
    return Trainer(model, config, loss, evaluate, better="error")


def weights(trainer: Trainer) -> torch.Tensor:
    return trainer.bare.weight.detach().clone()


def test_training_learns(tmp_path):
    figures = make_trainer(tmp_path, 200).fit()
    assert figures["error"] < 0.1


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path):
    whole = make_trainer(tmp_path / "whole", 100)
    whole.fit()
    first = make_trainer(tmp_path / "parts", 100)
    while first.step < 40:
        first._one_step()
    first._save_checkpoint()
    second = make_trainer(tmp_path / "parts", 100)
    second.fit()
    assert torch.allclose(weights(whole), weights(second), atol=1e-6)


def test_the_best_weights_and_the_settings_are_kept(tmp_path):
    make_trainer(tmp_path, 100).fit()
    assert set(load_file(str(tmp_path / "best.safetensors"))) == {"weight", "bias"}
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 100
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows][:2] == [50, 100]
    assert all("val_error" in row for row in rows)


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


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"precision": "int8"}, {"batch_size": -1}])
def test_impossible_settings_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        RunConfig(out=tmp_path, **wrong)

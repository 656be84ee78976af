"""What every training run shares: device, mixed precision, schedule, checkpoints, progress."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from nextscale_core.exceptions import ConfigError


@dataclass(frozen=True)
class RunConfig:
    """Settings of one training run, kept beside its weights as run.json.

    Attributes:
        out: Folder of the run: checkpoints, run.json, metrics.jsonl.
        steps: Optimiser steps.
        batch_size: Samples a step.
        learning_rate: Peak learning rate of AdamW.
        warmup: Steps of linear warm-up, then cosine decay to `final_rate` of the peak.
        weight_decay: Weight decay of AdamW.
        clip_norm: Largest gradient norm.
        ema: Decay of the averaged weights that are evaluated and kept.
        seed: Seed of initialisation, order and noise.
        precision: 'no', 'bf16' or 'fp16' (accelerate's names).
        eval_every: Steps between validations.
        save_minutes: Minutes between checkpoints [min].
        max_minutes: Stop after that long [min]; 0 for no limit. The learning rate follows the
            time where it runs out before the steps do.
    """

    out: Path
    steps: int = 4000
    batch_size: int = 64
    learning_rate: float = 3e-4
    warmup: int = 200
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    ema: float = 0.999
    seed: int = 0
    precision: str = "bf16"
    eval_every: int = 250
    save_minutes: float = 3.0
    max_minutes: float = 0.0
    final_rate: float = 0.02

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "eval_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if self.precision not in ("no", "bf16", "fp16"):
            raise ConfigError(f"precision must be no, bf16 or fp16, got {self.precision!r}")


class ExponentialAverage:
    """Exponential moving average of a module's floating-point state (parameters and buffers)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().clone() for k, v in module.state_dict().items()}
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take the module's state in; early on the average follows faster."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in module.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value.detach(), 1 - decay)
            else:
                self.state[name].copy_(value)


class Trainer:
    """A step loop around a module that computes its own loss.

    Args:
        module: The module to train.
        config: Settings.
        loss: `loss(module, step)` -> (scalar loss, figures to show). Called once a step.
        evaluate: `evaluate(module)` -> figures on the validation split; the module carries
            the averaged weights during the call.
        better: Name of the validation figure whose minimum marks the best weights.
    """

    def __init__(
        self,
        module: nn.Module,
        config: RunConfig,
        loss: Callable[[nn.Module, int], tuple[Tensor, dict[str, float]]],
        evaluate: Callable[[nn.Module], dict[str, float]],
        better: str,
    ) -> None:
        self.config, self.loss, self.evaluate, self.better = config, loss, evaluate, better
        set_seed(config.seed)
        self.accelerator = Accelerator(
            mixed_precision=config.precision, cpu=not torch.cuda.is_available()
        )
        decay: list[nn.Parameter] = []
        no_decay: list[nn.Parameter] = []
        for parameter in module.parameters():
            if parameter.requires_grad:
                (decay if parameter.ndim >= 2 else no_decay).append(parameter)
        optimizer = torch.optim.AdamW(
            [
                {"params": decay, "weight_decay": config.weight_decay},
                {"params": no_decay, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
        )
        self.module, self.optimizer = self.accelerator.prepare(module, optimizer)
        self.bare = self.accelerator.unwrap_model(self.module)
        self.average = ExponentialAverage(self.bare, config.ema)
        self.step, self.best, self.spent = 0, math.inf, 0.0
        self.out = Path(config.out)
        self.out.mkdir(parents=True, exist_ok=True)

    def _rate(self) -> float:
        c = self.config
        share = self.step / c.steps
        if c.max_minutes:
            share = max(share, self.spent / (c.max_minutes * 60))
        cosine = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
        return min((self.step + 1) / max(c.warmup, 1), 1.0) * (
            c.final_rate + (1 - c.final_rate) * cosine
        )

    def fit(self) -> dict[str, float]:
        """Train to the end, resuming from the run's checkpoint if there is one.

        Returns:
            The validation figures of the last weights.
        """
        self._resume()
        self._write_config()
        figures: dict[str, float] = {}
        result: dict[str, float] = {}
        began, saved = time.monotonic() - self.spent, time.monotonic()
        main = self.accelerator.is_main_process
        bar = tqdm(
            total=self.config.steps, initial=self.step, unit="step", disable=not main,
            mininterval=5.0, dynamic_ncols=True,
        )  # fmt: skip
        while self.step < self.config.steps:
            self.spent = time.monotonic() - began
            if self.config.max_minutes and self.spent > self.config.max_minutes * 60:
                break
            figures = self._one_step()
            bar.update()
            if self.step % 20 == 0:
                bar.set_postfix({k: f"{v:.3f}" for k, v in figures.items()})
            if self.step % self.config.eval_every == 0:
                result = self._validate(figures)
            if main and time.monotonic() - saved > self.config.save_minutes * 60:
                self._save_checkpoint()
                saved = time.monotonic()
        bar.close()
        if self.step % self.config.eval_every or not result:
            result = self._validate(figures)
        if main:
            self._save_checkpoint()
        return result

    def _one_step(self) -> dict[str, float]:
        self.module.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * self._rate()
        with self.accelerator.autocast():
            loss, figures = self.loss(self.module, self.step)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.clip_norm)
        if not torch.isfinite(torch.as_tensor(norm)):
            # One bad batch must not poison the averages.
            self.optimizer.zero_grad()
            self.step += 1
            return figures
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.bare)
        self.step += 1
        return figures

    @torch.no_grad()
    def _validate(self, training: dict[str, float]) -> dict[str, float]:
        own = {k: v.detach().clone() for k, v in self.bare.state_dict().items()}
        self.bare.load_state_dict(self.average.state)
        self.bare.eval()
        with self.accelerator.autocast():
            figures = self.evaluate(self.bare)
        if self.accelerator.is_main_process:
            row = {"step": self.step, "minutes": round(self.spent / 60, 2)}
            row |= {f"train_{k}": round(v, 5) for k, v in training.items()}
            row |= {f"val_{k}": round(v, 5) for k, v in figures.items()}
            with (self.out / "metrics.jsonl").open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            tqdm.write(json.dumps(row))
            self._save_weights("last")
            if figures[self.better] < self.best:
                self.best = figures[self.better]
                self._save_weights("best")
        self.bare.load_state_dict(own)
        return figures

    def _save_weights(self, name: str) -> None:
        save = getattr(self.bare, "save_pretrained", None)
        if save is not None:
            save(self.out / name)
        else:
            save_file(self.bare.state_dict(), str(self.out / f"{name}.safetensors"))

    def _write_config(self) -> None:
        values: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v
                                  for k, v in asdict(self.config).items()}  # fmt: skip
        values["out"] = self.out.name
        (self.out / "run.json").write_text(json.dumps(values, indent=2) + "\n")

    # Checkpoints are safetensors plus a JSON: nothing is pickled.

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in self.bare.state_dict().items():
            yield f"model.{name}", value
        for name, value in self.average.state.items():
            yield f"average.{name}", value
        state = self.optimizer.state_dict()["state"]
        for index, entry in state.items():
            for name, value in entry.items():
                yield f"optimizer.{index}.{name}", torch.as_tensor(value)
        yield "rng", torch.get_rng_state()

    def _save_checkpoint(self) -> None:
        path = self.out / "checkpoint.safetensors"
        part = path.with_suffix(".part")
        tensors = {k: v.detach().cpu().clone().contiguous() for k, v in self._tensors()}
        numbers = {"step": self.step, "best": self.best, "spent": self.spent,
                   "updates": self.average.updates}  # fmt: skip
        save_file(tensors, str(part), metadata={"run": json.dumps(numbers)})
        part.replace(path)

    def _resume(self) -> None:
        path = self.out / "checkpoint.safetensors"
        if not path.is_file():
            return
        from safetensors import safe_open

        with safe_open(str(path), framework="pt") as file:
            numbers = json.loads(file.metadata()["run"])
        tensors = load_file(str(path))
        self.bare.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        self.average.state = {k[8:]: v for k, v in tensors.items() if k.startswith("average.")}
        self.average.updates = numbers["updates"]
        state = self.optimizer.state_dict()
        entries: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                entries.setdefault(int(index), {})[name] = value
        state["state"] = entries
        self.optimizer.load_state_dict(state)
        torch.set_rng_state(tensors["rng"])
        self.step, self.best, self.spent = numbers["step"], numbers["best"], numbers["spent"]
        self.accelerator.print(f"resuming {path} at step {self.step}")

"""`Trainer`: the training loop with mixed precision, schedule, checkpoints and validation."""

from __future__ import annotations

import json
import math
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import Tensor, nn
from tqdm import tqdm

from nextscale_core.exceptions import ConfigError
from nextscale_lab.files import write_json
from nextscale_lab.train.checkpoint import (
    Checkpoint,
    Stateful,
    kept_state,
    read_checkpoint,
    restore_state,
    write_checkpoint,
)
from nextscale_lab.train.distributed import (
    Shard,
    StopSignals,
    TrainingStopped,
    agree,
    make_accelerator,
    share_buffers,
)
from nextscale_lab.train.logging import Means, Scalars
from nextscale_lab.train.run import RunConfig, describe_run, first_difference, resolve_precision
from nextscale_lab.train.state import (
    Ema,
    learnt_tensors,
    make_optimizer,
    random_states,
    restore_learnt,
    restore_random,
    save_weights,
)

__all__ = ["RunConfig", "Trainer"]

_SHOW_EVERY = 20
"""Steps between updates of the progress bar and TensorBoard."""


class Trainer:
    """Training loop for a module.

    With several processes (torchrun, accelerate launch) all draw the same batch and each takes
    the rows of its `shard`. So the loss curve does not depend on their number, up to the order of
    sums and torch's noise. Trained parameters must be used through the module passed to `loss`,
    or their gradients are not shared.

    A resumed run continues the same curve: weights, averages, optimizer, torch's random state and
    `stateful` are in the checkpoint. With `max_minutes` the learning rate depends on the clock.

    Args:
        module: The module to train.
        config: Settings.
        loss: `loss(module, step)` -> (scalar loss, metrics). Called once per step; the metrics
            have the same names in all processes.
        evaluate: `evaluate(module)` -> metrics on the validation split; called in the main
            process with a copy of the module that has the averaged weights.
        better: Name of the validation metric whose minimum marks the best weights.
        stateful: Samplers and NumPy generators that determine the batches, by name.
        about: Further settings (objective, name of the data), kept in run.json; a run does not
            resume with other ones. The module's `config` is kept as 'model'.

    Attributes:
        bare: The module without the wrapper for several processes.
        shard: Rows of a batch for this process.
    """

    def __init__(
        self,
        module: nn.Module,
        config: RunConfig,
        loss: Callable[[nn.Module, int], tuple[Tensor, dict[str, float]]],
        evaluate: Callable[[nn.Module], dict[str, float]],
        better: str,
        *,
        stateful: Mapping[str, Stateful | np.random.Generator] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.config, self.loss, self.evaluate, self.better = config, loss, evaluate, better
        precision = resolve_precision(config.precision)
        self.accelerator = make_accelerator(precision)
        # Rank 0 has the random numbers of a single process.
        set_seed(config.seed, device_specific=True)
        with warnings.catch_warnings():
            # Torch renames an option of DDP; older versions have one name only.
            warnings.simplefilter("ignore", FutureWarning)
            self.module, self.optimizer = self.accelerator.prepare(
                module, make_optimizer(module, config)
            )
        self.bare = self.accelerator.unwrap_model(self.module)
        share_buffers(self.bare)
        self.main = self.accelerator.is_main_process
        self.shard = Shard(self.accelerator.process_index, self.accelerator.num_processes)
        self.average = Ema(self.bare, config.ema) if self.main else None
        self.means = {"row": Means(), "show": Means()}
        self.stateful = {**(stateful or {}), **{f"means.{k}": v for k, v in self.means.items()}}
        self.step, self.best, self.spent = 0, math.inf, 0.0
        own = getattr(self.bare, "config", None)
        about = {**({"model": own} if own is not None else {}), **(about or {})}
        self.settings = describe_run(config, about, precision, self.shard.processes)
        self.out = Path(config.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.scalars: Scalars | None = None

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
            Validation metrics of the last weights; empty in processes other than the main one.

        Raises:
            ConfigError: the run's checkpoint has other settings.
            ModelLoadError: the run's checkpoints are cut short or altered.
            TrainingStopped: one of `ending_signals` was received; a checkpoint was saved.
        """
        self._resume()
        if self.main:
            write_json(self.out / "run.json", self.settings)
            self.scalars = Scalars(self.out, self.step)
        try:
            return self._train()
        finally:
            if self.scalars:
                self.scalars.close()

    def _train(self) -> dict[str, float]:
        c, validated = self.config, -1
        result: dict[str, float] = {}
        first, began = self.step, time.monotonic()
        before, saved = self.spent, began
        bar = tqdm(
            total=c.steps, initial=self.step, unit="step", disable=not self.main,
            mininterval=5.0, dynamic_ncols=True,
        )  # fmt: skip
        with StopSignals() as signals, bar:
            while self.step < c.steps:
                now = time.monotonic()
                # Clocks and signals differ between processes: all follow the maximum.
                requests = [
                    before + now - began if self.main else 0.0,
                    float(signals.received),
                    float(self.main and now - saved > c.save_minutes * 60),
                ]
                self.spent, signum, save = agree(requests, self.accelerator.device)
                if signum:
                    self._stop(int(signum))
                if c.max_minutes and self.spent > c.max_minutes * 60:
                    break
                if save:
                    self._save_checkpoint()
                    saved = time.monotonic()
                self._one_step()
                bar.update()
                if self.step % _SHOW_EVERY == 0:
                    bar.total = self._expected_end((self.step - first) / (time.monotonic() - began))
                    self._show(bar)
                if self.step % c.eval_every == 0:
                    result, validated = self._validate(), self.step
            if validated != self.step:
                result = self._validate()
            self._save_checkpoint()
        return result

    def _expected_end(self, pace: float) -> int:
        """Last step, or the step at the time limit with `pace` steps per second so far."""
        if not self.config.max_minutes:
            return self.config.steps
        left = max(self.config.max_minutes * 60 - self.spent, 0.0)
        return min(self.config.steps, self.step + int(left * pace))

    def _show(self, bar: Any) -> None:
        metrics = self.means["show"].take(self.accelerator.device)
        bar.set_postfix({k: f"{v:.3g}" for k, v in metrics.items()})
        if self.scalars:
            self.scalars.show("train", metrics, self.step)

    def _stop(self, signum: int) -> None:
        self._save_checkpoint()
        raise TrainingStopped(
            f"{signal.Signals(signum).name} stopped the run at step {self.step} of "
            f"{self.config.steps}; {self.out} holds its checkpoint",
            signum,
        )

    def _one_step(self) -> None:
        self.module.train()
        rate = self.config.learning_rate * self._rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.accelerator.autocast():
            loss, metrics = self.loss(self.module, self.step)
        self.accelerator.backward(loss)
        norm = float(
            self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.clip_norm)
        )
        # Skip steps with infinite gradients. With fp16 the scaler skips them itself and lowers its
        # scale.
        if math.isfinite(norm) or self.accelerator.scaler is not None:
            self.optimizer.step()
        self.optimizer.zero_grad()
        if math.isfinite(norm):
            if self.average:
                self.average.update_parameters(self.bare)
            self.means["row"].add(metrics)
            self.means["show"].add({**metrics, "learning_rate": rate, "gradient_norm": norm})
        self.step += 1

    def _validate(self) -> dict[str, float]:
        training = self.means["row"].take(self.accelerator.device)
        metrics: dict[str, float] = {}
        if self.average and self.scalars:
            # The evaluation does not change the random state of the training.
            device = self.accelerator.device
            devices = [device] if device.type == "cuda" else []
            averaged = self.average.module.eval()
            autocast = self.accelerator.autocast()
            with torch.random.fork_rng(devices), torch.no_grad(), autocast:
                metrics = self.evaluate(averaged)
            self._report(training, metrics)
            settings = {**self.settings, "step": self.step}
            save_weights(averaged, self.out, "last", settings)
            if metrics[self.better] < self.best:
                self.best = metrics[self.better]
                save_weights(averaged, self.out, "best", settings)
        self.accelerator.wait_for_everyone()
        return metrics

    def _report(self, training: dict[str, float], metrics: dict[str, float]) -> None:
        assert self.scalars is not None
        row = {"step": self.step, "minutes": round(self.spent / 60, 2)}
        row |= {f"train_{k}": round(v, 5) for k, v in training.items()}
        row |= {f"val_{k}": round(v, 5) for k, v in metrics.items()}
        self.scalars.row(row)
        self.scalars.show("val", metrics, self.step)
        self.scalars.flush()
        tqdm.write(json.dumps(row))

    def _save_checkpoint(self) -> None:
        """Save in all processes: each has its own random state and means."""
        for means in self.means.values():
            means.share(self.accelerator.device)
        tensors = random_states(self.accelerator)
        if self.average:
            scaler = self.accelerator.scaler
            facts = {
                "step": self.step,
                "best": self.best,
                "spent": self.spent,
                "updates": int(self.average.n_averaged) - 1,
                "scaler": scaler.state_dict() if scaler is not None else None,
                "stateful": kept_state(self.stateful),
                "settings": self.settings,
            }
            tensors |= learnt_tensors(self.bare, self.average, self.optimizer)
            plain = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
            write_checkpoint(self.out, Checkpoint(plain, facts))
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        checkpoint = read_checkpoint(self.out)
        step = float(checkpoint.facts["step"]) if checkpoint else 0.0
        if agree([step], self.accelerator.device) != [step]:
            raise ConfigError(f"not all processes see the same checkpoint in {self.out}")
        if checkpoint is None:
            return
        facts = checkpoint.facts
        difference = first_difference(facts["settings"], self.settings)
        if difference:
            raise ConfigError(
                f"{self.out} holds a run with other settings ({difference}); "
                "train into another folder or use the same settings"
            )
        restore_learnt(checkpoint.tensors, self.bare, self.average, self.optimizer)
        restore_random(checkpoint.tensors, self.accelerator, self.config.seed, facts["step"])
        restore_state(self.stateful, facts["stateful"])
        if self.average:
            self.average.n_averaged.fill_(facts["updates"] + 1)
        if self.accelerator.scaler is not None and facts["scaler"]:
            self.accelerator.scaler.load_state_dict(facts["scaler"])
        self.step, self.best, self.spent = facts["step"], facts["best"], facts["spent"]
        self.accelerator.print(f"resuming {self.out} at step {self.step}")

"""Tensors of a run: optimizer, averaged weights and random states, saved and restored."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nextscale_lab.files import write_json

if TYPE_CHECKING:
    from nextscale_lab.train.run import RunConfig


class Ema(AveragedModel):
    """Exponential moving average of a module's parameters and buffers, as `module`.

    Update n has the decay min(decay, (1 + n) / (10 + n)), so that the average follows faster at
    the beginning. Integer and boolean buffers are copied.

    Args:
        module: The module to average; it is copied.
        decay: Decay after the first updates.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        @torch.no_grad()
        def average(means: Any, values: Any, n: Tensor | int) -> None:
            if means[0].dtype.is_floating_point:
                torch._foreach_lerp_(means, values, 1 - min(decay, (1 + int(n)) / (10 + int(n))))
            else:
                torch._foreach_copy_(means, values)

        super().__init__(module, multi_avg_fn=average, use_buffers=True)
        # With 0 the first update would replace the initial weights.
        self.n_averaged.fill_(1)


def make_optimizer(module: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """AdamW without weight decay on biases, norms and single vectors."""
    learning = [p for p in module.parameters() if p.requires_grad]
    matrices = [p for p in learning if p.ndim >= 2]
    vectors = [p for p in learning if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(0.9, 0.99),
    )


def learnt_tensors(
    module: nn.Module, average: Ema, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Weights, averaged weights and moments of the optimizer, by name."""
    model = module.state_dict()
    tensors = {f"model.{name}": value for name, value in model.items()}
    # Non-persistent buffers, such as a codebook's counts, continue with the training.
    tensors |= {f"buffer.{n}": value for n, value in module.named_buffers() if n not in model}
    tensors |= {f"average.{name}": value for name, value in average.module.state_dict().items()}
    for index, entry in optimizer.state_dict()["state"].items():
        for name, value in entry.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    return tensors


@torch.no_grad()
def restore_learnt(
    tensors: Mapping[str, Tensor],
    module: nn.Module,
    average: Ema | None,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Restore the tensors of `learnt_tensors`."""
    module.load_state_dict(_part(tensors, "model"))
    for name, value in _part(tensors, "buffer").items():
        module.get_buffer(name).copy_(value)
    if average:
        average.module.load_state_dict(_part(tensors, "average"))
    state = optimizer.state_dict()
    state["state"] = {}
    for key, value in _part(tensors, "optimizer").items():
        index, name = key.split(".", 1)
        state["state"].setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(state)


def random_states(accelerator: Accelerator) -> dict[str, Tensor]:
    """Torch's random states of all processes, (P, bytes) each; called in all of them."""
    states = {"random.cpu": torch.get_rng_state()}
    if accelerator.device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state()
    gathered = {k: accelerator.gather(v[None].to(accelerator.device)) for k, v in states.items()}
    return {name: state.cpu() for name, state in gathered.items()}


def restore_random(
    tensors: Mapping[str, Tensor], accelerator: Accelerator, seed: int, step: int
) -> None:
    """Restore this process's random state from `random_states`."""
    states, rank = _part(tensors, "random"), accelerator.process_index
    if rank >= len(states["cpu"]):
        # More processes than before: the new ones get random states of their own.
        torch.manual_seed(seed + 1_000_003 * (step + 1) + rank)
        return
    # Torch reads a state from the start of its storage, wherever the row begins.
    torch.set_rng_state(states["cpu"][rank].clone())
    if "cuda" in states and accelerator.device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"][rank].clone())


def save_weights(module: nn.Module, out: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Write a module's weights with the settings of its training.

    A module with `save_pretrained` gets the folder `out/name` with run.json in it, any other
    `out/name.safetensors`.
    """
    save = getattr(module, "save_pretrained", None)
    if save is None:
        save_file(module.state_dict(), str(out / f"{name}.safetensors"))
        return
    # A concurrent reader finds the old weights or the new ones.
    part, old = out / f"{name}.part", out / f"{name}.old"
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    save(part)
    write_json(part / "run.json", settings)
    if (out / name).exists():
        (out / name).replace(old)
    part.replace(out / name)
    shutil.rmtree(old, ignore_errors=True)


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f"{part}."
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}

"""The parts of a run that are tensors: how they are made, kept and put back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor, nn

from nextscale_lab.train.ema import Ema

if TYPE_CHECKING:
    from nextscale_lab.train.run import RunConfig


def make_optimizer(module: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """AdamW; biases, norms and single vectors are not decayed."""
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
    """Weights, their average and the optimiser's moments, by name."""
    model = module.state_dict()
    tensors = {f"model.{name}": value for name, value in model.items()}
    # A codebook's counts are no part of the weights, but training goes on with them.
    tensors |= {f"buffer.{n}": value for n, value in module.named_buffers() if n not in model}
    tensors |= {f"average.{name}": value for name, value in average.state.items()}
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
    """Put back what `learnt_tensors` gave."""
    module.load_state_dict(_part(tensors, "model"))
    for name, value in _part(tensors, "buffer").items():
        module.get_buffer(name).copy_(value)
    if average:
        for name, value in _part(tensors, "average").items():
            average.state[name].copy_(value)
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
    """Go on with this process's random state from `random_states`."""
    states, rank = _part(tensors, "random"), accelerator.process_index
    if rank >= len(states["cpu"]):
        # More processes than before: the new ones draw what no other draws.
        torch.manual_seed(seed + 1_000_003 * (step + 1) + rank)
        return
    # Torch reads a state from the start of its storage, wherever the row begins.
    torch.set_rng_state(states["cpu"][rank].clone())
    if "cuda" in states and accelerator.device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"][rank].clone())


def save_weights(module: nn.Module, out: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Write a module's weights with the settings they were made with.

    A module with `save_pretrained` gets the folder `out/name` with run.json in it, any other
    `out/name.safetensors`.
    """
    save = getattr(module, "save_pretrained", None)
    if save is None:
        save_file(module.state_dict(), str(out / f"{name}.safetensors"))
        return
    # Whoever reads the folder meanwhile finds the old weights or the new ones.
    part, old = out / f"{name}.part", out / f"{name}.old"
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    save(part)
    write_json(part / "run.json", settings)
    if (out / name).exists():
        (out / name).replace(old)
    part.replace(out / name)
    shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write readable JSON."""
    path.write_text(json.dumps(values, indent=2) + "\n")


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f"{part}."
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}

"""Checkpoints: safetensors with a JSON header and a digest; nothing is pickled."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nextscale_core.exceptions import ModelLoadError

CURRENT, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"

_log = logging.getLogger("nextscale")


@runtime_checkable
class Stateful(Protocol):
    """State other than tensors in a checkpoint, such as the order of a sampler's batches."""

    def state_dict(self) -> dict[str, Any]:
        """The state as JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """State of a run between two steps.

    Attributes:
        tensors: Weights, averages, optimizer and random states, by name.
        facts: Step, settings and the state of samplers as JSON values.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically and keep the previous one."""
    path, part = folder / CURRENT, folder / f"{CURRENT}.part"
    facts = json.dumps(checkpoint.facts)
    digest = _digest(checkpoint.tensors, facts)
    save_file(checkpoint.tensors, str(part), metadata={"facts": facts, "digest": digest})
    if path.is_file():
        path.replace(folder / PREVIOUS)
    part.replace(path)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """The last checkpoint of a run, or the previous one, with a warning, if that is damaged.

    Returns:
        None for a run without a checkpoint.

    Raises:
        ModelLoadError: all checkpoints are cut short or altered.
    """
    found = [folder / name for name in (CURRENT, PREVIOUS) if (folder / name).is_file()]
    first_error: ModelLoadError | None = None
    for path in found:
        try:
            checkpoint = _read(path)
        except ModelLoadError as error:
            first_error = first_error or error
            continue
        if first_error:
            _log.warning("%s; resuming from %s, the previous one", first_error, path.name)
        return checkpoint
    if first_error:
        raise first_error
    return None


def _read(path: Path) -> Checkpoint:
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # safetensors has its own error; a file cut to nothing or unreadable is an OSError.
    except (SafetensorError, OSError) as error:
        raise ModelLoadError(f"{path} is cut short or altered ({error})") from error
    if "facts" not in header or "digest" not in header:
        raise ModelLoadError(
            f"{path} is not a checkpoint of this version; train into another folder"
        )
    if _digest(tensors, header["facts"]) != header["digest"]:
        raise ModelLoadError(f"{path} was altered: its contents do not match their digest")
    return Checkpoint(tensors, json.loads(header["facts"]))


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def kept_state(stateful: Mapping[str, Stateful | np.random.Generator]) -> dict[str, Any]:
    """State of samplers and NumPy generators as JSON values."""
    return {
        name: item.state_dict() if isinstance(item, Stateful) else item.bit_generator.state
        for name, item in stateful.items()
    }


def restore_state(
    stateful: Mapping[str, Stateful | np.random.Generator], state: Mapping[str, Any]
) -> None:
    """Restore the state of `kept_state`.

    Raises:
        ModelLoadError: the checkpoint holds the states of other samplers.
    """
    if set(stateful) != set(state):
        raise ModelLoadError(
            f"the checkpoint holds the states of {sorted(state)}, the run needs {sorted(stateful)}"
        )
    for name, item in stateful.items():
        if isinstance(item, Stateful):
            item.load_state_dict(state[name])
        else:
            item.bit_generator.state = state[name]

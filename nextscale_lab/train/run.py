"""Settings of a training run and their record in run.json."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.motion.formats.bad_data import POLICIES

PRECISIONS = ("auto", "no", "bf16", "fp16")
MAY_CHANGE = frozenset(
    {"out", "steps", "warmup", "max_minutes", "eval_every", "save_minutes", "processes"}
)
"""Settings that may change when a run is resumed."""


@dataclass(frozen=True)
class RunConfig:
    """Settings of one training run, kept beside its weights as run.json.

    Attributes:
        out: Folder of the run: checkpoints, weights, run.json, metrics.jsonl, tensorboard/.
        steps: Optimiser steps.
        batch_size: Samples (or frames) per step over all processes.
        learning_rate: Peak learning rate of AdamW.
        warmup: Steps of linear warm-up, then cosine decay to `final_rate` of the peak.
        weight_decay: Weight decay of AdamW.
        clip_norm: Maximum gradient norm.
        ema: Decay of the averaged weights that are evaluated and kept.
        seed: Seed of initialisation, order and noise.
        precision: 'no', 'bf16' or 'fp16' (accelerate's names), or 'auto': bf16 where the
            hardware computes in it, see `resolve_precision`.
        eval_every: Steps between validations.
        save_minutes: Minutes between checkpoints [min].
        max_minutes: Time limit [min]; 0 for no limit. The learning rate then depends on the
            clock, so that results are not exactly reproducible.
        final_rate: Final learning rate relative to the peak.
        on_bad_data: 'refuse' or 'skip' a broken file or line of the data.
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
    precision: str = "auto"
    eval_every: int = 250
    save_minutes: float = 3.0
    max_minutes: float = 0.0
    final_rate: float = 0.02
    on_bad_data: str = "refuse"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "eval_every"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        for name, choices in (("precision", PRECISIONS), ("on_bad_data", POLICIES)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, "
                    f"got {getattr(self, name)!r}"
                )


def resolve_precision(precision: str) -> str:
    """'no', 'bf16' or 'fp16' for a requested precision on this machine.

    'auto' is bf16 on GPUs and CPUs with instructions for it (AMX or AVX-512 BF16), else 'no': CPUs
    emulate bf16 at a third of the speed of float32.

    Raises:
        ConfigError: fp16 without a GPU.
    """
    cuda = torch.cuda.is_available()
    if precision == "fp16" and not cuda:
        raise ConfigError("precision fp16 needs a GPU; on a CPU use no or bf16")
    if precision != "auto":
        return precision
    if cuda:
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = not {"amx_bf16", "avx512_bf16"}.isdisjoint(_cpu_flags())
    return "bf16" if fast else "no"


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {word for line in text.splitlines() if line.startswith("flags") for word in line.split()}


def describe_run(
    config: RunConfig, about: Mapping[str, Any], precision: str, processes: int
) -> dict[str, Any]:
    """All settings of a run as JSON values, without paths of this machine.

    Args:
        config: Settings of the run.
        about: Further settings: model sizes, objective, name of the data.
        precision: Resolved precision.
        processes: Number of processes.
    """
    values: dict[str, Any] = {**asdict(config), "out": config.out.name, "precision": precision}
    values["processes"] = processes
    values |= {name: asdict(v) if _is_record(v) else v for name, v in about.items()}
    values["versions"] = _versions()
    program = Path(sys.argv[0]).name.replace("__main__.py", "nextscale")
    values["command"] = " ".join([program, *map(_without_folder, sys.argv[1:])])
    # As JSON, so that settings compare equal to those of a file.
    return dict(json.loads(json.dumps(values)))


def weights_digest(module: nn.Module) -> str:
    """Short hash of a module's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(name.encode() + flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first changed setting outside of `MAY_CHANGE` as 'name: before -> now', or ''."""
    for name in (*now, *(n for n in before if n not in now)):
        if name in MAY_CHANGE or name in ("versions", "command"):
            continue
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = first_difference(old, new)
            if inner:
                return f"{name}.{inner}"
        elif old != new:
            return f"{name}: {json.dumps(old)} -> {json.dumps(new)}"
    return ""


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0], "torch": torch.__version__}
    try:
        versions["nextscale"] = importlib.metadata.version("nextscale")
    except importlib.metadata.PackageNotFoundError:
        versions["nextscale"] = "not installed"
    commit = _git_commit(Path(__file__).resolve().parents[2])
    return {**versions, "commit": commit} if commit else versions


def _git_commit(checkout: Path) -> str:
    """Commit of a checkout, with '+' appended for changed files; '' outside of one."""
    if not (checkout / ".git").exists():
        return ""
    words = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(
            [*words, "--dirty=+"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()


def _without_folder(word: str) -> str:
    """An absolute path reduced to its name, also after '--option='."""
    option, equals, value = word.partition("=")
    if equals and Path(value).is_absolute():
        return f"{option}={Path(value).name}"
    return Path(word).name if Path(word).is_absolute() else word

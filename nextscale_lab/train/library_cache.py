"""A training library on disk, so that the next run with the same tokenizer starts at once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save_file

import nextscale_core
import nextscale_lab
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.motion.formats.bad_data import policy_in_force
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.captions.tables import TABLES
from nextscale_lab.data.annotations import ANNOTATIONS
from nextscale_lab.data.samples import Folders, data_folders
from nextscale_lab.train.entries import Entry, SentenceTable

if TYPE_CHECKING:
    from nextscale_lab.train.library import LibraryConfig


def library_digest(
    data: Folders, tokenizer: TemporalTokenizer, encoder: TextEncoder, config: LibraryConfig
) -> str:
    """Of all that the library follows from: weights, data, settings and the rules' own text."""
    digest = hashlib.sha256()
    for name, value in sorted(tokenizer.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().float().numpy().tobytes())
    for folder in data_folders(data):
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(f"{path.relative_to(folder)} {path.stat().st_size}".encode())
    core, lab = (Path(str(package.__file__)).parent for package in (nextscale_core, nextscale_lab))
    folders = (
        core / "motion",
        core / "text",
        lab / "data",
        lab / "captions",
        lab / "auto_captions",
    )
    rules = [path for folder in folders for path in folder.rglob("*.py")]
    for path in (*sorted(rules), *sorted(TABLES.glob("*.yaml")), ANNOTATIONS):
        digest.update(path.read_bytes())
    digest.update(f"{encoder.name} {config} {policy_in_force()}".encode())
    return digest.hexdigest()[:16]


def save_library(path: Path, entries: list[Entry], table: SentenceTable) -> None:
    """Write a library as safetensors; see `load_library`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        "latents": torch.cat([z for entry in entries for z in entry.latents]),
        "latent_counts": torch.tensor([len(z) for entry in entries for z in entry.latents]),
        "variants": torch.tensor([len(entry.latents) for entry in entries]),
        "captions": torch.tensor([i for entry in entries for i in entry.captions]),
        "caption_counts": torch.tensor([len(entry.captions) for entry in entries]),
        "weak": torch.tensor([entry.weak for entry in entries]),
        "weights": torch.tensor([entry.weight for entry in entries], dtype=torch.float64),
        "tokens": torch.cat(table.rows),
        "token_counts": torch.tensor([len(row) for row in table.rows]),
        "pooled": torch.stack(table.pooled),
    }
    sentences = json.dumps(list(table.index))
    part = path.with_suffix(f".{os.getpid()}.part")
    save_file(tensors, str(part), metadata={"sentences": sentences})
    part.replace(path)


def load_library(path: Path) -> tuple[list[Entry], SentenceTable]:
    """Read what `save_library` wrote."""
    with safe_open(str(path), framework="pt") as file:
        sentences = json.loads(file.metadata()["sentences"])
        get = file.get_tensor
        latents = iter(get("latents").split(get("latent_counts").tolist()))
        captions = iter(get("captions").tolist())
        rows = list(get("tokens").split(get("token_counts").tolist()))
        table = SentenceTable(
            rows, list(get("pooled")), {text: i for i, text in enumerate(sentences)}
        )
        columns = (get(name).tolist() for name in ("variants", "caption_counts", "weak", "weights"))
        entries = [
            Entry(
                tuple(next(latents) for _ in range(variants)),
                tuple(next(captions) for _ in range(count)),
                weak,
                weight,
            )
            for variants, count, weak, weight in zip(*columns, strict=True)
        ]
    return entries, table

"""A small data folder, tokenizer and evaluator to run whole experiments with."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from nextscale_core.model.temporal_tokenizer import TemporalTokenizer, TokenizerConfig

FRAMES = 60
SPLITS = ("train",) * 4 + ("val",) * 8 + ("test",) * 8


@pytest.fixture(scope="session")
def study_data(tmp_path_factory):
    """A CMU folder of people who swing their arms at 20 speeds: 4 train, 8 val, 8 test."""
    folder = tmp_path_factory.mktemp("data")
    trials, clips, quats, roots = [], [], [], []
    for number, split in enumerate(SPLITS):
        name = f"{number + 1:02d}_01"
        trials.append({"trial": name, "start": FRAMES * number, "frames": FRAMES,
                       "description": "swing arms"})  # fmt: skip
        captions = [f"a person swings {number} times"]
        if number % 2:
            captions.append(f"a person walks and swings {number} times")
        clips.append({"id": f"{number:06d}", "trial": name, "first_frame": 0,
                      "end_frame": FRAMES, "split": split, "captions": captions})  # fmt: skip
        swing = np.sin(np.arange(FRAMES) * 0.05 * (number + 1))
        quat = np.zeros((FRAMES, 14, 4))
        quat[..., 3] = 1
        for body in (8, 11):
            quat[:, body] = Rotation.from_euler("x", swing[:, None]).as_quat()
        quats.append(quat)
        roots.append(np.stack([0.02 * np.arange(FRAMES), 0 * swing, 0.9 + 0 * swing], 1))
    (folder / "trials.jsonl").write_text("\n".join(map(json.dumps, trials)))
    (folder / "clips.jsonl").write_text("\n".join(map(json.dumps, clips)))
    np.savez(
        folder / "motion.npz",
        root=np.concatenate(roots).astype(np.float32),
        quat=(np.concatenate(quats) * 32767).astype(np.int16),
    )
    return folder


@pytest.fixture(scope="session")
def study_tokenizer(tmp_path_factory):
    """The folder of an untrained tokenizer of three scales."""
    torch.manual_seed(0)
    config = TokenizerConfig(width=16, code_dim=8, num_codes=16, depth=1, divisors=(4, 2, 1))
    folder = tmp_path_factory.mktemp("tokenizer")
    TemporalTokenizer(config).save_pretrained(folder)
    return folder


class Projection:
    """An evaluator without any learning: fixed random projections."""

    name = "projection"

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        seeds = [zlib.crc32(text.encode()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=6) for seed in seeds])

    def embed_motions(self, motions: Sequence[np.ndarray]) -> np.ndarray:
        matrix = np.random.default_rng(0).normal(size=(263, 6))
        return np.stack([motion.mean(0) @ matrix for motion in motions])


@pytest.fixture(scope="session")
def projection():
    """See `Projection`."""
    return Projection()

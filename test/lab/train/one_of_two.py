"""What each process of test_processes.py runs under torchrun; its results go into files."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from nextscale_core.cli.app import app
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_lab.train import tokenizer as tokenizer_module
from nextscale_lab.train.distributed import Shard, make_accelerator
from nextscale_lab.train.loop import Trainer


def train_codebook(shard: Shard) -> dict[str, Tensor]:
    """A codebook after some batches in which codes are filled, moved and replaced when dead."""
    torch.manual_seed(0)
    quantizer = MultiScaleQuantizer(16, 4, (4, 2, 1)).train()
    # One step without being chosen, and the second half is dead.
    quantizer.usage[8:] = 0.0301
    torch.manual_seed(shard.rank)
    for step in range(4):
        latents = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(step))
        quantizer(latents[shard.rows(len(latents))])
    assert float(quantizer.usage[8:].max()) > 0.0301, "no dead code was replaced"
    return {name: value.clone() for name, value in quantizer.named_buffers()}


def commands(data: Path, runs: Path) -> list[list[str]]:
    """Tokenizer, then decoder, both tiny."""
    common = ["--data", str(data), "--steps", "12", "--eval-every", "4", "--precision", "no"]
    common += ["--learning-rate", "0.003", "--frames", "1024"]
    sizes = ["--width", "8", "--code-dim", "4", "--codes", "16"]
    tokenizer = ["train", "tokenizer", *common, *sizes, "--out", str(runs / "tokenizer")]
    decoder = ["train", "decoder", *common, "--tokenizer", str(runs / "tokenizer" / "last")]
    return [tokenizer, [*decoder, "--out", str(runs / "decoder")]]


def stop_once(words: list[str], calls: int, here: bool) -> None:
    """Run a tokenizer command whose n-th step meets a SIGTERM in one of the processes."""
    inner, seen = tokenizer_module.tokenizer_loss, []

    def spy(*arguments):
        seen.append(0)
        if here and len(seen) == calls:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(*arguments)

    tokenizer_module.tokenizer_loss = spy
    try:
        assert app(words, standalone_mode=False) == 128 + signal.SIGTERM
        assert len(seen) == calls, "the processes stopped at different steps"
    finally:
        tokenizer_module.tokenizer_loss = inner


def main(data: Path, runs: Path, results: Path) -> None:
    """Train, and keep what this process ends with."""
    torch.set_num_threads(1)
    accelerator = make_accelerator("no")
    rank = accelerator.process_index
    save_file(train_codebook(Shard(rank, 2)), str(results / f"codebook{rank}.safetensors"))
    fit, trainers = Trainer.fit, []

    def spy(trainer: Trainer) -> dict[str, float]:
        trainers.append(trainer)
        return fit(trainer)

    Trainer.fit = spy  # type: ignore[method-assign]
    stop_once(commands(data, runs)[0], 6, here=rank == 1)
    for words in commands(data, runs):
        app(words, standalone_mode=False)
        bare = trainers[-1].bare
        state = {**bare.state_dict(), **dict(bare.named_buffers())}
        state = {name: value.clone().contiguous() for name, value in state.items()}
        save_file(state, str(results / f"{words[1]}{rank}.safetensors"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

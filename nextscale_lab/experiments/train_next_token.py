"""Training of the next-token baseline on single-scale tokens, with T2M-GPT's corruption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.model.checkpoint import load_part
from nextscale_core.model.quantizer import MultiScaleQuantizer
from nextscale_core.model.temporal_tokenizer import TemporalTokenizer
from nextscale_core.text.encoder import TextEncoder
from nextscale_lab.data.samples import Folders, folder_names
from nextscale_lab.experiments.next_token import NextToken, NextTokenConfig
from nextscale_lab.train.duration import teach_duration
from nextscale_lab.train.entries import Batch
from nextscale_lab.train.library import LibraryConfig, TokenLibrary, open_libraries
from nextscale_lab.train.loop import RunConfig, Trainer
from nextscale_lab.train.objective import drop_words
from nextscale_lab.train.run import weights_digest


@dataclass(frozen=True)
class NextTokenObjective:
    """Settings of the baseline's objective; see `ObjectiveConfig`.

    Attributes:
        corruption: Share of input tokens replaced by random codes (T2M-GPT's tau, 0.5 there),
            like errors of sampling.
        text_drop: Share of samples with the null text.
        word_drop: Share of hidden tokens of a sentence.
        label_smoothing: Label smoothing of the cross-entropy.
    """

    corruption: float = 0.5
    text_drop: float = 0.1
    word_drop: float = 0.1
    label_smoothing: float = 0.05

    def __post_init__(self) -> None:
        for name in ("corruption", "text_drop", "word_drop", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be from 0 to 1, got {getattr(self, name)}")


def corrupt(tokens: Tensor, share: float, num_codes: int) -> Tensor:
    """Tokens replaced by random codes with a probability."""
    random = torch.randint(num_codes, tokens.shape, device=tokens.device)
    replaced = torch.rand(tokens.shape, device=tokens.device) < share
    return torch.where(replaced, random, tokens)


def next_token_loss(
    model: nn.Module,
    bare: NextToken,
    quantizer: MultiScaleQuantizer,
    batch: Batch,
    objective: NextTokenObjective,
    train: bool = True,
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of every token given the previous ones.

    Args:
        model: The module to call (possibly wrapped for several processes).
        bare: The same module, unwrapped.
        quantizer: Frozen quantiser of a single scale.
        batch: Latents of that tokenizer's encoder, and sentences.
        objective: Settings.
        train: Corrupt the input and drop texts.
    """
    device = bare.null_token.device
    batch = batch.to(device)
    text = batch.text
    lengths = torch.tensor(batch.lengths, device=device)
    dropped = ~batch.has_text
    with torch.autocast(device.type, enabled=False):
        targets = quantizer.nearest(batch.latents)
    tokens, smoothing = targets, 0.0
    if train:
        tokens = corrupt(targets, objective.corruption, quantizer.num_codes)
        dropped = dropped | (torch.rand(len(dropped), device=device) < objective.text_drop)
        text = drop_words(text, objective.word_drop)
        smoothing = objective.label_smoothing
    predicted = model(tokens, lengths, bare.drop_text(text, dropped))
    valid = torch.arange(targets.shape[1], device=device) < lengths[:, None]
    scores, wanted = predicted[valid].float(), targets[valid]
    entropy = F.cross_entropy(scores, wanted, label_smoothing=smoothing)
    metrics = {"ce": entropy.item(), "acc": float((scores.argmax(-1) == wanted).float().mean())}
    return entropy, metrics


@torch.no_grad()
def evaluate_next_token(
    model: NextToken, quantizer: MultiScaleQuantizer, library: TokenLibrary
) -> dict[str, float]:
    """Mean cross-entropy and accuracy on a split, on clean tokens."""
    sums: dict[str, float] = {}
    total = 0
    for begin in range(0, len(library.entries), 64):
        entries = library.entries[begin : begin + 64]
        batch = library.first(entries)
        _, metrics = next_token_loss(
            model, model, quantizer, batch, NextTokenObjective(), train=False
        )
        for name in ("ce", "acc"):
            sums[name] = sums.get(name, 0.0) + metrics[name] * sum(batch.lengths)
        total += sum(batch.lengths)
    return {name: value / total for name, value in sums.items()}


def train_next_token(
    data: Folders,
    tokenizer_path: str | Path,
    run: RunConfig,
    config: NextTokenConfig | None = None,
    objective: NextTokenObjective | None = None,
    *,
    library: LibraryConfig | None = None,
    cache: Path | None = None,
) -> dict[str, float]:
    """Train the baseline on the train split of a data folder with a frozen tokenizer.

    Args:
        data: CMU or HumanML3D folders.
        tokenizer_path: Folder of a trained `TemporalTokenizer` with a single scale.
        run: Settings of the run.
        config: Sizes; the code sizes are taken from the tokenizer.
        objective: Settings of the loss.
        library: Content of the training library.
        cache: Folder that keeps the encoded library for later runs.

    Returns:
        Validation metrics of the last weights, as `train_generator`.

    Raises:
        ConfigError: the tokenizer has several scales.
    """
    tokenizer = load_part(TemporalTokenizer, tokenizer_path).eval().requires_grad_(False)
    if tokenizer.config.divisors != (1,):
        raise ConfigError(
            "the next-token baseline needs a tokenizer of a single scale, divisors (1,); "
            f"{tokenizer_path} has {tokenizer.config.divisors}"
        )
    config = replace(
        config or NextTokenConfig(),
        num_codes=tokenizer.config.num_codes,
        code_dim=tokenizer.config.code_dim,
    )
    objective = objective or NextTokenObjective()
    encoder = TextEncoder(config.text_encoder)
    config = replace(config, text_dim=encoder.dim)
    source, val = open_libraries(data, tokenizer, encoder, run, library, cache)
    torch.manual_seed(run.seed)
    model = NextToken(config)
    with torch.no_grad():
        # Initialise codes from the tokenizer, as in `train_generator`.
        model.code_embedding.weight.copy_(tokenizer.quantizer.codebook)
    teach_duration(model, data, encoder, table=source.table, policy=run.on_bad_data)

    def loss(module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        batch = source.draw(run.batch_size, trainer.shard.rank, trainer.shard.processes)
        return next_token_loss(module, trainer.bare, quantizer, batch, objective)

    def evaluate(module: nn.Module) -> dict[str, float]:
        assert isinstance(module, NextToken)
        return evaluate_next_token(module, quantizer, val)

    trainer = Trainer(
        model,
        run,
        loss,
        evaluate,
        better="ce",
        stateful={"library": source},
        about={
            "objective": objective,
            "library": library or LibraryConfig(),
            "data": folder_names(data),
            "tokenizer": weights_digest(tokenizer),
        },
    )
    quantizer = tokenizer.quantizer.to(trainer.accelerator.device)
    return trainer.fit()

"""Training of the classifier that reads what a sentence in words of its own asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from pydantic.dataclasses import dataclass
from torch import nn

from nextscale_core.exceptions import ConfigError
from nextscale_core.text.clauses import clauses
from nextscale_core.text.encoder import TextEncoder
from nextscale_core.text.intents import OTHERS, IntentClassifier
from nextscale_core.text.mirror import mirror_text
from nextscale_core.yaml_files import read_yaml
from nextscale_lab import CONFIG
from nextscale_lab.files import CLOSED, validated

PARAPHRASES = CONFIG / "paraphrases.yaml"
_LEARNING_RATE, _WEIGHT_DECAY, _SMOOTHING = 3e-3, 0.1, 0.05


@dataclass(frozen=True, config=CLOSED)
class Paraphrases:
    """Sentences of each intent.

    Attributes:
        train: From an intent (a sentence in plain words, {side} for left or right), or one of
            `OTHERS`, to sentences that ask for it.
        val: The same for validation.
    """

    train: dict[str, tuple[str, ...]]
    val: dict[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if missing := sorted({*OTHERS, *self.val} - set(self.train)):
            raise ConfigError(f"train lacks the intents {', '.join(missing)}")


def load_paraphrases(path: str | Path = PARAPHRASES) -> Paraphrases:
    """Read and validate a file of paraphrases.

    Raises:
        ConfigError: the file is missing, is invalid YAML, or lacks an intent.
    """
    return validated(Paraphrases, read_yaml(Path(path)), f"paraphrases {path}")


def captions_of_others(captions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The captions of motion data that belong to `OTHERS`, by the rules for words of actions."""
    own: dict[str, list[str]] = {name: [] for name in OTHERS}
    none, several = OTHERS
    for caption in dict.fromkeys(captions):
        actions = {claim.action for clause in clauses(caption) for claim in clause}
        if len(actions) != 1:
            own[several if actions else none].append(caption)
    return {name: tuple(found) for name, found in own.items()}


def train_intents(
    paraphrases: Paraphrases,
    encoder: TextEncoder,
    captions: Iterable[str] = (),
    steps: int = 300,
    seed: int = 0,
) -> IntentClassifier:
    """Fit a classifier on frozen features, all sentences in each step.

    Args:
        paraphrases: The sentences; those that name a side are also learned mirrored.
        captions: Captions that the motion model knows; those of other or several motions are
            learned as such.
        encoder: Text encoder.
        steps: Optimizer steps.
        seed: Seed of the weights and of dropout.
    """
    names = tuple(paraphrases.train)
    known = captions_of_others(captions)
    sentences = {name: (*own, *known.get(name, ())) for name, own in paraphrases.train.items()}
    pooled, labels = _rows(sentences, names, encoder, mirrored=True)
    weights = torch.bincount(labels, minlength=len(names)).rsqrt()
    loss = nn.CrossEntropyLoss(weights / weights.mean(), label_smoothing=_SMOOTHING)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = IntentClassifier(names, encoder.dim)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
        )
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model(pooled), labels).backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


def accuracy(
    model: IntentClassifier, sentences: Mapping[str, Sequence[str]], encoder: TextEncoder
) -> float:
    """Share of sentences whose most probable intent is theirs."""
    pooled, labels = _rows(sentences, model.names, encoder)
    return float((model(pooled).argmax(dim=1) == labels).float().mean())


def _rows(
    sentences: Mapping[str, Sequence[str]],
    names: Sequence[str],
    encoder: TextEncoder,
    mirrored: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(R, D) features of R sentences and (R,) the indices of their intents."""
    pairs = [(words, names.index(name)) for name, own in sentences.items() for words in own]
    if mirrored:
        pairs += [
            (mirror_text(words), index) for words, index in pairs if mirror_text(words) != words
        ]
    features = encoder([words for words, _ in pairs]).pooled.cpu()
    return features, torch.tensor([index for _, index in pairs])

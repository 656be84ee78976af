"""`IntentClassifier`: the known motion that a sentence asks for in words of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nextscale_core.exceptions import ModelLoadError
from nextscale_core.text.clauses import (
    Claim,
    Clauses,
    clauses,
    denied,
    named_rotation,
    named_side,
)
from nextscale_core.text.plain_words import has_manner, in_plain_words, said

INTENTS = Path(__file__).with_name("intents.safetensors")
"""The classifier of the package, for features of all-MiniLM-L6-v2."""

OTHERS = ("none", "several")
"""Classes of sentences that ask for a motion that no intent describes, and for several ones."""

LEAST_CONFIDENCE = 0.1
"""Probability from which an intent stands for a sentence without an action that rules know."""

SUPPLEMENTING = 0.2
"""Probability from which an intent stands for a sentence of which rules know a part."""

OVERRULING = 0.4
"""Probability from which an intent is preferred to what rules find in a whole sentence, and from
which one that tells a manner is said without it."""

SHORTENING = 0.6
"""Probability from which an intent stands for a sentence in which rules find more actions. With
these four, five of the 473 captions of `val` and `test` are read otherwise than by the rules."""

_WITH_SIDE = {
    "a person waves": "a person waves with the {side} hand",
    "a person punches": "a person punches with the {side} hand",
    "a person kicks": "a person kicks with the {side} leg",
    "a person turns halfway around": "a person turns halfway around to the {side}",
    "a person turns all the way around": "a person turns all the way around {rotation}",
    "a person walks in a circle": "a person walks in a {rotation} circle",
    "a person runs in a circle": "a person runs in a {rotation} circle",
}
_WITHOUT_SIDE = {
    "a person raises the {side} arm": "a person raises an arm",
    "a person steps sideways to the {side}": "a person steps sideways",
    "a person turns 90 degrees to the {side}": "a person turns",
} | {sided: plain for plain, sided in _WITH_SIDE.items()}


class Intent(NamedTuple):
    """The intent of a sentence.

    Attributes:
        sentence: In plain words, with the side that the sentence names; '' for `OTHERS`.
        probability: How sure the classifier is.
    """

    sentence: str
    probability: float


class IntentClassifier(nn.Module):
    """Multilayer perceptron from the mean features of a sentence to the probability of each intent.

    Args:
        names: Intents: sentences in plain words, in which {side} stands for left or right, and
            `OTHERS`.
        features: Width of the text features.
        hidden: Width of the hidden layer.
    """

    def __init__(self, names: tuple[str, ...], features: int = 384, hidden: int = 512) -> None:
        super().__init__()
        self.names = names
        self.scale = features**0.5
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, len(names))
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, D) pooled text features of unit length -> (B, N) logits."""
        logits: Tensor = self.layers(pooled * self.scale)
        return logits

    @torch.no_grad()
    def intent(self, sentence: str, pooled: Tensor) -> Intent:
        """The most probable intent.

        Args:
            sentence: A validated sentence.
            pooled: (D,) its features.
        """
        probability, best = self(pooled[None].float().cpu()).softmax(dim=1)[0].max(dim=0)
        name = self.names[int(best)]
        words = "" if name in OTHERS else _named(name, sentence)
        return Intent(words, float(probability))

    def meaning(self, sentence: str, pooled: Tensor) -> str:
        """What a sentence asks for, in words whose actions `clauses` finds.

        Args:
            sentence: A validated sentence.
            pooled: (D,) its features.

        Returns:
            The sentence itself where rules understand it as the classifier does or better: where
            it says several things, how often, or by which angle, and where it denies something.
        """
        found = self.intent(sentence, pooled)
        if not found.sentence or denied(sentence):
            return sentence
        known = clauses(sentence)
        is_complete = bool(in_plain_words(sentence))
        least = SUPPLEMENTING if known else LEAST_CONFIDENCE
        if found.probability < (OVERRULING if is_complete or has_manner(sentence) else least):
            return sentence
        meant = _refined(known, clauses(found.sentence))
        is_short = len(known) > len(meant) and found.probability < SHORTENING
        if is_complete and (is_short or [*map(_kinds, meant)] == [*map(_kinds, known)]):
            return sentence
        return said(meant) or found.sentence

    @classmethod
    def load(cls, path: Path = INTENTS) -> IntentClassifier:
        """The classifier of the package, or one from a file.

        Raises:
            ModelLoadError: the file is missing or damaged.
        """
        try:
            with safe_open(path, "pt") as file:
                names = tuple(json.loads(file.metadata()["names"]))
            state = {name: value.float() for name, value in load_file(path).items()}
            hidden, features = state["layers.0.weight"].shape
            model = cls(names, features, hidden)
            model.load_state_dict(state)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelLoadError(f"{path} holds no classifier of intents: {error}") from error
        return model.eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Write the weights in half precision, with the names of the intents."""
        state = {name: value.half().contiguous() for name, value in self.state_dict().items()}
        save_file(state, path, {"names": json.dumps(self.names)})


def _refined(known: Clauses, meant: Clauses) -> Clauses:
    """What an intent means, with what rules know of the same actions in addition."""
    if [len(part) for part in known] != [len(part) for part in meant]:
        return meant
    pairs = [list(zip(*both, strict=True)) for both in zip(known, meant, strict=True)]
    if any(one.action != other.action for part in pairs for one, other in part):
        return meant
    return tuple(tuple(_both(one, other) for one, other in part) for part in pairs)


def _kinds(part: tuple[Claim, ...]) -> list[tuple[str, str, int, int]]:
    return [(one.action, one.direction, one.count, one.pace) for one in part]


def _both(known: Claim, meant: Claim) -> Claim:
    said_so = known.direction not in ("", "forward")
    return Claim(
        meant.action,
        meant.side or known.side,
        known.direction if said_so else meant.direction or known.direction,
        known.count or meant.count,
        known.degrees or meant.degrees,
        meant.pace or known.pace,
    )


def _named(name: str, sentence: str) -> str:
    """An intent with the side that a sentence names, or without."""
    rotation, side = named_rotation(sentence), named_side(sentence)
    is_turn = "turn" in name or "circle" in name
    side = (rotation if is_turn else "") or (side if side in ("left", "right") else "")
    if not side:
        return _WITHOUT_SIDE.get(name, name)
    turns = {"left": "counterclockwise", "right": "clockwise"}
    return _WITH_SIDE.get(name, name).format(side=side, rotation=turns[side])

"""Clauses, the windows that they describe, and sentences made of clauses.

The wording is in nextscale_lab/config/captions/auto_captions.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from nextscale_lab.captions.tables import table, texts
from nextscale_lab.captions.verbs import gerund, third


@dataclass(frozen=True)
class Clauses:
    """Alternative clauses for one event, such as 'turns left'; the addition of two joins them.

    Attributes:
        plain: The shortest ones.
        detailed: Ones with more of what was measured.
    """

    plain: tuple[str, ...] = ()
    detailed: tuple[str, ...] = ()

    def __add__(self, other: Clauses) -> Clauses:
        return Clauses(self.plain + other.plain, self.detailed + other.detailed)

    def with_phrases(self, phrases: Sequence[str]) -> Clauses:
        """Every clause with every phrase: 'walks forward' + 'in a crouch'; unchanged for none."""
        if not phrases:
            return self
        plain, detailed = (
            tuple(f"{clause} {phrase}" for phrase in phrases for clause in own)
            for own in (self.plain, self.detailed or self.plain)
        )
        return Clauses(plain, detailed)


def clauses(name: str, **values: object) -> Clauses:
    """Clauses of the table, with values in place of '{side}' and the like."""
    entry = table("auto_captions")["clauses"][name]
    plain, detailed = (
        tuple(text.format(**values) for text in texts(entry.get(key)))
        for key in ("plain", "detailed")
    )
    return Clauses(plain, detailed)


def times(count: int) -> str:
    """'', ' twice', ' three times' or ' several times', to follow a verb."""
    return "" if count == 1 else {2: " twice", 3: " three times"}.get(count, " several times")


def number(count: int) -> str:
    """'two', 'three', 'four' or 'several'."""
    return {2: "two", 3: "three", 4: "four"}.get(count, "several")


@dataclass(frozen=True)
class Window:
    """A stretch of a recording with the clauses for its events.

    Attributes:
        kind: Kind for balancing, such as 'walk', 'circle_left' or 'walk_turn_walk'.
        start: First frame.
        end: Frame after the last.
        parts: Clauses of each event in order.
        speedup: Playback speed that fits the window into 9.8 s.
    """

    kind: str
    start: int
    end: int
    parts: tuple[Clauses, ...]
    speedup: float = 1.0


class SentenceWriter:
    """Random but reproducible sentences.

    Args:
        rng: Source of the choices.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, options: Sequence[str]) -> str:
        """One of several options, with higher probability for earlier ones."""
        weights = 1.0 / np.arange(1, len(options) + 1) ** 0.5
        return options[int(self.rng.choice(len(options), p=weights / weights.sum()))]

    def sentence(self, parts: Sequence[str]) -> str:
        """A sentence of clauses in the third person, sometimes as 'is walking'."""
        text = self._joined(parts)
        if len(parts) == 1 and self.rng.random() < 0.15 and participle(text) != text:
            text = f"is {participle(text)}"
        names, weights = zip(*table("auto_captions")["subjects"].items(), strict=True)
        p = np.array(weights, dtype=float)
        subject = names[int(self.rng.choice(len(names), p=p / p.sum()))]
        return re.sub(r"\s+,", ",", re.sub(r"\s+", " ", f"{subject} {text}")).strip()

    def _joined(self, parts: Sequence[str]) -> str:
        """'walks, turns left and walks on'."""
        if len(parts) == 1:
            return parts[0]
        words = table("auto_captions")
        if len(parts) > 2:
            return ", ".join(parts[:-1]) + self.pick(words["links_of_more"]) + parts[-1]
        link, last = self.pick(words["links_of_two"]), parts[1]
        if link == " before ":
            if participle(last) == last:
                link = " and then "
            last = participle(last)
        return parts[0] + link + last


@cache
def _participles() -> dict[str, str]:
    words = table("auto_captions")
    return {third(v): gerund(v) for v in words["participles"]} | words["irregular_participles"]


def participle(clause: str) -> str:
    """'walks forward' -> 'walking forward'; a clause with an unlisted verb is unchanged."""
    known = _participles()
    words = clause.split(" ")
    at = 1 if words[0].endswith("ly") and len(words) > 1 else 0
    if words[at] not in known:
        return clause
    words[at] = known[words[at]]
    # 'walks and turns' in one clause: both verbs.
    for index in range(at + 1, len(words)):
        if words[index - 1] in ("and", "then", "around,") and words[index] in known:
            words[index] = known[words[index]]
    return " ".join(words)

"""Sentences: varied everyday words for what was measured."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_SUBJECTS = (
    ("a person", 10),
    ("someone", 4),
    ("the person", 4),
    ("a man", 3),
    ("person", 1),
    ("a human", 1),
    ("a figure", 1),
    ("he", 1),
    ("somebody", 1),
)
_TWO = (" and then ", ", then ", " and ", " then ", " before ", ", and then ")
_GERUNDS = {
    "walks": "walking",
    "runs": "running",
    "jogs": "jogging",
    "steps": "stepping",
    "sidesteps": "sidestepping",
    "moves": "moving",
    "strolls": "strolling",
    "turns": "turning",
    "curves": "curving",
    "stands": "standing",
    "jumps": "jumping",
    "leaps": "leaping",
    "hops": "hopping",
    "takes": "taking",
    "goes": "going",
    "makes": "making",
    "does": "doing",
    "keeps": "keeping",
    "continues": "continuing",
    "starts": "starting",
    "begins": "beginning",
    "stops": "stopping",
    "stays": "staying",
    "comes": "coming",
    "spins": "spinning",
    "rotates": "rotating",
    "sprints": "sprinting",
    "backs": "backing",
    "shuffles": "shuffling",
    "paces": "pacing",
    "heads": "heading",
    "waits": "waiting",
    "veers": "veering",
    "raises": "raising",
    "lifts": "lifting",
    "holds": "holding",
    "waves": "waving",
    "punches": "punching",
    "throws": "throwing",
    "claps": "clapping",
    "kicks": "kicking",
    "squats": "squatting",
    "bends": "bending",
    "kneels": "kneeling",
    "sits": "sitting",
    "balances": "balancing",
    "picks": "picking",
    "stretches": "stretching",
    "performs": "performing",
    "pauses": "pausing",
    "halts": "halting",
    "swings": "swinging",
    "bounds": "bounding",
    "faces": "facing",
    "strides": "striding",
    "travels": "traveling",
    "follows": "following",
}


class Voice:
    """Chooses words by chance, repeatably.

    Args:
        rng: Source of the choices.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, options: Sequence[str]) -> str:
        """One of some options; options named first come more often."""
        weights = 1.0 / np.arange(1, len(options) + 1) ** 0.5
        return options[int(self.rng.choice(len(options), p=weights / weights.sum()))]

    def subject(self) -> str:
        """Who moves."""
        names, weights = zip(*_SUBJECTS, strict=True)
        p = np.array(weights, dtype=float)
        return str(names[int(self.rng.choice(len(names), p=p / p.sum()))])

    def join(self, clauses: Sequence[str]) -> str:
        """'walks, turns left and walks on'."""
        if len(clauses) == 1:
            return clauses[0]
        if len(clauses) == 2:
            link = self.pick(_TWO)
            last = clauses[1]
            if link == " before ":
                if gerund(last) == last:
                    link = " and then "
                last = gerund(last)
            return clauses[0] + link + last
        head = ", ".join(clauses[:-1])
        return head + self.pick((" and ", ", then ", ", and then ", " and then ")) + clauses[-1]

    def sentence(self, clauses: Sequence[str]) -> str:
        """A sentence of clauses in the third person, sometimes as 'is walking'."""
        text = self.join(clauses)
        if len(clauses) == 1 and self.rng.random() < 0.15 and gerund(text) != text:
            text = f"is {gerund(text)}"
        return f"{self.subject()} {text}"


def gerund(clause: str) -> str:
    """'walks forward' -> 'walking forward'; a clause whose verb is not known stays as it is."""
    words = clause.split(" ")
    at = 1 if words[0].endswith("ly") and len(words) > 1 else 0
    if words[at] not in _GERUNDS:
        return clause
    words[at] = _GERUNDS[words[at]]
    # 'walks and turns' in one clause: both verbs.
    for index in range(at + 1, len(words)):
        if words[index - 1] in ("and", "then", "around,") and words[index] in _GERUNDS:
            words[index] = _GERUNDS[words[index]]
    return " ".join(words)


def tidy(text: str) -> str:
    """Single blanks, no blank before a comma."""
    return re.sub(r"\s+,", ",", re.sub(r"\s+", " ", text)).strip()

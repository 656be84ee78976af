"""Rule-based paraphrases of training captions.

847 captioned clips describe most actions in few ways; users find others. The rules change the
subject (a person, someone, he), the form of the verbs (walks, is walking, walk, walking) and words
with the same meaning (backward, backwards; twice, two times). They keep sides, the values of
numbers and the order of events.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

import numpy as np

from nextscale_lab.captions.tables import table, texts
from nextscale_lab.captions.verbs import Form, inflect, parse_verb

_T = TypeVar("_T")

_UNCHANGED, _SYNONYM, _NEW_SUBJECT = 0.2, 0.4, 0.6  # probabilities

_SUBJECT = re.compile(
    r"^(?:(?:a|an|the|this|one)\s+)?(?:standing\s+)?"
    r"(?P<noun>person|man|human|humanoid|figure|stick\s?figure|character|guy|individual|someone|"
    r"somebody|he|sim|dancer|actor|subject)(?=\s)",
    re.IGNORECASE,
)
_SUBJECTS = (
    "a person", "a person", "a person", "someone", "a man", "the person", "the man", "a figure",
    "the figure", "he", "a human",
)  # fmt: skip

_ADVERB = re.compile(r"\w+ly$|^(?:then|also|just|quickly|fast|first)$")
_JOINS = frozenset(["and", "then", "finally"])
_NOUNS = frozenset(["person", "man", "figure", "he", "she", "they", "it", "someone"])
_OTHER_SUBJECT = re.compile(
    r"\b(?:he|she|it|they|who|that|which|person|man|someone|figure|it's|he's)\b", re.IGNORECASE
)
_WAYS: tuple[tuple[str, float], ...] = (
    ("third", 0.45),
    ("progressive", 0.2),
    ("participle", 0.1),
    ("order", 0.17),
    ("gerund", 0.08),
)


def paraphrases(caption: str, rng: random.Random | np.random.Generator) -> str:
    """One paraphrase of a caption, drawn with `rng`.

    Args:
        caption: A sentence that describes a motion.
        rng: Source of the choices; the same state gives the same paraphrase.

    Returns:
        A sentence that describes the same motion, lower case like HumanML3D's captions and never
        empty for a caption with a word in it. In one of five only the spelling is corrected.
    """
    text = _corrected(caption)
    if rng.random() < _UNCHANGED:
        return text
    for pattern, alternatives in _rules("synonyms"):
        text = pattern.sub(_one_of(alternatives, rng), text)
    return _recast(text, rng)


@cache
def _rules(name: str) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    """Patterns with their templates for `re.Match.expand`, in the order of the table."""
    rules = table("synonyms")
    return tuple(
        (re.compile(pattern.replace("BODY_PART", rules["body_part"])), texts(alternatives))
        for pattern, alternatives in rules[name].items()
    )


def _corrected(caption: str) -> str:
    text = re.sub(r"\s+", " ", caption).strip(" .").lower()
    text = re.sub(r"\s+,", ",", text)
    for pattern, (right, *_) in _rules("typos"):
        text = pattern.sub(right, text)
    return text


def _one_of(
    alternatives: Sequence[str], rng: random.Random | np.random.Generator
) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        if rng.random() >= _SYNONYM:
            return match.group()
        return match.expand(_pick(alternatives, rng))

    return replace


def _recast(text: str, rng: random.Random | np.random.Generator) -> str:
    """Another subject and, where all verbs are known, another form of them."""
    found = _SUBJECT.match(text)
    rest = text[found.end() :].strip() if found else text
    if not found and not _is_order(rest):
        return text
    keep = found is not None and rng.random() >= _NEW_SUBJECT
    subject = found.group() if found and keep else _pick(_SUBJECTS, rng)
    way = _draw(_WAYS, rng)
    verbs = _verbs(rest)
    if verbs is None:
        # A relative clause or an unknown verb: change the subject only.
        return f"{subject} {rest}" if found else text
    if _OTHER_SUBJECT.search(rest) and way in ("order", "gerund"):
        way = "third"
    words, places = verbs
    target: Form = "third" if way == "third" else "base" if way == "order" else "gerund"
    for place, lemma in places.items():
        stop = words[place][len(words[place].rstrip(",.;")) :]
        words[place] = inflect(lemma, target) + stop
    spoken = " ".join(words)
    if way == "progressive":
        return f"{subject} is {spoken}"
    return spoken if way in ("order", "gerund") else f"{subject} {spoken}"


def _is_order(text: str) -> bool:
    """Whether the caption starts with its verb: 'walk, veer left', 'walking forward'."""
    verb = parse_verb(text.split(" ")[0].rstrip(",;"))
    return verb is not None and verb[1] in ("base", "gerund")


def _verbs(rest: str) -> tuple[list[str], dict[int, str]] | None:
    """Words after the subject and the places and lemmas of its finite verbs.

    'is' before a participle is dropped: 'is walking' gives 'walking'. Only verbs of the first
    one's form in the place of a verb (after 'and', 'then', a comma or an adverb) count, so that
    'takes three steps' keeps its steps.
    """
    words = rest.split()
    progressive = words[0] in ("is", "was") and len(words) > 1
    if progressive:
        words = words[1:]
    first = 0
    while first < len(words) - 1 and _ADVERB.search(words[first]):
        first += 1
    verb = parse_verb(words[first].rstrip(","))
    allowed = ("gerund",) if progressive else ("third", "gerund", "past", "base")
    if verb is None or verb[1] not in allowed:
        return None
    form = verb[1]
    places: dict[int, str] = {}
    expecting = True
    for place, word in enumerate(words):
        bare = word.rstrip(",.;")
        known = parse_verb(bare)
        if expecting and known and known[1] == form:
            places[place] = known[0]
        stops = word != bare
        joins = bare in _JOINS and not (place and words[place - 1] in _NOUNS)
        expecting = stops or joins or (expecting and bool(_ADVERB.search(bare)))
    return words, places


def _pick(choices: Sequence[_T], rng: random.Random | np.random.Generator) -> _T:
    return choices[min(int(rng.random() * len(choices)), len(choices) - 1)]


def _draw(choices: Sequence[tuple[str, float]], rng: random.Random | np.random.Generator) -> str:
    level = rng.random()
    for choice, weight in choices:
        level -= weight
        if level < 0:
            return choice
    return choices[-1][0]

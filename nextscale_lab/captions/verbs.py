"""Verbs of motion captions: their forms (walk, walks, walking, walked) and their number."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from nextscale_lab.captions.tables import table

Form = Literal["base", "third", "gerund", "past"]

_VOWELS = "aeiou"
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|\d+")


def third(lemma: str) -> str:
    """Third person singular: 'walk' -> 'walks', 'punch' -> 'punches', 'carry' -> 'carries'."""
    if lemma == "have":
        return "has"
    if lemma.endswith(("s", "sh", "ch", "x", "z", "do", "go")):
        return lemma + "es"
    if lemma.endswith("y") and lemma[-2] not in _VOWELS:
        return lemma[:-1] + "ies"
    return lemma + "s"


def gerund(lemma: str) -> str:
    """Present participle: 'walk' -> 'walking', 'run' -> 'running', 'wave' -> 'waving'."""
    if lemma in table("verbs")["doubling"]:
        return lemma + lemma[-1] + "ing"
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    if lemma.endswith("e") and not lemma.endswith(("ee", "oe")):
        return lemma[:-1] + "ing"
    return lemma + "ing"


def past(lemma: str) -> str:
    """Past tense: 'walk' -> 'walked', 'run' -> 'ran'."""
    verbs = table("verbs")
    if lemma in verbs["past"]:
        return str(verbs["past"][lemma])
    if lemma in verbs["doubling"]:
        return lemma + lemma[-1] + "ed"
    if lemma.endswith("e"):
        return lemma + "d"
    if lemma.endswith("y") and lemma[-2] not in _VOWELS:
        return lemma[:-1] + "ied"
    return lemma + "ed"


def inflect(lemma: str, form: Form) -> str:
    """The lemma in the given form."""
    if form == "base":
        return lemma
    return {"third": third, "gerund": gerund, "past": past}[form](lemma)


@cache
def _forms() -> dict[str, tuple[str, Form]]:
    verbs = table("verbs")["verbs"]
    forms: dict[str, tuple[str, Form]] = {}
    for lemma in verbs:
        forms.setdefault(past(lemma), (lemma, "past"))
    for lemma in verbs:
        forms[gerund(lemma)] = (lemma, "gerund")
        forms[third(lemma)] = (lemma, "third")
        forms[lemma] = (lemma, "base")
    return forms


def parse_verb(word: str) -> tuple[str, Form] | None:
    """Lemma and form of one lower-case word: ('run', 'gerund'); None for an unknown verb."""
    return _forms().get(word)


def count_verbs(caption: str) -> int:
    """Number of actions in a motion caption, counted by their verbs.

    Nouns that look like verbs ('takes a step') do not count, nor do helpers before another verb
    ('begins to walk', 'keeps walking').

    Args:
        caption: A sentence.

    Returns:
        For example 2 for 'a person walks forward and then sits down'.
    """
    words = _WORD.findall(caption.lower())
    before_nouns, helpers = table("verbs")["before_nouns"], table("verbs")["helpers"]
    count = 0
    for place, word in enumerate(words):
        verb = parse_verb(word)
        if verb is None:
            continue
        lemma, form = verb
        before = words[place - 1] if place else ""
        if form in ("base", "third") and (before in before_nouns or before.isdigit()):
            continue
        if lemma in helpers and _leads_to_a_verb(words[place + 1 : place + 3]):
            continue
        count += 1
    return count


def _leads_to_a_verb(following: list[str]) -> bool:
    if not following:
        return False
    if following[0] == "to" and len(following) > 1:
        verb = parse_verb(following[1])
        return verb is not None and verb[1] == "base"
    verb = parse_verb(following[0])
    return verb is not None and verb[1] == "gerund"

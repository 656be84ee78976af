"""Durations that a sentence states, such as "waves for three seconds"."""

from __future__ import annotations

import re

from nextscale_core.text.clauses import clauses
from nextscale_core.text.language import TextWarning
from nextscale_core.text.quantities import LARGE_NUMBERS, NUMBERS

_NUMBERS: dict[str, float] = NUMBERS | LARGE_NUMBERS | {"half a": 0.5}
_WORDS = "|".join(sorted(_NUMBERS, key=len, reverse=True))
# "A second" is vague, or a number.
_STATED = re.compile(
    rf"(?<![\w.,-])(?:(?P<number>\d{{1,4}}(?:[.,]\d+)?|{_WORDS})"
    r"(?:[ -]?(?P<unit>seconds?|secs?|minutes?|mins?)| ?s)|(?P<minute>a minute))\b"
)
_NOT_A_LENGTH = re.compile(r"\b(after|every|each|per|last|first|next)( the)?( (last|first|next))?$")
_SEVERAL = re.compile(r"\b(and|then|before|after|followed by)\b|[;,.](?= ?\w)")


class DurationWarning(TextWarning):
    """A sentence asks for a longer motion than the model makes at once."""


def stated_seconds(sentence: str, guess: float) -> float:
    """Duration of a motion whose sentence may state it.

    A duration that the whole sentence has is that of the motion. One that belongs to a part of
    the sentence only makes the motion at least as long.

    Args:
        sentence: A validated sentence.
        guess: Duration where the sentence states none [s].

    Returns:
        Not limited to what the model can make [s].
    """
    text = " ".join(sentence.lower().split())
    stated, rest, end = 0.0, "", 0
    for match in _STATED.finditer(text):
        if _NOT_A_LENGTH.search(text[: match.start()].rstrip()):
            continue
        word = (match["number"] or "one").replace(",", ".")
        number = _NUMBERS[word] if word in _NUMBERS else float(word)
        unit = match["unit"] or match["minute"] or "s"
        stated += number * (60.0 if "min" in unit else 1.0)
        rest, end = rest + text[end : match.start()], match.end()
    if not stated:
        return guess
    rest = (rest + text[end:]).strip(" .")
    is_whole = len(clauses(rest)) <= 1 and not _SEVERAL.search(rest)
    return stated if is_whole else max(guess, stated)


def duration_remark(sentence: str, longest: float) -> str | None:
    """Why a motion is shorter than its sentence states; None where it is not.

    Args:
        sentence: A validated sentence.
        longest: Duration of the longest motion [s].
    """
    stated = stated_seconds(sentence, 0.0)
    if stated <= longest:
        return None
    return (
        f"the sentence asks for {stated:g} s, and one motion lasts {longest:g} s at most; "
        "for a longer one, give several sentences (nextscale sequence)"
    )

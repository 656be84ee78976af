"""Durations that sentences state, such as "waves for three seconds"."""

from __future__ import annotations

import re

from nextscale_core.text.clauses import clauses, spelled_out
from nextscale_core.text.language import TextWarning
from nextscale_core.text.quantities import stated_duration

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
    seconds, words = timed(sentence)
    return max(guess, seconds) if words is None else seconds


def timed(sentence: str) -> tuple[float, str | None]:
    """The sum of the durations that a sentence states, and its other words.

    Args:
        sentence: A validated sentence, or a part of one.

    Returns:
        The time [s], 0 where none is stated; and the other words, None where the time is not that
        of all the sentence says.
    """
    seconds, words = stated_duration(" ".join(sentence.lower().split()))
    words = words.strip(" .,;!")
    if not seconds or not words or len(clauses(words)) > 1 or _SEVERAL.search(spelled_out(words)):
        return seconds, None
    return seconds, words


def duration_remark(sentence: str, longest: float) -> str | None:
    """Why one motion is shorter than its sentence states; None where it is not.

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

"""A sentence in the plain words that motions are best known by."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from nextscale_core.text.clauses import (
    AGAIN,
    COUNTED,
    SIZED,
    STYLED,
    Claim,
    Clauses,
    clauses,
    denied,
    spelled_out,
)
from nextscale_core.text.mirror import mirror_text

_TIMES = ("", "once", "two times", "three times", "four times", "five times", "six times")
_PACES = {-1: " slowly", 0: "", 1: " quickly"}
_WALKS = {
    "left": "steps sideways to the left", "right": "steps sideways to the right",
    "sideways": "steps sideways", "place": "walks in place", "backward": "walks backward",
}  # fmt: skip
_AHEAD = {"forward": "forward ", "backward": "backward "}
_TURNS = {
    0.0: "turns 90 degrees to the {}", 45.0: "turns 45 degrees to the {}",
    90.0: "turns 90 degrees to the {}", 180.0: "turns halfway around to the {}",
    360.0: "turns all the way around {}",
}  # fmt: skip
"""A turn to a side by its angle; the words for which the models turn by about that angle."""
_TURNS_ANYWHERE = {
    0.0: "turns", 45.0: "turns 45 degrees", 90.0: "turns 90 degrees",
    180.0: "turns halfway around to the left", 360.0: "turns all the way around clockwise",
}  # fmt: skip
_ROTATIONS = {"left": "counterclockwise", "right": "clockwise"}
_BETTER_KNOWN = re.compile(r"\bturns (\d+ degrees to the left|all the way around clockwise)")
"""Turns by an angle to the side to which the models know them; to the other one they turn by half
as much again."""
_PIECES = re.compile(
    r";|(?<!\d),|[,.](?!\d)|\b(?:and(?! (?:arms|legs|hands|feet|left|right)\b)|"
    r"then|before|after|while|followed by)\b"
)
_MANNER = re.compile(r"\b(like|as if|as though)\b(?! an? (8|eight)\b)")
_CIRCLES = {"left": "in a counterclockwise circle", "right": "clockwise in a circle"}
_WAVES = {"left": "waves with the left hand", "right": "waves with the right hand"}


def _with(claim: Claim, verb: str, part: str) -> str:
    return f"{verb} with the {claim.side} {part}" if claim.side in ("left", "right") else verb


def _run(claim: Claim) -> str:
    return {"backward": "runs backward", "place": "runs in place"}.get(claim.direction, "runs")


def _turn(claim: Claim) -> str:
    degrees = min(_TURNS, key=lambda angle: abs(angle - claim.degrees))
    sides = _ROTATIONS if degrees == 360.0 else {"left": "left", "right": "right"}
    if claim.side not in sides:
        return _TURNS_ANYWHERE[degrees]
    return _TURNS[degrees].format(sides[claim.side])


def _raise(claim: Claim) -> str:
    arms = {"both": "both arms", "": "an arm"}
    return f"raises {arms.get(claim.side, f'the {claim.side} arm')}"


_OWN_NAMES = (
    (re.compile(r"\b(jog|trot)"), r"\bruns\b(?! in| back)", "jogs forward"),
    (re.compile(r"\b(hop|bounc)"), r"\bjumps\b(?! forward| and)", "hops"),
)
"""Words of a kind of an action, the action, and that kind."""

_PHRASES: dict[str, Callable[[Claim], str | None]] = {
    "walk": lambda c: _WALKS.get(c.direction, "walks forward"),
    "run": _run,
    "turn": _turn,
    "circle": lambda c: f"walks {_CIRCLES.get(c.side, 'in a circle')}",
    "run_circle": lambda c: f"runs {_CIRCLES.get(c.side, 'in a circle')}",
    "figure_eight": lambda c: "walks in a figure eight",
    "jump": lambda c: f"jumps {c.direction}".removesuffix("place").rstrip(),
    "air_spin": lambda c: "jumps and spins in the air",
    "still": lambda c: "stands still",
    "stop": lambda c: "stops",
    "squat": lambda c: "squats",
    "kneel": lambda c: "kneels down",
    "sit": lambda c: "sits down",
    "bend": lambda c: "bends forward",
    "pick_up": lambda c: "picks something up from the floor",
    "balance": lambda c: None if c.side else "stands on one leg",
    "wave": lambda c: _WAVES.get(c.side, "waves both hands" if c.side else "waves"),
    "raise": _raise,
    "clap": lambda c: "claps",
    "punch": lambda c: _with(c, "punches", "hand"),
    "throw": lambda c: "throws a ball",
    "kick": lambda c: _with(c, "kicks", "leg"),
    "march": lambda c: f"marches {_AHEAD.get(c.direction, '')}with high knees",
    "jacks": lambda c: "does jumping jacks",
}


def has_manner(sentence: str) -> bool:
    """Whether a sentence tells a manner that plain words do not ("like a soldier", "limps")."""
    text = spelled_out(sentence)
    return bool(_MANNER.search(text) or STYLED.search(text))


@lru_cache(maxsize=1024)
def in_plain_words(sentence: str) -> str | None:
    """A sentence in the words in which models show most surely what it asks for.

    Of "bow politely" and "someone jumps 2x" these are "a person bends forward" and "a person jumps
    two times". A turn may get the side or the angle that the sentence leaves open.

    Args:
        sentence: A validated sentence.

    Returns:
        None where a part of the sentence has no known action or no plain words, and where it tells
        a manner. What the sentence denies is left out.
    """
    text = spelled_out(sentence)
    pieces = [piece for piece in _PIECES.split(text) if piece.strip(" .!?")]
    known = (clauses(piece) or denied(piece) or AGAIN.search(piece) for piece in pieces)
    if has_manner(sentence) or not all(known):
        return None
    plain = said(clauses(sentence))
    for named, general, own in _OWN_NAMES:
        if plain and named.search(text):
            plain = re.sub(general, own, plain)
    return plain


def plain_words(sentence: str) -> str | None:
    """`in_plain_words`, but None for a sentence that is in plain words already."""
    plain = in_plain_words(sentence)
    return plain if plain and plain.split() != sentence.lower().rstrip(" .!").split() else None


def said(asked: Clauses) -> str | None:
    """A sentence with these claims in plain words; None without any, or for one without words."""
    parts = []
    for clause in asked:
        phrases = [_phrase(claim) for claim in clause]
        known = [phrase for phrase in phrases if phrase]
        if len(known) < len(phrases):
            return None
        parts.append(" and ".join(known))
    return "a person " + ", then ".join(parts) if parts else None


class Wording(NamedTuple):
    """Words to make a motion from.

    Attributes:
        words: A sentence.
        mirrored: Whether its motion is to be mirrored.
    """

    words: str
    mirrored: bool = False


def wordings(sentence: str, meaning: str | None = None) -> tuple[Wording, ...]:
    """Words to make candidates from in turn: a sentence's own and plain ones.

    Of a sentence that names a side the mirrored words too, whose motions are then mirrored: a model
    does not know both sides equally well.

    Args:
        sentence: A validated sentence.
        meaning: What it means, where that is not in its own words; those come last then.
    """
    plain = plain_words(meaning or sentence) or meaning or sentence
    is_clear = meaning in (None, sentence)
    if mirror_text(plain) == plain:
        ways = Wording(sentence), Wording(plain)
        return ways if is_clear else ways[::-1]
    plains = Wording(mirror_text(plain), mirrored=True), Wording(plain)
    known = [one for one in plains if _BETTER_KNOWN.search(one.words)]
    if len(known) == 1:
        plains = known[0], known[0]
    other = Wording(mirror_text(sentence), mirrored=True)
    return (Wording(sentence), *plains, other) if is_clear else (*plains, Wording(sentence), other)


def _phrase(claim: Claim) -> str | None:
    phrase = _PHRASES[claim.action](claim)
    # How far somebody goes or turns is not left to the model.
    count = 0 if claim.action in SIZED else claim.count
    if phrase is None or count >= len(_TIMES) or (count and claim.action not in COUNTED):
        return None
    return f"{phrase}{_PACES[claim.pace]} {_TIMES[count]}".rstrip()

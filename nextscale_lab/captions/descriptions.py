"""Captions in plain English from the one-line descriptions of motion-capture trials.

The CMU database describes a trial in its operators' shorthand: 'walk, veer left', 'run/jog',
'HurtLegWalk', 'A pulls B; B resists (2 subjects - subject B)'. Text encoders are trained on plain
English, and users write it.
"""

from __future__ import annotations

import re
from functools import cache

from nextscale_lab.captions.tables import table, texts
from nextscale_lab.captions.verbs import parse_verb, third

_SUBJECT = "a person"

_USELESS = re.compile(
    r"(?:unknown|motion|take|trial|test|range of motion|subject|various|misc)?[\s\d]*"
)


def sentence_from_description(description: str) -> list[str]:
    """Plain-English captions for the one-line description of a mocap trial.

    Args:
        description: For example 'walk, veer left', 'run/jog', 'HurtLegWalk' or
            'A pulls B; B resists (2 subjects - subject B)'.

    Returns:
        Captions of the same meaning ('a person walks and veers left'), the plainest first; empty
        for a description without a motion ('unknown', 'motion 1').
    """
    text, role = _tidy(description)
    if not text or _USELESS.fullmatch(text):
        return []
    whole = texts(table("shorthand")["whole"].get(text))
    predicates = _paired(text, role) or whole or _walk(text) or _listed(text)
    return [f"{_SUBJECT} {predicate}" for predicate in predicates]


def _tidy(description: str) -> tuple[str, str]:
    """Lower-case words without brackets, camel case and take numbers; and the role 'a' or 'b'."""
    text = re.sub(r"_?\d{3}$", "", description.strip().rstrip("."))
    text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", text.replace("_", " "))
    text = re.sub(r"\s+", " ", text).lower()
    role = re.search(r"subject ([ab])\)", text)
    text = re.sub(r"\s*\([^)]*\)", "", text).strip()
    for wrong, right in table("shorthand")["typos"].items():
        text = re.sub(rf"\b{wrong}\b(?! lucky)", right, text)
    return text, role.group(1) if role else "a"


def _paired(text: str, role: str) -> tuple[str, ...]:
    passed = re.fullmatch(
        r"walk; a catches (\w+) thrown by b|walk; b catches (\w+) thrown by a", text
    )
    if passed:
        noun = passed.group(1) or passed.group(2)
        item = noun if noun.endswith("s") else f"a {noun}"
        catcher = "a" if passed.group(1) else "b"
        if role == catcher:
            return (f"walks and catches {item}",)
        return (f"walks and throws {item} to someone",)
    return texts(table("shorthand")["pairs"].get(text.split(";")[0], {}).get(role))


def _walk(text: str) -> tuple[str, ...]:
    """'sad walk forward', 'slow walk 8': a manner, the word walk, a tail."""
    match = re.fullmatch(
        r"(?:(?P<manner>.+?) )?(?:walk|walking|walk/stride)(?:,? (?P<tail>.+))?", text
    )
    if not match:
        return ()
    manner, tail = match.group("manner") or "", match.group("tail") or ""
    walks, tails = table("shorthand")["walks"], table("shorthand")["walk_tails"]
    known = (not manner or manner in walks) and (not tail or tail in tails)
    if not known or not (manner or tail):
        return ()
    ways = texts(walks[manner]) if manner else ("walks",)
    return tuple(f"{way} {tails[tail]}" if tail else way for way in ways)


def _listed(text: str) -> tuple[str, ...]:
    """A list of actions: 'walk, veer left', 'run/jog, sudden stop', 'walking and yawning'."""
    topic, _, rest = text.rpartition(" - ")
    if topic == "dance":
        return ("dances", "does a ballet dance", f"dances, {rest}")
    found = []
    for choice in _alternatives(rest or text):
        phrases = re.split(r",\s*(?:and\s+)?|;\s*|\s+and\s+|\s+then\s+", choice)
        spoken = [_predicate(phrase.strip(), topic) for phrase in phrases if phrase.strip()]
        found.append(_joined([phrase for phrase in spoken if phrase]))
    return tuple(dict.fromkeys(phrase for phrase in found if phrase))


def _alternatives(text: str) -> list[str]:
    """'run/jog, stop' -> ['run, stop', 'jog, stop']."""
    slash = re.search(r"(\w+)/(\w+)", text)
    if not slash:
        return [text]
    return [text.replace(slash.group(), slash.group(side)) for side in (1, 2)]


@cache
def _phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    phrases = table("shorthand")["phrases"]
    return tuple((re.compile(pattern), template) for pattern, template in phrases.items())


def _predicate(phrase: str, topic: str) -> str:
    """One action in the third person; '' for a phrase without a known verb."""
    for pattern, spoken in _phrases():
        match = pattern.fullmatch(phrase)
        if match:
            return match.expand(spoken)
    words = phrase.split()
    at = 1 if words[0].endswith("ly") and len(words) > 1 else 0
    verb = parse_verb(words[at])
    if verb is None or verb[1] == "past":
        return ""
    words[at] = third(verb[0])
    # 'run stop run' is a list of verbs; each is an action.
    tail = [parse_verb(word) for word in words[at + 1 :]]
    if tail and all(other and other[1] == "base" for other in tail):
        return _joined([words[at], *(third(other[0]) for other in tail if other)])
    if topic == "basketball" and verb[0] in ("dribble", "shoot") and len(words) == 1:
        words.append("a basketball")
    return " ".join(words)


def _joined(phrases: list[str]) -> str:
    """'walks, jumps and stops'."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]]) if phrases[1:] else "".join(phrases)

"""How much a caption asks for: the number of its verbs."""

from __future__ import annotations

import re

from nextscale_lab.captions.verbs import parse_verb

_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|\d+")

# After these a word such as 'step', 'turn' or 'walk' is a noun.
_BEFORE_NOUNS = frozenset(
    """
    a an the this that his her their its one two three four five six seven eight nine ten few
    some many more another each every first second third other both no of in with
    small big large little wide short long quick fast slow brisk normal casual full half quarter
    complete single double high low deep slight sharp sudden steady basic circular
    forward backward repeated several
    """.split()  # noqa: SIM905
)

# These only say how far another verb has come: 'starts to walk' is one action.
_HELPERS = frozenset(
    """
    attempt act begin continue do finish get go have keep pretend proceed resume start
    """.split()  # noqa: SIM905
)


def count_verbs(caption: str) -> int:
    """Number of actions that a motion caption names, by its verbs.

    Nouns that look like verbs ('takes a step') do not count, nor do helpers before another verb
    ('begins to walk', 'keeps walking'). The list of verbs is that of `text.verbs`.

    Args:
        caption: A sentence.

    Returns:
        For example 2 for 'a person walks forward and then sits down'.
    """
    words = _WORD.findall(caption.lower())
    count = 0
    for place, word in enumerate(words):
        verb = parse_verb(word)
        if verb is None:
            continue
        lemma, form = verb
        before = words[place - 1] if place else ""
        if form in ("base", "third") and (before in _BEFORE_NOUNS or before.isdigit()):
            continue
        if lemma in _HELPERS and _leads_to_a_verb(words[place + 1 : place + 3]):
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

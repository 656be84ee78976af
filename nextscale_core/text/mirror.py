"""Mirroring of sentences: left becomes right.

Only words for a side change: 'right away' and 'a right angle' are kept.
"""

from __future__ import annotations

import re


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


_SIDE_WORD = re.compile(
    r"(?<![A-Za-z])(?:"
    r"(?P<turn>(?P<against>(?:counter|contra|anti|ant)[-\s]?)?clock[-\s]?wise)"
    r"|(?P<hour>1[0-2]|[1-9])(?=\s?o'?\s?clock\b)"
    r"|(?P<side>left|right)(?P<ending>wards?|most|y|s|-?hand(?:ed)?|side)?"
    r")(?![A-Za-z])",
    re.IGNORECASE,
)

# All patterns treat both sides alike, so that mirroring twice restores a sentence.
_NEVER_BEFORE = re.compile(r"[-\s]+(?:angle[sd]?|now|away)\b", re.IGNORECASE)
_ADVERB_BEFORE = re.compile(
    r"\s+(?:after|afterwards|before|then|there|here|where|when|as|behind|beside|next|at|above|"
    r"below|under|through|into|past|up|down|out|off|back|over|around|in\s+front|in\s+the|in\s+place|"
    r"on\s+top|near|by|against|along)\b(?!\s+(?:the\s+)?(?:left|right)\b)",
    re.IGNORECASE,
)
_SIDED_NOUN = re.compile(
    r"[-\s]+(?:hand|arm|leg|foot|feet|knee|elbow|shoulder|wrist|hip|ankle|side|fist|palm|thigh|"
    r"heel|toe|forearm|finger|shin|calf|ear|eye|cheek|hook|jab|punch|kick|turn|direction|"
    r"left|right|and\s+(?:left|right)|to\s+(?:left|right))",
    re.IGNORECASE,
)
_NAMES_A_SIDE = _words(
    "the their his her its my your thier a an to toward towards from of on with left right way far "
    "slight slightly sharp sharply hard top bottom upper lower front rear opposite diagonal "
    "sideways turn turns turned turning veer veers veered veering curve curves curved curving face "
    "faces facing look looks looking lean leans leaning bend bends bending sidestep sidesteps "
    "sidestepping shuffle shuffles shuffling slide slides sliding shift shifts shifting drift "
    "drifts swerve swerves rotate rotates rotating spin spins spinning twist twists pivot pivots "
    "dodge dodges strafe strafes diagonally"
)
_LEAVES = _words(
    "has have had having he she they it who is are was were be being been i we you person man "
    "woman figure someone"
)


def mirror_text(text: str) -> str:
    """Exchange left and right, clockwise and counterclockwise, in a sentence.

    Words that only look like a side are kept ('right away', 'a right angle', 'upright', 'he left
    the room'), and so is the case. Mirroring twice restores the text, except for spellings such as
    'anti-clockwise', which become 'counterclockwise'.

    Args:
        text: Any sentence.

    Returns:
        The sentence that describes the mirrored motion.
    """

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        if match.group("turn"):
            return _like(word, "clockwise" if match.group("against") else "counterclockwise")
        if match.group("hour"):
            return str(12 - int(word) or 12)
        if not _is_a_side(text, match):
            return word
        side = match.group("side")
        other = "right" if side.lower() == "left" else "left"
        return _like(side, other) + (match.group("ending") or "")

    return _SIDE_WORD.sub(swap, text)


def _is_a_side(text: str, match: re.Match[str]) -> bool:
    """Whether this 'left' or 'right' is a side of the body or of the path."""
    if match.group("ending"):
        return True
    words = re.findall(r"[^\W_]+", text[: match.start()].lower())
    before = words[-1] if words else ""
    # 'to the left and right then back': both words of a pair are sides.
    paired = before in ("and", "or", "then", "to") and {"left", "right"} & set(words[-3:])
    after = text[match.end() :]
    if _NEVER_BEFORE.match(after):
        # 'to the right away from the wall' has a side, 'right away' does not.
        return before == "the" and after.lower().lstrip().startswith("away")
    if _SIDED_NOUN.match(after) or paired:
        return True
    if before in _LEAVES:
        return False
    return before in _NAMES_A_SIDE or not _ADVERB_BEFORE.match(after)


def _like(model: str, word: str) -> str:
    """`word` in the case of `model`."""
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[0].isupper() else word

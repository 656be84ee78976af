"""What a sentence asks for: actions in order, with side, direction, count and pace.

Words of actions are found by lists; what the lists do not know is left out, so that a sentence
may have no clause at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIGURE_EIGHT = r"figure (of )?(an )?(8|eight)\b|\b(like|of) an? (8|eight)\b"
_ACTIONS = (
    # A phrase takes its words away from the rows below it.
    ("jacks", r"(jumping|star|side.straddle)[ -]?(jack|jump)s?|jumping.?jacks?"),
    ("figure_eight", rf"(\w+ )?[^,.;]*?({_FIGURE_EIGHT})"),
    ("run_circle", r"(run|jog|sprint)\w* (\w+ ){0,5}?(circles?|circular|loops?)\b"),
    ("circle", r"(walk|stroll|move|go|step|pace)\w* (\w+ ){0,5}?(circles?|circular|loops?)\b"),
    ("pick_up", r"pick\w* (\w+ ){0,3}?up|(grab|lift|reach|tak|get|retriev)\w* [^,.;]*?"
                r"(off|from|to|on) the (floor|ground)"),
    ("balance", r"(stand\w* on|lift\w*|rais\w*) (one|a|(the|his|her) (left|right)) "
                r"(leg|foot)( [^,.;]*balance)?|balanc\w+"),
    ("kneel", r"kneel\w*|knelt|(down )?on (one|his|her|their|the|both|a) knees?"),
    ("march", r"march\w*|high knees|lift\w* the knees"),
    ("still", r"stand\w* (\w+ )?(still|there)|(does not|doesn't|do not|don't|without|not) "
              r"mov\w+|motionless|remain\w* still|\bidl\w+"),
    ("stop", r"(comes?|coming) to (a|an) (stop|halt|standstill)|stop(s|ped|ping)?\b|halt\w*"),
    ("punch", r"(throw\w* )?(\w+ ){0,2}?(punch\w*)|\bbox(es|ing)\b|\bjab\w*|str(ik|uck)\w*|"
              r"uppercut\w*|hit\w* [^,.;]*fists?"),
    ("kick", r"kick\w*"),
    ("throw", r"throw\w*|\btoss\w*|pitch(es|ing)\b|hurl\w*"),
    ("wave", r"\bwav(e|es|ed|ing)\b"),
    ("clap", r"\bclap\w*|applau\w*"),
    ("raise", r"(rais|lift|hold|put|stretch|mov|bring|reach)\w* (\w+ ){0,3}?"
              r"(arms?|hands?)\b( (up|overhead|high|over|above|in)\b)?"),
    ("sit", r"\bsit(s|ting)?\b|\bsat\b|(take|takes|taking) a seat"),
    ("squat", r"squat\w*|crouch\w*"),
    ("bend", r"\bbend\w*|\bbent\b|\bbow(s|ing)?\b|lean\w* (\w+ )?forward"),
    ("air_spin", r"spin\w* (\w+ )?jump\w*|(jump|leap|hop)\w* (while |and |with (a )?)?"
                 r"(spin|turn|rotat|twirl)\w*( a?round)?( in the air)?"),
    ("jump", r"\bjump\w*|\bleap\w*|\bhop(s|ped|ping)?\b"),
    ("run", r"\brun(s|ning)?\b|\bran\b|\bjog\w*|sprint\w*|\bdash\w*"),
    ("turn", r"(?<!in )\bturn(s|ed|ing)?\b|rotat\w*|\bspin\w*|pivot\w*|twirl\w*|about.face|"
             r"pirouett\w*"),
    ("walk", r"\bwalk\w*|stroll\w*|\bstep(s|ped|ping)?\b|sidestep\w*|shuffl\w*|strid\w*|wander\w*|"
             r"back(s|ing) up|return\w*|com(es|ing) back|\bpac(es|ing)\b|mov(es|ing) (forward|back)"
             r"\w*"),
)  # fmt: skip

_PARTS_OF = {"bend": "pick_up", "squat": "pick_up"}
"""Actions that are a part of another one where that follows."""

_BREAKS = re.compile(r",? ?\b(and then|then|after that|afterwards|before|followed by)\b|[.;,]")
_AFTER = re.compile(r"^after (.*?), (.*)$|^(.*?),? after (\w+ing\b.*)$")
_TOGETHER = re.compile(r"\b(while|as|during|whilst)\b|\bwith (his|her|the|both|one|a)\b")
NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10,
}  # fmt: skip
"""Number words up to ten."""
_COUNTS = NUMBERS | {"once": 1, "single": 1, "twice": 2, "double": 2, "thrice": 3}
_COUNT = re.compile(
    rf"\b(once|twice|thrice)\b|\b(\d\d?|{'|'.join(NUMBERS)}) "
    r"(times?|jumps?|hops?|leaps?|kicks?|punches|claps|waves|squats|steps?)\b|\b(single|double)\b"
    r"|\b(\d\d?) ?[x\u00d7](?!\w)|\b[x\u00d7] ?(\d\d?)\b"
)
_NOT = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|must|should|will|would|can|could)(?:n.?t| not|not)"
    r"|don.?t|never|without|not|no) (?:\w+ly )?$"
)
"""What directly before an action denies it."""
_CEASING = ("stop", "still")
"""Actions that stay within reach where they are denied: 'walks without stopping'."""
_BACKWARD = (
    r"\bbackwards?\b|back(s|ing) up|\bin reverse\b|"
    r"\b(step|jump|hop|leap)(s|ped|ping|ed|ing)? (\w+ )?back\b(?! (to|and forth))"
)
_ARMS = r"(arms?|hands?|fists?|legs?|foot|feet|knees?|side|punch|kick)"
_TURNS_OF = (
    (360.0, r"\b360|(full|complete|whole) (turn|circle|rotation|spin)|all the way|in a circle"),
    (180.0, r"\b180|\bu.?turn|other (way|direction)|about.face|half|opposite"),
    (90.0, r"\b90|quarter"),
    (45.0, r"\b45|slight"),
    (360.0, r"\bspin|twirl|pirouett"),
    (180.0, r"a?round\b"),
)
"""Angles of turns [deg] and the words for them; the first that is found counts."""


@dataclass(frozen=True)
class Claim:
    """One action that a sentence asks for.

    Attributes:
        action: Name of a measure, such as 'walk' or 'punch'.
        side: 'left', 'right', 'both' or ''.
        direction: 'forward', 'backward', 'left', 'right', 'sideways', 'place' or ''; of travel.
        count: How often; 0 where the sentence does not say.
        degrees: Angle of a turn; 0 where the sentence does not say.
        pace: -1 slow, 1 fast, 0 unsaid.
    """

    action: str
    side: str = ""
    direction: str = ""
    count: int = 0
    degrees: float = 0.0
    pace: int = 0


def clauses(sentence: str) -> tuple[tuple[Claim, ...], ...]:
    """The claims of a sentence, those of one inner tuple at the same time, the others in order.

    Args:
        sentence: English, for example "walks forward, then turns around".
    """
    text = " ".join(sentence.lower().split())
    after = _AFTER.match(text)
    if after:
        first, second, late, early = after.groups()
        text = f"{first} then {second}" if first else f"{early} then {late}"
    found: list[tuple[Claim, ...]] = []
    begin = 0
    for match in [*_BREAKS.finditer(text), None]:
        part = text[begin : match.start() if match else None]
        found.extend(_parts(part))
        begin = match.end() if match else 0
    return tuple(found)


def denied(sentence: str) -> str:
    """The words with which a sentence denies an action that is known, such as "does not walk".

    Returns:
        The first such words; '' where there are none, and where what is denied is to stop or to
        stand still.
    """
    text = " ".join(sentence.lower().split())
    for start, end, action in _spans(text):
        negation = _NOT.search(text[:start])
        if negation and action not in _CEASING:
            return text[negation.start() : end]
    return ""


def _parts(part: str) -> list[tuple[Claim, ...]]:
    """Clauses of a part without 'then': one after the other, or one if they are simultaneous."""
    spans = _spans(part)
    claims: list[Claim] = []
    for index, (start, _, action) in enumerate(spans):
        if _NOT.search(part[:start]):
            continue
        end = spans[index + 1][0] if index + 1 < len(spans) else len(part)
        claim = _claim(action, part[0 if index == 0 else start : end])
        # "marches with high knees", "bends over and picks something up": one action.
        if not claims or action not in (claims[-1].action, _PARTS_OF.get(claims[-1].action)):
            claims.append(claim)
        elif action != claims[-1].action:
            claims[-1] = claim
    if len(claims) > 1 and _TOGETHER.search(part):
        return [tuple(claims)]
    return [(claim,) for claim in claims]


def _spans(part: str) -> list[tuple[int, int, str]]:
    """Start, end and name of each action of a part, in its order."""
    left, spans = part, []
    for action, pattern in _ACTIONS:
        for match in re.finditer(pattern, left):
            spans.append((match.start(), match.end(), action))
        left = re.sub(pattern, lambda m: " " * len(m.group()), left)
    return sorted(spans)


def _claim(action: str, words: str) -> Claim:
    side = _side(words)
    count = _count(words)
    direction, pace = "", 0
    if action in ("walk", "run", "jump"):
        direction = _direction(action, words)
    if re.search(r"\b(slow\w*|leisure\w*|gentl[ey]|careful\w*)\b|slow pace", words):
        pace = -1
    elif re.search(r"\b(quick\w*|fast|rapid\w*|brisk\w*|hurr\w+)\b", words):
        pace = 1
    degrees = 0.0
    if action == "turn":
        degrees = next((a for a, words_of in _TURNS_OF if re.search(words_of, words)), 0.0)
    if action in ("turn", "circle", "run_circle") and not side:
        if re.search(r"counter.?clockwise|anti.?clockwise", words):
            side = "left"
        elif "clockwise" in words:
            side = "right"
    return Claim(action, side, direction, count, degrees, pace)


def _side(words: str) -> str:
    if re.search(rf"\bboth( \w+)? {_ARMS}|\b(arms|hands)\b", words):
        return "both"
    sides = re.findall(r"\b(left|right)\b", words)
    return sides[0] if len(set(sides)) == 1 else ""


def _count(words: str) -> int:
    match = _COUNT.search(words)
    if not match:
        return 0
    word = next(
        group for group in match.groups() if group and (group in _COUNTS or group.isdecimal())
    )
    return int(word) if word.isdecimal() else _COUNTS[word]


def _direction(action: str, words: str) -> str:
    if re.search(_BACKWARD, words):
        return "backward"
    if re.search(r"\b(in|on the) (place|spot)\b", words):
        return "place"
    sideways = re.search(
        r"side.?step|sideways?|shuffl|\b(left|right) side|to (the|his|her|its|your) side|"
        r"\bstep\w* (\w+ )?(to (the|his|her|its|your) )?(left|right)\b(?! (foot|leg))",
        words,
    )
    if sideways and action == "walk":
        return _side(words) if _side(words) in ("left", "right") else "sideways"
    if action == "jump":
        return "forward" if re.search(r"forward|ahead|long jump", words) else ""
    return "forward"

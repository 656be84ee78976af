"""What a sentence asks for: actions in order, with side, direction, count and pace.

Words of actions are found by lists; what the lists do not know is left out, so that a sentence
may have no clause at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from nextscale_core.text.quantities import (
    ANGLE,
    DURATION,
    LEAST,
    LENGTH,
    NUMBERS,
    stated_angle,
    stated_duration,
    stated_length,
)


def _verbs(words: str) -> str:
    """Pattern of verbs in their regular forms: of 'jog' jogs, jogged, jogging."""
    forms = []
    for verb in words.split():
        stem, last = verb[:-1], verb[-1]
        endings = {"e": "(?:e[sd]?|ing)", "y": "(?:y|ies|ied|ying)"}
        forms.append(stem + endings.get(last, f"{last}(?:e?s|{last}?ed|{last}?ing)?"))
    return rf"\b(?:{'|'.join(forms)})\b"


_NUMBER = rf"(?:\d\d?|{'|'.join(NUMBERS)})"
"""Pattern of a number up to ten in words, or of two digits."""
_STEPS = NUMBERS | {
    "a": 1, "single": 1, "another": 1, "a couple of": 2, "couple of": 2, "a couple": 2, "a few": 3,
    "few": 3,
}  # fmt: skip
_STEP_WORDS = sorted(_STEPS, key=len, reverse=True)
_SIZES = (
    r"(?:(?:more|further|big|small|large|little|long|short|tiny|huge|giant|wide|quick|slow|normal|"
    r"regular|full|single|even|lateral|sideways?|side|back(?:wards?)?|forwards?|\w+ful|\w+ly) )*"
)
_A_STEP = (
    rf"(?<![\w-])(?<!\bat )(?:\d\d?|{'|'.join(_STEP_WORDS)}) "
    rf"(?:{_SIZES}(?:side.?)?(?:steps?|paces)|pace)\b(?! (?:at a time|after|by step))"
)
"""Pattern of a number of steps."""
_THEIR = r"(?:the|his|her|its|their|your|my|both|one|a)"
_UP = (
    r"(?:up|upwards?|overhead|high|skywards?|(?:up |high )?(?:in|into) the air|"
    rf"(?:over|above) (?:{_THEIR} )?(?:head|shoulders?)|to(?:wards?)? the (?:sky|ceiling))"
)
_BACK_AND_FORTH = r"(?:there and back|back and forth|to and fro|up and down)"
_SIDEWAYS = r"(?:(?:to (?:the|your|his|her) )?(?:left|right)\b|\w*clockwise\b)"
_LOCOMOTION = r"(?:walk|go|pac|strid|stroll|wander|march|run|jog|sprint|trot)\w*"


def _square(match: re.Match[str]) -> str:
    """The way around a square, of 1 m where its size is not said."""
    length = re.search(LENGTH, match[0])
    turn = "right" if "right" in (named_rotation(match[0]), named_side(match[0])) else "left"
    side = f"{match[1]} {length[0] if length else '1 meter'} forward, turn {turn}"
    return ", ".join([side] * 4)


_IDIOMS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (
        rf"({_LOCOMOTION})( (?:for )?(?:{LENGTH}|{_A_STEP}))? {_BACK_AND_FORTH}\b(?! the)"
        rf"( (?:for )?(?:{LENGTH}|{_A_STEP}))?",
        r"\1 forward\2\3, then turns around and \1 forward\2\3",
    ),
    (
        rf"({_LOCOMOTION}) (?:\w*clockwise )?(?:in |along |around |round )?an?(?: {LENGTH})? "
        r"square\b(?: (?!and\b|while\b|then\b|before\b)[^,; ]+)*",
        _square,
    ),
    (r"\bup and down\b", "up"),
    # Times belong to what stands before them: "for 3 seconds, walk" is "walk for 3 seconds".
    (rf"^(for {DURATION}),? ([^,;.]*?)(?= ?$| ?[,;.]|,? (?:and )?then\b)", r"\2 \1"),
    (rf",(?= for {DURATION})", ""),
    (rf"(\b(?:for|in) {DURATION}),? and (?!then\b|a half\b)", r"\1, then "),
    (
        r"(\b(?:turn|stop|halt|sit|kneel|squat|crouch)\w*(?: [\w-]+){0,4}) and "
        rf"(?=[^,;.]*\bfor {DURATION})",
        r"\1, then ",
    ),
    (
        rf"\b((?:run|jog|sprint)\w*) ((?:for )?{LENGTH} )?to (?:the|your|his|her) (left|right)"
        rf"(?(2)| (?=(?:for )?{LENGTH}))",
        r"turns \3, then \1 \2",
    ),
    # Who has turned around walks back forward.
    (
        r"(\b(?:turn\w* (?:a?round|back)|(?:half|about|u)[ -]?(?:turn|face)\w*)\b[^.;]{0,20}?"
        rf"\b(?:{_LOCOMOTION}|tak\w*) (?:{LENGTH} |{_A_STEP} )?)back\b",
        r"\1forward",
    ),
    (
        r",? (while |and )?((still|always|keep) )?(facing|looking) "
        r"(forwards?|(straight )?ahead|the front|me)\b",
        "",
    ),
)
"""Phrases that would be taken apart at their 'and', and what they say."""

_RUNNING = rf"{_verbs('march jog sprint trot')}|\brun\w*|\bran\b"
_STEPS_OF_A_GAIT = re.compile(
    rf"((?:{_RUNNING})(?: (?:in place|on the spot|forwards?|ahead|back(?:wards?)?|for))* )"
    rf"({_A_STEP})"
)
"""Steps that are no walk: "runs ten steps"."""
_BARE_NUMBER = re.compile(
    rf"((?:\b(?:and|then)|,) (?:(?:{_LOCOMOTION}|tak\w*) )?{_NUMBER})(?: more)?"
    r"(?= (?:back(?:wards?)?|forwards?|ahead|(?:to the )?(?:left|right))\b|(?<=more)(?=[ .!]*$))"
)
"""Numbers whose unit is said before: "two steps forward and one back"."""
_UNIT = re.compile(rf"\b(?:steps?|paces)\b|{LENGTH}")
_BARE_TIME = re.compile(
    rf"({DURATION}.*?\bfor {_NUMBER})(?= ?(?:$|[,;.!]|(?:and|then|before|while)\b))"
)
"""Times whose unit is said before: "walk for 3 seconds, then wave for 2"."""
_BACK = re.compile(
    r"(?P<before>.*?\w)(?:,? ?\b(?:and then|and|then|before)\b|,)(?: (?:he|she|they|it))? "
    r"(?:(?:com\w*|came|return\w*) (?:\w+ly )?(?:straight |right |all the way )?back|return\w*|"
    rf"(?P<gait>{_LOCOMOTION}|went|mov\w*|step\w*|head\w*) (?:\w+ly )?back|"
    r"(?P<bare>(?:all the way )?back))"
    r"(?P<clear> again)?(?P<pace> \w+ly)?"
    r"(?P<place> (?:to|where)\b(?! (?:the |your )?(?:left|right)\b)[^,.;]*?| home| here)?"
    rf"(?= ?$|[,.;!]| and\b(?! forth)| then\b|(?P<time> (?:for|in) {DURATION}))"
)
"""What leads to where a person was before: "and comes back", "then returns to the start"."""

_STEPPING = re.compile(r"\b(?:step(?:s|ped|ping)?|mov\w*|shift\w*) (?:\w+ly )?(?:forward|ahead)")
_NO_WAY_OUT = re.compile(
    r"(?<!turn )(?<!turns )(?<!turning )\ba?round\b|\b(?:after|loop|lap|circle)"
)
"""Words of ways that lead back by themselves, or that are not told in their order."""

_WALKS = (
    "walk stroll amble saunter wander stride strut trudge plod trek hike roam "
    "shuffle sidestep retreat advance approach strafe step tread"
)
_MOVES = _verbs("move head shift slide proceed travel")
_STYLED_GAITS = _verbs("limp hobble tiptoe sneak creep stagger stumble waddle moonwalk")
_WHERE = (
    r"(?:(?:straight|slowly|quickly|right|a|few|little|bit|two|three|some|steps?|paces?|further) )*"
    r"(?:forwards?|ahead|straight|on|along|away|off|over|closer|nearer|towards?|sideways?|"
    r"backwards?|back|left|right|to (?:the|your|his|her|one) (?:left|right|side))\b"
    r"(?! (?:arm|hand|leg|foot|knee|elbow|fist|shoulder))"
)
_UNRISEN = "".join(
    f"(?<!{verb} )" for verb in ["stand", "stands", "get", "gets", "rise", "rises", "come", "comes"]
)
_RUNS = "jog sprint dash race gallop trot scurry rush bolt lope"
_JUMPS = (
    rf"(?:{_verbs('jump leap hop')}|\b(?:spring(?:s|ing)?|sprang)(?= (?:up|off|into|from|forward|"
    r"ahead|high|in))|\bbounc(?:e[sd]?|ing)\b(?! (?:a|the|his|her|\w*balls?)\b)|"
    r"\bbound(?:s|ing)\b|\bvault\w*)"
)
_ON_FOOT = r"( ([^,.;]* )?(by|while|when) (walk|go|mov|stroll)ing)?"
_LOOPS = r"(?:circles?|circular|loops?|laps)\b"
_EIGHT = (
    r"figure[ -]?(?:of )?(?:an? )?[ -]?(?:8|eight)\b|\b(?:8|eight)[ -]shape\w*|"
    r"\b(?:like|of|as|trac\w+|draw\w*) (?:the |an |a )?(?:number |numeral |digit |letter )?"
    r"(?:8|eight)\b|infinity (?:sign|symbol|loop|shape)"
)
_ACTIONS = (
    # A phrase takes its words away from the rows below it.
    ("jacks", r"(jumping|star|side.straddle)[ -]?(jack|jump)s?|jumping.?jacks?|"
              r"jump\w* [^,.;]*(arms and legs|legs and arms)"),
    ("figure_eight", rf"(\w+ )?[^,.;]*?({_EIGHT}){_ON_FOOT}"),
    ("run_circle", rf"(run|{_RUNS.replace(' ', '|')})\w* (\w+ ){{0,5}}?{_LOOPS}"),
    ("circle", rf"(walk|stroll|mov|go|step|pac|wander)\w* (\w+ ){{0,5}}?{_LOOPS}|"
               rf"\bcircl(es?|ed|ing) (a?round|about)\b{_ON_FOOT}|"
               rf"circular (path|route|track|course|line){_ON_FOOT}"),
    ("pick_up", r"(pick|scoop)\w* (\w+ ){0,4}?up\b|(grab|lift|reach|tak|get|retriev|collect|fetch|"
                r"gather|snatch|pick|scoop|rais)\w* [^,.;]*?(off|from|to|on) (of )?the "
                r"(floor|ground)|reach\w* down"),
    ("balance", rf"(stand\w*( \w+)? on|lift\w*|rais\w*) (only |just )?{_THEIR}( left| right)? "
                r"(leg|foot)\b( [^,.;]*balanc\w*)?|balanc\w+|one.legged|flamingo"),
    ("kneel", r"kneel\w*|knelt|tak\w* a knee|"
              rf"(?<!hands )(?<!hand )((down )?on|onto|to) ({_THEIR} )?(\w+ )?knees?\b"),
    ("march", r"march\w*|high.knees?|goose.?step\w*|"
              r"(lift|rais|bring|pull)\w* (\w+ ){0,2}?knees\b( (up|high))*|knees high"),
    ("still", r"stand\w* (\w+ )?(still|there|at attention|in place)|motionless|stationary|immobile|"
              rf"\bstand(s|ing)? (?=for {DURATION})|"
              r"(stay|remain|keep|hold)\w* (\w+ )?(still|put|where|there|here|in place)|\bidl\w+|"
              r"(does not|doesn't|do not|don't|without|not) (\w+ly )?mov\w+|\bwait(s|ed|ing)?\b|"
              r"\bfr(eez|oze)\w*|\bdo(es|ing)? nothing"),
    ("stop", r"(comes?|coming) to (a|an) (\w+ )?(stop|halt|standstill)|stop(s|ped|ping)?\b|halt\w*|"
             r"(comes?|coming) to rest|\bpaus(e[sd]?|ing)\b"),
    ("kick", r"kick\w*|(shoot|str(ik|uck)|hit|boot|punt)\w* [^,.;]*\b(foot|leg)\b"),
    ("punch", r"(throw\w* )?(\w+ ){0,2}?(punch\w*)|\b(shadow.?)?box(es|ing)\b|\bjab\w*|"
              r"str(ik|uck)\w*|uppercut\w*|(hit|swing)\w* [^,.;]*fists?|"
              r"\b(left|right)[ -](hand )?hooks?\b"),
    ("raise", rf"(throw|fling)\w* ({_THEIR} )?(\w+ )?(arms?|hands?) {_UP}"),
    ("throw", rf"{_verbs('throw toss pitch hurl fling lob chuck')}|\bthrew\b|\bflung\b"),
    ("wave", r"\bwav(e|es|ed|ing)\b|\bsay\w* (hi|hello|hey|bye|good.?bye)\b|"
             r"\bgreet\w*(?![^,.;]* bow)"),
    ("clap", r"\bclap\w*|applau\w*|hands together"),
    ("raise", r"(rais|lift)\w* (\w+ ){0,3}?(arms?|hands?)\b( (up|overhead|high|over|above|in)\b)?|"
              r"(hold|put|stretch|mov|bring|reach|extend|swing|push)\w* "
              r"((?!on |to |with )\w+ ){0,3}?"
              rf"((arms?|hands?) (\w+ )?{_UP}|{_UP} (\w+ ){{0,2}}?(arms?|hands?))|"
              rf"(reach|stretch)\w* {_UP}[^,.;]*|\b(arms?|hands?) ((raised|stretched) )?{_UP}"),
    ("sit", r"\bsit(s|ting)?\b(?!.?ups?\b)|\bsat\b|\bseated\b|(tak|hav)\w* (a|your|h\w\w) seat|"
            r"(lower\w* \w+sel\w+|plop\w*|settl\w*|drops?) (\w+ )?(down )?(on|in|into|onto|to) "
            r"(to )?(a|an|the) (\w+ )?(chair|seat|stool|bench|sofa|couch|box)"),
    ("squat", r"squat\w*|crouch\w*|\bduck(s|ed|ing)?\b|hunker\w*|knee.bends?|"
              rf"(bend\w*|bent) (\w+ ){{0,2}}?knees|lower\w* {_THEIR} (body|hips|bottom)"),
    ("bend", r"\b(bend\w*|bent)\b(?! (\w+ ){0,2}?(arms?|elbows?|legs?|wrists?|side\w*|left|right))|"
             r"\bbow(s|ed|ing)?\b|lean\w* (\w+ ){0,2}?(forward|over|down)|\bstoop\w*|"
             rf"touch\w* {_THEIR} toes|fold\w* forward"),
    ("air_spin", r"spin\w* (\w+ )?(jump|leap|hop)\w*|(360|180).?(degrees? )?(jump|leap|hop)\w*|"
                 r"(spin|rotat|turn|twirl)\w* [^,.;]*?in (the |mid.?)air"
                 rf"( (during|in|while|with|on) [^,.;]*?{_JUMPS})?|"
                 rf"{_JUMPS} ((up|high) )?((while|and|with|doing|making) )?"
                 r"((a|one|full|half|quick) )*(spin|turn|rotat|twirl|360|180)\w*( degrees?)?"
                 r"( a?round)?( in (the |mid.?)air)?"),
    ("jump", _JUMPS),
    ("run", rf"\brun(s|ning)?\b|\bran\b|{_verbs(_RUNS)}"),
    ("turn", r"(?<!in )\bturn(s|ed|ing)?\b|rotat\w*|\bspin\w*|pivot\w*|twirl\w*|about.(face|turn)|"
             r"pirouett\w*|swivel\w*|\bwhirl\w*|"
             r"\bfac(es?|ing) (to )?(the |your |his |her )?(left|right|other way|opposite|rear)|"
             r"\bfac(es?|ing) (back\w*|about\b)|\b(do|does|doing|did|makes?) an? (90|180|360)\b"
             rf"(?![^,.;]* air\b)|"
             rf"^ ?(and )?({_SIDEWAYS} (by )?{ANGLE}|(by )?{ANGLE} {_SIDEWAYS})"),
    ("walk", rf"{_verbs(_WALKS)}|{_STYLED_GAITS}|\bstrode\b|side.step\w*|"
             r"\bpac(es|ing|e(?= (forward|back)))\b|"
             r"(?<!no )(?<!any )(?<!a )\bhurr(y|ies|ied|ying)\b|"
             rf"back(s|ing) (up|away|off)\b|{_UNRISEN}\bback (up|away|off)\b|return\w*|"
             r"com(e|es|ing) (here|closer|back(?! (up|down|to (stand|(\w+ )?feet))\b))|"
             rf"\b(tak(es?|ing)|took) {_A_STEP}|"
             rf"^ ?(and )?({LENGTH}|{_A_STEP})( {_WHERE}| out\b| ?$)|"
             rf"^ ?(and )?{_WHERE} (for )?({LENGTH}|{_A_STEP})|"
             rf"(\b(go(es|ing)?|went|com(es?|ing)|came)|{_MOVES}) (\w+ )?{LENGTH}|"
             rf"\b(go(es|ing)?|went|mov(e[sd]?|ing)|head(s|ed|ing)?|slid(es?|ing)) {_WHERE}"),
)  # fmt: skip

STYLED = re.compile(_STYLED_GAITS)
"""Ways of walking of their own, which plain words do not tell."""
_PARTS_OF = {
    "bend": "pick_up",
    "squat": "pick_up",
    "walk": "march",
    "run": "march",
    "raise": "wave",
    "jump": "air_spin",
}
"""Actions that are a part of another one where that follows."""

_BREAKS = re.compile(
    r",? ?\b(and then|then|after that|afterwards|before|followed by)\b|;|(?<!\d),|[.,](?!\d)|"
    rf"\band (?!(?:a )?(?:half|quarter))(?=(?:(?:then )?(?:{_LOCOMOTION}|tak\w*|step\w*|mov\w*) )?"
    rf"(?:{_WHERE} )?(?:{LENGTH}|{_A_STEP}))"
)
_AFTER = re.compile(r"^after (.*?), (.*)$|^(.*?),? after (\w+ing\b.*)$")
AGAIN = re.compile(r"\b(again|once more|another( one| time)?|a second (one|time)) *$")
"""Words for one more of what was said before."""
_TOGETHER = re.compile(r"\b(while|as|during|whilst)\b|\bwith (his|her|the|both|one|a)\b")
_COUNTS = NUMBERS | {"once": 1, "single": 1, "twice": 2, "double": 2, "thrice": 3}
_COUNT = re.compile(
    rf"\b(once|twice|thrice)\b|\b({_NUMBER}) "
    r"(?:\w+ )?(times?|jumps?|hops?|leaps?|kicks?|punches|claps|waves|squats|steps?)\b|"
    r"\b(single|double)\b|\b(\d\d?) ?[x\u00d7](?!\w)|\b[x\u00d7] ?(\d\d?)\b"
)
_TURNS_COUNTED = re.compile(
    rf"\b({_NUMBER}) (?:\w+ )?"
    r"(?:turns|spins|rotations|twirls|pirouettes|about.turns)\b"
)
_TIMES_STEPPED = re.compile(
    r"\b(?:side.?)?step(?:s|ped|ping)?\b[^,.;]* "
    rf"(?:once|twice|thrice|{_NUMBER} times)\b"
)
_NOT = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|must|should|will|would|can|could)(?:n.?t| not|not)"
    r"|don.?t|never|without|not|no) (?:\w+ly )?$"
)
"""What directly before an action denies it."""
COUNTED = ("jump", "squat", "wave", "clap", "punch", "kick")
"""Actions of which a sentence may say how often."""
_OTHERS = {"forward": "backward", "backward": "forward", "left": "right", "right": "left"}
GAITS = ("walk", "run", "march")
"""Actions of which a sentence may say how far they go."""
SIZED = (*GAITS, "turn")
"""Actions of which a sentence may say how large they are, which is not left to the model."""
CEASING = ("stop", "still")
"""Actions that stay within reach where they are denied: 'walks without stopping'."""
_BACKWARD = (
    r"\b(?<!face )(?<!facing )backwards?\b|\bback(s|ing)? (up|away|off)\b|\bin reverse\b|"
    r"retreat\w*|moonwalk\w*|\b(step|jump|hop|leap|mov)(s|es|ped|ping|ed|ing|e)? (\w+ )?back\b"
    rf"(?! (to|and forth))|\b(go|walk|run|jog)\w* back (for )?({LENGTH}|{_A_STEP})|"
    rf"({LENGTH}|\b(?<!side-)(?<!side )(steps?|paces?)) back\b(?! and forth)|"
    rf"\b(steps?|paces?|{LENGTH}) to the rear\b|\brearwards?\b"
)
_STAIRS = re.compile(
    r"\b(stair|ladder|climb)|\b(up|down)( the)?( \w+)? (steps|stairs)\b|\bsteps? (up|down)\b"
)
_ARMS = r"(arms?|hands?|fists?|legs?|foot|feet|knees?|side|punch|kick)"
_TURNS_OF = (
    (
        360.0,
        r"\b360|(full|complete|whole) (turn|circle|rotation|spin)|all the way|in a circle|"
        r"fully\b",
    ),
    (
        180.0,
        r"\b180|\bu.?turn|other (way|direction)|about.(face|turn)|half|opposite|behind|"
        r"\b(rear|back(wards?)?)\b|about\b",
    ),
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
        count: How often, of a walk, run or march how many steps; 0 where the sentence does not say.
        degrees: Angle of a turn, or of all of a number of them; 0 where the sentence does not say.
        pace: -1 slow, 1 fast, 0 unsaid.
        length: Of the way of a walk, run, march or jump [m]; 0 where the sentence does not say.
    """

    action: str
    side: str = ""
    direction: str = ""
    count: int = 0
    degrees: float = 0.0
    pace: int = 0
    length: float = 0.0


Clauses = tuple[tuple[Claim, ...], ...]
"""Claims in the order of a sentence, those of one inner tuple at the same time."""


@lru_cache(maxsize=1024)
def clauses(sentence: str) -> Clauses:
    """The claims of a sentence, those of one inner tuple at the same time, the others in order.

    Args:
        sentence: English, for example "walks forward, then turns around".
    """
    return tuple(clause for _, found in parts_of(sentence) for clause in found)


@lru_cache(maxsize=1024)
def parts_of(sentence: str) -> tuple[tuple[str, Clauses], ...]:
    """The parts of a sentence in their order: the words of each, and its clauses.

    A part without a clause is one that follows 'then' or the like, or that says how long it takes,
    and that is not known.
    """
    text = spelled_out(sentence)
    after = _AFTER.match(text)
    if after:
        first, second, late, early = after.groups()
        text = f"{first} then {second}" if first else f"{early} then {late}"
    found: list[tuple[str, Clauses]] = []
    begin, follows = 0, False
    for match in [*_BREAKS.finditer(text), None]:
        part = text[begin : match.start() if match else None]
        # A length alone goes on with a walk, and begins none.
        opens = match is not None and not found
        new = [] if opens and re.fullmatch(rf" ?{LENGTH} ?", part) else _parts(part)
        seconds, rest = stated_duration(part)
        words, known = found[-1] if found else ("", ())
        last = known[-1] if known else ()
        if (
            AGAIN.search(part) and len(last) == 1 and last[0].action in COUNTED
            and new in ([], [last])
        ):  # fmt: skip
            # "Jumps, then jumps again", "jumps, then once more".
            again = (replace(last[0], count=max(last[0].count, 1) + 1),)
            found[-1] = (words + part, (*known[:-1], again))
        elif new or ((follows or seconds) and re.search("[a-z]", rest)):
            found.append((part.strip(), tuple(new)))
        begin = match.end() if match else 0
        follows = match is not None and bool(match[1])
    return tuple(found)


def denied(sentence: str) -> str:
    """The words with which a sentence denies an action that is known, such as "does not walk".

    Returns:
        The first such words; '' where there are none, and where what is denied is to stop or to
        stand still.
    """
    text = spelled_out(sentence)
    for start, end, action in _spans(text):
        negation = _NOT.search(text[:start])
        if negation and action not in CEASING:
            return text[negation.start() : end]
    return ""


def spelled_out(sentence: str) -> str:
    """A sentence in small letters, whose idioms are put as steps: "walks there and back"."""
    text = " ".join(sentence.lower().split())
    text = _BARE_NUMBER.sub(lambda m: f"{m[1]}{_unit_before(m)}", text)
    text = _BARE_TIME.sub(r"\1 seconds", text)
    back = _BACK.match(text)
    if back is not None:
        text = _way_back(back) + text[back.end() :]
    for idiom, meaning in _IDIOMS:
        text = re.sub(idiom, meaning, text)
    return text


def _unit_before(match: re.Match[str]) -> str:
    """What a number without a unit counts: that of the last one before it."""
    units = _UNIT.findall(match.string[: match.start()])
    return f" {re.split(r'[^a-z]', units[-1])[-1]}" if units else ""


def _way_back(match: re.Match[str]) -> str:
    """Words up to those that lead back to where a walk began, these put as steps."""
    before = match["before"]
    asked = [claim for clause in clauses(before) for claim in clause]
    ways = [n for n, claim in enumerate(asked) if claim.action in GAITS and claim.direction]
    way = asked[ways[0]] if len(ways) == 1 else Claim("")
    if way.direction not in ("forward", *_OTHERS) or _NO_WAY_OUT.search(before):
        return match[0]
    far = f" {way.length:g} meters" if way.length else f" {way.count} steps" if way.count else ""
    seconds, _ = stated_duration(before)
    if seconds and not far and not match["time"]:
        far = f" for {seconds:g} seconds"
    if match["gait"] and not (match["clear"] or match["place"] or far):
        return match[0]
    turn = next((claim for claim in asked[ways[0] + 1 :] if claim.action == "turn"), None)
    is_faced = turn is not None and bool(turn.degrees or turn.side)
    words = f"{'marches' if way.action == 'march' else f'{way.action}s'}{far}"
    if way.direction in ("left", "right"):
        words = f"steps{far} to the {_OTHERS[way.direction]}"
    elif way.direction == "forward" and match["bare"] and _STEPPING.search(before):
        words += " backward"
    else:
        words += " forward"
        if way.direction == "forward" and not is_faced:
            words = f"turns around and {words}"
    joint = " and " if turn and not is_faced else ", then "
    return f"{before}{joint}{words}{match['pace'] or ''}"


def _parts(part: str) -> list[tuple[Claim, ...]]:
    """Clauses of a part without 'then': one after the other, or one if they are simultaneous."""
    spans = _spans(part)
    claims: list[Claim] = []
    begin = 0
    for index, (start, _, action) in enumerate(spans):
        if _NOT.search(part[:start]):
            continue
        end = spans[index + 1][0] if index + 1 < len(spans) else len(part)
        first = 0 if index == 0 else start
        claim = _claim(action, part[first:end])
        last = claims[-1] if claims else None
        # "Marches with high knees", "bends over and picks something up": one action.
        if last and last.action == action and len({last.side, claim.side} - {""}) < 2:
            claims[-1] = _claim(action, part[begin:end])
            continue
        begin = first
        if last and _PARTS_OF.get(last.action) == action:
            claims[-1] = replace(claim, side=claim.side or last.side)
        else:
            claims.append(claim)
    if len(claims) > 1 and _TOGETHER.search(part):
        return [tuple(claims)]
    return [(claim,) for claim in claims]


def _spans(part: str) -> list[tuple[int, int, str]]:
    """Start, end and name of each action of a part, in its order."""
    left = _STEPS_OF_A_GAIT.sub(lambda m: m[1] + " " * len(m[2]), part)
    spans = []
    for action, pattern in _ACTIONS:
        for match in re.finditer(pattern, left):
            spans.append((match.start(), match.end(), action))
        left = re.sub(pattern, lambda m: " " * len(m.group()), left)
    return sorted(spans)


def _claim(action: str, words: str) -> Claim:
    side = named_side(words)
    is_gait = action in GAITS
    count = _steps(words) if is_gait else _count(words)
    if action == "turn" and not count and (turns := _TURNS_COUNTED.search(words)):
        count = _value(turns[1])
    if is_gait and not count and _TIMES_STEPPED.search(words):
        count = _count(words)
    length = stated_length(words) if is_gait or action == "jump" else 0.0
    if is_gait and re.search(r"\b(0|no|zero) (steps?|paces?)\b", words):
        length = LEAST
    direction, pace = "", 0
    if action in ("walk", "run", "jump") or (action == "march" and (length or count)):
        direction = _direction(action, words, is_sized=bool(length or count))
    if re.search(
        r"\b(slow\w*|leisure\w*|gentl[ey]|careful\w*|cautious\w*|unhurried\w*|(no|any) hurry)\b",
        words,
    ):
        pace = -1
    elif re.search(r"\b(quick\w*|fast|rapid\w*|brisk\w*|hurr\w+|swift\w*|speed\w*)\b", words):
        pace = 1
    degrees = 0.0
    if action == "turn":
        named = next((a for a, words_of in _TURNS_OF if re.search(words_of, words)), 0.0)
        if count > 1 and re.search(r"\bturn\w* a?round\b", words):
            named = 360.0  # "turns around three times"
        degrees = (stated_angle(words) or named or (90.0 if count > 1 else 0.0)) * max(count, 1)
    if action in ("turn", "circle", "run_circle"):
        side = side or named_rotation(words)
    if degrees < 0.0:
        degrees, side = -degrees, _OTHERS.get(side, "right")
    if length < 0.0:
        length, direction = -length, _OTHERS.get(direction, direction)
    return Claim(action, side, direction, count, degrees, pace, length)


def named_rotation(words: str) -> str:
    """The side to which words of the clock turn: 'left', 'right' or ''."""
    words = words.lower()
    against = re.search(
        r"\b(counter|anti|contra).?clockwise|(opposite|against|not) [^,.;]*clock", words
    )
    with_it = re.search(r"clockwise|(hands of|like|as|way) (a|the) clock|clock'?s? hands?", words)
    return "left" if against else "right" if with_it else ""


def named_side(words: str) -> str:
    """The one side that words name: 'left', 'right', 'both' or ''."""
    words = words.lower()
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
    return _value(word)


def _value(word: str) -> int:
    return int(word) if word.isdecimal() else _COUNTS[word]


def _steps(words: str) -> int:
    match = re.search(_A_STEP, words)
    if not match or _STAIRS.search(words):
        return 0
    digits = re.match(r"\d+", match[0])
    if digits:
        return int(digits[0])
    return next(_STEPS[one] for one in _STEP_WORDS if match[0].startswith(f"{one} "))


def _direction(action: str, words: str, is_sized: bool) -> str:
    """Direction of travel; of a way of a stated size 'walks to the left' is one to a side."""
    if re.search(_BACKWARD, words):
        return "backward"
    if re.search(r"\b(in|on the) (place|spot)\b", words):
        return "place"
    sideways = re.search(
        r"side.?step|sideways?|strafe|lateral|\b(left|right) side|"
        r"to (the|his|her|its|your|one) side|"
        rf"((steps?|paces?|met(er|re)s?) to|{LENGTH}( to)?) ((the|his|her|its|your) )?"
        r"(left|right)\b|"
        r"\b(step|shuffl|mov|go|slid|shift)\w* (\w+ )?(to (the|his|her|its|your) )?(left|right)\b"
        r"(?! (foot|leg))",
        words,
    )
    if sideways and action == "walk":
        return named_side(words) if named_side(words) in ("left", "right") else "sideways"
    if action == "jump":
        return "forward" if re.search(r"forward|ahead|(long|broad|horizontal) jump", words) else ""
    aside = re.search(
        rf"(?:\b(?:{_LOCOMOTION}) |^ ?(?:and )?)(?:to (?:the|your|his|her) )?(left|right)\b"
        r"(?! (?:turn|side|foot|leg))",
        words,
    )
    if is_sized and aside and not re.search(r"\bforwards?|ahead|straight", words):
        return aside[1]
    return "forward"

"""Words of motion captions that mean the same, and the captions' common misspellings.

A pattern is matched in lower-case text; each alternative is a template for `re.Match.expand`.
No alternative names, drops or adds a side; none changes a number or the order of events.
"""

from __future__ import annotations

import re

_BODY = r"(?:(?:left|right|both|own|other)\s)?(?:hand|arm|leg|foot|knee|elbow|fist|wrist)s?"


def _rules(
    *rules: tuple[str, tuple[str, ...]],
) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    return tuple((re.compile(pattern), alternatives) for pattern, alternatives in rules)


SYNONYMS = _rules(
    (r"\bforwards?\b(?! (?:and|,) back)", ("forward", "forwards")),
    (r"\bbackwards?\b", ("backward", "backwards")),
    (r"\bforward in a straight line\b", ("straight forward", "straight ahead")),
    (r"\bin a straight line\b", ("straight ahead", "in a straight line")),
    (
        r"\b(walk|run|jog)(s|ing|ning|ging)? straight (?:ahead|forward)\b",
        (
            r"\1\2 forward in a straight line",
            r"\1\2 straight ahead",
            r"\1\2 straight forward",
        ),
    ),
    (r"\bslowly\b", ("slowly", "at a slow pace")),
    (r"\bat a slow pace\b", ("slowly",)),
    (r"\b(?:quickly|rapidly)\b", ("quickly", "rapidly", "fast")),
    (r"\bin a circle\b", ("in a circle", "around in a circle", "in a circular path")),
    (r"\bin a circular (?:path|motion|pattern)\b(?! with)", ("in a circular path",)),
    (r"\bin place\b", ("in place", "on the spot")),
    (r"\btwice\b", ("twice", "two times")),
    (r"\btwo times\b", ("twice",)),
    (r"\bonce\b(?! again| more| he| they| the)", ("one time", "once")),
    (r"\b2 (?=(?:steps|times|jumps|hops|punches|kicks))", ("two ",)),
    (r"\b3 (?=(?:steps|times|jumps|hops|punches|kicks))", ("three ",)),
    (r"\b4 (?=(?:steps|times|jumps|hops|punches|kicks))", ("four ",)),
    (r"\bseveral times\b", ("several times", "a few times", "multiple times", "repeatedly")),
    (r"\ba few times\b", ("several times", "a few times")),
    (rf"\b(?:his|their|its) (?={_BODY}\b)", ("his ", "their ", "the ")),
    (rf"\bwith the (?={_BODY}\b)", ("with the ", "with his ", "with their ", "using the ")),
    (rf"\bwith (?!both|own|other)(?={_BODY}\b)", ("with the ", "with their ", "with ")),
    (
        r"\b(raise|lift)(s|d|ed)? both (?:hands|arms)\b",
        (r"raise\2 both arms", r"lift\2 both hands"),
    ),
    (
        r"\braises ((?:both |the |his |their )(?:left |right )?(?:arms?|hands?))\b",
        (
            r"lifts \1",
            r"puts up \1",
            r"raises \1 up",
            r"lifts up \1",
        ),
    ),
    (
        r"\braising ((?:both |the |his |their )(?:left |right )?(?:arms?|hands?))\b",
        (r"lifting \1",),
    ),
    (
        r"\blifts ((?:both |the |his |their )(?:left |right )?(?:arms?|hands?))\b",
        (
            r"raises \1",
            r"puts up \1",
        ),
    ),
    (
        r"\bwaves (?:with )?(?:the|his|their) (left|right) hand\b",
        (
            r"waves with the \1 hand",
            r"waves his \1 hand",
            r"waves the \1 hand",
            r"waves their \1 hand",
        ),
    ),
    (
        r"\bpicks (?:something|an object|up something|up an object)(?: up)?\b",
        (
            "picks something up",
            "picks up something",
            "picks up an object",
            "picks an object up",
        ),
    ),
    (
        r"\bpicking (?:something|an object|up something|up an object)(?: up)?\b",
        (
            "picking something up",
            "picking up an object",
        ),
    ),
    (r"\b(from|off) the (?:floor|ground)\b", (r"\1 the floor", r"\1 the ground")),
    (r"\bturns around\b(?! and around)", ("turns around", "turns round", "turns back around")),
    (r"\bturns 180 degrees\b", ("turns around 180 degrees", "turns halfway around")),
    (r"\bsits down\b", ("sits down", "takes a seat")),
    (r"\bsquats(?: down)?\b", ("squats", "squats down", "crouches down")),
    (r"\bcrouches(?: down)?\b", ("crouches down", "crouches", "squats down")),
    (r"\bbends down\b", ("bends over", "bends down")),
    (r"\bstands still\b", ("stands still", "stands in place", "stays still", "does not move")),
    (r"\bthrows (?:some |several )?punches\b", ("punches", "throws punches", "boxes")),
    (r"\bjogs\b", ("jogs", "runs slowly", "runs at an easy pace")),
    (r"\bjogging\b", ("jogging", "running slowly")),
    (r"\bleaps\b", ("leaps", "jumps")),
    (
        r"\bkicks with (?:the|his|their) (left|right) (?:leg|foot)\b",
        (
            r"kicks with the \1 leg",
            r"kicks with the \1 foot",
            r"kicks his \1 leg",
            r"kicks the \1 leg",
        ),
    ),
    (r",? and then\b", (", then", " and then", " then")),
    (r"(?<! and), then\b", (" and then", ", then")),
    (r"\bcomes to a stop\b", ("stops", "comes to a stop")),
    (r"\ba couple of steps\b", ("a few steps", "a couple steps")),
    (r"\bjumps up and down\b", ("jumps up and down", "jumps in place")),
)
"""(pattern, alternatives) in the order in which they are tried."""

TYPOS = _rules(
    (r"\bfoward(s?)\b", (r"forward\1",)),
    (r"\bthier\b", ("their",)),
    (r"\b(?:persong|perosn|peron|preson|persn)\b", ("person",)),
    (r"\bperson person\b", ("person",)),
    (r"\badn\b", ("and",)),
    (r"\bfrunning\b", ("running",)),
    (r"\bcorcle\b", ("circle",)),
    (r"\bthens\b", ("then",)),
    (r"\bthe the\b", ("the",)),
    (r"\bin in\b", ("in",)),
    (r"\bwaltzs\b", ("waltzes",)),
    (r"\bwalkinds\b", ("walks",)),
    (r"\bslitghtly\b", ("slightly",)),
    (r"\bpoceeds\b", ("proceeds",)),
    (r"\b(?:lenght|legnth)\b", ("length",)),
    (r"\bpostion\b", ("position",)),
    (r"\bamr\b", ("arm",)),
    (r"\bothe\b", ("the",)),
)
"""(pattern, (right spelling,)) for the captions' misspellings."""

"""Amounts that sentences state: lengths, angles, times ("two and a half meters")."""

from __future__ import annotations

import re

NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10,
}  # fmt: skip
"""Number words up to ten."""

_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
_AMOUNTS = NUMBERS | _TENS | {
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
    "a": 1, "an": 1, "another": 1, "half a": 0.5, "a half": 0.5, "half": 0.5, "hundred": 100,
    "a hundred": 100, "a quarter of a": 0.25, "a quarter": 0.25, "a couple of": 2, "a couple": 2,
    "a few": 3,
}  # fmt: skip
_UNITS = (
    (r"(?:kilomet(?:er|re)s?|kms?)", 1000.0),
    (r"(?:centimet(?:er|re)s?|cms?)", 0.01),
    (r"(?:millimet(?:er|re)s?|mm)", 0.001),
    (r"(?:met(?:er|re)s?|m)", 1.0),
    (r"(?:feet|foot|ft)", 0.3048),
    (r"(?:inch(?:es)?)", 0.0254),
    (r"(?:yards?|yds?)", 0.9144),
)
_COMPOUND = rf"(?:{'|'.join(_TENS)})[ -](?:{'|'.join([*NUMBERS][:9])})"
_WORDS = "|".join([_COMPOUND, *sorted(_AMOUNTS, key=len, reverse=True)])
# NFKC makes a digit, a fraction slash and a digit of each vulgar fraction.
_DIGITS = r"(?:(?:\d{1,3} )?\d ?/ ?\d|\d{0,3}\d\u2044\d|\d{1,9}(?:[.,]\d+)?|\.\d+)"
_MORE = r"(?:(?:more|further|full|whole|extra|additional|good) )?"
_LENGTH_UNIT = "|".join(unit for unit, _ in _UNITS)
_MOST_UNITS = "|".join(unit for unit, _ in _UNITS).replace("|foot", "")
LENGTH = (
    rf"(?:[-\u2212]?{_DIGITS}[ -]?{_MORE}(?:{_LENGTH_UNIT})|"
    rf"(?:{_WORDS})(?: and a half)?[ -]?{_MORE}(?:{_MOST_UNITS}))\b"
    r"(?! ?/| per\b)(?: and a half\b)?"
)
"""Pattern of a length in words or digits."""
ANGLE = r"(?:[-\u2212]?\d{1,4}(?:[.,]\d+)?|\w+) ?(?:degrees?\b|degs?\b|\u00b0)"
"""Pattern of an angle in words or digits."""
_AMOUNT = (
    rf"(?<![\w.,/-])(?P<sign>[-\u2212])?(?:(?P<digits>{_DIGITS})|(?<![-\u2212])(?P<words>{_WORDS}))"
)
_LENGTH = re.compile(
    rf"{_AMOUNT}(?P<half> and a half)?[ -]?{_MORE}(?P<unit>{_LENGTH_UNIT})"
    r"(?P<late_half> and a half)?\b"
    r"(?! ?/| ?(?:per|an?) (?:second|minute|hour)\b| (?:an|per) )"
    r"(?![ -](?:tall|high|wide|deep|thick|apart|radius|diameter|each)\b)"
    r"(?! (?:away )?from\b| (?:in|of) (?:radius|diameter)\b)"
)
_ANGLE = re.compile(
    rf"{_AMOUNT}[ -]?{_MORE}(?:degrees?\b|degs?\b|\u00b0)(?! ?/| ?(?:per|an?) (?:second|minute)\b)"
)
_TIME_UNITS = ((r"(?:minutes?|mins?)", 60.0), (r"(?:seconds?|secs?|s)", 1.0))
_TIME_UNIT = "|".join(unit for unit, _ in _TIME_UNITS)
# The last letter of "as" and "ones" is not a unit.
_BEFORE_TIME = rf"(?:[ -]|(?<=\d)){_MORE}(?:(?<=\d)|(?<=\d )|(?!s\b))"
# "A second" is vague, or a number.
_NO_SECOND = r"(?!an? (?:second|sec|s)\b(?! and a half))"
DURATION = (
    rf"{_NO_SECOND}(?:{_DIGITS}|{_WORDS})(?: and a half)?{_BEFORE_TIME}"
    rf"(?:{_TIME_UNIT})\b(?: and a half\b)?"
)
"""Pattern of a time in words or digits."""
_DURATION = re.compile(
    r"(?P<for>\b(?:for|during|over|in|within|lasting) )?"
    r"(?:\b(?:about|around|exactly|the next|at least) )?"
    rf"{_NO_SECOND}{_AMOUNT}(?P<half> and a half)?{_BEFORE_TIME}"
    rf"(?P<unit>{_TIME_UNIT})(?P<late_half> and a half)?\b(?! (?:time|place)\b)(?: of\b)?"
)
_SPEED = re.compile(
    rf"{_AMOUNT}[ -]?(?:(?:{_LENGTH_UNIT}|degrees?|degs?|\u00b0) ?(?:/|per|an?) ?"
    r"(?:seconds?|secs?|s|minutes?|min|hours?|h)|mps|kmh|kph|mph)\b"
)
_BARE_ANGLE = re.compile(
    r"\b(?:turn|rotate|spin|pivot)\w*(?: (?:by|to|the|left|right))* (?P<sign>[-\u2212])?"
    r"(?P<digits>\d{2,3})(?: (?:to the )?(?:left|right))?[ .!]*$(?P<words>)"
)
_NO_WAY = re.compile(
    r"\b(?:on|with|both|her|his|its|their|the|radius of|diameter of|each|every|within|at|"
    r"(?:until|till)\b.*)$"
)
"""What stands before a length that is not that of a way: "on two feet", "every three meters"."""

_NO_TIME = re.compile(
    r"\b(?:after|at|every|each|per|last|first|next)(?: the)?(?: (?:last|first|next))?$"
)
"""What stands before a time that is not that of a motion."""

LEAST = 1e-3
"""Where words state zero: that they state something [m], [deg]."""


def stated_length(words: str) -> float:
    """The length of a way that words state [m], negative with a sign; 0 where they state none.

    Args:
        words: In small letters, for example "walks half a meter forward".
    """
    total = 0.0
    for match in _LENGTH.finditer(words):
        is_limb = match["unit"] == "foot" and match["words"]
        if is_limb or _NO_WAY.search(words[: match.start()].rstrip()):
            continue
        total += _sized(match, _UNITS) or LEAST
    return total


def stated_angle(words: str) -> float:
    """The angle that words state in degrees, negative with a sign; 0 where they state none.

    Args:
        words: In small letters, for example "turns ninety degrees to the left".
    """
    match = _ANGLE.search(words) or _BARE_ANGLE.search(words)
    return (_signed(match) or LEAST) if match else 0.0


def stated_duration(words: str) -> tuple[float, str]:
    """The time that words state, and the words without it.

    Args:
        words: In small letters, for example "waves for three seconds".

    Returns:
        The sum of all times [s], 0 where the words state none; and the other words.
    """
    total, rest, end = 0.0, "", 0
    for match in _DURATION.finditer(words):
        before = words[: match.start()].rstrip()
        is_decade = match["unit"] == "s" and before.endswith("the")
        is_rate = match["words"] == "a" and not match["for"]
        if match["sign"] or is_decade or is_rate or _NO_TIME.search(before):
            continue
        total += _sized(match, _TIME_UNITS)
        rest, end = rest + words[end : match.start()], match.end()
    return total, " ".join((rest + words[end:]).split())


def states_speed(words: str) -> bool:
    """Whether words state a speed in numbers, such as "at 0.5 m/s"."""
    return bool(_SPEED.search(words))


def _sized(match: re.Match[str], units: tuple[tuple[str, float], ...]) -> float:
    """An amount in the unit that its words state."""
    size = next(size for pattern, size in units if re.fullmatch(pattern, match["unit"]))
    return _signed(match, 0.5 if match["half"] or match["late_half"] else 0.0) * size


def _signed(match: re.Match[str], more: float = 0.0) -> float:
    """The number of an amount, and more."""
    number = _in_words(match["words"]) if match["words"] else _number(match["digits"])
    return -(number + more) if match["sign"] else number + more


def _in_words(words: str) -> float:
    if words in _AMOUNTS:
        return _AMOUNTS[words]
    ten, one = re.split("[ -]", words)
    return _TENS[ten] + NUMBERS[one]


def _number(digits: str) -> float:
    fraction = re.fullmatch(r"(\d*) ?(\d) ?[/\u2044] ?(\d)", digits)
    if not fraction:
        return float(digits.replace(",", "."))
    whole, above, below = (int(part or 0) for part in fraction.groups())
    return whole + above / below if below else 0.0

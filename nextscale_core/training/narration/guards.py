"""What the one-line description of a recording allows narration to say."""

from __future__ import annotations

import re

# Recordings in which a path tells little of what one sees, or the floor is not flat.
_OTHER_THINGS = re.compile(
    r"danc|salsa|macarena|jete|pirouette|arabesque|ballet|dribbl|basketball|ledge|under"
    r"|(?<!run jump )over\b"
    r"|roll\b|dive|chicken|dinosaur|crawl|roadrunner|flamingo|mickey|moonwalk|broom|sweep|wash"
    r"|beam|obstacle|balance object|spastic|crouch|bent|hobble|rug|fall|mummy|zombie|frankenstein"
    r"|push|pull|carry|object|laundry|ball\b|football|scramble|seat|arm in arm|hold hands|link arms"
    r"|2 subjects|navigate busy|step on|up and over|stretch walk|wild|crossover|cross legs|cat walk"
    r"|sneak|stealth|creep|duck under|swing\b|smok|drink|drunk|stumble|clumsy|evasive"
    r"|wide leg|russian|lambada|side twist|dance, twist|swings|vignettes|stomach|achey",
    re.IGNORECASE,
)
_STYLES: tuple[tuple[str, str], ...] = (
    (r"\bsad\b|^sad ?walk|depressed", "sadly"),
    (r"limp|hurt ?leg|wounded leg|bad ?leg", "with a limp"),
    (r"scared", "as if scared"),
    (r"\bcool ?walk|too ?cool|ghetto|macho", "with a swagger"),
    (r"old man", "like an old man"),
    (r"on toes|ball walk", "on tiptoe"),
    (r"confident", "confidently"),
    (r"stiff", "stiffly"),
    (r"careful", "carefully"),
    (r"happy|excited", "happily"),
    (r"sexy|graceful lady", "with swinging hips"),
)
_NEVER_PLAIN = re.compile(
    r"limp|hurt ?leg|wounded leg|bad ?leg|old man|toes|ball walk|sexy|graceful|gangly"
    r"|strong man|muscular|pigeon|duck footed|legs apart|knees bent|leaning|stiff arms",
    re.IGNORECASE,
)


def speaks(description: str, pattern: str) -> bool:
    """Whether a description holds a word pattern, whatever the case."""
    return re.search(pattern, _spaced(description), re.IGNORECASE) is not None


def _spaced(description: str) -> str:
    """'SlowWalk8' -> 'Slow Walk 8'."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", description.replace("_", " "))


def tells_of_other_things(description: str) -> bool:
    """Whether plain words for the path would mislead about this recording."""
    return _OTHER_THINGS.search(_spaced(description)) is not None


def style_of(description: str) -> str:
    """A short phrase for the manner, such as 'sadly'; '' for none."""
    for pattern, phrase in _STYLES:
        if re.search(pattern, _spaced(description), re.IGNORECASE):
            return phrase
    return ""


def style_is_needed(description: str) -> bool:
    """Whether a sentence without the manner would miss what one sees."""
    return _NEVER_PLAIN.search(_spaced(description)) is not None


def gait_told(description: str) -> str:
    """'walk' or 'run' where the description speaks of this gait only; else ''."""
    walks = speaks(description, r"walk|stride|\bstroll")
    runs = speaks(description, r"\brun|jog")
    return "" if walks == runs else "walk" if walks else "run"


def pace_told(description: str) -> str:
    """'slow' or 'fast' where the description speaks of one speed."""
    slow = speaks(description, r"\bslow")
    fast = speaks(description, r"\bfast|quick|brisk")
    return "" if slow == fast else "slow" if slow else "fast"


def jumps_are_plain(description: str, seconds: float) -> bool:
    """Whether jumps in this recording are likely jumps and nothing else.

    Args:
        description: Its one line; '' for nothing known.
        seconds: Length of the recording. In a long one many things happen, so that a word for
            one of them says little of the others.
    """
    acrobatic = speaks(description, r"kick|spin\b|grab|reach|signal|throw|catch|punch")
    if speaks(description, r"jack|rain\b"):
        return False
    return not description or not acrobatic or seconds > 25.0

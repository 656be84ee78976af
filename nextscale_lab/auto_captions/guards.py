"""What the one-line description of a recording allows narration to say."""

from __future__ import annotations

import re

_DANCES = (
    r"danc|salsa|macarena|jete|pirouette|arabesque|ballet|attitude/|chicken|moonwalk|mickey"
    r"|roadrunner|dinosaur|russian|lambada"
)
# Recordings in which a path tells little of what one sees, or the floor is not flat.
_OTHER_THINGS = re.compile(
    _DANCES + r"|dribbl|basketball|ledge|under|(?<!run jump )over\b|roll\b|dive|crawl|broom|sweep"
    r"|wash|beam|obstacle|balance object|spastic|hobble|rug|fall|mummy|frankenstein|push|pull"
    r"|carry|object|laundry|ball\b|football|scramble|seat|hold hands|link arms|2 subjects"
    r"|navigate busy|steop on|step on|stretch walk|wild|crossover|cross legs|cat walk|sneak"
    r"|stealth|creep|swing\b|swings|smok|drink|drunk|stumble|clumsy|evasive|wide leg|side twist"
    r"|vignettes|stomach|achey",
    re.IGNORECASE,
)
# Recordings in which hands and trunk do what no rule here knows.
_OTHER_ACTS = re.compile(
    _DANCES + r"|wash|window|drink|soda|beer|smok|bottle|broom|sweep|carry|basketball shoot"
    r"|free throw|lay up|jump shot|dribbl|crawl|chug|coffee|conversation|search|high five"
    r"|slap hands|putting on|hair|nail|gun|swing\b|push|pull",
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
    (r"zombie", "like a zombie"),
)
# Recordings in which every walk has a manner, told or not.
_NEVER_PLAIN = re.compile(
    r"limp|hurt ?leg|wounded leg|bad ?leg|old man|toes|ball walk|sexy|graceful|gangly|zombie"
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


def acts_are_plain(description: str) -> bool:
    """Whether arms and trunk in this recording do things that plain words tell."""
    return _OTHER_ACTS.search(_spaced(description)) is None


def is_chicken_dance(description: str) -> bool:
    """The one dance with claps of the hands."""
    return speaks(description, r"chicken dance")

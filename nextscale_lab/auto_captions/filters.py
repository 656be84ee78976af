"""Selection of recordings and rules by the one-line description of a recording.

The word lists are in nextscale_lab/config/captions/auto_captions.yaml.
"""

from __future__ import annotations

import re

from nextscale_lab.captions.tables import table


def mentions(description: str, pattern: str) -> bool:
    """Whether a pattern occurs in a description, in any case."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", description.replace("_", " "))
    return re.search(pattern, spaced, re.IGNORECASE) is not None


def _mentions_any(description: str, *lists: str) -> bool:
    words = (word for name in lists for word in table("auto_captions")[name])
    return mentions(description, "|".join(words))


def has_unusual_path(description: str) -> bool:
    """Whether plain words for the path would mislead about this recording."""
    return _mentions_any(description, "dances", "unusual_paths")


def has_unusual_actions(description: str) -> bool:
    """Whether arms and trunk do what the rules do not cover."""
    return _mentions_any(description, "dances", "unusual_actions")


def is_chicken_dance(description: str) -> bool:
    """Whether this is the one dance in which the hands clap."""
    return mentions(description, "chicken dance")


def style_of(description: str) -> str:
    """Style of a walk as a short phrase, such as 'sadly'; '' without one."""
    styles = table("auto_captions")["styles"].items()
    return next((phrase for pattern, phrase in styles if mentions(description, pattern)), "")


def style_is_required(description: str) -> bool:
    """Whether a sentence without the style would be wrong."""
    return _mentions_any(description, "styled_walks")


def gait_of_description(description: str) -> str:
    """'walk' or 'run' where the description mentions only this gait; else ''."""
    walks = mentions(description, r"walk|stride|\bstroll")
    runs = mentions(description, r"\brun|jog")
    return "" if walks == runs else "walk" if walks else "run"


def pace_of_description(description: str) -> str:
    """'slow' or 'fast' where the description mentions only this pace; else ''."""
    slow = mentions(description, r"\bslow")
    fast = mentions(description, r"\bfast|quick|brisk")
    return "" if slow == fast else "slow" if slow else "fast"


def jumps_are_plain(description: str, seconds: float) -> bool:
    """Whether jumps in this recording are plain jumps.

    Args:
        description: One-line description; '' if unknown.
        seconds: Length of the recording [s]. A long one holds many actions, of which the
            description mentions few.
    """
    acrobatic = mentions(description, r"kick|spin\b|grab|reach|signal|throw|catch|punch")
    if mentions(description, r"jack|rain\b"):
        return False
    return not description or not acrobatic or seconds > 25.0

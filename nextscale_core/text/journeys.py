"""How far a sentence says that somebody goes, turns, and how long each part of it takes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from nextscale_core.text.clauses import CEASING, GAITS, Claim, Clauses, clauses, parts_of
from nextscale_core.text.plain_words import has_manner, in_plain_words, said
from nextscale_core.text.quantities import DURATION, stated_angle, stated_length, states_speed
from nextscale_core.text.stated_seconds import timed

LONGEST = 20.0
"""Length of the longest way of one part of a sentence [m]."""

MOST_TURNS = 5
"""Largest number of turns about oneself of one part of a sentence."""

MOST_SECONDS = 60.0
"""Longest time that one part of a sentence takes [s]."""

_STEPS = {"backward": 0.55, "left": 0.45, "right": 0.45, "sideways": 0.45}
_STEP, _RUNNING_STEP = 0.62, 1.2
"""Lengths of a step of the models' walks and runs forward [m]."""

_SPEEDS = {"backward": 0.75, "left": 0.4, "right": 0.4, "sideways": 0.4}
_SPEED, _RUNNING_SPEED = 1.0, 2.2
"""Mean speeds of these [m/s]."""

_AHEAD = "a person walks forward"
_LEANS = re.compile(r"\b(hold|keep|maintain|lower|repeat|continue)|\b(it|them|so)\b")
"""Words of parts that mean little without those before them: "then hold it"."""
_FOR = re.compile(rf"\bfor (?:\w+ )?{DURATION}")
_POSTURES = ("sit", "kneel", "squat", "bend", "balance", "raise")
"""Actions after which who waits stays as he is."""
_PACES = {-1: 0.5, 0: 1.0, 1: 1.3}
_TURN_SPEED = math.radians(60.0)


@dataclass(frozen=True)
class Travel:
    """A way or a turn of a stated size.

    Attributes:
        direction: 'forward', 'backward', 'left', 'right' or 'sideways', of the body at the start.
        length: Of the way [m]; 0 where steps are counted.
        steps: Number of steps; 0 where the length is stated.
        gait: 'walk', 'run', 'march' or 'jump'.
        pace: -1 slow, 1 fast, 0 unsaid.
        turn: Angle of a turn on the spot, to the side `direction` or to any one [rad].
        words: What the person does on it, in plain words.
        is_alone: Whether the person does nothing else meanwhile.
        is_straight: Whether the person looks the same way at its end as at its start.
    """

    direction: str
    length: float = 0.0
    steps: int = 0
    gait: str = "walk"
    pace: int = 0
    turn: float = 0.0
    words: str = ""
    is_alone: bool = True
    is_straight: bool = True

    def goal(self, scale: float = 1.0) -> float:
        """Length of the way of a person [m], or angle of the turn [rad], within bounds.

        Args:
            scale: Size of the robot relative to a person, which goes the length; steps are as long
                as the robot's size makes them.
        """
        if self.turn:
            return min(self.turn, MOST_TURNS * math.tau)
        step = _RUNNING_STEP if self.gait == "run" else _STEPS.get(self.direction, _STEP)
        return min(self.length, LONGEST) / scale or min(self.steps * step, LONGEST)

    def seconds(self, scale: float = 1.0) -> float:
        """Time that it takes about, from and to a stand [s]."""
        return self.seconds_for(self.goal(scale))

    def seconds_for(self, size: float) -> float:
        """Time that a way [m] or a turn [rad] of this kind takes about [s]."""
        speed = _RUNNING_SPEED if self.gait == "run" else _SPEEDS.get(self.direction, _SPEED)
        return 1.0 + 1.5 * size / ((_TURN_SPEED if self.turn else speed) * _PACES[self.pace])

    def size_in(self, seconds: float) -> float:
        """Way [m] or turn [rad] of this kind in a time [s], the inverse of `seconds_for`."""
        return max(seconds - 1.0, 0.0) / max(self.seconds_for(1.0) - 1.0, 1e-6)


@dataclass(frozen=True)
class Leg:
    """A part of what a sentence asks for.

    Attributes:
        sentence: Its words.
        travel: How far it goes; None where that is not said.
        seconds: How long it takes [s]; None where that is not said.
    """

    sentence: str
    travel: Travel | None = None
    seconds: float | None = None


@lru_cache(maxsize=1024)
def journey(sentence: str, meaning: str | None = None) -> tuple[Leg, ...]:
    """The parts of a sentence that states how far somebody goes or turns, or how long it takes.

    Args:
        sentence: A validated sentence.
        meaning: The sentence in words whose actions are known, if its own are not.

    Returns:
        In their order; of one part the sentence's own words, of several plain ones. Empty where no
        length, number of steps, angle or time of a part is stated, and where a part has no plain
        words.
    """
    words = sentence.lower()
    length, angle = stated_length(words), stated_angle(words)
    parts = parts_of(sentence)
    if meaning and not any(_travel_of(clause) for _, asked in parts for clause in asked):
        # Words that the rules do not know.
        meant = clauses(meaning)
        if len(meant) == 1:
            parts = ((words, (tuple(_sized(one, length, angle) for one in meant[0]),)),)
    times = _times(sentence, parts)
    is_timed = any(seconds for seconds, _ in times)
    ways = [_travel_of(clause) for _, asked in parts for clause in asked]
    claims = [one for _, asked in parts for clause in asked for one in clause]
    is_counted = any(one.action == "turn" and one.count > 1 for one in claims)
    is_sized = any(way and (angle or is_counted or not way.turn) for way in ways)
    only_turns = all(not way or way.turn for way in ways)
    # Of what is not understood the model knows more than the angle.
    is_vague = only_turns and len(parts) > 1 and not _is_understood(sentence)
    if not is_timed and (not is_sized or is_vague):
        return ()
    legs: list[Leg] = []
    for (words, asked), (seconds, rest) in zip(parts, times, strict=True):
        found = [Leg(_said(clause), _travel_of(clause)) for clause in asked]
        way = found[0].travel if len(found) == 1 else None
        if seconds:
            is_open = _FOR.search(words) and not (stated_angle(words) or is_counted)
            goes_on = way and way.turn and is_open  # "spins for five seconds"
            legs.append(Leg(rest, None if goes_on else way, seconds))
        elif len(asked) < 2 or not any(leg.travel for leg in found):
            legs.append(Leg(words, way))  # in words of its own
        elif all(leg.sentence for leg in found):
            legs += found
        else:
            return ()
    legs = [_faced(leg, before) for before, leg in zip([None, *legs], legs, strict=False)]
    # Each way ends in a stand.
    kept = [
        leg
        for before, leg in zip([None, *legs], legs, strict=False)
        if leg.seconds or not (before and before.travel and _only_stands(leg.sentence))
    ]
    if len(kept) == 1 and not kept[0].seconds:
        return (replace(kept[0], sentence=sentence),)
    return tuple(kept)


def _times(sentence: str, parts: tuple[tuple[str, Clauses], ...]) -> list[tuple[float, str]]:
    """The time that each part takes, 0 where it is not said [s]; and its other words."""
    if len(parts) < 2:
        stated = [timed(sentence)] * len(parts)
    elif any(
        (not asked and _LEANS.search(words)) or (before and _only_stands(words) and _stays(before))
        for (before, _), (words, asked) in zip([("", ()), *parts], parts, strict=False)
    ):
        stated = [(0.0, None)] * len(parts)
    else:
        stated = [timed(words) for words, _ in parts]
    return [(seconds, rest) if rest else (0.0, "") for seconds, rest in stated]


def unkept(sentence: str, legs: tuple[Leg, ...]) -> str | None:
    """Why the lengths and times that a sentence states are not kept; None where they are.

    Args:
        sentence: A validated sentence.
        legs: Its parts, see `journey`.
    """
    turns = [leg.travel.turn for leg in legs if leg.travel and leg.travel.turn]
    if max(turns, default=0.0) > MOST_TURNS * math.tau + 1e-6:
        return f"more than {MOST_TURNS} turns about oneself are cut to {MOST_TURNS}"
    longest = max((leg.seconds or 0.0 for leg in legs), default=0.0)
    if longest > MOST_SECONDS:
        return (
            f"the part that takes {longest:g} s is cut to {MOST_SECONDS:g} s, the longest of one "
            "part of a sentence"
        )
    ways = [leg.travel for leg in legs if leg.travel and not leg.travel.turn]
    if not legs and any(way and not way.turn for way in map(_travel_of, clauses(sentence))):
        return (
            "how far the person goes is not kept, as a part of the sentence is not understood; "
            "send its parts one by one, such as 'walks two meters forward'"
        )
    if not ways and stated_length(sentence.lower()):
        return "how far the person goes is kept of walks, runs, marches and jumps forward only"
    is_divided = bool(ways) or any(leg.seconds for leg in legs)
    if is_divided and len(legs) > 1 and not _is_understood(sentence):
        return (
            "a part of the sentence is not understood, and may be left out; send its parts one by "
            "one"
        )
    far = max((way.length for way in ways), default=0.0)
    if far > LONGEST:
        return (
            f"the way of {far:g} m is cut to {LONGEST:g} m, the longest of one part of a sentence"
        )
    if states_speed(sentence.lower()):
        return (
            "speeds are not kept; state a way and its time, such as 'walks 2 meters in 5 seconds'"
        )
    return None


def _travel_of(clause: tuple[Claim, ...]) -> Travel | None:
    for claim in clause:
        is_jump = claim.action == "jump" and claim.direction == "forward" and claim.length > 0.0
        if is_jump or (claim.action in GAITS and claim.direction not in ("", "place")):
            steps = 0 if claim.length else claim.count
            if claim.length or steps:
                return replace(
                    Travel(claim.direction, claim.length, steps, claim.action, claim.pace),
                    words=_said((claim,)),
                    is_alone=len(clause) == 1,
                    is_straight=not any(one.action == "turn" for one in clause),
                )
        elif claim.action == "turn" and not any(one.action in GAITS for one in clause):
            turn, alone = math.radians(claim.degrees or 90.0), len(clause) == 1
            words = _said((claim,))
            return Travel(claim.side, pace=claim.pace, turn=turn, words=words, is_alone=alone)
    return None


def _is_understood(sentence: str) -> bool:
    return has_manner(sentence) or bool(in_plain_words(sentence))


def _said(clause: tuple[Claim, ...]) -> str:
    """A clause in plain words; '' where it has none."""
    return said((clause,)) or ""


def _faced(leg: Leg, before: Leg | None) -> Leg:
    """A part after another one: who has turned around walks back forward."""
    way, turn = leg.travel, before and before.travel and before.travel.turn
    if not way or way.direction != "backward" or not turn or turn < math.radians(135.0):
        return leg
    if "backward" in leg.sentence:
        return leg
    return replace(leg, sentence=_AHEAD, travel=replace(way, direction="forward", words=_AHEAD))


def _only_stands(words: str) -> bool:
    asked = clauses(words)
    return bool(asked) and all(one.action in CEASING for clause in asked for one in clause)


def _stays(words: str) -> bool:
    """Whether somebody does not stand after what the words say: "sits down and waits"."""
    return any(one.action in _POSTURES for clause in clauses(words)[-1:] for one in clause)


def _sized(claim: Claim, length: float, angle: float) -> Claim:
    if claim.action in GAITS:
        return replace(claim, length=length)
    return replace(claim, degrees=angle or claim.degrees) if claim.action == "turn" else claim

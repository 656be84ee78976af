"""How far a sentence says that somebody goes or turns: "walk two meters, turn 30 degrees left"."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from nextscale_core.text.clauses import CEASING, GAITS, Claim, clauses, parts_of
from nextscale_core.text.plain_words import has_manner, in_plain_words, said
from nextscale_core.text.quantities import stated_angle, stated_length

LONGEST = 20.0
"""Length of the longest way of one part of a sentence [m]."""

MOST_TURNS = 5
"""Largest number of turns about oneself of one part of a sentence."""

_STEPS = {"backward": 0.55, "left": 0.45, "right": 0.45, "sideways": 0.45}
_STEP, _RUNNING_STEP = 0.62, 1.2
"""Lengths of a step of the models' walks and runs forward [m]."""

_SPEEDS = {"backward": 0.75, "left": 0.4, "right": 0.4, "sideways": 0.4}
_SPEED, _RUNNING_SPEED = 1.0, 2.2
"""Mean speeds of these [m/s]."""

_AHEAD = "a person walks forward"
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
    """

    sentence: str
    travel: Travel | None = None


@lru_cache(maxsize=1024)
def journey(sentence: str, meaning: str | None = None) -> tuple[Leg, ...]:
    """The parts of a sentence that states how far somebody goes or turns, in their order.

    Args:
        sentence: A validated sentence.
        meaning: The sentence in words whose actions are known, if its own are not.

    Returns:
        Of one part the sentence's own words, of several plain ones. Empty where no length, number
        of steps or angle is stated, and where a part has no plain words.
    """
    words = sentence.lower()
    length, angle = stated_length(words), stated_angle(words)
    parts = parts_of(sentence)
    if meaning and not any(_travel_of(clause) for _, asked in parts for clause in asked):
        # Words that the rules do not know.
        meant = clauses(meaning)
        if len(meant) == 1:
            parts = ((words, (tuple(_sized(one, length, angle) for one in meant[0]),)),)
    ways = [_travel_of(clause) for _, asked in parts for clause in asked]
    claims = [one for _, asked in parts for clause in asked for one in clause]
    is_counted = any(one.action == "turn" and one.count > 1 for one in claims)
    if not any(way and (angle or is_counted or not way.turn) for way in ways):
        return ()
    if len(parts) > 1 and not _is_understood(sentence) and all(not way or way.turn for way in ways):
        return ()  # the model knows more of it than the angle
    legs: list[Leg] = []
    for words, asked in parts:
        found = [Leg(_said(clause), _travel_of(clause)) for clause in asked]
        if len(asked) < 2 or not any(leg.travel for leg in found):
            # In words of its own.
            legs.append(Leg(words, found[0].travel if len(found) == 1 else None))
        elif all(leg.sentence for leg in found):
            legs += found
        else:
            return ()
    legs = [_faced(leg, before) for before, leg in zip([None, *legs], legs, strict=False)]
    # Each way ends in a stand.
    kept = [
        leg
        for before, leg in zip([None, *legs], legs, strict=False)
        if not (before and before.travel and _only_stands(leg.sentence))
    ]
    return (replace(kept[0], sentence=sentence),) if len(kept) == 1 else tuple(kept)


def unkept(sentence: str, legs: tuple[Leg, ...]) -> str | None:
    """Why the lengths that a sentence states are not kept; None where they are.

    Args:
        sentence: A validated sentence.
        legs: Its parts, see `journey`.
    """
    turns = [leg.travel.turn for leg in legs if leg.travel and leg.travel.turn]
    if max(turns, default=0.0) > MOST_TURNS * math.tau + 1e-6:
        return f"more than {MOST_TURNS} turns about oneself are cut to {MOST_TURNS}"
    ways = [leg.travel for leg in legs if leg.travel and not leg.travel.turn]
    if not legs and any(way and not way.turn for way in map(_travel_of, clauses(sentence))):
        return (
            "how far the person goes is not kept, as a part of the sentence is not understood; "
            "send its parts one by one, such as 'walks two meters forward'"
        )
    if not ways:
        stated = stated_length(sentence.lower())
        return (
            "how far the person goes is kept of walks, runs, marches and jumps forward only"
            if stated
            else None
        )
    if len(legs) > 1 and not _is_understood(sentence):
        return (
            "a part of the sentence is not understood, and may be left out; send its parts one by "
            "one"
        )
    far = max(way.length for way in ways)
    if far > LONGEST:
        return (
            f"the way of {far:g} m is cut to {LONGEST:g} m, the longest of one part of a sentence"
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
    return Leg(_AHEAD, replace(way, direction="forward", words=_AHEAD))


def _only_stands(words: str) -> bool:
    asked = clauses(words)
    return bool(asked) and all(one.action in CEASING for clause in asked for one in clause)


def _sized(claim: Claim, length: float, angle: float) -> Claim:
    if claim.action in GAITS:
        return replace(claim, length=length)
    return replace(claim, degrees=angle or claim.degrees) if claim.action == "turn" else claim

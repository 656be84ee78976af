"""Jumps in a row: how many, which way, and the words for them."""

from __future__ import annotations

from dataclasses import dataclass

from nextscale_lab.auto_captions.clauses import Clauses
from nextscale_lab.auto_captions.jumps import Jump

_FORWARD, _IN_PLACE = (
    0.45,
    0.20,
)  # way of a jump that is clearly forward, and of one that is not [m]
_ASIDE = 0.35  # way of a jump that is clearly to the side [m]
_SPIN, _NO_SPIN = 60.0, 35.0  # turn in the air that is told, and one that is none [deg]
_SMALL = 0.16  # rise of a jump that is also called a hop [m]
_COUNTS = {2: ("twice", "two times"), 3: ("three times",), 4: ("four times",)}
_MANY = ("several times", "over and over", "repeatedly", "many times")


@dataclass(frozen=True)
class Flights:
    """What a row of jumps has in common.

    Attributes:
        count: Number of jumps.
        way: 'forward', 'backward', 'left', 'right', 'up' (on the spot) or '' (unclear or mixed).
        leg: 'left' or 'right' for hops on one leg, 'leap' for leaps, '' for both feet.
        degrees: Turn in the air of a single jump, positive to the left; 0 where there is none.
        rise: Of the highest jump [m].
    """

    count: int
    way: str
    leg: str
    degrees: float
    rise: float

    @property
    def kind(self) -> str:
        """Name for balancing."""
        if self.leg in ("left", "right"):
            return f"hop_{self.leg}"
        if self.degrees:
            return "jump_turn"
        many = {1: "", 2: "_twice", 3: "_three"}.get(self.count, "_many")
        way = "" if self.way in ("", "up") else f"_{self.way}"
        return f"jump{way}{many}"


def flights_of(jumps: list[Jump]) -> Flights | None:
    """The common traits of a row of jumps; None where words would miss something."""
    legs = {jump.leg for jump in jumps}
    if len(legs) > 1:
        return None
    ways = {_way(jump) for jump in jumps}
    turns = [abs(jump.degrees) for jump in jumps]
    if (len(jumps) > 1 and max(turns) > _SPIN) or any(_NO_SPIN < t <= _SPIN for t in turns):
        return None
    degrees = jumps[0].degrees if turns[0] > _SPIN else 0.0
    way = ways.pop() if len(ways) == 1 else ""
    return Flights(len(jumps), way, legs.pop(), degrees, max(j.rise for j in jumps))


def _way(jump: Jump) -> str:
    if abs(jump.forward) < _IN_PLACE and abs(jump.sideways) < _IN_PLACE:
        return "up"
    if abs(jump.forward) > _FORWARD and abs(jump.sideways) < 0.5 * abs(jump.forward):
        return "forward" if jump.forward > 0 else "backward"
    if abs(jump.sideways) > _ASIDE and abs(jump.forward) < 0.6 * abs(jump.sideways):
        return "left" if jump.sideways > 0 else "right"
    return ""


def jump_clauses(flights: Flights, high: bool = False) -> tuple[Clauses, Clauses]:
    """Plain and detailed clauses for a row of jumps.

    Args:
        flights: The row.
        high: A jump is unmistakably high.
    """
    if flights.leg in ("left", "right"):
        return _hops(flights)
    if flights.degrees:
        return _spins(flights)
    if flights.leg == "leap":
        return ("jumps", "leaps"), ("leaps forward", "leaps into the air", "jumps forward")
    ways = {"forward": " forward", "backward": " backward"}
    ways |= {side: f" to the {side}" for side in ("left", "right")}
    way = ways.get(flights.way, "")
    return _once(flights, way, high) if flights.count == 1 else _often(flights, way)


def _once(flights: Flights, way: str, high: bool) -> tuple[Clauses, Clauses]:
    if flights.way == "forward":
        plain: Clauses = ("jumps forward",)
        more: Clauses = ("leaps forward", "jumps forward once", "jumps forward with both feet")
        more = (*more, "makes a jump forward")
    elif way:
        plain, more = (f"jumps{way}",), (f"jumps once{way}", f"makes a jump{way}")
    elif flights.way == "up":
        plain = ("jumps", "jumps up", "jumps into the air")
        more = ("jumps straight up", "jumps up once", "jumps on the spot", "jumps with both feet")
        if high:
            more = ("jumps high into the air", "jumps up high", *more)
    else:
        plain, more = ("jumps",), ("jumps once", "does a jump", "jumps with both feet")
    if flights.rise < _SMALL:
        more = (*more, f"hops{way}", f"takes a small jump{way}")
    return plain, more


def _often(flights: Flights, way: str) -> tuple[Clauses, Clauses]:
    words = _COUNTS.get(flights.count, _MANY)
    plain: Clauses = tuple(f"jumps{way} {word}" for word in words)
    more: Clauses = plain
    if flights.way == "up":
        more = tuple(f"jumps up and down {word}" for word in words)
        if flights.count > 2:
            plain = ("jumps up and down", *plain)
    if flights.count == 2:
        more = (*more, f"does two jumps{way}", f"jumps{way} and then jumps{way} again")
    if flights.count == 3:
        more = (*more, f"does three jumps{way}")
    if flights.rise < _SMALL:
        more = (*more, *(f"hops{way} {word}" for word in words[:2]))
    return plain, more


def _hops(flights: Flights) -> tuple[Clauses, Clauses]:
    side = flights.leg
    way = " forward" if flights.way == "forward" else ""
    count = "" if flights.count == 1 else f" {_COUNTS.get(flights.count, _MANY)[0]}"
    return (f"hops{way} on one leg{count}", f"hops{way} on the {side} leg{count}"), (
        f"hops{way} on the {side} foot{count}",
        f"jumps{way} on one foot{count}",
        f"hops{way}{count}",
    )


def _spins(flights: Flights) -> tuple[Clauses, Clauses]:
    side = "left" if flights.degrees > 0 else "right"
    size = abs(flights.degrees)
    plain: Clauses = ("jumps and turns in the air", f"jumps and turns to the {side}")
    if size > 140:
        plain = ("jumps and spins in the air", "jumps and turns around in the air")
    more = [f"jumps while turning to the {side}", f"jumps and spins to the {side}"]
    for figure, word in ((90, "a quarter turn"), (180, "a half turn"), (360, "a full turn")):
        if abs(size - figure) < 0.12 * figure + 8:
            more += [f"jumps and turns {figure} degrees", f"jumps and makes {word} in the air"]
    return plain, tuple(more)

"""Jumps: flights of both feet under gravity, and clauses for rows of jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.motion.tracks import SIDES, other, runs_of
from nextscale_lab.auto_captions.clauses import Clauses, clauses
from nextscale_lab.auto_captions.signals import Signals

_OFF_FLOOR = 0.05  # clearance of the lower foot in flight [m]
_POSSIBLE, _POSSIBLE_FALL, _HIGH_CLEARANCE = 0.04, 4.0, 0.12  # [m], [m/s^2], [m]
_FLIGHT_SECONDS = (0.25, 0.95)
_RISE = 0.07  # minimum rise of the pelvis from take-off [m]
_GRAVITY = (5.0, 15.0)  # fitted acceleration; feet that are only lifted have none [m/s^2]
_LEVEL = 0.07  # maximum height difference of the floor before and after [m]

_FORWARD, _IN_PLACE = 0.45, 0.20  # distance of a jump forward, and on the spot [m]
_ASIDE = 0.35  # distance of a jump to the side [m]
_SPIN, _NO_SPIN = 60.0, 35.0  # turn in the air of a jump with a turn, and without [deg]
_SMALL = 0.16  # rise of a jump that is also called a hop [m]
_COUNTS = {2: ("twice", "two times"), 3: ("three times",), 4: ("four times",)}
_MANY = ("several times", "over and over", "repeatedly", "many times")
_TURNS = ((90, "a quarter turn"), (180, "a half turn"), (360, "a full turn"))


@dataclass(frozen=True)
class Jump:
    """One flight.

    Attributes:
        start: First frame without a foot on the floor.
        end: First frame with a foot on the floor again.
        forward: Displacement of the pelvis along the heading at take-off [m].
        sideways: Displacement of the pelvis to the left [m].
        degrees: Turn in the air, positive to the left [deg].
        rise: Rise of the pelvis from take-off [m].
        leg: 'left' or 'right' if only this leg pushes off and lands, with the other lifted; ''
            for a jump from both feet; 'leap' from one foot to the other or unclear.
        speed: Speed along the path before take-off [m/s].
    """

    start: int
    end: int
    forward: float
    sideways: float
    degrees: float
    rise: float
    leg: str
    speed: float


def find_jumps(signals: Signals) -> tuple[list[Jump], np.ndarray]:
    """The certain jumps of a recording.

    Returns:
        The jumps in order, and (T,) bool: frames of possible flights that are not certain jumps (a
        scuff, a step of a run, a ledge).
    """
    jumps = []
    possible = np.zeros(len(signals), dtype=bool)
    for first, end in runs_of(signals.clearance > _POSSIBLE, signals.frames(0.1)):
        jump = _jump(signals, first, end)
        if jump is not None:
            jumps.append(jump)
        elif _is_possible(signals, first, end):
            possible[first:end] = True
    return jumps, possible


def _is_possible(signals: Signals, first: int, end: int) -> bool:
    """Whether this may be a small hop; a walk on tiptoe has no fall."""
    high = float(signals.clearance[first:end].max()) > _HIGH_CLEARANCE
    return high or _fall(signals, first, end)[0] > _POSSIBLE_FALL


def _fall(signals: Signals, first: int, end: int) -> tuple[float, float]:
    """Fitted downward acceleration [m/s^2] and rise [m] of the pelvis in a flight."""
    height = signals.tracks.pelvis_height[max(first - 1, 0) : end + 1]
    if len(height) < 4:
        return 0.0, 0.0
    time = np.arange(len(height)) / signals.clip.fps
    return float(-2.0 * np.polyfit(time, height, 2)[0]), float(height.max() - height[0])


def _jump(signals: Signals, first: int, end: int) -> Jump | None:
    t, fps = signals.tracks, signals.clip.fps
    span = slice(first, end)
    if first < 6 or end > len(signals) - 6:
        return None
    if not _FLIGHT_SECONDS[0] <= (end - first) / fps <= _FLIGHT_SECONDS[1]:
        return None
    if (signals.clearance[span] > _OFF_FLOOR).sum() < _FLIGHT_SECONDS[0] * fps - 1:
        return None
    fall, rise = _fall(signals, first, end)
    if not _GRAVITY[0] <= fall <= _GRAVITY[1] or rise < _RISE:
        return None
    before, after = t.lowest_foot[first - 6 : first].min(), t.lowest_foot[end : end + 6].min()
    if abs(before - after) > _LEVEL:
        return None
    takeoff, landing = first - 2, min(end + 2, len(signals) - 1)
    move = t.joint("pelvis")[landing] - t.joint("pelvis")[takeoff]
    facing = t.heading[takeoff]
    forward = float(np.cos(facing) * move[0] + np.sin(facing) * move[1])
    sideways = float(-np.sin(facing) * move[0] + np.cos(facing) * move[1])
    wide = slice(max(first - 6, 0), end + 6)
    degrees = float(np.degrees(t.heading[wide][-1] - t.heading[wide][0]))
    speed = float(signals.speed[max(first - 12, 0) : max(first - 4, 1)].mean())
    return Jump(first, end, forward, sideways, degrees, rise, _leg(signals, first, end), speed)


def _leg(signals: Signals, first: int, end: int) -> str:
    """Leg that pushes off and lands, as in `Jump.leg`."""
    over_floor = {side: signals.foot_height[side] - signals.floor for side in SIDES}
    if all(h[first - 1] < 0.10 and h[end] < 0.10 for h in over_floor.values()):
        return ""
    for side in SIDES:
        own, lifted = over_floor[side], over_floor[other(side)][first - 4 : end + 4]
        if lifted.min() > 0.07 and own[first - 1] < 0.07 and own[end] < 0.07:
            return side
    return "leap"


@dataclass(frozen=True)
class Flights:
    """Common traits of a row of jumps.

    Attributes:
        count: Number of jumps.
        direction: 'forward', 'backward', 'left', 'right', 'up' (on the spot) or '' (mixed).
        leg: 'left' or 'right' for hops on one leg, 'leap' for leaps, '' for both feet.
        degrees: Turn in the air of a single jump, positive to the left; 0 without a turn [deg].
        rise: Rise of the highest jump [m].
    """

    count: int
    direction: str
    leg: str
    degrees: float
    rise: float

    @property
    def kind(self) -> str:
        """Kind for balancing."""
        if self.leg in SIDES:
            return f"hop_{self.leg}"
        if self.degrees:
            return "jump_turn"
        many = {1: "", 2: "_twice", 3: "_three"}.get(self.count, "_many")
        way = "" if self.direction in ("", "up") else f"_{self.direction}"
        return f"jump{way}{many}"


def flights_of(jumps: list[Jump]) -> Flights | None:
    """Common traits of a row of jumps; None for jumps that differ or turn unclearly."""
    legs = {jump.leg for jump in jumps}
    if len(legs) > 1:
        return None
    ways = {_direction(jump) for jump in jumps}
    turns = [abs(jump.degrees) for jump in jumps]
    if (len(jumps) > 1 and max(turns) > _SPIN) or any(_NO_SPIN < t <= _SPIN for t in turns):
        return None
    degrees = jumps[0].degrees if turns[0] > _SPIN else 0.0
    way = ways.pop() if len(ways) == 1 else ""
    return Flights(len(jumps), way, legs.pop(), degrees, max(j.rise for j in jumps))


def _direction(jump: Jump) -> str:
    if abs(jump.forward) < _IN_PLACE and abs(jump.sideways) < _IN_PLACE:
        return "up"
    if abs(jump.forward) > _FORWARD and abs(jump.sideways) < 0.5 * abs(jump.forward):
        return "forward" if jump.forward > 0 else "backward"
    if abs(jump.sideways) > _ASIDE and abs(jump.forward) < 0.6 * abs(jump.sideways):
        return "left" if jump.sideways > 0 else "right"
    return ""


def jump_clauses(flights: Flights, high: bool = False) -> Clauses:
    """Clauses for a row of jumps.

    Args:
        flights: Common traits of the row.
        high: A jump is clearly high.
    """
    if flights.leg in SIDES:
        way = " forward" if flights.direction == "forward" else ""
        count = "" if flights.count == 1 else f" {_COUNTS.get(flights.count, _MANY)[0]}"
        return clauses("hop", side=flights.leg, way=way, count=count)
    if flights.degrees:
        return _turn_clauses(flights)
    if flights.leg == "leap":
        return clauses("leap")
    ways = {"forward": " forward", "backward": " backward"}
    ways |= {side: f" to the {side}" for side in SIDES}
    way = ways.get(flights.direction, "")
    return _once(flights, way, high) if flights.count == 1 else _often(flights, way)


def _once(flights: Flights, way: str, high: bool) -> Clauses:
    if flights.direction == "forward":
        found = clauses("jump_forward")
    elif way:
        found = clauses("jump_to", way=way)
    elif flights.direction == "up":
        found = clauses("jump_high") if high else Clauses()
        found += clauses("jump_up")
    else:
        found = clauses("jump")
    return found + (clauses("jump_small", way=way) if flights.rise < _SMALL else Clauses())


def _often(flights: Flights, way: str) -> Clauses:
    words = _COUNTS.get(flights.count, _MANY)
    plain = detailed = tuple(f"jumps{way} {word}" for word in words)
    if flights.direction == "up":
        detailed = tuple(f"jumps up and down {word}" for word in words)
        if flights.count > 2:
            plain = ("jumps up and down", *plain)
    found = Clauses(plain, detailed)
    if flights.count in (2, 3):
        found += clauses({2: "jump_twice", 3: "jump_three"}[flights.count], way=way)
    if flights.rise < _SMALL:
        found += Clauses((), tuple(f"hops{way} {word}" for word in words[:2]))
    return found


def _turn_clauses(flights: Flights) -> Clauses:
    side = "left" if flights.degrees > 0 else "right"
    size = abs(flights.degrees)
    found = clauses("jump_spin" if size > 140 else "jump_turn", side=side)
    for degrees, turn in _TURNS:
        if abs(size - degrees) < 0.12 * degrees + 8:
            found += clauses("jump_degrees", degrees=degrees, turn=turn)
    return found

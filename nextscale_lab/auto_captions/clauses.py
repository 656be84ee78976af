"""Clauses: what may be said of one phase, plain first, then with its details."""

from __future__ import annotations

from nextscale_lab.auto_captions.loops import Loop
from nextscale_lab.auto_captions.phases import Phase

_SLOW, _FAST = 0.72, 1.62  # walking [m/s]; between is no word for the speed
_SLOW_TOLD, _FAST_TOLD = 0.92, 1.25  # where the description says so
_SLOW_WAY = 0.7  # a shorter way is no slow walk but a few steps [m]
_SPRINT = 3.3  # running [m/s]
_WALKING_TURN = 0.8  # way during a turn that is told as a walk [m]
_STRAIGHT = 9.0  # net turn of a straight way [deg]

Clauses = tuple[str, ...]


def pace(phase: Phase, told: str = "") -> str:
    """'slow', 'fast' or '' for a walk; 'sprint' or '' for a run.

    Args:
        phase: A go or curve.
        told: 'slow' or 'fast' where the description says so.
    """
    if phase.gait == "run":
        return "sprint" if phase.speed > _SPRINT else ""
    if phase.gait != "walk":
        return ""
    slow = phase.top_speed < (_SLOW_TOLD if told == "slow" else _SLOW)
    if slow and told != "fast" and phase.length > _SLOW_WAY:
        return "slow"
    if phase.speed > (_FAST_TOLD if told == "fast" else _FAST) and told != "slow":
        return "fast"
    return ""


def go_clauses(phase: Phase, told: str = "") -> tuple[Clauses, Clauses]:
    """Plain and detailed clauses for a walk or run in one direction."""
    speed = pace(phase, told)
    if phase.direction == "forward":
        if phase.gait == "run":
            plain: Clauses = ("runs", "runs forward", "jogs", "jogs forward")
            if speed == "sprint":
                return ("runs fast", "sprints", "runs quickly"), (
                    "sprints forward",
                    "runs forward fast",
                )
            return plain, ("runs straight ahead",) if _straight(phase) else plain
        plain = ("walks forward", "walks", "walks ahead")
        if speed == "slow":
            return ("walks slowly", "walks forward slowly"), (
                "slowly walks forward",
                "walks at a slow pace",
                "takes slow steps forward",
            )
        if speed == "fast":
            return ("walks quickly", "walks fast"), (
                "walks forward quickly",
                "walks briskly",
                "walks at a fast pace",
                "quickly walks forward",
            )
        if _straight(phase) and phase.length > 1.5:
            return plain, ("walks straight ahead", "walks forward in a straight line")
        return plain, ("walks forward at a normal pace", "takes steps forward", "strides forward")
    if phase.direction == "backward":
        slow = (" slowly",) if speed == "slow" and phase.length > 1.0 else ("",)
        plain = ("walks backward", "walks backwards")
        if phase.length < 1.3:
            plain = ("steps backward", "takes a few steps back", "steps back", "backs up")
        return plain, (*(f"walks backward{s}" for s in slow), "moves backwards", "backs up")
    words = phase.direction.split(" ")
    side = words[-1]
    if words[0] == "diagonal":
        return (f"walks diagonally to the {side}", f"walks diagonally forward to the {side}"), (
            f"moves forward and to the {side} on a diagonal",
            f"steps diagonally forward to the {side}",
        )
    plain = (
        f"steps sideways to the {side}",
        f"sidesteps to the {side}",
        f"walks sideways to the {side}",
        f"side steps {side}",
    )
    if phase.length < 1.2:
        plain = (f"steps to the {side}", f"takes a step to the {side}", *plain)[::2]
    return plain, (
        f"moves sideways to the {side}",
        f"takes side steps to the {side}",
        f"shuffles sideways to the {side}",
    )


def _straight(phase: Phase) -> bool:
    return abs(phase.degrees) < _STRAIGHT


def turn_clauses(phase: Phase, alone: bool = True) -> tuple[Clauses, Clauses]:
    """Clauses for a turn; degrees only where they are near a round figure.

    Args:
        phase: The turn.
        alone: Nothing else tells that the person walks meanwhile.
    """
    side, size = phase.side, abs(phase.degrees)
    clock = "counterclockwise" if side == "left" else "clockwise"
    in_place = phase.length < 0.35
    if alone and phase.length > _WALKING_TURN and phase.gait in ("walk", "run") and size < 222:
        return _walking_turn(phase)
    if size < 62:
        return (f"turns slightly to the {side}", f"turns a little to the {side}"), (
            f"makes a slight {side} turn",
            *((f"turns about 45 degrees to the {side}",) if 38 < size < 52 else ()),
        )
    if size < 125:
        plain: Clauses = (f"turns {side}", f"turns to the {side}", f"makes a {side} turn")
        more = plain[1:]
        if 78 < size < 103:
            more = (f"turns 90 degrees to the {side}", f"makes a quarter turn to the {side}", *more)
        if in_place:
            more = (*more, f"turns to the {side} on the spot", f"turns {clock}")
        return plain, more
    if size < 145:
        return (f"turns to the {side}", f"turns {side}"), (f"turns far to the {side}",)
    if size < 222:
        more = (
            f"turns around to the {side}",
            f"turns around {clock}",
            "turns around to face the other way",
            f"makes a half turn to the {side}",
        )
        if 165 < size < 195:
            more = (*more, f"turns 180 degrees to the {side}", "turns 180 degrees")
        if in_place:
            more = (*more, "turns around on the spot", "turns around in place")
        return ("turns around",), more
    if size > 320:
        spin = (f"spins around to the {side}", f"turns in a full circle to the {side}")
        return ("spins around", "turns all the way around"), (*spin, f"spins {clock} on the spot")
    return (f"turns to the {side}",), (f"turns {clock}",)


def _walking_turn(phase: Phase) -> tuple[Clauses, Clauses]:
    """Clauses for a turn in the middle of a walk or run."""
    side, size = phase.side, abs(phase.degrees)
    verb, noun = ("runs", "running") if phase.gait == "run" else ("walks", "walking")
    if size < 62:
        return (f"{verb} and turns slightly to the {side}",), (f"{verb} and veers {side}",)
    if size < 145:
        plain: Clauses = (f"{verb} and turns {side}", f"turns {side} while {noun}")
        return plain, (f"{verb} and turns to the {side}", f"{verb} around a corner to the {side}")
    return (f"{verb} and turns around", f"turns around while {noun}"), (
        f"{verb} and turns around to the {side}",
        f"makes a u-turn to the {side}",
        f"{verb} in a tight u-turn",
    )


def curve_clauses(phase: Phase, alone: bool = True) -> tuple[Clauses, Clauses]:
    """Clauses for a way that bends evenly.

    Args:
        phase: The curve.
        alone: Nothing else is told in the sentence.
    """
    side, size = phase.side, abs(phase.degrees)
    clock = "counterclockwise" if side == "left" else "clockwise"
    verb = "runs" if phase.gait == "run" else "walks"
    if size < 150 and not alone:
        return (f"{verb} in a curve to the {side}", f"curves to the {side}"), (
            f"veers {side}",
            f"{verb} along a curve to the {side}",
        )
    if size < 150:
        return (f"{verb} in a curve to the {side}", f"{verb} and curves to the {side}"), (
            f"{verb} forward, curving to the {side}",
            f"{verb} along a curve to the {side}",
            f"{verb} and veers {side}",
            f"{verb} forward while bending to the {side}",
        )
    return (f"{verb} in a half circle", f"{verb} in a half circle to the {side}"), (
        f"{verb} in a semicircle to the {side}",
        f"{verb} a half circle {clock}",
        f"{verb} in a wide turn to the {side}",
    )


def loop_clauses(loop: Loop, corners: bool = False) -> tuple[Clauses, Clauses]:
    """Clauses for a circle or a figure of eight.

    Args:
        loop: The loop.
        corners: It is nearer to a square.
    """
    runs = loop.gait == "run"
    verbs = ("runs", "jogs") if runs else ("walks",)
    side = "left" if loop.degrees > 0 else "right"
    clock = "counterclockwise" if loop.degrees > 0 else "clockwise"
    plain: list[str] = []
    more: list[str] = []
    for verb in verbs:
        if loop.kind == "eight":
            plain += [f"{verb} in a figure eight", f"{verb} in a figure eight pattern"]
            more += [
                f"{verb} around in a figure eight",
                f"{verb} a figure 8",
                f"{verb} along a path shaped like an eight",
                f"{verb} in a loop one way and then in a loop the other way",
            ]
            continue
        plain += [f"{verb} in a circle", f"{verb} in a {clock} circle"]
        more += [
            f"{verb} in a circle to the {side}",
            f"{verb} {clock} in a circle",
            f"{verb} around in a circle",
            f"{verb} in a circle, turning {side}",
            f"{verb} a full circle {clock}"
            if abs(loop.degrees) > 330
            else f"{verb} around {clock}",
        ]
        if corners:
            more = [f"{verb} in a square", f"{verb} around in a square to the {side}", *more[:2]]
        if abs(loop.degrees) > 600:
            more += [f"{verb} in circles", f"{verb} around in circles to the {side}"]
    if not runs and loop.speed < 0.62:
        more += (
            ["slowly walks in a circle"]
            if loop.kind == "circle"
            else ["slowly walks a figure eight"]
        )
    return tuple(plain), tuple(more)

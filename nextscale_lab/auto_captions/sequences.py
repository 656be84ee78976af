"""Words for a row of phases: what is said of each depends on what came before."""

from __future__ import annotations

import itertools

import numpy as np

from nextscale_lab.auto_captions.clauses import (
    Clauses,
    curve_clauses,
    go_clauses,
    pace,
    turn_clauses,
)
from nextscale_lab.auto_captions.manners import manner_of, with_manner
from nextscale_lab.auto_captions.phases import Phase
from nextscale_lab.auto_captions.signals import Signals

_MOST_UNITS = 3
_PAUSE = 0.9  # a stand shorter than this between two things is not told [s]
_STILL = 0.35  # fastest limb in a stand that is told on its own [m/s]
_CALM = 0.9  # fastest limb in a stand inside a sequence [m/s]
_SMALL_TURN = 62.0  # [deg]
_TO_AND_FRO = (
    "walks back and forth",
    "paces back and forth",
    "walks to and fro",
    "walks back and forth, turning around at each end",
)
_WALKING_TURN = 0.6  # way during a turn that is none on the spot [m]
_ON_THE_WAY = 0.7  # way during a turn after which nobody starts to walk [m]
_BACK = 35.0  # 'walks back' goes against the first way within this angle [deg]

Told = tuple[str, tuple[Clauses, ...], tuple[Clauses, ...]]


def describe(signals: Signals, inside: list[Phase], told: str) -> Told | None:
    """Kind, plain clauses and detailed clauses of a row of phases.

    Args:
        signals: Of the recording.
        inside: Neighbouring phases, first and last already trimmed.
        told: 'slow' or 'fast' where the description says so.

    Returns:
        None where something in the row is not clear enough to be told.
    """
    if len(inside) == 1 and inside[0].kind in ("go", "curve") and inside[0].gait == "walk":
        return _alone(signals, inside[0], told)
    units = _units(signals, inside)
    if units is None:
        return None
    if _to_and_fro(signals, units):
        return "back_and_forth", (_TO_AND_FRO[:2],), (_TO_AND_FRO,)
    turns_only = len(units) > 2 and all(unit.kind in ("turn", "curve") for unit in units)
    if not 1 <= len(units) <= _MOST_UNITS or turns_only:
        return None
    names, plain, more = [], [], []
    for index in range(len(units)):
        name_and_clauses = _tell(signals, units, index, told)
        if name_and_clauses is None:
            return None
        name, (short, long) = name_and_clauses
        names.append(name)
        plain.append(short)
        more.append(long or short)
    return _kind(names), tuple(plain), tuple(more)


def _to_and_fro(signals: Signals, units: list[Phase]) -> bool:
    """Ways forward with turns of about a half between, two of them at least."""
    turns = [unit for unit in units if unit.kind == "turn"]
    ways = [unit for unit in units if unit.kind == "go"]
    if len(turns) < 2 or len(ways) < 2 or len(units) != len(turns) + len(ways):
        return False
    walks = all(w.gait == "walk" and w.direction == "forward" and w.length > 0.6 for w in ways)
    halves = all(145.0 <= abs(turn.degrees) <= 222.0 for turn in turns)
    against = [_towards(signals, a) @ _towards(signals, b) for a, b in itertools.pairwise(ways)]
    return walks and halves and max(against) < -np.cos(np.radians(_BACK))


def _alone(signals: Signals, phase: Phase, told: str) -> Told | None:
    """One walk, with the manner in which the body is carried."""
    manner = manner_of(signals, phase.start, phase.end)
    told_of = None if manner is None else _tell(signals, [phase], 0, told)
    if told_of is None or manner is None:
        return None
    name, (plain, more) = told_of
    style, phrases = manner
    if not style:
        return name, (plain,), (more or plain,)
    name = name.removesuffix("_slow").removesuffix("_fast")
    return f"{name}_{style}", (with_manner(plain, phrases),), (with_manner(more, phrases),)


def _kind(names: list[str]) -> str:
    special = {
        ("walk", "turn_around", "walk"): "walk_turn_walk",
        ("run", "turn_around", "run"): "run_turn_run",
        ("walk", "stop"): "walk_stop",
        ("run", "stop"): "run_stop",
    }
    plain = tuple(n.removesuffix("_slow").removesuffix("_fast") for n in names)
    if plain in special:
        return special[plain]
    return names[0] if len(names) == 1 else "+".join(n.replace("_slightly", "") for n in plain)


def _units(signals: Signals, inside: list[Phase]) -> list[Phase] | None:
    """The phases that are told; None where one of them is not clear."""
    units: list[Phase] = []
    for index, phase in enumerate(inside):
        if phase.kind == "jump" or not _clear(signals, phase):
            return None
        edge = index in (0, len(inside) - 1)
        brief = phase.kind == "stand" and len(phase) < signals.frames(_PAUSE)
        very_brief = len(phase) < signals.frames(0.5) and len(inside) > 1
        if not brief or (edge and not very_brief):
            units.append(phase)
    return units


def _clear(signals: Signals, phase: Phase) -> bool:
    """Whether plain words say all that one sees in a phase."""
    if phase.kind in ("go", "curve") and not phase.gait:
        return False
    return signals.ordinary(phase.start, phase.end, phase.gait)


def _tell(
    signals: Signals, units: list[Phase], index: int, told: str
) -> tuple[str, tuple[Clauses, Clauses]] | None:
    phase = units[index]
    if phase.kind == "turn":
        size = abs(phase.degrees)
        # Between a half and a full turn, and beyond, words are not sure; of small turns too
        # much would be said among other things.
        if 222.0 < size < 320.0 or size > 420.0 or (size < _SMALL_TURN and len(units) > 2):
            return None
        on_the_way = phase.length > _WALKING_TURN
        if on_the_way and (not phase.gait or (size < _SMALL_TURN and len(units) == 1)):
            return None
        alone = not any(unit.kind in ("go", "curve") for unit in units)
        return _turn_name(phase), turn_clauses(phase, alone)
    if phase.kind == "curve":
        if abs(phase.degrees) > 235.0:
            return None
        runs = "run_" if phase.gait == "run" else ""
        shape = "half_circle" if abs(phase.degrees) >= 150 else "curve"
        return f"{runs}{shape}_{phase.side}", curve_clauses(phase, len(units) == 1)
    if phase.kind == "stand":
        return _stand(signals, units, index)
    if phase.kind == "go":
        return _way(signals, units, index, told)
    return None


def _turn_name(phase: Phase) -> str:
    size = abs(phase.degrees)
    if size > 320:
        return f"spin_{phase.side}"
    if size >= 145:
        return "turn_around"
    return f"turn_{phase.side}" if size >= 62 else f"turn_slightly_{phase.side}"


def _stand(
    signals: Signals, units: list[Phase], index: int
) -> tuple[str, tuple[Clauses, Clauses]] | None:
    phase = units[index]
    fastest = float(np.percentile(signals.limb_speed[phase.start : phase.end], 85))
    height = float(np.percentile(signals.height[phase.start : phase.end], 20))
    if height < 0.92 or fastest > (_STILL if len(units) == 1 else _CALM):
        return None
    if len(units) == 1:
        return "stand", (
            ("stands still", "stands"),
            ("stands in place", "stays still", "does not move"),
        )
    if index == 0:
        return "stand", (
            ("stands still", "stands"),
            ("stands in place", "stands still for a moment"),
        )
    after_way = units[index - 1].kind in ("go", "curve")
    if index < len(units) - 1:
        return "stop", (("stops", "pauses"), ("stops for a moment", "pauses briefly"))
    if after_way:
        return "stop", (("stops", "stands still"), ("comes to a stop", "stops and stands still"))
    return "stand", (("stands still", "stops"), ("stands there", "stays still"))


def _way(
    signals: Signals, units: list[Phase], index: int, told: str
) -> tuple[str, tuple[Clauses, Clauses]] | None:
    phase = units[index]
    speed = pace(phase, told)
    name = {"forward": "", "backward": "back", "left": "side_left", "right": "side_right"}.get(
        phase.direction, phase.direction.replace("diagonal ", "diagonal_")
    )
    if not name:
        name = "run" if phase.gait == "run" else "walk"
        name += {"slow": "_slow", "fast": "_fast", "sprint": "_fast"}.get(speed, "")
    elif phase.gait == "run":
        return None
    if phase.direction == "forward" and abs(phase.degrees) > 40.0:
        return None
    clauses = go_clauses(phase, told)
    if index == 0:
        return name, clauses
    before = units[index - 1]
    verb, noun = ("runs", "running") if phase.gait == "run" else ("walks", "walking")
    if phase.direction != "forward":
        return name, clauses
    if before.kind in ("turn", "curve"):
        if index >= 2 and _goes_back(signals, units, index):
            return name, ((f"{verb} back",), (f"{verb} back the other way", f"{verb} back again"))
        on_the_way = before.kind == "curve" or before.length > _ON_THE_WAY
        if on_the_way or (index >= 2 and units[index - 2].kind == "go"):
            return name, (
                (f"keeps {noun}", f"{verb} on", f"{verb} forward"),
                (f"continues {noun}", f"{verb} forward again", f"keeps {noun} forward"),
            )
        return name, ((f"{verb} forward", f"{verb} away", verb), (f"starts {noun}", f"{verb} off"))
    if before.kind == "stand" and index == 1:
        return name, (
            (f"starts {noun}", f"{verb} forward"),
            (f"begins {noun} forward", f"starts to {verb[:-1]} forward", *clauses[0]),
        )
    if before.kind == "stand":
        return name, ((f"{verb} again", f"{verb} on"), (f"starts {noun} again",))
    if before.kind == "go" and before.direction == "forward":
        if before.gait == phase.gait:
            return None
        return name, ((f"starts {noun}", verb), (f"begins to {verb[:-1]}",))
    return name, clauses


def _goes_back(signals: Signals, units: list[Phase], index: int) -> bool:
    """Whether a way leads against the way before the turn."""
    first, turn, phase = units[index - 2], units[index - 1], units[index]
    if first.kind != "go" or first.direction != "forward" or abs(turn.degrees) < 130:
        return False
    a = _towards(signals, first)
    b = _towards(signals, phase)
    return bool(a @ b < -np.cos(np.radians(_BACK)))


def _towards(signals: Signals, phase: Phase) -> np.ndarray:
    way = signals.path[phase.end - 1] - signals.path[phase.start]
    return way / max(float(np.linalg.norm(way)), 1e-9)

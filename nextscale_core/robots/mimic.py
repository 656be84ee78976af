"""Joints that mimic others: the URDF's `<mimic>`, and what follows from it for limits."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.profile_keys import nearest

Limits = tuple[float, float, float]
"""Lower and upper position [rad] and velocity [rad/s] of a joint."""


@dataclass(frozen=True)
class Mimic:
    """How a joint follows another: position = multiplier * position of the leader + offset.

    Attributes:
        leader: The joint that is followed. It mimics no joint itself: chains are resolved.
        multiplier: Without unit for revolute joints.
        offset: [rad].
    """

    leader: str
    multiplier: float = 1.0
    offset: float = 0.0

    def at(self, leader: float) -> float:
        """Position of the follower for a position of the leader [rad]."""
        return self.multiplier * leader + self.offset


@dataclass(frozen=True, eq=False)
class Coupling:
    """From the positions of commanded joints to those of all joints of a model.

    Attributes:
        leader: (B,) which commanded joint moves each joint of the model.
        multiplier: (B,).
        offset: (B,) [rad].
    """

    leader: np.ndarray
    multiplier: np.ndarray
    offset: np.ndarray

    def positions(self, commanded: np.ndarray) -> np.ndarray:
        """(..., B) positions of all joints from (..., J) of the commanded ones [rad]."""
        return commanded[..., self.leader] * self.multiplier + self.offset

    def matrix(self, count: int) -> np.ndarray:
        """(B, J) derivative of `positions`.

        Args:
            count: J.
        """
        matrix = np.zeros((len(self.leader), count))
        matrix[np.arange(len(self.leader)), self.leader] = self.multiplier
        return matrix


def coupling(names: Sequence[str], mimics: Mapping[str, Mimic]) -> Coupling | None:
    """The coupling of a model's joints; None where each joint is commanded itself.

    Args:
        names: Joints of the model. The leader of each follower among them is among them too.
        mimics: As `read_mimics` gives them.
    """
    if not any(name in mimics for name in names):
        return None
    commanded = [name for name in names if name not in mimics]
    rules = [mimics.get(name, Mimic(name)) for name in names]
    return Coupling(
        np.array([commanded.index(rule.leader) for rule in rules]),
        np.array([rule.multiplier for rule in rules]),
        np.array([rule.offset for rule in rules]),
    )


def read_mimics(root: ElementTree.Element) -> dict[str, Mimic]:
    """Every movable joint of a URDF that mimics another, chains resolved.

    Args:
        root: The `<robot>` element.

    Raises:
        RobotError: a joint mimics itself, directly or in a circle, or one that does not exist, or
            multiplier or offset are not finite numbers. The message names every such joint.
    """
    kinds = {joint.get("name", ""): joint.get("type", "") for joint in root.findall("joint")}
    direct: dict[str, Mimic] = {}
    wrong: list[str] = []
    for joint in root.findall("joint"):
        mimic, name = joint.find("mimic"), joint.get("name", "")
        if mimic is None or kinds[name] == "fixed":
            continue
        try:
            rule = Mimic(mimic.get("joint", ""), _number(mimic, "multiplier", 1.0), _offset(mimic))
        except ValueError as error:
            wrong.append(f"joint {name!r}: {error}")
            continue
        if rule.leader not in kinds:
            known = nearest(rule.leader, kinds)
            wrong.append(f"joint {name!r} mimics {rule.leader!r}, which does not exist; {known}")
        else:
            direct[name] = rule
    resolved = {}
    for name, rule in direct.items():
        visited = [name]
        while rule.leader in direct and rule.leader not in visited:
            visited.append(rule.leader)
            above = direct[rule.leader]
            rule = Mimic(
                above.leader,
                rule.multiplier * above.multiplier,
                rule.multiplier * above.offset + rule.offset,
            )
        if rule.leader in visited:
            wrong.append(f"joint {name!r} mimics itself ({' -> '.join([*visited, rule.leader])})")
        resolved[name] = rule
    if wrong:
        raise RobotError("; ".join(wrong))
    return resolved


def _number(mimic: ElementTree.Element, key: str, default: float) -> float:
    text = mimic.get(key)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"the {key} of its <mimic> must be a finite number, got {text!r}")
    return value


def _offset(mimic: ElementTree.Element) -> float:
    return _number(mimic, "offset", 0.0)


def with_followers(
    positions: Mapping[str, float], mimics: Mapping[str, Mimic], names: Sequence[str]
) -> dict[str, float]:
    """Positions of joints that do not move, and of the joints that follow them [rad].

    A follower is where its leader puts it, whatever `positions` says about the follower.

    Args:
        positions: Joints that do not move.
        mimics: As `read_mimics` gives them.
        names: Joints of the model; a leader that is not among them is fixed at 0.
    """
    still = {name: value for name, value in positions.items() if name not in mimics}
    for name in names:
        rule = mimics.get(name)
        if rule is None:
            continue
        if rule.leader in still:
            still[name] = rule.at(still[rule.leader])
        elif rule.multiplier == 0 or rule.leader not in names:
            still[name] = rule.offset
    return still


def narrowed(
    limits: Mapping[str, Limits], mimics: Mapping[str, Mimic], endless: Sequence[str] = ()
) -> tuple[dict[str, Limits], list[str]]:
    """Limits of all joints, those of leaders so narrow that every follower keeps its own.

    Args:
        limits: Limits of each joint on its own.
        mimics: As `read_mimics` gives them.
        endless: Joints without position limits.

    Returns:
        The limits; every leader that no position is left for, in one line each.
    """
    result, wrong = dict(limits), []
    for name, rule in mimics.items():
        if name not in limits or rule.leader not in limits or not rule.multiplier:
            continue
        low, high, speed = limits[name]
        ends = sorted(
            ((low - rule.offset) / rule.multiplier, (high - rule.offset) / rule.multiplier)
        )
        if name in endless:
            ends = [-np.inf, np.inf]
        lower, upper, velocity = result[rule.leader]
        result[rule.leader] = (
            max(lower, ends[0]),
            min(upper, ends[1]),
            min(velocity, speed / abs(rule.multiplier)),
        )
        if not ends[0] < upper or not lower < ends[1]:
            wrong.append(
                f"joint {name!r} ({low:g} to {high:g} rad) mimics {rule.leader!r} ({lower:g} to "
                f"{upper:g} rad) with multiplier {rule.multiplier:g} and offset {rule.offset:g}: "
                "no position keeps the limits of both; give right ones in limits.position"
            )
    return result, wrong

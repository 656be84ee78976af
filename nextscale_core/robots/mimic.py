"""Mimic joints: the URDF's `<mimic>` and its effect on positions."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import RobotError
from nextscale_core.yaml_files import nearest


@dataclass(frozen=True)
class Mimic:
    """Rule of a follower: position = multiplier * position of the leader + offset.

    Attributes:
        leader: The joint that is followed; not a follower itself, as chains are resolved.
        multiplier: Without unit; [m/rad] for a prismatic joint that follows a revolute one.
        offset: [rad], or [m] for a prismatic joint.
    """

    leader: str
    multiplier: float = 1.0
    offset: float = 0.0

    def at(self, leader: float) -> float:
        """Position of the follower from that of the leader [rad]."""
        return self.multiplier * leader + self.offset


@dataclass(frozen=True, eq=False)
class Coupling:
    """Map from the positions of J commanded joints to those of all B joints of a model.

    Attributes:
        leader: (B,) index of the commanded joint that moves each joint of the model.
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
        """(B, J) derivative of `positions`, for `count` = J."""
        matrix = np.zeros((len(self.leader), count))
        matrix[np.arange(len(self.leader)), self.leader] = self.multiplier
        return matrix


def coupling(names: Sequence[str], mimics: Mapping[str, Mimic]) -> Coupling | None:
    """The coupling of a model's joints; None without followers.

    Args:
        names: Joints of the model, with the leader of every follower.
        mimics: From `read_mimics`.
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
        RobotError: a joint mimics itself, directly or in a cycle, or one that does not exist, or
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
            numbers = _number(mimic, "multiplier", "1"), _number(mimic, "offset", "0")
            rule = Mimic(mimic.get("joint", ""), *numbers)
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


def _number(mimic: ElementTree.Element, key: str, default: str) -> float:
    text = mimic.get(key, default)
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"the {key} of its <mimic> must be a finite number, got {text!r}")
    return value


def with_followers(
    positions: Mapping[str, float], mimics: Mapping[str, Mimic], names: Sequence[str]
) -> dict[str, float]:
    """Positions of fixed joints and of their followers [rad].

    Args:
        positions: Fixed joints [rad]; values for followers are ignored.
        mimics: From `read_mimics`.
        names: Joints of the model; a leader that is not among them is fixed at 0.
    """
    fixed = {name: value for name, value in positions.items() if name not in mimics}
    for name in names:
        rule = mimics.get(name)
        if rule is None:
            continue
        if rule.leader in fixed:
            fixed[name] = rule.at(fixed[rule.leader])
        elif rule.multiplier == 0 or rule.leader not in names:
            fixed[name] = rule.offset
    return fixed

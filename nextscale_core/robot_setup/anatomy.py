"""Find the body parts of a humanoid in a URDF: by geometry first, by names second.

A humanoid has two pairs of long branches that mirror each other. The legs are the pair that points
away from the other one, wherever the root of the URDF is. Knee and elbow have both ends of their
limb far from their axis, at any zero posture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robot_setup.limbs import (
    JointTree,
    Limb,
    arm_of,
    covered,
    leg_of,
    parallel,
    tip_of,
)
from nextscale_core.robots.description import REVOLUTE, chain
from nextscale_core.robots.profile import SIDES, Axes, nearest_axis
from nextscale_core.rotations import unit

_ALIKE = 0.1
"""Maximum relative difference between the lengths of a pair of branches."""

_MIRRORED = 0.25
"""Maximum mean distance of a pair's joints from their mirror images, relative to the length."""

_APART = 0.05
"""Minimum distance between the roots of legs and arms that do not hang on one joint [m]."""

_ONE_WAY = 0.3
"""Minimum distance of the middle of a knee's limits from straight that shows the front [rad]."""

_LONGER = 0.15
"""Minimum asymmetry of a foot that shows the front, relative to its length."""

_LEG = ("leg", "hip", "knee", "ankle", "thigh", "shank", "foot")
_ARM = ("arm", "shoulder", "elbow", "wrist", "hand")

_SIDE_WORDS = (("left", "right"), (r"(?<![a-z])l(?![a-z])", r"(?<![a-z])r(?![a-z])"))
"""Patterns for left and right in names in lower case."""

_Paths = tuple[list[int], list[int]]


@dataclass(frozen=True)
class Anatomy:
    """The body parts of a humanoid.

    Attributes:
        axes: Orientation of the root link.
        pelvis: Joint number that carries the pelvis (1: the root).
        torso: Joint number that carries the chest.
        limbs: 'left' and 'right' -> body part -> joint name; no 'wrist' where the arms end at the
            elbow.
        legs: Joints of each leg from the hip to the ankle, by side.
        arms: Joints of each arm from the shoulder to the wrist or the elbow, by side.
        hand: End of the left forearm, from the elbow joint (x forward, y left, z up) [m]; None
            with wrists.
        notes: Guesses, one line each.
    """

    axes: Axes
    pelvis: int
    torso: int
    limbs: dict[str, dict[str, str]]
    legs: dict[str, tuple[str, ...]]
    arms: dict[str, tuple[str, ...]]
    hand: tuple[float, float, float] | None
    notes: tuple[str, ...]


def find_anatomy(
    model: pin.Model,
    shapes: Mapping[str, np.ndarray] | None = None,
    seen: Callable[[], Mapping[str, np.ndarray]] = dict,
) -> Anatomy:
    """Find legs, arms, trunk and directions.

    Args:
        model: The model of the URDF, floating.
        shapes: (P, 3) points of the body of each joint, by joint name, in the root link's frame
            at zero [m]; they show the front where names do not show left and right, and the ends
            of arms.
        seen: The same points of visual shapes, for arms whose collision shapes cover only a part
            of their last body.

    Raises:
        RobotError: no two pairs of equal branches, or a limb without knee, ankle or elbow.
    """
    tree, shapes = JointTree(model), shapes or {}
    notes: list[str] = []
    legs, arms = _pairs(tree)
    found = [leg_of(tree, path) for path in legs]
    up, lateral = _up_and_left(tree, *legs)
    if _sides(tree, legs) < 0:
        found, lateral = found[::-1], -lateral
    sides = _sides(tree, legs)
    front = _front(tree, found, {} if sides else shapes, np.cross(lateral, up))
    if sides == 0:
        notes.append("names do not show left and right; knees and feet show the front")
        if front < 0:
            found, lateral = found[::-1], -lateral
        elif front == 0:
            notes.append("neither knees nor feet show the front: check axes and sides")
    elif front < 0:
        notes.append(
            "left and right in the names do not fit the knees, which bend forward: check axes, "
            "sides and limits"
        )
    axes = Axes(forward=nearest_axis(np.cross(lateral, up)), up=nearest_axis(up))
    leg = dict(zip(SIDES, found, strict=True))
    if not all(covered(tree, path[-1], shapes) for path in arms):
        shapes = {**shapes, **_behind(tree, arms, seen())}
    arm_pair = sorted(arms, key=lambda path: -float(np.mean(tree.at[path] @ lateral)))
    arm = {
        side: arm_of(tree, path, tip_of(tree, path, shapes))
        for side, path in zip(SIDES, arm_pair, strict=True)
    }
    hand = None
    if not all(arm[side].end for side in SIDES):
        hand = _hand(tree, arm, shapes, axes)
        notes.append(
            f"the arms end at the elbow ({tree.model.names[arm['left'].middle]}): hand is the end "
            "of the forearm"
        )
    limbs = {
        side: {
            part: model.names[joint]
            for limb, parts in (
                (leg[side], ("hip", "knee", "ankle")),
                (arm[side], ("shoulder", "elbow", "wrist")),
            )
            for part, joint in zip(parts, (limb.start, limb.middle, limb.end), strict=True)
            if joint
        }
        for side in SIDES
    }
    return Anatomy(
        axes=axes,
        pelvis=max(int(model.parents[legs[0][0]]), 1),
        torso=max(int(model.parents[arms[0][0]]), 1),
        limbs=limbs,
        legs={side: tree.names(limb.path) for side, limb in leg.items()},
        arms={side: tree.names(limb.path) for side, limb in arm.items()},
        hand=hand,
        notes=tuple(notes),
    )


def _behind(tree: JointTree, arms: _Paths, seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Points of the last bodies of both arms."""
    model = tree.model
    names = {model.names[joint] for path in arms for joint in model.subtrees[path[-1]]}
    return {name: points for name, points in seen.items() if name in names}


def _pairs(tree: JointTree) -> tuple[_Paths, _Paths]:
    """Legs and arms: the two longest pairs of equal branches, none inside another."""
    found: list[tuple[float, int, _Paths]] = []
    for joint in range(1, tree.model.njoints):
        for a, b in combinations(tree.children[joint], 2):
            first, second = tree.limb(a), tree.limb(b)
            reach = min(tree.reach(first), tree.reach(second))
            if len(first) >= 3 and reach > 0.05 and _mirrored(tree, first, second):
                found.append((reach, joint, (first, second)))
    found.sort(key=lambda item: -item[0])
    pairs: list[_Paths] = []
    for _, joint, pair in found:
        roots = {path[0] for paths in pairs for path in paths}
        if roots.isdisjoint(_line(tree, joint)) and roots.isdisjoint(path[0] for path in pair):
            pairs.append(pair)
    if len(pairs) < 2:
        names = [f" ({tree.model.names[a[0]]} and {tree.model.names[b[0]]})" for a, b in pairs]
        raise RobotError(
            "no two legs and two arms: the URDF must have two pairs of equal branches with three "
            f"joints or more, found {len(pairs)}{''.join(names)}"
        )
    legs, arms = pairs[:2]
    if _legness(tree, legs, arms) < _legness(tree, arms, legs):
        legs, arms = arms, legs
    return legs, arms


def _mirrored(tree: JointTree, first: list[int], second: list[int]) -> bool:
    """Whether two branches have one length and are mirror images."""
    reach = tree.reach(first), tree.reach(second)
    if len(first) != len(second) or abs(reach[0] - reach[1]) > _ALIKE * max(reach):
        return False
    a, b = tree.at[first], tree.at[second]
    across, middle = unit((a - b).mean(0)), (a + b).mean(0) / 2
    image = a - 2 * ((a - middle) @ across)[:, None] * across
    return float(np.linalg.norm(image - b, axis=1).mean()) < _MIRRORED * max(reach)


def _legness(tree: JointTree, pair: _Paths, other: _Paths) -> float:
    """Large for legs, small for arms.

    Names count, and whether the limbs point away from the other pair. Where both hang on one
    joint, legs are heavier.
    """
    joints = [joint for path in pair for joint in path]
    words = [tree.model.names[joint].lower() for joint in joints]
    named = np.mean([_has(word, _LEG) - _has(word, _ARM) for word in words])
    away = sum(tree.at[path[0]] for path in pair) - sum(tree.at[path[0]] for path in other)
    if np.linalg.norm(away) > _APART:
        hanging = sum(tree.at[path[-1]] - tree.at[path[0]] for path in pair)
        return float(named + unit(hanging) @ unit(away))
    return float(named + (_mass(tree, pair) > _mass(tree, other)))


def is_limb_name(name: str) -> bool:
    """Whether a name contains a word for an upper joint of a leg or an arm."""
    return bool(re.search("hip|knee|shoulder|elbow", name.lower()))


def _has(name: str, words: tuple[str, ...]) -> int:
    return int(any(word in name for word in words))


def _line(tree: JointTree, joint: int) -> list[int]:
    """A joint and all before it."""
    return [joint] if joint <= 1 else [*_line(tree, int(tree.model.parents[joint])), joint]


def _mass(tree: JointTree, pair: _Paths) -> float:
    return float(sum(tree.model.inertias[joint].mass for path in pair for joint in path))


def _sides(tree: JointTree, legs: _Paths) -> int:
    """1 if the names of the first leg contain left, -1 if right, 0 if neither."""
    names = (tree.names(path) for path in legs)
    return int(np.sign(sum(_side_of(a, b) for a, b in zip(*names, strict=True))))


def _side_of(first: str, second: str) -> int:
    """1 if two mirrored names contain left and right, -1 for right and left, 0 for neither."""
    a, b = first.lower(), second.lower()
    for left, right in _SIDE_WORDS:
        found = [bool(re.search(left, name)) - bool(re.search(right, name)) for name in (a, b)]
        if found[0] * found[1] < 0:
            return found[0]
    for one, two in zip(a, b, strict=False):
        if one != two:
            return {("l", "r"): 1, ("r", "l"): -1}.get((one, two), 0)
    return 0


def _up_and_left(
    tree: JointTree, left: list[int], right: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in the root link's frame, each along one of its axes."""
    leg = sum(tree.at[path[0]] - tree.at[path[-1]] for path in (left, right))
    across = tree.at[left].mean(0) - tree.at[right].mean(0)
    up = np.eye(3)[np.abs(leg).argmax()] * np.sign(leg[np.abs(leg).argmax()])
    across = across * (up == 0)
    lateral = np.eye(3)[np.abs(across).argmax()] * np.sign(across[np.abs(across).argmax()])
    return up, lateral


def _front(
    tree: JointTree, legs: list[Limb], shapes: Mapping[str, np.ndarray], forward: np.ndarray
) -> float:
    """Positive if a direction is the front, negative if it is the back, 0 if unknown.

    Knees bend the ankle backward; where their limits do not show that, feet are longer in front.
    """
    names, model = tree.model.names, tree.model
    bends, toes = 0.0, 0.0
    for leg in legs:
        joint = model.joints[leg.middle]
        if joint.shortname() in REVOLUTE:
            row = joint.idx_q
            middle = (model.lowerPositionLimit[row] + model.upperPositionLimit[row]) / 2
            back = np.cross(tree.axis[leg.middle], tree.at[leg.end] - tree.at[leg.middle])
            bends -= float(np.sign(back @ forward) * middle) / 2
        if names[leg.end] in shapes:
            pitch = [joint for joint in leg.path if parallel(tree, joint, leg.middle)][-1]
            along = (shapes[names[leg.end]] - tree.at[pitch]) @ forward
            toes += float((along.max() + along.min()) / max(np.ptp(along), 1e-9)) / 2
    return bends if abs(bends) > _ONE_WAY else toes * (abs(toes) > _LONGER)


def _hand(
    tree: JointTree, arm: Mapping[str, Limb], shapes: Mapping[str, np.ndarray], axes: Axes
) -> tuple[float, float, float]:
    """End of the left forearm, from the elbow of the standing robot: the mean of both sides [m]."""
    ends = []
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        elbow = arm[side].middle
        away = tip_of(tree, [elbow], shapes) - tree.at[elbow]
        if np.linalg.norm(away) < 0.02:
            # No shape and no mass: as long as the upper arm, and straight on.
            away = tree.at[elbow] - tree.at[arm[side].start]
        ends.append(axes.rotation() @ away * [1.0, sign, 1.0])
    x, y, z = (round(float(value), 3) for value in np.mean(ends, axis=0))
    return x, y, z


def trunk(model: pin.Model, anatomy: Anatomy) -> set[str]:
    """Joints between pelvis and chest, whichever of them is the root."""
    return set(chain(model, model.names[anatomy.torso])) ^ set(
        chain(model, model.names[anatomy.pelvis])
    )

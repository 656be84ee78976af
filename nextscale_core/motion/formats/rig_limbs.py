"""Search for the legs and the arms of a hierarchy.

A limb is two bones of about the same length joined by a hinge; limbs come in pairs below one joint.
Hints from names count where they are known; otherwise lengths and the place in the hierarchy do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nextscale_core.motion.formats.rig_tree import RigTree

LimbKind = tuple[str, str, str]
LEG: LimbKind = ("hip", "knee", "ankle")
ARM: LimbKind = ("shoulder", "elbow", "wrist")

_SHARE = {LEG: 0.47, ARM: 0.30}  # usual length of a limb as a share of the body's longest chain
_RATIO = {LEG: 0.95, ARM: 1.0}  # usual length of the upper bone over that of the lower
_LEG_TO_ARM = 1.5  # usual length of the legs over that of the arms
_MIN_REACH = 0.12  # minimum length of a chain as a share of the body's longest
_MAX_DEPTH = 14
_MAX_CHAINS = 8
_MAX_SIBLINGS = 10
_MAX_BASES = 80
_MAX_PAIRS = 12
_LOWEST_SCORE = -4.0


@dataclass(frozen=True)
class RigLimb:
    """Three joints of a chain.

    Attributes:
        joints: Hip, knee and ankle, or shoulder, elbow and wrist.
        before: Joints between the trunk and the first of them.
        length: Length of the two bones.
        score: Agreement of names and lengths.
        side: 'left', 'right' or '', from the names.
    """

    joints: tuple[int, int, int]
    before: tuple[int, ...]
    length: float
    score: float
    side: str

    @property
    def base(self) -> int:
        """The joint below the trunk."""
        return (*self.before, *self.joints)[0]


@dataclass(frozen=True)
class RigLimbPair:
    """Two limbs below one joint of the trunk, the left one first if the names have sides."""

    trunk: int
    limbs: tuple[RigLimb, RigLimb]
    score: float

    @property
    def bases(self) -> tuple[int, int]:
        """The joints below the trunk."""
        return self.limbs[0].base, self.limbs[1].base

    @property
    def has_sides(self) -> bool:
        """Whether the names distinguish left and right."""
        return bool(self.limbs[0].side)


def find_limbs(tree: RigTree) -> tuple[RigLimbPair | None, RigLimbPair | None]:
    """The legs and the arms; None where they are not found."""
    bases = _bases(tree)
    legs, arms = _pairs(tree, bases, LEG), _pairs(tree, bases, ARM)
    best = max(
        (
            (leg.score + arm.score + _relation(tree, leg, arm), leg, arm)
            for leg, arm in itertools.product(legs, arms)
            if _are_apart(tree, leg, arm)
        ),
        key=lambda found: found[0],
        default=None,
    )
    if best is not None:
        return best[1], best[2]
    # Half a body: the pair with the best score.
    first = max((*legs, *arms), key=lambda pair: pair.score, default=None)
    return (first if first in legs else None), (first if first not in legs else None)


def _bases(tree: RigTree) -> list[list[int]]:
    """First joints of the long chains below each joint that has several of them."""
    groups = []
    for below in tree.children:
        long = [joint for joint in below if tree.reach[joint] >= _MIN_REACH * tree.size]
        if len(long) > 1:
            groups.append(sorted(long, key=lambda joint: -tree.reach[joint])[:_MAX_SIBLINGS])
    groups.sort(key=lambda group: -tree.reach[group[1]])
    counts = np.cumsum([len(group) for group in groups])
    return [group for group, count in zip(groups, counts, strict=True) if count <= _MAX_BASES]


def _pairs(tree: RigTree, groups: list[list[int]], kind: LimbKind) -> list[RigLimbPair]:
    pairs = []
    for group in groups:
        limbs = [limb for base in group if (limb := _limb(tree, base, kind)) is not None]
        found = (_pair(tree, *two) for two in itertools.combinations(limbs, 2))
        pairs += [pair for pair in found if pair is not None]
    return sorted(pairs, key=lambda pair: -pair.score)[:_MAX_PAIRS]


def _pair(tree: RigTree, a: RigLimb, b: RigLimb) -> RigLimbPair | None:
    """Two limbs as a pair; None if their sides do not match."""
    sides = {a.side, b.side}
    if sides not in ({""}, {"left", "right"}):
        return None
    score = a.score + b.score
    score -= 4.0 * abs(np.log(a.length / b.length))
    score -= abs(len(a.before) - len(b.before))
    if len(sides) == 2:
        score += 1.0
    limbs = (b, a) if a.side == "right" else (a, b)
    return RigLimbPair(tree.parents[a.base], limbs, score)


def _limb(tree: RigTree, base: int, kind: LimbKind) -> RigLimb | None:
    """The best hip, knee and ankle (or shoulder, elbow and wrist) below a joint."""
    best: RigLimb | None = None
    for chain in tree.chains(base, _MAX_CHAINS, _MAX_DEPTH):
        for i, j, k in itertools.combinations(range(len(chain)), 3):
            if tree.is_end[chain[j]]:
                continue
            upper, lower = tree.bone_between(chain[i : j + 1]), tree.bone_between(chain[j : k + 1])
            if upper is None or lower is None:
                continue
            joints = (chain[i], chain[j], chain[k])
            length = upper + lower
            score = -3.0 * abs(np.log(upper / lower / _RATIO[kind]))
            score -= 2.0 * abs(np.log(length / tree.size / _SHARE[kind]))
            score += _name_score(tree, chain[: k + 1], (i, j, k), kind)
            # A limb does not branch before its end, where fingers and toes begin.
            score -= sum(tree.branches(joint) for joint in chain[i + 1 : k] if joint != chain[j])
            if score > _LOWEST_SCORE and (best is None or score > best.score):
                side = _side(tree, chain[: k + 1])
                best = RigLimb(joints, tuple(chain[:i]), length, score, side)
    return best


def _name_score(tree: RigTree, chain: list[int], places: tuple[int, ...], kind: LimbKind) -> float:
    score = 0.0
    wanted = dict(zip(places, kind, strict=True))
    for place, joint in enumerate(chain):
        hint = tree.hints[joint]
        if place in wanted:
            if hint.is_other:
                score -= 1.5
            elif hint.joints:
                fits = wanted[place] in hint.joints
                score += (2.0 if hint.joints == (wanted[place],) else 1.0) if fits else -2.0
        elif hint.joints and set(hint.joints) <= set(kind):
            # A joint of this limb by its name, but not chosen.
            score -= 1.5
    return score


def _side(tree: RigTree, chain: list[int]) -> str:
    sides = [tree.hints[joint].side for joint in chain]
    left, right = sides.count("left"), sides.count("right")
    return "" if left == right else "left" if left > right else "right"


def _are_apart(tree: RigTree, legs: RigLimbPair, arms: RigLimbPair) -> bool:
    """Whether neither pair is a part of the other."""
    own = {joint for pair in (legs, arms) for base in pair.bases for joint in tree.above(base)[1:]}
    return own.isdisjoint({*legs.bases, *arms.bases}) and not set(legs.bases) & set(arms.bases)


def _relation(tree: RigTree, legs: RigLimbPair, arms: RigLimbPair) -> float:
    """Score of a pair of legs and a pair of arms as parts of one body."""
    lengths = [sum(limb.length for limb in pair.limbs) for pair in (legs, arms)]
    score = -2.0 * abs(np.log(lengths[0] / lengths[1] / _LEG_TO_ARM))
    # The head is near the arms.
    trunk = {*tree.path(legs.trunk, arms.trunk), *tree.above(legs.trunk)}
    others = [joint for joint in tree.children[arms.trunk] if joint not in {*trunk, *arms.bases}]
    if any(tree.reach[joint] > 0.03 * tree.size for joint in others):
        score += 1.0
    return score

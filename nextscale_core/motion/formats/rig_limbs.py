"""Which chains of a hierarchy are the legs and the arms.

A limb is two bones of about the same length that a hinge joins, and it comes twice: two chains
below one joint. Names say a good deal where they are understood; where they are not, lengths and
the place in the hierarchy decide.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nextscale_core.motion.formats.rig_tree import RigTree

LimbKind = tuple[str, str, str]
LEG: LimbKind = ("hip", "knee", "ankle")
ARM: LimbKind = ("shoulder", "elbow", "wrist")

# Length of the two bones as a share of the longest chain of the body, and of upper to lower bone.
_SHARE = {LEG: 0.47, ARM: 0.30}
_RATIO = {LEG: 0.95, ARM: 1.0}
_LEG_TO_ARM = 1.5
_MIN_REACH = 0.12  # of the longest chain
_MAX_DEPTH = 14
_MAX_CHAINS = 8
_MAX_SIBLINGS = 10
_MAX_BASES = 80
_MAX_PAIRS = 12
_LOWEST_SCORE = -4.0


@dataclass(frozen=True)
class Limb:
    """Three joints of a chain.

    Attributes:
        joints: Hip, knee and ankle, or shoulder, elbow and wrist.
        before: Joints between the trunk and the first of them.
        length: Of its two bones.
        score: How well names and lengths fit.
        side: 'left', 'right' or '', as the names say.
    """

    joints: tuple[int, int, int]
    before: tuple[int, ...]
    length: float
    score: float
    side: str


@dataclass(frozen=True)
class LimbPair:
    """Two limbs below one joint of the trunk, the left one first where names tell the sides."""

    trunk: int
    limbs: tuple[Limb, Limb]
    bases: tuple[int, int]
    score: float

    @property
    def has_sides(self) -> bool:
        """Whether names tell left from right."""
        return bool(self.limbs[0].side)


def find_limbs(tree: RigTree) -> tuple[LimbPair | None, LimbPair | None]:
    """The legs and the arms; None for what is not there."""
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
    # Half a body: what names or lengths speak for more.
    first = max((*legs, *arms), key=lambda pair: pair.score, default=None)
    return (first if first in legs else None), (first if first not in legs else None)


def _bases(tree: RigTree) -> list[list[int]]:
    """Long chains that begin at one joint, joint by joint."""
    groups = []
    for below in tree.children:
        long = [joint for joint in below if tree.reach[joint] >= _MIN_REACH * tree.size]
        if len(long) > 1:
            groups.append(sorted(long, key=lambda joint: -tree.reach[joint])[:_MAX_SIBLINGS])
    groups.sort(key=lambda group: -tree.reach[group[1]])
    counts = np.cumsum([len(group) for group in groups])
    return [group for group, count in zip(groups, counts, strict=True) if count <= _MAX_BASES]


def _pairs(tree: RigTree, groups: list[list[int]], kind: LimbKind) -> list[LimbPair]:
    pairs = []
    for group in groups:
        limbs = {base: limb for base in group if (limb := _limb(tree, base, kind)) is not None}
        for a, b in itertools.combinations(limbs, 2):
            pair = _pair(tree, (a, b), (limbs[a], limbs[b]))
            if pair is not None:
                pairs.append(pair)
    return sorted(pairs, key=lambda pair: -pair.score)[:_MAX_PAIRS]


def _pair(tree: RigTree, bases: tuple[int, int], limbs: tuple[Limb, Limb]) -> LimbPair | None:
    sides = {limb.side for limb in limbs}
    if len(sides) == 1 and sides != {""}:
        return None
    score = sum(limb.score for limb in limbs)
    score -= 4.0 * abs(np.log(limbs[0].length / limbs[1].length))
    score -= abs(len(limbs[0].before) - len(limbs[1].before))
    if sides == {"left", "right"}:
        score += 1.0
    elif len(sides) == 2:
        return None
    if limbs[0].side == "right":
        bases, limbs = (bases[1], bases[0]), (limbs[1], limbs[0])
    return LimbPair(tree.parents[bases[0]], limbs, bases, score)


def _limb(tree: RigTree, base: int, kind: LimbKind) -> Limb | None:
    """The best hip, knee and ankle (or shoulder, elbow and wrist) below a joint."""
    best: Limb | None = None
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
            # Fingers and toes begin where a limb ends.
            score -= sum(tree.branches(joint) for joint in chain[i + 1 : k] if joint != chain[j])
            if score > _LOWEST_SCORE and (best is None or score > best.score):
                best = Limb(joints, tuple(chain[:i]), length, score, _side(tree, chain[: k + 1]))
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
            # A joint of this limb by its name that is passed over.
            score -= 1.5
    return score


def _side(tree: RigTree, chain: list[int]) -> str:
    sides = [tree.hints[joint].side for joint in chain]
    left, right = sides.count("left"), sides.count("right")
    return "" if left == right else "left" if left > right else "right"


def _are_apart(tree: RigTree, legs: LimbPair, arms: LimbPair) -> bool:
    own = {joint for pair in (legs, arms) for base in pair.bases for joint in tree.above(base)[1:]}
    return own.isdisjoint({*legs.bases, *arms.bases}) and not set(legs.bases) & set(arms.bases)


def _relation(tree: RigTree, legs: LimbPair, arms: LimbPair) -> float:
    """How well a pair of legs and a pair of arms belong together."""
    lengths = [sum(limb.length for limb in pair.limbs) for pair in (legs, arms)]
    score = -2.0 * abs(np.log(lengths[0] / lengths[1] / _LEG_TO_ARM))
    # The head is near the arms.
    trunk = {*tree.path(legs.trunk, arms.trunk), *tree.above(legs.trunk)}
    others = [joint for joint in tree.children[arms.trunk] if joint not in {*trunk, *arms.bases}]
    if any(tree.reach[joint] > 0.03 * tree.size for joint in others):
        score += 1.0
    return score

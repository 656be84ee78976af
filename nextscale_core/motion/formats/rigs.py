"""Matching of a file's joints to the 22 joints.

Rigs name and number their joints in many ways, but share the body: two legs below one joint, two
arms below another, a spine between them and a head beyond. Limbs are found by the hierarchy and the
bones, with names as hints (`rig_limbs.py`), and by the user's map where that fails.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.motion.formats.rig_limbs import ARM, LEG, RigLimb, RigLimbPair, find_limbs
from nextscale_core.motion.formats.rig_tree import RigTree
from nextscale_core.motion.skeleton import JOINT_NAMES
from nextscale_core.yaml_files import read_yaml

_SIDES = ("left", "right")
_ALONG_SHANK = 0.8  # minimum cosine to the shank of an End Site that does not mark a toe
_MIN_FOOT = 0.08  # minimum distance of a toe from the ankle as a share of the leg
_SPINE = ("spine1", "spine2", "spine3")
_REQUIRED = ("pelvis", *(f"{side}_{part}" for part in (*LEG, *ARM) for side in _SIDES))


@dataclass(frozen=True)
class RigMatch:
    """Joints of a file that correspond to nextscale's.

    Attributes:
        joints: nextscale's joint name -> index in the file; spine joints only if a map names
            them. 'pelvis' is missing if the file has no joint there.
        spine: Indices of the spine joints between pelvis and neck, from below.
        guessed: nextscale's names of limb joints that were found without help of their names.
    """

    joints: dict[str, int]
    spine: tuple[int, ...]
    guessed: tuple[str, ...] = ()


def match_rig(tree: RigTree, joint_map: Mapping[str, str] | None = None) -> RigMatch:
    """Find the 22 joints in a file's hierarchy.

    Args:
        tree: The file's joints.
        joint_map: nextscale's joint name -> name in the file, for some joints or all; it
            overrides what is found.

    Raises:
        MotionFileError: hips, knees, ankles, shoulders, elbows, wrists, and a head or a neck,
            are not all found; the message lists the matched and the other joints.
    """
    match = _found(tree)
    if joint_map:
        match = _with_map(tree, match, joint_map)
    missing = [name for name in _REQUIRED[1:] if name not in match.joints]
    if "head" not in match.joints and "neck" not in match.joints:
        missing.append("head or neck")
    if missing:
        raise MotionFileError(_not_understood(tree, match, missing))
    return match


def read_joint_map(path: Path) -> dict[str, str]:
    """Read a YAML file of lines 'joint name of nextscale: name in the motion file'.

    Raises:
        ConfigError: the file cannot be read, is not a mapping of names, or names an unknown joint.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{path} must hold lines like 'left_knee: LeftLeg', got {content!r:.60}")
    for ours, theirs in content.items():
        if ours not in JOINT_NAMES:
            nearest = difflib.get_close_matches(str(ours), JOINT_NAMES, 1)
            hint = f"; nearest is {nearest[0]}" if nearest else ""
            raise ConfigError(f"{path}: {ours!r} is not one of {', '.join(JOINT_NAMES)}{hint}")
        if not isinstance(theirs, (str, int)):
            raise ConfigError(f"{path}: {ours} must be the name of a joint, got {theirs!r:.60}")
    return {ours: str(theirs) for ours, theirs in content.items()}


def _found(tree: RigTree) -> RigMatch:
    legs, arms = find_limbs(tree)
    joints: dict[str, int] = {}
    guessed: list[str] = []
    for pair, kind in ((legs, LEG), (arms, ARM)):
        for side, limb in [] if pair is None else _sided(tree, pair, legs):
            for part, joint in zip(kind, limb.joints, strict=True):
                joints[f"{side}_{part}"] = joint
                if not (part in tree.hints[joint].joints and limb.side):
                    guessed.append(f"{side}_{part}")
            toe_or_collar = _toe(tree, limb) if kind == LEG else _collar(tree, limb)
            if toe_or_collar is not None:
                joints[f"{side}_{'foot' if kind == LEG else 'collar'}"] = toe_or_collar
    spine: list[int] = []
    if legs is not None and arms is not None:
        trunk = tree.path(legs.trunk, arms.trunk)
        pelvis = _pelvis(tree, legs)
        if pelvis is not None:
            joints["pelvis"] = pelvis
        start = legs.trunk if pelvis is None else pelvis
        spine = [joint for joint in tree.path(start, arms.trunk) if joint != start]
        taken = {*legs.bases, *arms.bases, *trunk, *tree.above(legs.trunk)}
        joints.update(_neck_and_head(tree, trunk, taken))
        spine = [joint for joint in spine if joint not in joints.values()]
        below = [start, *spine]
        spine = [j for j, last in zip(spine, below, strict=False) if not tree.is_near(j, last)]
    return RigMatch(joints, tuple(spine), tuple(guessed))


def _sided(tree: RigTree, pair: RigLimbPair, legs: RigLimbPair | None) -> list[tuple[str, RigLimb]]:
    """The limbs with their sides: by name, otherwise by the direction of the feet."""
    limbs = pair.limbs
    if not pair.has_sides and legs is not None:
        across = tree.positions[:, limbs[0].joints[0]] - tree.positions[:, limbs[1].joints[0]]
        hips, knees, ankles = _leg_joints(tree, legs)
        toes = [toe for leg in legs.limbs if (toe := _toe(tree, leg)) is not None]
        # Toes point forward; without toes, knees bend forward.
        ahead = (
            tree.positions[:, toes] - ankles if len(toes) == 2 else knees - 0.5 * (hips + ankles)
        )
        left = np.cross((hips - ankles).mean(axis=1), ahead.mean(axis=1))
        if float(np.median((across * left).sum(-1))) < 0.0:
            limbs = limbs[1], limbs[0]
    return list(zip(_SIDES, limbs, strict=True))


def _leg_joints(tree: RigTree, legs: RigLimbPair) -> list[np.ndarray]:
    """(F, 2, 3) hips, knees and ankles."""
    return [
        tree.positions[:, [limb.joints[part] for limb in legs.limbs]] for part in range(len(LEG))
    ]


def _toe(tree: RigTree, leg: RigLimb) -> int | None:
    """The ball of the foot: by name, else the next joint, else an End Site across the shank."""
    _, knee, ankle = leg.joints
    below = [*tree.children[ankle]]
    below += [further for joint in tree.children[ankle] for further in tree.children[joint]]
    below = [joint for joint in below if tree.distance(ankle, joint) > _MIN_FOOT * leg.length]
    unnamed = [joint for joint in below if not tree.hints[joint].is_other]
    ends = [joint for joint in below if tree.is_end[joint]]
    ends = [joint for joint in ends if abs(tree.cosine(knee, ankle, joint)) < _ALONG_SHANK]
    return next(iter([*tree.named("foot", below), *unnamed, *ends]), None)


def _collar(tree: RigTree, arm: RigLimb) -> int | None:
    """The joint between trunk and shoulder: by name, else the first one."""
    ends = (arm.joints[0], tree.parents[arm.base])
    before = [j for j in arm.before if not any(tree.is_near(j, end) for end in ends)]
    return next(iter(tree.named("collar", before) or before), None)


def _pelvis(tree: RigTree, legs: RigLimbPair) -> int | None:
    """The joint between the hips; None if the legs are attached elsewhere."""
    hips = _leg_joints(tree, legs)[0].mean(axis=1)
    candidates = tree.above(legs.trunk)
    apart = np.linalg.norm(tree.positions[:, candidates] - hips[:, None], axis=-1)
    is_near = np.median(apart, axis=0) < 0.15 * tree.size
    near = [joint for joint, there in zip(candidates, is_near, strict=True) if there]
    return next(iter(tree.named("pelvis", near) or near), None)


def _neck_and_head(tree: RigTree, trunk: list[int], taken: set[int]) -> dict[str, int]:
    """Neck and head on the chain beyond the trunk with these names, else the longest at the top."""
    found: dict[str, int] = {}
    top = trunk[-1]
    if tree.hints[top].joints == ("neck",):
        found["neck"] = top
    bases = (b for joint in reversed(trunk) for b in tree.children[joint] if b not in taken)
    chains = [chain for base in bases for chain in tree.chains(base, 4, 8)]
    candidates = (
        [chain for chain in chains if tree.named("head", chain)]
        or [chain for chain in chains if tree.named("neck", chain)]
        or [chain for chain in chains if tree.parents[chain[0]] == top]
    )
    if not candidates:
        return found
    chain = [j for j in max(candidates, key=lambda c: tree.reach[c[0]]) if not tree.is_end[j]]
    heads = tree.named("head", chain)
    if heads:
        head = chain.index(heads[0])
    elif tree.named("neck", chain) == chain:
        head = len(chain)
    else:
        # The last joint may be the top of the head: a skull is longer than a neck.
        has_top = len(chain) > 2 and tree.bone[chain[-1]] > 1.2 * tree.bone[chain[-2]]
        head = len(chain) - (2 if has_top else 1)
    if head < len(chain):
        found["head"] = chain[head]
    # CMU's neck begins in the chest, where the arms do.
    necks = [joint for joint in chain[:head] if not tree.is_near(joint, top)] or chain[:head]
    if necks:
        found.setdefault("neck", necks[0])
    return found


def _with_map(tree: RigTree, match: RigMatch, joint_map: Mapping[str, str]) -> RigMatch:
    index: dict[str, int] = {}
    for joint, name in enumerate(tree.names):
        index.setdefault(name, joint)
    for ours, theirs in joint_map.items():
        if theirs not in index:
            nearest = difflib.get_close_matches(theirs, index, 3)
            hint = ", ".join(nearest) or ", ".join(list(index)[:8])
            raise MotionFileError(
                f"the map assigns {ours}: {theirs}, but the file has no joint {theirs!r}; "
                f"it has, for example: {hint}"
            )
    mapped = {ours: index[theirs] for ours, theirs in joint_map.items()}
    kept = {ours: at for ours, at in match.joints.items() if at not in mapped.values()}
    spine = tuple(at for at in match.spine if at not in mapped.values())
    spine = tuple(mapped[name] for name in _SPINE if name in mapped) or spine
    guessed = tuple(name for name in match.guessed if name not in mapped)
    return RigMatch({**kept, **mapped}, spine, guessed)


def _not_understood(tree: RigTree, match: RigMatch, missing: list[str]) -> str:
    known = [f"{ours} = {tree.names[at]!r}" for ours, at in match.joints.items()]
    found = {*match.joints.values()}
    others = [
        repr(name)
        for joint, name in enumerate(tree.names)
        if joint not in found and not tree.is_end[joint]
    ]
    shown = ", ".join(others[:30]) + (f" and {len(others) - 30} more" if len(others) > 30 else "")
    return (
        f"joints not found: {', '.join(missing)}; understood: {', '.join(known) or 'none'}; "
        f"other joints of the file: {shown or 'none'}; give a joint map (--map FILE, YAML lines "
        f"such as '{missing[0].split(' ')[0]}: NAME IN THE FILE')"
    )

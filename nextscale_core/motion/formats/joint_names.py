"""What a joint's name says: which side of the body it is on, and which joint it may be.

Names only suggest: the same word means different joints in different rigs ('LeftLeg' is the knee
for Mixamo and the hip for SOMA, 'LeftShoulder' the collar bone or the shoulder, 'LeftFoot' the
ankle or the ball of the foot). `rigs.py` decides with the hierarchy and the bones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_LEFT_WORDS = frozenset(
    (
        "left", "l", "lft", "lf", "links", "linke", "linker", "gauche", "izquierda", "izq",
        "sinistra", "hidari",
    )
)  # fmt: skip
_RIGHT_WORDS = frozenset(
    (
        "right", "r", "rgt", "rt", "rechts", "rechte", "rechter", "droite", "droit", "derecha",
        "der", "destra", "migi",
    )
)  # fmt: skip
_LEFT_SIGN, _RIGHT_SIGN = "\u5de6", "\u53f3"  # Japanese and Chinese

# Words of twist bones, tips and controls: never a joint that is wanted.
_EXTRA_WORDS = frozenset(
    (
        "twist", "roll", "end", "nub", "tip", "top", "site", "effector", "ik", "pole", "target",
        "ctrl", "control", "helper", "adjust", "jiggle", "physics", "weapon", "prop",
    )
)  # fmt: skip

# The first pattern that is found in a name without its side says which joints it may be.
_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"armature", ()),
    (r"spine|chest|torso|abdomen|thorax|^ab$", ("spine",)),
    (r"eye|jaw|hair|brow|lash|lid|tongue|teeth|mouth|lip|cheek|nose|face|facial|breast|bust", ()),
    (r"finger|thumb|index|pinky|middle|ring|palm|metacarp|metatars|knuckle|heel|tail", ()),
    (r"hipjoint|buttock|glute", ()),
    (r"toe|ball", ("foot",)),
    (r"up(per)?leg|legupper|thigh|femur", ("hip",)),
    (r"low(er)?leg|leglower|shin|calf|tibia|shank|knee", ("knee",)),
    (r"ankle", ("ankle",)),
    (r"foot", ("ankle", "foot")),
    (r"pelvis", ("pelvis",)),
    (r"hip", ("hip", "pelvis")),
    (r"leg", ("hip", "knee")),
    (r"clavicle|collar|clav|scapula", ("collar",)),
    (r"f(ore)?arm|low(er)?arm|armlower|elbow|radius|ulna", ("elbow",)),
    (r"u(p(per)?)?arm|armupper|humerus|bicep", ("shoulder",)),
    (r"shoulder|shldr", ("collar", "shoulder")),
    (r"arm", ("shoulder", "collar")),
    (r"wrist", ("wrist",)),
    (r"hand", ("wrist", "hand")),
    (r"neck", ("neck",)),
    (r"head|skull", ("head",)),
    (r"back|waist|lumbar|belly|ribs", ("spine",)),
    (r"root|cog|body", ("pelvis", "root")),
)
_PART_PATTERNS = tuple((re.compile(pattern), joints) for pattern, joints in _PARTS)
# 'LThigh' and 'LUArm' begin with their side.
_WORD = re.compile(r"[LR](?=[A-Z][A-Z]?[a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FIRST_PART, _LAST_PART = re.compile(r"[^\W_]*[\W_]+"), re.compile(r"[\W_]+[^\W_]+$")
_SHARED_BY = 0.7
_MAX_LENGTH = 200  # of a name that is looked at


@dataclass(frozen=True)
class NameHint:
    """What a name says of its joint.

    Attributes:
        side: 'left', 'right' or ''.
        joints: Which joints it may be ('hip', 'knee', ..., without the side); empty where the
            name says nothing.
        is_other: The name says that it is none of the 22 joints (a finger, an eye, a twist bone).
    """

    side: str = ""
    joints: tuple[str, ...] = ()
    is_other: bool = False


def name_hints(names: Sequence[str]) -> list[NameHint]:
    """Hints of all joints of a file; what most names have in common is left out first."""
    return [_hint(name) for name in strip_shared(names)]


def strip_shared(names: Sequence[str]) -> list[str]:
    """Names without the name space, and without words that most of them begin or end with."""
    bare = [re.split(r"[:|]", name)[-1][:_MAX_LENGTH] for name in names]
    while prefix := _shared(bare, (_FIRST_PART.match, _WORD.match)):
        bare = [name[len(prefix) :] if name.startswith(prefix) else name for name in bare]
    while suffix := _shared(bare, (_LAST_PART.search,)):
        bare = [name[: -len(suffix)] if name.endswith(suffix) else name for name in bare]
    return bare


def _shared(names: Sequence[str], parts: Sequence[Callable[[str], re.Match[str] | None]]) -> str:
    """A part that most names have and none consists of; a side is no such part."""
    if len(names) < 4:
        return ""
    for find in parts:
        found = Counter(match.group() for name in names if (match := find(name)) is not None)
        part, count = found.most_common(1)[0] if found else ("", 0)
        is_side = part.strip("_-. ").lower() in _LEFT_WORDS | _RIGHT_WORDS
        if count >= _SHARED_BY * len(names) and part not in names and not is_side:
            return part
    return ""


def _hint(name: str) -> NameHint:
    words = [word.lower() for word in _WORD.findall(name)]
    side, words = _side_and_rest(name, words)
    text = "".join(word for word in words if not word.isdigit())
    joints: tuple[str, ...] = ()
    known = False
    for pattern, candidates in _PART_PATTERNS:
        if pattern.search(text):
            joints, known = candidates, True
            break
    extra = not _EXTRA_WORDS.isdisjoint(words)
    return NameHint(side, () if extra else joints, extra or (known and not joints))


def _side_and_rest(name: str, words: list[str]) -> tuple[str, list[str]]:
    """The side that a name tells, and its words without it."""
    if _LEFT_SIGN in name or _RIGHT_SIGN in name:
        return ("left" if _LEFT_SIGN in name else "right"), words
    for side, known in (("left", _LEFT_WORDS), ("right", _RIGHT_WORDS)):
        for at, word in enumerate(words):
            rest = words[:at] + words[at + 1 :]
            # 'L5' is a vertebra.
            if word in known and any(not other.isdigit() for other in rest):
                return side, rest
    for side in ("left", "right"):
        for at, word in enumerate(words):
            for mark in (side, side[0]):
                for bare in (word.removeprefix(mark), word.removesuffix(mark)):
                    if bare != word and (mark == side or _is_part(bare)):
                        return side, [*words[:at], bare, *words[at + 1 :]]
    return "", words


def _is_part(word: str) -> bool:
    return any(pattern.fullmatch(word) for pattern, _ in _PART_PATTERNS)

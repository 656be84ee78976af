"""Joints of a file as a tree of bones, with their lengths and hints from their names.

Names are only hints: the same word means different joints in different rigs ('LeftLeg' is the knee
for Mixamo and the hip for SOMA, 'LeftShoulder' the collar bone or the shoulder, 'LeftFoot' the
ankle or the ball of the foot). `rigs.py` decides with the hierarchy and the bones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_SIDE_WORDS = {
    "left": {
        "left", "l", "lft", "lf", "links", "linke", "linker", "gauche", "izquierda", "izq",
        "sinistra", "hidari",
    },
    "right": {
        "right", "r", "rgt", "rt", "rechts", "rechte", "rechter", "droite", "droit", "derecha",
        "der", "destra", "migi",
    },
}  # fmt: skip
_SIDE_SIGNS = {"left": "\u5de6", "right": "\u53f3"}  # Japanese and Chinese
# Words of twist bones, tips and controls, which are not among the 22 joints.
_OTHER_WORDS = {
    "twist", "roll", "end", "nub", "tip", "top", "site", "effector", "ik", "pole", "target",
    "ctrl", "control", "helper", "adjust", "jiggle", "physics", "weapon", "prop",
}  # fmt: skip
# The first pattern found in a name without its side determines the possible joints.
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
_SHARED_BY = 0.7  # share of the names that have a prefix or suffix to be removed
_MAX_LENGTH = 200  # evaluated length of a name [characters]


@dataclass(frozen=True)
class NameHint:
    """Hints from a joint's name.

    Attributes:
        side: 'left', 'right' or ''.
        joints: Possible joints ('hip', 'knee', ..., without the side); empty if unknown.
        is_other: The name excludes all of the 22 joints (a finger, an eye, a twist bone).
    """

    side: str = ""
    joints: tuple[str, ...] = ()
    is_other: bool = False


class RigTree:
    """A hierarchy of joints with hints from their names and the lengths of the bones.

    Args:
        names: (N,) names of joints and End Sites.
        parents: (N,) index of each joint's parent, -1 for the root; parents come first.
        is_end: (N,) whether it is an End Site, which only marks the end of the last bone.
        positions: (F, N, 3) joint positions in some frames, in any unit.

    Attributes:
        children: (N,) indices of each joint's children.
        bone: (N,) median distance to the parent.
        reach: (N,) length of the longest chain from the parent down through the joint.
        size: Length of the longest chain between two leaves.
    """

    def __init__(
        self,
        names: Sequence[str],
        parents: Sequence[int],
        is_end: Sequence[bool],
        positions: np.ndarray,
    ) -> None:
        self.names, self.parents, self.is_end = list(names), list(parents), list(is_end)
        self.positions = np.asarray(positions, dtype=np.float64)
        hints = iter(name_hints([n for n, end in zip(names, is_end, strict=True) if not end]))
        self.hints = [NameHint(is_other=True) if end else next(hints) for end in is_end]
        self.children: list[list[int]] = [[] for _ in names]
        for joint, parent in enumerate(parents):
            if parent >= 0:
                self.children[parent].append(joint)
        above = np.maximum(np.asarray(parents), 0)
        steps = np.linalg.norm(self.positions - self.positions[:, above], axis=-1)
        self.bone: list[float] = np.median(steps, axis=0).tolist()
        self.reach = list(self.bone)
        self.size = 0.0
        for joint in reversed(range(len(names))):
            below = sorted((self.reach[child] for child in self.children[joint]), reverse=True)
            self.reach[joint] += sum(below[:1])
            self.size = max(self.size, sum(below[:2]))
        self._spans: dict[tuple[int, int], tuple[float, float]] = {}

    def above(self, joint: int) -> list[int]:
        """The joint, its parent, and so on to the root."""
        chain = [joint]
        while self.parents[chain[-1]] >= 0:
            chain.append(self.parents[chain[-1]])
        return chain

    def path(self, start: int, stop: int) -> list[int]:
        """Joints from `start` to `stop` along the tree, both included."""
        up, down = self.above(start), self.above(stop)
        below = set(down)
        common = next(joint for joint in up if joint in below)
        return up[: up.index(common) + 1] + down[: down.index(common)][::-1]

    def chains(self, base: int, most: int, depth: int) -> list[list[int]]:
        """At most `most` chains down from a joint, the longest first, of at most `depth` joints."""
        chains: list[list[int]] = []
        waiting = [[base]]
        while waiting and len(chains) < most:
            chain = waiting.pop()
            below = sorted(self.children[chain[-1]], key=lambda child: self.reach[child])
            if below and len(chain) < depth:
                waiting += [[*chain, child] for child in below[-most:]]
            else:
                chains.append(chain)
        return chains

    def named(self, part: str, joints: Iterable[int]) -> list[int]:
        """Those of the joints whose names may mean a part such as 'knee'."""
        return [joint for joint in joints if part in self.hints[joint].joints]

    def branches(self, joint: int) -> bool:
        """Whether several chains begin at a joint."""
        return sum(not self.is_end[child] for child in self.children[joint]) > 1

    def distance(self, a: int, b: int) -> float:
        """Median distance of two joints."""
        return float(np.median(self._distances(a, b)))

    def cosine(self, a: int, b: int, c: int) -> float:
        """Median cosine of the angle between the bones from `a` to `b` and from `b` to `c`."""
        first = self.positions[:, b] - self.positions[:, a]
        second = self.positions[:, c] - self.positions[:, b]
        scale = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
        return float(np.median((first * second).sum(-1) / np.maximum(scale, 1e-12)))

    def is_near(self, a: int, b: int) -> bool:
        """Whether two joints coincide."""
        return self.distance(a, b) < 0.01 * self.size

    def bone_between(self, chain: Sequence[int]) -> float | None:
        """Length of a chain that moves as one straight bone; None where it bends.

        Twist joints lie in a bone; knees and elbows do not, unless the motion never bends them.
        """
        key = chain[0], chain[-1]
        if key not in self._spans:
            self._spans[key] = self._length_and_bend(chain)
        length, bend = self._spans[key]
        return length if bend < 0.2 * length else None

    def _distances(self, a: int, b: int) -> np.ndarray:
        return np.linalg.norm(self.positions[:, a] - self.positions[:, b], axis=-1)

    def _length_and_bend(self, chain: Sequence[int]) -> tuple[float, float]:
        """Median length from end to end, and the largest deviation from a straight bone."""
        lengths = self._distances(chain[0], chain[-1])
        length = float(np.median(lengths))
        if length <= 0.0:
            return 0.0, np.inf
        bend = float(np.ptp(lengths))
        start = self.positions[:, chain[0]]
        line = (self.positions[:, chain[-1]] - start) / np.maximum(lengths, 1e-12)[:, None]
        for joint in chain[1:-1]:
            beside = np.cross(self.positions[:, joint] - start, line)
            bend = max(bend, float(np.linalg.norm(beside, axis=-1).max()))
        return length, bend


def name_hints(names: Sequence[str]) -> list[NameHint]:
    """Hints of all joints of a file, without the prefixes and suffixes that most names share."""
    bare = [re.split(r"[:|]", name)[-1][:_MAX_LENGTH] for name in names]
    while prefix := _shared(bare, (_FIRST_PART.match, _WORD.match)):
        bare = [name.removeprefix(prefix) for name in bare]
    while suffix := _shared(bare, (_LAST_PART.search,)):
        bare = [name.removesuffix(suffix) for name in bare]
    return [_hint(name) for name in bare]


def _shared(names: Sequence[str], parts: Sequence[Callable[[str], re.Match[str] | None]]) -> str:
    """A part that most names have, that is neither a whole name nor a side; '' if there is none."""
    if len(names) < 4:
        return ""
    sides = _SIDE_WORDS["left"] | _SIDE_WORDS["right"]
    for find in parts:
        found = Counter(match.group() for name in names if (match := find(name)) is not None)
        part, count = found.most_common(1)[0] if found else ("", 0)
        is_side = part.strip("_-. ").lower() in sides
        if count >= _SHARED_BY * len(names) and part not in names and not is_side:
            return part
    return ""


def _hint(name: str) -> NameHint:
    words = [word.lower() for word in _WORD.findall(name)]
    side, words = _side_and_rest(name, words)
    text = "".join(word for word in words if not word.isdigit())
    joints = next((joints for pattern, joints in _PART_PATTERNS if pattern.search(text)), None)
    is_other = joints == () or not _OTHER_WORDS.isdisjoint(words)
    return NameHint(side, () if is_other or joints is None else joints, is_other)


def _side_and_rest(name: str, words: list[str]) -> tuple[str, list[str]]:
    """The side in a name, and its words without it."""
    for side, sign in _SIDE_SIGNS.items():
        if sign in name:
            return side, words
    for side, known in _SIDE_WORDS.items():
        for at, word in enumerate(words):
            rest = words[:at] + words[at + 1 :]
            # 'L5' is a vertebra.
            if word in known and any(not other.isdigit() for other in rest):
                return side, rest
    for side in _SIDE_WORDS:
        for at, word in enumerate(words):
            for mark in (side, side[0]):
                for bare in (word.removeprefix(mark), word.removesuffix(mark)):
                    is_part = any(pattern.fullmatch(bare) for pattern, _ in _PART_PATTERNS)
                    if bare != word and (mark == side or is_part):
                        return side, [*words[:at], bare, *words[at + 1 :]]
    return "", words

"""The joints of a file as a tree of bones, measured in a few of its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextscale_core.motion.formats.joint_names import NameHint, name_hints


class RigTree:
    """A hierarchy of joints with what their names say and how long the bones are.

    Args:
        names: (N,) joint names; End Sites too.
        parents: (N,) index of each joint's parent, -1 for the root; parents come first.
        is_end: (N,) End Sites, which only show where the last bone ends.
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
        """The longest chains from a joint down, the longest first, each cut off at a depth."""
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
        """Whether two joints lie in one place."""
        return self.distance(a, b) < 0.01 * self.size

    def bone_between(self, chain: Sequence[int]) -> float | None:
        """Length of a chain that moves as one straight bone; None where it bends.

        Twist joints lie in a bone; knees and elbows do not, except in a motion that never bends
        them.
        """
        key = chain[0], chain[-1]
        if key not in self._spans:
            self._spans[key] = self._measure(chain)
        length, bend = self._spans[key]
        return length if bend < 0.2 * length else None

    def _distances(self, a: int, b: int) -> np.ndarray:
        return np.linalg.norm(self.positions[:, a] - self.positions[:, b], axis=-1)

    def _measure(self, chain: Sequence[int]) -> tuple[float, float]:
        """Median length from end to end, and how far the chain bends or stretches."""
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

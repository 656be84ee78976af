"""Finding the body of a humanoid in a URDF that nobody has described: by geometry, then by names.

A humanoid has two pairs of long, equal branches. The pair nearer to the root is the legs. Along a
leg the second joint that turns about the lateral axis is the knee; along an arm the elbow bends in
the middle, and what only twists is no elbow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.retarget.description import chain
from nextscale_core.retarget.joint_tree import JointTree
from nextscale_core.retarget.profile import SIDES, Axes

_ALIKE = 0.1
"""Branches whose reach differs by less than this share are a pair."""

_LATERAL = 0.8
"""Cosine from which on a joint axis counts as lateral."""

_TWIST = 0.8
"""Cosine from which on a joint axis counts as lying along the limb."""


_APART = 0.02
"""Joints closer than this sit in the same place [m]."""


_SAME_GROUP = 0.06
"""Joints of one ankle or wrist are no further apart [m]."""


@dataclass(frozen=True)
class Anatomy:
    """What is what.

    Attributes:
        axes: How the root link lies.
        pelvis: Joint number that carries the pelvis (1: the root).
        torso: Joint number that carries the chest.
        limbs: 'left' and 'right' -> body part -> joint name.
        legs: Joints of each leg from the hip on, by side; lateral ones in `pitch`.
        arms: Joints of each arm from the shoulder to the wrist, by side.
        pitch: Lateral joints of each leg, by side: hip, knee, ankle.
        notes: What was guessed rather than found.
    """

    axes: Axes
    pelvis: int
    torso: int
    limbs: dict[str, dict[str, str]]
    legs: dict[str, tuple[str, ...]]
    arms: dict[str, tuple[str, ...]]
    pitch: dict[str, tuple[str, str, str]]
    notes: tuple[str, ...]


def find_anatomy(model: pin.Model, toes: dict[str, np.ndarray] | None = None) -> Anatomy:
    """Find legs, arms, trunk and directions.

    Args:
        model: The model of the URDF, floating.
        toes: For each joint name the centre of what it carries, in the root link's frame at zero
            [m]; tells forward from backward where names do not tell left from right.

    Raises:
        RobotError: no two pairs of equal branches.
    """
    tree, notes = JointTree(model), []
    legs, arms = _pairs(tree)
    left, right = _sided(tree, legs)
    up, lateral = _up_and_left(tree, left, right)
    if _side_of(model.names[left[0]], model.names[right[0]]) == 0:
        forward = np.cross(lateral, up)
        offset = _toe_offset(tree, (left, right), toes or {}, forward)
        notes.append("names do not tell left from right; the longer end of the feet is the front")
        if offset < 0:
            left, right, lateral = right, left, -lateral
        elif offset == 0:
            notes.append("nothing tells front from back: check axes and sides")
    axes = Axes(_named(np.cross(lateral, up)), _named(up))
    arm_pair = sorted(arms, key=lambda path: -float(np.mean(tree.at[path] @ lateral)))
    leg, arm = dict(zip(SIDES, (left, right), strict=True)), dict(zip(SIDES, arm_pair, strict=True))
    limbs: dict[str, dict[str, str]] = {side: {} for side in SIDES}
    pitch: dict[str, tuple[str, str, str]] = {}
    for side in SIDES:
        hip, knee, ankle, joints = _leg(tree, leg[side], lateral)
        leg[side], pitch[side] = leg[side][: ankle[0] + 1], joints
        shoulder, elbow, wrist = _arm(tree, arm[side])
        arm[side] = _until(tree, arm[side], wrist)
        for part, joint in zip(
            ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"),
            (hip, knee, leg[side][-1], shoulder, elbow, wrist),
            strict=True,
        ):
            limbs[side][part] = model.names[joint]
    return Anatomy(
        axes=axes,
        pelvis=max(int(model.parents[left[0]]), 1),
        torso=max(int(model.parents[arm_pair[0][0]]), 1),
        limbs=limbs,
        legs={side: tree.names(path) for side, path in leg.items()},
        arms={side: tree.names(path) for side, path in arm.items()},
        pitch=pitch,
        notes=tuple(notes),
    )


def _pairs(tree: JointTree) -> tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]:
    """Legs and arms: the two longest pairs of equal branches, none inside another."""
    found: list[tuple[float, int, tuple[list[int], list[int]]]] = []
    for joint in range(1, tree.model.njoints):
        for a, b in combinations(tree.children[joint], 2):
            first, second = tree.limb(a), tree.limb(b)
            reach = tree.reach(first), tree.reach(second)
            alike = abs(reach[0] - reach[1]) <= _ALIKE * max(reach) and len(first) == len(second)
            if alike and len(first) >= 3 and min(reach) > 0.05:
                found.append((min(reach), joint, (first, second)))
    found.sort(key=lambda item: -item[0])
    pairs: list[tuple[int, tuple[list[int], list[int]]]] = []
    for _, joint, pair in found:
        roots = {path[0] for _, (a, b) in pairs for path in (a, b)}
        if roots.isdisjoint(_line(tree, joint)) and roots.isdisjoint(path[0] for path in pair):
            pairs.append((joint, pair))
    if len(pairs) < 2:
        raise RobotError(
            "no two legs and two arms: the URDF must have two pairs of equal branches with three "
            f"joints or more, found {len(pairs)}"
        )
    # Legs carry the root; where both pairs leave the same joint, legs are heavier.
    ordered = sorted(pairs[:2], key=lambda item: (tree.depth(item[0]), -_mass(tree, item[1][0])))
    return ordered[0][1], ordered[1][1]


def _line(tree: JointTree, joint: int) -> list[int]:
    """A joint and all before it."""
    return [joint] if joint <= 1 else [*_line(tree, int(tree.model.parents[joint])), joint]


def _mass(tree: JointTree, path: list[int]) -> float:
    return float(sum(tree.model.inertias[joint].mass for joint in path))


def _side_of(first: str, second: str) -> int:
    """1 where two mirrored names say left and right, -1 for right and left, 0 for neither."""
    a, b = first.lower(), second.lower()
    for one, two in zip(a, b, strict=False):
        if one != two:
            return {("l", "r"): 1, ("r", "l"): -1}.get((one, two), 0)
    return 0


def _sided(tree: JointTree, legs: tuple[list[int], list[int]]) -> tuple[list[int], list[int]]:
    first, second = legs
    names = tree.model.names
    return (second, first) if _side_of(names[first[0]], names[second[0]]) < 0 else (first, second)


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


def _toe_offset(
    tree: JointTree,
    legs: tuple[list[int], list[int]],
    toes: dict[str, np.ndarray],
    forward: np.ndarray,
) -> float:
    """How far the feet reach forward of the ankles on average [m]; 0 where they have no shape."""
    return float(
        sum(
            (toes[tree.model.names[path[-1]]] - tree.at[path[-1]]) @ forward
            for path in legs
            if tree.model.names[path[-1]] in toes
        )
    )


def _named(direction: np.ndarray) -> str:
    """'x', '-y', ... of a unit vector along an axis."""
    axis = int(np.abs(direction).argmax())
    return ("-" if direction[axis] < 0 else "") + "xyz"[axis]


def _leg(
    tree: JointTree, path: list[int], lateral: np.ndarray
) -> tuple[int, int, tuple[int, int], tuple[str, str, str]]:
    """Hip and knee joint, row and number of the last ankle joint, names of the lateral ones."""
    pitch = [joint for joint in path if abs(tree.axis[joint] @ lateral) > _LATERAL]
    names = tree.names(path)
    if len(pitch) < 3:
        raise RobotError(
            f"the leg {names[0]} ... {names[-1]} has {len(pitch)} joints about the lateral axis, "
            "a hip, a knee and an ankle are three"
        )
    knee, ankle = pitch[1], pitch[2]
    row = len(_until(tree, path, ankle)) - 1
    hip = _centre(tree, path[: path.index(knee)], last=True)
    a, b, c = tree.names(pitch[:3])
    return hip, knee, (row, path[row]), (a, b, c)


def _until(tree: JointTree, path: list[int], joint: int) -> list[int]:
    """A path up to the last joint of an ankle or a wrist; toes and grippers are further away."""
    row = path.index(joint)
    while (
        row + 1 < len(path)
        and np.linalg.norm(tree.at[path[row + 1]] - tree.at[path[row]]) < _SAME_GROUP
    ):
        row += 1
    return path[: row + 1]


def _arm(tree: JointTree, path: list[int]) -> tuple[int, int, int]:
    """Shoulder, elbow and wrist joint."""
    total = tree.reach(path)
    candidates = []
    for row, joint in enumerate(path[1:-1], start=1):
        away = [p for p in path if np.linalg.norm(tree.at[p] - tree.at[joint]) > _APART]
        ahead = next((p for p in away if path.index(p) > row), 0)
        behind = next((p for p in reversed(away) if path.index(p) < row), 0)
        if not ahead or not behind:
            continue
        twist = max(
            abs(tree.axis[joint] @ _unit(tree.at[ahead] - tree.at[joint])),
            abs(tree.axis[joint] @ _unit(tree.at[joint] - tree.at[behind])),
        )
        middle = abs(tree.reach(path[: row + 1]) / total - 0.5)
        if twist < _TWIST and middle < 0.3:
            candidates.append((middle, row))
    if not candidates:
        names = tree.names(path)
        raise RobotError(f"the arm {names[0]} ... {names[-1]} has no joint that could be an elbow")
    row = min(candidates)[1]
    elbow, rest = path[row], path[row + 1 :]
    far = [
        joint
        for joint in rest
        if np.linalg.norm(tree.at[joint] - tree.at[elbow]) > 0.4 * tree.reach(path[row:])
    ]
    fore = _unit(tree.at[far[0]] - tree.at[elbow])
    bending = [joint for joint in far if abs(tree.axis[joint] @ fore) < _TWIST]
    return _centre(tree, path[:row], last=True), elbow, _centre(tree, bending or far, last=False)


def _centre(tree: JointTree, joints: list[int], *, last: bool) -> int:
    """The joint whose origin is nearest to the axes of all of them."""

    def distance(joint: int) -> float:
        away = tree.at[joints] - tree.at[joint]
        return float(np.linalg.norm(np.cross(away, tree.axis[joints]), axis=1).sum())

    best = min(distance(joint) for joint in joints)
    close = [joint for joint in joints if distance(joint) < best + 1e-3]
    return close[-1] if last else close[0]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def trunk(model: pin.Model, anatomy: Anatomy) -> set[str]:
    """Joints between pelvis and chest."""
    return set(chain(model, model.names[anatomy.torso])) - set(
        chain(model, model.names[anatomy.pelvis])
    )

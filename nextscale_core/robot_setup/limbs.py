"""The tree of a model's joints at zero, and the joints of one leg or arm in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.description import CONTINUOUS, REVOLUTE, at_zero, joint_axis
from nextscale_core.rotations import unit

_HAND = 0.45
"""Maximum share of a limb's length that its hand takes."""

_TWIST = 0.8
"""Minimum cosine between a joint axis and the limb that it lies along."""

_SAME_GROUP = 0.06
"""Maximum distance between the joints of one wrist [m]."""

_NAMED = 1.5
"""Weight of a joint whose name contains the body part, relative to other joints."""

_SHORTEST = 0.01
"""Minimum lever of a knee or an elbow [m]."""

_BESIDE = 0.02
"""Largest distance of a centre of mass from the shapes of its body [m]."""

_PARALLEL = 0.5
"""Minimum cosine between the axes of hip, knee and ankle."""


class JointTree:
    """Joint positions and axes of a model at zero, and its branches.

    Attributes:
        model: The model.
        at: (njoints, 3) origin of each joint in the root link's frame [m].
        axis: (njoints, 3) axis of each revolute joint there, zero for other joints.
        children: Child joints of each joint.
    """

    def __init__(self, model: pin.Model):
        self.model, data = model, at_zero(model)
        count = model.njoints
        self.at = np.stack([data.oMi[joint].translation for joint in range(count)])
        self.axis = np.zeros((count, 3))
        self.children: list[list[int]] = [[] for _ in range(count)]
        for joint in range(2, count):
            self.children[model.parents[joint]].append(joint)
            if model.joints[joint].shortname() in REVOLUTE + CONTINUOUS:
                self.axis[joint] = data.oMi[joint].rotation @ joint_axis(model, joint)

    def paths(self, root: int) -> list[list[int]]:
        """All paths from a joint to the leaves behind it."""
        if not self.children[root]:
            return [[root]]
        return [[root, *path] for child in self.children[root] for path in self.paths(child)]

    def reach(self, path: list[int]) -> float:
        """Length of a path [m]."""
        return float(np.linalg.norm(np.diff(self.at[path], axis=0), axis=1).sum())

    def limb(self, root: int) -> list[int]:
        """The longest path behind a joint, up to the joint where fingers begin."""
        path = max(self.paths(root), key=self.reach)
        total = self.reach(path)
        for number, joint in enumerate(path[:-1], start=1):
            # A crank beside a shank is not a hand: most of the limb is still ahead there.
            if len(self.children[joint]) > 1 and self.reach(path[number - 1 :]) < _HAND * total:
                return path[:number]
        return path

    def names(self, joints: list[int]) -> tuple[str, ...]:
        """Names of joints."""
        return tuple(self.model.names[joint] for joint in joints)


@dataclass(frozen=True)
class Limb:
    """A leg or an arm: its path, and the joints of its parts (`end` is 0 without a wrist)."""

    path: list[int]
    start: int
    middle: int
    end: int


def _hinge(tree: JointTree, path: list[int], tip: np.ndarray, word: str) -> int:
    """Row of the knee or the elbow in a limb, 0 if no joint bends it.

    It is the joint that has both ends of the limb far from its axis. The far end is that of the
    path, or half of the way on to the tip where the path ends at the joint itself.
    """
    levers = np.zeros(len(path))
    for row, joint in enumerate(path[1:], start=1):
        near, far, over = (
            float(np.linalg.norm(np.cross(tree.axis[joint], point - tree.at[joint])))
            for point in (tree.at[_centre(tree, path[:row], last=True)], tree.at[path[-1]], tip)
        )
        weight = _NAMED if word in tree.model.names[joint].lower() else 1.0
        levers[row] = weight * min(near, max(far, over / 2))
    return int(levers.argmax()) if levers.max() > _SHORTEST else 0


def leg_of(tree: JointTree, path: list[int]) -> Limb:
    """The joints of a leg up to the last one of the ankle, which carries the foot."""
    row = _hinge(tree, path, tree.at[path[-1]], "knee")
    knee, rest = path[row], path[row + 1 :]
    away = {joint: float(np.linalg.norm(tree.at[joint] - tree.at[knee])) for joint in rest}
    far = [joint for joint in rest if away[joint] > 0.6 * max(away.values())]
    # Toes are further away than the ankle and bend about the same axis.
    pitch = [joint for joint in far if parallel(tree, joint, knee)]
    if not row or not pitch:
        names = tree.names(path)
        raise RobotError(
            f"the leg {names[0]} ... {names[-1]} has no {'ankle' if row else 'knee'}: hip, knee "
            "and ankle must follow each other, and the foot must turn about the knee's axis"
        )
    whole = path[: path.index(pitch[0]) + 1]
    while len(whole) < len(path) and not parallel(tree, path[len(whole)], knee):
        whole = path[: len(whole) + 1]
    return Limb(whole, _hip(tree, path[:row], knee), knee, whole[-1])


def parallel(tree: JointTree, first: int, second: int) -> bool:
    """Whether two joints turn about nearly the same direction at zero."""
    return bool(abs(tree.axis[first] @ tree.axis[second]) > _PARALLEL)


def _hip(tree: JointTree, joints: list[int], knee: int) -> int:
    """The joint nearest to the point where the thigh turns about the lateral axis."""
    lateral = tree.axis[knee]
    pitch = max(joints, key=lambda joint: abs(float(tree.axis[joint] @ lateral)))
    if abs(tree.axis[pitch] @ lateral) < _PARALLEL:
        return _centre(tree, joints, last=True)
    aside = float((tree.at[knee] - tree.at[pitch]) @ lateral)
    above = tree.at[pitch] + tree.axis[pitch] * aside / float(tree.axis[pitch] @ lateral)
    return _nearest(joints, lambda joint: float(np.linalg.norm(tree.at[joint] - above)), last=True)


def _until(tree: JointTree, path: list[int], joint: int) -> list[int]:
    """A path up to the last joint of a wrist; grippers are further away."""
    row = path.index(joint)
    near = min(_SAME_GROUP, 0.12 * tree.reach(path))
    while (
        row + 1 < len(path) and np.linalg.norm(tree.at[path[row + 1]] - tree.at[path[row]]) < near
    ):
        row += 1
    return path[: row + 1]


def arm_of(tree: JointTree, path: list[int], tip: np.ndarray) -> Limb:
    """The joints of an arm up to the last one of the wrist, or to the elbow without a wrist."""
    row = _hinge(tree, path, tip, "elb")
    if not row:
        names = tree.names(path)
        raise RobotError(f"the arm {names[0]} ... {names[-1]} has no joint that could be an elbow")
    elbow, shoulder = path[row], _centre(tree, path[:row], last=True)
    away = {joint: float(np.linalg.norm(tree.at[joint] - tree.at[elbow])) for joint in path[row:]}
    forearm = max(*away.values(), 0.75 * float(np.linalg.norm(tip - tree.at[elbow])))
    far = [joint for joint in path[row + 1 :] if away[joint] > 0.4 * forearm]
    if not far:
        return Limb(path[: row + 1], shoulder, elbow, 0)
    fore = unit(tree.at[far[0]] - tree.at[elbow])
    bending = [joint for joint in far if abs(tree.axis[joint] @ fore) < _TWIST]
    wrist = _centre(tree, bending or far, last=False)
    return Limb(_until(tree, path, wrist), shoulder, elbow, wrist)


def tip_of(tree: JointTree, path: list[int], shapes: Mapping[str, np.ndarray]) -> np.ndarray:
    """(3,) far end of the body of an arm's last joint: of its shape, fixed links or mass [m]."""
    model, last = tree.model, path[-1]
    origin, behind = tree.at[last], model.subtrees[last]
    clouds = [shapes[model.names[joint]] for joint in behind if model.names[joint] in shapes]
    if clouds:
        away = np.concatenate(clouds) - origin
        along = unit(away.mean(0))
        return np.asarray(origin + float((away @ along).max()) * along)
    data = at_zero(model)
    frames = [
        data.oMf[number].translation - origin
        for number, frame in enumerate(model.frames)
        if frame.parentJoint in behind and frame.type == pin.FrameType.BODY
    ]
    furthest = max(frames, key=lambda away: float(np.linalg.norm(away)), default=np.zeros(3))
    # The centre of mass of a rod is in its middle.
    rod = 2 * (data.oMi[last].act(model.inertias[last].lever) - origin)
    return np.asarray(origin + max(furthest, rod, key=lambda away: float(np.linalg.norm(away))))


def covered(tree: JointTree, joint: int, shapes: Mapping[str, np.ndarray]) -> bool:
    """Whether the shapes of a joint's body, where it has any, extend to its centre of mass.

    A shape around the motor of an elbow says nothing about the length of the forearm.
    """
    points = shapes.get(tree.model.names[joint])
    if points is None:
        return True
    centre = at_zero(tree.model).oMi[joint].act(tree.model.inertias[joint].lever)
    low, high = points.min(0) - _BESIDE, points.max(0) + _BESIDE
    return bool(((low < centre) & (centre < high)).all())


def _centre(tree: JointTree, joints: list[int], *, last: bool) -> int:
    """The joint whose origin is nearest to the axes of all of them."""

    def distance(joint: int) -> float:
        away = tree.at[joints] - tree.at[joint]
        return float(np.linalg.norm(np.cross(away, tree.axis[joints]), axis=1).sum())

    return _nearest(joints, distance, last=last)


def _nearest(joints: list[int], distance: Callable[[int], float], *, last: bool) -> int:
    """The joint at the minimum distance [m], the first or last of those within 1 mm of it."""
    best = min(map(distance, joints))
    close = [joint for joint in joints if distance(joint) < best + 1e-3]
    return close[-1] if last else close[0]

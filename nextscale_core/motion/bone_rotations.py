"""Bone rotations of a T-posed skeleton from joint positions alone.

Positions do not determine the twist of a bone. Knee and elbow are hinges, so a bent limb shows the
twist of both its bones; pelvis and chest are rigid triangles; the spine between them shares their
difference. A straight limb takes its twist from the frames around it, and one that stays straight
from its parent by the shortest rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS, PARENTS, bone_lengths
from nextscale_core.rotations import unit

_X, _Y, _Z = np.eye(3)
_HINGE_WEIGHT_OF_PARENT = 0.05  # sine of the bend at which hinge and parent weigh the same
_HINGE_SIGMA = 2.0  # standard deviation of the smoothing of a hinge's twist [frames]
_TOE_WEIGHT = 0.1
_EPSILON = 1e-6

_CHILD = {parent: child for child, parent in enumerate(PARENTS) if parent not in (-1, 0, 9)}

_REST_DIRECTION: dict[int, np.ndarray] = {
    **{JOINT_INDEX[name]: _Z for name in ("spine1", "spine2", "neck")},
    **{JOINT_INDEX[f"left_{part}"]: _Y for part in ("collar", "shoulder", "elbow")},
    **{JOINT_INDEX[f"right_{part}"]: -_Y for part in ("collar", "shoulder", "elbow")},
    **{
        JOINT_INDEX[f"{side}_{part}"]: -_Z for side in ("left", "right") for part in ("hip", "knee")
    },
    # The ball of a flat foot lies 20 degrees below the horizontal, seen from the ankle.
    **{
        JOINT_INDEX[f"{side}_ankle"]: np.array([np.cos(0.35), 0.0, -np.sin(0.35)])
        for side in ("left", "right")
    },
}
"""T-pose direction from each joint to its only child, x forward, y left, z up."""


@dataclass(frozen=True)
class PosedSkeleton:
    """A skeleton with bones of constant length and its pose in every frame.

    Attributes:
        offsets: (22, 3) position of each joint in its parent's frame in T-pose [m], x forward,
            y left, z up; zero for the pelvis.
        positions: (T, 22, 3) position of each joint in its parent's frame [m]; of the pelvis in
            the world. Equal to the offsets except for spine1, as the lumbar spine is not a rigid
            part of the pelvis.
        rotations: (T, 22, 3, 3) rotation of each joint's frame in the world; identity in T-pose.
    """

    offsets: np.ndarray
    positions: np.ndarray
    rotations: np.ndarray

    def local_rotations(self) -> np.ndarray:
        """(T, 22, 3, 3) rotation of each joint's frame in its parent's; pelvis: in the world."""
        local = self.rotations.copy()
        parents = list(PARENTS[1:])
        local[:, 1:] = np.swapaxes(self.rotations[:, parents], -1, -2) @ self.rotations[:, 1:]
        return local

    def joints(self) -> np.ndarray:
        """(T, 22, 3) joint positions in the world [m]."""
        joints = self.positions.copy()
        for joint in range(1, NUM_JOINTS):
            parent = PARENTS[joint]
            turned = np.einsum("tij,tj->ti", self.rotations[:, parent], self.positions[:, joint])
            joints[:, joint] = joints[:, parent] + turned
        return joints


def fit_bone_rotations(joints: np.ndarray) -> PosedSkeleton:
    """Fit a skeleton of constant bone lengths to (T, 22, 3) positions [m], z up.

    Bones get their median length. Each bone points from its fitted base to the given position of
    its end, so that errors of length do not add up along a limb.
    """
    joints = np.asarray(joints, dtype=np.float64)
    lengths = np.concatenate([[0.0], np.median(bone_lengths(joints), axis=0)])
    offsets = np.zeros((NUM_JOINTS, 3))
    for joint, child in _CHILD.items():
        offsets[child] = lengths[child] * _REST_DIRECTION[joint]
    # The hips alone determine the pelvis, so that it does not lean with the lumbar spine.
    pelvis, offsets[[1, 2, 3]] = _fit_triangle(joints, 0, (1, 2, 3), (1, 2), (1.0, 1.0, 0.0))
    chest, offsets[[12, 13, 14]] = _fit_triangle(joints, 9, (12, 13, 14), (16, 17), (1.0, 1.0, 1.0))

    rotations = np.empty((len(joints), NUM_JOINTS, 3, 3))
    positions = np.tile(offsets, (len(joints), 1, 1))
    positions[:, 0] = joints[:, 0]
    positions[:, 3] = np.einsum("tji,tj->ti", pelvis, joints[:, 3] - joints[:, 0])
    fitted = joints.copy()
    rotations[:, 0] = pelvis
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        above = rotations[:, parent]
        fitted[:, joint] = fitted[:, parent] + np.einsum("tij,tj->ti", above, positions[:, joint])
        if joint == 9:
            rotations[:, joint] = chest
        elif joint not in _CHILD:
            rotations[:, joint] = above
        else:
            aim = joints[:, _CHILD[joint]] - fitted[:, joint]
            hint, rest_hint, weight = _twist_hint(joint, joints, above, pelvis, chest)
            rotations[:, joint] = _aim(
                aim, hint, above, _REST_DIRECTION[joint], rest_hint, parent_weight=weight
            )
    return PosedSkeleton(offsets, positions, rotations)


def _twist_hint(
    joint: int, joints: np.ndarray, above: np.ndarray, pelvis: np.ndarray, chest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Direction of an axis across the bone, its T-pose direction, and the parent's weight."""
    if joint in (3, 6):
        share = 1.0 / 3.0 if joint == 3 else 2.0 / 3.0
        return (1.0 - share) * pelvis[..., 1] + share * chest[..., 1], _Y, _EPSILON
    if joint == 12:
        return chest[..., 1], _Y, _EPSILON
    if joint in (13, 14):
        return chest[..., 0], _X, _EPSILON
    if joint in (16, 17):
        upper, lower = _bone(joints, joint), _bone(joints, joint + 2)
        # A bent elbow brings the hand forward: the hinge is -z for the left arm of a T-pose.
        side = -1.0 if joint == 16 else 1.0
        return side * np.cross(upper, lower), _Z, _HINGE_WEIGHT_OF_PARENT
    if joint in (1, 2):
        thigh, shank, foot = (_bone(joints, joint + step) for step in (0, 3, 6))
        hinge = np.cross(thigh, shank) - _TOE_WEIGHT * np.cross(shank, foot)
        return hinge, _Y, _HINGE_WEIGHT_OF_PARENT
    # Forearm, shank and foot turn with the hinge above them.
    axis = 2 if joint in (18, 19) else 1
    return above[..., axis], np.eye(3)[axis], _EPSILON


def _bone(joints: np.ndarray, joint: int) -> np.ndarray:
    return unit(joints[:, _CHILD[joint]] - joints[:, joint])


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(…, 3, 3) right-handed frame whose columns are `first` and `second` made perpendicular."""
    second = unit(second - first * (first * second).sum(-1, keepdims=True))
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def _fit_triangle(
    joints: np.ndarray,
    base: int,
    children: tuple[int, ...],
    sides: tuple[int, int],
    weights: tuple[float, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (T, 3, 3) of a rigid part and its children's constant offsets (3, 3).

    The offsets are the median shape in the part's own frame (y through the two sides, z to the
    spine); the rotation is the weighted least-squares one (Kabsch) from them to the positions.
    """
    seen = joints[:, children, :] - joints[:, base : base + 1]  # (T, 3, 3)
    spine = seen[:, children.index(12 if base == 9 else 3)]
    across = unit(joints[:, sides[0]] - joints[:, sides[1]])
    across = np.where(np.abs(across).sum(-1, keepdims=True) > 0, across, _Y)
    up = np.where(np.linalg.norm(np.cross(across, spine), axis=-1)[:, None] > 1e-3, spine, _Z)
    y_z_x = _frame(across, up)
    body = y_z_x[..., [2, 0, 1]]
    offsets = np.median(np.einsum("tji,tcj->tci", body, seen), axis=0)
    # A small pull to the part's frame keeps the fit unique if the children are collinear.
    pulled = np.einsum("c,ci,tcj->tij", weights, offsets, seen) + 1e-6 * np.swapaxes(body, -1, -2)
    u, _, vt = np.linalg.svd(pulled)
    v, ut = np.swapaxes(vt, -1, -2), np.swapaxes(u, -1, -2)
    v[..., -1] *= np.sign(np.linalg.det(v @ ut))[:, None]
    return v @ ut, offsets


def _aim(
    aim: np.ndarray,
    hint: np.ndarray,
    above: np.ndarray,
    rest_direction: np.ndarray,
    rest_hint: np.ndarray,
    *,
    parent_weight: float,
) -> np.ndarray:
    """Rotation (T, 3, 3) that takes the rest direction to `aim` and the rest hint to `hint`."""
    unturned = above @ rest_direction
    direction = unit(aim, unturned)
    carried = (_shortest_rotation(unturned, direction) @ (above @ rest_hint)[..., None])[..., 0]
    beside = np.cross(direction, carried)
    turn = np.stack([(hint * carried).sum(-1), (hint * beside).sum(-1)], axis=-1)
    if parent_weight == _HINGE_WEIGHT_OF_PARENT:
        turn = gaussian_filter1d(turn, _HINGE_SIGMA, axis=0, mode="nearest")
    across = (turn[:, :1] + parent_weight) * carried + turn[:, 1:] * beside
    lost = np.linalg.norm(across, axis=-1, keepdims=True) < 1e-3 * parent_weight
    now = _frame(direction, np.where(lost, carried, across))
    return now @ _frame(rest_direction, rest_hint).T


def _shortest_rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotation of unit vectors `source` to `target` about their common normal."""
    axis = np.cross(source, target)
    cosine = (source * target).sum(-1)[:, None, None]
    skew = np.cross(np.eye(3), axis[:, None, :])
    turn = np.eye(3) + skew + skew @ skew / np.maximum(1.0 + cosine, _EPSILON)
    # Opposite vectors have no common normal: half a turn about any perpendicular axis.
    seed = np.where(np.abs(source[:, :1]) < 0.9, _X, _Y)
    normal = unit(np.cross(source, seed))
    half = 2.0 * normal[:, :, None] * normal[:, None, :] - np.eye(3)
    return np.where(cosine < -1.0 + 1e-6, half, turn)

"""Poses towards keyframes, and arms towards targets of hands; bones keep their lengths."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nextscale_core.motion.skeleton import (
    JOINT_INDEX,
    JOINT_NAMES,
    NUM_JOINTS,
    PARENTS,
    bone_lengths,
)
from nextscale_core.rotations import about_z, exp, skew, unit

_STIFFNESS = {"spine1": 3.0, "spine2": 4.0, "spine3": 4.0, "collar": 3.0, "shoulder": 1.0,
              "elbow": 1.0}  # fmt: skip
"""Cost of turning by 1 rad at a joint."""
_MOST = {"spine1": 0.5, "spine2": 0.3, "spine3": 0.3, "collar": 0.4, "shoulder": 3.0, "elbow": 2.5}
"""Largest change of a joint [rad]."""
_PELVIS = np.array([8.0, 8.0, 5.0])
"""Cost of moving the pelvis by 1 m along x, y and z."""
_LEAN, _RISE = np.array([0.12, 0.12, 0.45]), 0.02
"""Largest movement of the pelvis along x, y and down, and up [m]."""
_PULL = 1000.0
"""Cost of 1 m between a hand and its target."""
_ROUNDS = 40

_POSE_EFFORT, _REACH_EFFORT = 3.0, 0.3
"""Effort of turning all bones, or the joints of an arm, by 1 rad, relative to that of a path."""


def toward_poses(
    joints: np.ndarray,
    poses: Mapping[int, np.ndarray],
    weights: np.ndarray,
    lengths: np.ndarray,
    yaw: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Turn every bone towards its direction in the poses, and lift or lower the pelvis.

    Args:
        joints: (T, 22, 3) positions [m].
        poses: Frame -> (22, 3) positions [m].
        weights: (T, K) effect of each pose on all frames, in the order of the poses.
        lengths: (21,) bone lengths [m].
        yaw: (T,) heading, with which the changes turn [rad].

    Returns:
        (T, 22, 3), in the frames of the poses with their bone directions and pelvis; and a
        measure of the change.
    """
    frames = list(poses)
    if not frames:
        return joints, 0.0
    wanted = np.stack([poses[frame] for frame in frames])
    bones, goals = directions(joints), directions(wanted)
    turns = arcs(bones[frames], goals)
    about = about_z(yaw[:, None] - yaw[frames])
    turned = exp(np.einsum("tk,tkij,kbj->tbi", weights, about, turns)) @ bones[..., None]
    shift = weights @ (wanted[:, 0] - joints[frames, 0])
    effort = _POSE_EFFORT * float((turns**2).sum(-1).mean(1).sum())
    return rebuilt(joints[:, 0] + shift, turned[..., 0], lengths), effort


def directions(joints: np.ndarray) -> np.ndarray:
    """(..., 21, 3) unit vectors from the parents of joints 1..21 to them."""
    return unit(joints[..., 1:, :] - joints[..., PARENTS[1:], :])


def rebuilt(pelvis: np.ndarray, bones: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(T, 22, 3) joints from the pelvis (T, 3), directions (T, 21, 3) and lengths (21,) [m]."""
    out = np.empty((len(pelvis), NUM_JOINTS, 3))
    out[:, 0] = pelvis
    for joint in range(1, NUM_JOINTS):
        out[:, joint] = out[:, PARENTS[joint]] + bones[:, joint - 1] * lengths[joint - 1]
    return out


def arcs(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(..., 3) rotation vectors of the shortest turns between unit vectors [rad]."""
    axis = np.cross(source, target)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (source * target).sum(-1, keepdims=True))
    # Opposite directions: half a turn about any axis across.
    spare = np.cross(source, np.where(np.abs(source[..., 2:]) < 0.9, [0.0, 0, 1], [1.0, 0, 0]))
    return unit(np.where(sine > 1e-6, axis, spare)) * np.where(angle > 1e-6, angle, 0.0)


_PART = [name.split("_")[-1] for name in JOINT_NAMES]
_BEYOND = np.zeros((NUM_JOINTS, NUM_JOINTS), dtype=bool)
"""[i, j]: whether joint j turns with joint i."""
for _child in range(1, NUM_JOINTS):
    _BEYOND[:, _child] = _BEYOND[:, PARENTS[_child]]
    _BEYOND[PARENTS[_child], _child] = True


class Reach:
    """Changes of one pose by which hands reach their targets.

    Attributes:
        pelvis: (3,) movement of the pelvis [m].
        turns: Joint -> (3,) rotation vector by which everything beyond it turns [rad].
        effort: Measure of the change.
    """

    def __init__(
        self, pose: np.ndarray, targets: Mapping[int, np.ndarray], pelvis: bool = False
    ) -> None:
        """Solve by damped least squares within the limits of the joints.

        Args:
            pose: (22, 3) positions [m].
            targets: Wrist -> (3,) its target [m].
            pelvis: Whether the pelvis moves too; the feet are then to be placed again.
        """
        wrists = list(targets)
        self._moved = [
            j for j in range(NUM_JOINTS) if _PART[j] in _STIFFNESS and _BEYOND[j, wrists].any()
        ]
        cost = [np.full(3, _STIFFNESS[_PART[joint]]) for joint in self._moved]
        most = [np.full(3, _MOST[_PART[joint]]) for joint in self._moved]
        # A pelvis that stays has limits of zero.
        weight = np.concatenate([_PELVIS, *cost])
        limit = np.concatenate([_LEAN if pelvis else 0.0 * _LEAN, *most])
        upper = limit.copy()
        upper[2] = min(_RISE, limit[2])
        values = np.zeros(len(weight))
        for _ in range(_ROUNDS):
            self._set(values)
            now = self(pose[None], np.ones(1))[0]
            gap = np.concatenate([goal - now[wrist] for wrist, goal in targets.items()])
            slopes = np.concatenate([self._slopes(now, wrist) for wrist in targets])
            system = _PULL**2 * slopes.T @ slopes + np.diag(weight**2) + 1e-9 * np.eye(len(weight))
            pull = _PULL**2 * slopes.T @ gap - weight**2 * values
            step, free = np.zeros(len(weight)), limit > 0
            # Values at their limits, which the step would push beyond, are left out of it.
            for _ in range(len(weight)):
                step[:] = 0.0
                step[free] = np.linalg.solve(system[np.ix_(free, free)], pull[free])
                stuck = free & np.where(step > 0, values >= upper, values <= -limit)
                if not stuck.any():
                    break
                free &= ~stuck
            # The rotations of a joint are added as vectors, which holds for short steps.
            size = np.abs(step).max()
            values = np.clip(values + step * min(1.0, 0.4 / max(size, 1e-9)), -limit, upper)
            if size < 1e-5:
                break
        self._set(values)
        self.effort = _REACH_EFFORT * float(((weight * values) ** 2).sum())

    def _set(self, values: np.ndarray) -> None:
        self.pelvis = values[:3]
        self.turns = dict(zip(self._moved, values[3:].reshape(-1, 3), strict=True))

    def _slopes(self, now: np.ndarray, wrist: int) -> np.ndarray:
        parts = [np.eye(3)]
        for joint in self._moved:
            beyond = _BEYOND[joint, wrist]
            parts.append(-skew(now[wrist] - now[joint]) if beyond else np.zeros((3, 3)))
        return np.concatenate(parts, axis=1)

    def __call__(
        self, joints: np.ndarray, share: np.ndarray, yaw: np.ndarray | None = None
    ) -> np.ndarray:
        """Joints (T, 22, 3) changed by a share (T,) of the whole in each frame [m].

        Args:
            joints: The motion.
            share: 1 in the frame of the pose, 0 where nothing changes.
            yaw: (T,) heading relative to that of the pose, with which the change turns [rad].
        """
        out = joints + share[:, None, None] * self.pelvis
        about = about_z(np.zeros(len(joints)) if yaw is None else yaw)
        for joint, turn in self.turns.items():
            rotation = exp(share[:, None] * (about @ turn))
            beyond = _BEYOND[joint]
            arm = out[:, beyond] - out[:, joint, None]
            out[:, beyond] = out[:, joint, None] + arm @ np.swapaxes(rotation, -1, -2)
        return out


def with_lengths(pose: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """A pose (22, 3) of a body with other bones (21,): scaled to its legs, directions kept [m]."""
    own = bone_lengths(pose)
    legs = [JOINT_INDEX[f"left_{part}"] - 1 for part in ("knee", "ankle")]
    size = lengths[legs].sum() / own[legs].sum()
    pelvis = pose[0] * [1.0, 1.0, size]
    return np.asarray(rebuilt(pelvis[None], directions(pose)[None], lengths)[0])

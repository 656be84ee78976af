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
from nextscale_core.rotations import about_z, exp, log, skew, unit

_STIFFNESS = {
    "spine1": 3.0,
    "spine2": 4.0,
    "spine3": 4.0,
    "collar": 3.0,
    "shoulder": 1.0,
    "elbow": 1.0,
}
"""Cost of turning by 1 rad at a joint."""
_MOST = {
    "spine1": 0.8,
    "spine2": 0.4,
    "spine3": 0.4,
    "collar": 0.6,
    "shoulder": 3.0,
    "elbow": 2.6,
}
"""Largest change of a joint [rad]."""
_PELVIS = np.array([8.0, 8.0, 5.0])
"""Cost of moving the pelvis by 1 m along x, y and z."""
_LEAN, _RISE = np.array([0.15, 0.15, 0.5]), 0.02
"""Largest movement of the pelvis along x, y and down, and up [m]."""
_PULL = 1000.0
"""Cost of 1 m between a hand and its target."""
_ROUNDS, _STEP = 40, 0.5
"""Largest number of steps of the solver, and largest turn of one [rad]."""
_STILL = np.zeros(3)

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
        turns: (22, 3) rotation vectors of the bones that begin at each joint [rad].
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
        cost = np.array([_STIFFNESS[_PART[joint]] for joint in self._moved])
        most = np.array([_MOST[_PART[joint]] for joint in self._moved])
        weight = np.concatenate([_PELVIS, np.repeat(cost, 3)])
        low, high = (_LEAN * [-1, -1, -1], np.r_[_LEAN[:2], _RISE]) if pelvis else (_STILL, _STILL)
        self.pelvis = np.zeros(3)
        local = np.zeros((len(self._moved), 3))
        for wrist, goal in targets.items():
            local[self._moved.index(PARENTS[wrist])] = _folded(pose, wrist, goal)
        goals = np.concatenate(list(targets.values()))
        for _ in range(_ROUNDS):
            whole = self._whole(local)
            now = _turned(pose[None] + self.pelvis, whole[None])[0]
            slopes = np.concatenate([self._slopes(now, whole, wrist) for wrist in wrists])
            values = np.concatenate([self.pelvis, local.ravel()])
            pull = _PULL**2 * slopes.T @ (goals - now[wrists].ravel()) - weight**2 * values
            system = _PULL**2 * slopes.T @ slopes + np.diag(weight**2)
            free = np.concatenate([high > low, np.ones(local.size, bool)])
            # What is at its limit, and would be moved beyond, is left out of the step.
            for _ in range(len(self._moved) + 1):
                step = np.zeros(len(weight))
                step[free] = np.linalg.solve(system[np.ix_(free, free)], pull[free])
                turn = step[3:].reshape(-1, 3)
                outward = (np.linalg.norm(local, axis=1) > 0.999 * most) & (
                    (turn * local).sum(1) > 0
                )
                past = np.where(step[:3] > 0, self.pelvis >= high, self.pelvis <= low)
                stuck = free & np.concatenate([past, np.repeat(outward, 3)])
                if not stuck.any():
                    break
                free &= ~stuck
            size = np.abs(step).max()
            step *= min(1.0, _STEP / max(size, 1e-9))
            self.pelvis = np.clip(self.pelvis + step[:3], low, high)
            local = log(exp(step[3:].reshape(-1, 3)) @ exp(local))
            norm = np.linalg.norm(local, axis=1)
            local *= np.minimum(1.0, most / np.maximum(norm, 1e-9))[:, None]
            if size < 1e-5:
                break
        self.turns = log(self._whole(local))
        values = np.concatenate([self.pelvis, local.ravel()])
        self.effort = _REACH_EFFORT * float(((weight * values) ** 2).sum())

    def _whole(self, local: np.ndarray) -> np.ndarray:
        """(22, 3, 3) rotations of bones from those of joints against the bone above."""
        own = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
        own[self._moved] = exp(local)
        for joint in range(1, NUM_JOINTS):
            own[joint] = own[PARENTS[joint]] @ own[joint]
        return own

    def _slopes(self, now: np.ndarray, whole: np.ndarray, wrist: int) -> np.ndarray:
        """(3, 3 + 3 n) derivatives of a hand by movement of the pelvis and turns of joints."""
        parts = [np.eye(3)]
        for joint in self._moved:
            lever = -skew(now[wrist] - now[joint]) @ whole[PARENTS[joint]]
            parts.append(lever * float(_BEYOND[joint, wrist]))
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
        about = about_z(np.zeros(len(joints)) if yaw is None else yaw)
        turns = np.einsum("tij,kj->tki", about, self.turns) * share[:, None, None]
        return _turned(joints + share[:, None, None] * self.pelvis, exp(turns))


def _turned(joints: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Joints (T, 22, 3) whose bones are turned by the rotations (T, 22, 3, 3) at their begin."""
    out = joints.copy()
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        bone = (turns[:, parent] @ (joints[:, joint] - joints[:, parent])[..., None])[..., 0]
        out[:, joint] = out[:, parent] + bone
    return out


def _folded(pose: np.ndarray, wrist: int, goal: np.ndarray) -> np.ndarray:
    """(3,) turn of an elbow that brings the hand as near to the shoulder as its goal [rad].

    A straight arm does not become shorter by small turns, so the solver needs it to begin with.
    """
    elbow = PARENTS[wrist]
    shoulder = PARENTS[elbow]
    upper, fore = pose[elbow] - pose[shoulder], pose[wrist] - pose[elbow]
    a, b, away = np.linalg.norm(upper), np.linalg.norm(fore), np.linalg.norm(goal - pose[shoulder])
    wanted = np.arccos(np.clip((away**2 - a**2 - b**2) / (2 * a * b), -1.0, 1.0))
    hinge = np.cross(upper, fore)
    if np.linalg.norm(hinge) < 0.05 * a * b:
        ahead = np.cross([0.0, 0.0, 1.0], pose[17] - pose[16])
        hinge = np.cross(upper, ahead)
    now = np.arctan2(np.linalg.norm(np.cross(upper, fore)), upper @ fore)
    return np.asarray(unit(hinge) * np.clip(wanted - now, 0.0, _MOST["elbow"]))


def with_lengths(pose: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """A pose (22, 3) of a body with other bones (21,): scaled to its legs, directions kept [m]."""
    own = bone_lengths(pose)
    legs = [JOINT_INDEX[f"left_{part}"] - 1 for part in ("knee", "ankle")]
    size = lengths[legs].sum() / own[legs].sum()
    pelvis = pose[0] * [1.0, 1.0, size]
    return np.asarray(rebuilt(pelvis[None], directions(pose)[None], lengths)[0])

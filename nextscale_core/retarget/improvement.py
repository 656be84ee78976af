"""Improving a solved clip: settle what still moves, calm what is too fast, part what touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.linalg import lapack

from nextscale_core.retarget.config import InverseKinematicsConfig, Pass
from nextscale_core.retarget.targets import Targets
from nextscale_core.robots.collision import CollisionModel, collision_model
from nextscale_core.robots.kinematics import Poses
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.separation_terms import WitnessPoints


class Improvement:
    """The passes over a clip after its first step.

    Each pass solves again only the frames that need it (see `Pass`) and some beside them.

    Args:
        robot: The robot.
        config: The passes, and when a frame needs them.
    """

    def __init__(self, robot: Robot, config: InverseKinematicsConfig):
        self._robot, self._config = robot, config
        near, room = robot.profile.collision_margin, config.parting_room
        self._collisions: CollisionModel = collision_model(robot, near + room / 2, near)
        self._enough = near + config.parting_enough
        self._wanted = near + room * self._collisions.share
        self._apart = np.minimum(self._collisions.reach, config.parting_done)

    def forget(self) -> None:
        """Forget what earlier motions left behind; see `CollisionModel.forget`."""
        self._collisions.forget()

    def run(
        self, targets: Targets, poses: Poses, moved: np.ndarray, step: Callable[..., Poses]
    ) -> Poses:
        """The clip after all passes.

        Args:
            targets: What each keypoint should do.
            poses: The clip after a first step.
            moved: (T,) largest change of a joint in that step [rad].
            step: A step of the whole-clip solver.
        """
        config, number = self._config, self._robot.num_joints
        weight = np.broadcast_to(config.smoothness.joints, (len(poses) - 2, number))
        # Pairs of earlier passes stay, or bodies would come together again.
        near = WitnessPoints.none()
        solved = np.ones(len(poses), dtype=bool)
        for one in config.passes:
            near, touching = self._touching(poses, solved, near)
            use = self._acceleration_use(poses, targets.fps)
            solved = self._unsolved(one, touching, moved, use, bool(len(near)))
            if not solved.any():
                break
            solved = self._around(solved)
            stiffer = np.clip(use, 1.0, one.max_multiple) ** one.power
            weight = weight * _spread(np.where(solved[1:-1, None], stiffer, 1.0))
            here = near[solved[near.where[:, 0]]]
            parting = np.zeros(len(poses), dtype=bool)
            parting[here.where[:, 0]] = True
            before = poses
            poses = step(
                targets,
                poses,
                replace(config.smoothness, joints=weight),
                self._collisions.separation_terms(poses, here, self._wanted),
                damping=np.where(self._around(parting), config.parting_damping, config.damping),
                frames=solved,
            )
            # Bodies that are being parted move for as long as they touch.
            moved = np.where(parting, 0.0, np.abs(poses.joints - before.joints).max(1))
        return poses

    def _unsolved(
        self, one: Pass, touching: np.ndarray, moved: np.ndarray, use: np.ndarray, contact: bool
    ) -> np.ndarray:
        """(T,) True for the frames that a pass has to solve again."""
        unsolved = moved > self._config.settled if one.settle else np.zeros(len(moved), dtype=bool)
        unsolved[touching] = True
        if one.calm and (contact or not one.contact_only):
            unsolved[1:-1] |= (use > one.calm).any(1)
        return unsolved

    def _touching(
        self, poses: Poses, solved: np.ndarray, near: WitnessPoints
    ) -> tuple[WitnessPoints, np.ndarray]:
        """Pairs that touch or have touched, and the frames in which they touch now.

        Only frames `solved` (T,) have changed since `near`.
        """
        collisions, rows = self._collisions, np.flatnonzero(solved)
        changed = solved[near.where[:, 0]]
        known = near.where[changed]
        row = np.cumsum(solved) - 1
        found = collisions.close_pairs(
            poses.joints[rows], np.stack([row[known[:, 0]], known[:, 1]], axis=1)
        )
        found = np.stack([rows[found[:, 0]], found[:, 1]], axis=1)
        again = collisions.nearest(poses.joints, known)
        gain = again.distance - near.distance[changed][np.lexsort(known.T)]
        held = (gain < self._config.parting_gain) & (again.distance > self._enough)
        close = (again.distance < self._apart[again.where[:, 1]]) & ~held
        touching = np.concatenate([found[:, 0], again.where[close, 0]])
        return near[~changed] + again + collisions.nearest(poses.joints, found), touching

    def _acceleration_use(self, poses: Poses, fps: float) -> np.ndarray:
        """(T - 2, J) accelerations of the spline over the calm share of their limits.

        Those of the cubic spline without knots at the first and the last frame between: at even
        knots its second derivatives M solve M_(i-1) + 4 M_i + M_(i+1) = 6 (second difference).
        """
        bend = np.diff(poses.joints, 2, axis=0) * fps**2
        below, at, above = np.ones(len(bend) - 1), np.full(len(bend), 4.0), np.ones(len(bend) - 1)
        bend[1:-1] *= 6.0
        # At the ends of the knots, where M is linear across two intervals, 6 M_1 is that.
        at[[0, -1]], above[0], below[-1] = 1.0, 0.0, 0.0
        second = np.abs(lapack.dgtsv(below, at, above, bend)[3])
        return np.asarray(second / (self._config.calm_share * self._robot.acceleration_limit))

    def _around(self, frames: np.ndarray) -> np.ndarray:
        """(T,) True for marked frames and those beside them."""
        window = np.ones(2 * self._config.reach + 1)
        return np.asarray(np.convolve(frames, window)[len(window) // 2 :][: len(frames)] > 0.5)


def _spread(weight: np.ndarray) -> np.ndarray:
    """Largest of each frame and its neighbours, (T - 2, J)."""
    padded = np.pad(weight, ((1, 1), (0, 0)), mode="edge")
    return np.maximum(np.maximum(padded[:-2], padded[2:]), weight)

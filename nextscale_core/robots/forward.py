"""Forward kinematics of a whole clip in few NumPy operations.

Time is the last axis of everything here: one operation on a level of the kinematic tree then runs
over long contiguous rows instead of over thousands of 3 x 3 matrices. Each joint's frame is turned
so that its axis is z; turning about it mixes two columns, and the third is the axis itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.robots.mimic import Coupling


@dataclass(frozen=True)
class Frames:
    """Where the base and all joints are.

    Row 0 is the base, row 1 + j joint j.

    Attributes:
        columns: (1 + J, 3, 3, T) world directions [body, axis, xyz, frame] of each body's own,
            turned axes; `columns[1 + j, 2]` is the axis of joint j.
        origin: (1 + J, 3, T) world positions [m].
    """

    columns: np.ndarray
    origin: np.ndarray

    def place(self, body: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """World positions of points fixed to bodies, (P, 3, T) [m].

        Args:
            body: (P,) row of each point's body.
            offset: (P, 3) point, from `ForwardKinematics.local`.
        """
        frames = self.origin.shape[-1]
        turned = offset[:, None] @ self.columns.reshape(len(self.columns), 3, -1)[body]
        turned = turned.reshape(-1, 3, frames)
        turned += self.origin[body]
        return turned


class ForwardKinematics:
    """The kinematic tree, prepared for whole clips.

    Args:
        parent: (J,) parent joint, -1 for the base; parents come before their children.
        shift: (J, 3) place of each joint in its parent's frame [m].
        turn: (J, 3, 3) orientation of each joint in its parent's frame, at zero.
        axis: (J, 3) unit axis of each joint in its own frame.
        coupling: From the positions that clips hold to those of the J joints here, where some
            joints mimic others.
    """

    def __init__(
        self,
        parent: np.ndarray,
        shift: np.ndarray,
        turn: np.ndarray,
        axis: np.ndarray,
        coupling: Coupling | None = None,
    ):
        count = len(parent)
        self._coupling = coupling
        # own[b] @ z is the axis of body b in the frame of the description.
        self.own = np.concatenate([np.eye(3)[None], np.stack([_onto(one) for one in axis])])
        above = self.own[parent + 1].transpose(0, 2, 1)
        link = above @ turn @ self.own[1:]
        step = np.empty((count, 4, 3))
        step[:, :3] = link.transpose(0, 2, 1)
        step[:, 3] = (above @ shift[..., None])[..., 0]
        depth = np.zeros(count, dtype=int)
        for j, p in enumerate(parent):
            depth[j] = depth[p] + 1 if p >= 0 else 0
        levels = [np.flatnonzero(depth == level) for level in range(int(depth.max()) + 1)]
        self._levels = [(level, parent[level] + 1, step[level]) for level in levels]

    def local(self, body: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Points (P, 3) in the description's frames of bodies (rows), in the turned frames."""
        return (offset[:, None] @ self.own[body])[:, 0]

    def __call__(self, base: np.ndarray, rotation: np.ndarray, joints: np.ndarray) -> Frames:
        """Frames of a clip.

        Args:
            base: (T, 3) [m].
            rotation: (T, 3, 3) orientation of the base.
            joints: (T, J) [rad]; of the commanded joints where there is a coupling.
        """
        if self._coupling is not None:
            joints = self._coupling.positions(joints)
        frames, count = joints.shape
        columns = np.empty((count + 1, 3, 3, frames))
        origin = np.empty((count + 1, 3, frames))
        columns[0], origin[0] = rotation.transpose(2, 1, 0), base.T
        flat = columns.reshape(count + 1, 3, 3 * frames)
        angles = np.ascontiguousarray(joints.T)
        cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
        for level, above, step in self._levels:
            here = (step @ flat[above]).reshape(-1, 4, 3, frames)
            c, s, x, y = cosine[level], sine[level], here[:, 0], here[:, 1]
            turned = np.empty((len(level), 3, 3, frames))
            np.multiply(c, x, out=turned[:, 0])
            turned[:, 0] += s * y
            np.multiply(c, y, out=turned[:, 1])
            turned[:, 1] -= s * x
            turned[:, 2] = here[:, 2]
            columns[level + 1] = turned
            origin[level + 1] = here[:, 3] + origin[above]
        return Frames(columns, origin)


def _onto(axis: np.ndarray) -> np.ndarray:
    """A rotation whose z column is `axis`; exact where that is a coordinate axis."""
    z = axis / np.linalg.norm(axis)
    x = np.eye(3)[np.abs(z).argmin()]
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)

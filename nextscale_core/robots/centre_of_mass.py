"""Centre of mass of whole clips, and its derivative with respect to base and joints."""

from __future__ import annotations

import numpy as np

from nextscale_core.robots.kinematics import Frames, Kinematics


class CentreOfMass:
    """The centre of mass of a robot.

    Args:
        kinematics: The robot's.

    Attributes:
        mass: Of the whole robot [kg].
        local: (1 + B, 3) centre of mass of the base and of each body in its turned frame [m].
        share: (1 + B,) their shares of the mass.
    """

    def __init__(self, kinematics: Kinematics):
        # Inertia 1 is the base, 2 + b is body b.
        inertias = list(kinematics.robot.model.inertias)[1:]
        masses = np.array([inertia.mass for inertia in inertias])
        self._kinematics = kinematics
        self._rows = np.arange(len(inertias))
        lever = np.stack([inertia.lever for inertia in inertias])
        self.local = kinematics.tree.local(self._rows, lever)
        self.mass = float(masses.sum())
        self.share = masses / max(self.mass, 1e-9)
        carried = [kinematics.ancestors(body - 1) for body in range(len(inertias))]
        # (B, 1 + B) share of the mass of each body that a joint moves.
        self._moved = np.stack(carried, axis=1) * self.share

    def position(self, frames: Frames) -> np.ndarray:
        """(T, 3) in the world [m]."""
        return np.einsum("b,bct->tc", self.share, frames.place(self._rows, self.local))

    def horizontal_rows(self, frames: Frames, joints: np.ndarray) -> np.ndarray:
        """(T, 2, 6 + A) derivative of x and y with respect to base and joints (A,).

        The base's rates are its velocity and its rate of turn in the world, as in
        `NormalEquations`.
        """
        k, place = self._kinematics, frames.place(self._rows, self.local)
        count, bodies = place.shape[-1], len(self._moved)
        arm = np.einsum("b,bct->ct", self.share, place) - frames.origin[0]
        rows = np.zeros((count, 2, 6 + len(joints)))
        rows[:, 0, 0] = rows[:, 1, 1] = 1.0
        rows[:, 0, 4], rows[:, 0, 5] = arm[2], -arm[1]
        rows[:, 1, 3], rows[:, 1, 5] = -arm[2], arm[0]
        moment = (self._moved @ place.reshape(len(place), -1)).reshape(bodies, 3, count)
        moment -= self._moved.sum(1)[:, None, None] * frames.origin[1:]
        axis = frames.columns[1:, 2]
        turned = np.stack(
            [
                axis[:, 1] * moment[:, 2] - axis[:, 2] * moment[:, 1],
                axis[:, 2] * moment[:, 0] - axis[:, 0] * moment[:, 2],
            ]
        ).transpose(2, 0, 1)
        rows[:, :, 6:] = (turned if k.fold is None else turned @ k.fold)[..., joints]
        return rows

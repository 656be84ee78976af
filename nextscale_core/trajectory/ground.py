"""Moves of references on the floor: a shift and a turn, at once or over time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.rotations import heading_of
from nextscale_core.trajectory.curves import minimum_jerk
from nextscale_core.trajectory.reference import Reference


@dataclass(frozen=True)
class Ground:
    """A shift and a turn about the vertical: p becomes turn * p + shift, with p = x + i y.

    Attributes:
        turn: Of length 1.
        shift: [m].
    """

    turn: np.ndarray | complex = 1.0 + 0j
    shift: np.ndarray | complex = 0j

    @classmethod
    def between(
        cls,
        position: np.ndarray,
        quaternion: np.ndarray,
        to_position: np.ndarray,
        to_quaternion: np.ndarray,
    ) -> Ground:
        """What moves one root over the place and into the heading of another.

        Args:
            position: (3,) [m].
            quaternion: (4,) x y z w.
            to_position: (3,) of the other [m].
            to_quaternion: (4,) of the other.
        """
        turn = complex(np.exp(1j * (heading_of(to_quaternion) - heading_of(quaternion))))
        return cls(turn, on_floor(to_position) - turn * on_floor(position))

    def apply(self, reference: Reference) -> Reference:
        """N references at another place; twists are in the frame of the root, and stay."""
        place = reference.base_position.copy()
        moved = self.turn * (place[:, 0] + 1j * place[:, 1]) + self.shift
        place[:, 0], place[:, 1] = moved.real, moved.imag
        vector = np.zeros((len(place), 3))
        vector[:, 2] = np.angle(self.turn)
        about = Rotation.from_rotvec(vector)
        quaternion = (about * Rotation.from_quat(reference.base_quaternion)).as_quat()
        return replace(reference, base_position=place, base_quaternion=quaternion)


@dataclass(frozen=True)
class Anchor:
    """A correction of place and heading over time.

    Attributes:
        before: Correction until now.
        at: Time of the change [s].
        seconds: Its duration [s].
        pivot: Place that is turned about, x + i y [m].
        turn: Change of heading [rad].
        shift: Change of place, x + i y [m].
    """

    before: Ground = Ground()
    at: float = -1.0
    seconds: float = 1.0
    pivot: complex = 0j
    turn: float = 0.0
    shift: complex = 0j

    def moved(self, by: Ground) -> Anchor:
        """The correction, followed by a move at all times."""
        before = Ground(by.turn * self.before.turn, by.turn * self.before.shift + by.shift)
        pivot, shift = by.turn * self.pivot + by.shift, by.turn * self.shift
        return replace(self, before=before, pivot=complex(pivot), shift=complex(shift))

    def ground(self, times: np.ndarray) -> Ground:
        """The correction at times (N,) [s]."""
        w = minimum_jerk(np.clip((times - self.at) / self.seconds, 0.0, 1.0))
        about = np.exp(1j * self.turn * w)
        shift = about * (self.before.shift - self.pivot) + self.pivot + self.shift * w
        return Ground(about * self.before.turn, shift)


def on_floor(position: np.ndarray) -> complex:
    """Place x + i y of a position (3,) [m]."""
    return complex(position[0], position[1])

"""Balance: where the centre of mass has to be for the feet to carry the motion.

A robot of mass m whose centre of mass c is h above the floor has its zero-moment point at
p = c - h / g c''. Where p leaves the support polygon, it is moved inside; the change d of p asks
for a change e of c with e - h / g e'' = d. Its solution fades within sqrt(h / g), a quarter of a
second for a humanoid: the robot leans in time before a step, and a slow one has its centre of mass
over its feet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage
from scipy.linalg import solve_banded

from nextscale_core.retarget.config import RETARGET, BalanceConfig, Smoothness
from nextscale_core.retarget.targets import CentreGoal, Targets
from nextscale_core.robots.centre_of_mass import CentreOfMass
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.support_polygon import in_contact, support_polygon
from nextscale_core.rotations import smoothstep

_GRAVITY = 9.81


class Balance:
    """Brings the centre of mass of slow motions over the feet.

    Args:
        kinematics: The robot's.
        config: Margins and weights.
    """

    def __init__(self, kinematics: Kinematics, config: BalanceConfig = RETARGET.balance):
        self._kinematics, self._config = kinematics, config
        self._centre = CentreOfMass(kinematics)
        # Hands are no counterweights: no goal keeps them where they are.
        ends = [kinematics.index[f"{side}_{end}"] for side in SIDES for end in ("ankle", "elbow")]
        self._joints = np.asarray(kinematics.support[ends].any(0))

    def run(
        self, targets: Targets, poses: Poses, smoothness: Smoothness, step: Callable[..., Poses]
    ) -> tuple[Poses, Callable[..., Poses]]:
        """The balanced clip, and a step of the solver that keeps it balanced.

        Args:
            targets: What each keypoint should do.
            poses: The clip after a first step.
            smoothness: Weights of the second differences.
            step: A step of the whole-clip solver.
        """
        balanced = step
        for _ in range(self._config.rounds):
            balanced = partial(step, centre=self.goal(poses, targets.fps))
            poses = balanced(targets, poses, smoothness)
        return poses, balanced

    def goal(self, poses: Poses, fps: float) -> CentreGoal:
        """Where the centre of mass has to be, from where it is."""
        k, config = self._kinematics, self._config
        frames = k.frames(poses)
        corners = frames.place(k.body[k.soles], k.local[k.soles]).transpose(2, 0, 1)
        # The robot stands in the first pose before the motion, and in the last one after it.
        rest = round(config.rest * fps)
        ends = [(rest, rest), (0, 0)]
        centre = np.pad(self._centre.position(frames), ends, mode="edge")
        corners = np.pad(corners, [*ends, (0, 0)], mode="edge")
        contact = in_contact(corners, 1 / fps, config.contact_height, config.contact_speed)
        place = ndimage.gaussian_filter1d(centre[:, :2], config.smoothing * fps, axis=0)
        push = np.zeros_like(place)
        push[1:-1] = np.diff(place, 2, axis=0) * fps**2
        stiff = np.maximum(centre[:, 2:], config.min_height) / _GRAVITY
        point = place - stiff * push
        wanted = support_polygon(corners[..., :2], contact).inside(point, config.margin)
        # A fast rise or fall is a jump.
        speed = np.linalg.norm(np.gradient(centre, 1 / fps, axis=0), axis=1)
        slow = 1.0 - smoothstep(speed, config.slow, config.fast)
        change = np.clip(wanted - point, -config.max_change, config.max_change) * slow[:, None]
        shift = _followed(change, stiff[:, 0] * fps**2)
        place = (centre[:, :2] + shift)[rest : len(centre) - rest]
        return CentreGoal(place, config.weight, self._joints)


def _followed(change: np.ndarray, stiff: np.ndarray) -> np.ndarray:
    """(T, 2) the e with e - stiff e'' = change, at rest at both ends; e'' per frame squared."""
    band = np.zeros((3, len(change)))
    band[0, 1:], band[2, :-1] = -stiff[:-1], -stiff[1:]
    band[1] = 1.0 + 2.0 * stiff
    band[1, 0] -= stiff[0]
    band[1, -1] -= stiff[-1]
    return np.asarray(solve_banded((1, 1), band, change))

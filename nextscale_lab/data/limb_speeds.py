"""Speed of hands and feet in features."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from nextscale_core.motion.features import VELOCITIES
from nextscale_core.motion.skeleton import FPS, JOINT_INDEX, NUM_JOINTS

LEGS, ARMS = (
    tuple(JOINT_INDEX[f"{side}_{part}"] for part in parts for side in ("left", "right"))
    for parts in (("ankle", "foot"), ("elbow", "wrist"))
)
LIMBS = LEGS + ARMS


def limb_speeds(features: np.ndarray, joints: tuple[int, ...] = LIMBS) -> np.ndarray:
    """(T,) maximum speed of a limb relative to the root within half a second [m/s].

    Args:
        features: (T, 263) HumanML3D features.
        joints: Indices of the joints.
    """
    velocity = features[:, VELOCITIES].reshape(-1, NUM_JOINTS, 3)
    relative = velocity[:, joints] - velocity[:, :1]
    fastest = np.linalg.norm(relative, axis=-1).max(1) * FPS
    return np.asarray(maximum_filter1d(fastest, round(0.5 * FPS)))

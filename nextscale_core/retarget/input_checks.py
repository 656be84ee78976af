"""What no human does: the solver would follow it, for minutes and into knots."""

from __future__ import annotations

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.skeleton import JOINT_INDEX

FASTEST = 100.0
"""Hips and ankles that are faster than this are somewhere else, not moving [m/s]."""

FAR = 1e5
"""Further from the origin, single precision no longer tells a step from none [m]."""


def require_plausible(joints: np.ndarray, fps: float) -> None:
    """Refuse positions that are no motion of a body.

    Single joints of the arms and the head may be anywhere: only their directions are followed.

    Args:
        joints: (T, 22, 3) positions [m].
        fps: Frames per second [Hz].

    Raises:
        InvalidMotionError: NaN or infinity (an array may have been written to since its clip was
            made), positions far from the origin, or hips or ankles that jump.
    """
    if not np.isfinite(joints).all():
        frame = int(np.argwhere(~np.isfinite(joints))[0, 0])
        raise InvalidMotionError(f"joints hold NaN or infinity, first in frame {frame}")
    furthest = float(np.abs(joints).max())
    if furthest > FAR:
        raise InvalidMotionError(
            f"the motion goes {furthest:.3g} m from the origin, at most {FAR:g} m can be followed; "
            "is it in metres?"
        )
    for names in (("left_hip", "right_hip"), ("left_ankle",), ("right_ankle",)):
        track = np.mean([joints[:, JOINT_INDEX[name]] for name in names], axis=0)
        step = np.linalg.norm(np.diff(track, axis=0), axis=-1)
        if len(step) and step.max() * fps > FASTEST:
            frame = int(step.argmax())
            raise InvalidMotionError(
                f"{' and '.join(names)} jump {step.max():.3g} m from frame {frame} to the next, "
                f"which is {step.max() * fps:.3g} m/s; at most {FASTEST:g} m/s can be a motion"
            )

"""Where knees and elbows are on the axes of their joints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pinocchio as pin

_ASIDE = 0.005
"""Shorter distances between a joint's origin and its limb are left as they are [m]."""


def hinge_points(
    model: pin.Model,
    limbs: Mapping[str, Mapping[str, str]],
    hand: tuple[float, float, float] | None,
) -> dict[str, np.ndarray]:
    """Knees and elbows that lie beside the origins of their joints.

    A description may put the origin of a joint anywhere on its axis, such as where the motor's
    shaft ends. Where both neighbours lie to one side along that axis, the limb passes there.

    Args:
        model: Base with x forward and z up, at zero.
        limbs: 'left' and 'right' -> body part -> joint name.
        hand: As in `RobotProfile`.

    Returns:
        (3,) from the joint's origin to the point, by body part ('left_elbow') [m].
    """
    data = model.createData()
    pin.computeJointJacobians(model, data, pin.neutral(model))
    found = {}
    for side, limb in limbs.items():
        at = {part: data.oMi[model.getJointId(joint)].translation for part, joint in limb.items()}
        if "wrist" not in at and hand is not None:
            at["wrist"] = at["elbow"] + np.array(hand) * [1.0, 1.0 if side == "left" else -1.0, 1.0]
        for near, part, far in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            joint = model.joints[model.getJointId(limb[part])]
            axis = data.J[3:, joint.idx_v]
            along = sorted(((at[end] - at[part]) @ axis for end in (near, far)), key=abs)
            if along[0] * along[1] > 0 and abs(along[0]) > _ASIDE:
                found[f"{side}_{part}"] = along[0] * axis
    return found

"""The nominal posture of a drafted profile: bent knees, flat soles and hanging arms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pinocchio as pin
from scipy.optimize import least_squares

from nextscale_core.robot_setup.anatomy import Anatomy
from nextscale_core.robots.description import at_zero, limb_offsets
from nextscale_core.robots.profile import SIDES, Sole
from nextscale_core.rotations import unit

_KNEE = 0.3
"""Bend of the knees [rad]."""

_INSIDE = 0.02
"""Distance kept to position limits [rad]."""

Ranges = Mapping[str, tuple[float, float]]
"""Lower and upper position limit by joint [rad]."""


def nominal_posture(
    model: pin.Model, anatomy: Anatomy, ranges: Ranges, sole: Sole, notes: list[str]
) -> dict[str, float]:
    """Joint positions other than zero [rad]; limits that are too narrow are appended to `notes`."""
    values: dict[str, float] = {}
    arm: dict[str, float] = {}
    for side in SIDES:
        for joint, wanted in _standing(model, anatomy, side, ranges, sole).items():
            lower, upper = ranges[joint]
            value = float(np.clip(wanted, lower + _INSIDE, upper - _INSIDE))
            if abs(value - wanted) > 0.1:
                notes.append(
                    f"{joint} should stand at {wanted:.2f} rad, its limits are {lower:g} to "
                    f"{upper:g}: are they right? (limits.position)"
                )
            values[joint] = value
        arm = _hanging(model, anatomy, side, ranges, _mirrored(model, anatomy, arm))
        values.update(arm)
    return {joint: round(value, 2) for joint, value in values.items() if abs(value) > 0.02}


class _Limb:
    """Forward kinematics of the named joints of one limb, the others at zero."""

    def __init__(self, model: pin.Model, joints: Sequence[str], known: Collection[str]):
        kinds = model.joints
        self.joints = [
            joint for joint in joints if joint in known and kinds[model.getJointId(joint)].nq == 1
        ]
        self._rows = [kinds[model.getJointId(joint)].idx_q for joint in self.joints]
        self._model, self._data = model, model.createData()

    def __call__(self, angles: np.ndarray, *parts: str) -> list[pin.SE3]:
        """Placements of some joints at given angles [rad]."""
        q = pin.neutral(self._model)
        q[self._rows] = angles
        pin.forwardKinematics(self._model, self._data, q)
        return [self._data.oMi[self._model.getJointId(part)] for part in parts]


def _standing(
    model: pin.Model, anatomy: Anatomy, side: str, known: Collection[str], sole: Sole
) -> dict[str, float]:
    """Leg angles for bent knees and a level sole, whatever the limits [rad].

    Seen from the side, thighs lean forward from the vertical as much as shanks lean backward.
    """
    limb = anatomy.limbs[side]
    pose = _Limb(model, anatomy.legs[side], known)
    flat = sole.tilt.T @ pose(np.zeros(len(pose.joints)), limb["ankle"])[0].rotation
    lean = np.array([np.sin(_KNEE / 2), -np.cos(_KNEE / 2)])

    def residual(angles: np.ndarray) -> np.ndarray:
        hip, knee, ankle = pose(angles, limb["hip"], limb["knee"], limb["ankle"])
        thigh = (knee.translation - hip.translation)[[0, 2]]
        shank = (ankle.translation - knee.translation)[[0, 2]]
        return np.concatenate(
            [
                thigh / np.linalg.norm(thigh) - lean,
                shank / np.linalg.norm(shank) - lean * [-1.0, 1.0],
                (ankle.rotation - flat).reshape(-1),
                0.02 * angles,
            ]
        )

    best = least_squares(residual, np.zeros(len(pose.joints))).x
    return dict(zip(pose.joints, best.tolist(), strict=True))


def _hanging(
    model: pin.Model, anatomy: Anatomy, side: str, ranges: Ranges, first: Mapping[str, float]
) -> dict[str, float]:
    """Angles of a hanging arm [rad]; those of `first` unless others fit much better."""
    limb, arm = anatomy.limbs[side], anatomy.arms[side]
    mirror = np.array([1.0, 1.0 if side == "left" else -1.0, 1.0])
    pose = _Limb(model, arm[: arm.index(limb["wrist"])] if "wrist" in limb else arm, ranges)
    turn = pose(np.zeros(len(pose.joints)), limb["elbow"])[0].rotation.T.copy()
    offsets = limb_offsets(model, anatomy.limbs, anatomy.hand)
    aside = turn @ offsets.get(f"{side}_elbow", np.zeros(3))
    hand = None if anatomy.hand is None else turn @ (mirror * anatomy.hand)
    wanted = [unit(mirror * direction) for direction in ((0.0, 0.15, -1.0), (0.35, 0.15, -1.0))]

    def residual(angles: np.ndarray) -> np.ndarray:
        shoulder, elbow, end = pose(
            angles, limb["shoulder"], limb["elbow"], limb.get("wrist", limb["elbow"])
        )
        middle = elbow.act(aside)
        wrist = end.translation if "wrist" in limb else elbow.act(hand)
        return np.concatenate(
            [
                unit(middle - shoulder.translation) - wanted[0],
                unit(wrist - middle) - wanted[1],
                0.03 * angles,
            ]
        )

    low = np.array([ranges[joint][0] for joint in pose.joints]) + _INSIDE
    high = np.maximum(np.array([ranges[joint][1] for joint in pose.joints]) - _INSIDE, low + 1e-6)
    near = np.clip(low, -2.0, 0.0), np.clip(high, 0.0, 2.0)
    random = np.random.default_rng(0).uniform(near[0], near[1] + 1e-9, (4, len(low)))
    starts = [np.zeros(len(low)), *random]
    if all(joint in first for joint in pose.joints):
        starts.insert(0, np.array([first[joint] for joint in pose.joints]))
    found = [
        least_squares(residual, np.clip(start, low, high), bounds=(low, high)) for start in starts
    ]
    good = min(float(result.cost) for result in found) + 1e-3
    best = next(result for result in found if result.cost <= good)
    return dict(zip(pose.joints, best.x.tolist(), strict=True))


def _mirrored(model: pin.Model, anatomy: Anatomy, left: Mapping[str, float]) -> dict[str, float]:
    """Angles of the right arm that mirror those of the left [rad]."""
    data = at_zero(model)
    angles = {}
    for one, other in zip(anatomy.arms["left"], anatomy.arms["right"], strict=False):
        axes = [data.J[3:, model.joints[model.getJointId(joint)].idx_v] for joint in (one, other)]
        if one in left:
            # A mirrored axis of rotation keeps its lateral part and changes the sign of the others.
            angles[other] = left[one] * float(np.sign(axes[0] @ ([-1.0, 1.0, -1.0] * axes[1])))
    return angles

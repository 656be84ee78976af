"""Whether the right half of a robot mirrors the left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pinocchio as pin

from nextscale_core.robots.description import chain
from nextscale_core.robots.profile import LIMB_PARTS, SIDES, RobotProfile
from nextscale_core.robots.remarks import Remark, ok, warning

_MIRROR = np.array([1.0, -1.0, 1.0])
_PLACE, _ANGLE, _SPEED = 0.01, 0.02, 0.02
"""Differences that are worth a remark [m], [rad], share of a velocity limit."""


def symmetry_remarks(
    model: pin.Model, profile: RobotProfile, limits: Mapping[str, tuple[float, float, float]]
) -> Iterator[Remark]:
    """Remarks on places, position limits and velocity limits that differ between the sides.

    Args:
        model: Base with x forward and z up, nothing locked left in it.
        profile: Names the limbs.
        limits: Lower [rad], upper [rad], velocity [rad/s] by joint.
    """
    data = model.createData()
    pin.computeJointJacobians(model, data, pin.neutral(model))
    place = {name: data.oMi[number].translation for number, name in enumerate(model.names)}
    found = 0
    for part in LIMB_PARTS:
        if part not in profile.left or part not in profile.right:
            continue
        left, right = profile.left[part], profile.right[part]
        away = place[left] * _MIRROR - place[right]
        # The origin of a joint may be anywhere on its axis.
        axis = data.J[3:, model.joints[model.getJointId(right)].idx_v]
        away = away - axis * float(away @ axis)
        if np.linalg.norm(away) > _PLACE:
            found += 1
            yield warning(
                "symmetry",
                f"{part}: {right} is {np.linalg.norm(away) * 100:.1f} cm from where {left} is on "
                "the left",
                "are these the same joints?",
            )
    for part in ("ankle", "wrist"):
        # An arm without a wrist ends at the elbow.
        ends = (profile.limb(side).get(part, profile.limb(side)["elbow"]) for side in SIDES)
        pairs = zip(*(chain(model, end) for end in ends), strict=False)
        for left, right in pairs:
            if left == right:
                continue
            for message in _differences(model, data, left, right, limits):
                found += 1
                yield warning("symmetry", message, "is one of them wrong? (limits in the profile)")
    if not found:
        yield ok("symmetry", "the right half mirrors the left")


def _differences(
    model: pin.Model,
    data: pin.Data,
    left: str,
    right: str,
    limits: Mapping[str, tuple[float, float, float]],
) -> Iterator[str]:
    rows = [model.joints[model.getJointId(name)].idx_v for name in (left, right)]
    axes = [data.J[3:, row] for row in rows]
    # An axis is a turning direction: mirrored, it keeps its lateral part and loses the others.
    alike = float(axes[0] @ (-_MIRROR * axes[1]))
    if abs(alike) < 0.9:
        yield f"{left} and {right} turn about axes that do not mirror each other"
        return
    lower, upper, speed = limits[left]
    other = limits[right] if alike > 0 else (-limits[right][1], -limits[right][0], limits[right][2])
    if abs(lower - other[0]) > _ANGLE or abs(upper - other[1]) > _ANGLE:
        yield (
            f"{left} moves from {lower:.2f} to {upper:.2f} rad, {right} from "
            f"{limits[right][0]:.2f} to {limits[right][1]:.2f}, which is not its mirror image"
        )
    if abs(speed - other[2]) > _SPEED * max(speed, other[2]):
        yield f"{left} turns at up to {speed:.2f} rad/s, {right} at up to {other[2]:.2f}"

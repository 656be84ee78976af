"""Checks of the limbs that a profile names: their order, symmetry and bending joints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robot_setup.anatomy import Anatomy, find_anatomy
from nextscale_core.robot_setup.check.finding import CheckFinding, error, ok, warning
from nextscale_core.robot_setup.footprint import body_points, seen_points
from nextscale_core.robots.description import at_zero, chain, joint_places
from nextscale_core.robots.limits import Limits
from nextscale_core.robots.profile import LIMB_PARTS, SIDES, RobotProfile

_SAME_PLACE = 0.03
"""Maximum distance between joints that are in one place [m]."""

_MIRROR = np.array([1.0, -1.0, 1.0])
_PLACE, _ANGLE, _SPEED = 0.01, 0.02, 0.02
"""Tolerated differences between the sides: distance [m], angle [rad], share of a velocity limit."""


def order_findings(model: pin.Model, profile: RobotProfile) -> Iterator[CheckFinding]:
    """Hips, knees and ankles, or shoulders, elbows and wrists, that do not follow each other."""
    for side in SIDES:
        limb = profile.limb(side)
        for parts in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            there = [part for part in parts if part in limb]
            joints = [limb[part] for part in there]
            line = chain(model, joints[-1])
            rows = [line.index(joint) if joint in line else -1 for joint in joints]
            if rows[0] < 0 or rows != sorted(set(rows)):
                yield error(
                    "names",
                    f"{side} {', '.join(there)} ({', '.join(joints)}) do not follow each other "
                    "along one limb",
                    f"the joints before {joints[-1]} are {', '.join(line[:-1]) or 'none'}",
                )


def symmetry_findings(
    model: pin.Model, profile: RobotProfile, limits: Mapping[str, Limits]
) -> Iterator[CheckFinding]:
    """Positions, position limits and velocity limits that differ between the sides."""
    data, place = at_zero(model), joint_places(model)
    found = []
    for part in LIMB_PARTS:
        left, right = (profile.limb(side).get(part) for side in SIDES)
        if left is None or right is None:
            continue
        away = place[left] * _MIRROR - place[right]
        # The origin of a joint may be anywhere on its axis.
        axis = data.J[3:, model.joints[model.getJointId(right)].idx_v]
        gap = float(np.linalg.norm(away - axis * float(away @ axis)))
        if gap > _PLACE:
            message = f"{part}: {right} is {gap * 100:.1f} cm from the mirror image of {left}"
            found.append(warning("symmetry", message, "are these the same joints?"))
    for part in ("ankle", "wrist"):
        # An arm without a wrist ends at the elbow.
        ends = (profile.limb(side).get(part, profile.limb(side)["elbow"]) for side in SIDES)
        for left, right in zip(*(chain(model, end) for end in ends), strict=False):
            if left != right:
                found += [
                    warning("symmetry", message, "is one of them wrong? (limits in the profile)")
                    for message in _differences(model, data, left, right, limits)
                ]
    yield from found or [ok("symmetry", "the right half mirrors the left")]


def _differences(
    model: pin.Model, data: pin.Data, left: str, right: str, limits: Mapping[str, Limits]
) -> Iterator[str]:
    rows = [model.joints[model.getJointId(name)].idx_v for name in (left, right)]
    axes = [data.J[3:, row] for row in rows]
    # A mirrored axis of rotation keeps its lateral part and changes the sign of the others.
    alike = float(axes[0] @ (-_MIRROR * axes[1]))
    if abs(alike) < 0.9:
        yield f"{left} and {right} turn about axes that do not mirror each other"
        return
    lower, upper, speed = limits[left]
    low, high, other_speed = limits[right]
    mirrored = (low, high) if alike > 0 else (-high, -low)
    if abs(lower - mirrored[0]) > _ANGLE or abs(upper - mirrored[1]) > _ANGLE:
        yield (
            f"{left} moves from {lower:.2f} to {upper:.2f} rad, {right} from {low:.2f} to "
            f"{high:.2f}, which is not its mirror image"
        )
    if abs(speed - other_speed) > _SPEED * max(speed, other_speed):
        yield f"{left} turns at up to {speed:.2f} rad/s, {right} at up to {other_speed:.2f}"


def seen_anatomy(
    model: pin.Model, urdf: Path, profile: RobotProfile, folders: Sequence[Path]
) -> Anatomy | None:
    """The limbs as `nextscale robots draft` finds them, or None."""
    mesh_up = profile.urdf.mesh_up
    shapes, _ = body_points(model, urdf, folders, mesh_up, problems=[])
    try:
        return find_anatomy(model, shapes, partial(seen_points, model, urdf, folders, mesh_up))
    except RobotError:
        return None


def better_parts(model: pin.Model, profile: RobotProfile, anatomy: Anatomy) -> dict[str, str]:
    """Joints of knees and elbows ('left_knee') that are elsewhere than in the profile."""
    place = joint_places(model)
    better = {}
    for side in SIDES:
        for part in ("knee", "elbow"):
            named, seen = profile.limb(side)[part], anatomy.limbs[side][part]
            if np.linalg.norm(place[named] - place[seen]) > _SAME_PLACE:
                better[f"{side}_{part}"] = seen
    return better


def limb_findings(
    profile: RobotProfile, anatomy: Anatomy, better: Mapping[str, str]
) -> Iterator[CheckFinding]:
    """Arms that are named as legs, and knees and elbows that are other joints (`better`)."""
    arms = {joint for side in SIDES for joint in anatomy.arms[side]}
    swapped = [side for side in SIDES if profile.limb(side)["knee"] in arms]
    for side in swapped:
        limb = anatomy.limbs[side]
        yield error(
            "limbs",
            f"the {side} leg ({', '.join(profile.limb(side)[p] for p in ('hip', 'knee', 'ankle'))})"
            " is an arm: legs point away from the arms",
            f"hip {limb['hip']}, knee {limb['knee']}, ankle {limb['ankle']}; 'nextscale robots "
            "draft' writes all",
        )
    if swapped:
        return
    for name, joint in better.items():
        side, part = name.split("_")
        yield warning(
            "limbs",
            f"the {side} {part} is {profile.limb(side)[part]}, but {joint} is the joint with both "
            "ends of the limb far from its axis",
            f"parts.{side}.{part}: {joint}?",
        )

"""Whether a profile names the limbs that the geometry of a URDF shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robot_setup.anatomy import Anatomy, find_anatomy
from nextscale_core.robot_setup.footprint import body_points
from nextscale_core.robots.profile import SIDES, RobotProfile
from nextscale_core.robots.remarks import Remark, error, warning

_PLACE = 0.03
"""Joints closer than this turn about the same point [m]."""


def seen_anatomy(
    model: pin.Model, urdf: Path, profile: RobotProfile, folders: Sequence[Path]
) -> Anatomy | None:
    """The limbs as `nextscale robots draft` finds them; None where it finds none.

    Args:
        model: Base with x forward and z up.
        urdf: The description.
        profile: Says how its meshes lie.
        folders: Where its meshes are.
    """
    try:
        shapes, _ = body_points(model, urdf, folders, profile.urdf.mesh_up)
    except RobotError:
        shapes = {}
    try:
        return find_anatomy(model, shapes)
    except RobotError:
        return None


def better_parts(model: pin.Model, profile: RobotProfile, anatomy: Anatomy) -> dict[str, str]:
    """Joints of knees and elbows ('left_knee') that are elsewhere than the profile says."""
    data = model.createData()
    pin.forwardKinematics(model, data, pin.neutral(model))
    place = {name: np.array(data.oMi[n].translation) for n, name in enumerate(model.names)}
    better = {}
    for side in SIDES:
        for part in ("knee", "elbow"):
            said, seen = profile.limb(side)[part], anatomy.limbs[side][part]
            if np.linalg.norm(place[said] - place[seen]) > _PLACE:
                better[f"{side}_{part}"] = seen
    return better


def limb_remarks(
    profile: RobotProfile, anatomy: Anatomy, better: Mapping[str, str]
) -> Iterator[Remark]:
    """Remarks on arms that are taken for legs, and on knees and elbows that are others.

    Args:
        profile: Names the limbs.
        anatomy: What the geometry shows.
        better: As `better_parts` finds them.
    """
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

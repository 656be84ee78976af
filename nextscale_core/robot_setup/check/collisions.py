"""Checks of self-collision: which pairs of links are checked, and which are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import NextscaleError
from nextscale_core.robot_setup.check.finding import CheckFinding, error, ok, warning
from nextscale_core.robots.collision import CollisionModel, collision_model
from nextscale_core.robots.description import link_frame, some
from nextscale_core.robots.hulls import Hull, extent, link_hulls
from nextscale_core.robots.robot import Robot

_MANY = 0.25
"""Share of unwatched pairs above which the shapes are probably wrong."""

_TINY = 0.002
"""Extent of a shape below which its unit is probably wrong [m]."""

_SHARED = 0.02
"""Distance between joints that share one body [m]."""


def collision_findings(robot: Robot) -> Iterator[CheckFinding]:
    """Problems of self-collision checks, and the names of what may touch unnoticed."""
    try:
        model = collision_model(robot, robot.profile.collision_margin)
        hulls = link_hulls(robot)
    except NextscaleError as problem:
        yield error("collision", str(problem))
        return
    count = robot.model.njoints - 2
    if not model.pairs:
        yield warning("collision", "no pair of bodies can be checked for self-collision")
    elif len(bare := _bare(robot, hulls)) > count / 2:
        yield warning(
            "collision",
            f"{len(bare)} of {count} joints carry no collision geometry",
            "what they carry may touch unnoticed",
        )
    if model.touching_nominal:
        pairs = [f"{first} and {second}" for first, second in model.touching_nominal]
        yield warning(
            "collision",
            f"in the nominal posture {some(pairs)} touch, so they are never checked",
            "change nominal (arms further out), or name them in collision.ignore",
        )
    elif model.pairs:
        yield ok("collision", f"{len(model.pairs)} pairs of links are watched")
    yield from _unwatched(model)
    if bare_links := model.unwatched_links:
        yield ok(
            "collision",
            f"{len(bare_links)} links have no collision shape, or one without volume, and may "
            f"touch unnoticed: {', '.join(bare_links)}",
        )
    tiny = [hull.link for hull in hulls if extent(hull.vertices) < _TINY]
    if tiny:
        yield warning(
            "collision",
            f"{len(tiny)} links have shapes smaller than {_TINY * 1000:g} mm: {some(tiny)}",
            "in which unit are their meshes? Set scale in the URDF's <mesh>",
        )


def _bare(robot: Robot, hulls: Sequence[Hull]) -> list[str]:
    """Joints that carry no collision geometry."""
    shaped = {int(link_frame(robot.model, hull.link).parentJoint) for hull in hulls}
    return [
        name
        for number, name in enumerate(robot.model.names)
        if number > 1 and number not in shaped and not _shares_body(robot.model, number)
    ]


def _shares_body(model: pin.Model, joint: int) -> bool:
    """Whether the next joint, at the same place, carries the body of both."""
    return any(
        np.linalg.norm(model.jointPlacements[child].translation) < _SHARED
        for child in range(joint + 1, model.njoints)
        if model.parents[child] == joint
    )


def _unwatched(model: CollisionModel) -> Iterator[CheckFinding]:
    pairs = [f"{first} and {second}" for first, second in model.unwatched]
    total = len(pairs) + len(model.pairs)
    if not pairs:
        return
    message = (
        f"{len(pairs)} of {total} pairs of links are not watched (they touch in the nominal "
        f"posture or nearly always, or collision.ignore names them): {', '.join(pairs)}"
    )
    if len(pairs) > _MANY * total:
        yield warning("collision", message, "are the collision shapes too large?")
    else:
        yield ok("collision", message)

"""Bodies of a hip whose hulls touch in an ordinary walk, for `collision.ignore` of a draft.

The bodies between pelvis and thigh lie inside each other's reach, and the limits of their joints
keep them apart. Their convex hulls are larger and may touch in every step.
"""

from __future__ import annotations

from collections.abc import Collection

from nextscale_core.exceptions import NextscaleError
from nextscale_core.motion.formats.files import read_motion
from nextscale_core.resources import resource
from nextscale_core.retarget.retargeter import Retargeter
from nextscale_core.retarget.targets import make_targets
from nextscale_core.robots.collision import CollisionModel
from nextscale_core.robots.description import chain, link_frame
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.robots.robot import Robot

_BETWEEN = 2
"""Largest number of bodies between two bodies of a hip, such as pelvis and thigh."""

_NEAR, _DEEP = 0.003, 0.02
"""Distance that counts as a touch, and depth beyond which hulls do not explain it [m]."""


def hip_contacts(robot: Robot, hips: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of links that touch in a walk or a wave; none where these cannot be retargeted.

    Args:
        robot: The robot of a draft.
        hips: Joints of both legs before the knee.
    """
    try:
        return _contacts(robot, hips)
    # `robots check` reports what is wrong.
    except NextscaleError:
        return ()


def _contacts(robot: Robot, hips: Collection[str]) -> tuple[tuple[str, str], ...]:
    near = {pair for pair in CollisionModel(robot).pairs if _in_hip(robot, pair, hips)}
    if not near:
        return ()
    collisions = CollisionModel(robot, _NEAR)
    # This model leaves out pairs that nearly touch at zero or in the nominal posture.
    depth = {pair: 0.0 if pair in collisions.pairs else _NEAR for pair in near}
    kinematics = kinematics_of(robot)
    for name in ("walk", "wave"):
        targets = make_targets(read_motion(resource(f"config/checkup/{name}.npz")), kinematics)
        poses = Retargeter(robot).solve(targets)
        for touch in collisions.touches(poses.joints):
            pair = (touch.first, touch.second)
            if pair in near:
                depth[pair] = max(depth[pair], touch.depth)
    return tuple(sorted(pair for pair, value in depth.items() if 0.0 < value < _DEEP + _NEAR))


def _in_hip(robot: Robot, pair: tuple[str, str], hips: Collection[str]) -> bool:
    """Whether both links belong to one leg or one carries the leg, with few bodies between."""
    model = robot.model
    first, second = sorted(
        (chain(model, model.names[link_frame(model, link).parentJoint]) for link in pair), key=len
    )
    between = second[len(first) :]
    return (
        second[: len(first)] == first
        and 1 < len(between) <= _BETWEEN + 1
        and set(between) <= set(hips)
    )

"""Joint limits from a URDF and a profile, with the limits of followers applied to their leaders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pinocchio as pin

from nextscale_core.robots.description import (
    CONTINUOUS,
    PRISMATIC,
    REVOLUTE,
    body_moved_by,
    expand,
    joint_names,
    sliding_followers,
    some,
)
from nextscale_core.robots.mimic import Mimic
from nextscale_core.robots.profile import RobotProfile
from nextscale_core.robots.urdf import Urdf

Limits = tuple[float, float, float]
"""Lower and upper position [rad] and velocity [rad/s] of a joint; [m] and [m/s] of a prismatic
one."""

_TURNS = 4 * np.pi
"""Position limits of continuous joints, to either side [rad]."""


def joint_limits(
    model: pin.Model, profile: RobotProfile, urdf: Urdf, ignored: Collection[str] = ()
) -> tuple[dict[str, Limits], list[str]]:
    """Limits of every joint, and messages for those that are not valid.

    The limits of leaders are narrowed so that their followers keep their own. A prismatic joint
    can only be a follower, and one that carries no part of the body.

    Args:
        model: The model without its locked joints.
        profile: May replace position limits and make velocity limits stricter.
        urdf: The file of the model.
        ignored: Joints whose limits need not be valid.

    Returns:
        (lower [rad], upper [rad], velocity [rad/s]) by name; one message per problem.
    """
    names = joint_names(model)
    stricter, instead = expand(profile.velocity, names), expand(profile.position, names)
    limits: dict[str, Limits] = {}
    wrong, endless = [], []
    sliding = sliding_followers(model, urdf.mimics)
    for name in names:
        joint = model.joints[model.getJointId(name)]
        kind = joint.shortname()
        rule, missing = urdf.mimics.get(name), urdf.missing.get(name, ())
        lower, upper = -_TURNS, _TURNS
        moved = body_moved_by(model, profile, urdf.mimics, name) if name in sliding else []
        if kind in REVOLUTE or (name in sliding and not moved):
            lower = float(model.lowerPositionLimit[joint.idx_q])
            upper = float(model.upperPositionLimit[joint.idx_q])
        elif kind not in CONTINUOUS:
            kind = "prismatic" if kind in PRISMATIC else kind
            wrong.append(
                f"joint {name!r} is {kind}{f' and moves {some(moved)}' if moved else ''}; "
                "only revolute joints can move, "
                f"lock {'it' if rule is None else repr(rule.leader)} in the profile"
            )
            continue
        elif name not in instead:
            endless.append(name)
        lower, upper = instead.get(name, (lower, upper))
        stated = float(model.velocityLimit[joint.idx_v])
        # 0 in the URDF means unknown.
        velocity = min(stated if stated > 0 else np.inf, stricter.get(name, np.inf))
        limits[name] = (lower, upper, velocity)
        if name in ignored or (rule is not None and rule.leader in ignored):
            continue
        margin, unit = (0.0, "m") if name in sliding else (profile.position_margin, "rad")
        if not upper - lower > 2 * margin:
            lacks = [key for key in missing if key in ("lower", "upper")]
            wrong.append(
                f"joint {name!r} may move from {lower:g} to {upper:g} {unit} only"
                f"{_lacking(lacks)}; lock it in the profile, or give its limits in limits.position"
            )
        # The velocity of a follower is limited through its leader.
        if not velocity < np.inf and rule is None:
            lacks = ["positive velocity"] if "velocity" in missing else []
            wrong.append(
                f"joint {name!r} has velocity limit {stated:g} rad/s{_lacking(lacks)}; "
                "set a positive one in limits.velocity"
            )
    limits, none_left = _narrowed(limits, urdf.mimics, endless, sliding)
    return limits, wrong or none_left


def _lacking(attributes: Sequence[str]) -> str:
    return f" (its <limit> has no {' and no '.join(attributes)})" if attributes else ""


def acceleration_limits(
    names: Sequence[str], profile: RobotProfile, urdf: Urdf
) -> dict[str, float]:
    """The stricter acceleration limit of profile and URDF for each joint [rad/s^2].

    Those of leaders are lowered so that their followers keep their own.
    """
    table = expand(profile.acceleration, names)
    default = profile.acceleration["default"]
    limits = {
        name: min(table.get(name, default), urdf.acceleration.get(name, np.inf)) for name in names
    }
    for name, rule in urdf.mimics.items():
        if name in limits and rule.leader in limits and rule.multiplier:
            allowed = limits[name] / abs(rule.multiplier)
            limits[rule.leader] = min(limits[rule.leader], allowed)
    return limits


def _narrowed(
    limits: Mapping[str, Limits],
    mimics: Mapping[str, Mimic],
    endless: Sequence[str],
    sliding: Sequence[str],
) -> tuple[dict[str, Limits], list[str]]:
    """Narrow the limits of leaders so that every follower keeps its own.

    Args:
        limits: Limits of each joint on its own.
        mimics: From `read_mimics`.
        endless: Joints without position limits.
        sliding: Prismatic joints.

    Returns:
        The limits of all joints; a message for every leader without a valid position.
    """
    result, wrong = dict(limits), []
    for name, rule in mimics.items():
        if name not in limits or rule.leader not in limits or not rule.multiplier:
            continue
        low, high, speed = limits[name]
        ends = sorted(
            ((low - rule.offset) / rule.multiplier, (high - rule.offset) / rule.multiplier)
        )
        if name in endless:
            ends = [-np.inf, np.inf]
        lower, upper, velocity = result[rule.leader]
        result[rule.leader] = (
            max(lower, ends[0]),
            min(upper, ends[1]),
            min(velocity, speed / abs(rule.multiplier)),
        )
        if not ends[0] < upper or not lower < ends[1]:
            unit = "m" if name in sliding else "rad"
            wrong.append(
                f"joint {name!r} ({low:g} to {high:g} {unit}) mimics {rule.leader!r} ({lower:g} to "
                f"{upper:g} rad) with multiplier {rule.multiplier:g} and offset {rule.offset:g}: "
                "no position keeps the limits of both; correct them in limits.position"
            )
    return result, wrong

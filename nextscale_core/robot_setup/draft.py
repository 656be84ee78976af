"""Draft a profile from a URDF, to be reviewed by a person."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import RobotError
from nextscale_core.robot_setup.anatomy import Anatomy, find_anatomy, is_limb_name, trunk
from nextscale_core.robot_setup.draft_hips import hip_contacts
from nextscale_core.robot_setup.draft_posture import Ranges, nominal_posture
from nextscale_core.robot_setup.footprint import (
    Footprint,
    body_points,
    footprint,
    mesh_up_of,
    seen_points,
)
from nextscale_core.robots.description import (
    CONTINUOUS,
    REVOLUTE,
    at_zero,
    joint_names,
    joint_places,
    read_model,
    some,
    stand_up,
)
from nextscale_core.robots.find_urdf import package_roots
from nextscale_core.robots.profile import SIDES, RobotProfile, Sole, UrdfSource, changed
from nextscale_core.robots.robot import build_robot
from nextscale_core.robots.urdf import Urdf, read_urdf
from nextscale_core.yaml_files import config_errors

_GUESS = 1.5
"""Position limits to either side of joints that have none [rad]."""

_FASTEST, _CAUTIOUS = 40.0, 3.0
"""Largest plausible velocity limit, and the one that replaces missing or larger ones [rad/s]."""

_SLOWEST = 0.5
"""Velocity limit of a leg joint below which every step is slowed down [rad/s]."""

_SHORTEST = 0.001
"""Length of a foot below which it cannot stand [m]."""

_ROTOR, _SHARE, _HIGHEST = 0.02, 2 / 3, 60.0
"""Rotor inertia [kg m^2], share of effort / inertia, and cap [rad/s^2] of acceleration limits."""


@dataclass(frozen=True)
class Draft:
    """A guessed profile.

    Attributes:
        profile: The guess.
        notes: Points to review, one line each.
        moving: Joints that move.
    """

    profile: RobotProfile
    notes: tuple[str, ...]
    moving: tuple[str, ...]


@config_errors("the draft", RobotProfile)
def draft_profile(
    urdf: Path,
    name: str | None = None,
    mesh_dirs: Sequence[Path] | None = None,
    *,
    beside: Path | None = None,
) -> Draft:
    """Guess a profile from the geometry and the names of a URDF.

    Args:
        urdf: The description.
        name: Name of the robot; the URDF's own when None.
        mesh_dirs: Folders that `package://` is resolved in; those above the URDF when None.
        beside: The profile file to be written: the path of a URDF in or below its folder is then
            relative.

    Raises:
        RobotError: the URDF cannot be read, has no two legs and two arms, or has wheels for feet.
        ConfigError: `name` is not valid, or a guessed value is not.
    """
    folders = package_roots(urdf) if mesh_dirs is None else tuple(mesh_dirs)
    read = read_urdf(urdf)
    model = read_model(read)
    notes: list[str] = []
    swapped = {
        joint: (upper, lower) for joint, (lower, upper) in _ranges(model).items() if lower > upper
    }
    for joint, limits in swapped.items():
        _set_limits(model, joint, limits)
    if swapped:
        notes.append(
            f"the lower limit of {some(list(swapped))} is above the upper one in the URDF: taken "
            "as swapped (limits.position)"
        )
    bare = [
        joint
        for joint, (lower, upper) in _ranges(model).items()
        if lower == upper and joint not in read.mimics
    ]
    # CAD exports leave out all limits.
    guessed = bare if 2 * len(bare) > model.njoints - 2 else []
    _guess_limits(model, guessed)
    mesh_up = mesh_up_of(model, urdf, folders)
    problems: list[str] = []
    shapes, visual = body_points(model, urdf, folders, mesh_up, problems)
    if problems:
        notes.append(f"left out: {some(problems, 1)}")
    try:
        anatomy = find_anatomy(model, shapes, partial(seen_points, model, urdf, folders, mesh_up))
    except RobotError as error:
        fixed = sorted(name for name in read.fixed_joints() if is_limb_name(name))
        if not fixed:
            raise
        raise RobotError(
            f"{error}; {some(fixed)} are fixed in this URDF: use one in which they move"
        ) from error
    notes += anatomy.notes
    parts = {joint for limb in anatomy.limbs.values() for joint in limb.values()}
    body = _body(model, anatomy)
    guessed = guessed or [
        joint for joint in bare if joint in parts or (joint in body and joint in read.missing)
    ]
    stiff = [joint for joint in bare if joint in body and joint not in guessed]
    if stiff:
        notes.append(
            f"{some(stiff)} cannot move in the URDF, whose limits are equal: locked; give limits "
            "in limits.position where they should move"
        )
    _guess_limits(model, guessed)
    stand_up(model, anatomy.axes)
    turn = anatomy.axes.rotation()
    shapes = {joint: points @ turn.T for joint, points in shapes.items()}
    sole = _sole(model, anatomy, shapes, visual, notes)
    names, ranges = joint_names(model), _ranges(model)
    moving = _moving(model, anatomy, ranges)
    guessed = [joint for joint in guessed if joint in moving]
    if guessed:
        notes.append(
            f"the URDF gives {some(guessed)} no room to move: {_GUESS:g} rad to either side is a "
            "guess; put the robot's own limits in limits.position before it moves"
        )
    followers = {name for name, rule in read.mimics.items() if rule.leader in moving}
    locked = {
        joint: round(float(np.clip(0.0, *ranges.get(joint, (0.0, 0.0)))), 3)
        for joint in names
        if joint not in {*moving, *followers}
    }
    notes += _slow_legs(model, anatomy)
    left, right = (joint_places(model)[anatomy.limbs[side]["hip"]][1] for side in SIDES)
    nominal = nominal_posture(model, anatomy, ranges, sole, notes)
    name = name or re.sub(r"\W+", "_", model.name).strip("_").lower() or "robot"
    with config_errors(name, RobotProfile):
        profile = RobotProfile(
            name=name,
            description=f"{model.name}, {len(moving)} of {len(names)} joints, drafted",
            urdf=UrdfSource(path=_relative(urdf, beside), mesh_up=mesh_up),
            axes=anatomy.axes,
            pelvis=_link(model, read, anatomy.pelvis),
            torso=_link(model, read, anatomy.torso),
            left=anatomy.limbs["left"],
            right=anatomy.limbs["right"],
            sole=sole,
            hand=anatomy.hand,
            min_stance_width=round(max(2.4 * sole.half_width, 0.8 * abs(left - right)), 2),
            nominal={joint: at for joint, at in nominal.items() if joint not in read.mimics},
            locked=grouped(locked, names),
            acceleration={"default": _HIGHEST, **grouped(_slow(model, moving), names)},
            velocity=grouped(_unlimited(model, moving), names),
            position=swapped | dict.fromkeys(guessed, (-_GUESS, _GUESS)),
        )
    profile = _without_hip_contacts(profile, urdf, folders, anatomy, notes)
    return Draft(profile, tuple(notes), tuple(moving))


def _without_hip_contacts(
    profile: RobotProfile,
    urdf: Path,
    folders: tuple[Path, ...],
    anatomy: Anatomy,
    notes: list[str],
) -> RobotProfile:
    """The profile with bodies of the hips that touch in a walk in `collision_ignore`."""
    try:
        robot = build_robot(urdf, profile, folders)
    except RobotError as error:
        notes.append(f"this profile cannot be loaded yet: {error}")
        return profile
    hips: set[str] = set()
    for side in SIDES:
        leg = anatomy.legs[side]
        hips |= set(leg[: leg.index(anatomy.limbs[side]["knee"])])
    touching = hip_contacts(robot, hips)
    if not touching:
        return profile
    pairs = some([f"{first} and {second}" for first, second in touching])
    notes.append(
        f"the hulls of {pairs} touch in a generated walk: not checked for collisions "
        "(collision.ignore)"
    )
    return changed(profile, collision_ignore=touching)


def _relative(urdf: Path, beside: Path | None) -> str:
    whole = urdf.resolve()
    folder = None if beside is None else beside.resolve().parent
    return str(whole.relative_to(folder) if folder and whole.is_relative_to(folder) else whole)


def _link(model: pin.Model, urdf: Urdf, joint: int) -> str:
    """The heaviest link that a joint carries, as a root link may have no mass."""
    links = [
        frame.name
        for frame in model.frames
        if frame.parentJoint == joint and frame.type == pin.FrameType.BODY
    ]
    mass = urdf.masses()
    return max(links, key=lambda link: mass.get(link, 0.0))


def _ranges(model: pin.Model) -> dict[str, tuple[float, float]]:
    """Position limits of revolute and continuous joints [rad]."""
    ranges = {}
    for name in joint_names(model):
        joint = model.joints[model.getJointId(name)]
        if joint.shortname() in REVOLUTE:
            row = joint.idx_q
            ranges[name] = (
                float(model.lowerPositionLimit[row]),
                float(model.upperPositionLimit[row]),
            )
        elif joint.shortname() in CONTINUOUS:
            ranges[name] = -2 * np.pi, 2 * np.pi
    return ranges


def _guess_limits(model: pin.Model, joints: Sequence[str]) -> None:
    for joint in joints:
        _set_limits(model, joint, (-_GUESS, _GUESS))


def _set_limits(model: pin.Model, joint: str, limits: tuple[float, float]) -> None:
    row = model.joints[model.getJointId(joint)].idx_q
    lower, upper = model.lowerPositionLimit, model.upperPositionLimit
    lower[row], upper[row] = limits
    model.lowerPositionLimit, model.upperPositionLimit = lower, upper


def _body(model: pin.Model, anatomy: Anatomy) -> set[str]:
    """Joints of limbs and trunk."""
    limbs = {joint for side in SIDES for joint in (*anatomy.legs[side], *anatomy.arms[side])}
    return limbs | trunk(model, anatomy)


def _moving(model: pin.Model, anatomy: Anatomy, ranges: Ranges) -> list[str]:
    """Joints of limbs and trunk that have room to move."""
    body = _body(model, anatomy)
    return [joint for joint, (low, high) in ranges.items() if joint in body and high - low > 0.05]


def _sole(
    model: pin.Model,
    anatomy: Anatomy,
    shapes: Mapping[str, np.ndarray],
    visual: Collection[str],
    notes: list[str],
) -> Sole:
    """Sole from the shapes of the feet, or from the length of the legs without shapes."""
    feet = [footprint(model, anatomy.limbs[side]["ankle"], side, shapes) for side in SIDES]
    prints = [foot for foot in feet if foot is not None]
    if not prints:
        place, limb = joint_places(model), anatomy.limbs["left"]
        leg = abs(float(place[limb["hip"]][2]) - float(place[limb["ankle"]][2]))
        front, back, low = (round(share * leg, 3) for share in (0.17, -0.08, -0.12))
        named = _sole_link(model, limb["ankle"])
        if named is None:
            notes.append(
                "the feet have no shape: the soles are guessed from the length of the legs"
            )
        else:
            link, low = named
            notes.append(
                f"the feet have no shape: the soles are at {link}, their size is guessed from the "
                "length of the legs"
            )
        half_width = round(0.06 * leg, 3)
        return Sole(toe=(front, 0.0, low), heel=(back, 0.0, low), half_width=half_width)
    if any(anatomy.limbs[side]["ankle"] in visual for side in SIDES):
        notes.append("the feet have no collision shape: the soles are those of the visual shape")
    mean = Footprint(*np.mean(prints, axis=0).tolist())
    if mean.front - mean.back < _SHORTEST:
        ankles = " and ".join(anatomy.limbs[side]["ankle"] for side in SIDES)
        raise RobotError(
            f"the feet at {ankles} touch the floor in a line or a point, as wheels do; a profile "
            "needs feet with soles: give them a flat collision shape, such as a box"
        )
    if mean.tilt:
        notes.append(
            "the feet are not level at the zero posture: their soles are tilted by "
            f"{mean.tilt:.2f} rad, toes up where positive"
        )
    return mean.sole()


def _sole_link(model: pin.Model, ankle: str) -> tuple[str, float] | None:
    """A link of a foot that is named as its sole, and its height over the ankle [m]."""
    data, joint = at_zero(model), model.getJointId(ankle)
    heights = {
        frame.name: round(float(data.oMf[n].translation[2] - data.oMi[joint].translation[2]), 4)
        for n, frame in enumerate(model.frames)
        if frame.parentJoint in model.subtrees[joint]
        and frame.type == pin.FrameType.BODY
        and "sole" in frame.name.lower()
    }
    below = [(name, low) for name, low in heights.items() if low < 0]
    return below[0] if below else None


def _slow_legs(model: pin.Model, anatomy: Anatomy) -> Iterator[str]:
    """Notes on leg joints whose velocity limit slows every step down."""
    for joint in (joint for side in SIDES for joint in anatomy.legs[side]):
        speed = float(model.velocityLimit[model.joints[model.getJointId(joint)].idx_v])
        if 0 < speed < _SLOWEST:
            yield f"{joint} turns at up to {speed:g} rad/s only: consider locking it"


def _slow(model: pin.Model, moving: Sequence[str]) -> dict[str, float]:
    """Acceleration limits of joints that cannot reach the cap [rad/s^2]."""
    inertia = np.diag(pin.crba(model, model.createData(), pin.neutral(model)))
    slow = {}
    for joint in moving:
        row = model.joints[model.getJointId(joint)].idx_v
        limit = _SHARE * float(model.effortLimit[row]) / (float(inertia[row]) + _ROTOR)
        # Lower values come from a missing effort limit or a placeholder for an inertia.
        if 5.0 <= limit < _HIGHEST:
            slow[joint] = float(round(limit))
    return slow


def _unlimited(model: pin.Model, moving: Sequence[str]) -> dict[str, float]:
    """Velocity limits of joints whose own is missing or implausible [rad/s]."""
    rows = {joint: model.joints[model.getJointId(joint)].idx_v for joint in moving}
    return {
        joint: _CAUTIOUS
        for joint, row in rows.items()
        if not 0 < float(model.velocityLimit[row]) <= _FASTEST
    }


def grouped(table: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The same table with shell patterns in place of joints with one value.

    Args:
        table: Value by joint name.
        names: All joint names; a pattern matches only joints in the table with its value.
    """
    result: dict[str, float] = {}
    done: set[str] = set()
    for joint, value in table.items():
        if joint in done:
            continue
        best, covered = joint, {joint}
        for pattern in _patterns(joint):
            matched = {name for name in names if fnmatchcase(name, pattern)}
            if len(matched) > len(covered) and all(table.get(name) == value for name in matched):
                best, covered = pattern, matched
        result[best] = value
        done |= covered
    return result


def _patterns(joint: str) -> list[str]:
    """Patterns that match a joint and similar ones, the widest last."""
    sides = re.sub(r"left|right", "*", joint)
    if sides == joint:
        sides = re.sub(r"^[lrLR](?=[A-Z_])", "?", joint)
    if sides == joint:
        sides = re.sub(r"(?<=_)[lrLR](?=_|$)", "?", joint)
    wide = re.sub(r"\d+", "*", sides)
    stem = re.match(r"[*?]?_?[A-Za-z]+", sides)
    return [sides, wide, *([stem.group() + "*"] if stem and len(stem.group()) > 3 else [])]

"""Everything that is missing or odd in a URDF and a profile, found at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import NextscaleError
from nextscale_core.resources import resource
from nextscale_core.robot_setup.check.anatomy import better_parts, limb_remarks, seen_anatomy
from nextscale_core.robot_setup.check.motion import motion_remarks
from nextscale_core.robot_setup.check.posture import posture_remarks
from nextscale_core.robot_setup.check.shape import mass_remarks, mesh_remarks, mesh_up_remarks
from nextscale_core.robot_setup.check.symmetry import symmetry_remarks
from nextscale_core.robot_setup.check.urdf import reader_remarks
from nextscale_core.robots.description import (
    CONTINUOUS,
    REVOLUTE,
    chain,
    expand,
    joint_limits,
    joint_names,
    locked_joints,
    name_problems,
    read_model,
    reduced,
    stand_up,
)
from nextscale_core.robots.find_urdf import find_urdf, package_roots
from nextscale_core.robots.mimic import Limits
from nextscale_core.robots.profile import SIDES, RobotProfile, read_profile
from nextscale_core.robots.remarks import Remark, error, ok, some, warning
from nextscale_core.robots.robot import build_robot, list_robots, with_profile
from nextscale_core.robots.urdf import Urdf, read_urdf

_WIDE = 2 * np.pi
"""A revolute joint with limits beyond this has none [rad]."""

_APART = 0.05
"""A nominal posture this far from what a joint mimics is worth a warning [rad]."""

_ENDLESS_SPEED = 40.0
"""No joint of a humanoid turns faster [rad/s]."""


@dataclass(frozen=True)
class RobotCheck:
    """What was found.

    Attributes:
        robot: Name of the robot, or of the URDF file.
        remarks: Errors, warnings and what is right, in the order of looking.
    """

    robot: str
    remarks: tuple[Remark, ...]

    @property
    def errors(self) -> tuple[Remark, ...]:
        """What keeps the robot from being used."""
        return tuple(remark for remark in self.remarks if remark.severity == "error")

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """What is odd."""
        return tuple(remark for remark in self.remarks if remark.severity == "warning")


def check_robot(name_or_urdf: str, profile: Path | None = None) -> RobotCheck:
    """Look at a robot of the package, or at a URDF with or without a profile.

    Nothing is raised for what is wrong with URDF or profile: that is what the result says.

    Args:
        name_or_urdf: One of `list_robots()`, the path of a URDF, or the path of a profile that
            says where its URDF is.
        profile: YAML profile. Without one, only the URDF is looked at.
    """
    if name_or_urdf in list_robots():
        profile = profile or resource(f"config/robots/{name_or_urdf}.yaml")
        name_or_urdf = ""
    elif Path(name_or_urdf).suffix.lower() in (".yaml", ".yml"):
        profile, name_or_urdf = Path(name_or_urdf), ""
    read, remarks = _read(profile)
    urdf = Path(name_or_urdf) if name_or_urdf else None
    folders: tuple[Path, ...] = ()
    if urdf is None and read is not None and profile is not None:
        if read.urdf.path:
            try:
                urdf, folders = find_urdf(read.urdf, profile)
            except NextscaleError as problem:
                remarks.append(error("urdf", str(problem)))
        else:
            remarks.append(error("profile", "urdf.path is missing", "say where the URDF is"))
    name = read.name if read else Path(name_or_urdf or profile or "?").stem
    if urdf is None:
        return RobotCheck(name, tuple(remarks))
    return RobotCheck(name, (*remarks, *_remarks(urdf, read, folders or package_roots(urdf))))


def _read(path: Path | None) -> tuple[RobotProfile | None, list[Remark]]:
    if path is None:
        return None, [
            warning("profile", "no profile given", "'nextscale robots draft URDF' writes a first")
        ]
    try:
        return read_profile(path), [ok("profile", f"{path.name} can be read")]
    except NextscaleError as problem:
        return None, [error("profile", line) for line in str(problem).split("; ")]


def _remarks(urdf: Path, profile: RobotProfile | None, folders: Sequence[Path]) -> Iterator[Remark]:
    if not urdf.is_file():
        yield error("urdf", f"no file {urdf}")
        return
    try:
        read = read_urdf(urdf)
        model, masses = read_model(read), read.masses()
    except NextscaleError as problem:
        yield error("urdf", str(problem))
        return
    yield ok("urdf", f"{urdf.name}: {model.njoints - 2} joints, {len(masses)} links with a mass")
    yield from reader_remarks(read)
    yield from mass_remarks(model)
    missing = list(mesh_remarks(urdf, folders))
    yield from missing
    whole = not any(remark.severity == "error" for remark in missing)
    if whole:
        yield from mesh_up_remarks(model, urdf, profile, folders)
    if profile is None:
        yield from _bare_limits(model, read)
        return
    stand_up(model, profile.axes)
    wrong = name_problems(model, profile, read.mimics)
    yield from (error("names", line) for line in wrong)
    if wrong:
        return
    yield ok("names", "every name in the profile is in the URDF")
    order = list(_order(model, profile))
    yield from order
    locked = list(_locked(model, profile))
    yield from locked
    if order or any(remark.severity == "error" for remark in locked):
        return
    moving = reduced(model, locked_joints(model, profile, read.mimics))
    limits, wrong = joint_limits(moving, profile, read)
    yield from (error("limits", line) for line in wrong)
    if wrong:
        return
    yield from _odd_limits(moving, profile, limits)
    yield from _mimics(moving, read, profile, limits)
    yield from symmetry_remarks(moving, profile, limits)
    robot = build_robot(urdf, profile, tuple(folders))
    posture = list(posture_remarks(robot, moving, limits, shapes=whole))
    yield from posture
    if any(remark.severity == "error" and remark.about == "axes" for remark in posture):
        return
    seen = seen_anatomy(model, urdf, profile, folders if whole else ())
    better = better_parts(model, profile, seen) if seen else {}
    if seen:
        yield from limb_remarks(profile, seen, better)
    # Without collision shapes, nothing can be retargeted.
    if whole and not any(r.severity == "error" and r.about == "collision" for r in posture):
        yield from motion_remarks(
            with_profile(robot, joints="all") if robot.held else robot, better
        )


def _bare_limits(model: pin.Model, urdf: Urdf) -> Iterator[Remark]:
    for name in (name for name in joint_names(model) if name not in urdf.mimics):
        joint = model.joints[model.getJointId(name)]
        if joint.shortname() not in REVOLUTE + CONTINUOUS:
            yield warning(
                "limits", f"joint {name} is of type {joint.shortname()}", "lock it in the profile"
            )
            continue
        speed = float(model.velocityLimit[joint.idx_v])
        if not 0 < speed < np.inf:
            yield warning(
                "limits",
                f"joint {name} has velocity limit {speed:g} rad/s",
                "set one in limits.velocity, or lock the joint",
            )


def _order(model: pin.Model, profile: RobotProfile) -> Iterator[Remark]:
    """Hip, knee and ankle follow each other in the tree; so do shoulder, elbow and wrist."""
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


def _locked(model: pin.Model, profile: RobotProfile) -> Iterator[Remark]:
    locked = expand(profile.locked, joint_names(model))
    instead = expand(profile.position, joint_names(model))
    for name, value in locked.items():
        joint = model.joints[model.getJointId(name)]
        if joint.shortname() not in REVOLUTE:
            continue
        lower, upper = instead.get(
            name,
            (model.lowerPositionLimit[joint.idx_q], model.upperPositionLimit[joint.idx_q]),
        )
        if not lower - 1e-3 <= value <= upper + 1e-3:
            yield error(
                "locked",
                f"{name} is locked at {value:g} rad, outside its limits {lower:g} to {upper:g}",
                f"lock it at {float(np.clip(value, lower, upper)):g}",
            )
    if locked:
        yield ok("locked", f"{len(locked)} joints are held where the profile says")


def _mimics(
    model: pin.Model, urdf: Urdf, profile: RobotProfile, limits: Mapping[str, Limits]
) -> Iterator[Remark]:
    """Joints that mimic others, and what they leave to their leaders."""
    nominal = expand(profile.nominal, joint_names(model))
    rules = {name: rule for name, rule in urdf.mimics.items() if name in joint_names(model)}
    for name, rule in rules.items():
        lower, upper, velocity = limits[rule.leader]
        offset = f" {rule.offset:+g}" if rule.offset else ""
        yield ok(
            "mimic",
            f"{name} = {rule.multiplier:g} * {rule.leader}{offset}: it is not commanded; with it, "
            f"{rule.leader} may move from {lower:.4g} to {upper:.4g} rad at {velocity:.4g} rad/s",
        )
        at = float(np.clip(nominal.get(rule.leader, 0.0), lower, upper))
        if abs(nominal.get(name, rule.at(at)) - rule.at(at)) > _APART:
            yield warning(
                "mimic",
                f"nominal puts {name} at {nominal[name]:g} rad, {rule.leader} puts it at "
                f"{rule.at(at):.3g} rad",
                f"leave {name} out of nominal",
            )


def _odd_limits(
    model: pin.Model, profile: RobotProfile, limits: dict[str, tuple[float, float, float]]
) -> Iterator[Remark]:
    wide = [name for name, (low, high, _) in limits.items() if low < -_WIDE or high > _WIDE]
    fast = [name for name, limit in limits.items() if limit[2] > _ENDLESS_SPEED]
    wide = [n for n in wide if model.joints[model.getJointId(n)].shortname() in REVOLUTE]
    if wide:
        yield warning(
            "limits",
            f"{len(wide)} joints turn further than once around: {some(wide)}",
            "set limits.position",
        )
    if fast:
        yield warning(
            "limits",
            f"{len(fast)} joints may turn faster than {_ENDLESS_SPEED:g} rad/s: {some(fast)}",
            "no motor does; set limits.velocity",
        )
    beyond = []
    for name, (lower, upper) in expand(profile.position, joint_names(model)).items():
        joint = model.joints[model.getJointId(name)]
        if joint.shortname() in REVOLUTE and (
            lower < model.lowerPositionLimit[joint.idx_q] - 1e-6
            or upper > model.upperPositionLimit[joint.idx_q] + 1e-6
        ):
            beyond.append(name)
    if beyond:
        yield warning(
            "limits",
            f"the profile lets {len(beyond)} joints go beyond the URDF's limits: {some(beyond)}",
            "right only where the URDF is wrong",
        )
    if not (wide or fast or beyond):
        yield ok("limits", f"{len(limits)} joints have position and velocity limits")

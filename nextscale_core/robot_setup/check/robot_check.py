"""All problems of a URDF and a profile, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import NextscaleError
from nextscale_core.resources import resource
from nextscale_core.robot_setup.check.finding import CheckFinding, error, ok, warning
from nextscale_core.robot_setup.check.limbs import (
    better_parts,
    limb_findings,
    order_findings,
    seen_anatomy,
    symmetry_findings,
)
from nextscale_core.robot_setup.check.motion import motion_findings
from nextscale_core.robot_setup.check.posture import posture_findings
from nextscale_core.robot_setup.check.urdf import (
    inertia_findings,
    mass_findings,
    mesh_findings,
    mesh_up_findings,
    reader_findings,
)
from nextscale_core.robots.description import (
    CONTINUOUS,
    REVOLUTE,
    expand,
    joint_names,
    locked_joints,
    name_problems,
    read_model,
    reduced,
    sliding_followers,
    some,
    stand_up,
)
from nextscale_core.robots.find_urdf import find_urdf, package_roots
from nextscale_core.robots.limits import Limits, joint_limits
from nextscale_core.robots.profile import RobotProfile, read_profile
from nextscale_core.robots.robot import (
    build_robot,
    is_file,
    list_robots,
    refuse_two_profiles,
    unknown_robot,
    with_profile,
)
from nextscale_core.robots.urdf import Urdf, read_urdf

_WIDE = 2 * np.pi
"""Position limit beyond which a revolute joint has none [rad]."""

_APART = 0.05
"""Tolerated distance of a follower in the nominal posture from its rule [rad]."""

_FASTEST = 40.0
"""Largest plausible velocity limit of a humanoid's joint [rad/s]."""


@dataclass(frozen=True)
class RobotCheck:
    """The result of a check.

    Attributes:
        robot: Name of the robot, or of the URDF file.
        findings: Errors, warnings and valid findings, in the order of the checks.
    """

    robot: str
    findings: tuple[CheckFinding, ...]

    @property
    def errors(self) -> tuple[CheckFinding, ...]:
        """Findings that make the robot unusable."""
        return tuple(found for found in self.findings if found.severity == "error")

    @property
    def warnings(self) -> tuple[CheckFinding, ...]:
        """Unusual findings."""
        return tuple(found for found in self.findings if found.severity == "warning")


def check_robot(name_or_urdf: str, profile: Path | None = None) -> RobotCheck:
    """Check a packaged robot, or a URDF with or without a profile.

    Problems of URDF and profile are findings, not exceptions.

    Args:
        name_or_urdf: One of `list_robots()`, the path of a URDF, or the path of a profile with
            `urdf.path`.
        profile: YAML profile. Without one, only the URDF is checked.

    Raises:
        RobotError: neither a file nor a packaged robot, the message lists the packaged robots; or
            two profiles.
    """
    if profile is not None:
        given, _ = _read(profile)
        refuse_two_profiles(name_or_urdf, profile, given.name if given else name_or_urdf)
    if name_or_urdf in list_robots():
        profile = profile or resource(f"config/robots/{name_or_urdf}.yaml")
        name_or_urdf = ""
    elif Path(name_or_urdf).suffix.lower() in (".yaml", ".yml"):
        profile, name_or_urdf = Path(name_or_urdf), ""
    elif not Path(name_or_urdf).suffix and not is_file(Path(name_or_urdf)):
        raise unknown_robot(name_or_urdf)
    read, findings = _read(profile)
    urdf = Path(name_or_urdf) if name_or_urdf else None
    folders: tuple[Path, ...] = ()
    if urdf is None and read is not None and profile is not None:
        if read.urdf.path:
            try:
                urdf, folders = find_urdf(read.urdf, profile)
            except NextscaleError as problem:
                findings.append(error("urdf", str(problem)))
        else:
            findings.append(error("profile", "urdf.path is missing", "give the path of the URDF"))
    name = read.name if read else Path(name_or_urdf or profile or "?").stem
    if urdf is not None:
        findings += _findings(urdf, read, folders or package_roots(urdf))
    return RobotCheck(name, tuple(findings))


def _read(path: Path | None) -> tuple[RobotProfile | None, list[CheckFinding]]:
    if path is None:
        return None, [
            warning("profile", "no profile given", "'nextscale robots draft URDF' writes a first")
        ]
    try:
        return read_profile(path), [ok("profile", f"{path.name} can be read")]
    except NextscaleError as problem:
        return None, [error("profile", line) for line in str(problem).split("; ")]


def _failed(findings: Iterable[CheckFinding], *about: str) -> bool:
    """Whether there is an error, about one of some subjects if any are given."""
    return any(
        found.severity == "error" and (not about or found.about in about) for found in findings
    )


def _findings(
    urdf: Path, profile: RobotProfile | None, folders: Sequence[Path]
) -> Iterator[CheckFinding]:
    try:
        read = read_urdf(urdf)
        model, masses = read_model(read), read.masses()
    except NextscaleError as problem:
        yield error("urdf", str(problem))
        return
    yield ok("urdf", f"{urdf.name}: {model.njoints - 2} joints, {len(masses)} links with a mass")
    yield from reader_findings(read)
    yield from mass_findings(model, masses)
    yield from inertia_findings(read)
    meshes = list(mesh_findings(read, folders))
    yield from meshes
    whole = not _failed(meshes)
    if whole:
        yield from mesh_up_findings(model, urdf, profile, folders)
    if profile is None:
        yield from _bare_limits(model, read)
        return
    stand_up(model, profile.axes)
    wrong = name_problems(model, profile, read.mimics)
    yield from (error("names", line) for line in wrong)
    if wrong:
        return
    yield ok("names", "every name in the profile is in the URDF")
    joints = [*order_findings(model, profile), *_locked(model, profile)]
    yield from joints
    if _failed(joints):
        return
    moving = reduced(model, locked_joints(model, profile, read.mimics))
    limits, wrong = joint_limits(moving, profile, read)
    yield from (error("limits", line) for line in wrong)
    if wrong:
        return
    yield from _unusual_limits(moving, profile, limits)
    yield from _mimics(moving, read, profile, limits)
    yield from symmetry_findings(moving, profile, limits)
    robot = build_robot(urdf, profile, tuple(folders))
    robot = with_profile(robot, joints="all") if robot.held else robot
    posture = list(posture_findings(robot, moving, limits, shapes=whole))
    yield from posture
    if _failed(posture, "axes"):
        return
    seen = seen_anatomy(model, urdf, profile, folders if whole else ())
    better = better_parts(model, profile, seen) if seen else {}
    if seen:
        yield from limb_findings(profile, seen, better)
    # Retargeting needs collision shapes.
    if whole and not _failed(posture, "collision"):
        yield from motion_findings(robot, better)


def _bare_limits(model: pin.Model, urdf: Urdf) -> Iterator[CheckFinding]:
    for name in (name for name in joint_names(model) if name not in urdf.mimics):
        joint = model.joints[model.getJointId(name)]
        if joint.shortname() not in REVOLUTE + CONTINUOUS:
            yield warning(
                "limits",
                f"joint {name} is neither revolute nor continuous",
                "lock it in the profile",
            )
            continue
        speed = float(model.velocityLimit[joint.idx_v])
        if not 0 < speed < np.inf:
            yield warning(
                "limits",
                f"joint {name} has velocity limit {speed:g} rad/s",
                "set one in limits.velocity, or lock the joint",
            )


def _urdf_range(model: pin.Model, name: str) -> tuple[float, float] | None:
    """Position limits of a revolute joint in the URDF [rad], None for other joints."""
    joint = model.joints[model.getJointId(name)]
    if joint.shortname() not in REVOLUTE:
        return None
    return model.lowerPositionLimit[joint.idx_q], model.upperPositionLimit[joint.idx_q]


def _locked(model: pin.Model, profile: RobotProfile) -> Iterator[CheckFinding]:
    locked = expand(profile.locked, joint_names(model))
    instead = expand(profile.position, joint_names(model))
    for name, value in locked.items():
        stated = _urdf_range(model, name)
        if stated is None:
            continue
        lower, upper = instead.get(name, stated)
        if not lower - 1e-3 <= value <= upper + 1e-3:
            yield error(
                "locked",
                f"{name} is locked at {value:g} rad, outside its limits {lower:g} to {upper:g}",
                f"lock it at {float(np.clip(value, lower, upper)):g}",
            )
    if locked:
        yield ok("locked", f"{len(locked)} joints are held at the profile's positions")


def _mimics(
    model: pin.Model, urdf: Urdf, profile: RobotProfile, limits: Mapping[str, Limits]
) -> Iterator[CheckFinding]:
    """Followers, and the limits that they leave to their leaders."""
    nominal = expand(profile.nominal, joint_names(model))
    rules = {name: rule for name, rule in urdf.mimics.items() if name in joint_names(model)}
    sliding = sliding_followers(model, rules)
    for name, rule in rules.items():
        lower, upper, velocity = limits[rule.leader]
        offset = f" {rule.offset:+g}" if rule.offset else ""
        yield ok(
            "mimic",
            f"{name} = {rule.multiplier:g} * {rule.leader}{offset}: it is not commanded; with it, "
            f"{rule.leader} may move from {lower:.4g} to {upper:.4g} rad at {velocity:.4g} rad/s",
        )
        at = float(np.clip(nominal.get(rule.leader, 0.0), lower, upper))
        if name in sliding:
            away = max(abs(rule.multiplier * (end - at)) for end in (lower, upper))
            yield warning(
                "mimic",
                f"{name} is prismatic: what it carries stays where nominal puts it, up to "
                f"{1000 * away:.0f} mm from its place, in pictures and for collisions",
                f"{rule.leader} moves all the same; make the shapes behind {name} as long as "
                "their whole path where that matters",
            )
        if abs(nominal.get(name, rule.at(at)) - rule.at(at)) > _APART:
            yield warning(
                "mimic",
                f"nominal puts {name} at {nominal[name]:g} rad, {rule.leader} puts it at "
                f"{rule.at(at):.3g} rad",
                f"leave {name} out of nominal",
            )


def _unusual_limits(
    model: pin.Model, profile: RobotProfile, limits: Mapping[str, Limits]
) -> Iterator[CheckFinding]:
    ranges = {name: _urdf_range(model, name) for name in limits}
    wide = [
        name
        for name, (low, high, _) in limits.items()
        if (low < -_WIDE or high > _WIDE) and ranges[name] is not None
    ]
    fast = [name for name, limit in limits.items() if limit[2] > _FASTEST]
    beyond = [
        name
        for name, (lower, upper) in expand(profile.position, joint_names(model)).items()
        if (stated := ranges[name]) is not None
        and (lower < stated[0] - 1e-6 or upper > stated[1] + 1e-6)
    ]
    if wide:
        yield warning(
            "limits",
            f"{len(wide)} joints turn further than once around: {some(wide)}",
            "a URDF has radians, are these degrees? Correct them in the URDF or in limits.position"
            if 2 * len(wide) > len(limits)
            else "set limits.position",
        )
    if fast:
        yield warning(
            "limits",
            f"{len(fast)} joints may turn faster than {_FASTEST:g} rad/s: {some(fast)}",
            "no motor does; set limits.velocity",
        )
    if beyond:
        yield warning(
            "limits",
            f"the profile lets {len(beyond)} joints go beyond the URDF's limits: {some(beyond)}",
            "valid only where the URDF is wrong",
        )
    if not (wide or fast or beyond):
        yield ok("limits", f"{len(limits)} joints have position and velocity limits")

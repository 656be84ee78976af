"""Whether a robot stands as its profile says: directions, knees, soles, collisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

import numpy as np
import pinocchio as pin

from nextscale_core.robot_setup.check.collisions import collision_remarks
from nextscale_core.robot_setup.footprint import body_points, foot_points, footprint
from nextscale_core.robots.description import expand, joint_names
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.remarks import Remark, error, ok, warning
from nextscale_core.robots.robot import Robot, with_profile

_HEIGHT, _REACH = 0.01, 0.03
"""A sole may be so far from the lowest point of the foot, and so far beyond its ends [m]."""

_TILT = 0.06
"""Soles that are tilted further in the nominal posture do not stand flat [rad]."""

_BEND = 0.5
"""A knee that bends less like a human's cannot follow one [rad]."""


def posture_remarks(
    robot: Robot,
    model: pin.Model,
    limits: Mapping[str, tuple[float, float, float]],
    *,
    shapes: bool,
) -> Iterator[Remark]:
    """Remarks on how the robot stands.

    Args:
        robot: The robot, all names right.
        model: Its model with nothing held.
        limits: Lower [rad], upper [rad], velocity [rad/s] by joint.
        shapes: Whether its meshes can be read.
    """
    whole = with_profile(robot, joints="all") if robot.held else robot
    kinematics = kinematics_of(whole)
    directions = list(_directions(whole, kinematics))
    yield from directions
    if any(remark.severity == "error" for remark in directions):
        return
    yield from _nominal(whole, model, limits)
    yield from _knees(whole, kinematics)
    yield from _stance(whole, kinematics)
    if not shapes:
        return
    yield from _soles(whole)
    yield from collision_remarks(whole)


def _points(kinematics: Kinematics, positions: np.ndarray) -> dict[str, np.ndarray]:
    poses = Poses(np.zeros((1, 3)), np.eye(3)[None], positions[None])
    points = kinematics.points(poses)[0]
    return {name: points[row] for name, row in kinematics.index.items()}


def _directions(robot: Robot, kinematics: Kinematics) -> Iterator[Remark]:
    at = _points(kinematics, np.zeros(robot.num_joints))
    axes = robot.profile.axes
    leg = at["left_hip"] + at["right_hip"] - at["left_ankle"] - at["right_ankle"]
    turned = axes.rotation().T
    if int(np.abs(leg).argmax()) != 2 or leg[2] < 0:
        up = _axis(turned @ leg)
        yield error(
            "axes", f"with axes.up {axes.up} the legs do not hang down at zero", f"try up: {up}"
        )
        return
    across = at["left_hip"] - at["right_hip"]
    if not across[1] > abs(across[0]):
        forward = _axis(turned @ np.cross(across, [0.0, 0.0, 1.0]))
        yield error(
            "axes",
            f"with axes.forward {axes.forward} the left hip is not on the left",
            f"try forward: {forward}, or left and right are swapped",
        )
        return
    step = float(at["left_ankle"][2] - at["right_ankle"][2])
    if abs(step) > _HEIGHT / 2:
        yield warning("axes", f"the left ankle is {step * 1000:.0f} mm above the right one at zero")
    yield ok("axes", f"{axes.forward} is forward and {axes.up} is up")


def _axis(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    return ("-" if direction[axis] < 0 else "") + "xyz"[axis]


def _nominal(
    robot: Robot, model: pin.Model, limits: Mapping[str, tuple[float, float, float]]
) -> Iterator[Remark]:
    outside = 0
    nominal = expand(robot.profile.nominal, joint_names(model))
    for name, value in nominal.items():
        lower, upper, _ = limits[name]
        if not lower <= value <= upper:
            outside += 1
            pattern = next(p for p in robot.profile.nominal if fnmatchcase(name, p))
            yield error(
                "nominal",
                f"{pattern}: {name} would stand at {value:g} rad, its limits are {lower:.3g} to "
                f"{upper:.3g}",
                f"at most {float(np.clip(value, lower, upper)):.3g}",
            )
    if not outside:
        yield ok("nominal", f"{len(nominal)} joints of the standing posture are inside the limits")


def _knees(robot: Robot, kinematics: Kinematics) -> Iterator[Remark]:
    low, high = robot.position_lower, robot.position_upper
    for side in SIDES:
        name = robot.profile.limb(side)["knee"]
        row = robot.joint_names.index(name)
        bent = _forward_of_leg(_points(kinematics, robot.nominal), side)
        zero = np.zeros(robot.num_joints)
        reach = {}
        for bound, limit in (("lower", low), ("upper", high)):
            posture = zero.copy()
            posture[row] = np.clip(limit[row], -2.5, 2.5)
            reach[bound] = _forward_of_leg(_points(kinematics, posture), side)
        right_way = max(reach, key=lambda bound: reach[bound])
        bend = abs(float((low if right_way == "lower" else high)[row]))
        if bent < -0.005:
            yield error(
                "knees",
                f"{side} knee: {name} stands at {robot.nominal[row]:.2f} rad, bent backward "
                f"({-bent * 100:.1f} cm behind the line from hip to ankle)",
                "turn its sign in nominal",
            )
        elif reach[right_way] <= 0 or bend < _BEND:
            yield error(
                "knees",
                f"{side} knee: {name} bends only {bend:.2f} rad like a human's, its limits are "
                f"{low[row]:.2f} to {high[row]:.2f}",
                "are the limits right? (limits.position)",
            )
        else:
            yield ok("knees", f"{name} bends like a human's, {bent * 100:.1f} cm forward at rest")


def _forward_of_leg(at: Mapping[str, np.ndarray], side: str) -> float:
    """How far the knee is in front of the line from hip to ankle, as the thigh sees it [m]."""
    hip, knee, ankle = (at[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
    along = ankle - hip
    away = knee - hip - along * float((knee - hip) @ along) / max(float(along @ along), 1e-9)
    forward = np.cross([0.0, 1.0, 0.0], along / max(float(np.linalg.norm(along)), 1e-9))
    return -float(away @ forward)


def _stance(robot: Robot, kinematics: Kinematics) -> Iterator[Remark]:
    profile = robot.profile
    at = _points(kinematics, robot.nominal)
    for side in SIDES:
        tilt = max(
            abs(float((at[f"{side}_foot_{axis}"] - at[f"{side}_ankle"])[2]) / 0.2) for axis in "xy"
        )
        if tilt > _TILT:
            yield warning(
                "nominal",
                f"the {side} sole is tilted by {np.arcsin(min(tilt, 1.0)):.2f} rad against the "
                "pelvis in the nominal posture",
                "hip, knee and ankle pitch should add up to nothing",
            )
    hips = float(kinematics.hip_offset[0, 1] - kinematics.hip_offset[1, 1])
    if profile.min_stance_width < 2 * profile.sole.half_width:
        yield error(
            "min_stance_width",
            f"{profile.min_stance_width:g} m lets the feet overlap: they are "
            f"{2 * profile.sole.half_width:g} m wide",
            f"at least {2 * profile.sole.half_width + 0.01:.2f}",
        )
    elif profile.min_stance_width > 1.5 * hips:
        yield warning(
            "min_stance_width",
            f"{profile.min_stance_width:g} m makes the robot straddle: its hips are {hips:.2f} m "
            "apart",
            f"about {hips:.2f} or less",
        )
    else:
        yield ok("min_stance_width", f"{profile.min_stance_width:g} m, hips {hips:.2f} m apart")


def _soles(robot: Robot) -> Iterator[Remark]:
    profile, model = robot.profile, robot.model
    shapes, visual = body_points(model, robot.urdf_path, robot.mesh_dirs, profile.urdf.mesh_up)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        joint = profile.limb(side)["ankle"]
        points = foot_points(model, joint, shapes)
        if not len(points):
            yield warning(
                "sole", f"the {side} foot has no shape in the URDF", "the sole cannot be verified"
            )
            continue
        if joint in visual:
            yield warning(
                "sole",
                f"the {side} foot has no collision shape; its visual shape is measured",
                "what it touches is not noticed",
            )
        foot = footprint(points * [1.0, sign, 1.0])
        low = min(profile.sole.toe[2], profile.sole.heel[2])
        problems = []
        if abs(low - foot.low) > _HEIGHT:
            problems.append(
                f"the profile puts the sole at {low:g} m, the foot ends at {foot.low:.4f}"
            )
        if profile.sole.toe[0] > foot.front + _REACH or profile.sole.heel[0] < foot.back - _REACH:
            problems.append(
                f"the sole reaches from {profile.sole.heel[0]:g} to {profile.sole.toe[0]:g} m, the "
                f"foot from {foot.back:.3f} to {foot.front:.3f}"
            )
        if profile.sole.half_width > foot.half_width + _REACH:
            problems.append(
                f"the sole is {2 * profile.sole.half_width:g} m wide, the foot "
                f"{2 * foot.half_width:.3f}"
            )
        if foot.front < -0.8 * foot.back:
            problems.append("the foot is longer behind the ankle than in front of it")
        for problem in problems:
            yield warning(
                "sole",
                f"{side}: {problem}",
                f"toe x {foot.front:.3f}, heel x {foot.back:.3f}, z {foot.low:.4f}, half_width "
                f"{foot.half_width:.3f}",
            )
        if not problems:
            yield ok("sole", f"the {side} sole fits the foot's shape")

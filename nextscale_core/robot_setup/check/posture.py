"""Checks of the standing robot: directions, nominal posture, knees, stance and soles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

import numpy as np
import pinocchio as pin

from nextscale_core.robot_setup.check.collisions import collision_findings
from nextscale_core.robot_setup.check.finding import CheckFinding, error, ok, warning
from nextscale_core.robot_setup.footprint import body_points, footprint
from nextscale_core.robots.description import expand, joint_names
from nextscale_core.robots.kinematics import LEVER, Poses, kinematics_of
from nextscale_core.robots.limits import Limits
from nextscale_core.robots.profile import SIDES, nearest_axis
from nextscale_core.robots.robot import Robot

_HEIGHT, _REACH = 0.01, 0.03
"""Tolerated distances of a sole from the foot's lowest point, and beyond the foot's ends [m]."""

_TILT = 0.06
"""Tolerated sine of the tilt of a sole in the nominal posture."""

_BEND = 0.5
"""Minimum range of a knee in the direction of a human's [rad]."""

_Points = Mapping[str, np.ndarray]


def posture_findings(
    robot: Robot, model: pin.Model, limits: Mapping[str, Limits], *, shapes: bool
) -> Iterator[CheckFinding]:
    """Problems of a robot with nothing held, at its zero and nominal postures.

    `model` is that of the robot with its followers; `shapes` is False if meshes cannot be read.
    """
    directions = list(_directions(robot))
    yield from directions
    if any(found.severity == "error" for found in directions):
        return
    yield from _nominal(robot, model, limits)
    yield from _knees(robot)
    yield from _stance(robot)
    if shapes:
        yield from _soles(robot)
        yield from collision_findings(robot)


def _points(robot: Robot, positions: np.ndarray) -> _Points:
    """Keypoints by name for joint positions (J,), base at the origin [m]."""
    kinematics = kinematics_of(robot)
    points = kinematics.points(Poses(np.zeros((1, 3)), np.eye(3)[None], positions[None]))[0]
    return {name: points[row] for name, row in kinematics.index.items()}


def _directions(robot: Robot) -> Iterator[CheckFinding]:
    at = _points(robot, np.zeros(robot.num_joints))
    axes = robot.profile.axes
    leg = at["left_hip"] + at["right_hip"] - at["left_ankle"] - at["right_ankle"]
    turned = axes.rotation().T
    if int(np.abs(leg).argmax()) != 2 or leg[2] < 0:
        up = nearest_axis(turned @ leg)
        yield error(
            "axes", f"with axes.up {axes.up} the legs do not hang down at zero", f"try up: {up}"
        )
        return
    across = at["left_hip"] - at["right_hip"]
    if not across[1] > abs(across[0]):
        forward = nearest_axis(turned @ np.cross(across, [0.0, 0.0, 1.0]))
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


def _nominal(
    robot: Robot, model: pin.Model, limits: Mapping[str, Limits]
) -> Iterator[CheckFinding]:
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


def _knees(robot: Robot) -> Iterator[CheckFinding]:
    for side in SIDES:
        name = robot.profile.limb(side)["knee"]
        row = robot.joint_names.index(name)
        limits = float(robot.position_lower[row]), float(robot.position_upper[row])
        bent = _knee_forward(_points(robot, robot.nominal), side)
        reach = []
        for limit in limits:
            posture = np.zeros(robot.num_joints)
            posture[row] = np.clip(limit, -2.5, 2.5)
            reach.append(_knee_forward(_points(robot, posture), side))
        bend = abs(limits[int(np.argmax(reach))])
        if bent < -0.005:
            yield error(
                "knees",
                f"{side} knee: {name} stands at {robot.nominal[row]:.2f} rad, bent backward "
                f"({-bent * 100:.1f} cm behind the line from hip to ankle)",
                "change its sign in nominal",
            )
        elif max(reach) <= 0 or bend < _BEND:
            yield error(
                "knees",
                f"{side} knee: {name} bends only {bend:.2f} rad like a human's, its limits are "
                f"{limits[0]:.2f} to {limits[1]:.2f}",
                "are the limits right? (limits.position)",
            )
        else:
            yield ok("knees", f"{name} bends like a human's, {bent * 100:.1f} cm forward at rest")


def _knee_forward(at: _Points, side: str) -> float:
    """Distance of the knee in front of the line from hip to ankle [m]."""
    hip, knee, ankle = (at[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
    along = ankle - hip
    away = knee - hip - along * float((knee - hip) @ along) / max(float(along @ along), 1e-9)
    forward = np.cross([0.0, 1.0, 0.0], along / max(float(np.linalg.norm(along)), 1e-9))
    return -float(away @ forward)


def _stance(robot: Robot) -> Iterator[CheckFinding]:
    at = _points(robot, robot.nominal)
    for side in SIDES:
        levers = (at[f"{side}_foot_{axis}"] - at[f"{side}_ankle"] for axis in "xy")
        tilt = max(abs(float(lever[2])) / LEVER for lever in levers)
        if tilt > _TILT:
            yield warning(
                "nominal",
                f"the {side} sole is tilted by {np.arcsin(min(tilt, 1.0)):.2f} rad against the "
                "pelvis in the nominal posture",
                "hip, knee and ankle pitch should sum to zero",
            )
    hip_offset = kinematics_of(robot).hip_offset
    hips = float(hip_offset[0, 1] - hip_offset[1, 1])
    stance, foot = robot.profile.min_stance_width, 2 * robot.profile.sole.half_width
    if stance < foot:
        yield error(
            "min_stance_width",
            f"{stance:g} m lets the feet overlap: they are {foot:g} m wide",
            f"at least {foot + 0.01:.2f}",
        )
    elif stance > max(1.5 * hips, 1.25 * foot + 0.005):
        yield warning(
            "min_stance_width",
            f"{stance:g} m makes the robot straddle: its hips are {hips:.2f} m apart",
            f"about {max(hips, 1.1 * foot):.2f} or less",
        )
    else:
        yield ok("min_stance_width", f"{stance:g} m, hips {hips:.2f} m apart")


def _soles(robot: Robot) -> Iterator[CheckFinding]:
    profile, model = robot.profile, robot.model
    sole, half_width, level = profile.sole, profile.sole.half_width, profile.sole.level
    urdf, folders = robot.urdf_path, robot.mesh_dirs
    shapes, visual = body_points(model, urdf, folders, profile.urdf.mesh_up, problems=[])
    for side in SIDES:
        joint = profile.limb(side)["ankle"]
        foot = footprint(model, joint, side, shapes)
        if foot is None:
            yield warning(
                "sole", f"the {side} foot has no shape in the URDF", "the sole cannot be verified"
            )
            continue
        if joint in visual:
            yield warning(
                "sole",
                f"the {side} foot has no collision shape; its visual shape is measured",
                "its collisions go unnoticed",
            )
        low, toe, heel = level.toe[2], level.toe[0], level.heel[0]
        problems = []
        tilt = float(np.arctan2(sole.tilt[2, 0], sole.tilt[0, 0])) - foot.tilt
        if abs(tilt) > 2 * _TILT:
            problems.append(f"the profile tilts the sole by {tilt:.2f} rad against the foot's")
        if abs(low - foot.low) > _HEIGHT:
            problems.append(
                f"the profile puts the sole at {low:g} m, the foot ends at {foot.low:.4f}"
            )
        if toe > foot.front + _REACH or heel < foot.back - _REACH:
            problems.append(
                f"the sole reaches from {heel:g} to {toe:g} m, the foot from {foot.back:.3f} to "
                f"{foot.front:.3f}"
            )
        if half_width > foot.half_width + _REACH:
            problems.append(
                f"the sole is {2 * half_width:g} m wide, the foot {2 * foot.half_width:.3f}"
            )
        if foot.front < -0.8 * foot.back:
            problems.append("the foot is longer behind the ankle than in front of it")
        fit = foot.sole()
        for problem in problems:
            yield warning(
                "sole",
                f"{side}: {problem}",
                f"toe {_point(fit.toe)}, heel {_point(fit.heel)}, half_width {fit.half_width:.3f}",
            )
        if not problems:
            yield ok("sole", f"the {side} sole fits the foot's shape")


def _point(at: tuple[float, float, float]) -> str:
    return f"[{at[0]:.3f}, {at[1]:.3f}, {at[2]:.4f}]"

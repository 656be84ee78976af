"""Checks of a URDF alone: attributes other readers refuse, masses and meshes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pinocchio as pin

from nextscale_core.robot_setup.check.finding import CheckFinding, error, ok, warning
from nextscale_core.robot_setup.footprint import mesh_up_of
from nextscale_core.robots.description import some
from nextscale_core.robots.find_urdf import find_mesh
from nextscale_core.robots.profile import RobotProfile
from nextscale_core.robots.urdf import Urdf

_MOMENTS = ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")

_ROUNDING = 1e-5
"""Moment of inertia that counts as rounding [kg m^2]."""


def reader_findings(urdf: Urdf) -> Iterator[CheckFinding]:
    """What urdfdom refuses or drops (RViz and robot_state_publisher use it), and jerk limits."""
    lacking = [
        f"{name} ({', '.join(key for key in keys if key in ('effort', 'velocity'))})"
        for name, keys in urdf.missing.items()
        if {"effort", "velocity"} & set(keys)
    ]
    if lacking:
        yield warning(
            "urdf",
            f"the <limit> of {len(lacking)} joints lacks an attribute: {some(lacking)}",
            "RViz, robot_state_publisher and ros2_control refuse such a file; add the attributes",
        )

    def named(tag: str, condition: Callable[[Element], bool]) -> list[str]:
        return [part.get("name", "") for part in urdf.root.findall(tag) if condition(part)]

    nameless = named("link", lambda link: any(not m.get("name") for m in link.iter("material")))
    if nameless:
        yield warning(
            "urdf",
            f"{len(nameless)} links have a <material> without a name: {some(nameless)}",
            "RViz and robot_state_publisher leave out all shapes of such a link; name it",
        )
    capsules = named("link", lambda link: link.find(".//capsule") is not None)
    if capsules and urdf.root.get("version", "1.0") in ("1", "1.0"):
        yield warning(
            "urdf",
            f"{len(capsules)} links have a <capsule>: {some(capsules)}",
            'urdfdom reads capsules from URDF 1.1 on only: <robot version="1.1">',
        )
    jerk = named("joint", lambda joint: any(limit.get("jerk") for limit in joint.findall("limit")))
    if jerk:
        yield warning("limits", f"{len(jerk)} joints have a jerk limit, which is ignored")


def mass_findings(model: pin.Model, masses: Mapping[str, float]) -> Iterator[CheckFinding]:
    """Masses that are not valid, and joints without a mass behind them.

    Args:
        model: Of the URDF.
        masses: Of its links [kg].
    """
    wrong = [f"{link} ({mass:g} kg)" for link, mass in masses.items() if not 0 <= mass < np.inf]
    total = float(pin.computeTotalMass(model))
    light = [
        model.names[joint]
        for joint in range(2, model.njoints)
        if not sum(model.inertias[behind].mass for behind in model.subtrees[joint]) > 0
    ]
    if wrong:
        yield error(
            "masses",
            f"{len(wrong)} links have a mass that is negative or not finite: {some(wrong)}",
            "correct it in the URDF: dynamics and balance would be wrong",
        )
    elif not total > 0:
        yield error("masses", "no link has a mass", "give every link an <inertial>")
    elif light:
        yield warning(
            "masses",
            f"{len(light)} joints carry no mass: {some(light)}",
            "the centre of mass will be off; give their links an <inertial>",
        )
    else:
        yield ok("masses", f"{total:.1f} kg in all")


def inertia_findings(urdf: Urdf) -> Iterator[CheckFinding]:
    """Inertias that no body has: negative, or one moment above the sum of the two others."""
    wrong = []
    for link in urdf.root.findall("link"):
        stated = link.find("inertial/inertia")
        if stated is None:
            continue
        try:
            xx, xy, xz, yy, yz, zz = (float(stated.get(key, "0")) for key in _MOMENTS)
        except ValueError:
            xx = xy = xz = yy = yz = zz = np.nan
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        finite = np.isfinite(tensor).all()
        moments = np.linalg.eigvalsh(tensor) if finite else np.full(3, np.nan)
        smallest, middle, largest = moments.tolist()
        if not (smallest >= -_ROUNDING and largest <= 1.05 * (smallest + middle) + _ROUNDING):
            shown = ", ".join(f"{moment:.2g}" for moment in moments)
            wrong.append(f"{link.get('name', '')} ({shown} kg m^2)")
    if wrong:
        yield warning(
            "inertias",
            f"{len(wrong)} links have principal moments of inertia that no body has: {some(wrong)}",
            "correct them in the URDF, else torques, balance and simulation are wrong; none is "
            "negative, and the largest is at most the sum of the two others",
        )


def mesh_findings(urdf: Urdf, folders: Sequence[Path]) -> Iterator[CheckFinding]:
    """Missing geometry and mesh files."""
    without = {"collision": "the visual shapes are used instead", "visual": "stick figures only"}
    for kind, remedy in without.items():
        shapes = urdf.root.findall(f"./link/{kind}/geometry")
        names = {mesh.get("filename", "") for shape in shapes for mesh in shape.findall("mesh")}
        lost = sorted(name for name in names if find_mesh(name, urdf.path, folders) is None)
        if lost:
            report = error if kind == "collision" else warning
            yield report(
                "meshes",
                f"{len(lost)} of {len(names)} {kind} meshes do not exist: {some(lost)}",
                "package:// is resolved in the folders above the URDF and in those of a sourced "
                "ROS workspace",
            )
        elif shapes:
            yield ok("meshes", f"{len(shapes)} {kind} shapes, {len(names)} meshes")
        else:
            yield warning("meshes", f"no {kind} geometry", remedy)


def mesh_up_findings(
    model: pin.Model, urdf: Path, profile: RobotProfile | None, folders: Sequence[Path]
) -> Iterator[CheckFinding]:
    """COLLADA meshes whose up axis is not the profile's."""
    found = mesh_up_of(model, urdf, folders)
    stated = profile.urdf.mesh_up if profile else "z"
    if found != stated:
        yield warning(
            "meshes",
            f"the COLLADA meshes are nearer to their joints with {found} up than with {stated} up",
            f"set urdf.mesh_up: {found} and look at a picture",
        )

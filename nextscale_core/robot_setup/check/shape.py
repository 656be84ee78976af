"""What a URDF says about masses and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pinocchio as pin

from nextscale_core.robot_setup.footprint import mesh_up_of
from nextscale_core.robots.find_urdf import find_mesh
from nextscale_core.robots.profile import RobotProfile
from nextscale_core.robots.remarks import Remark, error, ok, some, warning
from nextscale_core.robots.urdf import read_urdf


def mass_remarks(model: pin.Model) -> Iterator[Remark]:
    """Remarks on joints that carry no mass: those of one place share a body behind the last."""
    total = float(pin.computeTotalMass(model))
    light = [
        model.names[joint]
        for joint in range(2, model.njoints)
        if not sum(model.inertias[behind].mass for behind in model.subtrees[joint]) > 0
    ]
    if not total > 0:
        yield error("masses", "no link has a mass", "give every link an <inertial>")
    elif light:
        yield warning(
            "masses",
            f"{len(light)} joints carry nothing that has a mass: {some(light)}",
            "the centre of mass will be off; give their links an <inertial>",
        )
    else:
        yield ok("masses", f"{total:.1f} kg in all")


def mesh_remarks(urdf: Path, folders: Sequence[Path]) -> Iterator[Remark]:
    """Remarks on geometry and mesh files."""
    root = read_urdf(urdf).root
    for kind in ("collision", "visual"):
        shapes = root.findall(f"./link/{kind}/geometry")
        names = {mesh.get("filename", "") for shape in shapes for mesh in shape.findall("mesh")}
        lost = sorted(name for name in names if find_mesh(name, urdf, folders) is None)
        if lost:
            say = error if kind == "collision" else warning
            yield say(
                "meshes",
                f"{len(lost)} of {len(names)} {kind} meshes are not there: {some(lost)}",
                "package:// is looked for in the folders above the URDF and in those of a sourced "
                "ROS workspace",
            )
        elif shapes:
            yield ok("meshes", f"{len(shapes)} {kind} shapes, {len(names)} meshes")
        else:
            yield warning(
                "meshes",
                f"no {kind} geometry",
                "self-collision is judged by what is seen"
                if kind == "collision"
                else "pictures show a stick figure",
            )


def mesh_up_remarks(
    model: pin.Model, urdf: Path, profile: RobotProfile | None, folders: Sequence[Path]
) -> Iterator[Remark]:
    """Remarks on COLLADA meshes that lie on their backs."""
    found = mesh_up_of(model, urdf, folders)
    said = profile.urdf.mesh_up if profile else "z"
    if found != said:
        yield warning(
            "meshes",
            f"the COLLADA meshes lie nearer to their joints with {found} up than with {said} up",
            f"set urdf.mesh_up: {found} and look at a picture",
        )

"""The shapes of a URDF's links: boxes, spheres, cylinders, capsules and meshes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import coal
import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.find_urdf import find_mesh
from nextscale_core.robots.meshes import load_mesh
from nextscale_core.robots.urdf import read_urdf

Kind = Literal["collision", "visual"]

_SIZES = {"sphere": ("radius",), "cylinder": ("radius", "length"), "capsule": ("radius", "length")}


@dataclass(frozen=True, eq=False)
class Shape:
    """One shape of a link.

    Attributes:
        link: Name of the link.
        placement: Where the shape is in the frame of the link.
        geometry: The shape; a mesh has its scale and unit in its vertices.
        color: (red, green, blue) of its material, None where it states none.
    """

    link: str
    placement: pin.SE3
    geometry: coal.CollisionGeometry
    color: tuple[float, float, float] | None


def link_shapes(
    urdf: Path, mesh_dirs: Sequence[Path], kind: Kind, mesh_up: str = "z"
) -> list[Shape]:
    """All shapes of one kind.

    They are read here and not by urdfdom, which leaves out all shapes of a link for a material
    without a name, and capsules in URDF 1.0.

    Args:
        urdf: The description.
        mesh_dirs: Folders that `package://` is resolved in.
        kind: 'collision' or 'visual'.
        mesh_up: As in `UrdfSource`.

    Raises:
        RobotError: a shape is not one of those above or has no valid size, or a mesh is missing or
            cannot be read. The message names the link.
    """
    root = read_urdf(urdf).root
    colors = {m.get("name"): color for m in root.findall("material") if (color := _color(m))}
    meshes: dict[tuple[Path, bytes], tuple[coal.CollisionGeometry, np.ndarray]] = {}

    def mesh(element: ElementTree.Element) -> tuple[coal.CollisionGeometry, np.ndarray]:
        name = element.get("filename", "")
        path = find_mesh(name, urdf, mesh_dirs)
        if path is None:
            raise RobotError(f"mesh {name!r} is not there")
        scale = _numbers(element, "scale", "1 1 1", 3)
        key = path, scale.tobytes()
        if key not in meshes:
            meshes[key] = load_mesh(path, scale, mesh_up)
        return meshes[key]

    found = []
    for link in root.findall("link"):
        name = link.get("name", "")
        for element in link.findall(kind):
            try:
                placement = _origin(element.find("origin"))
                body = _body(element)
                if body.tag == "mesh":
                    geometry, turn = mesh(body)
                    placement = placement * pin.SE3(turn, np.zeros(3))
                else:
                    geometry = _primitive(body)
            except RobotError as error:
                raise RobotError(f"{kind} shape of link {name!r}: {error}") from error
            material = element.find("material")
            color = None
            if material is not None:
                color = _color(material) or colors.get(material.get("name"))
            found.append(Shape(name, placement, geometry, color))
    return found


def shaped_links(root: ElementTree.Element, kind: Kind) -> list[str]:
    """Names of the links that state a shape of one kind, in the order of the file."""
    links = root.findall("link")
    return [link.get("name", "") for link in links if link.find(kind) is not None]


def _body(shape: ElementTree.Element) -> ElementTree.Element:
    geometry = shape.find("geometry")
    if geometry is None or not len(geometry):
        raise RobotError("it has no <geometry>")
    return geometry[0]


def _primitive(body: ElementTree.Element) -> coal.CollisionGeometry:
    if body.tag == "box":
        return coal.Box(*_sizes(body, "size", 3))
    if body.tag in _SIZES:
        sizes = [float(_sizes(body, key, 1)[0]) for key in _SIZES[body.tag]]
        return {"sphere": coal.Sphere, "cylinder": coal.Cylinder, "capsule": coal.Capsule}[
            body.tag
        ](*sizes)
    raise RobotError(f"<{body.tag}> is not a shape of URDF; use box, {', '.join(_SIZES)} or mesh")


def _origin(origin: ElementTree.Element | None) -> pin.SE3:
    if origin is None:
        return pin.SE3.Identity()
    place = _numbers(origin, "xyz", "0 0 0", 3)
    if origin.get("quat_xyzw") is not None:
        turn = _numbers(origin, "quat_xyzw", "", 4)
        if not np.linalg.norm(turn) > 1e-6:
            raise RobotError("the quat_xyzw of its <origin> has no direction")
        return pin.SE3(Rotation.from_quat(turn).as_matrix(), place)
    return pin.SE3(pin.rpy.rpyToMatrix(*_numbers(origin, "rpy", "0 0 0", 3)), place)


def _color(material: ElementTree.Element) -> tuple[float, float, float] | None:
    """The color of a material; None where a texture decides, which is not read."""
    color = material.find("color")
    if color is None or material.find("texture") is not None:
        return None
    red, green, blue, _ = _numbers(color, "rgba", "", 4)
    return float(red), float(green), float(blue)


def _sizes(element: ElementTree.Element, key: str, count: int) -> np.ndarray:
    values = _numbers(element, key, "", count)
    if (values < 0).any():
        raise RobotError(f"{key} of <{element.tag}> is negative: {element.get(key)!r}")
    return values


def _numbers(element: ElementTree.Element, key: str, default: str, count: int) -> np.ndarray:
    text = element.get(key, default)
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.empty(0)
    if len(values) != count or not np.isfinite(values).all():
        raise RobotError(f"{key} of <{element.tag}> must be {count} numbers, got {text!r}")
    return values

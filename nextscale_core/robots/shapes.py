"""Shapes of a URDF's links: boxes, spheres, cylinders, capsules and meshes (metres, z up)."""

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
from nextscale_core.robots.urdf import read_urdf

Kind = Literal["collision", "visual"]

_PRIMITIVES = {
    "box": (coal.Box, {"size": 3}),
    "sphere": (coal.Sphere, {"radius": 1}),
    "cylinder": (coal.Cylinder, {"radius": 1, "length": 1}),
    "capsule": (coal.Capsule, {"radius": 1, "length": 1}),
}
"""Class, and number of values of each attribute."""

_Y_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])

_GLTF = (".glb", ".gltf", ".vrm")
"""glTF has y up by definition; RViz turns such files."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One shape of a link.

    Attributes:
        link: Name of the link.
        placement: Pose of the shape in the frame of the link.
        geometry: The shape; the vertices of a mesh include its scale and unit.
        color: (red, green, blue) of its material in 0..1, None where it has none.
    """

    link: str
    placement: pin.SE3
    geometry: coal.CollisionGeometry
    color: tuple[float, float, float] | None


def link_shapes(
    urdf: Path,
    mesh_dirs: Sequence[Path],
    kind: Kind,
    mesh_up: str = "z",
    problems: list[str] | None = None,
) -> list[Shape]:
    """All shapes of one kind.

    urdfdom is not used: it drops all shapes of a link for a material without a name, and capsules
    in URDF 1.0.

    Args:
        urdf: The description.
        mesh_dirs: Folders that `package://` is resolved in.
        kind: 'collision' or 'visual'.
        mesh_up: See `UrdfSource`.
        problems: What is wrong with a shape is added here and the shape left out; an error when
            None.

    Raises:
        RobotError: a shape is of another type or has no valid size, or a mesh is missing or
            cannot be read. The message names the link.
    """
    root = read_urdf(urdf).root
    colors = {m.get("name"): color for m in root.findall("material") if (color := _color(m))}
    meshes: dict[tuple[Path, bytes], tuple[coal.CollisionGeometry, np.ndarray]] = {}

    def mesh(element: ElementTree.Element) -> tuple[coal.CollisionGeometry, np.ndarray]:
        name = element.get("filename", "")
        path = find_mesh(name, urdf, mesh_dirs)
        if path is None:
            raise RobotError(f"mesh {name!r} does not exist")
        scale = _numbers(element, "scale", "1 1 1", 3)
        key = path, scale.tobytes()
        if key not in meshes:
            meshes[key] = _load_mesh(path, scale, mesh_up)
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
                message = f"{kind} shape of link {name!r}: {error}"
                if problems is None:
                    raise RobotError(message) from error
                problems.append(message)
                continue
            material = element.find("material")
            color = None
            if material is not None:
                color = _color(material) or colors.get(material.get("name"))
            found.append(Shape(name, placement, geometry, color))
    return found


def shaped_links(root: ElementTree.Element, kind: Kind) -> list[str]:
    """Names of the links with a shape of one kind, in the order of the file."""
    links = root.findall("link")
    return [link.get("name", "") for link in links if link.find(kind) is not None]


def _body(shape: ElementTree.Element) -> ElementTree.Element:
    geometry = shape.find("geometry")
    if geometry is None or not len(geometry):
        raise RobotError("it has no <geometry>")
    return geometry[0]


def _primitive(body: ElementTree.Element) -> coal.CollisionGeometry:
    if body.tag not in _PRIMITIVES:
        raise RobotError(
            f"<{body.tag}> is not a shape of URDF; use {', '.join(_PRIMITIVES)} or mesh"
        )
    build, attributes = _PRIMITIVES[body.tag]
    sizes: list[float] = []
    for key, count in attributes.items():
        values = _numbers(body, key, "", count)
        if (values < 0).any():
            raise RobotError(f"{key} of <{body.tag}> is negative: {body.get(key)!r}")
        sizes += values.tolist()
    return build(*sizes)


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
    """The color of a material; None where it has a texture, which is not read."""
    color = material.find("color")
    if color is None or material.find("texture") is not None:
        return None
    red, green, blue, _ = _numbers(color, "rgba", "", 4)
    return float(red), float(green), float(blue)


def _numbers(element: ElementTree.Element, key: str, default: str, count: int) -> np.ndarray:
    text = element.get(key, default)
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.empty(0)
    if len(values) != count or not np.isfinite(values).all():
        raise RobotError(f"{key} of <{element.tag}> must be {count} numbers, got {text!r}")
    return values


def _collada_asset(path: Path) -> tuple[float, str]:
    """Unit [m] and up axis ('Y_UP', 'Z_UP', 'X_UP') of a COLLADA file, by default 1.0 and 'Y_UP'.

    Raises:
        RobotError: the file cannot be read, or its unit is not a positive length.
    """
    unit, up, inside = 1.0, "Y_UP", 0
    try:
        # The header only: what follows may be megabytes of numbers.
        for event, element in ElementTree.iterparse(path, events=("start", "end")):
            tag = element.tag.rpartition("}")[2]
            inside += (event == "start") - (event == "end") if tag == "asset" else 0
            if tag == "asset" and not inside:
                break
            if inside and event == "end" and tag == "up_axis":
                up = (element.text or up).strip().upper()
            elif inside and event == "end" and tag == "unit":
                unit = _metres(element.get("meter", "1"), path)
            elif tag.startswith("library_"):
                break
    except (ElementTree.ParseError, LookupError, ValueError, OSError) as error:
        raise RobotError(f"mesh {path.name} cannot be read: {error}") from error
    return unit, up


def _metres(text: str, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise RobotError(f"mesh {path.name}: <unit meter={text!r}> must be a positive number")
    return value


def _load_mesh(
    path: Path, scale: np.ndarray, mesh_up: str
) -> tuple[coal.CollisionGeometry, np.ndarray]:
    """Load a mesh in metres.

    As in RViz and Gazebo, the unit of a COLLADA file applies and its up axis does not, since many
    exporters write Y_UP for any mesh; `mesh_up` makes it apply.

    Args:
        path: The file.
        scale: (3,) of the URDF's `<mesh>`.
        mesh_up: See `UrdfSource`.

    Returns:
        The mesh as stored, and the (3, 3) rotation to apply to it.

    Raises:
        RobotError: the file cannot be read, or holds no triangles.
    """
    suffix = path.suffix.lower()
    turned = suffix in _GLTF
    if suffix == ".dae":
        unit, up = _collada_asset(path)
        scale = scale * unit
        turned = mesh_up == "y" and up == "Y_UP"
    try:
        # The URDF scales the turned mesh.
        mesh = coal.MeshLoader().load(str(path), scale[[0, 2, 1]] if turned else scale)
    except (ValueError, RuntimeError) as error:
        raise RobotError(f"mesh {path.name} cannot be read: {error}") from error
    if not mesh.num_tris:
        raise RobotError(f"mesh {path.name} holds no triangles")
    return mesh, _Y_TO_Z_UP if turned else np.eye(3)

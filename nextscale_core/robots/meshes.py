"""Reading mesh files as ROS viewers do: in metres, with z up."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import coal
import numpy as np

from nextscale_core.exceptions import RobotError

_TURN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From a mesh drawn with y up to one with z up."""

_UPRIGHT = (".glb", ".gltf", ".vrm")
"""glTF has y up by definition; RViz turns such files."""


@dataclass(frozen=True)
class Asset:
    """What a COLLADA file says about its numbers.

    Attributes:
        unit: Length of one unit [m].
        up: 'Y_UP', 'Z_UP', 'X_UP'.
    """

    unit: float = 1.0
    up: str = "Y_UP"


def collada_asset(path: Path) -> Asset:
    """The `<asset>` of a COLLADA file; what it does not say is as the standard has it.

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
    return Asset(unit, up)


def _metres(text: str, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise RobotError(f"mesh {path.name}: <unit meter={text!r}> must be a positive number")
    return value


def load_mesh(
    path: Path, scale: np.ndarray, mesh_up: str
) -> tuple[coal.CollisionGeometry, np.ndarray]:
    """A mesh in metres, and how it is turned.

    As RViz and Gazebo do, the unit of a COLLADA file counts and its up axis does not, which many
    exporters write whatever the mesh looks like; `mesh_up` says where it does.

    Args:
        path: The file.
        scale: (3,) of the URDF's `<mesh>`.
        mesh_up: As in `UrdfSource`.

    Returns:
        The mesh as its file has it, and the (3, 3) rotation that has to be applied to it.

    Raises:
        RobotError: the file cannot be read, or holds no triangles.
    """
    kind = path.suffix.lower()
    turned = kind in _UPRIGHT
    if kind == ".dae":
        asset = collada_asset(path)
        scale = scale * asset.unit
        turned = mesh_up == "y" and asset.up == "Y_UP"
    try:
        # The URDF scales the turned mesh.
        mesh = coal.MeshLoader().load(str(path), scale[[0, 2, 1]] if turned else scale)
    except (ValueError, RuntimeError) as error:
        raise RobotError(f"mesh {path.name} cannot be read: {error}") from error
    if not mesh.num_tris:
        raise RobotError(f"mesh {path.name} holds no triangles")
    return mesh, _TURN if turned else np.eye(3)

"""Convex hulls of a robot's links, cached on disk."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import coal
import numpy as np
from scipy.spatial import ConvexHull, QhullError

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.description import at_zero, link_names
from nextscale_core.robots.find_urdf import cache_dir, find_mesh
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.shapes import Kind, link_shapes, shaped_links
from nextscale_core.robots.urdf import read_urdf

_log = logging.getLogger(__name__)

_FORMAT = "hulls 5"
_DIRECTIONS = 1024
"""Number of directions in which the outermost vertex of a link is kept: at most 1 mm of loss.
With 256, thighs of Talos 4 mm apart touched."""


@dataclass(frozen=True)
class Hull:
    """Convex hull of all collision geometry of one link.

    Attributes:
        link: Name of the link.
        vertices: (V, 3) in the frame of the link [m].
        triangles: (F, 3) vertex rows.
    """

    link: str
    vertices: np.ndarray
    triangles: np.ndarray


def link_hulls(robot: Robot) -> list[Hull]:
    """Hulls of all links with collision geometry, from the cache if it holds valid ones.

    Raises:
        RobotError: a mesh that the URDF names is missing or cannot be read.
    """
    path = cache_dir() / "hulls" / f"{robot.name}-{_key(robot)}.npz"
    hulls = _read(path, robot)
    if hulls is None:
        hulls = _build(robot)
        _write(path, hulls)
    return hulls


def links_without_hull(robot: Robot) -> list[str]:
    """Links with a visual or collision shape but without a hull."""
    root, known = read_urdf(robot.urdf_path).root, {hull.link for hull in link_hulls(robot)}
    stated = shaped_links(root, "collision")
    seen = shaped_links(root, "visual") if stated else []
    return [link for link in dict.fromkeys([*seen, *stated]) if link not in known]


def _key(robot: Robot) -> str:
    """Hash of the URDF and its meshes."""
    digest = hashlib.sha256(_FORMAT.encode())
    digest.update(robot.urdf_path.read_bytes() + robot.profile.urdf.mesh_up.encode())
    for name in sorted(_mesh_names(read_urdf(robot.urdf_path).root)):
        digest.update(name.encode())
        mesh = find_mesh(name, robot.urdf_path, robot.mesh_dirs)
        if mesh is not None:
            digest.update(hashlib.sha256(mesh.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _mesh_names(root: ElementTree.Element) -> set[str]:
    kind = "collision" if shaped_links(root, "collision") else "visual"
    return {mesh.get("filename", "") for mesh in root.findall(f"./link/{kind}/geometry/mesh")}


def _read(path: Path, robot: Robot) -> list[Hull] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            links = [str(link) for link in file["links"]]
            hulls = [
                Hull(link, file[f"vertices{n}"], file[f"triangles{n}"])
                for n, link in enumerate(links)
            ]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("collision cache %s cannot be read (%s); building it again", path, error)
        return None
    known = link_names(robot.model)
    for hull in hulls:
        valid = (
            hull.link in known
            and hull.vertices.ndim == hull.triangles.ndim == 2
            and hull.vertices.shape[1] == hull.triangles.shape[1] == 3
            and np.isfinite(hull.vertices).all()
            and len(hull.triangles)
            and 0 <= hull.triangles.min() <= hull.triangles.max() < len(hull.vertices)
        )
        if not valid:
            _log.warning("collision cache %s holds invalid hulls; building it again", path)
            return None
    return hulls


def _write(path: Path, hulls: list[Hull]) -> None:
    arrays: dict[str, np.ndarray] = {"links": np.array([hull.link for hull in hulls])}
    for n, hull in enumerate(hulls):
        arrays[f"vertices{n}"], arrays[f"triangles{n}"] = hull.vertices, hull.triangles
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError as error:
        _log.warning("collision cache %s cannot be written (%s); going on without", path, error)
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def link_points(
    urdf: Path,
    mesh_dirs: Sequence[Path],
    mesh_up: str = "z",
    kinds: Sequence[Kind] = ("collision", "visual"),
    problems: list[str] | None = None,
) -> dict[str, np.ndarray]:
    """Points whose hull approximates that of each link's geometry.

    Args:
        urdf: The description.
        mesh_dirs: Folders that `package://` is resolved in.
        mesh_up: See `UrdfSource`.
        kinds: Kinds of shapes; the first one present in the URDF is used.
        problems: See `link_shapes`.

    Returns:
        (P, 3) points in the frame of each link that has geometry [m].

    Raises:
        RobotError: a mesh is missing or cannot be read, or a shape is not valid.
    """
    read = (link_shapes(urdf, mesh_dirs, kind, mesh_up, problems) for kind in kinds)
    shapes = next((found for found in read if found), [])
    points: dict[str, list[np.ndarray]] = {}
    for shape in shapes:
        turn, place = shape.placement.rotation, shape.placement.translation
        points.setdefault(shape.link, []).append(_surface_points(shape.geometry) @ turn.T + place)
    return {link: np.concatenate(parts) for link, parts in points.items()}


def _build(robot: Robot) -> list[Hull]:
    try:
        points = link_points(robot.urdf_path, robot.mesh_dirs, robot.profile.urdf.mesh_up)
        hulls = [hull for link, at in points.items() if (hull := _hull(link, at)) is not None]
        if not hulls:
            raise RobotError("the URDF has no collision geometry")
        _check_sizes(robot, hulls)
    except RobotError as error:
        raise RobotError(f"{robot.name}: {error}") from error
    return hulls


def _check_sizes(robot: Robot, hulls: Sequence[Hull]) -> None:
    """Refuse a hull larger than the robot: it would touch all others, so no pair would be kept."""
    robot_size = extent(np.array([frame.translation for frame in at_zero(robot.model).oMf]))
    sizes = {hull.link: extent(hull.vertices) for hull in hulls}
    large = {link: size for link, size in sizes.items() if size > robot_size}
    if large and len(hulls) > 1:
        named = ", ".join(f"{link} ({size:.3g} m)" for link, size in large.items())
        raise RobotError(
            f"{len(large)} links have shapes larger than the robot, whose links span "
            f"{robot_size:.3g} m: {named}; are the meshes in centimetres or millimetres? Set scale "
            "in the URDF's <mesh>, or <unit> in a COLLADA file"
        )


def extent(points: np.ndarray) -> float:
    """Diagonal of the box around points (P, 3) [m]."""
    return float(np.linalg.norm(np.ptp(points, axis=0)))


def _hull(link: str, points: np.ndarray) -> Hull | None:
    if len(points) > _DIRECTIONS:
        points = points[np.unique((points @ _directions(_DIRECTIONS).T).argmax(0))]
    try:
        # QJ joggles the input, so flat and collinear parts have a hull too.
        triangles = ConvexHull(points, qhull_options="QJ").simplices
    except (QhullError, ValueError) as error:
        _log.warning("link %s has no volume and is left out of collision checks: %s", link, error)
        return None
    used, triangles = np.unique(triangles, return_inverse=True)
    vertices = points[used]
    triangles = triangles.reshape(-1, 3)
    # Qhull does not orient its facets; coal requires them to face outward.
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    inward = (np.cross(b - a, c - a) * (a - vertices.mean(0))).sum(-1) < 0
    triangles[inward] = triangles[inward][:, [0, 2, 1]]
    return Hull(link, vertices, triangles.astype(np.int32))


def _directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere (golden spiral)."""
    n = np.arange(count) + 0.5
    z, around = 1 - 2 * n / count, np.pi * (1 + 5**0.5) * n
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(around), r * np.sin(around), z], axis=-1)


def _surface_points(shape: coal.CollisionGeometry) -> np.ndarray:
    """Points whose hull approximates a shape, in its own frame [m]."""
    if isinstance(shape, coal.Sphere):
        return shape.radius * _directions(32)
    if isinstance(shape, coal.Box):
        return np.array(np.meshgrid(*[[-h, h] for h in shape.halfSide])).reshape(3, -1).T
    if isinstance(shape, (coal.Cylinder, coal.Capsule)):
        turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        rim = np.stack([np.cos(turn), np.sin(turn), np.zeros(16)], -1) * shape.radius
        top = np.array([0.0, 0.0, shape.halfLength])
        points = np.concatenate([rim + top, rim - top])
        if isinstance(shape, coal.Capsule):
            ball = shape.radius * _directions(32)
            points = np.concatenate([points, ball + top, ball - top])
        return points
    vertices = getattr(shape, "vertices", None)
    if vertices is None:
        vertices = getattr(shape, "points", None)
    if vertices is None:
        raise RobotError(f"collision shape {type(shape).__name__} is not supported; use a mesh")
    return np.array([np.asarray(at) for at in (vertices() if callable(vertices) else vertices)])

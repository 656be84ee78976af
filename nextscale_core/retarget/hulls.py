"""Convex hulls of a robot's links, cached on disk because reading the meshes takes long."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import warnings
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import dataclass
from pathlib import Path

import coal
import numpy as np
import pinocchio as pin
from scipy.spatial import ConvexHull, QhullError

from nextscale_core.exceptions import RobotError
from nextscale_core.retarget.robot import Robot

_log = logging.getLogger(__name__)

_FORMAT = "hulls 2"
_DIRECTIONS = 256
"""Directions in which the outermost vertex of a link is kept; the loss is a millimetre or two."""


@dataclass(frozen=True)
class Hull:
    """Convex hull of all collision geometry of one link.

    Attributes:
        link: Name of the link.
        vertices: (V, 3) in the frame of the joint that carries the link [m].
        triangles: (F, 3) vertex rows.
    """

    link: str
    vertices: np.ndarray
    triangles: np.ndarray


def cache_dir() -> Path:
    """Folder for what can be computed again: NEXTSCALE_CACHE, or the user's cache folder."""
    given = os.environ.get("NEXTSCALE_CACHE")
    if given:
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "nextscale"


def link_hulls(robot: Robot) -> list[Hull]:
    """Hulls of all links that have collision geometry, from the cache where it holds them.

    A missing, broken or unwritable cache only costs the time to build the hulls again.

    Raises:
        RobotError: a mesh that the URDF names is missing or cannot be read.
    """
    path = cache_dir() / "hulls" / f"{robot.name}-{_key(robot)}.npz"
    hulls = _read(path, robot)
    if hulls is None:
        hulls = _build(robot)
        _write(path, hulls)
    return hulls


def _key(robot: Robot) -> str:
    """Hash of everything the hulls depend on: URDF, meshes, locked joints."""
    digest = hashlib.sha256(_FORMAT.encode())
    text = robot.urdf_path.read_bytes()
    digest.update(text)
    digest.update(repr(sorted(robot.profile.locked.items())).encode())
    for name in sorted(_mesh_names(text)):
        digest.update(name.encode())
        mesh = _resolve(name, robot)
        if mesh is not None:
            digest.update(hashlib.sha256(mesh.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _mesh_names(urdf: bytes) -> set[str]:
    root = ElementTree.fromstring(urdf)
    return {mesh.get("filename", "") for mesh in root.findall("./link/collision/geometry/mesh")}


def _resolve(name: str, robot: Robot) -> Path | None:
    if name.startswith("package://"):
        places = [folder / name.removeprefix("package://") for folder in robot.mesh_dirs]
    else:
        places = [robot.urdf_path.parent / name.removeprefix("file://")]
    return next((place for place in places if place.is_file()), None)


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
    known = {frame.name for frame in robot.model.frames if frame.type == pin.FrameType.BODY}
    for hull in hulls:
        sound = (
            hull.link in known
            and hull.vertices.ndim == hull.triangles.ndim == 2
            and hull.vertices.shape[1] == hull.triangles.shape[1] == 3
            and np.isfinite(hull.vertices).all()
            and len(hull.triangles)
            and 0 <= hull.triangles.min() <= hull.triangles.max() < len(hull.vertices)
        )
        if not sound:
            _log.warning("collision cache %s holds nonsense; building it again", path)
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


def _build(robot: Robot) -> list[Hull]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            geometry = pin.buildGeomFromUrdf(
                robot.model,
                str(robot.urdf_path),
                pin.GeometryType.COLLISION,
                package_dirs=[str(folder) for folder in robot.mesh_dirs],
            )
    except (ValueError, RuntimeError) as error:
        raise RobotError(f"{robot.name}: collision geometry cannot be loaded: {error}") from error
    points: dict[str, list[np.ndarray]] = {}
    for item in geometry.geometryObjects:
        link = robot.model.frames[item.parentFrame].name
        # The scale of a mesh is in its vertices already.
        placed = (
            _surface_points(item.geometry) @ item.placement.rotation.T + item.placement.translation
        )
        points.setdefault(link, []).append(placed)
    hulls = []
    for link, parts in points.items():
        hull = _hull(link, np.concatenate(parts))
        if hull is not None:
            hulls.append(hull)
    if not hulls:
        raise RobotError(f"{robot.name}: the URDF has no collision geometry")
    return hulls


def _hull(link: str, points: np.ndarray) -> Hull | None:
    if len(points) > _DIRECTIONS:
        points = points[np.unique((points @ _directions(_DIRECTIONS).T).argmax(0))]
    try:
        # QJ: flat and collinear parts get a hull too.
        triangles = ConvexHull(points, qhull_options="QJ").simplices
    except (QhullError, ValueError) as error:
        _log.warning("link %s has no volume and is left out of collision checks: %s", link, error)
        return None
    used, triangles = np.unique(triangles, return_inverse=True)
    vertices = points[used]
    triangles = triangles.reshape(-1, 3)
    # Qhull does not orient its facets; coal wants them outward.
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
    """Points whose hull is (nearly) the hull of a shape, in its own frame [m]."""
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
    return np.array(
        [np.asarray(vertex) for vertex in (vertices() if callable(vertices) else vertices)]
    )

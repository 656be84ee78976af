"""Triangle meshes: the shapes that figures are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """A coloured triangle mesh.

    Attributes:
        vertices: (V, 3) positions [m].
        triangles: (F, 3) vertex indices, counter-clockwise seen from outside.
        colors: (F, 3) red, green, blue of each triangle, 0 to 1.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    colors: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """(F, 3, 3) positions of each triangle's corners."""
        return self.vertices[self.triangles]

    def placed(self, rotation: np.ndarray, translation: np.ndarray) -> Mesh:
        """The mesh turned by a (3, 3) matrix, then moved by (3,) [m]."""
        return Mesh(self.vertices @ rotation.T + translation, self.triangles, self.colors)

    @staticmethod
    def joined(meshes: list[Mesh]) -> Mesh:
        """Several meshes as one."""
        starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        return Mesh(
            np.concatenate([mesh.vertices for mesh in meshes]),
            np.concatenate([m.triangles + start for m, start in zip(meshes, starts, strict=False)]),
            np.concatenate([mesh.colors for mesh in meshes]),
        )


def one_color(color: tuple[float, float, float], triangles: np.ndarray) -> np.ndarray:
    """(F, 3) the same colour for every triangle."""
    return np.tile(np.asarray(color, dtype=np.float64), (len(triangles), 1))


def capsule(
    start: np.ndarray,
    end: np.ndarray,
    start_radius: float,
    end_radius: float,
    color: tuple[float, float, float],
    sides: int = 14,
) -> Mesh:
    """A limb: a tapered tube between two points with a round cap at each end.

    Args:
        start: (3,) centre of the first cap [m].
        end: (3,) centre of the second cap [m].
        start_radius: Radius at `start` [m].
        end_radius: Radius at `end` [m].
        color: Red, green, blue.
        sides: Number of facets around.
    """
    axis = np.asarray(end, dtype=np.float64) - start
    length = float(np.linalg.norm(axis))
    axis = axis / length if length > 1e-9 else np.array([0.0, 0.0, 1.0])
    seed = np.eye(3)[int(np.argmin(np.abs(axis)))]
    across = np.cross(axis, seed)
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(axis, across), axis], axis=1)
    half = np.sqrt(0.5)
    # Triangles about as long as wide: the painter's algorithm sorts them by their middles.
    sections = int(np.ceil(length / max(1.2 * min(start_radius, end_radius), 1e-3)))
    sections = min(max(sections, 1), 12)
    shares = [section / sections for section in range(sections + 1)]
    # Radius and height of each ring, from pole to pole; the poles are rings of radius 0.
    rings = (
        (0.0, -start_radius),
        (half * start_radius, -half * start_radius),
        *((start_radius + s * (end_radius - start_radius), s * length) for s in shares),
        (half * end_radius, length + half * end_radius),
        (0.0, length + end_radius),
    )
    mesh = _of_rings(rings, sides, color)
    return mesh.placed(frame, np.asarray(start, dtype=np.float64))


def ellipsoid(
    radii: tuple[float, float, float], color: tuple[float, float, float], sides: int = 14
) -> Mesh:
    """An ellipsoid about the origin with half axes `radii` [m], of `sides` facets around."""
    latitudes = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 2)
    ball = _of_rings([(float(np.cos(a)), float(np.sin(a))) for a in latitudes], sides, color)
    return Mesh(ball.vertices * radii, ball.triangles, ball.colors)


def box(half: np.ndarray, color: tuple[float, float, float]) -> Mesh:
    """A box about the origin with half edges `half` [m]."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    triangles = np.array(
        [
            (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
            (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
        ]
    )  # fmt: skip
    return Mesh(signs * half, triangles, one_color(color, triangles))


def _of_rings(
    rings: tuple[tuple[float, float], ...] | list[tuple[float, float]],
    sides: int,
    color: tuple[float, float, float],
) -> Mesh:
    angles = np.arange(sides) * (2 * np.pi / sides)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vertices = np.concatenate(
        [np.column_stack([radius * circle, np.full(sides, height)]) for radius, height in rings]
    )
    this = np.arange(sides)
    following = (this + 1) % sides
    quads = []
    for ring in range(len(rings) - 1):
        low, high = ring * sides, (ring + 1) * sides
        quads.append(np.column_stack([low + this, low + following, high + following]))
        quads.append(np.column_stack([low + this, high + following, high + this]))
    triangles = np.concatenate(quads)
    corners = vertices[triangles]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    triangles = triangles[area > 1e-12]
    return Mesh(vertices, triangles, one_color(color, triangles))


def simplified(mesh: Mesh, cell: float) -> Mesh:
    """The mesh with all vertices inside a cube of edge `cell` [m] drawn together.

    Vertex clustering (Rossignac and Borrel, 1993): crude, but it takes any triangle soup, never
    fails, and at the size of a pixel nobody sees the difference.
    """
    keys = np.floor(mesh.vertices / cell).astype(np.int64)
    _, cluster, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    cluster = cluster.reshape(-1)
    centres = np.stack(
        [np.bincount(cluster, mesh.vertices[:, axis]) / counts for axis in range(3)], axis=1
    )
    triangles = cluster[mesh.triangles]
    a, b, c = triangles.T
    kept = (a != b) & (b != c) & (a != c)
    # Triangles that fell together cover each other: one is enough.
    _, first = np.unique(np.sort(triangles[kept], axis=1), axis=0, return_index=True)
    return Mesh(centres, triangles[kept][first], mesh.colors[kept][first])

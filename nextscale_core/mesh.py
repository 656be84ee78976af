"""Coloured triangle meshes: shapes, simplification, and smooth normals for browsers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Color = tuple[float, float, float]
"""Red, green and blue, 0 to 1."""

CREASE = np.deg2rad(32.0)
"""Maximum angle between the normals of neighbours drawn without an edge between them [rad]."""


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
        """(F, 3, 3) positions of each triangle's corners [m]."""
        return self.vertices[self.triangles]

    @property
    def normals(self) -> np.ndarray:
        """(F, 3) outward normals, their length twice the triangle's area [m^2]."""
        a, b, c = np.moveaxis(self.corners, 1, 0)
        return np.cross(b - a, c - a)

    def placed(self, rotation: np.ndarray, translation: np.ndarray) -> Mesh:
        """The mesh turned by a (3, 3) matrix, then moved by (3,) [m]."""
        return Mesh(self.vertices @ rotation.T + translation, self.triangles, self.colors)

    def painted(self, color: Color) -> Mesh:
        """The mesh in one colour."""
        return Mesh(self.vertices, self.triangles, one_color(color, self.triangles))

    @staticmethod
    def joined(meshes: Sequence[Mesh]) -> Mesh:
        """Several meshes as one."""
        starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        return Mesh(
            np.concatenate([mesh.vertices for mesh in meshes]),
            np.concatenate([m.triangles + start for m, start in zip(meshes, starts, strict=False)]),
            np.concatenate([mesh.colors for mesh in meshes]),
        )


def one_color(color: Color, triangles: np.ndarray) -> np.ndarray:
    """(F, 3) the same colour for every triangle."""
    return np.tile(np.asarray(color, dtype=np.float64), (len(triangles), 1))


def capsule(
    start: np.ndarray,
    end: np.ndarray,
    start_radius: float,
    end_radius: float,
    color: Color,
    sides: int = 14,
) -> Mesh:
    """A tapered tube between two points (3,) with a round cap at each end [m].

    `sides` is the number of facets around.
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
    return _of_rings(rings, sides, color).placed(frame, np.asarray(start, dtype=np.float64))


def ellipsoid(radii: tuple[float, float, float], color: Color, sides: int = 14) -> Mesh:
    """An ellipsoid about the origin with half axes `radii` [m], of `sides` facets around."""
    latitudes = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 2)
    ball = _of_rings([(float(np.cos(a)), float(np.sin(a))) for a in latitudes], sides, color)
    return ball.placed(np.diag(radii), np.zeros(3))


def box(half: np.ndarray, color: Color) -> Mesh:
    """A box about the origin with half edges `half` [m]."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    triangles = np.array(
        [
            (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
            (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
        ]
    )  # fmt: skip
    return Mesh(signs * half, triangles, one_color(color, triangles))


def _of_rings(rings: Sequence[tuple[float, float]], sides: int, color: Color) -> Mesh:
    """A surface of revolution about z, through rings of a radius and a height each [m]."""
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
    mesh = Mesh(vertices, triangles, one_color(color, triangles))
    kept = np.linalg.norm(mesh.normals, axis=1) > 1e-12
    return Mesh(vertices, triangles[kept], mesh.colors[kept])


def simplified(mesh: Mesh, cell: float) -> Mesh:
    """The mesh with all vertices inside a cube of edge `cell` [m] merged.

    Vertex clustering (Rossignac and Borrel, 1993) accepts any triangle soup; the error is
    invisible if a cube is about a pixel.
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
    # One of several triangles with the same corners is enough.
    _, first = np.unique(np.sort(triangles[kept], axis=1), axis=0, return_index=True)
    return Mesh(centres, triangles[kept][first], mesh.colors[kept][first])


def creased(mesh: Mesh, angle: float = CREASE) -> Mesh:
    """The same surface, with vertices shared only where it is smooth.

    A renderer that averages the normals of the triangles at each vertex then keeps the edges of a
    box and rounds a tube. Neighbours whose normals differ by less than `angle` are smooth [rad].
    """
    normals = mesh.normals
    length = np.linalg.norm(normals, axis=1)
    kept = length > 1e-14
    normals = normals[kept] / length[kept, None]
    _, place = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)
    triangles = mesh.triangles[kept]
    at = place.reshape(-1)[triangles]
    number = np.arange(3 * len(triangles)).reshape(-1, 3)

    # Each edge from both of its sides; the same edge has the same key.
    start, end = at, np.roll(at, -1, axis=1)
    swapped = (start > end).reshape(-1)
    key = np.minimum(start, end).astype(np.int64) * (int(at.max(initial=0)) + 1)
    key = (key + np.maximum(start, end)).reshape(-1)
    low, high = number.reshape(-1), np.roll(number, -1, axis=1).reshape(-1)
    low, high = np.where(swapped, high, low), np.where(swapped, low, high)
    order = np.argsort(key, kind="stable")
    one, other = order[:-1], order[1:]
    cosine = (normals[one // 3] * normals[other // 3]).sum(1)
    smooth = (key[one] == key[other]) & (cosine > np.cos(angle))
    one, other = one[smooth], other[smooth]
    pairs = np.concatenate([np.stack([side[one], side[other]]) for side in (low, high)], axis=1)
    graph = coo_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(number.size,) * 2)
    count, group = connected_components(graph, directed=False)
    vertices = np.empty((count, 3))
    vertices[group] = mesh.vertices[triangles.reshape(-1)]
    return Mesh(vertices, group.reshape(-1, 3), mesh.colors[kept])


def by_color(mesh: Mesh) -> list[tuple[Color, Mesh]]:
    """The mesh in pieces of one colour each."""
    colors, which = np.unique(np.round(mesh.colors, 4), axis=0, return_inverse=True)
    pieces = []
    for number, color in enumerate(colors):
        chosen = which.reshape(-1) == number
        used, triangles = np.unique(mesh.triangles[chosen], return_inverse=True)
        piece = Mesh(mesh.vertices[used], triangles.reshape(-1, 3), mesh.colors[chosen])
        pieces.append(((float(color[0]), float(color[1]), float(color[2])), piece))
    return pieces

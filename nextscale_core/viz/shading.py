"""Normals as a browser draws them: round where the surface is round, sharp at its edges."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nextscale_core.viz.mesh import Mesh

CREASE = np.deg2rad(32.0)
"""Neighbours that meet at a sharper angle are drawn with an edge between them [rad]."""


def creased(mesh: Mesh, angle: float = CREASE) -> Mesh:
    """The same surface, with vertices shared only where it is smooth.

    A renderer that averages the normals of the triangles at each vertex then keeps the edges of a
    box and rounds a tube.

    Args:
        mesh: Any triangle soup.
        angle: Largest angle between the normals of smooth neighbours [rad].
    """
    corners = mesh.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
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


def by_color(mesh: Mesh) -> list[tuple[tuple[float, float, float], Mesh]]:
    """The mesh in pieces of one colour each."""
    colors, which = np.unique(np.round(mesh.colors, 4), axis=0, return_inverse=True)
    pieces = []
    for number, color in enumerate(colors):
        chosen = which.reshape(-1) == number
        used, triangles = np.unique(mesh.triangles[chosen], return_inverse=True)
        piece = Mesh(mesh.vertices[used], triangles.reshape(-1, 3), mesh.colors[chosen])
        pieces.append(((float(color[0]), float(color[1]), float(color[2])), piece))
    return pieces

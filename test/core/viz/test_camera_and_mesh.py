"""Cameras and the shapes that figures are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextscale_core.mesh import Mesh, capsule, ellipsoid, one_color, simplified
from nextscale_core.viz.camera import Camera, looking


def _volume(mesh: Mesh) -> float:
    a, b, c = np.moveaxis(mesh.corners, 1, 0)
    return float((a * np.cross(b, c)).sum() / 6.0)


def _is_closed(mesh: Mesh) -> bool:
    a, b, c = (
        np.unique(mesh.vertices.round(9), axis=0, return_inverse=True)[1].reshape(-1)[
            mesh.triangles[:, corner]
        ]
        for corner in range(3)
    )
    edges = np.concatenate([np.stack(pair, axis=1) for pair in ((a, b), (b, c), (c, a))])
    there = {tuple(edge) for edge in edges.tolist()}
    return all((end, start) in there for start, end in there)


def test_a_body_that_walks_ahead_walks_to_the_right_of_the_page() -> None:
    camera = Camera(np.zeros(3), looking(np.array([1.0, 0.0]), turn=-0.9, elevation=0.2))
    page, _ = camera.project(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert page[1, 0] > 0.7
    assert page[2, 0] == pytest.approx(0.0)
    assert page[2, 1] > 0.9


def test_without_perspective_equal_lengths_stay_equal() -> None:
    camera = Camera(np.zeros(3), looking(np.array([0.0, 1.0]), turn=0.3, elevation=0.4))
    near, _ = camera.project(camera.axes[2] * 2.0 + np.array([[0.0, 0, 0], [0, 0, 1]]))
    far, _ = camera.project(-camera.axes[2] * 2.0 + np.array([[0.0, 0, 0], [0, 0, 1]]))
    np.testing.assert_allclose(near[1] - near[0], far[1] - far[0])


def test_with_perspective_the_near_looks_larger() -> None:
    camera = Camera(np.zeros(3), np.array([1.0, 0.0, 0.0]), distance=4.0)
    page, nearness = camera.project(np.array([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]))
    assert page[0, 1] > 1.0 > page[1, 1]
    assert nearness[0] > nearness[1]


@given(
    start=st.tuples(*[st.floats(-1, 1)] * 3),
    end=st.tuples(*[st.floats(-1, 1)] * 3),
    radius=st.floats(0.02, 0.2),
)
def test_a_capsule_is_closed_and_its_sides_face_outward(
    start: tuple[float, ...], end: tuple[float, ...], radius: float
) -> None:
    mesh = capsule(np.array(start), np.array(end), radius, radius, (1.0, 0.0, 0.0))
    length = float(np.linalg.norm(np.subtract(start, end)))
    exact = np.pi * radius**2 * (length + 4.0 / 3.0 * radius)
    assert 0.75 * exact < _volume(mesh) <= exact * 1.001


def test_shapes_have_no_holes() -> None:
    limb = capsule(np.zeros(3), np.array([0.0, 0.3, 0.2]), 0.05, 0.03, (1.0, 0.0, 0.0))
    assert _is_closed(limb)
    assert _is_closed(ellipsoid((0.1, 0.2, 0.3), (1.0, 0.0, 0.0)))


def test_a_simplified_mesh_keeps_its_size_with_far_fewer_triangles() -> None:
    fine = Mesh.joined(
        [capsule(np.zeros(3), np.array([0.0, 0.0, h]), 0.1, 0.1, (1.0, 0.0, 0.0), sides=80)
         for h in (0.2, 0.4, 0.6)]
    )  # fmt: skip
    coarse = simplified(fine, 0.03)
    assert len(coarse.triangles) < len(fine.triangles) / 2
    for side in (np.min, np.max):
        np.testing.assert_allclose(
            side(coarse.vertices, axis=0), side(fine.vertices, axis=0), atol=0.03
        )


def test_a_simplified_mesh_has_no_empty_and_no_double_triangles() -> None:
    corners = np.random.default_rng(0).normal(size=(300, 3))
    triangles = np.random.default_rng(1).integers(0, 300, size=(900, 3))
    mesh = simplified(Mesh(corners, triangles, one_color((0.0, 0.0, 1.0), triangles)), 0.8)
    rows = np.sort(mesh.triangles, axis=1)
    assert (rows[:, 0] != rows[:, 1]).all() and (rows[:, 1] != rows[:, 2]).all()
    assert len(np.unique(rows, axis=0)) == len(rows)

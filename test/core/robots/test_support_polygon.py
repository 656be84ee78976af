from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from nextscale_core.robots import Robot
from nextscale_core.robots.centre_of_mass import CentreOfMass
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.support_polygon import in_contact, support_polygon
from nextscale_core.rotations import exp

FOOT = np.array([[0.12, 0.03], [0.12, -0.03], [-0.05, 0.03], [-0.05, -0.03]])
BOTH = np.concatenate([FOOT + np.array([0.1, 0.12]), FOOT - np.array([0.0, 0.12])])
ALL = np.ones(8, dtype=bool)


def depth(point: tuple[float, float], contact: np.ndarray = ALL) -> float:
    return float(support_polygon(BOTH[None], contact[None]).depth(np.array([point]))[0])


def test_the_depth_of_a_point_is_its_distance_to_the_nearest_edge_of_the_hull() -> None:
    hull = ConvexHull(BOTH)
    for point in np.random.default_rng(0).uniform([-0.1, -0.2], [0.3, 0.2], size=(50, 2)):
        expected = -(hull.equations[:, :2] @ point + hull.equations[:, 2]).max()
        if expected > 0:
            assert depth(tuple(point)) == pytest.approx(expected)
        else:
            assert depth(tuple(point)) < 0


def test_a_line_of_contact_has_ends() -> None:
    toes = np.array([True, True, *[False] * 6])
    assert depth((0.22, 0.12), toes) == pytest.approx(0.0)
    assert depth((0.22, 0.2), toes) == pytest.approx(-0.05)
    assert depth((0.25, 0.12), toes) == pytest.approx(-0.03)


def test_without_contact_there_is_no_depth_and_no_point_moves() -> None:
    polygon = support_polygon(BOTH[None], ~ALL[None])
    assert np.isnan(polygon.depth(np.zeros((1, 2)))).all()
    assert np.array_equal(polygon.inside(np.ones((1, 2)), 0.02), np.ones((1, 2)))


def test_points_are_moved_inside_by_the_margin_and_no_further() -> None:
    polygon = support_polygon(np.repeat(BOTH[None], 3, axis=0), np.repeat(ALL[None], 3, axis=0))
    points = np.array([[0.5, 0.0], [0.05, 0.0], [0.02, -0.5]])
    moved = polygon.inside(points, 0.02)
    assert np.allclose(moved[1], points[1])
    assert np.allclose(polygon.depth(moved)[[0, 2]], 0.02, atol=2e-3)
    # One foot is 6 cm wide: 5 cm from both edges is nowhere, its middle is nearest to that.
    alone = support_polygon(BOTH[None], (ALL & (np.arange(8) < 4))[None])
    assert alone.inside(np.array([[0.1, 0.5]]), 0.05)[0, 1] == pytest.approx(0.12, abs=0.005)


def test_a_corner_bears_load_where_it_is_low_and_does_not_swing() -> None:
    corners = np.zeros((20, 3, 3))
    corners[:, 1, 2] = 0.1
    corners[:, 2, 0] = np.arange(20) * 0.05
    contact = in_contact(corners, 0.05, height=0.02, speed=0.4)
    assert contact.all(0).tolist() == [True, False, False]


def test_the_centre_of_mass_and_its_derivative_are_those_of_pinocchio(g1: Robot) -> None:
    k, generator = kinematics_of(g1), np.random.default_rng(1)
    centre = CentreOfMass(k)
    turn = Rotation.random(4, rng=1)
    poses = Poses(
        generator.normal(size=(4, 3)), turn.as_matrix(), 0.4 * generator.normal(size=(4, 29))
    )
    data = g1.model.createData()
    places = centre.position(k.frames(poses))
    for q, place in zip(
        g1.configurations(poses.base, turn.as_quat(), poses.joints), places, strict=True
    ):
        assert np.allclose(pin.centerOfMass(g1.model, data, q), place)
    assert centre.mass == pytest.approx(sum(one.mass for one in g1.model.inertias))
    rows = centre.horizontal_rows(k.frames(poses), np.arange(29))
    for column in range(35):
        step = np.zeros(35)
        step[column] = 1e-6
        ends = [
            centre.position(
                k.frames(
                    Poses(
                        poses.base + sign * step[:3],
                        exp(sign * step[3:6]) @ poses.rotation,
                        poses.joints + sign * step[6:],
                    )
                )
            )
            for sign in (1, -1)
        ]
        assert np.allclose((ends[0] - ends[1])[:, :2] / 2e-6, rows[:, :, column], atol=1e-7)

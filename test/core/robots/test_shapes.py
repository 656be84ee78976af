"""Shapes of links: units and axes of meshes, and what becomes of them for self-collision."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from core.conftest import waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import RobotError
from nextscale_core.retarget.retargeter import Retargeter
from nextscale_core.robot_setup.check.robot_check import check_robot
from nextscale_core.robots import Robot, load_robot
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.hulls import extent, link_hulls, link_points
from nextscale_core.safety import SafetyGate
from nextscale_core.viz.links import robot_body

_FACES = "0 1 2 0 2 3 4 6 5 4 7 6 0 4 1 1 4 5 1 5 2 2 5 6 2 6 3 3 6 7 3 7 0 0 7 4"


def collada(path: Path, size: tuple[float, float, float], asset: str) -> Path:
    """A box as a COLLADA file; `asset` is what stands in its header."""
    corners = [(-1, -1, -1), (1, -1, -1), (1, 1, -1), (-1, 1, -1)]
    corners += [(x, y, 1) for x, y, _ in corners]
    numbers = " ".join(f"{s * h / 2:g}" for row in corners for s, h in zip(row, size, strict=True))
    path.write_text(
        '<?xml version="1.0"?><COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" '
        f'version="1.4.1"><asset>{asset}</asset><library_geometries><geometry id="box"><mesh>'
        f'<source id="at"><float_array id="f" count="24">{numbers}</float_array><technique_common>'
        '<accessor source="#f" count="8" stride="3"><param name="X" type="float"/><param name="Y" '
        'type="float"/><param name="Z" type="float"/></accessor></technique_common></source>'
        '<vertices id="v"><input semantic="POSITION" source="#at"/></vertices><triangles '
        f'count="12"><input semantic="VERTEX" source="#v" offset="0"/><p>{_FACES}</p></triangles>'
        '</mesh></geometry></library_geometries><library_visual_scenes><visual_scene id="s"><node>'
        '<instance_geometry url="#box"/></node></visual_scene></library_visual_scenes><scene>'
        '<instance_visual_scene url="#s"/></scene></COLLADA>'
    )
    return path


TORSO = "0.12 0.26 0.3"


def with_torso(folder: Path, geometry: str, visual: bool = False) -> Path:
    """The doll with another shape of the torso."""
    path = toy_humanoid(folder)
    text = path.read_text()
    plain = (
        f'<collision><origin xyz="0 0 0.18"/><geometry><box size="{TORSO}"/></geometry></collision>'
    )
    assert plain in text
    other = plain.replace(f'<box size="{TORSO}"/>', geometry)
    if visual:
        other += other.replace("collision>", "visual>")
    path.write_text(text.replace(plain, other))
    return path


def torso_of(path: Path, mesh_up: str = "z") -> np.ndarray:
    """(3,) size of the torso [m]."""
    return np.ptp(link_points(path, [path.parent], mesh_up)["waist_yaw_link"], axis=0)


def loaded(path: Path) -> Robot:
    return load_robot(str(path), toy_profile(path.parent))


@pytest.mark.parametrize(
    ("unit", "scale"), [("0.01", 1.0), ("0.001", 1.0), ("0.0254", 1.0), ("0.01", 0.5), ("", 1.0)]
)
def test_a_collada_mesh_is_as_large_as_its_unit_and_scale_say(
    unit: str, scale: float, tmp_path: Path
) -> None:
    metres = float(unit or 1)
    size = tuple(value / metres / scale for value in (0.12, 0.26, 0.3))
    asset = f'<unit name="u" meter="{unit}"/>' if unit else ""
    collada(tmp_path / "torso.dae", size, f"{asset}<up_axis>Z_UP</up_axis>")
    mesh = f'<mesh filename="torso.dae" scale="{scale} {scale} {scale}"/>'
    path = with_torso(tmp_path, mesh, visual=True)
    assert torso_of(path) == pytest.approx([0.12, 0.26, 0.3], rel=1e-5)
    robot = loaded(path)
    plain = load_robot(str(toy_humanoid(tmp_path / "plain")), toy_profile(tmp_path / "plain"))
    assert collision_model(robot).pairs == collision_model(plain).pairs
    (seen,) = robot_body(robot, 1e-4).links
    assert np.ptp(seen.mesh.vertices, axis=0) == pytest.approx([0.12, 0.26, 0.3], rel=1e-3)


def test_a_collada_mesh_is_turned_only_where_file_and_profile_say_y_up(tmp_path: Path) -> None:
    mesh = '<mesh filename="torso.dae" scale="1 2 3"/>'
    turned, written = [0.1, 2 * 0.3, 3 * 0.2], [0.1, 2 * 0.2, 3 * 0.3]
    for asset, mesh_up, expected in (
        ("<up_axis>Y_UP</up_axis>", "z", written),
        ("<up_axis>Y_UP</up_axis>", "y", turned),
        ("", "y", turned),  # what COLLADA means by no axis
        ("<up_axis>Z_UP</up_axis>", "y", written),
    ):
        collada(tmp_path / "torso.dae", (0.1, 0.2, 0.3), asset)
        path = with_torso(tmp_path, mesh)
        assert torso_of(path, mesh_up) == pytest.approx(expected, rel=1e-5), (asset, mesh_up)


def test_the_z_of_a_turned_mesh_points_up(tmp_path: Path) -> None:
    """A point at y = 1 in a mesh with y up is at z = 1."""
    collada(tmp_path / "torso.dae", (0.1, 0.2, 0.3), "<up_axis>Y_UP</up_axis>")
    text = (tmp_path / "torso.dae").read_text()
    # Its upper half (y) reaches further than its lower one.
    (tmp_path / "torso.dae").write_text(text.replace(" 0.1 ", " 0.7 "))
    path = with_torso(tmp_path, '<mesh filename="torso.dae"/>')
    points = link_points(path, [tmp_path], "y")["waist_yaw_link"] - [0, 0, 0.18]
    assert (points[:, 2].min(), points[:, 2].max()) == pytest.approx((-0.1, 0.7), rel=1e-5)


def test_a_gltf_mesh_is_turned_as_y_is_up_in_every_such_file(tmp_path: Path) -> None:
    points = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3]], dtype=np.float32)
    faces = np.array([0, 2, 1, 0, 1, 3, 1, 2, 3, 2, 0, 3], dtype=np.uint16)
    binary = points.tobytes() + faces.tobytes()
    views = [
        {"buffer": 0, "byteOffset": 0, "byteLength": 48},
        {"buffer": 0, "byteOffset": 48, "byteLength": 24},
    ]
    low, high = points.min(0).tolist(), points.max(0).tolist()
    places = {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"}
    scene = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {**places, "min": low, "max": high},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary))
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    (tmp_path / "torso.glb").write_bytes(head + chunks)
    path = with_torso(tmp_path, '<mesh filename="torso.glb"/>')
    found = link_points(path, [tmp_path])["waist_yaw_link"] - [0, 0, 0.18]
    assert found.min(0) == pytest.approx([0, -0.3, 0], abs=1e-6)
    assert found.max(0) == pytest.approx([0.1, 0, 0.2], abs=1e-6)


@pytest.mark.parametrize("unit", ["0", "-1", "nan", "centimetre"])
def test_a_unit_that_is_not_a_length_is_refused(unit: str, tmp_path: Path) -> None:
    collada(tmp_path / "torso.dae", (0.1, 0.2, 0.3), f'<unit meter="{unit}"/>')
    path = with_torso(tmp_path, '<mesh filename="torso.dae"/>')
    with pytest.raises(RobotError, match=r"waist_yaw_link.*torso\.dae.*unit.*positive"):
        link_points(path, [tmp_path])


def test_a_body_larger_than_the_robot_is_refused_by_name(tmp_path: Path) -> None:
    collada(tmp_path / "torso.dae", (12, 26, 30), "<up_axis>Z_UP</up_axis>")
    path = with_torso(tmp_path, '<mesh filename="torso.dae"/>')
    with pytest.raises(
        RobotError, match=r"larger than the robot.*waist_yaw_link \(41\.5 m\).*scale"
    ):
        SafetyGate(loaded(path))
    found = [r.message for r in check_robot(str(path), toy_profile(tmp_path)).errors]
    assert len(found) == 1 and "waist_yaw_link (41.5 m)" in found[0]


def test_a_body_in_a_unit_too_small_is_odd(tmp_path: Path) -> None:
    collada(tmp_path / "torso.dae", (0.12e-3, 0.26e-3, 0.3e-3), "<up_axis>Z_UP</up_axis>")
    path = with_torso(tmp_path, '<mesh filename="torso.dae"/>')
    found = [r.message for r in check_robot(str(path), toy_profile(tmp_path)).warnings]
    assert any("smaller than 2 mm: waist_yaw_link" in message for message in found)


def test_a_capsule_is_a_shape_in_every_version_of_urdf(tmp_path: Path) -> None:
    for version in ("1.0", "1.1", "1.2"):
        path = with_torso(tmp_path, '<capsule radius="0.1" length="0.2"/>')
        path.write_text(path.read_text().replace("<robot ", f'<robot version="{version}" '))
        assert torso_of(path) == pytest.approx([0.2, 0.2, 0.4], rel=0.03)
        hulls = {hull.link: extent(hull.vertices) for hull in link_hulls(loaded(path))}
        assert hulls["waist_yaw_link"] == pytest.approx(np.sqrt(0.24), rel=0.03)
        found = check_robot(str(path), toy_profile(tmp_path)).warnings
        found_capsule = any("<capsule>: waist_yaw_link" in warning.message for warning in found)
        assert found_capsule == (version == "1.0"), version


def test_a_material_without_a_name_costs_no_shape(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    box = f'<box size="{TORSO}"/>'
    path = with_torso(tmp_path, box, visual=True)
    red = '<material><color rgba="1 0 0 1"/></material></visual>'
    path.write_text(path.read_text().replace("</visual>", red))
    robot = loaded(path)
    assert "waist_yaw_link" in {hull.link for hull in link_hulls(robot)}
    (seen,) = robot_body(robot, 1e-4).links
    assert np.asarray(seen.mesh.colors)[0, 0] == pytest.approx(1.0)
    checked = check_robot(str(path), toy_profile(tmp_path))
    assert not checked.errors
    assert any("<material> without a name: waist_yaw_link" in w.message for w in checked.warnings)
    assert "Error" not in capfd.readouterr().err


def test_materials_are_found_by_name(tmp_path: Path) -> None:
    path = with_torso(tmp_path, f'<box size="{TORSO}"/>', visual=True)
    text = path.read_text().replace("</visual>", '<material name="green"/></visual>')
    green = '<material name="green"><color rgba="0 1 0 1"/></material></robot>'
    path.write_text(text.replace("</robot>", green))
    (seen,) = robot_body(loaded(path), 1e-4).links
    assert np.asarray(seen.mesh.colors)[0].tolist()[:3] == pytest.approx([0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ("<cone radius='1' length='1'/>", "waist_yaw_link.*<cone> is not a shape of URDF"),
        ("<box size='1 1'/>", "waist_yaw_link.*size of <box> must be 3 numbers, got '1 1'"),
        ("<sphere radius='-1'/>", "waist_yaw_link.*radius of <sphere> is negative"),
        ("<sphere/>", "waist_yaw_link.*radius of <sphere> must be 1 numbers"),
        ("", "waist_yaw_link.*has no <geometry>"),
        ('<mesh filename="absent.stl"/>', "waist_yaw_link.*'absent.stl' does not exist"),
        ('<mesh filename="doll.urdf"/>', "waist_yaw_link.*doll.urdf cannot be read"),
    ],
)
def test_a_shape_that_cannot_be_read_is_an_error_with_its_link(
    geometry: str, message: str, tmp_path: Path
) -> None:
    path = with_torso(tmp_path, geometry)
    with pytest.raises(RobotError, match=message):
        link_hulls(loaded(path))


def test_pairs_that_are_not_watched_are_named_by_check_and_gate(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    ignore = ("locked:\n", "collision:\n  ignore: [[left_knee_link, right_knee_link]]\nlocked:\n")
    profile = toy_profile(tmp_path, ignore)
    robot = load_robot(str(path), profile)
    pair = ("left_knee_link", "right_knee_link")
    assert pair in collision_model(robot).unwatched and pair not in collision_model(robot).pairs
    report = SafetyGate(robot).review(Retargeter(robot).retarget(waving_clip())).report
    assert pair in report.unwatched_pairs and report.watched_pairs > 50
    assert "not watched: 1 pairs: left_knee_link and right_knee_link" in report.line()
    assert ["left_knee_link", "right_knee_link"] in [
        list(p) for p in report.to_dict()["unwatched_pairs"]
    ]
    found = " ".join(r.message for r in check_robot(str(path), profile).findings)
    assert "left_knee_link and right_knee_link" in found


def test_links_without_a_shape_are_named_by_check_and_gate(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    box = '<geometry><box size="0.02 0.02 0.02"/></geometry>'
    text = path.read_text()
    bare = '<link name="left_hip_yaw_link">'
    assert bare in text
    path.write_text(text.replace(bare, f"{bare}<visual>{box}</visual>"))
    robot = load_robot(str(path), toy_profile(tmp_path))
    report = SafetyGate(robot).review(Retargeter(robot).retarget(waving_clip())).report
    assert report.unwatched_links == ("left_hip_yaw_link",)
    assert "1 links: left_hip_yaw_link" in report.line()
    found = " ".join(r.message for r in check_robot(str(path), toy_profile(tmp_path)).findings)
    assert "may touch unnoticed: left_hip_yaw_link" in found


def test_arms_that_touch_the_legs_at_zero_are_watched(tmp_path: Path) -> None:
    """At zero the hands may hang in the thighs; in the standing posture they do not."""
    path = toy_humanoid(tmp_path)
    text = path.read_text()
    for side in ("left", "right"):
        begin = text.index(f'<link name="{side}_hip_pitch_link"')
        end = text.index("</link>", begin)
        wide = text[begin:end].replace('size="0.1 0.1 0.3"', 'size="0.1 0.24 0.3"')
        assert wide != text[begin:end]
        text = text[:begin] + wide + text[end:]
    path.write_text(text)
    robot = load_robot(str(path), toy_profile(tmp_path))
    collisions = collision_model(robot)
    touching = [{t.first, t.second} for t in collisions.touches(np.zeros((1, robot.num_joints)))]
    assert {"left_hip_pitch_link", "left_wrist_link"} in touching
    assert not collisions.colliding(robot.nominal[None]).any()


def test_a_robot_without_shapes_is_not_said_to_be_free_of_self_collision() -> None:
    robot = load_robot("simple_humanoid")
    report = SafetyGate(robot).review(Retargeter(robot).retarget(waving_clip())).report
    assert "self-collision not checked" in report.line()
    assert report.watched_pairs == 0

"""glTF: written with a skinned mannequin, read from any humanoid."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from core.motion.gltf_files import VRM_BONES, GltfBody, mixamo
from core.motion.rig_files import moving_body
from nextscale_core.exceptions import MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_motion, write_motion
from nextscale_core.motion.bone_rotations import PosedSkeleton
from nextscale_core.motion.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS
from nextscale_core.motion.skinned_mannequin import skinned_mannequin

_KEEP = ReadOptions(keep_rate=True)


@pytest.fixture(scope="module")
def body() -> PosedSkeleton:
    return moving_body(3, bend=0.8)


@pytest.fixture(scope="module")
def clip(body: PosedSkeleton) -> MotionClip:
    return MotionClip(body.joints(), 30.0, text="a person dances")


@pytest.fixture(scope="module")
def glb(clip: MotionClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("glb") / "a.glb"
    write_motion(clip, path)
    return path


def _worst(a: MotionClip, joints: np.ndarray) -> float:
    apart = a.joints - joints
    apart[..., 2] -= np.median(apart[..., 2])
    return float(np.linalg.norm(apart, axis=-1).max())


def _content(path: Path) -> tuple[dict[str, Any], bytes]:
    """JSON tree and buffer of a glb file."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + size]), data[20 + size + 8 :]


def _numbers(path: Path, index: int) -> np.ndarray:
    tree, data = _content(path)
    accessor = tree["accessors"][index]
    view = tree["bufferViews"][accessor["bufferView"]]
    kind = {5126: "<f4", 5121: "<u1", 5125: "<u4"}[accessor["componentType"]]
    part = data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    return np.frombuffer(part, kind).reshape(accessor["count"], -1).astype(float)


def test_joints_come_back_from_a_glb_at_its_own_rate(glb: Path, clip: MotionClip) -> None:
    back = read_motion(glb, _KEEP)
    assert back.fps == 30.0
    assert len(back) == len(clip)
    assert _worst(back, clip.joints) < 0.01
    assert read_motion(glb).fps == 20.0


def test_the_mannequin_rests_in_a_t_pose_on_the_floor_and_faces_z(glb: Path) -> None:
    tree, _ = _content(glb)
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    points = _numbers(glb, attributes["POSITION"])
    assert points[:, 1].min() == pytest.approx(0.0, abs=0.06)
    assert points[:, 1].max() > 1.6
    assert np.ptp(points[:, 0]) > 1.4  # arms along x
    joints = _numbers(glb, attributes["JOINTS_0"])[:, 0]
    toes = points[joints == JOINT_INDEX["left_foot"]]
    assert toes[:, 2].mean() > 0.1
    assert (points[joints == JOINT_INDEX["left_elbow"], 0] > 0.2).all()
    matrices = _numbers(glb, tree["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4)
    world = np.zeros((NUM_JOINTS, 3))
    for joint in range(NUM_JOINTS):
        parents = [i for i, n in enumerate(tree["nodes"]) if joint in n.get("children", ())]
        base = world[parents[0]] if parents[0] < NUM_JOINTS else 0.0
        world[joint] = base + np.array(tree["nodes"][joint]["translation"])
    np.testing.assert_allclose(matrices[:, 3, :3], -world, atol=1e-6)


def test_every_vertex_stays_near_its_bone_throughout_the_motion(clip: MotionClip) -> None:
    """Skinned as a reader of the file does it, the mesh surrounds the joints of the clip."""
    body = skinned_mannequin(clip)
    joints = body.skeleton.joints()
    turned = np.einsum(
        "tvij,vj->tvi",
        body.skeleton.rotations[::10, body.joints],
        body.vertices - body.rest[body.joints],
    )
    vertices = joints[::10, body.joints] + turned
    apart = np.linalg.norm(vertices[:, :, None] - clip.joints[::10, None], axis=-1).min(axis=2)
    assert float(apart.max()) < 0.25
    assert vertices[..., 2].min() > -0.06
    lengths = np.linalg.norm(body.normals, axis=-1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-6)


def test_angles_between_frames_are_the_short_way(glb: Path) -> None:
    tree, _ = _content(glb)
    animation = tree["animations"][0]
    for sampler, channel in zip(animation["samplers"], animation["channels"], strict=True):
        if channel["target"]["path"] == "rotation":
            rows = _numbers(glb, sampler["output"])
            assert ((rows[1:] * rows[:-1]).sum(-1) > 0.5).all()
            np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("mode", ["LINEAR", "CUBICSPLINE", "STEP"])
def test_each_interpolation_meets_the_keys(mode: str, body: PosedSkeleton, tmp_path: Path) -> None:
    path = GltfBody(body, mode=mode).write(tmp_path / "a.gltf")
    assert _worst(read_motion(path, _KEEP), body.joints()) < 0.005


def _armature(made: GltfBody, scale: float, turn: Rotation) -> None:
    """Put the body below an armature, as exporters of turned scenes in centimetres do."""
    for node in made.tree["nodes"]:
        node["translation"] = (np.array(node["translation"]) / scale).tolist()
    made.tree["nodes"].append({"name": "Armature", "children": [0], "scale": [scale] * 3,
                               "rotation": turn.as_quat().tolist()})  # fmt: skip
    output = made.tree["animations"][0]["samplers"][-1]["output"]
    view = made.tree["bufferViews"][output]
    start, end = view["byteOffset"], view["byteOffset"] + view["byteLength"]
    places = np.frombuffer(made.data[start:end], "<f4") / np.float32(scale)
    made.data = made.data[:start] + places.astype("<f4").tobytes() + made.data[end:]


@pytest.mark.parametrize(
    ("scale", "turn"),
    [
        (0.01, Rotation.identity()),
        (1.0, Rotation.from_euler("x", 90, degrees=True)),  # z up: the exporter forgot the axes
        (0.01, Rotation.from_euler("y", -120, degrees=True)),
        (100.0, Rotation.identity()),  # the whole body in another unit
    ],
)
def test_an_armature_of_any_scale_and_turn_gives_the_same_motion(
    scale: float, turn: Rotation, body: PosedSkeleton, tmp_path: Path
) -> None:
    made = GltfBody(body)
    _armature(made, scale, turn)
    if scale == 100.0:
        made.tree["nodes"][-1]["scale"] = [10_000.0] * 3  # 100 m a metre: written in centimetres
    clip = read_motion(made.write(tmp_path / "a.gltf"), _KEEP)
    assert _worst(clip, body.joints()) < 0.005


def test_an_animation_without_a_skin_is_read_from_its_nodes(
    body: PosedSkeleton, tmp_path: Path
) -> None:
    path = GltfBody(body, 20.0, skin=False).write(tmp_path / "a.gltf", uri="a b.bin")
    assert _worst(read_motion(path), body.joints()) < 0.005


def test_the_bones_of_a_vrm_animation_are_those_that_it_names(
    body: PosedSkeleton, tmp_path: Path
) -> None:
    made = GltfBody(body, names=None, skin=False)
    bones = {}
    for joint, name in enumerate(JOINT_NAMES):
        side, _, part = name.rpartition("_")
        bones[side + VRM_BONES[part]] = {"node": joint}
    del bones["upperChest"]
    made.tree["extensions"] = {"VRMC_vrm_animation": {"humanoid": {"humanBones": bones}}}
    clip = read_motion(made.write(tmp_path / "a.vrma"), _KEEP)
    apart = np.linalg.norm(clip.joints - body.joints(), axis=-1).max(axis=0)
    assert [
        JOINT_NAMES[j] for j in np.flatnonzero(apart > 0.005) if "spine" not in JOINT_NAMES[j]
    ] == []
    assert not [note for note in clip.notes if note.kind == "joints"]


def test_keys_of_an_animator_far_apart_are_sampled_in_between(
    body: PosedSkeleton, tmp_path: Path
) -> None:
    path = GltfBody(body, 2.0).write(tmp_path / "a.gltf")
    clip = read_motion(path, _KEEP)
    assert clip.fps == 20.0
    np.testing.assert_allclose(clip.joints[::10, 0, :2], body.joints()[:, 0, :2], atol=0.005)


def test_the_first_of_several_animations_is_taken_and_named(
    body: PosedSkeleton, tmp_path: Path
) -> None:
    made = GltfBody(body)
    made.tree["animations"].append({"name": "take 2", "channels": [], "samplers": []})
    clip = read_motion(made.write(tmp_path / "a.gltf"))
    assert "'take 1' taken, the first of 2 animations" in map(str, clip.notes)


def test_a_reference_pose_before_the_animation_is_passed_over(
    body: PosedSkeleton, tmp_path: Path
) -> None:
    made = GltfBody(body)
    alone = read_motion(made.write(tmp_path / "a.gltf"))
    take = made.tree["animations"][0]
    accessors = made.tree["accessors"]
    posed: dict[str, Any] = {"name": "T-Pose", "channels": [], "samplers": []}
    for channel in take["channels"]:
        sampler = dict(take["samplers"][channel["sampler"]])
        for key in ("input", "output"):
            accessors.append({**accessors[sampler[key]], "count": 1})
            sampler[key] = len(accessors) - 1
        posed["channels"].append({**channel, "sampler": len(posed["samplers"])})
        posed["samplers"].append(sampler)
    made.tree["animations"].insert(0, posed)
    clip = read_motion(made.write(tmp_path / "b.gltf"))
    np.testing.assert_array_equal(clip.joints, alone.joints)
    assert "'take 1' taken, the first that moves of 2 animations" in map(str, clip.notes)


def _set(tree: dict[str, Any], key: str, value: object) -> None:
    *path, last = key.split(".")
    at: Any = tree
    for part in path:
        at = at[int(part) if isinstance(at, list) else part]
    at[int(last) if isinstance(at, list) else last] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("nodes.3.children", [99], r"nodes\.3\.children: 99"),
        ("nodes.4.children", [0], "own ancestors"),
        ("nodes.5.rotation", [0, 0, 0], r"nodes\.5\.rotation"),
        ("nodes.5.translation", "up", r"nodes\.5\.translation"),
        ("accessors.0.count", 10**9, r"accessors\.0"),
        ("accessors.1.componentType", 5125, r"accessors\.1"),
        ("accessors.1.bufferView", 77, r"accessors\.1\.bufferView"),
        ("accessors.1.sparse", {"count": 1}, "sparse"),
        ("bufferViews.1.byteLength", 8, r"accessors\.1"),
        ("animations.0.channels.0.sampler", 99, "no sampler 99"),
        ("animations.0.channels.0.target.node", 99, "absent node, 99"),
        ("animations.0.samplers.0.interpolation", "SINE", r"animations\.0\.samplers\.0"),
        ("animations.0.samplers.0.output", 23, "keys of a rotation"),
        ("animations", [], "no animation"),
        ("skins.0.joints", [500], "joints that do not exist"),
        ("asset.version", "1.0", r"asset\.version must be 2\.0"),
        ("asset", {}, r"asset\.version"),
    ],
)
def test_a_malformed_tree_is_refused_with_its_key(
    key: str, value: object, message: str, body: PosedSkeleton, tmp_path: Path
) -> None:
    made = GltfBody(body)
    _set(made.tree, key, value)
    with pytest.raises(MotionFileError, match=message) as caught:
        read_motion(made.write(tmp_path / "a.gltf"))
    assert str(caught.value).count("a.gltf") == 1


@pytest.mark.parametrize(
    "uri",
    ["../a.bin", "/etc/hostname", "http://localhost/a.bin", "data:;base64,###", "nowhere.bin"],
)
def test_a_buffer_is_read_only_from_the_folder_of_its_file(
    uri: str, body: PosedSkeleton, tmp_path: Path
) -> None:
    made = GltfBody(body)
    path = made.write(tmp_path / "a.gltf")
    made.tree["buffers"][0]["uri"] = uri
    path.write_text(json.dumps(made.tree))
    with pytest.raises(MotionFileError, match=r"buffers\.0\.uri|cannot read"):
        read_motion(path)


def test_a_rig_that_is_not_a_human_is_listed(body: PosedSkeleton, tmp_path: Path) -> None:
    made = GltfBody(body, names=lambda name: mixamo(name) if "left" not in name else "prop")
    for joint, name in enumerate(JOINT_NAMES):
        if name.startswith("left"):
            made.tree["nodes"][joint]["translation"] = [0.0, 0.0, 0.0]
    with pytest.raises(MotionFileError, match="joints not found"):
        read_motion(made.write(tmp_path / "a.gltf"))


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_cut_or_damaged_glb_is_refused_or_harmless(
    data: st.DataObject, glb: Path, tmp_path: Path
) -> None:
    content = bytearray(glb.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, 4000))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "a.glb").write_bytes(bytes(content))
    try:
        back = read_motion(tmp_path / "a.glb")
    except MotionFileError as error:
        assert "a.glb" in str(error)
    else:
        assert back.joints.shape[1:] == (22, 3)

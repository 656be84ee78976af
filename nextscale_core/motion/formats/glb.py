"""Writer of glTF 2.0 binary files: a skinned mannequin with the motion as its animation.

The mannequin stands in T-pose and faces +z with y up, as glTF wants. Lumbar spine and pelvis also
have translations, as in the BVH files.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import to_y_up
from nextscale_core.motion.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS
from nextscale_core.motion.skinned_mannequin import skinned_mannequin
from nextscale_core.npz import whole_file

_COMPONENTS = {"<f4": 5126, "<u1": 5121, "<u4": 5125}
_SHAPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_VERTEX_DATA, _INDICES = 34962, 34963
_MOVING = (0, JOINT_INDEX["spine1"])  # joints with translations of their own
_MESH_NODE, _ROOT_NODE = NUM_JOINTS, NUM_JOINTS + 1


def write_glb(clip: MotionClip, path: Path) -> None:
    """Write a motion as .glb, with bones of their median length and the clip's rate.

    Raises:
        MotionFileError: the file cannot be written.
    """
    body = skinned_mannequin(clip)
    binary = _Binary()
    rest = to_y_up(body.rest)
    offsets = rest - rest[np.maximum(PARENTS, 0)]
    offsets[0] = rest[0]
    nodes: list[dict[str, Any]] = [
        {"name": name, "translation": offsets[joint].tolist()}
        for joint, name in enumerate(JOINT_NAMES)
    ]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        nodes[parent].setdefault("children", []).append(joint)
    nodes.append({"name": "body", "mesh": 0, "skin": 0})
    nodes.append({"name": "mannequin", "children": [0]})

    bind = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
    bind[:, :3, 3] = -rest
    weights = np.tile([1.0, 0.0, 0.0, 0.0], (len(body.vertices), 1))
    joints = np.zeros((len(body.vertices), 4))
    joints[:, 0] = body.joints
    attributes = {
        "POSITION": binary.add(to_y_up(body.vertices), "<f4", _VERTEX_DATA, limits=True),
        "NORMAL": binary.add(to_y_up(body.normals), "<f4", _VERTEX_DATA),
        "COLOR_0": binary.add(_linear(body.colors), "<f4", _VERTEX_DATA),
        "JOINTS_0": binary.add(joints, "<u1", _VERTEX_DATA),
        "WEIGHTS_0": binary.add(weights, "<f4", _VERTEX_DATA),
    }
    indices = binary.add(body.triangles.reshape(-1, 1), "<u4", _INDICES)
    matrices = binary.add(np.swapaxes(bind, 1, 2).reshape(NUM_JOINTS, 16), "<f4")
    times = binary.add(np.arange(len(clip))[:, None] / clip.fps, "<f4", limits=True)
    # The change of axes is cyclic: it permutes x, y, z of a quaternion in the same way.
    turned = np.concatenate([to_y_up(body.quaternions[..., :3]), body.quaternions[..., 3:]], -1)
    outputs = [(joint, "rotation", turned[:, joint]) for joint in range(NUM_JOINTS)]
    moved = to_y_up(body.skeleton.positions)
    outputs += [(joint, "translation", moved[:, joint]) for joint in _MOVING]
    samplers = [{"input": times, "output": binary.add(out, "<f4")} for _, _, out in outputs]
    channels = [
        {"sampler": number, "target": {"node": joint, "path": what}}
        for number, (joint, what, _) in enumerate(outputs)
    ]
    material = {
        "name": "mannequin",
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8},
    }
    tree = {
        "asset": {"version": "2.0", "generator": "nextscale", "extras": {"text": clip.text}},
        "scene": 0,
        "scenes": [{"nodes": [_ROOT_NODE, _MESH_NODE]}],
        "nodes": nodes,
        "meshes": [
            {
                "name": "body",
                "primitives": [{"attributes": attributes, "indices": indices, "material": 0}],
            }
        ],
        "materials": [material],
        "skins": [
            {"inverseBindMatrices": matrices, "joints": list(range(NUM_JOINTS)), "skeleton": 0}
        ],
        "animations": [{"name": "motion", "channels": channels, "samplers": samplers}],
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data)}],
    }
    text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary.data)
    with whole_file(path) as stream:
        stream.write(struct.pack("<4sII", b"glTF", 2, length))
        stream.write(struct.pack("<I4s", len(text), b"JSON") + text)
        stream.write(struct.pack("<I4s", len(binary.data), b"BIN\0") + binary.data)


class _Binary:
    """The binary chunk, with the views and accessors into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self, values: np.ndarray, kind: str, target: int | None = None, *, limits: bool = False
    ) -> int:
        """Append (N, width) values; the index of their accessor."""
        array = np.ascontiguousarray(values, dtype=kind)
        view: dict[str, Any] = {
            "buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes,
        }  # fmt: skip
        if target is not None:
            view["target"] = target
        accessor: dict[str, Any] = {
            "bufferView": len(self.views),
            "componentType": _COMPONENTS[kind],
            "count": len(array),
            "type": _SHAPES[array.shape[1]],
        }
        if limits:
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        self.data += array.tobytes()
        self.data += bytes(-len(self.data) % 4)
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _linear(colors: np.ndarray) -> np.ndarray:
    """Linear light of sRGB colours, 0 to 1."""
    low = colors / 12.92
    return np.asarray(np.where(colors <= 0.04045, low, ((colors + 0.055) / 1.055) ** 2.4))

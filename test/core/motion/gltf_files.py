"""glTF files of a moving body, as different tools write them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.motion.bone_rotations import PosedSkeleton
from nextscale_core.motion.features import to_y_up
from nextscale_core.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS

VRM_BONES = {
    "pelvis": "hips", "spine1": "spine", "spine2": "chest", "spine3": "upperChest", "neck": "neck",
    "head": "head", "hip": "UpperLeg", "knee": "LowerLeg", "ankle": "Foot", "foot": "Toes",
    "collar": "Shoulder", "shoulder": "UpperArm", "elbow": "LowerArm", "wrist": "Hand",
}  # fmt: skip
"""nextscale's joint without its side -> bone of VRM."""


def mixamo(joint: str) -> str:
    """Name of a joint in Mixamo's rig."""
    side, _, part = joint.rpartition("_")
    parts = {
        "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2",
        "neck": "Neck", "head": "Head", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot",
        "foot": "ToeBase", "collar": "Shoulder", "shoulder": "Arm", "elbow": "ForeArm",
        "wrist": "Hand",
    }  # fmt: skip
    return f"mixamorig:{side.capitalize()}{parts[part]}"


class GltfBody:
    """A glTF tree of a moving body, to be altered and written.

    Args:
        body: The motion; x forward, y left, z up.
        fps: Rate of its frames [Hz].
        mode: Interpolation of the rotations.
        skin: The joints are those of a skin.
        names: Name of each joint; None leaves the nodes without.

    Attributes:
        tree: The content of the file; the nodes are the joints, in nextscale's order.
        data: The buffer.
    """

    def __init__(
        self,
        body: PosedSkeleton,
        fps: float = 30.0,
        *,
        mode: str = "LINEAR",
        skin: bool = True,
        names: Any = mixamo,
    ) -> None:
        self.data = b""
        offsets = to_y_up(body.offsets)
        nodes: list[dict[str, Any]] = []
        for joint, name in enumerate(JOINT_NAMES):
            nodes.append({"translation": offsets[joint].tolist()})
            if names is not None:
                nodes[-1]["name"] = names(name)
        for joint in range(1, NUM_JOINTS):
            nodes[PARENTS[joint]].setdefault("children", []).append(joint)
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0"}, "nodes": nodes, "scenes": [{"nodes": [0]}],
            "accessors": [], "bufferViews": [],
        }  # fmt: skip
        axes = to_y_up(np.eye(3)).T
        local = axes @ body.local_rotations() @ axes.T
        times = self.add(np.arange(len(local))[:, None] / fps)
        samplers, channels = [], []
        for joint in range(NUM_JOINTS):
            quaternions = Rotation.from_matrix(local[:, joint]).as_quat()
            if mode == "CUBICSPLINE":
                zero = np.zeros_like(quaternions)
                quaternions = np.stack([zero, quaternions, zero], axis=1).reshape(-1, 4)
            samplers.append(
                {"input": times, "output": self.add(quaternions), "interpolation": mode}
            )
            channels.append({"sampler": joint, "target": {"node": joint, "path": "rotation"}})
        samplers.append({"input": times, "output": self.add(to_y_up(body.positions[:, 0]))})
        channels.append({"sampler": NUM_JOINTS, "target": {"node": 0, "path": "translation"}})
        self.tree["animations"] = [{"name": "take 1", "channels": channels, "samplers": samplers}]
        if skin:
            self.tree["skins"] = [{"joints": list(range(NUM_JOINTS))}]

    def add(self, values: np.ndarray) -> int:
        """Append single floats; the index of their accessor."""
        array = np.ascontiguousarray(values, dtype="<f4")
        self.tree["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        )
        self.tree["accessors"].append(
            {
                "bufferView": len(self.tree["bufferViews"]) - 1,
                "componentType": 5126,
                "count": len(array),
                "type": {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[array.shape[1]],
            }
        )
        self.data += array.tobytes()
        return len(self.tree["accessors"]) - 1

    def write(self, path: Path, uri: str | None = None) -> Path:
        """Write a .gltf with its buffer in the file, or beside it under a name."""
        if uri is None:
            uri = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
        else:
            (path.parent / uri).write_bytes(self.data)
        self.tree["buffers"] = [{"byteLength": len(self.data), "uri": uri}]
        path.write_text(json.dumps(self.tree))
        return path

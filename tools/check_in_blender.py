"""Compare motion files with what Blender makes of them: positions of the bones, up and forward.

    nextscale convert take.bvh take.npz --to human-npz
    nextscale convert take.npz take.glb
    python tools/check_in_blender.py take.npz take.glb

The first file is read with NumPy, the others (.bvh, .glb, .usd) with Blender's default settings.
Needs bpy (`pip install bpy`) and NumPy, not nextscale.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np

NAMES = [
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar",
    "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist",
]  # fmt: skip
LARGEST = 1e-3  # accepted distance of a bone from its joint [m]


def imported(path: Path) -> tuple[object, np.ndarray, int]:
    """The armature in an empty scene, the map of our axes to Blender's, and the first frame."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    forward_is_minus_y = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    if path.suffix == ".bvh":
        bpy.ops.import_anim.bvh(filepath=str(path))
        axes, first = 100.0 * forward_is_minus_y, 1
    elif path.suffix == ".glb":
        bpy.ops.import_scene.gltf(filepath=str(path))
        axes, first = forward_is_minus_y, 0
    else:
        bpy.ops.wm.usd_import(filepath=str(path))
        axes, first = np.eye(3), 0
    armature = next(one for one in bpy.context.scene.objects if one.type == "ARMATURE")
    return armature, axes, first


def main() -> None:
    """Print the largest distance of every file, and fail if one is too large."""
    with np.load(sys.argv[1], allow_pickle=False) as archive:
        joints, fps = archive["joints"], round(float(archive["fps"]))
    for path in map(Path, sys.argv[2:]):
        armature, axes, first = imported(path)
        scene = bpy.context.scene
        rate = scene.render.fps if path.suffix == ".glb" else fps
        worst = 0.0
        for frame in range(len(joints)):
            at = first + frame * rate / fps
            scene.frame_set(int(at), subframe=at % 1.0)
            bones = {one.name: armature.matrix_world @ one.head for one in armature.pose.bones}
            apart = np.array([bones[name] for name in NAMES]) - joints[frame] @ axes.T
            scale = float(np.linalg.norm(axes[2]))
            worst = max(worst, float(np.linalg.norm(apart, axis=-1).max()) / scale)
        print(f"{path}: bones at most {1000.0 * worst:.2f} mm from the joints")
        if worst > LARGEST:
            sys.exit(f"{path} is not what Blender shows")


if __name__ == "__main__":
    main()

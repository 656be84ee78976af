"""The mannequin as one mesh bound to the 22 joints, for files that other tools animate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.mesh import creased
from nextscale_core.motion.bone_rotations import PosedSkeleton, fit_bone_rotations
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.mannequin import Mannequin
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS
from nextscale_core.rotations import continuous_quaternions, unit


@dataclass(frozen=True)
class SkinnedMannequin:
    """A mesh in T-pose, and the motion of its skeleton; x forward, y left, z up.

    Attributes:
        rest: (22, 3) joints in T-pose, feet on the floor [m]; their frames are not turned.
        vertices: (V, 3) positions in T-pose [m].
        normals: (V, 3) unit normals.
        triangles: (F, 3) vertex indices, counter-clockwise seen from outside.
        colors: (V, 3) red, green, blue, 0 to 1 (sRGB).
        joints: (V,) the joint that moves each vertex.
        skeleton: The motion, with bones of constant length.
        quaternions: (T, 22, 4) x y z w of each joint in its parent, without changes of sign.
    """

    rest: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    colors: np.ndarray
    joints: np.ndarray
    skeleton: PosedSkeleton
    quaternions: np.ndarray


def skinned_mannequin(clip: MotionClip) -> SkinnedMannequin:
    """The mannequin with the proportions and the motion of a clip."""
    skeleton = fit_bone_rotations(clip.joints)
    still = np.tile(np.eye(3), (1, NUM_JOINTS, 1, 1))
    rest = PosedSkeleton(skeleton.offsets, skeleton.offsets[None], still).joints()
    rest[..., 2] -= rest[0, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]], 2].min()
    mannequin = Mannequin(rest[0])
    origins, turns, _ = mannequin.poses(rest)
    frames = Rotation.from_quat(turns[0]).as_matrix()
    vertices, normals, triangles, colors, joints = [], [], [], [], []
    count = 0
    for part, origin, frame in zip(mannequin.parts, origins[0], frames, strict=True):
        mesh = creased(part.mesh.placed(frame, origin))
        normal = np.zeros_like(mesh.vertices)
        np.add.at(normal, mesh.triangles, mesh.normals[:, None])
        vertices.append(mesh.vertices)
        normals.append(unit(normal, np.array([0.0, 0.0, 1.0])))
        triangles.append(mesh.triangles + count)
        colors.append(np.tile(part.color, (len(mesh.vertices), 1)))
        joints.append(np.full(len(mesh.vertices), part.joint))
        count += len(mesh.vertices)
    local = skeleton.local_rotations()
    quaternions = [
        continuous_quaternions(Rotation.from_matrix(local[:, joint]).as_quat())
        for joint in range(NUM_JOINTS)
    ]
    return SkinnedMannequin(
        rest=rest[0],
        vertices=np.concatenate(vertices),
        normals=np.concatenate(normals),
        triangles=np.concatenate(triangles),
        colors=np.concatenate(colors),
        joints=np.concatenate(joints),
        skeleton=skeleton,
        quaternions=np.stack(quaternions, axis=1),
    )

"""HumanML3D's 263 features per frame, from and to joint positions.

Layout of a frame (Guo et al., "Generating Diverse and Natural 3D Human Motions from Text",
CVPR 2022, section 3), in HumanML3D's own frame (metres, x left, y up, z forward):

    0        root yaw velocity: half the yaw from this frame to the next [rad/frame]
    1..2     root velocity x, z, in the root's heading frame [m/frame]
    3        root height [m]
    4..66    positions of joints 1..21 in the heading frame, above the root's ground point [m]
    67..192  local rotations of joints 1..21, first two columns of the matrix
    193..258 velocities of all 22 joints in the heading frame [m/frame]
    259..262 contact of left ankle, left foot, right ankle, right foot {0, 1}

Three properties of the published extraction are kept, because models trained on its features
depend on them: the hips count towards the heading with the sign opposite to the shoulders'; the
heading is smoothed by a gaussian of 20 frames that looks into the future; the heading of the first
frame is taken as exactly forward.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import CONTACT_JOINTS, FPS, KINEMATIC_CHAINS, NUM_JOINTS

NUM_FEATURES = 263
ROOT = slice(0, 4)
POSITIONS = slice(4, 67)
ROTATIONS = slice(67, 193)
VELOCITIES = slice(193, 259)
CONTACTS = slice(259, 263)

CONTACT_SPEED_SQUARED = 0.002
"""Maximum squared speed of a foot joint in contact [(m/frame)^2 at 20 fps]."""

_HEADING_SIGMA = 20.0  # [frames]

# T-pose bone directions of HumanML3D, joint by joint (x left, y up, z forward).
_LEFT, _UP, _FORWARD = np.eye(3)
_BONE_DIRECTIONS = np.stack(
    [
        np.zeros(3), _LEFT, -_LEFT, _UP, -_UP, -_UP, _UP, -_UP, -_UP, _UP, _FORWARD, _FORWARD,
        _UP, _LEFT, -_LEFT, _FORWARD, -_UP, -_UP, -_UP, -_UP, -_UP, -_UP,
    ]
)  # fmt: skip


def to_y_up(points: np.ndarray) -> np.ndarray:
    """(..., 3) points from nextscale's frame (x forward, y left, z up) to HumanML3D's."""
    return np.stack([points[..., 1], points[..., 2], points[..., 0]], axis=-1)


def to_z_up(points: np.ndarray) -> np.ndarray:
    """(..., 3) points from HumanML3D's frame (x left, y up, z forward) to nextscale's."""
    return np.stack([points[..., 2], points[..., 0], points[..., 1]], axis=-1)


# Quaternions in this file are (w, x, y, z) rows; they are not used outside of it.


def _quat_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    cross = np.cross(source, target)
    scale = np.sqrt((source**2).sum(-1) * (target**2).sum(-1)) + (source * target).sum(-1)
    quat = np.concatenate([scale[..., None], cross], axis=-1)
    return quat / np.maximum(np.linalg.norm(quat, axis=-1, keepdims=True), 1e-12)


def _quat_multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    w = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdims=True)
    v = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + np.cross(a[..., 1:], b[..., 1:])
    return np.concatenate([w, v], axis=-1)


def _quat_conjugate(q: np.ndarray) -> np.ndarray:
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def _quat_rotate(q: np.ndarray, points: np.ndarray) -> np.ndarray:
    twice = 2.0 * np.cross(q[..., 1:], points)
    return points + q[..., :1] * twice + np.cross(q[..., 1:], twice)


def _quat_to_6d(q: np.ndarray) -> np.ndarray:
    columns = np.broadcast_to(np.eye(3)[:2], (*q.shape[:-1], 2, 3))
    rotated = _quat_rotate(q[..., None, :], columns)
    return rotated.reshape(*q.shape[:-1], 6)


def _across(joints: np.ndarray, hips_sign: float) -> np.ndarray:
    """(T, 3) unit vectors from left to right of (T, 22, 3) joints."""
    hips = joints[:, 2] - joints[:, 1]  # right minus left
    shoulders = joints[:, 17] - joints[:, 16]
    across = hips_sign * hips + shoulders
    return across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-12)


def heading_yaw(joints: np.ndarray) -> np.ndarray:
    """(T,) yaw of the body from hips and shoulders of (T, 22, 3) positions, z up [rad].

    0 faces +x, counter-clockwise is positive; not unwrapped.
    """
    across = _across(np.asarray(joints, dtype=np.float64), hips_sign=1.0)
    forward = np.cross(np.array([0.0, 0.0, 1.0]), across)
    return np.arctan2(forward[:, 1], forward[:, 0])


def canonicalize(clip: MotionClip) -> MotionClip:
    """The clip moved to start above the origin facing +x; heights stay as they are."""
    yaw = float(heading_yaw(clip.joints[:1])[0])
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    origin = clip.joints[0, 0] * np.array([1.0, 1.0, 0.0])
    joints = (clip.joints - origin) @ turn.T
    return MotionClip(joints, clip.fps, clip.text, clip.contacts, clip.seed)


def _root_quaternions(joints: np.ndarray) -> np.ndarray:
    """(T, 4) rotations from each frame's smoothed heading to +z (y up)."""
    across = _across(joints, hips_sign=-1.0)
    forward = np.cross(_UP, across)
    forward = gaussian_filter1d(forward, _HEADING_SIGMA, axis=0, mode="nearest")
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-12)
    quats = _quat_between(forward, np.broadcast_to(_FORWARD, forward.shape))
    quats[0] = (1.0, 0.0, 0.0, 0.0)
    return quats


def _local_rotations(joints: np.ndarray, root: np.ndarray) -> np.ndarray:
    """(T, 21, 6) rotations of each bone in its parent bone, chain by chain."""
    local = np.zeros((len(joints), NUM_JOINTS, 4))
    for chain in KINEMATIC_CHAINS:
        parent_rotation = root
        for parent, child in itertools.pairwise(chain):
            bone = joints[:, child] - joints[:, parent]
            bone /= np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-12)
            rest = np.broadcast_to(_BONE_DIRECTIONS[child], bone.shape)
            rotation = _quat_between(rest, bone)
            local[:, child] = _quat_multiply(_quat_conjugate(parent_rotation), rotation)
            parent_rotation = rotation
    return _quat_to_6d(local[:, 1:])


def foot_contacts(joints: np.ndarray, fps: float = FPS) -> np.ndarray:
    """HumanML3D's contact labels: foot joints that hardly move to the next frame.

    Args:
        joints: (T, 22, 3) positions [m].
        fps: Frame rate, to which the threshold is scaled [Hz].

    Returns:
        (T - 1, 4) bool for left ankle, left foot, right ankle, right foot.
    """
    feet = joints[:, CONTACT_JOINTS, :]
    squared = ((feet[1:] - feet[:-1]) ** 2).sum(-1) * (fps / FPS) ** 2
    return squared < CONTACT_SPEED_SQUARED


def clip_to_features(clip: MotionClip) -> np.ndarray:
    """Extract HumanML3D features; the clip is canonicalised first (origin, facing +x).

    Args:
        clip: A motion of T >= 2 frames at 20 fps with the floor at z = 0.

    Returns:
        (T - 1, 263) float32 features; the last frame is only used for velocities.

    Raises:
        InvalidMotionError: a frame rate other than 20, or fewer than two frames.
    """
    if abs(clip.fps - FPS) > 1e-3:
        raise InvalidMotionError(f"features need {FPS:g} fps, the clip has {clip.fps:g}")
    if len(clip) < 2:
        raise InvalidMotionError("features need at least 2 frames, the clip has 1")
    joints = to_y_up(canonicalize(clip).joints.astype(np.float64))  # (T, 22, 3)
    root = _root_quaternions(joints)  # (T, 4)
    velocity = _quat_rotate(root[1:], joints[1:, 0] - joints[:-1, 0])
    yaw_change = _quat_multiply(root[1:], _quat_conjugate(root[:-1]))
    half_yaw = np.arcsin(np.clip(yaw_change[:, 2:3], -1.0, 1.0))
    local = joints - joints[:, :1] * np.array([1.0, 0.0, 1.0])
    local = _quat_rotate(root[:, None], local)
    joint_velocity = _quat_rotate(root[:-1, None], joints[1:] - joints[:-1])
    frames = len(joints) - 1
    features = np.concatenate(
        [
            half_yaw,
            velocity[:, [0, 2]],
            joints[:-1, 0, 1:2],
            local[:-1, 1:].reshape(frames, -1),
            _local_rotations(joints, root)[:-1].reshape(frames, -1),
            joint_velocity.reshape(frames, -1),
            foot_contacts(joints).astype(np.float64),
        ],
        axis=-1,
    )
    return features.astype(np.float32)


def features_to_clip(features: np.ndarray, text: str = "", seed: int | None = None) -> MotionClip:
    """Integrate the root velocities of (T, 263) features and place the joints around it.

    Returns:
        A clip of T frames at 20 fps that starts above the origin facing +x.

    Raises:
        InvalidMotionError: wrong shape, NaN or infinity.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or features.shape[1] != NUM_FEATURES:
        raise InvalidMotionError(f"features must be (T, {NUM_FEATURES}), got {features.shape}")
    if not np.isfinite(features).all():
        raise InvalidMotionError("features hold NaN or infinity")
    half_yaw = np.concatenate([[0.0], np.cumsum(features[:-1, 0])])
    root = np.zeros((len(features), 4))
    root[:, 0], root[:, 2] = np.cos(half_yaw), np.sin(half_yaw)
    back = _quat_conjugate(root)
    steps = np.zeros((len(features), 3))
    steps[1:, 0], steps[1:, 2] = features[:-1, 1], features[:-1, 2]
    position = np.cumsum(_quat_rotate(back, steps), axis=0)
    position[:, 1] = features[:, 3]
    joints = features[:, POSITIONS].reshape(-1, NUM_JOINTS - 1, 3)
    joints = _quat_rotate(back[:, None], joints)
    joints[..., [0, 2]] += position[:, None, [0, 2]]
    joints = np.concatenate([position[:, None], joints], axis=1)
    contacts = features[:, CONTACTS] > 0.5
    return MotionClip(to_z_up(joints), FPS, text, contacts, seed)

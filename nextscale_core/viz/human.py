"""A human motion as a jointed mannequin: left limbs blue, right limbs orange."""

from __future__ import annotations

import numpy as np

from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.viz.figure import Color, Figure
from nextscale_core.viz.mesh import Mesh, capsule, ellipsoid

LEFT: Color = (0.22, 0.46, 0.82)
RIGHT: Color = (0.90, 0.45, 0.16)
BODY: Color = (0.62, 0.66, 0.72)
HEAD: Color = (0.84, 0.70, 0.58)

# Joint, joint, radius at each [m]: the thickness of an average adult's limbs.
TRUNK = (
    ("left_hip", "right_hip", 0.085, 0.085),
    ("pelvis", "spine1", 0.105, 0.105),
    ("spine1", "spine2", 0.105, 0.115),
    ("spine2", "spine3", 0.115, 0.12),
    ("spine3", "neck", 0.115, 0.065),
    ("left_collar", "right_collar", 0.085, 0.085),
    ("neck", "head", 0.05, 0.05),
)
LIMB = (
    ("collar", "shoulder", 0.07, 0.06),
    ("shoulder", "elbow", 0.052, 0.042),
    ("elbow", "wrist", 0.041, 0.03),
    ("hip", "knee", 0.083, 0.058),
    ("knee", "ankle", 0.056, 0.04),
    ("ankle", "foot", 0.043, 0.036),
)
HAND_LENGTH, TOE_LENGTH = 0.09, 0.05


def human_figure(clip: MotionClip) -> Figure:
    """Give a motion a body to be drawn with.

    Args:
        clip: The motion.
    """
    yaw = heading_yaw(clip.joints)
    return Figure(
        title=clip.text,
        fps=clip.fps,
        root=clip.joints[:, 0].astype(np.float64),
        forward=np.stack([np.cos(yaw), np.sin(yaw)], axis=1),
        footprints=_footprints(clip),
        legend={"left": LEFT, "right": RIGHT},
        mesh=lambda frame: _mannequin(clip.joints[frame].astype(np.float64)),
    )


def _mannequin(joints: np.ndarray) -> Mesh:
    at = {name: joints[index] for name, index in JOINT_INDEX.items()}
    parts = [capsule(at[a], at[b], ra, rb, BODY) for a, b, ra, rb in TRUNK]
    for side, color in (("left", LEFT), ("right", RIGHT)):
        for a, b, ra, rb in LIMB:
            parts.append(capsule(at[f"{side}_{a}"], at[f"{side}_{b}"], ra, rb, color))
        hand = _beyond(at[f"{side}_elbow"], at[f"{side}_wrist"], HAND_LENGTH)
        parts.append(capsule(at[f"{side}_wrist"], hand, 0.034, 0.03, HEAD))
        # The toes lie flat: a bone that goes on down from the ankle would pierce the floor.
        ball = at[f"{side}_foot"]
        toe = _beyond(at[f"{side}_ankle"], ball, TOE_LENGTH)
        toe[2] = ball[2]
        parts.append(capsule(ball, toe, 0.036, 0.027, color))
    parts.append(_head(at))
    return Mesh.joined(parts)


def _head(at: dict[str, np.ndarray]) -> Mesh:
    across = at["left_shoulder"] - at["right_shoulder"]
    up = at["head"] - at["spine3"]
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    forward = np.cross(across, up)
    forward = forward / max(float(np.linalg.norm(forward)), 1e-9)
    frame = np.stack([forward, np.cross(up, forward), up], axis=1)
    return ellipsoid((0.10, 0.078, 0.125), HEAD).placed(
        frame, at["head"] + 0.075 * up + 0.02 * forward
    )


def _beyond(start: np.ndarray, end: np.ndarray, length: float) -> np.ndarray:
    direction = end - start
    return end + length * direction / max(float(np.linalg.norm(direction)), 1e-9)


def _footprints(clip: MotionClip) -> np.ndarray:
    if clip.contacts is None:
        return np.zeros((0, 2, 2))
    prints = []
    for column, side in enumerate(("left", "right")):
        ankle, foot = (clip.joints[:, JOINT_INDEX[f"{side}_{p}"], :2] for p in ("ankle", "foot"))
        stands = clip.contacts[:, 2 * column] & clip.contacts[:, 2 * column + 1]
        prints.append(np.stack([ankle[stands], foot[stands]], axis=1))
    return np.concatenate(prints).astype(np.float64)

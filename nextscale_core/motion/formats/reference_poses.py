"""Removal of reference poses at the ends of a recording.

Many files, such as cgspeed's CMU files, hold a T-pose or the rig's rest pose in their first frame,
and the motion begins in the next: played, a jump at several times a human's speed.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.motion.reading import ReadNote
from nextscale_core.motion.skeleton import JOINT_INDEX

_MIN_JUMP = 0.1  # minimum step of any joint relative to the pelvis in a jump [m]
_JUMP_FACTOR = 4.0  # minimum ratio of a jump to the steps that follow
_FOLLOWING = 10  # number of those steps
_STILL = 0.03  # maximum motion within a reference pose [m]
_MAX_BLENDED = 3  # frames that resampling may have inserted between the pose and the motion
_REST_ERROR = 0.06  # maximum distance of a joint from the rest pose [m]
_SIDES = ("left", "right")


def without_reference_pose(
    joints: np.ndarray, rest: np.ndarray | None, notes: list[ReadNote]
) -> np.ndarray:
    """Cut off frames at the start and the end that hold a T-pose or the rest pose.

    They are cut only if the motion jumps from them: a recorded T-pose begins to move slowly.

    Args:
        joints: (T, 22, 3) positions [m], in any axes.
        rest: (22, 3) rest pose of the file [m], if it has one.
        notes: A note on each cut is appended.

    Returns:
        (T', 22, 3), at least one frame.
    """
    for end in ("first", "last"):
        ordered = joints if end == "first" else joints[::-1]
        count, jump = _held(ordered, rest)
        if count:
            ordered = ordered[count:]
            joints = ordered if end == "first" else ordered[::-1]
            what = f"{end} frame" if count == 1 else f"{end} {count} frames"
            notes.append(
                ReadNote("pose", f"{what} cut off: a reference pose, {jump:.2f} m from the motion")
            )
    return joints


def _held(joints: np.ndarray, rest: np.ndarray | None) -> tuple[int, float]:
    """Leading frames of a reference pose, and the jump that ends them [m]."""
    posed = joints - joints[:, :1]
    steps = np.linalg.norm(np.diff(posed, axis=0), axis=-1).max(axis=1)
    jumps = np.flatnonzero(steps > _MIN_JUMP)
    if not len(jumps) or not _is_jump(steps, first := int(jumps[0])):
        return 0, 0.0
    held = posed[: first + 1]
    if np.linalg.norm(held - held[0], axis=-1).max() > _STILL:
        return 0, 0.0
    if not (_is_t_pose(posed[0]) or (rest is not None and _is_rest(posed[0], rest))):
        return 0, 0.0
    count = first + 1
    while count - first <= _MAX_BLENDED and count < len(steps) and _is_jump(steps, count):
        count += 1
    return count, float(steps[first])


def _is_jump(steps: np.ndarray, at: int) -> bool:
    following = steps[at + 1 : at + 1 + _FOLLOWING]
    if not len(following):
        return False
    return bool(steps[at] > max(_MIN_JUMP, _JUMP_FACTOR * float(np.median(following))))


def _is_t_pose(frame: np.ndarray) -> bool:
    """Whether the arms point straight to the sides and the legs straight down."""

    def bone(start: str, end: str) -> np.ndarray:
        vector = frame[JOINT_INDEX[end]] - frame[JOINT_INDEX[start]]
        return vector / max(float(np.linalg.norm(vector)), 1e-9)

    spine = bone("pelvis", "neck")
    arms = [bone(f"{side}_shoulder", f"{side}_wrist") for side in _SIDES]
    straight = all(
        bone(f"{side}_{a}", f"{side}_{b}") @ bone(f"{side}_{b}", f"{side}_{c}") > 0.9
        for side in _SIDES
        for a, b, c in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    )
    out = all(abs(arm @ spine) < 0.5 for arm in arms) and arms[0] @ arms[1] < -0.7
    down = all(bone(f"{side}_hip", f"{side}_ankle") @ spine < -0.8 for side in _SIDES)
    return bool(straight and out and down)


def _is_rest(frame: np.ndarray, rest: np.ndarray) -> bool:
    """Whether a pose is the rest pose in any orientation."""
    rest = rest - rest[:1]
    turn, _ = Rotation.align_vectors(frame[1:], rest[1:])
    return bool(np.linalg.norm(turn.apply(rest) - frame, axis=-1).max() < _REST_ERROR)

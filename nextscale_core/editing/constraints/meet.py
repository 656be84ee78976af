"""A motion changed, inside windows of time, so that it meets constraints."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nextscale_core.editing.constraints.plan import Plan
from nextscale_core.editing.constraints.poses import Reach, toward_poses, with_lengths
from nextscale_core.editing.constraints.root_path import RootGoal, bend_path
from nextscale_core.editing.constraints.spread import spread
from nextscale_core.editing.constraints.steps import place_feet
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.constraints import placed_pose, residual
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import JOINT_NAMES, PARENTS, bone_lengths

_POSE_REACH, _HAND_REACH = 14.0, 12.0
"""Distance from a keyframe and from the target of a hand at which its effect ends [frames]."""

_LIMB = {"wrist": 0.95, "foot": 0.98}
"""Largest distance of a hand from its shoulder, or a foot from its hip, relative to a straight
limb, before the body steps nearer."""
_BEND, _STRETCH = {"wrist": 0.25, "foot": 0.1}, 0.05
"""Height that the body bends down, and stretches up, without stepping nearer to a target [m]."""
_LEAN = {"wrist": 0.15, "foot": 0.0}
"""Distance along the floor that the body leans towards a target without stepping nearer [m]."""
_ASIDE = np.radians([-70.0, 110.0])
"""Directions of a target seen from the body for which it does not turn: across, and outward."""


@dataclass(frozen=True)
class Met:
    """A changed motion.

    Attributes:
        clip: The motion, with its residuals.
        effort: Measure of the change, to compare motions; 0 for none.
    """

    clip: MotionClip
    effort: float


def meet(clip: MotionClip, plan: Plan, fixed: np.ndarray | None = None) -> Met:
    """Change a motion so that it meets constraints.

    The path over the floor is bent through waypoints and keyframes, bones turn towards keyframes,
    spine and arms towards the targets of hands; then every foot that stood stands again.

    Args:
        clip: A motion with contacts.
        plan: The constraints.
        fixed: (T,) bool, frames that do not change; None for the start of the path only.
    """
    joints = clip.joints.astype(np.float64)
    contacts = np.zeros((len(clip), 4), bool) if clip.contacts is None else clip.contacts
    held = np.zeros(len(clip), bool) if fixed is None else fixed
    lengths = np.asarray(np.median(bone_lengths(joints), axis=0))
    led, turn, effort = _led(joints, plan, held, fixed is None, clip.fps, lengths)
    still = held.copy()
    still[list(plan.poses)] = True
    shares = spread(np.array(list(plan.hands), dtype=int), len(clip), still, _HAND_REACH).T
    yaw = _smooth_heading(led)
    moved = led
    for (frame, hands), share in zip(plan.hands.items(), shares, strict=True):
        leaning = Reach(led[frame], hands, pelvis=True)
        effort += leaning.effort
        moved = moved + share[:, None, None] * leaning.pelvis
    moved, contacts = place_feet(moved, led, joints, turn, contacts, still, plan.feet, lengths)
    for (frame, hands), share in zip(plan.hands.items(), shares, strict=True):
        moved = Reach(moved[frame], hands)(moved, share, yaw - yaw[frame])
    moved[held] = joints[held]
    out = replace(clip, joints=moved, contacts=contacts)
    found = tuple(residual(out.joints, clip.fps, one, note) for one, note in plan.noted)
    return Met(replace(out, residuals=found), effort)


def _led(
    joints: np.ndarray, plan: Plan, held: np.ndarray, starts: bool, fps: float, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """The motion (T, 22, 3) on its new path with its keyframes, its turn (T,), and the effort."""
    anchored = held.copy()
    anchored[0] |= starts
    weights = spread(np.array(list(plan.poses), dtype=int), len(joints), held, _POSE_REACH)
    yaw = _smooth_heading(joints)
    instant = heading_yaw(joints)
    goals = dict(plan.roots)
    for _ in range(3):
        bend = bend_path(joints[:, 0, :2], instant, list(goals.values()), anchored, fps)
        led = bend(joints)
        poses = {
            frame: placed_pose(replace(key, pose=with_lengths(key.pose, lengths)), led[frame])
            for frame, key in plan.poses.items()
        }
        posed, effort = toward_poses(led, poses, weights, lengths, yaw + bend.turn)
        nearer = {
            frame: goal
            for frame, goal in _nearer(posed, plan).items()
            if frame not in plan.roots and not anchored[frame]
        }
        if not nearer:
            break
        goals |= nearer
    return posed, bend.turn, bend.cost + effort


def _nearer(joints: np.ndarray, plan: Plan) -> dict[int, RootGoal]:
    """Goals of the path by which targets that are out of reach come into reach."""
    goals: dict[int, RootGoal] = {}
    targets = [(f, joint, p) for f, hands in plan.hands.items() for joint, p in hands.items()]
    targets += [(f, joint, p) for (f, joint), p in plan.feet.items()]
    for frame, joint, place in targets:
        pose = joints[frame]
        side, _, part = JOINT_NAMES[joint].partition("_")
        if part == "foot":
            # The leg reaches for the ankle, from which the foot keeps its direction.
            place, joint = place - (pose[joint] - pose[PARENTS[joint]]), PARENTS[joint]
        upper = PARENTS[joint]
        base = pose[PARENTS[upper]]
        most = _LIMB[part] * bone_lengths(pose)[[upper - 1, joint - 1]].sum()
        height = max(base[2] - place[2] - _BEND[part], place[2] - base[2] - _STRETCH, 0.0)
        across = np.sqrt(max(most**2 - height**2, 0.05**2)) + _LEAN[part]
        line = place[:2] - base[:2]
        distance = float(np.linalg.norm(line))
        if distance <= across:
            continue
        heading = float(heading_yaw(pose[None])[0])
        aside = np.arctan2(*(place[:2] - pose[0, :2])[::-1]) - heading
        outward = (aside + np.pi) % (2 * np.pi) - np.pi
        outward = outward if side == "left" else -outward
        turn = outward - np.clip(outward, *_ASIDE)
        turn = turn if side == "left" else -turn
        goals[frame] = RootGoal(
            frame, pose[0, :2] + line * (1 - across / distance), heading + turn if turn else None
        )
    return goals


def _smooth_heading(joints: np.ndarray) -> np.ndarray:
    """(T,) heading without its quick changes [rad]."""
    smooth = gaussian_filter1d(np.unwrap(heading_yaw(joints)), 3.0, mode="nearest")
    return np.asarray(smooth)

"""From a human clip to what each keypoint of the robot should do.

Every target is a point or a difference of two points: an orientation is a set of lever points, a
limb direction is a difference as long as the robot's own limb.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.resample import resample
from nextscale_core.retarget.contacts import Contacts, find_contacts
from nextscale_core.retarget.foot_locking import FootPlan, heading_left, plan_feet
from nextscale_core.retarget.human_frames import Body, body_of
from nextscale_core.retarget.input_checks import require_plausible
from nextscale_core.robots.kinematics import LEVER, Kinematics, Poses
from nextscale_core.robots.profile import SIDES

MIN_FRAMES, MAX_FRAMES = 6, 20_000
"""Shorter clips are held at their last frame; longer ones are refused (banded solve, memory)."""

_RATES = (15.0, 40.0)
_SOLVE_RATE = 20.0
"""Clips outside these rates are resampled before solving [Hz]."""

_LEG_LENGTH = (0.4, 1.4)
"""Thigh and shank of a plausible human [m]."""


@dataclass(frozen=True)
class Weights:
    """Weight of each kind of residual [1/m^2], relative to 1 for the pelvis position.

    Attributes:
        pelvis: Pelvis position.
        pelvis_turn: Pelvis orientation.
        torso_turn: Chest orientation.
        foot: Ankle position of a swinging foot.
        stance: Ankle position of a standing foot.
        foot_turn: Orientation of a swinging sole.
        stance_turn: Orientation of a standing sole.
        thigh: Direction of the thigh.
        shank: Direction of the shank.
        arm: Directions of upper arm and forearm.
    """

    pelvis: float = 1.0
    pelvis_turn: float = 1.5
    torso_turn: float = 6.0
    foot: float = 3.0
    stance: float = 400.0
    foot_turn: float = 1.5
    stance_turn: float = 10.0
    thigh: float = 3.0
    shank: float = 3.0
    arm: float = 4.0


@dataclass(frozen=True)
class Goals:
    """M residuals over T frames: point[first] - point[second] should equal goal.

    Attributes:
        first: (M,) keypoint rows.
        second: (M,) keypoint rows, -1 for a residual in the world.
        goal: (T, M, 3) [m].
        weight: (T, M) [1/m^2].
    """

    first: np.ndarray
    second: np.ndarray
    goal: np.ndarray
    weight: np.ndarray

    def residual(self, points: np.ndarray, frames: slice | int = slice(None)) -> np.ndarray:
        """(T, M, 3) or (M, 3) differences to the goals, from keypoints (..., K, 3)."""
        difference = points[..., self.first, :] - self.goal[frames]
        relative = self.second >= 0
        difference[..., relative, :] -= points[..., self.second[relative], :]
        return difference


@dataclass(frozen=True)
class Targets(Goals):
    """The goals that a human clip sets a robot.

    Attributes:
        base: (T, 3) where the solver starts the root link [m].
        rotation: (T, 3, 3) orientation it starts the root link at.
        feet: Locked feet.
        contacts: Which part of which human foot stands.
        body: The human it came from, resampled, in its own size.
        scale: Robot size over human size.
        fps: Frames per second [Hz].
    """

    base: np.ndarray
    rotation: np.ndarray
    feet: FootPlan
    contacts: Contacts
    body: Body
    scale: float
    fps: float

    def __len__(self) -> int:
        return len(self.base)


def make_targets(
    clip: MotionClip, kinematics: Kinematics, weights: Weights | None = None
) -> Targets:
    """Targets of every keypoint in every frame.

    Args:
        clip: A human motion at human scale.
        kinematics: The robot's.
        weights: Balance of the residuals.

    Raises:
        InvalidMotionError: the clip is too long, jumps, or its legs are not of human length.
    """
    weights = weights or Weights()
    joints, fps, labels = _at_solve_rate(clip)
    require_plausible(joints, fps)
    contacts = find_contacts(joints, fps, labels)
    body = body_of(joints, contacts.flat)
    scale = kinematics.lengths.leg / _leg_length(body)
    lift = np.array([0.0, 0.0, kinematics.ankle_height - contacts.rest_height[0] * scale])
    lateral = heading_left(body.pelvis)
    feet = plan_feet(
        _ankles(body, kinematics, lateral, scale) + lift,
        body.feet,
        contacts,
        kinematics.robot.profile.sole,
        lateral,
        kinematics.robot.profile.min_stance_width,
    )
    hips = (body.joint("left_hip") + body.joint("right_hip")) / 2 * scale + lift
    pelvis = hips - body.pelvis @ kinematics.hip_offset.mean(0)
    # Where the chest is the root, this is where the base is while the waist is straight.
    base = pelvis - body.pelvis @ kinematics.pelvis_offset
    rows = _Rows(kinematics, len(joints))
    _trunk_rows(rows, body, pelvis, weights)
    _leg_rows(rows, body, feet, kinematics, weights)
    _arm_rows(rows, body, kinematics, weights)
    first, second, goal, weight = rows.stack()
    return Targets(first, second, goal, weight, base, body.pelvis, feet, contacts, body, scale, fps)


def _at_solve_rate(clip: MotionClip) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Joints, rate and contact labels, neither too dense, too sparse, too long nor too short."""
    joints, fps, labels = clip.joints.astype(np.float64), clip.fps, clip.contacts
    if not _RATES[0] <= fps <= _RATES[1]:
        frames = clip.seconds * _SOLVE_RATE
        if frames <= MAX_FRAMES:
            joints = resample(joints, fps, _SOLVE_RATE)
        if labels is not None:
            nearest = np.round(np.arange(len(joints)) * fps / _SOLVE_RATE).astype(int)
            labels = labels[np.minimum(nearest, len(labels) - 1)]
        fps = _SOLVE_RATE
    else:
        frames = len(joints)
    if frames > MAX_FRAMES:
        raise InvalidMotionError(
            f"a motion of {clip.seconds:.0f} s is too long to retarget at once; "
            f"cut it into pieces of at most {MAX_FRAMES / fps:.0f} s"
        )
    hold = MIN_FRAMES - len(joints)
    if hold > 0:
        joints = np.concatenate([joints, np.repeat(joints[-1:], hold, axis=0)])
        if labels is not None:
            labels = np.concatenate([labels, np.repeat(labels[-1:], hold, axis=0)])
    return joints, fps, labels


def _leg_length(body: Body) -> float:
    """Thigh and shank, median over frames and sides [m]."""
    length = sum(
        np.linalg.norm(body.joint(f"{side}_{end}") - body.joint(f"{side}_{start}"), axis=-1)
        for side in SIDES
        for start, end in (("hip", "knee"), ("knee", "ankle"))
    )
    value = float(np.median(length)) / 2
    low, high = _LEG_LENGTH
    if not low <= value <= high:
        raise InvalidMotionError(
            f"thigh and shank measure {value:.3g} m together, a human's {low} to {high} m; "
            "is the motion in metres?"
        )
    return value


def _ankles(body: Body, kinematics: Kinematics, lateral: np.ndarray, scale: float) -> np.ndarray:
    """(T, 2, 3) ankles at the robot's size, shifted sideways by the difference in hip width."""
    centre = (body.joint("left_hip") + body.joint("right_hip")) / 2
    tracks = []
    for number, side in enumerate(SIDES):
        hip = ((body.joint(f"{side}_hip") - centre) * lateral).sum(-1)
        middle = kinematics.hip_offset.mean(0)
        wider = kinematics.hip_offset[number, 1] - middle[1] - float(np.median(hip)) * scale
        tracks.append(body.joint(f"{side}_ankle") * scale + wider * lateral)
    return np.stack(tracks, axis=1)


class _Rows:
    """Collects residuals; weights and goals of all frames."""

    def __init__(self, kinematics: Kinematics, frames: int):
        self._index, self._frames = kinematics.index, frames
        self._rows: list[tuple[int, int, np.ndarray, np.ndarray]] = []

    def add(
        self, first: str, second: str | None, goal: np.ndarray, weight: np.ndarray | float
    ) -> None:
        other = -1 if second is None else self._index[second]
        tracks = np.broadcast_to(weight, self._frames)
        self._rows.append((self._index[first], other, goal, tracks))

    def turn(self, part: str, origin: str, frame: np.ndarray, weight: np.ndarray | float) -> None:
        for axis, name in enumerate("xyz"):
            self.add(f"{part}_{name}", origin, LEVER * frame[..., axis], weight)

    def stack(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        first, second, goal, weight = zip(*self._rows, strict=True)
        return np.array(first), np.array(second), np.stack(goal, 1), np.stack(weight, 1)


def _trunk_rows(rows: _Rows, body: Body, pelvis: np.ndarray, weights: Weights) -> None:
    rows.add("pelvis", None, pelvis, weights.pelvis)
    rows.turn("pelvis", "pelvis", body.pelvis, weights.pelvis_turn)
    rows.turn("torso", "torso", body.torso, weights.torso_turn)


def _leg_rows(
    rows: _Rows, body: Body, feet: FootPlan, kinematics: Kinematics, weights: Weights
) -> None:
    lengths = kinematics.lengths
    for n, side in enumerate(SIDES):
        stance = feet.stance[:, n]
        rows.add(
            f"{side}_ankle",
            None,
            feet.ankle[:, n],
            weights.foot + stance * (weights.stance - weights.foot),
        )
        rows.turn(
            f"{side}_foot",
            f"{side}_ankle",
            feet.rotation[:, n],
            weights.foot_turn + stance * (weights.stance_turn - weights.foot_turn),
        )
        thigh = lengths.thigh * body.bones[f"{side}_thigh"]
        shank = lengths.shank * body.bones[f"{side}_shank"]
        rows.add(f"{side}_knee", f"{side}_hip", thigh, weights.thigh)
        rows.add(f"{side}_ankle", f"{side}_knee", shank, weights.shank)


def _arm_rows(rows: _Rows, body: Body, kinematics: Kinematics, weights: Weights) -> None:
    lengths = kinematics.lengths
    for side in SIDES:
        upper = lengths.upper_arm * body.bones[f"{side}_upper_arm"]
        fore = lengths.forearm * body.bones[f"{side}_forearm"]
        rows.add(f"{side}_elbow", f"{side}_shoulder", upper, weights.arm)
        rows.add(f"{side}_wrist", f"{side}_elbow", fore, weights.arm)


def start_poses(targets: Targets, nominal: np.ndarray) -> Poses:
    """Where the solver starts: the human's pelvis, the robot's nominal posture."""
    joints = np.tile(nominal, (len(targets), 1))
    return Poses(targets.base.copy(), targets.rotation.copy(), joints)

"""Targets of the robot's keypoints from a human clip.

Every target is a point or a difference of two points: an orientation is a set of lever points, a
limb direction is a difference as long as the robot's own limb.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.resample import resample
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.retarget.config import RETARGET, RetargetConfig, TargetsConfig
from nextscale_core.retarget.contacts import Contacts, find_contacts
from nextscale_core.retarget.foot_locking import FootPlan, heading_left, plan_feet
from nextscale_core.retarget.human_frames import Body, body_of
from nextscale_core.robots.kinematics import LEVER, Kinematics, Poses
from nextscale_core.robots.profile import SIDES

_GOALS = 23
"""Number of residuals of a frame: trunk 7, legs 12, arms 4."""

MIN_FRAMES, MAX_FRAMES = 6, 20_000
"""Shorter clips are held at their last frame; longer ones are refused (memory of the solver)."""


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
class CentreGoal:
    """Where the centre of mass should be over T frames.

    Attributes:
        place: (T, 2) on the floor [m].
        weight: Of the squared distance to it [1/m^2].
        joints: (J,) True for the joints that may move for it.
    """

    place: np.ndarray
    weight: float
    joints: np.ndarray


@dataclass(frozen=True)
class Targets(Goals):
    """The goals of a human clip for a robot.

    Attributes:
        base: (T, 3) first guess of the root link [m].
        rotation: (T, 3, 3) first guess of its orientation.
        feet: Locked feet.
        contacts: The parts of the human feet that stand.
        body: The human, resampled, in its own size.
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
    clip: MotionClip, kinematics: Kinematics, config: RetargetConfig = RETARGET
) -> Targets:
    """Targets of every keypoint in every frame.

    Args:
        clip: A human motion at human scale.
        kinematics: The robot's.
        config: Weights, and how feet are locked.

    Raises:
        InvalidMotionError: the clip is too long, jumps, or its legs are not of human length.
    """
    limits, locking = config.targets, config.foot_locking
    joints, fps, labels = _at_solve_rate(clip, limits)
    _require_plausible(joints, fps, limits)
    contacts = find_contacts(joints, fps, labels, locking)
    body = body_of(joints, contacts.flat)
    scale = kinematics.lengths.leg / _leg_length(body, limits)
    lift = np.array([0.0, 0.0, kinematics.ankle_height - contacts.rest_height[0] * scale])
    lateral = heading_left(body.pelvis)
    feet = plan_feet(
        _ankles(body, kinematics, lateral, scale) + lift,
        body.feet,
        contacts,
        kinematics.robot.profile.sole.level,
        lateral,
        kinematics.robot.profile.min_stance_width,
        locking,
    )
    hips = (body.joint("left_hip") + body.joint("right_hip")) / 2 * scale + lift
    pelvis = hips - body.pelvis @ kinematics.hip_offset.mean(0)
    # Where the chest is the root, this is where the base is while the waist is straight.
    base = pelvis - body.pelvis @ kinematics.pelvis_offset
    goals = _goals(kinematics, body, pelvis, feet, limits)
    return Targets(
        **vars(goals),
        base=base,
        rotation=body.pelvis,
        feet=feet,
        contacts=contacts,
        body=body,
        scale=scale,
        fps=fps,
    )


def _at_solve_rate(
    clip: MotionClip, config: TargetsConfig
) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Joints, rate and contact labels, neither too dense, too sparse, too long nor too short."""
    joints, fps, labels = clip.joints.astype(np.float64), clip.fps, clip.contacts
    if not config.min_rate <= fps <= config.max_rate:
        rate = config.solve_rate
        frames = clip.seconds * rate
        if frames <= MAX_FRAMES:
            joints = resample(joints, fps, rate)
        if labels is not None:
            nearest = np.round(np.arange(len(joints)) * fps / rate).astype(int)
            labels = labels[np.minimum(nearest, len(labels) - 1)]
        fps = rate
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


def _require_plausible(joints: np.ndarray, fps: float, config: TargetsConfig) -> None:
    """Refuse joints (T, 22, 3) [m] that are no motion of a body; the solver would follow them.

    Joints of the arms and the head may be anywhere: only their directions are followed.

    Raises:
        InvalidMotionError: NaN or infinity (an array may have been written to since its clip was
            made), positions far from the origin, or hips or ankles that jump.
    """
    if not np.isfinite(joints).all():
        frame = int(np.argwhere(~np.isfinite(joints))[0, 0])
        raise InvalidMotionError(f"joints hold NaN or infinity, first in frame {frame}")
    furthest = float(np.abs(joints).max())
    if furthest > config.max_distance:
        raise InvalidMotionError(
            f"the motion goes {furthest:.3g} m from the origin, at most {config.max_distance:g} m "
            "can be followed; is it in metres?"
        )
    for names in (("left_hip", "right_hip"), ("left_ankle",), ("right_ankle",)):
        track = np.mean([joints[:, JOINT_INDEX[name]] for name in names], axis=0)
        step = np.linalg.norm(np.diff(track, axis=0), axis=-1)
        if len(step) and step.max() * fps > config.max_speed:
            raise InvalidMotionError(
                f"{' and '.join(names)} jump {step.max():.3g} m from frame {int(step.argmax())} "
                f"to the next, which is {step.max() * fps:.3g} m/s; at most "
                f"{config.max_speed:g} m/s can be a motion"
            )


def _leg_length(body: Body, config: TargetsConfig) -> float:
    """Thigh and shank, median over frames and sides [m]."""
    length = sum(
        np.linalg.norm(body.joint(f"{side}_{end}") - body.joint(f"{side}_{start}"), axis=-1)
        for side in SIDES
        for start, end in (("hip", "knee"), ("knee", "ankle"))
    )
    value = float(np.median(length)) / 2
    low, high = config.min_leg, config.max_leg
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


def _goals(
    kinematics: Kinematics, body: Body, pelvis: np.ndarray, feet: FootPlan, config: TargetsConfig
) -> Goals:
    """All residuals: trunk, then legs, then arms."""
    index, lengths = kinematics.index, kinematics.lengths
    rows: list[tuple[int, int]] = []
    goals, weights = np.empty((len(pelvis), _GOALS, 3)), np.empty((len(pelvis), _GOALS))

    def add(first: str, second: str | None, goal: np.ndarray, weight: np.ndarray | float) -> None:
        goals[:, len(rows)], weights[:, len(rows)] = goal, weight
        rows.append((index[first], -1 if second is None else index[second]))

    def turn(part: str, origin: str, frame: np.ndarray, weight: np.ndarray | float) -> None:
        for axis, name in enumerate("xyz"):
            add(f"{part}_{name}", origin, LEVER * frame[..., axis], weight)

    add("pelvis", None, pelvis, config.pelvis)
    turn("pelvis", "pelvis", body.pelvis, config.pelvis_turn)
    turn("torso", "torso", body.torso, config.torso_turn)
    for n, side in enumerate(SIDES):
        stance = feet.stance[:, n]
        weight = config.foot + stance * (config.stance - config.foot)
        add(f"{side}_ankle", None, feet.ankle[:, n], weight)
        weight = config.foot_turn + stance * (config.stance_turn - config.foot_turn)
        turn(f"{side}_foot", f"{side}_ankle", feet.rotation[:, n], weight)
        thigh, shank = (body.bones[f"{side}_{bone}"] for bone in ("thigh", "shank"))
        add(f"{side}_knee", f"{side}_hip", lengths.thigh * thigh, config.thigh)
        add(f"{side}_ankle", f"{side}_knee", lengths.shank * shank, config.shank)
    for side in SIDES:
        upper, fore = (body.bones[f"{side}_{bone}"] for bone in ("upper_arm", "forearm"))
        add(f"{side}_elbow", f"{side}_shoulder", lengths.upper_arm * upper, config.arm)
        add(f"{side}_wrist", f"{side}_elbow", lengths.forearm * fore, config.arm)
    assert len(rows) == _GOALS
    first, second = np.array(rows).T.copy()
    return Goals(first, second, goals, weights)


def start_poses(targets: Targets, nominal: np.ndarray) -> Poses:
    """First guess of the solver: the human's pelvis, the robot's nominal posture."""
    joints = np.tile(nominal, (len(targets), 1))
    return Poses(targets.base.copy(), targets.rotation.copy(), joints)

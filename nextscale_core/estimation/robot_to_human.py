"""Human motion from a robot's joint states: the inverse of retargeting.

Inverts `targets.make_targets`: the same scale, hip width, orientations and limb directions, applied
to the standard human skeleton.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nextscale_core.estimation.base_pose import link_named
from nextscale_core.estimation.leg_odometry import (
    BaseSource,
    Odometry,
    at_origin,
    leg_odometry,
    sole_contacts,
    standing,
)
from nextscale_core.estimation.samples import (
    BaseTrack,
    OrientationTrack,
    at_frames,
    frame_times,
    joint_track,
    turns_at_frames,
)
from nextscale_core.estimation.skeleton import (
    ANKLE_HEIGHT,
    HIP_HALF_WIDTH,
    TOE_OUT,
    Orientations,
    pose_human,
)
from nextscale_core.exceptions import InvalidMotionError, RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import FPS, SHANK_LENGTH, STANDARD_LEG, THIGH_LENGTH
from nextscale_core.retarget.foot_locking import heading_left
from nextscale_core.robots.description import link_frame, link_names
from nextscale_core.robots.kinematics import LEVER, Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES, nearest
from nextscale_core.robots.robot import Robot
from nextscale_core.rotations import unit

ACCURACY: dict[BaseSource, str] = {
    BaseSource.MEASURED: (
        "joints relative to the pelvis differ from the human's by 1.5 cm on average on a G1, "
        "3.3 cm on a Talos, nearly all of it because the robot cannot take the human pose"
    ),
    BaseSource.IMU_ODOMETRY: (
        "posture as good as with a measured base; height to 1 mm and place to 4 % of the path in "
        "the median motion; jumps stay on the floor and sliding feet count as standing"
    ),
    BaseSource.ODOMETRY: (
        "in the median motion tilt to 1 deg, height to 3 mm, place to 12 % of the path and "
        "heading to 15 deg after 10 s; wrong on tiptoe, in jumps, in turns on the toes and where "
        "hands or knees support the robot"
    ),
    BaseSource.STANDING: "posture only: place, heading and tilt are assumed, not measured",
}
"""Accuracy by source, measured by bench/inverse.py on 30 recorded motions."""


@dataclass(frozen=True)
class HumanHistory:
    """The human motion of a robot's joint states.

    Attributes:
        clip: 22 joints of the standard skeleton at even frames, the last one at the last joint
            state; floor at z = 0; `clip.contacts` are the robot's heels and toes on the floor.
            The path begins where the base was measured, or else above the origin.
        poses: The robot's base and joints in the same frames.
        base_source: The least accurate of `sources`.
        sources: Source of the base in each frame.
        accuracy: Description of the accuracy to expect.
        scale: Robot size over human size; the paths have the same ratio.
        warnings: Sentences for the user.
    """

    clip: MotionClip
    poses: Poses
    base_source: BaseSource
    sources: tuple[BaseSource, ...]
    accuracy: str
    scale: float
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clip)


def relative_size(robot: Robot) -> float:
    """Size of a robot relative to the standard person: the ratio of their legs."""
    return kinematics_of(robot).lengths.leg / STANDARD_LEG


def robot_to_human(
    robot: Robot,
    times: np.ndarray,
    positions: np.ndarray,
    *,
    joint_names: Sequence[str] | None = None,
    base: BaseTrack | None = None,
    imu: OrientationTrack | None = None,
    fps: float = FPS,
    max_gap: float = 0.25,
    missing: Literal["error", "nominal"] = "error",
) -> HumanHistory:
    """Compute the human motion of measured joint states.

    The base comes from `base` where given; else its orientation from `imu` and its position from
    leg odometry; else both from leg odometry; where no sole determines the vertical, the robot is
    assumed to stand upright. The result states the source.

    Args:
        robot: The robot.
        times: (N,) increasing stamps of the joint states [s].
        positions: (N, M) joint positions [rad].
        joint_names: The M joints; None: `robot.joint_names`. Locked joints and joints of other
            devices are left out.
        base: Measured poses of the root link.
        imu: Measured orientations of the root link or another link.
        fps: Frame rate of the result [Hz]; generators need 20.
        max_gap: Maximum time between two stamps that is bridged [s].
        missing: Whether joints without positions are an error, or have the nominal positions of
            the profile, as joints that move no part of the body (the last of a wrist) always do.

    Raises:
        InvalidMotionError: NaN (the message names joint and time), stamps that do not increase, a
            gap, fewer than 4 frames, or tracks that do not cover the joint states.
        RobotError: joints missing or unknown, or an IMU on an unknown link.
    """
    if not (np.isfinite(fps) and 1.0 <= fps <= 1000.0):
        raise InvalidMotionError(f"fps must be within 1 and 1000, got {fps}")
    if not max_gap > 0:
        raise InvalidMotionError(f"max_gap must be positive, got {max_gap}")
    kinematics = kinematics_of(robot)
    times, values, absent = joint_track(robot, times, positions, joint_names, missing)
    frames = frame_times(times, fps, max_gap)
    joints = at_frames(times, values, frames)
    warnings = []
    if absent:
        warnings.append(f"not measured, assumed at the nominal posture: {', '.join(absent)}")
    still = at_origin(joints)
    turns, origins = kinematics.forward(still)
    points = kinematics.points(still, (turns, origins))
    if base is not None:
        found = _measured(kinematics, joints, points, base, frames, max_gap)
    else:
        rotation = None if imu is None else _root_turns(robot, turns, imu, frames, max_gap)
        if set(absent) & _leg_joints(kinematics):
            found = standing(kinematics, joints, rotation, points)
        else:
            found = leg_odometry(kinematics, joints, fps, rotation, points)
    worst = max(found.sources, key=list(BaseSource).index)
    assumed = found.sources.count(BaseSource.STANDING)
    if assumed:
        warnings.append(
            f"the soles did not determine the base in {assumed} of {len(frames)} frames: "
            "the robot is assumed to stand upright there"
        )
    poses = found.poses
    points = points @ poses.rotation.transpose(0, 2, 1) + poses.base[:, None]
    axes = kinematics.axes(poses.rotation[:, None] @ turns)
    scale = relative_size(robot)
    human = pose_human(_orientations(kinematics, points, axes, scale))
    clip = MotionClip(human, fps, contacts=sole_contacts(kinematics, points, fps))
    return HumanHistory(clip, poses, worst, found.sources, ACCURACY[worst], scale, tuple(warnings))


def _leg_joints(kinematics: Kinematics) -> set[str]:
    moves = kinematics.support[kinematics.soles].any(0)
    return {name for name, leg in zip(kinematics.robot.joint_names, moves, strict=True) if leg}


def _measured(
    kinematics: Kinematics,
    joints: np.ndarray,
    points: np.ndarray,
    base: BaseTrack,
    frames: np.ndarray,
    max_gap: float,
) -> Odometry:
    """Poses with a measured base above the floor z = 0; `points` as in `leg_odometry`."""
    rotation = turns_at_frames(base.times, base.quaternions, frames, max_gap, "base poses")
    place = at_frames(base.times, base.positions, frames)
    floor = base.floor
    if floor is None:
        height = (points[:, kinematics.soles] @ rotation[:, 2, :, None])[..., 0].min(1)
        # As for human clips: the lowest 3 % of the frames may lie below, so noise has no effect.
        floor = float(np.percentile(height + place[:, 2], 3.0))
    poses = Poses(place - [0.0, 0.0, floor], rotation, joints)
    return Odometry(poses, (BaseSource.MEASURED,) * len(frames))


def _root_turns(
    robot: Robot,
    turns: np.ndarray,
    imu: OrientationTrack,
    frames: np.ndarray,
    max_gap: float,
) -> np.ndarray:
    """(T, 3, 3) orientations of the root link; `turns` (T, J, 3, 3) of the joints in its frame."""
    measured = turns_at_frames(imu.times, imu.quaternions, frames, max_gap, "imu orientations")
    if not imu.link:
        return measured
    name = link_named(robot, imu.link)
    if not name:
        closest = nearest(imu.link, link_names(robot.model))
        raise RobotError(f"imu: {robot.name} has no link {imu.link!r}; {closest}")
    frame = link_frame(robot.model, name)
    link = np.array(frame.placement.rotation)
    carrier = int(frame.parentJoint) - 2
    if carrier >= 0:
        link = turns[:, carrier] @ link
    return measured @ np.swapaxes(link, -1, -2)


def _orientations(
    kinematics: Kinematics, points: np.ndarray, axes: np.ndarray, scale: float
) -> Orientations:
    """The robot's orientations at human size: `targets.make_targets` solved for the human.

    Args:
        kinematics: The robot's.
        points: (T, K, 3) keypoints in the world [m].
        axes: (T, B, 3) joint axes in the world.
        scale: Robot size over human size.
    """
    index = kinematics.index

    def at(name: str) -> np.ndarray:
        return points[:, index[name]]

    def turn(part: str, origin: str) -> np.ndarray:
        return np.stack([at(f"{part}_{a}") - at(origin) for a in "xyz"], axis=-1) / LEVER

    def bone(start: str, end: str) -> np.ndarray:
        return np.stack([unit(at(f"{s}_{end}") - at(f"{s}_{start}")) for s in SIDES], axis=1)

    pelvis = turn("pelvis", "pelvis")
    lift = np.array([0.0, 0.0, kinematics.ankle_height - ANKLE_HEIGHT * scale])
    middle = kinematics.hip_offset.mean(0)
    hips = (at("pelvis") + pelvis @ middle - lift) / scale
    lateral = heading_left(pelvis)
    thigh, shank = bone("hip", "knee"), bone("knee", "ankle")
    ankles = np.empty((len(points), 2, 3))
    for n, (side, sign) in enumerate(zip(SIDES, (1.0, -1.0), strict=True)):
        half_width = sign * HIP_HALF_WIDTH
        wider = kinematics.hip_offset[n, 1] - middle[1] - half_width * scale
        by_place = (at(f"{side}_ankle") - wider * lateral - lift) / scale
        hip = hips + half_width * pelvis[..., 1]
        by_bones = hip + THIGH_LENGTH * thigh[:, n] + SHANK_LENGTH * shank[:, n]
        # As the robot's leg, the human's is the mean of both.
        ankles[:, n] = (by_place + by_bones) / 2
    return Orientations(
        hips=hips,
        ankles=ankles,
        pelvis=pelvis,
        torso=turn("torso", "torso"),
        feet=np.stack([turn(f"{side}_foot", f"{side}_ankle") for side in SIDES], axis=1),
        knee_front=_knee_front(kinematics, axes, thigh),
        upper_arm=bone("shoulder", "elbow"),
        forearm=bone("elbow", "wrist"),
    )


def _knee_front(kinematics: Kinematics, axes: np.ndarray, thigh: np.ndarray) -> np.ndarray:
    """(T, 2, 3) unit vectors to the front of the thighs, from the axes of the knees."""
    knees = [kinematics.owner[kinematics.index[f"{side}_knee"]] for side in SIDES]
    zero, _ = kinematics.forward(at_origin(np.zeros((1, kinematics.robot.num_joints))))
    to_left = np.where(kinematics.axes(zero)[0, knees, 1] < 0, -1.0, 1.0)
    front = unit(np.cross(axes[:, knees] * to_left[:, None], -thigh))
    # Few robots can turn the foot about the shank, so the knee follows the line from ankle to
    # ball, which in the standard skeleton points outwards of the foot's and knee's direction.
    inwards = np.cross(thigh, front) * np.array([[1.0], [-1.0]])
    return np.cos(TOE_OUT) * front + np.sin(TOE_OUT) * inwards

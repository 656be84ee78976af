"""`Scene`: a robot, a human or both, side by side, in every frame that can be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.leg_odometry import sole_contacts
from nextscale_core.estimation.robot_to_human import robot_to_human
from nextscale_core.estimation.samples import BaseTrack
from nextscale_core.exceptions import InvalidMotionError, RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.retarget.contacts import find_contacts
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.trajectory.config import TIMING
from nextscale_core.viz.links import RobotBody, require_joints, robot_body
from nextscale_core.viz.robot import heading

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot

MAX_FPS = 60.0
"""No screen shows more frames than this [Hz]; a faster trajectory is thinned."""

ASIDE = 1.1
"""The human stands so far to the robot's left [m]."""

DETAIL = 0.003
"""Smallest feature of a robot's mesh that is kept [m]: nobody looks closer on a page."""


@dataclass(frozen=True)
class RobotTrack:
    """A robot over time, link by link.

    Attributes:
        body: Its L links and their meshes.
        base: (T, 3) root link in the world [m].
        forward: (T, 2) horizontal unit vector that the base faces.
        positions: (T, L, 3) origins of the links in the world [m].
        quaternions: (T, L, 4) orientations of the links in the world, x y z w.
        soles: (T, 2, 2, 3) heel and toe of the left and the right sole [m].
        stance: (T, 2) bool, left and right foot on the floor.
    """

    body: RobotBody
    base: np.ndarray
    forward: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray
    soles: np.ndarray
    stance: np.ndarray


@dataclass(frozen=True)
class HumanTrack:
    """A human over time.

    Attributes:
        joints: (T, 22, 3) positions [m], where the motion has them.
        stance: (T, 2) bool, left and right foot on the floor.
        offset: (3,) where the human is drawn, from there [m]: beside the robot.
    """

    joints: np.ndarray
    stance: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Everything that a viewer shows, prepared.

    Attributes:
        title: The sentence, or the name of the file.
        fps: Frames per second [Hz].
        robot: The robot, if there is one.
        human: The human, if there is one; T frames as the robot's.
        facts: What else a person should read: (name, sentence).

    Raises:
        InvalidMotionError: neither robot nor human, or different numbers of frames.
    """

    title: str
    fps: float
    robot: RobotTrack | None = None
    human: HumanTrack | None = None
    facts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.robot is None and self.human is None:
            raise InvalidMotionError("a scene needs a robot, a human or both")
        if self.robot and self.human and len(self.robot.base) != len(self.human.joints):
            raise InvalidMotionError(
                f"robot and human must have as many frames, got {len(self.robot.base)} and "
                f"{len(self.human.joints)}"
            )

    def __len__(self) -> int:
        if self.robot is not None:
            return len(self.robot.base)
        assert self.human is not None
        return len(self.human.joints)

    @property
    def seconds(self) -> float:
        """Time of the last frame [s]."""
        return (len(self) - 1) / self.fps

    @property
    def centre(self) -> np.ndarray:
        """(T, 3) the middle between the roots of robot and human as they are drawn [m]."""
        roots = []
        if self.robot is not None:
            roots.append(self.robot.base)
        if self.human is not None:
            roots.append(self.human.joints[:, 0] + self.human.offset)
        return np.mean(roots, axis=0)

    @property
    def forward(self) -> np.ndarray:
        """(T, 2) horizontal unit vector that the robot faces, else the human."""
        if self.robot is not None:
            return self.robot.forward
        assert self.human is not None
        return _facing(self.human.joints)


def human_scene(clip: MotionClip, title: str = "") -> Scene:
    """A human motion alone, frame by frame.

    Args:
        clip: The motion.
        title: What to call it where it has no text.
    """
    human = HumanTrack(clip.joints.astype(np.float64), human_stance(clip), np.zeros(3))
    return Scene(clip.text or title, clip.fps, human=human)


def robot_scene(
    robot: Robot,
    trajectory: RobotTrajectory,
    clip: MotionClip | None = None,
    *,
    title: str = "",
    detail: float = DETAIL,
) -> Scene:
    """A robot's motion, with the human behind it.

    Args:
        robot: The robot.
        trajectory: Its motion.
        clip: The human motion that the trajectory was made from; without it the human is what
            the robot's own joints show, where that can be told.
        title: What to call it where it has no text.
        detail: Smallest feature of the meshes that is kept [m].

    Raises:
        RobotError: the trajectory is another robot's.
    """
    require_joints(robot, trajectory)
    fps = trajectory.fps / np.ceil(trajectory.fps / MAX_FPS - 1e-9)
    times = np.arange(int(np.floor(trajectory.seconds * fps + 1e-6)) + 1) / fps
    frames = _nearest(trajectory.time_from_start, times)
    body = robot_body(robot, detail)
    rotation = Rotation.from_quat(trajectory.base_quaternion[frames])
    poses = Poses(
        trajectory.base_position[frames], rotation.as_matrix(), trajectory.positions[frames]
    )
    track = robot_track(body, poses, fps)
    notes: list[tuple[str, str]] = []
    human: HumanTrack | None = None
    if clip is not None:
        joints, stance = _at(clip, _source(trajectory, clip, times, frames))
        human = HumanTrack(joints, stance, _beside(track, joints))
        notes.append(("human", "the motion in the file"))
    else:
        try:
            history = robot_to_human(
                robot,
                trajectory.time_from_start,
                trajectory.positions,
                base=BaseTrack(
                    trajectory.time_from_start,
                    trajectory.base_position,
                    trajectory.base_quaternion,
                ),
            )
        except (InvalidMotionError, RobotError) as error:
            notes.append(("human", f"not shown: {error}"))
        else:
            back = history.clip
            start = trajectory.seconds - (len(back) - 1) / back.fps
            joints, stance = _at(back, times - start)
            human = HumanTrack(joints, stance, _beside(track, joints))
            notes.append(("human", "what the robot's joints show, on a human's skeleton"))
    return Scene(trajectory.text or title or robot.name, fps, track, human, tuple(notes))


def robot_track(body: RobotBody, poses: Poses, fps: float) -> RobotTrack:
    """Where the links of a robot are, and which feet stand.

    Args:
        body: What is seen of the robot.
        poses: Base and joints.
        fps: Frames per second [Hz].
    """
    kinematics = kinematics_of(body.robot)
    turns, origins = body.poses(poses)
    points = kinematics.points(poses)
    rows = [[kinematics.index[f"{side}_{end}"] for end in ("heel", "toe")] for side in SIDES]
    shape = (*turns.shape[:2], 4)
    # One frame alone has no speed: it stands still.
    still = points if len(points) > 1 else np.repeat(points, 2, axis=0)
    standing = sole_contacts(kinematics, still, fps)[: len(points)]
    return RobotTrack(
        body=body,
        base=poses.base,
        forward=heading(Rotation.from_matrix(poses.rotation).as_quat()),
        positions=origins,
        quaternions=Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_quat().reshape(shape),
        soles=points[:, np.array(rows)],
        stance=np.asarray(standing.reshape(-1, 2, 2).any(-1)),
    )


def human_stance(clip: MotionClip) -> np.ndarray:
    """(T, 2) bool, left and right foot on the floor."""
    contacts = find_contacts(clip.joints, clip.fps, clip.contacts)
    return contacts.ankle | contacts.ball


def human_time(clip: MotionClip, seconds: float, times: np.ndarray) -> np.ndarray:
    """When a human did what the robot does.

    For a trajectory that does not say which moments of the clip its samples belong to. It starts
    and stops smoothly (see `retarget.timing`). Where the robot's limits made it slower, the human
    is slowed down evenly, although the robot may have been slower in places.

    Args:
        clip: The human motion.
        seconds: Length of the robot's trajectory [s].
        times: (N,) times in the trajectory [s].

    Returns:
        (N,) times in the clip [s].
    """
    length = (len(clip) - 1) / clip.fps
    ramp = min(TIMING.ramp, length)
    full = max(seconds - ramp, 1e-9)

    def risen(t: np.ndarray) -> np.ndarray:
        u = np.clip(t / max(ramp, 1e-9), 0.0, 1.0)
        return np.where(t < ramp, ramp * (u**3 - u**4 / 2), t - ramp / 2)

    late = times > seconds / 2
    place = np.where(late, full - risen(seconds - times), risen(times))
    return np.clip(place, 0.0, full) * (length / full)


def _source(
    trajectory: RobotTrajectory, clip: MotionClip, times: np.ndarray, frames: np.ndarray
) -> np.ndarray:
    """(N,) times in the clip of samples `frames`, which the viewer shows at `times` [s].

    Where a sample belongs to none, the human waits in the pose beside it.
    """
    source = trajectory.source_time
    known = np.flatnonzero(np.isfinite(source)) if source is not None else np.zeros(0, dtype=int)
    if source is None or not len(known):
        return human_time(clip, trajectory.seconds, times)
    return np.interp(frames, known, source[known])


def _nearest(stamps: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(N,) rows of the (M,) increasing stamps that are nearest to the times."""
    after = np.clip(np.searchsorted(stamps, times), 1, max(len(stamps) - 1, 1))
    after = np.minimum(after, len(stamps) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(times - stamps[before] <= stamps[after] - times, before, after)


def _at(clip: MotionClip, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, 22, 3) between the frames of a clip, and stance (N, 2) of the nearest frames."""
    at = np.clip(times * clip.fps, 0.0, len(clip) - 1)
    before = np.minimum(at.astype(int), max(len(clip) - 2, 0))
    after = np.minimum(before + 1, len(clip) - 1)
    share = (at - before)[:, None, None]
    joints = clip.joints.astype(np.float64)
    stance = human_stance(clip)[np.round(at).astype(int)]
    return (1.0 - share) * joints[before] + share * joints[after], stance


def _beside(track: RobotTrack, joints: np.ndarray) -> np.ndarray:
    """(3,) shift that puts the human to the robot's left at the beginning [m]."""
    left = np.array([-track.forward[0, 1], track.forward[0, 0]])
    place = track.base[0, :2] + ASIDE * left - joints[0, 0, :2]
    return np.array([*place, 0.0])


def _facing(joints: np.ndarray) -> np.ndarray:
    yaw = heading_yaw(joints)
    return np.stack([np.cos(yaw), np.sin(yaw)], axis=1)

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
from nextscale_core.viz.links import RobotBody, heading, require_joints, robot_body

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot

MAX_FPS = 60.0
"""Maximum frame rate of a scene; a faster trajectory is thinned [Hz]."""

ASIDE = 1.1
"""Distance of the human to the robot's left [m]."""

DETAIL = 0.003
"""Smallest feature of a robot's mesh that is kept on a page [m]."""


@dataclass(frozen=True)
class RobotTrack:
    """A robot over time, link by link.

    Attributes:
        body: L links and their meshes.
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
        joints: (T, 22, 3) positions of the motion [m].
        stance: (T, 2) bool, left and right foot on the floor.
        offset: (3,) shift at which the human is drawn, beside the robot [m].
    """

    joints: np.ndarray
    stance: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Everything that a viewer shows.

    Attributes:
        title: The sentence, or the name of the file.
        fps: Frames per second [Hz].
        robot: The robot, if there is one.
        human: The human, if there is one, with as many frames as the robot.
        facts: Further information to show: (name, sentence).

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
        """(T, 3) centre between the roots of robot and human as they are drawn [m]."""
        roots = [self.robot.base] if self.robot is not None else []
        if self.human is not None:
            roots.append(self.human.joints[:, 0] + self.human.offset)
        return np.mean(roots, axis=0)

    @property
    def forward(self) -> np.ndarray:
        """(T, 2) horizontal unit vector that the robot, otherwise the human, faces."""
        if self.robot is not None:
            return self.robot.forward
        assert self.human is not None
        return human_heading(self.human.joints)


def human_scene(clip: MotionClip, title: str = "") -> Scene:
    """The scene of a human motion; `title` is used if the clip has no text."""
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
    """The scene of a robot trajectory and its human motion.

    Args:
        robot: The robot.
        trajectory: Its motion.
        clip: The human motion that the trajectory was made from; if None, the human motion is
            estimated from the robot's joints where possible.
        title: Title of a trajectory without text.
        detail: Smallest feature of the meshes that is kept [m].

    Raises:
        RobotError: the trajectory's joints are not the robot's.
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
    human: HumanTrack | None = None
    if clip is not None:
        human = _beside(track, *_at(clip, source_times(trajectory, clip, times, frames)))
        note = "the motion in the file"
    else:
        try:
            base = BaseTrack(
                trajectory.time_from_start, trajectory.base_position, trajectory.base_quaternion
            )
            back = robot_to_human(
                robot, trajectory.time_from_start, trajectory.positions, base=base
            ).clip
        except (InvalidMotionError, RobotError) as error:
            note = f"not shown: {error}"
        else:
            start = trajectory.seconds - (len(back) - 1) / back.fps
            human = _beside(track, *_at(back, times - start))
            note = "what the robot's joints show, on a human's skeleton"
    title = trajectory.text or title or robot.name
    return Scene(title, fps, track, human, (("human", note),))


def robot_track(body: RobotBody, poses: Poses, fps: float) -> RobotTrack:
    """Poses of the links and standing feet of a robot at `fps` frames per second [Hz]."""
    kinematics = kinematics_of(body.robot)
    turns, origins = body.poses(poses)
    points = kinematics.points(poses)
    rows = [[kinematics.index[f"{side}_{end}"] for end in ("heel", "toe")] for side in SIDES]
    shape = (*turns.shape[:2], 4)
    # A single frame has no speed and counts as still.
    still = points if len(points) > 1 else np.repeat(points, 2, axis=0)
    standing = sole_contacts(kinematics, still, fps)[: len(points)]
    return RobotTrack(
        body=body,
        base=poses.base,
        forward=heading(poses.rotation),
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
    """Times in a clip for times in a trajectory without `source_time`.

    The trajectory starts and stops smoothly (see `trajectory.time_parameterization`). If it is
    longer than the clip, the clip is slowed down evenly, although the robot may be slower in parts.

    Args:
        clip: The human motion.
        seconds: Length of the trajectory [s].
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


def source_times(
    trajectory: RobotTrajectory,
    clip: MotionClip,
    times: np.ndarray | None = None,
    frames: np.ndarray | None = None,
) -> np.ndarray:
    """(N,) time in the clip of some samples of a trajectory [s].

    For samples without a clip time, the human waits in the nearest pose.

    Args:
        trajectory: Robot motion.
        clip: Human motion.
        times: (N,) times in the trajectory at which the samples are shown [s]; None for their own.
        frames: (N,) rows of the samples; None for all.
    """
    times = trajectory.time_from_start if times is None else times
    frames = np.arange(len(trajectory)) if frames is None else frames
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
    """Interpolated joints (N, 22, 3), and stance (N, 2) of the nearest frames."""
    at = np.clip(times * clip.fps, 0.0, len(clip) - 1)
    before = np.minimum(at.astype(int), max(len(clip) - 2, 0))
    after = np.minimum(before + 1, len(clip) - 1)
    share = (at - before)[:, None, None]
    joints = clip.joints.astype(np.float64)
    stance = human_stance(clip)[np.round(at).astype(int)]
    return (1.0 - share) * joints[before] + share * joints[after], stance


def _beside(track: RobotTrack, joints: np.ndarray, stance: np.ndarray) -> HumanTrack:
    """The human drawn to the robot's left in the first frame."""
    left = np.array([-track.forward[0, 1], track.forward[0, 0]])
    shift = track.base[0, :2] + ASIDE * left - joints[0, 0, :2]
    return HumanTrack(joints, stance, np.array([*shift, 0.0]))


def human_heading(joints: np.ndarray) -> np.ndarray:
    """(T, 2) horizontal unit vectors that (T, 22, 3) joints face."""
    yaw = heading_yaw(joints)
    return np.stack([np.cos(yaw), np.sin(yaw)], axis=1)

"""Leg odometry: the pose of the base from joint positions, as a standing foot does not move.

With an orientation (from an IMU) the legs give the position: the lowest sole is on the floor, and
between two frames the stance foot turns about its lowest edge. Without one, the soles also give
the orientation: a standing sole is level, so its normal is the vertical. The stance foot is not
measured: it is the one that is low and gives the base the smallest accelerations.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.gravity import vertical
from nextscale_core.robots.kinematics import Kinematics, Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.rotations import about_z, frame_from, unit, yaw

_LOW = 0.015
"""Standard deviation of the height of a standing foot above the lower one [m]."""

_EDGE = 0.005
"""Height above a sole's lowest corner within which corners share its load [m]."""

_ACCELERATION = 5.0
_TURN_ACCELERATION = 20.0
"""Standard deviation of the base's acceleration by the true stance foot [m/s^2, rad/s^2]."""

_SWITCH = 1.0
"""Cost of changing the stance foot, in squared deviations."""

_WORST = 25.0
"""Maximum cost of one piece of evidence, in squared deviations."""

_AGREE = 0.15
"""Difference of the base's velocities by either foot below which both feet stand [m/s]."""

_CONTACT_HEIGHT, _CONTACT_SPEED = 0.03, 0.35
"""Height [m] and speed [m/s] below which heel and toe of the robot are in contact."""

_WINDOW = 15
"""Number of measurements from which `LegOdometry` determines the stance foot."""

_PAUSE = 0.5
"""Time without measurements after which `LegOdometry` starts a new window [s]."""


class BaseSource(Enum):
    """Source of a base pose, the most accurate first."""

    MEASURED = "measured"
    IMU_ODOMETRY = "imu+odometry"
    ODOMETRY = "odometry"
    STANDING = "standing"


@dataclass(frozen=True)
class Odometry:
    """Base poses estimated from joint positions.

    Attributes:
        poses: Base and joints, T frames; the floor is z = 0 and the lowest sole is on it.
        sources: Source of each frame's pose, T entries.
        stance: (T,) 0 where the left foot is the stance foot, 1 where the right one is; None
            where the path does not come from the feet.
    """

    poses: Poses
    sources: tuple[BaseSource, ...]
    stance: np.ndarray | None = None


@dataclass(frozen=True)
class _FootDisplacements:
    """Displacement of the base between frames t and t + 1 if either foot stands.

    Attributes:
        excess: (T - 1, 2) height of each foot above the lower one [m].
        turn: (T - 1, 2) change of heading [rad].
        shift: (T - 1, 2, 2) displacement in the heading frame of frame t [m].
    """

    excess: np.ndarray
    turn: np.ndarray
    shift: np.ndarray


def leg_odometry(
    kinematics: Kinematics,
    joints: np.ndarray,
    fps: float,
    rotation: np.ndarray | None = None,
    points: np.ndarray | None = None,
) -> Odometry:
    """Estimate the path of the base from the standing feet.

    In jumps the lower foot stays on the floor, and slipping feet count as standing. The path begins
    above the origin; without `rotation` it begins with heading 0.

    Args:
        kinematics: The robot's.
        joints: (T, J) joint positions [rad], T >= 2.
        fps: Frames per second [Hz].
        rotation: (T, 3, 3) measured orientation of the root link, or None.
        points: (T, K, 3) keypoints in the root link's frame [m]; None: computed here.

    Returns:
        The path. Where no sole determines the vertical (`rotation` None), the pelvis is assumed
        upright and the frame's source is `BaseSource.STANDING`.
    """
    if points is None:
        points = kinematics.points(at_origin(joints))
    if rotation is None:
        up, supported = vertical(kinematics, points, fps)
        sources = tuple(BaseSource.ODOMETRY if ok else BaseSource.STANDING for ok in supported)
        turns = None
    else:
        up, sources = rotation[:, 2], (BaseSource.IMU_ODOMETRY,) * len(joints)
    level = _level(up)
    if rotation is not None:
        turns = np.unwrap(yaw(rotation @ level.transpose(0, 2, 1)))
    levelled = points @ level.transpose(0, 2, 1)
    steps = _displacements(kinematics, levelled, None if turns is None else np.diff(turns))
    stance = _stance_foot(steps, fps, turning=turns is None)
    heading, place = _integrate(steps, stance, start=0.0 if turns is None else turns[0], fps=fps)
    if turns is not None:
        heading = turns
    turned = about_z(heading) @ level
    height = -levelled[:, kinematics.soles, 2].min(1)
    base = np.concatenate([place, height[:, None]], axis=1)
    return Odometry(Poses(base, turned, joints), sources, np.append(stance, stance[-1:]))


def standing(
    kinematics: Kinematics,
    joints: np.ndarray,
    rotation: np.ndarray | None = None,
    points: np.ndarray | None = None,
) -> Odometry:
    """Assume that the robot stands above the origin, upright, with its lower sole on the floor.

    Args:
        kinematics: The robot's.
        joints: (T, J) joint positions [rad].
        rotation: (T, 3, 3) measured orientation of the root link; None: upright.
        points: As for `leg_odometry`.
    """
    if points is None:
        points = kinematics.points(at_origin(joints))
    if rotation is None:
        index = kinematics.index
        rotation = _level(unit(points[:, index["pelvis_z"]] - points[:, index["pelvis"]]))
    height = -(points[:, kinematics.soles] @ rotation[:, 2, :, None])[..., 0].min(1)
    base = np.stack([np.zeros_like(height), np.zeros_like(height), height], axis=1)
    return Odometry(Poses(base, rotation, joints), (BaseSource.STANDING,) * len(joints))


def _level(up: np.ndarray) -> np.ndarray:
    """(T, 3, 3) orientations of heading 0 of a root link in whose frame `up` (T, 3) is vertical."""
    forward = np.broadcast_to([1.0, 0.0, 0.0], up.shape)
    return frame_from(primary=up, secondary=forward, axes="zx").transpose(0, 2, 1)


def at_origin(joints: np.ndarray) -> Poses:
    """Poses whose root link is the world frame; joints (T, J) [rad]."""
    still = np.broadcast_to(np.eye(3), (len(joints), 3, 3))
    return Poses(np.zeros((len(joints), 3)), still, joints)


def sole_contacts(kinematics: Kinematics, points: np.ndarray, fps: float) -> np.ndarray:
    """Contacts of the soles' ends with the floor z = 0.

    Args:
        kinematics: The robot's.
        points: (T, K, 3) keypoints in the world [m].
        fps: Frames per second [Hz].

    Returns:
        (T, 4) bool: left heel, left toe, right heel, right toe.
    """
    rows = [kinematics.index[f"{side}_{part}"] for side in SIDES for part in ("heel", "toe")]
    soles = points[:, rows]
    step = np.linalg.norm(np.diff(soles, axis=0), axis=-1) * fps
    speed = np.minimum(np.concatenate([step, step[-1:]]), np.concatenate([step[:1], step]))
    return (soles[..., 2] < _CONTACT_HEIGHT) & (speed < _CONTACT_SPEED)


def _displacements(
    kinematics: Kinematics, levelled: np.ndarray, turns: np.ndarray | None
) -> _FootDisplacements:
    """Displacements by either foot, from keypoints (T, K, 3) in level frames of heading 0."""
    index = kinematics.index
    soles = levelled[:, kinematics.soles].reshape(len(levelled), 2, 4, 3)
    height = soles[..., 2] - soles[..., 2].min(-1, keepdims=True)
    load = np.exp(-np.maximum(height[1:], height[:-1]) / _EDGE)
    load /= load.sum(-1, keepdims=True)
    before = (load[..., None] * soles[:-1, ..., :2]).sum(2)
    after = (load[..., None] * soles[1:, ..., :2]).sum(2)
    lowest = soles[..., 2].min(-1)
    excess = lowest - lowest.min(1, keepdims=True)
    # A foot that rolls over toe or heel turns about its own left axis, which keeps its heading.
    left = np.stack(
        [
            levelled[:, index[f"{side}_foot_y"]] - levelled[:, index[f"{side}_ankle"]]
            for side in SIDES
        ],
        axis=1,
    )
    if turns is None:
        facing = np.arctan2(-left[..., 0], left[..., 1])
        turn = -np.diff(np.unwrap(facing, axis=0), axis=0)
    else:
        turn = np.repeat(turns[:, None], 2, axis=1)
    c, s = np.cos(turn), np.sin(turn)
    turned = np.stack(
        [c * after[..., 0] - s * after[..., 1], s * after[..., 0] + c * after[..., 1]], axis=-1
    )
    return _FootDisplacements(np.maximum(excess[1:], excess[:-1]), turn, before - turned)


def _stance_foot(steps: _FootDisplacements, fps: float, *, turning: bool) -> np.ndarray:
    """(T - 1,) the stance foot between each pair of frames, by the sequence of least cost.

    Viterbi's algorithm: being higher than the other foot, accelerating the base and changing the
    stance foot have a cost, the last of which is the hysteresis.
    """
    alone = np.minimum((steps.excess / _LOW) ** 2, _WORST)
    scale = fps * fps / _ACCELERATION
    jump = np.linalg.norm(steps.shift[1:, None] - steps.shift[:-1, :, None], axis=-1) * scale
    change = np.minimum(jump**2, _WORST)
    if turning:
        twist = (steps.turn[1:, None] - steps.turn[:-1, :, None]) * fps * fps
        change += np.minimum((twist / _TURN_ACCELERATION) ** 2, _WORST)
    change += _SWITCH * (1 - np.eye(2))
    # Plain floats: faster for a few operations per frame than arrays of two.
    left, right = (float(value) for value in alone[0])
    back = []
    for (ll, lr), (rl, rr), (own_left, own_right) in zip(
        change[:, 0].tolist(), change[:, 1].tolist(), alone[1:].tolist(), strict=True
    ):
        back.append((int(right + rl < left + ll), int(right + rr < left + lr)))
        left, right = min(left + ll, right + rl) + own_left, min(left + lr, right + rr) + own_right
    foot = [int(right < left)]
    for before in reversed(back):
        foot.append(before[foot[-1]])
    return np.array(foot[::-1])


def _integrate(
    steps: _FootDisplacements, stance: np.ndarray, start: float, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Headings (T,) [rad] and positions (T, 2) [m]; where both feet stand, both count."""
    rows = np.arange(len(stance))
    other = 1 - stance
    shift, turn = steps.shift[rows, stance], steps.turn[rows, stance]
    apart = np.linalg.norm(steps.shift[rows, other] - shift, axis=-1) * fps
    share = np.exp(-((apart / _AGREE) ** 2) - (steps.excess[rows, other] / _LOW) ** 2)
    share = share / (1 + share)
    shift = shift + share[:, None] * (steps.shift[rows, other] - shift)
    turn = turn + share * (steps.turn[rows, other] - turn)
    heading = start + np.concatenate([[0.0], np.cumsum(turn)])
    c, s = np.cos(heading[:-1]), np.sin(heading[:-1])
    moved = np.stack([c * shift[:, 0] - s * shift[:, 1], s * shift[:, 0] + c * shift[:, 1]], -1)
    return heading, np.concatenate([np.zeros((1, 2)), np.cumsum(moved, axis=0)])


class LegOdometry:
    """Leg odometry for one measurement after the other.

    The path begins above the origin with heading 0; it drifts, as every odometry does.

    Args:
        robot: The robot.
    """

    def __init__(self, robot: Robot) -> None:
        self._kinematics = kinematics_of(robot)
        self._window: deque[tuple[float, np.ndarray]] = deque(maxlen=_WINDOW)
        self._place, self._heading = np.zeros(2), 0.0

    def update(self, positions: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Add one measurement; one that is not newer than the last does not move the base.

        Args:
            positions: (J,) joint positions [rad].
            time: Time of measurement [s].

        Returns:
            Position (3,) [m] and orientation (4,) x y z w of the base.
        """
        if self._window and time - self._window[-1][0] > _PAUSE:
            self._window.clear()
        newer = not self._window or time > self._window[-1][0]
        if newer:
            self._window.append((time, np.array(positions, dtype=np.float64)))
        times = np.array([at for at, _ in self._window])
        joints = np.stack([row for _, row in self._window])
        if len(times) < 2:
            poses = standing(self._kinematics, joints).poses
        else:
            fps = (len(times) - 1) / (times[-1] - times[0])
            poses = leg_odometry(self._kinematics, joints, float(fps)).poses
            if newer:
                self._move(poses.base[-2:, :2], Rotation.from_matrix(poses.rotation[-2:]))
        turned = Rotation.from_matrix(poses.rotation[-1])
        level = Rotation.from_euler("z", self._heading - yaw(turned.as_matrix())) * turned
        return np.array([*self._place, poses.base[-1, 2]]), level.as_quat()

    def _move(self, places: np.ndarray, turns: Rotation) -> None:
        """Append the last step (2, 2) of a path in a world of its own."""
        before, after = yaw(turns.as_matrix())
        c, s = np.cos(self._heading - before), np.sin(self._heading - before)
        self._place = self._place + np.array([[c, -s], [s, c]]) @ (places[1] - places[0])
        self._heading += float(np.angle(np.exp(1j * (after - before))))

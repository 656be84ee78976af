"""Targets for a robot of which only some joints move, such as the upper body.

Targets that no moving joint can follow are left out. Where joints of the legs are held, the base
stays where it is, and the upper body follows the human's as seen from the human's heading: a bow
is followed, a turn on the spot is not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from nextscale_core.retarget.targets import Targets
from nextscale_core.robots.kinematics import Kinematics, Poses
from nextscale_core.robots.state import RobotState
from nextscale_core.rotations import about_z, yaw

_ANCHOR = 1e5
"""Weight that keeps the base where it is [1/m^2]."""


def for_moving_joints(
    targets: Targets, kinematics: Kinematics, start: RobotState | None = None
) -> Targets:
    """The goals that the moving joints can follow.

    Args:
        targets: Goals for the whole robot.
        kinematics: The robot's, some of its joints held.
        start: Measured state; a held base stays at its base where that is known.
    """
    pelvis = {kinematics.index[name] for name in ("pelvis", "pelvis_x", "pelvis_y", "pelvis_z")}
    on_base = np.isin(targets.first, list(pelvis))
    second = np.where((targets.second >= 0)[:, None], kinematics.carried[targets.second], False)
    followed = (kinematics.carried[targets.first] ^ second).any(1)
    # Two points of one body are its orientation, which the base and every joint before it turn.
    one_body = (targets.second >= 0) & (
        kinematics.owner[targets.first] == kinematics.owner[targets.second]
    )
    followed |= one_body & (second.any(1) | (not kinematics.robot.base_held))
    if not kinematics.robot.base_held:
        return _rows(targets, followed | on_base)
    targets = _rows(targets, (followed & (targets.second >= 0)) | on_base)
    return _on_the_spot(targets, np.isin(targets.first, list(pelvis)), kinematics, start)


def _rows(targets: Targets, kept: np.ndarray) -> Targets:
    return replace(
        targets,
        first=targets.first[kept],
        second=targets.second[kept],
        goal=targets.goal[:, kept],
        weight=targets.weight[:, kept],
    )


def _on_the_spot(
    targets: Targets, on_base: np.ndarray, kinematics: Kinematics, start: RobotState | None
) -> Targets:
    """The same goals as seen from the human's heading, above a base that stands still."""
    base, rotation = _standing(kinematics, start)
    turn = about_z(yaw(rotation) - _headings(targets))
    goal = (turn[:, None] @ targets.goal[..., None])[..., 0]
    still = Poses(base[None], rotation[None], kinematics.robot.nominal[None])
    points = kinematics.points(still)[0]
    for row in np.flatnonzero(on_base):
        second = targets.second[row]
        goal[:, row] = points[targets.first[row]] - (points[second] if second >= 0 else 0.0)
    frames = len(targets)
    return replace(
        targets,
        goal=goal,
        weight=np.where(on_base, _ANCHOR, targets.weight),
        base=np.repeat(base[None], frames, axis=0),
        rotation=np.repeat(rotation[None], frames, axis=0),
    )


def _headings(targets: Targets) -> np.ndarray:
    """(T,) smoothed heading of the human pelvis [rad], interpolated while it lies down."""
    forward = targets.body.pelvis[:, :2, 0]
    sure = np.linalg.norm(forward, axis=1) > 0.3
    heading = np.arctan2(forward[:, 1], forward[:, 0])
    if sure.any():
        known = np.flatnonzero(sure)
        heading = np.interp(np.arange(len(heading)), known, np.unwrap(heading[known]))
    return ndimage.gaussian_filter1d(heading, 0.1 * targets.fps, mode="nearest")


def _standing(kinematics: Kinematics, start: RobotState | None) -> tuple[np.ndarray, np.ndarray]:
    """Base (3,) and its orientation (3, 3): the measured ones, or upright on the floor."""
    robot = kinematics.robot
    rotation, base = np.eye(3), np.zeros(3)
    if start is not None and start.base_quaternion is not None:
        rotation = Rotation.from_quat(start.base_quaternion).as_matrix()
    if start is not None and start.base_position is not None:
        return start.base_position.copy(), rotation
    here = Poses(base[None], rotation[None], robot.nominal[None])
    base[2] = -float(kinematics.lowest_sole(here)[0])
    return base, rotation

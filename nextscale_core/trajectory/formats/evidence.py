"""What a motion shows about the order of its root's quaternion.

Both orders give unit quaternions, and near heading 0 both may stand upright: x y z w read as
w x y z turns the robot by half a turn and inverts its lean. Standing feet decide: read correctly,
the lowest point of the body lies on the floor and does not slide.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import MotionFileError
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.trajectory.formats.robot_motion import Quaternion, RobotMotion

_FRAMES = 1500
"""Maximum number of frames that are examined."""

_CLEAR = 0.03
"""Smallest difference between the faults of the two orders; it is also at least the smaller one."""

_STANDS = 0.4
"""Largest fault of feet that stand: of others, as in a jump, neither order is shown."""

_OTHER: dict[Quaternion, Quaternion] = {"xyzw": "wxyz", "wxyz": "xyzw"}


def shown_order(motion: RobotMotion, order: Quaternion) -> Quaternion | None:
    """Order of the root's quaternion that the feet show; None where both are plausible.

    Args:
        motion: The motion, read as `order`.
        order: Order that it was read as.
    """
    as_read = motion.robot.root_quaternion(motion.trajectory.base_quaternion)
    # The columns of the file, and from them x y z w by the other order.
    swap = [1, 2, 3, 0] if order == "xyzw" else [3, 0, 1, 2]
    here, there = _fault(motion, as_read), _fault(motion, as_read[:, swap])
    least = min(here, there)
    if least > _STANDS or abs(here - there) < max(_CLEAR, least):
        return None
    return order if here < there else _OTHER[order]


def require_order(path: Path, motion: RobotMotion, order: Quaternion) -> None:
    """Refuse a motion that shows the other order than it was read as.

    Raises:
        MotionFileError: the feet stand still only if the quaternion is read in the other order.
    """
    shown = shown_order(motion, order)
    if shown not in (None, order):
        raise MotionFileError(
            f"{path}: the root's quaternion is not {order}: read so, the feet do not stand on the "
            f"floor; read as {shown} they do"
        )


def by_evidence(
    read: Callable[[Quaternion], RobotMotion], usual: Quaternion, given: Quaternion | None
) -> RobotMotion:
    """A motion read in the given order, else in the one that its feet show, else as usual.

    Args:
        read: Reads the motion in an order.
        usual: Order of the format.
        given: Order that is known; None: the motion decides, and a note states where it is not
            the usual one.
    """
    motion = read(given or usual)
    shown = usual if given is not None else shown_order(motion, usual)
    if shown in (None, usual):
        return motion
    note = f"the root's quaternion is {shown}, not {usual} as usual: only so do the feet stand"
    return read(shown).noted(note)


def _fault(motion: RobotMotion, root_quaternion: np.ndarray) -> float:
    """Speed of the lowest points [m/s], their distance from the floor and the soles' tilt [m]."""
    robot, trajectory = motion.robot, motion.trajectory
    count = len(trajectory)
    first = np.unique(np.linspace(0, count - 2, min(count - 1, _FRAMES)).astype(int))
    rows = np.concatenate([first, first + 1])
    turn = Rotation.from_matrix(robot.profile.axes.rotation())
    rotation = (Rotation.from_quat(root_quaternion[rows]) * turn.inv()).as_matrix()
    kinematics = kinematics_of(robot)
    poses = Poses(trajectory.base_position[rows], rotation, trajectory.positions[rows])
    points = kinematics.points(poses)
    now, then = np.split(points, 2)
    pairs = np.arange(len(first))
    lowest = now[..., 2].argmin(1)
    step = np.diff(trajectory.time_from_start)[first]
    speed = np.linalg.norm(then[pairs, lowest] - now[pairs, lowest], axis=1) / step
    soles = now[:, kinematics.soles, 2].reshape(len(first), 2, 4)
    tilt = np.ptp(soles, axis=2)[pairs, soles.min(2).argmin(1)]
    height = now[..., 2].min(1)
    return float(np.median(speed) + np.median(tilt) + abs(np.median(height)))

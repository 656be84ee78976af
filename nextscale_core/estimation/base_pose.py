"""Poses of the floating base: which link a message means, and where the base lies in it."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.robots.description import link_frame, link_names
from nextscale_core.robots.robot import Robot

_LONGEST = 200
"""Longest name of a frame [characters]; pinocchio takes no half characters either."""


def root_link(robot: Robot) -> str:
    """Name of the URDF's root link."""
    return str(robot.model.frames[2].name)  # after 'universe' and the floating joint


def link_named(robot: Robot, frame_id: str) -> str:
    """The link that a message's frame means: as it stands, or behind a prefix ('g1/pelvis').

    Args:
        robot: The robot.
        frame_id: Name of the frame.

    Returns:
        Name of the link; '' where the robot has none of that name.
    """
    if not frame_id.isprintable() or len(frame_id) > _LONGEST:
        return ""
    for name in (frame_id, frame_id.lstrip("/"), frame_id.rpartition("/")[2]):
        if name in link_names(robot.model):
            return name
    return ""


def base_in_link(robot: Robot, frame_id: str) -> tuple[np.ndarray, Rotation] | None:
    """Where the base lies in a link that cannot move against it.

    Args:
        robot: The robot.
        frame_id: The link's frame, prefixed or not; '' for the root link.

    Returns:
        Origin (3,) [m] and orientation of the base in the link; None where the robot does not
        have the link or the link moves against the base.
    """
    link = link_named(robot, frame_id) if frame_id else root_link(robot)
    frame = link_frame(robot.model, link) if link else None
    if frame is None or frame.parentJoint != 1:
        return None
    to_base = frame.placement.inverse()
    return np.array(to_base.translation), Rotation.from_matrix(np.array(to_base.rotation))

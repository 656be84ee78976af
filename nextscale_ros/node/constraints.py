"""Constraints of a request, from the robot's frames and size to the generated human motion's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nextscale_core.estimation.leg_odometry import BaseSource
from nextscale_core.estimation.robot_to_human import relative_size, robot_to_human
from nextscale_core.exceptions import ConfigError, NextscaleError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.constraints import Constraint, Keyframe, Residual, Target, Waypoint
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.skeleton import FPS
from nextscale_core.robots import Robot
from nextscale_ros.messages.requests import Framed, Posture, RequestError
from nextscale_ros.msg import ErrorCode
from nextscale_ros.node.start_state import check_posture

if TYPE_CHECKING:
    from nextscale_core.estimation.history import Prefix

_POSED = 5
"""Frames of a motion that holds a posture; the fewest that `robot_to_human` takes are 4."""


@dataclass(frozen=True)
class ClipFrame:
    """Where a clip begins, as seen by the requester of constraints.

    Attributes:
        scale: Size of the robot relative to the human.
        begin: Time of the clip at which the new motion starts [s].
        place: (2,) place of the pelvis there, in the clip's world [m].
        heading: Heading there, in the clip's world [rad].
        base_frame: Frame in which the base is measured.
        measured: Whether the clip's world is that frame, at human size.
    """

    scale: float
    begin: float = 0.0
    place: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    base_frame: str = "odom"
    measured: bool = False

    @classmethod
    def of(cls, robot: Robot, prefix: Prefix | None, base_frame: str) -> ClipFrame:
        """The frame of a clip that continues a past, or of one that begins anew."""
        scale = relative_size(robot)
        if prefix is None:
            return cls(scale, base_frame=base_frame)
        clip = prefix.human.clip
        last = clip.joints[-1:].astype(np.float64)
        return cls(
            scale,
            (len(clip) - 1) / clip.fps,
            (float(last[0, 0, 0]), float(last[0, 0, 1])),
            float(heading_yaw(last)[0]),
            base_frame,
            prefix.human.base_source is BaseSource.MEASURED,
        )

    def constraints(self, robot: Robot, requested: Sequence[Framed]) -> list[Constraint]:
        """The constraints in the clip's world, with its times.

        Raises:
            RequestError: an unknown frame, or a posture that the robot cannot take.
        """
        return [self._one(robot, one) for one in requested]

    def residuals(self, clip: MotionClip) -> tuple[Residual, ...]:
        """How well a clip meets its constraints, at the robot's size."""
        return tuple(replace(one, distance=self.scale * one.distance) for one in clip.residuals)

    def _one(self, robot: Robot, requested: Framed) -> Constraint:
        wanted = requested.constraint
        try:
            if isinstance(wanted, Posture):
                pose = _human_pose(robot, wanted)
                return Keyframe(wanted.time + self.begin, pose, placed=False)
            turn, place = self._transform(requested.frame)
            if isinstance(wanted, Waypoint):
                x, y = turn @ (wanted.x, wanted.y) / self.scale + place
                heading = wanted.heading
                if heading is not None:
                    heading += math.atan2(turn[1, 0], turn[0, 0])
                return Waypoint(wanted.time + self.begin, float(x), float(y), heading)
            x, y = turn @ wanted.position[:2] / self.scale + place
            at = (float(x), float(y), wanted.position[2] / self.scale)
            return Target(wanted.time + self.begin, wanted.body, at)
        except NextscaleError as error:
            message = f"{requested.name}: {error}"
            raise RequestError(ErrorCode.INVALID_CONSTRAINT, message) from error

    def _transform(self, frame: str) -> tuple[np.ndarray, np.ndarray]:
        """Turn (2, 2) and shift (2,) from a frame, at human size, to the clip's world."""
        if not frame:
            c, s = math.cos(self.heading), math.sin(self.heading)
            return np.array([[c, -s], [s, c]]), np.array(self.place)
        if frame != self.base_frame:
            raise ConfigError(
                f"frame_id must be empty or {self.base_frame!r}, in which the base is measured "
                f"(parameter base_frame), got {frame[:100]!r}"
            )
        if not self.measured:
            raise ConfigError(
                f"the base is not measured in {frame!r} now, or the motion does not continue the "
                "robot's (parameters base_source and continuation); leave frame_id empty to give "
                "places from where the motion starts"
            )
        return np.eye(2), np.zeros(2)


@contextmanager
def refusing(requested: Sequence[Framed]) -> Iterator[None]:
    """Report that constraints contradict each other, or lie outside of the motion.

    Raises:
        RequestError: the model refused a request that has constraints.
    """
    try:
        yield
    except ConfigError as error:
        if not requested:
            raise
        raise RequestError(ErrorCode.INVALID_CONSTRAINT, str(error)) from error


def _human_pose(robot: Robot, posture: Posture) -> np.ndarray:
    """(22, 3) human pose of a posture of the robot; other joints are nominal [m]."""
    check_posture(robot, posture.joints, "the posture")
    values = [
        posture.joints.get(name, float(at))
        for name, at in zip(robot.joint_names, robot.nominal, strict=True)
    ]
    times = np.arange(_POSED) / FPS
    human = robot_to_human(robot, times, np.tile(values, (_POSED, 1)))
    return np.asarray(human.clip.joints[-1])

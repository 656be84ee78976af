"""Where the robot is now, pieced together from joint state messages."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.exceptions import NextscaleError
from nextscale_core.retarget import RobotState


class RobotStateError(NextscaleError, RuntimeError):
    """The measured state of the robot is needed and is missing, incomplete or too old."""


@dataclass(frozen=True)
class _Reading:
    position: float
    velocity: float | None
    time: float


class RobotStateMemory:
    """The last reading of every joint, from messages with any order or subset of names.

    Thread-safe: joint states arrive while a trajectory is being made.

    Args:
        joint_names: The joints of the robot, in the order of every array returned.
    """

    def __init__(self, joint_names: Sequence[str]) -> None:
        self._names = tuple(joint_names)
        self._known = frozenset(joint_names)
        self._readings: dict[str, _Reading] = {}
        self._complaints: set[str] = set()
        self._lock = threading.Lock()

    def update(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        time: float,
    ) -> list[str]:
        """Take over what is usable of one message.

        Args:
            names: Joint names; those the robot does not have are left out.
            positions: As many positions [rad]; values that are not finite are left out.
            velocities: As many velocities [rad/s], or none.
            time: When the message arrived, on a clock that never steps back [s].

        Returns:
            Complaints about this message that have not been made before.
        """
        complaints = []
        if len(positions) != len(names):
            complaints.append(
                f"a joint state has {len(positions)} positions for {len(names)} names; left out"
            )
            names = ()
        speeds: Sequence[float] = velocities if len(velocities) == len(names) else ()
        unknown = sorted(set(names) - self._known)
        if unknown:
            complaints.append(f"joint states name joints unknown to the robot: {unknown}; left out")
        broken = []
        with self._lock:
            for index, name in enumerate(names):
                if name not in self._known:
                    continue
                if not math.isfinite(positions[index]):
                    broken.append(name)
                    continue
                speed = float(speeds[index]) if len(speeds) else math.nan
                self._readings[name] = _Reading(
                    float(positions[index]), speed if math.isfinite(speed) else None, time
                )
            if broken:
                complaints.append(f"joint states are not finite for {sorted(broken)}; left out")
            fresh = [text for text in complaints if text not in self._complaints]
            self._complaints.update(fresh)
        return fresh

    @property
    def empty(self) -> bool:
        """Whether no joint of the robot was ever heard of."""
        with self._lock:
            return not self._readings

    def current(self, time: float, timeout: float) -> RobotState:
        """The state of the whole robot.

        Args:
            time: Now, on the clock of `update` [s].
            timeout: Greatest age of a reading [s].

        Raises:
            RobotStateError: a joint was never measured, or its reading is too old.
        """
        with self._lock:
            readings = dict(self._readings)
        missing = [name for name in self._names if name not in readings]
        if missing:
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise RobotStateError(
                f"{len(missing)} of {len(self._names)} joints have not been measured: {shown}"
            )
        age, oldest = max((time - readings[name].time, name) for name in self._names)
        if age > timeout:
            raise RobotStateError(
                f"the last state of {oldest} is {age:.2f} s old, the limit is {timeout:.2f} s "
                "(parameter state_timeout)"
            )
        ordered = [readings[name] for name in self._names]
        speeds = [reading.velocity for reading in ordered]
        return RobotState(
            positions=np.array([reading.position for reading in ordered]),
            velocities=None if None in speeds else np.array(speeds, dtype=np.float64),
            base_position=None,
            base_quaternion=None,
        )

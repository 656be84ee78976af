"""Messages of whole-body trackers of the G1 over ZMQ: SONIC and HoloMotion.

Both read one envelope: the topic, a JSON header of 1280 bytes that is filled up with zeros, and the
fields' data in little-endian order. The joints of SONIC are in the order of Isaac Lab (breadth
first), those of HoloMotion in the order of MuJoCo (depth first); both take quaternions w x y z.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

import numpy as np

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot
from nextscale_core.robots.description import expand
from nextscale_core.rotations import continuous_quaternions
from nextscale_core.trajectory.reference import Reference

WireFormat = Literal["sonic", "holomotion"]
"""Trackers whose messages can be packed."""

HEADER_SIZE = 1280
"""Length of the header [bytes]."""

SONIC_FRAMES = 50
"""References of one message for SONIC, the present one and those of the next second: its policy
looks 0.9 s ahead."""

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_ARM = (
    *("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow"),
    *("wrist_roll", "wrist_pitch", "wrist_yaw"),
)

MUJOCO_ORDER: tuple[str, ...] = (
    *(f"{side}_{joint}_joint" for side in ("left", "right") for joint in _LEG),
    *(f"waist_{axis}_joint" for axis in ("yaw", "roll", "pitch")),
    *(f"{side}_{joint}_joint" for side in ("left", "right") for joint in _ARM),
)
"""The G1's 29 joints, depth first."""

_ISAAC_INDICES = (
    *(0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 22, 4, 10, 16, 23, 5, 11, 17, 24, 18, 25, 19, 26),
    *(20, 27, 21, 28),
)

ISAAC_ORDER: tuple[str, ...] = tuple(MUJOCO_ORDER[index] for index in _ISAAC_INDICES)
"""The G1's 29 joints, breadth first."""

_DTYPES = {"f4": "f32", "f8": "f64", "i4": "i32", "i8": "i64", "u1": "u8"}


class TrackerJoints:
    """Puts the joints of a robot into a tracker's order.

    Args:
        robot: A G1: its joints, those that are locked or held, or both are the 29 of
            `MUJOCO_ORDER`.
        order: The tracker's order.

    Raises:
        ConfigError: a joint of the tracker is missing, or the robot moves one that the tracker does
            not know.
    """

    def __init__(self, robot: Robot, order: tuple[str, ...]) -> None:
        held = {**expand(robot.profile.locked, order), **robot.held}
        place = {name: j for j, name in enumerate(robot.joint_names)}
        missing = [name for name in order if name not in place and name not in held]
        unknown = [name for name in robot.joint_names if name not in order]
        if missing or unknown:
            raise ConfigError(
                f"trackers over ZMQ take the 29 joints of a Unitree G1, but {robot.name} "
                + (f"has no {', '.join(missing[:4])}" if missing else "")
                + (" and " if missing and unknown else "")
                + (f"also moves {', '.join(unknown[:4])}" if unknown else "")
                + "; leave zmq_endpoint empty, or use the robot g1"
            )
        self._from = np.array([place[name] for name in order if name in place], dtype=int)
        self._to = np.array([j for j, name in enumerate(order) if name in place], dtype=int)
        self._still = np.array([held.get(name, 0.0) for name in order])

    def positions(self, positions: np.ndarray) -> np.ndarray:
        """Positions (N, 29) from those of the robot's joints (N, J) [rad]."""
        found = np.repeat(self._still[None], len(positions), axis=0)
        found[:, self._to] = positions[:, self._from]
        return found

    def velocities(self, velocities: np.ndarray) -> np.ndarray:
        """Velocities (N, 29) from those of the robot's joints (N, J) [rad/s]."""
        found = np.zeros((len(velocities), len(self._still)))
        found[:, self._to] = velocities[:, self._from]
        return found


class SonicWire:
    """Messages for SONIC, protocol version 1.

    Args:
        robot: See `TrackerJoints`.
    """

    frames = SONIC_FRAMES

    def __init__(self, robot: Robot) -> None:
        self._joints = TrackerJoints(robot, ISAAC_ORDER)

    def message(self, references: Reference, index: int) -> bytes:
        """Pack `frames` references in steps of 20 ms, the first of them the number `index`."""
        count = len(references.positions)
        return envelope(
            b"pose",
            {
                "joint_pos": self._joints.positions(references.positions).astype("<f4"),
                "joint_vel": self._joints.velocities(references.velocities).astype("<f4"),
                "body_quat": _scalar_first(references.base_quaternion).astype("<f4"),
                "frame_index": index + np.arange(count, dtype="<i8"),
            },
            count,
        )

    @staticmethod
    def switch(on: bool) -> bytes:
        """The command that turns SONIC's controller on, in its mode for streamed motion, or off."""
        fields = {"start": on, "stop": not on, "planner": False}
        return envelope(b"command", {name: np.array([v], "u1") for name, v in fields.items()}, 1)


class HoloMotionWire:
    """Messages for HoloMotion.

    Args:
        robot: See `TrackerJoints`.
    """

    frames = 1

    def __init__(self, robot: Robot) -> None:
        self._joints = TrackerJoints(robot, MUJOCO_ORDER)

    def message(self, references: Reference, index: int) -> bytes:
        """Pack one reference, the number `index`."""
        qpos = np.concatenate(
            [
                references.base_position[0],
                _scalar_first(references.base_quaternion)[0],
                self._joints.positions(references.positions)[0],
            ]
        )
        fields = {"reference_qpos": qpos.astype("<f4"), "frame_index": np.array([index], "<i8")}
        return envelope(b"reference_qpos", fields, 1)


def envelope(topic: bytes, fields: Mapping[str, np.ndarray], count: int) -> bytes:
    """Pack arrays.

    Args:
        topic: What subscribers filter by.
        fields: Little-endian arrays by name.
        count: Number of references.
    """
    described = [
        {"name": name, "dtype": _DTYPES[value.dtype.str[1:]], "shape": list(value.shape)}
        for name, value in fields.items()
    ]
    header = {"v": 1, "endian": "le", "count": count, "fields": described}
    text = json.dumps(header, separators=(",", ":")).encode()
    data = b"".join(value.tobytes() for value in fields.values())
    return topic + text.ljust(HEADER_SIZE, b"\0") + data


def _scalar_first(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions w x y z from x y z w, without a change of sign between them."""
    turned = continuous_quaternions(quaternions)[:, [3, 0, 1, 2]]
    return -turned if turned[0, 0] < 0 else turned

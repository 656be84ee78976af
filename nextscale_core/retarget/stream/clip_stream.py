"""Clips as streams: for trying the streaming retargeter, and for measuring it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from scipy.interpolate import make_interp_spline

from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget.stream.streaming import StreamingRetargeter
from nextscale_core.robots.trajectory import RobotTrajectory

LEAD = 2.0
"""Time that the human stands in the first pose: a stream begins slowly [s]."""

_LONGEST_STOP = 5.0
"""Time after which a robot that still moves is taken as it is [s]."""


def frames_of(clip: MotionClip, rate: float, lead: float = LEAD) -> Iterator[np.ndarray]:
    """Joints (22, 3) of a clip at another rate [Hz], the first ones again and again at first [m].

    Args:
        clip: The motion; cubic splines give what is between its frames.
        rate: Frames per second [Hz].
        lead: Time before the clip [s].
    """
    times = np.arange(len(clip)) / clip.fps
    degree = min(3, len(clip) - 1)
    count = int(times[-1] * rate + 1e-6) + 1
    joints = clip.joints.astype(np.float64)
    if degree:
        joints = make_interp_spline(times, joints, k=degree)(np.arange(count) / rate)
    yield from np.repeat(joints[:1], round(lead * rate), axis=0)
    yield from joints


def stream_clip(
    retargeter: StreamingRetargeter, clip: MotionClip, lead: float = LEAD
) -> tuple[RobotTrajectory, Counter[str]]:
    """Retarget a clip as if its frames came one at a time, and stop at its end.

    Args:
        retargeter: It is at rest, without a human.
        clip: The motion.
        lead: Time that the human stands in the first pose [s].

    Returns:
        What the robot does, at the rate of the stream, from rest to rest; and how many poses were
        held for each reason.

    Raises:
        InvalidMotionError: the first frame is no human in metres.
    """
    period = 1.0 / retargeter.config.rate
    poses = [
        retargeter.push(number * period, joints)
        for number, joints in enumerate(frames_of(clip, retargeter.config.rate, lead))
    ]
    held = Counter(pose.held for pose in poses if pose.held)
    for number in range(len(poses), len(poses) + round(_LONGEST_STOP / period)):
        poses.append(retargeter.hold(number * period))
        if not poses[-1].reference.velocities.any():
            break
    source = np.array([pose.shows for pose in poses]) - lead
    references = [pose.reference for pose in poses]
    trajectory = RobotTrajectory(
        robot=retargeter.robot.name,
        joint_names=retargeter.robot.joint_names,
        positions=np.stack([one.positions for one in references]),
        velocities=np.stack([one.velocities for one in references]),
        time_from_start=np.arange(len(poses)) * period,
        base_position=np.stack([one.base_position for one in references]),
        base_quaternion=np.stack([one.base_quaternion for one in references]),
        fps=retargeter.config.rate,
        text=clip.text,
        source_time=np.clip(source, 0.0, (len(clip) - 1) / clip.fps),
    )
    return trajectory, held

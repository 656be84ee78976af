"""What a recording says of the robot, brought to even frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextscale_core.bags.base import ImuCollector, OdometryCollector
from nextscale_core.bags.choices import Sources
from nextscale_core.bags.clocks import stamps_can_be_used, times_of
from nextscale_core.bags.definitions import IMU, JOINT_STATE, decode
from nextscale_core.bags.joints import JointCollector, Stream, at_times
from nextscale_core.bags.reading import NANOSECONDS, Bag
from nextscale_core.bags.senders import Senders, conflict_error
from nextscale_core.estimation.samples import MIN_FRAMES, BaseTrack, OrientationTrack
from nextscale_core.exceptions import BagError
from nextscale_core.robots.robot import Robot

MAX_FRAMES = 200_000
"""Longest recording that is taken over [frames]; `trajectory.MAX_SAMPLES` is the same."""


@dataclass(frozen=True)
class Span:
    """A part of a bag.

    Attributes:
        begin: From its first message [s].
        end: The same; None: to the last message.
    """

    begin: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Measured:
    """A robot's joints at even frames, and its sensors.

    Attributes:
        times: (T,) of the frames; 0 is the first joint state that was read [s].
        names: (M,) joints of the robot that were heard of.
        positions: (T, M) [rad].
        base: Measured poses of the base on the same clock, if there are any.
        imu: Measured orientations on the same clock, if there are any.
        notes: What the user should know, in sentences.
    """

    times: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    base: BaseTrack | None
    imu: OrientationTrack | None
    notes: tuple[str, ...]


def read_measured(
    bag: Bag,
    robot: Robot,
    sources: Sources,
    fps: float,
    *,
    span: Span | None = None,
    max_gap: float = 0.25,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> Measured:
    """Read the longest part of a recording in which the joints are known without a pause.

    Args:
        bag: The recording.
        robot: The robot.
        sources: Its topics.
        fps: Frames per second of the result [Hz].
        span: Which part of the bag; None: all of it.
        max_gap: Longest pause between two joint states that is bridged [s].
        progress: Told how many seconds of how many were read.

    Raises:
        BagError: damaged bag; no joint state in that part, or none of this robot; senders that
            contradict each other; too long, or too short for a motion.
    """
    first, last = _limits(bag, span or Span())
    joints = JointCollector(robot)
    odometry, imu = OdometryCollector(robot), ImuCollector(robot, sources.imu_link)

    def done(time: int) -> None:
        progress(max(time - first, 0) / NANOSECONDS, (last - first) / NANOSECONDS)

    senders = Senders(sources.senders)
    damaged, useless = 0, ""
    for message in bag.messages(sources.topics, first, last, done):
        try:
            value = decode(message.kind, message.data)
        except BagError:
            damaged += 1
            continue
        stamp = value.header.stamp.sec + value.header.stamp.nanosec / NANOSECONDS
        recorded = message.time / NANOSECONDS
        if message.kind == JOINT_STATE:
            number = senders.number(message, value)
            if senders.wanted(number):
                joints.add(value.name, value.position, stamp, recorded, number)
        elif message.kind == IMU:
            imu.add(value, stamp, recorded)
        elif not useless:
            useless = _add_pose(odometry, value, stamp, recorded, sources)
    senders.check_choice()
    if joints.conflict is not None:
        conflict, at = joints.conflict
        raise conflict_error(bag, senders, conflict, robot.joint_names[conflict.joint], at)
    streams = joints.streams()
    tracks = [track for track in (odometry, imu) if len(track)]
    stamped = stamps_can_be_used([*streams, *tracks])
    parts = [times_of(stream, stamped) for stream in streams]
    # Seconds since 1970 leave too few digits for frames that must be even.
    begin = min(float(at[0]) for at, _ in parts)
    heard = [
        (at - begin, stream.only(kept)) for (at, kept), stream in zip(parts, streams, strict=True)
    ]
    times, names, positions, notes = _frames(robot, heard, fps, max_gap)
    notes += [*bag.notes, *filter(None, [senders.note()])]
    notes += _notes(joints, odometry, imu, sources, damaged, stamped)
    if useless:
        notes.append(f"{sources.odometry} is not used: {useless}")
    base, turns = _base(odometry, stamped, begin), _imu(imu, stamped, begin)
    return Measured(times, names, positions, base, turns, tuple(notes))


def _add_pose(
    odometry: OdometryCollector, message: Any, stamp: float, recorded: float, sources: Sources
) -> str:
    """Take over a pose; why this odometry cannot be used where nobody asked for it, or ''.

    Raises:
        BagError: it cannot be used and was asked for.
    """
    try:
        odometry.add(message, stamp, recorded)
    except BagError as error:
        if sources.asked:
            raise
        return str(error)
    return ""


def _limits(bag: Bag, span: Span) -> tuple[int, int]:
    """The part of the bag that is asked for [ns]."""
    end = bag.seconds if span.end is None else span.end
    if not 0.0 <= span.begin < end:
        raise BagError(f"--begin {span.begin:g} must be from 0 on and before --end {end:g} [s]")
    if span.begin >= bag.seconds and bag.seconds > 0:
        raise BagError(f"--begin {span.begin:g} lies after the end of {bag.path}, {bag.seconds} s")
    last = bag.begin + round(min(end, bag.seconds) * NANOSECONDS)
    return bag.begin + round(span.begin * NANOSECONDS), last


def _frames(
    robot: Robot, parts: list[tuple[np.ndarray, Stream]], fps: float, max_gap: float
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray, list[str]]:
    """Even frames of the longest part without a pause; the first stamp of all is 0."""
    end = max(float(at[-1]) for at, _ in parts)
    # Stamps since 1970 are exact to a quarter of a microsecond.
    count = int(end * fps + 1e-4) + 1
    if count > MAX_FRAMES:
        raise BagError(
            f"the recording is {end:.0f} s long; at {fps:g} Hz at most "
            f"{MAX_FRAMES / fps:.0f} s are taken over: choose a part with --begin and --end"
        )
    times = np.arange(count) / fps
    positions, heard = at_times(robot, parts, np.minimum(times, end), max_gap)
    whole = np.isfinite(positions[:, heard]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], whole, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    if not len(runs) or int((runs[:, 1] - runs[:, 0]).max()) < MIN_FRAMES:
        raise BagError(
            f"all joints together are nowhere known for {MIN_FRAMES / fps:.2f} s without a pause "
            f"of more than {max_gap:g} s (--max-gap)"
        )
    start, stop = runs[int((runs[:, 1] - runs[:, 0]).argmax())]
    names = tuple(name for name, there in zip(robot.joint_names, heard, strict=True) if there)
    notes = []
    if len(runs) > 1:
        notes.append(
            f"the joint states have {len(runs) - 1} pauses of more than {max_gap:g} s; used is the "
            f"longest part between them, from {start / fps:.1f} to {stop / fps:.1f} s of "
            f"{count / fps:.1f} s (--max-gap bridges longer ones)"
        )
    return times[start:stop], names, positions[start:stop][:, heard], notes


def _notes(
    joints: JointCollector,
    odometry: OdometryCollector,
    imu: ImuCollector,
    sources: Sources,
    damaged: int,
    stamped: bool,
) -> list[str]:
    notes = list(sources.notes)
    if damaged:
        notes.append(f"{damaged} damaged messages were left out")
    if joints.unusable:
        notes.append(
            f"{joints.unusable} of {joints.messages} joint states hold no position of the robot's "
            "joints and were left out"
        )
    if joints.strangers:
        shown = sorted(joints.strangers)
        notes.append(
            f"{len(shown)} joints that the robot does not move by itself were left out: "
            f"{', '.join(shown[:4])}{', ...' if len(shown) > 4 else ''}"
        )
    if joints.broken:
        shown = sorted(joints.broken)
        notes.append(f"positions that are not finite were left out: {', '.join(shown[:4])}")
    for name, track in (("odometry", odometry), ("IMU", imu)):
        if track.broken:
            notes.append(f"{track.broken} messages of the {name} hold no pose and were left out")
    if not stamped:
        notes.append("not all messages say when they were measured: the recorder's times are used")
    return notes


def _base(track: OdometryCollector, stamped: bool, begin: float) -> BaseTrack | None:
    if len(track) < 2:
        return None
    times, kept = times_of(track, stamped)
    rows = track.rows[kept]
    # Where the floor lies in an odometry's world is the sender's own affair.
    return BaseTrack(times - begin, rows[:, :3], rows[:, 3:], floor=None)


def _imu(track: ImuCollector, stamped: bool, begin: float) -> OrientationTrack | None:
    if len(track) < 2:
        return None
    times, kept = times_of(track, stamped)
    return OrientationTrack(times - begin, track.rows[kept], track.link)

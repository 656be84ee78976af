"""Measurements of a robot from a recording, resampled to even frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nextscale_core.bags.collectors import ImuCollector, JointCollector, OdometryCollector
from nextscale_core.bags.definitions import IMU, JOINT_STATE, ODOMETRY, decode
from nextscale_core.bags.reading import NANOSECONDS, Bag
from nextscale_core.bags.senders import Senders, conflict_error
from nextscale_core.estimation.base_pose import in_one_world, told_jumps
from nextscale_core.estimation.joint_series import JointSeries, joint_tracks, sample
from nextscale_core.estimation.samples import MIN_FRAMES, BaseTrack, OrientationTrack
from nextscale_core.exceptions import BagError
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import MAX_SAMPLES

NONE = "none"
"""In place of a topic: none of that type is read."""


@dataclass(frozen=True)
class Sources:
    """Topics and senders to read.

    Attributes:
        joint_states: One topic or several.
        odometry: '' for none.
        imu: '' for none.
        imu_link: Link of the IMU; '': the frame of its messages.
        senders: Numbers of the senders of joint states; empty: all.
        asked: Whether the odometry was requested by name: then it must be usable.
        notes: Sentences about choices that were made by default.
    """

    joint_states: tuple[str, ...]
    odometry: str = ""
    imu: str = ""
    imu_link: str = ""
    senders: tuple[int, ...] = ()
    asked: bool = False
    notes: tuple[str, ...] = ()

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics."""
        return tuple(filter(None, (*self.joint_states, self.odometry, self.imu)))


def choose_sources(
    bag: Bag,
    joint_states: Sequence[str] = (),
    odometry: str | None = None,
    imu: str | None = None,
    imu_link: str = "",
    senders: Sequence[int] = (),
) -> Sources:
    """Check the requested topics, and choose the usual ones where none are requested.

    Args:
        bag: The recording.
        joint_states: Topics; empty: '/joint_states', or the only one of that type.
        odometry: A topic, 'none', or None: '/odom', or the only one of that type.
        imu: A topic; None or 'none': no IMU.
        imu_link: As for `Sources`.
        senders: As for `Sources`.

    Raises:
        BagError: a topic is missing, of another type, or ambiguous.
    """
    notes = []
    chosen = tuple(joint_states) or (_usual(bag, JOINT_STATE, "/joint_states"),)
    if not all(chosen):
        raise BagError(
            f"{bag.path} has {'several' if bag.named(JOINT_STATE) else 'no'} topics of "
            f"{JOINT_STATE}: {', '.join(bag.named(JOINT_STATE)) or bag.listed()}; state them with "
            "--joint-states, once for each"
        )
    for name in chosen:
        bag.require(name, JOINT_STATE)
    base = "" if odometry in (None, NONE) else str(odometry)
    if odometry is None:
        base = _usual(bag, ODOMETRY, "/odom")
        if not base and bag.named(ODOMETRY):
            several = ", ".join(bag.named(ODOMETRY))
            notes.append(f"no odometry is used, as there are several: {several} (--odometry)")
    if base:
        bag.require(base, ODOMETRY)
    sensor = "" if imu in (None, NONE) else str(imu)
    if sensor:
        bag.require(sensor, IMU)
    elif not base and bag.named(IMU):
        notes.append(f"no IMU is used; there is {', '.join(bag.named(IMU))} (--imu)")
    asked = odometry is not None
    return Sources(chosen, base, sensor, imu_link, tuple(senders), asked, tuple(notes))


def _usual(bag: Bag, kind: str, name: str) -> str:
    """The topic of the usual name, or the only one of its type; '' where there is neither."""
    names = bag.named(kind)
    return name if name in names else names[0] if len(names) == 1 else ""


@dataclass(frozen=True)
class Span:
    """A part of a bag.

    Attributes:
        begin: Time after its first message [s].
        end: Time after its first message [s]; None: the last message.
    """

    begin: float = 0.0
    end: float | None = None

    def limits(self, bag: Bag) -> tuple[int, int]:
        """First and last time of recording [ns].

        Raises:
            BagError: the span is empty, or not in the bag.
        """
        end = bag.seconds if self.end is None else self.end
        if not 0.0 <= self.begin < end:
            raise BagError(f"--begin {self.begin:g} must be from 0 on and before --end {end:g} [s]")
        if self.begin >= bag.seconds and bag.seconds > 0:
            raise BagError(
                f"--begin {self.begin:g} lies after the end of {bag.path}, {bag.seconds} s"
            )
        last = bag.begin + round(min(end, bag.seconds) * NANOSECONDS)
        return bag.begin + round(self.begin * NANOSECONDS), last


@dataclass(frozen=True)
class Measurements:
    """A robot's joints at even frames, and its base.

    Attributes:
        times: (T,) of the frames; 0 is the first joint state that was read [s].
        names: (M,) measured joints of the robot.
        positions: (T, M) [rad].
        base: Poses of the base on the same clock, or None.
        imu: Orientations on the same clock, or None.
        notes: Sentences for the user.
    """

    times: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    base: BaseTrack | None
    imu: OrientationTrack | None
    notes: tuple[str, ...]


class _Reader:
    """Collects the messages of a recording.

    Attributes:
        joints: Joint states.
        odometry: Poses of the base.
        imu: Orientations.
        senders: Senders of joint states.
        damaged: Number of messages that could not be decoded.
        unusable_odometry: Reason why the odometry cannot be used; '' while it can.
    """

    def __init__(self, robot: Robot, sources: Sources) -> None:
        self._sources = sources
        self.joints = JointCollector(robot)
        self.odometry = OdometryCollector(robot)
        self.imu = ImuCollector(robot, sources.imu_link)
        self.senders = Senders(sources.senders)
        self.damaged, self.unusable_odometry = 0, ""

    def read(self, bag: Bag, first: int, last: int, done: Callable[[int], None]) -> None:
        """Read the messages from a first to a last time [ns].

        Raises:
            BagError: the bag is damaged, or the requested odometry cannot be used.
        """
        for message in bag.messages(self._sources.topics, first, last, done):
            try:
                value = decode(message.kind, message.data)
            except BagError:
                self.damaged += 1
                continue
            stamp = value.header.stamp.sec + value.header.stamp.nanosec / NANOSECONDS
            recorded = message.time / NANOSECONDS
            if message.kind == JOINT_STATE:
                number = self.senders.number(message, value)
                if self.senders.is_chosen(number):
                    self.joints.add(value.name, value.position, stamp, recorded, number)
            elif message.kind == IMU:
                self.imu.add(value, stamp, recorded)
            elif not self.unusable_odometry:
                try:
                    self.odometry.add(value, stamp, recorded)
                except BagError as error:
                    if self._sources.asked:
                        raise
                    self.unusable_odometry = str(error)

    def notes(self) -> list[str]:
        """Sentences about what was left out."""
        joints, notes = self.joints, list(filter(None, [self.senders.note()]))
        notes += self._sources.notes
        if self.damaged:
            notes.append(f"{self.damaged} damaged messages were left out")
        if joints.unusable:
            notes.append(
                f"{joints.unusable} of {joints.messages} joint states hold no position of the "
                "robot's joints and were left out"
            )
        if joints.unknown:
            shown = sorted(joints.unknown)
            notes.append(
                f"{len(shown)} joints that the robot does not command were left out: "
                f"{', '.join(shown[:4])}{', ...' if len(shown) > 4 else ''}"
            )
        if joints.invalid:
            shown = sorted(joints.invalid)
            notes.append(f"positions that are not finite were left out: {', '.join(shown[:4])}")
        for name, count in (("odometry", self.odometry.invalid), ("IMU", self.imu.invalid)):
            if count:
                notes.append(f"{count} messages of the {name} hold no valid pose and were left out")
        if self.unusable_odometry:
            notes.append(f"{self._sources.odometry} is not used: {self.unusable_odometry}")
        return notes


def read_measured(
    bag: Bag,
    robot: Robot,
    sources: Sources,
    fps: float,
    *,
    span: Span | None = None,
    max_gap: float = 0.25,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> Measurements:
    """Read the longest part of a recording in which the joints are known without a gap.

    Args:
        bag: The recording.
        robot: The robot.
        sources: Its topics.
        fps: Frames per second of the result [Hz].
        span: Part of the bag; None: all of it.
        max_gap: Maximum time between two joint states that is bridged [s].
        progress: Called with the seconds read and their total.

    Raises:
        BagError: damaged bag; no joint state in that part, or none of this robot; senders that
            contradict each other; too long, or too short for a motion.
    """
    first, last = (span or Span()).limits(bag)

    def done(time: int) -> None:
        progress(max(time - first, 0) / NANOSECONDS, (last - first) / NANOSECONDS)

    reader = _Reader(robot, sources)
    reader.read(bag, first, last, done)
    reader.senders.check_choice()
    if reader.joints.conflict is not None:
        conflict, time = reader.joints.conflict
        name = robot.joint_names[conflict.joint]
        raise conflict_error(bag, reader.senders, conflict, name, time)
    streams = reader.joints.streams()
    rows = [*(stream.rows for stream in streams), reader.odometry, reader.imu]
    # Two different clocks would shift the measurements against each other.
    stamped = all(one.stamped for one in rows if len(one))
    series = [JointSeries(stream.target, *stream.rows.series(stamped)) for stream in streams]
    # Seconds since 1970 leave too few digits for even frames.
    begin = min(float(one.times[0]) for one in series)
    series = [JointSeries(one.joints, one.times - begin, one.positions) for one in series]
    times, names, positions, notes = _frames(robot, series, fps, max_gap)
    notes += [*bag.notes, *reader.notes()]
    if not stamped:
        notes.append("not all messages have valid stamps: the recorder's times are used")
    base = turns = None
    if len(reader.odometry) >= 2:
        at, poses = reader.odometry.series(stamped)
        poses, jumps = in_one_world(at, poses)
        if jumps:
            told = told_jumps(jumps, sources.odometry)
            notes.append(f"{told}; what follows goes on from where the base was before")
        # The height of the floor in an odometry's world is not known.
        base = BaseTrack(at - begin, poses[:, :3], poses[:, 3:], floor=None)
    if len(reader.imu) >= 2:
        at, quaternions = reader.imu.series(stamped)
        turns = OrientationTrack(at - begin, quaternions, reader.imu.link)
    return Measurements(times, names, positions, base, turns, tuple(notes))


def _frames(
    robot: Robot, series: list[JointSeries], fps: float, max_gap: float
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray, list[str]]:
    """Times, joints, positions and notes of the longest part without a gap; see `Measurements`."""
    end = max(float(one.times[-1]) for one in series)
    # Stamps since 1970 are exact to a quarter of a microsecond.
    count = int(end * fps + 1e-4) + 1
    if count > MAX_SAMPLES:
        raise BagError(
            f"the recording is {end:.0f} s long; at {fps:g} Hz at most "
            f"{MAX_SAMPLES / fps:.0f} s are read: choose a part with --begin and --end"
        )
    times = np.arange(count) / fps
    tracks = joint_tracks(series, robot.continuous)
    positions = sample(tracks, np.minimum(times, end), max_gap)
    measured = np.array([len(at) > 0 for at, _ in tracks])
    known = np.isfinite(positions[:, measured]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    if not len(runs) or int((runs[:, 1] - runs[:, 0]).max()) < MIN_FRAMES:
        raise BagError(
            f"no part of {MIN_FRAMES / fps:.2f} s has all joints without a gap of more than "
            f"{max_gap:g} s (--max-gap)"
        )
    start, stop = runs[int((runs[:, 1] - runs[:, 0]).argmax())]
    names = tuple(name for name, there in zip(robot.joint_names, measured, strict=True) if there)
    notes = []
    if len(runs) > 1:
        notes.append(
            f"the joint states have {len(runs) - 1} gaps of more than {max_gap:g} s; used is the "
            f"longest part between them, from {start / fps:.1f} to {stop / fps:.1f} s of "
            f"{count / fps:.1f} s (--max-gap bridges longer ones)"
        )
    return times[start:stop], names, positions[start:stop][:, measured], notes

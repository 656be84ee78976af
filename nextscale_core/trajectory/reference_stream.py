"""`ReferenceStream`: the reference of a live robot at any time, through every change of plan."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import heading_of
from nextscale_core.trajectory.config import TIMING
from nextscale_core.trajectory.curves import PEAK_VELOCITY, quintic_fade
from nextscale_core.trajectory.ground import Anchor, Ground, on_floor
from nextscale_core.trajectory.reference import Reference, ReferenceCurve, standing_reference
from nextscale_core.trajectory.spline_limits import limit_use
from nextscale_core.trajectory.standing import (
    braked,
    followed_by,
    pose_of,
    standing_pose,
    to_standing,
    transition,
    with_return,
)

LARGEST_GAP = 0.1
"""Maximum distance of a joint between a reference and the one that replaces it [rad]."""

_FADES = (0.5, 0.8, 0.3, 0.2)
"""Durations in which such a distance fades out, in the order of preference [s]."""

_ANCHOR_SECONDS, _ANCHOR_SPEED, _ANCHOR_RATE = 2.0, 0.2, 0.3
"""Minimum duration [s] and maximum rates [m/s, rad/s] of a correction of place and heading."""

_ANCHOR_PLACE, _ANCHOR_HEADING = 0.02, 0.02
"""Distances [m, rad] between reference and robot that are not corrected."""

_KEPT = 1.0
"""Time before a change of trajectory for which the reference can still be sampled [s]."""


@dataclass(frozen=True)
class _Segment:
    """One trajectory of the stream, and how it follows from the reference before it.

    Attributes:
        curve: The trajectory.
        begin: Time of its time 0 [s].
        at: Time from which on it counts [s].
        ground: Moves its root to where the reference was.
        gap: What the reference before it differs by at `at`: differences of positions and, as
            velocities, of rates. Root position, rotation vector and rates in the world.
        fade: Time in which the gap vanishes [s].
        before: What counts before `at`: threads that share a stream read the clock at other times.
    """

    curve: ReferenceCurve
    begin: float
    at: float
    ground: Ground = field(default_factory=Ground)
    gap: Reference | None = None
    fade: float = _FADES[0]
    before: _Segment | None = None

    @property
    def end(self) -> float:
        return self.begin + self.curve.seconds

    def since(self, time: float) -> _Segment:
        """The segment, with what counts from a time [s] on."""
        before = None if self.before is None or self.at <= time else self.before.since(time)
        return replace(self, before=before)

    def sample(self, times: np.ndarray) -> Reference:
        early = times < self.at
        if self.before is None or not early.any():
            return self._sample(times)
        if early.all():
            return self.before.sample(times)
        own, earlier = self._sample(times), self.before.sample(times)
        columns = zip(vars(earlier).values(), vars(own).values(), strict=True)
        return Reference(*(np.where(early[:, None], old, new) for old, new in columns))

    def _sample(self, times: np.ndarray) -> Reference:
        found = self.ground.apply(self.curve.sample(times - self.begin))
        gap = self.gap
        if gap is None or times.min() >= self.at + self.fade:
            return found
        place, place_rate, slope, slope_rate = (
            part[:, None] for part in quintic_fade(np.maximum(times - self.at, 0.0), self.fade)
        )

        def faded(gap: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return place * gap + slope * rate, place_rate * gap + slope_rate * rate

        joints, speeds = faded(gap.positions, gap.velocities)
        away, drift = faded(gap.base_position, gap.linear_velocity)
        vector, spin = faded(gap.base_quaternion, gap.angular_velocity)
        turn = Rotation.from_rotvec(vector) * Rotation.from_quat(found.base_quaternion)
        return Reference(
            positions=found.positions + joints,
            velocities=found.velocities + speeds,
            base_position=found.base_position + away,
            base_quaternion=turn.as_quat(),
            linear_velocity=found.linear_velocity + turn.inv().apply(drift),
            angular_velocity=found.angular_velocity + turn.inv().apply(spin),
        )


class ReferenceStream:
    """The reference of a robot at any time: it stands, follows trajectories and stands again.

    Positions and velocities of joints and root are continuous over every change of trajectory.
    Threads may share a stream.

    Args:
        robot: The robot.
        position: (3,) root link over whose place it stands at first; None for the origin [m].
        quaternion: (4,) orientation whose heading it has, x y z w; None for 0.
    """

    def __init__(
        self,
        robot: Robot,
        position: np.ndarray | None = None,
        quaternion: np.ndarray | None = None,
    ) -> None:
        self.robot = robot
        self._lock = threading.Lock()
        self._anchor = Anchor()
        pose = standing_pose(robot, position, quaternion)
        still = transition(robot, pose, pose)
        self._segment = _Segment(ReferenceCurve(still), -still.seconds - 1.0, 0.0)

    @property
    def trajectory(self) -> RobotTrajectory:
        """The trajectory that is followed, or was followed last."""
        return self._segment.curve.trajectory

    @property
    def begin(self) -> float:
        """Time of that trajectory's time 0 [s]."""
        return self._segment.begin

    @property
    def end(self) -> float:
        """Time from which on the reference is at rest [s]."""
        return self._segment.end

    def moves(self, time: float) -> bool:
        """Whether a trajectory is being followed at a time [s]."""
        return time < self._segment.end

    def sample(self, times: np.ndarray) -> Reference:
        """References at times (N,) [s] from `_KEPT` before the last change of trajectory on."""
        times = np.asarray(times, dtype=np.float64)
        segment, anchor = self._segment, self._anchor
        return anchor.ground(times).apply(segment.sample(times))

    def at(self, time: float) -> Reference:
        """The reference at one time [s]."""
        return self.sample(np.array([time]))[0]

    def replace(self, trajectory: RobotTrajectory, at: float, begin: float | None = None) -> None:
        """Follow another trajectory, and stand at its end.

        Its root is moved on the floor to where the reference is; what then differs fades out
        within the limits of the robot.

        Args:
            trajectory: Ends at rest; checked by the safety gate.
            at: Time of the change [s].
            begin: Time of the trajectory's time 0, at `at` or before; None: it begins at `at`, if
                its first pose is elsewhere with a transition to there [s].

        Raises:
            RetargetError: a joint would jump by more than `LARGEST_GAP`, or break a limit. The
                reference goes on as before.
        """
        with self._lock:
            before = self._segment.sample(np.array([at]))[0]
            if begin is None:
                begin = at
                first = pose_of(trajectory, 0)
                if np.abs(first.positions - before.positions).max() > LARGEST_GAP:
                    place = _alignment(first, before).apply(_row(first))[0]
                    moved = transition(self.robot, before, place, hold=0.0, rate=trajectory.fps)
                    trajectory = followed_by(moved, _moved(trajectory, _alignment(first, before)))
            curve = ReferenceCurve(with_return(self.robot, trajectory))
            self._follow(self._joined(_Segment(curve, begin, at), before))

    def stand_in(self, positions: np.ndarray, at: float) -> None:
        """Stand in another posture, at once: for a reference that nothing follows while it stands.

        Args:
            positions: (J,) joint positions; those outside the limits are moved to the limits [rad].
            at: Time of the change [s].
        """
        with self._lock:
            here = self._segment.sample(np.array([at]))[0]
            inside = np.clip(positions, self.robot.position_lower, self.robot.position_upper)
            pose = standing_reference(inside, here.base_position, here.base_quaternion)
            still = transition(self.robot, pose, pose)
            self._follow(_Segment(ReferenceCurve(still), at - still.seconds - 1.0, at))

    def brake(self, at: float) -> None:
        """Stop along the trajectory that is followed, and stay in the pose that is reached.

        Args:
            at: Now [s].

        Raises:
            RetargetError: the motion is too fast; the reference goes on to its end.
        """
        with self._lock:
            segment = self._segment
            stop = braked(self.robot, segment.sample, at, rate=segment.curve.trajectory.fps)
            self._follow(_Segment(ReferenceCurve(stop), at, at))

    def stand_up(
        self,
        clock: Callable[[], float],
        check: Callable[[RobotTrajectory], RobotTrajectory | None] = lambda way: way,
    ) -> bool:
        """Let the reference stand after the trajectory that is followed, where it does not.

        Args:
            clock: Clock of the reference, read after the check [s].
            check: Gets the way from its last pose to standing; returns it, repaired where
                necessary, or None where it must not be gone.

        Returns:
            False where the reference stays in the last pose, or another trajectory came.
        """
        segment = self._segment
        trajectory = segment.curve.trajectory
        way = check(to_standing(self.robot, pose_of(trajectory, -1), rate=trajectory.fps))
        if way is None:
            return False
        with self._lock:
            if self._segment is not segment:
                return False
            now = clock()
            if now < segment.end:
                curve = ReferenceCurve(followed_by(trajectory, way))
                self._segment = replace(segment, curve=curve)
            else:
                # It has been at rest since the end.
                self._follow(_Segment(ReferenceCurve(way), now, now, segment.ground))
        return True

    def anchor(self, position: np.ndarray, quaternion: np.ndarray, at: float) -> None:
        """Begin to move place and heading of the reference to those of the robot, smoothly.

        Nothing happens while an earlier correction is under way, or where they agree. Twists are
        those of the motion, without the correction.

        Args:
            position: (3,) measured root link in the world [m].
            quaternion: (4,) measured orientation, x y z w.
            at: Time of the measurement and of the begin [s].
        """
        with self._lock:
            earlier = self._anchor
            if at < earlier.at + earlier.seconds:
                return
            here = self.at(at)
            turn = heading_of(quaternion) - heading_of(here.base_quaternion)
            turn = float((turn + np.pi) % (2 * np.pi) - np.pi)
            pivot = on_floor(here.base_position)
            shift = on_floor(position) - pivot
            if abs(shift) < _ANCHOR_PLACE and abs(turn) < _ANCHOR_HEADING:
                return
            seconds = max(
                _ANCHOR_SECONDS,
                PEAK_VELOCITY * abs(shift) / _ANCHOR_SPEED,
                PEAK_VELOCITY * abs(turn) / _ANCHOR_RATE,
            )
            self._anchor = Anchor(
                earlier.ground(np.array(at)),
                at,
                seconds,
                pivot,
                turn,
                shift,
            )

    def relocate(self, position: np.ndarray, quaternion: np.ndarray, at: float) -> None:
        """Move the reference to the robot at once, at all times: its world is another one.

        Args:
            position: As for `anchor`.
            quaternion: As for `anchor`.
            at: Time of the measurement [s].
        """
        with self._lock:
            here = self._segment.sample(np.array([at]))[0]
            ground = Ground.between(here.base_position, here.base_quaternion, position, quaternion)
            self._anchor = Anchor(ground)

    def move(self, by: Ground) -> None:
        """Move the reference on the floor at once, at all times, as its world has moved."""
        with self._lock:
            self._anchor = self._anchor.moved(by)

    def _follow(self, segment: _Segment) -> None:
        self._segment = replace(segment, before=self._segment.since(segment.at - _KEPT))

    def _joined(self, segment: _Segment, before: Reference) -> _Segment:
        """A segment that begins in a reference."""
        at = np.array([segment.at])
        first = segment.sample(at)[0]
        segment = replace(segment, ground=_alignment(first, before))
        first = segment.sample(at)[0]
        old, new = (Rotation.from_quat(one.base_quaternion) for one in (before, first))
        gap = Reference(
            positions=before.positions - first.positions,
            velocities=before.velocities - first.velocities,
            base_position=before.base_position - first.base_position,
            base_quaternion=(old * new.inv()).as_rotvec(),
            linear_velocity=old.apply(before.linear_velocity) - new.apply(first.linear_velocity),
            angular_velocity=old.apply(before.angular_velocity) - new.apply(first.angular_velocity),
        )
        joint = int(np.abs(gap.positions).argmax())
        if abs(gap.positions[joint]) > LARGEST_GAP:
            raise RetargetError(
                f"{self.robot.joint_names[joint]} of the reference would jump by "
                f"{gap.positions[joint]:.3f} rad; a trajectory that takes over begins within "
                f"{LARGEST_GAP} rad of it"
            )
        for fade in _FADES:
            joined = replace(segment, gap=gap, fade=fade)
            if self._inside(joined):
                return joined
        raise RetargetError(
            f"the reference moves by up to {np.abs(gap.velocities).max():.2f} rad/s in another way "
            "than the trajectory that takes over: the difference cannot fade out inside the limits"
        )

    def _inside(self, segment: _Segment) -> bool:
        """Whether a segment keeps the limits while its gap fades, as far as its trajectory does."""
        robot = self.robot
        times = segment.at + np.arange(0.0, segment.fade + 0.02, 0.02)
        plan, found = segment.curve.sample(times - segment.begin), segment.sample(times)
        low = np.minimum(robot.position_lower, plan.positions.min(0)) - TIMING.max_overrun
        high = np.maximum(robot.position_upper, plan.positions.max(0)) + TIMING.max_overrun
        if (found.positions < low).any() or (found.positions > high).any():
            return False
        speed, force = limit_use(robot, found.positions, found.velocities, times)
        return bool(max(speed.max(), force.max()) <= 1.0)


def _row(reference: Reference) -> Reference:
    return Reference(*(value[None] for value in vars(reference).values()))


def _alignment(first: Reference, before: Reference) -> Ground:
    """What moves the root of the one over the place and into the heading of the other."""
    return Ground.between(
        first.base_position, first.base_quaternion, before.base_position, before.base_quaternion
    )


def _moved(trajectory: RobotTrajectory, ground: Ground) -> RobotTrajectory:
    still = np.zeros_like(trajectory.base_position)
    moved = ground.apply(
        Reference(
            trajectory.positions,
            trajectory.velocities,
            trajectory.base_position,
            trajectory.base_quaternion,
            still,
            still,
        )
    )
    return replace(
        trajectory, base_position=moved.base_position, base_quaternion=moved.base_quaternion
    )

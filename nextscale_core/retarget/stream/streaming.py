"""`StreamingRetargeter`: human poses in, robot poses out, one at a time.

Every pose that goes out continues the one before within the limits of position, velocity and
acceleration, and braking from it is known to be free of self-collision. Where the next pose would
not be, where the input is unusable or where it stays away, the robot brakes along that way and
stays: it is held.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import InvalidMotionError, RetargetError
from nextscale_core.motion.skeleton import JOINT_INDEX, NUM_JOINTS
from nextscale_core.retarget.config import RETARGET, RetargetConfig
from nextscale_core.retarget.stream.frame_collisions import FrameCollisions
from nextscale_core.retarget.stream.frame_solver import FrameSolver, Goal, Pose
from nextscale_core.retarget.stream.frame_targets import FrameTargets, target_rows
from nextscale_core.retarget.stream.step_limits import StepLimits, clipped
from nextscale_core.retarget.stream.streaming_config import STREAMING, StreamingConfig
from nextscale_core.robots.kinematics import LEVER, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.state import RobotState
from nextscale_core.rotations import yaw
from nextscale_core.trajectory.reference import Reference
from nextscale_core.trajectory.spline_limits import STEP
from nextscale_core.trajectory.standing import standing_pose

_LARGEST_STEP = 0.6
"""Largest change of the wanted pose in a frame [m, rad]."""

_TRIES = 2
"""Number of solutions that are tried where bodies of the wanted pose touch."""

_LEGS = [JOINT_INDEX[f"{side}_{end}"] for end in ("hip", "ankle") for side in SIDES]


@dataclass(frozen=True)
class StreamedPose:
    """One pose of a stream.

    Attributes:
        time: Of the pose [s].
        shows: Time of the human frame that it follows [s].
        reference: Joints and root, with their rates.
        held: Why the robot brakes or stands instead of following; empty where it follows.
    """

    time: float
    shows: float
    reference: Reference
    held: str = ""


class StreamingRetargeter:
    """Retargets a stream of human poses, for teleoperation and for references of trackers.

    The output shows the human `StreamingConfig.delay` frames ago. The human's place and heading
    at the first frame are put over the robot's; after a jump of the human they are again, and
    the robot goes slowly to the new posture.

    A caller without frames calls `hold` at its own rate, and the robot brakes. One caller at a
    time.

    Args:
        robot: The robot; joints of the legs must not be held.
        start: State in which it is, at rest; None: it stands at the origin.
        config: Numbers of the stream.
        retarget: Weights of the targets, and how feet are locked.

    Raises:
        RetargetError: joints of the legs are held, or the robot does not fit `start`.
    """

    def __init__(
        self,
        robot: Robot,
        start: RobotState | None = None,
        config: StreamingConfig = STREAMING,
        retarget: RetargetConfig = RETARGET,
    ):
        if robot.base_held:
            raise RetargetError(
                f"a stream moves the legs, but joints of the legs of {robot.name} are held"
            )
        kinematics, solver = kinematics_of(robot), retarget.inverse_kinematics
        self.robot, self.config, self._kinematics = robot, config, kinematics
        self._solver = FrameSolver(kinematics, target_rows(), solver)
        self._targets = FrameTargets(kinematics, retarget, config)
        self._collisions = FrameCollisions(robot, config.apart, config.let_go)
        margin, count = robot.profile.position_margin, robot.num_joints
        lower, upper = robot.position_lower + margin, robot.position_upper - margin
        self._range = (lower, upper)
        free = np.full(6, np.inf)
        self._limits = StepLimits(
            np.concatenate([-free, lower]),
            np.concatenate([free, upper]),
            np.concatenate([np.repeat(config.base_speed, 6), robot.velocity_limit]),
            np.concatenate([np.repeat(config.base_acceleration, 6), robot.acceleration_limit]),
        )
        self._joint_limits = StepLimits(
            lower, upper, robot.velocity_limit, robot.acceleration_limit
        )
        self._approach = np.repeat([config.approach_base, config.approach], [6, count])
        self._steady = np.repeat([config.base, config.turn, config.joints], [3, 3, count])
        self._posture = solver.posture
        self._corner = [self._solver.points[f"{side}_ankle"] for side in SIDES]
        self._levers = [
            [self._solver.points[f"{side}_foot_{axis}"] for axis in "xyz"] for side in SIDES
        ]
        self._hips = [self._solver.points[f"{side}_hip"] for side in SIDES]
        self.reset(start)

    def reset(self, start: RobotState | None = None) -> None:
        """Forget the human; the robot is at rest in a state.

        Args:
            start: None: it stands at the origin.

        Raises:
            RetargetError: the state has other joints, or bodies touch in it.
        """
        robot = self.robot
        if start is None:
            stands = standing_pose(robot)
            base, quaternion, joints = (
                stands.base_position,
                stands.base_quaternion,
                stands.positions,
            )
        else:
            joints = start.positions
            if joints.shape != (robot.num_joints,):
                raise RetargetError(
                    f"the state has {len(joints)} joints, {robot.name} has {robot.num_joints}"
                )
            stands = standing_pose(robot, start.base_position, start.base_quaternion)
            base, quaternion = stands.base_position, stands.base_quaternion
            base = base if start.base_position is None else start.base_position
            quaternion = quaternion if start.base_quaternion is None else start.base_quaternion
        rotation = pin.Quaternion(np.asarray(quaternion, dtype=np.float64)).normalized().matrix()
        joints = np.clip(joints, *self._range)
        pose = Pose(np.array(base, dtype=np.float64), rotation, joints)
        if self._collisions.touching(pose.joints[None]):
            raise RetargetError("bodies of the robot touch in the state that the stream begins in")
        self._pose, self._rate = pose, np.zeros(6 + robot.num_joints)
        self._points = self._solver.keypoints(pose)
        self._wanted, self._wanted_rate = pose, self._rate
        self._time: float | None = None
        self._window: deque[tuple[float, np.ndarray]] = deque(maxlen=2 * self.config.delay + 1)
        self._jumped: tuple[float, np.ndarray] | None = None
        self._standing = np.zeros(2, dtype=bool)
        self._near: set[int] = set()
        self._begun = -np.inf

    def push(self, time: float, joints: np.ndarray) -> StreamedPose:
        """The robot's next pose, from the human's.

        Args:
            time: Of the frame; greater than the one before [s].
            joints: (22, 3) positions in the order of `JOINT_NAMES` [m], z up, floor at z = 0.

        Returns:
            The pose at `time`. Where the frame holds NaN, the human has jumped or frames are
            missing, it is held.

        Raises:
            RetargetError: the time does not increase. Nothing has changed.
            InvalidMotionError: another number of joints, or a first frame that is no human in
                metres. Nothing has changed.
        """
        joints = np.asarray(joints, dtype=np.float64)
        if joints.shape != (NUM_JOINTS, 3):
            raise InvalidMotionError(
                f"a frame must have shape ({NUM_JOINTS}, 3), got {joints.shape}"
            )
        seconds = self._passed(time)
        problem = _problem(joints)
        if not self._window:
            if problem:
                raise InvalidMotionError(f"the first frame is unusable: {problem}")
            self._begin(time, joints)
            self._time = time
            return self._out(time, "")
        if problem:
            return self._held(time, seconds, problem)
        since = time - self._window[-1][0]
        if since > self.config.longest_gap:
            pose = self._held(time, seconds, f"no usable frame for {since:.2f} s")
            self._begin(time, joints, again=True)
            return pose
        jump = self._jump(self._window[-1], time, joints)
        if jump:
            new, self._jumped = self._jumped, (time, joints)
            if new is None or self._jump(new, time, joints):
                return self._held(time, seconds, jump)
            pose = self._held(time, seconds, "the human is elsewhere")
            self._begin(time, joints, again=True)
            return pose
        self._jumped = None
        self._window.append((time, joints))
        held = self._follow(time, seconds)
        self._time = time
        return self._out(time, held)

    def hold(self, time: float) -> StreamedPose:
        """The robot's next pose where there is no new frame: it brakes, then stands.

        Args:
            time: Greater than the one before [s].

        Raises:
            RetargetError: the time does not increase.
        """
        return self._held(time, self._passed(time), "no frame")

    def _passed(self, time: float) -> float:
        """Time since the pose before [s]."""
        if not math.isfinite(time):
            raise RetargetError(f"the time of a frame must be a number, got {time}")
        if self._time is None:
            return 1.0 / self.config.rate
        if time <= self._time:
            raise RetargetError(
                f"time must increase: the frame of {time:.4f} s comes after that of "
                f"{self._time:.4f} s"
            )
        return time - self._time

    def _begin(self, time: float, joints: np.ndarray, *, again: bool = False) -> None:
        """Put the human over the robot, and go to its posture slowly."""
        hips = self._points[self._hips].mean(0)
        heading = float(yaw(self._pose.rotation))
        self._targets.begin(joints, hips, heading, again=again)
        period = 1.0 / self.config.rate
        self._window.clear()
        for n in range(-2 * self.config.delay, 1):
            self._window.append((time + n * period, joints))
        self._jumped, self._begun = None, time

    def _jump(self, before: tuple[float, np.ndarray], time: float, joints: np.ndarray) -> str:
        """What has jumped between two frames; empty where nothing has."""
        seconds, earlier = time - before[0], before[1]
        moved = (joints[_LEGS] - earlier[_LEGS]).tolist()
        hips = math.hypot(*(left + right for left, right in zip(*moved[:2], strict=True)))
        hips, foot = hips / 2 / seconds, max(math.hypot(*ankle) for ankle in moved[2:]) / seconds
        for name, speed, most in (
            ("hips", hips, self.config.fastest_hips),
            ("a foot", foot, self.config.fastest_foot),
        ):
            if speed > most:
                return f"{name} of the human moved at {speed:.0f} m/s"
        return ""

    def _follow(self, time: float, seconds: float) -> str:
        """One step towards the human; why the robot brakes instead, if it does."""
        times, frames = zip(*self._window, strict=True)
        ankles = self._points[self._corner]
        soles = (self._points[self._levers] - ankles[:, None]).transpose(0, 2, 1) / LEVER
        shown = self._targets.shown(times, frames, ankles, soles, seconds)
        self._solve(shown.goal, seconds)
        rate = self._step(time, seconds)
        held: set[int] = set()
        for _ in range(_TRIES):
            pose = self._pose.moved((self._rate + rate) / 2 * seconds)
            pose, points = self._stood(pose, shown.ankle, shown.standing)
            bad = self._touching(pose, rate, seconds)
            if not bad:
                self._move(pose, points, rate, seconds)
                self._standing = shown.standing
                return self._names(held)
            # Only the joints between bodies that would touch brake, if that is enough.
            held |= bad
            self._near |= held
            between = np.concatenate([np.zeros(6, dtype=bool), self._collisions.between(held)])
            rate = np.where(between, self._limits.braked(self._rate, seconds), rate)
        self._brake(seconds)
        return self._names(held)

    def _names(self, touching: set[int]) -> str:
        """What would touch; empty where nothing would."""
        pairs = [" and ".join(self._collisions.pairs[number]) for number in sorted(touching)]
        return f"{', '.join(pairs)} would touch" if pairs else ""

    def _solve(self, goal: Goal, seconds: float) -> None:
        """Pose that fits a goal best, with the limits of positions alone."""
        solver, before, steady = self._solver, self._wanted, self._steady
        lower, upper = (limit - before.joints for limit in self._range)
        free = np.full(6, _LARGEST_STEP)
        bounds = (
            np.concatenate([-free, np.maximum(lower, -_LARGEST_STEP)]),
            np.concatenate([free, np.minimum(upper, _LARGEST_STEP)]),
        )
        expected = self._wanted_rate * seconds
        # The posture decides what no target does.
        expected[6:] += self._posture * (self.robot.nominal - before.joints) / steady[6:]
        change = expected
        for _ in range(_TRIES):
            if self._near:
                apart, self._near = self._collisions.apart(before.moved(change), self._near)
                goal = goal._replace(apart=apart)
            prior = (expected, steady)
            change = solver.solve(goal, before, change, prior, bounds, self.config.steps)
            # Bodies that the robot's own way would bring together are apart from then on.
            touching = (
                self._collisions.touching(before.moved(change).joints[None])
                if self._near
                else set()
            )
            if not touching:
                break
            self._near |= touching
        self._wanted = before.moved(change)
        self._wanted_rate = change / seconds

    def _step(self, time: float, seconds: float) -> np.ndarray:
        """(6 + J,) rates at the end of a step that follows the wanted pose inside the limits."""
        config, limits, rate = self.config, self._limits, self._rate
        here = np.concatenate([np.zeros(6), self._pose.joints])
        low, high = limits.velocities(here, rate, seconds)
        share = min(max((time - self._begun) / config.approach_time, 0.0), 1.0) ** 2
        most = self._approach + share * (limits.velocity - self._approach)
        most = np.maximum(most, np.abs(limits.braked(rate, seconds)))
        away = self._pose.change_to(self._wanted)
        wanted = limits.towards(away, share * self._wanted_rate, rate, seconds)
        return clipped(clipped(wanted, -most, most), low, high)

    def _stood(
        self, pose: Pose, ankle: np.ndarray, standing: np.ndarray
    ) -> tuple[Pose, np.ndarray]:
        """The pose shifted so that standing feet are where they should be, and its keypoints."""
        points = self._solver.keypoints(pose)
        feet = standing.tolist()
        if any(feet):
            most = self.config.stand_shift
            away = ankle - points[self._corner]
            shift = clipped(away[feet.index(True)] if sum(feet) == 1 else away.mean(0), -most, most)
            pose = Pose(pose.base + shift, pose.rotation, pose.joints)
            points += shift
        depth = min(0.0, *points[self._solver.soles, 2].tolist())
        if depth:
            raised = np.array([0.0, 0.0, -depth])
            pose = Pose(pose.base + raised, pose.rotation, pose.joints)
            points += raised
        return pose, points

    def _touching(self, pose: Pose, rate: np.ndarray, seconds: float) -> set[int]:
        """What touches first, braking from a pose."""
        way = self._joint_limits.braking_path(pose.joints, rate[6:], seconds)
        # As in the gate: steps below `STEP` need no samples between.
        if np.abs(way[-1] - way[0]).max() < STEP:
            way = way[[0, -1]] if len(way) > 1 else way
        return self._collisions.touching(way)

    def _move(self, pose: Pose, points: np.ndarray, rate: np.ndarray, seconds: float) -> None:
        """Take a pose as the next one."""
        rate = rate.copy()
        rate[:3] = (pose.base - self._pose.base) / seconds
        rotation = pin.Quaternion(pose.rotation).normalized().matrix()
        self._pose = Pose(pose.base, rotation, pose.joints)
        self._points, self._rate = points, rate

    def _brake(self, seconds: float) -> None:
        """Brake along the way that has been checked; standing feet stay where they are."""
        period = 1.0 / self.config.rate
        while seconds > 1e-9 and np.abs(self._rate).max() > 1e-6:
            step = min(seconds, period) if seconds < 1.5 * period else period
            seconds -= step
            end = self._limits.braked(self._rate, step)
            ankles = self._points[self._corner].copy()
            pose = self._pose.moved((self._rate + end) / 2 * step)
            pose, points = self._stood(pose, ankles, self._standing)
            self._move(pose, points, end, step)
            if not end.any():
                self._rate = end

    def _held(self, time: float, seconds: float, why: str) -> StreamedPose:
        self._brake(seconds)
        self._time = time
        # After a stop, the robot comes back slowly.
        self._begun = time
        return self._out(time, why)

    def _out(self, time: float, held: str) -> StreamedPose:
        pose, rate = self._pose, self._rate
        reference = Reference(
            positions=pose.joints.copy(),
            velocities=rate[6:].copy(),
            base_position=pose.base.copy(),
            base_quaternion=pin.Quaternion(pose.rotation).coeffs().copy(),
            linear_velocity=pose.rotation.T @ rate[:3],
            angular_velocity=pose.rotation.T @ rate[3:6],
        )
        shows = self._window[self.config.delay][0] if self._window else time
        return StreamedPose(time, shows, reference, held)


def _problem(joints: np.ndarray) -> str:
    """Why a frame is unusable; empty where it is usable."""
    if not np.isfinite(joints).all():
        return "the frame holds NaN or infinity"
    if np.abs(joints).max() > 1e4:
        return f"a joint is {np.abs(joints).max():.3g} m from the origin"
    return ""

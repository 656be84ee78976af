"""`Retargeter`: a human motion becomes a trajectory of the robot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

from nextscale_core.blas_lock import alone
from nextscale_core.exceptions import RetargetError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget.partial_body import for_moving_joints
from nextscale_core.retarget.perframe import FrameSolver
from nextscale_core.retarget.takeover import Joined, joined
from nextscale_core.retarget.takeover_time import best_moment
from nextscale_core.retarget.targets import MAX_FRAMES, Targets, Weights, make_targets, start_poses
from nextscale_core.retarget.trajectory_ik import DAMPING, Smoothness, TrajectorySolver
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.separation_terms import WitnessPoints
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.stopwatch import Stopwatch
from nextscale_core.trajectory.blend_in import depart, require_takeover
from nextscale_core.trajectory.gait_cycle import Cycle, close_cycle
from nextscale_core.trajectory.source_time import Source
from nextscale_core.trajectory.time_parameterization import sample

_STRIDE = 4
"""Of so many frames, one is solved by itself for the solver of the whole clip to begin with."""

_STEPS, _ENOUGH = 4, 0.15
"""That takes so many steps at most, and no more than until they are this short [rad]: one step
is enough unless the human is quick."""

_SETTLED = 0.05
"""Frames whose joints moved further in a pass get another one [rad]."""

_SETTLING_PASSES = 2
"""So many of them at most."""

_PARTING_PASSES = 9
"""Further passes at most: they part bodies that touch."""

_CALMING_PASSES = 1
"""The first of these also smooth what is faster than the acceleration limits."""

_STIRRED_PASSES = 3
"""The first of these also calm down what parting stirs up."""

_PARTING_DAMPING = 0.4
"""Shorter steps while bodies are parted: where they touch changes with every step."""

_PARTING_ROOM = 0.012
"""Distance the solver keeps between bodies beyond the profile's [m]: for what happens between
frames, and for the transition from the measured state."""

_PARTED = 0.005
"""Bodies that touched are parted when they are this far apart [m], though the solver wants more:
between the frames they may come closer."""

_NO_CYCLE = 0.15
"""Ends of a cycle further apart than this do not lead into each other [m]."""

_BESIDE = 6
"""So many frames beside those that touch or rush are solved anew with them."""

_CALM_ENOUGH = 2.0
"""Parted clips are calmed down to this multiple of the calm share; time does the rest."""

_CALM = 0.7
"""Share of the acceleration limits that a calmed frame should use."""


class Retargeter:
    """Maps human motion onto a robot.

    Three steps: targets (`make_targets`), inverse kinematics (`FrameSolver`, then
    `TrajectorySolver` on the whole clip) and time parameterization (`sample`).

    Threads may share a retargeter: they wait for each other.

    Args:
        robot: The robot.
        weights: Balance of the residuals.
        smoothness: Weights of the second differences.
    """

    def __init__(
        self,
        robot: Robot,
        *,
        weights: Weights | None = None,
        smoothness: Smoothness | None = None,
    ):
        self.robot = robot
        self._kinematics = kinematics_of(robot)
        self._weights, self._smoothness = weights or Weights(), smoothness or Smoothness()
        margin = robot.profile.position_margin
        lower, upper = robot.position_lower + margin, robot.position_upper - margin
        self._frame_solver = FrameSolver(self._kinematics, lower, upper)
        self._clip_solver = TrajectorySolver(self._kinematics, lower, upper)
        near = robot.profile.collision_margin
        self._collisions = collision_model(robot, near + _PARTING_ROOM / 2, near)
        self._wanted = near + _PARTING_ROOM * self._collisions.share

    def retarget(
        self,
        clip: MotionClip,
        *,
        rate: float = 50.0,
        start: RobotState | None = None,
        begin: float | None = None,
        slack: float = 0.0,
        rounds: int = 1,
        stopwatch: Stopwatch | None = None,
    ) -> RobotTrajectory:
        """The robot's version of a motion.

        Args:
            clip: A human motion in metres, z up, floor at z = 0.
            rate: Samples per second [Hz].
            start: Measured state of the robot. The first sample, at time 0, then equals it; the
                motion is shifted and turned to begin at the measured base. Without it the
                trajectory begins at rest in the motion's first pose, and whoever executes it has
                to bring the robot there first.
            begin: Time in the clip at which the robot is in `start` [s]: the motion is under way,
                and the trajectory goes on from there with the measured velocities, standing feet
                where they stand. None: the motion begins, from rest or from `start`.
            slack: The motion may be joined so much before or after `begin` where the robot fits
                in better there [s].
            rounds: How often a motion that repeats is played, going on from where it is: whole
                steps of a walk, found by `close_cycle`. 1 plays the whole motion once as it is.
            stopwatch: Gets the stages 'targets', 'solve' and 'resample'.

        Returns:
            A trajectory inside the position, velocity and acceleration limits that ends at rest.

        Raises:
            InvalidMotionError: the clip is not a human motion in metres, or too long.
            RetargetError: the rate is out of range, the state does not fit the robot, the clip is
                over at `begin`, `rounds` is below 1, the motion does not repeat, or no solution
                keeps the limits.
        """
        if not 1.0 <= rate <= 1000.0:
            raise RetargetError(f"rate must be within 1 and 1000 Hz, got {rate}")
        if rounds < 1:
            raise RetargetError(f"rounds must be at least 1, got {rounds}")
        if rounds > 1 and begin is not None:
            raise RetargetError(
                "a motion that is under way cannot be repeated: give begin or rounds"
            )
        if start is not None:
            require_takeover(self.robot, start)
        with alone():
            with _stage(stopwatch, "targets"):
                targets = make_targets(clip, self._kinematics, self._weights)
                past = None
                if begin is not None:
                    if start is None:
                        raise RetargetError("begin needs start: the state the robot is in by then")
                    begin = best_moment(targets, self._kinematics, start, begin, slack)
                    past = joined(targets, self._kinematics, start, begin)
                    targets = past.targets
                if self.robot.held:
                    targets = for_moving_joints(targets, self._kinematics, start)
            with _stage(stopwatch, "solve"):
                poses = self.solve(targets, past)
                source = Source(0 if past is None else past.first, targets.fps)
                if self.robot.base_held:
                    # The solver left the base where it was, but for rounding.
                    poses = replace(poses, base=targets.base, rotation=targets.rotation)
                if rounds > 1:
                    cycle = self._cycle(poses, targets.fps, rounds)
                    poses = cycle.unroll(rounds)
                    source = Source(cycle.first, targets.fps, len(cycle.poses))
            with _stage(stopwatch, "resample"):
                departure = None
                if start is not None and past is None:
                    departure, poses = depart(self.robot, poses, start)
                running, twist = (None, None) if past is None else (start, past.twist)
                if self.robot.base_held:
                    twist = np.zeros(6)
                samples = sample(self.robot, poses, targets.fps, rate, departure, running, twist)
        return RobotTrajectory(
            robot=self.robot.name,
            joint_names=self.robot.joint_names,
            positions=samples.positions,
            velocities=samples.velocities,
            time_from_start=samples.times,
            base_position=samples.base,
            base_quaternion=samples.quaternion,
            fps=float(rate),
            text=clip.text,
            source_time=source.time(samples.frames, (len(clip) - 1) / clip.fps),
        )

    def solve(self, targets: Targets, past: Joined | None = None) -> Poses:
        """Poses of all frames, at the frames' own rate and without start, stop and retiming.

        Args:
            targets: What each keypoint should do.
            past: Where the robot is in the first frame; None: wherever the targets begin.
        """
        with alone():
            return self._solve(targets, past)

    def _solve(self, targets: Targets, past: Joined | None) -> Poses:
        start = start_poses(targets, self.robot.nominal if past is None else past.state.positions)
        poses = self._frame_solver.solve(
            targets, start, steps=_STEPS, stride=_STRIDE, enough=_ENOUGH
        )
        step = self._clip_solver.step
        if past is not None:
            step = partial(step, reference=past.posture, pull=past.pull)
        first = step(targets, poses, self._smoothness)
        unsettled = np.abs(first.joints - poses.joints).max(1) > _SETTLED
        return self._improve(targets, first, unsettled, step)

    def _cycle(self, poses: Poses, fps: float, rounds: int) -> Cycle:
        """The part of a motion that repeats, if it can be played so many times."""
        cycle = close_cycle(self._kinematics, poses, fps)
        if cycle.mismatch > _NO_CYCLE:
            raise RetargetError(
                f"the motion does not repeat: the most alike ends of a part of it are "
                f"{cycle.mismatch:.2f} m apart, at most {_NO_CYCLE:g} m can be closed"
            )
        if len(cycle.poses) * rounds > MAX_FRAMES:
            raise RetargetError(
                f"{rounds} rounds of {cycle.seconds:.1f} s are too long to plan at once; "
                f"at most {MAX_FRAMES // len(cycle.poses)} fit"
            )
        return cycle

    def _improve(
        self, targets: Targets, poses: Poses, unsettled: np.ndarray, step: Callable[..., Poses]
    ) -> Poses:
        """Settle what still moves, calm down what is too fast, push bodies apart that touch.

        Only frames that need it are solved anew. Pairs of earlier passes stay, or they would
        return.

        Args:
            targets: What each keypoint should do.
            poses: The clip after a first step.
            unsettled: (T,) True for the frames that this step moved far.
            step: A step of the whole-clip solver.
        """
        weight = np.broadcast_to(self._smoothness.joints, (len(poses) - 2, self.robot.num_joints))
        where: set[tuple[int, int]] = set()
        frames = np.ones(len(poses), dtype=bool)
        for number in range(_PARTING_PASSES):
            touching, nearest = self._touching(poses, frames, where)
            use = self._acceleration_use(poses, targets.fps)
            where |= touching
            unsolved = unsettled.copy()
            unsolved[[frame for frame, _ in touching]] = True
            calming = number < _CALMING_PASSES
            if calming or (where and number < _STIRRED_PASSES):
                unsolved[1:-1] |= (use > (1.0 if calming else _CALM_ENOUGH)).any(1)
            if not unsolved.any():
                break
            # Elsewhere nothing touches, and nothing has to be solved again.
            frames = _around(unsolved)
            before = poses
            stirred = np.maximum(use, 1.0) ** 2 if calming else np.clip(use, 1.0, 3.0)
            weight = weight * _spread(np.where(frames[1:-1, None], stirred, 1.0))
            here = {(frame, pair) for frame, pair in where if frames[frame]}
            parting = np.zeros(len(poses), dtype=bool)
            parting[[frame for frame, _ in here]] = True
            poses = step(
                targets,
                poses,
                replace(self._smoothness, joints=weight),
                self._collisions.separation_terms(poses, here, self._wanted, nearest),
                damping=np.where(_around(parting), _PARTING_DAMPING, DAMPING),
                frames=frames,
            )
            # What is being parted moves for as long as it touches.
            unsettled = np.abs(poses.joints - before.joints).max(1) > _SETTLED
            unsettled &= ~parting & (number + 1 < _SETTLING_PASSES)
        return poses

    def _touching(
        self, poses: Poses, frames: np.ndarray, where: set[tuple[int, int]]
    ) -> tuple[set[tuple[int, int]], dict[tuple[int, int], WitnessPoints]]:
        """(frame, pair) of what touches, and how near those are that touched before.

        Args:
            poses: The clip.
            frames: (T,) True for the frames that have changed.
            where: (frame, pair) of what touched before.
        """
        collisions, rows = self._collisions, np.flatnonzero(frames)
        nearest = collisions.nearest(poses, [(t, pair) for t, pair in where if frames[t]])
        row = np.cumsum(frames) - 1
        known = [(int(row[t]), pair) for t, pair in nearest]
        found = {
            (int(rows[n]), pair) for n, pair in collisions.close_pairs(poses.joints[rows], known)
        }
        enough = np.minimum(collisions.reach, _PARTED)
        found |= {at for at, near in nearest.items() if near.distance < enough[at[1]]}
        return found, nearest

    def _acceleration_use(self, poses: Poses, fps: float) -> np.ndarray:
        """(T - 2, J) accelerations of the spline over the calm share of their limits."""
        times = np.arange(len(poses)) / fps
        second = np.abs(CubicSpline(times, poses.joints)(times[1:-1], 2))
        return second / (_CALM * self.robot.acceleration_limit)


def _around(frames: np.ndarray) -> np.ndarray:
    """(T,) True for frames so near to marked ones that they have to give way with them."""
    return np.asarray(ndimage.binary_dilation(frames, iterations=_BESIDE))


def _spread(weight: np.ndarray) -> np.ndarray:
    """Largest of each frame and its neighbours, (T - 2, J)."""
    padded = np.pad(weight, ((1, 1), (0, 0)), mode="edge")
    return np.maximum(np.maximum(padded[:-2], padded[2:]), weight)


def _stage(stopwatch: Stopwatch | None, name: str) -> AbstractContextManager[None]:
    return nullcontext() if stopwatch is None else stopwatch.stage(name)

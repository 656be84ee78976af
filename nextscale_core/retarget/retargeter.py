"""`Retargeter`: a human motion becomes a trajectory of the robot."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline
from threadpoolctl import ThreadpoolController

from nextscale_core.exceptions import RetargetError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget.collision import collision_model
from nextscale_core.retarget.kinematics import Poses, kinematics_of
from nextscale_core.retarget.perframe import FrameSolver
from nextscale_core.retarget.robot import Robot, RobotState
from nextscale_core.retarget.start import depart
from nextscale_core.retarget.subset import for_moving_joints
from nextscale_core.retarget.targets import Targets, Weights, make_targets, start_poses
from nextscale_core.retarget.timing import sample
from nextscale_core.retarget.trajectory import RobotTrajectory
from nextscale_core.retarget.wholeclip import ClipSolver, Smoothness
from nextscale_core.stopwatch import Stopwatch

_PASSES = 2
_CALMING_PASSES = 2
"""Further passes that smooth where the acceleration limits ask for it."""

_PARTING_PASSES = 8
"""Further passes that part bodies that touch."""

_PARTING_DAMPING = 0.4
"""Shorter steps while bodies are parted: where they touch changes with every step."""

_PARTING_ROOM = 0.012
"""Distance the solver keeps between bodies beyond the profile's [m]: for what happens between
frames, and for the transition from the measured state."""

_CALM_ENOUGH = 2.0
"""Parted clips are calmed down to this multiple of the calm share; time does the rest."""

_CALM = 0.7
"""Share of the acceleration limits that a calmed frame should use."""


class Retargeter:
    """Maps human motion onto a robot.

    Three steps: targets (`make_targets`), solving (`FrameSolver`, then `ClipSolver` on the whole
    clip) and timing (`sample`).

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
        self._clip_solver = ClipSolver(self._kinematics, lower, upper)
        self._collisions = collision_model(
            robot, robot.profile.collision_margin + _PARTING_ROOM / 2
        )
        self._threads = ThreadpoolController()

    def retarget(
        self,
        clip: MotionClip,
        *,
        rate: float = 50.0,
        start: RobotState | None = None,
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
            stopwatch: Gets the stages 'targets', 'solve' and 'resample'.

        Returns:
            A trajectory inside the position, velocity and acceleration limits that ends at rest.

        Raises:
            InvalidMotionError: the clip is not a human motion in metres, or too long.
            RetargetError: the rate is out of range, the state does not fit the robot, or no
                solution keeps the limits.
        """
        if not 1.0 <= rate <= 1000.0:
            raise RetargetError(f"rate must be within 1 and 1000 Hz, got {rate}")
        with self._threads.limit(limits=1, user_api="blas"):
            with _stage(stopwatch, "targets"):
                targets = make_targets(clip, self._kinematics, self._weights)
                if self.robot.held:
                    targets = for_moving_joints(targets, self._kinematics, start)
            with _stage(stopwatch, "solve"):
                poses = self.solve(targets)
                if self.robot.base_held:
                    # The solver left the base where it was, but for rounding.
                    poses = replace(poses, base=targets.base, rotation=targets.rotation)
            with _stage(stopwatch, "resample"):
                departure = None
                if start is not None:
                    departure, poses = depart(self.robot, poses, start)
                samples = sample(self.robot, poses, targets.fps, rate, departure)
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
        )

    def solve(self, targets: Targets) -> Poses:
        """Poses of all frames, at the frames' own rate and without start, stop and retiming."""
        start = start_poses(targets, self.robot.nominal)
        poses = self._frame_solver.solve(targets, start)
        for _ in range(_PASSES):
            poses = self._clip_solver.step(targets, poses, self._smoothness)
        weight = np.broadcast_to(self._smoothness.joints, (len(poses) - 2, self.robot.num_joints))
        for _ in range(_CALMING_PASSES):
            use = self._acceleration_use(poses, targets.fps)
            if use.max() <= 1.0:
                break
            weight = weight * _spread(np.maximum(1.0, use) ** 2)
            calm = replace(self._smoothness, joints=weight)
            poses = self._clip_solver.step(targets, poses, calm)
        return self._part(targets, poses, weight)

    def _part(self, targets: Targets, poses: Poses, weight: np.ndarray) -> Poses:
        """Push bodies apart that touch.

        Pairs of earlier passes stay, or they would return. The same passes calm what parting
        stirs up; a clip in which nothing ever touches is left as it is.
        """
        where: set[tuple[int, int]] = set()
        wanted = self.robot.profile.collision_margin + _PARTING_ROOM
        for number in range(_PARTING_PASSES):
            touching = self._collisions.close_pairs(poses.joints)
            use = self._acceleration_use(poses, targets.fps)
            calm = use.max() <= _CALM_ENOUGH or number >= _PARTING_PASSES // 2
            if not touching and (calm or not where):
                break
            where |= touching
            if number:
                weight = weight * _spread(np.clip(use, 1.0, 3.0))
            poses = self._clip_solver.step(
                targets,
                poses,
                replace(self._smoothness, joints=weight),
                self._collisions.hinges(poses, where, wanted),
                damping=_PARTING_DAMPING,
            )
        return poses

    def _acceleration_use(self, poses: Poses, fps: float) -> np.ndarray:
        """(T - 2, J) accelerations of the spline over the calm share of their limits."""
        times = np.arange(len(poses)) / fps
        second = np.abs(CubicSpline(times, poses.joints)(times[1:-1], 2))
        return second / (_CALM * self.robot.acceleration_limit)


def _spread(weight: np.ndarray) -> np.ndarray:
    """Largest of each frame and its neighbours, (T - 2, J)."""
    padded = np.pad(weight, ((1, 1), (0, 0)), mode="edge")
    return np.maximum(np.maximum(padded[:-2], padded[2:]), weight)


def _stage(stopwatch: Stopwatch | None, name: str) -> AbstractContextManager[None]:
    return nullcontext() if stopwatch is None else stopwatch.stage(name)

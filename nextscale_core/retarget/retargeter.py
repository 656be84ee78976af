"""`Retargeter`: from human motion to a trajectory of the robot."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import numpy as np

from nextscale_core.blas_lock import single_threaded
from nextscale_core.exceptions import RetargetError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget.balance import Balance
from nextscale_core.retarget.config import RETARGET, RetargetConfig, Smoothness
from nextscale_core.retarget.improvement import Improvement
from nextscale_core.retarget.partial_body import for_moving_joints
from nextscale_core.retarget.takeover import Joined, best_moment, joined
from nextscale_core.retarget.targets import MAX_FRAMES, Goals, Targets, make_targets, start_poses
from nextscale_core.retarget.trajectory_ik import TrajectorySolver
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot, RobotState
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import exp, log
from nextscale_core.stopwatch import Stopwatch
from nextscale_core.trajectory.blend_in import blend_in, require_takeover
from nextscale_core.trajectory.gait_cycle import Cycle, close_cycle
from nextscale_core.trajectory.time_parameterization import sample


class Retargeter:
    """Maps human motion onto a robot.

    Three stages: targets (`make_targets`), inverse kinematics (`TrajectorySolver`, coarse to fine
    in time, then `Balance` where wanted, then `Improvement`) and time parameterization (`sample`).

    Threads may share a retargeter; they wait for each other.

    Args:
        robot: The robot.
        config: Tuned numbers of all stages.
    """

    def __init__(self, robot: Robot, config: RetargetConfig = RETARGET):
        self.robot, self.config = robot, config
        self._kinematics = kinematics_of(robot)
        margin, solver = robot.profile.position_margin, config.inverse_kinematics
        lower, upper = robot.position_lower + margin, robot.position_upper - margin
        self._solver = TrajectorySolver(self._kinematics, lower, upper, solver)
        # Far from the solution, joints that a step holds at their limits would stay there.
        clipped = replace(solver, overshoot=np.inf)
        self._coarse_solver = TrajectorySolver(self._kinematics, lower, upper, clipped)
        self._improvement = Improvement(robot, solver)
        self._balance = Balance(self._kinematics, config.balance)

    def retarget(
        self,
        clip: MotionClip,
        *,
        rate: float = 50.0,
        start: RobotState | None = None,
        begin: float | None = None,
        slack: float = 0.0,
        rounds: int = 1,
        balance: bool = False,
        stopwatch: Stopwatch | None = None,
    ) -> RobotTrajectory:
        """The robot's version of a motion.

        Args:
            clip: A human motion in metres, z up, floor at z = 0.
            rate: Samples per second [Hz].
            start: Measured state of the robot. The first sample, at time 0, then equals it; the
                motion is shifted and turned to begin at the measured base. Without it the
                trajectory begins at rest in the motion's first pose, to which the robot has to be
                brought first.
            begin: Time in the clip at which the robot is in `start` [s]: the motion is under way,
                and the trajectory continues from there with the measured velocities, standing
                feet where they stand. None: the motion begins, from rest or from `start`.
            slack: Largest distance from `begin` at which the motion may be taken over where the
                robot fits in better [s].
            rounds: Number of times a motion that repeats is played, continuing from where it is:
                whole steps of a walk, found by `close_cycle`. 1 plays the whole motion once.
            balance: Whether the centre of mass of a slow motion is brought over the feet, by
                moving the pelvis, and arms and torso where that is not enough; standing feet stay
                where they are. Without effect where joints of a leg are held.
            stopwatch: Measures the stages 'targets', 'solve' and 'resample'.

        Returns:
            A trajectory inside the position, velocity and acceleration limits that ends at rest.

        Raises:
            InvalidMotionError: the clip is not a human motion in metres, or too long.
            RetargetError: the rate is out of range, the state does not fit the robot, the clip is
                over at `begin`, `rounds` is below 1, the motion does not repeat, or no solution
                keeps the limits.
        """
        robot, config, timing = self.robot, self.config, self.config.time_parameterization
        if not 1.0 <= rate <= 1000.0:
            raise RetargetError(f"rate must be within 1 and 1000 Hz, got {rate}")
        if rounds < 1:
            raise RetargetError(f"rounds must be at least 1, got {rounds}")
        if rounds > 1 and begin is not None:
            raise RetargetError(
                "a motion that is under way cannot be repeated: give begin or rounds"
            )
        if start is not None:
            require_takeover(robot, start, timing)
        with single_threaded():
            with _stage(stopwatch, "targets"):
                targets, past = make_targets(clip, self._kinematics, config), None
                if begin is not None:
                    if start is None:
                        raise RetargetError("begin needs start: the state the robot is in by then")
                    begin = best_moment(
                        targets, self._kinematics, start, begin, slack, config.takeover
                    )
                    past = joined(targets, self._kinematics, start, begin, config)
                    targets = past.targets
                if robot.held:
                    targets = for_moving_joints(targets, self._kinematics, start)
            with _stage(stopwatch, "solve"):
                poses = self.solve(targets, past, balance)
                first = 0 if past is None else past.first
                if robot.base_held:
                    # The solver left the base where it was, but for rounding.
                    poses = replace(poses, base=targets.base, rotation=targets.rotation)
                period = np.inf
                if rounds > 1:
                    cycle = self._cycle(poses, targets.fps, rounds)
                    poses, first, period = cycle.unroll(rounds), cycle.first, len(cycle.poses)
            with _stage(stopwatch, "resample"):
                blend = None
                if start is not None and past is None:
                    blend, poses = blend_in(robot, poses, start, timing)
                running, twist = (None, None) if past is None else (start, past.twist)
                if robot.base_held:
                    twist = np.zeros(6)
                samples = sample(robot, poses, targets.fps, rate, blend, running, twist, timing)
        source = (first + samples.place * targets.fps % period) / targets.fps
        return RobotTrajectory(
            robot=robot.name,
            joint_names=robot.joint_names,
            positions=samples.positions,
            velocities=samples.velocities,
            time_from_start=samples.times,
            base_position=samples.base,
            base_quaternion=samples.quaternion,
            fps=float(rate),
            text=clip.text,
            # A clip of few frames was held at its last one.
            source_time=np.minimum(source, (len(clip) - 1) / clip.fps),
        )

    def forget(self) -> None:
        """Forget what earlier motions left behind: the next depends on its own clip alone."""
        self._improvement.forget()

    def solve(self, targets: Targets, past: Joined | None = None, balance: bool = False) -> Poses:
        """Poses of all frames, at the frames' own rate and without start, stop and retiming.

        Args:
            targets: What each keypoint should do.
            past: The state of the robot in the first frame; None: wherever the targets begin.
            balance: Whether the centre of mass is brought over the feet.
        """
        with single_threaded():
            poses = self._coarse(targets, past)
            step = self._solver.step
            if past is not None:
                step = partial(step, reference=past.posture, pull=past.pull)
            smoothness = self.config.inverse_kinematics.smoothness
            first = step(targets, poses, smoothness)
            if balance and not self.robot.base_held:
                poses, step = self._balance.run(targets, first, smoothness, step)
                first = step(targets, poses, smoothness)
            moved = np.abs(first.joints - poses.joints).max(1)
            return self._improvement.run(targets, first, moved, step)

    def _coarse(self, targets: Targets, past: Joined | None) -> Poses:
        """A first guess: every few frames solved as a clip of their own, and interpolated.

        It starts from the human's pelvis, and the nominal or the measured posture.
        """
        config, frames = self.config.inverse_kinematics, np.arange(len(targets))
        keys = np.unique(np.append(frames[:: config.start_stride], frames[-1]))
        goals = Goals(targets.first, targets.second, targets.goal[keys], targets.weight[keys])
        posture = self.robot.nominal if past is None else past.state.positions
        start = start_poses(targets, posture)
        poses = Poses(start.base[keys], start.rotation[keys], start.joints[keys])
        share, smooth = config.start_smoothness, config.smoothness
        smooth = Smoothness(share * smooth.base, share * smooth.turn, share * smooth.joints)
        step = self._coarse_solver.step
        if past is not None:
            step = partial(step, reference=past.posture[keys], pull=past.pull[keys])
        # Some joints swing between two poses for ever: the pose before the last one is as near.
        earlier = [np.inf, poses.joints]
        for _ in range(config.start_steps):
            poses = step(goals, poses, smooth)
            if any(np.abs(poses.joints - past).max() < config.start_enough for past in earlier):
                break
            earlier = [earlier[1], poses.joints]
        return _between(poses, keys, frames)

    def _cycle(self, poses: Poses, fps: float, rounds: int) -> Cycle:
        """The part of a motion that repeats, if it can be repeated `rounds` times."""
        config = self.config.time_parameterization
        cycle, most = close_cycle(self._kinematics, poses, fps, config=config), MAX_FRAMES
        if cycle.mismatch > config.cycle_max_mismatch:
            raise RetargetError(
                "the motion does not repeat: the most alike ends of a part of it are "
                f"{cycle.mismatch:.2f} m apart, at most {config.cycle_max_mismatch:g} m can be "
                "closed"
            )
        if len(cycle.poses) * rounds > most:
            raise RetargetError(
                f"{rounds} rounds of {cycle.seconds:.1f} s are too long to plan at once; "
                f"at most {most // len(cycle.poses)} fit"
            )
        return cycle


def _between(poses: Poses, keys: np.ndarray, frames: np.ndarray) -> Poses:
    """Poses at `frames`, interpolated linearly from those at ascending `keys` around them."""
    at = np.minimum(np.searchsorted(keys, frames, side="right") - 1, len(keys) - 2)
    u = ((frames - keys[at]) / (keys[at + 1] - keys[at]))[:, None]
    base, joints = (
        track[at] + u * (track[at + 1] - track[at]) for track in (poses.base, poses.joints)
    )
    turn = log(poses.rotation[1:] @ poses.rotation[:-1].transpose(0, 2, 1))
    return Poses(base, exp(u * turn[at]) @ poses.rotation[at], joints)


def _stage(stopwatch: Stopwatch | None, name: str) -> AbstractContextManager[None]:
    return nullcontext() if stopwatch is None else stopwatch.stage(name)

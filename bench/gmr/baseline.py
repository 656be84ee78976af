"""Baseline retargeter in the manner of GMR. Needs mujoco, mink and daqp.

Written from the description in Araujo et al., "Retargeting Matters: General Motion Retargeting
for Humanoid Motion Tracking" (2025): human bodies are matched to links, rest poses aligned by
constant rotations, sizes by a factor for each body; then each frame is solved by differential
inverse kinematics in two stages, from where the frame before ended. Frames are from
`gmr.human.Matching`, built from the same robot profile that we use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import mink
import numpy as np
from gmr.human import BODIES, Human, Matching
from gmr.model import GmrModel
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RetargetError
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot

_DT = 0.02
"""Integration step [s]; without velocity limits it cancels out."""

_FIRST_ROUNDS = 5
"""Number of solver runs for the first frame, which starts far away in the nominal posture."""

_STARTS = 8
"""Random postures tried for the first frame where the nominal one leads to a poor one: arms that
get caught by their limits there stay so for the whole clip."""

_POOR = 1.0
"""Orientation error of a body that makes a first frame poor [rad]."""


@dataclass(frozen=True)
class Stage:
    """Costs of one stage by body part.

    Attributes:
        position: Cost of the place [1/m]; parts that are not named have 0.
        rotation: Cost of the orientation [1/rad].
    """

    position: dict[str, float]
    rotation: dict[str, float]


# Chosen on clips of `train`, for both robots, for bone directions and foot speed together.
FIRST = Stage(
    position={"pelvis": 10.0, "ankle": 20.0, "wrist": 2.0},
    rotation={
        "pelvis": 3.0,
        "torso": 3.0,
        "hip": 3.0,
        "knee": 3.0,
        "ankle": 3.0,
        "shoulder": 3.0,
        "elbow": 3.0,
        "wrist": 1.0,
    },
)
SECOND = Stage(
    position={
        "pelvis": 3.0,
        "torso": 0.5,
        "hip": 0.5,
        "knee": 1.0,
        "ankle": 40.0,
        "shoulder": 0.5,
        "elbow": 1.0,
        "wrist": 1.0,
    },
    rotation={
        "pelvis": 2.0,
        "torso": 2.0,
        "hip": 3.0,
        "knee": 3.0,
        "ankle": 5.0,
        "shoulder": 3.0,
        "elbow": 3.0,
        "wrist": 0.5,
    },
)


class GmrBaseline:
    """Retargets by two-stage differential inverse kinematics, frame by frame.

    Args:
        robot: The robot.
        stages: Costs of both stages.
        tolerance: A stage ends when the error falls by less than this in one iteration.
        iterations: Maximum number of iterations per stage.
        damping: Of all joints.
    """

    def __init__(
        self,
        robot: Robot,
        stages: tuple[Stage, Stage] = (FIRST, SECOND),
        *,
        tolerance: float = 1e-3,
        iterations: int = 10,
        damping: float = 0.1,
    ):
        self.robot = robot
        self._kinematics = kinematics_of(robot)
        self._matching = Matching(robot)
        self._mujoco = GmrModel(robot, self._matching.sites)
        self._tolerance, self._iterations, self._damping = tolerance, iterations, damping
        self._tasks = [[_task(name, stage) for name in BODIES] for stage in stages]
        self._limits = [mink.ConfigurationLimit(self._mujoco.model)]

    def retarget(self, human: Human) -> Poses:
        """Poses of the robot at the human's frames, the lowest sole of all frames on the floor."""
        places = self._matching.targets(human)
        wanted = np.concatenate([_wxyz(human.rotation), places], axis=-1)
        start = Poses(places[:1, 0], human.rotation[:1, 0], self.robot.nominal[None])
        configuration = mink.Configuration(self._mujoco.model, self._mujoco.configuration(start, 0))
        frames = np.empty((len(places), self._mujoco.model.nq))
        configuration.update(self._first(configuration, start, wanted[0]))
        for t, targets in enumerate(wanted):
            self._frame(configuration, targets)
            frames[t] = configuration.q
        poses = self._mujoco.poses(frames)
        lift = -float(self._kinematics.lowest_sole(poses).min())
        return replace(poses, base=poses.base + np.array([0.0, 0.0, lift]))

    def _first(
        self, configuration: mink.Configuration, start: Poses, targets: np.ndarray
    ) -> np.ndarray:
        """(nq,) coordinates in the first frame, the best of a few where it is hard."""
        generator, robot = np.random.default_rng(0), self.robot
        best, least = configuration.q, np.inf
        for trial in range(1 + _STARTS):
            if trial:
                joints = generator.uniform(robot.position_lower, robot.position_upper)
                share = 0.5 * (robot.nominal + joints)
                configuration.update(
                    self._mujoco.configuration(replace(start, joints=share[None]), 0)
                )
            for _ in range(_FIRST_ROUNDS):
                self._frame(configuration, targets)
            turns = [np.linalg.norm(t.compute_error(configuration)[3:]) for t in self._tasks[1]]
            if max(turns) < least:
                best, least = configuration.q, float(max(turns))
            if least < _POOR:
                break
        return best

    def _frame(self, configuration: mink.Configuration, targets: np.ndarray) -> None:
        """Both stages of one frame, from where the robot is."""
        for tasks in self._tasks:
            for task, target in zip(tasks, targets, strict=True):
                task.set_target(mink.SE3(wxyz_xyz=target))
            self._solve(configuration, [task for task in tasks if task.cost.any()])

    def _solve(self, configuration: mink.Configuration, tasks: list[mink.FrameTask]) -> None:
        """Iterate one stage of one frame."""
        error = _error(configuration, tasks)
        for _ in range(self._iterations):
            try:
                velocity = mink.solve_ik(
                    configuration, tasks, _DT, "daqp", damping=self._damping, limits=self._limits
                )
            except mink.NoSolutionFound as failure:
                raise RetargetError(f"inverse kinematics of the baseline: {failure}") from failure
            configuration.integrate_inplace(velocity, _DT)
            before, error = error, _error(configuration, tasks)
            if before - error < self._tolerance:
                break


def _task(name: str, stage: Stage) -> mink.FrameTask:
    part = name.removeprefix("left_").removeprefix("right_")
    return mink.FrameTask(
        frame_name=name,
        frame_type="site",
        position_cost=stage.position.get(part, 0.0),
        orientation_cost=stage.rotation.get(part, 0.0),
        lm_damping=0.1,
    )


def _error(configuration: mink.Configuration, tasks: list[mink.FrameTask]) -> float:
    """Norm of all errors of a stage [m and rad], not weighted."""
    return float(np.linalg.norm([task.compute_error(configuration) for task in tasks]))


def _wxyz(rotations: np.ndarray) -> np.ndarray:
    """(..., 4) quaternions, w first."""
    quaternion = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat()
    return quaternion[:, [3, 0, 1, 2]].reshape(*rotations.shape[:-2], 4)

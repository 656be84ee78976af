"""`simulate`: a trajectory executed by a robot in physics, and how well it was followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.estimation.base_pose import tipped_over
from nextscale_core.exceptions import RobotError
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.simulation.balancer import Balancer
from nextscale_core.simulation.config import CONTROL_STEP, SimulationConfig
from nextscale_core.simulation.simulator import SimulatedState, Simulator, standing_height
from nextscale_core.trajectory.reference import Reference, ReferenceCurve

STAND_SECONDS, BLEND_SECONDS, REST_SECONDS = 0.5, 1.0, 0.5
"""Standing before the blend, blend into the first pose, and rest in the last pose [s]."""

SMOOTHING = 0.18
"""Length of the moving average of the reference's twist [s]."""

FALL_HEIGHT = 0.63
"""Height of the pelvis, relative to that of the standing robot, under which it has fallen."""

FALL_DEPTH = 0.25
"""Part of the standing height that a fallen pelvis is below its reference."""

KEY_BODIES = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("knee", "ankle", "shoulder", "elbow", "wrist")
)


@dataclass(frozen=True)
class Rollout:
    """What a robot did in physics.

    The errors are means over the motion until its end or the fall.

    Attributes:
        controller: Name of the balancer.
        reference: What it should have done, in the time of `motion`.
        motion: What it did: exact joints and base from the begin of the trajectory; the way into
            its first pose is left out.
        up: True if it did not fall.
        fall_time: Time of the fall, from the begin of the trajectory [s]; None where it is up.
        joint_error: [deg].
        key_body_error: Knees, ankles, shoulders, elbows and wrists relative to the base [cm].
        height_error: Height of the pelvis [cm].
        velocity_error: Horizontal velocity of the pelvis [m/s].
        root_drift: Horizontal distance of the pelvis from its reference at the end [m].
        saturation: Part of the samples at which a motor gives its whole effort.
        torques: (N, J) torques at the samples of `motion` [N m].
    """

    controller: str
    reference: RobotTrajectory
    motion: RobotTrajectory
    up: bool
    fall_time: float | None
    joint_error: float
    key_body_error: float
    height_error: float
    velocity_error: float
    root_drift: float
    saturation: float
    torques: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Figures for JSON, without the motions."""
        return {
            "robot": self.motion.robot,
            "controller": self.controller,
            "text": self.motion.text,
            "seconds": round(self.reference.seconds, 3),
            "up": self.up,
            "fall_time_s": None if self.fall_time is None else round(self.fall_time, 3),
            "joint_error_deg": round(self.joint_error, 3),
            "key_body_error_cm": round(self.key_body_error, 3),
            "height_error_cm": round(self.height_error, 3),
            "velocity_error_m_s": round(self.velocity_error, 4),
            "root_drift_m": round(self.root_drift, 4),
            "saturation": round(self.saturation, 5),
        }


def references(
    robot: Robot, trajectory: RobotTrajectory, standing: np.ndarray
) -> tuple[Reference, int]:
    """References of a trajectory at the control rate, from standing and at rest at the end.

    Args:
        robot: The robot.
        trajectory: The motion, in which the robot stands on a floor at height 0.
        standing: (J,) posture before the motion [rad].

    Returns:
        N references, and the row where the trajectory begins.
    """
    curve = ReferenceCurve(trajectory)
    count = int(np.ceil((trajectory.seconds + REST_SECONDS) / CONTROL_STEP - 1e-9)) + 1
    motion = curve.sample(CONTROL_STEP * np.arange(count))
    first = motion[0]
    lead = round((STAND_SECONDS + BLEND_SECONDS) / CONTROL_STEP)
    share = np.clip((CONTROL_STEP * np.arange(lead) - STAND_SECONDS) / BLEND_SECONDS, 0.0, 1.0)[
        :, None
    ]
    share = share**3 * (10 - 15 * share + 6 * share**2)
    upright = np.array([*first.base_position[:2], standing_height(robot, standing)])
    yaw = Rotation.from_quat(first.base_quaternion).as_euler("ZYX")[0]
    both = Rotation.concatenate(
        [Rotation.from_euler("z", yaw), Rotation.from_quat(first.base_quaternion)]
    )
    positions = np.concatenate([(1 - share) * standing + share * first.positions, motion.positions])
    places = np.concatenate(
        [(1 - share) * upright + share * first.base_position, motion.base_position]
    )
    turns = Slerp([0, 1], both)(share[:, 0]).as_quat()
    still = np.zeros((lead, 3))

    def smooth(values: np.ndarray) -> np.ndarray:
        return uniform_filter1d(values, round(SMOOTHING / CONTROL_STEP), axis=0, mode="nearest")

    return Reference(
        positions=positions,
        velocities=np.gradient(positions, CONTROL_STEP, axis=0),
        base_position=places,
        base_quaternion=np.concatenate([turns, motion.base_quaternion]),
        linear_velocity=smooth(np.concatenate([still, motion.linear_velocity])),
        angular_velocity=smooth(np.concatenate([still, motion.angular_velocity])),
    ), lead


def has_fallen(
    robot: Robot, standing: float, state: SimulatedState | Reference, reference: Reference
) -> bool:
    """Whether a robot has fallen: it is too low or too tilted, and its reference is not.

    Args:
        robot: The robot.
        standing: Height of the pelvis of the standing robot [m].
        state: Joints and base of the moment.
        reference: The reference of the moment.
    """
    height, wanted = (pelvis_height(robot, one) for one in (state, reference))
    lowest = min(FALL_HEIGHT * standing, wanted - FALL_DEPTH * standing)
    tipped = tipped_over(state.base_quaternion, reference.base_quaternion)
    return bool(height < lowest) or tipped is not None


def pelvis_height(robot: Robot, state: SimulatedState | Reference) -> float:
    """Height of the pelvis above the floor at one moment [m]."""
    rotation = Rotation.from_quat(state.base_quaternion).as_matrix()
    pose = Poses(state.base_position[None], rotation[None], state.positions[None])
    return float(kinematics_of(robot).pelvis(pose)[0, 2])


def simulate(
    robot: Robot,
    trajectory: RobotTrajectory,
    balancer: Balancer,
    config: SimulationConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Rollout:
    """Let a robot execute a trajectory in physics.

    The robot stands, moves into the first pose and then follows the trajectory, until its end or
    until it falls.

    Args:
        robot: The robot.
        trajectory: Its motion.
        balancer: What keeps it upright; 'pd' without a fixed base falls.
        config: Floor, disturbances and seed.
        progress: Called with (control steps done, all control steps).

    Raises:
        RobotError: the trajectory is for another robot.
        ConfigError: MuJoCo is not installed.
    """
    if trajectory.joint_names != robot.joint_names:
        raise RobotError(
            f"the trajectory is for {trajectory.robot or 'a robot'} with "
            f"{len(trajectory.joint_names)} joints, not for {robot.name} with {robot.num_joints}"
        )
    wanted, lead = references(robot, trajectory, balancer.standing)
    simulator = Simulator(robot, balancer.gains, config)
    z, w = wanted.base_quaternion[0, 2:]
    measured = simulator.reset(
        balancer.standing, wanted.base_position[0, :2], 2 * float(np.arctan2(z, w))
    )
    balancer.reset(measured)
    height = kinematics_of(robot).standing_height(balancer.standing)
    count = len(wanted.positions)
    states = [simulator.state()]
    fall_step = None
    for step in range(count - 1):
        measured = simulator.step(balancer.act(measured, wanted[step]))
        state = simulator.state()
        states.append(state)
        if simulator.floating and has_fallen(robot, height, state, wanted[step + 1]):
            fall_step = step + 1
            break
        if progress is not None:
            progress(step + 1, count - 1)
    # A robot that falls before the motion begins has at least two samples.
    begin = min(lead, len(states) - 2)
    return _rollout(robot, trajectory, balancer, simulator, wanted, states, begin, fall_step)


def _rollout(
    robot: Robot,
    trajectory: RobotTrajectory,
    balancer: Balancer,
    simulator: Simulator,
    wanted: Reference,
    states: list[SimulatedState],
    begin: int,
    fall_step: int | None,
) -> Rollout:
    rows = slice(begin, len(states))
    reference = _trajectory(trajectory, wanted[rows])
    did = {
        name: np.array([getattr(state, name) for state in states[rows]]) for name in vars(states[0])
    }
    motion = replace(
        reference,
        positions=did["positions"],
        velocities=did["velocities"],
        base_position=did["base_position"],
        base_quaternion=did["base_quaternion"],
    )
    effort, torques = simulator.physics.effort, did["torques"]
    bodies = [_key_bodies(robot, one) for one in (reference, motion)]
    pelvis = [kinematics_of(robot).pelvis(Poses.of(one)) for one in (reference, motion)]
    velocity = [np.gradient(place[:, :2], CONTROL_STEP, axis=0) for place in pelvis]
    away = pelvis[1] - pelvis[0]
    return Rollout(
        controller=balancer.name,
        reference=reference,
        motion=motion,
        up=fall_step is None,
        fall_time=None if fall_step is None else CONTROL_STEP * (fall_step - begin),
        joint_error=float(np.degrees(np.abs(motion.positions - reference.positions).mean())),
        key_body_error=float(100 * np.linalg.norm(bodies[1] - bodies[0], axis=-1).mean()),
        height_error=float(100 * np.abs(away[:, 2]).mean()),
        velocity_error=float(np.linalg.norm(velocity[1] - velocity[0], axis=-1).mean()),
        root_drift=float(np.linalg.norm(away[-1, :2])),
        saturation=float((np.abs(torques) > 0.999 * effort).mean()),
        torques=torques,
    )


def _trajectory(trajectory: RobotTrajectory, wanted: Reference) -> RobotTrajectory:
    count = len(wanted.positions)
    return RobotTrajectory(
        robot=trajectory.robot,
        joint_names=trajectory.joint_names,
        positions=wanted.positions,
        velocities=wanted.velocities,
        time_from_start=CONTROL_STEP * np.arange(count),
        base_position=wanted.base_position,
        base_quaternion=wanted.base_quaternion,
        fps=1 / CONTROL_STEP,
        text=trajectory.text,
    )


def _key_bodies(robot: Robot, motion: RobotTrajectory) -> np.ndarray:
    """(N, K, 3) key bodies in the frame of the base [m]."""
    kinematics = kinematics_of(robot)
    count = len(motion)
    poses = Poses(np.zeros((count, 3)), np.tile(np.eye(3), (count, 1, 1)), motion.positions)
    return kinematics.points(poses)[:, [kinematics.index[name] for name in KEY_BODIES]]

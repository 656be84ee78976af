"""MuJoCo model of a robot: masses, joints, motors and feet of a `Robot` on a floor."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pinocchio as pin

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots.description import CONTINUOUS, expand, joint_axis
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.robots.robot import Robot
from nextscale_core.simulation.config import INSTALL, PHYSICS_STEP, SimulationConfig

if TYPE_CHECKING:
    import mujoco

FRICTION_LOSS = 0.1
"""Dry friction of each joint [N m]."""

FOOT_RADIUS = 0.005
"""Radius of the spheres at the corners of the soles [m]."""

DEFAULT_ARMATURE = 0.01
"""Rotor inertia of joints that the profile's `armature` does not name [kg m^2]."""

_ROOT = "base"


@dataclass(frozen=True, eq=False)
class PhysicsModel:
    """A compiled MuJoCo model and where a robot's values are in its arrays.

    Attributes:
        model: The model; its masses, inertias and joints are those of `Robot.model`.
        joint_qpos: (J,) index of each commanded joint in `qpos`.
        joint_qvel: (J,) index of each commanded joint in `qvel`.
        effort: (J,) effort limits of the URDF [N m]; infinity where it states none.
        floating: True if the base moves.
    """

    model: mujoco.MjModel
    joint_qpos: np.ndarray
    joint_qvel: np.ndarray
    effort: np.ndarray
    floating: bool


def require_mujoco() -> Any:
    """The module `mujoco`.

    Raises:
        ConfigError: it is not installed; the message holds the command to install it.
    """
    try:
        installed = importlib.util.find_spec("mujoco") is not None
    except ValueError:  # a substitute module has no spec
        installed = False
    if not installed:
        raise ConfigError(f"simulation needs MuJoCo: {INSTALL}")
    import mujoco

    return mujoco


def physics_model(robot: Robot, config: SimulationConfig | None = None) -> PhysicsModel:
    """Build the MuJoCo model of a robot on a floor.

    The model is made from the robot's pinocchio model, not from the URDF, since MuJoCo's own reader
    drops the mass of the root link. Held and locked joints are fixed, followers are coupled to
    their leaders, and meshes are left out: only spheres at the corners of the soles touch the
    floor.

    Args:
        robot: The robot.
        config: Friction of the floor, and whether the base is fixed; it also is where the robot
            holds its legs (`Robot.base_held`).

    Raises:
        ConfigError: MuJoCo is not installed.
    """
    mujoco = require_mujoco()
    config = config or SimulationConfig()
    floating = not (config.fixed_base or robot.base_held)
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = PHYSICS_STEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    plane = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05])
    plane.contype, plane.conaffinity = 0, 1
    plane.friction[0] = config.friction
    bodies = _add_bodies(mujoco, spec, robot, floating)
    _add_feet(mujoco, bodies, robot, config.friction)
    _add_followers(mujoco, spec, robot)
    effort = _add_motors(mujoco, spec, robot)
    spec.add_sensor(
        name="accelerometer",
        type=mujoco.mjtSensor.mjSENS_ACCELEROMETER,
        objtype=mujoco.mjtObj.mjOBJ_SITE,
        objname=_ROOT,
    )
    model = spec.compile()
    joints = [model.joint(name) for name in robot.joint_names]
    return PhysicsModel(
        model=model,
        joint_qpos=np.array([int(joint.qposadr[0]) for joint in joints]),
        joint_qvel=np.array([int(joint.dofadr[0]) for joint in joints]),
        effort=effort,
        floating=floating,
    )


def _add_bodies(mujoco: Any, spec: Any, robot: Robot, floating: bool) -> list[Any]:
    """Add the base and one body per joint of the pinocchio model; returns them by joint number."""
    model = robot.model
    armature = expand(robot.profile.armature, list(model.names))
    root = spec.worldbody.add_body(name=_ROOT)
    root.add_site(name=_ROOT)
    if floating:
        root.add_freejoint()
    bodies = [spec.worldbody, root]
    for number in range(1, model.njoints):
        if number > 1:
            name, place = model.names[number], model.jointPlacements[number]
            body = bodies[model.parents[number]].add_body(
                name=name, pos=place.translation, quat=_wxyz(place.rotation)
            )
            index, limited = model.joints[number].idx_q, True
            limits = np.zeros(2)
            if model.joints[number].shortname() in CONTINUOUS:
                limited = False
            else:
                limits[:] = model.lowerPositionLimit[index], model.upperPositionLimit[index]
            body.add_joint(
                name=name,
                type=mujoco.mjtJoint.mjJNT_HINGE,
                axis=joint_axis(model, number),
                limited=limited,
                range=limits,
                armature=armature.get(name, DEFAULT_ARMATURE),
                frictionloss=FRICTION_LOSS,
            )
            bodies.append(body)
        _set_inertia(bodies[number], model.inertias[number])
    return bodies


def _set_inertia(body: Any, inertia: pin.Inertia) -> None:
    body.explicitinertial = True
    # MuJoCo refuses moving bodies without mass or inertia.
    body.mass = max(inertia.mass, 1e-6)
    body.ipos = inertia.lever
    moments, axes = np.linalg.eigh(inertia.inertia)
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    body.inertia = np.maximum(moments, 1e-9)
    body.iquat = _wxyz(axes)


def _add_feet(mujoco: Any, bodies: list[Any], robot: Robot, friction: float) -> None:
    kinematics = kinematics_of(robot)
    for side in ("left", "right"):
        # The levers at the foot point along the axes of the base at the zero posture.
        ankle, up = (kinematics.index[f"{side}_{part}"] for part in ("ankle", "foot_z"))
        lever = kinematics.offset[up] - kinematics.offset[ankle]
        for number in range(4):
            row = kinematics.index[f"{side}_sole{number}"]
            sphere = bodies[kinematics.owner[row] + 2].add_geom(
                name=f"{side}_sole{number}",
                type=mujoco.mjtGeom.mjGEOM_SPHERE,
                size=[FOOT_RADIUS, 0, 0],
                pos=kinematics.offset[row] + FOOT_RADIUS * lever / np.linalg.norm(lever),
            )
            sphere.contype, sphere.conaffinity, sphere.condim = 1, 0, 3
            sphere.friction[0] = friction


def _add_followers(mujoco: Any, spec: Any, robot: Robot) -> None:
    for name in list(robot.model.names)[2:]:
        rule = robot.mimics.get(name)
        if rule is not None:
            equality = spec.add_equality(
                type=mujoco.mjtEq.mjEQ_JOINT,
                name1=name,
                name2=rule.leader,
                objtype=mujoco.mjtObj.mjOBJ_JOINT,
            )
            # The length of `data` depends on the version of MuJoCo.
            equality.data[:5] = rule.offset, rule.multiplier, 0.0, 0.0, 0.0


def _add_motors(mujoco: Any, spec: Any, robot: Robot) -> np.ndarray:
    """Add a motor with a proportional-derivative law at each joint; returns effort limits."""
    model = robot.model
    effort = np.full(robot.num_joints, np.inf)
    for j, name in enumerate(robot.joint_names):
        stated = float(model.effortLimit[model.joints[model.getJointId(name)].idx_v])
        if stated > 0:
            effort[j] = stated
        spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            forcelimited=stated > 0,
            forcerange=[-stated, stated],
        )
    return effort


def _wxyz(rotation: np.ndarray) -> np.ndarray:
    x, y, z, w = pin.Quaternion(rotation).coeffs()
    return np.array([w, x, y, z])

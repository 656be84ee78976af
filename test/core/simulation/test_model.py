"""The MuJoCo model of a robot has the masses, joints and motors of its URDF."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

from nextscale_core.exceptions import ConfigError
from nextscale_core.robots import Robot, list_robots, load_robot
from nextscale_core.robots.urdf import read_urdf
from nextscale_core.simulation.config import SimulationConfig
from nextscale_core.simulation.model import FOOT_RADIUS, PhysicsModel, physics_model
from nextscale_core.simulation.simulator import standing_height

mujoco = pytest.importorskip("mujoco", reason="the extra nextscale[sim] is not installed")


def mass_matrix(physics: PhysicsModel, robot: Robot, posture: np.ndarray) -> np.ndarray:
    """Joint-space inertia without rotors, base level at the origin."""
    data = mujoco.MjData(physics.model)
    data.qpos[:7] = [0, 0, 0, 1, 0, 0, 0]
    followed = posture if robot.coupling is None else robot.coupling.positions(posture)
    for name, value in zip(list(robot.model.names)[2:], followed, strict=True):
        data.joint(name).qpos[0] = value
    mujoco.mj_forward(physics.model, data)
    count = physics.model.nv
    columns = np.zeros((count, count))
    for column, unit in zip(columns, np.eye(count), strict=True):
        mujoco.mj_mulM(physics.model, data, column, unit)
    return columns - np.diag(physics.model.dof_armature)


@pytest.mark.parametrize("name", list_robots(installed=True))
def test_the_inertia_of_every_robot_is_that_of_its_pinocchio_model(name):
    robot = load_robot(name)
    physics = physics_model(robot)
    random = np.random.default_rng(0)
    posture = random.uniform(
        np.maximum(robot.position_lower, -1), np.minimum(robot.position_upper, 1)
    )
    level = np.array([[0.0, 0.0, 0.0, 1.0]])
    q = robot.configurations(np.zeros((1, 3)), level, posture[None])[0]
    upper = np.triu(pin.crba(robot.model, robot.model.createData(), q))
    # At a level base, MuJoCo's base velocity in the world equals pinocchio's in the base.
    expected = upper + np.triu(upper, 1).T
    assert mass_matrix(physics, robot, posture) == pytest.approx(expected, abs=1e-4)


def test_the_mass_of_the_model_is_the_sum_of_the_masses_in_the_urdf(g1):
    stated = sum(read_urdf(g1.urdf_path).masses().values())
    assert float(physics_model(g1).model.body_mass.sum()) == pytest.approx(stated, rel=1e-9)


def test_motors_have_the_effort_limits_of_the_urdf_and_none_where_it_states_zero(g1, tmp_path):
    effort = dict(zip(g1.joint_names, physics_model(g1).effort, strict=True))
    assert effort["left_knee_joint"] == 139 and effort["right_wrist_yaw_joint"] == 5
    text = g1.urdf_path.read_text().replace('effort="139"', 'effort="0"')
    weak = tmp_path / "robot.urdf"
    weak.write_text(text)
    profile = Path(__file__).parents[3] / "config/robots/g1.yaml"
    robot = load_robot(str(weak), profile)
    physics = physics_model(robot)
    knee = robot.joint_names.index("left_knee_joint")
    assert physics.effort[knee] == np.inf and not physics.model.actuator_forcelimited[knee]


def test_the_lowest_points_of_the_feet_are_the_corners_of_the_soles(g1):
    physics = physics_model(g1)
    data = mujoco.MjData(physics.model)
    posture = np.zeros(g1.num_joints)
    data.qpos[:7] = [0, 0, standing_height(g1, posture), 1, 0, 0, 0]
    mujoco.mj_forward(physics.model, data)
    spheres = np.array(
        [data.geom(f"{side}_sole{n}").xpos for side in ("left", "right") for n in range(4)]
    )
    assert spheres[:, 2] == pytest.approx(FOOT_RADIUS, abs=1e-6)
    assert np.ptp(spheres[:4, 0]) == pytest.approx(0.17) and len(data.contact) <= 8


def test_joints_that_the_profile_holds_are_fixed_and_their_mass_is_kept():
    robot = load_robot("g1", joints="upper_body")
    physics = physics_model(robot)
    assert not physics.floating and physics.model.nv == robot.num_joints
    whole = sum(inertia.mass for inertia in load_robot("g1").model.inertias)
    assert float(physics.model.body_mass.sum()) == pytest.approx(whole)


def test_the_armature_is_that_of_the_profile(g1):
    physics = physics_model(g1)
    found = dict(zip(g1.joint_names, physics.model.dof_armature[physics.joint_qvel], strict=True))
    assert found["left_hip_roll_joint"] == 0.0251 and found["left_hip_pitch_joint"] == 0.01018


@pytest.mark.parametrize(
    ("key", "value"), [("friction", 0.0), ("delay", -1.0), ("push", np.nan), ("seed", -1)]
)
def test_a_setting_out_of_range_is_named_with_its_range(key, value):
    with pytest.raises(ConfigError, match=f"{key} must be within"):
        SimulationConfig(**{key: value})


def test_without_mujoco_the_error_holds_the_command_that_installs_it(g1, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ConfigError, match=r"pip install 'nextscale\[sim\]'"):
        physics_model(g1)

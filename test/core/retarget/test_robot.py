from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest

from nextscale_core.exceptions import RobotError
from nextscale_core.resources import resource
from nextscale_core.retarget import Robot, RobotState, list_robots, load_robot, read_profile
from nextscale_core.retarget import robot as robot_module
from nextscale_core.retarget.robot import build_robot, with_profile


def test_the_g1_has_29_joints_in_the_order_of_its_description(g1: Robot) -> None:
    assert g1.num_joints == 29
    assert g1.joint_names[0] == "left_hip_pitch_joint"
    assert g1.joint_names[-1] == "right_wrist_yaw_joint"
    assert (g1.position_lower < g1.position_upper).all()
    assert (g1.velocity_limit > 0).all() and (g1.acceleration_limit > 0).all()
    assert (g1.nominal >= g1.position_lower).all() and (g1.nominal <= g1.position_upper).all()


def test_limits_are_those_of_the_urdf(g1: Robot) -> None:
    limits = {
        joint.get("name"): joint.find("limit")
        for joint in ElementTree.parse(g1.urdf_path).findall("joint")
    }
    for j, name in enumerate(g1.joint_names):
        limit = limits[name]
        assert limit is not None
        assert g1.position_lower[j] == pytest.approx(float(limit.get("lower", "nan")))
        assert g1.position_upper[j] == pytest.approx(float(limit.get("upper", "nan")))
        assert g1.velocity_limit[j] == pytest.approx(float(limit.get("velocity", "nan")))


def test_a_later_pattern_wins(g1: Robot) -> None:
    limits = dict(zip(g1.joint_names, g1.acceleration_limit, strict=True))
    assert limits["left_hip_pitch_joint"] == 64.0
    assert limits["waist_roll_joint"] == 33.0
    assert limits["left_elbow_joint"] == 100.0


def test_an_unknown_robot_lists_the_known() -> None:
    with pytest.raises(RobotError, match=r"unknown robot 'g7'; known: .*g1"):
        load_robot("g7")
    assert "g1" in list_robots()


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    robot_module._load_known.cache_clear()
    with pytest.raises(RobotError, match=r"pip install example-robot-data==6\.0\.0"):
        load_robot("g1")


def test_a_profile_with_a_wrong_joint_names_the_nearest_right_one(g1: Robot) -> None:
    left = dict(g1.profile.left) | {"knee": "left_kneee_joint"}
    with pytest.raises(RobotError, match=r"parts\.left\.knee.*did you mean 'left_knee_joint'"):
        with_profile(g1, left=left)
    with pytest.raises(RobotError, match=r"parts\.torso.*did you mean 'torso_link'"):
        with_profile(g1, torso="torso_lnk")
    with pytest.raises(RobotError, match=r"nominal: no joint matches 'elbo'"):
        with_profile(g1, nominal={"elbo": 1.0})


def test_locked_joints_leave_the_trajectory(g1: Robot) -> None:
    robot = with_profile(g1, locked={"waist_roll_joint": 0.1, "*_wrist_yaw_joint": 0.0})
    assert robot.num_joints == 26
    assert "waist_roll_joint" not in robot.joint_names
    assert len(robot.position_lower) == len(robot.nominal) == 26


def test_a_body_part_cannot_be_locked(g1: Robot) -> None:
    with pytest.raises(RobotError, match=r"left_knee_joint' is also locked"):
        with_profile(g1, locked={"left_knee_joint": 0.3})


def test_any_urdf_is_loaded_with_a_profile(g1: Robot) -> None:
    robot = load_robot(str(g1.urdf_path), resource("config/robots/g1.yaml"))
    assert robot.joint_names == g1.joint_names
    with pytest.raises(RobotError, match="needs a profile"):
        load_robot(str(g1.urdf_path))


def test_a_broken_urdf_is_refused(tmp_path: Path) -> None:
    profile = read_profile(resource("config/robots/g1.yaml"))
    path = tmp_path / "broken.urdf"
    path.write_text("<robot><link")
    with pytest.raises(RobotError):
        build_robot(path, profile, ())
    with pytest.raises(RobotError, match="no URDF file"):
        load_robot(str(tmp_path / "absent.urdf"), resource("config/robots/g1.yaml"))


def test_a_continuous_joint_takes_two_entries(g1: Robot, tmp_path: Path) -> None:
    text = g1.urdf_path.read_text()
    name = '<joint name="left_shoulder_yaw_joint" type="revolute">'
    assert name in text
    path = tmp_path / "endless.urdf"
    path.write_text(text.replace(name, name.replace("revolute", "continuous")))
    robot = build_robot(path, g1.profile, g1.mesh_dirs)
    assert robot.model.nq == g1.model.nq + 1
    q = robot.configurations(np.zeros((1, 3)), np.array([[0, 0, 0, 1.0]]), robot.nominal[None])[0]
    plain = g1.configurations(np.zeros((1, 3)), np.array([[0, 0, 0, 1.0]]), g1.nominal[None])[0]
    data, expected = robot.model.createData(), g1.model.createData()
    pin.forwardKinematics(robot.model, data, q)
    pin.forwardKinematics(g1.model, expected, plain)
    assert np.allclose(data.oMi[20].homogeneous, expected.oMi[20].homogeneous)


def test_a_state_with_nan_or_a_wrong_shape_is_refused(g1: Robot) -> None:
    with pytest.raises(RobotError, match="positions holds NaN"):
        RobotState(np.full(29, np.nan))
    with pytest.raises(RobotError, match=r"velocities must have shape \(29,\)"):
        RobotState(g1.nominal, np.zeros(3))
    with pytest.raises(RobotError, match="norm 1"):
        RobotState(g1.nominal, base_quaternion=np.array([0, 0, 0, 2.0]))


def test_a_profile_is_a_value(g1: Robot) -> None:
    assert replace(g1.profile, name="other").name == "other"
    assert g1.profile.name == "g1"

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from core.conftest import standing_pose, waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import RobotError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX
from nextscale_core.resources import resource
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import (
    Robot,
    RobotState,
    list_robots,
    load_robot,
    load_robot_description,
    read_profile,
)
from nextscale_core.robots import robot as robot_module
from nextscale_core.robots.find_urdf import find_mesh
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.profile import Axes
from nextscale_core.robots.robot import build_robot, with_profile
from nextscale_core.safety import SafetyGate


def test_the_g1_has_29_joints_legs_first(g1: Robot) -> None:
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


def test_a_missing_package_names_the_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


JOINTS = {
    "g1": 29,
    "gr1": 29,
    "gr2": 27,
    "gr3": 29,
    "h1": 19,
    "human": 31,
    "icub": 29,
    "icub_2_7": 29,
    "jvrc1": 29,
    "romeo": 25,
    "simple_humanoid": 29,
    "t1": 21,
    "t1_29": 25,
    "talos": 28,
    "talos_full": 28,
}


def test_every_robot_of_the_package_is_tested_here() -> None:
    assert list_robots() == sorted(JOINTS)


@pytest.mark.parametrize("name", list_robots())
def test_a_robot_of_the_package_stands_upright_on_flat_feet(name: str) -> None:
    if name not in list_robots(installed=True):
        pytest.skip("its description is not installed")
    robot = load_robot(name)
    assert robot.num_joints == JOINTS[name]
    kinematics = kinematics_of(robot)
    points = kinematics.points(Poses(np.zeros((1, 3)), np.eye(3)[None], robot.nominal[None]))[0]
    at = {key: points[row] for key, row in kinematics.index.items()}
    assert at["left_hip"][1] > 0 > at["right_hip"][1]
    assert at["torso"][2] > at["left_hip"][2] > at["left_knee"][2] > at["left_ankle"][2]
    soles = points[kinematics.soles]
    assert np.ptp(soles[:, 2]) < 0.005
    for side in ("left", "right"):
        hip, knee, ankle = (at[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
        assert knee[0] > (hip[0] + ankle[0]) / 2 + 0.01
        assert at[f"{side}_toe"][0] > at[f"{side}_heel"][0]
        assert at[f"{side}_wrist"][2] < at[f"{side}_elbow"][2] < at[f"{side}_shoulder"][2]
        assert at[f"{side}_wrist"][0] > at[f"{side}_elbow"][0] - 0.01


def _stepping_clip(frames: int = 50) -> MotionClip:
    """Walks forward in small steps: legs swing, feet lift by turns."""
    time = np.arange(frames) / 20.0
    joints = np.repeat(standing_pose()[None], frames, axis=0)
    joints[..., 0] += 0.4 * time[:, None]
    for side, phase in (("left", 0.0), ("right", np.pi)):
        swing = np.sin(2 * np.pi * time + phase)
        for part, share in (("knee", 0.5), ("ankle", 1.0), ("foot", 1.0)):
            row = JOINT_INDEX[f"{side}_{part}"]
            joints[:, row, 0] += 0.10 * share * swing
            joints[:, row, 2] += 0.06 * np.maximum(0.0, np.cos(2 * np.pi * time + phase))
    return MotionClip(joints, text="steps")


@pytest.mark.parametrize("name", ["icub", "human", "simple_humanoid"])
def test_a_robot_of_the_package_walks_past_its_gate(name: str) -> None:
    robot = load_robot(name)
    trajectory = Retargeter(robot).retarget(_stepping_clip())
    report = SafetyGate(robot).review(trajectory).report
    assert report.outcome in ("pass", "repaired")
    assert trajectory.base_position[-1, 0] - trajectory.base_position[0, 0] > 0.25
    assert report.penetration < 0.02
    kinematics = kinematics_of(robot)
    turn = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    points = kinematics.points(Poses(trajectory.base_position, turn, trajectory.positions))
    left, right = (points[:, kinematics.index[f"{side}_ankle"]] for side in ("left", "right"))
    assert np.ptp(left[:, 0] - right[:, 0]) > 0.1


def test_the_root_link_may_lie_in_any_way(tmp_path: Path) -> None:
    plain = load_robot(str(toy_humanoid(tmp_path)), toy_profile(tmp_path))
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # forward is -y, up is x
    profile = toy_profile(
        tmp_path / "turned", ("name: doll", "name: doll\naxes: {forward: -y, up: x}")
    )
    turned = load_robot(str(toy_humanoid(tmp_path / "turned", turn=turn)), profile)
    assert np.allclose(turned.profile.axes.rotation(), turn.T)
    rng = np.random.default_rng(0)
    joints = rng.uniform(plain.position_lower, plain.position_upper, (5, plain.num_joints))
    poses = Poses(rng.normal(size=(5, 3)), np.repeat(np.eye(3)[None], 5, 0), joints)
    assert np.allclose(kinematics_of(plain).points(poses), kinematics_of(turned).points(poses))
    one, two = (Retargeter(robot).retarget(waving_clip()) for robot in (plain, turned))
    assert np.allclose(one.positions, two.positions, atol=1e-6)
    assert SafetyGate(turned).review(two).report.outcome == "pass"
    # base_link of ROS is the URDF's root link, in any orientation.
    model = pin.buildModelFromUrdf(str(turned.urdf_path), pin.JointModelFreeFlyer())
    data = model.createData()
    q = pin.neutral(model)
    q[3:7] = turned.root_quaternion(np.array([0.0, 0.0, 0.0, 1.0]))
    pin.forwardKinematics(model, data, q)
    knee = data.oMi[model.getJointId("left_knee")].translation
    assert knee[2] < -0.4 and knee[1] > 0.05


def test_axes_are_a_right_handed_turn() -> None:
    for forward in ("x", "-x", "y", "-y", "z", "-z"):
        for up in ("x", "-x", "y", "-y", "z", "-z"):
            if forward[-1] != up[-1]:
                turn = Axes(forward, up).rotation()
                assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) > 0


def test_position_limits_of_the_profile_replace_those_of_the_urdf(g1: Robot) -> None:
    robot = with_profile(g1, position={"*_knee_joint": (0.1, 1.5)})
    knee = robot.joint_names.index("left_knee_joint")
    assert (robot.position_lower[knee], robot.position_upper[knee]) == (0.1, 1.5)


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    urdf = toy_humanoid(tmp_path, limits={"left_knee": (0.0, 0.0)}, velocity={"right_knee": 0.0})
    with pytest.raises(RobotError, match=r"left_knee.*right_knee"):
        load_robot(str(urdf), toy_profile(tmp_path))
    wrong = toy_profile(
        tmp_path, ("knee: left_knee", "knee: lknee"), ("pelvis: base", "pelvis: bas")
    )
    with pytest.raises(RobotError, match=r"parts\.pelvis.*parts\.left\.knee"):
        load_robot(str(urdf), wrong)


def test_a_description_is_loaded_from_its_text(tmp_path: Path) -> None:
    path, profile = toy_humanoid(tmp_path), toy_profile(tmp_path)
    robot = load_robot_description(path.read_text(), profile)
    assert robot.joint_names == load_robot(str(path), profile).joint_names
    path.unlink()
    trajectory = Retargeter(robot).retarget(waving_clip())
    assert SafetyGate(robot).review(trajectory).report.outcome == "pass"
    part = load_robot_description(robot.urdf_path.read_text(), robot.profile, joints="upper_body")
    assert part.base_held
    with pytest.raises(RobotError, match="is empty"):
        load_robot_description("  ", profile)
    with pytest.raises(RobotError, match="cannot be read as a URDF"):
        load_robot_description("<robot><link", profile)


def test_a_description_of_a_topic_finds_its_meshes(
    g1: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_PACKAGE_PATH", str(g1.mesh_dirs[-1]))
    robot = load_robot_description(g1.urdf_path.read_text(), g1.profile)
    name = "package:///example-robot-data/robots/g1_description/urdf/g1_29dof_rev_1_0.urdf"
    assert find_mesh(name, robot.urdf_path, robot.mesh_dirs) == g1.urdf_path
    assert find_mesh("package://nowhere/a.stl", robot.urdf_path, robot.mesh_dirs) is None


def test_a_profile_that_names_its_urdf_is_a_robot(tmp_path: Path) -> None:
    toy_humanoid(tmp_path)
    profile = toy_profile(tmp_path, ("name: doll", "name: doll\nurdf: {path: doll.urdf}"))
    assert load_robot(str(profile)).num_joints == 23

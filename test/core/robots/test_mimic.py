"""Joints that mimic others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

from core.conftest import waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import RobotError
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.normal_equations import NormalEquations
from nextscale_core.robot_setup.check.robot_check import check_robot
from nextscale_core.robots import Robot, RobotState, load_robot
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.robot import hold_at
from nextscale_core.safety import SafetyGate


def mimicking(folder: Path, *rules: tuple[str, str], **wrong: object) -> Path:
    """The doll's URDF with `<mimic>` in some joints: (joint, attributes of the element)."""
    path = toy_humanoid(folder, **wrong)  # type: ignore[arg-type]
    text = path.read_text()
    for joint, attributes in rules:
        begin = text.index(f'<joint name="{joint}"')
        end = text.index("</joint>", begin)
        text = text[:end] + f"<mimic {attributes}/>" + text[end:]
    path.write_text(text)
    return path


def robot_of(folder: Path, *rules: tuple[str, str], profile: tuple = (), **wrong: object) -> Robot:
    return load_robot(str(mimicking(folder, *rules, **wrong)), toy_profile(folder, *profile))


YAW = ("right_hip_yaw", 'joint="left_hip_yaw" multiplier="-1"')
"""The right hip yaw mirrors the left."""


def angles(robot: Robot, positions: np.ndarray, *joints: str) -> np.ndarray:
    """Angle of joints in pinocchio's model, from the place of what they carry."""
    base = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]])
    q = robot.configurations(*base, positions[None])[0]
    found = []
    for joint in joints:
        model = robot.model.joints[robot.model.getJointId(joint)]
        wide = model.nq == 2
        found.append(np.arctan2(q[model.idx_q + 1], q[model.idx_q]) if wide else q[model.idx_q])
    return np.array(found)


def test_a_joint_that_mimics_another_is_not_commanded_and_moves_with_it(tmp_path: Path) -> None:
    robot = robot_of(tmp_path, YAW)
    assert "right_hip_yaw" not in robot.joint_names and "left_hip_yaw" in robot.joint_names
    assert robot.num_joints == len(robot.position_lower) == len(robot.nominal) == 22
    rule = robot.mimics["right_hip_yaw"]
    assert (rule.leader, rule.multiplier, rule.offset) == ("left_hip_yaw", -1.0, 0.0)
    positions = robot.nominal.copy()
    positions[robot.joint_names.index("left_hip_yaw")] = 0.4
    assert angles(robot, positions, "left_hip_yaw", "right_hip_yaw") == pytest.approx([0.4, -0.4])


def test_kinematics_of_whole_clips_move_the_follower_as_pinocchio_does(tmp_path: Path) -> None:
    robot = robot_of(
        tmp_path, YAW, ("right_elbow", 'joint="left_elbow" multiplier="0.5" offset="-0.2"')
    )
    rng = np.random.default_rng(0)
    joints = rng.uniform(robot.position_lower, robot.position_upper, (5, robot.num_joints))
    poses = Poses(np.zeros((5, 3)), np.tile(np.eye(3), (5, 1, 1)), joints)
    turns, origins = kinematics_of(robot).forward(poses)
    data = robot.model.createData()
    quaternion = np.tile([0.0, 0.0, 0.0, 1.0], (5, 1))
    for t, q in enumerate(robot.configurations(poses.base, quaternion, joints)):
        pin.forwardKinematics(robot.model, data, q)
        for body in range(robot.model.njoints - 2):
            assert origins[t, body] == pytest.approx(data.oMi[body + 2].translation, abs=1e-12)
            assert turns[t, body] == pytest.approx(data.oMi[body + 2].rotation, abs=1e-12)


def test_the_solvers_know_how_a_leader_moves_its_follower(tmp_path: Path) -> None:
    """The Jacobian of the whole-clip equations against differences."""
    robot = robot_of(tmp_path, YAW, ("right_elbow", 'joint="left_elbow" multiplier="0.5"'))
    kinematics = kinematics_of(robot)
    names = ["left_toe", "right_toe", "left_wrist", "right_wrist", "right_foot_x"]
    first = np.array([kinematics.index[name] for name in names])
    second = np.array([-1, -1, -1, kinematics.index["left_ankle"], kinematics.index["right_ankle"]])
    joints = np.arange(robot.num_joints)
    equations = NormalEquations(kinematics, first, second, joints, turns=False)
    rng = np.random.default_rng(1)
    at = rng.uniform(robot.position_lower, robot.position_upper)

    def residual(change: np.ndarray) -> np.ndarray:
        poses = Poses(np.array([[0.0, 0.0, 2.0]]), np.eye(3)[None], (at + change)[None])
        points = kinematics.points(poses)[0]
        other = np.where((second >= 0)[:, None], points[second], 0.0)
        return (points[first] - other).reshape(-1)

    step = 1e-6
    numeric = np.stack(
        [(residual(step * row) - residual(-step * row)) / (2 * step) for row in np.eye(len(at))], 1
    )
    poses = Poses(np.array([[0, 0, 2.0]]), np.eye(3)[None], at[None])
    goal = np.zeros((len(first), 3, 1))
    buffer = equations.jacobian(kinematics.frames(poses), goal, np.ones((len(first), 1)), 10.0)
    size = 6 + len(at)
    blocks, gradient = np.zeros((1, size, size)), np.zeros((1, size))
    equations.add_to(blocks, gradient, buffer)
    upper = np.triu(blocks[0])[6:, 6:]
    assert upper == pytest.approx(np.triu(numeric.T @ numeric), abs=1e-6)
    assert gradient[0, 6:] == pytest.approx(numeric.T @ residual(np.zeros(len(at))), abs=1e-6)


def test_a_motion_for_coupled_hips_keeps_the_coupling_and_passes_the_gate(tmp_path: Path) -> None:
    robot, free = robot_of(tmp_path, YAW), robot_of(tmp_path / "free")
    result = Retargeter(robot).retarget(waving_clip())
    assert result.joint_names == robot.joint_names
    report = SafetyGate(robot).review(result).report
    assert report.outcome != "rejected", report.line()
    # The same posture of the robot without the coupling has its foot at the same place.
    for positions in result.positions[::20]:
        full = dict(zip(robot.joint_names, positions, strict=True))
        full["right_hip_yaw"] = -full["left_hip_yaw"]
        apart = np.array([full[name] for name in free.joint_names])
        assert _right_foot(robot, positions) == pytest.approx(_right_foot(free, apart), abs=1e-9)


def _right_foot(robot: Robot, positions: np.ndarray) -> np.ndarray:
    base = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]])
    data = robot.model.createData()
    pin.forwardKinematics(robot.model, data, robot.configurations(*base, positions[None])[0])
    return data.oMi[robot.model.getJointId("right_ankle_roll")].translation.copy()


def test_the_leader_keeps_the_limits_of_every_joint_that_follows_it(tmp_path: Path) -> None:
    robot = robot_of(
        tmp_path,
        ("right_hip_yaw", 'joint="left_hip_yaw" multiplier="-2" offset="0.1"'),
        limits={"right_hip_yaw": (-0.5, 0.9)},
        velocity={"right_hip_yaw": 3.0},
        profile=(
            ("locked:\n", "limits:\n  acceleration: {default: 60, right_hip_yaw: 10}\nlocked:\n"),
        ),
    )
    left = robot.joint_names.index("left_hip_yaw")
    assert robot.position_lower[left] == pytest.approx(-0.4)
    assert robot.position_upper[left] == pytest.approx(0.3)
    assert robot.velocity_limit[left] == pytest.approx(1.5)
    assert robot.acceleration_limit[left] == pytest.approx(5.0)


def test_the_gate_refuses_what_takes_a_follower_beyond_its_limits(tmp_path: Path) -> None:
    free, coupled = (
        robot_of(tmp_path / name, *rules, limits={"right_hip_yaw": (-0.2, 0.2)})
        for name, rules in (("free", ()), ("coupled", (YAW,)))
    )
    trajectory = Retargeter(coupled).retarget(waving_clip())
    left = coupled.joint_names.index("left_hip_yaw")
    wide = trajectory.positions.copy()
    wide[:, left] = 0.3
    assert free.position_upper[free.joint_names.index("left_hip_yaw")] > 0.7
    report = SafetyGate(coupled).review(replace(trajectory, positions=wide)).report
    assert report.outcome == "rejected" and "left_hip_yaw" in report.line()


def test_chains_of_mimic_joints_are_resolved(tmp_path: Path) -> None:
    robot = robot_of(
        tmp_path,
        ("right_elbow", 'joint="left_wrist" multiplier="0.5" offset="-1"'),
        ("left_wrist", 'joint="right_wrist" multiplier="-1" offset="0.1"'),
    )
    rule = robot.mimics["right_elbow"]
    assert rule.leader == "right_wrist"
    assert (rule.multiplier, rule.offset) == pytest.approx((-0.5, -0.95))
    positions = robot.nominal.copy()
    positions[robot.joint_names.index("right_wrist")] = 0.2
    found = angles(robot, positions, "left_wrist", "right_elbow")
    assert found == pytest.approx([-0.1, -1.05])


def test_what_mimics_a_locked_joint_is_locked_with_it(tmp_path: Path) -> None:
    robot = robot_of(
        tmp_path,
        ("right_hip_yaw", 'joint="neck_yaw" multiplier="2" offset="0.1"'),
        profile=(("neck_yaw: 0.0", "neck_yaw: 0.2"),),
    )
    assert "right_hip_yaw" not in robot.joint_names and robot.coupling is None
    plain = robot_of(
        tmp_path / "plain", profile=(("neck_yaw: 0.0", "neck_yaw: 0.2\n  right_hip_yaw: 0.5"),)
    )
    placed = [
        one.model.jointPlacements[one.model.getJointId("right_hip_roll")].homogeneous
        for one in (robot, plain)
    ]
    assert placed[0] == pytest.approx(placed[1], abs=1e-12)


def test_a_follower_cannot_be_locked_or_named_alone(tmp_path: Path) -> None:
    mimicking(tmp_path, YAW)
    urdf = str(tmp_path / "doll.urdf")
    for key, value, message in (
        ("locked:\n", "locked:\n  right_hip_yaw: 0.1\n", "which moves; lock that joint"),
        ("locked:\n", "joints: [right_hip_yaw]\nlocked:\n", "joints: .*name that joint"),
    ):
        profile = toy_profile(tmp_path, (key, value))
        with pytest.raises(RobotError, match=f"'right_hip_yaw' mimics 'left_hip_yaw'.*|{message}"):
            load_robot(urdf, profile)
        assert [
            r for r in check_robot(urdf, profile).errors if message.split(".*")[-1] in r.message
        ]


def test_followers_of_held_joints_are_held_with_them(tmp_path: Path) -> None:
    path = mimicking(tmp_path, YAW)
    robot = load_robot(str(path), toy_profile(tmp_path), joints="upper_body")
    assert "left_hip_yaw" in robot.held and "right_hip_yaw" not in robot.held
    assert robot.base_held and robot.coupling is None
    moved = hold_at(robot, dict.fromkeys(robot.held, 0.0) | {"left_hip_yaw": 0.3})
    placed = moved.model.frames[moved.model.getFrameId("right_hip_yaw_link", pin.FrameType.BODY)]
    turned = pin.log3(placed.placement.rotation)[2]
    assert turned == pytest.approx(-0.3)


def test_a_leader_of_the_upper_body_is_held_where_a_leg_follows_it(tmp_path: Path) -> None:
    path = mimicking(tmp_path, ("right_hip_yaw", 'joint="left_wrist" multiplier="1"'))
    robot = load_robot(str(path), toy_profile(tmp_path), joints="upper_body")
    assert "left_wrist" in robot.held


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([("left_knee", 'joint="left_nee"')], "'left_knee' mimics 'left_nee', which does not"),
        ([("left_knee", 'joint="left_knee"')], "'left_knee' mimics itself"),
        (
            [("left_knee", 'joint="right_knee"'), ("right_knee", 'joint="left_knee"')],
            "mimics itself .left_knee -> right_knee -> left_knee",
        ),
        ([("left_knee", 'joint="right_knee" multiplier="two"')], "multiplier .* number, got 'two'"),
        ([("left_knee", 'joint="right_knee" offset="nan"')], "offset .* finite number, got 'nan'"),
        ([("left_knee", 'multiplier="1"')], "'left_knee' mimics ''"),
        (
            [("right_elbow", 'joint="left_elbow" offset="-9"')],
            "'right_elbow' .* mimics 'left_elbow' .* no position keeps the limits of both",
        ),
    ],
)
def test_a_mimic_that_makes_no_sense_is_refused(
    rules: list[tuple[str, str]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RobotError, match=message):
        robot_of(tmp_path, *rules)
    found = check_robot(str(tmp_path / "doll.urdf"), toy_profile(tmp_path))
    assert any(
        "mimics" in finding.message or "<mimic>" in finding.message for finding in found.errors
    )


def test_a_joint_can_mimic_a_continuous_one(tmp_path: Path) -> None:
    path = mimicking(tmp_path, ("right_wrist", 'joint="left_wrist" multiplier="0.5" offset="0.1"'))
    text = path.read_text()
    path.write_text(
        text.replace('name="left_wrist" type="revolute"', 'name="left_wrist" type="continuous"')
    )
    robot = load_robot(str(path), toy_profile(tmp_path))
    left = robot.joint_names.index("left_wrist")
    assert robot.continuous[left] and robot.continuous.sum() == 1
    # The right wrist may move by 0.8 rad to either side.
    assert robot.position_lower[left] == pytest.approx(-1.8)
    assert robot.position_upper[left] == pytest.approx(1.4)
    positions = robot.nominal.copy()
    positions[left] = 1.2
    assert angles(robot, positions, "left_wrist", "right_wrist") == pytest.approx([1.2, 0.7])
    assert SafetyGate(robot).review(Retargeter(robot).retarget(waving_clip())).trajectory


def test_a_continuous_joint_can_mimic_another(tmp_path: Path) -> None:
    path = mimicking(tmp_path, ("right_wrist", 'joint="left_wrist" multiplier="-2"'))
    text = path.read_text()
    path.write_text(
        text.replace('name="right_wrist" type="revolute"', 'name="right_wrist" type="continuous"')
    )
    robot = load_robot(str(path), toy_profile(tmp_path))
    left = robot.joint_names.index("left_wrist")
    assert (robot.position_lower[left], robot.position_upper[left]) == (-0.8, 0.8)
    positions = robot.nominal.copy()
    positions[left] = 0.7
    assert angles(robot, positions, "right_wrist") == pytest.approx([-1.4])


def test_self_collision_sees_where_the_follower_is(tmp_path: Path) -> None:
    robot = robot_of(
        tmp_path, ("right_shoulder_roll", 'joint="left_shoulder_roll" multiplier="-1"')
    )
    collisions = collision_model(robot)
    positions = np.tile(robot.nominal, (2, 1))
    positions[1, robot.joint_names.index("left_shoulder_roll")] = -0.3
    touching = {
        link for touch in collisions.touches(positions) for link in (touch.first, touch.second)
    }
    assert any(link.startswith("right_") for link in touching)
    assert not collisions.colliding(positions[:1]).any()


def test_a_state_of_the_coupled_robot_has_the_commanded_joints_only(tmp_path: Path) -> None:
    robot = robot_of(tmp_path, YAW)
    start = RobotState(robot.nominal)
    result = Retargeter(robot).retarget(waving_clip(), start=start)
    assert SafetyGate(robot).review(result, start=start).trajectory is not None


def test_robots_check_names_joints_that_mimic_others(tmp_path: Path) -> None:
    path = mimicking(tmp_path, YAW, limits={"right_hip_yaw": (-0.2, 0.2)})
    checked = check_robot(str(path), toy_profile(tmp_path))
    assert not checked.errors
    found = " ".join(r.message for r in checked.findings if r.about == "mimic")
    assert "right_hip_yaw = -1 * left_hip_yaw" in found
    assert "left_hip_yaw may move from -0.2 to 0.2 rad" in found
    odd = toy_profile(tmp_path, ("nominal:\n", "nominal:\n  right_hip_yaw: 0.15\n"))
    checked = check_robot(str(path), odd)
    assert "nominal puts right_hip_yaw at 0.15 rad" in checked.warnings[-1].message


def sliding(folder: Path, axis: str, rule: str) -> Path:
    """The doll with a linear actuator at the left shank: attributes of its `<mimic>`."""
    path = toy_humanoid(folder)
    box = '<geometry><box size="0.02 0.02 0.1"/></geometry>'
    rod = (
        f'<link name="rod"><collision>{box}</collision></link><joint name="slide" type="prismatic">'
        '<parent link="left_knee_link"/><child link="rod"/><origin xyz="-0.1 0 -0.2"/>'
        f'<axis xyz="{axis}"/><limit lower="-0.02" upper="0.03" velocity="0.2" effort="9"/>'
        f"<mimic {rule}/></joint></robot>"
    )
    path.write_text(path.read_text().replace("</robot>", rod))
    return path


@pytest.mark.parametrize("axis", ["0 0 1", "0.6 0 -0.8"])
def test_what_slides_with_a_joint_limits_it_and_does_not_stiffen_it(
    axis: str, tmp_path: Path
) -> None:
    rule = 'joint="left_ankle_pitch" multiplier="0.05" offset="0.01"'
    path = sliding(tmp_path, axis, rule)
    robot, plain = load_robot(str(path), toy_profile(tmp_path)), robot_of(tmp_path / "plain")
    assert robot.joint_names == plain.joint_names and robot.coupling is None
    ankle = robot.joint_names.index("left_ankle_pitch")
    assert (robot.position_lower[ankle], robot.position_upper[ankle]) == pytest.approx((-0.6, 0.4))
    assert robot.velocity_limit[ankle] == pytest.approx(4.0)
    # The rod is where the nominal posture puts it: 0.05 * -0.15 + 0.01.
    direction = np.array([float(value) for value in axis.split()])
    frame = robot.model.frames[robot.model.getFrameId("rod", pin.FrameType.BODY)]
    assert frame.placement.translation == pytest.approx([-0.1, 0, -0.2] + 0.0025 * direction)
    motions = [Retargeter(one).retarget(waving_clip()) for one in (robot, plain)]
    assert motions[0].positions == pytest.approx(motions[1].positions, abs=1e-6)
    checked = check_robot(str(path), toy_profile(tmp_path))
    assert not checked.errors
    assert any("slide is prismatic: what it carries stays" in w.message for w in checked.warnings)


def test_what_slides_with_a_body_part_is_refused_by_its_type(tmp_path: Path) -> None:
    path = mimicking(tmp_path, ("right_elbow", 'joint="left_elbow"'))
    kind = '<joint name="right_elbow" type="'
    path.write_text(path.read_text().replace(f"{kind}revolute", f"{kind}prismatic"))
    with pytest.raises(RobotError, match="'right_elbow' is prismatic and moves right_elbow"):
        load_robot(str(path), toy_profile(tmp_path))

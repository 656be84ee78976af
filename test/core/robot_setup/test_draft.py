from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

from core.conftest import waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.retarget import Retargeter
from nextscale_core.robot_setup.anatomy import find_anatomy
from nextscale_core.robot_setup.check.robot_check import check_robot
from nextscale_core.robot_setup.draft import draft_profile, grouped
from nextscale_core.robot_setup.draft_file import draft_yaml
from nextscale_core.robot_setup.footprint import Footprint
from nextscale_core.robots import Robot, load_robot, read_profile
from nextscale_core.robots.profile import LIMB_PARTS, SIDES, RobotProfile
from nextscale_core.safety import SafetyGate


def _same_places(robot: Robot, profile: RobotProfile) -> int:
    """How many of the 12 joints of a draft turn about the same point as the robot's."""
    model = pin.buildModelFromUrdf(str(robot.urdf_path), pin.JointModelFreeFlyer())
    data = model.createData()
    pin.forwardKinematics(model, data, pin.neutral(model))

    def place(name: str) -> np.ndarray:
        return np.asarray(data.oMi[model.getJointId(name)].translation)

    return sum(
        np.allclose(
            place(robot.profile.limb(side)[part]), place(profile.limb(side)[part]), atol=1e-3
        )
        for side in SIDES
        for part in LIMB_PARTS
    )


@pytest.mark.parametrize("name", ["talos", "talos_full", "icub", "simple_humanoid", "human"])
def test_a_draft_agrees_with_hand_written_profiles(name: str) -> None:
    robot = load_robot(name)
    draft = draft_profile(robot.urdf_path, name, robot.mesh_dirs)
    assert _same_places(robot, draft.profile) == 12
    assert draft.profile.axes == robot.profile.axes
    assert draft.profile.urdf.mesh_up == robot.profile.urdf.mesh_up
    assert (draft.profile.pelvis, draft.profile.torso) == (
        robot.profile.pelvis,
        robot.profile.torso,
    )


def test_check_accepts_a_draft_and_the_robot_moves(tmp_path: Path) -> None:
    urdf = toy_humanoid(tmp_path)
    path = tmp_path / "drafted.yaml"
    path.write_text(draft_yaml(draft_profile(urdf, beside=path)))
    assert not check_robot(str(path)).errors
    robot = load_robot(str(path))
    assert robot.num_joints == 23
    trajectory = Retargeter(robot).retarget(waving_clip())
    assert SafetyGate(robot).review(trajectory).report.outcome in ("pass", "repaired")


def test_a_draft_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    urdf = toy_humanoid(tmp_path)
    text, joint = urdf.read_text(), '<joint name="right_elbow" type="revolute">'
    assert joint in text
    urdf.write_text(text.replace(joint, f'{joint}<mimic joint="left_elbow" offset="-9"/>'))
    draft, path = draft_profile(urdf), tmp_path / "drafted.yaml"
    path.write_text(draft_yaml(draft))
    (note,) = [note for note in draft.notes if "cannot be loaded" in note]
    with pytest.raises(RobotError) as refused:
        load_robot(str(urdf), path)
    assert note.endswith(str(refused.value)) and "'right_elbow'" in note


def test_a_draft_reads_back_as_it_was_written(tmp_path: Path) -> None:
    draft = draft_profile(toy_humanoid(tmp_path), "a: strange 'name'")
    path = tmp_path / "drafted.yaml"
    path.write_text(draft_yaml(draft))
    profile = read_profile(path)
    assert profile.name == "a: strange 'name'"
    assert profile.left == draft.profile.left and profile.sole == draft.profile.sole
    assert profile.nominal == draft.profile.nominal and profile.locked == draft.profile.locked


def test_the_sole_is_the_bottom_of_the_foot(tmp_path: Path) -> None:
    sole = draft_profile(toy_humanoid(tmp_path)).profile.sole
    # A box of 0.22 m by 0.08 m from -0.07 to 0.15 m, 0.07 m below the ankle.
    assert sole.toe[2] == sole.heel[2] == pytest.approx(-0.07)
    assert sole.toe[0] == pytest.approx(0.15, abs=0.015)
    assert sole.heel[0] == pytest.approx(-0.07, abs=0.015)
    assert sole.half_width == pytest.approx(0.04, abs=0.006)


def test_without_shapes_the_sole_is_guessed_and_noted(tmp_path: Path) -> None:
    draft = draft_profile(toy_humanoid(tmp_path, boxes=False))
    assert any("soles are guessed" in note for note in draft.notes)
    assert draft.profile.sole.toe[2] < -0.05


def test_a_shape_that_cannot_be_read_is_left_out_and_noted(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    whole = draft_profile(path)
    head, box, rest = path.read_text().partition('<link name="waist_yaw_link">')
    rest = re.sub(r"<box [^>]*/>", '<mesh filename="meshes/torso.stl"/>', rest, count=1)
    path.write_text(head + box + rest)
    draft = draft_profile(path)
    assert draft.profile.sole == whole.profile.sole
    assert "collision shape of link 'waist_yaw_link': mesh 'meshes/torso.stl'" in draft.notes[0]
    assert not any("soles" in note for note in draft.notes)
    checked = check_robot(str(path), toy_profile(tmp_path))
    assert [finding.about for finding in checked.errors] == ["meshes"]


@pytest.mark.parametrize("forward", ["x", "-x", "y"])
def test_names_show_left_and_right_in_any_orientation(tmp_path: Path, forward: str) -> None:
    turn = {"x": np.eye(3), "-x": np.diag([-1.0, -1, 1])}.get(
        forward, np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    )
    profile = draft_profile(toy_humanoid(tmp_path, turn=turn)).profile
    assert profile.axes.forward == forward and profile.axes.up == "z"
    assert profile.left["knee"] == "left_knee" and profile.right["elbow"] == "right_elbow"


def test_feet_show_the_front_where_names_do_not(tmp_path: Path) -> None:
    plain = toy_humanoid(tmp_path / "plain")
    names = {
        joint: f"j{number}"
        for number, joint in enumerate(pin.buildModelFromUrdf(str(plain)).names[1:])
    }
    nameless = draft_profile(toy_humanoid(tmp_path, names=names, turn=np.diag([-1.0, -1, 1])))
    assert nameless.profile.axes.forward == "-x"
    assert nameless.profile.left["knee"] == names["left_knee"]
    assert nameless.profile.right["wrist"] == names["right_wrist"]
    assert any("do not show left and right" in note for note in nameless.notes)


def test_knees_bend_forward_whatever_their_sign(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    text = path.read_text()
    for side in ("left", "right"):
        start = text.index(f'<joint name="{side}_knee"')
        end = text.index("</joint>", start)
        knee = text[start:end].replace('xyz="0 1 0"', 'xyz="0 -1 0"')
        knee = knee.replace('lower="-0.05" upper="2.3"', 'lower="-2.3" upper="0.05"')
        text = text[:start] + knee + text[end:]
    path.write_text(text)
    nominal = draft_profile(path).profile.nominal
    assert nominal["left_knee"] == nominal["right_knee"] == -0.3
    assert nominal["left_hip_pitch"] == -0.15


def test_joints_outside_limbs_are_locked_and_missing_velocity_limits_set(tmp_path: Path) -> None:
    draft = draft_profile(toy_humanoid(tmp_path, velocity={"waist_yaw": 0.0, "left_knee": 100.0}))
    assert set(draft.profile.locked) == {"*_finger", "neck_yaw"}
    assert draft.profile.velocity == {"waist_yaw": 3.0, "left_knee": 3.0}


def test_a_urdf_without_limbs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stick.urdf"
    path.write_text(
        '<robot name="stick"><link name="a"/><link name="b"/><joint name="j" type="revolute">'
        '<parent link="a"/><child link="b"/><axis xyz="0 0 1"/>'
        '<limit lower="-1" upper="1" velocity="1" effort="1"/></joint></robot>'
    )
    with pytest.raises(RobotError, match="no two legs and two arms"):
        draft_profile(path)


def test_limits_too_narrow_for_bent_knees_are_noted(tmp_path: Path) -> None:
    draft = draft_profile(toy_humanoid(tmp_path, limits={"left_ankle_pitch": (0.0, 0.8)}))
    assert any("left_ankle_pitch should stand at -0.15" in note for note in draft.notes)


def test_pinocchios_own_humanoid_is_understood() -> None:
    anatomy = find_anatomy(pin.buildSampleModelHumanoid())
    assert anatomy.axes.up == "z"
    assert anatomy.limbs["left"]["knee"].startswith("lleg")
    assert anatomy.limbs["right"]["elbow"].startswith("rarm")


def test_patterns_match_only_the_names_they_replace() -> None:
    names = ["left_knee_joint", "right_knee_joint", "left_hip_1", "left_hip_2", "right_hip_1"]
    table = {"left_knee_joint": 1.0, "right_knee_joint": 1.0, "left_hip_1": 2.0}
    assert grouped(table, names) == {"*_knee_joint": 1.0, "left_hip_1": 2.0}


def test_the_hand_written_profile_of_the_doll_agrees(tmp_path: Path) -> None:
    robot = load_robot(str(toy_humanoid(tmp_path)), toy_profile(tmp_path))
    assert _same_places(robot, draft_profile(robot.urdf_path).profile) == 12


def _with_tilted_feet(path: Path, knee: float, ankle: float) -> Path:
    """Turn the frames of knees and ankles at zero [rad]."""
    text = path.read_text()
    for joint, turn in (("knee", knee), ("ankle_pitch", ankle)):
        for side in ("left", "right"):
            start = text.index(f'<joint name="{side}_{joint}"')
            end = text.index("/>", text.index("<origin", start))
            text = f'{text[:end]} rpy="0 {turn} 0"{text[end:]}'
    path.write_text(text)
    return path


@pytest.mark.parametrize(("knee", "ankle"), [(0.3, -0.05), (0.3, -0.26), (0.0, -0.3)])
def test_feet_need_not_be_level_at_the_zero_posture(
    tmp_path: Path, knee: float, ankle: float
) -> None:
    urdf, path = _with_tilted_feet(toy_humanoid(tmp_path), knee, ankle), tmp_path / "drafted.yaml"
    draft = draft_profile(urdf)
    sole, level = draft.profile.sole, draft.profile.sole.level
    assert np.arctan2(sole.tilt[2, 0], sole.tilt[0, 0]) == pytest.approx(-knee - ankle, abs=0.01)
    assert (level.toe[0], level.heel[0], level.toe[2]) == pytest.approx(
        (0.139, -0.059, -0.07), abs=2e-3
    )
    assert any("not level" in note for note in draft.notes)
    path.write_text(draft_yaml(draft))
    checked = check_robot(str(urdf), path)
    assert [found.about for found in checked.findings if found.severity != "ok"] == ["meshes"]


def test_limits_that_only_some_joints_lack_are_guessed(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    text = path.read_text()
    for side, limits in (("left", 'lower="-0.6" upper="0.6" '), ("right", "")):
        start = text.index(limits, text.index(f'<joint name="{side}_hip_roll"'))
        text = text[:start] + text[start + len(limits) :]
    path.write_text(text.replace('lower="-1.0" upper="1.0"', 'lower="0" upper="0"', 1))
    draft = draft_profile(path)
    assert draft.profile.position == {"left_hip_roll": (-1.5, 1.5)}
    assert "waist_yaw" in draft.profile.locked
    assert any("waist_yaw cannot move" in note for note in draft.notes)


def test_swapped_limits_are_noted(tmp_path: Path) -> None:
    draft = draft_profile(toy_humanoid(tmp_path, limits={"left_knee": (2.3, -0.05)}))
    assert draft.profile.position == {"left_knee": (-0.05, 2.3)}
    assert "left_knee" in draft.moving
    assert any("left_knee is above the upper one" in note for note in draft.notes)


def test_without_shapes_a_link_named_as_the_sole_has_its_height(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path, boxes=False)
    sole = (
        '<link name="l_sole"/><joint name="l_sole_joint" type="fixed"><origin xyz="0 0 -0.07"/>'
        '<parent link="left_ankle_roll_link"/><child link="l_sole"/></joint></robot>'
    )
    path.write_text(path.read_text().replace("</robot>", sole))
    draft = draft_profile(path)
    assert draft.profile.sole.toe[2] == -0.07
    assert any("the soles are at l_sole" in note for note in draft.notes)


def test_a_robot_on_wheels_is_refused_with_what_would_be_right(tmp_path: Path) -> None:
    urdf = toy_humanoid(tmp_path)
    foot = '"0.04 0 -0.05"/><geometry><box size="0.22 0.08 0.04"/>'
    wheel = '"0 0 0" rpy="1.5707963 0 0"/><geometry><cylinder radius="0.1" length="0.05"/>'
    text = urdf.read_text()
    assert text.count(foot) == 2
    urdf.write_text(text.replace(foot, wheel))
    with pytest.raises(RobotError, match=r"left_ankle_roll and right_ankle_roll.*flat collision"):
        draft_profile(urdf)


def test_a_part_of_a_draft_that_is_not_valid_is_named(tmp_path: Path, monkeypatch) -> None:
    sole = Footprint(0.1, -0.1, 0.0, 0.0, -1.0, 0.0)
    monkeypatch.setattr("nextscale_core.robot_setup.draft.footprint", lambda *_: sole)
    with pytest.raises(ConfigError, match=r"^the draft: half_width must be greater than 0"):
        draft_profile(toy_humanoid(tmp_path))

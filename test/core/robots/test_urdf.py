"""Valid URDFs, and the messages for others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from core.conftest import waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import RobotError
from nextscale_core.retarget import Retargeter
from nextscale_core.robot_setup.check.robot_check import check_robot
from nextscale_core.robot_setup.draft import draft_profile
from nextscale_core.robot_setup.draft_file import draft_yaml
from nextscale_core.robots import Robot, load_robot
from nextscale_core.robots.description import read_model
from nextscale_core.robots.hulls import link_hulls, link_points
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.safety import SafetyGate

LIMIT = '<limit lower="-0.05" upper="2.3" velocity="8.0" effort="80"/>'
"""Of both knees."""


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    path = toy_humanoid(folder)
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


def loaded(path: Path, *profile: tuple[str, str]) -> Robot:
    return load_robot(str(path), toy_profile(path.parent, *profile))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(
            '<robot name="doll">',
            '<robot name="doll" xmlns:xacro="http://www.ros.org/wiki/xacro">'
            '<xacro:include filename="legs.xacro"/>',
        ),
        lambda text: text.replace('<robot name="doll">', '<robot name="doll"><xacro:property/>'),
        lambda text: text.replace('upper="2.3"', 'upper="${pi}"'),
        lambda text: text.replace('name="base"', 'name="$(arg prefix)base"'),
    ],
)
def test_an_unexpanded_xacro_file_is_named(change: Callable[[str], str], tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    path.write_text(change(path.read_text()))
    for action in (lambda: loaded(path), lambda: read_model(path), lambda: link_points(path, [])):
        with pytest.raises(RobotError, match=r"xacro file that is not expanded.*'xacro FILE >"):
            action()
    (found,) = check_robot(str(path), toy_profile(tmp_path)).errors
    assert "xacro file that is not expanded" in found.message


def test_an_expanded_xacro_file_may_still_name_its_namespace(tmp_path: Path) -> None:
    namespace = '<robot name="doll" xmlns:xacro="http://www.ros.org/wiki/xacro">'
    assert loaded(changed(tmp_path, ('<robot name="doll">', namespace))).num_joints == 23


def test_a_default_namespace_does_no_harm(tmp_path: Path) -> None:
    named = '<robot name="doll" xmlns="http://www.ros.org">'
    robot = loaded(changed(tmp_path, ('<robot name="doll">', named)))
    assert robot.num_joints == 23
    assert {hull.link for hull in link_hulls(robot)} >= {"base", "left_knee_link"}


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "doll.sdf"
    path.write_text('<sdf version="1.10"><model name="doll"/></sdf>')
    with pytest.raises(RobotError, match="root element is <sdf>, that of a URDF is <robot>"):
        read_model(path)


@pytest.mark.parametrize("read", [read_model, draft_profile])
def test_a_missing_file_is_reported_as_such(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(RobotError, match=r"absent\.urdf: no such file$"):
        read(tmp_path / "absent.urdf")


def test_a_urdf_in_millimetres_is_refused_with_the_unit(tmp_path: Path) -> None:
    knee = ('<origin xyz="0 0 -0.4"/>', '<origin xyz="0 0 -400"/>')
    with pytest.raises(RobotError, match=r"knee' is 400 m from its parent; .* in millimetres\?"):
        read_model(changed(tmp_path, knee))


def test_quaternions_are_refused_in_the_version_that_ignores_them(tmp_path: Path) -> None:
    knee = '<origin xyz="0 0 -0.4"/>'
    turned = '<origin xyz="0 0 -0.4" quat_xyzw="0 0 0.70710678 0.70710678"/>'
    with pytest.raises(RobotError, match=r"'left_knee' has quat_xyzw.*version=\"1\.1\""):
        loaded(changed(tmp_path, (knee, turned)))
    for version in ("1.1", "1.2"):
        path = changed(tmp_path, (knee, turned), ("<robot ", f'<robot version="{version}" '))
        model = read_model(path)
        placement = model.jointPlacements[model.getJointId("left_knee")]
        assert placement.rotation[:, 0] == pytest.approx([0, 1, 0], abs=1e-6)


def test_a_shape_may_be_turned_by_a_quaternion(tmp_path: Path) -> None:
    plain = '<origin xyz="0 0 0.18"/>'
    turned = '<origin xyz="0 0 0.18" quat_xyzw="0 0 0.70710678 0.70710678"/>'
    path = changed(tmp_path, (plain, turned), ("<robot ", '<robot version="1.1" '))
    size = np.ptp(link_points(path, [])["waist_yaw_link"], axis=0)
    assert size == pytest.approx([0.26, 0.12, 0.3], abs=1e-6)
    with pytest.raises(RobotError, match="link 'waist_yaw_link' has quat_xyzw"):
        loaded(changed(tmp_path, (plain, turned)))


@pytest.mark.parametrize("effort", ["", ' effort="-1"'])
def test_a_limit_without_effort_does_no_harm(effort: str, tmp_path: Path) -> None:
    path = changed(tmp_path, (LIMIT, LIMIT.replace(' effort="80"', effort)))
    assert loaded(path).num_joints == 23
    checked = check_robot(str(path), toy_profile(tmp_path))
    assert not checked.errors
    found = " ".join(w.message for w in checked.warnings)
    assert "left_knee (effort), right_knee (effort)" in found


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            LIMIT.replace(' velocity="8.0"', ""),
            "velocity limit 0 rad/s (its <limit> has no positive velocity)",
        ),
        (
            LIMIT.replace('velocity="8.0"', 'velocity="-1"'),
            "velocity limit 0 rad/s (its <limit> has no positive velocity)",
        ),
        (
            LIMIT.replace(' lower="-0.05" upper="2.3"', ""),
            "(its <limit> has no lower and no upper)",
        ),
        ("", "from 0 to 0 rad only (its <limit> has no lower and no upper)"),
        (LIMIT.replace("-0.05", "0").replace("2.3", "0"), "may move from 0 to 0 rad only;"),
    ],
)
def test_a_limit_that_is_missing_is_named_and_the_profile_can_give_it(
    limit: str, words: str, tmp_path: Path
) -> None:
    path = changed(tmp_path, (LIMIT, limit))
    with pytest.raises(RobotError) as caught:
        loaded(path)
    message = str(caught.value)
    assert "joint 'left_knee'" in message and words in message
    assert "limits.velocity" in message or "limits.position" in message
    given = (
        "locked:\n",
        'limits:\n  velocity: {"*_knee": 8}\n  position: {"*_knee": [-0.05, 2.3]}\nlocked:\n',
    )
    robot = loaded(path, given)
    knee = robot.joint_names.index("left_knee")
    assert (robot.position_lower[knee], robot.position_upper[knee]) == (-0.05, 2.3)
    assert robot.velocity_limit[knee] == 8.0


def test_acceleration_limits_of_urdf_1_2_apply(tmp_path: Path) -> None:
    stated = LIMIT.replace("/>", ' acceleration="30" deceleration="20" jerk="500"/>')
    path = changed(tmp_path, (LIMIT, stated), ("<robot ", '<robot version="1.2" '))
    robot = loaded(path)
    knee, waist = (robot.joint_names.index(name) for name in ("left_knee", "waist_yaw"))
    assert robot.acceleration_limit[knee] == 20.0
    assert robot.acceleration_limit[waist] == 60.0
    tighter = ("locked:\n", "limits:\n  acceleration: {default: 60, left_knee: 10}\nlocked:\n")
    assert loaded(path, tighter).acceleration_limit[knee] == 10.0
    found = " ".join(w.message for w in check_robot(str(path), toy_profile(tmp_path)).warnings)
    assert "2 joints have a jerk limit, which is ignored" in found
    trajectory = Retargeter(robot).retarget(waving_clip())
    assert SafetyGate(robot).review(trajectory).report.acceleration_use <= 1.0


@pytest.mark.parametrize("value", ["0", "-3", "fast", "nan"])
def test_an_acceleration_limit_that_is_not_positive_is_refused(value: str, tmp_path: Path) -> None:
    path = changed(tmp_path, (LIMIT, LIMIT.replace("/>", f' acceleration="{value}"/>')))
    with pytest.raises(RobotError, match=f"acceleration limit of joint 'left_knee'.*{value}"):
        loaded(path)


def test_a_link_and_a_joint_may_have_one_name(tmp_path: Path) -> None:
    """Links and joints are named apart, and several makers use the same names for both."""
    path = toy_humanoid(tmp_path)
    camera = (
        '<link name="camera"/><link name="lens"/>'
        '<joint name="camera" type="fixed"><parent link="waist_yaw"/><child link="camera"/></joint>'
        '<joint name="lens_joint" type="fixed"><parent link="camera"/><child link="lens"/></joint>'
        "</robot>"
    )
    path.write_text(path.read_text().replace("_link", "").replace("</robot>", camera))
    profile = ("torso: waist_yaw_link", "torso: waist_yaw")
    robot = loaded(path, profile)
    plain = load_robot(str(toy_humanoid(tmp_path / "plain")), toy_profile(tmp_path / "plain"))
    assert robot.joint_names == plain.joint_names
    assert not check_robot(str(path), toy_profile(tmp_path, profile)).errors
    trajectories = [Retargeter(one).retarget(waving_clip()) for one in (robot, plain)]
    assert trajectories[0].positions == pytest.approx(trajectories[1].positions, abs=1e-9)
    assert SafetyGate(robot).review(trajectories[0]).trajectory is not None
    part = load_robot(str(path), toy_profile(tmp_path, profile), joints="upper_body")
    assert len(part.held) == 12
    lengths = [asdict(kinematics_of(one).lengths) for one in (part, plain)]
    assert lengths[0] == pytest.approx(lengths[1])


def test_the_messages_of_urdfdom_are_the_reason_and_are_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = changed(tmp_path, ('<parent link="left_knee_link"/>', '<parent link="nowhere"/>'))
    with pytest.raises(RobotError, match="nowhere") as caught:
        loaded(path)
    assert str(caught.value).count("parent link [nowhere]") == 1
    assert capfd.readouterr().err == ""


def _fixed(name: str, parent: str, child: str) -> tuple[str, str]:
    joint = f'<joint name="{name}" type="fixed"><parent link="{parent}"/><child link="{child}"/>'
    return "</robot>", f"{joint}</joint></robot>"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _fixed("rod", "left_knee_link", "right_knee_link"),
            "link 'right_knee_link' is the child of joints 'right_knee' and 'rod'; a URDF is a",
        ),
        (
            _fixed("rod", "left_knee_link", "left_knee_link"),
            "link 'left_knee_link' is the child of joints 'left_knee' and 'rod'",
        ),
        (
            _fixed("rod", "left_hip_yaw_link", "base"),
            "link 'base' carries itself .base <- left_hip_yaw_link <- base.; a URDF is a tree",
        ),
        (
            ("</robot>", '<link name="camera"/><link name="imu"/></robot>'),
            "no joint has 'base', 'camera', 'imu' as its child; a URDF has one root link",
        ),
    ],
)
def test_what_is_no_tree_is_refused_with_its_links(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RobotError, match=message):
        loaded(changed(tmp_path, change))


@pytest.mark.parametrize("mass", ["-5", "nan", "inf"])
def test_a_mass_that_is_not_valid_is_an_error_of_the_check(mass: str, tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    path.write_text(path.read_text().replace('mass value="1.0"', f'mass value="{mass}"', 1))
    found = check_robot(str(path)).errors
    assert any(one.about == "masses" and f"base ({mass} kg)" in one.message for one in found), found


@pytest.mark.parametrize(
    ("moments", "found"),
    [
        ('ixx="-0.02" iyy="0.05" izz="0.1"', "base (-0.02, 0.05, 0.1 kg m^2)"),
        ('ixx="0.01" iyy="0.01" izz="0.03"', "base (0.01, 0.01, 0.03 kg m^2)"),
        ('ixx="0.01" iyy="0.01" izz="nan"', "base (nan, nan, nan kg m^2)"),
        ('ixx="0.01" iyy="0.01" izz="0.02"', ""),
    ],
)
def test_an_inertia_that_no_body_has_is_a_warning_of_the_check(
    moments: str, found: str, tmp_path: Path
) -> None:
    path = toy_humanoid(tmp_path)
    text = re.sub(r"<inertia [^>]*/>", f"<inertia {moments}/>", path.read_text(), count=1)
    path.write_text(text)
    warnings = [w.message for w in check_robot(str(path)).warnings if w.about == "inertias"]
    assert len(warnings) == bool(found)
    assert not found or found in warnings[0]


def test_the_order_of_joints_is_not_that_of_the_file(tmp_path: Path) -> None:
    """Each joint comes before those it carries, and siblings are sorted by name."""
    plain = loaded(toy_humanoid(tmp_path))
    path = toy_humanoid(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:-1]), lines[-1]]))
    assert loaded(path).joint_names == plain.joint_names
    assert plain.joint_names[0] == "left_hip_yaw"


@pytest.mark.parametrize("stated", ['lower="0" upper="0" ', ""])
def test_a_draft_guesses_the_limits_that_a_cad_export_leaves_out(
    stated: str, tmp_path: Path
) -> None:
    path = toy_humanoid(tmp_path)
    path.write_text(re.sub(r'lower="[^"]*" upper="[^"]*" ', stated, path.read_text()))
    draft = draft_profile(path)
    assert draft.profile.position["left_knee"] == (-1.5, 1.5)
    assert "left_knee" in draft.moving
    assert any("no room to move" in note and "limits.position" in note for note in draft.notes)
    file = tmp_path / "drafted.yaml"
    file.write_text(draft_yaml(draft))
    robot = load_robot(str(path), file)
    assert robot.position_upper[robot.joint_names.index("left_knee")] == 1.5
    assert not check_robot(str(path), file).errors


def test_a_draft_locks_what_alone_has_no_room_and_is_no_body_part(tmp_path: Path) -> None:
    limits = {"left_wrist": (0.0, 0.0), "neck_yaw": (0.0, 0.0), "left_knee": (0.0, 0.0)}
    draft = draft_profile(toy_humanoid(tmp_path, limits=limits))
    assert "left_knee" in draft.profile.position
    assert "neck_yaw" not in draft.profile.position


def test_a_draft_of_a_robot_with_mimic_joints_can_be_loaded(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    text = path.read_text()
    for joint, leader in (("right_hip_yaw", "left_hip_yaw"), ("neck_yaw", "waist_yaw")):
        end = text.index("</joint>", text.index(f'<joint name="{joint}"'))
        text = text[:end] + f'<mimic joint="{leader}" multiplier="-1"/>' + text[end:]
    path.write_text(text)
    file = tmp_path / "drafted.yaml"
    file.write_text(draft_yaml(draft_profile(path)))
    robot = load_robot(str(path), file)
    assert {"right_hip_yaw", "neck_yaw"} & set(robot.joint_names) == set()
    assert {"left_hip_yaw", "waist_yaw"} <= set(robot.joint_names)
    assert not check_robot(str(path), file).errors


def test_a_mujoco_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "doll.xml"
    path.write_text('<mujoco model="doll"><worldbody/></mujoco>')
    with pytest.raises(RobotError, match=r"MuJoCo model.*convert it"):
        read_model(path)


def test_an_element_left_over_from_an_expansion_is_named(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    text = path.read_text().replace(
        '<robot name="doll">',
        '<robot name="doll" xmlns:xacro="http://ros.org/wiki/xacro"><xacro:camera name="a"/>',
    )
    path.write_text(text)
    with pytest.raises(RobotError, match="delete <xacro:camera>"):
        read_model(path)

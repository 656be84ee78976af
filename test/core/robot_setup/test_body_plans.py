"""Drafts and checks of robots with other body plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.plans import ARMS, X, Y, Z, body, write
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.motion import read_motion
from nextscale_core.resources import resource
from nextscale_core.retarget import Retargeter
from nextscale_core.retarget.targets import Targets, make_targets
from nextscale_core.robot_setup.check.robot_check import RobotCheck, check_robot
from nextscale_core.robot_setup.draft import Draft, draft_profile
from nextscale_core.robot_setup.draft_file import draft_yaml
from nextscale_core.robots import Robot, load_robot, read_profile
from nextscale_core.robots.kinematics import kinematics_of
from nextscale_core.rotations import unit

SIDES = ("left", "right")


def _drafted(folder: Path, urdf: Path) -> tuple[Draft, Path]:
    path = folder / "drafted.yaml"
    draft = draft_profile(urdf, beside=path)
    path.write_text(draft_yaml(draft))
    return draft, path


def _wrong(checked: RobotCheck, *about: str) -> list[str]:
    return [
        f"{finding.severity} {finding.message} | {finding.remedy}"
        for finding in checked.findings
        if finding.severity != "ok" and (not about or finding.about in about)
    ]


def _arm_errors(robot: Robot, motion: str) -> dict[str, float]:
    """Mean angle between the arm bones of robot and human [deg]."""
    kinematics = kinematics_of(robot)
    targets = make_targets(read_motion(resource(f"config/checkup/{motion}.npz")), kinematics)
    points = kinematics.points(Retargeter(robot).solve(targets))
    errors = {}
    for side in SIDES:
        for bone, parts in (
            ("upper_arm", ("shoulder", "elbow")),
            ("forearm", ("elbow", "wrist")),
        ):
            start, end = (points[:, kinematics.index[f"{side}_{part}"]] for part in parts)
            cosine = (unit(end - start) * targets.body.bones[f"{side}_{bone}"]).sum(-1)
            errors[f"{side}_{bone}"] = float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).mean())
    return errors


@pytest.mark.parametrize("root", ["pelvis", "chest"])
@pytest.mark.parametrize(
    ("arms", "elbow"),
    [
        ("wrist", "elbow"),
        ("elbow", "elbow"),
        ("t_pose", "elbow_turn"),
        ("clavicle", "arm_4"),
    ],
)
def test_a_draft_finds_the_limbs_of_every_body_plan(
    tmp_path: Path, arms: str, elbow: str, root: str
) -> None:
    draft, path = _drafted(tmp_path, write(tmp_path, body(arms, root)))
    profile = draft.profile
    for side in SIDES:
        limb = profile.limb(side)
        assert limb["knee"] == f"{side}_knee" and limb["ankle"] == f"{side}_ankle_roll"
        assert limb["elbow"] == f"{side}_{elbow}"
        assert limb["hip"].startswith(f"{side}_hip")
        assert ("wrist" in limb) == (arms in ("wrist", "clavicle"))
    trunk = ("base", "waist_link")
    assert (profile.pelvis, profile.torso) == (trunk if root == "pelvis" else trunk[::-1])
    assert "waist" in draft.moving and "neck" not in draft.moving
    assert not check_robot(str(path)).errors
    robot = load_robot(str(path))
    for motion in ("walk", "wave"):
        assert max(_arm_errors(robot, motion).values()) < 6.0


@pytest.mark.parametrize("arms", ["elbow", "t_pose"])
def test_where_an_arm_ends_at_the_elbow_the_end_of_the_forearm_is_measured(
    tmp_path: Path, arms: str
) -> None:
    draft, path = _drafted(tmp_path, write(tmp_path, body(arms)))
    side_ways = arms == "t_pose"
    along = (0.0, 0.28, 0.0) if side_ways else (0.0, 0.0, -0.31)
    assert draft.profile.hand == pytest.approx(along, abs=0.03)
    assert any("end at the elbow" in note for note in draft.notes)
    assert read_profile(path).hand == draft.profile.hand
    assert "wrist:" not in path.read_text()


def test_without_shapes_the_mass_shows_where_a_forearm_ends(tmp_path: Path) -> None:
    parts = {name: replace(part, to=None) for name, part in body("elbow").items()}
    urdf = write(tmp_path, parts)
    text = urdf.read_text()
    for side in SIDES:
        link = f'<link name="{side}_elbow_link"><inertial>'
        assert link in text
        text = text.replace(link, f'{link}<origin xyz="0.02 0 -0.14"/>')
    urdf.write_text(text)
    assert draft_profile(urdf).profile.hand == pytest.approx((0.04, 0.0, -0.28), abs=1e-3)


def test_legs_behind_a_waist_follow_the_human_as_those_of_a_pelvis_do(tmp_path: Path) -> None:
    heights = {}
    for root in ("pelvis", "chest"):
        _, path = _drafted(tmp_path / root, write(tmp_path / root, body(root=root)))
        robot = load_robot(str(path))
        kinematics = kinematics_of(robot)
        targets = make_targets(read_motion(resource("config/checkup/walk.npz")), kinematics)
        points = kinematics.points(Retargeter(robot).solve(targets))
        heights[root] = points[:, kinematics.index["pelvis"], 2]
        assert -0.02 < points[:, kinematics.soles, 2].min() < 0.02
        names = {n for row, n in enumerate(robot.joint_names) if kinematics.support[:, row].any()}
        assert "waist" in names
    # The pelvis link of the second is the waist's, 7 cm higher.
    assert np.allclose(heights["chest"] - heights["pelvis"], 0.07, atol=0.02)


def test_arms_taken_for_legs_are_an_error(tmp_path: Path) -> None:
    _, path = _drafted(tmp_path, write(tmp_path, body(root="chest")))
    text = path.read_text()
    legs, arms = ("hip_pitch", "knee", "ankle_roll"), ("shoulder_yaw", "elbow", "wrist")
    for side in SIDES:
        for leg, arm in zip(legs, arms, strict=True):
            for old, new in ((leg, "@"), (arm, leg), ("@", arm)):
                text = text.replace(f": {side}_{old}\n", f": {side}_{new}\n")
        text = text.replace(f"hip: {side}_shoulder_roll", f"hip: {side}_shoulder_yaw")
    path.write_text(text)
    found = _wrong(check_robot(str(path)), "limbs")
    assert len(found) == 2 and all(line.startswith("error") for line in found)
    assert "is an arm" in found[0] and "knee left_knee" in found[0]


def test_another_joint_than_the_elbow_is_an_error_that_names_it(tmp_path: Path) -> None:
    _, path = _drafted(tmp_path, write(tmp_path, body("t_pose")))
    text = path.read_text()
    for side in SIDES:
        text = text.replace(f"elbow: {side}_elbow_turn", f"elbow: {side}_arm_twist")
        text = text.replace(f"shoulder: {side}_shoulder_roll", f"shoulder: {side}_shoulder_pitch")
    path.write_text(text)
    checked = check_robot(str(path))
    assert any("the left elbow is left_arm_twist" in line for line in _wrong(checked, "limbs"))
    arm = [line for line in _wrong(checked, "wave") if "left upper arm" in line]
    assert len(arm) == 1 and arm[0].startswith("error")
    assert "parts.left.elbow: left_elbow_turn?" in arm[0]


@pytest.mark.parametrize(
    ("joint", "limits", "motion"),
    [("left_elbow", (-0.4, -0.25), "wave"), ("left_knee", (0.1, 0.35), "walk")],
)
def test_elbows_and_knees_that_hardly_bend_are_errors(
    tmp_path: Path, joint: str, limits: tuple[float, float], motion: str
) -> None:
    checked = check_robot(
        str(toy_humanoid(tmp_path, limits={joint: limits})), toy_profile(tmp_path)
    )
    found = [line for line in _wrong(checked, motion) if "hardly bends" in line]
    assert len(found) == 1 and found[0].startswith("error") and joint in found[0]
    assert f"{joint} is at its limit" in found[0]


def test_limits_that_keep_a_bone_from_following_are_named(tmp_path: Path) -> None:
    limits = {"left_shoulder_pitch": (-0.4, 0.4), "left_shoulder_roll": (-0.3, 0.3)}
    checked = check_robot(str(toy_humanoid(tmp_path, limits=limits)), toy_profile(tmp_path))
    found = [line for line in _wrong(checked, "wave") if "left upper arm" in line]
    assert len(found) == 1 and found[0].startswith("error")
    assert "left_shoulder_pitch is at its limit" in found[0] and "limits.position" in found[0]
    assert not any("right upper arm" in line for line in _wrong(checked, "wave"))


def test_a_foot_below_its_sole_is_seen_in_the_walk(tmp_path: Path) -> None:
    high = [(f"{end}, 0.0, -0.07]", f"{end}, 0.0, -0.01]") for end in ("[0.14", "[-0.06")]
    checked = check_robot(str(toy_humanoid(tmp_path)), toy_profile(tmp_path, *high))
    found = _wrong(checked, "walk")
    assert any("cm below the floor" in line and line.startswith("error") for line in found)


def test_a_joint_too_slow_to_walk_with_is_named(tmp_path: Path) -> None:
    slow = {f"{side}_hip_yaw": 0.1 for side in SIDES}
    checked = check_robot(str(toy_humanoid(tmp_path, velocity=slow)), toy_profile(tmp_path))
    found = [line for line in _wrong(checked, "walk") if "times as long" in line]
    assert len(found) == 1 and "hip_yaw would have to turn at" in found[0]


def test_feet_without_collision_shapes_are_measured_by_visual_shapes(tmp_path: Path) -> None:
    parts = {name: replace(part, visual="ankle" in name) for name, part in body().items()}
    draft, path = _drafted(tmp_path, write(tmp_path, parts))
    sole = draft.profile.sole
    assert sole.toe[2] == sole.heel[2] == pytest.approx(-0.06)
    assert sole.toe[0] == pytest.approx(0.16, abs=0.015)
    assert any("no collision shape" in note for note in draft.notes)
    found = _wrong(check_robot(str(path)), "sole")
    assert len(found) == 2 and all("its visual shape is measured" in line for line in found)
    text = path.read_text().replace("-0.06]", "-0.12]")
    path.write_text(text)
    assert any("the foot ends at -0.06" in line for line in _wrong(check_robot(str(path)), "sole"))


def test_toes_belong_to_the_sole(tmp_path: Path) -> None:
    parts = body()
    for side, y in (("left", 0.1), ("right", -0.1)):
        foot = parts[f"{side}_ankle_roll"]
        parts[f"{side}_toe"] = replace(
            foot, parent=f"{side}_ankle_roll", at=(0.16, y, 0.03), axis=Y, to=(0.24, y, 0.03)
        )
    draft, _ = _drafted(tmp_path, write(tmp_path, parts))
    assert draft.profile.left["ankle"] == "left_ankle_roll"
    assert draft.profile.sole.toe[0] == pytest.approx(0.25, abs=0.03)
    assert "left_toe" not in draft.moving


_STYLES = {
    "left_x": lambda name: name,
    "l_x": lambda name: name.replace("left_", "l_").replace("right_", "r_"),
    "L_X": lambda name: name.replace("left_", "L_").replace("right_", "R_").upper(),
    "x_l": lambda name: (
        f"{name[5:]}_l"
        if name.startswith("left_")
        else f"{name[6:]}_r"
        if name.startswith("right_")
        else name
    ),
    "LeftX": lambda name: name.title().replace("_", ""),
    "12_left_x": lambda name: f"idx{list(body('elbow')).index(name):02d}_{name}",
    "lleg_x": lambda name: name.replace("left_", "lside_").replace("right_", "rside_"),
}
_TURNS = {
    "x up z": np.eye(3),
    "-x up z": np.diag([-1.0, -1.0, 1.0]),
    "y up z": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "x up y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "z up y": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
}


@pytest.mark.parametrize("style", _STYLES)
@pytest.mark.parametrize("turn", _TURNS)
def test_a_draft_understands_names_and_directions(tmp_path: Path, style: str, turn: str) -> None:
    named = _STYLES[style]
    urdf = write(tmp_path, body("elbow"), turn=_TURNS[turn], named=named)
    profile = draft_profile(urdf).profile
    assert f"{profile.axes.forward} up {profile.axes.up}" == turn
    for side in SIDES:
        assert profile.limb(side)["knee"] == named(f"{side}_knee")
        assert profile.limb(side)["elbow"] == named(f"{side}_elbow")
    assert profile.hand == pytest.approx((0.0, 0.0, -0.31), abs=0.03)
    assert profile.sole.toe[2] == pytest.approx(-0.06)


@pytest.mark.parametrize("turn", _TURNS)
def test_knees_and_feet_show_the_sides_where_names_do_not(tmp_path: Path, turn: str) -> None:
    names = {name: f"joint{number}" for number, name in enumerate(body("t_pose"))}
    urdf = write(tmp_path, body("t_pose"), turn=_TURNS[turn], named=names.__getitem__)
    profile = draft_profile(urdf).profile
    assert f"{profile.axes.forward} up {profile.axes.up}" == turn
    assert profile.left["knee"] == names["left_knee"]
    assert profile.right["elbow"] == names["right_elbow_turn"]


@pytest.mark.parametrize("before", ["fixed", "floating"])
def test_a_root_link_without_a_body_changes_nothing(tmp_path: Path, before: str) -> None:
    draft, path = _drafted(tmp_path, write(tmp_path, body(), before=before))
    assert (draft.profile.pelvis, draft.profile.torso) == ("base", "waist_link")
    assert "to_world" not in draft.moving
    assert not check_robot(str(path)).errors


def test_a_foot_hangs_on_an_ankle_roll_away_from_the_ankle_pitch(tmp_path: Path) -> None:
    parts = body()
    for side, y in (("left", 0.1), ("right", -0.1)):
        roll = parts[f"{side}_ankle_roll"]
        parts[f"{side}_ankle_roll"] = replace(roll, at=(0.06, y, 0.05), to=(0.14, y, 0.01))
    draft, path = _drafted(tmp_path, write(tmp_path, parts))
    assert draft.profile.left["ankle"] == "left_ankle_roll"
    assert draft.profile.sole.toe[2] == pytest.approx(-0.04)
    assert not check_robot(str(path)).errors


def test_a_leg_begins_where_the_thigh_turns_beside_a_roll_joint(tmp_path: Path) -> None:
    parts = body()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name in ("hip_yaw", "hip_roll"):
            part = parts[f"{side}_{name}"]
            parts[f"{side}_{name}"] = replace(part, at=(0.03, sign * 0.02, part.at[2]))
    draft, path = _drafted(tmp_path, write(tmp_path, parts))
    assert draft.profile.left["hip"] == "left_hip_pitch"
    assert not check_robot(str(path)).errors


@pytest.mark.parametrize("joint", ["elbow", "knee"])
def test_the_origin_of_a_hinge_may_be_anywhere_on_its_axis(tmp_path: Path, joint: str) -> None:
    robots = {}
    for kind, aside in (("plain", 0.0), ("aside", 0.05)):
        parts = body()
        for side, sign in (("left", 1.0), ("right", -1.0)):
            x, y, z = parts[f"{side}_{joint}"].at
            at = (x, y + sign * aside, z)
            parts[f"{side}_{joint}"] = replace(parts[f"{side}_{joint}"], at=at)
        _, path = _drafted(tmp_path / kind, write(tmp_path / kind, parts))
        assert not _wrong(check_robot(str(path)), "symmetry", "knees", "walk", "wave")
        robots[kind] = load_robot(str(path))
    moved = [Retargeter(robot).solve(_wave(robot)).joints for robot in robots.values()]
    assert np.allclose(robots["plain"].nominal, robots["aside"].nominal, atol=0.02)
    assert np.abs(moved[0] - moved[1]).mean() < 0.01


def test_hips_without_a_lateral_axis_stand_with_bent_knees(tmp_path: Path) -> None:
    parts = body()
    axes = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [0.5, 0.6, -0.2], [0.0, 1.0, -1.0]]).T)[0].T
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, axis in zip(("hip_yaw", "hip_roll", "hip_pitch"), axes, strict=True):
            turned = tuple(axis * [1.0, sign, 1.0])
            joint = f"{side}_{name}"
            parts[joint] = replace(parts[joint], axis=turned, lower=-2.0, upper=2.0)
    _, path = _drafted(tmp_path, write(tmp_path, parts))
    robot = load_robot(str(path))
    knee = robot.nominal[robot.joint_names.index("left_knee")]
    assert knee == pytest.approx(0.3, abs=0.03)
    assert not _wrong(check_robot(str(path)), "nominal", "knees")


def test_the_right_arm_of_a_draft_hangs_as_the_left_does(tmp_path: Path) -> None:
    nominal = draft_profile(write(tmp_path, body("clavicle"))).profile.nominal
    signs = {X: -1, Y: 1, Z: -1}
    for name, part in ARMS["clavicle"].items():
        left, right = (nominal.get(f"{side}_{name}", 0.0) for side in SIDES)
        assert right == pytest.approx(signs[part.axis] * left, abs=0.03)


def test_left_and_right_swapped_in_the_names_are_noted(tmp_path: Path) -> None:
    swap = {"left": "right", "right": "left"}

    def named(name: str) -> str:
        side, _, rest = name.partition("_")
        return f"{swap[side]}_{rest}" if side in swap else name

    notes = draft_profile(write(tmp_path, body(), named=named)).notes
    assert any("do not fit the knees" in note for note in notes)


def test_a_missing_wrist_needs_the_end_of_the_forearm(tmp_path: Path) -> None:
    lines = [(f"    wrist: {side}_wrist\n", "") for side in SIDES]
    with pytest.raises(ConfigError, match=r"parts\.left\.wrist.*hand: \[x, y, z\]"):
        read_profile(toy_profile(tmp_path, *lines))
    hand = ("min_stance_width:", "hand: [0.0, 0.0, -0.25]\nmin_stance_width:")
    urdf, path = toy_humanoid(tmp_path), toy_profile(tmp_path, *lines, hand)
    robot, whole = load_robot(str(urdf), path), load_robot(str(urdf), toy_profile(tmp_path / "b"))
    # The hand stands where the wrist is: what the shoulders and elbows do is the same.
    moves = [Retargeter(r).solve(_wave(r)) for r in (robot, whole)]
    rows = [n for n, name in enumerate(robot.joint_names) if "wrist" not in name]
    assert np.abs(moves[0].joints - moves[1].joints)[:, rows].max() < 0.02
    with pytest.raises(ConfigError, match=r"hand must be \[x, y, z\] in metres"):
        read_profile(toy_profile(tmp_path, *lines, ("min_stance", "hand: far\nmin_stance")))


def _wave(robot: Robot) -> Targets:
    clip = read_motion(resource("config/checkup/wave.npz"))
    return make_targets(clip, kinematics_of(robot))


def test_forearms_and_soles_are_followed_where_other_joints_are_held(tmp_path: Path) -> None:
    _, path = _drafted(tmp_path, write(tmp_path, body("elbow")))
    robot = load_robot(str(path), joints=["*shoulder*", "*elbow", "*hip*", "*knee", "*ankle*"])
    assert robot.held
    trajectory = Retargeter(robot).retarget(read_motion(resource("config/checkup/wave.npz")))
    elbow = trajectory.positions[:, robot.joint_names.index("left_elbow")]
    assert np.ptp(elbow) > 0.4


def test_a_forearm_whose_collision_shape_covers_its_motor_only_is_measured_as_it_is_seen(
    tmp_path: Path,
) -> None:
    urdf = write(tmp_path, body("elbow"))
    text = urdf.read_text()
    motor = '<collision><geometry><box size="0.05 0.05 0.05"/></geometry></collision>'
    for side in SIDES:
        link, rest = text.split(f'<link name="{side}_elbow_link">', 1)
        shape, rest = rest.split("<inertial>", 1)
        seen = shape.replace("collision", "visual")
        text = (
            f'{link}<link name="{side}_elbow_link">{motor}{seen}<inertial>'
            f'<origin xyz="0 0 -0.15"/>{rest}'
        )
    urdf.write_text(text)
    draft, path = _drafted(tmp_path, urdf)
    for side in SIDES:
        assert draft.profile.limb(side)["elbow"] == f"{side}_elbow"
    assert draft.profile.hand == pytest.approx((0.0, 0.0, -0.31), abs=0.03)
    assert not _wrong(check_robot(str(path)), "limbs")


def test_bodies_of_a_hip_that_touch_in_a_walk_are_not_checked_and_the_draft_says_so(
    tmp_path: Path,
) -> None:
    urdf = write(tmp_path, body())
    pelvis = '<box size="0.1 0.16 0.1"/>'
    assert pelvis in urdf.read_text()
    # Its lower side is 8 mm above the thighs, which reach it when they swing.
    urdf.write_text(urdf.read_text().replace(pelvis, '<box size="0.3 0.16 0.114"/>'))
    draft, path = _drafted(tmp_path, urdf)
    pairs = {frozenset(pair) for pair in draft.profile.collision_ignore}
    assert pairs == {frozenset(("base", f"{side}_hip_pitch_link")) for side in SIDES}
    assert any("base and left_hip_pitch_link" in note for note in draft.notes)
    assert read_profile(path).collision_ignore == draft.profile.collision_ignore
    assert not _wrong(check_robot(str(path)), "walk", "wave")


def test_limbs_whose_joints_are_fixed_are_named(tmp_path: Path) -> None:
    urdf = write(tmp_path, body())
    lines = [
        line.replace('type="revolute"', 'type="fixed"')
        if any(part in line for part in ("shoulder", "elbow", "wrist"))
        else line
        for line in urdf.read_text().splitlines()
    ]
    urdf.write_text("\n".join(lines))
    with pytest.raises(RobotError, match=r"found 1 .*left_elbow, .* are fixed in this URDF"):
        draft_profile(urdf)

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from core.toy_humanoid import PROFILE, toy_humanoid, toy_profile
from nextscale_core.exceptions import RobotError
from nextscale_core.robot_setup.check import robot_check
from nextscale_core.robot_setup.check.robot_check import RobotCheck, check_robot


@pytest.fixture(autouse=True)
def without_motions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retarget walk and wave only in tests of valid robots; test_body_plans has the others."""
    if request.function not in (
        test_nothing_is_wrong_with_a_valid_robot,
        test_the_profile_replaces_a_velocity_limit_of_zero,
        test_wrong_axes_are_found_and_the_right_ones_proposed,
        test_a_profile_may_name_its_urdf,
        test_a_robot_of_the_package_is_found_by_name,
    ):
        monkeypatch.setattr(robot_check, "motion_findings", lambda *_: iter(()))


def _all(checked: RobotCheck, severity: str, about: str) -> list[str]:
    return [
        f"{finding.message} | {finding.remedy}"
        for finding in checked.findings
        if finding.severity == severity and finding.about == about
    ]


def _check(folder: Path, *changes: tuple[str, str], **wrong: object) -> RobotCheck:
    return check_robot(str(toy_humanoid(folder, **wrong)), toy_profile(folder, *changes))


def test_nothing_is_wrong_with_a_valid_robot(tmp_path: Path) -> None:
    checked = _check(tmp_path)
    assert checked.robot == "doll"
    assert not checked.errors
    assert [w.message for w in checked.warnings] == ["no visual geometry"]
    about = {finding.about for finding in checked.findings if finding.severity == "ok"}
    assert about >= {"urdf", "masses", "names", "limits", "symmetry", "axes", "knees", "sole"}


def test_an_unknown_name_is_refused_with_those_of_the_packaged_robots() -> None:
    with pytest.raises(RobotError, match=r"unknown robot 'nosuch'; known: g1, gr1"):
        check_robot("nosuch")


def test_a_file_that_is_not_a_urdf_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.urdf"
    path.write_text("<robot><link")
    assert _all(check_robot(str(path), toy_profile(tmp_path)), "error", "urdf")
    assert "no such file" in _all(check_robot(str(tmp_path / "no.urdf")), "error", "urdf")[0]


def test_every_wrong_name_is_found_at_once(tmp_path: Path) -> None:
    checked = _check(
        tmp_path,
        ("knee: left_knee", "knee: left_nee"),
        ("torso: waist_yaw_link", "torso: wast_yaw_link"),
        ('"*_finger"', '"*_fingre"'),
    )
    found = " ".join(_all(checked, "error", "names"))
    assert "left_nee" in found and "did you mean 'left_knee'" in found
    assert "did you mean 'waist_yaw_link'" in found
    assert "_fingre" in found


def test_every_wrong_key_is_found_at_once(tmp_path: Path) -> None:
    checked = _check(tmp_path, ("half_width: 0.035", "half_width: wide"), ("locked:", "lokced:"))
    found = _all(checked, "error", "profile")
    assert any("half_width" in line for line in found)
    assert any("did you mean 'locked'" in line for line in found)


def test_missing_meshes_are_named(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    box = '<box size="0.12 0.26 0.3"/>'
    text = path.read_text()
    assert box in text
    path.write_text(text.replace(box, '<mesh filename="package://nowhere/torso.stl"/>'))
    found = _all(check_robot(str(path), toy_profile(tmp_path)), "error", "meshes")
    assert len(found) == 1 and "package://nowhere/torso.stl" in found[0]


def test_missing_limits_are_found(tmp_path: Path) -> None:
    checked = _check(tmp_path, velocity={"left_knee": 0.0}, limits={"right_elbow": (0.0, 0.0)})
    found = " ".join(_all(checked, "error", "limits"))
    assert "'left_knee' has velocity limit 0" in found and "limits.velocity" in found
    assert "'right_elbow' may move from 0 to 0" in found
    checked = _check(tmp_path, velocity={"left_knee": 90.0}, limits={"waist_yaw": (-9.0, 9.0)})
    found = " ".join(_all(checked, "warning", "limits"))
    assert "left_knee" in found and "waist_yaw" in found


def test_the_profile_replaces_a_velocity_limit_of_zero(tmp_path: Path) -> None:
    limits = ("locked:\n", "limits:\n  velocity:\n    left_knee: 4.0\nlocked:\n")
    assert not _check(tmp_path, limits, velocity={"left_knee": 0.0}).errors


def test_sides_that_do_not_mirror_each_other_are_found(tmp_path: Path) -> None:
    checked = _check(
        tmp_path,
        limits={"right_hip_roll": (-0.2, 0.6)},
        velocity={"left_elbow": 3.0},
    )
    found = " ".join(_all(checked, "warning", "symmetry"))
    assert "left_hip_roll moves from -0.60 to 0.60" in found
    assert "left_elbow turns at up to 3.00" in found


def test_a_knee_that_bends_backward_is_an_error(tmp_path: Path) -> None:
    both = {f"{side}_knee": (-2.3, 0.05) for side in ("left", "right")}
    checked = _check(tmp_path, limits=both)
    assert "bends only 0.05 rad" in _all(checked, "error", "knees")[0]
    checked = _check(
        tmp_path,
        ('"*_knee": 0.30', '"*_knee": -0.30'),
        limits={f"{side}_knee": (-0.5, 2.3) for side in ("left", "right")},
    )
    assert "bent backward" in _all(checked, "error", "knees")[0]


def test_a_posture_outside_the_limits_is_an_error(tmp_path: Path) -> None:
    found = _all(_check(tmp_path, ('"*_knee": 0.30', '"*_knee": 3.0')), "error", "nominal")
    assert len(found) == 2 and "at most 2.3" in found[0]
    locked = _all(_check(tmp_path, ("neck_yaw: 0.0", "neck_yaw: 1.5")), "error", "locked")
    assert len(locked) == 1 and "lock it at 1" in locked[0]


def test_a_posture_in_which_bodies_touch_is_unusual(tmp_path: Path) -> None:
    arms = (
        ("left_shoulder_roll: 0.2", "left_shoulder_roll: -0.3"),
        ("right_shoulder_roll: -0.2", "right_shoulder_roll: 0.3"),
    )
    found = _all(_check(tmp_path, *arms), "warning", "collision")
    assert len(found) == 1 and "touch, so they are never checked" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("toe: [0.14, 0.0, -0.07]", "toe: [0.14, 0.0, -0.12]", "half_width"),
        ("toe: [0.14, 0.0, -0.07]", "toe: [0.25, 0.0, -0.07]", "reaches from -0.06 to 0.25"),
        ("half_width: 0.035", "half_width: 0.07", "wide"),
    ],
)
def test_a_sole_beside_the_foot_is_unusual(tmp_path: Path, old: str, new: str, word: str) -> None:
    change = [(old, new)]
    if "-0.12" in new:
        change.append(("heel: [-0.06, 0.0, -0.07]", "heel: [-0.06, 0.0, -0.12]"))
    found = _all(_check(tmp_path, *change), "warning", "sole")
    assert len(found) == 2 and word in found[0]


def test_stance_width_is_compared_with_feet_and_hips(tmp_path: Path) -> None:
    narrow = _check(tmp_path, ("min_stance_width: 0.14", "min_stance_width: 0.05"))
    assert "overlap" in _all(narrow, "error", "min_stance_width")[0]
    wide = _check(tmp_path, ("min_stance_width: 0.14", "min_stance_width: 0.4"))
    assert "straddle" in _all(wide, "warning", "min_stance_width")[0]


def test_a_robot_without_masses_is_found(tmp_path: Path) -> None:
    assert _all(_check(tmp_path, mass=0.0), "error", "masses")


def test_wrong_axes_are_found_and_the_right_ones_proposed(tmp_path: Path) -> None:
    lying = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # y up
    assert "try up: y" in _all(_check(tmp_path, turn=lying), "error", "axes")[0]
    backward = np.diag([-1.0, -1.0, 1.0])
    assert "try forward: -x" in _all(_check(tmp_path, turn=backward), "error", "axes")[0]
    axes = ("name: doll", "name: doll\naxes: {forward: -x, up: z}")
    assert not _check(tmp_path, axes, turn=backward).errors


def test_limbs_in_the_wrong_order_are_found(tmp_path: Path) -> None:
    checked = _check(tmp_path, ("hip: left_hip_pitch", "hip: left_ankle_pitch"))
    assert "do not follow each other" in _all(checked, "error", "names")[0]


def test_without_a_profile_only_the_urdf_is_checked(tmp_path: Path) -> None:
    checked = check_robot(str(toy_humanoid(tmp_path, velocity={"left_knee": 0.0})))
    assert not checked.errors
    assert any("left_knee" in finding.message for finding in checked.warnings)


def test_a_profile_may_name_its_urdf(tmp_path: Path) -> None:
    toy_humanoid(tmp_path)
    profile = toy_profile(tmp_path, ("name: doll", "name: doll\nurdf: {path: doll.urdf}"))
    assert not check_robot(str(profile)).errors


def test_a_robot_of_the_package_is_found_by_name() -> None:
    checked = check_robot("talos")
    assert checked.robot == "talos" and not checked.errors


def test_feet_wider_apart_than_hips_may_stand_beside_each_other(tmp_path: Path) -> None:
    wide = _check(
        tmp_path,
        ("half_width: 0.035", "half_width: 0.13"),
        ("min_stance_width: 0.14", "min_stance_width: 0.3"),
    )
    assert not _all(wide, "warning", "min_stance_width")


def test_limits_in_degrees_are_suspected(tmp_path: Path) -> None:
    path = toy_humanoid(tmp_path)
    text = re.sub(
        r'(lower|upper)="([^"]*)"',
        lambda found: f'{found[1]}="{np.rad2deg(float(found[2])):g}"',
        path.read_text(),
    )
    path.write_text(text)
    (tmp_path / "doll.yaml").write_text(PROFILE)
    found = check_robot(str(path), tmp_path / "doll.yaml").warnings
    assert any("are these degrees" in finding.remedy for finding in found)

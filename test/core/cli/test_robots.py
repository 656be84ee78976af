from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from core.conftest import waving_clip
from core.toy_humanoid import toy_profile
from nextscale_core.cli.app import app
from nextscale_core.exceptions import RobotError
from nextscale_core.motion import MotionClip, write_motion
from nextscale_core.resources import resource
from nextscale_core.retarget.config import RETARGET
from nextscale_core.robots import load_robot


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def talos() -> Path:
    try:
        return load_robot("talos").urdf_path
    except RobotError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("command", [("robots",), ("robots", "list")])
def test_all_robots_are_listed(command: tuple[str, ...], talos: Path) -> None:
    code, output = run(*command)
    assert code == 0, output
    for name, joints in (("icub", 29), ("romeo", 25), ("talos_full", 28), ("human", 31)):
        line = next(line for line in output.splitlines() if f" {name} " in line)
        assert f" {joints} " in line
    assert max(map(len, output.splitlines())) <= 100


def test_the_paths_of_descriptions_are_printed_on_demand(talos: Path) -> None:
    code, output = run("robots", "list", "--paths")
    assert code == 0, output
    assert f"talos: {talos}" in output.splitlines()


def test_a_robot_is_shown_with_its_limits_and_the_numbers_of_every_stage() -> None:
    code, output = run("robots", "show", "g1")
    assert code == 0, output
    shown = " ".join(output.split())
    assert "left_elbow_joint" in shown and "min_stance_width" in shown
    assert "ramp │ 0.5 │ Duration of the smooth start, and of the stop [s]." in shown
    code, output = run("robots", "show", "g1", "--json")
    assert code == 0, output
    tree = json.loads(output)
    g1 = load_robot("g1")
    assert tree["profile"]["name"] == "g1" and list(tree["joints"]) == list(g1.joint_names)
    limits = [joint["velocity [rad/s]"] for joint in tree["joints"].values()]
    np.testing.assert_allclose(limits, g1.velocity_limit, atol=1e-6)
    assert set(tree["stages"]) == {
        "targets",
        "foot_locking",
        "takeover",
        "inverse_kinematics",
        "smoothness",
        "balance",
        "time_parameterization",
        "gate",
        "repair",
        "dynamics",
    }
    assert tree["stages"]["targets"]["stance"] == RETARGET.targets.stance
    passes = tree["stages"]["inverse_kinematics"]["passes"]
    assert passes[0]["settle"] is True and len(passes) == len(RETARGET.inverse_kinematics.passes)
    code, output = run("robots", "show", "g2")
    assert code == 2 and "g2" in output


def test_a_draft_is_written_checked_and_used(talos: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine" / "talos.yaml"
    code, output = run("robots", "draft", talos, "--out", out)
    assert code == 0 and "28 joints move" in output
    code, output = run("robots", "check", talos, out)
    assert code == 0 and "0 errors" in output
    assert load_robot(str(out)).num_joints == 28
    code, output = run("robots", "draft", talos, "--out", out)
    assert code == 2 and "--force" in output


def test_a_draft_is_printed_without_a_file(talos: Path) -> None:
    code, output = run("robots", "draft", talos, "--name", "mine")
    assert code == 0 and "name: mine\n" in output and "knee: leg_left_4_joint" in output


def test_errors_end_with_exit_code_1(talos: Path, tmp_path: Path) -> None:
    out = tmp_path / "talos.yaml"
    run("robots", "draft", talos, "--out", out)
    out.write_text(out.read_text().replace("knee: leg_left_4_joint", "knee: leg_left_44_joint"))
    code, output = run("robots", "check", "--quiet", talos, out)
    assert code == 1
    assert "did you mean 'leg_left_4_joint'" in output and "1 error," in output


def test_what_is_no_urdf_is_one_line(tmp_path: Path) -> None:
    code, output = run("robots", "draft", tmp_path / "no.urdf")
    assert code == 2 and output.startswith("error: ")


def test_only_the_upper_body_is_retargeted(talos: Path, tmp_path: Path) -> None:
    from nextscale_core.motion.skeleton import JOINT_INDEX

    rest = {"hip": (0.07, 0.9), "knee": (0.08, 0.5), "ankle": (0.09, 0.08), "foot": (0.1, 0.03)}
    rest |= {"collar": (0.08, 1.4), "shoulder": (0.2, 1.45), "elbow": (0.25, 1.2)}
    rest |= {"wrist": (0.27, 0.95), "pelvis": (0.0, 0.98), "spine1": (0.0, 1.1)}
    rest |= {"spine2": (0.0, 1.24), "spine3": (0.0, 1.3), "neck": (0.0, 1.5), "head": (0.0, 1.6)}
    pose = np.zeros((len(JOINT_INDEX), 3))
    for name, row in JOINT_INDEX.items():
        y, z = rest[name.removeprefix("left_").removeprefix("right_")]
        pose[row] = (0.1 if "foot" in name else 0.0, -y if "right_" in name else y, z)
    motion = tmp_path / "stand.npz"
    write_motion(MotionClip(np.repeat(pose[None], 20, axis=0), text="stands"), motion)
    for option, joints in (("--upper-body", 16), ("--joints=arm_left_*", 7)):
        out = tmp_path / "out.npz"
        code, output = run("retarget", motion, "--robot", "talos", option, "--out", out)
        assert code == 0, output
        with np.load(out, allow_pickle=False) as arrays:
            assert arrays["positions"].shape[1] == joints
    code, output = run(
        "retarget", motion, "--upper-body", "--joints", "arm_*", "--out", tmp_path / "a.npz"
    )
    assert code == 2 and "give one of them" in output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("robots", "check", "doll.yaml", "other.yaml"), "are two profiles"),
        (("robots", "check", "g1", "doll.yaml"), "is the profile of 'doll', not of 'g1'"),
        (("retarget", "a.npz", "--robot", "doll.yaml", "--profile", "other.yaml"), "two profiles"),
        (("retarget", "a.npz", "--robot", "g1", "--profile", "doll.yaml"), "the profile of 'doll'"),
    ],
)
def test_two_profiles_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    toy_profile(tmp_path)
    shutil.copy("doll.yaml", "other.yaml")
    write_motion(waving_clip(), Path("a.npz"))
    out = ("--out", "b.npz") if words[0] == "retarget" else ()
    code, output = run(*words, *out)
    line = output.splitlines()[-1]
    assert code == 2 and line.startswith("error: ") and reason in line


def test_a_profile_of_the_same_name_replaces_the_packaged_one(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    text = resource("config/robots/g1.yaml").read_text()
    mine.write_text(text.replace("description: ", "description: mine, "))
    try:
        assert load_robot("g1", mine).profile.description.startswith("mine, ")
    except RobotError as error:
        pytest.skip(str(error))

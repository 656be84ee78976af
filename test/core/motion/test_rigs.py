"""Joints of rigs with unknown names: found by hierarchy and bones, or by a map."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from core.motion.rig_files import joints_of, moving_body, write_rig
from core.motion.rigs_of_the_field import RIGS
from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.motion import MotionClip, ReadOptions, read_bvh
from nextscale_core.motion.formats.rig_tree import name_hints
from nextscale_core.motion.formats.rigs import read_joint_map
from nextscale_core.motion.skeleton import JOINT_INDEX, JOINT_NAMES


def _differences(clip: MotionClip, joints: np.ndarray) -> np.ndarray:
    """(22,) largest distance of each joint, but for where the floor is [m]."""
    apart = clip.joints - joints
    apart -= np.median(apart, axis=(0, 1))
    return np.linalg.norm(apart, axis=-1).max(axis=0)


@pytest.mark.parametrize("ends", [True, False], ids=["End Sites", "no End Sites"])
@pytest.mark.parametrize("rig", RIGS)
def test_the_joints_of_the_field_s_rigs_are_found(rig: str, ends: bool, tmp_path: Path) -> None:
    body = moving_body(3, bend=0.8)
    write_rig(RIGS[rig], body, tmp_path / "a.bvh", ends=ends)
    apart = _differences(read_bvh(tmp_path / "a.bvh"), body.joints())
    for name in sorted(joints_of(RIGS[rig])):
        if not name.startswith("spine"):  # laid along a spine of any number of joints
            assert apart[JOINT_INDEX[name]] < 0.005, name
    assert apart.max() < 0.2  # joints that are built lie about where they belong


@pytest.mark.parametrize("rig", RIGS)
def test_joints_are_found_in_a_rig_that_stands_in_a_t_pose(rig: str, tmp_path: Path) -> None:
    body = moving_body(0, frames=3, bend=0.0)
    write_rig(RIGS[rig], body, tmp_path / "a.bvh")
    apart = _differences(read_bvh(tmp_path / "a.bvh"), body.joints())
    limbs = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    for name in JOINT_NAMES:
        if name.endswith(limbs):
            assert apart[JOINT_INDEX[name]] < 0.005, name


@pytest.mark.parametrize("seed", range(4))
def test_neither_names_nor_the_order_of_joints_matter(seed: int, tmp_path: Path) -> None:
    """The bones alone show which limb is which, and the feet which side."""
    generator = np.random.default_rng(seed)
    blocks = _shuffled(RIGS["nameless"].strip().splitlines(), generator)
    names = iter(generator.permutation(100).tolist())
    rig = "\n".join(re.sub(r"n\d+", f"j{next(names)}", line) for line in blocks)
    body = moving_body(seed, bend=0.6)
    write_rig(rig, body, tmp_path / "a.bvh")
    clip = read_bvh(tmp_path / "a.bvh")
    assert _differences(clip, body.joints()).max() < 0.005
    assert any(note.kind == "joints" and "left_knee = 'j" in str(note) for note in clip.notes)


def _shuffled(lines: list[str], generator: np.random.Generator) -> list[str]:
    """Siblings of an indented text in another order."""
    depth = len(lines[0]) - len(lines[0].lstrip())
    starts = [i for i, line in enumerate(lines) if len(line) - len(line.lstrip()) == depth]
    blocks = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    shuffled = [blocks[i] for i in generator.permutation(len(blocks))]
    return [
        line
        for block in shuffled
        for line in (block[0], *(_shuffled(block[1:], generator) if block[1:] else []))
    ]


@pytest.mark.parametrize(
    ("name", "side", "joint"),
    [
        ("LThigh", "left", "hip"), ("r_upleg_JNT", "right", "hip"), ("thigh.R", "right", "hip"),
        ("lshin", "left", "knee"), ("Bip001 L UpperArm", "left", "shoulder"),
        ("CC_Base_R_Forearm", "right", "elbow"), ("LUArm", "left", "shoulder"),
        ("RIGHTFOOT", "right", "ankle"), ("ElbowRight", "right", "elbow"),
        ("lowerarm_r", "right", "elbow"), ("L5", "", ""), ("Armature", "", ""),
        ("lThighTwist", "left", ""), ("lThighBend", "left", "hip"), ("leg", "", "hip"),
        ("左足", "left", ""),
    ],
)  # fmt: skip
def test_a_name_hints_at_a_side_and_a_joint(name: str, side: str, joint: str) -> None:
    hint = name_hints([name])[0]
    assert hint.side == side
    assert (hint.joints or ("",))[0] == joint


_ODD = RIGS["LAFAN1, Qualisys, Captury"].replace("{Side}ForeArm", "{Side}Tentacle")


def test_a_limb_with_an_odd_name_is_found_by_its_bones(tmp_path: Path) -> None:
    body = moving_body()
    write_rig(_ODD, body, tmp_path / "a.bvh")
    assert _differences(read_bvh(tmp_path / "a.bvh"), body.joints()).max() < 0.005


_ONE_ARM = """
Hips | pelvis
  *
    {Side}UpLeg | hip
      {Side}Leg | knee
        {Side}Foot | ankle
  Spine | spine2
    Neck | neck
      Head | head
    Arm | left_shoulder
      ForeArm | left_elbow
        Hand | left_wrist
    Hose | right_shoulder
      Hose2 | right_elbow | 0 0.2 0
        Hose3 | right_elbow
          Hose4 | right_wrist | 0 0.3 0
            Hose5 | right_wrist
"""


def test_the_matched_and_the_other_joints_are_listed(tmp_path: Path) -> None:
    rig = re.sub(r"  *    Hose.*\n", "", _ONE_ARM)
    write_rig(re.sub(r"\n +Hose.*", "", rig), moving_body(), tmp_path / "a.bvh")
    with pytest.raises(MotionFileError) as caught:
        read_bvh(tmp_path / "a.bvh")
    message = str(caught.value)
    assert "joints not found: left_shoulder, right_shoulder" in message
    assert "left_knee = 'LeftLeg'" in message
    assert "'ForeArm'" in message
    assert "--map" in message


def test_a_map_overrides_what_is_found(tmp_path: Path) -> None:
    body = moving_body()
    write_rig(_ONE_ARM, body, tmp_path / "a.bvh")
    names = {
        "left_shoulder": "Arm", "left_elbow": "ForeArm", "left_wrist": "Hand",
        "right_shoulder": "Hose", "right_elbow": "Hose3", "right_wrist": "Hose5",
        "pelvis": "Hips", "neck": "Neck", "head": "Head",
    }  # fmt: skip
    (tmp_path / "map.yaml").write_text(
        "".join(f"{ours}: {theirs}\n" for ours, theirs in names.items()), encoding="utf-8"
    )
    options = ReadOptions(joint_map=read_joint_map(tmp_path / "map.yaml"))
    apart = _differences(read_bvh(tmp_path / "a.bvh", options), body.joints())
    for name in names:
        assert apart[JOINT_INDEX[name]] < 0.005, name


def test_a_map_to_a_joint_that_the_file_lacks_is_refused_with_the_nearest(tmp_path: Path) -> None:
    write_rig(RIGS["Unity"], moving_body(), tmp_path / "a.bvh")
    options = ReadOptions(joint_map={"left_knee": "LeftLowLeg"})
    with pytest.raises(MotionFileError, match=r"'LeftLowLeg'.*LeftLowerLeg"):
        read_bvh(tmp_path / "a.bvh", options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left_kne: LeftLeg", "nearest is left_knee"),
        ("left_knee: [a]", "left_knee must be the name"),
        ("- left_knee", "lines like"),
        ("", "lines like"),
        ("a: b: c", "YAML"),
    ],
)
def test_a_malformed_map_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_joint_map(tmp_path / "map.yaml")


def test_a_hierarchy_of_hundreds_of_limbs_is_refused_in_seconds(tmp_path: Path) -> None:
    chain = "JOINT L_leg{0}\n{{\nOFFSET 0 -4 0\n" + "JOINT L_leg{0}b\n{{\nOFFSET 0 -4 0\n" * 2
    chains = "".join(chain.format(i) + "}\n}\n}\n" for i in range(600))
    (tmp_path / "a.bvh").write_text(
        f"HIERARCHY\nROOT r\n{{\nOFFSET 0 0 0\nCHANNELS 1 Xposition\n{chains}}}\n"
        "MOTION\nFrames: 2\nFrame Time: 0.05\n1\n2\n",
        encoding="utf-8",
    )
    begin = time.monotonic()
    with pytest.raises(MotionFileError, match="joints not found"):
        read_bvh(tmp_path / "a.bvh")
    assert time.monotonic() - begin < 30.0

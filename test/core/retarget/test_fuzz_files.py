"""Descriptions and profiles that are broken, altered or meant to harm: typed errors only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.robots import load_robot_description, read_profile
from nextscale_core.robots.kinematics import kinematics_of

few = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@settings(few, max_examples=40)
@given(data=st.data())
def test_a_description_cut_short_or_altered_raises_typed_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("doll")
    text = toy_humanoid(folder).read_text()
    profile = read_profile(toy_profile(folder))
    at = data.draw(st.integers(0, len(text) - 1))
    kind = data.draw(st.sampled_from(["cut", "drop", "insert"]))
    if kind == "cut":
        text = text[:at]
    elif kind == "drop":
        text = text[:at] + text[at + data.draw(st.integers(1, 60)) :]
    else:
        extra = ["nan", "inf", "-", "<", ">", '"', "1e999", "&x;", "\x00", "\ud800", "é", " "]
        text = text[:at] + data.draw(st.sampled_from(extra)) + text[at:]
    try:
        robot = load_robot_description(text, profile)
    except (RobotError, ConfigError) as error:
        assert str(error)
        return
    assert np.isfinite(kinematics_of(robot).offset).all()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<robot", '<?xml version="1.0" encoding="klingon"?><robot'),
        ("<robot", '<?xml version="1.0" encoding="utf-16"?><robot'),
        ("</robot>", "</robot>\x00"),
        ("</robot>", '<link name="base"/></robot>'),
        ("<robot", "<robot>" + "<a>" * 5000 + "</a>" * 5000 + "</robot><robot"),
        ('<axis xyz="0 0 1"/>', '<axis xyz="0 0 0"/>'),
        ('type="revolute"', 'type="prismatic"'),
        ('<origin xyz="0 0 0.1"/><axis', '<origin xyz="1e300 0 0"/><axis'),
        ("doll", "\ud800"),
    ],
)
def test_a_hostile_description_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = toy_humanoid(tmp_path).read_text()
    assert old in text
    with pytest.raises(RobotError):
        load_robot_description(text.replace(old, new), toy_profile(tmp_path))


def test_entities_do_not_blow_up(tmp_path: Path) -> None:
    bomb = "".join(
        f'<!ENTITY {a} "{f"&{b};" * 10}">' for a, b in zip("bcdefghij", "abcdefghi", strict=True)
    )
    text = toy_humanoid(tmp_path).read_text().replace('"doll"', '"&j;"')
    text = f'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">{bomb}]>{text}'
    with pytest.raises(RobotError):
        load_robot_description(text, toy_profile(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("torso: waist_yaw_link", "torso: waist_yaw_lnk", "'waist_yaw_lnk'.*'waist_yaw_link'"),
        ("knee: left_knee", "knee: left_kne", "'left_kne'.*did you mean 'left_knee'"),
        ("half_width", "half_widht", "sole.half_widht; did you mean 'half_width'"),
        ('"*_elbow"', '"*_elbwo"', r"'\*_elbwo'; did you mean '\*_elbow'"),
        ("neck_yaw: 0.0", "neck_yav: 0.0", "'neck_yav'; did you mean 'neck_yaw'"),
        ("min_stance_width", "min_stance_widht", "did you mean 'min_stance_width'"),
        ("name: doll", "name: ../../doll", "name must be"),
        ("name: doll", 'name: "do\\0ll"', "name must be"),
        ("half_width: 0.035", "half_width: 1" + "0" * 400, "half_width must be a valid number"),
        ("name: doll", "name: 2020-13-45", "is not valid YAML"),
        ("name: doll", "name: " + "[" * 5000, "is not valid YAML"),
    ],
)
def test_a_wrong_profile_says_what_would_be_right(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = toy_humanoid(tmp_path).read_text()
    with pytest.raises((ConfigError, RobotError), match=message):
        load_robot_description(text, toy_profile(tmp_path, (old, new)))


@settings(few, max_examples=60)
@given(data=st.data())
def test_any_value_in_a_profile_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("doll")
    path = toy_profile(folder)
    tree = yaml.safe_load(path.read_text())
    branch, key = tree, data.draw(st.sampled_from(sorted(tree)))
    while isinstance(branch[key], dict) and data.draw(st.booleans()):
        branch = branch[key]
        key = data.draw(st.sampled_from(sorted(branch)))
    odd: list[Any] = [
        None,
        0,
        -1,
        10**400,
        1e308,
        float("nan"),
        "x",
        "",
        "*",
        [],
        [1],
        {},
        {"a": 1},
        {1: []},
    ]
    branch[key] = data.draw(st.sampled_from(odd))
    path.write_text(yaml.safe_dump(tree))
    try:
        load_robot_description(toy_humanoid(folder).read_text(), path)
    except (ConfigError, RobotError) as error:
        assert str(error)

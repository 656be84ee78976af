from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nextscale_core.exceptions import ConfigError
from nextscale_core.resources import resource
from nextscale_core.robots import read_profile


@pytest.fixture
def tree() -> dict[str, Any]:
    return yaml.safe_load(resource("config/robots/g1.yaml").read_text())


def _written(tree: dict[str, Any], folder: Path) -> Path:
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_the_profile_of_the_g1_is_read() -> None:
    profile = read_profile(resource("config/robots/g1.yaml"))
    assert profile.name == "g1"
    assert profile.left["knee"] == "left_knee_joint"
    assert profile.sole.toe == (0.12, 0.0, -0.035)
    assert profile.acceleration["default"] == 100.0


def test_an_unknown_key_is_named_with_the_nearest_valid_one(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    tree["parts"]["torsoo"] = tree["parts"].pop("torso")
    with pytest.raises(ConfigError, match=r"robot\.yaml.*parts\.torsoo.*did you mean 'torso'"):
        read_profile(_written(tree, tmp_path))


def test_a_missing_body_part_is_named(tree: dict[str, Any], tmp_path: Path) -> None:
    del tree["parts"]["right"]["elbow"]
    with pytest.raises(ConfigError, match=r"parts\.right\.elbow is missing"):
        read_profile(_written(tree, tmp_path))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ("limits", "acceleration"),
            {"default": -1},
            r"acceleration\.default must be greater than 0",
        ),
        (("limits", "acceleration"), {"knee": 3}, r"limits\.acceleration must have a 'default'"),
        (("sole", "toe"), [0.1, 0.2], r"sole\.toe must be \[x, y, z\]"),
        (("sole", "toe"), [-0.5, 0, 0], r"sole must have toe in front of heel"),
        (("sole", "half_width"), "wide", r"sole\.half_width must be a valid number"),
        (("sole", "half_width"), float("nan"), r"sole\.half_width must be a finite"),
        (("parts", "pelvis"), 7, r"parts\.pelvis must be a valid string"),
        (("parts", "left"), ["hip"], r"parts\.left must be a mapping"),
        (("min_stance_width",), -0.1, r"min_stance_width must be greater"),
        (("limits", "position"), {"*_knee_joint": [1.0, 0.5]}, r"position\.\*_knee_joint must be"),
        (("limits", "position"), {"*_knee_joint": 1.0}, r"must be \[lower, upper\]"),
        (("axes",), {"forward": "w"}, r"axes\.forward must be 'x'"),
        (("axes",), {"forward": "z", "up": "-z"}, r"axes must not lie on one line"),
        (("joints",), "uper_body", r"did you mean 'upper_body'"),
        (("joints",), {"a": 1}, r"joints must be 'all', 'upper_body' or a list"),
        (("urdf", "mesh_up"), "x", r"urdf\.mesh_up must be 'z' or 'y'"),
        (("collision", "ignore"), [["a", "b", "c"]], r"collision\.ignore must be a list"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(
    tree: dict[str, Any], tmp_path: Path, place: tuple[str, ...], value: object, message: str
) -> None:
    branch = tree
    for key in place[:-1]:
        branch = branch[key]
    branch[place[-1]] = value
    with pytest.raises(ConfigError, match=message):
        read_profile(_written(tree, tmp_path))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "name: [unclosed", "\x00"])
def test_a_file_without_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"robot\.yaml"):
        read_profile(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_profile(tmp_path / "nowhere.yaml")


def test_all_errors_are_reported_at_once(tree: dict[str, Any], tmp_path: Path) -> None:
    tree["sole"]["half_width"] = "wide"
    tree["nominal"]["*_elbow_joint"] = None
    tree["limitss"] = {}
    del tree["parts"]["left"]["hip"]
    with pytest.raises(ConfigError) as caught:
        read_profile(_written(tree, tmp_path))
    for word in ("half_width", r"_elbow_joint", "did you mean 'limits'", "parts.left.hip"):
        assert word in str(caught.value)


def test_a_missing_mapping_is_one_error(tree: dict[str, Any], tmp_path: Path) -> None:
    del tree["sole"]
    with pytest.raises(ConfigError) as caught:
        read_profile(_written(tree, tmp_path))
    assert str(caught.value).count("sole") == 1


def test_the_joints_that_move_are_a_word_or_patterns(tree: dict[str, Any], tmp_path: Path) -> None:
    assert read_profile(_written(tree, tmp_path)).joints == "all"
    tree["joints"] = ["*_elbow_joint", "waist_*"]
    assert read_profile(_written(tree, tmp_path)).joints == ("*_elbow_joint", "waist_*")

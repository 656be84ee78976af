"""The substitutes for message packages that are not on PyPI: same types, never beside the real."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTERFACES = ROOT / "interfaces"
PACKAGES = sorted(path.parent.name for path in INTERFACES.glob("*/package.xml"))

# What ROS 2 Jazzy's own packages have (control_msgs 5.x, tf2_msgs 0.36). Two programs talk to each
# other for certain only where these are equal.
HASHES = {
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "control_msgs/msg/JointTolerance": (
        "c254f9cece0f3b733017b6990fd46d1326e25242d6b8844398c97d9a88e7d648"
    ),
    "control_msgs/msg/JointComponentTolerance": (
        "739ea7566931944d33830fa10f1bf5e7a7fbdc3172bce7a7eaac642bd6e3ffa4"
    ),
    "control_msgs/action/FollowJointTrajectory": (
        "738ebcb7a2d7cfa42f9f1001cc99ce3a4383d1cfe508015d9be8485e4b1c66f6"
    ),
    "control_msgs/action/FollowJointTrajectory_Goal": (
        "8a9060704b269608f5a340934cc26e66869dd14bdac29e2e7fd9ec8b9882d205"
    ),
    "control_msgs/action/FollowJointTrajectory_Result": (
        "8002e99ed2c14c6faa522f2a93c26d744c5982f254f9e98ff9c6f19789bdb220"
    ),
    "control_msgs/action/FollowJointTrajectory_Feedback": (
        "3fd0aaecf71725121ae1ff7f01098a5e0da581e672be18a6b2c286cb43d96b49"
    ),
    "control_msgs/action/FollowJointTrajectory_SendGoal": (
        "b13789dddc325a7a962825c45e28c77d37237ec129dd0c34dc5994562938c57f"
    ),
    "control_msgs/action/FollowJointTrajectory_GetResult": (
        "e3ceb38e3e1867c8dc0f46014df26e90eb93422f27e9e97f936e07f94be4bc8b"
    ),
    "control_msgs/action/FollowJointTrajectory_FeedbackMessage": (
        "80398fcb9674a79081a9906e2ccf0c804dd7cb15e22e362e606ee87186beab71"
    ),
}


def installed(package: str, kind: str, name: str) -> Path | None:
    """The description of a type that this environment has; that of an action has its parts too."""
    file = f"{name.partition('_')[0]}.json"
    for prefix in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix):
        path = Path(prefix, "share", package, kind, file)
        if prefix and path.is_file():
            return path
    return None


@pytest.mark.parametrize("type_name", HASHES)
def test_a_type_has_the_hash_that_it_has_in_jazzy(type_name: str) -> None:
    package, kind, name = type_name.split("/")
    path = installed(package, kind, name)
    if path is None:
        pytest.skip(f"{package} is not installed")
    content = json.loads(path.read_text())
    found = {entry["type_name"]: entry["hash_string"] for entry in content["type_hashes"]}
    assert found[type_name] == f"RIHS01_{HASHES[type_name]}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_substitute_says_what_it_is_and_its_files_are_all_generated(package: str) -> None:
    root = ET.parse(INTERFACES / package / "package.xml").getroot()
    assert root.findtext("name") == package
    assert "substitute" in (root.findtext("description") or "")
    cmake = (INTERFACES / package / "CMakeLists.txt").read_text()
    assert f"project({package} " in cmake
    files = [
        p for kind in ("msg", "srv", "action") for p in (INTERFACES / package).glob(f"{kind}/*")
    ]
    assert files
    for path in files:
        assert f'"{path.relative_to(INTERFACES / package)}"' in cmake


def test_everyone_agrees_on_which_substitutes_there_are() -> None:
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "setup.py").read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SUBSTITUTES"
    )
    assert sorted(names) == PACKAGES
    assert f"foreach(package {' '.join(PACKAGES)})" in (INTERFACES / "CMakeLists.txt").read_text()
    package_xml = ET.parse(ROOT / "package.xml").getroot()
    # Under colcon the real ones are used.
    assert set(PACKAGES) <= {element.text for element in package_xml.findall("exec_depend")}


def test_colcon_does_not_see_them() -> None:
    assert (INTERFACES / "COLCON_IGNORE").is_file()
    assert "interfaces" not in (ROOT / "CMakeLists.txt").read_text().replace(
        "rosidl_generate_interfaces", ""
    )


def test_where_the_real_ones_are_found_nothing_is_built(tmp_path: Path) -> None:
    scripts = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    cmake = shutil.which("cmake", path=scripts)
    if cmake is None or not (shutil.which("c++") or shutil.which("g++")):
        pytest.skip("needs CMake and a C++ compiler")
    for package in PACKAGES:
        config = tmp_path / "ros" / "share" / package / "cmake" / f"{package}Config.cmake"
        config.parent.mkdir(parents=True)
        config.write_text("")
    ninja = shutil.which("ninja", path=scripts)
    generator = ["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    done = subprocess.run(
        [
            cmake,
            f"-S{INTERFACES}",
            f"-B{tmp_path / 'build'}",
            f"-DCMAKE_PREFIX_PATH={tmp_path / 'ros'}",
            f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'staging'}",
            *generator,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    for package in PACKAGES:
        assert f"{package}: the real one is used" in done.stdout
    subprocess.run([cmake, "--install", str(tmp_path / "build")], check=True, capture_output=True)
    assert not list((tmp_path / "staging").rglob("*.*"))

"""What the build and the installation rely on, file by file."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ET.parse(ROOT / "package.xml").getroot()
ROS_PACKAGES = {
    "action_msgs",
    "builtin_interfaces",
    "control_msgs",
    "diagnostic_msgs",
    "domain_coordinator",
    "geometry_msgs",
    "launch",
    "launch_ros",
    "lifecycle_msgs",
    "nav_msgs",
    "rcl_interfaces",
    "rclpy",
    "sensor_msgs",
    "std_msgs",
    "tf2_msgs",
    "trajectory_msgs",
    "visualization_msgs",
}
LOCK_LINE = re.compile(
    r"[a-z0-9][a-z0-9.-]*==\S+( ; python_full_version (<|>=) '3\.1[0-4](\.\d+)?')?(  # \d+ MB)?"
)
BUILD = {"": "requirements-ros-build.txt", "-kilted": "requirements-ros-build-kilted.txt"}
"""What the messages are built with, by the end of the names of the extra and the lock."""


def metadata() -> dict:
    """pyproject.toml's table [project]."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read TOML by itself")
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared(*tags: str) -> set[str]:
    """Names in these elements of package.xml."""
    return {element.text or "" for tag in tags for element in PACKAGE.findall(tag)}


def imported(path: Path) -> set[str]:
    """Top-level packages that a Python file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_package_xml_is_format_3_of_an_ament_cmake_package() -> None:
    assert PACKAGE.get("format") == "3"
    assert PACKAGE.findtext("name") == "nextscale_ros"
    assert PACKAGE.findtext("export/build_type") == "ament_cmake"
    assert "rosidl_interface_packages" in declared("member_of_group")


def test_package_xml_satisfies_catkin_pkg() -> None:
    catkin_pkg = pytest.importorskip("catkin_pkg.package", reason="needs catkin_pkg")
    warnings: list[str] = []
    package = catkin_pkg.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.licenses == ["Apache-2.0"]


def test_both_distributions_have_one_version() -> None:
    assert PACKAGE.findtext("version") == metadata()["version"]


def test_every_ros_package_that_is_imported_is_declared() -> None:
    files = [*(ROOT / "nextscale_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
    used = set().union(*(imported(path) for path in files)) & ROS_PACKAGES
    assert used >= {"rclpy", "trajectory_msgs", "launch_ros"}
    assert used - declared("depend", "exec_depend") == set()


def test_the_core_never_imports_ros() -> None:
    for path in (ROOT / "nextscale_core").rglob("*.py"):
        assert imported(path) & {*ROS_PACKAGES, "nextscale_ros"} == set(), path


def test_every_message_file_is_generated() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text()
    interfaces = [p for folder in ("msg", "srv", "action") for p in (ROOT / folder).glob("*.*")]
    assert interfaces
    for path in interfaces:
        assert f'"{path.relative_to(ROOT)}"' in cmake


def test_the_parameter_file_holds_the_defaults() -> None:
    declared = pytest.importorskip("nextscale_ros.parameters.schema", reason="needs ROS 2")
    content = yaml.safe_load((ROOT / "config" / "params.yaml").read_text())
    given = content["/**/generate_node"]["ros__parameters"]
    options = pytest.importorskip("nextscale_ros.options")
    by_launch = options.NODE_PARAMETERS
    defaults = declared.declarations("generate_node")
    assert given == {n: one.default for n, one in defaults.items() if n not in by_launch}


def lines(name: str) -> list[str]:
    """Lines of a file of requirements, without remarks."""
    return [
        line
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]


def normal(requirement: str) -> str:
    """The normalized name in a requirement."""
    name = re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_pins_everything_and_names_no_source() -> None:
    pins = lines("requirements.lock") + lines("requirements-kilted.lock")
    assert [line for line in pins if not LOCK_LINE.fullmatch(line)] == []
    assert "torch==2.13.0" in [line.split()[0] for line in pins]
    assert [line for line in pins if line.startswith(("nvidia", "cuda", "triton"))] == []


@pytest.mark.parametrize("end", BUILD)
def test_the_lock_holds_every_requirement(end: str) -> None:
    project = metadata()
    wanted = list(project["dependencies"])
    for extra in (f"ros{end}", "test", "dev"):
        wanted += project["optional-dependencies"][extra]
    wanted += lines(BUILD[end])
    pins = lines("requirements.lock")
    if end:
        pins = [line for line in pins if not line.startswith("ros-")]
        pins += lines(f"requirements{end}.lock")
    assert {normal(name) for name in wanted} - {normal(line) for line in pins} == set()
    # What ROS packages are asked for, and what is built with, is exactly what is locked.
    locked = {line.split()[0] for line in pins}
    exact = [re.sub(r"\[.*\]", "", name) for name in wanted if name.startswith("ros-")]
    assert [name for name in exact if name not in locked] == []


@pytest.mark.parametrize("end", BUILD)
def test_an_isolated_build_takes_the_wheels_of_the_ros_distribution_asked_for(
    end: str, tmp_path: Path
) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="needs a setuptools with PEP 639")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", *BUILD.values()):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    script = "from setuptools import build_meta as b; print(b.get_requires_for_build_wheel())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "NEXTSCALE_NO_ROS": "", "NEXTSCALE_ROS": end[1:] or "jazzy"},
        check=True,
        capture_output=True,
        text=True,
    )
    asked = {one.split(";")[0].strip() for one in ast.literal_eval(done.stdout.splitlines()[-1])}
    assert asked >= set(lines(BUILD[end]))


def test_the_locks_are_for_the_pythons_that_are_declared() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read TOML by itself")
    declared = [
        one.rpartition(" ")[2]
        for one in metadata()["classifiers"]
        if one.startswith("Programming Language :: Python ::")
    ]
    assert declared == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    uv = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
    assert "python_version < '3.15'" in uv["environments"][0]
    script = (ROOT / "tools" / "setup.sh").read_text()
    assert f"{' | '.join(declared)}) return 0" in script


def test_continuous_integration_can_start() -> None:
    for path in (".ci/run", "tools/setup.sh", "tools/lock.sh"):
        assert os.access(ROOT / path, os.X_OK), path


def test_a_wheel_without_ros_is_the_core_with_its_resources(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="needs a setuptools with PEP 639")
    source = tmp_path / "source"
    ignore = {".git", ".venv", "build", "weights", "out", "runs", "install", "log"}
    for path in ROOT.iterdir():
        if path.name not in ignore and not path.name.endswith(".egg-info"):
            target = source / path.name
            target.parent.mkdir(exist_ok=True)
            subprocess.run(["cp", "-r", str(path), str(target)], check=True)
    (source / "weights" / "tiny").mkdir(parents=True)
    (source / "weights" / "tiny" / "config.json").write_text("{}")
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "."]
    subprocess.run(
        [sys.executable, *build, "--wheel-dir", str(tmp_path)],
        cwd=source,
        env={**os.environ, "NEXTSCALE_NO_ROS": "1"},
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    kernels = [name for name in names if name.startswith("nextscale_core/kernels/_kernels")]
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")
    assert bool(kernels) == (compiler is not None)
    assert "nextscale_core/_resources/config/robots/g1.yaml" in names
    assert "nextscale_core/_resources/config/checkup/walk.npz" in names
    assert "nextscale_core/_resources/weights/tiny/config.json" in names
    assert not [name for name in names if name.startswith(("nextscale_ros", "test", "launch"))]
    entry_points = zipfile.ZipFile(wheel).read(
        next(name for name in names if name.endswith("entry_points.txt"))
    )
    assert entry_points.decode().split() == [
        "[console_scripts]",
        "nextscale",
        "=",
        "nextscale_core.cli:main",
    ]


@pytest.mark.parametrize(
    "file",
    [
        ROOT / "package.xml",
        *sorted((ROOT / "interfaces").glob("*/package.xml")),
        *sorted((ROOT / "config" / "sros2").glob("*.xml")),
    ],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_xml_is_well_formed_and_without_tabs(file: Path) -> None:
    assert len(ET.parse(file).getroot())
    assert "\t" not in file.read_text()

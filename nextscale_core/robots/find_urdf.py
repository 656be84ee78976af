"""Locate robot descriptions and meshes: in pip packages, folders and the user's cache."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePath

from nextscale_core.exceptions import RobotError
from nextscale_core.robots.profile import UrdfSource

_LEVELS = 5
"""Number of folders above a URDF that `package://` is resolved in."""


def find_urdf(source: UrdfSource, beside: Path) -> tuple[Path, tuple[Path, ...]]:
    """The URDF that a profile names, and the folders that its `package://` names resolve in.

    Args:
        source: Location stated in the profile.
        beside: The profile file.

    Raises:
        RobotError: the package that contains it is not installed, or in a version without it; the
            message names the command.
    """
    if not source.distribution:
        urdf = beside.parent / source.path
        return urdf, package_roots(urdf)
    urdf = _in_distribution(source)
    return urdf, tuple(urdf.parents)[:_LEVELS]


def is_installed(source: UrdfSource) -> bool:
    """Whether the package that carries a description is installed, or none is needed."""
    try:
        return not source.distribution or bool(importlib.metadata.version(source.distribution))
    except importlib.metadata.PackageNotFoundError:
        return False


def _in_distribution(source: UrdfSource) -> Path:
    """The file of a pip distribution whose path ends as the profile says."""
    name = source.distribution
    hint = f"install it with: {source.install}" if source.install else "install it with pip"
    try:
        files = importlib.metadata.distribution(name).files or []
    except importlib.metadata.PackageNotFoundError:
        raise RobotError(f"the package {name} is not installed; {hint}") from None
    wanted = PurePath(source.path).parts
    for file in files:
        if file.parts[-len(wanted) :] == wanted:
            return Path(str(file.locate())).resolve()
    raise RobotError(f"the package {name} has no file {source.path}; {hint}")


def package_roots(urdf: Path) -> tuple[Path, ...]:
    """Folders to resolve `package://` in: those above a URDF and those of a sourced workspace."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    sources = os.environ.get("ROS_PACKAGE_PATH", "").split(os.pathsep)
    folders = [Path(prefix) / "share" for prefix in prefixes if prefix]
    folders += [Path(folder) for folder in sources if folder]
    return (
        *tuple(urdf.resolve().parents)[:_LEVELS],
        *(folder for folder in folders if folder.is_dir()),
    )


def find_mesh(name: str, urdf: Path, mesh_dirs: Sequence[Path]) -> Path | None:
    """The file of a mesh that a URDF names, None where it does not exist.

    Args:
        name: 'package://x/y.stl', 'file:///x/y.stl' or a path relative to the URDF.
        urdf: The description.
        mesh_dirs: Folders that `package://` is resolved in.
    """
    if name.startswith("package://"):
        # Some descriptions have a third slash there.
        inside = name.removeprefix("package://").lstrip("/")
        places = [folder / inside for folder in mesh_dirs]
    else:
        places = [urdf.parent / name.removeprefix("file://")]
    return next((place for place in places if place.is_file()), None)


def keep_description(xml: str) -> Path:
    """Write the text of a URDF to a file that is named by its content.

    Raises:
        RobotError: the text is not valid Unicode, or neither the cache nor a temporary folder
            can be written.
    """
    try:
        data = xml.encode()
    except UnicodeEncodeError as error:
        raise RobotError(f"the robot description is not valid Unicode: {error}") from error
    name = f"{hashlib.sha256(data).hexdigest()[:24]}.urdf"
    reason: OSError | None = None
    for make in (lambda: cache_dir() / "descriptions", lambda: Path(tempfile.mkdtemp())):
        try:
            path = make() / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != data:
                part = path.with_suffix(f".{os.getpid()}.part")
                part.write_bytes(data)
                part.replace(path)
            return path
        except OSError as error:
            reason = error
    raise RobotError(f"the robot description cannot be written to a file: {reason}")


def cache_dir() -> Path:
    """The folder for derived data: NEXTSCALE_CACHE, or 'nextscale' in the user's cache folder."""
    given = os.environ.get("NEXTSCALE_CACHE")
    if given:
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "nextscale"

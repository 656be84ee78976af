"""Motion formats by name: what a file of each holds, and how it is recognised, read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nextscale_core.exceptions import ConfigError, MotionFileError
from nextscale_core.npz import array_names
from nextscale_core.yaml_files import nearest

_BLENDER = "import it in Blender and export glTF (.glb)"
_MARKERS = "it holds markers, not joints: solve them to a skeleton and export BVH or SMPL"
_ARRAYS = "save its arrays with numpy.savez under AMASS's names"
_WAYS_OUT = {
    ".fbx": _BLENDER,
    ".blend": "open it in Blender and export glTF (.glb)",
    ".dae": _BLENDER,
    ".abc": "it holds meshes, not joints: export glTF (.glb) or BVH of the skeleton",
    ".vrm": "a model without motion: its motions are .vrma files",
    ".c3d": _MARKERS,
    ".trc": _MARKERS,
    ".mvnx": "export BVH from Xsens MVN",
    ".mvn": "export BVH from Xsens MVN",
    ".tak": "export BVH from Motive",
    ".vmd": "import it with its model in Blender (MMD Tools) and export glTF (.glb)",
    ".bip": "export BVH from 3ds Max",
    ".asf": "convert the .amc file with it to BVH",
    ".amc": "convert it with its .asf file to BVH",
    ".pkl": _ARRAYS,
    ".pt": _ARRAYS,
    ".pth": _ARRAYS,
}
"""What to do with files that are not read, by their suffix."""


def way_out(suffix: str) -> str:
    """'; ' and what to do with a file that is not read; '' where that is not known."""
    way = _WAYS_OUT.get(suffix.lower())
    return f"; {way}" if way else ""


def _any_file(path: Path) -> bool:
    return True


@dataclass(frozen=True)
class MotionFormat:
    """A format of motion files.

    Attributes:
        name: As given to --to and --from.
        subject: Whether it holds the motion of a human (`MotionClip`) or a robot (`RobotMotion`).
        suffix: Of its files, such as '.csv'; '' for a folder.
        other_suffixes: That its files may have too.
        robot: Name of the one robot of the format; '' for human motion and for any robot.
        content: What a file holds, in a few words.
        quaternion: Order of the root's quaternion in the file; '' without quaternions.
        order: Order of the joints in the file.
        fps: Rate that is assumed for files without one, and written unless another is given [Hz];
            None for the rate of the motion.
        states_fps: Whether a file states its rate.
        read: (path, `ReadOptions` or `RobotReadOptions`) -> motion; None for write-only formats.
        write: (motion, path) -> None, whole or not at all; None for read-only formats.
        fits: Whether a file with the suffix may be of this format, from its names and header.
    """

    name: str
    subject: Literal["human", "robot"]
    suffix: str
    content: str
    robot: str = ""
    quaternion: str = ""
    order: str = ""
    fps: float | None = None
    states_fps: bool = True
    read: Callable[[Path, Any], Any] | None = None
    write: Callable[[Any, Path], None] | None = None
    fits: Callable[[Path], bool] = _any_file
    other_suffixes: tuple[str, ...] = ()

    def has_suffix(self, suffix: str) -> bool:
        """Whether its files may have a suffix, in lower case."""
        return suffix in (self.suffix, *self.other_suffixes)


def with_arrays(*names: str, without: Iterable[str] = ()) -> Callable[[Path], bool]:
    """A test for npz files that hold all of some arrays and none of others."""

    def fits(path: Path) -> bool:
        found = array_names(path)
        return found.issuperset(names) and found.isdisjoint(without)

    return fits


def find_format(name: str, formats: Iterable[MotionFormat]) -> MotionFormat:
    """The format with a name.

    Raises:
        ConfigError: unknown name; the message has the nearest one.
    """
    known = {one.name: one for one in formats}
    if name not in known:
        raise ConfigError(f"unknown format {name!r}; {nearest(name, known)}; see nextscale formats")
    return known[name]


def candidates(path: Path, formats: Iterable[MotionFormat]) -> list[MotionFormat]:
    """The formats that a file may have, by its suffix, its array names and its first line.

    Raises:
        MotionFileError: the file does not exist, or no format that can be read fits.
    """
    if not path.exists():
        raise MotionFileError(f"{path} does not exist")
    suffix = "" if path.is_dir() else path.suffix.lower()
    readable = [one for one in formats if one.read is not None]
    alike = [one for one in readable if one.has_suffix(suffix)]
    if not alike:
        known = sorted({one.suffix or "a folder" for one in readable})
        what = "a folder" if path.is_dir() else repr(suffix or "no suffix")
        raise MotionFileError(
            f"cannot read {path}: {what} is none of {', '.join(known)}{way_out(suffix)}"
        )
    fitting = [one for one in alike if one.fits(path)]
    if not fitting:
        has = f"; it has: {', '.join(sorted(array_names(path)))}" if suffix == ".npz" else ""
        raise MotionFileError(
            f"{path} is none of {', '.join(one.name for one in alike)}{has}; "
            "give its format with --from"
        )
    return fitting

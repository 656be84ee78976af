"""Syntax of BVH files: text to a tree of joints and a table of channel values, and back.

BVH has no written standard. Accepted: one ROOT, any depth, End Sites, zero to six channels a joint
in any order. Files may be hostile: every error names its line, and counts in the header neither
allocate memory nor control loops.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import whole_file

_MAX_BYTES = 256 << 20
_MAX_JOINTS = 2000
_MAX_FRAMES = 1_000_000
_MAX_POSITIONS = 30_000_000  # joints times frames
_MIN_FPS, _MAX_FPS = 1.0, 1000.0
_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_CHANNEL_BY_LOWER_NAME = {name.lower(): name for name in _CHANNELS}


@dataclass
class BvhJoint:
    """A joint, or an End Site.

    Attributes:
        name: Name in the file; of an End Site, its parent's name and ' end'.
        parent: Index of the parent in `Bvh.joints`; -1 for the root. Parents come first.
        offset: Position in the parent's frame, in the unit of the file.
        channels: Such as 'Xposition' and 'Zrotation', in the order of the file; none for an End
            Site.
        is_end: Whether it is an End Site.
    """

    name: str
    parent: int
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: tuple[str, ...] = ()
    is_end: bool = False


@dataclass
class Bvh:
    """Content of a BVH file.

    Attributes:
        joints: Joints and End Sites, depth first.
        frame_time: Time from frame to frame [s].
        values: (T, C) channel values, columns in the order of the joints' channels; positions in
            the unit of the file, rotations in degrees.
        notes: Faults of the file that were tolerated.
    """

    joints: list[BvhJoint] = field(default_factory=list)
    frame_time: float = 0.0
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    notes: list[str] = field(default_factory=list)


def read_bvh_text(path: Path) -> Bvh:
    """Parse a BVH file.

    Raises:
        MotionFileError: no such file, too large, or malformed; the message names the line.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise MotionFileError(
                f"{path} has {path.stat().st_size} bytes, at most {_MAX_BYTES} are read"
            )
        data = path.read_bytes()
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # Joint names come in many encodings; replaced letters do no harm.
    text = data.decode("utf-16" if is_utf_16 else "utf-8-sig", errors="replace")
    return _Parser(path, text).parse()


def write_bvh_text(bvh: Bvh, path: Path) -> None:
    """Write a BVH file.

    Raises:
        MotionFileError: the file cannot be written.
    """
    lines = ["HIERARCHY", *_hierarchy_lines(bvh.joints)]
    lines += ["MOTION", f"Frames: {len(bvh.values)}", f"Frame Time: {bvh.frame_time:.7f}"]
    # Adding zero turns -0.0000 into 0.0000.
    rows = np.round(bvh.values, 4) + 0.0
    lines += [" ".join(f"{value:.4f}" for value in row) for row in rows]
    with whole_file(path) as stream:
        stream.write(("\n".join(lines) + "\n").encode("utf-8"))


def _hierarchy_lines(joints: Sequence[BvhJoint]) -> list[str]:
    lines: list[str] = []
    open_joints: list[int] = []
    for index, joint in enumerate(joints):
        while open_joints and open_joints[-1] != joint.parent:
            open_joints.pop()
            lines.append("\t" * len(open_joints) + "}")
        indent = "\t" * len(open_joints)
        kind = "End Site" if joint.is_end else f"{'JOINT' if open_joints else 'ROOT'} {joint.name}"
        lines += [f"{indent}{kind}", f"{indent}{{"]
        lines.append(f"{indent}\tOFFSET " + " ".join(f"{value:.6f}" for value in joint.offset))
        if joint.channels:
            lines.append(f"{indent}\tCHANNELS {len(joint.channels)} {' '.join(joint.channels)}")
        open_joints.append(index)
    lines += ["\t" * depth + "}" for depth in reversed(range(len(open_joints)))]
    return lines


class _Parser:
    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()
        self._is_cut = not text.endswith(("\n", "\r"))  # perhaps within the last line
        self._at = 0  # index of the next line
        self._bvh = Bvh()
        self._open: list[int] = []  # joints whose bracket is open, the innermost last

    def parse(self) -> Bvh:
        bvh = self._bvh
        self._expect("HIERARCHY")
        while not bvh.joints or self._open:
            self._parse_hierarchy(self._next("the rest of the HIERARCHY"))
        self._expect("MOTION")
        frames = self._parse_frames()
        bvh.frame_time = self._parse_frame_time()
        bvh.values = self._parse_rows(sum(len(joint.channels) for joint in bvh.joints))
        if len(bvh.values) != frames:
            bvh.notes.append(f"the header states {frames} frames, {len(bvh.values)} were read")
        return bvh

    def _fail(self, message: str) -> MotionFileError:
        return MotionFileError(f"{self._path} line {max(self._at, 1)}: {message}")

    def _next(self, wanted: str) -> str:
        while self._at < len(self._lines):
            line = self._lines[self._at].strip()
            self._at += 1
            if line:
                return line
        raise self._fail(f"the file ends where {wanted} should follow")

    def _expect(self, keyword: str) -> None:
        line = self._next(keyword)
        if line.upper() != keyword:
            raise self._fail(f"expected {keyword}, got {line[:40]!r}")

    def _parse_hierarchy(self, line: str) -> None:
        keyword, rest = [*line.split(None, 1), ""][:2]
        keyword = keyword.upper()
        if line == "}":
            if not self._open:
                raise self._fail("'}' without '{'")
            self._open.pop()
        elif keyword in ("ROOT", "JOINT", "END"):
            self._open_joint(keyword, rest.strip())
        elif keyword == "OFFSET" and self._open:
            self._bvh.joints[self._open[-1]].offset = self._parse_offset(rest)
        elif keyword == "CHANNELS" and self._open:
            self._bvh.joints[self._open[-1]].channels = self._parse_channels(rest)
        else:
            raise self._fail(
                f"expected JOINT, End Site, OFFSET, CHANNELS or a bracket, got {line[:40]!r}"
            )

    def _open_joint(self, keyword: str, name: str) -> None:
        joints = self._bvh.joints
        parent = self._open[-1] if self._open else -1
        if (keyword == "ROOT") == (parent >= 0):
            raise self._fail(f"{keyword} out of place: one ROOT holds all joints")
        if len(joints) >= _MAX_JOINTS:
            raise self._fail(f"more than {_MAX_JOINTS} joints")
        if parent >= 0 and joints[parent].is_end:
            raise self._fail("an End Site cannot hold a joint")
        if name.endswith("{"):
            name = name[:-1].strip()
        elif (bracket := self._next("'{'")) != "{":
            raise self._fail(f"expected '{{' after {keyword} {name[:40]}, got {bracket[:40]!r}")
        is_end = keyword == "END"
        self._open.append(len(joints))
        joints.append(
            BvhJoint(f"{joints[parent].name} end" if is_end else name, parent, is_end=is_end)
        )

    def _parse_offset(self, rest: str) -> tuple[float, float, float]:
        values = self._numbers(rest)
        # A variant of SOMA's files has six; all its joints have position channels, which count.
        if len(values) not in (3, 6):
            raise self._fail(f"OFFSET needs 3 numbers, got {len(values)}")
        return (float(values[0]), float(values[1]), float(values[2]))

    def _parse_channels(self, rest: str) -> tuple[str, ...]:
        count, *names = rest.split() or [""]
        channels = tuple(_CHANNEL_BY_LOWER_NAME.get(name.lower(), "") for name in names)
        if count != str(len(names)) or len(names) > 6:
            raise self._fail(
                f"CHANNELS needs a count of 0 to 6 and as many names, got {rest[:60]!r}"
            )
        if "" in channels:
            unknown = names[channels.index("")]
            raise self._fail(f"unknown channel {unknown[:40]!r}; known are {', '.join(_CHANNELS)}")
        return channels

    def _header(self, name: str, value: str) -> str:
        line = self._next(f"'{name}: {value}'")
        keyword, _, text = line.partition(":")
        if keyword.strip().lower() != name.lower():
            raise self._fail(f"expected '{name}: {value}', got {line[:40]!r}")
        return text.strip()

    def _parse_frames(self) -> int:
        count = self._header("Frames", "N")
        # int() raises another error for numbers of thousands of digits.
        frames = int(count) if count.isdecimal() and len(count) < 20 else 0
        if not 1 <= frames <= _MAX_FRAMES:
            raise self._fail(f"Frames must be 1 to {_MAX_FRAMES}, got {count[:40]!r}")
        return frames

    def _parse_frame_time(self) -> float:
        seconds = self._header("Frame Time", "SECONDS")
        values = self._numbers(seconds)
        low, high = 1.0 / _MAX_FPS, 1.0 / _MIN_FPS
        if len(values) != 1 or not low <= values[0] <= high:
            raise self._fail(f"Frame Time must be {low:g} to {high:g} s, got {seconds[:40]!r}")
        return float(values[0])

    def _parse_rows(self, channels: int) -> np.ndarray:
        """All whole frames, whatever the header counts."""
        rows: list[np.ndarray] = []
        joints = len(self._bvh.joints)
        most = min(_MAX_FRAMES, _MAX_POSITIONS // joints)
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if not line.strip():
                continue
            is_cut = self._is_cut and self._at == len(self._lines)
            if is_cut and rows and len(line.split()) < channels:
                self._bvh.notes.append("the file ends within a frame: that frame was left out")
                break
            row = self._numbers(line)
            if len(row) != channels:
                raise self._fail(f"a frame needs {channels} numbers (all channels), got {len(row)}")
            rows.append(row)
            if len(rows) > most:
                raise self._fail(f"at most {most} frames of {joints} joints are read")
        if not rows:
            raise self._fail("no frame follows the header")
        return np.array(rows)

    def _numbers(self, text: str) -> np.ndarray:
        try:
            values = np.array(text.split(), dtype=np.float64)
        except ValueError as error:
            raise self._fail(f"not a number: {error}") from error
        if not np.isfinite(values).all():
            raise self._fail("NaN or infinity")
        return values

"""CSV files of the Unitree G1: 36 columns without a header, and BONES-SEED's with one."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import MotionFileError
from nextscale_core.npz import MAX_BYTES, whole_file
from nextscale_core.trajectory.formats.evidence import require_order
from nextscale_core.trajectory.formats.orders import G1_JOINTS, columns
from nextscale_core.trajectory.formats.robot_motion import (
    Quaternion,
    RobotMotion,
    RobotReadOptions,
    require_g1,
    robot_motion,
)

CSV_FPS = 30.0
"""Rate of G1 CSV files, which do not state it [Hz]."""

BONES_FPS = 120.0
"""Rate of BONES-SEED's CSV files [Hz]."""

_ROOT = tuple(f"root_{part}{axis}" for part in ("translate", "rotate") for axis in "XYZ")
_BONES = ("Frame", *_ROOT, *(f"{name}_dof" for name in G1_JOINTS))


def has_header(path: Path) -> bool:
    """Whether the first line of a CSV file names BONES-SEED's columns."""
    return "root_translateX" in _first_line(path)


def has_no_header(path: Path) -> bool:
    """Whether the first line of a CSV file holds 36 numbers."""
    cells = _first_line(path).split(",")
    return len(cells) == 7 + len(G1_JOINTS) and _is_number(cells[0])


def read_g1_csv(path: Path, options: RobotReadOptions, order: Quaternion) -> RobotMotion:
    """Read 36 columns: root position [m], quaternion, 29 joints in MuJoCo's order [rad].

    Args:
        path: The file.
        options: Known properties.
        order: Order of the quaternion.

    Raises:
        MotionFileError: malformed file, or a motion that shows the other order.
    """
    robot = options.robot_or_g1()
    require_g1(robot, "a CSV of 36 columns")
    if options.quaternion not in (None, order):
        raise MotionFileError(f"{path}: the quaternion of this format is {order}")
    rows = read_numbers(path, 7 + len(G1_JOINTS))
    quaternion = rows[:, 3:7] if order == "xyzw" else rows[:, [4, 5, 6, 3]]
    fps, notes = options.rate(None, CSV_FPS)
    motion = robot_motion(
        path, robot, G1_JOINTS, rows[:, 7:], rows[:, :3], quaternion, fps, notes=notes
    )
    if options.quaternion is None:
        require_order(path, motion, order)
    return motion


def write_g1_csv(motion: RobotMotion, path: Path, order: Quaternion) -> None:
    """Write 36 columns; see `read_g1_csv`.

    Raises:
        RobotError: another robot.
        MotionFileError: the file cannot be written.
    """
    require_g1(motion.robot, "a CSV of 36 columns")
    at, _ = motion.samples()
    quaternion = motion.robot.root_quaternion(at.base_quaternion)
    if order == "wxyz":
        quaternion = quaternion[:, [3, 0, 1, 2]]
    joints = at.positions[:, columns(G1_JOINTS, motion.robot.joint_names)]
    write_numbers(path, np.concatenate([at.base_position, quaternion, joints], axis=1))


def read_bones_csv(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read BONES-SEED's columns: centimetres, degrees, root as extrinsic x y z angles.

    Raises:
        MotionFileError: malformed file or missing columns.
    """
    robot = options.robot_or_g1()
    require_g1(robot, "a CSV of BONES-SEED")
    header = [cell.strip() for cell in _first_line(path).split(",")]
    missing = [name for name in _BONES[1:] if name not in header]
    if missing:
        raise MotionFileError(f"{path} has no column {', '.join(missing[:6])}")
    rows = read_numbers(path, len(header), header=True)[:, columns(_BONES, header)]
    fps, notes = options.rate(None, BONES_FPS)
    turn = Rotation.from_euler("xyz", rows[:, 4:7], degrees=True)
    joints = np.radians(rows[:, 7:])
    return robot_motion(
        path, robot, G1_JOINTS, joints, rows[:, 1:4] / 100.0, turn.as_quat(), fps, notes=notes
    )


def write_bones_csv(motion: RobotMotion, path: Path) -> None:
    """Write BONES-SEED's columns; see `read_bones_csv`.

    Raises:
        RobotError: another robot.
        MotionFileError: the file cannot be written.
    """
    require_g1(motion.robot, "a CSV of BONES-SEED")
    at, _ = motion.samples()
    root = Rotation.from_quat(motion.robot.root_quaternion(at.base_quaternion))
    joints = at.positions[:, columns(G1_JOINTS, motion.robot.joint_names)]
    parts = [
        np.arange(len(joints))[:, None],
        at.base_position * 100.0,
        root.as_euler("xyz", degrees=True),
        np.degrees(joints),
    ]
    write_numbers(path, np.concatenate(parts, axis=1), _BONES)


def read_numbers(path: Path, width: int, *, header: bool = False) -> np.ndarray:
    """The numbers of a CSV file, (rows, width).

    Args:
        path: The file.
        width: Number of columns.
        header: Whether the first line holds names.

    Raises:
        MotionFileError: the file cannot be read, or a line has another number of cells or a cell
            that is not a number; the message names the line.
    """
    rows: list[list[float]] = []
    for number, cells in enumerate(csv.reader(io.StringIO(read_text(path))), start=1):
        if (header and number == 1) or not any(cell.strip() for cell in cells):
            continue
        if len(cells) != width:
            raise MotionFileError(f"{path} line {number} has {len(cells)} columns, not {width}")
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError as error:
            raise MotionFileError(f"{path} line {number}: {error}") from error
    return np.array(rows).reshape(len(rows), width)


def write_numbers(path: Path, rows: np.ndarray, names: Sequence[str] = ()) -> None:
    """Write (N, M) numbers as CSV, whole or not at all.

    Raises:
        MotionFileError: the file cannot be written.
    """
    with whole_file(path) as stream:
        header = ",".join(names)
        np.savetxt(stream, rows, "%.9g", delimiter=",", header=header, comments="")


def read_text(path: Path) -> str:
    """Text of a UTF-8 file.

    Raises:
        MotionFileError: the file cannot be read, is too large or not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES // 8:
            raise MotionFileError(f"{path} is larger than {MAX_BYTES // 8} bytes")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MotionFileError(f"{path} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.readline(1 << 16).decode("utf-8-sig", "replace")
    except OSError as error:
        raise MotionFileError(f"cannot read {path}: {error.strerror or error}") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

"""Motion folders of SONIC (GR00T whole-body control): CSV files with headers at 50 Hz."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import MotionFileError
from nextscale_core.trajectory.formats.bodies import bodies, breadth_first_bodies
from nextscale_core.trajectory.formats.csv_files import read_numbers, read_text, write_numbers
from nextscale_core.trajectory.formats.orders import columns, joint_tree
from nextscale_core.trajectory.formats.robot_motion import (
    RobotMotion,
    RobotReadOptions,
    require_g1,
    robot_motion,
)
from nextscale_core.trajectory.formats.tracker_npz import TRACKER_FPS, require_bodies

_JOINTS = 29
_PARTS = {"pos": "xyz", "quat": "wxyz", "lin_vel": "xyz", "ang_vel": "xyz"}


def is_sonic(path: Path) -> bool:
    """Whether a folder holds a motion of SONIC."""
    return (path / "joint_pos.csv").is_file()


def read_sonic(path: Path, options: RobotReadOptions) -> RobotMotion:
    """Read a folder: `joint_pos.csv` breadth first, `body_pos.csv`, `body_quat.csv` w x y z.

    Raises:
        MotionFileError: a file is missing or malformed, the files differ in length, the root has
            no place, or the bodies are not those of the joints.
    """
    robot = options.robot_or_g1()
    require_g1(robot, "sonic")
    positions = read_numbers(path / "joint_pos.csv", _JOINTS, header=True)
    velocities = None
    if (path / "joint_vel.csv").exists():
        velocities = read_numbers(path / "joint_vel.csv", _JOINTS, header=True)
    place = _bodies(path / "body_pos.csv", len(positions), 3)
    turn = _bodies(path / "body_quat.csv", len(positions), 4)
    if not place[:, 0].any():
        raise MotionFileError(f"{path}: body_pos.csv is zero, so the place of the root is unknown")
    fps, notes = options.rate(None, TRACKER_FPS)
    tree = joint_tree(robot)
    names = [tree.joints[row] for row in tree.breadth_first()]
    motion = robot_motion(
        path, robot, names, positions, place[:, 0], turn[:, 0][:, [1, 2, 3, 0]], fps,
        velocities=velocities, notes=notes,
    )  # fmt: skip
    if place.shape[1] > 1:
        order = breadth_first_bodies(robot)
        rows = [order[number] for number in _indexes(path / "metadata.txt", len(order))]
        require_bodies(path, motion, place, rows, "breadth first")
    return motion


def write_sonic(motion: RobotMotion, path: Path) -> None:
    """Write a folder with all bodies, whole or not at all.

    Raises:
        RobotError: another robot.
        MotionFileError: the folder exists or cannot be written.
    """
    require_g1(motion.robot, "sonic")
    if path.exists():
        raise MotionFileError(f"{path} exists already; give a new name")
    at, _ = motion.samples()
    tree, order = joint_tree(motion.robot), breadth_first_bodies(motion.robot)
    joints = columns([tree.joints[row] for row in tree.breadth_first()], motion.robot.joint_names)
    states = bodies(motion.robot, at)[order]
    frames = len(at.positions)
    arrays = {
        "pos": states.positions,
        "quat": states.quaternions[..., [3, 0, 1, 2]],
        "lin_vel": states.centre_linear,
        "ang_vel": states.angular,
    }
    part = None
    try:
        part = Path(tempfile.mkdtemp(dir=path.parent, prefix=path.name, suffix=".part"))
        for kind, values in (("pos", at.positions), ("vel", at.velocities)):
            label = "joint" if kind == "pos" else "joint_vel"
            names = [f"{label}_{number}" for number in range(_JOINTS)]
            write_numbers(part / f"joint_{kind}.csv", values[:, joints], names)
        for kind, values in arrays.items():
            names = [f"body_{b}_{axis}" for b in range(len(order)) for axis in _PARTS[kind]]
            write_numbers(part / f"body_{kind}.csv", values.reshape(frames, -1), names)
        indexes = " ".join(str(number) for number in range(len(order)))
        (part / "metadata.txt").write_text(
            f"Metadata for: {path.name}\n{'=' * 30}\n\nBody part indexes:\n[{indexes}]\n\n"
            f"Total timesteps: {frames}\n"
        )
        part.chmod(0o755)
        part.rename(path)
    except OSError as error:
        raise MotionFileError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def _bodies(path: Path, frames: int, width: int) -> np.ndarray:
    """The states of a file's bodies, (T, B, width)."""
    header = read_text(path).split("\n", 1)[0]
    count = header.count(",") + 1
    if count % width:
        raise MotionFileError(f"{path} has {count} columns, which are not {width} per body")
    rows = read_numbers(path, count, header=True)
    if len(rows) != frames:
        raise MotionFileError(f"{path} has {len(rows)} rows, joint_pos.csv has {frames}")
    return rows.reshape(frames, -1, width)


def _indexes(path: Path, bodies_: int) -> list[int]:
    """Isaac Lab's body of each column group."""
    found = re.search(r"Body part indexes:\s*\[([\d\s,]*)\]", read_text(path))
    numbers = [] if found is None else [int(word) for word in re.findall(r"\d+", found[1])]
    if not numbers or max(numbers) >= bodies_:
        raise MotionFileError(
            f"{path} must have a line 'Body part indexes:' and then numbers below {bodies_} in "
            "brackets"
        )
    return numbers

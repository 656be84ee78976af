"""`RobotTrajectory` and its npz files.

Arrays of a file: `joint_names` (J,) text, `positions` (N, J) [rad], `velocities` (N, J) [rad/s],
`time_from_start` (N,) [s], `base_position` (N, 3) [m], `base_quaternion` (N, 4) x y z w, `fps`
[Hz], `robot` and `text`, `seed` (-1 for recorded motion) and optionally `source_time` (N,) [s].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextscale_core.exceptions import MotionFileError, RetargetError
from nextscale_core.npz import number_in, numbers_in, read_npz, text_in, write_npz

MAX_SAMPLES = 200_000
"""Maximum number of samples of a trajectory: an hour at 50 Hz."""

_NO_SEED = -1
_ARRAYS = ("positions", "velocities", "time_from_start", "base_position", "base_quaternion")


@dataclass(frozen=True)
class RobotTrajectory:
    """A sampled trajectory of all commanded joints and of the floating base.

    Attributes:
        robot: Name of the robot profile.
        joint_names: J names, in the order of `Robot.joint_names`.
        positions: (N, J) joint positions [rad].
        velocities: (N, J) joint velocities [rad/s].
        time_from_start: (N,) strictly increasing times [s].
        base_position: (N, 3) position of the root link in the world [m], z up.
        base_quaternion: (N, 4) orientation of the root link in the world, x y z w.
        fps: Sampling rate [Hz].
        text: The sentence behind it, or ''.
        source_time: (N,) time in the human clip that each sample was made from [s], NaN for
            samples without one; None where no clip is known.

    Raises:
        RetargetError: array lengths that do not agree, or values that are not numbers.
    """

    robot: str
    joint_names: tuple[str, ...]
    positions: np.ndarray
    velocities: np.ndarray
    time_from_start: np.ndarray
    base_position: np.ndarray
    base_quaternion: np.ndarray
    fps: float
    text: str = ""
    source_time: np.ndarray | None = None

    def __post_init__(self) -> None:
        times = _numbers("time_from_start", self.time_from_start)
        n, j = times.size, len(self.joint_names)
        wanted = {
            "time_from_start": (n,),
            "positions": (n, j),
            "velocities": (n, j),
            "base_position": (n, 3),
            "base_quaternion": (n, 4),
            "fps": (),
        }
        if self.source_time is not None:
            wanted["source_time"] = (n,)
        for name, shape in wanted.items():
            array = _numbers(name, getattr(self, name))
            if array.shape != shape:
                raise RetargetError(f"{name} must have shape {shape}, got {array.shape}")
            object.__setattr__(self, name, array if shape else float(array))
        object.__setattr__(self, "joint_names", tuple(self.joint_names))

    def __len__(self) -> int:
        return len(self.time_from_start)

    @property
    def seconds(self) -> float:
        """Time of the last point [s]."""
        return float(self.time_from_start[-1]) if len(self) else 0.0


def _numbers(name: str, values: object) -> np.ndarray:
    try:
        # Row by row: the writers of messages take the bytes of whole samples.
        return np.asarray(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise RetargetError(f"{name} must hold numbers: {error}") from error


def write_trajectory(
    trajectory: RobotTrajectory, path: str | Path, *, seed: int | None = None
) -> None:
    """Write a trajectory to .npz.

    Args:
        trajectory: The trajectory.
        path: The file; its folder must exist.
        seed: Seed of the motion behind it, None for recorded motion.

    Raises:
        MotionFileError: another suffix than .npz, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise MotionFileError(
            f"cannot write a robot trajectory to {path.name!r}: the one known format is .npz"
        )
    arrays = {name: getattr(trajectory, name) for name in _ARRAYS}
    if trajectory.source_time is not None:
        arrays["source_time"] = trajectory.source_time
    # Fixed-width unicode, as object arrays would need pickle.
    arrays["joint_names"] = np.array(trajectory.joint_names, dtype=np.str_)
    arrays["fps"] = np.array(trajectory.fps, dtype=np.float64)
    arrays["robot"] = np.array(trajectory.robot, dtype=np.str_)
    arrays["text"] = np.array(trajectory.text, dtype=np.str_)
    arrays["seed"] = np.array(_NO_SEED if seed is None else seed, dtype=np.int64)
    write_npz(path, arrays)


def read_trajectory(path: str | Path) -> RobotTrajectory:
    """Read a trajectory from .npz.

    Raises:
        MotionFileError: missing, cut short or malformed file; missing arrays; wrong shapes; NaN;
            times that do not increase.
    """
    path = Path(path)
    arrays = read_npz(path, (*_ARRAYS, "joint_names", "fps"))
    names = arrays["joint_names"]
    if names.dtype.kind != "U" or names.ndim != 1:
        raise MotionFileError(
            f"{path}: 'joint_names' must be a row of texts, got {names.dtype} of {names.shape}"
        )
    values = {name: numbers_in(path, arrays, name) for name in _ARRAYS}
    for name, array in values.items():
        if not np.isfinite(array).all():
            raise MotionFileError(f"{path}: {name!r} holds NaN or infinity")
    source = None
    if "source_time" in arrays:
        source = numbers_in(path, arrays, "source_time")
        if np.isinf(source).any():
            raise MotionFileError(f"{path}: 'source_time' holds infinity")
    fps = number_in(path, arrays, "fps")
    if fps <= 0.0:
        raise MotionFileError(f"{path}: 'fps' must be positive, got {fps:g}")
    try:
        trajectory = RobotTrajectory(
            robot=text_in(path, arrays, "robot"),
            joint_names=tuple(str(name) for name in names),
            fps=fps,
            text=text_in(path, arrays, "text"),
            source_time=source,
            **values,
        )
    except (RetargetError, TypeError) as error:
        raise MotionFileError(f"{path}: {error}") from error
    if not (np.diff(trajectory.time_from_start) > 0.0).all():
        raise MotionFileError(f"{path}: 'time_from_start' must increase strictly")
    return trajectory

"""A production of the toy humanoid: small captures, some of which cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.conftest import random_clip, waving_clip
from core.toy_humanoid import toy_humanoid, toy_profile
from nextscale_core.motion import write_motion
from nextscale_core.robots import Robot, RobotTrajectory, load_robot, write_trajectory

GOOD, BAD = 6, 3
"""Number of captures that are kept, and that are not."""

SPEC = """\
captures: takes
reading: {robot: &doll {name: doll.urdf, profile: doll.yaml}}
robots: [*doll]
formats: [robot-npz, mujoco-npz, bvh]
shards: {motions: 4, kinds: KINDS}
"""


def knotted(robot: Robot) -> RobotTrajectory:
    """A robot that stands with its legs through each other."""
    posture = robot.nominal.copy()
    for name, angle in (("left_hip_roll", -0.5), ("right_hip_roll", 0.5)):
        posture[robot.joint_names.index(name)] = angle
    positions, times = np.tile(posture, (30, 1)), np.arange(30) / 50
    return RobotTrajectory(
        robot="doll",
        joint_names=robot.joint_names,
        positions=positions,
        velocities=np.zeros_like(positions),
        time_from_start=times,
        base_position=np.tile([0.0, 0.0, 0.93], (30, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (30, 1)),
        fps=50.0,
        text="knot",
    )


def has_pyarrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.fixture(scope="package")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The specification, beside its captures and the robot."""
    folder = tmp_path_factory.mktemp("factory")
    toy_humanoid(folder)
    toy_profile(folder)
    takes = folder / "takes" / "monday"
    takes.mkdir(parents=True)
    for number in range(GOOD):
        clip = waving_clip(10 + 2 * number, 1.0 + 0.1 * number)
        write_motion(clip, takes / f"{number} wave.npz")
    write_motion(random_clip(0, 20), takes / "1 giant.npz")
    robot = load_robot(str(folder / "doll.urdf"), folder / "doll.yaml")
    write_trajectory(knotted(robot), takes / "2 knot.npz")
    (takes / "3 torn.bvh").write_text("HIERARCHY\nROOT Hips\n{\n")
    (takes / "README.txt").write_text("not a motion")
    path = folder / "spec.yaml"
    kinds = "[npz, parquet]" if has_pyarrow() else "[npz]"
    path.write_text(SPEC.replace("KINDS", kinds))
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of all files of a production, except of the lock."""

    def walk() -> Iterator[Path]:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())

    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in walk()
        if path.name != "lock"
    }

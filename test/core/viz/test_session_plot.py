"""The picture of several sentences and the seams between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nextscale_core.exceptions import MotionFileError
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.viz.session_plot import Spoken, draw_session

TEXTS = ("a person waves", "somebody turns around", "a very long sentence " * 6)


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot("g1")


@pytest.fixture(scope="module")
def executed(robot: Robot) -> RobotTrajectory:
    times = np.arange(0.0, 6.0, 0.01)
    sway = np.outer(np.sin(2 * np.pi * times / 3.0), 0.2 * np.ones(robot.num_joints))
    rate = np.outer(np.cos(2 * np.pi * times / 3.0), 0.2 * np.ones(robot.num_joints))
    return RobotTrajectory(
        robot="g1",
        joint_names=robot.joint_names,
        positions=robot.nominal + sway,
        velocities=2 * np.pi / 3.0 * rate,
        time_from_start=times,
        base_position=np.column_stack([0.3 * times, 0 * times, 0.75 + 0 * times]),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (len(times), 1)),
        fps=100.0,
    )


def spoken(count: int) -> list[Spoken]:
    return [
        Spoken(text, 0.1 + 2.0 * n, 0.8 + 2.0 * n, 1e-4, 1e-3)
        for n, text in enumerate(TEXTS[:count])
    ]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


def test_every_sentence_has_a_band_of_its_own_colour(
    robot: Robot, executed: RobotTrajectory, tmp_path: Path
) -> None:
    draw_session(robot, executed, spoken(3), tmp_path / "session.png")
    image = pixels(tmp_path / "session.png")
    assert image.shape[1] > image.shape[0] > 400
    # Just under the upper edge of the strip there are bands and, before the first, white.
    row = image[round(0.16 * image.shape[0])]
    flat = {tuple(color) for color in row[::3]}
    bands = [color for color in flat if 200 < min(color) < 250 and np.ptp(color) > 10]
    shares = [float((row == color).all(axis=1).mean()) for color in bands]
    assert sum(share > 0.1 for share in shares) == 3


def test_a_jerk_shows_in_the_velocities(
    robot: Robot, executed: RobotTrajectory, tmp_path: Path
) -> None:
    draw_session(robot, executed, spoken(2), tmp_path / "smooth.png")
    velocities = executed.velocities.copy()
    velocities[280:283, 3] += 8.0
    jerk = replace(executed, velocities=velocities)
    draw_session(robot, jerk, spoken(2), tmp_path / "jerk.png")
    smooth, jerky = (pixels(tmp_path / f"{name}.png") for name in ("smooth", "jerk"))
    half = smooth.shape[0] // 2
    changed = np.abs(smooth - jerky).max(axis=2) > 60
    assert changed[half:].sum() > 200
    assert changed[:half, : smooth.shape[1] // 2].sum() == 0


@pytest.mark.parametrize(
    ("name", "count", "reason"), [("a.gif", 1, "end in .png"), ("a.png", 0, "needs a sentence")]
)
def test_what_cannot_be_drawn_is_refused(
    robot: Robot, executed: RobotTrajectory, tmp_path: Path, name: str, count: int, reason: str
) -> None:
    with pytest.raises(MotionFileError, match=reason):
        draw_session(robot, executed, spoken(count), tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_folder_that_is_not_there_is_named(
    robot: Robot, executed: RobotTrajectory, tmp_path: Path
) -> None:
    with pytest.raises(MotionFileError, match=r"cannot write.*No such file"):
        draw_session(robot, executed, spoken(1), tmp_path / "nowhere" / "a.png")

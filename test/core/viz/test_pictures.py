"""Pictures: what is on them, not only that they are there."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from nextscale_core.exceptions import MotionFileError, RobotError
from nextscale_core.mesh import ellipsoid
from nextscale_core.motion import MotionClip
from nextscale_core.motion.skeleton import JOINT_INDEX, MIRROR_ORDER, NUM_JOINTS
from nextscale_core.robots import Robot, RobotTrajectory, load_robot
from nextscale_core.viz import draw_human, draw_robot
from nextscale_core.viz.animated_mesh import AnimatedMesh, robot_mesh
from nextscale_core.viz.camera import Camera
from nextscale_core.viz.contact_sheet import save_strip
from nextscale_core.viz.raster import paint_mesh

_STANDING = {
    "pelvis": (0, 0, 0.95), "spine1": (0, 0, 1.08), "spine2": (0, 0, 1.22), "spine3": (0, 0, 1.28),
    "neck": (0, 0, 1.49), "head": (0, 0, 1.58), "hip": (0, 0.08, 0.87), "knee": (0, 0.08, 0.48),
    "ankle": (0, 0.08, 0.08), "foot": (0.13, 0.08, 0.02), "collar": (0, 0.07, 1.40),
    "shoulder": (0, 0.18, 1.42), "elbow": (0, 0.20, 1.16), "wrist": (0, 0.22, 0.90),
}  # fmt: skip


def _standing() -> np.ndarray:
    joints = np.zeros((NUM_JOINTS, 3))
    for name, index in JOINT_INDEX.items():
        side, _, part = name.partition("_")
        joints[index] = _STANDING[part or name]
        joints[index, 1] *= -1.0 if side == "right" else 1.0
    return joints


def _walk(frames: int = 30, speed: float = 1.0) -> MotionClip:
    joints = np.tile(_standing(), (frames, 1, 1))
    joints[..., 0] += (np.arange(frames) / 20.0 * speed)[:, None]
    swing = 0.25 * np.sin(np.arange(frames) / 3.0)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joints[:, JOINT_INDEX[f"{side}_ankle"], 0] += sign * swing
        joints[:, JOINT_INDEX[f"{side}_foot"], 0] += sign * swing
        joints[:, JOINT_INDEX[f"{side}_wrist"], 0] -= sign * swing
    return MotionClip(joints, text="a person walks forward")


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(np.float64) / 255.0


def _share_of_hue(pixels: np.ndarray, low: float, high: float) -> float:
    """Share of the strongly coloured pixels whose hue is within [low, high], of 1."""
    flat = pixels.reshape(-1, 3)
    strong = flat[np.ptp(flat, axis=1) > 0.3]
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in strong[::7]])
    return float(((hues > low) & (hues < high)).mean())


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


@pytest.fixture
def trajectory(robot: Robot) -> RobotTrajectory:
    points = 50
    positions = np.tile(robot.nominal, (points, 1))
    shoulder = robot.joint_names.index("right_shoulder_pitch_joint")
    positions[:, shoulder] -= np.linspace(0.0, 1.5, points)
    return RobotTrajectory(
        robot="g1",
        joint_names=robot.joint_names,
        positions=positions,
        velocities=np.gradient(positions, 0.02, axis=0),
        time_from_start=np.arange(points) / 50.0,
        base_position=np.tile([0.0, 0.0, 0.78], (points, 1)),
        base_quaternion=np.tile([0.0, 0.0, 0.0, 1.0], (points, 1)),
        fps=50.0,
        text="a robot raises its right arm",
    )


def test_the_strip_shows_blue_left_and_orange_right_limbs_on_white(tmp_path: Path) -> None:
    draw_human(_walk(), tmp_path / "a.png")
    pixels = _pixels(tmp_path / "a.png")
    white = (pixels > 0.99).all(axis=-1).mean()
    assert 0.4 < white < 0.95
    assert _share_of_hue(pixels, 0.55, 0.66) > 0.15
    assert _share_of_hue(pixels, 0.03, 0.10) > 0.15


def test_the_right_side_is_nearer_to_the_camera_and_hides_the_left(tmp_path: Path) -> None:
    clip = _walk()
    mirrored = clip.joints[:, MIRROR_ORDER] * [1.0, -1.0, 1.0]
    # Mirroring a symmetric walk changes its phase, not which side is nearer.
    for number, joints in enumerate((clip.joints, mirrored)):
        draw_human(MotionClip(joints), tmp_path / f"{number}.png")
        pixels = _pixels(tmp_path / f"{number}.png")
        assert _share_of_hue(pixels, 0.03, 0.10) > _share_of_hue(pixels, 0.55, 0.66)


def test_another_motion_gives_another_picture_and_the_same_motion_the_same(tmp_path: Path) -> None:
    draw_human(_walk(), tmp_path / "a.png")
    draw_human(_walk(), tmp_path / "b.png")
    draw_human(_walk(speed=0.2), tmp_path / "c.png")
    first = _pixels(tmp_path / "a.png")
    np.testing.assert_array_equal(first, _pixels(tmp_path / "b.png"))
    other = _pixels(tmp_path / "c.png")
    assert other.shape != first.shape or np.abs(other - first).max() > 0.3


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_motions_are_drawn_too(frames: int, tmp_path: Path) -> None:
    for suffix in (".png", ".gif"):
        draw_human(_walk(frames), tmp_path / f"a{suffix}")
        assert _pixels(tmp_path / f"a{suffix}").std() > 0.05


def test_a_ball_is_round_on_the_strip(tmp_path: Path) -> None:
    ball = ellipsoid((0.5, 0.5, 0.5), (0.1, 0.1, 0.9)).placed(np.eye(3), np.array([0, 0, 1.0]))
    animated = AnimatedMesh(
        "a ball", 20.0, np.zeros((2, 3)), np.tile([1.0, 0.0], (2, 1)), np.zeros((0, 2, 2)), {},
        lambda frame: ball,
    )  # fmt: skip
    save_strip(animated, tmp_path / "ball.png")
    pixels = _pixels(tmp_path / "ball.png")
    blue = pixels[..., 2] > pixels[..., 0] + 0.35
    columns = np.flatnonzero(blue.any(axis=0))
    first = columns[: np.flatnonzero(np.diff(columns) > 1)[0] + 1]  # the first of the two balls
    rows = np.flatnonzero(blue[:, first].any(axis=1))
    assert len(first) > 60
    assert len(first) == pytest.approx(len(rows), rel=0.06)


def test_the_near_hides_the_far() -> None:
    page = Figure(figsize=(1, 1), dpi=50)
    canvas = FigureCanvasAgg(page)
    axes = page.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1, 1), ylim=(-1, 1))
    camera = Camera(np.zeros(3), np.array([1.0, 0.0, 0.0]))
    near = ellipsoid((0.3, 0.3, 0.3), (0.9, 0.1, 0.1)).placed(np.eye(3), np.array([1.0, 0, 0]))
    far = ellipsoid((0.6, 0.6, 0.6), (0.1, 0.1, 0.9)).placed(np.eye(3), np.array([-1.0, 0, 0]))
    paint_mesh(axes, camera, type(near).joined([near, far]))
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    red, _, blue = pixels[25, 25, :3]
    assert red > blue
    red, _, blue = pixels[25, 37, :3]
    assert blue > red


def test_the_animation_runs_at_its_true_speed_and_moves(tmp_path: Path) -> None:
    draw_human(_walk(24), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 24
        assert image.info["duration"] == 50
        frames = []
        for number in (0, 6, 12):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")).astype(int))
    for before, after in pairwise(frames):
        assert (np.abs(before - after).max(axis=-1) > 40).mean() > 0.005
        # The background does not flicker.
        np.testing.assert_array_equal(before[60, 400], after[60, 400])


def test_the_camera_follows_the_body(tmp_path: Path) -> None:
    draw_human(_walk(60, speed=3.0), tmp_path / "a.gif")
    middles = []
    with Image.open(tmp_path / "a.gif") as image:
        for number in (5, 30, 55):
            image.seek(number)
            pixels = np.asarray(image.convert("RGB")).astype(int)[60:400]
            _, columns = np.nonzero(np.ptp(pixels, axis=-1) > 80)
            middles.append(float(np.median(columns)) / pixels.shape[1])
    # Nine metres of way, and the body stays in the middle third of the picture.
    assert all(0.33 < middle < 0.67 for middle in middles)


def test_a_fast_trajectory_is_thinned_to_what_a_gif_can_show(
    robot: Robot, trajectory: RobotTrajectory, tmp_path: Path
) -> None:
    draw_robot(robot, trajectory, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        # 50 points at 50 Hz, every third shown for 60 ms: still one second.
        assert image.n_frames == 17
        assert image.info["duration"] == 60


def test_the_robot_has_dark_and_light_parts(
    robot: Robot, trajectory: RobotTrajectory, tmp_path: Path
) -> None:
    draw_robot(robot, trajectory, tmp_path / "a.png")
    grey = _pixels(tmp_path / "a.png").mean(axis=-1)
    assert (grey < 0.3).mean() > 0.005
    assert ((grey > 0.4) & (grey < 0.85)).mean() > 0.02


def test_a_robot_moves_as_its_trajectory_says(robot: Robot, trajectory: RobotTrajectory) -> None:
    animated = robot_mesh(robot, trajectory)
    first, last = animated.mesh(0).vertices, animated.mesh(len(animated) - 1).vertices
    assert first[:, 2].min() == pytest.approx(0.0, abs=0.06)
    assert 1.2 < first[:, 2].max() < 1.4
    assert last[:, 2].max() == pytest.approx(first[:, 2].max(), abs=0.01)
    moved = np.linalg.norm(last - first, axis=1)
    assert 0.02 < (moved > 0.1).mean() < 0.4  # the right arm, nothing else
    assert last[moved > 0.1, 1].max() < 0.05


def test_a_robot_without_its_meshes_is_drawn_as_sticks(
    robot: Robot, trajectory: RobotTrajectory, tmp_path: Path
) -> None:
    bare = replace(robot, mesh_dirs=(tmp_path,))
    sticks = robot_mesh(bare, trajectory).mesh(0)
    assert len(sticks.triangles) < 10_000
    assert 0.8 < float(np.ptp(sticks.vertices[:, 2])) < 1.4
    draw_robot(bare, trajectory, tmp_path / "a.png")
    assert _pixels(tmp_path / "a.png").std() > 0.05


def test_a_trajectory_of_another_robot_is_refused(
    robot: Robot, trajectory: RobotTrajectory, tmp_path: Path
) -> None:
    names = ("neck", *trajectory.joint_names[1:])
    with pytest.raises(RobotError, match="neck"):
        draw_robot(robot, replace(trajectory, joint_names=names), tmp_path / "a.png")


def test_unknown_picture_formats_are_refused_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(MotionFileError, match=r"\.gif or \.png"):
        draw_human(_walk(), tmp_path / "a.mp4")


def test_a_picture_in_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    for suffix in (".png", ".gif"):
        with pytest.raises(MotionFileError, match="cannot write"):
            draw_human(_walk(2), tmp_path / "nowhere" / f"a{suffix}")

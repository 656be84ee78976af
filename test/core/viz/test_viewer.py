"""The page: what the sliders do to it, and what a browser makes of it."""

from __future__ import annotations

import colorsys
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.human_clips import walking_clip
from core.viz.headless import find_browser, opened
from core.viz.test_scene import swinging
from nextscale_core.exceptions import InvalidMotionError, RobotError
from nextscale_core.robots import Robot, load_robot
from nextscale_core.viz.scene import Scene, human_scene, robot_scene
from nextscale_core.viz.viser_scene import STANCE, ViewerError, open_server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def sticks(tmp_path_factory: pytest.TempPathFactory) -> Robot:
    """The G1 without its meshes: quick to load, and to draw without a graphics card."""
    try:
        return replace(load_robot("g1"), mesh_dirs=(tmp_path_factory.mktemp("no_meshes"),))
    except RobotError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def scene(sticks: Robot) -> Scene:
    made = robot_scene(sticks, swinging(sticks), title="swings <its> arms")
    return replace(made, facts=(*made.facts, ("safety", "pass: all well")))


@pytest.fixture
def viewer(scene: Scene) -> Iterator[Any]:
    pytest.importorskip("viser", reason="the page needs viser, which is not installed")
    from nextscale_core.viz.viewer import Viewer

    page = Viewer(scene, port=free_port(), playing=False)
    yield page
    page.close()


@pytest.fixture
def live(sticks: Robot) -> Iterator[Any]:
    pytest.importorskip("viser", reason="the page needs viser, which is not installed")
    from nextscale_core.viz.live import LiveViewer

    page = LiveViewer(sticks, port=free_port(), max_rate=np.inf)
    yield page
    page.close()


def handle(page: Any, name: str) -> Any:
    found = page.server.scene.get_handle_by_name(name)
    assert found is not None, name
    return found


def assert_robot_at(page: Any, scene: Scene, frame: int) -> None:
    assert scene.robot is not None
    for row, link in enumerate(scene.robot.body.links):
        frame_of_link = handle(page, f"/world/robot/{link.name}")
        np.testing.assert_allclose(
            frame_of_link.position, scene.robot.positions[frame, row], atol=1e-6
        )
        x, y, z, w = scene.robot.quaternions[frame, row]
        np.testing.assert_allclose(abs(np.dot(frame_of_link.wxyz, (w, x, y, z))), 1.0, atol=1e-6)


def test_without_viser_the_message_holds_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(ViewerError, match=r"pip install 'viser>="):
        open_server("127.0.0.1", free_port())


def test_the_server_gives_out_the_page(viewer: Any) -> None:
    with urllib.request.urlopen(viewer.url, timeout=20) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read().lower()


def test_a_second_page_takes_the_next_port(viewer: Any, scene: Scene) -> None:
    from nextscale_core.viz.viewer import Viewer

    second = Viewer(scene, port=viewer.server.get_port(), playing=False)
    try:
        assert second.url != viewer.url
    finally:
        second.close()


def test_ctrl_c_ends_the_wait_without_an_exception_that_could_get_lost(viewer: Any) -> None:
    usual = signal.getsignal(signal.SIGINT)
    presses = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    presses.start()
    viewer.wait()
    presses.join()
    assert signal.getsignal(signal.SIGINT) is usual


def test_the_time_slider_moves_every_link_to_its_pose(viewer: Any, scene: Scene) -> None:
    assert_robot_at(viewer, scene, 0)
    meshes = viewer.server.scene.get_handle_by_name("/world/human/left_hip-left_knee")
    viewer.slider.value = 1.0
    assert_robot_at(viewer, scene, 50)
    viewer.seek(99.0)
    assert_robot_at(viewer, scene, len(scene) - 1)
    # The meshes are the same as before: only their frames moved.
    assert viewer.server.scene.get_handle_by_name("/world/human/left_hip-left_knee") is meshes
    assert scene.human is not None
    np.testing.assert_allclose(meshes.position, scene.human.joints[-1, 1], atol=1e-6)


def test_standing_feet_are_marked_as_long_as_that_is_wanted(viewer: Any, scene: Scene) -> None:
    assert scene.human is not None
    frame = int(np.flatnonzero(scene.human.stance.any(axis=1))[0])
    foot = int(np.flatnonzero(scene.human.stance[frame])[0])
    name = f"/world/human/{('left', 'right')[foot]}_ankle-{('left', 'right')[foot]}_foot"
    viewer.slider.value = round(frame / scene.fps, 2)
    green = tuple(round(255 * value) for value in STANCE)
    assert tuple(handle(viewer, name).color) == green
    viewer._stance.value = False
    assert tuple(handle(viewer, name).color) != green


def test_the_world_moves_below_a_camera_that_follows(viewer: Any, scene: Scene) -> None:
    viewer.seek(scene.seconds)
    away = np.array(handle(viewer, "/world").position[:2])
    viewer._follow.value = False
    still = np.array(handle(viewer, "/world").position[:2])
    walked = scene.centre[-1, :2] - scene.centre[0, :2]
    np.testing.assert_allclose(still - away, walked, atol=0.05)


def test_playing_goes_on_and_pauses(viewer: Any, scene: Scene) -> None:
    viewer.play()
    deadline = time.monotonic() + 20.0
    while viewer.slider.value == 0.0 and time.monotonic() < deadline:
        time.sleep(0.02)
    viewer.play(False)
    time.sleep(0.3)
    at = viewer.slider.value
    assert 0.0 < at <= scene.seconds
    time.sleep(0.3)
    assert viewer.slider.value == at
    assert not viewer.playing


def test_without_loop_it_stops_at_the_end_and_starts_again_from_there(
    viewer: Any, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer._loop.value = False
    viewer.seek(scene.seconds - 0.05)
    viewer._playing = True
    deadline = time.monotonic() + 20.0
    while viewer.playing and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not viewer.playing
    assert viewer.slider.value == pytest.approx(scene.seconds, abs=0.011)
    shown: list[float] = []
    monkeypatch.setattr(viewer, "seek", shown.append)
    viewer.play()
    assert shown == [0.0]


def test_a_live_robot_stands_where_it_is_measured(live: Any, sticks: Robot) -> None:
    trajectory = swinging(sticks)
    scene = robot_scene(sticks, trajectory)
    for row in (10, 80):
        shown = live.update_robot(
            trajectory.positions[row],
            trajectory.base_position[row],
            trajectory.base_quaternion[row],
            stamp=row / 50.0,
        )
        assert shown
        assert_robot_at(live, scene, row)
    joints = walking_clip().joints[3].astype(np.float64)
    assert live.update_skeleton(joints)
    thigh = handle(live, "/world/human/left_hip-left_knee")
    np.testing.assert_allclose(thigh.position, joints[1], atol=1e-6)
    live.write("safety", "rejected: too <fast>")
    assert "too &lt;fast&gt;" in live._text.content


def test_a_live_robot_that_stands_still_has_green_feet(live: Any, sticks: Robot) -> None:
    base = np.array([0.0, 0.0, 0.0])
    upright = np.array([0.0, 0.0, 0.0, 1.0])
    low = float(live._kinematics.points(_pose(sticks, base))[0, live._kinematics.soles, 2].min())
    for stamp in (1.0, 1.02):
        live.update_robot(sticks.nominal, base - [0.0, 0.0, low], upright, stamp=stamp)
    green = tuple(round(255 * value) for value in STANCE)
    colors = [tuple(mesh.color) for meshes in live._scene._robot_feet for mesh, _ in meshes]
    assert colors and set(colors) == {green}


def _pose(robot: Robot, base: np.ndarray) -> Any:
    from nextscale_core.robots.kinematics import Poses

    return Poses(base[None], np.eye(3)[None], robot.nominal[None])


def test_live_updates_that_come_too_fast_are_left_out(sticks: Robot) -> None:
    pytest.importorskip("viser", reason="the page needs viser, which is not installed")
    from nextscale_core.viz.live import LiveViewer

    page = LiveViewer(sticks, port=free_port(), max_rate=0.01)
    try:
        state = (sticks.nominal, np.array([0.0, 0.0, 0.8]), np.array([0.0, 0.0, 0.0, 1.0]))
        assert [page.update_robot(*state) for _ in range(3)] == [True, False, False]
    finally:
        page.close()


@pytest.mark.parametrize(
    ("positions", "base", "turn", "reason"),
    [
        (np.zeros(3), np.zeros(3), [0, 0, 0, 1], "positions must have shape"),
        (None, [0.0, np.nan, 0.0], [0, 0, 0, 1], "base_position holds NaN"),
        (None, np.zeros(3), np.zeros(4), "four zeros"),
    ],
)
def test_wrong_live_states_are_refused(
    live: Any, sticks: Robot, positions: Any, base: Any, turn: Any, reason: str
) -> None:
    with pytest.raises(InvalidMotionError, match=reason):
        live.update_robot(sticks.nominal if positions is None else positions, base, turn)


def _hues(path: Path) -> dict[str, float]:
    """Shares of the picture that are clearly blue, orange and green."""
    with Image.open(path) as image:
        # The panel on the right has colours of its own.
        pixels = np.asarray(image.convert("RGB"))[:, :560].reshape(-1, 3) / 255.0
    strong = pixels[np.ptp(pixels, axis=1) > 0.25]
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in strong])
    ranges = {"blue": (0.55, 0.68), "orange": (0.03, 0.12), "green": (0.36, 0.46)}
    return {
        name: float(((hues > low) & (hues < high)).sum() / len(pixels))
        for name, (low, high) in ranges.items()
    }


def test_a_browser_shows_the_human_and_the_robot_and_moves_them(
    viewer: Any, tmp_path: Path
) -> None:
    if find_browser() is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    size = (880, 600)
    with opened(viewer.url, tmp_path / "profile", size) as page:
        first = _wait_for_colors(page, tmp_path / "first.png")
        assert first["blue"] > 0.004 and first["orange"] > 0.004, first
        text = page.run("document.body.innerText")
        assert "swings <its> arms" in text and "pass: all well" in text
        viewer.seek(2.0)
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            page.screenshot(tmp_path / "second.png")
            if _difference(tmp_path / "first.png", tmp_path / "second.png") > 0.005:
                break
        assert _difference(tmp_path / "first.png", tmp_path / "second.png") > 0.005


def _wait_for_colors(page: Any, path: Path) -> dict[str, float]:
    """Drawing without a graphics card takes a while."""
    deadline = time.monotonic() + 150.0
    found = {"blue": 0.0, "orange": 0.0, "green": 0.0}
    while time.monotonic() < deadline:
        time.sleep(1.0)
        page.screenshot(path)
        found = _hues(path)
        if found["blue"] > 0.004 and found["orange"] > 0.004:
            break
    return found


def _difference(one: Path, other: Path) -> float:
    """Share of the pixels left of the panel that changed."""
    pictures = []
    for path in (one, other):
        with Image.open(path) as image:
            pictures.append(np.asarray(image.convert("RGB")).astype(int)[:, :560])
    return float((np.abs(pictures[0] - pictures[1]).max(axis=-1) > 60).mean())


def test_a_human_alone_has_a_page_too() -> None:
    pytest.importorskip("viser", reason="the page needs viser, which is not installed")
    from nextscale_core.viz.viewer import Viewer

    clip = walking_clip()
    page = Viewer(human_scene(clip), port=free_port(), playing=False)
    try:
        page.seek(2.0)
        hip = handle(page, "/world/human/left_hip-left_knee")
        np.testing.assert_allclose(hip.position, clip.joints[40, 1], atol=1e-6)
    finally:
        page.close()

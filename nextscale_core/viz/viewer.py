"""`Viewer`: a page that plays a scene."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nextscale_core.motion.mannequin import Mannequin
from nextscale_core.viz.scene import ASIDE, Scene
from nextscale_core.viz.viser_scene import (
    SIDES,
    ViserScene,
    facts_html,
    legend_html,
    open_panel,
    open_server,
    page_url,
)

if TYPE_CHECKING:
    import viser

_SPEEDS = (0.25, 2.0)
"""Minimum and maximum speed of playing; 1 is true speed."""

_RATE = 30.0
"""Rate of frames sent to the browsers while playing [Hz]."""

_TICK = 0.01
"""Step of the time slider [s]."""

_FOLLOW_SECONDS = 0.35


class Viewer:
    """A page with play, pause, a time slider, speed, loop and a camera that follows.

    Args:
        scene: The scene.
        host: Address to listen at; '0.0.0.0' accepts other machines.
        port: Port; the next free one if it is in use.
        playing: Whether the motion plays at once.

    Attributes:
        server: The page's server.
        slider: The time [s]; setting its value shows that time.

    Raises:
        ViewerError: viser is not installed, or the address cannot be used.
    """

    def __init__(
        self, scene: Scene, *, host: str = "127.0.0.1", port: int = 8080, playing: bool = True
    ):
        self.scene = scene
        self.server: viser.ViserServer = open_server(host, port)
        self._bodies = ViserScene(self.server)
        self._closed = threading.Event()
        self._drawing = threading.Lock()
        self._playing = playing
        self._time = 0.0
        # Smoothed, so that the camera does not shake with every step.
        self._followed = gaussian_filter1d(
            scene.centre[:, :2], max(_FOLLOW_SECONDS * scene.fps, 1e-3), axis=0, mode="nearest"
        )
        height = 1.0
        if scene.robot is not None:
            self._bodies.add_robot(scene.robot.body)
            height = max(height, float(scene.robot.positions[0, :, 2].max()) + 0.15)
        if scene.human is not None:
            self._bodies.add_human(Mannequin(scene.human.joints[0], SIDES), scene.human.offset)
            height = max(height, float(scene.human.joints[0, :, 2].max()) + 0.15)
        both = scene.robot is not None and scene.human is not None
        self._bodies.aim(scene.forward[0], height, ASIDE if both else 0.0)
        self._add_controls(both)
        self._draw(0)
        self._player = threading.Thread(target=self._play_on, name="nextscale-view", daemon=True)
        self._player.start()

    @property
    def url(self) -> str:
        """Address of the page."""
        return page_url(self.server)

    @property
    def playing(self) -> bool:
        """Whether the motion plays."""
        return self._playing

    def play(self, playing: bool = True) -> None:
        """Play, again from the start if the end is reached, or pause."""
        if playing and self._time >= self.scene.seconds - _TICK:
            self.seek(0.0)
        self._playing = playing
        self._button.label = "Pause" if playing else "Play"

    def seek(self, seconds: float) -> None:
        """Show a time [s]."""
        self._time = float(np.clip(seconds, 0.0, self.scene.seconds))
        self._show_time()

    def _show_time(self) -> None:
        # viser's type declares the value read-only; its documentation sets it.
        setattr(self.slider, "value", round(self._time, 2))  # noqa: B010

    def wait(self) -> None:
        """Wait until the page is closed with `close`, or Ctrl-C in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            self._closed.wait()
            return
        # A KeyboardInterrupt may get lost in a finalizer that happens to run.
        usual = signal.signal(signal.SIGINT, lambda *_: self._closed.set())
        try:
            while not self._closed.wait(0.2):
                pass
        finally:
            signal.signal(signal.SIGINT, usual)

    def close(self) -> None:
        """Close the page."""
        self._closed.set()
        self._player.join(timeout=2.0)
        self.server.stop()

    def _add_controls(self, both: bool) -> None:
        gui, scene = self.server.gui, self.scene
        open_panel(self.server, scene.title, control_width="medium")
        self._button = gui.add_button("Pause" if self._playing else "Play")
        end = max(round(scene.seconds, 2), _TICK)
        self.slider = gui.add_slider("time [s]", min=0.0, max=end, step=_TICK, initial_value=0.0)
        self._speed = gui.add_slider(
            "speed", min=_SPEEDS[0], max=_SPEEDS[1], step=0.25, initial_value=1.0,
            marks=((0.5, "0.5x"), (1.0, "1x"), (2.0, "2x")),
        )  # fmt: skip
        self._loop = gui.add_checkbox("loop", initial_value=True)
        self._follow = gui.add_checkbox(
            "camera follows", initial_value=True, hint="The world moves below the camera."
        )
        if both:
            robot = gui.add_checkbox("robot", initial_value=True)
            human = gui.add_checkbox("human", initial_value=True)
            for box in (robot, human):
                box.on_update(
                    lambda _: self._bodies.show(robot=bool(robot.value), human=bool(human.value))
                )
        self._stance = gui.add_checkbox("mark standing feet", initial_value=True)
        gui.add_html(legend_html(human=scene.human is not None))
        gui.add_html(facts_html(scene.facts))

        self._button.on_click(lambda _: self.play(not self._playing))
        self.slider.on_update(self._moved)
        for control in (self._follow, self._stance):
            control.on_update(lambda _: self._draw(self._frame()))

    def _frame(self) -> int:
        return min(round(float(self.slider.value) * self.scene.fps), len(self.scene) - 1)

    def _moved(self, event: viser.GuiEvent) -> None:
        if event.client is not None:  # dragged by a user: playing would move the slider away
            self._time = float(self.slider.value)
            self.play(False)
        self._draw(self._frame())

    def _draw(self, frame: int) -> None:
        scene = self.scene
        marked = bool(self._stance.value)
        with self._drawing, self.server.atomic():
            if scene.robot is not None:
                robot = scene.robot
                self._bodies.show_robot(
                    robot.positions[frame], robot.quaternions[frame], robot.stance[frame] & marked
                )
            if scene.human is not None:
                human = scene.human
                self._bodies.show_human(human.joints[frame], human.stance[frame] & marked)
            followed = self._followed[frame if self._follow.value else 0]
            self._bodies.look_at(followed)

    def _play_on(self) -> None:
        """Move the slider `_RATE` times a second while the page is open."""
        before = time.monotonic()
        while not self._closed.wait(1.0 / _RATE):
            now = time.monotonic()
            passed, before = now - before, now
            if not self._playing:
                continue
            over = False
            self._time += passed * float(self._speed.value)
            if self._time > self.scene.seconds:
                self._time = 0.0 if self._loop.value else self.scene.seconds
                over = not self._loop.value
            self._show_time()
            if over:
                self._playing = False
                self._button.label = "Play"

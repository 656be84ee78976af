"""`ViserScene`: floor, robot and human on a viser page, and the texts of its panel.

Every mesh is sent once; a new frame only moves the frames of the links.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from contextlib import redirect_stdout
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from nextscale_core.exceptions import NextscaleError
from nextscale_core.mesh import Color, by_color, creased
from nextscale_core.motion.mannequin import LEFT, RIGHT, Mannequin
from nextscale_core.viz.camera import looking
from nextscale_core.viz.links import RobotBody

if TYPE_CHECKING:
    import viser

STANCE: Color = (0.16, 0.70, 0.38)
"""Colour of a foot on the floor."""

INSTALL = "pip install 'viser>=1.1'"
"""Command that installs viser; the same as the extra `view` of the package."""

SIDES = 24
"""Facets around a limb of the human."""

_VIEW, _TURN = np.deg2rad(38.0), np.deg2rad(-36.0)
"""Opening angle of the first camera, and its direction from ahead to the bodies' left [rad]."""

_PANEL = 0.38
"""Shift of the first camera's target, in heights: the panel covers the right of the page."""

_SAME_LENGTH = 0.004
"""Maximum difference of a limb's length from its mesh that is not drawn, as a share of it."""

_BRAND = (38, 102, 190)
_MARKS = {"pass": "#1f9d55", "repaired": "#b7791f", "rejected": "#c53030"}
"""Colour of the safety gate's line, by its first word."""


class ViewerError(NextscaleError, RuntimeError):
    """The page cannot be opened (viser is missing, or no port is free)."""


def require_viser() -> None:
    """Check that viser is installed.

    Raises:
        ViewerError: viser is not installed; the message holds the command to install it.
    """
    try:
        installed = importlib.util.find_spec("viser") is not None
    except ValueError:  # a substitute module has no spec
        installed = False
    if not installed:
        raise ViewerError(
            f"the page needs viser: {INSTALL} (pictures do not: --png FILE, --gif FILE)"
        )


def open_server(host: str, port: int) -> viser.ViserServer:
    """Start the server of a page.

    Args:
        host: Address to listen at; '0.0.0.0' accepts other machines.
        port: Port; the next free one if it is in use.

    Raises:
        ViewerError: viser is not installed, or the address cannot be used.
    """
    require_viser()
    import viser

    try:
        with redirect_stdout(StringIO()):  # viser's banner
            return viser.ViserServer(host=host, port=port, label="nextscale", verbose=False)
    except (OSError, RuntimeError) as error:
        raise ViewerError(f"cannot open a page at {host}:{port}: {error}") from error


def page_url(server: viser.ViserServer) -> str:
    """Address of the page for a browser on this machine."""
    host = server.get_host()
    return f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1') else host}:{server.get_port()}"


class ViserScene:
    """The bodies on a page.

    Args:
        server: Server of the page.
    """

    def __init__(self, server: viser.ViserServer):
        self._server = server
        scene = server.scene
        scene.set_up_direction("+z")
        scene.configure_environment_map(None)
        scene.configure_default_lights(enabled=False)
        scene.add_light_hemisphere(
            "/light/sky", sky_color=(255, 255, 255), ground_color=(196, 200, 208), intensity=1.5
        )
        self._sun = scene.add_light_directional(
            "/light/sun", color=(255, 250, 242), intensity=2.7, cast_shadow=True,
            position=(2.0, -1.6, 4.2),
        )  # fmt: skip
        self._world = scene.add_frame("/world", show_axes=False)
        scene.add_grid(
            "/world/floor", infinite_grid=True, cell_size=0.5, section_size=1.0,
            cell_color=(226, 229, 234), section_color=(203, 208, 216), cell_thickness=1.0,
            section_thickness=1.2, fade_distance=16.0, shadow_opacity=0.22,
        )  # fmt: skip
        self._robot_root = scene.add_frame("/world/robot", show_axes=False)
        self._human_root = scene.add_frame("/world/human", show_axes=False)
        self._links: list[viser.FrameHandle] = []
        self._limbs: list[viser.MeshHandle] = []
        self._mannequin: Mannequin | None = None
        # For each foot of each body: its meshes and their colours in the air.
        self._robot_feet: tuple[list[tuple[Any, Color]], ...] = ([], [])
        self._human_feet: tuple[list[tuple[Any, Color]], ...] = ([], [])

    def add_robot(self, body: RobotBody) -> None:
        """Put a robot on the page: a frame for each link, its meshes below it."""
        scene = self._server.scene
        for row, link in enumerate(body.links):
            name = f"/world/robot/{link.name.replace('/', '_')}"
            self._links.append(scene.add_frame(name, show_axes=False))
            for number, (color, mesh) in enumerate(by_color(creased(link.mesh))):
                handle = scene.add_mesh_simple(
                    f"{name}/mesh{number}", mesh.vertices.astype(np.float32),
                    mesh.triangles.astype(np.uint32), color=_bytes(color),
                )  # fmt: skip
                for foot, rows in enumerate(body.feet):
                    if row in rows:
                        self._robot_feet[foot].append((handle, color))

    def add_human(self, mannequin: Mannequin, offset: np.ndarray) -> None:
        """Put a human on the page, shifted by (3,) `offset` from its motion [m]."""
        self._mannequin = mannequin
        self._human_root.position = tuple(offset)
        for part in mannequin.parts:
            handle = self._server.scene.add_mesh_simple(
                f"/world/human/{part.name}", part.mesh.vertices.astype(np.float32),
                part.mesh.triangles.astype(np.uint32), color=_bytes(part.color),
            )  # fmt: skip
            self._limbs.append(handle)
            if part.foot is not None:
                self._human_feet[part.foot].append((handle, part.color))

    def show_robot(
        self, positions: np.ndarray, quaternions: np.ndarray, stance: np.ndarray
    ) -> None:
        """Move the links to (L, 3) origins [m] and (L, 4) orientations x y z w in the world.

        `stance` (2,) marks the left and the right foot on the floor.
        """
        for handle, at, turn in zip(self._links, positions, quaternions, strict=True):
            _place(handle, at, turn)
        _paint(self._robot_feet, stance)

    def show_human(self, joints: np.ndarray, stance: np.ndarray) -> None:
        """Move the human to (22, 3) joints [m]; `stance` (2,) as in `show_robot`."""
        if self._mannequin is None:
            return
        origins, turns, stretch = self._mannequin.poses(joints[None])
        for handle, at, turn, long in zip(
            self._limbs, origins[0], turns[0], stretch[0], strict=True
        ):
            _place(handle, at, turn)
            scale = (1.0, 1.0, float(long) if abs(long - 1.0) > _SAME_LENGTH else 1.0)
            if handle.scale != scale:
                handle.scale = scale
        _paint(self._human_feet, stance)

    def look_at(self, centre: np.ndarray) -> None:
        """Move the world so that (2,) `centre` [m] is where the cameras look.

        The cameras are controlled by the users: to follow a body, the world moves below them.
        """
        self._world.position = (-float(centre[0]), -float(centre[1]), 0.0)

    def aim(self, forward: np.ndarray, height: float, width: float) -> None:
        """Set the initial camera ahead and to the right of bodies that face (2,) `forward`.

        `height` is that of the tallest body, `width` the distance between them [m].
        """
        toward = looking(forward, turn=_TURN, elevation=0.0)[:2]
        right = np.array([-toward[1], toward[0]])  # on the page
        target = _PANEL * height * right
        place = target + (2.35 * height + 0.55 * width) * toward
        self._sun.position = (*(2.6 * toward + 1.0 * right), 4.2)
        camera = self._server.initial_camera
        camera.fov = _VIEW
        camera.position = (float(place[0]), float(place[1]), 0.95 * height)
        camera.look_at = (float(target[0]), float(target[1]), 0.46 * height)

    def show(self, *, robot: bool, human: bool) -> None:
        """Hide and show the bodies."""
        self._robot_root.visible = robot
        self._human_root.visible = human


def open_panel(server: viser.ViserServer, title: str, **theme: Any) -> viser.GuiHtmlHandle:
    """Style the panel of a page and put a title at its top; `theme` as in viser."""
    gui = server.gui
    gui.configure_theme(brand_color=_BRAND, show_logo=False, show_share_button=False, **theme)
    gui.set_panel_label("nextscale")
    return gui.add_html(title_html(title))


def _place(handle: Any, at: np.ndarray, turn: np.ndarray) -> None:
    """Move a handle to a position and an orientation x y z w; viser wants w first."""
    handle.position = tuple(at.tolist())
    handle.wxyz = (float(turn[3]), *turn[:3].tolist())


def _paint(feet: tuple[list[tuple[Any, Color]], ...], stance: np.ndarray) -> None:
    for meshes, stands in zip(feet, stance, strict=True):
        for handle, color in meshes:
            wanted = _bytes(STANCE if stands else color)
            if tuple(handle.color) != wanted:
                handle.color = wanted


def _bytes(color: Color) -> tuple[int, int, int]:
    red, green, blue = (round(255 * min(max(value, 0.0), 1.0)) for value in color)
    return red, green, blue


def title_html(title: str) -> str:
    """The title of the panel."""
    return (
        '<div style="padding: 0.35em 0.85em 0.1em; font-size: 1.05em; font-weight: 600; '
        f'line-height: 1.35">{escape(title)}</div>'
    )


def facts_html(facts: Iterable[tuple[str, str]]) -> str:
    """Names and sentences, one below the other; a gate's line begins with a coloured mark."""
    rows = []
    for name, text in facts:
        mark = next((c for word, c in _MARKS.items() if text.startswith(word)), None)
        dot = f'<span style="color: {mark}">●</span> ' if mark else ""
        rows.append(
            f'<div style="margin: 0.45em 0"><div style="opacity: 0.6; font-size: 0.85em">'
            f"{escape(name)}</div><div>{dot}{escape(text)}</div></div>"
        )
    body = "".join(rows)
    return f'<div style="padding: 0 0.85em 0.3em; font-size: 0.87em; line-height: 1.4">{body}</div>'


def legend_html(*, human: bool) -> str:
    """The colours of the bodies."""
    entries: list[tuple[str, Color]] = [("foot on the floor", STANCE)]
    if human:
        entries = [("left", LEFT), ("right", RIGHT), *entries]
    spans = "".join(
        f'<span style="margin-right: 1em; white-space: nowrap"><span style="color: '
        f'#{bytes(_bytes(color)).hex()}">●</span> {escape(name)}</span>'
        for name, color in entries
    )
    return f'<div style="padding: 0.1em 0.95em 0.5em; font-size: 0.87em">{spans}</div>'

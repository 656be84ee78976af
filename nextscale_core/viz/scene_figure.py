"""A scene as a `Figure`: robot and human side by side on one picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.viz.figure import Color, Figure
from nextscale_core.viz.human import LEFT, RIGHT
from nextscale_core.viz.mannequin import Mannequin
from nextscale_core.viz.mesh import Mesh, one_color, simplified
from nextscale_core.viz.scene import HumanTrack, RobotTrack, Scene
from nextscale_core.viz.viser_scene import STANCE

_MARGIN = 0.75
"""Room that arms and legs need beside a root, on either side [m]."""


def scene_figure(scene: Scene, *, detail: float = 0.014) -> Figure:
    """Give a scene a body to be drawn with: everybody who is in it.

    Args:
        scene: What to draw.
        detail: Size of the smallest feature of a mesh that is kept [m].
    """
    bodies = []
    legend: dict[str, Color] = {"standing": STANCE}
    if scene.robot is not None:
        bodies.append(_robot_meshes(scene.robot, detail))
    if scene.human is not None:
        bodies.append(_human_meshes(scene.human))
        legend = {"left": LEFT, "right": RIGHT, **legend}
    centre = scene.centre
    return Figure(
        title=scene.title,
        fps=scene.fps,
        root=centre,
        forward=scene.forward,
        footprints=_footprints(scene),
        legend=legend,
        mesh=lambda frame: Mesh.joined([body(frame) for body in bodies]),
        width=_width(scene, centre),
    )


def _robot_meshes(track: RobotTrack, detail: float) -> Callable[[int], Mesh]:
    links = [simplified(link.mesh, detail) for link in track.body.links]
    standing = [Mesh(m.vertices, m.triangles, one_color(STANCE, m.triangles)) for m in links]
    foot_of = {row: foot for foot, rows in enumerate(track.body.feet) for row in rows}

    def mesh(frame: int) -> Mesh:
        turns = Rotation.from_quat(track.quaternions[frame]).as_matrix()
        parts = []
        for row, (turn, origin) in enumerate(zip(turns, track.positions[frame], strict=True)):
            stands = row in foot_of and track.stance[frame, foot_of[row]]
            parts.append((standing if stands else links)[row].placed(turn, origin))
        return Mesh.joined(parts)

    return mesh


def _human_meshes(track: HumanTrack) -> Callable[[int], Mesh]:
    mannequin = Mannequin(track.joints[0])
    poses = mannequin.poses(track.joints)
    standing = [
        Mesh(p.mesh.vertices, p.mesh.triangles, one_color(STANCE, p.mesh.triangles))
        for p in mannequin.parts
    ]

    def mesh(frame: int) -> Mesh:
        origins, turns, stretch = (values[frame] for values in poses)
        parts = []
        for row, part in enumerate(mannequin.parts):
            stands = part.foot is not None and track.stance[frame, part.foot]
            shape = standing[row] if stands else part.mesh
            long = Mesh(shape.vertices * [1.0, 1.0, stretch[row]], shape.triangles, shape.colors)
            turn = Rotation.from_quat(turns[row]).as_matrix()
            parts.append(long.placed(turn, origins[row] + track.offset))
        return Mesh.joined(parts)

    return mesh


def _footprints(scene: Scene) -> np.ndarray:
    """(K, 2, 2) heel to toe of every foot that stands, robot and human."""
    prints = []
    if scene.robot is not None:
        prints.append(scene.robot.soles[scene.robot.stance][..., :2])
    if scene.human is not None:
        human = scene.human
        feet = human.joints[:, [[7, 10], [8, 11]]] + human.offset  # ankle and ball, left and right
        prints.append(feet[human.stance][..., :2])
    return np.concatenate(prints)


def _width(scene: Scene, centre: np.ndarray) -> float | None:
    """Page width that shows both bodies all the time; None for one body alone [m]."""
    if scene.robot is None or scene.human is None:
        return None
    apart = np.linalg.norm(scene.robot.base[:, :2] - centre[:, :2], axis=1).max()
    return 2.0 * (float(apart) + _MARGIN)

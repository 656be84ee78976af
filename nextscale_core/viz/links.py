"""A robot's visible body, link by link: meshes that stay, poses that change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from nextscale_core.exceptions import RobotError
from nextscale_core.mesh import Color, Mesh, box, capsule, ellipsoid, one_color, simplified
from nextscale_core.robots.description import link_frame
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.robots.shapes import Shape, link_shapes

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot
    from nextscale_core.robots.trajectory import RobotTrajectory

_GREY: Color = (0.70, 0.72, 0.75)
STICK_RADIUS, SOLE_RADIUS = 0.035, 0.018
"""Radii of the sticks that replace the links of a robot without meshes [m]."""


@dataclass(frozen=True)
class Link:
    """Visual geometry of one link of the URDF.

    Attributes:
        name: Name of the link; for sticks, of the joint that moves it.
        joint: Body of `Kinematics` that it is part of; -1 for the base.
        rotation: (3, 3) orientation of the link in the frame of that joint.
        translation: (3,) origin of the link in the frame of that joint [m].
        mesh: Its visuals, in the frame of the link.
    """

    name: str
    joint: int
    rotation: np.ndarray
    translation: np.ndarray
    mesh: Mesh


@dataclass(frozen=True, eq=False)
class RobotBody:
    """The visible links of a robot.

    Attributes:
        robot: The robot.
        links: L links with a mesh.
        feet: Links of the left foot and of the right foot, as rows of `links`.
    """

    robot: Robot
    links: tuple[Link, ...]
    feet: tuple[tuple[int, ...], tuple[int, ...]]

    def poses(self, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
        """World frames of the links in T frames: rotations (T, L, 3, 3), origins (T, L, 3) [m]."""
        turns, origins = kinematics_of(self.robot).forward(poses)
        # The base goes last, where row -1 finds it.
        turns = np.concatenate([turns, poses.rotation[:, None]], axis=1)
        origins = np.concatenate([origins, poses.base[:, None]], axis=1)
        rows = [link.joint for link in self.links]
        shift = np.stack([link.translation for link in self.links])
        turn = np.stack([link.rotation for link in self.links])
        moved = (turns[:, rows] @ shift[..., None])[..., 0]
        return turns[:, rows] @ turn, origins[:, rows] + moved


def heading(rotation: np.ndarray) -> np.ndarray:
    """(..., 2) horizontal unit vectors along the x axes of rotations (..., 3, 3)."""
    facing = rotation[..., :2, 0]
    return facing / np.maximum(np.linalg.norm(facing, axis=-1, keepdims=True), 1e-9)


def require_joints(robot: Robot, trajectory: RobotTrajectory) -> None:
    """Check that a trajectory is for a robot.

    Raises:
        RobotError: the trajectory's joints are not the robot's.
    """
    if trajectory.joint_names != robot.joint_names:
        raise RobotError(
            f"the trajectory moves {len(trajectory.joint_names)} joints "
            f"({', '.join(trajectory.joint_names[:3])}, …), {robot.name} has "
            f"{len(robot.joint_names)} ({', '.join(robot.joint_names[:3])}, …)"
        )


@lru_cache(maxsize=4)
def robot_body(robot: Robot, detail: float) -> RobotBody:
    """Load the meshes of a robot, or sticks if they are not on this machine.

    Meshes are simplified to features of size `detail` [m]. The last few bodies are cached, as
    reading the meshes takes seconds.
    """
    links = _visuals(robot, detail) or _sticks(robot)
    kinematics = kinematics_of(robot)
    owners = [int(kinematics.owner[kinematics.index[f"{side}_sole0"]]) for side in SIDES]
    left, right = (
        tuple(row for row, link in enumerate(links) if link.joint == owner) for owner in owners
    )
    return RobotBody(robot, links, (left, right))


def _visuals(robot: Robot, detail: float) -> tuple[Link, ...]:
    """Links with their visuals; empty if the meshes are not on this machine."""
    up = robot.profile.urdf.mesh_up
    try:
        shapes = link_shapes(robot.urdf_path, robot.mesh_dirs, "visual", up)
    except RobotError:
        return ()
    meshes: dict[str, list[Mesh]] = {}
    for shape in shapes:
        mesh = _mesh_of(shape, detail)
        if mesh is None or not len(mesh.triangles):
            continue
        place = shape.placement
        placed = mesh.placed(np.array(place.rotation), np.array(place.translation))
        meshes.setdefault(shape.link, []).append(placed)
    links = []
    for name, parts in meshes.items():
        frame = link_frame(robot.model, name)
        joint, place = max(int(frame.parentJoint) - 2, -1), frame.placement
        rotation, translation = np.array(place.rotation), np.array(place.translation)
        links.append(Link(name, joint, rotation, translation, Mesh.joined(parts)))
    return tuple(links)


def _mesh_of(shape: Shape, detail: float) -> Mesh | None:
    geometry = shape.geometry
    color: Color = shape.color or _GREY
    kind = type(geometry).__name__
    if kind.startswith("BVHModel"):
        # The scale is already in the vertices.
        vertices = np.array(geometry.vertices())
        indices = [geometry.tri_indices(i) for i in range(geometry.num_tris)]
        triangles = np.array([(t[0], t[1], t[2]) for t in indices], dtype=np.int64)
        return simplified(Mesh(vertices, triangles, one_color(color, triangles)), detail)
    if kind == "Sphere":
        return ellipsoid((geometry.radius,) * 3, color)
    if kind in ("Cylinder", "Capsule"):
        end = np.array([0.0, 0.0, float(geometry.halfLength)])
        return capsule(-end, end, geometry.radius, geometry.radius, color)
    if kind == "Box":
        return box(np.asarray(geometry.halfSide), color)
    return None


def _sticks(robot: Robot) -> tuple[Link, ...]:
    """Capsules from joint to joint."""
    model = robot.model
    sticks: dict[int, list[Mesh]] = {}
    for joint in range(2, model.njoints):
        away = np.array(model.jointPlacements[joint].translation)
        stick = capsule(np.zeros(3), away, STICK_RADIUS, STICK_RADIUS, _GREY)
        sticks.setdefault(int(model.parents[joint]), []).append(stick)
    kinematics = kinematics_of(robot)
    for side in SIDES:
        heel, toe = (kinematics.index[f"{side}_{end}"] for end in ("heel", "toe"))
        # Raised above the sole by about the radius of the stick.
        ends = 0.7 * kinematics.offset[[heel, toe]]
        foot = capsule(ends[0], ends[1], SOLE_RADIUS, SOLE_RADIUS, _GREY)
        sticks.setdefault(int(kinematics.owner[heel]) + 2, []).append(foot)
    return tuple(
        Link(
            str(model.names[joint]), max(joint - 2, -1), np.eye(3), np.zeros(3), Mesh.joined(parts)
        )
        for joint, parts in sorted(sticks.items())
    )

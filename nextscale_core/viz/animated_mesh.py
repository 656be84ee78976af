"""Animated meshes of humans, robots and scenes for pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.mesh import Color, Mesh, simplified
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.mannequin import LEFT, RIGHT, Mannequin
from nextscale_core.motion.skeleton import CONTACT_JOINTS
from nextscale_core.robots.kinematics import Poses
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.viz.links import heading, require_joints, robot_body
from nextscale_core.viz.scene import ASIDE, Scene, human_heading
from nextscale_core.viz.viser_scene import STANCE

if TYPE_CHECKING:
    from nextscale_core.robots.robot import Robot

_MARGIN = 0.75
"""Space for arms and legs on either side of a root [m]."""

_REFERENCE: Color = (0.72, 0.76, 0.80)


@dataclass(frozen=True)
class AnimatedMesh:
    """A mesh in motion, and what else a picture shows of the motion.

    Attributes:
        title: The sentence, or a name.
        fps: Frames per second [Hz].
        root: (N, 3) path of pelvis or root link [m], z up.
        forward: (N, 2) horizontal unit vector that the body faces.
        footprints: (K, 2, 2) horizontal segments, heel to toe, of standing feet [m].
        legend: Name -> colour of the parts.
        mesh: The mesh in frame n, in the world.
        width: Page width that an animation needs [m]; None for that of a single body.
        marks: (M, 2) places of constraints on the floor [m].
    """

    title: str
    fps: float
    root: np.ndarray
    forward: np.ndarray
    footprints: np.ndarray
    legend: dict[str, Color]
    mesh: Callable[[int], Mesh]
    width: float | None = None
    marks: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    def __len__(self) -> int:
        return len(self.root)


def human_mesh(clip: MotionClip) -> AnimatedMesh:
    """A human motion as a mannequin."""
    joints = clip.joints.astype(np.float64)
    stance = np.zeros((len(clip), 2), dtype=bool)
    if clip.contacts is not None:
        stance = clip.contacts[:, ::2] & clip.contacts[:, 1::2]
    return AnimatedMesh(
        title=clip.text,
        fps=clip.fps,
        root=joints[:, 0],
        forward=human_heading(joints),
        footprints=_soles(joints)[stance],
        legend={"left": LEFT, "right": RIGHT},
        mesh=_human(joints, np.zeros_like(stance)),
        marks=np.array([one.place[:2] for one in clip.residuals]).reshape(-1, 2),
    )


def robot_mesh(robot: Robot, trajectory: RobotTrajectory, *, detail: float = 0.014) -> AnimatedMesh:
    """A robot trajectory with the robot's meshes, simplified to features of size `detail` [m].

    Raises:
        RobotError: the trajectory's joints are not the robot's.
    """
    require_joints(robot, trajectory)
    body = robot_body(robot, detail)
    rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    turns, origins = body.poses(Poses(trajectory.base_position, rotation, trajectory.positions))
    meshes = [link.mesh for link in body.links]
    return AnimatedMesh(
        title=trajectory.text or robot.name,
        fps=trajectory.fps,
        root=trajectory.base_position,
        forward=heading(rotation),
        footprints=np.zeros((0, 2, 2)),
        legend={},
        mesh=_posed(meshes, [None] * len(meshes), turns, origins, np.zeros((len(turns), 2))),
    )


def compared_mesh(
    robot: Robot, did: RobotTrajectory, wanted: RobotTrajectory, *, detail: float = 0.014
) -> AnimatedMesh:
    """A robot's motion and, in grey to its left, what it should have done.

    Args:
        robot: The robot.
        did: Its motion.
        wanted: The reference, with as many samples.
        detail: As in `robot_mesh`.

    Raises:
        RobotError: a trajectory's joints are not the robot's.
        InvalidMotionError: different numbers of samples.
    """
    if len(did) != len(wanted):
        raise InvalidMotionError(
            f"motion and reference must have as many samples, got {len(did)} and {len(wanted)}"
        )
    body, other = (robot_mesh(robot, one, detail=detail) for one in (did, wanted))
    forward = other.forward[0]
    shift = ASIDE * np.array([-forward[1], forward[0], 0.0])
    roots = np.stack([body.root, other.root + shift])
    centre = roots.mean(axis=0)
    apart = np.linalg.norm((roots - centre)[..., :2], axis=-1).max()
    return replace(
        body,
        root=centre,
        legend={"reference": _REFERENCE},
        mesh=lambda frame: Mesh.joined(
            [body.mesh(frame), other.mesh(frame).painted(_REFERENCE).placed(np.eye(3), shift)]
        ),
        width=2.0 * (float(apart) + _MARGIN),
    )


def scene_mesh(scene: Scene, *, detail: float = 0.014) -> AnimatedMesh:
    """The bodies of a scene, standing feet in green; `detail` as in `robot_mesh`."""
    bodies, footprints = [], []
    legend: dict[str, Color] = {"standing": STANCE}
    robot, human = scene.robot, scene.human
    if robot is not None:
        links = [simplified(link.mesh, detail) for link in robot.body.links]
        foot_of = {row: foot for foot, rows in enumerate(robot.body.feet) for row in rows}
        feet = [foot_of.get(row) for row in range(len(links))]
        turns = _matrices(robot.quaternions)
        bodies.append(_posed(links, feet, turns, robot.positions, robot.stance))
        footprints.append(robot.soles[robot.stance][..., :2])
    if human is not None:
        bodies.append(_human(human.joints, human.stance, human.offset))
        footprints.append(_soles(human.joints + human.offset)[human.stance])
        legend = {"left": LEFT, "right": RIGHT, **legend}
    centre = scene.centre
    width = None
    if robot is not None and human is not None:
        apart = np.linalg.norm(robot.base[:, :2] - centre[:, :2], axis=1).max()
        width = 2.0 * (float(apart) + _MARGIN)
    return AnimatedMesh(
        title=scene.title,
        fps=scene.fps,
        root=centre,
        forward=scene.forward,
        footprints=np.concatenate(footprints),
        legend=legend,
        mesh=lambda frame: Mesh.joined([body(frame) for body in bodies]),
        width=width,
    )


def _human(
    joints: np.ndarray, stance: np.ndarray, offset: np.ndarray | float = 0.0
) -> Callable[[int], Mesh]:
    """The mannequin in frame n, for (T, 22, 3) joints [m] and (T, 2) standing feet."""
    mannequin = Mannequin(joints[0])
    origins, quaternions, stretch = mannequin.poses(joints)
    turns = _matrices(quaternions)
    turns[..., 2] *= stretch[..., None]
    meshes = [part.mesh for part in mannequin.parts]
    feet = [part.foot for part in mannequin.parts]
    return _posed(meshes, feet, turns, origins + offset, stance)


def _posed(
    meshes: Sequence[Mesh],
    feet: Sequence[int | None],
    turns: np.ndarray,
    origins: np.ndarray,
    stance: np.ndarray,
) -> Callable[[int], Mesh]:
    """The mesh of P parts in frame n.

    Args:
        meshes: The parts.
        feet: For each part, 0 if it belongs to the left foot, 1 to the right foot.
        turns: (T, P, 3, 3) their rotations.
        origins: (T, P, 3) their positions [m].
        stance: (T, 2) whether left and right foot stand and are painted green.
    """
    standing = [mesh.painted(STANCE) for mesh in meshes]

    def mesh(frame: int) -> Mesh:
        marked = [foot is not None and stance[frame, foot] for foot in feet]
        parts = [standing[row] if mark else meshes[row] for row, mark in enumerate(marked)]
        places = zip(parts, turns[frame], origins[frame], strict=True)
        return Mesh.joined([part.placed(turn, origin) for part, turn, origin in places])

    return mesh


def _matrices(quaternions: np.ndarray) -> np.ndarray:
    """(T, P, 3, 3) rotations from (T, P, 4) quaternions x y z w."""
    flat = Rotation.from_quat(quaternions.reshape(-1, 4)).as_matrix()
    return flat.reshape(*quaternions.shape[:-1], 3, 3)


def _soles(joints: np.ndarray) -> np.ndarray:
    """(T, 2, 2, 2) horizontal positions of ankle and ball of the left and the right foot [m]."""
    return joints[:, np.reshape(CONTACT_JOINTS, (2, 2)), :2]

"""A robot trajectory with the robot's own meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.exceptions import RobotError
from nextscale_core.retarget.hulls import mesh_turn
from nextscale_core.retarget.trajectory import RobotTrajectory
from nextscale_core.viz.figure import Color, Figure
from nextscale_core.viz.mesh import Mesh, capsule, ellipsoid, one_color, simplified

if TYPE_CHECKING:
    import pinocchio as pin

    from nextscale_core.retarget.robot import Robot

_GREY: Color = (0.70, 0.72, 0.75)
_LINK_RADIUS = 0.035


def robot_figure(robot: Robot, trajectory: RobotTrajectory, *, detail: float = 0.014) -> Figure:
    """Give a trajectory a body to be drawn with.

    Args:
        robot: The robot that the trajectory is for.
        trajectory: The motion.
        detail: Size of the smallest feature of a mesh that is kept [m].

    Raises:
        RobotError: the trajectory's joints are not the robot's.
    """
    if trajectory.joint_names != robot.joint_names:
        raise RobotError(
            f"the trajectory moves {len(trajectory.joint_names)} joints "
            f"({', '.join(trajectory.joint_names[:3])}, …), {robot.name} has "
            f"{len(robot.joint_names)} ({', '.join(robot.joint_names[:3])}, …)"
        )
    import pinocchio as pin

    configurations = robot.configurations(
        trajectory.base_position, trajectory.base_quaternion, trajectory.positions
    )
    data = robot.model.createData()
    parts = _parts(robot, detail)

    def mesh(frame: int) -> Mesh:
        pin.forwardKinematics(robot.model, data, configurations[frame])
        if not parts:
            return _stick_robot(robot.model, data)
        placements = [(data.oMi[joint] * placement, part) for joint, placement, part in parts]
        return Mesh.joined([part.placed(m.rotation, m.translation) for m, part in placements])

    facing = Rotation.from_quat(trajectory.base_quaternion).apply([1.0, 0.0, 0.0])[:, :2]
    norm = np.linalg.norm(facing, axis=1, keepdims=True)
    return Figure(
        title=trajectory.text or robot.name,
        fps=trajectory.fps,
        root=trajectory.base_position,
        forward=facing / np.maximum(norm, 1e-9),
        footprints=np.zeros((0, 2, 2)),
        legend={},
        mesh=mesh,
    )


def _parts(robot: Robot, detail: float) -> list[tuple[int, pin.SE3, Mesh]]:
    """Joint, placement in it and mesh of every visual; empty if the meshes are not there."""
    import pinocchio as pin

    try:
        geometry = pin.buildGeomFromUrdf(
            robot.model,
            str(robot.urdf_path),
            pin.GeometryType.VISUAL,
            package_dirs=[str(folder) for folder in robot.mesh_dirs],
        )
    except (ValueError, RuntimeError):
        return []
    parts = []
    for shape in geometry.geometryObjects:
        mesh = _mesh_of(shape, detail)
        if mesh is not None and len(mesh.triangles):
            placement = shape.placement * mesh_turn(shape, robot.profile.urdf.mesh_up)
            parts.append((int(shape.parentJoint), placement, mesh))
    return parts


def _mesh_of(shape: pin.GeometryObject, detail: float) -> Mesh | None:
    geometry = shape.geometry
    color: Color = _GREY
    if shape.overrideMaterial:
        red, green, blue = (float(value) for value in shape.meshColor[:3])
        color = (red, green, blue)
    kind = type(geometry).__name__
    if kind.startswith("BVHModel"):
        # The scale of a mesh is in its vertices already.
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
        return _box(np.asarray(geometry.halfSide), color)
    return None


def _box(half: np.ndarray, color: Color) -> Mesh:
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    triangles = np.array(
        [
            (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
            (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
        ]
    )  # fmt: skip
    return Mesh(signs * half, triangles, one_color(color, triangles))


def _stick_robot(model: pin.Model, data: pin.Data) -> Mesh:
    """Capsules from joint to joint, for a robot whose meshes are not on this machine."""
    parts = []
    for joint in range(2, model.njoints):
        parent = int(model.parents[joint])
        start, end = data.oMi[parent].translation, data.oMi[joint].translation
        parts.append(capsule(start, end, _LINK_RADIUS, _LINK_RADIUS, _GREY))
    return Mesh.joined(parts)

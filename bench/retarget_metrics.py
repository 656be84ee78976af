"""Metrics of retargeted motion, the same for every retargeter."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from nextscale_core.motion.clip import MotionClip
from nextscale_core.retarget.targets import Targets
from nextscale_core.robots.collision import collision_model
from nextscale_core.robots.description import link_frame
from nextscale_core.robots.kinematics import LEVER, Kinematics, Poses
from nextscale_core.robots.robot import Robot
from nextscale_core.robots.shapes import link_shapes
from nextscale_core.robots.trajectory import RobotTrajectory
from nextscale_core.rotations import unit
from nextscale_core.trajectory.spline_limits import limit_use, segment_extremes

SIDES = ("left", "right")
BONES = {
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}


def quality(targets: Targets, poses: Poses, kinematics: Kinematics) -> dict[str, float]:
    """Figures of one clip at the frames' own rate.

    A foot counts as standing where the human's does (`Targets.contacts`), in this frame and the
    next. Those of OmniRetarget (Yang et al., 2025) are among them: share of frames with
    penetration and its largest depth, share of standing frames that slide and the largest speed.

    Args:
        targets: Targets of the human motion; weights and goals are unused.
        poses: Robot poses in the same frames.
        kinematics: Kinematics of the robot.
    """
    points = kinematics.points(poses)
    fps = targets.fps

    def at(name: str) -> np.ndarray:
        return points[:, kinematics.index[name]]

    bones, feet, stance, slides, toes, above, recorded = [], [], [], [], [], [], []
    soles = points[:, kinematics.soles, 2].reshape(len(points), 2, 4).min(-1)
    for n, side in enumerate(SIDES):
        for bone, (start, end) in BONES.items():
            direction = unit(at(f"{side}_{end}") - at(f"{side}_{start}"))
            cosine = (direction * targets.body.bones[f"{side}_{bone}"]).sum(-1)
            bones.append(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
        frame = np.stack([at(f"{side}_foot_{a}") - at(f"{side}_ankle") for a in "xyz"], -1) / LEVER
        trace = np.einsum("tij,tij->t", frame, targets.feet.rotation[:, n])
        feet.append(np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1))))
        above += list(np.maximum(soles[targets.contacts.flat[:, n], n], 0))
        for part, standing in (
            ("ankle", targets.contacts.flat[:, n]),
            ("toe", targets.contacts.ball[:, n]),
        ):
            both = standing[1:] & standing[:-1]
            track = at(f"{side}_{part}")[:, :2]
            speed = np.linalg.norm(np.diff(track, axis=0), axis=-1)[both] * fps * 100
            if part == "ankle":
                stance += list(speed)
                slides += list(speed > 1.0)
                steps = np.diff(targets.body.joint(f"{side}_ankle")[:, :2], axis=0)
                recorded += list(np.linalg.norm(steps, axis=-1)[both] * targets.scale * fps * 100)
            else:
                toes += list(speed)
    depth = -soles.min(1)
    parts = [f"{side}_{part}" for side in SIDES for part in ("knee", "ankle", "elbow", "wrist")]
    human = np.stack(
        [(targets.body.joint(p) - targets.body.joint("pelvis")) * targets.scale for p in parts], 1
    )
    robot = np.stack([at(p) - at("pelvis") for p in parts], 1)

    def jerk(track: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(track, 3, axis=0), axis=-1).mean())

    return {
        "bone direction [deg]": float(np.mean(bones)),
        "bone direction, 95 % [deg]": float(np.percentile(bones, 95)),
        "foot orientation [deg]": float(np.mean(feet)),
        "stance foot speed [cm/s]": float(np.mean(stance)) if stance else np.nan,
        "the human's own, at the robot's size [cm/s]": float(np.mean(recorded))
        if recorded
        else np.nan,
        "stance frames over 1 cm/s [%]": 100 * float(np.mean(slides)) if slides else np.nan,
        "stance toe speed, largest [cm/s]": float(np.max(toes)) if toes else np.nan,
        "stance sole above the floor, mean [mm]": 1000 * float(np.mean(above)) if above else np.nan,
        "penetration, mean [mm]": 1000 * float(np.maximum(depth, 0).mean()),
        "penetration, largest [mm]": 1000 * max(0.0, float(depth.max())),
        "frames with penetration over 1 cm [%]": 100 * float((depth > 0.01).mean()),
        "jerk over the human's": jerk(robot) / max(jerk(human), 1e-9),
        "joint jerk, mean [rad/s^3]": float(np.abs(np.diff(poses.joints, 3, axis=0)).mean())
        * fps**3,
    }


def published(
    kinematics: Kinematics,
    trajectory: RobotTrajectory,
    clip: MotionClip,
    bodies: MeshCollisions | None = None,
) -> dict[str, float]:
    """Metrics of a trajectory that passed the gate, at the controller's rate."""
    robot = kinematics.robot
    q, v, t = trajectory.positions, trajectory.velocities, trajectory.time_from_start
    velocity, acceleration = limit_use(robot, q, v, t)
    low, high, _ = segment_extremes(q, v, t)
    rotation = Rotation.from_quat(trajectory.base_quaternion).as_matrix()
    lowest = kinematics.lowest_sole(Poses(trajectory.base_position, rotation, q))
    outside = (low < robot.position_lower - 1e-6) | (high > robot.position_upper + 1e-6)
    over = {
        "position": float(outside.any(1).sum()),
        "velocity": float((velocity > 1 + 1e-6).sum()),
        "acceleration": float((acceleration > 1 + 1e-6).sum()),
    }
    figures = {"published: limit violations [samples]": sum(over.values())}
    figures |= {f"published: {kind} violations [samples]": n for kind, n in over.items()}
    if bodies is not None:
        figures["published: self-collisions [samples]"] = float(bodies.touching(q).sum())
    return figures | {
        "published: penetration, largest [mm]": 1000 * max(0.0, -float(lowest.min())),
        "published: length over the clip's": trajectory.seconds / clip.seconds,
    }


def as_published(robot: Robot, poses: Poses, fps: float, rate: float = 50.0) -> RobotTrajectory:
    """A trajectory through poses as they are, for a retargeter that has no timing and no gate.

    Args:
        robot: Whose poses.
        poses: At least two.
        fps: Their rate [Hz].
        rate: Of the trajectory [Hz].
    """
    knots = np.arange(len(poses)) / fps
    times = np.arange(int(knots[-1] * rate + 1e-6) + 1) / rate
    joints = CubicSpline(knots, poses.joints)
    turn = Slerp(knots, Rotation.from_matrix(poses.rotation))(np.minimum(times, knots[-1]))
    return RobotTrajectory(
        robot=robot.name,
        joint_names=robot.joint_names,
        positions=joints(times),
        velocities=joints(times, 1),
        time_from_start=times,
        base_position=CubicSpline(knots, poses.base)(times),
        base_quaternion=turn.as_quat(),
        fps=rate,
    )


class MeshCollisions:
    """Self-collision on the URDF's own collision shapes, not on the hulls that the gate uses.

    The pairs are the gate's (the others touch by construction), less those whose shapes graze
    each other in the nominal and the zero posture already.

    Args:
        robot: The robot.
    """

    def __init__(self, robot: Robot):
        self._robot, model = robot, robot.model
        self._shapes = pin.GeometryModel()
        rows: dict[str, list[int]] = {}
        up = robot.profile.urdf.mesh_up
        for shape in link_shapes(robot.urdf_path, robot.mesh_dirs, "collision", up):
            frame = link_frame(model, shape.link)
            placement = frame.placement * shape.placement
            name = f"{shape.link} {self._shapes.ngeoms}"
            number = self._shapes.addGeometryObject(
                pin.GeometryObject(name, int(frame.parentJoint), placement, shape.geometry)
            )
            rows.setdefault(shape.link, []).append(number)
        for first, second in collision_model(robot, robot.profile.collision_margin).pairs:
            for a in rows.get(first, []):
                for b in rows.get(second, []):
                    self._shapes.addCollisionPair(pin.CollisionPair(a, b))
        self._data, self._shape_data = model.createData(), pin.GeometryData(self._shapes)
        zero = np.clip(0.0, robot.position_lower, robot.position_upper)
        calm = np.stack([robot.nominal, zero])
        always = np.all([self._pairs_touching(q) for q in self._configurations(calm)], axis=0)
        pairs = [(int(p.first), int(p.second)) for p in self._shapes.collisionPairs]
        self._shapes.removeAllCollisionPairs()
        for pair, left_out in zip(pairs, always, strict=True):
            if not left_out:
                self._shapes.addCollisionPair(pin.CollisionPair(*pair))
        self._shape_data = pin.GeometryData(self._shapes)

    def _configurations(self, positions: np.ndarray) -> np.ndarray:
        base = np.zeros((len(positions), 3))
        upright = np.tile([0.0, 0.0, 0.0, 1.0], (len(positions), 1))
        return self._robot.configurations(base, upright, positions)

    def _collide(self, q: np.ndarray, first_only: bool) -> bool:
        return bool(
            pin.computeCollisions(
                self._robot.model, self._data, self._shapes, self._shape_data, q, first_only
            )
        )

    def _pairs_touching(self, q: np.ndarray) -> list[bool]:
        self._collide(q, False)
        return [bool(result.isCollision()) for result in self._shape_data.collisionResults]

    def touching(self, positions: np.ndarray) -> np.ndarray:
        """(N,) bool, whether any two bodies touch, for joint positions (N, J) [rad]."""
        return np.array([self._collide(q, True) for q in self._configurations(positions)], bool)

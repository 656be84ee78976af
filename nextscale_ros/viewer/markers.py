"""A plan as `visualization_msgs/MarkerArray` for RViz, in the odometry's frame.

| namespace | content |
|---|---|
| `path` | path of the base projected to the floor, a line |
| `heading` | final position and heading of the base, an arrow |
| `footprints/left`, `footprints/right` | footsteps, flat rectangles |
| `text` | the sentence, above the robot |
| `skeleton/bones` | the human's bones, lines |
| `skeleton/joints` | the human's 22 joints, spheres in the order of the skeleton |

Every message holds the whole plan, one marker (id 0) per namespace, so a late subscriber needs the
last message only; parts that a plan lacks are deleted. All markers are frame-locked, because RViz
otherwise drops a marker that arrives before the first transform.

The human stands `ASIDE` to the robot's left with the robot's heading, as in `nextscale view`. Left
limbs are blue, right limbs orange.
"""

from __future__ import annotations

import textwrap

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Quaternion, Vector3
from scipy.spatial.transform import Rotation
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from nextscale_core.exceptions import RetargetError
from nextscale_core.motion.clip import MotionClip
from nextscale_core.motion.features import heading_yaw
from nextscale_core.motion.mannequin import BODY, LEFT, RIGHT
from nextscale_core.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from nextscale_core.robots import Robot, RobotTrajectory
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.robots.profile import SIDES
from nextscale_core.rotations import about_z, yaw
from nextscale_core.viz.links import require_joints
from nextscale_core.viz.scene import ASIDE, source_times
from nextscale_ros.viewer.footsteps import floor_of, planned_footsteps

SKELETON_LIFETIME = 1.0
"""Lifetime of a moving human skeleton after its last message [s]."""

BONES_NAMESPACE, JOINTS_NAMESPACE = "skeleton/bones", "skeleton/joints"
TEXT_NAMESPACE = "text"

_PATH_COLOR = (0.16, 0.70, 0.38)
_MAX_PATH_POINTS = 200
_LIFT = 0.005
"""Height of lines above the floor, so that RViz's grid does not hide them [m]."""
_ABOVE = 1.05
"""Height of the sentence above the pelvis, as a multiple of the pelvis' height."""
_LINE_LENGTH = 48
"""Maximum number of characters per line of the sentence."""
_TEXT_HEIGHT, _SPACE = 0.08, 0.04
"""Height of a capital letter and width of a space [m]; RViz's default space is as wide as a letter
of 1 m."""

Color = tuple[float, float, float]


class PlanMarkers:
    """Markers of one plan at any time of its trajectory.

    Args:
        robot: The robot.
        trajectory: Planned trajectory. Its `source_time` gives the clip time of each sample; if
            that is unknown, the clip is distributed over the trajectory.
        clip: Human motion behind the trajectory; None for no skeleton.
        text: The sentence; '' for none.
        frame: Frame of the trajectory's base, z up.

    Attributes:
        footsteps: Footsteps of the plan.

    Raises:
        RobotError: the trajectory belongs to another robot.
        RetargetError: the trajectory has no sample.
    """

    def __init__(
        self,
        robot: Robot,
        trajectory: RobotTrajectory,
        clip: MotionClip | None,
        text: str = "",
        frame: str = "odom",
    ) -> None:
        require_joints(robot, trajectory)
        if not len(trajectory):
            raise RetargetError("a trajectory without samples cannot be shown")
        self.footsteps = planned_footsteps(robot, trajectory)
        self._frame, self._text = frame, text
        self._times = trajectory.time_from_start
        self._base = trajectory.base_position
        self._pelvis = kinematics_of(robot).pelvis(Poses.of(trajectory))
        self._yaw = yaw(Rotation.from_quat(trajectory.base_quaternion).as_matrix())
        self._floor = floor_of(robot, trajectory)
        self._path_points = _points(self._on_floor(self._base[_path_rows(len(self._base))]))
        self._soles = {side: self._rectangles(side) for side in SIDES}
        self._clip = clip
        if clip is not None:
            self._source = source_times(trajectory, clip)
            self._joints = self._placed(clip)

    def at(self, seconds: float, stamp: Time) -> MarkerArray:
        """The whole plan, with human and sentence at one time of the trajectory.

        During the trajectory the human disappears `SKELETON_LIFETIME` after the last message; after
        its end the human stays.

        Args:
            seconds: Time since the start of the trajectory, limited to its duration [s].
            stamp: Stamp of the markers.
        """
        markers = [self._path(), self._heading(), *(self._footprints(side) for side in SIDES)]
        markers += [self._sentence(seconds), *self._skeleton(seconds)]
        for marker in markers:
            marker.header.stamp = stamp
        return MarkerArray(markers=markers)

    def joints(self, seconds: float) -> np.ndarray:
        """(22, 3) positions of the drawn human joints [m].

        Args:
            seconds: Time since the start of the trajectory [s].
        """
        assert self._clip is not None
        return _between(self._joints, self._clip.fps, self._source_at(seconds))

    def _source_at(self, seconds: float) -> float:
        return float(np.interp(seconds, self._times, self._source))

    def _placed(self, clip: MotionClip) -> np.ndarray:
        """(T, 22, 3) the clip moved rigidly beside the robot [m]."""
        joints = clip.joints.astype(np.float64)
        # Mean over the whole plan, so that a twisted pelvis at its start has little influence.
        frames = np.clip(np.round(self._source * clip.fps), 0, len(clip) - 1).astype(int)
        apart = self._yaw - heading_yaw(joints)[frames]
        turn = about_z(float(np.angle(np.exp(1j * apart).mean())))
        turned = joints @ turn.T
        first = _between(turned, clip.fps, float(self._source[0]))[0]
        left = np.array([-np.sin(self._yaw[0]), np.cos(self._yaw[0])])
        place = self._base[0, :2] + ASIDE * left - first[:2]
        return np.asarray(turned + np.array([*place, self._floor]))

    def _marker(self, namespace: str, kind: int) -> Marker:
        marker = Marker(ns=namespace, type=kind, action=Marker.ADD, frame_locked=True)
        marker.header.frame_id = self._frame
        marker.pose.orientation.w = 1.0
        return marker

    def _absent(self, namespace: str) -> Marker:
        """Deletes the marker of an earlier plan."""
        marker = self._marker(namespace, Marker.ARROW)
        marker.action = Marker.DELETE
        return marker

    def _on_floor(self, places: np.ndarray) -> np.ndarray:
        return np.stack([*places.T[:2], np.full(len(places), self._floor + _LIFT)], axis=1)

    def _path(self) -> Marker:
        marker = self._marker("path", Marker.LINE_STRIP)
        marker.scale.x = 0.02
        marker.color = _rgba(_PATH_COLOR)
        marker.points = self._path_points
        return marker

    def _heading(self) -> Marker:
        marker = self._marker("heading", Marker.ARROW)
        marker.scale = Vector3(x=0.25, y=0.04, z=0.04)
        marker.color = _rgba(_PATH_COLOR)
        (marker.pose.position,) = _points(self._on_floor(self._base[-1:]))
        yaw = float(self._yaw[-1])
        marker.pose.orientation = Quaternion(z=float(np.sin(yaw / 2)), w=float(np.cos(yaw / 2)))
        return marker

    def _footprints(self, side: str) -> Marker:
        namespace = f"footprints/{side}"
        if not self._soles[side]:
            return self._absent(namespace)
        marker = self._marker(namespace, Marker.TRIANGLE_LIST)
        marker.scale = Vector3(x=1.0, y=1.0, z=1.0)
        marker.color = _rgba(LEFT if side == "left" else RIGHT)
        marker.points = self._soles[side]
        # With a color per corner RViz draws triangles unshaded; shading makes flat shapes nearly
        # black from the side.
        marker.colors = [marker.color] * len(marker.points)
        return marker

    def _rectangles(self, side: str) -> list[Point]:
        """Corners of two triangles for each footstep of one side."""
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]]) / 2
        rows = [
            step.centre[:2] + corners * [step.length, step.width] @ about_z(step.yaw)[:2, :2].T
            for step in self.footsteps
            if step.side == side
        ]
        return _points(self._on_floor(np.concatenate(rows))) if rows else []

    def _sentence(self, seconds: float) -> Marker:
        if not self._text:
            return self._absent(TEXT_NAMESPACE)
        marker = self._marker(TEXT_NAMESPACE, Marker.TEXT_VIEW_FACING)
        marker.scale = Vector3(x=_SPACE, z=_TEXT_HEIGHT)
        marker.color = _rgba((1.0, 1.0, 1.0))
        lines = textwrap.wrap(self._text, _LINE_LENGTH)
        marker.text = "\n".join(lines)
        x, y, z = (float(np.interp(seconds, self._times, column)) for column in self._pelvis.T)
        # RViz centers the text; a line is twice as high as a capital letter.
        above = _ABOVE * float(self._pelvis[0, 2] - self._floor) + len(lines) * _TEXT_HEIGHT
        marker.pose.position = Point(x=x, y=y, z=z + above)
        return marker

    def _skeleton(self, seconds: float) -> list[Marker]:
        if self._clip is None:
            return [self._absent(BONES_NAMESPACE), self._absent(JOINTS_NAMESPACE)]
        bones = self._marker(BONES_NAMESPACE, Marker.LINE_LIST)
        bones.scale.x = 0.025
        dots = self._marker(JOINTS_NAMESPACE, Marker.SPHERE_LIST)
        dots.scale = Vector3(x=0.05, y=0.05, z=0.05)
        bones.color = dots.color = _rgba(BODY)
        dots.points = _points(self.joints(seconds))
        dots.colors = [_rgba(color) for color in _JOINT_COLORS]
        for joint, parent in enumerate(PARENTS):
            if parent >= 0:
                bones.points += [dots.points[parent], dots.points[joint]]
                bones.colors += [dots.colors[joint], dots.colors[joint]]
        if seconds < self._times[-1]:
            bones.lifetime = dots.lifetime = Duration(sec=int(SKELETON_LIFETIME))
        return [bones, dots]


def skeleton_of(markers: MarkerArray) -> np.ndarray | None:
    """(22, 3) human joints in a message of `PlanMarkers.at` [m]; None without a skeleton."""
    for marker in markers.markers:
        if marker.ns == JOINTS_NAMESPACE and marker.action == Marker.ADD:
            joints = np.array([[point.x, point.y, point.z] for point in marker.points])
            if joints.shape == (NUM_JOINTS, 3) and np.isfinite(joints).all():
                return joints
    return None


def sentence_of(markers: MarkerArray) -> str | None:
    """Sentence in a message of `PlanMarkers.at`; None without a sentence."""
    for marker in markers.markers:
        if marker.ns == TEXT_NAMESPACE and marker.action == Marker.ADD:
            return " ".join(str(marker.text).split())
    return None


def _between(joints: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """(22, 3) linear interpolation of (T, 22, 3) at a time [s]."""
    at = float(np.clip(seconds * fps, 0.0, len(joints) - 1))
    before = min(int(at), max(len(joints) - 2, 0))
    share = at - before
    after = min(before + 1, len(joints) - 1)
    return np.asarray((1.0 - share) * joints[before] + share * joints[after])


def _path_rows(count: int) -> np.ndarray:
    """Rows of the samples on the path line; a line strip needs at least two."""
    return np.round(np.linspace(0, count - 1, min(max(count, 2), _MAX_PATH_POINTS))).astype(int)


def _points(rows: np.ndarray) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in rows.tolist()]


def _rgba(color: Color) -> ColorRGBA:
    red, green, blue = color
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)


def _side_color(name: str) -> Color:
    return LEFT if name.startswith("left") else RIGHT if name.startswith("right") else BODY


_JOINT_COLORS = tuple(_side_color(name) for name in JOINT_NAMES)

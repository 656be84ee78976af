"""A plan as RViz shows it: `visualization_msgs/MarkerArray` in the odometry's frame.

| namespace | ids | what |
|---|---|---|
| `path` | 0 | the base's way over the floor, a line |
| `heading` | 0 | where the base ends and what it then faces, an arrow |
| `footprints/left`, `footprints/right` | 0, 1, ... | where a sole rests, a flat box |
| `text` | 0 | the sentence, above the robot's first place |
| `skeleton/bones` | 0 | the human, lines |
| `skeleton/joints` | 0 | the human's 22 joints, spheres in the order of the skeleton |

The human stands `ASIDE` to the robot's left, where `nextscale view` has it too, and is turned so
that it faces what the robot faces. Left limbs are blue, right limbs orange, as on the page.
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
from nextscale_core.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from nextscale_core.retarget import Robot, RobotTrajectory
from nextscale_core.viz.human import BODY, LEFT, RIGHT
from nextscale_core.viz.links import require_joints
from nextscale_core.viz.scene import ASIDE, human_time
from nextscale_ros.footsteps import Footstep, floor_of, planned_footsteps

SKELETON_LIFETIME = 1.0
"""The human vanishes so long after the last update: whoever animated it is gone [s]."""

JOINTS_NAMESPACE = "skeleton/joints"
TEXT_NAMESPACE = "text"

_PATH_COLOR = (0.16, 0.70, 0.38)
_MAX_PATH_POINTS = 500
_LIFT = 0.005
"""Lines on the floor lie so far above it, or the grid would hide them [m]."""
_ABOVE = 1.2
"""The sentence stands so far above the root link, in heights of that link [1]."""
_LINE_LENGTH = 48
"""Characters of the sentence in one line."""

Color = tuple[float, float, float]


class PlanMarkers:
    """One plan, ready to be shown at any moment of it.

    Args:
        robot: The robot.
        trajectory: What it is asked to do. Its `source_time` says which moment of the clip each
            sample belongs to; where that is unknown, the clip is spread over the trajectory.
        clip: The human motion behind it; None: no skeleton is shown.
        text: The sentence; '' for none.
        frame: Name of the frame that the trajectory's base is given in, z up.

    Attributes:
        footsteps: Where the soles rest.

    Raises:
        RobotError: the trajectory is another robot's.
        RetargetError: the trajectory holds no sample.
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
        self._yaw = _yaw(trajectory.base_quaternion)
        self._floor = floor_of(robot, trajectory)
        self._clip = clip
        if clip is not None:
            self._source = source_times(trajectory, clip)
            self._joints = self._placed(clip)

    def static(self, stamp: Time, *, clear: bool = True) -> MarkerArray:
        """What does not move: path, footprints, sentence. They stay until they are deleted.

        Args:
            stamp: When.
            clear: Delete everything that was shown before, the last plan's skeleton too. Without
                it the same markers are sent again, for those who came late.
        """
        markers = [_delete_all(self._frame, stamp)] if clear else []
        markers.append(self._path(stamp))
        markers.append(self._heading(stamp))
        count = {"left": 0, "right": 0}
        for step in self.footsteps:
            markers.append(self._footprint(step, count[step.side], stamp))
            count[step.side] += 1
        if self._text:
            markers.append(self._sentence(stamp))
        return MarkerArray(markers=markers)

    def at(self, seconds: float, stamp: Time) -> MarkerArray:
        """The human at one moment of the trajectory; empty where there is no clip.

        Args:
            seconds: Time since the trajectory began [s]; before and after it, its ends.
            stamp: When that is.
        """
        if self._clip is None:
            return MarkerArray()
        joints = self.joints(seconds)
        bones = self._marker("skeleton/bones", 0, Marker.LINE_LIST, stamp)
        bones.scale.x = 0.025
        dots = self._marker(JOINTS_NAMESPACE, 0, Marker.SPHERE_LIST, stamp)
        dots.scale = Vector3(x=0.05, y=0.05, z=0.05)
        bones.color = dots.color = _rgba(BODY)
        dots.points = _points(joints)
        dots.colors = [_rgba(color) for color in _JOINT_COLORS]
        for joint, parent in enumerate(PARENTS):
            if parent >= 0:
                bones.points += [dots.points[parent], dots.points[joint]]
                bones.colors += [dots.colors[joint], dots.colors[joint]]
        for marker in (bones, dots):
            marker.lifetime = Duration(sec=int(SKELETON_LIFETIME))
        return MarkerArray(markers=[bones, dots])

    def joints(self, seconds: float) -> np.ndarray:
        """(22, 3) where the human's joints are drawn at a time of the trajectory [m].

        Args:
            seconds: Time since the trajectory began [s].
        """
        assert self._clip is not None
        return _between(self._joints, self._clip.fps, self._source_at(seconds))

    def _source_at(self, seconds: float) -> float:
        return float(np.interp(seconds, self._times, self._source))

    def _placed(self, clip: MotionClip) -> np.ndarray:
        """(T, 22, 3) the clip beside the robot: turned, then shifted, as one rigid whole."""
        joints = clip.joints.astype(np.float64)
        # Over the whole plan, so that a twist of the pelvis at its begin does not count.
        frames = np.clip(np.round(self._source * clip.fps), 0, len(clip) - 1).astype(int)
        apart = self._yaw - heading_yaw(joints)[frames]
        turn = Rotation.from_euler("z", np.angle(np.exp(1j * apart).mean())).as_matrix()
        turned = joints @ turn.T
        first = _between(turned, clip.fps, float(self._source[0]))[0]
        left = np.array([-np.sin(self._yaw[0]), np.cos(self._yaw[0])])
        place = self._base[0, :2] + ASIDE * left - first[:2]
        return np.asarray(turned + np.array([*place, self._floor]))

    def _marker(self, namespace: str, number: int, kind: int, stamp: Time) -> Marker:
        marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD)
        marker.header.frame_id, marker.header.stamp = self._frame, stamp
        marker.pose.orientation.w = 1.0
        return marker

    def _path(self, stamp: Time) -> Marker:
        marker = self._marker("path", 0, Marker.LINE_STRIP, stamp)
        marker.scale.x = 0.02
        marker.color = _rgba(_PATH_COLOR)
        # A strip needs two points, also where the robot stays.
        rows = np.linspace(0, len(self._base) - 1, min(max(len(self._base), 2), _MAX_PATH_POINTS))
        path = self._base[np.round(rows).astype(int)].copy()
        path[:, 2] = self._floor + _LIFT
        marker.points = _points(path)
        return marker

    def _heading(self, stamp: Time) -> Marker:
        marker = self._marker("heading", 0, Marker.ARROW, stamp)
        marker.scale = Vector3(x=0.25, y=0.04, z=0.02)
        marker.color = _rgba(_PATH_COLOR)
        x, y, _ = self._base[-1].tolist()
        marker.pose.position = Point(x=x, y=y, z=self._floor + _LIFT)
        marker.pose.orientation = _turned(float(self._yaw[-1]))
        return marker

    def _footprint(self, step: Footstep, number: int, stamp: Time) -> Marker:
        marker = self._marker(f"footprints/{step.side}", number, Marker.CUBE, stamp)
        marker.scale = Vector3(x=step.length, y=step.width, z=2 * _LIFT)
        marker.color = _rgba(LEFT if step.side == "left" else RIGHT, alpha=0.6)
        x, y, z = step.centre.tolist()
        marker.pose.position = Point(x=x, y=y, z=z)
        marker.pose.orientation = _turned(step.yaw)
        return marker

    def _sentence(self, stamp: Time) -> Marker:
        marker = self._marker(TEXT_NAMESPACE, 0, Marker.TEXT_VIEW_FACING, stamp)
        marker.scale.z = 0.12
        marker.color = _rgba((1.0, 1.0, 1.0))
        marker.text = "\n".join(textwrap.wrap(self._text, _LINE_LENGTH))
        x, y, z = self._base[0].tolist()
        marker.pose.position = Point(x=x, y=y, z=z + _ABOVE * (z - self._floor))
        return marker


def cleared(frame: str, stamp: Time) -> MarkerArray:
    """What takes everything away again.

    Args:
        frame: Any frame; RViz wants one.
        stamp: When.
    """
    return MarkerArray(markers=[_delete_all(frame, stamp)])


def source_times(trajectory: RobotTrajectory, clip: MotionClip) -> np.ndarray:
    """(N,) the moment of the clip that each sample of a trajectory shows [s].

    Where a sample belongs to none, the human waits in the pose beside it.

    Args:
        trajectory: The robot's motion.
        clip: The human's.
    """
    source = trajectory.source_time
    known = np.flatnonzero(np.isfinite(source)) if source is not None else np.zeros(0, dtype=int)
    if source is None or not len(known):
        return human_time(clip, trajectory.seconds, trajectory.time_from_start)
    return np.interp(np.arange(len(trajectory)), known, source[known])


def skeleton_of(markers: MarkerArray) -> np.ndarray | None:
    """(22, 3) the human's joints in a message of `PlanMarkers.at` [m]; None where it has none."""
    for marker in markers.markers:
        if marker.ns == JOINTS_NAMESPACE and marker.action == Marker.ADD:
            joints = np.array([[point.x, point.y, point.z] for point in marker.points])
            if joints.shape == (NUM_JOINTS, 3) and np.isfinite(joints).all():
                return joints
    return None


def sentence_of(markers: MarkerArray) -> str | None:
    """The sentence in a message of `PlanMarkers.static`; None where it has none."""
    for marker in markers.markers:
        if marker.ns == TEXT_NAMESPACE and marker.action == Marker.ADD:
            return " ".join(str(marker.text).split())
    return None


def _delete_all(frame: str, stamp: Time) -> Marker:
    marker = Marker(action=Marker.DELETEALL)
    marker.header.frame_id, marker.header.stamp = frame, stamp
    marker.pose.orientation.w = 1.0
    return marker


def _between(joints: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """(22, 3) at a time of (T, 22, 3), on straight lines between the frames."""
    at = float(np.clip(seconds * fps, 0.0, len(joints) - 1))
    before = min(int(at), max(len(joints) - 2, 0))
    share = at - before
    after = min(before + 1, len(joints) - 1)
    return np.asarray((1.0 - share) * joints[before] + share * joints[after])


def _yaw(quaternions: np.ndarray) -> np.ndarray:
    """(N,) what the base faces, from (N, 4) x y z w [rad]."""
    facing = Rotation.from_quat(quaternions).apply([1.0, 0.0, 0.0])
    return np.arctan2(facing[:, 1], facing[:, 0])


def _turned(yaw: float) -> Quaternion:
    return Quaternion(z=float(np.sin(yaw / 2)), w=float(np.cos(yaw / 2)))


def _points(rows: np.ndarray) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in rows.tolist()]


def _rgba(color: Color, alpha: float = 1.0) -> ColorRGBA:
    red, green, blue = color
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def _side_color(name: str) -> Color:
    return LEFT if name.startswith("left") else RIGHT if name.startswith("right") else BODY


_JOINT_COLORS = tuple(_side_color(name) for name in JOINT_NAMES)

"""`LiveViewer`: a page that shows a robot and a human live, such as from joint states."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from nextscale_core.estimation.leg_odometry import sole_contacts
from nextscale_core.exceptions import InvalidMotionError
from nextscale_core.motion.mannequin import Mannequin
from nextscale_core.motion.skeleton import NUM_JOINTS
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_core.viz.links import heading, robot_body
from nextscale_core.viz.scene import ASIDE, DETAIL
from nextscale_core.viz.viser_scene import (
    SIDES,
    ViserScene,
    facts_html,
    legend_html,
    open_panel,
    open_server,
    page_url,
    title_html,
)

if TYPE_CHECKING:
    import viser

    from nextscale_core.robots.robot import Robot

_FOLLOW_SECONDS = 0.5
_PAUSE = 1.0
"""Maximum time between two updates from which the speed of a sole is computed [s]."""


class LiveViewer:
    """A page with the current poses of a robot and of the human that it should follow.

    Every method may be called from any thread.

    Args:
        robot: The robot.
        host: Address to listen at; '0.0.0.0' accepts other machines.
        port: Port; the next free one if it is in use.
        title: Title of the panel.
        max_rate: Maximum rate of updates; faster ones are dropped [Hz].
        detail: Smallest feature of the meshes that is kept [m].

    Attributes:
        server: The page's server.

    Raises:
        ViewerError: viser is not installed, or the address cannot be used.
    """

    def __init__(
        self,
        robot: Robot,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        title: str = "",
        max_rate: float = 30.0,
        detail: float = DETAIL,
    ):
        self.robot = robot
        self.server: viser.ViserServer = open_server(host, port)
        self._lock = threading.RLock()
        self._shortest = 1.0 / max_rate if max_rate > 0 else 0.0
        self._kinematics = kinematics_of(robot)
        self._body = robot_body(robot, detail)
        self._scene = ViserScene(self.server)
        self._scene.add_robot(self._body)
        self._seen: tuple[float, np.ndarray] | None = None
        self._shown = {"robot": -np.inf, "human": -np.inf}
        self._human = False
        self._base, self._forward = np.zeros(3), np.array([1.0, 0.0])
        self._followed = np.zeros(2)
        self._facts: dict[str, str] = {"robot": f"{robot.name}, waiting for joint states"}
        self._title = open_panel(self.server, title or robot.name)
        gui = self.server.gui
        self._follow = gui.add_checkbox("camera follows", initial_value=True)
        gui.add_html(legend_html(human=True))
        self._text = gui.add_html(facts_html(self._facts.items()))
        self._scene.aim(self._forward, 1.7, ASIDE)
        nominal = Poses(np.zeros((1, 3)), np.eye(3)[None], robot.nominal[None])
        standing = np.array([0.0, 0.0, -float(self._kinematics.lowest_sole(nominal)[0])])
        self._draw_robot(robot.nominal, standing, np.array([0.0, 0.0, 0.0, 1.0]), 0.0)
        self._seen = None

    @property
    def url(self) -> str:
        """Address of the page."""
        return page_url(self.server)

    def update_robot(
        self,
        positions: np.ndarray,
        base_position: np.ndarray,
        base_quaternion: np.ndarray,
        stamp: float | None = None,
    ) -> bool:
        """Show the robot in another pose.

        Args:
            positions: (J,) joint positions in the order of `robot.joint_names` [rad].
            base_position: (3,) root link in the world [m].
            base_quaternion: (4,) its orientation, x y z w.
            stamp: Time of the measurement, from which the speed of the soles follows [s]; None
                for now.

        Returns:
            Whether it is shown; False if it is too soon after the last one.

        Raises:
            InvalidMotionError: wrong shapes, or NaN.
        """
        positions = _checked("positions", positions, (self.robot.num_joints,))
        base = _checked("base_position", base_position, (3,))
        turn = _checked("base_quaternion", base_quaternion, (4,))
        if not np.linalg.norm(turn) > 1e-6:
            raise InvalidMotionError("base_quaternion must have a length, got four zeros")
        with self._lock:
            if not self._due("robot"):
                return False
            self._draw_robot(positions, base, turn, time.monotonic() if stamp is None else stamp)
            self._facts.pop("robot", None)
        return True

    def update_skeleton(
        self, joints: np.ndarray, stance: np.ndarray | None = None, *, placed: bool = False
    ) -> bool:
        """Show the human in another pose, beside the robot's place at the first of them.

        Args:
            joints: (22, 3) positions [m].
            stance: (2,) bool, left and right foot on the floor, if known.
            placed: The positions are in the robot's world and are shown without a shift.

        Returns:
            Whether it is shown; False if it is too soon after the last one.

        Raises:
            InvalidMotionError: wrong shapes, or NaN.
        """
        joints = _checked("joints", joints, (NUM_JOINTS, 3))
        feet = np.zeros(2, dtype=bool) if stance is None else np.asarray(stance, dtype=bool)
        with self._lock:
            if not self._due("human"):
                return False
            if not self._human:
                left = np.array([-self._forward[1], self._forward[0]])
                place = np.zeros(2) if placed else self._base[:2] + ASIDE * left - joints[0, :2]
                self._scene.add_human(Mannequin(joints, SIDES), np.array([*place, 0.0]))
                self._human = True
            with self.server.atomic():
                self._scene.show_human(joints, feet)
        return True

    def write(self, name: str, text: str) -> None:
        """Set a line of the panel, such as the safety gate's; '' removes it."""
        with self._lock:
            if self._facts.get(name, "") == text:
                return
            self._facts[name] = text
            self._text.content = facts_html(fact for fact in self._facts.items() if fact[1])

    def set_title(self, title: str) -> None:
        """Set the title of the panel."""
        self._title.content = title_html(title or self.robot.name)

    def close(self) -> None:
        """Close the page."""
        self.server.stop()

    def _due(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._shown[what] < self._shortest:
            return False
        self._shown[what] = now
        return True

    def _draw_robot(
        self, positions: np.ndarray, base: np.ndarray, turn: np.ndarray, stamp: float
    ) -> None:
        rotation = Rotation.from_quat(turn)
        poses = Poses(base[None], rotation.as_matrix()[None], positions[None])
        turns, origins = self._body.poses(poses)
        points = self._kinematics.points(poses)[0]
        last = self._seen
        passed = stamp - last[0] if last is not None else 0.0
        stance = np.zeros(2, dtype=bool)
        if last is not None and 0.0 < passed < _PAUSE:
            pair = np.stack([last[1], points])
            stance = sole_contacts(self._kinematics, pair, 1.0 / passed)[-1].reshape(2, 2).any(-1)
        self._seen = (stamp, points)
        self._base, self._forward = base, heading(poses.rotation[0])
        if last is None:
            self._followed = base[:2]
        elif self._follow.value:
            share = 1.0 - np.exp(-max(passed, 0.0) / _FOLLOW_SECONDS)
            self._followed = self._followed + share * (base[:2] - self._followed)
        with self.server.atomic():
            quaternions = Rotation.from_matrix(turns[0]).as_quat()
            self._scene.show_robot(origins[0], quaternions, stance)
            self._scene.look_at(self._followed)


def _checked(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InvalidMotionError(f"{name} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidMotionError(f"{name} holds NaN or infinity")
    return array

"""The viewer node: the page shows the robot at the pose of its topics, in a browser too."""

from __future__ import annotations

import itertools
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from PIL import Image
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from visualization_msgs.msg import MarkerArray

from core.human_clips import walking_clip
from core.viz.headless import Page, find_browser, opened
from nextscale_core.exceptions import RobotError
from nextscale_core.resources import resource
from nextscale_core.retarget import Retargeter
from nextscale_core.robots import Robot, load_robot
from nextscale_core.robots.kinematics import Poses, kinematics_of
from nextscale_ros.bringup.processes import Child
from nextscale_ros.messages.conversions import duration
from nextscale_ros.qos import LATCHED
from nextscale_ros.viewer.markers import PlanMarkers
from ros.graph import REPLY, START, Graph, until

pytest.importorskip("viser", reason="the page needs viser, which is not installed")

from nextscale_ros.viewer.viewer_node import ViewerNode

SIZE = (880, 600)
"""Of the browser's window."""
PANEL, NOTICES = 540, 190
"""The panel covers what is right of this column; a notice on slow drawing, rows up to here."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def sticks(robot: Robot, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Parameters of the G1 without its meshes: quick to draw without a graphics card."""
    urdf = tmp_path_factory.mktemp("sticks") / "g1.urdf"
    shutil.copy(robot.urdf_path, urdf)
    return {"robot": str(urdf), "profile": str(resource("config/robots/g1.yaml"))}


class Stage:
    """A viewer in this process, and who talks to it."""

    def __init__(self, graph: Graph, robot: Robot, parameters: dict[str, str]) -> None:
        self.robot = robot
        values = {**parameters, "port": free_port(), "max_rate": 60.0}
        self.viewer = ViewerNode(
            context=graph.context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self.talker = Node("talker", context=graph.context)
        self.joints = self.talker.create_publisher(JointState, "joint_states", 10)
        self.odometry = self.talker.create_publisher(Odometry, "odom", 10)
        self.markers = self.talker.create_publisher(MarkerArray, "motion_markers", LATCHED)
        self._executor = SingleThreadedExecutor(context=graph.context)
        self._executor.add_node(self.viewer)

    def close(self) -> None:
        self._executor.shutdown()
        self.viewer.destroy_node()
        self.talker.destroy_node()

    def until(self, condition: Callable[[], bool], say: Callable[[], None], what: str) -> None:
        """Publish again until the page shows it."""

        def again() -> None:
            say()
            self._executor.spin_once(timeout_sec=0.02)

        until(condition, what, again)

    def state(self, positions: np.ndarray, order: np.ndarray | None = None) -> JointState:
        rows = np.arange(len(positions)) if order is None else order
        message = JointState(
            name=[self.robot.joint_names[row] for row in rows],
            position=[float(positions[row]) for row in rows],
        )
        message.header.stamp = self.talker.get_clock().now().to_msg()
        return message

    def pose(self, place: np.ndarray, turn: np.ndarray) -> Odometry:
        message = Odometry(child_frame_id="pelvis")
        message.header.frame_id = "odom"
        message.header.stamp = self.talker.get_clock().now().to_msg()
        at, facing = message.pose.pose.position, message.pose.pose.orientation
        at.x, at.y, at.z = place.tolist()
        facing.x, facing.y, facing.z, facing.w = turn.tolist()
        return message

    def link(self, name: str) -> np.ndarray:
        """(3,) where the page has a link, in the world [m]."""
        handle = self.viewer.page.server.scene.get_handle_by_name(f"/world/robot/{name}")
        assert handle is not None, name
        return np.array(handle.position)

    def shows(self, positions: np.ndarray, place: np.ndarray, turn: np.ndarray) -> bool:
        """Whether every link is at the pose of joints and base."""
        body = self.viewer.page._body
        rotation = Rotation.from_quat(turn).as_matrix()[None]
        _, origins = body.poses(Poses(place[None], rotation, positions[None]))
        return all(
            np.allclose(self.link(link.name.replace("/", "_")), origin, atol=2e-3)
            for link, origin in zip(body.links, origins[0], strict=True)
        )


@pytest.fixture
def stage(graph: Graph, robot: Robot, sticks: dict[str, str]) -> Iterator[Stage]:
    made = Stage(graph, robot, sticks)
    yield made
    made.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_robot_is_where_joint_states_and_odometry_say(
    stage: Stage, robot: Robot, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    positions = rng.uniform(robot.position_lower, robot.position_upper)
    place, turn = rng.uniform(-2.0, 2.0, 3), Rotation.random(random_state=seed).as_quat()
    order = rng.permutation(len(positions))

    def say() -> None:
        stage.joints.publish(stage.state(positions, order))
        stage.odometry.publish(stage.pose(place, turn))

    stage.until(lambda: stage.shows(positions, place, turn), say, "the robot's pose")


def test_without_odometry_transforms_say_where_it_is(stage: Stage, robot: Robot) -> None:
    tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
    from nextscale_ros.tf import BaseTransforms

    transforms = BaseTransforms(stage.talker, robot)
    assert tf2_msgs.TFMessage is not None and transforms.available
    place, turn = np.array([1.0, -0.5, 0.9]), Rotation.from_euler("z", 0.8).as_quat()

    def say() -> None:
        stamp = stage.talker.get_clock().now().to_msg()
        stage.joints.publish(stage.state(robot.nominal))
        transforms.publish("odom", place, turn, robot.nominal, stamp)

    stage.until(lambda: stage.shows(robot.nominal, place, turn), say, "the transform")


def test_without_anybody_who_knows_the_base_the_lowest_sole_stands(
    stage: Stage, robot: Robot
) -> None:
    positions = robot.nominal.copy()
    for name in ("left_knee_joint", "right_knee_joint"):
        positions[robot.joint_names.index(name)] += 0.4
    kinematics = kinematics_of(robot)
    low = kinematics.lowest_sole(Poses(np.zeros((1, 3)), np.eye(3)[None], positions[None]))[0]

    def bent() -> bool:
        pelvis = stage.link("left_hip_yaw_joint")
        return bool(abs(pelvis[2] - (-low)) < 0.35 and stage.viewer.page._facts.get("base"))

    stage.until(bent, lambda: stage.joints.publish(stage.state(positions)), "the bent knees")
    assert stage.viewer.page._facts["base"] == "from the soles"


def test_the_human_and_the_sentence_come_from_the_markers(stage: Stage, robot: Robot) -> None:
    clip = walking_clip()
    plan = PlanMarkers(robot, Retargeter(robot).retarget(clip), clip, "a person walks", "odom")
    stage.markers.publish(plan.at(0.0, Time()))
    stage.until(
        lambda: "a person walks" in stage.viewer.page._title.content, lambda: None, "the sentence"
    )
    joints = plan.joints(1.2)

    def there() -> bool:
        scene = stage.viewer.page.server.scene
        thigh = scene.get_handle_by_name("/world/human/left_hip-left_knee")
        return thigh is not None and np.allclose(thigh.position, joints[1], atol=1e-5)

    stage.until(there, lambda: stage.markers.publish(plan.at(1.2, Time())), "the human")


def broken_states(stage: Stage, robot: Robot) -> list[JointState]:
    short, nan, alien = (stage.state(robot.nominal) for _ in range(3))
    short.position = short.position[:-2]
    nan.position[3] = float("nan")
    alien.name[4] = "tail"
    return [short, nan, alien, JointState()]


def test_broken_messages_are_left_out_and_it_lives_on(stage: Stage, robot: Robot) -> None:
    bad = stage.pose(np.array([np.nan, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0]))
    zero = stage.pose(np.zeros(3), np.zeros(4))
    moving = stage.pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    moving.child_frame_id = "left_wrist_yaw_link"
    # One at a time: of many at once, a short queue would keep the same ones again and again.
    states = itertools.cycle(broken_states(stage, robot))
    poses = itertools.cycle((bad, zero, moving))

    def say() -> None:
        stage.joints.publish(next(states))
        stage.odometry.publish(next(poses))

    complaints = stage.viewer._complaints
    stage.until(
        lambda: len(complaints) >= 3 and stage.viewer._joints.refused > 1, say, "complaints"
    )
    place, turn = np.array([0.3, 0.0, 0.8]), np.array([0.0, 0.0, 0.0, 1.0])

    def right() -> None:
        stage.joints.publish(stage.state(robot.nominal))
        stage.odometry.publish(stage.pose(place, turn))

    stage.until(lambda: stage.shows(robot.nominal, place, turn), right, "the robot")


class Commander:
    """Moves the mock robot's arms."""

    def __init__(self, graph: Graph, robot: Robot) -> None:
        self.robot = robot
        self.recorder = graph.recorder()
        self._commands = self.recorder.create_publisher(JointTrajectory, "/motion_command", 10)

    def goal(self, **offsets: float) -> np.ndarray:
        positions = self.robot.nominal.copy()
        for name, offset in offsets.items():
            positions[self.robot.joint_names.index(name)] += offset
        return positions

    def go(self, graph: Graph, positions: np.ndarray) -> None:
        """Until the joint states reach the end."""
        point = JointTrajectoryPoint(
            positions=positions.tolist(),
            velocities=[0.0] * len(positions),
            time_from_start=duration(0.5),
        )
        states = self.recorder.states
        self.recorder.wait(
            lambda: self._commands.get_subscription_count() > 1 and bool(states),
            START,
            "the mock robot",
            graph.alive,
        )
        self._commands.publish(
            JointTrajectory(joint_names=list(self.robot.joint_names), points=[point])
        )
        self.recorder.wait(
            lambda: np.allclose(states[-1].position, positions, atol=1e-6),
            REPLY,
            "the arm",
            graph.alive,
        )


def on_page(points: np.ndarray) -> np.ndarray:
    """(N, 2) pixels, right and down, of points in the world of a robot that has not moved [m].

    By the camera that `viser_scene.Stage.aim` gives to everybody who opens the page.
    """
    from nextscale_core.viz.scene import ASIDE
    from nextscale_core.viz.viser_scene import _PANEL, _TURN, _VIEW

    height, width = 1.7, ASIDE
    toward = np.array([np.cos(_TURN), np.sin(_TURN)])
    right = np.array([-toward[1], toward[0]])
    target = np.array([*(_PANEL * height * right), 0.46 * height])
    place = np.array([*(target[:2] + (2.35 * height + 0.55 * width) * toward), 0.95 * height])
    ahead = (target - place) / np.linalg.norm(target - place)
    across = np.cross(ahead, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across)
    seen = (points - place) @ np.stack([across, np.cross(across, ahead), ahead]).T
    focus = 0.5 * SIZE[1] / np.tan(0.5 * _VIEW)
    middle = 0.5 * np.array(SIZE)
    return middle + focus * seen[:, :2] / seen[:, 2:] * [1.0, -1.0]


def picture(path: Path) -> np.ndarray:
    """(height, width, 3) colours, white where panel and notices come and go."""
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB")).astype(int)
    pixels[:, PANEL:] = pixels[:NOTICES] = 255
    return pixels


def changed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, 2) pixels, right and down, that differ."""
    rows, columns = np.nonzero(np.abs(one - other).max(axis=-1) > 60)
    return np.column_stack([columns, rows])


def settled(page: Page, path: Path, enough: Callable[[np.ndarray], bool]) -> np.ndarray:
    """A picture that is as wanted, twice the same; drawing takes a while without a card."""
    deadline = time.monotonic() + 150.0
    before: np.ndarray | None = None
    while time.monotonic() < deadline:
        time.sleep(1.0)
        page.screenshot(path)
        now = picture(path)
        if before is not None and enough(now) and len(changed(before, now)) < 20:
            return now
        before = now
    raise AssertionError("the page never showed it")


def hand(robot: Robot, positions: np.ndarray, side: str) -> np.ndarray:
    """(3, 3) elbow, wrist and half way between, of the mock robot that stands at its place [m]."""
    kinematics = kinematics_of(robot)
    upright = np.eye(3)[None]
    floor = -kinematics.lowest_sole(Poses(np.zeros((1, 3)), upright, robot.nominal[None]))[0]
    base = np.array([[0.0, 0.0, floor]])
    points = kinematics.points(Poses(base, upright, positions[None]))[0]
    elbow, wrist = (points[kinematics.index[f"{side}_{part}"]] for part in ("elbow", "wrist"))
    return np.stack([elbow, 0.5 * (elbow + wrist), wrist])


def test_in_a_browser_the_robot_raises_the_arm_that_its_joint_states_say(
    graph: Graph, robot: Robot, sticks: dict[str, str], tmp_path: Path
) -> None:
    if find_browser() is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    graph.start("mock_robot")
    viewer = graph.start("viewer_node", {**sticks, "port": free_port(), "max_rate": 5.0})
    commander = Commander(graph, robot)
    url = told_url(viewer, commander, graph)
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert b"<html" in answer.read().lower()
    with opened(url, tmp_path / "profile", SIZE) as page:
        down = settled(page, tmp_path / "down.png", has_body)
        before = [down]

        def moved(now: np.ndarray) -> bool:
            return all(len(changed(one, now)) > 200 for one in before)

        middle = on_page(np.array([[0.0, 0.0, 1.0]]))[0, 0]
        for side, sign in (("left", 1.0), ("right", -1.0)):
            goal = commander.goal(
                **{f"{side}_shoulder_roll_joint": sign * 1.6, f"{side}_elbow_joint": 0.3}
            )
            commander.go(graph, goal)
            raised = settled(page, tmp_path / f"{side}.png", moved)
            before.append(raised)
            there, away = on_page(hand(robot, goal, side)), on_page(hand(robot, goal, other(side)))
            pixels = changed(down, raised)
            # The forearm is seen where the joint states have it, and was not there before...
            assert nearest(pixels, there).max() < 12, (side, there, nearest(pixels, there))
            # ...and what changed lies on that side of the robot, far from the other hand.
            assert np.sign(np.median(pixels[:, 0]) - middle) == np.sign(there[2, 0] - middle)
            assert nearest(pixels, away).min() > 12
        assert "waiting for joint states" not in page.run("document.body.innerText")
    graph.alive()


def told_url(viewer: Child, commander: Commander, graph: Graph) -> str:
    """The address in the viewer's log."""
    assert viewer.log is not None
    log = viewer.log

    def lines() -> list[str]:
        return [line for line in log.read_text().splitlines() if "is shown at http" in line]

    commander.recorder.wait(lambda: bool(lines()), START, "the page's address", graph.alive)
    return lines()[0].split()[-1]


def has_body(now: np.ndarray) -> bool:
    """Whether green feet stand on the pale floor: the robot is there, and known to stand."""
    return int((now[..., 1] > now[..., 0] + 60).sum()) > 60


def other(side: str) -> str:
    return "right" if side == "left" else "left"


def nearest(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,) distance of each point to the closest pixel."""
    return np.linalg.norm(points[:, None] - pixels[None], axis=-1).min(axis=1)


def test_a_taken_port_is_no_error(graph: Graph, sticks: dict[str, str], stage: Stage) -> None:
    taken = stage.viewer.page.server.get_port()
    values = {**sticks, "port": taken}
    second = ViewerNode(
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    try:
        assert second.page.url != stage.viewer.page.url
    finally:
        second.destroy_node()

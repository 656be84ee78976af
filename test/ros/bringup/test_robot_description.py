"""The topic `robot_description`: waited for, and turned into a robot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import Rotation
from std_msgs.msg import String

from core.toy_humanoid import PROFILE as TOY_PROFILE
from core.toy_humanoid import toy_humanoid
from nextscale_core.exceptions import ConfigError, RobotError
from nextscale_core.resources import resource
from nextscale_core.robots import Robot, list_robots, load_robot, load_robot_description
from nextscale_ros import robot_description
from nextscale_ros.parameters.values import declare_parameters
from nextscale_ros.qos import LATCHED
from nextscale_ros.robot_description import (
    DescriptionTimeoutError,
    described_robot,
    description_text,
    publish_description,
    resting_joints,
    wait_for_description,
)
from ros.graph import REPLY, Graph
from ros.urdf_tree import link_poses

PROFILE = str(resource("config/robots/g1.yaml"))


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1")
    except RobotError as error:
        pytest.skip(str(error))


def listener(graph: Graph, namespace: str, **parameters: str) -> Node:
    """A node that wants to know its robot."""
    node = Node(
        "listener",
        context=graph.context,
        namespace=namespace,
        parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
    )
    graph.stack.callback(node.destroy_node)
    declare_parameters(node, section="viewer_node")
    return node


@pytest.fixture
def teller(graph: Graph) -> Iterator[Node]:
    node = Node("teller", context=graph.context, namespace="lab")
    yield node
    node.destroy_node()


def test_what_was_said_before_anybody_listened_is_heard(
    graph: Graph, teller: Node, robot: Robot
) -> None:
    publisher: Publisher = publish_description(teller, robot, "robot_description")
    node = listener(graph, "lab", robot="robot_description", profile=PROFILE)
    assert wait_for_description(node, "robot_description", REPLY) == description_text(robot)
    received = described_robot(node, REPLY)
    assert received.joint_names == robot.joint_names
    np.testing.assert_allclose(received.nominal, robot.nominal)
    assert node.get_name() == "listener", "the node's own name and parameters are left alone"
    teller.destroy_publisher(publisher)


def test_a_topic_without_messages_is_an_error_and_the_log_says_so_before(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(robot_description, "HINT", 0.2)
    node = listener(graph, "elsewhere", robot="robot_description", profile=PROFILE)
    with pytest.raises(DescriptionTimeoutError, match="on /elsewhere/robot_description"):
        described_robot(node, 0.5)
    told = "on /elsewhere/robot_description within 0.2 s: it has no publisher"
    assert capfd.readouterr().err.count(told) == 1


def test_who_says_it_too_early_is_told_how(graph: Graph, teller: Node) -> None:
    volatile = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)
    publisher = teller.create_publisher(String, "mumbled", volatile)
    publisher.publish(String(data="<robot/>"))
    node = listener(graph, "lab")
    with pytest.raises(DescriptionTimeoutError, match="must be reliable and transient local"):
        wait_for_description(node, "mumbled", 3.0)


def test_a_description_needs_a_profile(graph: Graph) -> None:
    node = listener(graph, "lab", robot="robot_description")
    with pytest.raises(ConfigError, match="needs the parameter profile"):
        described_robot(node, 0.3)


@pytest.mark.parametrize("text", ["<robot", "<robot name='r'/>", "hello"])
def test_a_text_that_describes_no_robot_is_refused(graph: Graph, teller: Node, text: str) -> None:
    publisher = teller.create_publisher(String, "robot_description", LATCHED)
    publisher.publish(String(data=text))
    node = listener(graph, "lab", robot="robot_description", profile=PROFILE)
    with pytest.raises(RobotError):
        described_robot(node, REPLY)
    teller.destroy_publisher(publisher)


def test_meshes_that_are_not_found_keep_their_names(
    robot: Robot, tmp_path_factory: pytest.TempPathFactory
) -> None:

    lost = replace(robot, mesh_dirs=(tmp_path_factory.mktemp("empty"),))
    assert "file://" not in description_text(lost)
    assert description_text(lost).count("<mesh") == description_text(robot).count("<mesh")


def described(name: str, joints: str | None = None) -> Robot:
    try:
        return load_robot(name, joints=joints)
    except RobotError as error:
        pytest.skip(str(error))


def require_every_link_in_its_place(robot: Robot) -> None:
    """What robot_state_publisher makes of the description and all joints is our own model."""
    rng = np.random.default_rng(7)
    positions = rng.uniform(robot.position_lower, robot.position_upper)
    states = {**dict(zip(robot.joint_names, positions, strict=True)), **resting_joints(robot)}
    text = description_text(robot)
    poses = link_poses(text, states)
    links = {link.get("name") for link in ElementTree.fromstring(text).findall("link")}
    assert set(poses) == links, "no link is without a transform"
    data = robot.model.createData()
    q = robot.configurations(np.zeros((1, 3)), np.array([[0.0, 0, 0, 1]]), positions[None])[0]
    pin.framesForwardKinematics(robot.model, data, q)
    frames = {
        frame.name: data.oMf[number]
        for number, frame in enumerate(robot.model.frames)
        if frame.type == pin.FrameType.BODY
    }
    root = next(name for name, (place, turn) in poses.items() if turn.magnitude() == 0)
    for name, (place, turn) in poses.items():
        if name in frames:
            expected = frames[root].actInv(frames[name])
            np.testing.assert_allclose(place, expected.translation, atol=1e-5)
            np.testing.assert_allclose(turn.as_matrix(), expected.rotation, atol=1e-5)


@pytest.mark.parametrize("joints", [None, "upper_body"])
@pytest.mark.parametrize("name", list_robots(installed=True))
def test_with_the_joints_that_rest_every_link_of_every_robot_is_in_its_place(
    name: str, joints: str | None
) -> None:
    require_every_link_in_its_place(described(name, joints))


@pytest.mark.parametrize("name", list_robots(installed=True))
def test_each_movable_joint_that_mimics_none_moves_or_rests_and_none_does_both(name: str) -> None:
    robot = described(name)
    wanted = [
        joint.get("name")
        for joint in ElementTree.parse(robot.urdf_path).getroot().findall("joint")
        if joint.get("type") != "fixed" and joint.find("mimic") is None
    ]
    assert sorted([*robot.joint_names, *resting_joints(robot)]) == sorted(map(str, wanted))


EXTRA_JOINTS = """
<link name="spinner"/><link name="slider"/><link name="follower"/>
<joint name="spin" type="continuous"><parent link="base"/><child link="spinner"/>
<origin xyz="0 0 0.1"/><axis xyz="0 0 1"/><limit velocity="3" effort="1"/></joint>
<joint name="slide" type="prismatic"><parent link="spinner"/><child link="slider"/>
<axis xyz="1 0 0"/><limit lower="0" upper="0.2" velocity="1" effort="1"/></joint>
<joint name="follow" type="prismatic"><parent link="slider"/><child link="follower"/>
<axis xyz="1 0 0"/><limit lower="0" upper="0.2" velocity="1" effort="1"/>
<mimic joint="slide" multiplier="2"/></joint>
<transmission name="t"><joint name="neck_yaw"/></transmission>
</robot>"""


def test_joints_are_locked_where_the_profile_says_of_whatever_type_they_are(tmp_path: Path) -> None:
    text = toy_humanoid(tmp_path).read_text().replace("</robot>", EXTRA_JOINTS)
    profile = tmp_path / "doll.yaml"
    locked = "locked:\n  spin: 1.2\n  slide: 0.1\n  follow: 0.2\n  right_finger: 0.3\n"
    profile.write_text(TOY_PROFILE.replace("locked:\n", locked).replace('"*_fi', '"left_fi'))
    robot = load_robot_description(text, profile)
    assert resting_joints(robot) == {
        "neck_yaw": 0.0,
        "left_finger": 0.0,
        "right_finger": 0.3,
        "spin": 1.2,
        "slide": 0.1,
    }
    require_every_link_in_its_place(robot)


def shapes(robot: Robot) -> dict[str, list[str]]:
    """Kinds of visual shapes, by link."""
    links = ElementTree.fromstring(description_text(robot)).findall("link")
    return {
        str(link.get("name")): [shape.tag for shape in link.iterfind("visual/geometry/*")]
        for link in links
    }


def test_a_robot_of_collision_shapes_only_is_drawn_with_them(tmp_path: Path) -> None:
    (tmp_path / "doll.yaml").write_text(TOY_PROFILE)
    robot = load_robot(str(toy_humanoid(tmp_path)), tmp_path / "doll.yaml")
    drawn = shapes(robot)
    assert drawn["left_knee_link"] == ["box"] and drawn["left_hip_yaw_link"] == []
    root = ElementTree.fromstring(description_text(robot))
    knee = root.find("./link[@name='left_knee_link']")
    assert knee is not None
    for tag in ("origin", "geometry"):
        one, other = (knee.find(f"{kind}/{tag}") for kind in ("visual", "collision"))
        assert one is not None and other is not None
        assert ElementTree.tostring(one) == ElementTree.tostring(other)


@pytest.mark.parametrize("joints", [None, "upper_body"])
def test_a_robot_without_shapes_is_drawn_as_sticks_from_joint_to_joint(
    tmp_path: Path, joints: str | None
) -> None:
    (tmp_path / "doll.yaml").write_text(TOY_PROFILE)
    robot = load_robot(str(toy_humanoid(tmp_path, boxes=False)), tmp_path / "doll.yaml", joints)
    text = description_text(robot)
    assert "cylinder" in shapes(robot)["left_hip_pitch_link"]
    # The thigh's stick is as long as the thigh, and points at the knee.
    link = ElementTree.fromstring(text).find("./link[@name='left_hip_pitch_link']")
    assert link is not None
    ball, stick = link.findall("visual")
    assert ball.find("origin").get("xyz") == "0 0 -0.4"  # type: ignore[union-attr]
    assert float(stick.find("geometry/cylinder").get("length")) == 0.4  # type: ignore
    # The soles lie ahead of the ankles and below them.
    foot = ElementTree.fromstring(text).find("./link[@name='left_ankle_roll_link']")
    assert foot is not None
    x, _, z = foot.find("visual/origin").get("xyz").split()  # type: ignore[union-attr]
    assert float(x) > 0.05 and float(z) < -0.03


def test_a_robot_with_visual_geometry_keeps_it_as_it_is(robot: Robot) -> None:
    count = ElementTree.parse(robot.urdf_path).getroot().findall("./link/visual")
    assert len(ElementTree.fromstring(description_text(robot)).findall("./link/visual")) == len(
        count
    )


MESHES = """
<visual><origin xyz="0.1 0 0" rpy="0 -1.5707963 0"/>
<geometry><mesh filename="a.dae"/></geometry></visual>
<visual><geometry><mesh filename="b.DAE"/></geometry></visual>
<visual><geometry><mesh filename="c.stl"/></geometry></visual>
<collision><geometry><mesh filename="d.dae"/></geometry></collision>
</link>"""


@pytest.mark.parametrize("up", ["y", "z"])
def test_collada_meshes_with_y_up_are_turned_for_rviz_which_takes_vertices_as_written(
    tmp_path: Path, up: str
) -> None:
    urdf = toy_humanoid(tmp_path)
    urdf.write_text(urdf.read_text().replace("</link>", MESHES, 1))
    (tmp_path / "doll.yaml").write_text(f"{TOY_PROFILE}urdf:\n  mesh_up: {up}\n")
    root = ElementTree.fromstring(description_text(load_robot(str(urdf), tmp_path / "doll.yaml")))
    link = root.find("link")
    assert link is not None
    drawn = {}
    for element in [*link.findall("visual"), *link.findall("collision")]:
        mesh, origin = element.find("geometry/mesh"), element.find("origin")
        rpy = "0 0 0" if origin is None else origin.get("rpy", "0 0 0")
        turn = Rotation.from_euler("xyz", np.array(rpy.split(), dtype=float))
        if mesh is not None:
            drawn[str(mesh.get("filename"))] = turn.apply([0.0, 1.0, 0.0])
    above, beside = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
    turned = up == "y"
    # A pitch of -90 degrees lays what is above to the rear.
    expected = {
        "a.dae": [-1.0, 0.0, 0.0] if turned else beside,
        "b.DAE": above if turned else beside,
    }
    for name, direction in {**expected, "c.stl": beside, "d.dae": beside}.items():
        np.testing.assert_allclose(drawn[name], direction, atol=1e-6, err_msg=name)


def test_every_robot_has_something_to_draw() -> None:
    for name in list_robots(installed=True):
        assert any(shapes(described(name)).values()), name

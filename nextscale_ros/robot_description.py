"""The topic `robot_description`: publishing a URDF that RViz can draw, and receiving one."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from nextscale_core.exceptions import ConfigError, NextscaleError, RobotError
from nextscale_core.robots import Robot, load_robot, load_robot_description
from nextscale_core.robots.description import expand
from nextscale_core.robots.find_urdf import find_mesh
from nextscale_ros.options import DESCRIPTION
from nextscale_ros.qos import LATCHED
from nextscale_ros.visual_geometry import add_visual_geometry, turn_visual_meshes

PATIENCE, HINT = 60.0, 5.0
"""Default maximum wait for a description, whose publisher has often just been started, and time
after which the log says what is waited for [s]."""

MOVABLE = ("revolute", "continuous", "prismatic")
"""Types of joints in `joint_states`."""


class DescriptionTimeoutError(NextscaleError, TimeoutError):
    """No robot description was received in time."""


def description_text(robot: Robot) -> str:
    """The robot's URDF in a form that RViz can draw.

    Existing meshes are named by `file://` and their absolute path; a mesh that is not found keeps
    its name, since it may exist on the reader's machine. Missing visual geometry is added, and
    visual COLLADA meshes with y up are rotated, which RViz does not do.

    Args:
        robot: The robot.

    Raises:
        RobotError: the URDF can no longer be read.
    """
    root = _read_urdf(robot)
    add_visual_geometry(root, robot)
    turn_visual_meshes(root, robot)
    for mesh in root.iter("mesh"):
        found = find_mesh(mesh.get("filename", ""), robot.urdf_path, robot.mesh_dirs)
        if found is not None:
            mesh.set("filename", found.resolve().as_uri())
    return ElementTree.tostring(root, encoding="unicode")


def resting_joints(robot: Robot) -> dict[str, float]:
    """Positions of the URDF's joints that a trajectory does not contain [rad or m].

    These are locked and held joints, without mimic joints, which robot_state_publisher derives.

    Args:
        robot: The robot.

    Raises:
        RobotError: the URDF can no longer be read.
    """
    names = [
        joint.get("name", "")
        for joint in _read_urdf(robot).iterfind("joint")
        if joint.get("type") in MOVABLE and joint.find("mimic") is None
    ]
    positions = {**expand(robot.profile.locked, names), **robot.held}
    return {name: positions.get(name, 0.0) for name in names if name not in robot.joint_names}


def _read_urdf(robot: Robot) -> ElementTree.Element:
    try:
        return ElementTree.parse(robot.urdf_path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise RobotError(f"{robot.urdf_path} cannot be read as a URDF: {error}") from error


def publish_description(node: Node, robot: Robot, topic: str) -> Publisher:
    """Publish a robot's description on a latched topic.

    Args:
        node: Owner of the returned publisher, which has to be kept.
        robot: The robot.
        topic: Topic such as 'robot_description'.

    Raises:
        RobotError: the URDF can no longer be read.
    """
    publisher = node.create_publisher(String, topic, LATCHED)
    publisher.publish(String(data=description_text(robot)))
    return publisher


def wait_for_description(node: Node, topic: str, timeout: float = PATIENCE) -> str:
    """Receive the text of a description topic.

    Blocks, also in a callback, because a separate node subscribes.

    Args:
        node: Node whose namespace and remappings apply to the topic.
        topic: Topic such as 'robot_description'.
        timeout: Maximum wait [s].

    Raises:
        DescriptionTimeoutError: nothing was received in time.
    """
    name = node.resolve_topic_name(topic)
    texts: list[str] = []
    # Remappings are already applied to `name`; applying them twice could change it again.
    listener = Node(
        f"{node.get_name()}_description_listener",
        context=node.context,
        namespace=node.get_namespace(),
        use_global_arguments=False,
        start_parameter_services=False,
        enable_rosout=False,
    )
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(listener)
    try:

        def receive(message: String) -> None:
            texts.append(str(message.data))

        listener.create_subscription(String, name, receive, LATCHED)
        begin, told = time.monotonic(), False
        while not texts and node.context.ok():
            passed = time.monotonic() - begin
            left = timeout - passed
            if left <= 0:
                raise DescriptionTimeoutError(_silence(listener, name, timeout))
            if passed > HINT and not told:
                told = True
                node.get_logger().warning(
                    f"{_silence(listener, name, HINT)}; waiting for {timeout:g} s in all"
                )
            executor.spin_once(timeout_sec=min(left, 0.1))
    finally:
        executor.shutdown(timeout_sec=1.0)
        listener.destroy_node()
    if not texts:
        raise DescriptionTimeoutError(f"ROS was shut down while {name} was waited for")
    return texts[-1]


def _silence(listener: Node, topic: str, timeout: float) -> str:
    """Probable reason for a missing description."""
    count = listener.count_publishers(topic)
    reason = "it has no publisher; is robot_state_publisher running, in this namespace?"
    if count:
        reason = (
            f"it has {count} publishers, none of which sent it to a late subscriber; the topic "
            "must be reliable and transient local"
        )
    return f"no robot description on {topic} within {timeout:g} s: {reason}"


def described_robot(node: Node, timeout: float = PATIENCE) -> Robot:
    """Load the robot of the parameters `robot`, `profile` and `joints`.

    With `robot: robot_description` the URDF is received on the topic of the parameter
    `description_topic`.

    Args:
        node: Node with these parameters.
        timeout: Maximum wait for the topic [s].

    Raises:
        NextscaleError: the robot cannot be loaded.
    """

    def value(name: str) -> Any:
        return node.get_parameter(name).value

    robot = str(value("robot"))
    profile = Path(value("profile")) if value("profile") else None
    joints: str | list[str] | None = [text for text in value("joints") if text] or None
    if joints in (["all"], ["upper_body"]):
        joints = joints[0]
    if robot != DESCRIPTION:
        return load_robot(robot, profile, joints)
    if profile is None:
        raise ConfigError(
            f"robot: {DESCRIPTION} needs the parameter profile, a YAML file that maps links to "
            "body parts ('nextscale robots draft ROBOT.urdf' writes a first one)"
        )
    text = wait_for_description(node, str(value("description_topic")), timeout)
    return load_robot_description(text, profile, joints)

"""The topic `robot_description`: published with shapes that RViz draws, and waited for."""

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
from nextscale_core.robots import Robot, load_robot_description
from nextscale_core.robots.description import expand
from nextscale_core.robots.find_urdf import find_mesh
from nextscale_ros.options import DESCRIPTION
from nextscale_ros.parameters.values import chosen_robot
from nextscale_ros.qos import LATCHED
from nextscale_ros.visual_geometry import add_visual_geometry, turn_visual_meshes

PATIENCE = 15.0
"""How long a description is waited for [s]; who publishes it has often just been started."""


MOVABLE = ("revolute", "continuous", "prismatic")
"""Types of joints whose position `joint_states` carries."""


class DescriptionTimeoutError(NextscaleError, TimeoutError):
    """Nobody described the robot in time."""


def description_text(robot: Robot) -> str:
    """The robot's URDF as RViz can draw it.

    Every mesh that exists is named by `file://` and its absolute path; a mesh that is not found
    keeps its name, since it may exist where the reader is. A robot without visual geometry
    gets some, and visual COLLADA meshes with y up are turned, as RViz does not do so.

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
    """Every joint of the URDF that a trajectory leaves out, and its position [rad or m].

    Those are the joints that the profile locks and the ones that its `joints` leaves out. Joints
    that mimic another are not among them: robot_state_publisher derives them.

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
    """Describe a robot on a topic, for everybody who comes later too (transient local).

    Args:
        node: Owns the publisher, which has to be kept.
        robot: The robot.
        topic: Such as 'robot_description'.

    Raises:
        RobotError: the URDF can no longer be read.
    """
    publisher = node.create_publisher(String, topic, LATCHED)
    publisher.publish(String(data=description_text(robot)))
    return publisher


def wait_for_description(node: Node, topic: str, timeout: float = PATIENCE) -> str:
    """The text that a topic carries, as soon as there is one.

    It blocks, and may be called from a callback: a node of its own listens.

    Args:
        node: Whose namespace and remappings hold for the topic.
        topic: Such as 'robot_description'.
        timeout: Patience [s].

    Raises:
        DescriptionTimeoutError: nothing came in time.
    """
    name = node.resolve_topic_name(topic)
    texts: list[str] = []
    # Remappings have been applied; a second time they could lead elsewhere.
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

        def hear(message: String) -> None:
            texts.append(str(message.data))

        listener.create_subscription(String, name, hear, LATCHED)
        deadline = time.monotonic() + timeout
        while not texts and node.context.ok():
            left = deadline - time.monotonic()
            if left <= 0:
                raise DescriptionTimeoutError(_silence(listener, name, timeout))
            executor.spin_once(timeout_sec=min(left, 0.1))
    finally:
        executor.shutdown(timeout_sec=1.0)
        listener.destroy_node()
    if not texts:
        raise DescriptionTimeoutError(f"ROS was shut down while {name} was waited for")
    return texts[-1]


def _silence(listener: Node, topic: str, timeout: float) -> str:
    """Why nothing may have come."""
    count = listener.count_publishers(topic)
    reason = "nobody publishes it; is robot_state_publisher running, in this namespace?"
    if count:
        reason = (
            f"{count} publish it, and said nothing to who came late; the topic must be reliable "
            "and transient local"
        )
    return f"no robot description on {topic} within {timeout:g} s: {reason}"


def described_robot(node: Node, timeout: float = PATIENCE) -> Robot:
    """The robot of the parameters `robot`, `profile` and `joints`, from the topic if so said.

    With `robot: robot_description` the URDF comes from the parameter `description_topic` and the
    profile from the parameter `profile`.

    Args:
        node: Has these parameters.
        timeout: Patience with the topic [s].

    Raises:
        NextscaleError: it cannot be loaded.
    """

    def value(name: str) -> Any:
        return node.get_parameter(name).value

    if str(value("robot")) != DESCRIPTION:
        return chosen_robot(node)
    if not value("profile"):
        raise ConfigError(
            f"robot: {DESCRIPTION} needs the parameter profile: the YAML file that says which "
            "link is what ('nextscale robots draft ROBOT.urdf' writes a first one)"
        )
    joints: str | list[str] | None = [text for text in value("joints") if text] or None
    if joints in (["all"], ["upper_body"]):
        joints = joints[0]
    text = wait_for_description(node, str(value("description_topic")), timeout)
    return load_robot_description(text, Path(value("profile")), joints)

"""The processes of a graph, as generate.launch.py and `nextscale-ros` start them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nextscale_core.exceptions import ConfigError
from nextscale_core.resources import resource
from nextscale_core.robots import load_robot
from nextscale_ros.options import DESCRIPTION, Options, robots_by_namespace
from nextscale_ros.other_robots import Look, Present
from nextscale_ros.simulated_robot.choice import Choice, choose

Parameters = dict[str, str | bool | int | float]

PACKAGE = "nextscale_ros"

_TF = (("/tf", "tf"), ("/tf_static", "tf_static"))
"""Remappings that give each namespaced robot its own transform tree, as in Nav2."""

_SHOWN = ("robot_description", "motion_markers", "odom")
"""Topics that the RViz file names without a namespace."""


@dataclass(frozen=True)
class Process:
    """One process of the graph.

    Attributes:
        package: ROS package.
        executable: Name of the executable.
        name: Node name.
        namespace: Namespace of the node; '' for the root.
        parameters: Node parameters; they override the parameter file.
        remappings: (from, to) pairs.
        arguments: Arguments before the ROS arguments.
        may_end: Whether the other processes continue if this one exits with status 0.
    """

    package: str
    executable: str
    name: str
    namespace: str = ""
    parameters: Mapping[str, str | bool | int | float] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    may_end: bool = False


@dataclass(frozen=True)
class LaunchGraph:
    """Processes to start.

    Attributes:
        processes: Processes in starting order.
        notes: What is not started and why, with the command that installs a missing package.
    """

    processes: tuple[Process, ...]
    notes: tuple[str, ...] = ()


def arrange(options: Options, installed: Callable[[str], bool], look: Look) -> LaunchGraph:
    """The processes for one robot or a fleet.

    Args:
        options: Options of the graph.
        installed: Returns whether a ROS package is installed.
        look: Returns the robots that are present; called unless `mock` is 'false'.

    Raises:
        ConfigError: `mock` is 'true' and a robot already publishes its joint states, or what the
            simulated robot needs is not installed.
        NextscaleError: a robot for robot_state_publisher cannot be loaded.
    """
    robots = robots_by_namespace(options)
    missing: list[str] = []
    present = {} if options.mock == "false" else look(tuple(robots))
    mocked = _mocked(options, robots, present, missing)
    choice = _simulated(options, missing) if options.sim and mocked else None
    publisher = bool(mocked) and _state_publisher(options, installed, missing)
    rviz = options.rviz and _present("rviz2", "RViz is not started", installed, missing)
    viewer = options.viewer and _viser(missing)
    processes: list[Process] = []
    for namespace, robot in robots.items():
        common = {**_which(robot, options.profile), **_clock(options)}
        remappings = _TF if namespace else ()
        described = present.get(namespace, Present()).described
        if namespace in mocked:
            own: Parameters = {**common}
            name = "mock_robot"
            if choice is not None:
                name = "simulated_robot"
                own |= {"balancer": choice.balancer, "policy": str(choice.policy or "")}
                if own.pop("use_sim_time", False):
                    own["publish_clock"] = True
            if publisher or described:
                own["publish_description"] = False
            may_end = options.mock == "auto"
            if may_end:
                own["give_way"] = True
            processes.append(
                Process(PACKAGE, name, name, namespace, own, remappings, may_end=may_end)
            )
        if publisher and namespace in mocked and not described:
            urdf: Parameters = {"robot_description": _description(robot, options.profile)}
            urdf |= _clock(options)
            name = "robot_state_publisher"
            processes.append(Process(name, name, name, namespace, urdf, remappings))
        if viewer:
            name = "viewer_node"
            processes.append(Process(PACKAGE, name, name, namespace, common, remappings))
        if rviz:
            processes.append(_rviz(namespace, options))
    model: Parameters = {"model": options.model, "device": options.device, **_clock(options)}
    # Default values are left out, so that the parameter file can set them.
    if not options.autostart:
        model["autostart"] = False
    output = options.output
    if choice is not None and output == Options.output:
        output = choice.output
    if output != Options.output:
        model["output"] = output
    name = "generate_node"
    if options.fleet:
        # The node itself puts each robot into its namespace.
        fleet = ",".join(f"{namespace}={robot}" for namespace, robot in robots.items())
        generate = Process(PACKAGE, name, name, "", model, (), ("--fleet", fleet))
    else:
        ((namespace, robot),) = robots.items()
        own = {**_which(robot, options.profile), **model}
        generate = Process(PACKAGE, name, name, namespace, own, _TF if namespace else ())
    return LaunchGraph((*processes, generate), tuple(missing))


def installed_package(name: str) -> bool:
    """Whether a ROS package is installed in this environment."""
    return package_prefix(name) is not None


def package_prefix(name: str) -> Path | None:
    """Install prefix of a ROS package, such as /opt/ros/jazzy; None if it is not installed."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    except ImportError:
        return None
    try:
        return Path(get_package_prefix(name))
    except (PackageNotFoundError, LookupError, ValueError, OSError):
        # OSError: the environment has no search path.
        return None


def _which(robot: str, profile: str) -> Parameters:
    return {"robot": robot, "profile": profile} if profile else {"robot": robot}


def _clock(options: Options) -> Parameters:
    return {"use_sim_time": True} if options.use_sim_time else {}


def _mocked(
    options: Options,
    robots: Mapping[str, str],
    present: Mapping[str, Present],
    notes: list[str],
) -> set[str]:
    """Namespaces in which a mock or simulated robot is started.

    Raises:
        ConfigError: `mock` is 'true' and a robot already publishes its joint states.
    """
    if options.mock == "false":
        return set()
    there = {space: one.states for space, one in present.items() if one.states}
    if there and options.mock == "true":
        raise ConfigError(
            f"mock is true, but {', '.join(there.values())}: a mock robot would be a second "
            "source; omit mock to use the present robot, or stop that node"
        )
    stand_in = "simulated" if options.sim else "mock"
    notes += [f"{who}: the {stand_in} robot is not started" for who in there.values()]
    return set(robots) - set(there)


def _simulated(options: Options, notes: list[str]) -> Choice:
    """The balancing controller of the simulated robot.

    Raises:
        NextscaleError: the robot cannot be loaded, or what it needs is not installed.
    """
    robot = load_robot(options.robot, Path(options.profile) if options.profile else None)
    choice = choose(robot, options.balancer, options.policy)
    notes.append(choice.note or f"{robot.name} is simulated, on its feet by {choice.words}")
    return choice


def _state_publisher(
    options: Options, installed: Callable[[str], bool], missing: list[str]
) -> bool:
    """Whether to start robot_state_publisher for mock robots; a real robot has its own."""
    wanted = options.state_publisher
    if wanted == "false" or options.robot == DESCRIPTION:
        return False
    if wanted == "auto" and not options.rviz and not installed("robot_state_publisher"):
        return False
    return _present(
        "robot_state_publisher", "no transforms of the links are published", installed, missing
    )


def _present(
    package: str, effect: str, installed: Callable[[str], bool], missing: list[str]
) -> bool:
    if installed(package):
        return True
    apt = package.replace("_", "-")
    missing.append(f"{package} is not installed: {effect} (apt install ros-$ROS_DISTRO-{apt})")
    return False


def _viser(missing: list[str]) -> bool:
    if importlib.util.find_spec("viser") is not None:
        return True
    from nextscale_core.viz.viser_scene import INSTALL

    missing.append(f"viser is not installed: the page is not opened ({INSTALL})")
    return False


def _description(robot: str, profile: str) -> str:
    from nextscale_ros.robot_description import description_text

    return description_text(load_robot(robot, Path(profile) if profile else None))


def _rviz(namespace: str, options: Options) -> Process:
    remappings = (*_TF, *((f"/{topic}", topic) for topic in _SHOWN)) if namespace else ()
    arguments = ("-d", str(resource("config/rviz/nextscale.rviz")))
    return Process("rviz2", "rviz2", "rviz2", namespace, _clock(options), remappings, arguments)

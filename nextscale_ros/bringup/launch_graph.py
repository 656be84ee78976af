"""Which processes make up a graph: what generate.launch.py and `nextscale-ros` both start."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nextscale_core.exceptions import ConfigError
from nextscale_core.resources import resource
from nextscale_ros.options import DESCRIPTION, Options, robots_by_namespace
from nextscale_ros.other_robots import Look, Present

Parameters = dict[str, str | bool | int | float]

PACKAGE = "nextscale_ros"

_TF = (("/tf", "tf"), ("/tf_static", "tf_static"))
"""Robots in namespaces have trees of their own, as those of Nav2 have."""

_SHOWN = ("robot_description", "motion_markers", "odom")
"""Topics that the RViz file names as if there were no namespace."""


@dataclass(frozen=True)
class Process:
    """One process of the graph.

    Attributes:
        package: Its package.
        executable: Its executable.
        name: Its node's name.
        namespace: Its node's namespace; '' for the root.
        parameters: Of its node; they win over the parameter file.
        remappings: (from, to).
        arguments: What stands before the ROS arguments.
        may_end: Whether the others go on where it ends by itself with status 0.
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
    """What is started.

    Attributes:
        processes: In the order in which they are started.
        notes: What is not started and why; of what is not installed, how to get it.
    """

    processes: tuple[Process, ...]
    notes: tuple[str, ...] = ()


def arrange(options: Options, installed: Callable[[str], bool], look: Look) -> LaunchGraph:
    """The processes that serve a robot, or several.

    Args:
        options: What is asked for.
        installed: Whether a ROS package is installed.
        look: Tells which robots are there already; asked where mock robots may be started.

    Raises:
        ConfigError: a mock robot is asked for where a robot publishes its joint states.
        NextscaleError: a robot that robot_state_publisher needs cannot be loaded.
    """
    robots = robots_by_namespace(options)
    missing: list[str] = []
    present = {} if options.mock == "false" else look(tuple(robots))
    mocked = _mocked(options, robots, present, missing)
    publisher = bool(mocked) and _state_publisher(options, installed, missing)
    rviz = options.rviz and _present("rviz2", "RViz is not started", installed, missing)
    viewer = options.viewer and _viser(missing)
    processes: list[Process] = []
    for namespace, robot in robots.items():
        common = {**_which(robot, options.profile), **_clock(options)}
        remappings = _TF if namespace else ()
        described = present.get(namespace, Present()).described
        if namespace in mocked:
            # Where somebody else describes the robot, the mock robot does not.
            own = {**common, "publish_description": False} if publisher or described else common
            may_end = options.mock == "auto"
            own = {**own, "give_way": True} if may_end else own
            mock = "mock_robot"
            processes.append(
                Process(PACKAGE, mock, mock, namespace, own, remappings, may_end=may_end)
            )
        if publisher and namespace in mocked and not described:
            urdf: Parameters = {"robot_description": _description(robot, options.profile)}
            urdf |= _clock(options)
            name = "robot_state_publisher"
            processes.append(Process(name, name, name, namespace, urdf, remappings))
        if viewer:
            processes.append(
                Process(PACKAGE, "viewer_node", "viewer_node", namespace, common, remappings)
            )
        if rviz:
            processes.append(_rviz(namespace, options))
    model: Parameters = {"model": options.model, "device": options.device, **_clock(options)}
    # What is as by default, the parameter file may say otherwise.
    if not options.autostart:
        model["autostart"] = False
    if options.output != Options.output:
        model["output"] = options.output
    name = "generate_node"
    if options.fleet:
        # As it was given, but for spaces: the node puts each robot into its namespace itself.
        fleet = ",".join(f"{namespace}={robot}" for namespace, robot in robots.items())
        generate = Process(PACKAGE, name, name, "", model, (), ("--fleet", fleet))
    else:
        ((namespace, robot),) = robots.items()
        own = {**_which(robot, options.profile), **model}
        generate = Process(PACKAGE, name, name, namespace, own, _TF if namespace else ())
    return LaunchGraph((*processes, generate), tuple(missing))


def installed_package(name: str) -> bool:
    """Whether a ROS package is installed where this environment looks."""
    return package_prefix(name) is not None


def package_prefix(name: str) -> Path | None:
    """Folder that a ROS package is installed in, such as /opt/ros/jazzy; None where it is not."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    except ImportError:
        return None
    try:
        return Path(get_package_prefix(name))
    except (PackageNotFoundError, LookupError, ValueError, OSError):
        # OSError: the environment names no place to look in.
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
    """Namespaces in which a mock robot is started.

    Raises:
        ConfigError: it is asked for where a robot publishes its joint states.
    """
    if options.mock == "false":
        return set()
    there = {space: one.states for space, one in present.items() if one.states}
    if there and options.mock == "true":
        raise ConfigError(
            f"mock is true, but {', '.join(there.values())}: a mock robot would be a second "
            "source; leave mock away to use what is there, or end it"
        )
    notes += [f"{who}: the mock robot is not started" for who in there.values()]
    return set(robots) - set(there)


def _state_publisher(
    options: Options, installed: Callable[[str], bool], missing: list[str]
) -> bool:
    """Whether to start robot_state_publisher for mock robots; a real robot brings its own."""
    wanted = options.state_publisher
    if wanted == "false" or options.robot == DESCRIPTION:
        return False
    if wanted == "auto" and not options.rviz and not installed("robot_state_publisher"):
        return False
    return _present("robot_state_publisher", "nobody tells where the links are", installed, missing)


def _present(package: str, so: str, installed: Callable[[str], bool], missing: list[str]) -> bool:
    if installed(package):
        return True
    apt = package.replace("_", "-")
    missing.append(f"{package} is not installed: {so} (apt install ros-$ROS_DISTRO-{apt})")
    return False


def _viser(missing: list[str]) -> bool:
    if importlib.util.find_spec("viser") is not None:
        return True
    from nextscale_core.viz.viser_scene import INSTALL

    missing.append(f"viser is not installed: the page is not opened ({INSTALL})")
    return False


def _description(robot: str, profile: str) -> str:
    from nextscale_core.robots import load_robot
    from nextscale_ros.robot_description import description_text

    return description_text(load_robot(robot, Path(profile) if profile else None))


def _rviz(namespace: str, options: Options) -> Process:
    remappings: tuple[tuple[str, str], ...] = ()
    if namespace:
        remappings = (*_TF, *((f"/{topic}", topic) for topic in _SHOWN))
    return Process(
        "rviz2",
        "rviz2",
        "rviz2",
        namespace,
        _clock(options),
        remappings,
        ("-d", str(resource("config/rviz/nextscale.rviz"))),
    )

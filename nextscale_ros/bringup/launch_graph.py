"""The processes of a graph, as generate.launch.py and `nextscale-ros` start them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from nextscale_core.exceptions import ConfigError
from nextscale_core.resources import resource
from nextscale_core.robots import Robot, load_robot
from nextscale_ros.bringup.parameter_file import ChosenParameters, ParameterFile, Value
from nextscale_ros.options import (
    DESCRIPTION,
    DESCRIPTIONS,
    NODE_PARAMETERS,
    Options,
    robots_by_namespace,
)
from nextscale_ros.other_robots import Look, Present
from nextscale_ros.parameters.schema import declarations
from nextscale_ros.robot_description import description_text
from nextscale_ros.simulated_robot.choice import AUTO, Choice, choose

Parameters = dict[str, Value]

PACKAGE = "nextscale_ros"
GENERATE = "generate_node"

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
        of_robots: Further ones for the nodes of a fleet, by namespace.
        remappings: (from, to) pairs.
        arguments: Arguments before the ROS arguments.
        may_end: Whether the other processes continue if this one exits with status 0.
    """

    package: str
    executable: str
    name: str
    namespace: str = ""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    may_end: bool = False
    of_robots: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    @property
    def needed(self) -> bool:
        """Whether all others end with it: with mock:=true no real robot may move."""
        return self.executable in ("mock_robot", "simulated_robot") and not self.may_end


@dataclass(frozen=True)
class LaunchGraph:
    """Processes to start.

    Attributes:
        processes: Processes in starting order.
        notes: What is not started and why, with the command that installs a missing package.
    """

    processes: tuple[Process, ...]
    notes: tuple[str, ...] = ()


def described(name: str) -> str:
    """Help text of an option; of a node parameter with what holds where it is not given."""
    if name not in NODE_PARAMETERS:
        return DESCRIPTIONS[name]
    nodes = ("generate_node", "simulated_robot")
    known = [declarations(node)[name] for node in nodes if name in declarations(node)]
    default = str(known[0].default).lower() if known else "false"
    words = f", else {default}" if default else ""
    return f"{DESCRIPTIONS[name]} (default: as in the parameter file{words})"


def arrange(options: Options, installed: Callable[[str], bool], look: Look) -> LaunchGraph:
    """The processes for one robot or a fleet.

    Args:
        options: Options of the graph.
        installed: Returns whether a ROS package is installed.
        look: Returns the robots that are present; called unless `mock` is 'false'.

    Raises:
        ConfigError: `mock` is 'true' and a robot already publishes its joint states, what the
            simulated robot needs is not installed, or the parameter file cannot be read or gives
            the nodes of one robot different values.
        NextscaleError: a robot for robot_state_publisher cannot be loaded.
    """
    robots = robots_by_namespace(options)
    notes: list[str] = []
    present = {} if options.mock == "false" else look(tuple(robots))
    mocked = _mocked(options, robots, present, notes)
    viewer = options.viewer and _viser(notes)
    chosen = ChosenParameters(ParameterFile(options.params_file), notes)
    stand_in = "simulated_robot" if options.sim else "mock_robot"
    common: dict[str, Parameters] = {}
    for namespace, robot in robots.items():
        nodes = [GENERATE, *([stand_in] if namespace in mocked else [])]
        nodes += ["viewer_node"] if viewer else []
        common[namespace] = _common(chosen, options, nodes, namespace, robot)
    choice = _simulated(chosen, options, common, notes) if options.sim and mocked else None
    publisher = bool(mocked) and _state_publisher(options, common, installed, notes)
    rviz = options.rviz and _present("rviz2", "RViz is not started", installed, notes)
    processes: list[Process] = []
    for namespace, shared in common.items():
        remappings = _TF if namespace else ()
        is_described = present.get(namespace, Present()).described
        clock = {name: value for name, value in shared.items() if name == "use_sim_time"}
        if namespace in mocked:
            own = {**shared}
            if choice is not None:
                own |= {"balancer": choice.balancer, "policy": str(choice.policy or "")}
                if clock.get("use_sim_time"):
                    # It is the source of the time.
                    own |= {"use_sim_time": False, "publish_clock": True}
            if publisher or is_described:
                own["publish_description"] = False
            may_end = options.mock == "auto"
            if may_end:
                own["give_way"] = True
            processes.append(
                Process(PACKAGE, stand_in, stand_in, namespace, own, remappings, may_end=may_end)
            )
        if publisher and namespace in mocked and not is_described:
            urdf = {"robot_description": description_text(_load(shared)), **clock}
            name = "robot_state_publisher"
            processes.append(Process(name, name, name, namespace, urdf, remappings))
        if viewer:
            name = "viewer_node"
            processes.append(Process(PACKAGE, name, name, namespace, shared, remappings))
        if rviz:
            processes.append(_rviz(namespace, clock))
    processes.append(_generate(chosen, options, common, choice, notes))
    return LaunchGraph(tuple(processes), tuple(notes))


def parameter_file(process: Process) -> str:
    """A process's parameters as a file that overrides all files before it; '' for none."""
    own = "/**"
    if process.package == PACKAGE:
        # rcl orders sections by their first appearance in all files, and the last one counts: such
        # a section matches as /**/NAME does, and does not appear before.
        own = f"/**/**/{process.name}"
    sections = {own: process.parameters}
    for namespace, parameters in process.of_robots.items():
        sections[f"/**/**/{namespace}/{process.name}"] = parameters
    content = {key: {"ros__parameters": dict(one)} for key, one in sections.items() if one}
    return yaml.safe_dump(content, sort_keys=False) if content else ""


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


def _common(
    chosen: ChosenParameters, options: Options, nodes: list[str], namespace: str, robot: str | None
) -> Parameters:
    """Parameters that the nodes of one robot share.

    Raises:
        ConfigError: see `ChosenParameters.value`.
    """
    followers = [node for node in nodes if node != "simulated_robot"]
    values = {
        "robot": chosen.value("robot", nodes, namespace, robot),
        "profile": chosen.value("profile", nodes, namespace, options.profile),
        "use_sim_time": chosen.value("use_sim_time", followers, namespace, options.use_sim_time),
    }
    return {name: value for name, value in values.items() if value is not None}


def _generate(
    chosen: ChosenParameters,
    options: Options,
    common: Mapping[str, Parameters],
    choice: Choice | None,
    notes: list[str],
) -> Process:
    """The generate node, for all robots.

    Raises:
        ConfigError: see `ChosenParameters.value`.
    """
    own: Parameters = {}
    for name in ("model", "device", "autostart", "output"):
        asked = getattr(options, name)
        said = [chosen.value(name, [GENERATE], namespace, asked) for namespace in common]
        if asked is not None:
            own[name] = asked
        elif name == "output" and choice is not None and said == [None]:
            own[name] = choice.output
        elif name == "output" and choice is not None and said != [choice.output]:
            notes.append(
                f"output is {said[0]} by {options.params_file}, but the balancer {choice.balancer} "
                f"takes {choice.output}"
            )
    if options.fleet:
        # The node itself puts each robot into its namespace.
        fleet = ",".join(f"{namespace}={shared['robot']}" for namespace, shared in common.items())
        arguments = ("--fleet", fleet)
        of_robots = {
            namespace: {name: value for name, value in shared.items() if name != "robot"}
            for namespace, shared in common.items()
        }
        return Process(PACKAGE, GENERATE, GENERATE, "", own, (), arguments, of_robots=of_robots)
    ((namespace, shared),) = common.items()
    remappings = _TF if namespace else ()
    return Process(PACKAGE, GENERATE, GENERATE, namespace, {**shared, **own}, remappings)


def _load(shared: Parameters) -> Robot:
    """The robot of shared parameters.

    Raises:
        NextscaleError: it cannot be loaded.
    """
    robot = shared.get("robot", declarations(GENERATE)["robot"].default)
    profile = shared.get("profile")
    return load_robot(str(robot), Path(str(profile)) if profile else None)


def _mocked(
    options: Options,
    robots: Iterable[str],
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


def _simulated(
    chosen: ChosenParameters,
    options: Options,
    common: Mapping[str, Parameters],
    notes: list[str],
) -> Choice:
    """The balancing controller of the simulated robot.

    Raises:
        NextscaleError: the robot cannot be loaded, or what it needs is not installed.
    """
    ((namespace, shared),) = common.items()
    if shared.get("robot") == DESCRIPTION:
        raise ConfigError(
            "one robot is simulated, named by its profile or its file: leave out robot "
            f"{DESCRIPTION}"
        )
    asked = {
        name: str(chosen.value(name, ["simulated_robot"], namespace, getattr(options, name)) or "")
        for name in ("balancer", "policy")
    }
    robot = _load(shared)
    choice = choose(robot, asked["balancer"] or AUTO, asked["policy"])
    notes.append(choice.note or f"{robot.name} is simulated, on its feet by {choice.words}")
    return choice


def _state_publisher(
    options: Options,
    common: Mapping[str, Parameters],
    installed: Callable[[str], bool],
    missing: list[str],
) -> bool:
    """Whether to start robot_state_publisher for mock robots; a real robot has its own."""
    wanted = options.state_publisher
    if wanted == "false" or any(shared.get("robot") == DESCRIPTION for shared in common.values()):
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


def _rviz(namespace: str, clock: Parameters) -> Process:
    remappings = (*_TF, *((f"/{topic}", topic) for topic in _SHOWN)) if namespace else ()
    arguments = ("-d", str(resource("config/rviz/nextscale.rviz")))
    return Process("rviz2", "rviz2", "rviz2", namespace, clock, remappings, arguments)

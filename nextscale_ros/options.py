"""What can be asked of a graph: the arguments of generate.launch.py and of `nextscale-ros`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from nextscale_core.exceptions import ConfigError

OUTPUTS = ("topic", "follow_joint_trajectory")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
CHOICES = ("auto", "true", "false")

DESCRIPTION = "robot_description"
"""As the robot: what the topic of that name describes."""


DESCRIPTIONS: dict[str, str] = {
    "robot": "robot profile, path of a URDF or of a profile, or robot_description: the topic's",
    "profile": "YAML profile of the robot; needed with a URDF and with robot_description",
    "model": "name or folder of the motion model",
    "device": "where the model runs: cpu, cuda or cuda:N",
    "mock": (
        "start a mock robot for every robot: auto: where nobody publishes joint states; true, or "
        "false"
    ),
    "rviz": "start RViz for every robot",
    "viewer": "open a page in the browser for every robot, where there is no RViz",
    "state_publisher": (
        "start robot_state_publisher for every mock robot: true, false, or auto: where it is "
        "installed"
    ),
    "namespace": "namespace of the robot and of all nodes",
    "fleet": (
        "several robots, each in a namespace of its own: left=g1,right=talos; one generate node "
        "serves them all"
    ),
    "use_sim_time": "take the time from /clock",
    "autostart": "the generate node configures and activates itself; false: a manager does",
    "output": "where trajectories go: topic or follow_joint_trajectory",
    "params_file": "ROS parameter file for the nodes of this package",
    "log_level": "debug, info, warn, error or fatal",
}
"""Every option, in a sentence."""


@dataclass(frozen=True)
class Options:
    """What is asked for; the arguments of the launch file.

    What each means is said in `DESCRIPTIONS`.

    Raises:
        ConfigError: values that are not allowed, or do not go together.
    """

    robot: str = "g1"
    profile: str = ""
    model: str = "moscale-cmu"
    device: str = "cpu"
    mock: str = "auto"
    rviz: bool = False
    viewer: bool = False
    state_publisher: str = "auto"
    namespace: str = ""
    fleet: str = ""
    use_sim_time: bool = False
    autostart: bool = True
    output: str = "topic"
    params_file: str = ""
    log_level: str = "info"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("output", OUTPUTS),
            ("log_level", LOG_LEVELS),
            ("mock", CHOICES),
            ("state_publisher", CHOICES),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        robots_by_namespace(self)

    def texts(self) -> dict[str, str]:
        """As arguments of `ros2 launch`, all of them text."""
        values = {name: getattr(self, name) for name in DESCRIPTIONS}
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Options:
        """From arguments as `ros2 launch` has them, all of them text.

        Raises:
            ConfigError: an unknown name, or a value that is not allowed.
        """
        kinds = {one.name: one.default for one in fields(cls)}
        values: dict[str, object] = {}
        for name, text in texts.items():
            if name not in kinds:
                raise ConfigError(f"no argument {name!r}; there are: {', '.join(kinds)}")
            values[name] = _flag(name, text) if isinstance(kinds[name], bool) else text
        return cls(**values)  # type: ignore[arg-type]


def robots_by_namespace(options: Options) -> dict[str, str]:
    """Namespace -> robot; '' is the root namespace.

    Raises:
        ConfigError: a fleet that cannot be read, or other arguments that contradict it.
    """
    if not options.fleet:
        return {_namespace(options.namespace): options.robot}
    for name in ("namespace", "profile"):
        if getattr(options, name):
            raise ConfigError(
                f"fleet says of every robot where it is and what it is: leave {name} empty, got "
                f"{getattr(options, name)!r}"
            )
    return parse_fleet(options.fleet)


def parse_fleet(text: str) -> dict[str, str]:
    """Namespace -> robot.

    Args:
        text: Such as 'left=g1,right=talos'.

    Raises:
        ConfigError: not of this form, or a namespace that ROS does not allow or that comes twice.
    """
    robots: dict[str, str] = {}
    for entry in text.split(","):
        namespace, equals, robot = (part.strip() for part in entry.partition("="))
        if not (namespace and equals and robot):
            raise ConfigError(
                f"fleet must be NAMESPACE=ROBOT,NAMESPACE=ROBOT such as left=g1,right=talos, got "
                f"{text!r}"
            )
        if robot == DESCRIPTION:
            raise ConfigError(f"robots of a fleet are profiles or files, not {DESCRIPTION}")
        if _namespace(namespace) in robots:
            raise ConfigError(f"fleet names {namespace!r} twice: {text!r}")
        robots[_namespace(namespace)] = robot
    return robots


def _namespace(text: str) -> str:
    """A namespace without slashes around it.

    Raises:
        ConfigError: ROS allows no such namespace.
    """
    inner = text.strip().strip("/")
    parts = inner.split("/") if inner else []
    for part in parts:
        if not part.isascii() or not part.isidentifier():
            raise ConfigError(
                f"a namespace consists of letters, digits and underscores, got {text!r}"
            )
    return inner


def _flag(name: str, text: str) -> bool:
    if text.strip().lower() not in ("true", "false", "1", "0"):
        raise ConfigError(f"{name} must be true or false, got {text!r}")
    return text.strip().lower() in ("true", "1")

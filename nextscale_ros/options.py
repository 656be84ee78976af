"""Options of a graph: the arguments of generate.launch.py and of `nextscale-ros`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from rclpy.exceptions import InvalidNamespaceException
from rclpy.validate_namespace import validate_namespace

from nextscale_core.exceptions import ConfigError

BALANCING = ("reference", "walking")
"""Values of `output` for robots whose own controller balances."""

OUTPUTS = ("topic", "follow_joint_trajectory", *BALANCING)
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
CHOICES = ("auto", "true", "false")
BALANCERS = ("auto", "tracker", "walking", "pd", "fixed")

DESCRIPTION = "robot_description"
"""Value of `robot` that takes the URDF from the topic of that name."""

NODE_PARAMETERS = (
    "robot",
    "profile",
    "model",
    "device",
    "balancer",
    "policy",
    "use_sim_time",
    "autostart",
    "output",
)
"""Options that are parameters of the nodes: None leaves them to the parameter file."""

_FLAGS = ("sim", "rviz", "viewer", "use_sim_time", "autostart")

DESCRIPTIONS: dict[str, str] = {
    "robot": "robot profile, path of a URDF or of a profile, or robot_description: from the topic",
    "profile": "YAML profile of the robot; needed with a URDF and with robot_description",
    "model": "name or folder of the motion model",
    "device": "where the model runs: cpu, cuda or cuda:N",
    "mock": (
        "start a mock robot for every robot: true, false, or auto: where no joint states are "
        "published"
    ),
    "sim": "start a simulated robot in physics instead of the mock robot",
    "balancer": (
        "what keeps the simulated robot on its feet: tracker, walking, pd, fixed, or auto: by the "
        "policy, else walking where its policy is installed"
    ),
    "policy": (
        "ONNX file of the policy of the simulated robot: TWIST2's tracker or holosoma's walking "
        "policy; empty: the walking policy that is installed"
    ),
    "rviz": "start RViz for every robot",
    "viewer": "open a page in the browser for every robot, as an alternative to RViz",
    "state_publisher": (
        "start robot_state_publisher for every mock robot: true, false, or auto: if it is installed"
    ),
    "namespace": "namespace of the robot and of all nodes",
    "fleet": (
        "several robots, each in its own namespace: left=g1,right=talos; one generate node "
        "serves them all"
    ),
    "use_sim_time": "take the time from /clock",
    "autostart": (
        "the generate node configures and activates itself; false: wait for a lifecycle manager"
    ),
    "output": (
        "where motions go: topic or follow_joint_trajectory, and for robots that balance reference "
        "or walking; with sim by default what commands the balancer"
    ),
    "params_file": "ROS parameter file for the nodes of this package",
    "log_level": "debug, info, warn, error or fatal",
}
"""Help text of every option."""


@dataclass(frozen=True)
class Options:
    """Options of a graph, explained in `DESCRIPTIONS`.

    Raises:
        ConfigError: invalid or contradictory values.
    """

    robot: str | None = None
    profile: str | None = None
    model: str | None = None
    device: str | None = None
    mock: str = "auto"
    sim: bool = False
    balancer: str | None = None
    policy: str | None = None
    rviz: bool = False
    viewer: bool = False
    state_publisher: str = "auto"
    namespace: str = ""
    fleet: str = ""
    use_sim_time: bool | None = None
    autostart: bool | None = None
    output: str | None = None
    params_file: str = ""
    log_level: str = "info"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("output", OUTPUTS),
            ("log_level", LOG_LEVELS),
            ("mock", CHOICES),
            ("balancer", BALANCERS),
            ("state_publisher", CHOICES),
        ):
            if getattr(self, name) not in (*allowed, None):
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        robots_by_namespace(self)
        self._check_simulation()

    def _check_simulation(self) -> None:
        if not self.sim:
            for name in ("balancer", "policy"):
                if getattr(self, name) is not None:
                    raise ConfigError(
                        f"{name} is for the simulated robot: add sim:=true, or leave {name} out"
                    )
        elif self.mock == "false":
            raise ConfigError("sim is true and mock is false: leave mock out")
        elif self.fleet:
            raise ConfigError("one robot is simulated: leave fleet out")

    def texts(self) -> dict[str, str]:
        """All options as text arguments for `ros2 launch`; '' for None."""
        values = {name: getattr(self, name) for name in DESCRIPTIONS}
        return {
            name: str(value).lower() if isinstance(value, bool) else value or ""
            for name, value in values.items()
        }

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Options:
        """Options from the text arguments of `ros2 launch`.

        Raises:
            ConfigError: an unknown name or an invalid value.
        """
        known = [one.name for one in fields(cls)]
        values: dict[str, object] = {}
        for name, text in texts.items():
            if name not in known:
                raise ConfigError(f"unknown argument {name!r}; known are: {', '.join(known)}")
            if text or name not in NODE_PARAMETERS:
                values[name] = _flag(name, text) if name in _FLAGS else text
        return cls(**values)  # type: ignore[arg-type]


def robots_by_namespace(options: Options) -> dict[str, str | None]:
    """Robot by namespace; '' is the root namespace, None a robot that the options do not name.

    Raises:
        ConfigError: a malformed fleet, or options that contradict it.
    """
    if not options.fleet:
        return {_namespace(options.namespace): options.robot}
    for name in ("namespace", "profile"):
        if getattr(options, name):
            raise ConfigError(
                f"fleet defines namespace and profile of every robot: leave {name} empty, got "
                f"{getattr(options, name)!r}"
            )
    return {**parse_fleet(options.fleet)}


def parse_fleet(text: str) -> dict[str, str]:
    """Robot by namespace.

    Args:
        text: A fleet such as 'left=g1,right=talos'.

    Raises:
        ConfigError: another form, or an invalid or repeated namespace.
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
            raise ConfigError(f"robots of a fleet must be profiles or files, not {DESCRIPTION}")
        if _namespace(namespace) in robots:
            raise ConfigError(f"fleet names {namespace!r} twice: {text!r}")
        robots[_namespace(namespace)] = robot
    return robots


def _namespace(text: str) -> str:
    """A namespace without leading and trailing slashes.

    Raises:
        ConfigError: invalid in ROS.
    """
    inner = text.strip().strip("/")
    try:
        validate_namespace(f"/{inner}")
        # Nodes take such a namespace, but no rule of a command line that assigns it does.
        valid = "__" not in inner
    except InvalidNamespaceException:
        valid = False
    if not valid:
        raise ConfigError(
            "a namespace consists of letters, digits and underscores, no digit first, no two "
            f"underscores in a row, at most 245 characters, got {text!r}"
        )
    return inner


def _flag(name: str, text: str) -> bool:
    if text.strip().lower() not in ("true", "false", "1", "0"):
        raise ConfigError(f"{name} must be true or false, got {text!r}")
    return text.strip().lower() in ("true", "1")

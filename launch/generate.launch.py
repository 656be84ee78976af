"""Starts the generate node, and around it what is asked for.

ros2 launch nextscale_ros generate.launch.py robot:=g1 rviz:=true
ros2 launch nextscale_ros generate.launch.py robot:=g1 mock:=false device:=cuda namespace:=lab
ros2 launch nextscale_ros generate.launch.py fleet:=left=g1,right=talos viewer:=true

`ros2 launch nextscale_ros generate.launch.py --show-args` tells what each argument means. What is
wanted and not installed is said, with what would install it, and left out. A mock robot is started
where nobody publishes joint states, or with mock:=true, which ends where somebody does.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from nextscale_ros.bringup.launch_graph import PACKAGE, Process, arrange, installed_package
from nextscale_ros.options import DESCRIPTIONS, Options
from nextscale_ros.other_robots import present_robots

# In the source tree and below share/nextscale_ros alike, config/ stands beside launch/.
DEFAULT_PARAMETERS = Path(__file__).resolve().parent.parent / "config" / "params.yaml"


def generate_launch_description() -> LaunchDescription:
    """The arguments, and what follows from them."""
    defaults = {**Options().texts(), "params_file": str(DEFAULT_PARAMETERS)}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=DESCRIPTIONS[name])
                for name, default in defaults.items()
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[Action]:
    """What the arguments ask for, once their values are known."""
    values = {name: LaunchConfiguration(name).perform(context) for name in DESCRIPTIONS}
    options = Options.from_texts(values)
    found = arrange(options, installed_package, present_robots)
    return [
        *(LogInfo(msg=f"nextscale: {text}") for text in found.notes),
        *(node(process, options) for process in found.processes),
    ]


def node(process: Process, options: Options) -> Node:
    """A process as launch starts it."""
    ours = process.package == PACKAGE
    # Who asks for a mock robot must not move a real one: without it, everything ends.
    needed = process.executable == "mock_robot" and not process.may_end
    return Node(
        package=process.package,
        executable=process.executable,
        name=process.name,
        # An empty namespace would put every node of a fleet's process into the root.
        namespace=process.namespace or None,
        parameters=[
            *([options.params_file] if options.params_file and ours else []),
            # A robot called 1 or a model called on must stay text.
            {
                name: ParameterValue(value, value_type=type(value))
                for name, value in process.parameters.items()
            },
        ],
        remappings=list(process.remappings),
        arguments=[*process.arguments, "--ros-args", "--log-level", options.log_level],
        output="screen",
        emulate_tty=True,
        on_exit=[Shutdown(reason="the mock robot ended")] if needed else None,
    )

"""Starts the generate node and the requested processes around it.

ros2 launch nextscale_ros generate.launch.py robot:=g1 rviz:=true
ros2 launch nextscale_ros generate.launch.py sim:=true policy:=twist2_1017_20k.onnx
ros2 launch nextscale_ros generate.launch.py robot:=g1 mock:=false device:=cuda namespace:=lab
ros2 launch nextscale_ros generate.launch.py fleet:=left=g1,right=talos viewer:=true

`ros2 launch nextscale_ros generate.launch.py --show-args` explains each argument. A requested
process whose package is not installed is left out, with a message that names the package. A mock
robot, with sim:=true a simulated one, is started where no joint states are published; with
mock:=true their presence is an error.
"""

from pathlib import Path
from tempfile import NamedTemporaryFile

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from nextscale_ros.bringup.launch_graph import (
    PACKAGE,
    Process,
    arrange,
    described,
    installed_package,
    parameter_file,
)
from nextscale_ros.options import DESCRIPTIONS, Options
from nextscale_ros.other_robots import present_robots

# config/ stands beside launch/, in the source tree as in share/nextscale_ros.
DEFAULT_PARAMETERS = Path(__file__).resolve().parent.parent / "config" / "params.yaml"


def generate_launch_description() -> LaunchDescription:
    """Launch arguments and the processes that follow from them."""
    defaults = {**Options().texts(), "params_file": str(DEFAULT_PARAMETERS)}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=described(name))
                for name, default in defaults.items()
            ),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[Action]:
    """Launch actions, once the values of the arguments are known."""
    values = {name: LaunchConfiguration(name).perform(context) for name in DESCRIPTIONS}
    options = Options.from_texts(values)
    found = arrange(options, installed_package, present_robots)
    return [
        *(LogInfo(msg=f"nextscale: {text}") for text in found.notes),
        *(node(process, options) for process in found.processes),
    ]


def node(process: Process, options: Options) -> Node:
    """Launch action of a process."""
    ours = process.package == PACKAGE
    files = [options.params_file] if options.params_file and ours else []
    if text := parameter_file(process):
        # It stays, as those of launch_ros do: nothing says when the node has read it.
        with NamedTemporaryFile("w", prefix="nextscale_", suffix=".yaml", delete=False) as own:
            own.write(text)
        files.append(own.name)
    return Node(
        package=process.package,
        executable=process.executable,
        name=process.name,
        # An empty namespace would move every node of a fleet's process to the root.
        namespace=process.namespace or None,
        parameters=files,
        remappings=list(process.remappings),
        arguments=[*process.arguments, "--ros-args", "--log-level", options.log_level],
        output="screen",
        emulate_tty=True,
        on_exit=[Shutdown(reason=f"{process.executable} ended")] if process.needed else None,
    )

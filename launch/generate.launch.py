"""Starts the generate node and, unless `mock:=false`, the mock robot.

ros2 launch nextscale_ros generate.launch.py robot:=g1 mock:=false device:=cuda
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

# In the source tree and below share/nextscale_ros alike, config/ stands beside launch/.
DEFAULT_PARAMETERS = Path(__file__).resolve().parent.parent / "config" / "params.yaml"

ARGUMENTS = {
    "robot": ("g1", "robot profile, or path of a URDF"),
    "model": ("moscale-cmu", "name or folder of the motion model"),
    "device": ("cpu", "where the model runs: cpu, cuda or cuda:N"),
    "mock": ("true", "whether to start the mock robot too"),
    "namespace": ("", "namespace of both nodes; topics are absolute, see the parameter file"),
    "params_file": (str(DEFAULT_PARAMETERS), "parameters of both nodes"),
    "log_level": ("info", "debug, info, warn or error"),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments and the two nodes."""
    # A robot called 1 or a model called on must stay text.
    parameters = [
        LaunchConfiguration("params_file"),
        {"robot": ParameterValue(LaunchConfiguration("robot"), value_type=str)},
    ]
    model = {
        name: ParameterValue(LaunchConfiguration(name), value_type=str)
        for name in ("model", "device")
    }
    common = {
        "package": "nextscale_ros",
        "namespace": LaunchConfiguration("namespace"),
        "output": "screen",
        "emulate_tty": True,
        "arguments": ["--ros-args", "--log-level", LaunchConfiguration("log_level")],
    }
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            Node(
                executable="mock_robot",
                name="mock_robot",
                parameters=parameters,
                condition=IfCondition(LaunchConfiguration("mock")),
                **common,
            ),
            Node(
                executable="generate_node",
                name="generate_node",
                parameters=[*parameters, model],
                **common,
            ),
        ]
    )

"""`nextscale-ros`: the processes of generate.launch.py, on a machine without `ros2 launch`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from nextscale_ros.processes import Child, ChildError, end_on_signals


def bring_up(
    robot: Annotated[str, typer.Option(help="Robot profile or URDF.")] = "g1",
    model: Annotated[str, typer.Option(help="Name or folder of the motion model.")] = "moscale-cmu",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    mock: Annotated[bool, typer.Option(help="Start the mock robot too.")] = True,
    params_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="ROS parameter file.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warn or error.")] = "info",
) -> None:
    """Start the generate node, and the mock robot beside it, until Ctrl-C."""
    end_on_signals()
    arguments = ["--log-level", log_level]
    if params_file is not None:
        arguments += ["--params-file", str(params_file)]
    try:
        with ExitStack() as stack:
            children = []
            if mock:
                child = Child(
                    "nextscale_ros.mock_robot", parameters={"robot": robot}, ros_arguments=arguments
                )
                children.append(stack.enter_context(child))
            child = Child(
                "nextscale_ros.generate_node",
                parameters={"robot": robot, "model": model, "device": device},
                ros_arguments=arguments,
            )
            children.append(stack.enter_context(child))
            while True:
                for child in children:
                    child.check()
                time.sleep(0.2)
    except KeyboardInterrupt:
        return
    except ChildError as error:
        typer.echo(f"nextscale-ros: {error}", err=True)
        raise typer.Exit(1) from None


def main() -> None:
    """Entry point of `nextscale-ros`."""
    typer.run(bring_up)


if __name__ == "__main__":
    main()

"""`nextscale-ros`: starts the processes of generate.launch.py without `ros2 launch`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nextscale_core.exceptions import NextscaleError
from nextscale_ros.bringup.launch_graph import (
    PACKAGE,
    Process,
    arrange,
    described,
    package_prefix,
    parameter_file,
)
from nextscale_ros.bringup.processes import Child, ChildError, end_on_signals
from nextscale_ros.options import Options, robots_by_namespace
from nextscale_ros.other_robots import present_robots


class Program(Child):
    """An executable of another package, ended on leaving the `with` block.

    Args:
        path: The executable.
        arguments: Command line arguments.
    """

    def __init__(self, path: str, arguments: Sequence[str]) -> None:
        self.name = Path(path).name
        self.log = None
        self.process = subprocess.Popen(
            [path, *arguments], stdin=subprocess.DEVNULL, start_new_session=True
        )


def _help(name: str) -> str:
    text = described(name)
    return text[0].upper() + text[1:] + "."


def bring_up(
    robot: Annotated[str | None, typer.Option(help=_help("robot"))] = None,
    profile: Annotated[str | None, typer.Option(help=_help("profile"))] = None,
    model: Annotated[str | None, typer.Option(help=_help("model"))] = None,
    device: Annotated[str | None, typer.Option(help=_help("device"))] = None,
    mock: Annotated[str, typer.Option(help=_help("mock"))] = Options.mock,
    sim: Annotated[bool, typer.Option(help=_help("sim"))] = Options.sim,
    balancer: Annotated[str | None, typer.Option(help=_help("balancer"))] = None,
    policy: Annotated[str | None, typer.Option(help=_help("policy"))] = None,
    rviz: Annotated[bool, typer.Option(help=_help("rviz"))] = Options.rviz,
    viewer: Annotated[bool, typer.Option(help=_help("viewer"))] = Options.viewer,
    state_publisher: Annotated[
        str, typer.Option(help=_help("state_publisher"))
    ] = Options.state_publisher,
    namespace: Annotated[str, typer.Option(help=_help("namespace"))] = Options.namespace,
    fleet: Annotated[str, typer.Option(help=_help("fleet"))] = Options.fleet,
    use_sim_time: Annotated[bool | None, typer.Option(help=_help("use_sim_time"))] = None,
    autostart: Annotated[bool | None, typer.Option(help=_help("autostart"))] = None,
    output: Annotated[str | None, typer.Option(help=_help("output"))] = None,
    params_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help=_help("params_file"))
    ] = None,
    log_level: Annotated[str, typer.Option(help=_help("log_level"))] = Options.log_level,
) -> None:
    """Start the generate node and the requested processes around it, until Ctrl-C."""
    given = dict(locals())
    failed: set[str] = set()
    end_on_signals()
    try:
        options = Options(**{**given, "params_file": str(params_file or "")})
        found = arrange(options, is_installed, present_robots)
        for text in found.notes:
            typer.echo(f"nextscale-ros: {text}", err=True)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextscale-")))
            children = [
                stack.enter_context(started(process, options, folder / f"{number}.yaml"))
                for number, process in enumerate(found.processes)
            ]
            for child in children:
                # All are interrupted before the first is waited for, so they end in parallel.
                stack.callback(child.interrupt)
            running = list(zip(children, found.processes, strict=True))
            _watch(running, set(robots_by_namespace(options)), failed)
    except KeyboardInterrupt:
        raise typer.Exit(1 if failed else 0) from None
    except NextscaleError as error:
        typer.echo(f"nextscale-ros: {error}", err=True)
        raise typer.Exit(1) from None


def _watch(running: list[tuple[Child, Process]], robots: set[str], failed: set[str]) -> NoReturn:
    """Wait for the end of what all robots need, or of a node of each robot.

    Args:
        running: The processes.
        robots: Namespaces of all robots.
        failed: Gets the namespaces of the robots of which a node has ended.

    Raises:
        ChildError: that end.
    """
    while True:
        for one in [*running]:
            child, process = one
            if process.may_end and child.process.poll() == 0:
                running.remove(one)
                continue
            try:
                child.check()
            except ChildError as error:
                place = f"of {process.namespace}: " if process.namespace else ""
                failed.add(process.namespace)
                if not process.namespace or process.needed or failed >= robots:
                    raise ChildError(f"{place}{error}; all others are ended too") from error
                running.remove(one)
                text = f"nextscale-ros: {place}{error}; the other robots go on"
                typer.echo(text, err=True)
        time.sleep(0.2)


def is_installed(package: str) -> bool:
    """Whether an executable with the package's name can be started."""
    return executable(package) is not None


def executable(package: str) -> str | None:
    """Executable with the package's name, from PATH or from the package's lib folder."""
    prefix = package_prefix(package)
    folder = str(prefix / "lib" / package) if prefix is not None else ""
    return shutil.which(package) or (shutil.which(package, path=folder) if folder else None)


def started(process: Process, options: Options, file: Path) -> Child:
    """Start a process.

    Args:
        process: Process to start.
        options: Log level and parameter file.
        file: File to write the process's parameters to.

    Raises:
        ChildError: the package is not installed.
    """
    ours = process.package == PACKAGE
    arguments = ["--log-level", options.log_level]
    if options.params_file and ours:
        arguments += ["--params-file", options.params_file]
    if text := parameter_file(process):
        file.write_text(text, encoding="utf-8")
        arguments += ["--params-file", str(file)]
    if process.namespace:
        arguments += ["-r", f"__ns:=/{process.namespace}"]
    for old, new in process.remappings:
        arguments += ["-r", f"{old}:={new}"]
    if process.arguments:
        arguments += ["--", *process.arguments]
    if ours:
        return Child(process.executable, ros_arguments=arguments)
    path = executable(process.package)
    if path is None:
        raise ChildError(f"{process.package} is not installed")
    return Program(path, ["--ros-args", *arguments])


def main() -> None:
    """Entry point of `nextscale-ros`."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(bring_up)
    app()

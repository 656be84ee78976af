"""`nextscale robots`: list, show, check and draft robots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nextscale_core.cli.outputs import check_files
from nextscale_core.exceptions import MotionFileError, NextscaleError

app = typer.Typer(help="List, show, check and draft robots.", invoke_without_command=True)

_STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}


_WIDTH = 100
"""Width of the list of robots where it is not written to a terminal [characters]."""


def _console(width: int = 400) -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=width)


@app.callback()
def robots(context: typer.Context) -> None:
    """List the robots of the package, show or check one, or draft a profile for another."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_(
    paths: Annotated[bool, typer.Option("--paths", help="Print the URDF of each instead.")] = False,
) -> None:
    """List the robots that have a profile in the package.

    Commands that install missing descriptions are printed behind it.
    """
    from nextscale_core.resources import resource
    from nextscale_core.robots.find_urdf import is_installed
    from nextscale_core.robots.profile import read_profile
    from nextscale_core.robots.robot import list_robots, load_robot

    table = Table("name", "joints", "description", box=SIMPLE)
    missing: dict[str, list[str]] = {}
    for name in list_robots():
        profile = read_profile(resource(f"config/robots/{name}.yaml"))
        if not is_installed(profile.urdf):
            missing.setdefault(profile.urdf.install, []).append(name)
            if not paths:
                table.add_row(name, "-", Text(profile.description))
            continue
        try:
            robot = load_robot(name)
        except NextscaleError as error:
            table.add_row(name, "-", Text(str(error), overflow="fold"))
            continue
        if paths:
            typer.echo(f"{name}: {robot.urdf_path}")
        else:
            table.add_row(name, str(len(robot.joint_names)), Text(profile.description))
    if table.row_count:
        _console(_WIDTH).print(table)
    for command, names in missing.items():
        typer.echo(f"not installed: {', '.join(names)}: {command}")


@app.command()
def show(
    robot: Annotated[str, typer.Argument(help="Name of a robot, or profile that names its URDF.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a robot's profile, its limits and the tuned numbers of every stage.

    nextscale robots show g1
    """
    from nextscale_core.retarget.config import RETARGET
    from nextscale_core.robots.robot import load_robot
    from nextscale_core.safety.config import GATE

    loaded = load_robot(robot)
    limits = {
        "lower [rad]": loaded.position_lower,
        "upper [rad]": loaded.position_upper,
        "velocity [rad/s]": loaded.velocity_limit,
        "acceleration [rad/s^2]": loaded.acceleration_limit,
        "nominal [rad]": loaded.nominal,
    }
    joints = {
        name: {what: round(float(values[j]), 6) for what, values in limits.items()}
        for j, name in enumerate(loaded.joint_names)
    }
    stages = dict([*_stages("", RETARGET), *_stages("gate", GATE)])
    if as_json:
        values = {stage: {name: value for name, value, _ in rows} for stage, rows in stages.items()}
        profile = dataclasses.asdict(loaded.profile)
        tree = {"profile": profile, "joints": joints, "stages": values}
        typer.echo(json.dumps(tree, indent=1))
        return
    _print("profile", ("value",), vars(loaded.profile).items())
    _print("joint", tuple(limits), ((name, *row.values()) for name, row in joints.items()))
    for stage, rows in stages.items():
        _print(stage.replace("_", " "), ("value", "meaning"), rows)


def _print(title: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    table = Table(title, *map(escape, columns))
    for row in rows:
        table.add_row(*(Text(_cell(value), overflow="fold") for value in row))
    _console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, list) and isinstance(value[0], dict):
        return "\n".join(", ".join(f"{k} {v}" for k, v in part.items()) for part in value)
    return str(value)


def _stages(stage: str, config: Any) -> Iterator[tuple[str, list[tuple[str, Any, str]]]]:
    """Name of a configuration and name, value and meaning of its fields; then those inside it."""
    hints = get_type_hints(type(config), include_extras=True)
    rows, inside = [], []
    for name, value in vars(config).items():
        if dataclasses.is_dataclass(value):
            inside.append((name, value))
            continue
        if isinstance(value, tuple):
            value = [vars(one) if dataclasses.is_dataclass(one) else one for one in value]
        rows.append((name, value, hints[name].__metadata__[0]))
    if rows:
        yield stage, rows
    for name, value in inside:
        yield from _stages(name, value)


@app.command()
def check(
    robot: Annotated[
        str, typer.Argument(help="URDF file, name of a robot, or profile that names its URDF.")
    ],
    profile: Annotated[Path | None, typer.Argument(help="YAML profile.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Warnings and errors only.")] = False,
) -> None:
    """Report what is missing or odd in a URDF and its profile.

    The exit code is 1 where there are errors.

    nextscale robots check robot.urdf robot.yaml
    """
    from nextscale_core.robot_setup.check.robot_check import check_robot

    checked = check_robot(robot, profile)
    table = Table("", "about", "found", "what would be right")
    for finding in checked.findings:
        if quiet and finding.severity == "ok":
            continue
        table.add_row(
            Text(finding.severity, style=_STYLES[finding.severity]),
            finding.about,
            Text(finding.message, overflow="fold"),
            Text(finding.remedy, overflow="fold"),
        )
    console = _console()
    if table.row_count:
        console.print(table)
    errors, warnings = len(checked.errors), len(checked.warnings)
    console.print(f"{checked.robot}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    if errors:
        raise typer.Exit(1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@app.command()
def draft(
    urdf: Annotated[Path, typer.Argument(help="URDF of a humanoid.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="YAML file to write; none: print it.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the robot.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a first profile from the geometry and the names of a URDF.

    nextscale robots draft robot.urdf --out robot.yaml
    """
    from nextscale_core.npz import write_text
    from nextscale_core.robot_setup.draft import draft_profile
    from nextscale_core.robot_setup.draft_file import draft_yaml

    check_files([out], [urdf])
    if out is not None and out.exists() and not force:
        raise MotionFileError(f"{out} is there already; --force replaces it")
    drafted = draft_profile(urdf, name, beside=out)
    text = draft_yaml(drafted)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_text(out, text)
    typer.echo(f"wrote {out}: {len(drafted.moving)} joints move")
    for note in drafted.notes:
        typer.echo(f"look at: {note}")
    typer.echo(f"next: nextscale robots check {urdf} {out}")

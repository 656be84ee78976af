"""`nextscale robots`: which robots there are, and how to add one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nextscale_core.exceptions import MotionFileError, NextscaleError

app = typer.Typer(help="List, check and draft robots.", invoke_without_command=True)

_STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=400)


@app.callback()
def robots(context: typer.Context) -> None:
    """List the robots that come with the package, check one, or draft a profile for another."""
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
def list_() -> None:
    """List the robots that come with the package."""
    from nextscale_core.robots.robot import list_robots, load_robot

    table = Table("name", "joints", "description", "where")
    for name in list_robots():
        try:
            robot = load_robot(name)
        # A robot whose files are not installed is still worth a line: it says how to get them.
        except NextscaleError as error:
            table.add_row(name, "-", Text(str(error)), "-")
            continue
        row = (str(len(robot.joint_names)), robot.profile.description, str(robot.urdf_path))
        table.add_row(name, *(Text(cell, overflow="fold") for cell in row))
    _console().print(table)


@app.command()
def check(
    robot: Annotated[
        str, typer.Argument(help="URDF file, name of a robot, or profile that names its URDF.")
    ],
    profile: Annotated[Path | None, typer.Argument(help="YAML profile.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is wrong.")] = False,
) -> None:
    """Say what is missing or odd in a URDF and its profile.

    Ends with exit code 1 where there are errors.

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
    from nextscale_core.robot_setup.draft import draft_profile
    from nextscale_core.robot_setup.draft_file import draft_yaml

    if out is not None and out.exists() and not force:
        raise MotionFileError(f"{out} is there already; --force replaces it")
    drafted = draft_profile(urdf, name, beside=out)
    text = draft_yaml(drafted)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MotionFileError(f"cannot write {out}: {error.strerror}") from error
    typer.echo(f"wrote {out}: {len(drafted.moving)} joints move")
    for note in drafted.notes:
        typer.echo(f"look at: {note}")
    typer.echo(f"next: nextscale robots check {urdf} {out}")

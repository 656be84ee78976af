"""`nextscale robots`: which robots there are."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nextscale_core.exceptions import NextscaleError


def robots() -> None:
    """List the robots that come with the package."""
    from nextscale_core.retarget import list_robots, load_robot

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
    console = Console()
    if not console.is_terminal:
        console = Console(width=250)
    console.print(table)

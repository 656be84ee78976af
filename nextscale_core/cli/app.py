"""The command `nextscale`: its subcommands and error messages.

Exit codes: 0 success; 1 failure; 2 bad input; 3 the safety gate refused the motion.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from nextscale_core.cli.bag import app as bag_app
from nextscale_core.cli.console import BAD_INPUT, FAILED, REFUSED
from nextscale_core.cli.convert import convert, formats
from nextscale_core.cli.editing import complete, edit
from nextscale_core.cli.generate import generate
from nextscale_core.cli.produce import produce
from nextscale_core.cli.retarget import retarget
from nextscale_core.cli.robots import app as robots_app
from nextscale_core.cli.sequence import sequence
from nextscale_core.cli.simulate import simulate
from nextscale_core.cli.view import view
from nextscale_core.exceptions import (
    ConfigError,
    GenerationCancelled,
    NextscaleError,
    RetargetError,
    UnsafeTrajectoryError,
)
from nextscale_core.text.language import TextWarning

COMMANDS = "nextscale.commands"
"""Group of the entry points that add commands, each a function or a `typer.Typer`."""

_LAB = {
    "battery": "Check what a model makes of plain sentences.",
    "evaluate": "Measure models against recorded clips.",
    "experiment": "Train and measure the variants of a study.",
    "train": "Train tokenizers, generators and evaluators.",
}
_ANY = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

# The error for a wrong command line, whether typer vendors click or uses the installed one.
_UsageError: Any = typer.BadParameter.__base__


_HINTS = {
    "unexpected extra argument": "a sentence is one argument: put it in quotation marks",
    "'--seconds'.*less than or equal": "longer motions are made of several sentences: "
    "nextscale sequence",
}
"""What to do about errors of usage, by pattern of the message."""


class _OneLineErrors(TyperGroup):
    """A command group that reports an error as one line on stderr, not as a traceback."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        _escape_help(self)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _plain_warnings():
                return super().invoke(ctx)
        except _UsageError as error:
            command = error.ctx.command_path if error.ctx else "nextscale"
            message = error.format_message() or "Missing command."
            hints = [hint for pattern, hint in _HINTS.items() if re.search(pattern, message)]
            _complain("; ".join([message, *hints]) + f" (see '{command} --help')")
            raise typer.Exit(BAD_INPUT) from error
        except NextscaleError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            _complain(str(error))
            raise typer.Exit(_exit_code(error)) from error
        # The last: whoever read the output has read enough (`nextscale robots list | head`).
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        # Bugs and broken installations: also one line, unless --debug is given.
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            _complain(f"{type(error).__name__}: {error} (--debug shows where)")
            raise typer.Exit(FAILED) from error


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings about sentences as one line on stderr, each once."""
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, TextWarning):
            usual(message, category, *place, **more)
        elif str(message) not in shown:
            shown.add(str(message))
            typer.echo(f"warning: {message}", err=True)

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", TextWarning)
        warnings.showwarning = show
        yield


def _escape_help(command: Any) -> None:
    """Escape units such as [s], which typer would take for markup of rich."""
    if getattr(command, "rich_markup_mode", None) != "rich":
        return
    for item in (command, *command.params):
        if getattr(item, "help", None):
            item.help = escape(item.help)
    for part in getattr(command, "commands", {}).values():
        _escape_help(part)


def _complain(message: str) -> None:
    typer.echo(f"error: {' '.join(message.split())}", err=True)


def _exit_code(error: NextscaleError) -> int:
    if isinstance(error, UnsafeTrajectoryError):
        return REFUSED
    return FAILED if isinstance(error, (RetargetError, GenerationCancelled)) else BAD_INPUT


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        version = importlib.metadata.version("nextscale")
    except importlib.metadata.PackageNotFoundError:
        version = "of a source tree that is not installed"
    typer.echo(f"nextscale {version}")
    raise typer.Exit


def _not_installed(context: typer.Context) -> None:
    raise ConfigError(
        f"'nextscale {context.info_name}' is part of nextscale-lab, which is not installed: "
        "pip install ./nextscale_lab in a checkout of nextscale"
    )


def _nextscale(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """A sentence becomes motion for a humanoid robot or avatar."""


def make_app() -> typer.Typer:
    """The command line, with the commands of installed distributions."""
    made = typer.Typer(
        cls=_OneLineErrors,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_nextscale)
    makers = (generate, complete, edit, sequence, retarget, convert, produce)
    for command in (*makers, formats, simulate, view):
        made.command()(command)
    made.add_typer(robots_app, name="robots")
    made.add_typer(bag_app, name="bag")
    added = {point.name: point for point in importlib.metadata.entry_points(group=COMMANDS)}
    for name, point in sorted(added.items()):
        command = point.load()
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command(name)(command)
    for name in sorted(set(_LAB) - set(added)):
        made.command(name, help=f"{_LAB[name]} Needs nextscale-lab.", context_settings=_ANY)(
            _not_installed
        )
    return made


app = make_app()


def main() -> None:
    """Run the command line; `--debug` may stand anywhere in it."""
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        arguments = ["--debug", *(word for word in arguments if word != "--debug")]
    app(args=arguments, prog_name="nextscale")

"""The commands, and what they have in common."""

from __future__ import annotations

from typing import Annotated

import typer

import courtyard
from courtyard.cli.demo import demo
from courtyard.cli.doctor import doctor
from courtyard.cli.inspect import inspect
from courtyard.cli.ls import ls
from courtyard.cli.ps import ps
from courtyard.cli.rm import rm
from courtyard.cli.watch import watch

app = typer.Typer(
    name="courtyard",
    epilog="Exit status: 0 done, 1 refused or not well, 2 wrong usage, 130 Ctrl-C.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"courtyard {courtyard.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Shared data between Python processes: what is shared here, and who uses it.

    Example: courtyard ls
    """


for command in (demo, ls, inspect, watch, ps, doctor, rm):
    app.command()(command)

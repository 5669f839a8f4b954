"""What the commands have in common: where they look, how they print, how they refuse."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

import courtyard as cy
from courtyard import _report
from courtyard._statistics import Held, Holder, Waiter

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
MaybeSpace = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="URL",
        help="The space: a name, or file:///a/path. If not given, the space default, or else the "
        "only one that has the name.",
        show_default=False,
    ),
]
AnySpace = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="URL",
        help="This space only: a name, or file:///a/path. All of this user's if not given.",
        show_default=False,
    ),
]


def console() -> Console:
    """Return where to print; lines are not broken for what is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn an expected error into its text and exit status 1."""
    try:
        yield
    except (cy.CourtyardError, OSError, ValueError, NotImplementedError) as error:
        # A KeyError shows its text in quotes.
        text = error.args[0] if isinstance(error, KeyError) else error
        refuse(str(text))


def refuse(text: str) -> NoReturn:
    """Say why not, and exit with 1."""
    typer.echo(f"courtyard: {text}", err=True)
    raise typer.Exit(1)


def opened(url: str) -> cy.Space:
    """Open a space that there is, to change it, or refuse."""
    try:
        return cy.Space(url, create=False)
    except cy.NotFound:
        missing(url)


def missing(url: str) -> NoReturn:
    """Refuse what is no space."""
    refuse(f"there is no space {url!r}: `courtyard ls` shows what there is")


def places(url: str | None, private: bool = False) -> list[tuple[_report.SpaceInfo, cy.Space]]:
    """Open one space, or all of this user's, only to look: the dead keep what they hold.

    What cannot be opened is told of and left out.
    """
    if url is not None:
        try:
            return [_report.look_into(url)]
        except cy.NotFound:
            missing(url)
    found = []
    for info in _report.spaces():
        if info.kind in ("draft", "unknown") or (info.kind == "private" and not private):
            continue
        try:
            found.append((info, _report.enter(info)))
        except cy.NotFound:
            continue  # its last process has just left
        except (cy.CourtyardError, OSError) as error:
            typer.echo(f"courtyard: {info.path}: {error}", err=True)
    return found


def homes(glob: str) -> list[tuple[str, cy.Space]]:
    """Return the spaces with a name of their own that have names which match, or this very one."""
    return [
        (title(info), space) for info, space in places(None) if space.names(glob) or glob in space
    ]


def hint(glob: str) -> str:
    """Return what to add where no name matches: a space of that name may have been meant."""
    is_space = any(info.name == glob for info in _report.spaces())
    return f"; {glob!r} is a space: courtyard ls --space {quote(glob)}" if is_space else ""


def title(info: _report.SpaceInfo) -> str:
    """Return how a space is called."""
    if info.name is not None:
        return info.name
    return info.path.as_uri() if info.kind == "durable" else info.path.name


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=False
        )
    return made


def row(made: Table, *cells: object) -> None:
    """Add a row of plain texts: what stands in a name is no markup, and moves no cursor."""
    made.add_row(*(Text(shown(cell)) for cell in cells))


def shown(cell: object) -> str:
    """Return a cell's text; None is a dash."""
    text = "-" if cell is None else str(cell)
    return text if text.isprintable() else repr(text)[1:-1]


def who(found: Held | Waiter | Holder) -> str | None:
    """Return which thread or task it is of: its name if that is known, or its number."""
    if found.name is not None or found.thread is None:
        return found.name
    return f"{'task' if found.is_task else 'thread'} {found.thread}"


def size(nbytes: int) -> str:
    """Return so many bytes as people read them."""
    return decimal(nbytes)


def counted(count: int, what: str) -> str:
    """Return a number and what it counts, its first word in the plural: "2 places in line"."""
    first, *rest = what.split(" ", 1)
    return " ".join([f"{count:,}", first.removesuffix("s") if count == 1 else first, *rest])


def since(seconds: float) -> str:
    """Return a time as people read it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (
        f"{days} d {hours} h"
        if days
        else f"{hours} h {minutes} m"
        if hours
        else f"{minutes} m {rest} s"
    )


def pids(numbers: Iterable[int]) -> str:
    """Return PIDs in a cell."""
    return " ".join(map(str, numbers)) or "-"


def print_json(found: Any) -> None:
    """Print dataclasses, and lists and dicts of them, as JSON."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return str(value) if isinstance(value, Path) else repr(value)

    typer.echo(json.dumps(found, default=plain, indent=2))

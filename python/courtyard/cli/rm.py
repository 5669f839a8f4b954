"""``courtyard rm``: names, spaces, and what killed programs left."""

from __future__ import annotations

import os
from typing import Annotated, NoReturn

import typer

import courtyard as cy
from courtyard import _report
from courtyard.cli.inspect import names
from courtyard.cli.output import (
    AnySpace,
    AsJson,
    hint,
    homes,
    opened,
    pids,
    print_json,
    refusals,
    refuse,
    shown,
    size,
    title,
)


def rm(
    globs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Names, or globs of them.",
            autocompletion=names,
            show_default=False,
        ),
    ] = None,
    space: AnySpace = None,
    whole: Annotated[
        bool, typer.Option("--whole-space", help="The space itself, with all in it.")
    ] = False,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="What killed programs left in this user's folder.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would go; change nothing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", "-f", help="Also what others use: they keep what they have."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove objects by name, a whole space, or what killed programs left.

    If other processes use it, nothing is removed, and the exit status is 1. --force removes it
    anyway; processes that have an object keep it.

    Examples: courtyard rm 'job-*' --space shop, courtyard rm --orphans --dry-run
    """
    if sum((bool(globs), whole, orphans)) != 1:
        raise typer.BadParameter("expected names, or --whole-space, or --orphans: one of them")
    with refusals():
        if orphans:
            gone = [
                f"{info.kind} space {title(info)} ({size(info.nbytes)})"
                for info in _report.remove_orphans(dry_run=dry_run)
            ]
        elif whole:
            gone = _whole(space or "default", dry_run, force)
        else:
            gone = _names(space, globs or [], dry_run, force)
    if as_json:
        print_json({"dry_run": dry_run, "removed": gone})
        return
    for what in gone:
        typer.echo(f"{'would remove' if dry_run else 'removed'} {shown(what)}")
    if not gone:
        typer.echo("nothing to remove")


def _whole(url: str, dry_run: bool, force: bool) -> list[str]:
    if dry_run:
        processes = _report.survey(opened(url)).processes
        used = any(process.alive and not process.is_self for process in processes)
    else:
        used = not _report.remove(url, force=force)
    if used and not force:
        refuse(
            f"the space {url!r} is used by others, see `courtyard ps`: nothing was removed; "
            "--force removes it all the same"
        )
    return [f"space {url}"]


def _missing(url: str | None, glob: str) -> NoReturn:
    """Refuse what is not there, and say where it is: the user removes, and is not guessed at."""
    found = [called for called, _ in homes(glob)]
    where = f"the space {url or 'default'!r}"
    also = f"; it is in {' and '.join(map(repr, found))}: say which, with --space" if found else ""
    refuse(f"no name matches {glob!r} in {where}: nothing was removed{also}{hint(glob)}")


def _names(url: str | None, globs: list[str], dry_run: bool, force: bool) -> list[str]:
    try:
        place = cy.Space("default", create=False) if url is None else opened(url)
    except cy.NotFound:
        _missing(url, globs[0])
    chosen: dict[str, _report.ObjectInfo] = {}
    for glob in globs:
        found = _report.survey(place, glob).objects
        if not found and glob in place:  # what looks like a glob is a name
            found = (_report.survey(place).find(glob),)
        if not found:
            _missing(url, glob)
        chosen |= {obj.label: obj for obj in found}
    for obj in chosen.values():
        others = [pid for pid in obj.participants if pid != os.getpid()]
        if others and not force:
            refuse(
                f"{obj.label!r} is used by {pids(others)}: nothing was removed; "
                "--force removes its name all the same"
            )
    if not dry_run:
        for name in chosen:
            try:
                del place[name]
            except cy.NotFound:
                continue  # another was quicker
    return [f"{obj.type} {name}" for name, obj in chosen.items()]

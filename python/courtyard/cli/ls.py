"""``courtyard ls``: which objects there are."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from courtyard import _report
from courtyard.cli.output import (
    AnySpace,
    AsJson,
    console,
    hint,
    pids,
    places,
    print_json,
    refusals,
    refuse,
    row,
    shown,
    size,
    table,
    title,
)


def ls(
    globs: Annotated[
        list[str] | None,
        typer.Argument(metavar="GLOB", help="Only names that match.", show_default=False),
    ] = None,
    space: AnySpace = None,
    everything: Annotated[
        bool,
        typer.Option("--all", "-a", help="Also objects without a name, and private spaces."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the objects of this user's spaces: name, type, length, bytes, and who uses them.

    Of each space it says how much memory its file takes, how many bytes its objects use, and how
    many are free: taken, used and free of Space.statistics(). It only looks: what killed processes
    hold counts as used until another program uses the space.

    A space in a file is listed only if --space names it.

    Exit status 1 if there is no such space, or no name matches.

    Example: courtyard ls 'job*' --space shop
    """
    with refusals():
        found = []
        for info, place in places(space, private=everything):
            objects = [
                obj
                for obj in _report.survey(place).objects
                if (everything and not globs) or _matches(obj.name, globs)
            ]
            found.append((info, _report.statistics(place), objects))
    if as_json:
        print_json(
            [
                {"space": title(info), "file": info, "memory": memory, "objects": objects}
                for info, memory, objects in found
            ]
        )
    else:
        out = console()
        for info, memory, objects in found:
            if globs and not objects:
                continue
            out.print(f"[bold]{info.kind} space[/]", end=" ")
            out.print(shown(title(info)), markup=False, end=" ")
            out.print(
                f"({size(memory.taken)} taken, {size(memory.used)} used, {size(memory.free)} free, "
                f"{'in use' if info.in_use else 'nobody uses it'})"
            )
            listing = table("NAME", "TYPE", "LENGTH", "BYTES", "USERS", right=("LENGTH", "BYTES"))
            for obj in objects:
                kind = f"{obj.type}({obj.declared})" if obj.declared else obj.type
                count = obj.entries if obj.entries is not None else obj.value
                row(listing, obj.label, kind, count, size(obj.nbytes), pids(obj.participants))
            if objects:
                out.print(listing)
        if not found and not globs:
            out.print(f"There are no spaces in {_report.folder()}.")
    if globs and not any(objects for *_, objects in found):
        refuse(f"no name matches {' or '.join(map(repr, globs))}{''.join(map(hint, globs))}")


def _matches(name: str | None, globs: list[str] | None) -> bool:
    return name is not None and (not globs or any(fnmatchcase(name, glob) for glob in globs))

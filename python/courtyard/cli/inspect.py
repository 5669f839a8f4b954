"""``courtyard inspect``: one object, in detail."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

import courtyard as cy
from courtyard import _report
from courtyard._statistics import Holder, Waiter
from courtyard.cli.output import (
    AsJson,
    MaybeSpace,
    console,
    counted,
    hint,
    homes,
    places,
    print_json,
    refusals,
    refuse,
    row,
    shown,
    since,
    size,
    table,
    title,
    who,
)


def names(incomplete: str) -> list[str]:
    """Return the names of the default space, to complete a word with."""
    try:
        return cy.Space("default", create=False).names(f"{incomplete}*")
    except (cy.CourtyardError, OSError):
        return []


def inspect(
    globs: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="The objects' names, or globs of them.",
            autocompletion=names,
            show_default=False,
        ),
    ],
    space: MaybeSpace = None,
    peek: Annotated[int, typer.Option(min=0, metavar="N", help="Show up to N of its entries.")] = 0,
    unpickle: Annotated[
        bool,
        typer.Option(
            "--unpickle",
            help="Load pickled entries, but no items of queues: this runs what the pickles say.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show objects: the memory, who holds each, who waits for it, and what is in it.

    Entries are decoded without unpickling: a pickle is shown by its size. Without --space it looks
    into the space default first. A name that this does not have is shown from each other space
    with a name that has it. It only looks: what killed processes hold stays theirs.

    Exit status 1 if one of the names matches nothing; the others are shown.

    Example: courtyard inspect sessions --peek 3
    """
    found: list[tuple[str, _report.ObjectInfo, list[Any]]] = []
    absent, seen = [], set()
    look = _report.loaded if unpickle else _report.peek
    with refusals():
        for glob in globs:
            matched = False
            for called, place in _where(glob, space):
                for obj in _matching(_report.survey(place), glob):
                    matched = True
                    if (called, obj.key) not in seen:
                        seen.add((called, obj.key))
                        entries = look(place, obj.label, peek) if peek else []
                        found.append((called, obj, entries))
            if not matched:
                absent.append(glob)
    if as_json and found:
        print_json(
            [
                {"space": called, "object": obj}
                | ({"entries": [repr(entry) for entry in entries]} if peek else {})
                for called, obj, entries in found
            ]
        )
    elif not as_json:
        for number, shown_one in enumerate(found):
            if number:
                typer.echo()
            _print(*shown_one)
    if absent:
        where = "any space" if space is None else f"the space {space!r}"
        hints = "".join(map(hint, absent)) if space is None else ""
        refuse(
            f"no name matches {' or '.join(map(repr, absent))} in {where}: `courtyard ls` shows "
            f"what there is{hints}"
        )


def _where(glob: str, url: str | None) -> list[tuple[str, cy.Space]]:
    """Return the spaces to look into: the default one if it has the name, or else all that do."""
    if url is not None:
        return [(title(info), place) for info, place in places(url)]
    found = homes(glob)
    return [home for home in found if home[0] == "default"] or found


def _matching(survey: _report.Survey, glob: str) -> list[_report.ObjectInfo]:
    named = [(obj.name, obj) for obj in survey.objects if obj.name is not None]
    found = [obj for name, obj in named if fnmatchcase(name, glob)]
    return found or [obj for name, obj in named if name == glob]  # what looks like a glob is a name


def _print(called: str, obj: _report.ObjectInfo, entries: list[Any]) -> None:
    lines = table("", "")
    lines.show_header = False
    row(lines, "name", obj.label)
    row(lines, "space", called)
    row(lines, "type", f"{obj.type}({obj.declared})" if obj.declared else obj.type)
    if obj.entries is not None:
        row(lines, "length", f"{obj.entries:,}")
    if obj.queued_bytes is not None and obj.maxbytes is not None:
        row(lines, "bytes", f"{obj.queued_bytes:,} of at most {obj.maxbytes:,}")
    if obj.value is not None:
        row(lines, "value", obj.value)
    row(lines, "memory", f"{size(obj.nbytes)} in {counted(obj.blocks, 'blocks')}")
    row(lines, "references", obj.references)
    row(lines, "users", ", ".join(f"pid {pid}" for pid in obj.participants) or "nobody")
    row(lines, "holder", _holder(obj.holder))
    for held in obj.holdings:
        row(lines, "", f"pid {held.pid}: {counted(held.amount, held.what)}")
    if obj.contention:
        row(lines, "contention", f"{counted(obj.contention, 'waits')} so far")
    for waiter in obj.waiters:
        row(lines, "waiter", f"{_party(waiter)}, for {since(waiter.seconds)}")
    out = console()
    out.print(lines)
    for entry in entries:
        out.print(f"  {shown(_pair(entry, obj.type))}", markup=False)


def _pair(entry: Any, kind: str) -> str:
    if kind in ("Dict", "NestedDict", "Counter", "Namespace") and isinstance(entry, tuple):
        return f"{entry[0]!r}: {entry[1]!r}"
    return repr(entry)


def _party(found: Holder | Waiter) -> str:
    named = who(found)
    return f"pid {found.pid}, {named}" if named else f"pid {found.pid}"


def _holder(holder: Holder | None) -> str:
    if holder is None:
        return "nobody"
    text = _party(holder)
    if holder.seconds is not None:
        text += f", for {since(holder.seconds)} at least"
    return text if holder.alive else f"{text}: it died; the next one to come gets the lock"

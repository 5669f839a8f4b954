"""``courtyard inspect``: one object, in detail."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

import courtyard as cy
from courtyard import _report
from courtyard._statistics import Holder
from courtyard.cli.output import (
    AsJson,
    MaybeSpace,
    console,
    counted,
    hint,
    homes,
    info_of,
    opened,
    print_json,
    refusals,
    refuse,
    row,
    shown,
    since,
    size,
    table,
    title,
)


def names(incomplete: str) -> list[str]:
    """Return the names of the default space, to complete a word with."""
    try:
        return cy.Space("default", create=False).names(f"{incomplete}*")
    except (cy.CourtyardError, OSError):
        return []


def inspect(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The object's name, or a glob.", autocompletion=names),
    ],
    space: MaybeSpace = None,
    peek: Annotated[int, typer.Option(min=0, metavar="N", help="Show up to N of its entries.")] = 0,
    unpickle: Annotated[
        bool,
        typer.Option("--unpickle", help="Load pickled entries: this runs what their pickles say."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show an object: its memory, who holds it, who waits for it, and what is in it.

    Entries are decoded without unpickling: a pickle is shown by its size. Without --space it looks
    into the space default first, then into all with a name. A name that several of these have is
    refused, with their names.

    Example: courtyard inspect sessions --peek 3
    """
    with refusals():
        place = opened(space) if space is not None else _home(name)
        objects = list(_report.survey(place, name).objects)
        if not objects and name in place:  # what looks like a glob is a name
            objects = [_report.survey(place).find(name)]
        if not objects:
            refuse(f"no name matches {name!r} in {place!r}: `courtyard ls` shows what there is")
        contents = [_entries(place, obj, peek, unpickle) if peek else [] for obj in objects]
    if as_json:
        print_json(
            [
                {"space": title(info_of(place)), "object": obj}
                | ({"entries": [repr(entry) for entry in entries]} if peek else {})
                for obj, entries in zip(objects, contents, strict=True)
            ]
        )
        return
    for obj, entries in zip(objects, contents, strict=True):
        _print(place, obj, entries)


def _home(name: str) -> cy.Space:
    """Return the space that a name is in: the default one if it has it, or else the only one."""
    found = homes(name)
    for called, place in found:
        if called == "default" or len(found) == 1:
            return place
    if not found:
        refuse(
            f"no name matches {name!r} in any space: `courtyard ls` shows what there is{hint(name)}"
        )
    called = " and ".join(called for called, _ in found)
    refuse(f"{name!r} is in the spaces {called}: say which, with --space")


def _entries(place: cy.Space, obj: _report.ObjectInfo, count: int, unpickle: bool) -> list[Any]:
    if not unpickle:
        return _report.peek(place, obj.label, count)
    found = place[obj.label]
    if isinstance(found, cy.Dict):
        return list(islice(found.items(), count))
    if hasattr(found, "__iter__"):
        return list(islice(found, count))
    return [found.value] if hasattr(found, "value") else []


def _print(place: cy.Space, obj: _report.ObjectInfo, entries: list[Any]) -> None:
    lines = table("", "")
    lines.show_header = False
    row(lines, "name", obj.label)
    row(lines, "space", title(info_of(place)))
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
        row(lines, "waiter", f"pid {waiter.pid}, for {since(waiter.seconds)}")
    out = console()
    out.print(lines)
    for entry in entries:
        out.print(f"  {shown(_pair(entry, obj.type))}", markup=False)


def _pair(entry: Any, kind: str) -> str:
    if kind in ("Dict", "NestedDict", "Counter", "Namespace") and isinstance(entry, tuple):
        return f"{entry[0]!r}: {entry[1]!r}"
    return repr(entry)


def _holder(holder: Holder | None) -> str:
    if holder is None:
        return "nobody"
    text = f"pid {holder.pid}"
    if holder.thread is not None:
        text += f", thread {holder.thread}"
    if holder.seconds is not None:
        text += f", for {since(holder.seconds)} at least"
    return text if holder.alive else f"{text}: it died; the next one to come gets the lock"

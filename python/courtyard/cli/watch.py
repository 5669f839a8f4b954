"""``courtyard watch``: the changes of an object, as they come."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
from typing import Annotated, Any

import typer

import courtyard as cy
from courtyard import _native, _report
from courtyard._codec.loading import Unloadable
from courtyard.cli.inspect import names
from courtyard.cli.output import (
    AsJson,
    MaybeSpace,
    counted,
    hint,
    homes,
    places,
    refusals,
    refuse,
    shown,
)


def watch(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The object's name.", autocompletion=names),
    ],
    space: MaybeSpace = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            "-k",
            metavar="KEY",
            help="Only this key: a text, or a number or a tuple as Python writes it. Repeatable.",
            show_default=False,
        ),
    ] = None,
    unpickle: Annotated[
        bool,
        typer.Option("--unpickle", help="Load pickled values: this runs what the pickles say."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the changes of an object as they come, until Ctrl-C: a line for each.

    Of a dict, a counter or a namespace each key with its new value, of a set what was added or
    removed, of a value or a list the new content. With --json each line is an object: time (seconds
    since 1970), key, and value, or deleted. What JSON has no form for comes as Python writes it.

    Where changes come faster than they can be printed, values in between are left out, but never
    the last one. Values are decoded without unpickling: a pickle is shown by its size. It uses no
    CPU while it waits. Without --space it looks into the space default first, and then into the
    only one that has the name.

    Exit status 1 if there is no such object, or none that can be watched.

    Example: courtyard watch sessions --key alice
    """
    reading = _native.showing if unpickle else _native.peek
    with refusals():
        place = _home(name, space)
        try:
            found = reading(lambda: _report.watch(place, name, _keys(key)))
        except TypeError as error:
            refuse(str(error))
        many = "" if key is None else f", {counted(len(key), 'keys')}"
        typer.echo(f"watching {shown(name)!r}{many}: Ctrl-C ends it", err=True)
        while True:
            try:
                change = reading(found.get)
            except cy.LoadError as error:
                change = Unloadable(error.class_name)
            except cy.Closed:
                return
            try:
                print(_json(change) if as_json else _line(change), flush=True)
            except BrokenPipeError:  # as `| head` leaves it
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return


def _home(name: str, url: str | None) -> cy.Space:
    if url is not None:
        [(_, place)] = places(url)
        return place
    found = homes(name)
    chosen = [home for home in found if home[0] == "default"] or found
    if not chosen:
        refuse(f"there is no {name!r} in any space: `courtyard ls` shows what there is{hint(name)}")
    if len(chosen) > 1:
        titles = ", ".join(title for title, _ in chosen)
        refuse(f"several spaces have {name!r}: {titles}; say which one with --space")
    return chosen[0][1]


def _keys(given: list[str] | None) -> list[Any] | None:
    """Return the keys that are meant: of a text that is also a number or the like, both."""
    if given is None:
        return None
    keys: list[Any] = []
    for text in given:
        keys.append(text)
        try:
            meant = ast.literal_eval(text)
            hash(meant)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        keys.append(meant)
    return keys


def _line(change: Any) -> str:
    now = time.time()
    clock = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03}"
    if not isinstance(change, cy.Change):
        return f"{clock}  {shown(repr(change))}"
    if change.value is cy.DELETED:
        return f"{clock}  {shown(repr(change.key))} deleted"
    return f"{clock}  {shown(repr(change.key))}: {shown(repr(change.value))}"


def _json(change: Any) -> str:
    line: dict[str, Any] = {"time": time.time()}
    if not isinstance(change, cy.Change):
        line["value"] = change
    elif change.value is cy.DELETED:
        line |= {"key": change.key, "deleted": True}
    else:
        line |= {"key": change.key, "value": change.value}
    try:
        return json.dumps(line, default=repr, allow_nan=False)
    except (TypeError, ValueError):  # keys or numbers that JSON has not, or it contains itself
        texts = {name: repr(line[name]) for name in ("key", "value") if name in line}
        return json.dumps(line | texts)

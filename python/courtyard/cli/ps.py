"""``courtyard ps``: which processes there are, and what they hold and await."""

from __future__ import annotations

import time
from pathlib import Path

from courtyard import _report
from courtyard._statistics import Held, Waiter
from courtyard.cli.output import (
    AnySpace,
    AsJson,
    console,
    counted,
    places,
    print_json,
    refusals,
    row,
    since,
    table,
    title,
    who,
)


def ps(space: AnySpace = None, as_json: AsJson = False) -> None:
    """List the processes that share something: what each holds, and what it waits for.

    Names in parentheses are those of the threads and tasks that do.

    PIDs are those of the process's own PID namespace. Private spaces are looked at too; a space in
    a file only if --space names it. A process that waits for a name to be given is shown as
    waiting for space.wait_for().

    Example: courtyard ps --space shop
    """
    with refusals():
        found = [
            (info, [process for process in _report.survey(place).processes if _is_shown(process)])
            for info, place in places(space, private=True)
        ]
    if as_json:
        print_json([{"space": title(info), "processes": seen} for info, seen in found])
        return
    out = console()
    listing = table(
        "PID", "SPACE", "SINCE", "HANDLES", "HOLDS", "AWAITS", "COMMAND", right=("PID",)
    )
    for info, processes in found:
        for process in processes:
            row(
                listing,
                process.pid,
                title(info),
                _state(process),
                process.handles,
                ", ".join(_held(held) for held in process.holds) or None,
                ", ".join(_awaited(waiter) for waiter in process.awaits) or None,
                _command(process.pid) if process.alive else None,
            )
    if listing.row_count:
        out.print(listing)
    else:
        out.print("No process shares anything.")


def _is_shown(process: _report.ProcessInfo) -> bool:
    """Whether it is another one, and did not end normally with nothing in its name."""
    return not process.is_self and (not process.ended or bool(process.holds))


def _state(process: _report.ProcessInfo) -> str:
    if process.alive:
        return since(time.time() - process.started)
    return "ended" if process.ended else "dead"


def _held(held: Held) -> str:
    what = who(held) if held.what == "lock" else counted(held.amount, held.what)
    return held.object if what is None else f"{held.object} ({what})"


def _awaited(waiter: Waiter) -> str:
    named = who(waiter)
    return f"{waiter.object} ({f'{named}, ' if named else ''}{since(waiter.seconds)})"


def _command(pid: int) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None  # in another PID namespace, or gone
    return " ".join(word.decode(errors="replace") for word in words if word)[:120]

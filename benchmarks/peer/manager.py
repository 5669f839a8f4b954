"""The standard library's Manager: a server process, and proxies that ask it for everything.

Its server runs where it likes, also where the processes that are measured are pinned.
"""

from __future__ import annotations

from multiprocessing.managers import SyncManager
from typing import Any

from benchmarks import item
from benchmarks.offer import FORK, Critical, Offers, Parcel, Script, Signal, Statement, Table

TITLE = "Manager"

_manager: SyncManager | None = None


def manager() -> SyncManager:
    """Return the one server of this cell."""
    global _manager
    if _manager is None:
        _manager = FORK.Manager()
    return _manager


def value(code: str) -> Statement:
    """Return a statement on a value ``v`` and a lock beside it."""
    v: Any = manager().Value("q", 0)
    return Statement(code, {"v": v, "lock": manager().Lock()}, lambda: int(v.value))


def counts() -> Statement:
    """Return a statement on a dict of numbers and a lock beside it."""
    d: Any = manager().dict(key=0, other=0)
    names = {"d": d, "lock": manager().Lock()}
    return Statement("with lock: d['key'] += 1", names, lambda: int(d["key"]))


def event() -> Signal:
    """Return an Event, cleared by the waiter."""
    event = manager().Event()
    return Signal(
        "Event.wait(); .set()", lambda _: event.wait(), lambda _: event.set(), event.clear
    )


def parcel() -> Parcel:
    """Return a value to send."""
    return Parcel("Value('q')", manager().Value("q", 42), read)


def table(_: str) -> Table:
    """Return a dict that the server keeps."""
    d = manager().dict()
    return Table("value = d[key]", "d[key] = value", lambda: {"d": d}, item.fill)


def read(v: Any) -> int:
    """Read a value in the process it was sent to."""
    return int(v.value)


def first() -> Script:
    """Return what starts a server and makes a value there."""
    return Script("import multiprocessing; v = multiprocessing.Manager().Value('q', 0)")


OFFERS: Offers = {
    **item.tables(table, (*item.KINDS, "shared")),
    **item.lists(lambda: manager().list),
    "dict-increment": counts,
    "read-raw": lambda: value("v.value"),
    "write-raw": lambda: value("v.value = 7"),
    "increment-raw": lambda: value("v.value += 1"),
    "create-raw": lambda: Statement("m.Value('q', 0)", {"m": manager()}),
    "increment": lambda: value("with lock: v.value += 1"),
    "lock": lambda: Critical("lock.acquire()", "lock.release()", {"lock": manager().Lock()}),
    "with": lambda: Statement("with lock: pass", {"lock": manager().Lock()}),
    "signal": event,
    "first": first,
    "send": parcel,
}

"""subetha-ipc: atomics, locks and condition variables in mapped files."""

from __future__ import annotations

import os
from typing import Any

import subetha

from benchmarks.offer import Critical, Offers, Parcel, Script, Signal, Statement, path

TITLE = "subetha-ipc"
DISTRIBUTION = "subetha-ipc"


def atomic(code: str) -> Statement:
    """Return a statement on an Atomic ``v``."""
    v: Any = subetha.Atomic(path(), 0)
    return Statement(code, {"v": v}, v.load)


def create() -> Statement:
    """Return what makes an Atomic; each is a file, which its user removes."""
    names = {"Atomic": subetha.Atomic, "path": path(), "unlink": os.unlink}
    return Statement("Atomic(path, 0); unlink(path)", names)


def lock() -> Any:
    """Return a lock for one writer."""
    return subetha.RWLock(path())


def condition() -> Signal:
    """Return a condition variable beside a number."""
    condition, reached = subetha.Condvar(path()), subetha.Atomic(path(), 0)

    def wait(number: int) -> None:
        condition.wait_for(lambda: reached.load() >= number)

    def wake(number: int) -> None:
        reached.store(number)
        condition.notify_all()

    return Signal("Condvar.wait_for(); .notify_all()", wait, wake)


def read(place: str) -> int:
    """Read an Atomic in the process that was sent its path."""
    return int(subetha.Atomic.open(place).load())


def parcel() -> Parcel:
    """Return the path of an Atomic, since what can be sent is its path."""
    place = path()
    subetha.Atomic(place, 42)
    return Parcel("the path of an Atomic", place, read)


OFFERS: Offers = {
    "read-raw": lambda: atomic("v.load()"),
    "write-raw": lambda: atomic("v.store(7)"),
    "increment-raw": lambda: atomic("v.fetch_add(1)"),
    "create-raw": create,
    "lock": lambda: Critical("hold = lock.write()", "del hold", {"lock": lock()}),
    "with": lambda: Statement("with lock.write(): pass", {"lock": lock()}),
    "signal": condition,
    "import": lambda: Script("import subetha"),
    "send": parcel,
}

"""subetha-ipc: atomics, locks, condition variables and rings in mapped files."""

from __future__ import annotations

import os
from typing import Any

import subetha

from benchmarks import item
from benchmarks.offer import (
    FORK,
    Critical,
    Line,
    Offers,
    Parcel,
    Script,
    Signal,
    Statement,
    Table,
    path,
    relax,
)

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


ROOM = 1 << 16  # slots of a ring, 64 bytes each


def ring(kind: str = "int") -> Line:
    """Return a ring for items of a few kilobytes; both sides poll."""
    place = path()
    made: Any = subetha.Ring(place, ROOM)

    def open_end() -> Any:
        return subetha.Ring.open(place, ROOM)

    call = "" if kind == "int" else "_frame"
    return Line(
        f"{item.ENCODE[kind]}\nwhile not s.send{call}(p, data): relax()",
        f"while (data := r.recv{call}(c)) is None: relax()\n{item.DECODE[kind]}".replace(
            "from_bytes(data", "from_bytes(data[:8]"
        ),
        item.names(kind) | {"first": made, "relax": relax},
        lambda: {"s": (ring := open_end()), "p": ring.register_producer()},
        lambda: {"r": (ring := open_end()), "c": ring.register_consumer()},
    )


def spsc() -> Line:
    """Return a ring for one producer and one consumer; both sides poll."""
    return Line(
        "data = item.to_bytes(8, 'little')\nwhile not ring.push(data): relax()",
        "while (data := ring.pop()) is None: relax()\nitem = int.from_bytes(data[:8], 'little')",
        {"ring": subetha.SpscRing(path(), ROOM), "relax": relax},
    )


def grid() -> Line:
    """Return rings from each of two producers to each of two consumers; both sides poll."""
    producers, consumers = subetha.mpmc_grid(path(), 2, 2, ROOM)
    given = {"ring": FORK.Value("i"), "c": FORK.Value("i")}

    def end(name: str, ends: list[Any]) -> dict[str, Any]:
        with given[name].get_lock():
            given[name].value += 1
            return {name: ends[given[name].value - 1]}

    return Line(
        "data = item.to_bytes(8, 'little')\nwhile not ring.push(data): relax()",
        "while (data := c.pop()) is None: relax()\nitem = int.from_bytes(data[:8], 'little')",
        {"relax": relax},
        lambda: end("ring", producers),
        lambda: end("c", consumers),
    )


def batch() -> Line:
    """Return a ring with many items a call."""
    return Line(
        "data = [number.to_bytes(8, 'little') for number in item]\n"
        "while data: data = data[ring.push_many(data):]",
        "while not (data := ring.pop_many(64)): relax()\n"
        "item = [int.from_bytes(piece[:8], 'little') for piece in data]",
        {"ring": subetha.SpscRing(path(), ROOM), "relax": relax},
    )


def table(kind: str) -> Table:
    """Return a HashMap, with keys and values of one size each; larger values are refused."""
    slots = {"large": 1 << 18, "huge": 1 << 21}.get(kind, 1 << 12)
    d: Any = subetha.HashMap(path(), slots, 12, 8)

    def fill(_: dict[str, Any], keys: list[str], value: int) -> None:
        for key in keys:
            d.insert(key.encode(), value.to_bytes(8, "little"))

    return Table(
        "value = int.from_bytes(d.get(key.encode()), 'little')",
        "d.insert(key.encode(), value.to_bytes(8, 'little'))",
        lambda: {"d": d},
        fill,
    )


OFFERS: Offers = (
    item.tables(table, ("int", "large", "huge", "shared"))
    | item.offers(ring, ("int", "bytes", "nested"))
    | {
        "queue-int:SpscRing": spsc,
        "queue-alone:SpscRing": spsc,
        "queue-shared": grid,
        "queue-batch": batch,
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
)

"""Ourselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import courtyard
from benchmarks import item
from benchmarks.offer import (
    Critical,
    Line,
    Offers,
    Parcel,
    Script,
    Signal,
    Statement,
    Table,
    Task,
    Unsupported,
)

TITLE = "courtyard"
DISTRIBUTION = "courtyard"

Value: Any = courtyard.Value


def value(code: str, lock: bool) -> Statement:
    """Return a statement on a value ``v``."""
    v = Value("q", lock=lock)
    return Statement(code, {"v": v}, v.get)


def waiting() -> Signal:
    """Return a value that is waited for until it is the number sought."""
    v = Value("q")
    return Signal("v.wait_for(n); v.value = n", v.wait_for, v.set)


def predicate() -> Signal:
    """Return a value that is waited for until a function of it is true."""
    v = Value("q")
    return Signal(
        "v.wait_for(lambda x: x >= n); v.value = n",
        lambda number: v.wait_for(lambda x: x >= number),
        v.set,
    )


def array(code: str, lock: bool) -> Statement:
    """Return a statement on an array ``a``."""
    return Statement(code, {"a": courtyard.Array("q", 1000, lock=lock)})


def bulk(code: str) -> Statement:
    """Return a statement on an array ``a`` of 1 MiB and a NumPy array ``x`` of its size."""
    import numpy

    a: Any = courtyard.Array("B", item.SIZE)
    return Statement(code, {"a": a, "x": item.array(), "asarray": numpy.asarray})


def counts() -> Statement:
    """Return a statement on a Dict of numbers."""
    d: Any = courtyard.Dict.fromkeys(["key", "other"], 0)
    return Statement("d.increment('key')", {"d": d}, lambda: int(d["key"]))


def line(kind: str = "int") -> Line:
    """Return a queue."""
    q: Any = courtyard.Queue(16 if kind == "array" else 0)
    return Line("q.put(item)", "item = q.get()", {"q": q})


def task() -> Task:
    """Return a queue as tasks use it."""
    q: Any = courtyard.Queue()
    return Task("await q.aio.get(); q.put(n)", lambda: q.aio.get(), q.put)


def shown() -> Line:
    """Return a queue whose arrays are read where they lie."""
    return replace(line("array"), get="item = q.get(copy=False)")


def full() -> Line:
    """Return a queue that is full most of the time."""
    q: Any = courtyard.Queue(1000)
    return Line("q.put(item)", "item = q.get()", {"q": q})


def table(_: str) -> Table:
    """Return a Dict."""
    make: Any = getattr(courtyard, "Dict", None)
    if make is None:
        raise Unsupported("courtyard has no Dict yet")
    d = make()

    def used(_: dict[str, Any]) -> int:
        return int(d.statistics().space.used)

    return Table("value = d[key]", "d[key] = value", lambda: {"d": d}, item.fill, used)


def views(kind: str) -> Table:
    """Return a Dict whose arrays are read where they lie."""
    return replace(table(kind), get="value = d.get(key, copy=False)")


def read(v: Any) -> int:
    """Read a value in the process it was sent to."""
    return int(v.value)


MAKE = {"Value": Value}
OFFERS: Offers = {
    **item.offers(line),
    **item.tables(table),
    **item.lists(lambda: courtyard.List, lambda: courtyard.Deque),
    "dict-increment": counts,
    "queue-int:maxsize=1000": full,
    "queue-array:copy=False": shown,
    "dict-array:copy=False": lambda: views("array"),
    "queue-shared": line,
    "task": task,
    "task-alone": task,
    "queue-batch": lambda: Line(
        "q.put_many(item)", "item = q.get_many(64)", {"q": courtyard.Queue()}
    ),
    "array-get": lambda: array("a[5]", lock=True),
    "array-set": lambda: array("a[5] = 7", lock=True),
    "array-get-raw": lambda: array("a[5]", lock=False),
    "array-set-raw": lambda: array("a[5] = 7", lock=False),
    "array-in": lambda: bulk("v = asarray(a); v[:] = x"),
    "array-in:slice": lambda: bulk("a[:] = x"),
    "array-out": lambda: bulk("v = asarray(a); x[:] = v"),
    "array-out:tobytes": lambda: bulk("a.tobytes()"),
    "read-raw": lambda: value("v.value", lock=False),
    "write-raw": lambda: value("v.value = 7", lock=False),
    "increment-raw": lambda: value("v.increment()", lock=False),
    "create-raw": lambda: Statement("Value('q', lock=False)", MAKE),
    "read": lambda: value("v.value", lock=True),
    "write": lambda: value("v.value = 7", lock=True),
    "increment": lambda: value("v.increment()", lock=True),
    "increment:guarded": lambda: value("with v.get_lock(): v.value += 1", lock=True),
    "create": lambda: Statement("Value('q')", MAKE),
    "lock": lambda: Critical("lock.acquire()", "lock.release()", {"lock": courtyard.Lock()}),
    "with": lambda: Statement("with lock: pass", {"lock": courtyard.Lock()}),
    "signal": waiting,
    "signal:predicate": predicate,
    "import": lambda: Script("import courtyard"),
    "first": lambda: Script("import courtyard; v = courtyard.Value('q')"),
    "send": lambda: Parcel("Value('q')", Value("q", 42), read),
}

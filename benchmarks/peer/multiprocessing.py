"""The standard library's values, locks and events."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks import item
from benchmarks.offer import (
    FORK,
    SPAWN,
    Critical,
    Line,
    Offers,
    Parcel,
    Script,
    Signal,
    Statement,
    Task,
)

TITLE = "multiprocessing"


def value(code: str, lock: bool) -> Statement:
    """Return a statement on a value ``v``."""
    v: Any = FORK.Value("q", lock=lock)
    return Statement(code, {"v": v}, lambda: int(v.value))


def event() -> Signal:
    """Return an Event, cleared by the waiter."""
    event = FORK.Event()
    return Signal(
        "Event.wait(); .set()", lambda _: event.wait(), lambda _: event.set(), event.clear
    )


def condition() -> Signal:
    """Return a Condition beside a number that it guards."""
    condition, reached = FORK.Condition(), FORK.RawValue("q")

    def wait(number: int) -> None:
        with condition:
            condition.wait_for(lambda: reached.value >= number)

    def wake(number: int) -> None:
        with condition:
            reached.value = number
            condition.notify()

    return Signal("Condition.wait_for(); .notify()", wait, wake)


def task() -> Task:
    """Return a queue that a thread of the executor gets from."""
    q: Any = FORK.SimpleQueue()
    return Task(
        "await loop.run_in_executor(None, q.get); q.put(n)",
        lambda: asyncio.get_running_loop().run_in_executor(None, q.get),
        q.put,
    )


def array(code: str, lock: bool) -> Statement:
    """Return a statement on an array ``a``."""
    a: Any = FORK.Array("q", 1000, lock=lock)
    return Statement(code, {"a": a})


def bulk(code: str) -> Statement:
    """Return a statement on an array ``a`` of 1 MiB and a NumPy array ``x`` of its size."""
    import numpy

    a: Any = FORK.Array("B", item.SIZE)
    return Statement(code, {"a": a, "x": item.array(), "frombuffer": numpy.frombuffer})


def line(kind: str = "int") -> Line:
    """Return a queue."""
    q: Any = FORK.Queue(16 if kind == "array" else 0)
    return Line("q.put(item)", "item = q.get()", {"q": q})


def simple(_: str = "") -> Line:
    """Return a queue without a thread behind it."""
    q: Any = FORK.SimpleQueue()
    return Line("q.put(item)", "item = q.get()", {"q": q})


def pipe(_: str = "") -> Line:
    """Return a pipe."""
    r, w = FORK.Pipe(duplex=False)
    return Line("w.send(item)", "item = r.recv()", {"r": r, "w": w})


def variant(name: str, offers: Offers) -> Offers:
    """Return the same offers as a variant's."""
    return {f"{offer}:{name}": make for offer, make in offers.items()}


def read(v: Any) -> int:
    """Read a value in the process it was sent to."""
    return int(v.value)


MAKE = {"Value": FORK.Value}
INCREMENT = "with v.get_lock(): v.value += 1"
VIEW = "with a.get_lock(): v = frombuffer(a.get_obj(), 'u1'); "
OFFERS: Offers = {
    **item.offers(line),
    **variant("SimpleQueue", item.offers(simple)),
    **variant("Pipe", item.offers(pipe)),
    "queue-shared": line,
    "queue-shared:SimpleQueue": simple,
    "task": task,
    "array-get": lambda: array("a[5]", lock=True),
    "array-set": lambda: array("a[5] = 7", lock=True),
    "array-get-raw": lambda: array("a[5]", lock=False),
    "array-set-raw": lambda: array("a[5] = 7", lock=False),
    "array-in": lambda: bulk(VIEW + "v[:] = x"),
    "array-out": lambda: bulk(VIEW + "x[:] = v"),
    "read-raw": lambda: value("v.value", lock=False),
    "write-raw": lambda: value("v.value = 7", lock=False),
    "increment-raw": lambda: value("v.value += 1", lock=False),
    "create-raw": lambda: Statement("Value('q', lock=False)", MAKE),
    "read": lambda: value("v.value", lock=True),
    "write": lambda: value("v.value = 7", lock=True),
    "increment": lambda: value(INCREMENT, lock=True),
    "create": lambda: Statement("Value('q')", MAKE),
    "lock": lambda: Critical("lock.acquire()", "lock.release()", {"lock": FORK.Lock()}),
    "with": lambda: Statement("with lock: pass", {"lock": FORK.Lock()}),
    "signal": event,
    "signal:Condition": condition,
    "import": lambda: Script("import multiprocessing"),
    "first": lambda: Script("import multiprocessing; v = multiprocessing.Value('q')"),
    "send": lambda: Parcel("Value('q')", SPAWN.Value("q", 42), read),
}

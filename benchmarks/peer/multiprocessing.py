"""The standard library's values, locks and events."""

from __future__ import annotations

from typing import Any

from benchmarks.offer import (
    FORK,
    SPAWN,
    Critical,
    Offers,
    Parcel,
    Script,
    Signal,
    Statement,
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


def read(v: Any) -> int:
    """Read a value in the process it was sent to."""
    return int(v.value)


MAKE = {"Value": FORK.Value}
INCREMENT = "with v.get_lock(): v.value += 1"
OFFERS: Offers = {
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

"""Ourselves."""

from __future__ import annotations

from typing import Any

import courtyard
from benchmarks.offer import Critical, Offers, Parcel, Script, Signal, Statement

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


def read(v: Any) -> int:
    """Read a value in the process it was sent to."""
    return int(v.value)


MAKE = {"Value": Value}
OFFERS: Offers = {
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

"""A lock that is free, and one that two processes want."""

from __future__ import annotations

import mmap

from benchmarks.call import ALONE, alone, together
from benchmarks.offer import Critical, Statement
from benchmarks.operation import Figure, Goal, Operation, Setting

TITLE = "Lock"


def uncontended(critical: Critical, setting: Setting) -> Figure:
    """Measure entering and leaving at once, with nobody else there."""
    return alone(Statement(f"{critical.enter}; {critical.leave}", critical.names), setting)


def contended(critical: Critical, setting: Setting) -> Figure:
    """Measure two processes that count with ``+=`` under the lock: a lock that fails loses some."""
    count = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    code = f"{critical.enter}; count[0] += 1; {critical.leave}"
    statement = Statement(code, critical.names | {"count": count}, lambda: int(count[0]))
    return together(2)(statement, setting)


OPERATIONS = (
    Operation(
        "acquire",
        "acquire and release",
        "lock",
        uncontended,
        ALONE,
        goals=(Goal(0.7, "multiprocessing"),),
    ),
    Operation("with", "with", "with", alone, ALONE, goals=(Goal(0.5, "multiprocessing"),)),
    Operation(
        "contended",
        "acquire, count[0] += 1, release: two processes",
        "lock",
        contended,
        "two processes at once; elapsed time by turns of both; counts missing at the end are lost",
        goals=(Goal(1 / 1.5, "multiprocessing"),),
    ),
)

"""posix_ipc: named semaphores, here beside plain shared memory that they guard by hand."""

from __future__ import annotations

import mmap
from typing import Any

import posix_ipc

from benchmarks.offer import Critical, Offers, Script, Signal, Statement

TITLE = "posix_ipc"
DISTRIBUTION = "posix_ipc"


def semaphore(count: int) -> Any:
    """Return a semaphore without a name: forked processes have it, and nothing stays behind."""
    found = posix_ipc.Semaphore(None, posix_ipc.O_CREX, initial_value=count)
    found.unlink()
    return found


def guarded(code: str) -> Statement:
    """Return a statement on memory ``view`` and a semaphore ``lock`` beside it."""
    view = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    return Statement(code, {"view": view, "lock": semaphore(1)}, lambda: int(view[0]))


def signal() -> Signal:
    """Return a semaphore that is given once for each wake."""
    given = semaphore(0)
    return Signal(
        "Semaphore.acquire(); .release()", lambda _: given.acquire(), lambda _: given.release()
    )


OFFERS: Offers = {
    "read": lambda: guarded("with lock: view[0]"),
    "write": lambda: guarded("with lock: view[0] = 7"),
    "increment": lambda: guarded("with lock: view[0] += 1"),
    "lock": lambda: Critical("lock.acquire()", "lock.release()", {"lock": semaphore(1)}),
    "with": lambda: Statement("with lock: pass", {"lock": semaphore(1)}),
    "signal": signal,
    "import": lambda: Script("import posix_ipc"),
}

"""What the bare means cost from Python: plain memory, an empty call to C, the raw futex.

None of it is safe: increments of the bare memory lose updates, and "no lock" excludes nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import mmap
import os
import platform
from collections import deque

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

TITLE = "floor"

# A method in C that does nothing but answer: what any call into an extension costs.
CALL = "text.isascii()"
FUTEX_WAIT, FUTEX_WAKE = 0, 1
SYS_FUTEX = {"x86_64": 202, "aarch64": 98}


def memory() -> memoryview:
    """Return an integer that forked processes share."""
    return memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")


def shared(code: str) -> Statement:
    """Return a statement on shared memory, ``view``."""
    view = memory()
    return Statement(code, {"view": view}, lambda: int(view[0]))


def bulk(code: str) -> Statement:
    """Return a statement on NumPy arrays of 1 MiB: ``v`` on shared memory, ``x`` beside it."""
    import numpy

    v = numpy.frombuffer(mmap.mmap(-1, item.SIZE), "u1")
    return Statement(code, {"v": v, "x": item.array()})


def table(_: str) -> Table:
    """Return the builtin: the memory of one process."""
    d: dict[str, object] = {}
    return Table("value = d[key]", "d[key] = value", lambda: {"d": d}, item.fill)


def copy(kind: str) -> Table:
    """Return the memory for one large value, and no table around it."""
    view = mmap.mmap(-1, item.SIZE)
    names = {"view": view, **item.names(kind)}
    get = "value = frombuffer(view)" if kind == "array" else "value = view[:]"
    return Table(get, "view[:] = value", lambda: names, lambda *_: None)


def futex() -> Signal:
    """Return the system call on which all other ways to sleep are built."""
    call = SYS_FUTEX.get(platform.machine())
    if call is None:
        raise Unsupported(f"the number of futex(2) on {platform.machine()} is not known here")
    system = ctypes.CDLL(None).syscall
    word = ctypes.c_int.from_buffer(mmap.mmap(-1, mmap.PAGESIZE))
    address = ctypes.byref(word)

    def wait(number: int) -> None:
        while word.value < number:
            system(call, address, FUTEX_WAIT, number - 1, None, None, 0)

    def wake(number: int) -> None:
        word.value = number
        system(call, address, FUTEX_WAKE, 1, None, None, 0)

    return Signal("futex(2)", wait, wake)


def eventfd() -> Task:
    """Return a descriptor that the event loop listens at."""
    event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_SEMAPHORE)

    async def get() -> int:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(BlockingIOError):
            return os.eventfd_read(event)
        future = loop.create_future()

        def resume() -> None:
            if not future.done():
                future.set_result(None)

        loop.add_reader(event, resume)
        await future
        loop.remove_reader(event)
        return os.eventfd_read(event)

    return Task("await a reader of eventfd(2)", get, lambda _: os.eventfd_write(event, 1))


def alone() -> Task:
    """Return asyncio's own queue: of one thread of one process."""
    q: asyncio.Queue[int] = asyncio.Queue()
    return Task("await asyncio.Queue.get()", q.get, q.put_nowait)


OFFERS: Offers = {
    "task": eventfd,
    "task-alone:asyncio.Queue": alone,
    **item.tables(table, ("int", "str", "nested", "large", "texts", "huge")),
    **item.tables(copy, ("bytes", "array")),
    **item.lists(lambda: list, lambda: deque),
    "read-raw": lambda: shared("view[0]"),
    "write-raw": lambda: shared("view[0] = 7"),
    "increment-raw": lambda: shared("view[0] += 1"),
    "dict-increment": lambda: Statement("d['key'] += 1", {"d": {"key": 0}}),
    "increment-raw:call": lambda: Statement(CALL, {"text": ""}),
    "read": lambda: Statement(CALL, {"text": ""}),
    "write": lambda: Statement(CALL, {"text": ""}),
    "increment": lambda: Statement(CALL, {"text": ""}),
    "array-get": lambda: shared("view[5]"),
    "array-set": lambda: shared("view[5] = 7"),
    "array-get-raw": lambda: shared("view[5]"),
    "array-set-raw": lambda: shared("view[5] = 7"),
    "array-in": lambda: bulk("v[:] = x"),
    "array-out": lambda: bulk("x[:] = v"),
    "queue-alone": lambda: Line("q.append(item)", "item = q.popleft()", {"q": deque()}),
    "create-raw": lambda: Statement("object()"),
    "create": lambda: Statement("object()"),
    "lock": lambda: Critical(CALL, CALL, {"text": ""}),
    "with": lambda: Statement(f"{CALL}; {CALL}", {"text": ""}),
    "signal": futex,
    "import": lambda: Script("import mmap"),
    "first": lambda: Script("import mmap; view = memoryview(mmap.mmap(-1, 4096)).cast('q')"),
    "send": lambda: Parcel("a plain int", 42, int),
}

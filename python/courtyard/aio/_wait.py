"""How a task waits for something: it tries, and sleeps until something has changed.

A wake carries nothing. A task that is woken tries again without waiting, in its own loop, so a call
that is cancelled has either not happened or has returned. The tasks of a loop that want the same
thing stand in line: only the first one is registered and tries. When it has what it wanted, or is
cancelled, the next one tries.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import ExitStack
from time import monotonic
from weakref import WeakValueDictionary

from courtyard._object.object import seconds
from courtyard._object.several import Several
from courtyard.aio._loop import current

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from courtyard.aio._loop import Loop, Waiter

# The tasks that wait, by loop and object and for what, in the order in which they came.
lines: WeakValueDictionary[Any, OrderedDict[Waiter, None]] = WeakValueDictionary()

# The same, to be asked at little cost whether any task waits.
standing: dict[Any, Any] = lines.data  # type: ignore[attr-defined]
os.register_at_fork(after_in_child=lines.clear)

# What an attempt returns that found nothing to do yet; what `until` returns on timeout.
PENDING: Any = type("Pending", (), {"__slots__": ()})()


async def until(
    obj: Any,
    attempt: Callable[[], Any],
    *,
    timeout: float | None,
    event: int | None = None,
    line: str | None = None,
    again: Callable[[], float | None] | None = None,
) -> Any:
    """Call ``attempt`` until it returns something else than PENDING, and return that.

    Returns PENDING after ``timeout`` seconds. ``event``: which of the object's event words change
    with what is waited for. ``line``: what the tasks of this loop wait for one after another.
    ``again``: in how many seconds an attempt may succeed although nothing has changed by then.
    """
    loop = current()
    end = None if timeout is None else monotonic() + timeout
    if line is None:
        if loop.has_checkpoints:
            await loop.checkpoint()
        result = attempt()
        if result is not PENDING:
            return result
        waiter = loop.begin(obj, event)
        try:
            return await _attempts(loop, waiter, obj, attempt, end, event, again)
        finally:
            loop.end(waiter)
    key = (id(loop), obj._identity(), line)
    others = lines.get(key)
    if others is None:
        if loop.has_checkpoints:
            await loop.checkpoint()
            others = lines.get(key)
        if others is None:
            result = attempt()
            if result is not PENDING:
                return result
            others = lines[key] = OrderedDict()
    waiter = loop.begin(obj, event)
    others[waiter] = None
    try:
        while next(iter(others)) is not waiter:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return PENDING
            await waiter.sleep(left)
        return await _attempts(loop, waiter, obj, attempt, end, event, again)
    finally:
        loop.end(waiter)
        was_first = next(iter(others)) is waiter
        del others[waiter]
        if not others:
            if lines.get(key) is others:  # not so when the garbage of a closed loop is collected
                del lines[key]
        elif was_first:
            next(iter(others)).wake()


async def _attempts(
    loop: Loop,
    waiter: Waiter,
    obj: Any,
    attempt: Callable[[], Any],
    end: float | None,
    event: int | None,
    again: Callable[[], float | None] | None,
) -> Any:
    while True:
        registration = loop.register(obj, waiter, event)
        try:
            result = attempt()
            if result is not PENDING:
                return result
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return PENDING
            soon = None if again is None else again()
            if soon is not None:
                left = soon if left is None else min(left, soon)
            await waiter.sleep(left)
        finally:
            registration.cancel()
            loop.forget(waiter)


async def wait(items: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """Wait until one of several things is ready; return those that are: ``cy.wait`` for tasks.

    A cancelled call has done nothing.

    >>> import asyncio, courtyard as cy
    >>> jobs, stop = cy.Queue(), cy.Event()
    >>> stop.set()
    >>> asyncio.run(cy.aio.wait([jobs, stop])) == [stop]
    True
    """
    several, timeout, loop = Several(items), seconds(timeout), current()
    await loop.checkpoint()
    ready = several.ready()
    if ready or (timeout is not None and timeout <= 0):
        return ready
    end = None if timeout is None else monotonic() + timeout
    waiter = loop.waiter()
    with ExitStack() as stack:
        if several.files:
            stack.enter_context(loop.watching(several.epoll(), waiter))
        while True:
            with ExitStack() as registered:
                registered.callback(loop.forget, waiter)
                for obj in several.watched():
                    registered.callback(loop.register(obj, waiter, None).cancel)
                ready = several.ready()
                left = None if end is None else end - monotonic()
                if ready or (left is not None and left <= 0):
                    return ready
                soonest = several.soonest()
                if soonest is not None:
                    left = soonest if left is None else min(left, soonest)
                await waiter.sleep(left)

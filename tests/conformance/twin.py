"""asyncio's classes as thin as can be over ``obj.aio``, for CPython's tests of them.

They translate names and nothing else: every call is one of the twin's. What asyncio calls without
``await`` is a call of the twin that must not suspend.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import courtyard as cy
from courtyard import aio
from courtyard.aio import _loop, _wait


def at_once(call: Coroutine[Any, Any, Any]) -> Any:
    """Return what an awaitable call returns that need not wait."""
    try:
        call.send(None)
    except StopIteration as end:
        return end.value
    call.close()
    raise AssertionError(f"{call} suspended")


def awaited(name: str) -> Any:
    async def method(self: Any, *args: Any) -> Any:
        return await getattr(self.twin, name)(*args)

    return method


def immediate(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return at_once(getattr(self.twin, name)(*args, **kwargs))

    return method


class Twin:
    """What stands for one of asyncio's classes."""

    make: Callable[..., Any]
    line: str  # what its tasks stand in line for, if they do

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.twin = self.make(*args, **kwargs).aio

    def _line(self, name: str) -> list[Any]:
        """Return the tasks that stand in line, as asyncio's classes keep them in private lists."""
        identity = self.twin.sync._identity()
        lines = [line for key, line in _wait.lines.items() if key[1:] == (identity, name)]
        return [waiter for line in lines for waiter in line]

    @property
    def _waiters(self) -> list[Any]:
        return self._line("acquire")


class Queue(Twin):
    make: Any = staticmethod(cy.Queue)
    put, get, join = map(awaited, ("put", "get", "join"))
    put_nowait, get_nowait, task_done = map(immediate, ("put_nowait", "get_nowait", "task_done"))
    shutdown, qsize, empty, full = map(immediate, ("shutdown", "qsize", "empty", "full"))
    maxsize = property(lambda self: self.twin.sync.maxsize)
    _getters = property(lambda self: self._line("get"))
    _putters = property(lambda self: self._line("put"))

    def __class_getitem__(cls, item: Any) -> Any:
        return aio.Queue[item]


class LifoQueue(Queue):
    make: Any = staticmethod(cy.LifoQueue)


class PriorityQueue(Queue):
    make: Any = staticmethod(cy.PriorityQueue)


class Held(Twin):
    """What tasks acquire and release."""

    acquire, release, locked = awaited("acquire"), immediate("release"), immediate("locked")
    __aenter__, __aexit__ = awaited("__aenter__"), awaited("__aexit__")


class Lock(Held):
    make = staticmethod(cy.Lock)


class Semaphore(Held):
    make = staticmethod(cy.Semaphore)
    _value = property(lambda self: at_once(self.twin.get_value()))


class BoundedSemaphore(Semaphore):
    make = staticmethod(cy.BoundedSemaphore)


class Registered(Twin):
    """What its tasks wait for together, and not one after another."""

    @property
    def _waiters(self) -> list[Any]:
        return list(_loop.current()._sleepers)  # a test has nothing else that waits


class Event(Registered):
    make = staticmethod(cy.Event)
    wait = awaited("wait")
    set, clear, is_set = map(immediate, ("set", "clear", "is_set"))


class Condition(Held, Registered):
    """On a Lock, as asyncio's; ours is on an RLock if it is given none."""

    _waiters = Registered._waiters
    wait, wait_for = awaited("wait"), awaited("wait_for")
    notify, notify_all = immediate("notify"), immediate("notify_all")

    def __init__(self, lock: Lock | None = None, **kwargs: Any) -> None:
        self._lock = Lock() if lock is None else lock
        self.twin = cy.Condition(self._lock.twin.sync, **kwargs).aio


class Barrier(Twin):
    make = staticmethod(cy.Barrier)
    wait, reset, abort = map(awaited, ("wait", "reset", "abort"))
    __aenter__, __aexit__ = awaited("__aenter__"), awaited("__aexit__")
    parties = property(lambda self: self.twin.parties)
    n_waiting = property(lambda self: self.twin.n_waiting)
    broken = property(lambda self: self.twin.broken)


async def sleep(delay: float) -> None:
    """Sleep as asyncio's, and without a delay until all that have been woken have had their turn.

    There, a task that was woken goes on in the next step of the loop. Here, the waiter thread tells
    the loop first: of an event of our own after all that changed before it.
    """
    if delay:
        return await standard_sleep(delay)
    await standard_sleep(0)
    event = cy.Event()
    asyncio.get_running_loop().call_soon(event.set)
    await event.aio.wait()
    await standard_sleep(0)


standard_sleep = asyncio.sleep
LATER = 0.5  # seconds


class Loop(asyncio.SelectorEventLoop):
    """Its timers end later: a test has 10 ms for what a thread has to tell the loop before."""

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return super().call_at(when + LATER, *args, **kwargs)


def uvloop() -> Any:
    """Make a loop of uvloop whose timers end later."""
    from uvloop import Loop as Standard

    class Loop(Standard):
        def call_later(self, delay: float, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            return super().call_later(delay + LATER, *args, **kwargs)

    return Loop()


LOOPS = {"asyncio": Loop, "uvloop": uvloop}


def install() -> None:
    """Have all that uses asyncio's classes from now on use these."""
    twins = Queue, LifoQueue, PriorityQueue, Lock, Semaphore, BoundedSemaphore, Event, Condition
    for twin in (*twins, Barrier):
        setattr(asyncio, twin.__name__, twin)
    names: dict[str, Any] = {
        "QueueEmpty": queue.Empty,
        "QueueFull": queue.Full,
        "QueueShutDown": cy.ShutDown,
        "BrokenBarrierError": threading.BrokenBarrierError,
        "sleep": sleep,
    }
    for name, value in names.items():
        setattr(asyncio, name, value)

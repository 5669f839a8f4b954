"""``wait``: the first of several things that are ready."""

from __future__ import annotations

import select
from math import ceil
from time import monotonic

from courtyard import _native
from courtyard._object.object import seconds
from courtyard._object.subclass import home_of

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# How long a wait for a lock sleeps before it looks, whatever happens.
LOOK_AGAIN = 1.0
# The longest sleep at once: poll(2) counts milliseconds in 31 bits.
_LONGEST = 1_000_000.0


class Several:
    """Objects, pairs of an object and a condition, and descriptors."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = list(items)
        self.objects: list[Any] = []
        self.pairs: list[tuple[int, Any, Any]] = []
        self.files: list[tuple[int, Any]] = []
        for index, item in enumerate(self.items):
            if isinstance(item, _native.Object):
                self.objects.append(item)
            elif isinstance(item, tuple) and len(item) == 2:
                obj, condition = item
                if not isinstance(obj, _native.Object):
                    found = type(obj).__name__
                    raise TypeError(f"expected a pair (object, condition), found ({found}, …)")
                self.pairs.append((index, obj, condition))
            elif hasattr(item, "_waited_for"):  # a Watch
                self.pairs.append((index, *item._waited_for()))
            else:
                self.files.append((index, _descriptor(item)))

    def watched(self) -> Iterable[Any]:
        """Return all objects whose changes matter."""
        yield from self.objects
        for _, obj, _ in self.pairs:
            yield obj

    def ready(self) -> list[Any]:
        """Return the items that are ready, in the order in which they were given."""
        found, later = _native.ready(self.objects) or ([], [])
        due = [obj for obj in later if obj._due() == 0]
        if not due and len(self.objects) == len(self.items):
            return found
        chosen = {id(obj) for obj in (*found, *due)}
        chosen.update(id(self.items[index]) for index, obj, x in self.pairs if _holds(obj, x))
        readable = {fd for fd, _ in self.poll(None, 0)} if self.files else ()
        chosen.update(id(self.items[index]) for index, fd in self.files if fd in readable)
        return [item for item in self.items if id(item) in chosen]

    def poll(self, listener: _native.Listener | None, timeout: float | None) -> list[Any]:
        """Sleep until a descriptor is readable, that of the listener among them."""
        poll = select.poll()
        for _, fd in self.files:
            poll.register(fd, select.POLLIN | select.POLLPRI)
        if listener is not None:
            poll.register(listener.fileno(), select.POLLIN)
        return poll.poll(None if timeout is None else ceil(min(timeout, _LONGEST) * 1000))

    def epoll(self) -> select.epoll:
        """Return one descriptor for all, readable while one of them is."""
        epoll = select.epoll()
        for fd in {fd for _, fd in self.files}:
            epoll.register(fd, select.EPOLLIN | select.EPOLLPRI)
        return epoll

    def soonest(self) -> float | None:
        """Return in how many seconds something may be ready although nothing changes by then."""
        times = [obj._due() for obj in self.objects if isinstance(obj, _native.Queue)]
        if any(isinstance(obj, (_native.Lock, _native.RLock)) for obj in self.objects):
            times.append(LOOK_AGAIN)
        return min((time for time in times if time is not None), default=None)


def _holds(obj: Any, condition: Any) -> bool:
    return bool(home_of(obj).wait_for(obj, condition, 0))


def _descriptor(item: Any) -> int:
    if isinstance(item, int):
        return item
    fileno = getattr(item, "fileno", None)
    if fileno is None:
        raise TypeError(
            "expected an object, a pair (object, condition), a descriptor or something with a "
            f"fileno(), found {type(item).__name__}"
        )
    return int(fileno())


def wait(items: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """Wait until one of several things is ready; return those that are, in the order given.

    As ``multiprocessing.connection.wait``. An item is an object: a queue with an item in it or shut
    down, a free lock, a set event, a semaphore with a permit; a pair of any object and a condition
    as its ``wait_for`` takes it; a ``Watch`` with a change to get; or what has a descriptor: a
    ``Connection``, a socket, a process's ``sentinel``. Nothing is taken: what is ready may be taken
    by another before the next call, so take it without waiting (``get_nowait``). An item that stays
    ready is returned by every call.

    Returns an empty list after ``timeout`` seconds. It sleeps without using the CPU; there is no
    limit on the number of items; Ctrl-C works at once. A process killed while it waits leaves
    nothing.

    Raises TypeError for what cannot be waited for.

    >>> import courtyard as cy
    >>> jobs, stop = cy.Queue(), cy.Event()
    >>> jobs.put("work")
    >>> cy.wait([stop, jobs]) == [jobs]
    True
    >>> cy.wait([stop, (jobs, lambda jobs: jobs.empty())], timeout=0.01)
    []
    """
    items, timeout = list(items), seconds(timeout)
    found = _native.ready(items)
    if found is not None and found[0] and not found[1]:
        return found[0]  # nothing else is among them, and nothing that may be due
    several = Several(items)
    ready = several.ready()
    if ready or (timeout is not None and timeout <= 0):
        return ready
    end = None if timeout is None else monotonic() + timeout
    listener = _native.Listener()
    registrations = dict(enumerate(several.watched()))
    held: dict[int, _native.Registration] = {}
    changed: Iterable[int] = registrations
    try:
        while True:
            for token in changed:
                held[token] = listener.register(registrations[token], token)
            ready = several.ready()
            left = None if end is None else end - monotonic()
            if ready or (left is not None and left <= 0):
                return ready
            soonest = several.soonest()
            if soonest is not None:
                left = soonest if left is None else min(left, soonest)
            several.poll(listener, left)
            changed = set(listener.take())
    finally:
        for registration in held.values():
            registration.cancel()

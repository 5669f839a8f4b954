"""``Queue`` and its variants as tasks use them."""

from __future__ import annotations

from queue import Empty, Full
from sys import modules
from time import monotonic
from types import GenericAlias

from courtyard import _native
from courtyard._object.object import seconds
from courtyard.aio._object import Object, checkpoint, passed
from courtyard.aio._wait import PENDING, standing, until

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Generic, TypeVar

    from courtyard._queue import Queue as Sync

    _T = TypeVar("_T")
else:
    _T, Generic = 0, {0: object}

# Of the event words of a queue.
_ITEMS, _ROOM, _FINISHED = 0, 1, 2
# For how long a put goes on that finds no memory, and how soon it looks again.
_SCARCE, _SOON = 0.1, 0.005


class Queue(Object, Generic[_T]):
    """A queue as tasks use it: ``await q.aio.get()``.

    The tasks of a loop get items, and room, in the order in which they asked for them. A cancelled
    call has not happened: no item is taken, none is put. Only ``put_many`` may have put some of its
    items, in their order, when it is cancelled.

    >>> import asyncio, courtyard as cy
    >>> q = cy.Queue()
    >>> async def main():
    ...     await q.aio.put("work")
    ...     return await q.aio.get()
    >>> asyncio.run(main())
    'work'
    """

    __slots__ = ()

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(GenericAlias)

    sync: Sync[_T]

    async def put(self, item: _T, block: bool = True, timeout: float | None = None) -> None:
        """Put an item into the queue; wait while there is no room, up to timeout seconds.

        Raises what the queue's own ``put`` raises. A cancelled call has not put the item. Pickling
        an item runs in the loop, and so does copying it: for one of many megabytes use a thread
        (``asyncio.to_thread(q.put, item)``).
        """
        sync = self.sync
        if timeout is None and not standing and "trio" not in modules:
            try:
                return sync.put_nowait(item)
            except Full:
                if not block:
                    raise
        if not block or _is_over(timeout):
            await checkpoint()
            return sync.put(item, block, timeout)
        await self._until(lambda: sync.put_nowait(item), _ROOM, "put", seconds(timeout))

    async def put_nowait(self, item: _T) -> None:
        """Put an item if there is room. Raises queue.Full if not."""
        await checkpoint()
        self.sync.put_nowait(item)

    async def put_many(
        self, items: Iterable[_T], block: bool = True, timeout: float | None = None
    ) -> None:
        """Put all items of an iterable, in their order; wait as put() where there is no room.

        The timeout is for all of them. What was put before it ended, before an error or before the
        call was cancelled, stays.
        """
        sync = self.sync
        if not block or _is_over(timeout):
            await checkpoint()
            return sync.put_many(items, block, timeout)
        end = None if timeout is None else monotonic() + timeout
        for item in items:
            await self.put(item, True, None if end is None else max(0, end - monotonic()))

    async def get(
        self, block: bool = True, timeout: float | None = None, *, copy: bool = True
    ) -> _T:
        """Take the first item out of the queue and return it; wait while there is none.

        Raises queue.Empty after timeout seconds, and what the queue's own ``get`` raises. A
        cancelled call has not taken an item.
        """
        sync = self.sync
        if timeout is None and copy and not standing and "trio" not in modules:
            try:  # nobody is before this task, and nothing else is asked for
                return sync.get_nowait()
            except Empty:
                if not block:
                    raise
        if not block or _is_over(timeout):
            await checkpoint()
            return sync.get(block, timeout, copy=copy)
        attempt = sync.get_nowait if copy else lambda: sync.get(False, copy=False)
        return await self._until(attempt, _ITEMS, "get", seconds(timeout))  # type: ignore[no-any-return]

    async def get_nowait(self) -> _T:
        """Take the first item if there is one. Raises queue.Empty if not."""
        await checkpoint()
        return self.sync.get_nowait()

    async def get_many(self, max: int, timeout: float | None = None) -> list[_T]:
        """Take up to max items and return them in a list; wait as get() for the first one only."""
        sync = self.sync
        if max <= 0 or _is_over(timeout):
            await checkpoint()
            return sync.get_many(max, timeout)
        attempt = lambda: sync.get_many(max, 0)  # noqa: E731
        return await self._until(attempt, _ITEMS, "get", seconds(timeout))  # type: ignore[no-any-return]

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[_T]:
        """Take the first item on a lease: ``async with q.aio.lease() as item``.

        As the queue's own. If the block is cancelled the item comes back, first in line.
        """
        return Lease(self, block, timeout)

    async def join(self) -> None:
        """Wait until all items that were put are done."""
        sync = self.sync
        attempt = lambda: PENDING if sync.unfinished_tasks else None  # noqa: E731
        await until(sync, attempt, timeout=None, event=_FINISHED)

    qsize = passed(_native.Queue.qsize)
    empty = passed(_native.Queue.empty)
    full = passed(_native.Queue.full)
    peek = passed(_native.Queue.peek)
    clear = passed(_native.Queue.clear)
    task_done = passed(_native.Queue.task_done, gives_back=True)
    shutdown = passed(_native.Queue.shutdown, gives_back=True)
    reopen = passed(_native.Queue.reopen)

    async def _until(
        self, attempt: Callable[[], Any], event: int, line: str, timeout: float | None
    ) -> Any:
        """Attempt it until it raises neither Empty nor Full; these, when the time is up."""
        sync, last, scarce = self.sync, None, None
        shutdowns = sync._shutdowns()

        def once() -> Any:
            nonlocal last, scarce
            try:
                return attempt()
            except (Empty, Full) as error:
                if sync._shutdowns() != shutdowns:
                    # It was shut down meanwhile, though it may be open again.
                    raise sync._shut_down(event == _ROOM) from None
                last = error
                return PENDING
            except MemoryError:
                # What a process that has just taken an item frees may make room.
                scarce = scarce or monotonic()
                if event == _ITEMS or monotonic() > scarce + _SCARCE:
                    raise
                last = None
                return PENDING

        def again() -> float | None:
            if event == _ITEMS:
                return sync._due()
            return _SOON if last is None else None

        result = await until(sync, once, timeout=timeout, event=event, line=line, again=again)
        if result is PENDING:
            if last is not None:
                raise last
            if event == _ITEMS:
                raise Empty
            return attempt()  # says why there is no room
        return result


class Lease(Generic[_T]):
    """An item on a lease, for ``async with``: see ``courtyard.Lease``.

    It comes back, first in line, if the block raises or is cancelled, or its process dies. Entering
    it waits as ``get`` does; a cancelled entry has no item.
    """

    __slots__ = ("_block", "_queue", "_timeout", "sync")

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, queue: Queue[_T], block: bool, timeout: float | None) -> None:
        """Make one; ``queue.aio.lease()`` does that."""
        self._queue, self._block, self._timeout = queue, block, timeout
        self.sync: _native.Lease[_T] | None = None

    async def __aenter__(self) -> _T:
        """Take the item."""
        if self.sync is not None:
            raise RuntimeError("a lease can be entered once only")
        queue = self._queue.sync

        def attempt() -> _T:
            self.sync = queue.lease(False)
            return self.sync.__enter__()

        if not self._block or _is_over(self._timeout):
            await checkpoint()
            self.sync = queue.lease(self._block, self._timeout)
            return self.sync.__enter__()
        timeout = seconds(self._timeout)
        return await self._queue._until(attempt, _ITEMS, "get", timeout)  # type: ignore[no-any-return]

    async def __aexit__(self, kind: object, value: object, traceback: object) -> None:
        """End the lease: the item is done, or back if the block raised."""
        self._entered().__exit__(kind, value, traceback)

    @property
    def attempts(self) -> int:
        """How often the item was leased, this time included; 0 before the lease is entered."""
        return 0 if self.sync is None else self.sync.attempts

    async def give_back(self) -> None:
        """Give the item back at once, first in line."""
        self._entered().give_back()

    async def requeue(self, delay: float = 0) -> None:
        """Put the item back at the end of the line, in ``delay`` seconds."""
        self._entered().requeue(delay)

    async def drop(self) -> None:
        """Drop the item: it is done."""
        self._entered().drop()

    async def move(self, queue: Queue[_T] | Sync[_T], /) -> None:
        """Put the item into another queue, as it is stored, in one change."""
        self._entered().move(queue.sync if isinstance(queue, Queue) else queue)

    def _entered(self) -> _native.Lease[_T]:
        if self.sync is None:
            raise RuntimeError(
                "the lease is not entered: use `async with queue.aio.lease() as item`"
            )
        return self.sync


def _is_over(timeout: Any) -> bool:
    """Say whether a call with this timeout does not wait, or raises for it."""
    return timeout is not None and not seconds(timeout) > 0  # type: ignore[operator]

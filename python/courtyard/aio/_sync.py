"""Locks, semaphores, events and conditions as tasks use them."""

from __future__ import annotations

import threading
from contextlib import suppress

from courtyard import _native
from courtyard._error import NotOwned
from courtyard._object.object import seconds
from courtyard._object.several import LOOK_AGAIN
from courtyard.aio._loop import current, current_task, owner, serial_of
from courtyard.aio._object import Object, checkpoint, passed
from courtyard.aio._wait import PENDING, until

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from courtyard import _sync as sync

    _T = TypeVar("_T")


class Lock(Object):
    """A lock as tasks use it: ``async with lock.aio``.

    As ``asyncio.Lock``, among the tasks, threads and processes that share it. The tasks of a loop
    get it in the order in which they asked for it. A cancelled ``acquire`` does not hold the lock.
    Any task or thread may release it.

    >>> import asyncio, courtyard as cy
    >>> lock = cy.Lock()
    >>> async def main():
    ...     async with lock.aio:
    ...         return lock.locked()
    >>> asyncio.run(main())
    True
    """

    __slots__ = ()

    sync: sync.Lock

    async def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Acquire the lock; return whether that succeeded. Arguments as those of threading's."""
        sync = self.sync
        if not blocking or (timeout not in (None, -1) and not timeout > 0):
            await checkpoint()
            return self._acquired(lambda: sync.acquire(blocking, timeout))
        if timeout == -1:
            timeout = None

        def attempt() -> Any:
            return self._acquired(lambda: sync.acquire(False)) or PENDING

        if self._is_mine():  # once more, before those who wait for this task to release it
            await checkpoint()
            return attempt() is not PENDING
        (obj, line), again = self._waits_at(), lambda: LOOK_AGAIN
        got = await until(obj, attempt, timeout=seconds(timeout), line=line, again=again)
        return got is not PENDING

    def _waits_at(self) -> tuple[Any, str]:
        """Return the object that changes with the lock, and what tasks stand in line for."""
        return self.sync, "acquire"

    async def release(self) -> None:
        """Release the lock. Raises RuntimeError if it is free."""
        self._as_owner(self.sync.release)
        await checkpoint(shielded=True)

    locked = passed(_native.Lock.locked)

    @property
    def recovered(self) -> bool:
        """Whether the last holder died: what the lock protects may be half changed."""
        return bool(self._as_owner(lambda: self.sync.recovered))

    def _is_mine(self) -> bool:
        """Say whether this task holds the lock and may acquire it again."""
        return False

    def _acquired(self, call: Callable[[], bool]) -> bool:
        return call()

    def _as_owner(self, call: Callable[[], Any]) -> Any:
        return call()

    async def __aenter__(self) -> None:
        """Acquire the lock."""
        await self.acquire()

    async def __aexit__(self, *_exception: object) -> None:
        """Release the lock."""
        self._as_owner(self.sync.release)


class RLock(Lock):
    """A recursive lock as tasks use it: its owner is a task.

    As ``lock.aio``; the task that holds it may acquire it again, and it is free when that task has
    released it as often. Other tasks of the same thread wait.
    """

    __slots__ = ()

    locked = passed(_native.RLock.locked)

    def _is_mine(self) -> bool:
        return bool(self._as_owner(self.sync._is_owned))  # type: ignore[attr-defined]

    def _acquired(self, call: Callable[[], bool]) -> bool:
        task = current_task()
        return _native.as_owner(serial_of(task), call, self.sync, task)

    def _as_owner(self, call: Callable[[], Any]) -> Any:
        return _native.as_owner(owner(), call)


class Semaphore(Object):
    """A semaphore as tasks use it: ``async with permits.aio``.

    The tasks of a loop get permits in the order in which they asked for them. A cancelled
    ``acquire`` has no permit.
    """

    __slots__ = ()

    sync: sync.Semaphore

    async def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take a permit; return whether that succeeded. Arguments as those of threading's."""
        sync = self.sync
        if not blocking or (timeout is not None and not timeout > 0):
            await checkpoint()
            return sync.acquire(blocking, timeout)
        attempt = lambda: sync.acquire(False) or PENDING  # noqa: E731
        got = await until(sync, attempt, timeout=seconds(timeout), line="acquire")
        return got is not PENDING

    async def locked(self) -> bool:
        """Say whether acquire() would wait."""
        await checkpoint()
        return self.sync.locked()

    release = passed(_native.Semaphore.release, gives_back=True)
    get_value = passed(_native.Semaphore.get_value)

    async def __aenter__(self) -> None:
        """Take a permit."""
        await self.acquire()

    async def __aexit__(self, *_exception: object) -> None:
        """Give it back."""
        self.sync.release()


class Event(Object):
    """A flag as tasks use it: ``await ready.aio.wait()``."""

    __slots__ = ()

    sync: sync.Event

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, at most timeout seconds; return whether it was.

        As threading's, ``set`` wakes all who wait, even if ``clear`` follows at once.
        """
        sync, before = self.sync, self.sync._word()
        attempt = lambda: sync._was_set(before) or PENDING  # noqa: E731
        return await until(sync, attempt, timeout=seconds(timeout)) is not PENDING

    set = passed(_native.Event.set, gives_back=True)
    clear = passed(_native.Event.clear)
    is_set = passed(_native.Event.is_set)


class Condition(Object):
    """A condition variable as tasks use it: ``async with ready.aio: await ready.aio.wait()``.

    As ``asyncio.Condition``, among the tasks, threads and processes that share it. Its lock belongs
    to the task that acquired it.
    """

    __slots__ = ("_lock",)

    sync: sync.Condition

    def __init__(self, sync: Any) -> None:
        """Make the twin of a condition, and that of its lock."""
        super().__init__(sync)
        self._lock = (RLock if isinstance(sync._lock, _native.RLock) else Lock)(sync._lock)

    async def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Acquire the condition's lock; return whether that succeeded."""
        return await self._lock.acquire(blocking, timeout)

    async def release(self) -> None:
        """Release the condition's lock."""
        await self._lock.release()

    async def locked(self) -> bool:
        """Say whether anybody holds the lock."""
        return await self._lock.locked()  # type: ignore[no-any-return]

    async def __aenter__(self) -> None:
        """Acquire the lock."""
        await self._lock.acquire()

    async def __aexit__(self, *_exception: object) -> None:
        """Release the lock."""
        self._lock._as_owner(self._lock.sync.release)

    async def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, sleep until notified, take the lock again; return whether notified.

        It ends with the lock held, also when it is cancelled: then a notification that had come
        goes to another waiter. Raises RuntimeError without the lock.
        """
        sync, lock, timeout = self.sync, self._lock, seconds(timeout)
        self._require("wait on")
        waiter = sync._enter()
        try:
            saved = lock._as_owner(sync._release_save)
            try:
                attempt = lambda: waiter.is_notified() or PENDING  # noqa: E731
                got = await until(sync, attempt, timeout=timeout)
            finally:
                await current().shielded(lambda: _restore(lock, saved))
        except BaseException:
            if waiter.leave():
                sync._notify(1)
            raise
        return waiter.leave() or got is not PENDING

    async def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until ``predicate()`` is true; return its last result."""
        from time import monotonic

        timeout = seconds(timeout)
        end = None if timeout is None else monotonic() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                break
            await self.wait(left)
            result = predicate()
        return result

    async def notify(self, n: int = 1) -> None:
        """Wake up to n of the present waiters. Raises RuntimeError without the lock."""
        self._require("notify on")
        self.sync._notify(n)
        await checkpoint(shielded=True)

    async def notify_all(self) -> None:
        """Wake all present waiters. Raises RuntimeError without the lock."""
        await self.notify(1 << 62)

    def _require(self, what: str) -> None:
        if not self._lock._as_owner(self.sync._is_owned):
            raise NotOwned(f"cannot {what} un-acquired lock")


class Barrier(Object):
    """A barrier as tasks use it: ``await barrier.aio.wait()``.

    Each task that waits is a party of its own. A cancelled ``wait`` takes its party out again, as
    if it had not come. As asyncio's, it may begin a block: ``async with barrier.aio as number``.
    """

    __slots__ = ()

    sync: sync.Barrier

    async def wait(self, timeout: float | None = None) -> int:
        """Wait for the others; return a number from 0 to parties - 1, another to each.

        The last one to arrive calls the action, in its loop. Raises BrokenBarrierError as the
        barrier's own ``wait`` does.
        """
        sync = self.sync
        timeout = seconds(sync._timeout if timeout is None else timeout)
        visit = sync._visit()

        def join() -> Any:
            joined = visit.join()
            return PENDING if joined is None else joined

        try:
            is_last = await until(sync, join, timeout=timeout)
        except BaseException:
            visit.give_up()
            raise
        if is_last is PENDING:
            visit.give_up()
            raise threading.BrokenBarrierError("the last parties did not leave the barrier in time")
        try:
            await (self._act if is_last else self._fill)(visit, timeout)
        except BaseException:
            with suppress(threading.BrokenBarrierError):
                visit.leave()
            raise
        return visit.leave()

    async def __aenter__(self) -> int:
        """Wait for the others; return this party's number."""
        return await self.wait()

    async def __aexit__(self, *_exception: object) -> None:
        """Do nothing: the barrier is behind."""

    async def _act(self, visit: Any, timeout: float | None) -> None:
        """See that all are here, as the last one, and let them go on."""
        sync = self.sync

        def attempt() -> Any:
            return visit.is_seen() or PENDING

        try:
            # Without a checkpoint, as a rule: all others wait for this task.
            if attempt() is PENDING and await until(sync, attempt, timeout=timeout) is PENDING:
                visit.time_out(True)
            if sync._action is not None and visit.may_act():
                sync._action()
        except BaseException:
            visit.fail()
            raise
        visit.advance()

    async def _fill(self, visit: Any, timeout: float | None) -> None:
        """Wait for the last one."""
        sync = self.sync
        attempt = lambda: visit.is_over() or PENDING  # noqa: E731
        if await until(sync, attempt, timeout=timeout) is PENDING and not visit.time_out(False):
            await until(sync, attempt, timeout=None)  # all are here: only the action is awaited

    reset = passed(_native.Barrier.reset, gives_back=True)
    abort = passed(_native.Barrier.abort, gives_back=True)
    leave = passed(_native.Barrier.leave, gives_back=True)

    @property
    def parties(self) -> int:
        """How many parties wait for each other."""
        return self.sync.parties

    @property
    def n_waiting(self) -> int:
        """How many parties wait at this moment."""
        return self.sync.n_waiting

    @property
    def broken(self) -> bool:
        """Whether it is broken."""
        return self.sync.broken


async def _restore(lock: Lock, saved: Any) -> None:
    """Take the lock again as it was."""
    await lock.acquire()
    for _ in range((saved or 1) - 1):
        lock._as_owner(lock.sync.acquire)

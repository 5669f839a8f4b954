"""The event loops that tasks run in, asyncio's (uvloop's among them) and trio's.

Each loop has one descriptor, which the waiter thread of the process makes readable, and the tasks
that sleep in it. A loop of a forked child is another one than its parent's.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from itertools import count
from time import monotonic
from weakref import WeakKeyDictionary, WeakValueDictionary, ref

from courtyard import _native
from courtyard._error import CourtyardError

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    class Waiter(Protocol):
        """One task's sleep until it is woken."""

        token: int
        note: object  # that it waits, for people

        def wake(self) -> None:
            """End its sleep, or the next one."""

        async def sleep(self, timeout: float | None) -> None:
            """Sleep until woken; cancelled as any other wait."""


# How long a task that was woken for a descriptor has to look at it.
_PAUSE = 0.001
# After how long a wait is noted for people, as those of threads are.
_NOTED_AFTER = 0.1


class Loop:
    """An event loop's descriptor and its sleeping tasks."""

    # Whether a call that does not sleep lets other tasks run all the same.
    has_checkpoints = False

    def __init__(self) -> None:
        self.listener = _native.Listener()
        self._sleepers: WeakValueDictionary[int, Waiter] = WeakValueDictionary()
        self._numbers = count()
        # Who waits for what since when, not noted yet, by token; whether these are looked at later.
        self._new: dict[int, tuple[ref[Waiter], ref[Any], Any, int | None, float]] = {}
        self._is_looking = False

    def waiter(self) -> Waiter:
        """Make the sleep of the current task."""
        raise NotImplementedError

    def task(self) -> Any:
        """Return the current task, if there is one."""
        raise NotImplementedError

    def begin(self, obj: Any, event: int | None) -> Waiter:
        """Make the sleep of the current task, whose wait for an object is noted if it lasts."""
        waiter, task = self.waiter(), self.task()
        if task is not None:
            self._new[waiter.token] = ref(waiter), ref(task), obj, event, monotonic()
            if not self._is_looking:
                self._look_later()
        return waiter

    def end(self, waiter: Waiter) -> None:
        """Take back what is noted of a wait."""
        self._new.pop(waiter.token, None)
        waiter.note = None

    def _look_later(self) -> None:
        self._is_looking = True

    def _look(self) -> None:
        """Note the waits that last, and look again later if there are others."""
        now = monotonic()
        for token, (its_waiter, its_task, obj, event, since) in list(self._new.items()):
            if now - since < _NOTED_AFTER:
                break  # and so did those that began after it
            del self._new[token]
            waiter, task = its_waiter(), its_task()
            if waiter is not None and task is not None:
                with suppress(CourtyardError):  # it is closed: the task learns that by itself
                    serial = serial_of(task)
                    waiter.note = _native.note_wait(obj, event, now - since, serial, task)
        self._is_looking = False
        if self._new:
            self._look_later()

    def register(self, obj: Any, waiter: Waiter, event: int | None) -> _native.Registration:
        """Have a change of an object wake a task; the caller looks at the object after this."""
        self._sleepers[waiter.token] = waiter
        return self.listener.register(obj, waiter.token, event)

    def forget(self, waiter: Waiter) -> None:
        self._sleepers.pop(waiter.token, None)

    def deliver(self) -> None:
        """Wake those whose tokens have come."""
        for token in self.listener.take():
            waiter = self._sleepers.get(token)
            if waiter is not None:
                waiter.wake()

    def watching(self, file: Any, waiter: Waiter) -> AbstractContextManager[None]:
        """Wake a task while a descriptor is readable; it is closed in the end."""
        raise NotImplementedError

    async def checkpoint(self, *, shielded: bool = False) -> None:
        """Let other tasks run, where the library wants that of each call."""

    async def shielded(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call something that ends whatever cancels the task; the cancellation comes after it."""
        raise NotImplementedError


class _AsyncioWaiter:
    __slots__ = ("__weakref__", "_cancels", "_future", "_is_woken", "note", "token")

    def __init__(self, token: int, cancels: list[Any] | None) -> None:
        self.token = token
        # Where a shielded call keeps what cancelled it: it stays in line.
        self._cancels = cancels
        self._future: Any = None
        self._is_woken = False
        self.note: object = None

    def wake(self) -> None:
        self._is_woken = True
        future = self._future
        if future is not None and not future.done() and not future.get_loop().is_closed():
            future.set_result(None)

    async def sleep(self, timeout: float | None) -> None:
        if not self._is_woken:
            loop = sys.modules["asyncio"].get_running_loop()
            self._future = loop.create_future()
            timer = None if timeout is None else loop.call_later(timeout, self.wake)
            try:
                await self._future
            except sys.modules["asyncio"].CancelledError as error:
                if self._cancels is None:
                    raise
                self._cancels.append(error)
            finally:
                self._future = None
                if timer is not None:
                    timer.cancel()
        self._is_woken = False


class _AsyncioLoop(Loop):
    def __init__(self, loop: Any) -> None:
        super().__init__()
        self._shielded: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()  # by task
        loop.add_reader(self.listener.fileno(), self.deliver)

    def waiter(self) -> Waiter:
        cancels = None
        if self._shielded:
            cancels = self._shielded.get(sys.modules["asyncio"].current_task())
        return _AsyncioWaiter(next(self._numbers), cancels)

    def task(self) -> Any:
        return sys.modules["asyncio"].current_task()

    def _look_later(self) -> None:
        super()._look_later()
        sys.modules["asyncio"].get_running_loop().call_later(_NOTED_AFTER, self._look)

    @contextmanager
    def watching(self, file: Any, waiter: Waiter) -> Iterator[None]:
        loop = sys.modules["asyncio"].get_running_loop()
        with file:
            loop.add_reader(file.fileno(), waiter.wake)
            try:
                yield
            finally:
                loop.remove_reader(file.fileno())

    async def shielded(self, call: Callable[[], Awaitable[Any]]) -> Any:
        task = sys.modules["asyncio"].current_task()
        cancels = self._shielded[task] = []
        try:
            result = await call()
        finally:
            del self._shielded[task]
        if cancels:
            raise cancels[-1]
        return result


class _TrioWaiter:
    __slots__ = ("__weakref__", "_is_woken", "_task", "_trio", "note", "token")

    def __init__(self, token: int, trio: Any) -> None:
        self.token = token
        self._trio = trio
        self._task: Any = None
        self._is_woken = False
        self.note: object = None

    def wake(self) -> None:
        self._is_woken = True
        task, self._task = self._task, None
        if task is not None:
            self._trio.lowlevel.reschedule(task)

    async def sleep(self, timeout: float | None) -> None:
        trio = self._trio
        if timeout is None:
            await self._sleep()
        else:
            with trio.move_on_after(max(0, timeout)):
                await self._sleep()

    async def _sleep(self) -> None:
        def abort(_raise: Any) -> Any:
            self._task = None
            return self._trio.lowlevel.Abort.SUCCEEDED

        if self._is_woken:
            await self._trio.lowlevel.checkpoint()
        else:
            self._task = self._trio.lowlevel.current_task()
            await self._trio.lowlevel.wait_task_rescheduled(abort)
        self._is_woken = False


class _TrioLoop(Loop):
    has_checkpoints = True

    def __init__(self, trio: Any) -> None:
        super().__init__()
        self._trio = trio
        trio.lowlevel.spawn_system_task(self._run, name="courtyard waits")

    async def _run(self) -> None:
        while True:
            await self._trio.lowlevel.wait_readable(self.listener.fileno())
            self.deliver()

    def waiter(self) -> Waiter:
        return _TrioWaiter(next(self._numbers), self._trio)

    def task(self) -> Any:
        return self._trio.lowlevel.current_task()

    def _look_later(self) -> None:
        async def look() -> None:
            await self._trio.sleep(_NOTED_AFTER)
            self._look()

        super()._look_later()
        with suppress(RuntimeError):  # the run ends, and begins no tasks any more
            self._trio.lowlevel.spawn_system_task(look, name="courtyard notes")

    @contextmanager
    def watching(self, file: Any, waiter: Waiter) -> Iterator[None]:
        trio = self._trio

        async def run() -> None:
            with file, scope:
                while True:
                    await trio.lowlevel.wait_readable(file.fileno())
                    waiter.wake()
                    await trio.sleep(_PAUSE)  # it stays readable until it is looked at

        scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(run, name="courtyard descriptors")
        try:
            yield
        finally:
            scope.cancel()

    async def checkpoint(self, *, shielded: bool = False) -> None:
        lowlevel = self._trio.lowlevel
        await (lowlevel.cancel_shielded_checkpoint if shielded else lowlevel.checkpoint)()

    async def shielded(self, call: Callable[[], Awaitable[Any]]) -> Any:
        with self._trio.CancelScope(shield=True):
            return await call()


# By the loop of asyncio, or the root task of trio; and the serials of tasks that own locks.
_loops: WeakKeyDictionary[Any, Loop] = WeakKeyDictionary()
_owners: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def _forget_parent() -> None:
    _loops.clear()
    _owners.clear()


os.register_at_fork(after_in_child=_forget_parent)


def _trio() -> Any:
    """Return the module trio, if this is a task of its."""
    trio = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        trio.lowlevel.current_task()
    except (RuntimeError, AttributeError):  # none, or it is only being imported
        return None
    return trio


def current() -> Loop:
    """Return the event loop that this runs in. Raises RuntimeError outside of one."""
    trio = _trio()
    if trio is not None:
        key = trio.lowlevel.current_root_task()
        loop = _loops.get(key)
        return _loops.setdefault(key, _TrioLoop(trio)) if loop is None else loop
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        raise RuntimeError("no event loop of asyncio or trio is running here; await this in a task")
    key = asyncio.get_running_loop()
    loop = _loops.get(key)
    return _loops.setdefault(key, _AsyncioLoop(key)) if loop is None else loop


def current_task() -> Any:
    """Return the task that runs. Raises RuntimeError if none does."""
    trio = _trio()
    task = sys.modules["asyncio"].current_task() if trio is None else trio.lowlevel.current_task()
    if task is None:
        raise RuntimeError("no task is running here; a lock is acquired and released by a task")
    return task


def serial_of(task: Any) -> int:
    """Return the serial by which a task owns locks."""
    serial = _owners.get(task)
    return _owners.setdefault(task, _native.new_owner()) if serial is None else serial


def owner() -> int:
    """Return the serial by which the current task owns locks."""
    return serial_of(current_task())


def is_owner_here(serial: int) -> bool:
    """Say whether a task of the loop that runs in this thread owns locks by a serial."""
    trio = _trio()
    owners = [task for task, known in list(_owners.items()) if known == serial]
    if trio is not None:
        root = trio.lowlevel.current_root_task()
        return any(_root_of(task) is root for task in owners)
    running = sys.modules["asyncio"]._get_running_loop() if "asyncio" in sys.modules else None
    if running is None:
        return False
    return any(hasattr(task, "get_loop") and task.get_loop() is running for task in owners)


def _root_of(task: Any) -> Any:
    """Return the task of trio above all others of its run; one that has ended is its own."""
    while getattr(task, "parent_nursery", None) is not None:
        task = task.parent_nursery.parent_task
    return task


def has_checkpoints() -> bool:
    """Say whether this runs in a loop where each call lets others run."""
    return _trio() is not None

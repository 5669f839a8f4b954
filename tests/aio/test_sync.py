"""Locks, semaphores and events as tasks use them."""

import multiprocessing
import os
import signal
import time
from math import nan
from multiprocessing.context import BaseContext
from typing import Any

import anyio
import pytest

import courtyard as cy
from tests.support.children import fork, join, start
from tests.support.loop import Run, assert_no_waits, blocked, tasks

LOCKS: dict[str, Any] = {"Lock": cy.Lock, "RLock": cy.RLock, "Semaphore": lambda: cy.Semaphore(1)}
locks = pytest.mark.parametrize("name", list(LOCKS))

# -- locks


@locks
def test_a_lock_excludes_tasks(run: Run, name: str) -> None:
    """Each turn is read and written with a wait between."""
    lock, count = LOCKS[name](), 0

    async def work() -> None:
        nonlocal count
        for _ in range(20):
            async with lock.aio:
                before = count
                await anyio.sleep(0)
                count = before + 1

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(work)

    run(main)
    assert count == 160
    assert_no_waits()


def add(backend: str, lock: Any, count: Any, times: int) -> None:
    from tests.support.loop import run

    async def work() -> None:
        for _ in range(times):
            async with lock.aio:
                before = count.value
                await anyio.sleep(0)
                count.value = before + 1

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(work)

    run(backend, main)


@locks
def test_a_lock_excludes_tasks_of_processes(ctx: BaseContext, backend: str, name: str) -> None:
    lock, count = LOCKS[name](), cy.RawValue("i")
    children = [start(ctx, add, backend, lock, count, 20) for _ in range(2)]
    add(backend, lock, count, 20)
    join(*children)
    assert count.value == 180


@locks
def test_what_acquire_returns_and_raises(run: Run, name: str) -> None:
    lock, free = LOCKS[name](), LOCKS[name]()
    cases: list[tuple[Any, ...]] = [
        (False,),
        (False, 1),
        (True, 0),
        (True, -5),
        (True, nan),
        (True, 0.02),
        (True, 1e-9),
    ]

    async def here_it_is(arguments: Any) -> Any:
        try:
            return await lock.aio.acquire(*arguments)
        except Exception as error:
            return type(error), str(error)

    def there_it_is(arguments: Any) -> Any:
        try:
            return lock.acquire(*arguments)
        except Exception as error:
            return type(error), str(error)

    async def hold() -> None:
        async with lock.aio:
            await anyio.sleep(60)

    async def main() -> None:
        async with tasks() as waiting:
            await waiting.start(hold)
            for arguments in cases:
                here = await here_it_is(arguments)
                # In a thread: where it would hold up the very task that has the lock, it raises.
                there = await anyio.to_thread.run_sync(there_it_is, arguments)
                assert here == there, arguments
        for arguments in ((), (True, None), (True, 5), (False,)):
            if name != "Semaphore" and arguments == (True, None):
                arguments = (True, -1)
            assert await free.aio.acquire(*arguments) is True
            await free.aio.release()

    run(main)


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_who_may_release(run: Run, name: str) -> None:
    lock: Any = LOCKS[name]()

    async def release() -> None:
        await lock.aio.release()

    async def main() -> None:
        assert not await lock.aio.locked()
        with pytest.raises(RuntimeError):
            await lock.aio.release()
        await lock.aio.acquire()
        assert await lock.aio.locked() and lock.locked()
        async with tasks() as others:
            await others.start(release)
            if name == "Lock":
                assert others.results == {0: None} and not lock.locked()
            else:
                assert isinstance(others.results[0], RuntimeError) and lock.locked()
                # Nor may the thread, which is another owner than its tasks.
                with pytest.raises(RuntimeError):
                    lock.release()
                assert await anyio.to_thread.run_sync(lock.acquire, True, 0.01) is False
                await lock.aio.release()
        assert not lock.locked()

    run(main)


def test_the_owner_of_a_recursive_lock_is_the_task(run: Run) -> None:
    lock = cy.RLock()

    async def main() -> None:
        async with tasks() as others:
            assert await lock.aio.acquire() and await lock.aio.acquire()
            await others.start(lock.aio.acquire)
            assert not others.results
            # It is no deadlock that others stand in line.
            with anyio.fail_after(20):
                assert await lock.aio.acquire() and await lock.aio.acquire(timeout=5)
                async with lock.aio:
                    pass
            await others.start(lambda: lock.aio.acquire(False))
            assert others.results == {1: False}
            for _ in range(3):
                await lock.aio.release()
                await blocked()
                assert len(others.results) == 1
            await lock.aio.release()
            await others.ended(2)
            assert others.results == {1: False, 0: True}
            assert lock.locked()  # of a task that has ended

    run(main)


def hold(lock: Any, held: Any) -> None:
    lock.acquire()
    held.increment()
    time.sleep(60)


@locks
def test_what_a_killed_process_held_comes_to_a_task(run: Run, name: str) -> None:
    lock, held = LOCKS[name](), cy.RawValue("i")
    child = fork(hold, lock, held)
    assert held.wait_for(1, 30)

    async def main() -> None:
        async with tasks() as waiting:

            async def work() -> bool:
                async with lock.aio:
                    return name == "Semaphore" or bool(lock.aio.recovered)

            await waiting.start(work)
            await waiting.start(work)
            assert not waiting.results
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            await waiting.ended(2)
            assert waiting.results[0] is True

    run(main)
    assert lock.acquire(timeout=5)
    lock.release()
    lock.check()
    assert_no_waits()


def acquire_and_die(backend: str, lock: Any, held: Any) -> None:
    from tests.support.loop import run

    async def work() -> None:
        async with lock.aio:
            held.increment()
            await anyio.sleep(60)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(work)

    run(backend, main)


@locks
def test_a_process_is_killed_in_which_a_task_holds_it_and_others_wait(
    run: Run, backend: str, name: str
) -> None:
    lock, held = LOCKS[name](), cy.RawValue("i")
    child = start(multiprocessing.get_context("fork"), acquire_and_die, backend, lock, held)
    assert held.wait_for(1, 30)

    async def main() -> None:
        async with tasks() as waiting:
            await waiting.start(lock.aio.acquire)
            child.kill()
            await waiting.ended(1)
            assert waiting.results == {0: True}
            if name != "Semaphore":
                assert lock.locked()

    run(main)
    child.join(10)
    lock.check()


# -- semaphores


def test_permits(run: Run) -> None:
    permits = cy.Semaphore(2)

    async def main() -> None:
        async with permits.aio, permits.aio:
            assert await permits.aio.get_value() == 0
            assert await permits.aio.acquire(False) is False
            async with tasks() as waiting:
                for _ in range(3):
                    await waiting.start(permits.aio.acquire)
                await permits.aio.release(2)
                await waiting.ended(2)
                await blocked()
                assert waiting.results == {0: True, 1: True}
                await permits.aio.release()
                await waiting.ended(3)
            await permits.aio.release(3)
            assert await permits.aio.get_value() == 3
        assert await permits.aio.get_value() == 5

    run(main)


def test_a_bounded_semaphore_is_bounded(run: Run) -> None:
    permits = cy.BoundedSemaphore(1)

    async def main() -> None:
        with pytest.raises(ValueError):
            await permits.aio.release()
        async with permits.aio:
            assert await permits.aio.get_value() == 0
        with pytest.raises(ValueError):
            await permits.aio.release()

    run(main)


def test_what_a_trio_call_does_that_is_cancelled_before(run: Run) -> None:
    lock, permits = cy.Lock(), cy.Semaphore(1)

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        for call in (lock.aio.acquire, permits.aio.acquire):
            for arguments in ((False,), (True, 0), (), (True, 5)):
                returned = None
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    returned = await call(*arguments)
                # It was cancelled and did nothing, or has returned.
                assert (returned is True) == (lock.locked() or permits.get_value() == 0), arguments
                if lock.locked():
                    lock.release()
                if permits.get_value() == 0:
                    permits.release()

    run(main)


# -- events


def test_an_event_that_is_set_and_cleared_at_once_wakes_all(run: Run, ctx: BaseContext) -> None:
    flag, go = cy.Event(), cy.Value("i")
    child = start(ctx, flash, flag, go, 5)

    async def main() -> None:
        for turn in range(1, 6):
            while go.value != 1 - turn:  # cleared
                await anyio.sleep(0.002)
            async with tasks() as waiting:
                for _ in range(5):
                    await waiting.start(flag.aio.wait)
                assert not waiting.results
                go.value = turn
                await waiting.ended(5)
                assert set(waiting.results.values()) == {True}

    run(main)
    join(child)  # the tasks may return before the last clear()
    assert not flag.is_set()
    assert_no_waits()


def flash(flag: Any, go: Any, turns: int) -> None:
    for turn in range(1, turns + 1):
        assert go.wait_for(turn, 30)
        flag.set()
        flag.clear()
        go.value = -turn


def test_an_event_and_its_timeouts(run: Run) -> None:
    flag = cy.Event()

    async def main() -> None:
        for timeout in (0, -1, 0.02):
            assert await flag.aio.wait(timeout) is False
        with pytest.raises(ValueError, match="NaN"):
            await flag.aio.wait(nan)
        await flag.aio.set()
        assert await flag.aio.is_set()
        for seconds in (None, 0, -1, 5):
            assert await flag.aio.wait(seconds) is True
        await flag.aio.clear()
        began = time.monotonic()
        assert await flag.aio.wait(0.1) is False
        assert time.monotonic() - began >= 0.1

    run(main)
    assert_no_waits()

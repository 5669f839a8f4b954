"""Conditions as tasks use them."""

import multiprocessing
import time
from math import nan
from typing import Any

import anyio
import pytest

import courtyard as cy
from tests.support.children import join, start
from tests.support.loop import Run, Tasks, assert_no_waits, blocked, tasks

MAKES: dict[str, Any] = {"RLock": cy.Condition, "Lock": lambda: cy.Condition(cy.Lock())}
makes = pytest.mark.parametrize("name", list(MAKES))


async def wait(condition: Any, timeout: float | None = None) -> Any:
    """Wait for a notification within the lock."""
    async with condition.aio:
        return await condition.aio.wait(timeout)


async def notify(condition: Any, count: int = 1) -> None:
    async with condition.aio:
        await condition.aio.notify(count)


async def waiters(waiting: Tasks, condition: Any, count: int) -> None:
    for _ in range(count):
        await waiting.start(lambda: wait(condition))


@makes
def test_a_notification_wakes_as_many_as_it_says(run: Run, name: str) -> None:
    condition = MAKES[name]()

    async def main() -> None:
        async with tasks() as waiting:
            await waiters(waiting, condition, 6)
            await notify(condition, 2)
            await waiting.ended(2)
            await notify(condition)
            await waiting.ended(3)
            await blocked()
            assert len(waiting.results) == 3
            async with condition.aio:
                await condition.aio.notify_all()
            await waiting.ended(6)
            assert set(waiting.results.values()) == {True}
        assert await condition.aio.locked() is False

    run(main)
    condition.check()
    assert_no_waits()


@makes
def test_who_does_not_hold_the_lock_may_not(run: Run, name: str) -> None:
    condition = MAKES[name]()

    async def main() -> None:
        for call in (condition.aio.wait, condition.aio.notify, condition.aio.notify_all):
            with pytest.raises(RuntimeError, match="un-acquired"):
                await call()
        with pytest.raises(RuntimeError):
            await condition.aio.release()
        async with tasks() as others, condition.aio:
            if name == "RLock":
                await others.start(condition.aio.wait)
                assert isinstance(others.results[0], RuntimeError)
        assert await condition.aio.acquire(False) is True
        await condition.aio.release()

    run(main)


@makes
def test_a_timeout_ends_a_wait_with_the_lock_held(run: Run, name: str) -> None:
    condition = MAKES[name]()

    async def main() -> None:
        async with condition.aio:
            for timeout in (0, -1, 0.02):
                assert await condition.aio.wait(timeout) is False
                assert condition.locked()
            with pytest.raises(ValueError, match="NaN"):
                await condition.aio.wait(nan)
            assert condition.locked()
            assert await condition.aio.wait_for(lambda: 0, 0.02) == 0
            assert await condition.aio.wait_for(lambda: "yes") == "yes"
        assert not condition.locked()
        # No place in line is left that could catch a notification.
        async with tasks() as waiting:
            await waiters(waiting, condition, 1)
            await notify(condition)
            await waiting.ended(1)

    run(main)
    assert_no_waits()


def test_a_lock_held_several_times_is_held_so_again(run: Run) -> None:
    condition = cy.Condition()

    async def main() -> None:
        async with tasks() as waiting:

            async def work() -> None:
                async with condition.aio, condition.aio, condition.aio:
                    assert await condition.aio.wait() is True
                    for _ in range(2):
                        await condition.aio.release()
                        assert condition.locked()
                    for _ in range(2):
                        await condition.aio.acquire()
                assert not condition.locked()

            await waiting.start(work)
            assert not condition.locked()
            await notify(condition)
            await waiting.ended(1)
            assert waiting.results == {0: None}

    run(main)


@makes
def test_it_is_cancelled_while_it_waits(run: Run, name: str) -> None:
    condition = MAKES[name]()
    held = []

    async def main() -> None:
        async with tasks() as waiting:

            async def work() -> None:
                async with condition.aio:
                    try:
                        await condition.aio.wait()
                    finally:
                        held.append(condition.locked())

            await waiting.start(work)
            await waiters(waiting, condition, 1)
            waiting.scopes[0].cancel()
            await blocked()
            assert held == [True] and not condition.locked()
            await notify(condition)
            await waiting.ended(1)
            assert waiting.results == {1: True}

    run(main)
    assert_no_waits()


@makes
def test_the_notification_of_one_that_is_cancelled_goes_to_another(run: Run, name: str) -> None:
    condition = MAKES[name]()

    async def main() -> None:
        async with tasks() as waiting:
            await waiters(waiting, condition, 2)
            async with condition.aio:
                await condition.aio.notify()
                waiting.scopes[0].cancel()
            await waiting.ended(1)
            await blocked()
            # On trio it may have been late: the call has returned.
            assert waiting.results in ({1: True}, {0: True})
            if 0 in waiting.results:
                await notify(condition)
                await waiting.ended(2)

    run(main)
    assert condition._waiters == 0
    assert_no_waits()


@makes
def test_it_is_cancelled_while_it_takes_the_lock_again(run: Run, name: str) -> None:
    """It does so when it has the lock; its notification goes to another, if it does not return."""
    condition = MAKES[name]()
    held = []

    async def main() -> None:
        async with tasks() as waiting:

            async def work() -> None:
                async with condition.aio:
                    try:
                        await condition.aio.wait()
                    finally:
                        held.append(condition.locked())

            await waiting.start(work)
            await waiters(waiting, condition, 1)
            async with condition.aio:
                await condition.aio.notify()
                await anyio.sleep(0.1)  # it tries to take the lock
                waiting.scopes[0].cancel()
                await anyio.sleep(0.1)
                assert not held and not waiting.results
            await waiting.ended(1)
            while not held:
                await anyio.sleep(0.002)
            await blocked()
            assert held == [True] and len(waiting.results) == 1
        assert not condition.locked()

    run(main)
    assert_no_waits()


@makes
def test_the_loop_sleeps_while_a_cancelled_waiter_takes_the_lock_again(name: str) -> None:
    import asyncio

    condition = MAKES[name]()

    async def main() -> None:
        task = asyncio.create_task(wait(condition))
        await asyncio.sleep(0.1)
        async with condition.aio:
            task.cancel()
            before = time.thread_time()
            await asyncio.sleep(1)
            used = time.thread_time() - before
            assert not task.done()
        assert used < 0.1, used
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not condition.locked()


def play(condition: Any, ball: Any, mine: int, rounds: int, backend: str) -> None:
    from tests.support.loop import run

    async def main() -> None:
        for turn in range(mine, 2 * rounds, 2):
            async with condition.aio:
                await condition.aio.wait_for(lambda turn=turn: ball.value == turn)
                ball.value += 1
                await condition.aio.notify()

    run(backend, main)


@makes
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_processes_play(backend: str, method: str, name: str) -> None:
    condition, ball = MAKES[name](), cy.RawValue("i")
    child = start(multiprocessing.get_context(method), play, condition, ball, 1, 60, backend)
    play(condition, ball, 0, 60, backend)
    join(child)
    assert ball.value == 120
    condition.check()


@makes
def test_a_thread_and_a_task_play(run: Run, name: str) -> None:
    condition, ball = MAKES[name](), cy.RawValue("i")

    def thread() -> None:
        for turn in range(1, 100, 2):
            with condition:
                assert condition.wait_for(lambda turn=turn: ball.value == turn, 30)
                ball.value += 1
                condition.notify()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, thread)
            for turn in range(0, 100, 2):
                async with condition.aio:
                    await condition.aio.wait_for(lambda turn=turn: ball.value == turn)
                    ball.value += 1
                    await condition.aio.notify()

    run(main)
    assert ball.value == 100

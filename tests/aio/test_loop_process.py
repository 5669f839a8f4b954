"""Loops in several threads, in forked processes and in processes that are killed."""

import gc
import os
import signal
import threading
import time
from typing import Any

import anyio
import pytest

import courtyard as cy
from courtyard import _native
from tests.support import loop
from tests.support.children import fork, kill
from tests.support.forking import ended
from tests.support.loop import BACKENDS, assert_no_waits, blocked, run, tasks


def test_two_loops_in_two_threads(backend: str) -> None:
    there, back = cy.Queue[int](), cy.Queue[int]()
    rounds = 200

    async def serve() -> None:
        for number in range(rounds):
            assert await there.aio.get() == number
            await back.aio.put(number)

    async def ask() -> None:
        for number in range(rounds):
            await there.aio.put(number)
            assert await back.aio.get() == number

    errors: list[BaseException] = []

    def thread() -> None:
        try:
            run(backend, serve)
        except BaseException as error:
            errors.append(error)

    other = threading.Thread(target=thread)
    other.start()
    run(backend, ask)
    other.join(30)
    assert not errors and not other.is_alive()
    assert_no_waits()


@pytest.mark.parametrize("child_backend", list(BACKENDS))
def test_a_fork_beside_a_loop_that_waits(backend: str, child_backend: str) -> None:
    """The child has loops, waits and a thread of its own; those of the parent go on."""
    mine, theirs, ready = cy.Queue[int](), cy.Queue[int](), cy.RawValue("i")
    got: list[int] = []

    async def parent() -> None:
        for _ in range(2):
            got.append(await mine.aio.get())

    def child() -> None:
        assert _native.waits() == (0, 0)

        async def main() -> None:
            async with tasks() as waiting:
                for _ in range(3):
                    await waiting.start(theirs.aio.get)
                assert _native.waits() == (1, 1)
                ready.value = 1
                await waiting.ended(3)
                assert waiting.results == {0: 0, 1: 1, 2: 2}

        run(child_backend, main)
        assert_no_waits()

    thread = threading.Thread(target=lambda: run(backend, parent))
    thread.start()
    try:
        while _native.waits()[1] < 1:
            time.sleep(0.001)
        pid = fork(child)
        mine.put(1)
        assert ready.wait_for(1, 30)
        for number in range(3):
            theirs.put(number)
        assert ended(pid) == 0
    finally:
        mine.put(2)
        mine.put(3)
        thread.join(30)
    assert got[:1] == [1] and not thread.is_alive()
    assert_no_waits()


@pytest.mark.parametrize("kind", loop.ASYNCIO)
def test_a_task_forks(kind: str) -> None:
    """In the child the parent's waits are none of its own, also when it throws them away."""
    q, other = cy.Queue[int](), cy.Queue[int]()

    def child() -> None:
        async def main() -> None:
            async with tasks() as waiting:
                await waiting.start(other.aio.get)
                other.put(5)
                await waiting.ended(1)
                assert waiting.results == {0: 5}

        thread = threading.Thread(target=lambda: run("asyncio", main))
        thread.start()
        thread.join(30)
        assert not thread.is_alive() and q.qsize() == 0
        gc.collect()

    async def main() -> None:
        async with tasks() as waiting:
            for _ in range(3):
                await waiting.start(q.aio.get)
            pid = fork(child)
            while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                await anyio.sleep(0.01)
            assert ended(pid) == 0
            for number in range(3):
                q.put(number)
            await waiting.ended(3)
            assert waiting.results == {0: 0, 1: 1, 2: 2}

    run(kind, main)
    assert_no_waits()


# -- kills


def crowd(backend: str, objects: Any, ready: Any) -> None:
    """Wait in hundreds of tasks, some of which hold what others want."""
    q, lock, permits, flag, condition = objects

    async def wait_for_it() -> None:
        async with condition.aio:
            await condition.aio.wait()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            await permits.aio.acquire()
            await lock.aio.acquire()
            calls = (q.aio.get, lock.aio.acquire, permits.aio.acquire, flag.aio.wait, wait_for_it)
            for number in range(400):
                group.start_soon(calls[number % len(calls)])
            await blocked()
            await anyio.sleep(0.2)
            ready.increment()

    run(backend, main)


def test_a_process_is_killed_with_hundreds_of_waits(backend: str) -> None:
    q, lock, permits, flag = cy.Queue[int](), cy.Lock(), cy.Semaphore(1), cy.Event()
    condition, ready = cy.Condition(), cy.RawValue("i")
    objects = (q, lock, permits, flag, condition)
    for turn in range(1, 4):
        child = fork(crowd, backend, objects, ready)
        assert ready.wait_for(turn, 60)

        async def main(child: int = child, turn: int = turn) -> None:
            async with tasks() as waiting:
                for call in (q.aio.get, lock.aio.acquire, permits.aio.acquire, flag.aio.wait):
                    await waiting.start(call)

                async def wait_for_it() -> Any:
                    async with condition.aio:
                        return await condition.aio.wait()

                await waiting.start(wait_for_it)
                kill(child)
                q.put(turn)
                flag.set()
                await waiting.ended(4)
                async with condition.aio:
                    await condition.aio.notify()
                await waiting.ended(5)
                assert waiting.results == {0: turn, 1: True, 2: True, 3: True, 4: True}
                assert lock.aio.recovered
            flag.clear()
            await lock.aio.release()
            await permits.aio.release()

        run(backend, main)
        for obj in objects:
            statistics = obj.statistics()
            assert statistics.waiters == () and child not in statistics.participants
            obj.check()
        assert permits.get_value() == 1 and q.qsize() == 0
        assert condition._waiters == 0
    assert_no_waits()


def test_a_stopped_process_with_waits_holds_nobody_up(backend: str) -> None:
    q, ready = cy.Queue[int](), cy.RawValue("i")

    def wait() -> None:
        async def main() -> None:
            ready.value = 1
            await q.aio.get()

        run(backend, main)

    child = fork(wait)
    assert ready.wait_for(1, 30)
    time.sleep(0.1)
    os.kill(child, signal.SIGSTOP)
    try:

        async def main() -> None:
            async with tasks() as waiting:
                for number in range(20):
                    await waiting.start(q.aio.get)
                    q.put(number)
                    await waiting.ended(number + 1)

        run(backend, main)
    finally:
        os.kill(child, signal.SIGCONT)
        kill(child)
    q.check()

"""What a loop has: one descriptor, and a thread for all loops of a process."""

import gc
import sys
from typing import Any

import anyio

import courtyard as cy
from courtyard import _native
from tests.aio.program import script
from tests.support.children import run_command
from tests.support.loop import Run, assert_no_waits, blocked, tasks


def test_a_program_without_tasks_has_nothing_of_it() -> None:
    program = """
import os, sys, threading
before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
import courtyard as cy
from courtyard import _native
q, d, lock = cy.Queue(), cy.Dict(), cy.Lock()
kept = len(os.listdir("/proc/self/fd"))
def work():
    for n in range(10):
        with lock:
            q.put(n)
            d[n] = q.get(timeout=5)
thread = threading.Thread(target=work)
thread.start()
work()
thread.join()
q.aio, lock.aio
assert _native.waits() == (0, 0)
assert len(os.listdir("/proc/self/task")) == before[1]
assert len(os.listdir("/proc/self/fd")) == kept
assert not {"asyncio", "trio", "anyio"} & set(sys.modules)
"""
    result = run_command([sys.executable, "-X", "dev", "-W", "error", "-c", program])
    assert result.stderr == ""


def test_a_loop_has_one_descriptor_and_the_process_one_thread(backend: str) -> None:
    script(
        backend,
        """
queues = [cy.Queue() for _ in range(50)]
lock, flag = cy.Lock(), cy.Event()
def counted():
    return descriptors(), threads(), _native.waits()
async def main():
    files, running, (there, waits) = counted()
    assert (there, waits) == (0, 0)
    async with tasks() as waiting:
        for q in queues:
            await waiting.start(q.aio.get)
        await lock.aio.acquire()
        await waiting.start(lock.aio.acquire)
        await waiting.start(flag.aio.wait)
        assert counted() == (files + 1, running + 1, (1, 52)), (files, running, counted())
    assert _native.waits() == (1, 0)
run(backend, main)
assert _native.waits() == (1, 0)
""",
    )


def test_a_thousand_short_loops_leave_nothing(backend: str) -> None:
    script(
        backend,
        """
q, lock = cy.Queue(), cy.Lock()
async def main():
    with anyio.move_on_after(0.0005):
        await q.aio.get()
    async with lock.aio:
        async with anyio.create_task_group() as group:
            group.start_soon(lock.aio.acquire)
            await anyio.sleep(0)
            await anyio.sleep(0)
            group.cancel_scope.cancel()
counts = []
for turn in range(1000):
    run(backend, main)
    if turn in (9, 999):
        gc.collect()
        counts.append((descriptors(), threads(), _native.waits()))
assert counts[0] == counts[1], counts
from courtyard.aio import _loop, _wait
assert not _wait.lines and len(_loop._loops) <= 1, (_wait.lines, len(_loop._loops))
""",
    )


def test_each_of_many_tasks_is_woken_by_its_own_change(run: Run) -> None:
    count = 2000
    values = [cy.Queue[int]() for _ in range(count)]
    woken: list[int] = []
    threads = max(1, _native.waits()[0])  # a test before this one may have needed two

    async def main() -> None:
        async def wait(number: int) -> None:
            assert await values[number].aio.get() == number
            woken.append(number)

        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(wait, number)
            while _native.waits()[1] < count:
                await anyio.sleep(0.01)
            assert _native.waits()[0] <= threads
            for number in (7, 1999, 0):
                values[number].put(number)
                while len(woken) < 1:
                    await anyio.sleep(0.001)
                assert woken == [number] and _native.waits()[1] >= count - 3
                woken.clear()
            for number in range(count):
                if number not in (7, 1999, 0):
                    values[number].put(number)

    run(main)
    assert len(woken) == count - 3
    assert_no_waits()


def test_more_spaces_than_a_thread_sleeps_for(run: Run) -> None:
    spaces = [cy.Space() for _ in range(140)]
    queues = [space.Queue() for space in spaces]

    async def main() -> None:
        async with tasks() as waiting:
            for q in queues:
                waiting.group.start_soon(take, waiting, q, len(waiting.scopes))
                waiting.scopes.append(anyio.CancelScope())
            await blocked()
            for number, q in enumerate(queues):
                q.put(number)
            await waiting.ended(len(queues))
            assert waiting.results == {number: number for number in range(len(queues))}

    async def take(waiting: Any, q: Any, number: int) -> None:
        waiting.results[number] = await q.aio.get()

    run(main)
    assert_no_waits()


def test_a_space_ends_that_the_thread_knows(run: Run) -> None:
    kept = cy.Queue[int]()

    async def main() -> None:
        async with tasks() as waiting:
            await waiting.start(kept.aio.get)
            for turn in range(10):
                space = cy.Space()
                q = space.Queue()
                number = await waiting.start(q.aio.get)
                q.put(turn)
                await waiting.ended(number)
                assert waiting.results[number] == turn
                del q, space
                gc.collect()
            kept.put(1)
            await waiting.ended(11)

    run(main)
    assert_no_waits()


def test_a_named_space_is_destroyed_in_which_tasks_waited(run: Run, title: str) -> None:
    async def main() -> None:
        space = cy.Space(title)
        q = space.Queue()
        async with tasks() as waiting:
            await waiting.start(q.aio.get)
        cy.close(q)
        space.destroy(force=True)
        # Another of that name is one of its own.
        again = cy.Space(title)
        other = again.Queue()
        async with tasks() as waiting:
            await waiting.start(other.aio.get)
            other.put(1)
            await waiting.ended(1)

    run(main)
    assert_no_waits()

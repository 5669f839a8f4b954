"""People see which task holds a lock and which tasks wait, by their names."""

import time
from typing import Any

import anyio
import pytest

import courtyard as cy
from courtyard import _report
from tests.object.test_sharing import eventually
from tests.support.children import fork, kill
from tests.support.loop import Run
from tests.support.loop import run as run_in

NAMED = 42  # waits of a process that are noted


async def hold(obj: Any, ready: anyio.Event, done: anyio.Event) -> None:
    async with obj.aio.get_lock() if hasattr(obj, "get_lock") else obj.aio:
        ready.set()
        await done.wait()


async def noted(obj: Any, count: int = 1) -> None:
    with anyio.fail_after(30):
        while len(obj.statistics().waiters) < count:
            await anyio.sleep(0.01)


@pytest.mark.parametrize("kind", ["RLock", "Dict"])
def test_the_holder_and_those_who_wait_have_names(run: Run, kind: str, title: str) -> None:
    space = cy.Space(title)
    obj: Any = space.RLock() if kind == "RLock" else space.dict()
    queue = space.Queue()

    async def want() -> None:
        async with obj.aio if kind == "RLock" else obj.aio.get_lock():
            pass

    async def main() -> None:
        ready, done = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(hold, obj, ready, done, name="one who holds")
            await ready.wait()
            holder = obj.statistics().holder
            assert (holder.name, holder.is_task) == ("one who holds", True)
            for number in range(3):  # the second and third stand in line
                group.start_soon(want, name=f"one who waits {number}")
            group.start_soon(queue.aio.get, name="one who gets")
            await noted(obj, 3)
            await noted(queue)
            waiters = obj.statistics().waiters
            assert {waiter.name for waiter in waiters} == {f"one who waits {n}" for n in range(3)}
            assert all(waiter.is_task and 0.1 <= waiter.seconds < 30 for waiter in waiters)
            assert len({waiter.thread for waiter in waiters} | {holder.thread}) == 4
            (getter,) = queue.statistics().waiters
            assert getter.name == "one who gets"
            (process,) = _report.survey(space).processes
            assert [held.name for held in process.holds] == ["one who holds"]
            assert len(process.awaits) == 4
            queue.put(1)
            done.set()
        for of in (obj, queue):
            found = of.statistics()
            assert (found.holder, found.waiters) == (None, ())

    run(main)
    space.check()


def test_a_task_that_is_cancelled_waits_no_more(run: Run, title: str) -> None:
    queue = cy.Space(title).Queue()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(NAMED + 20):
                group.start_soon(queue.aio.get, name=f"task {number}")
            await noted(queue, NAMED)
            await anyio.sleep(0.3)
            waiters = queue.statistics().waiters
            assert len(waiters) == NAMED
            # A later one has taken the place of some of the names.
            named = [waiter.name for waiter in waiters if waiter.name is not None]
            assert len(named) == len(set(named)) == 32
            group.cancel_scope.cancel()
        assert queue.statistics().waiters == ()
        with anyio.move_on_after(0.3):
            await queue.aio.get()
        assert queue.statistics().waiters == ()

    run(main)


NAMES = {
    "x" * 200: "x" * 56,
    "é" * 27 + "xé": "é" * 27 + "x",
    "a\0b": "a",
    "\x1b[31m\n": "\x1b[31m\n",
    "\ud800": "\ufffd" * 3,
}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name(run: Run, name: str, title: str) -> None:
    lock = cy.Space(title).RLock()

    async def main() -> None:
        ready, done = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(hold, lock, ready, done, name=name)
            await ready.wait()
            found: Any = lock.statistics().holder
            assert (found.name, found.is_task) == (NAMES[name], True)
            done.set()

    run(main)


def test_names_end_with_their_process(backend: str, title: str) -> None:
    """Who gets the slot of a process that was killed has none of its names."""
    space = cy.Space(title)
    lock, queue, flag = space.RLock(), space.Queue(), space.Event()

    def child(name: str, is_named: bool) -> None:
        async def main() -> None:
            async with anyio.create_task_group() as group:
                for call in (lock.aio.acquire, queue.aio.get):
                    group.start_soon(call, name=name)
                    await anyio.sleep(0)
                flag.set()

        def threads() -> None:
            lock.acquire()
            flag.set()
            queue.get()

        if is_named:
            run_in(backend, main)
        else:
            threads()

    for name in ("first", "second", ""):
        process = fork(child, name, bool(name))
        assert flag.wait(30)
        assert eventually(lambda: len(queue.statistics().waiters) == 1)
        holder, (waiter,) = lock.statistics().holder, queue.statistics().waiters
        assert holder is not None and (holder.pid, waiter.pid) == (process, process)
        if name:
            assert (holder.name, waiter.name) == (name, name)
        else:
            assert (holder.name, holder.is_task, waiter.is_task) == ("MainThread", False, False)
        flag.clear()
        kill(process)
        assert eventually(lambda: lock.statistics().holder is None)
        assert queue.statistics().waiters == ()


def test_a_sleeping_loop_stays_asleep(run: Run, title: str) -> None:
    """What was noted is not looked at again."""
    queue = cy.Space(title).Queue()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(queue.aio.get)
            await noted(queue, NAMED)
            await anyio.sleep(0.3)
            before = time.process_time()
            await anyio.sleep(1)
            assert time.process_time() - before < 0.2
            group.cancel_scope.cancel()

    run(main)

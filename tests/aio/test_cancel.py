"""Tasks cancelled wherever they suspend, in several processes: nothing is lost or doubled.

Each process has a dozen tasks that use the same few objects, and one that cancels them at random
moments. COURTYARD_CANCELS says how many cancels there are in all.
"""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from queue import Empty, Full
from typing import Any

import anyio
import pytest

import courtyard as cy
from tests.support.children import fork, start
from tests.support.loop import BACKENDS, assert_no_waits, blocked, run, tasks

CANCELS = int(os.environ.get("COURTYARD_CANCELS", "3000"))
PROCESSES = 3
TASKS = 12
PERMITS = 2
LIMIT = 60 + CANCELS / 20

Call = Callable[["Worker"], Awaitable[None]]


class World:
    """What the processes share."""

    def __init__(self, maxsize: int) -> None:
        self.jobs: Any = cy.Queue(maxsize)
        self.done: Any = cy.Queue()
        self.lock, self.recursive = cy.Lock(), cy.RLock()
        self.permits = cy.BoundedSemaphore(PERMITS)
        self.condition = cy.Condition()
        self.flag = cy.Event()
        # How often the owners of locks counted, without any other guard than these.
        self.counts = [cy.RawValue("q") for _ in range(2)]
        self.inside = cy.Value("q")
        self.tokens = cy.RawValue("q")  # guarded by the condition
        self.ended = cy.Value("q")

    def objects(self) -> list[Any]:
        return [
            self.jobs,
            self.done,
            self.lock,
            self.recursive,
            self.permits,
            self.condition,
            self.flag,
        ]


class Worker:
    """The tasks of one loop, and what they did, as far as they know."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.chance = random.Random(number)
        self.serial = 0
        self.put: list[Any] = []
        self.got: list[Any] = []
        self.counted = [0, 0]
        self.given = self.taken = 0
        self.cancels = 0
        self.calls = {name: 0 for name in CALLS}

    # Each notes what it did in the step in which the awaited call returns: no cancel is between.

    async def put_one(self) -> None:
        self.serial += 1
        item = (self.number, self.serial)
        timeout = self.chance.choice([None, 0.002, 1])
        try:
            await self.world.jobs.aio.put(item, timeout=timeout)
        except Full:
            return
        self.put.append(item)

    async def get_one(self) -> None:
        timeout = self.chance.choice([None, 0.002, 1])
        try:
            item = await self.world.jobs.aio.get(timeout=timeout)
        except Empty:
            return
        self.got.append(item)
        self.world.jobs.task_done()

    async def get_some(self) -> None:
        items = await self.world.jobs.aio.get_many(3)
        self.got.extend(items)
        for _ in items:
            self.world.jobs.task_done()

    async def lease_one(self) -> None:
        async with (lease := self.world.jobs.aio.lease()) as item:
            await anyio.sleep(self.chance.choice([0, 0, 0.001]))
            if self.chance.random() < 0.2:
                await lease.requeue(self.chance.choice([0, 0.002]))
            else:
                lease.sync.drop()
                self.got.append(item)

    async def count(self) -> None:
        which = self.chance.randrange(2)
        lock: Any = (self.world.lock, self.world.recursive)[which]
        count = self.world.counts[which]
        if not await lock.aio.acquire(timeout=self.chance.choice([-1, 0.002, 1])):
            return
        try:
            if which and self.chance.random() < 0.3:
                async with lock.aio:
                    await anyio.sleep(0)
            before = count.value
            await anyio.sleep(self.chance.choice([0, 0.0005]))
            count.value = before + 1
            self.counted[which] += 1
        finally:
            with anyio.CancelScope(shield=True):
                await lock.aio.release()

    async def enter(self) -> None:
        async with self.world.permits.aio:
            try:
                assert self.world.inside.increment() <= PERMITS
                await anyio.sleep(self.chance.choice([0, 0.001]))
            finally:
                self.world.inside.increment(-1)

    async def give(self) -> None:
        condition = self.world.condition
        async with condition.aio:
            self.world.tokens.value += 1
            self.given += 1
            await condition.aio.notify()

    async def take(self) -> None:
        condition = self.world.condition
        async with condition.aio:
            while not self.world.tokens.value:
                await condition.aio.wait(self.chance.choice([None, 0.002, 1]))
            self.world.tokens.value -= 1
            self.taken += 1

    async def flash(self) -> None:
        if self.chance.random() < 0.3:
            self.world.flag.set()
            self.world.flag.clear()
        else:
            await self.world.flag.aio.wait(self.chance.choice([None, 0.002]))

    async def task(self, scopes: list[Any], place: int) -> None:
        """Make calls at random, each in a scope that another task may cancel at any moment."""
        while True:
            name = self.chance.choice(NAMES)
            with anyio.CancelScope() as scope:
                scopes[place] = scope
                await CALLS[name](self)
            scopes[place] = None
            self.calls[name] += 1
            self.cancels += scope.cancelled_caught
            if not scope.cancelled_caught:
                await anyio.sleep(0)

    async def main(self, cancels: int) -> None:
        scopes: list[Any] = [None] * TASKS
        async with anyio.create_task_group() as group:
            for place in range(TASKS):
                group.start_soon(self.task, scopes, place)
            # Those who wait for tokens and flags are many: nobody stands still for ever.
            while self.cancels < cancels:
                await anyio.sleep(self.chance.choice([0, 0, 0, 0.001]))
                scope = self.chance.choice(scopes)
                if scope is not None:
                    scope.cancel()
            group.cancel_scope.cancel()


CALLS: dict[str, Call] = {
    "put_one": Worker.put_one,
    "get_one": Worker.get_one,
    "get_some": Worker.get_some,
    "lease_one": Worker.lease_one,
    "count": Worker.count,
    "enter": Worker.enter,
    "give": Worker.give,
    "take": Worker.take,
    "flash": Worker.flash,
}
NAMES = ["put_one"] * 3 + list(CALLS)


def work(world: World, number: int, backend: str, cancels: int) -> None:
    worker = Worker(world, number)
    run(backend, worker.main, cancels)
    assert_no_waits()
    from courtyard.aio import _wait

    assert not _wait.lines
    assert len([name for name, calls in worker.calls.items() if calls]) >= len(CALLS) - 2
    world.done.put((worker.put, worker.got, worker.counted, worker.given, worker.taken))


@pytest.mark.limit(LIMIT + 60)
@pytest.mark.parametrize("maxsize", [0, 3])
@pytest.mark.parametrize("backend", [*BACKENDS, "all"])
def test_nothing_is_lost_by_cancels(backend: str, maxsize: int) -> None:
    world = World(maxsize)
    context = multiprocessing.get_context("fork")
    names = list(BACKENDS) if backend == "all" else [backend] * PROCESSES
    each = max(20, CANCELS // 8 // PROCESSES)
    children = [
        start(context, work, world, number, name, each) for number, name in enumerate(names)
    ]
    reports = [world.done.get(timeout=LIMIT) for _ in names]
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * len(names)

    put = sorted(item for report in reports for item in report[0])
    got = sorted(item for report in reports for item in report[1])
    time.sleep(0.01)  # what was put back for later is due
    left = world.jobs.get_many(len(put) + 1, timeout=1) if world.jobs.qsize() else []
    for _ in left:
        world.jobs.task_done()
    assert sorted(got + left) == put
    assert world.jobs.unfinished_tasks == 0
    assert world.permits.get_value() == PERMITS and world.inside.value == 0
    assert not world.lock.locked() and not world.recursive.locked()
    for which in range(2):
        assert world.counts[which].value == sum(report[2][which] for report in reports)
    given, taken = (sum(report[place] for report in reports) for place in (3, 4))
    assert world.tokens.value == given - taken
    assert not world.condition.locked() and world.condition._waiters == 0
    for obj in world.objects():
        assert obj.statistics().waiters == ()
        obj.check()


# -- each kind of call alone, where a lost wake would hang


@pytest.mark.parametrize("kind", ["get", "Semaphore", "Condition"])
def test_no_wake_is_lost_with_a_cancelled_waiter(backend: str, kind: str) -> None:
    """Another process gives turns to tasks that are cancelled all the time, and come again."""
    turns = 200
    q, permits, condition = cy.Queue[int](), cy.Semaphore(0), cy.Condition()
    tokens, waiting = cy.RawValue("i"), cy.RawValue("i")

    def give() -> None:
        for turn in range(turns):
            assert waiting.wait_for(1, 60)
            match kind:
                case "get":
                    q.put(turn)
                case "Semaphore":
                    permits.release()
                case _:
                    with condition:
                        tokens.value += 1
                        condition.notify()
            if turn % 7 == 0:
                time.sleep(0.002)

    async def take() -> None:
        match kind:
            case "get":
                await q.aio.get()
            case "Semaphore":
                await permits.aio.acquire()
            case _:
                async with condition.aio:
                    while not tokens.value:
                        await condition.aio.wait()
                    tokens.value -= 1

    async def main() -> None:
        chance, had = random.Random(1), 0

        async def stay() -> None:
            nonlocal had
            while had < turns:
                with anyio.CancelScope() as scope:
                    scopes.add(scope)
                    try:
                        await take()
                        had += 1
                    finally:
                        scopes.discard(scope)
                await anyio.sleep(0)

        scopes: set[anyio.CancelScope] = set()
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(stay)
            await blocked()
            waiting.value = 1
            while had < turns:
                await anyio.sleep(chance.choice([0, 0, 0.0005]))
                if scopes:
                    chance.choice(list(scopes)).cancel()
            group.cancel_scope.cancel()
        assert had == turns

    child = fork(give)
    try:
        run(backend, main)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        status = os.waitpid(child, 0)[1]
    assert status == 0
    assert q.qsize() == 0 and permits.get_value() == 0 and tokens.value == 0
    assert_no_waits()


@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("call", ["get", "lease", "acquire"])
def test_it_is_cancelled_some_steps_after_its_turn_has_come(
    backend: str, call: str, steps: int
) -> None:
    """The thread has told the loop, or not yet; the task is woken, or not yet, or goes on."""
    q, permits = cy.Queue[int](), cy.Semaphore(0)

    async def turn() -> str:
        match call:
            case "get":
                await q.aio.get()
            case "lease":
                async with q.aio.lease():
                    return "had"
            case _:
                await permits.aio.acquire()
        return "had"

    async def main() -> None:
        for round in range(60):
            async with tasks() as waiting:
                await waiting.start(turn)
                await waiting.start(turn)
                giver = threading.Thread(target=permits.release if call == "acquire" else put)
                giver.start()
                if round % 2:
                    await anyio.to_thread.run_sync(giver.join)
                for _ in range(steps):
                    await anyio.sleep(0)
                waiting.scopes[0].cancel()
                await waiting.ended(1)
                await anyio.to_thread.run_sync(giver.join)
                assert list(waiting.results.values()) == ["had"]
                assert q.qsize() == 0 and permits.get_value() == 0

    def put() -> None:
        q.put(1)

    run(backend, main)
    assert_no_waits()

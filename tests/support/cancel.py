"""Tasks that use the same objects in several processes, and are cancelled wherever they suspend.

Each process has a dozen tasks. A call is cancelled at a suspension that was chosen before, its
first or a later one, or by another task at any moment. Each notes what it did in the very step in
which the awaited call returns: no cancel can come between.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterable
from queue import Empty, Full
from threading import BrokenBarrierError
from typing import Any

import anyio

import courtyard as cy
from tests.support.loop import BACKENDS, assert_no_waits

TASKS = 12
PERMITS = 2
PARTIES = 3
MOST = 6  # no call is cancelled at a later suspension by its own count


def drained(queue: Any) -> list[Any]:
    """Take all items out of a queue that nobody uses, those too that come back in a moment."""
    items: list[Any] = []
    while queue.qsize():
        items += queue.get_many(1000, 10)
    return items


class World:
    """What the processes share."""

    def __init__(self, maxsize: int) -> None:
        self.jobs: Any = cy.Queue(maxsize)
        self.batch, self.reports = cy.Queue[int](), cy.Queue[Any]()
        self.lock, self.recursive = cy.Lock(), cy.RLock()
        self.permits = cy.BoundedSemaphore(PERMITS)
        self.conditions = cy.Condition(), cy.Condition(cy.Lock())
        self.flag = cy.Event()
        self.rounds, self.inside, self.phase = (cy.Value("q") for _ in range(3))
        self.barrier = cy.Barrier(PARTIES, action=self.rounds.increment)
        # How often the owners of locks counted, without any other guard than these.
        self.counts = [cy.RawValue("q") for _ in range(2)]
        self.tokens = [cy.RawValue("q") for _ in self.conditions]  # guarded by the conditions
        self.sums: Any = cy.Dict(held=0, added=0, box={"edited": 0})

    def objects(self) -> list[Any]:
        found = self.jobs, self.batch, self.lock, self.recursive, self.permits, *self.conditions
        return [*found, self.flag, self.phase, self.barrier, self.sums]

    def settle(self, told: Iterable[Report]) -> None:
        """See that all that was done is there once, and that nobody holds or waits for anything."""
        done, put, got, parts = Counter[str](), [], [], []
        for report in told:
            done.update(report.done)
            put += report.put
            got += report.got
            parts += report.parts
        left = drained(self.jobs)
        for _ in left:
            self.jobs.task_done()
        seen = Counter([*got, *left])
        # Of a put_many that was cancelled or came to its time, the first items are there.
        for part in parts:
            there = [item for item in part if item in seen]
            assert there == part[: len(there)]
            put += there
        lost, doubled = Counter(put) - seen, seen - Counter(put)
        assert not lost and not doubled, f"{len(lost)} lost, {len(doubled)} doubled"
        assert self.jobs.unfinished_tasks == self.jobs.qsize() == 0
        assert self.batch.unfinished_tasks == self.batch.qsize() == 0
        assert self.permits.get_value() == PERMITS and self.inside.value == 0
        assert not self.lock.locked() and not self.recursive.locked()
        for which in range(2):
            assert self.counts[which].value == done[f"counted {which}"]
            assert self.tokens[which].value == done[f"given {which}"] - done[f"taken {which}"]
            assert not self.conditions[which].locked()
            assert self.conditions[which]._waiters == 0
        assert self.sums["held"] == done["held"] and self.sums["added"] == done["added"]
        assert self.sums["box"]["edited"] == done["edited"]
        assert self.barrier.n_waiting == 0
        for number in range(PARTIES):  # no place at the barrier was given twice
            assert done[f"place {number}"] <= self.rounds.value
        for obj in self.objects():
            assert obj.statistics().waiters == ()
            obj.check()


class Report:
    """What the tasks of a process did, as far as they know."""

    def __init__(self) -> None:
        self.put: list[Any] = []
        self.got: list[Any] = []
        self.parts: list[list[Any]] = []  # of which some may be there
        self.done = Counter[str]()
        self.calls = Counter[str]()
        # Cancels by call and suspension; 0 where another task made them.
        self.cancels = Counter[tuple[str, int]]()


class Suspended:
    """A call that is cancelled at one of its suspensions; the first is number 1."""

    def __init__(self, call: Coroutine[Any, Any, None], at: int, cancel: Callable[[], Any]) -> None:
        self.call, self.at, self.cancel, self.count = call, at, cancel, 0

    def __await__(self) -> Generator[Any, Any, None]:
        sent, thrown = None, None
        while True:
            try:
                wish = self.call.send(sent) if thrown is None else self.call.throw(thrown)
            except StopIteration:
                return
            self.count += 1
            if self.count == self.at:
                self.cancel()
            sent = thrown = None
            try:
                sent = yield wish
            except BaseException as error:
                thrown = error


class Worker:
    """The tasks of one loop."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.chance = random.Random(number)
        self.report, self.serial = Report(), 0

    def timeout(self, never: float | None = None) -> float | None:
        return self.chance.choice([never, 0.002, 1])

    def item(self) -> tuple[int, int]:
        self.serial += 1
        return self.number, self.serial

    async def pause(self, seconds: float = 0.001) -> None:
        await anyio.sleep(self.chance.choice([0, 0, seconds]))

    async def put(self) -> None:
        item = self.item()
        try:
            await self.world.jobs.aio.put(item, timeout=self.timeout())
        except Full:
            return
        self.report.put.append(item)

    async def put_many(self) -> None:
        items = [self.item() for _ in range(3)]
        try:
            await self.world.jobs.aio.put_many(items, timeout=self.timeout())
        except BaseException as error:
            self.report.parts.append(items)
            if not isinstance(error, Full):
                raise
        else:
            self.report.put += items

    async def get(self) -> None:
        try:
            item = await self.world.jobs.aio.get(timeout=self.timeout())
        except Empty:
            return
        self.report.got.append(item)
        self.world.jobs.task_done()

    async def get_many(self) -> None:
        try:
            items = await self.world.jobs.aio.get_many(3, self.timeout())
        except Empty:
            return
        self.report.got += items
        for _ in items:
            self.world.jobs.task_done()

    async def lease(self) -> None:
        async with (lease := self.world.jobs.aio.lease()) as item:
            await self.pause()
            end = self.chance.random()
            if end < 0.2:
                await lease.requeue(self.chance.choice([0, 0.002]))
            elif end < 0.4:
                await lease.give_back()
            else:
                lease.sync.drop()
                self.report.got.append(item)

    async def join(self) -> None:
        batch = self.world.batch
        if self.chance.random() < 0.5:
            await batch.aio.join()
            return
        batch.put(self.number)
        try:
            await self.pause()
        finally:
            batch.get_nowait()
            batch.task_done()

    async def acquire(self) -> None:
        which = self.chance.randrange(2)
        lock: Any = (self.world.lock, self.world.recursive)[which]
        count = self.world.counts[which]
        if not await lock.aio.acquire(timeout=self.timeout(-1)):
            return
        try:
            if which and self.chance.random() < 0.3:
                async with lock.aio:
                    await anyio.sleep(0)
            before = count.value
            await self.pause(0.0005)
            count.value = before + 1
            self.report.done[f"counted {which}"] += 1
        finally:
            with anyio.CancelScope(shield=True):
                await lock.aio.release()

    async def permit(self) -> None:
        permits = self.world.permits
        if not await permits.aio.acquire(timeout=self.timeout()):
            return
        try:
            assert self.world.inside.increment() <= PERMITS
            try:
                await self.pause()
            finally:
                self.world.inside.increment(-1)
        finally:
            permits.release()

    async def notify(self) -> None:
        which = self.chance.randrange(2)
        condition = self.world.conditions[which]
        async with condition.aio:
            self.world.tokens[which].value += 1
            self.report.done[f"given {which}"] += 1
            await condition.aio.notify()

    async def notified(self) -> None:
        which = self.chance.randrange(2)
        condition, tokens = self.world.conditions[which], self.world.tokens[which]
        async with condition.aio:
            if self.chance.random() < 0.5:
                await condition.aio.wait_for(lambda: tokens.value, self.timeout())
            else:
                await condition.aio.wait(self.timeout())
            if tokens.value:
                tokens.value -= 1
                self.report.done[f"taken {which}"] += 1

    async def event(self) -> None:
        if self.chance.random() < 0.3:
            self.world.flag.set()
            self.world.flag.clear()
        else:
            await self.world.flag.aio.wait(self.timeout())

    async def barrier(self) -> None:
        try:
            number = await self.world.barrier.aio.wait(self.timeout())
        except BrokenBarrierError:
            await self.pause()
            self.world.barrier.reset()
        else:
            self.report.done[f"place {number}"] += 1

    async def value(self) -> None:
        phase = self.world.phase
        if self.chance.random() < 0.5:
            await phase.aio.increment()
        else:
            await phase.aio.wait_for(lambda number: number % 7 == 0, self.timeout())

    async def several(self) -> None:
        world = self.world
        await cy.aio.wait([world.jobs, world.flag, (world.phase, lambda number: number % 5 == 0)])

    async def held(self) -> None:
        sums = self.world.sums
        async with sums.aio.get_lock():
            before = await sums.aio["held"]
            await self.pause(0.0005)
            await sums.aio.setitem("held", before + 1)
            self.report.done["held"] += 1

    async def change(self) -> None:
        await self.world.sums.aio.increment("added")
        self.report.done["added"] += 1

    async def edit(self) -> None:
        async with self.world.sums.aio.edit("box") as box:
            box["edited"] += 1
            await self.pause(0.0005)
        self.report.done["edited"] += 1

    async def task(self, scopes: list[Any], place: int) -> None:
        """Make calls at random, each in a scope of its own."""
        report = self.report
        while True:
            name = self.chance.choice(NAMES)
            at = self.chance.choice((0, 0, 1, 1, 1, 2, 2, *range(3, MOST + 1)))
            with anyio.CancelScope() as scope:
                scopes[place] = scope
                call = Suspended(CALLS[name](self), at, scope.cancel)
                await call
            scopes[place] = None
            report.calls[name] += 1
            if scope.cancelled_caught:
                report.cancels[name, at if call.count >= at else 0] += 1
            else:
                await anyio.sleep(0)

    async def main(self, cancels: int) -> None:
        scopes: list[Any] = [None] * TASKS
        async with anyio.create_task_group() as group:
            for place in range(TASKS):
                group.start_soon(self.task, scopes, place)
            # Those who wait for tokens and flags are many: nobody stands still for ever.
            while self.report.cancels.total() < cancels:
                await anyio.sleep(self.chance.choice([0, 0, 0, 0.001]))
                scope = self.chance.choice(scopes)
                if scope is not None:
                    scope.cancel()
            group.cancel_scope.cancel()


CALLS = {
    call.__name__: call
    for call in (
        Worker.put,
        Worker.put_many,
        Worker.get,
        Worker.get_many,
        Worker.lease,
        Worker.join,
        Worker.acquire,
        Worker.permit,
        Worker.notify,
        Worker.notified,
        Worker.event,
        Worker.barrier,
        Worker.value,
        Worker.several,
        Worker.held,
        Worker.change,
        Worker.edit,
    )
}
NAMES = ["put"] * 4 + list(CALLS)  # there is something to get, most often


def work(world: World, number: int, backend: str, cancels: int) -> None:
    """Run the tasks of one process, and report what they did."""
    worker = Worker(world, number)
    anyio.run(worker.main, cancels, **BACKENDS[backend])
    assert_no_waits()
    from courtyard.aio import _wait

    assert not _wait.lines
    assert len(worker.report.calls) >= len(CALLS) - 2
    world.reports.put(worker.report)

"""Processes with thousands of waiting tasks, killed at random among others that give and wait."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import courtyard as cy
from tests.support.campaign import LIMIT
from tests.support.cancel import drained
from tests.support.children import fork, kill
from tests.support.loop import BACKENDS, KINDS

SIZE = os.environ.get("COURTYARD_TORTURE_SIZE", "")
KILLS = {"small": 60, "full": 600}.get(SIZE, 6)  # for each kind of loop
TASKS = 2000 if SIZE else 400  # in each process that is killed
CROWDS, GIVERS = 2, 2
EACH = 4  # objects of each type
PERMITS = 2


class Lock:
    """A lock, and what it guards: 1 while anybody is inside."""

    def __init__(self) -> None:
        self.lock, self.inside = cy.Lock(), cy.RawValue("i")

    async def use(self) -> None:
        async with self.lock.aio:
            assert self.inside.value == 0 or self.lock.recovered
            self.inside.value = 1
            await anyio.sleep(0.001)
            self.inside.value = 0


class World:
    """What the processes share. A task uses a place: one object, and in one way."""

    def __init__(self) -> None:
        self.queues: list[Any] = [cy.Queue() for _ in range(EACH)]
        self.done: Any = cy.Queue()
        self.locks = [Lock() for _ in range(EACH)]
        self.permits = [cy.BoundedSemaphore(PERMITS) for _ in range(EACH)]
        self.events = [cy.Event() for _ in range(EACH)]
        self.conditions = [cy.Condition() for _ in range(EACH)]
        self.values = [cy.Value("q") for _ in range(EACH)]
        self.places = 6 * EACH
        # How often the witness has had what it waited for, by place.
        self.counts = [cy.Value("q") for _ in range(self.places)]
        self.waiting = cy.Value("q")  # tasks of the processes that are killed
        self.is_storm, self.is_over = cy.Event(), cy.Event()
        self.calm = cy.Semaphore(0)  # how many givers have seen that it is over
        self.puts = [cy.RawValue("q") for _ in range(GIVERS)]  # how many items each put

    def objects(self) -> list[Any]:
        locks = [lock.lock for lock in self.locks]
        found = [*self.queues, *locks, *self.permits, *self.events, *self.conditions]
        return [*found, *self.values, self.done]

    async def use(self, place: int) -> None:
        """Wait for something, have it for a moment, and give it back."""
        kind, number = divmod(place, EACH)
        match kind:
            case 0:
                async with (lease := self.queues[number].aio.lease()):
                    await anyio.sleep(0.001)
                    await lease.move(self.done)
            case 1:
                await self.locks[number].use()
            case 2:
                async with self.permits[number].aio:
                    await anyio.sleep(0.001)
            case 3:
                await self.events[number].aio.wait()
            case 4:
                async with self.conditions[number].aio:
                    await self.conditions[number].aio.wait()
            case _:
                await self.values[number].aio.wait_for(lambda now: now % 2 == 1)

    def give(self, place: int, item: Any) -> None:
        """Let those who wait there go on, or one; a lock or a permit needs nobody for it."""
        kind, number = divmod(place, EACH)
        match kind:
            case 0:
                self.queues[number].put(item)
            case 1:
                with self.locks[number].lock:
                    self.locks[number].inside.value = 0
            case 2:
                with self.permits[number]:
                    pass
            case 3:
                self.events[number].set()
                self.events[number].clear()
            case 4:
                with self.conditions[number]:
                    self.conditions[number].notify()
            case _:
                self.values[number].increment()


def crowd(world: World, backend: str, seed: int) -> None:
    """Be many tasks that wait everywhere, until killed."""

    async def task(place: int) -> None:
        world.waiting.increment()
        while True:
            await world.use(place)
            await anyio.sleep(0.05)

    async def main() -> None:
        places = list(range(world.places)) * (TASKS // world.places + 1)
        random.Random(seed).shuffle(places)
        async with anyio.create_task_group() as group:
            for place in places[:TASKS]:
                group.start_soon(task, place)

    anyio.run(main, **BACKENDS[backend])


def witness(world: World, backend: str) -> None:
    """Be one task at each place, and count, until all is over."""

    async def task(place: int) -> None:
        while True:
            await world.use(place)
            world.counts[place].increment()
            await anyio.sleep(0.005)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for place in range(world.places):
                group.start_soon(task, place)
            await world.is_over.aio.wait()
            group.cancel_scope.cancel()

    anyio.run(main, **BACKENDS[backend])


def giver(world: World, number: int) -> None:
    """Give at random while there is a storm; who gives is never killed."""
    chance, serial = random.Random(number), 0
    while not world.is_over.is_set():
        if not world.is_storm.is_set():
            world.calm.release()
            world.is_storm.wait()
        place = chance.randrange(world.places)
        world.give(place, (number, serial))
        serial += place < EACH
        time.sleep(chance.choice([0, 0, 0.001]))
    world.puts[number].value = serial


def soon(what: str, test: Callable[[], Any]) -> float:
    """Wait until something is true; return how long that took."""
    began = time.monotonic()
    while not test():
        assert time.monotonic() < began + LIMIT, f"not in {LIMIT:g} s: {what}"
        time.sleep(0.002)
    return time.monotonic() - began


def see_that_all_go_on(world: World, number: int, alive: set[int]) -> float:
    """Have the witness get all that there is; return how long it took most. Only it waits."""
    slowest = 0.0
    for place, count in enumerate(world.counts):
        kind, which = divmod(place, EACH)
        condition, event, value = world.conditions[which], world.events[which], world.values[which]
        if kind == 4:
            soon("who was killed waits no more", lambda: condition._waiters == 1)  # noqa: B023
        before = count.value
        if kind == 3:
            event.set()
        else:
            world.give(place, (GIVERS, number * EACH + which))
        if kind == 5 and value.value % 2 == 0:
            value.increment()
        what = f"place {place} of the witness"
        slowest = max(slowest, soon(what, lambda: count.value > before))  # noqa: B023
        event.clear()
        if kind == 5:
            value.increment()
    soon("all items are done", lambda: not any(queue.qsize() for queue in world.queues))
    for obj in world.objects():
        what = f"the dead are no participants of {obj!r}"
        soon(what, lambda: set(obj.statistics().participants) <= alive)  # noqa: B023
    world.done.check()
    return slowest


@pytest.mark.limit(120 + KILLS)
@pytest.mark.parametrize("backend", KINDS)
def test_crowds_of_tasks_are_killed(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody else is held up, no item or permit is lost or doubled, and nothing of them is left."""
    world, chance, began, kills, slowest = World(), random.Random(backend), time.monotonic(), 0, 0.0
    lasting = [fork(witness, world, backend), *(fork(giver, world, n) for n in range(GIVERS))]
    crowds: list[int] = []
    try:
        for number in range(KILLS // CROWDS):
            world.waiting.value = 0
            world.is_storm.set()
            crowds = [fork(crowd, world, backend, kills + place) for place in range(CROWDS)]
            if chance.random() < 0.7:  # else they are killed while they start
                soon("all wait", lambda: world.waiting.value == CROWDS * TASKS)
            while crowds:
                time.sleep(chance.random() ** 2 * 0.2)
                kill(crowds.pop())
                kills += 1
            world.is_storm.clear()
            for _ in range(GIVERS):
                assert world.calm.acquire(timeout=LIMIT)
            slowest = max(slowest, see_that_all_go_on(world, number, {os.getpid(), *lasting}))
        world.is_over.set()
        world.is_storm.set()
        while lasting:
            assert os.waitpid(lasting.pop(), 0)[1] == 0
    finally:
        for child in (*crowds, *lasting):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    for obj in world.objects():
        assert obj.statistics().participants == (os.getpid(),)
    assert [permits.get_value() for permits in world.permits] == [PERMITS] * EACH
    assert not any(lock.lock.locked() for lock in world.locks)
    assert not any(condition._waiters for condition in world.conditions)
    puts = [*(value.value for value in world.puts), KILLS // CROWDS * EACH]
    items = [(giver, serial) for giver, put in enumerate(puts) for serial in range(put)]
    done = [item for queue in (world.done, *world.queues) for item in drained(queue)]
    assert Counter(done) == Counter(items)
    if SIZE:
        with capsys.disabled():
            seconds = time.monotonic() - began
            print(
                f"\n{backend}: {kills} kills of {TASKS} waiting tasks in {seconds:.0f} s, ", end=""
            )
            print(f"{len(items):,} items, the others went on within {slowest:.2f} s")

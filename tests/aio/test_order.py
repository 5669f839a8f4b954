"""First come, first served among the tasks of a loop, whoever of them is cancelled."""

import random
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

import courtyard as cy
from tests.support.loop import Run, assert_no_waits, blocked, tasks

Call = Callable[[], Awaitable[Any]]


class Line:
    """Something that tasks stand in line for, one turn after another."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        if kind in ("get", "lease", "get_many"):
            self.obj: Any = cy.Queue()
        elif kind == "put":
            self.obj = cy.Queue(1)
            self.obj.put("first")
        elif kind == "Semaphore":
            self.obj = cy.Semaphore(0)
        else:
            self.obj = cy.Lock()
            self.obj.acquire()
        self.given = 0

    def give(self) -> None:
        """Give one of them its turn."""
        match self.kind:
            case "put":
                self.obj.get()
            case "Semaphore" | "Lock":
                self.obj.release()
            case _:
                self.given += 1
                self.obj.put(self.given)

    async def turn(self) -> None:
        """Wait for this task's turn."""
        mine = self.obj.aio
        match self.kind:
            case "get":
                await mine.get()
            case "get_many":
                assert len(await mine.get_many(1)) == 1
            case "lease":
                async with mine.lease():
                    pass
            case "put":
                await mine.put("next")
            case _:
                assert await mine.acquire()


KINDS = ["get", "get_many", "lease", "put", "Semaphore", "Lock"]
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_first_come_first_served(run: Run, kind: str) -> None:
    line = Line(kind)

    async def main() -> None:
        async with tasks() as waiting:
            for _ in range(8):
                await waiting.start(line.turn)
            for count in range(1, 9):
                line.give()
                await waiting.ended(count)
            assert list(waiting.results.items()) == [(number, None) for number in range(8)]

    run(main)
    assert_no_waits()


@kinds
def test_who_is_cancelled_leaves_the_line_and_the_others_keep_their_order(
    run: Run, kind: str
) -> None:
    line = Line(kind)
    leaving = (0, 2, 3, 6, 9)  # the first one, some in the middle, the last one

    async def main() -> None:
        async with tasks() as waiting:
            for _ in range(10):
                await waiting.start(line.turn)
            for number in leaving:
                waiting.scopes[number].cancel()
            await blocked()
            for count in range(1, 6):
                line.give()
                await waiting.ended(count)
            assert list(waiting.results) == [1, 4, 5, 7, 8]

    run(main)
    assert_no_waits()


@kinds
def test_the_first_one_is_cancelled_when_its_turn_has_come(run: Run, kind: str) -> None:
    """It does not know yet, and the next one gets it."""
    line = Line(kind)

    async def main() -> None:
        async with tasks() as waiting:
            for _ in range(3):
                await waiting.start(line.turn)
            line.give()
            waiting.scopes[0].cancel()
            await waiting.ended(1)
            assert list(waiting.results) == [1]
            line.give()
            await waiting.ended(2)
            assert list(waiting.results) == [1, 2]

    run(main)
    assert_no_waits()


@pytest.mark.parametrize("kind", ["get", "get_many", "lease", "Semaphore"])
def test_turns_given_all_at_once_reach_all(run: Run, kind: str) -> None:
    line = Line(kind)

    async def main() -> None:
        async with tasks() as waiting:
            for _ in range(20):
                await waiting.start(line.turn)
            for _ in range(20):
                line.give()
            await waiting.ended(20)
            assert list(waiting.results) == list(range(20))

    run(main)


@kinds
def test_who_comes_when_a_turn_is_free_but_others_stand_in_line_is_last(
    run: Run, kind: str
) -> None:
    line = Line(kind)

    async def main() -> None:
        async with tasks() as waiting:
            await waiting.start(line.turn)
            await waiting.start(line.turn)
            # Its task comes before the loop learns of the turn that is given here.
            line.give()
            order = []

            async def late() -> None:
                await line.turn()
                order.append(list(waiting.results))

            waiting.group.start_soon(late)
            await waiting.ended(1)
            line.give()
            await waiting.ended(2)
            assert list(waiting.results) == [0, 1] and not order
            line.give()
            while not order:
                await anyio.sleep(0.002)
            assert order == [[0, 1]]

    run(main)


@kinds
def test_a_crowd_in_which_every_other_one_is_cancelled_at_random(run: Run, kind: str) -> None:
    line, chance = Line(kind), random.Random(4)
    count = 120
    leaving = {number for number in range(count) if chance.random() < 0.5}

    def give() -> None:
        for _ in range(count - len(leaving)):
            if line.kind == "Lock":
                while not line.obj.locked():
                    ending.wait(0.0005)
            elif line.kind == "put":
                while not line.obj.qsize():
                    ending.wait(0.0005)
            line.give()

    ending = threading.Event()

    async def main() -> None:
        async with tasks() as waiting:
            for number in range(count):
                waiting.scopes.append(anyio.CancelScope())

                async def task(number: int = number) -> None:
                    with waiting.scopes[number]:
                        await line.turn()
                        waiting.results[number] = None

                waiting.group.start_soon(task)
            await blocked()
            for number in leaving:
                waiting.scopes[number].cancel()
            giver = threading.Thread(target=give)
            giver.start()
            try:
                await waiting.ended(count - len(leaving))
            finally:
                ending.set()
            await anyio.to_thread.run_sync(giver.join)
            assert sorted(waiting.results) == sorted(set(range(count)) - leaving)

    run(main)
    assert_no_waits()

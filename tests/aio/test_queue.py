"""Queues as tasks use them."""

import multiprocessing
import time
from collections.abc import Awaitable, Callable
from multiprocessing.context import BaseContext
from typing import Any

import anyio
import pytest

import courtyard as cy
import courtyard.aio
from tests.support.children import join, start
from tests.support.lease import ALL, made, state
from tests.support.loop import Run, assert_no_waits, blocked, tasks

# How a task takes one item.
TAKES: dict[str, Callable[[Any], Awaitable[Any]]] = {}


def takes(function: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    TAKES[function.__name__] = function
    return function


@takes
async def get(q: Any) -> Any:
    return await q.aio.get()


@takes
async def get_in_time(q: Any) -> Any:
    return await q.aio.get(timeout=60)


@takes
async def get_many(q: Any) -> Any:
    return (await q.aio.get_many(1))[0]


@takes
async def lease(q: Any) -> Any:
    async with q.aio.lease() as item:
        return item


taking = pytest.mark.parametrize("take", list(TAKES))


# -- what need not wait


@pytest.mark.parametrize("cls", ALL)
def test_what_is_there_comes_in_the_order_of_the_queue(run: Run, cls: Any) -> None:
    q = made(cls, 3)

    async def main() -> None:
        mine = q.aio
        await mine.put(1)
        await mine.put_nowait(2)
        await mine.put_many(iter([5, 4]), timeout=5)
        assert await mine.qsize() == 5 and not await mine.empty() and not await mine.full()
        expected = {cy.LifoQueue: [4, 5, 2, 1, 3], cy.PriorityQueue: [1, 2, 3, 4, 5]}
        order = expected.get(cls, [3, 1, 2, 5, 4])
        assert await mine.peek() == order[0]
        assert [await mine.get(), await mine.get_nowait()] == order[:2]
        async with (lease := mine.lease()) as item:
            assert item == order[2] and lease.attempts == 1
        assert await mine.get_many(9) == order[3:]
        for _ in range(4):
            await mine.task_done()
        await mine.join()
        await mine.put("last")
        await mine.clear()
        assert await mine.empty()

    run(main)
    q.check()


def test_no_call_that_need_not_wait_suspends_on_asyncio() -> None:
    q = made(cy.Queue, 1, 2, 3)

    async def enter() -> Any:
        async with q.aio.lease() as item:
            return item

    async def main() -> None:
        calls = (q.aio.get(), q.aio.put(4), q.aio.get_many(1), q.aio.get(timeout=1), enter())
        for call in calls:
            with pytest.raises(StopIteration):
                call.send(None)

    import asyncio

    asyncio.run(main())
    assert q.qsize() == 0


@pytest.mark.parametrize("take", [*TAKES, "get_nowait", "get_at_once"])
def test_each_call_is_a_checkpoint_on_trio_and_a_cancelled_one_takes_nothing(take: str) -> None:
    import trio
    import trio.testing

    q = made(cy.Queue, 1, 2)
    calls = {"get_nowait": lambda q: q.aio.get_nowait(), "get_at_once": lambda q: q.aio.get(False)}

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await {**calls, **TAKES}[take](q)
        assert scope.cancelled_caught and q.qsize() == 2
        with trio.testing.assert_checkpoints():
            assert await {**calls, **TAKES}[take](q) == 1

    trio.run(main)


@pytest.mark.parametrize("call", ["put", "put_many", "put_nowait", "put_at_once"])
def test_a_put_that_is_cancelled_on_trio_has_not_happened(call: str) -> None:
    import trio

    q: Any = cy.Queue()
    calls: dict[str, Callable[[], Awaitable[None]]] = {
        "put": lambda: q.aio.put(1),
        "put_many": lambda: q.aio.put_many([1]),
        "put_nowait": lambda: q.aio.put_nowait(1),
        "put_at_once": lambda: q.aio.put(1, False),
    }

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await calls[call]()
        assert scope.cancelled_caught and q.qsize() == 0

    trio.run(main)


# -- what waits


def give(q: Any, go: Any, items: list[Any]) -> None:
    for number, item in enumerate(items, 1):
        assert go.wait_for(lambda count, number=number: count >= number, 30)
        q.put(item)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@taking
def test_it_waits_for_another_process(run: Run, take: str, method: str) -> None:
    q, go = cy.Queue[Any](), cy.Value("i")
    items = [1, "text", [3, 4], "x" * 100_000]
    child = start(multiprocessing.get_context(method), give, q, go, items)

    async def main() -> None:
        for item in items:
            async with tasks() as waiting:
                await waiting.start(lambda: TAKES[take](q))
                assert not waiting.results
                go.value += 1
                await waiting.ended(1)
                assert waiting.results == {0: item}

    run(main)
    join(child)
    assert_no_waits()


def receive(q: Any, go: Any, count: int) -> None:
    for number in range(count):
        assert go.wait_for(lambda now, number=number: now > number, 30)
        assert q.get(timeout=30) == number
        q.task_done()


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("bound", [{"maxsize": 1}, {"maxbytes": 24}])
def test_a_put_waits_for_room(run: Run, ctx: BaseContext, bound: Any, many: bool) -> None:
    q, go = cy.Queue[int](**bound), cy.Value("i")
    child = start(ctx, receive, q, go, 4)

    async def main() -> None:
        async with tasks() as waiting:
            if many:
                await waiting.start(lambda: q.aio.put_many(range(4)))
            else:
                for number in range(4):
                    await waiting.start(lambda number=number: q.aio.put(number))  # type: ignore[misc]
                assert list(waiting.results) == [0]
            joining = await waiting.start(q.aio.join)
            assert q.qsize() == 1
            go.value = 4
            await waiting.ended(2 if many else 5)
            assert not any(waiting.results.values()) and joining in waiting.results

    run(main)
    join(child)
    assert state(q) == (0, 0)


def test_a_queue_in_another_process_is_a_queue_of_its_tasks(run: Run, backend: str) -> None:
    """Two loops in two processes hand an item to and fro."""
    there, back = cy.Queue[int](), cy.Queue[int]()
    child = start(multiprocessing.get_context("fork"), reply, backend, there, back)

    async def main() -> None:
        for number in range(200):
            await there.aio.put(number)
            assert await back.aio.get() == number + 1
        await there.aio.put(-1)

    run(main)
    join(child)


def reply(backend: str, there: Any, back: Any) -> None:
    from tests.support.loop import run

    async def main() -> None:
        while (number := await there.aio.get()) >= 0:
            await back.aio.put(number + 1)

    run(backend, main)


# -- leases


@pytest.mark.parametrize("how", ["cancelled", "raised"])
def test_a_lease_whose_block_ends_early_puts_the_item_back_first_in_line(
    run: Run, how: str
) -> None:
    q = made(cy.Queue, 1, 2)

    async def hold() -> None:
        async with q.aio.lease() as item:
            assert item == 1
            if how == "raised":
                raise LookupError
            await anyio.sleep(60)

    async def main() -> None:
        async with tasks() as waiting:
            await waiting.start(hold)
            waiting.scopes[0].cancel()
            await blocked()
            assert state(q) == (2, 2)
            async with (lease := q.aio.lease()) as item:
                assert (item, lease.attempts) == (1, 2)
            assert await q.aio.get() == 2

    run(main)


def test_an_item_put_back_for_later_wakes_who_waits_when_it_is_due(run: Run) -> None:
    q = made(cy.Queue, 1)

    async def main() -> None:
        async with tasks() as waiting:
            async with (lease := q.aio.lease()):
                for _ in range(2):
                    await waiting.start(q.aio.get)
                began = time.monotonic()
                await lease.requeue(0.3)
            await waiting.ended(1)
            assert waiting.results == {0: 1}
            assert 0.25 < time.monotonic() - began < 10

    run(main)


def test_what_a_lease_can_do_with_its_item(run: Run) -> None:
    q, other = made(cy.Queue, 1, 2, 3, 4), cy.Queue[int]()

    async def main() -> None:
        for call in ("drop", "requeue", "give_back"):
            async with (lease := q.aio.lease()):
                await getattr(lease, call)()
        assert state(q) == (3, 3)  # 3, 4, 2
        async with tasks() as waiting:
            await waiting.start(other.aio.get)
            async with (lease := q.aio.lease()):
                await lease.move(other.aio)
            await waiting.ended(1)
            assert waiting.results == {0: 3}
        assert await q.aio.get_many(5) == [4, 2]
        with pytest.raises(RuntimeError):
            await lease.__aenter__()
        with pytest.raises(RuntimeError):
            await q.aio.lease().drop()

    run(main)


def test_the_classes_take_the_type_of_their_items() -> None:
    """Also where Python evaluates an annotation."""
    assert str(courtyard.aio.Queue[int]) == "courtyard.aio.Queue[int]"
    assert str(courtyard.aio.Lease[int]) == "courtyard.aio.Lease[int]"
